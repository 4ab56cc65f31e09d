//! Makes AWS into what a template declares: observe, plan, apply, and again if AWS has moved in between.
//!
//! - [`reconcile`] serves a Create and an Update, [`delete`] a Delete; [`observe`] only reads.
//! - `observe`: reads what AWS holds.
//! - `apply`: carries out a plan; `phases` runs its steps; `verify` checks tokens; `secret_versions`
//!   writes the versions of a secret; `new_domain` keeps the first look-up of a new domain waiting.
//! - `delete`: removes everything; also the Delete that meets a running Create.
//! - `rounds`: when to observe again. `progress`, `error`: what a run tells others.

mod apply;
mod delete;
mod error;
mod new_domain;
mod observe;
mod phases;
mod progress;
mod rounds;
mod secret_versions;
mod verify;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use delete::{DeleteTarget, delete, deleted_while_creating, note_delete};
pub use error::Error;
pub use observe::{pools_of_name, secrets_of};
pub use progress::Progress;

use self::{new_domain::FirstLookUp, rounds::Rounds};
use crate::{
    clock::{Deadline, millis, now},
    model::{ClientId, ClientName, Desired, PoolId, SecretName, observed::Observed},
    plan::{Plan, Step, plan},
    ports::Services,
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

/// Selects the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The pool with our tags, or a new one.
    Create,
    /// This pool, or none.
    Update(PoolId),
}

/// The result of a Create or an Update, for its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    pub pool: PoolId,
    pub pool_arn: String,
    pub client_ids: BTreeMap<ClientName, ClientId>,
    pub secret_arns: BTreeMap<ClientName, String>,
    pub verification: Verification,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    Verified,
    Unreachable,
    Skipped,
}

impl Verification {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unreachable => "unreachable",
            Self::Skipped => "skipped",
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
///
/// # Errors
/// What failed and on what. The finished work stays, and a later run goes on from there.
pub async fn reconcile<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    target: &Target,
    former_secrets: &BTreeSet<SecretName>,
    created: Option<&DeleteTarget<'_>>,
) -> Result<Reconciled, Error> {
    let mut verify: BTreeSet<ClientName> = match target {
        Target::Create => desired.clients.iter().map(|client| client.name.clone()).collect(),
        Target::Update(_) => BTreeSet::new(),
    };
    let mut rounds = Rounds::waiting_for_permissions();
    loop {
        let error = match reconcile_once(aws, desired, target, former_secrets, &mut verify).await {
            Ok(reconciled) => return Ok(reconciled),
            Err(error) => error,
        };
        if !rounds.another(aws, &error).await {
            return Err(error);
        }
        if let Some(created) = created
            && deleted_while_creating(aws, created).await
        {
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
    desired: &Desired,
    target: &Target,
    former_secrets: &BTreeSet<SecretName>,
    verify: &mut BTreeSet<ClientName>,
) -> Result<Reconciled, Error> {
    let started = now();
    let (observed, credentials) = aws
        .progress
        .during("reading the present state", Box::pin(observe::observe(aws, desired, target, former_secrets)))
        .await?;
    match &observed.pool {
        Some(pool) => aws.progress.found_pool(&pool.id),
        // There was a pool one round ago, and only a Delete deletes it.
        None if aws.progress.pool().is_some() => return Err(Error::DeletedMeanwhile),
        None => {}
    }
    let plan = plan(desired, &observed, verify)?;
    log_plan(&plan, started.elapsed());
    // A second round must still verify what the first one changed.
    verify.extend(plan.steps().filter_map(|step| match step {
        Step::VerifyToken { client } => Some(client.clone()),
        _ => None,
    }));
    apply::apply(aws, desired, &observed, credentials, &plan).await
}

fn log_plan<St: std::fmt::Display>(plan: &Plan<St>, observed_in: Duration) {
    tracing::info!(plan = %plan, steps = plan.steps().count(), observed_in_ms = millis(observed_in), "planned");
}
