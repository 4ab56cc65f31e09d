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
//! | [`cfn`] | CloudFormation's protocol; knows nothing of Cognito |
//! | [`model`] | the vocabulary: what is desired, what is observed; pure |
//! | [`plan`] | the difference as steps; pure, and the only place that makes choices |
//! | [`ports`] | what is needed of AWS, as traits |
//! | [`retry`] | pace and retries around those traits |
//! | [`reconcile`] | observe, apply, delete: the only place that runs steps |
//! | [`aws`] | the traits over the AWS SDK: the only place that names it |
//! | [`rotate`] | the four steps that give a client a new secret |
//! | [`provider`] | use case 1: CloudFormation's event in, an answer out |
//! | [`rotation`] | use case 2: one step of Secrets Manager's rotation |
//! | [`cli`], [`preview`], [`doctor`] | use case 3: the command line `m2mctl`; with the feature `cli` alone |
//! | [`template`] | what a template's properties will be, without a deploy; pure |
//! | [`deadline`], [`http`], [`redact`], [`telemetry`] | the clock, HTTP, secrets, logs |
//!
//! Imports point one way: `bin -> use case -> reconcile -> plan -> model`, `aws -> ports -> model`;
//! `cfn` imports no model, and only `bin` sees both `aws` and a use case. A test keeps it so.

pub mod aws;
pub mod cfn;
#[cfg(feature = "cli")]
pub mod cli;
pub mod deadline;
#[cfg(feature = "cli")]
pub mod doctor;
pub mod http;
pub mod model;
pub mod plan;
pub mod ports;
#[cfg(feature = "cli")]
pub mod preview;
pub mod provider;
pub mod reconcile;
pub mod redact;
pub mod rotate;
pub mod rotation;
pub mod retry;
pub mod telemetry;
#[cfg(feature = "cli")]
pub mod template;
