//! Observe, plan, apply, and again where the world has moved in between.

mod apply;
mod delete;
mod observe;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

pub use delete::{DeleteTarget, delete, deleted_while_creating, note_delete};
pub use observe::secrets_of;

use crate::{
    clock::{Deadline, millis, now, wait},
    model::{ClientId, ClientName, Desired, PoolId, SecretName, Violations, observed::Observed},
    plan::{Plan, Refusal, Step, plan},
    ports::{AwsError, ErrorKind, Secrets, TokenEndpoint, UserPoolDescription, UserPools},
    redact::Secret,
    retry::Retrying,
};

/// AWS as one invocation uses it: with retries, and only until its deadline.
pub struct Aws<'a, U, S, T> {
    pub pools: Retrying<'a, U>,
    pub secrets: Retrying<'a, S>,
    pub tokens: &'a T,
    pub deadline: Deadline,
    pub progress: &'a Progress,
    /// The same for each delivery of one event, and for no other event.
    pub request_id: &'a str,
}

/// Which pool is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one with our mark, or a new one.
    Create,
    /// This one, or none.
    Update(PoolId),
}

/// What a Create or an Update leaves behind, for its answer.
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

/// Why an event ends as FAILED. `Display` leaves the source out; [`chain`] prints both.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Violations(#[from] Violations),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error("Reading the present state failed")]
    Observe(#[source] AwsError),
    #[error("The step {step} failed")]
    Step {
        step: String,
        #[source]
        source: AwsError,
    },
    #[error(
        "The token of client {client} is not right: {reason}. Correct the client's properties, or set VerifyToken to false"
    )]
    Token { client: ClientName, reason: String },
    #[error(
        "User pool {0} does not exist or does not carry this resource's ownership tags any more. \
         Nothing was changed; restore the tags, or remove the resource from the template and add it under another logical id"
    )]
    PoolLost(PoolId),
    #[error(
        "CloudFormation deleted the resource while it was still being created. Everything that the Create had made was removed"
    )]
    DeletedMeanwhile,
    #[error(
        "The client secret of {client} cannot be read: secret {secret} has no usable value and Cognito shows none. \
             Remove the client from the template, deploy, add it again and deploy"
    )]
    SecretLost { client: ClientName, secret: SecretName },
    #[error(
        "Rotating secret {secret} failed: {reason}. Its consumers go on with what they have; correct the cause and deploy again"
    )]
    Rotation { secret: SecretName, reason: String },
    #[error("Internal error: {0}. Nothing is lost; deploy again, and report it")]
    Internal(&'static str),
    #[error("Time ran out {}. Deploy again: the work goes on from where it stopped", before(steps))]
    OutOfTime { steps: Vec<String> },
}

fn before(steps: &[String]) -> String {
    match steps {
        [] => "before the next step could start".to_owned(),
        steps => format!("during {}", steps.join(" and ")),
    }
}

/// An error with its sources and what to do, for people.
#[must_use]
pub fn chain(error: &Error) -> String {
    let (text, advice) = match error {
        Error::Observe(source) | Error::Step { source, .. } => (format!("{error}: {source}"), source.advice()),
        other => (other.to_string(), ""),
    };
    // Services end their messages with a full stop or without one.
    format!("{}. {advice}", text.trim_end_matches(['.', ' '])).trim_end().to_owned()
}

/// What is known of a run from outside, also when it is cut off.
#[derive(Debug, Default)]
pub struct Progress(Mutex<ProgressState>);

#[derive(Debug, Default)]
struct ProgressState {
    pool: Option<PoolId>,
    in_flight: Vec<String>,
}

impl Progress {
    /// The pool, as soon as there is one.
    #[must_use]
    pub fn pool(&self) -> Option<PoolId> {
        self.state().pool.clone()
    }

    /// What was being done.
    #[must_use]
    pub fn in_flight(&self) -> Vec<String> {
        self.state().in_flight.clone()
    }

    pub(crate) fn found_pool(&self, pool: &PoolId) {
        self.state().pool = Some(pool.clone());
    }

