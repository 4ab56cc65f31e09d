//! GetClientToken: what is sent, where to, and how every answer is read.

use aws_config::SdkConfig;
use cognito_m2m::{
    aws::{Http, TokenClient},
    model::{TokenService, desired::SecretMetadata},
    ports::{ExpectedToken, TokenEndpoint, TokenError, Tokens},
};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

use crate::{
    signing::with,
    support::{
        CLIENT_ID, CLIENT_SECRET, JWKS_PATH, assert_shows_no_secret, client_id, client_secret, header, metadata,
        nobody, pool_id, sdk_config,
    },
    token_endpoint::{KEY, claims, key_set},
};

/// What the secret says. Nothing in it is an address of this machine: the configured endpoint decides.
fn expected() -> ExpectedToken {
    let metadata = SecretMetadata {
        token_service: TokenService::GetClientToken,
        token_endpoint: "https://cognito-idp.us-east-1.amazonaws.com/".to_owned(),
        ..metadata()
    };
    ExpectedToken { client_id: client_id(), metadata }
}

fn client(config: &SdkConfig) -> TokenClient {
    TokenClient::new(config, &Http::default())
}

fn granted(token: &str) -> ResponseTemplate {
    let result = json!({ "AccessToken": token, "ExpiresIn": 3600, "TokenType": "Bearer" });
    ResponseTemplate::new(200).set_body_json(json!({ "ClientAuthenticationResult": result }))
}

fn refusing(status: u16, code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "__type": code, "message": message }))
}

/// Cognito's API and its keys.
async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path("/")).respond_with(answer).mount(&server).await;
    let keys = ResponseTemplate::new(200).set_body_json(key_set());
    let keys_path = format!("/{}/.well-known/jwks.json", pool_id());
    Mock::given(method("GET")).and(path(keys_path)).respond_with(keys).mount(&server).await;
    server
}

async fn accepts(answer: ResponseTemplate) -> Result<bool, TokenError> {
    let server = server(answer).await;
    let outcome = client(&sdk_config(&server.uri())).accepts(&expected(), &client_secret()).await;
    if let Err(error) = &outcome {
        assert_shows_no_secret(error);
    }
    outcome
}

async fn verify(answer: ResponseTemplate) -> Result<(), TokenError> {
    let server = server(answer).await;
    let outcome = client(&sdk_config(&server.uri())).verify(&expected(), &client_secret()).await;
    if let Err(error) = &outcome {
        assert_shows_no_secret(error);
    }
    outcome
}

fn only_post(requests: &[Request]) -> &Request {
    let posts: Vec<_> = requests.iter().filter(|request| request.method.as_str() == "POST").collect();
    let [post] = posts.as_slice() else { panic!("{} calls were sent, not one", posts.len()) };
    post
}

#[tokio::test]
async fn the_call_is_posted_to_the_configured_endpoint_without_a_signature() {
    let server = server(granted(&KEY.sign(&claims()))).await;
    // With and without a slash at its end.
    for uri in [server.uri(), format!("{}/", server.uri())] {
        assert_eq!(client(&sdk_config(&uri)).verify(&expected(), &client_secret()).await, Ok(()));
        let requests = server.received_requests().await.unwrap();
        let post = only_post(&requests);
        assert_eq!((post.url.path(), post.url.query()), ("/", None));
        assert_eq!(header(post, "x-amz-target"), "AWSCognitoIdentityProviderService.GetClientToken");
        assert_eq!(header(post, "content-type"), "application/x-amz-json-1.1");
        for signed in ["authorization", "x-amz-date", "x-amz-security-token"] {
            assert!(post.headers.get(signed).is_none(), "{signed}");
        }
        // Without scopes, Cognito grants all that the client has.
        let body: Value = serde_json::from_slice(&post.body).unwrap();
        assert!(body == json!({ "ClientId": CLIENT_ID, "Secret": CLIENT_SECRET }), "another body");
        let keys = requests.iter().find(|request| request.method.as_str() == "GET").unwrap();
        assert!(keys.url.path().ends_with(JWKS_PATH) && keys.headers.get("authorization").is_none());
        server.reset().await;
        Mock::given(method("POST")).respond_with(granted(&KEY.sign(&claims()))).mount(&server).await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(200).set_body_json(key_set()))
            .mount(&server)
            .await;
    }
}

