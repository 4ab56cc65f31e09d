//! Use case 2: rotating a client's secret while its consumers keep working.
//!
//! - [`handler`]: the gate. One event of Secrets Manager in, one step run.
//! - [`steps`]: the four steps. `provider` runs them too, when a stack asks for a rotation now.

mod handler;
pub mod steps;

pub use handler::{RotationError, RotationEvent, handle};
