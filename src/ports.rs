//! What the use cases need from AWS, in the words of its API. [`aws`](crate::aws) implements it.
//!
//! Every method is one call of one API operation. It neither waits nor retries:
//! [`retry`](crate::retry) does that for all of them.

#![expect(async_fn_in_trait, reason = "the Lambda runtime is single-threaded: no future needs to be Send")]

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    iter,
    time::Duration,
};

use serde_json::Value;

use crate::{
    model::{
        ClientId, ClientName, Owner, PoolDomain, PoolId, Region, Replicas, ResourcePolicy, ResourceServer, Rotation,
        SecretId, Tags, UserPool, UserPoolClient,
        adoption::ClientSettings,
        desired::SecretMetadata,
        observed::{FormerClient, ObservedClient, ObservedDocument},
        sharing::ObservedReplica,
    },
    redact::{self, Secret},
};

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}{} failed: {code}: {message}", on(subject))]
pub struct AwsError {
    /// The API operation, such as `CreateUserPoolDomain`.
    pub operation: &'static str,
    /// What the call was about, such as `domain m2m-rubicon-dev`; empty if the caller names it.
    pub subject: String,
    pub kind: ErrorKind,
    /// The service's own error code; without an answer, a code of ours such as `Timeout`.
    pub code: String,
    pub message: String,
}

fn on(subject: &str) -> String {
    if subject.is_empty() { String::new() } else { format!(" on {subject}") }
}

/// What a caller can do about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Too many calls. Nothing happened; retry.
    Throttled,
    /// Another change is in progress (`ConcurrentModificationException`). Nothing happened; retry.
    Busy,
    /// A 5xx or a lost connection. The call may have had its effect or not.
    Lost,
    /// AWS is no longer as it was observed: something exists already, still exists, or is gone.
    /// Observe again and make a new plan.
    Changed,
    /// A quota is reached. A retry does not help.
    Quota,
    /// The role or the credentials do not allow the call.
    Denied,
    /// A policy names a principal that IAM does not know, or does not know yet.
    UnknownPrincipal,
    /// The service rejects the request.
    Refused,
}

pub type Result<T, E = AwsError> = std::result::Result<T, E>;

/// A user pool, as DescribeUserPool shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPoolDescription {
    pub id: PoolId,
    pub arn: String,
    pub state: UserPool,
    /// See [`ObservedPool::m2m_only`](crate::model::observed::ObservedPool::m2m_only).
    pub m2m_only: bool,
    /// The prefix of the pool's domain.
    pub domain: Option<String>,
    /// The host name of the pool's custom domain.
    pub custom_domain: Option<String>,
    /// Since the Unix epoch.
    pub created: Duration,
}

/// A domain, as DescribeUserPoolDomain shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainDescription {
    pub pool: PoolId,
    /// The owner's account; `None` if the answer does not name it.
    pub account: Option<String>,
    pub managed_login_version: u8,
    pub deleting: bool,
    /// Such as `ACTIVE` or `CREATING`; empty if the answer does not say.
    pub status: String,
    /// Of a custom domain.
    pub certificate_arn: Option<String>,
    /// Of a custom domain.
    pub security_policy: Option<String>,
    /// The name of the CloudFront distribution that serves a custom domain.
    pub target: Option<String>,
}

/// An app client, as DescribeUserPoolClient shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDescription {
    pub observed: ObservedClient,
    pub secret: Option<Secret<String>>,
    pub settings: ClientSettings,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The token of the next page; `None` on the last page.
    pub next: Option<String>,
}

/// Amazon Cognito user pools.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_Operations.html>
pub trait UserPools: ClientSecrets {
    async fn list_user_pools(&self, next: Option<&str>) -> Result<Page<(PoolId, String)>>;
    /// Returns `None` if there is no such pool.
    async fn describe_user_pool(&self, id: &PoolId) -> Result<Option<UserPoolDescription>>;
    /// Returns the id and the ARN.
    async fn create_user_pool(&self, pool: &UserPool) -> Result<(PoolId, String)>;
    async fn update_user_pool(&self, id: &PoolId, pool: &UserPool) -> Result<()>;
    /// Succeeds if there is no such pool.
    async fn delete_user_pool(&self, id: &PoolId) -> Result<()>;

    /// Takes a prefix or the host name of a custom domain. Returns `None` if nobody has it.
    async fn describe_user_pool_domain(&self, domain: &str) -> Result<Option<DomainDescription>>;
    /// Returns the name of the CloudFront distribution that serves a custom domain.
    async fn create_user_pool_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<Option<String>>;
    /// Resets what the request leaves out, so `domain` is the whole state.
    async fn update_user_pool_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<()>;
    /// Succeeds if the pool has no such domain.
    async fn delete_user_pool_domain(&self, pool: &PoolId, domain: &str) -> Result<()>;

