//! What the services' errors mean.

use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{
    ports::{AwsError, ErrorKind},
    redact,
};

/// Turns an SDK error into ours.
pub(super) fn failed<E>(
    operation: &'static str,
    subject: impl Into<String>,
    error: &SdkError<E, HttpResponse>,
) -> AwsError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let subject = subject.into();
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status();
            let code = service.err().code().unwrap_or("UnknownError").to_owned();
            let message = service.err().message().unwrap_or("no message").to_owned();
            let kind = classify(operation, &code, &message, status);
            AwsError { operation, subject, kind, code, message: redact::sanitize(&message) }
        }
        // What has a kind was lost on the way, such as a connection that closed without an answer.
        SdkError::DispatchFailure(dispatch)
            if dispatch.is_user() || (dispatch.is_other() && dispatch.as_other().is_none()) =>
        {
            AwsError {
                operation,
                subject,
                kind: ErrorKind::Denied,
                code: "NotSent".to_owned(),
                message: redact::causes(error),
            }
        }
        SdkError::ConstructionFailure(_) => AwsError {
            operation,
            subject,
            kind: ErrorKind::Refused,
            code: "NotSent".to_owned(),
            message: redact::causes(error),
        },
        // A refusal without a code that can be read, such as a proxy's page: nothing happened.
        SdkError::ResponseError(answer) if answer.raw().status().is_client_error() => {
            let status = answer.raw().status();
            let kind = classify(operation, "", "", status);
            AwsError {
                operation,
                subject,
                kind,
                code: format!("HTTP {}", status.as_u16()),
                message: redact::causes(error),
            }
        }
        lost => {
            let code = match lost {
                SdkError::TimeoutError(_) => "Timeout",
                SdkError::ResponseError(_) => "UnreadableResponse",
                _ => "ConnectionLost",
            };
            AwsError { operation, subject, kind: ErrorKind::Lost, code: code.to_owned(), message: redact::causes(lost) }
        }
    }
}

/// Errors that the services' models do not list come too (the domain operations throttle that
/// way), so this goes by the code's text.
fn classify(operation: &str, code: &str, message: &str, status: StatusCode) -> ErrorKind {
    let lower_code = code.to_ascii_lowercase();
    let lower_message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower_message.contains(word));

    let throttled =
        ["throttl", "toomanyrequests", "slowdown", "requestlimitexceeded"].iter().any(|word| lower_code.contains(word));
    if throttled || status.as_u16() == 429 {
        return ErrorKind::Throttled;
    }
    if code == "ConcurrentModificationException" {
        return ErrorKind::Busy;
    }
    // A success that cannot be read may come as an error of the service: it may have happened.
    if !status.is_client_error() || lower_code.starts_with("internal") || lower_code.starts_with("serviceunavailable") {
        return ErrorKind::Lost;
    }
    match (operation, code) {
        // Cognito's hard quotas; the SDK would take it for throttling.
        (_, "LimitExceededException") => ErrorKind::Quota,
        (
            _,
            "AccessDeniedException"
            | "AccessDenied"
            | "NotAuthorizedException"
            | "UnauthorizedException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignature"
            | "OptInRequired",
        ) => ErrorKind::Denied,
        (_, "ResourceNotFoundException" | "ScopeDoesNotExistException") => ErrorKind::Changed,
        ("CreateUserPoolDomain", "InvalidParameterException") if says(&["already"]) => ErrorKind::Changed,
        ("CreateResourceServer", "InvalidParameterException") if says(&["exist"]) => ErrorKind::Changed,
        ("DeleteUserPool", "InvalidParameterException") if says(&["domain"]) => ErrorKind::Changed,
        ("CreateSecret" | "PutSecretValue", "ResourceExistsException") => ErrorKind::Changed,
        // The label is not on the version that it was to be taken from.
        ("UpdateSecretVersionStage", "InvalidParameterException") => ErrorKind::Changed,
        // "A previous rotation isn't complete. That rotation will be reattempted."
        ("RotateSecret", "InvalidRequestException") if says(&["previous rotation"]) => ErrorKind::Changed,
        // "…already scheduled for deletion", "…marked for deletion", "…not scheduled for deletion".
        (_, "InvalidRequestException") if says(&["deletion", "deleted"]) => ErrorKind::Changed,
        // The services say so with a code and status 400; a proxy or a firewall with the status alone.
        _ if matches!(status.as_u16(), 401 | 403) => ErrorKind::Denied,
        _ => ErrorKind::Refused,
    }
}

