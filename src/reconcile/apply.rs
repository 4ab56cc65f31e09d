//! Carrying a plan out: the only place that runs steps. It makes no choices.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{Aws, Credentials, Error, Reconciled, Verification, observe::SIDE_BY_SIDE};
use crate::{
    clock::{millis, now, wait},
    model::{
        Client, ClientId, ClientName, Desired, Domain, PoolId, SecretName,
        desired::SecretMetadata,
        observed::{Observed, ObservedSecret},
    },
    plan::{Plan, SecretUpdate, Step},
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, AwsError, ErrorKind, ExpectedToken, FORMER, NewSecret, SecretChange,
        SecretDocument, SecretVersion, SecretVersions, Secrets, TokenEndpoint, TokenError, UserPools, Version,
    },
    redact::Secret,
    retry::Retrying,
    rotation::steps::{Rotate, RotateError, is_older, replace_current},
};

/// A step that begins with less time than this would only be cut off.
const MIN_STEP_TIME: Duration = Duration::from_millis(300);

/// A new prefix can take a minute to appear in DNS.
const REACHABLE_WITHIN: Duration = Duration::from_mins(1);
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// A token and its keys take well under a second where the endpoint can be reached.
const TOKEN_WITHIN: Duration = Duration::from_secs(10);
/// An endpoint that cannot be reached is no failure, so the work must not be cut off waiting for it.
const BEFORE_THE_DEADLINE: Duration = Duration::from_secs(1);

/// How long a domain that was just deleted may still count as the pool's.
const DOMAIN_GONE_WITHIN: Duration = Duration::from_mins(1);

/// Every plan starts from a pool or creates it before anything else.
const NO_POOL: Error = Error::Internal("a step ran before there was a user pool");

/// Resolves the template's names to ids while the steps make them.
struct Applying<'a, U, S, T> {
    aws: &'a Aws<'a, U, S, T>,
    desired: Option<&'a Desired>,
    versions: HashMap<SecretName, String>,
    /// Secrets that go because their clients' secrets have new names, and those new names.
    renamed_secrets: HashMap<SecretName, SecretName>,
    /// Secrets that Secrets Manager may rotate at any moment.
    scheduled: BTreeSet<SecretName>,
    /// When to give an unreachable endpoint up: once for all clients, for it is one endpoint.
    verify_until: OnceLock<Instant>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pool: Option<(PoolId, String)>,
    clients: BTreeMap<ClientName, ClientId>,
    secret_arns: BTreeMap<ClientName, String>,
    credentials: HashMap<ClientId, Secret<String>>,
    verified: Vec<Verification>,
}

/// Carries out the plan that was made from `observed`.
pub(super) async fn apply<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
    desired: &Desired,
    observed: &Observed,
    credentials: Credentials,
    plan: &Plan,
) -> Result<Reconciled, Error> {
    let mut state =
        State { pool: observed.pool.as_ref().map(|pool| (pool.id.clone(), pool.arn.clone())), ..State::default() };
    for client in &desired.clients {
        if let Some(current) = observed.client(&client.name, &client.secret_name) {
            if let Some(secret) = credentials.of(&current.id) {
                state.credentials.insert(current.id.clone(), secret.clone());
            }
            state.clients.insert(client.name.clone(), current.id.clone());
        }
        if let Some(secret) = observed.secrets.get(&client.secret_name) {
            state.secret_arns.insert(client.name.clone(), secret.arn.clone());
        }
    }
    let applying = Applying {
        aws,
        desired: Some(desired),
        versions: credentials.versions,
        renamed_secrets: renamed_secrets(desired, observed),
        scheduled: observed
            .secrets
            .iter()
            .filter(|(_, secret)| secret.rotation.is_some())
            .map(|(name, _)| name.clone())
            .collect(),
        verify_until: OnceLock::new(),
        state: Mutex::new(state),
    };
    applying.run(plan).await?;

    let state = applying.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (pool, pool_arn) = state.pool.ok_or(NO_POOL)?;
    let verification = if state.verified.contains(&Verification::Unreachable) {
        Verification::Unreachable
    } else {
        state.verified.first().copied().unwrap_or(Verification::Skipped)
    };
    Ok(Reconciled { pool, pool_arn, client_ids: state.clients, secret_arns: state.secret_arns, verification })
}