    /// Runs one thing under its name.
    pub(crate) async fn during<R>(&self, name: &str, work: impl Future<Output = R>) -> R {
        self.state().in_flight.push(name.to_owned());
        let result = work.await;
        let mut state = self.state();
        if let Some(index) = state.in_flight.iter().position(|running| running == name) {
            state.in_flight.remove(index);
        }
        result
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ProgressState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Secret values met on the way, for the steps that must write them again. Never printed, and kept
/// apart from Observed for that reason.
#[derive(Debug, Default)]
struct Credentials {
    /// What a secret's AWSCURRENT says before what Cognito says: after a rotation Cognito may show
    /// another secret, or none.
    recorded: HashMap<ClientId, Secret<String>>,
    described: HashMap<ClientId, Secret<String>>,
    /// AWSCURRENT's version ids.
    versions: HashMap<SecretName, String>,
}

impl Credentials {
    fn of(&self, client: &ClientId) -> Option<&Secret<String>> {
        self.recorded.get(client).or_else(|| self.described.get(client))
    }
}

/// How often the world may move under a run before that is an error. With the waits between, a
/// domain that is still being deleted has about a minute.
const ROUNDS: usize = 8;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(15);
/// A denied call is looked at again only this often. IAM denies what is gone, because it has no tags
/// any more to allow it by, and it may take a moment to know new tags.
const ROUNDS_WHEN_DENIED: usize = 3;

/// Observing again, where an error says that the world is not as it was observed.
struct Rounds {
    round: usize,
    pause: Duration,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { round: 1, pause: FIRST_WAIT }
    }
}

impl Rounds {
    /// Waits, where another round may help; `false` where the error is final.
    async fn another<U: Sync, S: Sync, T: Sync>(&mut self, aws: &Aws<'_, U, S, T>, error: &Error) -> bool {
        let (Error::Observe(source) | Error::Step { source, .. }) = error else { return false };
        let most = match source.kind {
            ErrorKind::Changed | ErrorKind::Lost => ROUNDS,
            ErrorKind::Denied => ROUNDS_WHEN_DENIED,
            ErrorKind::Throttled | ErrorKind::Busy | ErrorKind::Quota | ErrorKind::Refused => 0,
        };
        if self.round >= most || self.pause >= aws.deadline.left() {
            return false;
        }
        tracing::info!(round = self.round, cause = chain(error), "observing again");
        aws.progress.during("waiting to observe again", wait(self.pause)).await;
        self.pause = (self.pause * 2).min(MAX_WAIT);
        self.round += 1;
        true
    }
}

/// Makes what AWS holds into what `desired` says.
///
/// # Guarantees
/// - Whatever half-way state it meets, it goes on from there; run again, it changes nothing.
/// - Run twice at once for one owner, both runs end with the same pool, clients and secrets:
///   where two runs make the same thing, a unique name (the domain's, the secret's version) says
///   which of the two stays, and the other is removed.
/// - What carries no mark of the owner is not touched.
///
/// # Errors
/// What failed and on what; the work done so far stays, and a later run goes on from it.
pub async fn reconcile<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
    desired: &Desired,
    target: &Target,
    former_secrets: &BTreeSet<SecretName>,
    created: Option<&DeleteTarget<'_>>,
) -> Result<Reconciled, Error> {
    let mut verify: BTreeSet<ClientName> = match target {
        Target::Create => desired.clients.iter().map(|client| client.name.clone()).collect(),
        Target::Update(_) => BTreeSet::new(),
    };
    let mut rounds = Rounds::default();
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

/// What a Create or an Update of `desired` would begin with. Changes nothing.
///
/// # Errors
/// A call that failed, or a pool that is gone or not the owner's.
pub async fn observe<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
    desired: &Desired,
    target: &Target,
) -> Result<Observed, Error> {
    let (observed, _) = observe::observe(aws, desired, target, &BTreeSet::new()).await?;
    Ok(observed)
}

/// The pools of a name, whoever owns them.
///
/// # Errors
/// A call that failed.
pub async fn pools_of_name<U: UserPools, S: Sync, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    name: &str,
) -> Result<Vec<UserPoolDescription>, Error> {
    observe::pools_of_name(aws, Some(name)).await.map_err(Error::Observe)
}

async fn reconcile_once<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
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
        // There was one a round ago, and nobody deletes it but a Delete.
        None if aws.progress.pool().is_some() => return Err(Error::DeletedMeanwhile),
        None => {}
    }
    let plan = plan(desired, &observed, verify)?;
    log_plan(&plan, started.elapsed());
    // A second round must not forget what the first one touched.
    verify.extend(plan.steps().filter_map(|step| match step {
        Step::VerifyToken { client } => Some(client.clone()),
        _ => None,
    }));
    apply::apply(aws, desired, &observed, credentials, &plan).await
}

fn log_plan(plan: &Plan, observed_in: Duration) {
    tracing::info!(plan = %plan, steps = plan.steps().count(), observed_in_ms = millis(observed_in), "planned");
}
