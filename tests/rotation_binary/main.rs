//! The built functions as processes, between a Lambda Runtime API and AWS on this machine:
//!
//! ```text
//!     Runtime API  <->  rotation (or provider)  ->  World
//! ```
//!
//! After every call the world checks that Cognito accepts AWSCURRENT's credentials. When a case ends,
//! everything that the process printed at TRACE is searched for every secret that the world has seen.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod case;
mod faults;
#[path = "../support/lambda.rs"]
#[expect(dead_code, reason = "the benchmark uses the rest")]
mod lambda;
mod provider;
mod refusals;
mod rotations;
#[path = "../support/signing.rs"]
mod signing;
#[path = "../support/world/mod.rs"]
#[expect(dead_code, reason = "the other programs use the rest")]
mod world;