/// Whether the thing that was to be removed is not there.
pub(super) fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("ResourceNotFoundException")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(operation: &str, code: &str, message: &str, status: u16) -> ErrorKind {
        classify(operation, code, message, StatusCode::try_from(status).unwrap())
    }

    #[test]
    fn throttling_is_known_in_any_spelling() {
        for code in [
            "TooManyRequestsException",
            "ThrottlingException",
            "Throttling",
            "ThrottledException",
            "RequestThrottledException",
            "SlowDown",
            "RequestLimitExceeded",
        ] {
            assert_eq!(kind("CreateUserPoolDomain", code, "Rate exceeded", 400), ErrorKind::Throttled, "{code}");
        }
        assert_eq!(kind("DescribeSecret", "Whatever", "", 429), ErrorKind::Throttled);
    }

    #[test]
    fn a_quota_is_not_throttling() {
        assert_eq!(kind("CreateUserPool", "LimitExceededException", "quota", 400), ErrorKind::Quota);
    }

    #[test]
    fn what_may_have_happened_is_told_from_what_has_not() {
        assert_eq!(kind("UpdateUserPoolClient", "ConcurrentModificationException", "", 400), ErrorKind::Busy);
        assert_eq!(kind("CreateUserPool", "InternalErrorException", "", 500), ErrorKind::Lost);
        assert_eq!(kind("CreateUserPool", "InternalServerException", "", 400), ErrorKind::Lost);
        assert_eq!(kind("CreateUserPool", "UnknownError", "", 503), ErrorKind::Lost);
    }

    #[test]
    fn a_moved_world_is_told_from_a_bad_request() {
        let changed = [
            ("CreateUserPoolDomain", "InvalidParameterException", "Domain already associated with another user pool."),
            ("CreateUserPoolDomain", "InvalidParameterException", "User pool already has a domain configured"),
            (
                "CreateResourceServer",
                "InvalidParameterException",
                "A resource server with that identifier already exists.",
            ),
            ("DeleteUserPool", "InvalidParameterException", "It has a domain configured that should be deleted first."),
            ("CreateSecret", "ResourceExistsException", "The operation failed because the secret already exists."),
            (
                "CreateSecret",
                "InvalidRequestException",
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            ),
            (
                "RotateSecret",
                "InvalidRequestException",
                "A previous rotation isn't complete. That rotation will be reattempted.",
            ),
            ("UpdateUserPoolClient", "ResourceNotFoundException", ""),
            ("CreateUserPoolClient", "ScopeDoesNotExistException", ""),
        ];
        for (operation, code, message) in changed {
            assert_eq!(kind(operation, code, message, 400), ErrorKind::Changed, "{message}");
        }
        for (operation, code, message) in [
            ("CreateUserPoolDomain", "InvalidParameterException", "Domain cannot contain reserved word: aws"),
            ("CreateUserPool", "InvalidParameterException", "1 validation error detected"),
            (
                "DeleteUserPool",
                "InvalidParameterException",
                "The user pool cannot be deleted because deletion protection is activated.",
            ),
            ("CreateUserPoolDomain", "FeatureUnavailableInTierException", ""),
        ] {
            assert_eq!(kind(operation, code, message, 400), ErrorKind::Refused, "{message}");
        }
    }
}
