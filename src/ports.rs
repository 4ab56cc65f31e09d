//! What the use cases need of AWS, in the words of its API. `aws` implements it over the SDK.
//!
//! Every method is one call of one API operation; it neither waits nor tries again:
//! [`retry`](crate::retry) does that for all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

use serde_json::Value;

use crate::{
    model::{
        Client, ClientId, ClientName, Domain, Owner, PoolId, ResourceServer, Rotation, SecretName, Tags, UserPool,
        desired::SecretMetadata,
        observed::{ObservedClient, ObservedDocument},
    },
    redact::Secret,
};

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}{} failed: {code}: {message}", on(subject))]
pub struct AwsError {
    /// The API operation, such as `CreateUserPoolDomain`.
    pub operation: &'static str,
    /// What it was about, such as `domain m2m-rubicon-dev`; empty where the caller names it.
    pub subject: String,
    pub kind: ErrorKind,
    /// The service's own error code, or what stands for one where no answer came.
    pub code: String,
    pub message: String,
}

fn on(subject: &str) -> String {
    if subject.is_empty() { String::new() } else { format!(" on {subject}") }
}

/// What can be done about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Too many calls: nothing happened, try again.
    Throttled,
    /// Another change is under way (`ConcurrentModificationException`): nothing happened, try again.
    Busy,
    /// A 5xx or a lost connection: it may have happened or not.
    Lost,
    /// The world is not as it was observed: something is there already, or still, or no more.
    /// Observe again and decide anew.
    Changed,
    /// A quota is reached; trying again does not help.
    Quota,
    /// The role or the credentials may not do this.
    Denied,
    /// The service refuses the request as it stands.
    Refused,
}

pub type Result<T, E = AwsError> = std::result::Result<T, E>;

/// A pool as DescribeUserPool shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPoolDescription {
    pub id: PoolId,
    pub arn: String,
    pub state: UserPool,
    /// See [`ObservedPool::m2m_only`](crate::model::observed::ObservedPool::m2m_only).
    pub m2m_only: bool,
    /// The prefix of its domain.
    pub domain: Option<String>,
    /// Since the Unix epoch.
    pub created: Duration,
}

/// A domain as DescribeUserPoolDomain shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainDescription {
    pub pool: PoolId,
    /// `None` where the answer does not say.
    pub account: Option<String>,
    pub managed_login_version: u8,
    pub deleting: bool,
}

/// An app client as DescribeUserPoolClient shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDescription {
    pub observed: ObservedClient,
    pub secret: Option<Secret<String>>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
}

/// Amazon Cognito user pools.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_Operations.html>
pub trait UserPools: ClientSecrets {
    fn list_user_pools(&self, next: Option<&str>) -> impl Future<Output = Result<Page<(PoolId, String)>>> + Send;
    /// `None` where there is no such pool.
    fn describe_user_pool(&self, id: &PoolId) -> impl Future<Output = Result<Option<UserPoolDescription>>> + Send;
    /// Gives the id and the ARN.
    fn create_user_pool(&self, pool: &UserPool) -> impl Future<Output = Result<(PoolId, String)>> + Send;
    fn update_user_pool(&self, id: &PoolId, pool: &UserPool) -> impl Future<Output = Result<()>> + Send;
    /// Succeeds where there is no such pool.
    fn delete_user_pool(&self, id: &PoolId) -> impl Future<Output = Result<()>> + Send;

    /// `None` where nobody has the prefix.
    fn describe_user_pool_domain(&self, prefix: &str)
    -> impl Future<Output = Result<Option<DomainDescription>>> + Send;
    fn create_user_pool_domain(&self, pool: &PoolId, domain: &Domain) -> impl Future<Output = Result<()>> + Send;
    fn update_user_pool_domain(&self, pool: &PoolId, domain: &Domain) -> impl Future<Output = Result<()>> + Send;
    /// Succeeds where the pool has no such domain.
    fn delete_user_pool_domain(&self, pool: &PoolId, prefix: &str) -> impl Future<Output = Result<()>> + Send;

    fn list_resource_servers(
        &self,
        pool: &PoolId,
        next: Option<&str>,
    ) -> impl Future<Output = Result<Page<ResourceServer>>> + Send;
    fn create_resource_server(&self, pool: &PoolId, server: &ResourceServer)
    -> impl Future<Output = Result<()>> + Send;
    fn update_resource_server(&self, pool: &PoolId, server: &ResourceServer)
    -> impl Future<Output = Result<()>> + Send;
    /// Succeeds where there is no such server.
    fn delete_resource_server(&self, pool: &PoolId, identifier: &str) -> impl Future<Output = Result<()>> + Send;

