//! One CloudFormation resource for a whole machine-to-machine stack in Amazon Cognito.
//!
//! CloudFormation is the coordinator and Cognito the truth. The provider reads what is there, says
//! what should be there, computes the difference as data and carries it out:
//!
//! ```text
//! event -> cfn::Request -> model::Desired ─┐
//!                      aws -> Observed ────┴-> plan::Plan -> reconcile::apply -> attributes -> cfn::Response -> PUT
//! ```
//!
//! There is no undo: a failed Create is undone by the Delete that follows, a failed Update by the
//! Update with the old properties.
//!
//! | module | what it is |
//! |---|---|
//! | [`provider`] | use case 1: one CloudFormation event in, one delivered answer out |
//! | [`rotation`] | use case 2: one step of Secrets Manager's rotation; the four steps themselves |
//! | `m2mctl` | use case 3: the operator's command line; needs the feature `cli` |
//! | [`reconcile`] | observe, apply, delete: the only place that runs steps |
//! | [`plan`] | the difference between desired and observed, as steps; pure, and the only place that makes choices |
//! | [`model`] | the vocabulary: ids, ownership, desired state, observed state; pure |
//! | [`properties`] | one table of properties for the parser, the JSON Schema and the reference; pure |
//! | [`ports`] | what the use cases need from AWS, as traits |
//! | [`retry`] | rate limits and retries around those traits |
//! | [`aws`] | the traits over the AWS SDK and HTTP: the only place that names either |
//! | [`cfn`] | CloudFormation's custom resource protocol; knows nothing of Cognito |
//! | [`clock`], [`redact`], [`telemetry`] | time, secrets, logs |
//!
//! Imports point one way: `bin -> use case -> reconcile -> plan -> model`, `aws -> ports -> model`;
//! `cfn` imports no model, and only `bin` sees both `aws` and a use case. A test keeps it so.

pub mod aws;
pub mod cfn;
pub mod clock;
#[cfg(feature = "cli")]
pub mod m2mctl;
pub mod model;
pub mod plan;
pub mod ports;
pub mod properties;
pub mod provider;
pub mod reconcile;
pub mod redact;
pub mod retry;
pub mod rotation;
pub mod telemetry;
