//! An AWS in memory, faults to put into it, and a CloudFormation that plays its part.

pub mod cloudformation;
pub mod fake_aws;

pub use cloudformation::{Answer, Stack, assert_is, assert_nothing_left, create, event};
pub use fake_aws::{Call, Fault, Session};
