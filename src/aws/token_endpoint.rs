//! The token endpoint and the keys that sign its tokens.

use std::collections::BTreeSet;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde::Deserialize;
use serde_json::Value;

use super::http::{Http, HttpResponse, send};
use crate::{
    ports::{AccessToken, ExpectedToken, TokenEndpoint, TokenError, Tokens},
    redact::{self, Secret},
};

const TOO_MANY_REQUESTS: u16 = 429;

/// Requests and verifies access tokens.
#[derive(Clone, Debug)]
pub struct TokenClient {
    http: Http,
}

/// <https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html>
#[derive(Deserialize)]
struct Granted {
    access_token: Secret<String>,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    expires_in: u64,
}

/// <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>
#[derive(Deserialize)]
struct Denied {
    error: String,
    error_description: Option<String>,
}

/// <https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html>
#[derive(Deserialize)]
struct AccessClaims {
    client_id: String,
    token_use: String,
    #[serde(default)]
    scope: String,
}

impl TokenClient {
    /// Creates a client that sends its requests with `http`.
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self { http }
    }

    /// Gets one token by the client credentials grant.
    /// <https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html>
    async fn token(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
        scopes: &[String],
    ) -> Result<AccessToken, TokenError> {
        let url = &expected.metadata.token_endpoint;
        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        if !scopes.is_empty() {
            form.push(("scope", scopes.join(" ")));
        }
        let client = self.http.client().map_err(|why| unreachable(url, &why))?;
        let request = client.post(url).basic_auth(&expected.client_id, Some(secret.expose())).form(&form);
        let HttpResponse { status, body } = send(request).await.map_err(|why| unreachable(url, &why))?;
        if is_success(status) {
            let granted: Granted =
                serde_json::from_str(body.expose()).map_err(|_| unreachable(url, "the response is not a token"))?;
            let Granted { access_token: token, token_type, expires_in } = granted;
            return Ok(AccessToken { token, token_type, expires_in });
        }
        Err(refusal(url, status, &body, secret))
    }

    /// Gets the keys that sign the pool's tokens.
    async fn keys(&self, url: &str) -> Result<JwkSet, TokenError> {
        let client = self.http.client().map_err(|why| unreachable(url, &why))?;
        let HttpResponse { status, body } = send(client.get(url)).await.map_err(|why| unreachable(url, &why))?;
        if !is_success(status) {
            return Err(unreachable(url, &format!("it answers HTTP {status}")));
        }
        serde_json::from_str(body.expose()).map_err(|_| unreachable(url, "the response is not a key set"))
    }
}

/// Reads an answer that is not a token. Only an OAuth error is the endpoint's own refusal: a domain that
/// is not live yet answers with other pages.
fn refusal(url: &str, status: u16, body: &Secret<String>, secret: &Secret<String>) -> TokenError {
    match serde_json::from_str::<Denied>(body.expose()) {
        Ok(Denied { error, error_description }) if (400..500).contains(&status) && status != TOO_MANY_REQUESTS => {
            let said = error_description.map(|text| format!(": {text}")).unwrap_or_default();
            let said = redact::sanitize(&redact::without(&format!("{error}{said}"), secret.expose()));
            TokenError::Refused(format!("{url} answers HTTP {status} {said}"))
        }
        _ => unreachable(url, &format!("it answers HTTP {status}")),
    }
}

impl TokenEndpoint for TokenClient {
    async fn accepts(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<bool, TokenError> {
        match self.token(expected, secret, &[]).await {
            Ok(_) => Ok(true),
            Err(TokenError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn verify(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<(), TokenError> {
        let (token, keys) =
            futures::future::join(self.token(expected, secret, &[]), self.keys(&expected.metadata.jwks_uri)).await;
        // The token's error comes first: a refusal is final even if the keys cannot be read.
        check(expected, &token?.token, &keys?).map_err(TokenError::Refused)?;
        Ok(())
    }
}

impl Tokens for TokenClient {
    async fn request(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
        scopes: &[String],
    ) -> Result<AccessToken, TokenError> {
        self.token(expected, secret, scopes).await
    }

    async fn claims(&self, expected: &ExpectedToken, token: &Secret<String>) -> Result<Value, TokenError> {
        let keys = self.keys(&expected.metadata.jwks_uri).await?;
        check(expected, token, &keys).map_err(TokenError::Refused)
    }
}

/// Checks the signature, `iss`, `exp`, `client_id`, `token_use` and the exact scopes. Returns all claims.
fn check(expected: &ExpectedToken, token: &Secret<String>, keys: &JwkSet) -> Result<Value, String> {
    let jwks_uri = &expected.metadata.jwks_uri;
    let header = decode_header(token.expose()).map_err(|error| format!("the access token is not a JWT: {error}"))?;
    if header.alg != Algorithm::RS256 {
        return Err(format!("the access token is signed by {:?} and not by RS256", header.alg));
    }
    let key = header
        .kid
        .as_deref()
        .and_then(|kid| keys.find(kid))
        .ok_or_else(|| format!("the key that signed the access token is not in {jwks_uri}"))?;
    let key = DecodingKey::from_jwk(key).map_err(|error| format!("the key in {jwks_uri} cannot be used: {error}"))?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_required_spec_claims(&["exp", "iss"]);
    validation.set_issuer(&[&expected.metadata.issuer]);
    // A client's access token has no audience.
    validation.validate_aud = false;
    let all: Value = decode(token.expose(), &key, &validation)
        .map_err(|error| format!("the access token does not hold against {jwks_uri}: {error}"))?
        .claims;
    let claims = AccessClaims::deserialize(&all)
        .map_err(|error| format!("the access token does not hold against {jwks_uri}: {error}"))?;
    if claims.client_id != expected.client_id.as_str() {
        return Err("client_id is another client's".to_owned());
    }
    if claims.token_use != "access" {
        return Err(format!("token_use is {:?} and not \"access\"", claims.token_use));
    }
    let granted: BTreeSet<&str> = claims.scope.split_whitespace().collect();
    let wanted: BTreeSet<&str> = expected.metadata.scope.split_whitespace().collect();
    if granted != wanted {
        return Err(format!("the scopes are {:?} and not {:?}", claims.scope, expected.metadata.scope));
    }
    Ok(all)
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn unreachable(url: &str, why: &str) -> TokenError {
    TokenError::Unreachable(format!("{url}: {why}"))
}
