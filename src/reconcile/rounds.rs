//! Observing again after an error that says AWS is no longer as it was observed.

use std::time::Duration;

use super::{Aws, Error};
use crate::{
    clock::wait,
    ports::{ErrorKind, Services},
};

/// How many rounds a run gets. With the pauses between them, a domain that Cognito is still deleting
/// has about a minute.
pub(super) const MAX_ROUNDS: usize = 8;
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(15);
/// A denied call gets only this many rounds. IAM denies a call on a thing that is gone, because no tag
/// allows it any more, and it may take a moment to learn new tags.
const MAX_ROUNDS_IF_DENIED: usize = 3;

pub(super) struct Rounds {
    round: usize,
    pause: Duration,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { round: 1, pause: FIRST_PAUSE }
    }
}

impl Rounds {
    /// Waits before another round. Returns `false` if the error is final.
    pub(super) async fn another<S: Services>(&mut self, aws: &Aws<'_, S>, error: &Error) -> bool {
        let (Error::Observe(source) | Error::Step { source, .. }) = error else { return false };
        let max = match source.kind {
            ErrorKind::Changed | ErrorKind::Lost => MAX_ROUNDS,
            ErrorKind::Denied => MAX_ROUNDS_IF_DENIED,
            ErrorKind::Throttled | ErrorKind::Busy | ErrorKind::Quota | ErrorKind::Refused => 0,
        };
        if self.round >= max || self.pause >= aws.time_left() {
            return false;
        }
        tracing::info!(round = self.round, cause = error.report(), "observing again");
        aws.progress.during("waiting to observe again", wait(self.pause)).await;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        self.round += 1;
        true
    }
}
