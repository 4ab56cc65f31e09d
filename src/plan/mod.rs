//! The difference between Desired and Observed, as data. Pure: a plan makes every choice, and
//! [`reconcile`](crate::reconcile) only carries it out.
//!
//! A plan holds no secret and no id that AWS has yet to generate. Its steps name things as the template
//! does, so it can be logged, shown before a deployment and compared in a test.
//!
//! - [`step`]: what a plan consists of.
//! - [`diff`]: how a plan is made; [`plan`] decides the order of the steps.
//! - `secrets`: the steps of the clients' secrets.
//! - `domains`: the steps of a pool's domains, and the check before clients are sent to another one.
//! - `sharing`: the steps of the readers and replicas of secrets.
//! - [`refusal`]: why there is no plan.
//! - `note`: the note about the event, which a plan leaves.
//! - `display`: how a plan is printed.

pub mod diff;
mod display;
mod domains;
mod note;
pub mod refusal;
mod secrets;
mod sharing;
pub mod step;
#[cfg(test)]
mod tests;

pub use diff::{NOTE_KEPT_FOR_DAYS, Occasion, held_scopes, plan, plan_delete, scopes_to_remove};
pub use domains::{custom_domain_not_ready, keeps_custom_domain};
pub use note::{add_note, note};
pub use refusal::Refusal;
pub use step::{Action, Changes, Deletion, DocumentUpdate, Phase, Plan, SecretUpdate, Step, Task};
