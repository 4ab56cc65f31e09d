//! Integration tests: the whole provider against an AWS in memory that has AWS's own rules.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed, prints what it counted, and keeps time itself"
)]

mod bad_input;
#[cfg(feature = "cli")]
mod command_line;
mod concurrency;
mod convergence;
mod corpus;
mod faults;
mod iam_roles;
mod layers;
mod lifecycle;
mod pace;
mod protocol;
mod redaction;
mod rotation;
mod schema;
mod support;
