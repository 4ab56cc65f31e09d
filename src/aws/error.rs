//! Sorts the errors of the services by what can be done about them.

use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{
    ports::{AwsError, ErrorKind},
    redact,
};

/// Codes of a request that the services do not let through: missing rights, or bad or expired credentials.
const DENIED: [&str; 14] = [
    "AccessDeniedException",
    "AccessDenied",
    "NotAuthorizedException",
    "UnauthorizedException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "ExpiredTokenException",
    "ExpiredToken",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
    "OptInRequired",
];
const TOO_MANY_REQUESTS: u16 = 429;
/// The word in a message about replicas.
pub(super) const REPLICA: &str = "replica";

/// Turns an SDK error into ours.
pub(super) fn failed<E>(
    operation: &'static str,
    subject: impl Into<String>,
    error: &SdkError<E, HttpResponse>,
) -> AwsError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (kind, code, message) = match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("UnknownError");
            let message = service.err().message().unwrap_or("no message");
            let kind = classify(operation, code, message, service.raw().status());
            (kind, code.to_owned(), redact::sanitize(message))
        }
        other => {
            let (kind, code) = without_a_code(operation, other);
            (kind, code, redact::causes(other))
        }
    };
    AwsError { operation, subject: subject.into(), kind, code, message }
}

/// Sorts a failure that has no error code of the service.
fn without_a_code<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> (ErrorKind, String) {
    let (kind, code) = match error {
        // The HTTP client says which failures came before sending. An "other" failure without a kind comes
        // from the SDK itself, such as missing credentials.
        SdkError::DispatchFailure(dispatch)
            if dispatch.is_user() || (dispatch.is_other() && dispatch.as_other().is_none()) =>
        {
            (ErrorKind::Denied, "NotSent")
        }
        SdkError::ConstructionFailure(_) => (ErrorKind::Refused, "NotSent"),
        // A refusal without a readable code, such as a proxy's page: nothing happened.
        SdkError::ResponseError(response) if response.raw().status().is_client_error() => {
            let status = response.raw().status();
            return (classify(operation, "", "", status), format!("HTTP {}", status.as_u16()));
        }
        SdkError::TimeoutError(_) => (ErrorKind::Lost, "Timeout"),
        SdkError::ResponseError(_) => (ErrorKind::Lost, "UnreadableResponse"),
        _ => (ErrorKind::Lost, "ConnectionLost"),
    };
    (kind, code.to_owned())
}

/// Turns "there is no such resource" into `None`, and every other failure into ours.
pub(super) fn found<T, E>(
    operation: &'static str,
    subject: impl Into<String>,
    outcome: Result<T, SdkError<E, HttpResponse>>,
) -> Result<Option<T>, AwsError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match outcome {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
        Err(error) => Err(failed(operation, subject, &error)),
    }
}

