//! Why a command fails, and what the person at the terminal can do about it.

use super::template;
use crate::{
    model::{ResourceType, Violations},
    plan::Refusal,
    ports::{AwsError, ErrorKind, TokenError, report},
    reconcile,
};

/// Why a command fails. Its `Display` leaves the source out; [`Error::report`] prints both.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} cannot be read")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// A file of the user's that cannot be parsed.
    #[error("{path}")]
    Parse {
        path: String,
        #[source]
        source: template::Error,
    },
    #[error(transparent)]
    Template(#[from] template::Error),
    #[error(transparent)]
    Violations(#[from] Violations),
    #[error(
        "A {0} belongs to a stack, and the stack's name decides whether it may add to the user pool: name the stack with \
         --stack, even if it does not exist yet"
    )]
    NeedsStack(ResourceType),
    #[error("A deploy would fail. {0}")]
    Refusal(#[from] Refusal),
    #[error("{0}")]
    Reconcile(#[source] Box<reconcile::Error>),
    // Not transparent: a transparent variant would hide the failed call from the report.
    #[error("{0}")]
    Aws(#[from] AwsError),
    #[error("No token for client {client}")]
    Token {
        client: String,
        #[source]
        source: TokenError,
    },
    /// The command line and the live state do not fit: something does not exist, or there are several.
    #[error("{0}")]
    Choice(String),
}

impl From<reconcile::Error> for Error {
    fn from(error: reconcile::Error) -> Self {
        match error {
            reconcile::Error::Observe(error) => Self::Aws(error),
            other => Self::Reconcile(Box::new(other)),
        }
    }
}

impl Error {
    /// Prints the error, its sources and what to do.
    #[must_use]
    pub fn report(&self) -> String {
        report(self, advice)
    }
}

/// Returns what the person at the terminal can do about a failed call.
pub(super) fn advice(error: &AwsError) -> String {
    let code = error.code.to_ascii_lowercase();
    match error.kind {
        ErrorKind::Denied if code.contains("expired") => {
            "The credentials have expired: sign in again (aws sso login, aws login), or renew them.".to_owned()
        }
        ErrorKind::Denied if error.code == "NotSent" => {
            "No credentials were found, or they are not usable. Sign in (aws sso login, aws login), or set AWS_PROFILE."
                .to_owned()
        }
        ErrorKind::Denied
            if ["unrecognizedclient", "invalidclienttoken", "signature", "token"]
                .iter()
                .any(|word| code.contains(word)) =>
        {
            "AWS does not know these credentials. The access key is wrong or deleted, or the session token belongs to \
             another key. Unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN if they are left over, \
             and sign in again."
                .to_owned()
        }
        ErrorKind::Denied => format!("Allow {} for these credentials, or use others.", error.operation),
        ErrorKind::Lost => "AWS did not answer. Check the network, the proxy and the region, and try again.".to_owned(),
        ErrorKind::Throttled | ErrorKind::Busy | ErrorKind::Changed => "Try again in a moment.".to_owned(),
        ErrorKind::Quota | ErrorKind::UnknownPrincipal | ErrorKind::Refused => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(code: &str) -> AwsError {
        AwsError {
            operation: "GetCallerIdentity",
            subject: String::new(),
            kind: ErrorKind::Denied,
            code: code.to_owned(),
            message: "no.".to_owned(),
        }
    }

    #[test]
    fn advice_for_credentials_goes_by_what_is_wrong_with_them() {
        let advice = |code: &str| advice(&denied(code));
        assert!(advice("ExpiredToken").contains("expired"));
        assert!(advice("NotSent").contains("No credentials"));
        for unknown in ["InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"] {
            assert!(advice(unknown).contains("does not know"), "{unknown}");
        }
        assert!(advice("AccessDenied").contains("Allow GetCallerIdentity"));
    }

    #[test]
    fn a_report_says_each_cause_once_and_ends_with_what_to_do() {
        assert_eq!(
            Error::Aws(denied("AccessDenied")).report(),
            "GetCallerIdentity failed: AccessDenied: no. Allow GetCallerIdentity for these credentials, or use others."
        );
        let step = reconcile::Error::Step { step: "CreateUserPool x".to_owned(), source: denied("AccessDenied") };
        assert_eq!(
            Error::from(step).report(),
            "The step CreateUserPool x failed: GetCallerIdentity failed: AccessDenied: no. \
             Allow GetCallerIdentity for these credentials, or use others."
        );
        let token = Error::Token { client: "web".to_owned(), source: TokenError::Refused("HTTP 400".to_owned()) };
        assert_eq!(token.report(), "No token for client web: HTTP 400");
        let source = template::parse("[a]").unwrap_err();
        assert_eq!(
            Error::Parse { path: "a.yaml".to_owned(), source }.report(),
            "a.yaml: CloudFormation cannot read this template: its top level is not a map"
        );
    }
}
