//! Carries out the plan of a Create or an Update. Makes no choices.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::time::Instant;

use super::{
    Aws, Error, Reconciled, Verification,
    delete::perform_deletion,
    new_domain::may_be_new,
    observe::{Credentials, CurrentVersion},
    phases::{self, StepError},
    secret_versions::{copy_token, renamed_secrets, version_token},
};
use crate::{
    model::{
        Client, ClientId, ClientName, Desired, PoolId, SecretId, TokenSource,
        desired::SecretMetadata,
        observed::{FormerClient, Observed},
    },
    plan::{Deletion, DocumentUpdate, Plan, SecretUpdate, Step},
    ports::{
        ADOPTED, AWSCURRENT, ErrorKind, NewSecret, SecretChange, SecretDocument, SecretVersions, Secrets, Services,
        UNFINISHED, UserPools, Version,
    },
    redact::Secret,
    retry::RetryingServices,
    rotation::versions::{move_label, not_shown, read_written},
};

/// Every plan starts from a pool, or creates one before anything else.
const NO_POOL: Error = Error::Internal("a step ran before there was a user pool");

/// One run of a plan. It maps the template's names to the ids that the steps create.
pub(super) struct Applying<'a, S: Services> {
    pub(super) aws: &'a Aws<'a, S>,
    pub(super) desired: &'a Desired,
    /// Where the clients get their tokens.
    pub(super) tokens: TokenSource,
    pub(super) versions: HashMap<SecretId, CurrentVersion>,
    /// Maps the old name of each renamed secret to the new one.
    pub(super) renamed_secrets: HashMap<SecretId, SecretId>,
    /// The secrets that Secrets Manager may rotate at any moment.
    pub(super) scheduled: BTreeSet<SecretId>,
    /// When to give up on an unreachable token endpoint. All clients share it, because they share the
    /// endpoint.
    pub(super) verify_until: OnceLock<Instant>,
    /// When to leave replicas to finish by themselves. All secrets share it.
    pub(super) replicate_until: OnceLock<Instant>,
    /// Whether a refused token, a refused reader and a failed replica are no failures.
    pub(super) tolerates_refusal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pool: Option<(PoolId, String)>,
    pub(super) clients: BTreeMap<ClientName, ClientId>,
    secret_arns: BTreeMap<ClientName, String>,
    pub(super) credentials: HashMap<ClientId, Secret<String>>,
    /// The client that this run is to adopt. It has one secret, which Cognito shows.
    adoptee: Option<ClientId>,
    pub(super) verified: Vec<Verification>,
    /// The CloudFront name of the custom domain.
    pub(super) custom_domain_target: Option<String>,
}

/// One round: a plan and what it was made from.
pub(super) struct Round<'a> {
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    pub(super) plan: &'a Plan,
    pub(super) tolerates_refusal: bool,
}

/// Carries out the plan of one round.
pub(super) async fn apply<S: Services>(
    aws: &Aws<'_, S>,
    round: &Round<'_>,
    credentials: Credentials,
) -> Result<Reconciled, Error> {
    let Round { desired, observed, plan, tolerates_refusal } = *round;
    if desired.endpoints.are_under_the_domain() && may_be_new(desired, observed) {
        aws.first_look_up.domain_may_be_new();
    }
    let applying = Applying {
        aws,
        desired,
        tokens: desired.token_source(observed.pool.as_ref()),
        renamed_secrets: renamed_secrets(desired, observed),
        scheduled: observed
            .secrets
            .iter()
            .filter(|(_, secret)| secret.rotation.is_some())
            .map(|(name, _)| name.clone())
            .collect(),
        verify_until: OnceLock::new(),
        replicate_until: OnceLock::new(),
        tolerates_refusal,
        state: Mutex::new(State::new(desired, observed, &credentials)),
        versions: credentials.versions,
    };
    phases::run(aws, plan, async |step| applying.perform(step).await).await?;

    let state = applying.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (pool, pool_arn) = state.pool.ok_or(NO_POOL)?;
    let worst = [Verification::Failed, Verification::Unreachable, Verification::Verified];
    let verification = worst.into_iter().find(|worst| state.verified.contains(worst)).unwrap_or(Verification::Skipped);
    let (client_ids, secret_arns) = (state.clients, state.secret_arns);
    let (tokens, custom_domain_target) = (applying.tokens, state.custom_domain_target);
    Ok(Reconciled { pool, pool_arn, client_ids, secret_arns, verification, tokens, custom_domain_target })
}