/// Sorts an error by the text of its code: the services also send codes that their models do not list,
/// such as the throttling of the domain operations.
pub(super) fn classify(operation: &str, code: &str, message: &str, status: StatusCode) -> ErrorKind {
    let lower_code = code.to_ascii_lowercase();
    let lower_message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower_message.contains(word));

    let throttled =
        ["throttl", "toomanyrequests", "slowdown", "requestlimitexceeded"].iter().any(|word| lower_code.contains(word));
    if throttled || status.as_u16() == TOO_MANY_REQUESTS {
        return ErrorKind::Throttled;
    }
    if code == "ConcurrentModificationException" {
        return ErrorKind::Busy;
    }
    // The SDK reports a success that it cannot read as a service error; the change may have happened.
    if !status.is_client_error() || lower_code.starts_with("internal") || lower_code.starts_with("serviceunavailable") {
        return ErrorKind::Lost;
    }
    match (operation, code) {
        // A hard quota of Cognito. The SDK would call it throttling.
        (_, "LimitExceededException") => ErrorKind::Quota,
        (_, code) if DENIED.contains(&code) => ErrorKind::Denied,
        // Secrets Manager reports what KMS denied it under codes of its own.
        _ if says(&["access to kms is not allowed"]) => ErrorKind::Denied,
        _ if says(&["kms"]) && says(&["accessdenied", "not authorized"]) => ErrorKind::Denied,
        (_, "ResourceNotFoundException" | "ScopeDoesNotExistException") => ErrorKind::Changed,
        ("CreateUserPoolDomain", "InvalidParameterException") if says(&["already"]) => ErrorKind::Changed,
        ("CreateResourceServer", "InvalidParameterException") if says(&["exist"]) => ErrorKind::Changed,
        ("DeleteUserPool", "InvalidParameterException") if says(&["domain"]) => ErrorKind::Changed,
        ("CreateSecret" | "PutSecretValue", "ResourceExistsException") => ErrorKind::Changed,
        // The label is no longer on the version that the request named.
        ("UpdateSecretVersionStage", "InvalidParameterException") => ErrorKind::Changed,
        // "You can't delete secret … that still has replica regions […]."
        ("DeleteSecret", "InvalidParameterException" | "InvalidRequestException") if says(&[REPLICA]) => {
            ErrorKind::Changed
        }
        // The region has a replica already.
        ("ReplicateSecretToRegions", "InvalidParameterException" | "InvalidRequestException") if says(&["already"]) => {
            ErrorKind::Changed
        }
        // The region has no replica any more.
        ("RemoveRegionsFromReplication", "InvalidParameterException" | "InvalidRequestException")
            if says(&[REPLICA]) =>
        {
            ErrorKind::Changed
        }
        // "This resource policy contains an unsupported principal", "Invalid principal in policy".
        ("PutResourcePolicy", "MalformedPolicyDocumentException" | "InvalidParameterException")
            if says(&["principal"]) =>
        {
            ErrorKind::UnknownPrincipal
        }
        // "A previous rotation isn't complete. That rotation will be reattempted."
        ("RotateSecret", "InvalidRequestException") if says(&["previous rotation"]) => ErrorKind::Changed,
        // "…already scheduled for deletion", "…marked for deletion", "…not scheduled for deletion".
        (_, "InvalidRequestException") if says(&["deletion", "deleted"]) => ErrorKind::Changed,
        // The services deny with a code and status 400; a proxy or a firewall has only the status.
        _ if matches!(status.as_u16(), 401 | 403) => ErrorKind::Denied,
        _ => ErrorKind::Refused,
    }
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
    fn a_denial_of_kms_inside_another_error_is_a_denial() {
        let inside = "User is not authorized to perform: kms:GenerateDataKey (Service: AWSKMS; Error Code: AccessDeniedException)";
        for message in ["Access to KMS is not allowed", inside] {
            for code in ["AccessDeniedException", "InvalidRequestException", "EncryptionFailure"] {
                assert_eq!(kind("CreateSecret", code, message, 400), ErrorKind::Denied, "{code}: {message}");
            }
        }
        assert_eq!(kind("CreateSecret", "EncryptionFailure", "The KMS key is disabled", 400), ErrorKind::Refused);
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
            (
                "DeleteSecret",
                "InvalidParameterException",
                "You can't delete secret arn:secret that still has replica regions [us-west-2].",
            ),
            ("ReplicateSecretToRegions", "InvalidParameterException", "The secret is already replicated to us-west-2."),
            (
                "RemoveRegionsFromReplication",
                "InvalidParameterException",
                "Secret isn't replicated to region us-west-2.",
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
            ("ReplicateSecretToRegions", "InvalidParameterException", "Invalid replica region: moon-1."),
            ("PutResourcePolicy", "PublicPolicyException", "The policy allows broad access to the secret."),
            ("PutResourcePolicy", "MalformedPolicyDocumentException", "This policy contains invalid Json"),
        ] {
            assert_eq!(kind(operation, code, message, 400), ErrorKind::Refused, "{message}");
        }
    }

    #[test]
    fn a_principal_that_is_unknown_is_told_from_any_other_bad_policy() {
        for (code, message) in [
            ("MalformedPolicyDocumentException", "This resource policy contains an unsupported principal"),
            ("MalformedPolicyDocumentException", "Invalid principal in policy"),
            ("InvalidParameterException", "Invalid principal in policy: \"AWS\":\"arn:aws:iam::111122223333:role/x\""),
        ] {
            assert_eq!(kind("PutResourcePolicy", code, message, 400), ErrorKind::UnknownPrincipal, "{message}");
            assert_eq!(kind("CreateSecret", code, message, 400), ErrorKind::Refused, "{message}");
        }
    }
}
