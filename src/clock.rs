//! The only clock of the crate: deadlines, the time of day, and every wait.

use std::{
    ops::ControlFlow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

/// The moment by which the work must stop, so that the answer can still be delivered.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    work: Instant,
    answer: Instant,
}

/// Time reserved for delivering the response, which may take several attempts.
const RESERVE: Duration = Duration::from_secs(15);
/// A short invocation reserves this fraction instead: one quarter.
const RESERVE_PART: u32 = 4;

impl Deadline {
    /// Returns the deadline of an invocation that Lambda kills after `remaining`.
    #[must_use]
    pub fn after(remaining: Duration) -> Self {
        let now = now();
        // Stop a little early: Lambda must not kill the process while it delivers the response.
        let remaining = remaining.saturating_sub(Duration::from_millis(200).min(remaining / 10));
        let reserve = RESERVE.min(remaining / RESERVE_PART);
        Self { work: now + remaining.saturating_sub(reserve), answer: now + remaining }
    }

    /// Reads the epoch milliseconds of the header `Lambda-Runtime-Deadline-Ms`.
    #[must_use]
    pub fn at_epoch_ms(deadline_ms: u64) -> Self {
        Self::after(Duration::from_millis(deadline_ms).saturating_sub(wall_clock()))
    }

    /// Returns when the work must have stopped.
    #[must_use]
    pub fn for_work(&self) -> Instant {
        self.work
    }

    /// Returns when the response must have been delivered.
    #[must_use]
    pub fn for_answer(&self) -> Instant {
        self.answer
    }

    /// Returns the time that is left for the work.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.work.saturating_duration_since(now())
    }
}

/// Reads the monotonic clock, which tests can pause.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Returns the time since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
#[must_use]
pub fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Converts a duration to the milliseconds that log fields hold.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The only sleep in the crate; callers document why they wait.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits until a moment, as [`wait`] does.
pub async fn wait_until(moment: Instant) {
    tokio::time::sleep_until(moment).await;
}

/// Pauses that double up to a maximum, with jitter, so that many callers do not retry in step.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, max }
    }

    /// Returns the next pause: between half of the current step and all of it.
    pub fn pause(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.max);
        step.mul_f32(0.5 + fastrand::f32() / 2.0)
    }
}

/// Calls `attempt` every `interval` until it breaks with a result or `end` is too near for another
/// attempt. Returns that result, or the last reason to go on as an error.
///
/// # Errors
/// The error that `attempt` breaks with, or the reason it last continued with.
pub async fn poll_until<T, E>(
    end: Instant,
    interval: Duration,
    mut attempt: impl AsyncFnMut() -> ControlFlow<Result<T, E>, E>,
) -> Result<T, E> {
    loop {
        match attempt().await {
            ControlFlow::Break(result) => return result,
            ControlFlow::Continue(reason) if now() + interval >= end => return Err(reason),
            ControlFlow::Continue(_) => wait(interval).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_doubles_up_to_its_maximum_and_jitters_downwards() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3));
        for step in [1, 2, 3, 3] {
            let pause = backoff.pause();
            let step = Duration::from_secs(step);
            assert!(pause >= step / 2 && pause <= step, "{pause:?} for {step:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn polling_ends_with_a_result_or_with_the_last_reason() {
        let in_ten_seconds = || now() + Duration::from_secs(10);
        let mut attempts = 0;
        let found: Result<u32, u32> = poll_until(in_ten_seconds(), Duration::from_secs(2), async || {
            attempts += 1;
            if attempts == 3 { ControlFlow::Break(Ok(attempts)) } else { ControlFlow::Continue(attempts) }
        })
        .await;
        assert_eq!(found, Ok(3));
        let started = now();
        let never: Result<(), &str> =
            poll_until(in_ten_seconds(), Duration::from_secs(2), async || ControlFlow::Continue("not yet")).await;
        assert_eq!((never, started.elapsed()), (Err("not yet"), Duration::from_secs(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_response_keeps_its_reserve() {
        let long = Deadline::after(Duration::from_mins(5));
        assert_eq!(long.for_answer() - long.for_work(), RESERVE);
        let short = Deadline::after(Duration::from_secs(4));
        assert!(short.for_answer() - short.for_work() >= Duration::from_millis(900));
        assert!(short.left() >= Duration::from_millis(2800), "{:?}", short.left());
        assert_eq!(Deadline::after(Duration::ZERO).left(), Duration::ZERO);
    }
}
