//! Integration tests: the whole provider against an AWS in memory that has AWS's own rules.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod bad_input;
mod concurrency;
mod convergence;
mod corpus;
mod faults;
mod layers;
mod lifecycle;
mod pace;
mod protocol;
mod redaction;
mod support;
mod template;
