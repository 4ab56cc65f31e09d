//! What is known about a run from outside, even if it is cut off.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::PoolId;

#[derive(Debug, Default)]
pub struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    pool: Option<PoolId>,
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
