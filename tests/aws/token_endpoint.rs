//! The token endpoint and the keys that sign its tokens.

use std::{sync::LazyLock, time::Duration};

use cognito_m2m::{
    aws::{Http, TokenClient},
    clock::wall_clock,
    model::desired::SecretMetadata,
    ports::{ExpectedToken, TokenEndpoint, TokenError},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use crate::{
    signing::{SigningKey, with},
    support::{
        BASIC, CLIENT_ID, CLIENT_SECRET, JWKS_PATH, Scripted, TOKEN_PATH, Turn, assert_shows_no_secret, client_id,
        client_secret, header, metadata, nobody, sdk_config,
    },
};

pub static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::new("key-1"));
/// Another key under the id of `KEY`.
static IMPOSTOR: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::new("key-1"));

/// The claims of a good token, as Cognito makes them.
pub fn claims() -> Value {
    let now = wall_clock().as_secs();
    json!({
        "sub": CLIENT_ID, "token_use": "access", "scope": "m2m-client/read m2m-client/write", "auth_time": now,
        "iss": metadata().issuer, "exp": now + 3600, "iat": now, "version": 2, "jti": "0a1b", "client_id": CLIENT_ID,
    })
}

pub fn key_set() -> Value {
    json!({ "keys": [with(KEY.jwk(), &json!({ "kid": "key-0" })), KEY.jwk()] })
}

fn oauth() -> TokenClient {
    TokenClient::new(&sdk_config("http://localhost:1"), &Http::default())
}

fn expected_at(token_uri: &str, jwks_uri: &str) -> ExpectedToken {
    let token_endpoint = format!("{token_uri}{TOKEN_PATH}");
    ExpectedToken {
        client_id: client_id(),
        metadata: SecretMetadata { token_endpoint, jwks_uri: format!("{jwks_uri}{JWKS_PATH}"), ..metadata() },
    }
}

fn granted(token: &str) -> ResponseTemplate {
    let answer = json!({ "access_token": token, "expires_in": 3600, "token_type": "Bearer" });
    ResponseTemplate::new(200).set_body_json(answer)
}

async fn token_server(token: ResponseTemplate, keys: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path(TOKEN_PATH)).respond_with(token).mount(&server).await;
    Mock::given(method("GET")).and(path(JWKS_PATH)).respond_with(keys).mount(&server).await;
    server
}

/// Verifies a token with these two answers, and fails if an error shows a secret.
async fn verify(token: ResponseTemplate, keys: ResponseTemplate) -> Result<(), TokenError> {
    let server = token_server(token, keys).await;
    let outcome = oauth().verify(&expected_at(&server.uri(), &server.uri()), &client_secret()).await;
    if let Err(error) = &outcome {
        assert_shows_no_secret(error);
    }
    outcome
}

/// Calls [`verify`] with a granted token, and fails if an error shows a part of it.
async fn verify_token(token: &str) -> Result<(), TokenError> {
    let outcome = verify(granted(token), ResponseTemplate::new(200).set_body_json(key_set())).await;
    if let Err(error) = &outcome {
        let shown = format!("{error} {error:?}");
        for part in token.split('.').filter(|part| part.len() > 8) {
            assert!(!shown.contains(part), "a part of the token is shown");
        }
    }
    outcome
}

