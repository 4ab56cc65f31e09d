//! Cognito's two ways to a token, the token endpoint and GetClientToken, and the keys that sign the tokens.
//! <https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html>

use std::sync::LazyLock;

use aws_smithy_types::base64;
use cognito_m2m::clock::{now, wall_clock};
use serde_json::{Value, json};

use super::{
    Aws,
    cognito::Client,
    http::{Reply, Request},
    protocol::{self, Refusal, field},
};
use crate::signing::SigningKey;

/// The lifetime of a token in seconds, which no test here depends on.
const LIFETIME: u64 = 3600;

/// One key for every pool of this process, because making one takes a while.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::new("key-1"));

/// Returns the key set that verifies the tokens.
pub fn key_set() -> Value {
    json!({ "keys": [KEY.jwk()] })
}

impl Aws {
    /// Issues a token with the scopes that the request asks for, or else with all that the client has.
    pub fn issue_token(&mut self, request: &Request) -> Result<Reply, Refusal> {
        let form = protocol::form(request);
        if form.get("grant_type").is_none_or(|grant| grant != "client_credentials") {
            return Err(Refusal::of("unsupported_grant_type", ""));
        }
        let given = request.header("authorization").trim_start_matches("Basic ");
        let given = base64::decode(given).ok().and_then(|given| String::from_utf8(given).ok()).unwrap_or_default();
        let (id, secret) = given.split_once(':').unwrap_or_default();
        let found = self.pools.iter().find_map(|(pool, held)| held.clients.get(id).map(|client| (pool, client)));
        let Some((pool, client)) = found.filter(|(_, client)| self.accepts(id, client, secret)) else {
            return Err(Refusal::of("invalid_client", "invalid_client_secret"));
        };
        let description = &client.description;
        let flows = description["AllowedOAuthFlows"].as_array().into_iter().flatten();
        if description["AllowedOAuthFlowsUserPoolClient"] != true
            || !flows.into_iter().any(|flow| flow == "client_credentials")
        {
            return Err(Refusal::of("invalid_grant", ""));
        }
        let asked: Vec<_> = form.get("scope").into_iter().flat_map(|scope| scope.split(' ')).collect();
        let (pool, id) = (pool.clone(), id.to_owned());
        let Some(token) = self.sign_token(&pool, &id, &asked) else { return Err(Refusal::of("invalid_scope", "")) };
        Ok(Reply::json(200, &json!({ "access_token": token, "expires_in": LIFETIME, "token_type": "Bearer" })))
    }

    /// Issues a token by the operation GetClientToken. The client needs the flow, and the pool needs no domain.
    pub fn get_client_token(&mut self, request: &Request) -> Result<Reply, Refusal> {
        assert_eq!(request.header("authorization"), "", "the operation is public");
        let body = request.json();
        let (id, secret) = (field(&body, "ClientId").to_owned(), field(&body, "Secret").to_owned());
        self.confidential.insert(secret.clone());
        let found = self.pools.iter().find_map(|(pool, held)| held.clients.get(&id).map(|client| (pool, client)));
        let wrong = || Refusal::of("NotAuthorizedException", "Invalid client or secret");
        let (pool, client) = found.ok_or_else(wrong)?;
        let has_flow = client.description["ExplicitAuthFlows"] == json!(["ALLOW_CLIENT_TOKEN_AUTH"]);
        if !has_flow || client.flow_known_from > now() {
            let text = "ALLOW_CLIENT_TOKEN_AUTH flow not enabled for this client";
            return Err(Refusal::of("NotAuthorizedException", text));
        }
        if !self.accepts(&id, client, &secret) {
            return Err(wrong());
        }
        let asked: Vec<_> = body["Scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let pool = pool.clone();
        let Some(token) = self.sign_token(&pool, &id, &asked) else {
            return Err(Refusal::of("InvalidParameterException", "Invalid scope"));
        };
        let result = json!({ "AccessToken": token, "ExpiresIn": LIFETIME, "TokenType": "Bearer" });
        Ok(Reply::json(200, &json!({ "ClientAuthenticationResult": result })))
    }

    /// Signs a token with the scopes that are asked for, or else with all that the client has. Returns `None` if it
    /// may not have one of them.
    fn sign_token(&mut self, pool: &str, id: &str, asked: &[&str]) -> Option<String> {
        let description = &self.pools[pool].clients[id].description;
        let allowed = description["AllowedOAuthScopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        // A scope that its server no longer defines vanishes from the tokens.
        let allowed: Vec<_> = allowed.filter(|scope| self.pools[pool].defines(scope)).collect();
        if !asked.iter().all(|asked| allowed.contains(asked)) {
            return None;
        }
        let scope = if asked.is_empty() { allowed.join(" ") } else { asked.join(" ") };
        let now = wall_clock().as_secs();
        let token = KEY.sign(&json!({
            "sub": id, "client_id": id, "token_use": "access", "scope": scope, "iat": now, "auth_time": now,
            "exp": now + LIFETIME, "iss": issuer(&self.region, pool), "version": 2, "jti": "0a1b",
        }));
        // A token that is printed without its signature is no secret.
        self.confidential.extend(token.rsplit('.').next().map(ToOwned::to_owned));
        self.tokens.push(token.clone());
        Some(token)
    }

    pub fn publish_keys(&self, request: &Request) -> Result<Reply, Refusal> {
        let pool = request.path.trim_start_matches('/').trim_end_matches("/.well-known/jwks.json");
        if !self.pools.contains_key(pool) {
            return Err(Refusal::new(404, "ResourceNotFoundException", "User pool does not exist."));
        }
        Ok(Reply::json(200, &self.keys))
    }

    /// Whether the token endpoint accepts the secret now.
    fn accepts(&self, id: &str, client: &Client, value: &str) -> bool {
        client.secrets.iter().any(|secret| secret.known_from <= now() && secret.value == value)
            || self.forgotten.iter().any(|old| old.until > now() && old.client == id && old.value == value)
    }
}

/// Returns the `iss` of a pool's tokens.
pub fn issuer(region: &str, pool: &str) -> String {
    format!("https://cognito-idp.{region}.amazonaws.com/{pool}")
}