    async fn list_resource_servers(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<ResourceServer>>;
    async fn create_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()>;
    async fn update_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()>;
    /// Succeeds if there is no such server.
    async fn delete_resource_server(&self, pool: &PoolId, identifier: &str) -> Result<()>;

    /// Returns the names as Cognito holds them, with their marks.
    async fn list_user_pool_clients(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<(ClientId, ClientName)>>;
    /// Returns `None` if there is no such client.
    async fn describe_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<Option<ClientDescription>>;
    /// Returns the id and the client secret.
    async fn create_user_pool_client(
        &self,
        pool: &PoolId,
        client: &UserPoolClient,
    ) -> Result<(ClientId, Secret<String>)>;
    async fn update_user_pool_client(&self, pool: &PoolId, id: &ClientId, client: &UserPoolClient) -> Result<()>;
    /// Succeeds if there is no such client.
    async fn delete_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<()>;
}

/// One of an app client's secrets, of which it has at most two. Cognito shows the value only once,
/// when the secret is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecretDescription {
    pub id: String,
    /// Since the Unix epoch.
    pub created: Duration,
}

/// The secrets of an app client: what a rotation needs from Cognito.
pub trait ClientSecrets {
    async fn list_user_pool_client_secrets(
        &self,
        pool: &PoolId,
        client: &ClientId,
        next: Option<&str>,
    ) -> Result<Page<ClientSecretDescription>>;
    async fn add_user_pool_client_secret(&self, pool: &PoolId, client: &ClientId, value: &Secret<String>)
    -> Result<()>;
    /// Succeeds if there is no such secret.
    async fn delete_user_pool_client_secret(&self, pool: &PoolId, client: &ClientId, id: &str) -> Result<()>;
}

/// A secret, as DescribeSecret shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretDescription {
    pub arn: String,
    pub description: String,
    pub tags: Tags,
    pub kms_key_id: Option<String>,
    /// Whether it is scheduled for deletion.
    pub scheduled: bool,
    pub rotation: Option<Rotation>,
    /// The staging labels of each version that has a label.
    pub versions: BTreeMap<String, BTreeSet<String>>,
    pub replicas: BTreeMap<Region, ObservedReplica>,
}

/// The version that consumers read.
pub const AWSCURRENT: &str = "AWSCURRENT";
/// The version that a rotation creates.
pub const AWSPENDING: &str = "AWSPENDING";
/// The version that was AWSCURRENT before. Secrets Manager moves this label itself.
pub const AWSPREVIOUS: &str = "AWSPREVIOUS";
/// The version with the former client secret, if AWSPREVIOUS has moved on: an update of the other
/// keys makes AWSPREVIOUS an older version with the *present* client secret.
pub const FORMER: &str = "cognito-m2m-former";
/// A version that is about to become AWSCURRENT.
pub const NEXT: &str = "cognito-m2m-next";
/// The version of a rotation that has given its client secret to Cognito and has not moved AWSCURRENT to it
/// yet. Unlike AWSPENDING, the label stays if somebody ends the rotation, and then it says which secret
/// nobody uses.
pub const UNFINISHED: &str = "cognito-m2m-unfinished";
/// The version that was AWSCURRENT when a change of key began. The label goes when no version that a later
/// rotation needs is under the old key.
pub const OLD_KEY: &str = "cognito-m2m-old-key";

/// The version that records what an adopted client was before. It also holds the client's secret of that time.
pub const ADOPTED: &str = "cognito-m2m-adopted";

/// Selects one version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version<'a> {
    Stage(&'a str),
    Id(&'a str),
}

/// The whole document that a client's secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretDocument {
    pub client_id: ClientId,
    pub client_secret: Secret<String>,
    pub metadata: SecretMetadata,
    /// Only in the version [`ADOPTED`].
    pub former: Option<FormerClient>,
}

impl SecretDocument {
    #[must_use]
    pub fn observed(&self) -> ObservedDocument {
        ObservedDocument { client_id: self.client_id.clone(), metadata: self.metadata.clone() }
    }
}

/// One version of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretVersion {
    pub id: String,
    /// Since the Unix epoch; `None` if the answer does not say.
    pub created: Option<Duration>,
    /// `None` if the value is not a client's document.
    pub document: Option<SecretDocument>,
}

/// The parameters of CreateSecret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSecret<'a> {
    pub name: &'a SecretId,
    pub tags: &'a Tags,
    pub kms_key_id: Option<&'a str>,
    pub description: &'a str,
    /// `None` creates a secret without a value.
    pub document: Option<&'a SecretDocument>,
    /// The ClientRequestToken, which becomes the version's id. Of two writers with the same token and
    /// different values, AWS refuses the second.
    pub token: &'a str,
}