    fn list_user_pool_clients(
        &self,
        pool: &PoolId,
        next: Option<&str>,
    ) -> impl Future<Output = Result<Page<(ClientId, ClientName)>>> + Send;
    /// `None` where there is no such client.
    fn describe_user_pool_client(
        &self,
        pool: &PoolId,
        id: &ClientId,
    ) -> impl Future<Output = Result<Option<ClientDescription>>> + Send;
    /// Gives the id and the client secret.
    fn create_user_pool_client(
        &self,
        pool: &PoolId,
        client: &Client,
    ) -> impl Future<Output = Result<(ClientId, Secret<String>)>> + Send;
    fn update_user_pool_client(
        &self,
        pool: &PoolId,
        id: &ClientId,
        client: &Client,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Succeeds where there is no such client.
    fn delete_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> impl Future<Output = Result<()>> + Send;
}

/// One of the at most two secrets of an app client. Its value is shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecretDescription {
    pub id: String,
    /// Since the Unix epoch.
    pub created: Duration,
}

/// The secrets of an app client: what a rotation needs of Cognito.
pub trait ClientSecrets: Sync {
    fn list_user_pool_client_secrets(
        &self,
        pool: &PoolId,
        client: &ClientId,
        next: Option<&str>,
    ) -> impl Future<Output = Result<Page<ClientSecretDescription>>> + Send;
    fn add_user_pool_client_secret(
        &self,
        pool: &PoolId,
        client: &ClientId,
        value: &Secret<String>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Succeeds where there is no such secret.
    fn delete_user_pool_client_secret(
        &self,
        pool: &PoolId,
        client: &ClientId,
        id: &str,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A secret as DescribeSecret shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretDescription {
    pub arn: String,
    pub description: String,
    pub tags: Tags,
    pub kms_key_id: Option<String>,
    pub scheduled: bool,
    pub rotation: Option<Rotation>,
    /// The staging labels of each version that has any.
    pub versions: BTreeMap<String, BTreeSet<String>>,
}

/// The version that consumers read.
pub const AWSCURRENT: &str = "AWSCURRENT";
/// The version that a rotation is making.
pub const AWSPENDING: &str = "AWSPENDING";
/// The version that was current before; Secrets Manager moves the label by itself.
pub const AWSPREVIOUS: &str = "AWSPREVIOUS";
/// The version with the credentials before the present ones, where AWSPREVIOUS is only an older
/// text about the present ones.
pub const FORMER: &str = "cognito-m2m-former";
/// A version that is about to become current.
pub const NEXT: &str = "cognito-m2m-next";

/// Which version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version<'a> {
    Stage(&'a str),
    Id(&'a str),
}

/// A client's secret, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretDocument {
    pub client_id: ClientId,
    pub client_secret: Secret<String>,
    pub metadata: SecretMetadata,
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
    /// Since the Unix epoch, where the answer says so.
    pub created: Option<Duration>,
    /// `None` where the value is no client's document.
    pub document: Option<SecretDocument>,
}

/// What a new secret is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSecret<'a> {
    pub name: &'a SecretName,
    pub tags: &'a Tags,
    pub kms_key_id: Option<&'a str>,
    pub description: &'a str,
    /// `None` makes a secret without a value.
    pub document: Option<&'a SecretDocument>,
    /// The version's id. Two writers with one token and different values: the second is refused.
    pub token: &'a str,
}

/// What UpdateSecret sets beside the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretChange {
    /// `None` leaves it.
    pub description: Option<String>,
    /// `None` leaves the key; `Some(None)` is the AWS managed key.
    pub kms_key_id: Option<Option<String>>,
}

/// The versions of a secret: what a rotation needs of Secrets Manager. Secrets go by name or ARN.
pub trait SecretVersions: Sync {
    /// `None` where there is no such secret.
    fn describe_secret(&self, name: &SecretName) -> impl Future<Output = Result<Option<SecretDescription>>> + Send;
    /// `None` where there is no such version, or it has no value.
    fn get_secret_value(
        &self,
        name: &SecretName,
        version: Version<'_>,
    ) -> impl Future<Output = Result<Option<SecretVersion>>> + Send;
    /// Writes a version under its token and puts a staging label on it.
    fn put_secret_value(
        &self,
        name: &SecretName,
        document: &SecretDocument,
        token: &str,
        stage: &str,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Takes a staging label from one version and puts it on another.
    fn update_secret_version_stage(
        &self,
        name: &SecretName,
        stage: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// AWS Secrets Manager.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html>
pub trait Secrets: SecretVersions {
    /// The names of the secrets with the owner's mark, as far as the listing has them: it lags
    /// behind by up to five minutes.
    fn list_secrets(&self, owner: &Owner, next: Option<&str>) -> impl Future<Output = Result<Page<SecretName>>> + Send;
    /// Gives the ARN.
    fn create_secret(&self, secret: &NewSecret<'_>) -> impl Future<Output = Result<String>> + Send;
    fn update_secret(&self, name: &SecretName, change: &SecretChange) -> impl Future<Output = Result<()>> + Send;
    /// Turns rotation on, or changes it, without rotating at once.
    fn rotate_secret(&self, name: &SecretName, rotation: &Rotation) -> impl Future<Output = Result<()>> + Send;
    /// Turns rotation off.
    fn cancel_rotate_secret(&self, name: &SecretName) -> impl Future<Output = Result<()>> + Send;
    fn tag_resource(&self, name: &SecretName, tags: &Tags) -> impl Future<Output = Result<()>> + Send;
    fn untag_resource(&self, name: &SecretName, keys: &[String]) -> impl Future<Output = Result<()>> + Send;
    fn restore_secret(&self, name: &SecretName) -> impl Future<Output = Result<()>> + Send;
    /// Succeeds where there is no such secret or it is already scheduled. A window of 0 days
    /// deletes at once.
    fn delete_secret(&self, name: &SecretName, recovery_window_in_days: u8) -> impl Future<Output = Result<()>> + Send;
}

/// What a token must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedToken {
    pub client_id: ClientId,
    pub metadata: SecretMetadata,
}

/// Why no good token was had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No answer, or none from the endpoint itself: a new domain takes a while to appear.
    #[error("{0}")]
    Unreachable(String),
    /// The endpoint refuses, or what it gave is not what it should be. Trying again does not help.
    #[error("{0}")]
    Refused(String),
}

/// The pool's OAuth 2.0 token endpoint.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html>
pub trait TokenEndpoint: Sync {
    /// Whether the endpoint gives a token for the credentials. A `false` says little, for a client can
    /// be refused for other reasons than its secret.
    fn accepts(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
    ) -> impl Future<Output = Result<bool, TokenError>> + Send;
    /// Asks for one token and checks its signature and claims.
    fn verify(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
    ) -> impl Future<Output = Result<(), TokenError>> + Send;
}

/// A token as the endpoint gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    pub token: Secret<String>,
    /// Such as `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
}

/// The token endpoint as a consumer uses it.
pub trait Tokens: TokenEndpoint {
    /// Asks for one token with some of the client's scopes; with all of them where none is named.
    fn request(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
        scopes: &[String],
    ) -> impl Future<Output = Result<AccessToken, TokenError>> + Send;
    /// Checks a token's signature and claims, and gives the claims.
    fn claims(
        &self,
        expected: &ExpectedToken,
        token: &Secret<String>,
    ) -> impl Future<Output = Result<Value, TokenError>> + Send;
}

/// A stack as DescribeStacks shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackDescription {
    pub id: String,
    pub name: String,
    pub status: String,
    pub status_reason: String,
    /// The values that it was deployed with last.
    pub parameters: BTreeMap<String, String>,
    pub outputs: BTreeMap<String, String>,
}

/// A resource as ListStackResources shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackResource {
    pub logical_id: String,
    pub resource_type: String,
    /// Empty while it is being created.
    pub physical_id: String,
}

