//! The four steps that give a client a new secret while its consumers go on working.
//!
//! A Cognito client can have two secrets, and the token endpoint accepts both. A rotation adds the new secret
//! before it moves AWSCURRENT to it. The former secret stays until the next rotation deletes it. So Cognito
//! refuses nobody who reads AWSCURRENT, nor anybody who read it before the last rotation.
//!
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>

use std::{cmp::Ordering, ops::ControlFlow, time::Duration};

use rand::distr::{Alphanumeric, SampleString};
use uuid::Uuid;

use super::versions::{move_label, read_listed, read_written, same_credentials};
use crate::{
    clock::{now, poll_until, wait, wall_clock},
    model::{
        ClientId, ClientName, Domain, Endpoints, PoolId, SecretId, TokenService, TokenSource, desired::SecretMetadata,
    },
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, AwsError, ClientSecretDescription, ClientSecrets, DOMAIN_UNKNOWN_FOR,
        ErrorKind, ExpectedToken, FORMER, NEXT, SecretDocument, SecretVersion, SecretVersions, Services, TokenEndpoint,
        TokenError, UNFINISHED, UserPools, Version, all_pages,
    },
    redact::Secret,
    retry::RetryingServices,
};

/// One secret being rotated, and the version that this rotation makes.
pub struct Rotate<'a, S: Services> {
    pub services: &'a RetryingServices<'a, S>,
    pub endpoints: &'a Endpoints,
    pub secret: &'a SecretId,
    /// The ClientRequestToken, which is the new version's id.
    pub token: &'a str,
    /// The present metadata, if AWSCURRENT does not hold it yet: during an Update. Its token endpoint is the one that
    /// tokens are verified at.
    pub metadata: Option<SecretMetadata>,
}

/// The versions that a rotation is about, with their documents.
struct Versions {
    current: (SecretVersion, SecretDocument),
    pending: (SecretVersion, SecretDocument),
}

/// Whether Cognito has room for the pending secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// Cognito has the pending secret already.
    HasPending,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(
        "the version {0} holds no client's document; put the JSON with its nine keys back, or deploy the stack again"
    )]
    NoDocument(String),
    #[error("the pending version names another client than AWSCURRENT; start a new rotation")]
    AnotherClient,
    #[error(
        "client {client} has two secrets ({}), and which of them is neither AWSCURRENT's nor AWSPENDING's cannot be told \
         for certain: {why}. Nothing was changed. If the next try fails too, find out who added the other one; when \
         nobody needs it, run: aws cognito-idp delete-user-pool-client-secret --user-pool-id {pool} --client-id {client} \
         --client-secret-id ID",
        list(secrets)
    )]
    UnknownSecret { pool: PoolId, client: ClientId, secrets: Vec<ClientSecretDescription>, why: &'static str },
    #[error("the pending secret of client {client} does not get a good token: {reason}. AWSCURRENT was not moved")]
    Token { client: ClientName, reason: String },
    #[error("the token endpoint could not be asked which secret is good: {0}. Nothing was changed")]
    Unasked(String),
}

fn list(secrets: &[ClientSecretDescription]) -> String {
    let shown = secrets.iter().map(|secret| format!("{} of epoch second {}", secret.id, secret.created.as_secs()));
    shown.collect::<Vec<_>>().join(", ")
}

/// The longest secret that Cognito accepts: 24 to 64 of `[\w+]`.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AddUserPoolClientSecret.html>
const LENGTH: usize = 64;

/// A new secret may take a moment to be known at the token endpoint.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How long a refusal is asked again before it decides about a secret.
const REFUSAL_PASSES_WITHIN: Duration = Duration::from_secs(4);
/// How long an endpoint that does not answer is asked again.
const REACHABLE_WITHIN: Duration = Duration::from_secs(15);
/// A reachable endpoint answers in well under a second.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// One step asks several times, so one question gets this fraction of the time that is left: a quarter.
const PART_OF_THE_TIME: u32 = 4;
/// How long `testSecret` goes on asking, within the function's timeout.
const KNOWN_WITHIN: Duration = Duration::from_mins(1);
/// How long `setSecret` waits for the endpoint if a secret was added in the second of the pending version.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
/// How often AddUserPoolClientSecret is tried if its answers are lost.
const TRIES: usize = 3;

