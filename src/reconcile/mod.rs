//! Makes AWS into what a template declares: observe, plan, apply, and again if AWS has moved in between.
//!
//! - [`reconcile`] serves a Create and an Update, [`delete`] a Delete; [`observe`] only reads.
//! - `observe`: reads what AWS holds.
//! - `apply`: carries out a plan; `phases` runs its steps; `verify` checks tokens; `secret_versions`
//!   writes the versions of a secret; `domains` changes domains; `rotations` starts and ends rotations; `sharing` sets
//!   the readers and replicas of secrets; `new_domain` keeps the first look-up of a new domain waiting.
//! - `shared_pool`: reads a client or a resource server in somebody else's pool.
//! - `delete`: removes everything; `delete_part`: finds what is to be removed from somebody else's pool.
//! - `notes`: what a resource remembers that has nothing in AWS to note it on.
//! - `rounds`: when to observe again. `progress`, `error`: what a run tells others.

mod apply;
mod delete;
mod delete_part;
mod domains;
mod error;
mod new_domain;
mod notes;
mod observe;
mod phases;
mod progress;
mod rotations;
mod rounds;
mod secret_versions;
mod shared_pool;
mod sharing;
mod verify;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use delete::{DeletePlace, DeleteScope, DeleteTarget, PoolNames, delete};
pub use error::Error;
pub use notes::{deleted_while_creating, note_delete, note_deleted, was_deleted_before};
pub use observe::{pools_of_name, secrets_of};
pub use progress::Progress;
pub use shared_pool::adoption_rule;

use self::{new_domain::FirstLookUp, rounds::Rounds};
use crate::{
    clock::{Deadline, millis, now},
    model::{
        Applied, Client, ClientId, ClientName, Desired, DesiredPool, Digest, EventStamp, Mark, OwnPool, Owner,
        Ownership, PoolId, ResourceId, SecretId, TokenEndpointDomain, TokenSource,
        observed::{Observed, ObservedPool},
    },
    plan::{self, Occasion, Plan, Refusal, Step, add_note, plan},
    ports::{Secrets, Services, all_pages},
    retry::RetryingServices,
};

/// What one invocation works with.
pub struct Aws<'a, S: Services> {
    pub services: RetryingServices<'a, S>,
    pub progress: &'a Progress,
    /// The same for each delivery of one event, and for no other event.
    pub request_id: &'a str,
    /// Kept for all rounds: a later round does not know what an earlier one created.
    first_look_up: FirstLookUp,
}

impl<'a, S: Services> Aws<'a, S> {
    #[must_use]
    pub fn new(services: &'a S, deadline: Deadline, progress: &'a Progress, request_id: &'a str) -> Self {
        let services = RetryingServices::new(services, deadline);
        Self { services, progress, request_id, first_look_up: FirstLookUp::default() }
    }

    /// Returns the time that is left for the work.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.services.deadline.left()
    }
}

/// Selects the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// What has our tags or our mark, or something new.
    Create,
    /// This resource, or none.
    Update(ResourceId),
}

/// A Create or an Update.
#[derive(Clone, Copy, Debug)]
pub struct Deployment<'a> {
    pub desired: &'a Desired,
    pub target: &'a Target,
    pub stamp: &'a EventStamp,
    /// What the previous properties declare, if there are any and they can be read.
    pub former: Option<&'a Desired>,
}

/// How a Create or an Update ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(Reconciled),
    /// A newer event was applied before, so this one changed nothing. `present` is what is there.
    Late {
        present: Box<Desired>,
        reconciled: Reconciled,
    },
}

/// The result of a Create or an Update, for its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    pub pool: PoolId,
    pub pool_arn: String,
    pub client_ids: BTreeMap<ClientName, ClientId>,
    pub secret_arns: BTreeMap<ClientName, String>,
    pub verification: Verification,
    /// Where the clients get their tokens.
    pub tokens: TokenSource,
    /// The name of the CloudFront distribution that serves the custom domain.
    pub custom_domain_target: Option<String>,
}