/// Whose credentials these are, as GetCallerIdentity shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub account: String,
    pub arn: String,
}

/// The account around one machine-to-machine stack: its CloudFormation stacks, and who may do what.
/// For people's tools; the functions need none of it.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html>
pub trait Account: Sync {
    /// `None` where there is no such stack, or no more.
    fn describe_stacks(&self, name: &str) -> impl Future<Output = Result<Option<StackDescription>>> + Send;
    fn list_stack_resources(
        &self,
        name: &str,
        next: Option<&str>,
    ) -> impl Future<Output = Result<Page<StackResource>>> + Send;
    /// The template that the stack was deployed with last, after its transforms.
    fn get_template(&self, name: &str) -> impl Future<Output = Result<String>> + Send;
    fn get_caller_identity(&self) -> impl Future<Output = Result<Caller>> + Send;
    /// The ARN of a role. An assumed role's session does not tell its path.
    fn get_role(&self, name: &str) -> impl Future<Output = Result<String>> + Send;
    /// Those of the actions that a user's or role's policies do not allow on every resource.
    fn simulate_principal_policy(
        &self,
        principal: &str,
        actions: &[&str],
    ) -> impl Future<Output = Result<Vec<String>>> + Send;
}

impl AwsError {
    /// What a person can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.kind {
            ErrorKind::Throttled | ErrorKind::Busy => {
                "The account makes more calls than the quota allows; deploy again when other deployments have ended."
            }
            ErrorKind::Lost => "The service did not answer; deploy again.",
            ErrorKind::Changed => "Something changed it while this deployment ran; deploy again.",
            ErrorKind::Quota => {
                "Remove what is not needed or ask for a higher quota in Service Quotas, then deploy again."
            }
            ErrorKind::Denied => {
                "Allow the action in the provider's role (or in the key's or organization's policy), then deploy again."
            }
            ErrorKind::Refused => "Correct the property that the message speaks of, then deploy again.",
        }
    }
}
