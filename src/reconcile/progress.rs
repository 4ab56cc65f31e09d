//! What is known about a run from outside, even if it is cut off.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    clock::now,
    model::{ClientId, PoolId, observed::FormerClient},
};

#[derive(Debug, Default)]
pub struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    pool: Option<PoolId>,
    /// The pools that this run created. AWS may not list them, or show their tags, at once.
    created_pools: Vec<PoolId>,
    /// Whether the answer to a CreateUserPool was lost.
    may_have_created_pool: bool,
    /// The clients that this run created, and whether an answer was lost.
    created_clients: Vec<ClientId>,
    may_have_created_client: bool,
    /// Since when this run may not finish a rotation that it has met.
    rotation_denied_since: Option<Instant>,
    /// What the client was that this run has adopted.
    former_client: Option<FormerClient>,
    in_flight: Vec<String>,
}

impl Progress {
    /// Returns the pool, as soon as there is one.
    #[must_use]
    pub fn pool(&self) -> Option<PoolId> {
        self.state().pool.clone()
    }

    /// Returns the names of the work that is not finished.
    #[must_use]
    pub fn in_flight(&self) -> Vec<String> {
        self.state().in_flight.clone()
    }

    pub(super) fn found_pool(&self, pool: &PoolId) {
        self.state().pool = Some(pool.clone());
    }

    pub(super) fn created_pool(&self, pool: &PoolId) {
        self.found_pool(pool);
        self.state().created_pools.push(pool.clone());
    }

    pub(super) fn lost_created_pool(&self) {
        self.state().may_have_created_pool = true;
    }

    pub(super) fn created_pools(&self) -> Vec<PoolId> {
        self.state().created_pools.clone()
    }

    pub(super) fn may_have_created_pool(&self) -> bool {
        self.state().may_have_created_pool
    }

    pub(super) fn created_client(&self, client: &ClientId) {
        self.state().created_clients.push(client.clone());
    }

    pub(super) fn lost_created_client(&self) {
        self.state().may_have_created_client = true;
    }

    pub(super) fn created_clients(&self) -> Vec<ClientId> {
        self.state().created_clients.clone()
    }

    pub(super) fn may_have_created_client(&self) -> bool {
        self.state().may_have_created_client
    }

    /// Notes that a rotation cannot be finished for want of a permission. Returns for how long that has been so.
    pub(super) fn rotation_was_denied(&self) -> Duration {
        self.state().rotation_denied_since.get_or_insert_with(now).elapsed()
    }

    pub(super) fn adopts(&self, former: &FormerClient) {
        self.state().former_client = Some(former.clone());
    }

    pub(super) fn former_client(&self) -> Option<FormerClient> {
        self.state().former_client.clone()
    }

    /// Notes that a pool is gone, so that nobody waits for it again.
    pub(super) fn pool_is_gone(&self, pool: &PoolId) {
        self.state().created_pools.retain(|created| created != pool);
    }

    /// Runs one piece of work under its name.
    pub(super) async fn during<R>(&self, name: &str, work: impl Future<Output = R>) -> R {
        self.state().in_flight.push(name.to_owned());
        let result = work.await;
        let mut state = self.state();
        if let Some(index) = state.in_flight.iter().position(|running| running == name) {
            state.in_flight.remove(index);
        }
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
