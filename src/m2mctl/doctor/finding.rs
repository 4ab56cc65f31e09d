//! What the doctor reports.

use serde::Serialize;

use crate::{
    m2mctl::error::{Error, advice},
    ports::{AwsError, report},
};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Ok,
    Info,
    Warning,
    /// Something does not work, or a deploy would fail.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// What was checked, such as `domain m2m-rubicon-dev`.
    pub subject: String,
    pub found: String,
    /// What to do; empty if there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Finding {
    pub(super) fn new(severity: Severity, subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { severity, subject: subject.into(), found: found.into(), advice: String::new() }
    }

    pub(super) fn advice(self, advice: impl Into<String>) -> Self {
        Self { advice: advice.into(), ..self }
    }

    /// A check whose call failed.
    pub(super) fn of_failure(subject: impl Into<String>, error: &AwsError) -> Self {
        Self::new(Severity::Error, subject, error.to_string()).advice(advice(error))
    }

    /// Properties that cannot be compared with the live state.
    pub(super) fn not_compared(subject: impl Into<String>, error: &Error) -> Self {
        match error {
            Error::Aws(error) => Self::of_failure(subject, error),
            Error::Template(error) => Self::new(Severity::Info, subject, format!("cannot be compared: {error}"))
                .advice("Pass the properties with --properties."),
            other => Self::new(Severity::Error, subject, report(other, advice)),
        }
    }
}
