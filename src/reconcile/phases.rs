//! Runs the steps of a plan: phase by phase, the tasks of one phase concurrently.

use std::{
    collections::HashMap,
    fmt,
    mem::{Discriminant, discriminant},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tokio::sync::Semaphore;

use super::{Aws, Error};
use crate::{
    clock::{millis, now},
    plan::{Phase, Plan, Task},
    ports::{AwsError, ErrorKind, Services},
};

/// How many calls, or steps of one kind, run concurrently. Cognito's calls are held to its rate as well.
pub(super) const MAX_CONCURRENT: usize = 10;

/// A step that starts with less time than this would only be cut off.
const MIN_STEP_TIME: Duration = Duration::from_millis(300);

/// Why one step failed; [`run`] adds the step's name.
pub(super) enum StepError {
    Aws(AwsError),
    Other(Error),
}

impl From<AwsError> for StepError {
    fn from(error: AwsError) -> Self {
        Self::Aws(error)
    }
}

/// Carries out `plan` with `perform`, which does one step.
pub(super) async fn run<S: Services, St: fmt::Display>(
    aws: &Aws<'_, S>,
    plan: &Plan<St>,
    perform: impl AsyncFn(&St) -> Result<(), StepError>,
) -> Result<(), Error> {
    for phase in &plan.phases {
        run_phase(&Running { aws, failed: AtomicBool::new(false), places: Mutex::default() }, phase, &perform).await?;
    }
    Ok(())
}

/// A phase that runs.
struct Running<'a, S: Services, St> {
    aws: &'a Aws<'a, S>,
    /// Another step's failure does not cancel a step that has begun: its effect would be unknown. Only steps that have
    /// not begun are skipped.
    failed: AtomicBool,
    places: Mutex<HashMap<Discriminant<St>, Arc<Semaphore>>>,
}

impl<S: Services, St> Running<'_, S, St> {
    /// Returns the places for steps of the same kind. Steps get them in the order of the plan.
    ///
    /// Each kind has its own: a client that waits for Cognito's rate must not keep another client's secret waiting, nor
    /// must a token check that waits for a new domain.
    fn places(&self, step: &St) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(discriminant(step)).or_insert_with(|| Arc::new(Semaphore::new(MAX_CONCURRENT))))
    }
}

async fn run_phase<S: Services, St: fmt::Display>(
    running: &Running<'_, S, St>,
    phase: &Phase<St>,
    perform: &impl AsyncFn(&St) -> Result<(), StepError>,
) -> Result<(), Error> {
    let run_task = async |Task { step, then }: &Task<St>| match run_step(running, step, perform).await {
        Ok(()) => join_all(then.iter().map(|step| run_step(running, step, perform))).await,
        failed => vec![failed],
    };
    let results = join_all(phase.iter().map(run_task)).await;
    let mut errors: Vec<_> = results.into_iter().flatten().filter_map(Result::err).collect();
    // Of two concurrent runs, the one that loses a secret must observe again before it fails on the token of a client
    // that is about to go.
    let first = errors.iter().position(is_changed).unwrap_or_default();
    if errors.is_empty() { Ok(()) } else { Err(errors.swap_remove(first)) }
}

/// Tells whether AWS is not as it was observed.
fn is_changed(error: &Error) -> bool {
    matches!(error, Error::Step { source, .. } if source.kind == ErrorKind::Changed)
}

async fn run_step<S: Services, St: fmt::Display>(
    running: &Running<'_, S, St>,
    step: &St,
    perform: &impl AsyncFn(&St) -> Result<(), StepError>,
) -> Result<(), Error> {
    let places = running.places(step);
    let _place = places.acquire().await;
    let Running { aws, failed, .. } = running;
    if failed.load(Ordering::Relaxed) {
        return Ok(());
    }
    let name = step.to_string();
    if aws.time_left() < MIN_STEP_TIME {
        failed.store(true, Ordering::Relaxed);
        return Err(Error::OutOfTime { steps: Vec::new() });
    }
    let started = now();
    // Boxed, because one step's future contains those of every operation.
    let result = aws.progress.during(&name, Box::pin(perform(step))).await;
    let duration_ms = millis(started.elapsed());
    result.map(|()| tracing::info!(step = name, duration_ms, "done")).map_err(|error| {
        failed.store(true, Ordering::Relaxed);
        let error = match error {
            StepError::Aws(source) => Error::Step { step: name.clone(), source },
            StepError::Other(error) => error,
        };
        tracing::warn!(step = name, duration_ms, error = error.report(), "failed");
        error
    })
}