impl Reconciled {
    /// Returns the resource's PhysicalResourceId.
    #[must_use]
    pub fn id(&self, desired: &Desired) -> Option<ResourceId> {
        match (&desired.pool, desired.resource_servers.first()) {
            (DesiredPool::Own(_), _) => Some(ResourceId::Pool(self.pool.clone())),
            (DesiredPool::Shared(pool), Some(server)) => {
                Some(ResourceId::ResourceServer { pool: pool.clone(), identifier: server.identifier.clone() })
            }
            (DesiredPool::Shared(_), None) => self.client_ids.values().next().cloned().map(ResourceId::Client),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    Verified,
    Unreachable,
    Skipped,
    /// The endpoint refused, in a rollback.
    Failed,
}

impl Verification {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unreachable => "unreachable",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// Makes AWS into what `desired` declares.
///
/// # Guarantees
/// - It goes on from any half-way state. A second run changes nothing.
/// - Two concurrent runs for one owner end with the same pool, clients and secrets. If both create the
///   same thing, a unique name (the domain's, or the secret version's) decides which one stays. The
///   other one is deleted.
/// - It touches only what it owns.
/// - It changes nothing if a newer event was applied to the pool.
///
/// # Errors
/// What failed and on what. The finished work stays, and a later run goes on from there.
pub async fn reconcile<S: Services>(aws: &Aws<'_, S>, deployment: &Deployment<'_>) -> Result<Outcome, Error> {
    let Deployment { desired, target, stamp, .. } = deployment;
    let mut verify: BTreeSet<ClientName> = match target {
        Target::Create => desired.clients.iter().map(|client| client.name.clone()).collect(),
        Target::Update(_) => BTreeSet::new(),
    };
    let mut rounds = Rounds::waiting_for_permissions();
    loop {
        let error = match reconcile_once(aws, deployment, &mut verify).await {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        if !rounds.another(aws, &error).await {
            return Err(error);
        }
        if **target == Target::Create && deleted_while_creating(aws, &desired.owner, stamp.at).await {
            return Err(Error::DeletedMeanwhile);
        }
    }
}

/// Reads what a Create or an Update of `desired` would start from. Changes nothing.
///
/// # Errors
/// A call failed, or the pool is gone or not the owner's.
pub async fn observe<S: Services>(aws: &Aws<'_, S>, desired: &Desired, target: &Target) -> Result<Observed, Error> {
    let (observed, _) = observe::observe(aws, desired, target, &BTreeSet::new()).await?;
    Ok(observed)
}

async fn reconcile_once<S: Services>(
    aws: &Aws<'_, S>,
    deployment: &Deployment<'_>,
    verify: &mut BTreeSet<ClientName>,
) -> Result<Outcome, Error> {
    let Deployment { desired, target, stamp, former } = deployment;
    let started = now();
    let former_secrets = former.map(Desired::secret_names).unwrap_or_default();
    let (observed, credentials) = aws
        .progress
        .during("reading the present state", Box::pin(observe::observe(aws, desired, target, &former_secrets)))
        .await?;
    match &observed.pool {
        Some(pool) => aws.progress.found_pool(&pool.id),
        // There was a pool one round ago, and only a Delete deletes it.
        None if aws.progress.pool().is_some() => return Err(Error::DeletedMeanwhile),
        None => {}
    }
    let applied = plan::note(desired, &observed);
    if let Some(pool) = &observed.pool
        && applied.is_some_and(|applied| stamp.is_late(applied))
    {
        tracing::warn!(pool = %pool.id, "a newer event was applied; nothing to do");
        return Ok(late(desired, &observed, pool));
    }
    let note = next_note(deployment, applied);
    // A rollback must restore the old state even if a client was broken before.
    let is_rollback = note.returned;
    let was_begun = applied.is_some_and(|applied| applied.state == note.state);
    if was_begun && **target != Target::Create && !is_rollback {
        // An earlier delivery or an earlier try may have changed these clients, and not have found them good.
        verify.extend(desired.clients_changed_since(*former));
    }
    let occasion = Occasion { is_create: **target == Target::Create, is_rollback, also_verify: verify };
    let plan = match plan(desired, &observed, &occasion) {
        Ok(plan) => plan,
        Err(refusal) => return Err(name_stacks(aws, refusal).await.into()),
    };
    let kept = plan::held_scopes(desired, &observed);
    if !kept.is_empty() {
        tracing::warn!(scopes = ?kept, "kept in this rollback, because somebody else's client has them");
    }
    log_rollback(desired, &observed, is_rollback);
    let is_due = is_due(deployment, applied, &note, &plan);
    if desired.keeps_no_note() && !occasion.is_create && (is_due || observed.note_is_unfinished) {
        notes::note_update(aws, &desired.owner, &note).await;
    }
    let plan = add_note(plan, desired, &observed, &note, is_due);
    log_plan(&plan, started.elapsed());
    // A second round must still verify what the first one changed.
    verify.extend(plan.steps().filter_map(|step| match step {
        Step::VerifyToken { client } => Some(client.clone()),
        _ => None,
    }));
    let round = apply::Round { desired, observed: &observed, plan: &plan, tolerates_refusal: is_rollback };
    apply::apply(aws, &round, credentials).await.map(Outcome::Done)
}

/// Logs what a rollback leaves as it is, or does although another update would be refused.
fn log_rollback(desired: &Desired, observed: &Observed, is_rollback: bool) {
    if plan::keeps_custom_domain(desired, observed, is_rollback) {
        tracing::warn!("the custom domain is kept in this rollback, because others that use the pool may use it");
    }
    if is_rollback && let Some(refusal) = plan::custom_domain_not_ready(desired, observed) {
        tracing::warn!(%refusal, "a rollback goes on all the same");
    }
}

/// Returns the note that this event leaves.
fn next_note(deployment: &Deployment<'_>, applied: Option<&Applied>) -> Applied {
    let Deployment { desired, target, stamp, former } = deployment;
    let state = Digest::of_desired(desired);
    match target {
        Target::Create => Applied::by_create(applied, stamp, &state),
        Target::Update(_) => {
            let old = former.map(Digest::of_desired);
            Applied::by_update(applied, stamp, &state, old.as_ref())
        }
    }
}

/// Tells whether the note must be written. An update that changes nothing writes nothing, unless the note says
/// something else: an update that failed may have written its note and nothing more.
fn is_due(deployment: &Deployment<'_>, applied: Option<&Applied>, note: &Applied, plan: &Plan) -> bool {
    match deployment.target {
        Target::Update(_) if !plan.writes() => applied.is_some_and(|applied| applied.state != note.state),
        Target::Create | Target::Update(_) => applied != Some(note),
    }
}

/// Names the stacks whose clients a refusal is about. The tags of a client's secret name its stack.
pub async fn name_stacks<S: Services>(aws: &Aws<'_, S>, mut refusal: Refusal) -> Refusal {
    let members = refusal.members_mut();
    if members.iter().all(|member| member.mark.is_none()) {
        return refusal;
    }
    let listing = all_pages(async |next| aws.services.secrets.list_secrets(None, next.as_deref()).await);
    match aws.progress.during("looking for the owners", listing).await {
        Ok(secrets) => {
            let owners: Vec<_> = secrets.iter().filter_map(|(_, tags)| Owner::of(tags)).collect();
            for member in members {
                let is_its = |owner: &&Owner| {
                    member
                        .mark
                        .as_ref()
                        .is_some_and(|mark| *mark == Mark::of(owner) || *mark == Mark::of_adopted(owner))
                };
                member.stack = owners.iter().find(is_its).map(|owner| owner.stack_name().to_owned());
            }
        }
        // The refusal itself is more important.
        Err(error) => tracing::warn!(%error, "the owners of the clients are not known"),
    }
    refusal
}

/// Returns what is there, in the order of the late event as far as it knows the clients.
fn late(desired: &Desired, observed: &Observed, pool: &ObservedPool) -> Outcome {
    let mut reconciled = Reconciled {
        pool: pool.id.clone(),
        pool_arn: pool.arn.clone(),
        client_ids: BTreeMap::new(),
        secret_arns: BTreeMap::new(),
        verification: Verification::Skipped,
        tokens: TokenSource::Api,
        custom_domain_target: pool.custom_domain.as_ref().and_then(|custom| custom.target.clone()),
    };
    let mut clients = Vec::new();
    for client in &pool.clients {
        let mut secrets = observed.secrets.iter().filter(|(_, secret)| secret.ownership == Ownership::Ours);
        let secret = secrets
            .find(|(_, secret)| secret.document.as_ref().is_some_and(|document| document.client_id == client.id));
        reconciled.client_ids.insert(client.name.clone(), client.id.clone());
        reconciled.secret_arns.extend(secret.map(|(_, secret)| (client.name.clone(), secret.arn.clone())));
        clients.push(Client {
            name: client.name.clone(),
            mark: client.mark.clone(),
            adopt: None,
            scopes: client.scopes.clone(),
            access_token_validity_minutes: client.access_token_validity_minutes,
            secret_name: secret.map_or_else(|| SecretId::from(""), |(name, _)| name.clone()),
            secret_readers: BTreeSet::new(),
        });
    }
    let place = |name: &ClientName| desired.clients.iter().position(|client| client.name == *name);
    clients.sort_by_key(|client| (place(&client.name).unwrap_or(usize::MAX), client.name.clone()));
    let present_pool = match &desired.pool {
        DesiredPool::Own(_) => DesiredPool::Own(OwnPool {
            state: pool.state.clone(),
            // What the late event declares says less about the pool than the pool itself.
            domain: pool.domain.clone(),
            custom_domain: pool.custom_domain.as_ref().map(|custom| custom.domain.clone()),
        }),
        DesiredPool::Shared(id) => DesiredPool::Shared(id.clone()),
    };
    let mut present =
        Desired { pool: present_pool, resource_servers: pool.resource_servers.clone(), clients, ..desired.clone() };
    let mut documents = observed.secrets.values().filter_map(|secret| secret.document.as_ref());
    let custom = Desired { token_endpoint_domain: TokenEndpointDomain::Custom, ..present.clone() };
    let endpoint = custom.endpoints.token_endpoint(&custom.token_source(Some(pool)));
    present.token_endpoint_domain = if documents.any(|document| document.metadata.token_endpoint == endpoint) {
        TokenEndpointDomain::Custom
    } else {
        TokenEndpointDomain::Prefix
    };
    reconciled.tokens = present.token_source(Some(pool));
    Outcome::Late { present: Box::new(present), reconciled }
}

fn log_plan<St: std::fmt::Display>(plan: &Plan<St>, observed_in: Duration) {
    tracing::info!(plan = %plan, steps = plan.steps().count(), observed_in_ms = millis(observed_in), "planned");
}
