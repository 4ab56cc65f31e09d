//! The two ways to a token, the token endpoint and the operation GetClientToken, and the keys that sign the tokens.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use aws_config::SdkConfig;
use aws_sdk_cognitoidentityprovider::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_smithy_runtime_api::http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    cognito_endpoint,
    error::classify,
    http::{Http, HttpResponse, send},
};
use crate::{
    model::TokenService,
    ports::{AccessToken, ErrorKind, ExpectedToken, TokenEndpoint, TokenError, Tokens},
    redact::{self, Secret},
};

const TOO_MANY_REQUESTS: u16 = 429;

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GetClientToken.html>
const GET_CLIENT_TOKEN: &str = "GetClientToken";
const TARGET: &str = "AWSCognitoIdentityProviderService.GetClientToken";
/// What the token endpoint says if the secret is not one of the client's.
const WRONG_CLIENT: &str = "invalid_client";
/// What GetClientToken says if, and only if, the secret is not one of the client's.
const WRONG_SECRET: &str = "invalid client or secret";

/// Requests and verifies access tokens.
#[derive(Clone, Debug)]
pub struct TokenClient {
    http: Http,
    api: Api,
    known_keys: KnownKeys,
}

/// The keys of the pool whose tokens were checked last, and their URL. All clients of a run have the same.
type KnownKeys = Arc<Mutex<Option<(String, Arc<OnceCell<JwkSet>>)>>>;

/// Where the SDK sends calls of Cognito's API.
#[derive(Clone, Debug)]
struct Api {
    /// Such as an interface VPC endpoint, or a local cloud; without a slash at its end.
    configured: Option<String>,
    use_fips: bool,
    use_dual_stack: bool,
}

/// Why there is no token.
enum NotGranted {
    /// The credentials are not good, or the service does not know them yet.
    Credentials(String),
    /// The service refuses, and says nothing about the credentials.
    Refused(String),
    Unreachable(String),
}

impl From<NotGranted> for TokenError {
    fn from(error: NotGranted) -> Self {
        match error {
            NotGranted::Credentials(reason) | NotGranted::Refused(reason) => Self::Refused(reason),
            NotGranted::Unreachable(reason) => Self::Unreachable(reason),
        }
    }
}

/// A token, in the spelling of the token endpoint or in that of the API.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html>
#[derive(Deserialize)]
struct Granted {
    #[serde(alias = "AccessToken")]
    access_token: Secret<String>,
    #[serde(default, alias = "TokenType")]
    token_type: String,
    #[serde(default, alias = "ExpiresIn")]
    expires_in: u64,
}

impl From<Granted> for AccessToken {
    fn from(Granted { access_token: token, token_type, expires_in }: Granted) -> Self {
        Self { token, token_type, expires_in }
    }
}

/// <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>
#[derive(Deserialize)]
struct Denied {
    error: String,
    error_description: Option<String>,
}

/// What GetClientToken answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ApiGranted {
    client_authentication_result: Granted,
}

/// An error of the API.
/// <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization>
#[derive(Deserialize)]
struct ApiDenied {
    #[serde(rename = "__type")]
    code: String,
    #[serde(default, alias = "Message")]
    message: String,
}

/// <https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html>
#[derive(Deserialize)]
struct AccessClaims {
    client_id: String,
    token_use: String,
    #[serde(default)]
    scope: String,
}

impl Api {
    fn of(config: &SdkConfig) -> Self {
        Self {
            configured: cognito_endpoint(config).map(|url| url.trim_end_matches('/').to_owned()),
            use_fips: config.use_fips().unwrap_or_default(),
            use_dual_stack: config.use_dual_stack().unwrap_or_default(),
        }
    }

    /// Returns the URL that the SDK would post a call about the pool to. The pool's own region counts: the secret may
    /// have been read from a replica in another one.
    async fn url(&self, expected: &ExpectedToken) -> String {
        let Self { configured, use_fips, use_dual_stack } = self;
        let parameters = Params::builder()
            .region(expected.metadata.user_pool_id.region())
            .use_fips(*use_fips)
            .use_dual_stack(*use_dual_stack)
            .set_endpoint(configured.clone());
        let resolved = match parameters.build() {
            Ok(parameters) => DefaultResolver::new().resolve_endpoint(&parameters).await.ok(),
            Err(_) => None,
        };
        let url = resolved.map_or_else(|| expected.metadata.token_endpoint.clone(), |found| found.url().to_owned());
        format!("{}/", url.trim_end_matches('/'))
    }
}

impl TokenClient {
    /// Creates a client that sends its requests with `http`, and calls of the API to the endpoint in `config`.
    #[must_use]
    pub fn new(config: &SdkConfig, http: &Http) -> Self {
        Self { http: http.clone(), api: Api::of(config), known_keys: KnownKeys::default() }
    }