impl<S: Services> Rotate<'_, S> {
    /// Runs all four steps, one after the other.
    ///
    /// # Errors
    /// A step failed. A call with the same token goes on from there.
    pub async fn all(&self) -> Result<(), RotateError> {
        self.create_secret().await?;
        self.set_secret().await?;
        self.test_secret().await?;
        self.finish_secret().await
    }

    /// Writes a new random value as AWSPENDING, and keeps the other keys. Writes nothing if that version has a
    /// value.
    ///
    /// # Errors
    /// AWSCURRENT is not a client's document, or a call failed.
    pub async fn create_secret(&self) -> Result<(), RotateError> {
        // A read that misses the value does no harm here: a version's value cannot be overwritten.
        let version = self.versions().get_secret_value(self.secret, Version::Id(self.token)).await?;
        if version.is_some_and(|version| version.document.is_some()) {
            return Ok(());
        }
        let pending = SecretDocument { client_secret: random_secret(), ..self.current().await?.1 };
        match self.versions().put_secret_value(self.secret, &pending, self.token, AWSPENDING).await {
            // The answer to the first try was lost: the version has that value.
            Err(error) if error.kind == ErrorKind::Changed && self.value().await?.is_some() => Ok(()),
            result => Ok(result?),
        }
    }

    /// Gives the pending value to Cognito.
    ///
    /// # Guarantees
    /// - AWSCURRENT's secret is never deleted, nor one that this secret's versions do not know.
    ///
    /// # Errors
    /// The client has two secrets and one of them is unknown, or a call failed.
    pub async fn set_secret(&self) -> Result<(), RotateError> {
        let (pending_version, pending) = self.pending().await?;
        let (current_version, current) = self.current().await?;
        if pending.client_id != current.client_id {
            return Err(RotateError::AnotherClient);
        }
        if pending.client_secret == current.client_secret {
            // Secrets Manager's own test of a new schedule works with a copy of AWSCURRENT.
            return Ok(());
        }
        self.wait_for_new_domain(&current_version).await?;
        let current = self.at_prefix_domain(current).await?;
        let (pool, client) = (&current.metadata.user_pool_id, &current.client_id);
        let versions = Versions { current: (current_version, current.clone()), pending: (pending_version, pending) };
        for attempt in 1..=TRIES {
            if self.make_room(&versions, attempt).await? == Room::HasPending {
                return Ok(());
            }
            move_label(self.versions(), self.secret, UNFINISHED, Some(self.token)).await?;
            match self.clients().add_user_pool_client_secret(pool, client, &versions.pending.1.client_secret).await {
                // Cognito may have added it. The next attempt lists the secrets and asks the endpoint.
                Err(error) if error.kind == ErrorKind::Lost && attempt < TRIES => wait(ASK_AGAIN_AFTER).await,
                result => return Ok(result?),
            }
        }
        Ok(())
    }

    /// Deletes the surplus secret if the client has two, and neither is the pending one.
    async fn make_room(&self, versions: &Versions, attempt: usize) -> Result<Room, RotateError> {
        let Versions { current: (current_version, current), pending: (pending_version, pending) } = versions;
        let (pool, client) = (&current.metadata.user_pool_id, &current.client_id);
        let settled_at = now() + SETTLED_WITHIN.min(self.services.deadline.left() / 2);
        loop {
            let found = self.client_secrets(pool, client).await?;
            if found.len() < 2 {
                return Ok(Room::Free);
            }
            if self.is_accepted(pending, current).await? {
                return Ok(Room::HasPending);
            }
            // One of the two may be the pending one that the endpoint does not know yet, while it still accepts
            // the former one that is gone. So the age of a secret that is as young as the pending version says
            // nothing. Cognito's dates are whole seconds.
            let made = pending_version.created.map(|made| made.as_secs());
            let youngest = found.iter().map(|secret| secret.created.as_secs()).max();
            if attempt > 1 || youngest > made.or(youngest) {
                return Err(unknown(current, &found, "one of them may be the pending one, not yet known there"));
            }
            if youngest == made && now() < settled_at {
                wait(ASK_AGAIN_AFTER).await;
                continue;
            }
            let surplus = self.surplus_of(&found, current_version, current, pending).await?;
            self.clients().delete_user_pool_client_secret(pool, client, &surplus).await?;
            return Ok(Room::Free);
        }
    }

    /// Gets a token with the pending secret and checks it.
    ///
    /// # Errors
    /// There is no valid token within a minute, or within the function's timeout.
    pub async fn test_secret(&self) -> Result<(), RotateError> {
        // Secrets Manager tests a new schedule with a copy of AWSCURRENT. That is not documented, so a version
        // without a value tests AWSCURRENT itself.
        let (current_version, current) = self.current().await?;
        self.wait_for_new_domain(&current_version).await?;
        let current = self.at_prefix_domain(current).await?;
        let tried = self.value().await?;
        let document = tried.unwrap_or_else(|| current.clone());
        let expected = self.expected(&document, &current);
        let until = now() + KNOWN_WITHIN.min(self.services.deadline.left().saturating_sub(ASK_AGAIN_AFTER));
        let tested = poll_until(until, ASK_AGAIN_AFTER, async || {
            let verified = self.services.tokens.verify(&expected, &document.client_secret);
            match tokio::time::timeout_at(until, verified).await {
                Ok(Ok(())) => ControlFlow::Break(Ok(())),
                Ok(Err(TokenError::Refused(reason) | TokenError::Unreachable(reason))) => ControlFlow::Continue(reason),
                Err(_) => ControlFlow::Continue("no answer in time".to_owned()),
            }
        })
        .await;
        tested.map_err(|reason| RotateError::Token { client: document.metadata.client_name.clone(), reason })
    }

    /// Moves AWSCURRENT to the pending version. The former secret works until the next rotation.
    ///
    /// # Errors
    /// The pending version has no value, or a call failed.
    pub async fn finish_secret(&self) -> Result<(), RotateError> {
        let (_, pending) = self.pending().await?;
        let (current_version, current) = self.current().await?;
        if pending.client_id != current.client_id {
            return Err(RotateError::AnotherClient);
        }
        let secrets = self.versions();
        let from = current_version.id.as_str();
        if current.client_secret != pending.client_secret {
            if current.metadata == pending.metadata {
                secrets.update_secret_version_stage(self.secret, AWSCURRENT, Some(from), Some(self.token)).await?;
            } else {
                // An Update has written the other keys since the pending version was made. A version cannot be
                // changed, so a new one takes the pending secret.
                let fresh = SecretDocument { client_secret: pending.client_secret, ..current };
                let token = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{}\n{from}", self.token).as_bytes());
                replace_current(secrets, self.secret, &fresh, &token.to_string(), from).await?;
            }
        }
        // AWSPENDING last: as long as a version has it, Secrets Manager repeats this step.
        let versions = secrets.describe_secret(self.secret).await?.map(|found| found.versions).unwrap_or_default();
        for label in [UNFINISHED, AWSPENDING] {
            if versions.get(self.token).is_some_and(|labels| labels.contains(label)) {
                secrets.update_secret_version_stage(self.secret, label, Some(self.token), None).await?;
            }
        }
        Ok(())
    }

    /// Returns the id of the secret that is neither AWSCURRENT's nor the pending one's.
    ///
    /// Cognito shows ids and dates and never values. So the token endpoint is asked which values are good. Only
    /// if it accepts AWSCURRENT's value and one other that a version holds, the two secrets are these two, and
    /// their ages tell which is which:
    /// - The other one is the former secret, which is older than AWSCURRENT's.
    /// - Or it is the secret of a rotation that was given up, which is newer than AWSCURRENT's.
    async fn surplus_of(
        &self,
        found: &[ClientSecretDescription],
        current_version: &SecretVersion,
        current: &SecretDocument,
        pending: &SecretDocument,
    ) -> Result<String, RotateError> {
        let unknown = |why| unknown(current, found, why);
        let [one, two] = found else { return Err(unknown("there are more than two")) };
        let (older, newer) = match age(one).cmp(&age(two)) {
            Ordering::Less => (one, two),
            Ordering::Greater => (two, one),
            Ordering::Equal => return Err(unknown("both are of the same age")),
        };
        let former = self.accepted_former(current, pending).await?;
        let unfinished = self.other_version(UNFINISHED, current, pending).await?;
        let given_up = match &unfinished {
            Some((_, document)) => self.is_accepted(document, current).await?,
            None => false,
        };
        if former.is_none() && !given_up {
            return Err(unknown("no version of this secret holds the other one"));
        }
        if !self.is_accepted(current, current).await? {
            return Err(unknown("AWSCURRENT's is not among them"));
        }
        match (former, unfinished) {
            (Some(_), Some(_)) if given_up => Err(unknown("the token endpoint still accepts one that was deleted")),
            (None, _) => Ok(newer.id.clone()),
            // The newer one may be the one that was given up, and the endpoint may know neither that nor that
            // the former one is gone.
            (_, Some((version, _))) if version.created.is_none_or(|made| newer.created.as_secs() >= made.as_secs()) => {
                Err(unknown("one of them may be of a rotation that was given up, not yet known there"))
            }
            (Some((AWSPREVIOUS, former)), _) if !is_older(&former, current_version) => {
                Err(unknown("AWSCURRENT was moved back to an older version by hand"))
            }
            (Some(_), _) => Ok(older.id.clone()),
        }
    }

    /// Returns the version with the client's former secret, if the token endpoint accepts it, and its label.
    async fn accepted_former(
        &self,
        current: &SecretDocument,
        pending: &SecretDocument,
    ) -> Result<Option<(&'static str, SecretVersion)>, RotateError> {
        for label in [AWSPREVIOUS, FORMER] {
            let Some((version, document)) = self.other_version(label, current, pending).await? else { continue };
            if self.is_accepted(&document, current).await? {
                return Ok(Some((label, version)));
            }
        }
        Ok(None)
    }

    /// Returns the labeled version, if it holds a third secret of the client.
    async fn other_version(
        &self,
        label: &str,
        current: &SecretDocument,
        pending: &SecretDocument,
    ) -> Result<Option<(SecretVersion, SecretDocument)>, RotateError> {
        let version = self.version(Version::Stage(label)).await?;
        let document = version.as_ref().and_then(|version| version.document.clone());
        let other = document.filter(|document| {
            document.client_id == current.client_id
                && !same_credentials(document, current)
                && !same_credentials(document, pending)
        });
        Ok(version.zip(other))
    }

    async fn client_secrets(
        &self,
        pool: &PoolId,
        client: &ClientId,
    ) -> Result<Vec<ClientSecretDescription>, RotateError> {
        let list = async |next: Option<String>| {
            self.clients().list_user_pool_client_secrets(pool, client, next.as_deref()).await
        };
        Ok(all_pages(list).await?)
    }

    /// Cognito, as far as a rotation may use it: beyond it, the rotation function's role allows only DescribeUserPool.
    fn clients(&self) -> &impl ClientSecrets {
        &self.services.pools
    }

    /// Secrets Manager, as far as a rotation may use it.
    fn versions(&self) -> &impl SecretVersions {
        &self.services.secrets
    }

    /// Tells whether the endpoint that AWSCURRENT names grants a token. An older version may name a
    /// domain that is gone.
    ///
    /// One lost call fails no step. A refusal may only be late, and it may decide that a secret is
    /// deleted, so it is asked again before it is believed.
    async fn is_accepted(&self, document: &SecretDocument, current: &SecretDocument) -> Result<bool, RotateError> {
        let expected = self.expected(document, current);
        let share = self.services.deadline.left() / PART_OF_THE_TIME;
        let started = now();
        let mut refusals = 0;
        loop {
            let asked = self.services.tokens.accepts(&expected, &document.client_secret);
            let (answer, until) = match tokio::time::timeout(ANSWER_WITHIN.min(share), asked).await {
                Ok(Ok(true)) => return Ok(true),
                Ok(Ok(false)) => {
                    refusals += 1;
                    let believed =
                        if refusals > 1 { Ok(false) } else { Err("there was no time to ask twice".to_owned()) };
                    (believed, REFUSAL_PASSES_WITHIN)
                }
                Ok(Err(error)) => (Err(error.to_string()), REACHABLE_WITHIN),
                Err(_) => (Err("no answer in time".to_owned()), REACHABLE_WITHIN),
            };
            // The first refusal is asked again whenever it comes.
            let until = if refusals == 1 { share } else { until.min(share) };
            if started.elapsed() + ASK_AGAIN_AFTER > until {
                return answer.map_err(RotateError::Unasked);
            }
            wait(ASK_AGAIN_AFTER).await;
        }
    }

    /// Waits until the host name of a domain may be looked up, if AWSCURRENT has just begun to name it. A rotation
    /// that starts by schedule does not know what a deployment has changed a moment ago.
    async fn wait_for_new_domain(&self, current: &SecretVersion) -> Result<(), RotateError> {
        let now = wall_clock();
        if unknown_for(current, now).is_none() {
            return Ok(());
        }
        let previous = self.version(Version::Stage(AWSPREVIOUS)).await?;
        if let Some(time) = unknown_for(current, now).filter(|_| names_another_domain(current, previous.as_ref())) {
            tracing::info!(secret = %self.secret, "waiting {} s before the first look-up of the new domain", time.as_secs());
            wait(time.min(self.services.deadline.left())).await;
        }
        Ok(())
    }

    /// Returns a document whose tokens are requested at the pool's prefix domain. The document may name the custom
    /// domain, which depends on a DNS record that is nobody's business here. It is only for requests, and never
    /// written.
    async fn at_prefix_domain(&self, document: SecretDocument) -> Result<SecretDocument, RotateError> {
        let SecretMetadata { token_endpoint, user_pool_id, .. } = &document.metadata;
        if self.metadata.is_some() || !self.endpoints.is_of_custom_domain(token_endpoint) {
            return Ok(document);
        }
        let pool = self.services.pools.describe_user_pool(user_pool_id).await?;
        // A pool with a custom domain only is verified there.
        let Some(prefix) = pool.and_then(|pool| pool.domain) else { return Ok(document) };
        // The version of the sign-in pages has no part in the address.
        let prefix = Domain { prefix, managed_login_version: 1 };
        let token_endpoint = self.endpoints.token_endpoint(&TokenSource::PrefixDomain(prefix));
        Ok(SecretDocument { metadata: SecretMetadata { token_endpoint, ..document.metadata }, ..document })
    }

    /// Returns what a token of the document's client must contain. AWSCURRENT's metadata is the present one,
    /// unless the caller knows a newer one; an older version's may be out of date.
    fn expected(&self, document: &SecretDocument, current: &SecretDocument) -> ExpectedToken {
        let metadata = self.metadata.as_ref().unwrap_or(&current.metadata);
        ExpectedToken { client_id: document.client_id.clone(), metadata: metadata.clone() }
    }

    /// Returns the value of the version that this rotation makes.
    async fn value(&self) -> Result<Option<SecretDocument>, RotateError> {
        Ok(self.version(Version::Id(self.token)).await?.and_then(|version| version.document))
    }

    async fn pending(&self) -> Result<(SecretVersion, SecretDocument), RotateError> {
        self.document(Version::Id(self.token), AWSPENDING).await
    }

    async fn current(&self) -> Result<(SecretVersion, SecretDocument), RotateError> {
        self.document(Version::Stage(AWSCURRENT), AWSCURRENT).await
    }

    async fn document(&self, version: Version<'_>, name: &str) -> Result<(SecretVersion, SecretDocument), RotateError> {
        let version = read_written(self.versions(), self.secret, version, self.services.deadline).await?;
        let document = version.as_ref().and_then(|version| version.document.clone());
        version.zip(document).ok_or_else(|| RotateError::NoDocument(name.to_owned()))
    }

    async fn version(&self, version: Version<'_>) -> Result<Option<SecretVersion>, RotateError> {
        Ok(read_listed(self.versions(), self.secret, version, self.services.deadline).await?)
    }
}

