//! Integration tests: the provider, the rotation and `m2mctl` on an AWS in memory that keeps the rules of AWS.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot continue has failed; tests print their counts and measure time"
)]

mod adoption;
mod bad_input;
mod bad_input_parts;
mod chains;
#[cfg(feature = "cli")]
mod command_line;
mod concurrency;
mod convergence;
mod corpus;
mod custom_domain;
mod faults;
mod generated;
mod growth_plot;
mod iam_roles;
mod late;
mod layers;
mod left_over_rotations;
mod lifecycle;
mod many_stacks;
mod pace;
mod package;
mod protocol;
#[path = "../support/quotas.rs"]
mod quotas;
mod readers;
mod redaction;
mod replicas;
mod rotation;
mod schema;
mod shared_pool;
#[cfg(feature = "cli")]
mod shared_pool_commands;
mod support;
mod token_service;
mod verification;