    /// Gets one token in the way that the client's secret names.
    async fn token(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
        scopes: &[String],
    ) -> Result<AccessToken, NotGranted> {
        match expected.metadata.token_service {
            TokenService::OAuth2 => self.token_of_domain(expected, secret, scopes).await,
            TokenService::GetClientToken => self.token_of_api(expected, secret, scopes).await,
        }
    }

    /// Gets one token by the client credentials grant.
    /// <https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html>
    async fn token_of_domain(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
        scopes: &[String],
    ) -> Result<AccessToken, NotGranted> {
        let url = &expected.metadata.token_endpoint;
        let silent = |why: &str| NotGranted::Unreachable(about(url, why));
        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        if !scopes.is_empty() {
            form.push(("scope", scopes.join(" ")));
        }
        let client = self.http.client().map_err(|why| silent(&why))?;
        let request = client.post(url).basic_auth(&expected.client_id, Some(secret.expose())).form(&form);
        let HttpResponse { status, body } = send(request).await.map_err(|why| silent(&why))?;
        if is_success(status) {
            let granted: Granted =
                serde_json::from_str(body.expose()).map_err(|_| silent("the response is not a token"))?;
            return Ok(granted.into());
        }
        Err(refusal_of_domain(url, status, &body, secret))
    }

    /// Gets one token by GetClientToken. The request carries no signature: the operation is public, and its caller
    /// needs no credentials of AWS.
    async fn token_of_api(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
        scopes: &[String],
    ) -> Result<AccessToken, NotGranted> {
        let url = &self.api.url(expected).await;
        let silent = |why: &str| NotGranted::Unreachable(about(url, why));
        let mut body = json!({ "ClientId": expected.client_id.as_str(), "Secret": secret.expose() });
        if !scopes.is_empty() {
            body["Scopes"] = json!(scopes);
        }
        let client = self.http.client().map_err(|why| silent(&why))?;
        let request = client
            .post(url)
            .header("x-amz-target", TARGET)
            .header(CONTENT_TYPE, "application/x-amz-json-1.1")
            .body(body.to_string());
        let HttpResponse { status, body } = send(request).await.map_err(|why| silent(&why))?;
        if is_success(status) {
            let granted: ApiGranted =
                serde_json::from_str(body.expose()).map_err(|_| silent("the response is not a token"))?;
            return Ok(granted.client_authentication_result.into());
        }
        Err(refusal_of_api(url, status, &body, secret))
    }

    /// Returns the URL of the keys. The public name may not resolve where an endpoint is configured.
    fn keys_url(&self, expected: &ExpectedToken) -> String {
        match (expected.metadata.token_service, &self.api.configured) {
            (TokenService::GetClientToken, Some(endpoint)) => {
                format!("{endpoint}/{}/.well-known/jwks.json", expected.metadata.user_pool_id)
            }
            _ => expected.metadata.jwks_uri.clone(),
        }
    }

    /// Returns the keys that sign the pool's tokens. They are fetched once, also for concurrent callers.
    async fn keys(&self, url: &str) -> Result<JwkSet, TokenError> {
        let keys = {
            let mut known = self.known_keys.lock().unwrap_or_else(PoisonError::into_inner);
            match &*known {
                Some((known_url, keys)) if known_url == url => Arc::clone(keys),
                _ => Arc::clone(&known.insert((url.to_owned(), Arc::default())).1),
            }
        };
        keys.get_or_try_init(|| self.fetch_keys(url)).await.cloned()
    }

    /// Checks a token with the keys that are known, and with those of now if its own is not among them.
    async fn check(&self, expected: &ExpectedToken, token: &Secret<String>, keys: JwkSet) -> Result<Value, TokenError> {
        let header = decode_header(token.expose()).ok();
        let is_known = header.and_then(|header| header.kid).is_none_or(|kid| keys.find(&kid).is_some());
        let keys = if is_known {
            keys
        } else {
            *self.known_keys.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.keys(&self.keys_url(expected)).await?
        };
        check(expected, token, &keys).map_err(TokenError::Refused)
    }

