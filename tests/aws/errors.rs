//! How the adapters sort and report the errors of both services.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use cognito_m2m::{
    aws::{Cognito, Http, SecretsManager},
    ports::{ErrorKind, Secrets, UserPools},
};
use serde_json::json;
use wiremock::{Mock, ResponseTemplate, matchers::any};

use crate::support::{
    Aws, CLIENT_SECRET, OPERATIONS, Scripted, Turn, assert_shows_no_secret, call, document_json, nobody, sdk_config,
    secret_name, user_pool,
};

#[tokio::test]
async fn every_error_is_sorted_and_named_and_nothing_is_sent_a_second_time() {
    let aws = Aws::start().await;
    for (status, code, kind) in [
        (400, "InvalidParameterException", ErrorKind::Refused),
        (400, "LimitExceededException", ErrorKind::Quota),
        (400, "TooManyRequestsException", ErrorKind::Throttled),
        (400, "ThrottlingException", ErrorKind::Throttled),
        (400, "RequestLimitExceeded", ErrorKind::Throttled),
        (429, "SomethingElse", ErrorKind::Throttled),
        (400, "ConcurrentModificationException", ErrorKind::Busy),
        (500, "InternalErrorException", ErrorKind::Lost),
        (500, "InternalServiceError", ErrorKind::Lost),
        (503, "ServiceUnavailableException", ErrorKind::Lost),
        (502, "BadGateway", ErrorKind::Lost),
        (400, "AccessDeniedException", ErrorKind::Denied),
        (400, "NotAuthorizedException", ErrorKind::Denied),
        (400, "UnrecognizedClientException", ErrorKind::Denied),
        (400, "ExpiredTokenException", ErrorKind::Denied),
        (400, "SomethingNewException", ErrorKind::Refused),
    ] {
        for operation in OPERATIONS {
            aws.refuses(status, code, "What the service says.").await;
            let error = call(&aws.pools, &aws.secrets, operation).await.unwrap_err();
            // This operation uses the code only for a label that has moved since it was observed.
            let moved = (operation, code) == ("UpdateSecretVersionStage", "InvalidParameterException");
            let kind = if moved { ErrorKind::Changed } else { kind };
            assert_eq!(error.kind, kind, "{operation} {code}");
            assert_eq!(
                error.to_string(),
                format!("{operation} on {} failed: {code}: What the service says.", error.subject)
            );
            assert!(!error.subject.is_empty(), "{operation}");
            let (target, _) = aws.sent().await;
            assert!(target.ends_with(&format!(".{operation}")), "{target} and not {operation}");
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_none_to_a_describe_and_done_to_a_delete() {
    let aws = Aws::start().await;
    for operation in OPERATIONS {
        aws.refuses(400, "ResourceNotFoundException", "User pool us-east-1_AbCdEfGhI does not exist.").await;
        let outcome = call(&aws.pools, &aws.secrets, operation).await;
        if operation.starts_with("Describe") || operation == "GetSecretValue" {
            assert_eq!(outcome.as_deref(), Ok("None"), "{operation}");
        } else if operation.starts_with("Delete") {
            assert_eq!(outcome.as_deref(), Ok("()"), "{operation}");
        } else {
            assert_eq!(outcome.map_err(|error| error.kind), Err(ErrorKind::Changed), "{operation}");
        }
    }
}

#[tokio::test]
async fn cognitos_one_code_for_everything_is_told_apart_by_its_message() {
    let aws = Aws::start().await;
    let code = "InvalidParameterException";
    for (operation, message, kind) in [
        ("CreateUserPoolDomain", "Domain already associated with another user pool.", ErrorKind::Changed),
        ("CreateUserPoolDomain", "User pool already has a domain configured", ErrorKind::Changed),
        ("CreateUserPoolDomain", "Domain cannot contain reserved word: aws", ErrorKind::Refused),
        ("CreateResourceServer", "A resource server with that identifier already exists.", ErrorKind::Changed),
        ("DeleteUserPool", "It has a domain configured that should be deleted first.", ErrorKind::Changed),
        (
            "DeleteUserPool",
            "The user pool cannot be deleted because deletion protection is activated.",
            ErrorKind::Refused,
        ),
        ("DeleteUserPoolDomain", "Something about the domain.", ErrorKind::Refused),
        ("UpdateUserPoolClient", "Something already exists.", ErrorKind::Refused),
    ] {
        aws.refuses(400, code, message).await;
        let error = call(&aws.pools, &aws.secrets, operation).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{operation}");
    }
    aws.refuses(400, code, "No such domain or user pool exists.").await;
    assert_eq!(call(&aws.pools, &aws.secrets, "DeleteUserPoolDomain").await.as_deref(), Ok("()"));
    aws.refuses(400, "ScopeDoesNotExistException", "Invalid scope requested: m2m-client/x").await;
    let error = call(&aws.pools, &aws.secrets, "UpdateUserPoolClient").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Changed);
}

#[tokio::test]
async fn a_secret_in_the_wrong_state_is_a_changed_world() {
    let aws = Aws::start().await;
    for (operation, code, message) in [
        ("CreateSecret", "ResourceExistsException", "The operation failed because the secret already exists."),
        (
            "CreateSecret",
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        ),
        (
            "GetSecretValue",
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        ),
        (
            "PutSecretValue",
            "ResourceExistsException",
            "You can't use ClientRequestToken token because that value is already in use for a version of this secret.",
        ),
    ] {
        // Secrets Manager capitalizes `Message` and may put a namespace before the code.
        let answer = json!({ "__type": format!("com.amazonaws.secretsmanager#{code}"), "Message": message });
        aws.answers(400, &answer).await;
        let error = call(&aws.pools, &aws.secrets, operation).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str(), error.message.as_str()), (ErrorKind::Changed, code, message));
    }
}