fn refusal(outcome: Result<(), TokenError>) -> String {
    match outcome {
        Err(TokenError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn unreachability(outcome: Result<(), TokenError>) -> String {
    match outcome {
        Err(TokenError::Unreachable(why)) => why,
        other => panic!("not unreachable: {other:?}"),
    }
}

#[tokio::test]
async fn a_good_token_is_verified() {
    assert_eq!(verify_token(&KEY.sign(&claims())).await, Ok(()));
    // The order of scopes means nothing.
    let token = KEY.sign(&with(claims(), &json!({ "scope": "m2m-client/write m2m-client/read" })));
    assert_eq!(verify_token(&token).await, Ok(()));
}

#[tokio::test]
async fn the_keys_are_fetched_once_for_many_tokens_and_again_for_a_new_key() {
    let others =
        ResponseTemplate::new(200).set_body_json(json!({ "keys": [with(KEY.jwk(), &json!({ "kid": "old" }))] }));
    let server = token_server(granted(&KEY.sign(&claims())), others).await;
    let (client, expected, secret) = (oauth(), expected_at(&server.uri(), &server.uri()), client_secret());
    refusal(client.verify(&expected, &secret).await);
    server.reset().await;

    let keys = ResponseTemplate::new(200).set_body_json(key_set());
    for (place, answer) in
        [("GET", JWKS_PATH), ("POST", TOKEN_PATH)].into_iter().zip([keys, granted(&KEY.sign(&claims()))])
    {
        Mock::given(method(place.0)).and(path(place.1)).respond_with(answer).mount(&server).await;
    }
    assert_eq!(client.verify(&expected, &secret).await, Ok(()), "the new key is fetched");
    let checks = futures::future::join_all((0..5).map(|_| client.verify(&expected, &secret))).await;
    assert_eq!(checks, vec![Ok(()); 5]);
    let requests = server.received_requests().await.unwrap();
    let count = |wanted: &str| requests.iter().filter(|request| request.method.as_str() == wanted).count();
    assert_eq!((count("POST"), count("GET")), (6, 1));
}

#[tokio::test]
async fn a_token_is_asked_for_as_cognito_wants_and_the_keys_without_credentials() {
    let keys = ResponseTemplate::new(200).set_body_json(key_set());
    let server = token_server(granted(&KEY.sign(&claims())), keys).await;
    oauth().verify(&expected_at(&server.uri(), &server.uri()), &client_secret()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    let of = |path: &str| requests.iter().find(|request| request.url.path() == path).unwrap();

    let token = of(TOKEN_PATH);
    assert_eq!((token.method.as_str(), token.url.query()), ("POST", None));
    assert_eq!(header(token, "authorization"), format!("Basic {BASIC}"));
    assert_eq!(header(token, "content-type"), "application/x-www-form-urlencoded");
    // Without a scope, the endpoint grants all scopes of the client.
    assert_eq!(token.body, b"grant_type=client_credentials");

    let keys = of(JWKS_PATH);
    assert_eq!(keys.method.as_str(), "GET");
    assert!(keys.headers.get("authorization").is_none() && keys.body.is_empty());
}

#[tokio::test]
async fn a_token_with_a_wrong_claim_is_refused_by_the_claims_name() {
    let past = wall_clock().as_secs() - 1;
    for (change, named) in [
        (json!({ "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Another" }), "InvalidIssuer"),
        (json!({ "iss": null }), "iss"),
        (json!({ "exp": past }), "ExpiredSignature"),
        (json!({ "exp": null }), "exp"),
        (json!({ "client_id": "another" }), "client_id"),
        (json!({ "client_id": null }), "null"),
        (json!({ "token_use": "id" }), "token_use"),
        (json!({ "scope": "m2m-client/read" }), "scopes"),
        (json!({ "scope": "m2m-client/read m2m-client/write aws.cognito.signin.user.admin" }), "scopes"),
        (json!({ "scope": "" }), "scopes"),
    ] {
        let why = refusal(verify_token(&KEY.sign(&with(claims(), &change))).await);
        assert!(why.contains(named), "{change}: {why}");
    }
    for (left_out, named) in
        [("iss", "iss"), ("exp", "exp"), ("client_id", "client_id"), ("token_use", "token_use"), ("scope", "scopes")]
    {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(left_out);
        let why = refusal(verify_token(&KEY.sign(&claims)).await);
        assert!(why.contains(named), "without {left_out}: {why}");
    }
}

#[tokio::test]
async fn a_token_that_the_pools_key_did_not_sign_is_refused() {
    let why = refusal(verify_token(&IMPOSTOR.sign(&claims())).await);
    assert!(why.contains("InvalidSignature"), "{why}");

    // The signature of one token under the claims of another.
    let (good, wider) = (KEY.sign(&claims()), IMPOSTOR.sign(&with(claims(), &json!({ "scope": "admin" }))));
    let (good_parts, wider_parts): (Vec<_>, Vec<_>) = (good.split('.').collect(), wider.split('.').collect());
    let forged = [good_parts[0], wider_parts[1], good_parts[2]].join(".");
    let why = refusal(verify_token(&forged).await);
    assert!(why.contains("InvalidSignature"), "{why}");
}

#[tokio::test]
async fn a_token_whose_key_is_not_in_the_set_is_refused() {
    let unknown = SigningKey { key: KEY.key.clone(), kid: "key-9" };
    let why = refusal(verify_token(&unknown.sign(&claims())).await);
    assert!(why.contains("key") && why.contains(JWKS_PATH), "{why}");

    let without_kid = encode(&Header::new(Algorithm::RS256), &claims(), &KEY.key).unwrap();
    let why = refusal(verify_token(&without_kid).await);
    assert!(why.contains("key") && why.contains(JWKS_PATH), "{why}");
}

#[tokio::test]
async fn a_token_of_another_algorithm_is_refused_before_its_signature_is_looked_at() {
    // Algorithm confusion: the attacker uses the public key as the secret of a symmetric signature.
    let public = KEY.jwk()["n"].as_str().unwrap().to_owned();
    let header = Header { kid: Some("key-1".to_owned()), ..Header::new(Algorithm::HS256) };
    let symmetric = encode(&header, &claims(), &EncodingKey::from_secret(public.as_bytes())).unwrap();
    let why = refusal(verify_token(&symmetric).await);
    assert!(why.contains("HS256") && why.contains("RS256"), "{why}");

    let header = Header { kid: Some("key-1".to_owned()), ..Header::new(Algorithm::RS512) };
    let why = refusal(verify_token(&encode(&header, &claims(), &KEY.key).unwrap()).await);
    assert!(why.contains("RS512"), "{why}");

    let signed = KEY.sign(&claims());
    let payload = signed.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"}
    let why = refusal(verify_token(&format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.")).await);
    assert!(why.contains("none"), "{why}");
}

#[tokio::test]
async fn what_is_no_token_at_all_is_refused_and_not_quoted() {
    for nonsense in ["", "canarycanarycanary", "canarycanary.canarycanary.canarycanary", "{\"canarycanary\":1}"] {
        let why = refusal(verify_token(nonsense).await);
        assert!(why.contains("not a JWT") && !why.contains("canary"), "{why}");
    }
}

#[tokio::test]
async fn an_oauth_error_is_refused_with_its_code() {
    let keys = || ResponseTemplate::new(200).set_body_json(key_set());
    for (status, answer, said) in [
        (400, json!({ "error": "invalid_client" }), "HTTP 400 invalid_client"),
        (401, json!({ "error": "invalid_client" }), "HTTP 401 invalid_client"),
        (400, json!({ "error": "invalid_grant", "error_description": null }), "HTTP 400 invalid_grant"),
        (
            400,
            json!({ "error": "invalid_scope", "error_description": "No such scope", "error_uri": "https://x" }),
            "HTTP 400 invalid_scope: No such scope",
        ),
        (
            400,
            json!({ "error": "invalid_client", "error_description": format!("'{CLIENT_SECRET}' is wrong") }),
            "HTTP 400 invalid_client: '***' is wrong",
        ),
    ] {
        let why = refusal(verify(ResponseTemplate::new(status).set_body_json(answer), keys()).await);
        assert!(why.contains(TOKEN_PATH) && why.ends_with(said), "{why}");
    }
}

#[tokio::test]
async fn what_is_not_the_endpoints_own_word_is_unreachable() {
    let page = "<html><body>canary page</body></html>";
    let oauth_error = r#"{"error":"temporarily_unavailable"}"#;
    for (status, body) in [
        (200, page),
        (200, ""),
        (200, "{}"),
        (200, r#"{"access_token":17}"#),
        (302, ""),
        (400, page),
        (400, "{}"),
        (401, r#"{"message":"canary"}"#),
        (403, page),
        (404, page),
        (429, oauth_error),
        (500, oauth_error),
        (500, ""),
        (502, page),
        (503, oauth_error),
    ] {
        let keys = ResponseTemplate::new(200).set_body_json(key_set());
        let why = unreachability(verify(ResponseTemplate::new(status).set_body_string(body), keys).await);
        assert!(why.contains(TOKEN_PATH) && !why.contains("canary"), "{status} {body}: {why}");

        let good = granted(&KEY.sign(&claims()));
        let why = unreachability(verify(good, ResponseTemplate::new(status).set_body_string(body)).await);
        assert!(why.contains(JWKS_PATH) && !why.contains("canary"), "{status} {body}: {why}");
    }
}

/// Asks if the endpoint accepts the credentials, and fails if an error shows a secret.
async fn accepts(answer: ResponseTemplate) -> Result<bool, TokenError> {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path(TOKEN_PATH)).respond_with(answer).mount(&server).await;
    // The server has no keys, because the content of the token does not matter here.
    let outcome = oauth().accepts(&expected_at(&server.uri(), &server.uri()), &client_secret()).await;
    if let Err(error) = &outcome {
        assert_shows_no_secret(error);
    }
    let requests = server.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("{} requests were sent, not one", requests.len()) };
    assert_eq!(header(request, "authorization"), format!("Basic {BASIC}"));
    assert_eq!(request.body, b"grant_type=client_credentials");
    outcome
}

#[tokio::test]
async fn a_secret_is_accepted_if_it_gets_a_token() {
    assert_eq!(accepts(granted(&KEY.sign(&claims()))).await, Ok(true));
    // The content of the token does not matter.
    assert_eq!(accepts(granted("canary")).await, Ok(true));
}

#[tokio::test]
async fn a_secret_is_not_accepted_if_the_endpoint_says_that_it_is_wrong() {
    for (status, answer) in [
        (400, json!({ "error": "invalid_client" })),
        (401, json!({ "error": "invalid_client" })),
        (400, json!({ "error": "invalid_client", "error_description": format!("'{CLIENT_SECRET}' is wrong") })),
    ] {
        let outcome = accepts(ResponseTemplate::new(status).set_body_json(&answer)).await;
        assert_eq!(outcome, Ok(false), "{status} {}", answer["error"]);
    }
}

#[tokio::test]
async fn a_refusal_for_another_reason_says_nothing_of_the_secret() {
    for error in ["unauthorized_client", "invalid_grant", "invalid_scope", "invalid_request"] {
        let answer = json!({ "error": error, "error_description": "No such scope" });
        let outcome = accepts(ResponseTemplate::new(400).set_body_json(&answer)).await;
        assert!(matches!(&outcome, Err(TokenError::Refused(why)) if why.contains(error)), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_is_not_the_endpoints_own_word_says_nothing_of_the_secret() {
    let oauth_error = r#"{"error":"invalid_client"}"#;
    let page = "<html><body>canary invalid_client</body></html>";
    for (status, body) in [
        (200, page),
        (200, oauth_error),
        (302, ""),
        (302, oauth_error),
        (400, page),
        (400, r#"{"message":"canary invalid_client"}"#),
        (404, page),
        (429, oauth_error),
        (500, oauth_error),
        (502, page),
        (503, ""),
    ] {
        let outcome = accepts(ResponseTemplate::new(status).set_body_string(body)).await;
        let said = |why: &str| why.contains(TOKEN_PATH) && !why.contains("canary");
        assert!(matches!(&outcome, Err(TokenError::Unreachable(why)) if said(why)), "{status} {body}: {outcome:?}");
    }
    for uri in [nobody().await, Scripted::start(vec![Turn::Close]).await.uri] {
        let outcome = oauth().accepts(&expected_at(&uri, &uri), &client_secret()).await;
        assert!(matches!(&outcome, Err(TokenError::Unreachable(_))), "{outcome:?}");
        assert_shows_no_secret(&outcome.unwrap_err());
    }
}

#[tokio::test]
async fn a_refusal_is_final_even_if_the_keys_cannot_be_read() {
    // The keys fail before the refusal arrives. The order must not matter.
    let refused = ResponseTemplate::new(400)
        .set_body_json(json!({ "error": "invalid_client" }))
        .set_delay(Duration::from_millis(300));
    let why = refusal(verify(refused, ResponseTemplate::new(503)).await);
    assert!(why.contains("invalid_client"), "{why}");
}

#[tokio::test]
async fn a_connection_that_breaks_or_was_never_there_is_unreachable() {
    let keys = || ResponseTemplate::new(200).set_body_json(key_set());
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"access_token\":\"canary";
    for turn in [Turn::Close, Turn::Answer(half)] {
        let good = token_server(granted(&KEY.sign(&claims())), keys()).await;
        let broken = Scripted::start(vec![turn]).await;
        let outcome = oauth().verify(&expected_at(&broken.uri, &good.uri()), &client_secret()).await;
        assert_shows_no_secret(outcome.as_ref().unwrap_err());
        let why = unreachability(outcome);
        assert!(why.contains(TOKEN_PATH) && !why.contains("canary"), "{why}");
        assert_eq!(broken.seen().len(), 1);
    }
    let nobody = nobody().await;
    let outcome = oauth().verify(&expected_at(&nobody, &nobody), &client_secret()).await;
    assert_shows_no_secret(outcome.as_ref().unwrap_err());
    assert!(unreachability(outcome).contains(TOKEN_PATH));
}

#[tokio::test]
async fn the_credentials_follow_no_redirect() {
    let elsewhere = MockServer::start().await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        let keys = ResponseTemplate::new(200).set_body_json(key_set());
        let why = unreachability(verify(redirect, keys).await);
        assert!(why.contains(&status.to_string()), "{why}");
    }
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_answer_of_more_than_a_mebibyte_is_given_up() {
    let padded = |bytes: usize| format!("{}{}", json!({ "access_token": "canary" }), " ".repeat(bytes));
    assert_eq!(accepts(ResponseTemplate::new(200).set_body_string(padded(1_000_000))).await, Ok(true));
    let outcome = accepts(ResponseTemplate::new(200).set_body_string(padded(1024 * 1024))).await;
    assert!(matches!(&outcome, Err(TokenError::Unreachable(why)) if why.contains("more than")), "{outcome:?}");
}

#[tokio::test]
async fn an_answer_that_hangs_before_or_within_its_body_is_given_up_after_twenty_seconds() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"access_token\":\"canary";
    let time = Duration::from_secs(21);
    for turn in [Turn::HangFor(time), Turn::Stall(half, time)] {
        let server = Scripted::start(vec![turn]).await;
        let outcome = oauth().accepts(&expected_at(&server.uri, &server.uri), &client_secret()).await;
        let said = |why: &str| why.contains("timed out") && !why.contains("canary");
        assert!(matches!(&outcome, Err(TokenError::Unreachable(why)) if said(why)), "{outcome:?}");
        assert_eq!(server.seen().len(), 1);
    }
}