fn unknown(current: &SecretDocument, found: &[ClientSecretDescription], why: &'static str) -> RotateError {
    RotateError::UnknownSecret {
        pool: current.metadata.user_pool_id.clone(),
        client: current.client_id.clone(),
        secrets: found.to_vec(),
        why,
    }
}

/// Writes AWSCURRENT anew, unless it has moved on from the version `from`.
///
/// # Errors
/// A call failed. Secrets Manager refuses to move a label from a version that does not have it.
pub async fn replace_current(
    secrets: &impl SecretVersions,
    secret: &SecretId,
    document: &SecretDocument,
    token: &str,
    from: &str,
) -> Result<(), AwsError> {
    secrets.put_secret_value(secret, document, token, NEXT).await?;
    secrets.update_secret_version_stage(secret, AWSCURRENT, Some(from), Some(token)).await
}

/// Tells whether a version was written before another.
#[must_use]
pub fn is_older(version: &SecretVersion, than: &SecretVersion) -> bool {
    // Without dates, the order of the labels is believed.
    version.created.zip(than.created).is_none_or(|(one, other)| one <= other)
}

/// Orders secrets by date. The number at the end of an id (`<client-id>--<epoch>`) orders two of the same second.
fn age(secret: &ClientSecretDescription) -> (Duration, Option<u64>) {
    let digits = secret.id.bytes().rev().take_while(u8::is_ascii_digit).count();
    (secret.created, secret.id[secret.id.len() - digits..].parse().ok())
}

