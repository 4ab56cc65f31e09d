//! Observing again after an error that says AWS is no longer as it was observed.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{Aws, Error};
use crate::{
    clock::{now, wait},
    ports::{ErrorKind, Services},
};

/// How many rounds a run gets. With the pauses between them, a domain that Cognito is still deleting
/// has about a minute.
pub(super) const MAX_ROUNDS: usize = 8;
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(15);
/// In a Delete, a denied call gets only this many rounds. IAM denies a call on a thing that is gone,
/// because no tag allows it any more, and it may take a moment to learn new tags.
const MAX_ROUNDS_IF_DENIED: usize = 3;
/// A Create and an Update wait this long for a permission: a role's new policy, a new function's
/// permission and a key's policy take ten seconds and more to be known. AWS's CDK retries for 31 s.
pub(super) const PERMISSION_IS_KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// A denied call is looked at again at least this often, because a permission usually comes early.
const MAX_PAUSE_IF_DENIED: Duration = Duration::from_secs(5);

pub(super) struct Rounds {
    round: usize,
    pause: Duration,
    waits_for_permissions: bool,
    /// When each operation was denied first.
    denied_since: HashMap<&'static str, Instant>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { round: 1, pause: FIRST_PAUSE, waits_for_permissions: false, denied_since: HashMap::new() }
    }
}

impl Rounds {
    /// For a Create or an Update, which may meet permissions that are as new as the stack.
    pub(super) fn waiting_for_permissions() -> Self {
        Self { waits_for_permissions: true, ..Self::default() }
    }

    /// Waits before another round. Returns `false` if the error is final.
    pub(super) async fn another<S: Services>(&mut self, aws: &Aws<'_, S>, error: &Error) -> bool {
        let (Error::Observe(source) | Error::Step { source, .. }) = error else { return false };
        let denied = source.kind == ErrorKind::Denied && self.waits_for_permissions;
        let pause = if denied {
            let since = self.denied_since.entry(source.operation).or_insert_with(now);
            let left = PERMISSION_IS_KNOWN_WITHIN.saturating_sub(since.elapsed());
            if left.is_zero() {
                return false;
            }
            // The last look is at the very end.
            self.pause.min(MAX_PAUSE_IF_DENIED).min(left)
        } else {
            self.pause
        };
        let max = match source.kind {
            ErrorKind::Changed | ErrorKind::Lost => MAX_ROUNDS,
            ErrorKind::Denied => MAX_ROUNDS_IF_DENIED,
            ErrorKind::Throttled
            | ErrorKind::Busy
            | ErrorKind::Quota
            | ErrorKind::UnknownPrincipal
            | ErrorKind::Refused => 0,
        };
        if (!denied && self.round >= max) || pause >= aws.time_left() {
            return false;
        }
        tracing::info!(round = self.round, cause = error.report(), "observing again");
        aws.progress.during("waiting to observe again", wait(pause)).await;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        if !denied {
            self.round += 1;
        }
        true
    }
}
