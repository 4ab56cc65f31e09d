//! What the integration tests run on: an AWS in memory, faults around it, and a CloudFormation.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`fake_aws`] | the account: what exists, how it behaves, and the rules of every call |
//! | [`cognito`], [`secrets_manager`], [`token_endpoint`] | the ports, with the rules of AWS |
//! | [`consumers`] | applications that use the account and complain when they are cut off |
//! | [`faults`] | one process's session with the account: counts calls, makes some of them fail |
//! | [`cloudformation`] | events, responses, and what must be true of an account afterwards |
//! | [`fixtures`] | properties and foreign things that several tests use |

pub mod cloudformation;
mod cognito;
mod consumers;
pub mod fake_aws;
mod faults;
pub mod fixtures;
mod secrets_manager;
mod token_endpoint;

pub use cloudformation::{CfnResponse, Stack, assert_is, assert_no_complaints, assert_nothing_left, new_stack};
pub use cognito::{FakeClient, FakeClientSecret, FakeCustomDomain, FakePool};
pub use fake_aws::{CANARY, FakeAws, Latency, TokenEndpointState, World};
pub use faults::{Fault, Session, in_another_process};
pub use secrets_manager::{FakeReplica, FakeSecret, FakeVersion};