#[tokio::test]
async fn deleting_a_secret_that_is_scheduled_already_is_done() {
    let aws = Aws::start().await;
    for message in [
        "You can't perform this operation on the secret because it was already scheduled for deletion.",
        "You can't perform this operation on the secret because it was marked for deletion.",
        "You tried to perform the operation on a secret that's currently marked deleted.",
    ] {
        aws.refuses(400, "InvalidRequestException", message).await;
        assert_eq!(aws.secrets.delete_secret(&secret_name(), 7).await, Ok(()), "{message}");
    }
    for code in ["InvalidParameterException", "InvalidRequestException"] {
        let message = "You can't delete secret x that still has replica regions [us-west-2]";
        aws.refuses(400, code, message).await;
        let error = aws.secrets.delete_secret(&secret_name(), 7).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Changed, "the replicas go first: {error}");
    }
}

#[tokio::test]
async fn an_error_without_a_body_or_with_a_page_is_still_an_error_of_its_status() {
    let aws = Aws::start().await;
    for (status, body, kind) in [
        (500, "", ErrorKind::Lost),
        (502, "<html><body>Bad gateway</body></html>", ErrorKind::Lost),
        (503, "<html><body>Service unavailable</body></html>", ErrorKind::Lost),
        (400, "{}", ErrorKind::Refused),
        (403, "<html><body>Not through this proxy</body></html>", ErrorKind::Denied),
        (404, "", ErrorKind::Refused),
        (429, "slow down", ErrorKind::Throttled),
        // The status says success, so the change may have happened.
        (200, "<html><body>Sign in to the network</body></html>", ErrorKind::Lost),
    ] {
        for operation in ["CreateUserPool", "DeleteUserPoolClient", "PutSecretValue"] {
            aws.server.reset().await;
            let answer = ResponseTemplate::new(status).set_body_string(body);
            Mock::given(any()).respond_with(answer).mount(&aws.server).await;
            let error = call(&aws.pools, &aws.secrets, operation).await.map(|_| ()).unwrap_err();
            assert_eq!(error.kind, kind, "{operation} {status}: {error}");
            assert_eq!(aws.server.received_requests().await.unwrap().len(), 1, "{operation} {status}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_quoted() {
    let aws = Aws::start().await;
    let client = format!(r#"{{"UserPoolClient":{{"ClientId":"x","ClientSecret":"{CLIENT_SECRET}"#);
    let mistyped = format!(r#"{{"UserPoolClient":{{"ClientSecret":["{CLIENT_SECRET}"]}}}}"#);
    let value = format!(r#"{{"VersionId":"v1","SecretString":"{CLIENT_SECRET}"#);
    let added = format!(r#"{{"ClientSecretDescriptor":{{"ClientSecretValue":["{CLIENT_SECRET}"]}}}}"#);
    for (operation, body) in [
        ("CreateUserPoolClient", &client),
        ("DescribeUserPoolClient", &client),
        ("DescribeUserPoolClient", &mistyped),
        ("GetSecretValue", &value),
        ("AddUserPoolClientSecret", &added),
    ] {
        aws.server.reset().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string(body)).mount(&aws.server).await;
        let error = call(&aws.pools, &aws.secrets, operation).await.map(|_| ()).unwrap_err();
        assert_shows_no_secret(&error);
        assert_eq!(error.kind, ErrorKind::Lost, "{error}");
    }
}

#[tokio::test]
async fn the_code_is_read_from_the_header_too() {
    let aws = Aws::start().await;
    let answer = ResponseTemplate::new(400)
        .insert_header("x-amzn-errortype", "LimitExceededException:http://internal.amazon.com/coral/")
        .set_body_string(r#"{"message":"Maximum number of user pools reached"}"#);
    Mock::given(any()).respond_with(answer).mount(&aws.server).await;
    let error = aws.pools.create_user_pool(&user_pool()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Quota, "LimitExceededException"));
}

#[tokio::test]
async fn an_error_of_twenty_kilobytes_arrives_whole() {
    let message = format!("1 validation error detected: {}", "é\"\n".repeat(5000));
    let aws = Aws::refusing(400, "InvalidParameterException", &message).await;
    let error = aws.pools.create_user_pool(&user_pool()).await.unwrap_err();
    assert_eq!((error.kind, error.message), (ErrorKind::Refused, message));
}

#[tokio::test]
async fn an_error_that_quotes_the_client_secret_or_a_signed_url_comes_out_scrubbed() {
    let said = format!(
        "Value '{}' at 'secretString' failed; so did {CLIENT_SECRET}; see https://h/p?X-Amz-Signature=canary0",
        document_json()
    );
    let aws = Aws::refusing(400, "ValidationException", &said).await;
    for operation in ["CreateSecret", "PutSecretValue", "AddUserPoolClientSecret"] {
        let error = call(&aws.pools, &aws.secrets, operation).await.unwrap_err();
        assert_shows_no_secret(&error);
        assert!(!error.message.contains("canary0"), "{error}");
        assert!(error.message.contains("so did ***") && error.message.contains("secretString"), "{error}");
    }
}

#[tokio::test]
async fn a_lost_connection_may_have_happened_or_not_and_is_not_sent_again() {
    for operation in OPERATIONS {
        let server = Scripted::start(vec![Turn::Close, Turn::Close]).await;
        let config = sdk_config(&server.uri);
        let error = call(&Cognito::new(&config), &SecretsManager::new(&config), operation).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Lost, "ConnectionLost"), "{error}");
        assert_shows_no_secret(&error);
        assert_eq!(server.seen().len(), 1, "{operation}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_lost() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"UserPool\":";
    let server = Scripted::start(vec![Turn::Answer(half)]).await;
    let error = Cognito::new(&sdk_config(&server.uri)).create_user_pool(&user_pool()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Lost, "{error}");
}

#[tokio::test]
async fn an_answer_that_hangs_before_or_within_its_body_is_lost_after_twenty_seconds() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"UserPool\":";
    let time = Duration::from_secs(21);
    for turn in [Turn::HangFor(time), Turn::Stall(half, time)] {
        let server = Scripted::start(vec![turn]).await;
        let error = Cognito::new(&sdk_config(&server.uri)).create_user_pool(&user_pool()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Lost, "{error}");
        assert!(error.message.contains("timed out"), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_lost() {
    let server = Scripted::start(vec![Turn::Answer("SSH-2.0-OpenSSH_9.9\r\n\r\n")]).await;
    let error = Cognito::new(&sdk_config(&server.uri)).create_user_pool(&user_pool()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Lost, "ConnectionLost"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_service_at_which_nobody_listens_is_lost() {
    let config = sdk_config(&nobody().await);
    let error = Cognito::new(&config).list_user_pools(None).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Lost, "ConnectionLost"), "{error}");
}

#[tokio::test]
async fn a_call_without_credentials_is_denied_and_not_sent() {
    let aws = Aws::answering(json!({})).await;
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(aws.server.uri())
        .http_client(Http::default().for_sdk())
        .build();
    for operation in ["ListUserPools", "CreateSecret"] {
        let error = call(&Cognito::new(&config), &SecretsManager::new(&config), operation).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Denied, "NotSent"), "{error}");
        assert_shows_no_secret(&error);
    }
    assert_eq!(aws.server.received_requests().await.unwrap().len(), 0);
}