/// For each secret that speaks of a declared client under a name that is no longer desired, the name
/// that is.
fn renamed_secrets(desired: &Desired, observed: &Observed) -> HashMap<SecretName, SecretName> {
    let renamed = |(name, secret): (&SecretName, &ObservedSecret)| {
        let client_name = &secret.document.as_ref()?.metadata.client_name;
        let client =
            desired.clients.iter().find(|client| client.name == *client_name && client.secret_name != *name)?;
        Some((name.clone(), client.secret_name.clone()))
    };
    observed.secrets.iter().filter_map(renamed).collect()
}

/// Carries out a plan of deletions, which needs no names resolved.
pub(super) async fn apply_deletions<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
    plan: &Plan,
) -> Result<(), Error> {
    Applying {
        aws,
        desired: None,
        versions: HashMap::new(),
        renamed_secrets: HashMap::new(),
        scheduled: BTreeSet::new(),
        verify_until: OnceLock::new(),
        state: Mutex::default(),
    }
    .run(plan)
    .await
}

/// Why one step failed; [`Applying::run`] adds the step.
enum StepError {
    Aws(AwsError),
    Other(Error),
}

impl From<AwsError> for StepError {
    fn from(error: AwsError) -> Self {
        Self::Aws(error)
    }
}

impl<U: UserPools, S: Secrets, T: TokenEndpoint> Applying<'_, U, S, T> {
    async fn run(&self, plan: &Plan) -> Result<(), Error> {
        for phase in &plan.phases {
            // A step that has begun is not broken off for another's failure: its effect would be
            // unknown. Only those that have not begun are left out.
            let failed = AtomicBool::new(false);
            let results: Vec<_> = stream::iter(phase.iter().map(|step| self.run_step(step, &failed)))
                .buffered(SIDE_BY_SIDE)
                .collect()
                .await;
            results.into_iter().collect::<Result<(), Error>>()?;
        }
        Ok(())
    }

    async fn run_step(&self, step: &Step, failed: &AtomicBool) -> Result<(), Error> {
        if failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let name = step.to_string();
        if self.aws.deadline.left() < MIN_STEP_TIME {
            failed.store(true, Ordering::Relaxed);
            return Err(Error::OutOfTime { steps: Vec::new() });
        }
        let started = now();
        // Boxed: one step's future holds those of every operation.
        let result = self.aws.progress.during(&name, Box::pin(self.perform(step))).await;
        let duration_ms = millis(started.elapsed());
        result.map(|()| tracing::info!(step = name, duration_ms, "done")).map_err(|error| {
            failed.store(true, Ordering::Relaxed);
            let error = match error {
                StepError::Aws(source) => Error::Step { step: name.clone(), source },
                StepError::Other(error) => error,
            };
            tracing::warn!(step = name, duration_ms, error = super::chain(&error), "failed");
            error
        })
    }

    async fn perform(&self, step: &Step) -> Result<(), StepError> {
        let Aws { pools, secrets, .. } = self.aws;
        match step {
            Step::CreateUserPool { pool } => {
                let (id, arn) = pools.create_user_pool(pool).await?;
                self.aws.progress.found_pool(&id);
                self.state().pool = Some((id, arn));
            }
            Step::UpdateUserPool { pool, changes: _ } => pools.update_user_pool(&self.pool()?, pool).await?,
            Step::DeleteUserPool { id } => pools.delete_user_pool(id).await?,

            Step::CreateUserPoolDomain { domain } => pools.create_user_pool_domain(&self.pool()?, domain).await?,
            Step::UpdateUserPoolDomain { domain } => pools.update_user_pool_domain(&self.pool()?, domain).await?,
            Step::ReplaceUserPoolDomain { from, to } => self.replace_domain(from, to).await?,
            Step::DeleteUserPoolDomain { pool, prefix } => pools.delete_user_pool_domain(pool, prefix).await?,

            Step::CreateResourceServer { server } => pools.create_resource_server(&self.pool()?, server).await?,
            Step::UpdateResourceServer { server, changes: _ } => {
                pools.update_resource_server(&self.pool()?, server).await?;
            }
            Step::DeleteResourceServer { identifier } => {
                pools.delete_resource_server(&self.pool()?, identifier).await?;
            }

            Step::CreateUserPoolClient { client } => {
                let (id, secret) = pools.create_user_pool_client(&self.pool()?, client).await?;
                let mut state = self.state();
                state.clients.insert(client.name.clone(), id.clone());
                state.credentials.insert(id, secret);
            }
            Step::UpdateUserPoolClient { id, client, changes: _ } => {
                pools.update_user_pool_client(&self.pool()?, id, client).await?;
            }
            Step::DeleteUserPoolClient { id, name: _ } => pools.delete_user_pool_client(&self.pool()?, id).await?,

            Step::CreateSecret { name, client, kms_key_id, tags, description, value } => {
                let document = self.document(name, client, value)?;
                let token = self.version_token(name, &document.metadata);
                let new = NewSecret {
                    name,
                    tags,
                    kms_key_id: kms_key_id.as_deref(),
                    description,
                    document: Some(&document),
                    token: &token,
                };
                let arn = secrets.create_secret(&new).await?;
                self.state().secret_arns.insert(client.clone(), arn);
            }
            Step::UpdateSecret { name, client, update, changes: _ } => self.update_secret(name, client, update).await?,
            Step::RotateSecret { name, client: _, description } => self.rotate_secret(name, description).await?,
            Step::ScheduleRotation { name, rotation } => secrets.rotate_secret(name, rotation).await?,
            Step::CancelRotation { name } => secrets.cancel_rotate_secret(name).await?,
            Step::DeleteSecret { name, recovery_window_in_days } => {
                if let Some(renamed) = self.renamed_secrets.get(name) {
                    self.carry_over_previous(name, renamed).await?;
                }
                secrets.delete_secret(name, *recovery_window_in_days).await?;
            }

            Step::VerifyToken { client } => self.verify(client).await?,
        }
        Ok(())
    }

    /// The old prefix goes, the new one comes; if it cannot, the old one comes back.
    async fn replace_domain(&self, from: &Domain, to: &Domain) -> Result<(), StepError> {
        let pools = &self.aws.pools;
        let pool = self.pool()?;
        pools.delete_user_pool_domain(&pool, &from.prefix).await?;
        let Err(error) = self.create_domain_once_free(&pool, to).await else { return Ok(()) };
        tracing::warn!(%error, prefix = from.prefix, "putting the old domain back");
        if let Err(lost) = self.create_domain_once_free(&pool, from).await {
            let message =
                format!("{}; and the old domain {} could not be put back: {lost}", error.message, from.prefix);
            return Err(AwsError { message, ..error }.into());
        }
        // With the old domain back there is nothing to observe anew: the prefix was free when it
        // was looked at, and it is not to be had.
        let kind = if error.kind == ErrorKind::Changed { ErrorKind::Refused } else { error.kind };
        let message = format!("{}; the old domain {} is back", error.message, from.prefix);
        Err(AwsError { kind, message, ..error }.into())
    }

    /// Creates a domain on a pool whose former domain may still be on its way out.
    async fn create_domain_once_free(&self, pool: &PoolId, domain: &Domain) -> Result<(), AwsError> {
        let pools = &self.aws.pools;
        let started = now();
        loop {
            let error = match pools.create_user_pool_domain(pool, domain).await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind != ErrorKind::Changed => return Err(error),
                Err(error) => error,
            };
            match pools.describe_user_pool_domain(&domain.prefix).await? {
                // A lost answer, asked again.
                Some(found) if found.pool == *pool && !found.deleting => return Ok(()),
                Some(found) if found.pool != *pool => return Err(error),
                _ if started.elapsed() > DOMAIN_GONE_WITHIN || self.aws.deadline.left() < ASK_AGAIN_AFTER * 2 => {
                    return Err(error);
                }
                _ => wait(ASK_AGAIN_AFTER).await,
            }
        }
    }

    async fn update_secret(
        &self,
        name: &SecretName,
        client: &ClientName,
        update: &SecretUpdate,
    ) -> Result<(), StepError> {
        let secrets = &self.aws.secrets;
        let SecretUpdate { restore, tag, untag, kms_key_id, description, value } = update;
        // Looked up first: what cannot be written is not begun.
        let document = value.as_ref().map(|value| self.document(name, client, value)).transpose()?;
        if *restore {
            secrets.restore_secret(name).await?;
        }
        if !tag.is_empty() {
            secrets.tag_resource(name, tag).await?;
        }
        if !untag.is_empty() {
            secrets.untag_resource(name, untag).await?;
        }
        if kms_key_id.is_some() || description.is_some() {
            let change = SecretChange { description: description.clone(), kms_key_id: kms_key_id.clone() };
            secrets.update_secret(name, &change).await?;
        }
        if let Some(document) = document {
            self.write_value(name, &document, *restore).await?;
        }
        Ok(())
    }

    /// Writes AWSCURRENT anew, unless somebody else has since it was observed.
    async fn write_value(&self, name: &SecretName, document: &SecretDocument, restored: bool) -> Result<(), StepError> {
        let secrets = &self.aws.secrets;
        let current = secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await?;
        let written = current.as_ref().and_then(|version| version.document.as_ref());
        let by_another = if restored {
            // What it says could not be read while it was scheduled for deletion. Another delivery of
            // this event may have restored it first and written its own client.
            written.is_some_and(|written| {
                written.metadata.user_pool_id == document.metadata.user_pool_id
                    && written.client_id != document.client_id
            })
        } else {
            // A rotation, or another delivery: what it wrote is newer than what this run knows.
            current.as_ref().map(|version| &version.id) != self.versions.get(name)
        };
        if by_another {
            return Err(already_written(name));
        }
        let token = version_token(name, current.as_ref().map(|version| version.id.as_str()), &document.metadata);
        let Some(current) = current else {
            return Ok(secrets.put_secret_value(name, document, &token, AWSCURRENT).await?);
        };
        self.keep_former(name, &current, document).await?;
        // Without a schedule nobody else moves the label.
        if !self.scheduled.contains(name) {
            return Ok(secrets.put_secret_value(name, document, &token, AWSCURRENT).await?);
        }
        // A new version would break a rotation off whose secret Cognito may already have. At its end
        // there is another secret to write, so this run observes again.
        if self.end_rotation_under_way(name, &document.metadata).await? {
            return Err(already_written(name));
        }
        Ok(replace_current(secrets, name, document, &token, &current.id).await?)
    }

    /// Brings a rotation that Secrets Manager has under way to its end, and says whether it did.
    async fn end_rotation_under_way(&self, name: &SecretName, metadata: &SecretMetadata) -> Result<bool, StepError> {
        let Some(token) = self.rotation_under_way(name).await? else { return Ok(false) };
        let pending = self.aws.secrets.get_secret_value(name, Version::Id(&token)).await?;
        if pending.is_none_or(|pending| pending.document.is_none()) {
            return Ok(false);
        }
        match self.rotate(name, &token, Some(metadata)).all().await {
            Ok(()) => Ok(true),
            Err(RotateError::Aws(error)) => Err(error.into()),
            // What cannot be brought to its end must not stand in the way of every deployment.
            Err(error) => {
                tracing::warn!(secret = %name, %error, "a rotation under way could not be ended and is broken off");
                Ok(false)
            }
        }
    }

    async fn rotation_under_way(&self, name: &SecretName) -> Result<Option<String>, StepError> {
        let described = self.aws.secrets.describe_secret(name).await?;
        let pending = |labels: &BTreeSet<String>| labels.contains(AWSPENDING) && !labels.contains(AWSCURRENT);
        let versions = described.map(|described| described.versions).unwrap_or_default();
        Ok(versions.into_iter().find(|(_, labels)| pending(labels)).map(|(id, _)| id))
    }

    fn rotate<'r>(
        &'r self,
        secret: &'r SecretName,
        token: &'r str,
        metadata: Option<&'r SecretMetadata>,
    ) -> Rotate<'r, Retrying<'r, U>, Retrying<'r, S>, T> {
        let Aws { pools, secrets, tokens, deadline, .. } = self.aws;
        Rotate { clients: pools, secrets, tokens, deadline: *deadline, secret, token, metadata }
    }

    /// Secrets Manager moves AWSPREVIOUS along with the new version. Where it stood on the credentials
    /// before these, which Cognito still takes, the next rotation must find them by another label.
    async fn keep_former(
        &self,
        name: &SecretName,
        current: &SecretVersion,
        document: &SecretDocument,
    ) -> Result<(), StepError> {
        let secrets = &self.aws.secrets;
        let Some(previous) = secrets.get_secret_value(name, Version::Stage(AWSPREVIOUS)).await? else { return Ok(()) };
        let is_former = previous.document.as_ref().is_some_and(|former| {
            former.client_id == document.client_id && former.client_secret != document.client_secret
        });
        // Not where somebody has moved AWSCURRENT back by hand: then these are the newer ones.
        if !is_former || !is_older(&previous, current) {
            return Ok(());
        }
        let described = secrets.describe_secret(name).await?;
        let holder = described.and_then(|described| {
            described.versions.into_iter().find(|(_, labels)| labels.contains(FORMER)).map(|(id, _)| id)
        });
        if holder.as_ref() != Some(&previous.id) {
            secrets.update_secret_version_stage(name, FORMER, holder.as_deref(), Some(&previous.id)).await?;
        }
        Ok(())
    }

    /// The next rotation must know the credentials before the present ones, which Cognito still takes;
    /// so the secret with the new name gets them too, before the one with the old name goes.
    async fn carry_over_previous(&self, name: &SecretName, renamed: &SecretName) -> Result<(), StepError> {
        let secrets = &self.aws.secrets;
        let current = secrets.get_secret_value(renamed, Version::Stage(AWSCURRENT)).await?;
        let Some(current) = current.and_then(|version| version.document) else { return Ok(()) };
        let Some(old) = secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await? else { return Ok(()) };
        for stage in [AWSPREVIOUS, FORMER] {
            let Some(version) = secrets.get_secret_value(name, Version::Stage(stage)).await? else { continue };
            let is_former = |former: &SecretDocument| {
                former.client_id == current.client_id && former.client_secret != current.client_secret
            };
            if stage == AWSPREVIOUS && !is_older(&version, &old) {
                continue;
            }
            if let Some(former) = version.document.filter(is_former) {
                let parts = format!("{renamed}\n{FORMER}\n{}", version.id);
                let token = Uuid::new_v5(&Uuid::NAMESPACE_URL, parts.as_bytes()).to_string();
                return Ok(secrets.put_secret_value(renamed, &former, &token, FORMER).await?);
            }
        }
        Ok(())
    }

    /// The four steps at once. A rotation that Secrets Manager has under way is brought to its end
    /// instead: a client has room for two secrets, not for three.
    async fn rotate_secret(&self, name: &SecretName, description: &str) -> Result<(), StepError> {
        let Aws { secrets, request_id, .. } = self.aws;
        let own = || Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{name}\n{request_id}").as_bytes()).to_string();
        let token = self.rotation_under_way(name).await?.unwrap_or_else(own);
        self.rotate(name, &token, None).all().await.map_err(|error| match error {
            RotateError::Aws(error) => StepError::Aws(error),
            error => StepError::Other(Error::Rotation { secret: name.clone(), reason: error.to_string() }),
        })?;
        let change = SecretChange { description: Some(description.to_owned()), kms_key_id: None };
        Ok(secrets.update_secret(name, &change).await?)
    }

    /// Asks for a token until the endpoint can be reached.
    async fn verify(&self, name: &ClientName) -> Result<(), StepError> {
        let (id, secret, client, pool) = {
            let pool = self.pool()?;
            let state = self.state();
            let id = state.clients.get(name).cloned();
            let secret = id.as_ref().and_then(|id| state.credentials.get(id)).cloned();
            (id, secret, self.declared(name), pool)
        };
        let (Some(id), Some(client), Some(desired)) = (id, client, self.desired) else { return Ok(()) };
        let secret = secret.ok_or_else(|| {
            StepError::Other(Error::SecretLost { client: name.clone(), secret: client.secret_name.clone() })
        })?;
        let expected = ExpectedToken { client_id: id, metadata: desired.secret_metadata(client, &pool) };
        let until = *self
            .verify_until
            .get_or_init(|| (now() + REACHABLE_WITHIN).min(self.aws.deadline.for_work() - BEFORE_THE_DEADLINE));
        let verification = loop {
            let within = TOKEN_WITHIN.min(until.saturating_duration_since(now()));
            let reason = match timeout(within, self.aws.tokens.verify(&expected, &secret)).await {
                Ok(Ok(())) => break Verification::Verified,
                Ok(Err(TokenError::Refused(reason))) => {
                    return Err(StepError::Other(Error::Token { client: name.clone(), reason }));
                }
                Ok(Err(TokenError::Unreachable(reason))) => reason,
                Err(_) => format!("no answer within {} s", within.as_secs_f32().ceil()),
            };
            if now() + ASK_AGAIN_AFTER >= until {
                tracing::warn!(client = %name, reason, "the token endpoint could not be reached; the token was not checked");
                break Verification::Unreachable;
            }
            wait(ASK_AGAIN_AFTER).await;
        };
        self.state().verified.push(verification);
        Ok(())
    }

    fn document(
        &self,
        secret: &SecretName,
        client: &ClientName,
        value: &SecretMetadata,
    ) -> Result<SecretDocument, StepError> {
        let pool = self.pool()?;
        let state = self.state();
        let lost = || StepError::Other(Error::SecretLost { client: client.clone(), secret: secret.clone() });
        let client_id = state.clients.get(client).ok_or_else(lost)?;
        let client_secret = state.credentials.get(client_id).ok_or_else(lost)?;
        let metadata = match (self.desired, self.declared(client)) {
            // The plan may be older than the pool.
            (Some(desired), Some(client)) => desired.secret_metadata(client, &pool),
            _ => value.clone(),
        };
        Ok(SecretDocument { client_id: client_id.clone(), client_secret: client_secret.clone(), metadata })
    }

    fn version_token(&self, name: &SecretName, metadata: &SecretMetadata) -> String {
        version_token(name, self.versions.get(name).map(String::as_str), metadata)
    }

    fn declared(&self, name: &ClientName) -> Option<&Client> {
        self.desired?.clients.iter().find(|client| client.name == *name)
    }

    fn pool(&self) -> Result<PoolId, StepError> {
        self.state().pool.as_ref().map(|(id, _)| id.clone()).ok_or(StepError::Other(NO_POOL))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn already_written(name: &SecretName) -> StepError {
    StepError::Aws(AwsError {
        operation: "PutSecretValue",
        subject: format!("secret {name}"),
        kind: ErrorKind::Changed,
        code: "AlreadyWritten".to_owned(),
        message: "another delivery of this event has written it".to_owned(),
    })
}

/// The id of the version that follows `current`.
///
/// Secrets Manager refuses a second value under the same id. Of two deliveries of one event, which
/// both made a client, only one can therefore write the version; the other is refused, observes
/// again, and finds the first one's client in the secret.
fn version_token(name: &SecretName, current: Option<&str>, metadata: &SecretMetadata) -> String {
    let SecretMetadata { token_endpoint, scope, issuer, jwks_uri, user_pool_id, client_name } = metadata;
    let parts = [
        name.as_str(),
        current.unwrap_or_default(),
        token_endpoint,
        scope,
        issuer,
        jwks_uri,
        user_pool_id.as_str(),
        client_name.as_str(),
    ];
    Uuid::new_v5(&Uuid::NAMESPACE_URL, parts.join("\n").as_bytes()).to_string()
}