/// What UpdateSecret changes besides the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretChange {
    /// `None` leaves the description as it is.
    pub description: Option<String>,
    /// `None` leaves the key as it is.
    pub kms_key_id: Option<String>,
}

/// The versions of a secret: what a rotation needs from Secrets Manager.
pub trait SecretVersions {
    /// Returns `None` if there is no such secret.
    async fn describe_secret(&self, name: &SecretId) -> Result<Option<SecretDescription>>;
    /// Returns `None` if there is no such version, or if it has no value.
    async fn get_secret_value(&self, name: &SecretId, version: Version<'_>) -> Result<Option<SecretVersion>>;
    /// Writes a version whose id is `token`, and puts a staging label on it.
    async fn put_secret_value(
        &self,
        name: &SecretId,
        document: &SecretDocument,
        token: &str,
        stage: &str,
    ) -> Result<()>;
    /// Moves a staging label from one version to another.
    async fn update_secret_version_stage(
        &self,
        name: &SecretId,
        stage: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<()>;
}

/// AWS Secrets Manager.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html>
pub trait Secrets: SecretVersions {
    /// Returns the names and tags of the secrets with the owner's tags, or of all secrets that have some owner's tags.
    /// The listing lags by up to five minutes.
    async fn list_secrets(&self, owner: Option<&Owner>, next: Option<&str>) -> Result<Page<(SecretId, Tags)>>;
    /// Returns the ARN.
    async fn create_secret(&self, secret: &NewSecret<'_>) -> Result<String>;
    async fn update_secret(&self, name: &SecretId, change: &SecretChange) -> Result<()>;
    /// Turns rotation on, or changes its schedule, without an immediate rotation.
    async fn rotate_secret(&self, name: &SecretId, rotation: &Rotation) -> Result<()>;
    /// Turns rotation off.
    async fn cancel_rotate_secret(&self, name: &SecretId) -> Result<()>;
    async fn tag_resource(&self, name: &SecretId, tags: &Tags) -> Result<()>;
    async fn untag_resource(&self, name: &SecretId, keys: &[String]) -> Result<()>;
    async fn restore_secret(&self, name: &SecretId) -> Result<()>;
    /// Returns `None` if the secret has no resource policy.
    async fn get_resource_policy(&self, name: &SecretId) -> Result<Option<ResourcePolicy>>;
    /// Replaces the whole policy. AWS refuses one that lets everybody read the secret.
    async fn put_resource_policy(&self, name: &SecretId, policy: &ResourcePolicy) -> Result<()>;
    /// Succeeds if there is no such policy.
    async fn delete_resource_policy(&self, name: &SecretId) -> Result<()>;
    /// Begins to replicate the secret. DescribeSecret shows how that ends.
    async fn replicate_secret_to_regions(&self, name: &SecretId, replicas: &Replicas) -> Result<()>;
    /// Deletes the replicas in these regions.
    async fn remove_regions_from_replication(&self, name: &SecretId, regions: &BTreeSet<Region>) -> Result<()>;
    /// Succeeds if there is no such secret, or if it is already scheduled for deletion. Fails if it still has
    /// replicas. A window of 0 days deletes it at once.
    async fn delete_secret(&self, name: &SecretId, recovery_window_in_days: u8) -> Result<()>;
}

/// What a token must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedToken {
    pub client_id: ClientId,
    pub metadata: SecretMetadata,
}

/// Why there is no valid token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The endpoint did not answer. A new domain takes a while to appear.
    #[error("{0}")]
    Unreachable(String),
    /// The endpoint refused, or the token is not what it must be.
    #[error("{0}")]
    Refused(String),
}

/// How long after its creation the host name of a prefix domain may not exist. A look-up that comes too early is
/// cached as missing for up to 15 minutes. Source: people who ran it on AWS wait this long.
pub const DOMAIN_UNKNOWN_FOR: Duration = Duration::from_secs(20);

/// Where clients get tokens: the pool's OAuth 2.0 token endpoint, or the operation GetClientToken. The metadata of
/// [`ExpectedToken`] says which.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html>
pub trait TokenEndpoint {
    /// Tells whether the endpoint grants a token for the credentials.
    ///
    /// # Errors
    /// There was no answer, or one that says nothing about the credentials, such as that the client's flow is off.
    async fn accepts(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<bool, TokenError>;
    /// Requests one token and checks its signature and claims.
    async fn verify(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<(), TokenError>;
}

/// A token, as the endpoint returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    pub token: Secret<String>,
    /// Such as `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
}

/// The token endpoint, as a consumer uses it.
pub trait Tokens: TokenEndpoint {
    /// Requests one token with the given scopes, or with all of the client's if none is given.
    async fn request(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
        scopes: &[String],
    ) -> Result<AccessToken, TokenError>;
    /// Checks a token's signature and claims, and returns the claims.
    async fn claims(&self, expected: &ExpectedToken, token: &Secret<String>) -> Result<Value, TokenError>;
}

/// A stack, as DescribeStacks shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackDescription {
    pub id: String,
    pub name: String,
    pub status: String,
    pub status_reason: String,
    /// The values of the last deployment.
    pub parameters: BTreeMap<String, String>,
    pub outputs: BTreeMap<String, String>,
}

/// A resource, as ListStackResources shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackResource {
    pub logical_id: String,
    pub resource_type: String,
    /// Empty while CloudFormation creates the resource.
    pub physical_id: String,
}

