//! Integration tests: the whole provider against an AWS in memory that has AWS's own rules.

mod bad_input;
mod concurrency;
mod convergence;
mod faults;
mod layers;
mod lifecycle;
mod pace;
mod protocol;
mod redaction;
mod support;
mod template;