/// Returns how long the host name that a version names may still be unknown to DNS; `None` if it is known.
fn unknown_for(current: &SecretVersion, now: Duration) -> Option<Duration> {
    // Secrets Manager's clock may be ahead of this one.
    let age = now.saturating_sub(current.created?);
    DOMAIN_UNKNOWN_FOR.checked_sub(age).filter(|left| !left.is_zero())
}

/// Tells whether a version names a domain, and another token endpoint than the one before it.
fn names_another_domain(current: &SecretVersion, previous: Option<&SecretVersion>) -> bool {
    let metadata = |version: &SecretVersion| version.document.as_ref().map(|document| document.metadata.clone());
    let Some((previous, current)) = previous.and_then(metadata).zip(metadata(current)) else { return false };
    current.token_service == TokenService::OAuth2 && previous.token_endpoint != current.token_endpoint
}

fn random_secret() -> Secret<String> {
    Secret::new(Alphanumeric.sample_string(&mut rand::rng(), LENGTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_young_version_that_names_another_endpoint_waits_for_its_domain() {
        let version = |created: u64, host: &str| SecretVersion {
            id: "v".to_owned(),
            created: Some(Duration::from_secs(created)),
            document: Some(SecretDocument {
                client_id: ClientId::from("c"),
                client_secret: Secret::new("s".to_owned()),
                metadata: SecretMetadata {
                    token_service: TokenService::OAuth2,
                    token_endpoint: format!("https://{host}/oauth2/token"),
                    scope: String::new(),
                    issuer: String::new(),
                    jwks_uri: String::new(),
                    user_pool_id: PoolId::from("us-east-1_a"),
                    client_name: ClientName::from("n"),
                },
                former: None,
            }),
        };
        let now = Duration::from_secs(100);
        assert_eq!(unknown_for(&version(95, "new"), now), Some(Duration::from_secs(15)));
        for known in [version(80, "new"), version(1, "new"), SecretVersion { created: None, ..version(95, "new") }] {
            assert_eq!(unknown_for(&known, now), None, "{:?}", known.created);
        }
        assert!(names_another_domain(&version(95, "new"), Some(&version(1, "old"))));
        assert!(!names_another_domain(&version(95, "new"), Some(&version(1, "new"))));
        assert!(!names_another_domain(&version(95, "new"), None));
        let mut by_api = version(95, "api");
        by_api.document.as_mut().unwrap().metadata.token_service = TokenService::GetClientToken;
        assert!(!names_another_domain(&by_api, Some(&version(1, "old"))), "the API's host is as old as the region");
    }

    #[test]
    fn a_random_secret_is_what_cognito_takes_and_never_twice_the_same() {
        let (one, two) = (random_secret(), random_secret());
        assert_eq!(one.expose().len(), LENGTH);
        assert!(one.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(one != two);
    }
}
