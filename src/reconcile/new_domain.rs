//! The first look-up of a new domain's host name.
//!
//! Cognito has no wildcard DNS record: the name of a new prefix does not exist at first. A resolver that
//! looks it up too early caches that answer for up to 15 minutes, for every consumer of the same network.
//! So neither a token check nor a rotation looks the name up in its first seconds.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    clock::{now, wait_until, wall_clock},
    model::{
        Desired, Ownership, TokenSource,
        observed::{Observed, ObservedPool},
    },
    ports::DOMAIN_UNKNOWN_FOR,
};

/// A pool that is younger than this may have a domain that is too young: a Create makes the domain
/// within seconds of the pool.
const POOL_IS_YOUNG: Duration = Duration::from_secs(40);

/// When this invocation may look up the host name of a domain that may be new.
#[derive(Debug, Default)]
pub struct FirstLookUp(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    from: Option<Instant>,
    logged: bool,
}

impl FirstLookUp {
    /// Records that this invocation has just created a domain, or has tried to.
    pub(super) fn domain_was_created(&self) {
        self.state().from = Some(now() + DOMAIN_UNKNOWN_FOR);
    }

    /// Records that an earlier delivery may just have created the domain.
    pub(super) fn domain_may_be_new(&self) {
        self.state().from.get_or_insert(now() + DOMAIN_UNKNOWN_FOR);
    }

    /// Waits until the name may be looked up. Returns `false` at once if that is only after `end`.
    pub(super) async fn wait(&self, end: Instant) -> bool {
        let from = {
            let mut state = self.state();
            let Some(from) = state.from.filter(|from| *from > now()) else { return true };
            if from >= end {
                return false;
            }
            if !state.logged {
                let seconds = from.duration_since(now()).as_secs_f32().ceil();
                tracing::info!("waiting {seconds} s before the first look-up of the new domain");
                state.logged = true;
            }
            from
        };
        wait_until(from).await;
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether the observed domain may be moments old, because an earlier delivery created it.
///
/// Cognito shows no date of a domain. The secrets are written after the domain is created, so a domain
/// that they name is not new, unless its pool is.
pub(super) fn may_be_new(desired: &Desired, observed: &Observed) -> bool {
    let Some(ObservedPool { id, created, domain: Some(domain), .. }) = &observed.pool else { return false };
    let Some(own) = desired.own_pool() else { return wall_clock().saturating_sub(*created) < POOL_IS_YOUNG };
    let Some(desired_domain) = own.domain.as_ref().filter(|desired| desired.prefix == domain.prefix) else {
        return false;
    };
    let token_endpoint = desired.endpoints.token_endpoint(&TokenSource::PrefixDomain(desired_domain.clone()));
    let documents = observed
        .secrets
        .values()
        .filter(|secret| secret.ownership == Ownership::Ours && !secret.scheduled)
        .filter_map(|secret| secret.document.as_ref())
        .filter(|document| document.metadata.user_pool_id == *id);
    let (others, known): (Vec<_>, Vec<_>) =
        documents.partition(|document| document.metadata.token_endpoint != token_endpoint);
    let age_of_pool = wall_clock().saturating_sub(*created);
    known.is_empty() || !others.is_empty() || age_of_pool < POOL_IS_YOUNG
}
