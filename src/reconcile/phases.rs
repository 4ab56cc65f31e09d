//! Runs the steps of a plan: phase by phase, the steps of one phase concurrently.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::{StreamExt, stream};

use super::{Aws, Error};
use crate::{
    clock::{millis, now},
    plan::Plan,
    ports::{AwsError, Services},
};

/// How many calls run concurrently. Cognito's are held to its rate as well.
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
        // Another step's failure does not cancel a step that has begun: its effect would be unknown.
        // Only steps that have not begun are skipped.
        let failed = AtomicBool::new(false);
        let results: Vec<_> = stream::iter(phase.iter().map(|step| run_step(aws, step, &perform, &failed)))
            .buffered(MAX_CONCURRENT)
            .collect()
            .await;
        results.into_iter().collect::<Result<(), Error>>()?;
    }
    Ok(())
}

async fn run_step<S: Services, St: fmt::Display>(
    aws: &Aws<'_, S>,
    step: &St,
    perform: &impl AsyncFn(&St) -> Result<(), StepError>,
    failed: &AtomicBool,
) -> Result<(), Error> {
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