    async fn fetch_keys(&self, url: &str) -> Result<JwkSet, TokenError> {
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
fn refusal_of_domain(url: &str, status: u16, body: &Secret<String>, secret: &Secret<String>) -> NotGranted {
    match serde_json::from_str::<Denied>(body.expose()) {
        Ok(Denied { error, error_description }) if (400..500).contains(&status) && status != TOO_MANY_REQUESTS => {
            let said = error_description.map(|text| format!(": {text}")).unwrap_or_default();
            let said = redact::sanitize(&redact::without(&format!("{error}{said}"), secret.expose()));
            let said = format!("{url} answers HTTP {status} {said}");
            // Another error is about the client's flow or its scopes, and says nothing about the secret.
            if error == WRONG_CLIENT { NotGranted::Credentials(said) } else { NotGranted::Refused(said) }
        }
        _ => NotGranted::Unreachable(about(url, &format!("it answers HTTP {status}"))),
    }
}

/// Reads an error of GetClientToken. Only [`WRONG_SECRET`] is about the credentials. Soon after a client's flow was
/// turned on, Cognito may still say that it is off, which says nothing about the secret.
fn refusal_of_api(url: &str, status: u16, body: &Secret<String>, secret: &Secret<String>) -> NotGranted {
    let answers = format!("it answers HTTP {status}");
    let (Ok(ApiDenied { code, message }), Ok(status)) =
        (serde_json::from_str::<ApiDenied>(body.expose()), StatusCode::try_from(status))
    else {
        return NotGranted::Unreachable(about(url, &answers));
    };
    // The code may have a namespace before it.
    let code = code.rsplit('#').next().unwrap_or_default();
    let said = redact::sanitize(&redact::without(&format!("{code}: {message}"), secret.expose()));
    let said = format!("{GET_CLIENT_TOKEN} at {url} answers {said}");
    match classify(GET_CLIENT_TOKEN, code, &message, status) {
        ErrorKind::Throttled | ErrorKind::Busy | ErrorKind::Lost => NotGranted::Unreachable(said),
        _ if message.to_ascii_lowercase().contains(WRONG_SECRET) => NotGranted::Credentials(said),
        ErrorKind::Changed
        | ErrorKind::Quota
        | ErrorKind::Denied
        | ErrorKind::UnknownPrincipal
        | ErrorKind::Refused => NotGranted::Refused(said),
    }
}

impl TokenEndpoint for TokenClient {
    async fn accepts(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<bool, TokenError> {
        match self.token(expected, secret, &[]).await {
            Ok(_) => Ok(true),
            Err(NotGranted::Credentials(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn verify(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<(), TokenError> {
        let keys_url = self.keys_url(expected);
        let (token, keys) = futures::future::join(self.token(expected, secret, &[]), self.keys(&keys_url)).await;
        // The token's error comes first: a refusal is final even if the keys cannot be read.
        self.check(expected, &token?.token, keys?).await?;
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
        Ok(self.token(expected, secret, scopes).await?)
    }

    async fn claims(&self, expected: &ExpectedToken, token: &Secret<String>) -> Result<Value, TokenError> {
        let keys = self.keys(&self.keys_url(expected)).await?;
        self.check(expected, token, keys).await
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
    // The token was made a moment ago, for minutes.
    validation.leeway = 0;
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
    TokenError::Unreachable(about(url, why))
}

fn about(url: &str, why: &str) -> String {
    format!("{url}: {why}")
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};

    use super::*;
    use crate::model::{ClientId, ClientName, desired::SecretMetadata};

    fn expected(pool: &str) -> ExpectedToken {
        let metadata = SecretMetadata {
            token_service: TokenService::GetClientToken,
            token_endpoint: "https://what-the-secret-says/".to_owned(),
            scope: String::new(),
            issuer: String::new(),
            jwks_uri: "https://public/jwks.json".to_owned(),
            user_pool_id: pool.into(),
            client_name: ClientName::from("n"),
        };
        ExpectedToken { client_id: ClientId::from("c"), metadata }
    }

    fn client(configure: impl FnOnce(aws_types::sdk_config::Builder) -> aws_types::sdk_config::Builder) -> TokenClient {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("us-east-1"));
        TokenClient::new(&configure(config).build(), &Http::default())
    }

    #[tokio::test]
    async fn the_api_is_called_where_the_sdk_would_call_it() {
        let (plain, fips) = (client(|config| config), client(|config| config.use_fips(true)));
        for (client, pool, url) in [
            (&plain, "us-east-1_AbC", "https://cognito-idp.us-east-1.amazonaws.com/"),
            // The secret was read from a replica in another region than the pool's.
            (&plain, "eu-west-1_AbC", "https://cognito-idp.eu-west-1.amazonaws.com/"),
            (&plain, "cn-north-1_AbC", "https://cognito-idp.cn-north-1.amazonaws.com.cn/"),
            (&fips, "us-east-1_AbC", "https://cognito-idp-fips.us-east-1.amazonaws.com/"),
        ] {
            assert_eq!(client.api.url(&expected(pool)).await, url);
            assert_eq!(client.keys_url(&expected(pool)), "https://public/jwks.json");
        }
    }

    #[tokio::test]
    async fn an_interface_endpoint_serves_the_tokens_and_the_keys() {
        let endpoint = "https://vpce-1-x.cognito-idp.us-east-1.vpce.amazonaws.com";
        let expected = expected("us-east-1_AbC");
        for configured in [endpoint.to_owned(), format!("{endpoint}/")] {
            let client = client(|config| config.endpoint_url(configured));
            assert_eq!(client.api.url(&expected).await, format!("{endpoint}/"));
            assert_eq!(client.keys_url(&expected), format!("{endpoint}/us-east-1_AbC/.well-known/jwks.json"));
        }
    }
}