impl State {
    /// Starts from what was observed.
    fn new(desired: &Desired, observed: &Observed, credentials: &Credentials) -> Self {
        let mut state =
            Self { pool: observed.pool.as_ref().map(|pool| (pool.id.clone(), pool.arn.clone())), ..Self::default() };
        let custom_domain = observed.pool.as_ref().and_then(|pool| pool.custom_domain.as_ref());
        state.custom_domain_target = custom_domain.and_then(|custom| custom.target.clone());
        for client in &desired.clients {
            if let Some(current) = observed.client(client) {
                let is_adoptee = client.is_to_adopt(current);
                let secret = if is_adoptee { credentials.shown_of(&current.id) } else { credentials.of(&current.id) };
                if let Some(secret) = secret {
                    state.credentials.insert(current.id.clone(), secret.clone());
                }
                state.adoptee = is_adoptee.then(|| current.id.clone());
                state.clients.insert(client.name.clone(), current.id.clone());
            }
            if let Some(secret) = observed.secrets.get(&client.secret_name) {
                state.secret_arns.insert(client.name.clone(), secret.arn.clone());
            }
        }
        state
    }
}

impl<S: Services> Applying<'_, S> {
    #[expect(clippy::too_many_lines, reason = "one arm for each step")]
    async fn perform(&self, step: &Step) -> Result<(), StepError> {
        let RetryingServices { pools, secrets, .. } = &self.aws.services;
        match step {
            Step::TryCustomDomain { client, scopes, domain } => self.try_custom_domain(client, scopes, domain).await?,

            Step::CreateUserPool { pool } => {
                let (id, arn) = pools.create_user_pool(pool).await.inspect_err(|error| {
                    if error.kind == ErrorKind::Lost {
                        self.aws.progress.lost_created_pool();
                    }
                })?;
                self.aws.progress.created_pool(&id);
                self.state().pool = Some((id, arn));
            }
            Step::UpdateUserPool { pool, changes: _ } => pools.update_user_pool(&self.pool()?, pool).await?,

            Step::CreateUserPoolDomain { domain } => self.create_domain(&self.pool()?, domain).await?,
            Step::UpdateUserPoolDomain { domain, changes: _ } => self.update_domain(domain).await?,
            Step::ReplaceUserPoolDomain { from, to } => self.replace_domain(from, to).await?,

            Step::CreateResourceServer { server } => pools.create_resource_server(&self.pool()?, server).await?,
            Step::UpdateResourceServer { server, changes: _ } => {
                pools.update_resource_server(&self.pool()?, server).await?;
            }

            Step::CreateUserPoolClient { client, state } => {
                let created = pools.create_user_pool_client(&self.pool()?, state).await;
                let (id, secret) = created.inspect_err(|error| {
                    if error.kind == ErrorKind::Lost {
                        self.aws.progress.lost_created_client();
                    }
                })?;
                self.aws.progress.created_client(&id);
                let mut state = self.state();
                state.clients.insert(client.clone(), id.clone());
                state.credentials.insert(id, secret);
            }
            Step::UpdateUserPoolClient { id, client: _, state, changes: _ } => {
                pools.update_user_pool_client(&self.pool()?, id, state).await?;
            }
            Step::ProveSecret { client, scopes } => self.prove(client, scopes).await?,
            Step::RecordFormerClient { name, client, former } => {
                self.record_former_client(name, client, former).await?;
            }

            Step::CreateSecret { name, client, kms_key_id, tags, description } => {
                let document = self.document(name, client)?;
                self.settle_old_secret(name, &document.metadata).await?;
                let token = self.version_token(name, &document.metadata);
                let kms_key_id = kms_key_id.as_deref();
                let document = Some(&document);
                let new = NewSecret { name, tags, kms_key_id, description, document, token: &token };
                let arn = secrets.create_secret(&new).await?;
                self.state().secret_arns.insert(client.clone(), arn);
            }
            Step::UpdateSecret { name, client, update, changes: _ } => self.update_secret(name, client, update).await?,
            Step::PrepareSecret { name, client } => self.prepare(name, &self.document(name, client)?).await?,
            Step::RotateSecret { name, client, description } => {
                self.wait_for_domain().await?;
                self.rotate_secret(name, client, description).await?;
            }
            Step::ScheduleRotation { name, rotation } => {
                // Secrets Manager tests a new schedule at once, and the test asks the token endpoint.
                self.wait_for_domain().await?;
                self.schedule_rotation(name, rotation).await?;
            }
            Step::CancelRotation { name } => self.cancel_rotation(name).await?,

            Step::PutResourcePolicy { name, readers, changes: _ } => self.set_readers(name, readers).await?,
            Step::DeleteResourcePolicy { name } => self.set_readers(name, &BTreeSet::new()).await?,
            Step::ReplicateSecretToRegions { name, replicas, renewed } => {
                self.replicate(name, replicas, renewed).await?;
            }
            Step::AwaitReplicas { name, regions } => self.await_replicas(name, regions).await?,
            Step::RemoveRegionsFromReplication { name, regions } => {
                secrets.remove_regions_from_replication(name, regions).await?;
            }

            Step::VerifyToken { client } => self.verify(client).await?,

            Step::Delete(deletion) => {
                if let Deletion::Secret { name, .. } = deletion
                    && let Some(renamed) = self.renamed_secrets.get(name)
                {
                    self.carry_over_previous(name, renamed).await?;
                }
                perform_deletion(self.aws, deletion).await?;
            }
        }
        Ok(())
    }

    /// Waits until the host name of a new domain may be looked up.
    pub(super) async fn wait_for_domain(&self) -> Result<(), StepError> {
        if self.aws.first_look_up.wait(self.aws.services.deadline.for_work()).await {
            Ok(())
        } else {
            Err(StepError::Other(Error::OutOfTime { steps: Vec::new() }))
        }
    }

    /// Records what a client was before its adoption. A secret that was restored may have the record of an earlier
    /// adoption, so the id of the version also says which AWSCURRENT it belongs to: that is new after each restore.
    async fn record_former_client(
        &self,
        name: &SecretId,
        client: &ClientName,
        former: &FormerClient,
    ) -> Result<(), StepError> {
        let document = SecretDocument { former: Some(former.clone()), ..self.document(name, client)? };
        let secrets = &self.aws.services.secrets;
        // This run may have written it just now.
        let current = Version::Stage(AWSCURRENT);
        let current = read_written(secrets, name, current, self.aws.services.deadline).await?;
        let current = current.ok_or_else(|| not_shown(name, AWSCURRENT))?;
        let token = copy_token(name, ADOPTED, &current.id);
        secrets.put_secret_value(name, &document, &token, ADOPTED).await?;
        self.aws.progress.adopts(former);
        Ok(())
    }

    async fn update_secret(
        &self,
        name: &SecretId,
        client: &ClientName,
        update: &SecretUpdate,
    ) -> Result<(), StepError> {
        let secrets = &self.aws.services.secrets;
        let SecretUpdate { restore, untag, tag, kms_key_id, description, document } = update;
        if *restore {
            self.settle_old_secret(name, &self.metadata_of(name)?).await?;
            secrets.restore_secret(name).await?;
            let current = self.current_of_our_client(name).await?;
            let is_in_use = |current: &SecretDocument| {
                self.old_name(name).is_none() && self.state().adoptee.as_ref() != Some(&current.client_id)
            };
            match current.filter(is_in_use) {
                // Cognito shows the client's first secret only, but consumers hold this one.
                Some(current) => {
                    self.state().credentials.insert(current.client_id, current.client_secret);
                }
                // What it says of its last rotation is out of date.
                None => move_label(secrets, name, UNFINISHED, None).await?,
            }
        }
        // Made before the first change, so that nothing begins that cannot be written.
        let new = match document {
            DocumentUpdate::Keep => None,
            DocumentUpdate::Write | DocumentUpdate::Release => Some(self.document(name, client)?),
        };
        if !untag.is_empty() {
            secrets.untag_resource(name, untag).await?;
        }
        if !tag.is_empty() {
            secrets.tag_resource(name, tag).await?;
        }
        if kms_key_id.is_some() {
            self.begin_key_change(name).await?;
        }
        if kms_key_id.is_some() || description.is_some() {
            let change = SecretChange { description: description.clone(), kms_key_id: kms_key_id.clone() };
            secrets.update_secret(name, &change).await?;
        }
        if let Some(new) = new {
            if *document == DocumentUpdate::Release {
                return self.release(name, &new).await;
            }
            self.write_document(name, &new, *restore).await?;
            if kms_key_id.is_some() {
                self.end_key_change(name, &new).await?;
            }
        }
        Ok(())
    }

    /// Makes the document that a client's secret must hold.
    fn document(&self, secret: &SecretId, client: &ClientName) -> Result<SecretDocument, StepError> {
        let pool = self.pool()?;
        let state = self.state();
        let lost = || StepError::Other(Error::SecretLost { client: client.clone(), secret: secret.clone() });
        let client_id = state.clients.get(client).ok_or_else(lost)?.clone();
        let client_secret = state.credentials.get(&client_id).ok_or_else(lost)?.clone();
        let metadata = self.desired.secret_metadata(self.declared(client)?, &pool, &self.tokens);
        Ok(SecretDocument { client_id, client_secret, metadata, former: None })
    }

    fn version_token(&self, name: &SecretId, metadata: &SecretMetadata) -> String {
        version_token(name, self.versions.get(name).map(|current| current.version.id.as_str()), metadata)
    }

    pub(super) fn declared(&self, name: &ClientName) -> Result<&Client, StepError> {
        let found = self.desired.clients.iter().find(|client| client.name == *name);
        found.ok_or(StepError::Other(Error::Internal("a step names a client that is not declared")))
    }

    pub(super) fn pool(&self) -> Result<PoolId, StepError> {
        self.state().pool.as_ref().map(|(id, _)| id.clone()).ok_or(StepError::Other(NO_POOL))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