/// The owner of the credentials, as GetCallerIdentity shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub account: String,
    pub arn: String,
}

/// What only m2mctl needs from an account: its CloudFormation stacks and its permissions.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html>
pub trait Account {
    /// Returns `None` if there is no such stack.
    async fn describe_stacks(&self, name: &str) -> Result<Option<StackDescription>>;
    async fn list_stack_resources(&self, name: &str, next: Option<&str>) -> Result<Page<StackResource>>;
    /// Returns the names and values that the stacks of the account export.
    async fn list_exports(&self, next: Option<&str>) -> Result<Page<(String, String)>>;
    /// Returns the stack's template with its transforms expanded.
    async fn get_template(&self, name: &str) -> Result<String>;
    async fn get_caller_identity(&self) -> Result<Caller>;
    /// Returns the ARN of a role. The ARN of an assumed role's session lacks the role's path.
    async fn get_role(&self, name: &str) -> Result<String>;
    /// Returns the actions that the policies of a user or role do not allow on every resource.
    async fn simulate_principal_policy(&self, principal: &str, actions: &[&str]) -> Result<Vec<String>>;
    /// Tells whether a host name has an address.
    async fn resolves(&self, host: &str) -> bool;
}

/// The services that the use cases talk to, as one type parameter.
pub trait Services {
    type Pools: UserPools;
    type Secrets: Secrets;
    type Tokens: TokenEndpoint;

    fn pools(&self) -> &Self::Pools;
    fn secrets(&self) -> &Self::Secrets;
    fn tokens(&self) -> &Self::Tokens;
}

/// Reads all pages of a listing.
///
/// # Errors
/// The call for one of the pages failed.
pub async fn all_pages<T>(fetch: impl AsyncFn(Option<String>) -> Result<Page<T>>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    let mut next = None;
    loop {
        let page = fetch(next).await?;
        all.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}

/// Prints an error with its sources, and what to do if one of them is a failed call.
///
/// A text that contains its source's text, as the SDK's errors do, is not repeated.
#[must_use]
pub fn report<A: Into<String>>(error: &(dyn Error + 'static), what_to_do: impl Fn(&AwsError) -> A) -> String {
    let failed = iter::successors(Some(error), |cause: &&(dyn Error + 'static)| (*cause).source())
        .find_map(|cause| cause.downcast_ref::<AwsError>());
    let advice: String = failed.map(what_to_do).map(Into::into).unwrap_or_default();
    let text = redact::causes(error);
    // Some services end their messages with a full stop.
    let text = text.trim_end_matches(['.', ' ']);
    if advice.is_empty() { text.to_owned() } else { format!("{text}. {advice}") }
}

impl AwsError {
    /// Returns what the owner of the stack can do about the failure.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.kind {
            ErrorKind::Throttled | ErrorKind::Busy => {
                "The account makes more calls than the quota allows. Deploy again when other deployments have ended."
            }
            ErrorKind::Lost => "The service did not answer. Deploy again.",
            ErrorKind::Changed => "Something else changed it while this deployment ran. Deploy again.",
            ErrorKind::Quota => {
                "Remove what you do not need, or request a higher quota in Service Quotas. Then deploy again."
            }
            ErrorKind::Denied if self.message.contains("cannot invoke the specified Lambda function") => {
                "Allow secretsmanager.amazonaws.com to invoke the rotation function (AWS::Lambda::Permission in the \
                 provider's template). Then deploy again."
            }
            ErrorKind::Denied if self.message.contains("KMS") || self.message.contains("kms:") => {
                "Allow the role of the provider or of the rotation function to use the key: in the key's policy, \
                 or in the provider's parameter SecretKmsKeyArns. Then deploy again."
            }
            ErrorKind::Denied => {
                "Allow the action in the provider's role (or in the key's or the organization's policy). Then deploy again."
            }
            ErrorKind::UnknownPrincipal => {
                "Create the role or the user before this deployment, correct its ARN, or remove it from SecretReaders. \
                 Then deploy again."
            }
            ErrorKind::Refused => "Correct the property that the message names. Then deploy again.",
        }
    }
}
