//! Use case 2: rotating a client's secret while its consumers keep working.
//!
//! - `handler`: the gate. One event of Secrets Manager in, one step run.
//! - [`steps`]: the four steps. `provider` runs them too, when a stack asks for a rotation now.
//! - [`versions`]: reads of a secret's versions that know that Secrets Manager shows them late.

mod handler;
pub mod steps;
pub mod versions;

pub use handler::{RotationError, RotationEvent, handle};