#[tokio::test]
async fn scopes_are_asked_for_by_name() {
    let server = server(granted("token")).await;
    let scopes = ["m2m-client/read".to_owned()];
    let got = client(&sdk_config(&server.uri())).request(&expected(), &client_secret(), &scopes).await.unwrap();
    assert!(got.token.expose() == "token");
    assert_eq!((got.token_type.as_str(), got.expires_in), ("Bearer", 3600));
    let requests = server.received_requests().await.unwrap();
    let body: Value = serde_json::from_slice(&only_post(&requests).body).unwrap();
    assert_eq!(body["Scopes"], json!(scopes));
}

#[tokio::test]
async fn a_token_of_the_api_is_checked_like_any_other() {
    for (change, named) in [
        (json!({ "client_id": "another" }), "client_id"),
        (json!({ "scope": "m2m-client/read" }), "scopes"),
        (json!({ "token_use": "id" }), "token_use"),
    ] {
        let outcome = verify(granted(&KEY.sign(&with(claims(), &change)))).await;
        assert!(matches!(&outcome, Err(TokenError::Refused(why)) if why.contains(named)), "{outcome:?}");
    }
}

#[tokio::test]
async fn only_a_wrong_secret_is_an_answer_about_the_secret() {
    let wrong = "Invalid client or secret";
    for code in ["NotAuthorizedException", "com.amazonaws.cognito#NotAuthorizedException"] {
        assert_eq!(accepts(refusing(400, code, wrong)).await, Ok(false), "{code}");
    }
    assert_eq!(accepts(granted("canary")).await, Ok(true), "the content of the token does not matter");
    for (code, message) in [
        ("NotAuthorizedException", "ALLOW_CLIENT_TOKEN_AUTH is not enabled for the client."),
        ("InvalidParameterException", "Client must have ALLOW_CLIENT_TOKEN_AUTH"),
        (
            "NotAuthorizedException",
            "PrivateLink access is disabled for the user pool that has ManagedLogin configured.",
        ),
        ("ResourceNotFoundException", "User pool client does not exist."),
        ("LimitExceededException", "quota"),
    ] {
        let outcome = accepts(refusing(400, code, message)).await;
        assert!(
            matches!(&outcome, Err(TokenError::Refused(why)) if why.contains(code) && why.contains(message)),
            "{outcome:?}"
        );
    }
    // It is a definite refusal for whoever wants a token.
    let outcome = verify(refusing(400, "NotAuthorizedException", wrong)).await;
    assert!(matches!(&outcome, Err(TokenError::Refused(why)) if why.contains(wrong)), "{outcome:?}");
}

#[tokio::test]
async fn throttling_and_faults_of_the_service_are_no_answer() {
    for (status, code) in [
        (400, "TooManyRequestsException"),
        (400, "ThrottlingException"),
        (429, "Anything"),
        (500, "InternalErrorException"),
        (400, "InternalErrorException"),
        (503, "ServiceUnavailable"),
    ] {
        // Whatever the message says.
        let answer = refusing(status, code, "Invalid client or secret");
        for outcome in [accepts(answer.clone()).await.map(drop), verify(answer.clone()).await] {
            assert!(matches!(outcome, Err(TokenError::Unreachable(_))), "{status} {code}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_the_services_own_word_is_unreachable_and_not_quoted() {
    let page = "<html>canary Invalid client or secret</html>";
    for (status, body) in [
        (200, page),
        (200, "{}"),
        (200, r#"{"ClientAuthenticationResult":{}}"#),
        (302, ""),
        (400, page),
        (403, r#"{"message":"canary Invalid client or secret"}"#),
        (404, "{}"),
        (502, page),
    ] {
        let outcome = accepts(ResponseTemplate::new(status).set_body_string(body)).await;
        let said = |why: &str| !why.contains("canary");
        assert!(matches!(&outcome, Err(TokenError::Unreachable(why)) if said(why)), "{status} {body}: {outcome:?}");
    }
    let outcome = client(&sdk_config(&nobody().await)).accepts(&expected(), &client_secret()).await;
    assert!(matches!(&outcome, Err(TokenError::Unreachable(_))), "{outcome:?}");
    assert_shows_no_secret(&outcome.unwrap_err());
}

#[tokio::test]
async fn a_secret_that_the_service_quotes_is_taken_out() {
    let message = format!("Value '{CLIENT_SECRET}' at 'secret' failed to satisfy constraint");
    let outcome = accepts(refusing(400, "InvalidParameterException", &message)).await;
    assert!(matches!(&outcome, Err(TokenError::Refused(why)) if why.contains("'***'")), "{outcome:?}");
}

#[tokio::test]
async fn the_credentials_of_the_api_follow_no_redirect() {
    let elsewhere = MockServer::start().await;
    for status in [301, 302, 307, 308] {
        let redirect = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        assert!(matches!(accepts(redirect).await, Err(TokenError::Unreachable(_))));
    }
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}
