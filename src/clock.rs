//! The one clock: how long this invocation may still work.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The moment by which the work must stop, so that the answer can still be delivered.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    work: Instant,
    answer: Instant,
}

/// Time kept back for delivering the answer, which may have to be sent more than once.
const RESERVE: Duration = Duration::from_secs(15);
/// Of a short invocation the answer gets this part instead.
const RESERVE_PART: u32 = 4;

impl Deadline {
    /// An invocation that Lambda will kill after `remaining`.
    #[must_use]
    pub fn after(remaining: Duration) -> Self {
        let now = now();
        // The last part of a second is not worth the risk of being killed in mid-answer.
        let remaining = remaining.saturating_sub(Duration::from_millis(200).min(remaining / 10));
        let reserve = RESERVE.min(remaining / RESERVE_PART);
        Self { work: now + remaining.saturating_sub(reserve), answer: now + remaining }
    }

    /// From the epoch milliseconds of Lambda's `Lambda-Runtime-Deadline-Ms`.
    #[must_use]
    pub fn at_epoch_ms(deadline_ms: u64) -> Self {
        Self::after(Duration::from_millis(deadline_ms).saturating_sub(wall_clock()))
    }

    /// When the work must have stopped.
    #[must_use]
    pub fn for_work(&self) -> Instant {
        self.work
    }

    /// When the answer must have been delivered.
    #[must_use]
    pub fn for_answer(&self) -> Instant {
        self.answer
    }

    /// What is left for the work.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.work.saturating_duration_since(now())
    }
}

/// The monotonic clock, which tests can pause.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Time since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
#[must_use]
pub fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// For logs, which have numbers and no units.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A wait that has a name: the callers say what for.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

/// As [`wait`], until a moment.
pub async fn wait_until(moment: Instant) {
    tokio::time::sleep_until(moment).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_answer_keeps_its_reserve() {
        let long = Deadline::after(Duration::from_mins(5));
        assert_eq!(long.for_answer() - long.for_work(), RESERVE);
        let short = Deadline::after(Duration::from_secs(4));
        assert!(short.for_answer() - short.for_work() >= Duration::from_millis(900));
        assert!(short.left() >= Duration::from_millis(2800), "{:?}", short.left());
        assert_eq!(Deadline::after(Duration::ZERO).left(), Duration::ZERO);
    }
}
