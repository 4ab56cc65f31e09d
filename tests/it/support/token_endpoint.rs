//! The token endpoint in memory.

use std::collections::BTreeSet;

use cognito_m2m::{
    model::{AuthFlow, Domain, Endpoints, TokenService, TokenSource},
    ports::{AWSCURRENT, ExpectedToken, TokenEndpoint, TokenError},
    redact::Secret,
};
use tokio::time::Instant;

use super::{
    cognito::{FakeClient, FakePool},
    fake_aws::{DOMAIN_IS_UNKNOWN_FOR, FakeAws, MISSING_IS_CACHED_FOR, REGION, TokenEndpointState, World},
};

fn token_endpoint_of(domain: &Domain) -> String {
    endpoints().token_endpoint(&TokenSource::PrefixDomain(domain.clone()))
}

impl World {
    /// The scopes in a token of the client, as the token lists them.
    #[cfg(feature = "cli")]
    pub fn scopes_of_token(&self, expected: &ExpectedToken) -> String {
        let pool = &self.pools[&expected.metadata.user_pool_id];
        let scopes = pool.effective_scopes(&pool.clients[&expected.client_id]);
        scopes.into_iter().collect::<Vec<_>>().join(" ")
    }

    fn expected_client(&self, expected: &ExpectedToken) -> Option<(&FakePool, &FakeClient)> {
        let pool = self.pools.get(&expected.metadata.user_pool_id)?;
        Some((pool, pool.clients.get(&expected.client_id)?))
    }

    /// Whether the pool's own token endpoint is served there: by its prefix domain, or by its custom domain if DNS
    /// points the name at its distribution.
    pub fn serves(&self, pool: &FakePool, token_endpoint: &str) -> bool {
        let prefix = pool.domain.as_ref().filter(|held| held.gone_at.is_none());
        let custom = pool.custom_domain.as_ref().filter(|held| held.gone_at.is_none() && held.status != "CREATING");
        prefix.is_some_and(|held| token_endpoint_of(&held.domain) == token_endpoint)
            || custom.is_some_and(|held| {
                token_endpoint == format!("https://{}/oauth2/token", held.domain.name)
                    && self.dns.get(&held.domain.name) == Some(&held.target)
            })
    }

    /// Lets consumers complain if the token endpoint that their secret names is not served.
    pub(super) fn look_at_token_endpoints(&mut self, operation: &str) {
        if !self.consumers.ask_for_tokens {
            return;
        }
        for (name, secret) in self.secrets.iter().filter(|(_, secret)| !secret.scheduled) {
            let Some(document) = secret.staged(AWSCURRENT).and_then(|(_, version)| version.document.as_ref()) else {
                continue;
            };
            let Some(pool) = self.pools.get(&document.metadata.user_pool_id) else { continue };
            if !self.serves(pool, &document.metadata.token_endpoint) {
                let complaint = format!("{operation}: the token endpoint of {name} is not served");
                self.consumers.complaints.push(complaint);
            }
        }
    }

    /// Looks up the host of a token endpoint. Returns whether the resolver knows it.
    pub(super) fn look_up(&mut self, token_endpoint: &str) -> bool {
        let host = token_endpoint.trim_start_matches("https://").trim_end_matches("/oauth2/token");
        if !host.ends_with(".amazoncognito.com") && token_endpoint.ends_with("/oauth2/token") {
            self.custom_hosts_looked_up.push(host.to_owned());
            return self.dns.contains_key(host);
        }
        // Only a domain's name is new; the API's is not.
        if !self.behavior.domain_dns || token_endpoint == endpoints().token_endpoint(&TokenSource::Api) {
            return true;
        }
        if self.missing_until.get(token_endpoint).is_some_and(|until| Instant::now() < *until) {
            return false;
        }
        let mut domains = self.pools.values().filter_map(|pool| pool.domain.as_ref());
        let held = domains.find(|held| token_endpoint_of(&held.domain) == token_endpoint);
        if held.is_some_and(|held| held.created_at.elapsed() >= DOMAIN_IS_UNKNOWN_FOR) {
            return true;
        }
        self.missing_until.insert(token_endpoint.to_owned(), Instant::now() + MISSING_IS_CACHED_FOR);
        self.consumers.complaints.push(format!("VerifyToken: {token_endpoint} was looked up too early"));
        false
    }

    /// Whether the token service does not know yet what has happened then.
    fn lags_behind(&self, since: Instant) -> bool {
        since.elapsed() < self.behavior.token_service_lags
    }

    /// Whether the service that is asked has this pool.
    fn serves_as_told(&self, pool: &FakePool, expected: &ExpectedToken) -> bool {
        let url = &expected.metadata.token_endpoint;
        match expected.metadata.token_service {
            TokenService::OAuth2 => self.serves(pool, url),
            TokenService::GetClientToken => *url == endpoints().token_endpoint(&TokenSource::Api),
        }
    }

    /// What GetClientToken says about a client that lacks its flow, or does not seem to have it yet. It works for a
    /// pool with a domain and for one without.
    fn check_flow(&self, expected: &ExpectedToken) -> Result<(), TokenError> {
        let Some((_, client)) = self.expected_client(expected) else { return Ok(()) };
        let has_flow =
            client.client.auth_flow == AuthFlow::ClientToken && client.flow_since.elapsed() >= self.behavior.flow_lags;
        if has_flow || expected.metadata.token_service == TokenService::OAuth2 {
            return Ok(());
        }
        Err(TokenError::Refused("ALLOW_CLIENT_TOKEN_AUTH is not enabled for the client".to_owned()))
    }

    /// Whether the client gets the token that is expected.
    fn grants(&self, expected: &ExpectedToken, secret: &Secret<String>) -> bool {
        let Some((pool, client)) = self.expected_client(expected) else { return false };
        let scopes: BTreeSet<String> = expected.metadata.scope.split(' ').map(ToOwned::to_owned).collect();
        let known = client.secret(secret).is_some_and(|secret| !self.lags_behind(secret.added_at));
        self.serves_as_told(pool, expected)
            && known
            && !self.lags_behind(client.changed_at)
            && pool.effective_scopes(client) == scopes
    }

    fn verify_token(&mut self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<(), TokenError> {
        if !self.look_up(&expected.metadata.token_endpoint) {
            return Err(unreachable());
        }
        match self.behavior.token_endpoint {
            TokenEndpointState::Unreachable => Err(unreachable()),
            TokenEndpointState::Refuses => Err(TokenError::Refused("HTTP 400 invalid_client".to_owned())),
            TokenEndpointState::Works if self.check_flow(expected).is_err() => self.check_flow(expected),
            TokenEndpointState::Works if self.grants(expected, secret) => {
                self.tokens_granted += 1;
                self.last_good_secrets.insert(expected.client_id.clone(), secret.clone());
                Ok(())
            }
            TokenEndpointState::Works => Err(TokenError::Refused("the token is not as expected".to_owned())),
        }
    }

    fn accepts_secret(&mut self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<bool, TokenError> {
        let pool = self.pools.get(&expected.metadata.user_pool_id);
        let served = pool.is_some_and(|pool| self.serves_as_told(pool, expected));
        if !served || !self.look_up(&expected.metadata.token_endpoint) {
            return Err(unreachable());
        }
        self.check_flow(expected)?;
        let stale = self.behavior.accepts_deleted_secrets;
        let Some((_, client)) = self.expected_client(expected) else { return Ok(false) };
        let known = client.secret(secret).is_some_and(|secret| !self.lags_behind(secret.added_at));
        Ok(known || (stale && client.deleted.contains(secret)))
    }
}

fn endpoints() -> Endpoints {
    Endpoints::new(REGION, None)
}

fn unreachable() -> TokenError {
    TokenError::Unreachable("no such host".to_owned())
}

impl TokenEndpoint for FakeAws {
    async fn accepts(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<bool, TokenError> {
        self.answer("VerifyToken", |world| Ok(world.accepts_secret(expected, secret))).unwrap()
    }

    async fn verify(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<(), TokenError> {
        self.answer("VerifyToken", |world| Ok(world.verify_token(expected, secret))).unwrap()
    }
}

mod tests {
    use std::time::Duration;

    use cognito_m2m::{
        model::UserPoolClient,
        ports::{ClientSecrets, UserPools},
    };

    use super::*;
    use crate::support::fixtures::{document, domain, one_client};

    /// An account with one client and its domain; what its token must be; its secret.
    async fn prepared() -> (FakeAws, ExpectedToken, Secret<String>) {
        let aws = FakeAws::default();
        let (pool, client_id, secret) = one_client(&aws).await;
        aws.create_user_pool_domain(&pool, &domain("one").into()).await.unwrap();
        let mut metadata = document("").metadata;
        metadata.user_pool_id = pool;
        metadata.token_endpoint = token_endpoint_of(&domain("one"));
        (aws, ExpectedToken { client_id, metadata }, secret)
    }

    #[tokio::test]
    async fn both_secrets_of_a_client_get_a_token_and_no_other_value_does() {
        let (aws, expected, first) = prepared().await;
        let (second, other) = (Secret::new("b".repeat(24)), Secret::new("c".repeat(24)));
        let pool = &expected.metadata.user_pool_id;
        aws.add_user_pool_client_secret(pool, &expected.client_id, &second).await.unwrap();
        for (secret, good) in [(&first, true), (&second, true), (&other, false)] {
            assert_eq!(aws.verify(&expected, secret).await.is_ok(), good);
            assert_eq!(aws.accepts(&expected, secret).await, Ok(good));
        }
        assert_eq!(aws.world().tokens_granted, 2);
    }

    #[tokio::test]
    async fn a_token_with_other_scopes_or_from_another_domain_is_not_as_expected() {
        let (aws, expected, secret) = prepared().await;
        let mut other_scope = expected.clone();
        other_scope.metadata.scope = "orders/read".to_owned();
        assert!(matches!(aws.verify(&other_scope, &secret).await, Err(TokenError::Refused(_))));
        let mut other_domain = expected.clone();
        other_domain.metadata.token_endpoint = token_endpoint_of(&domain("two"));
        assert!(matches!(aws.verify(&other_domain, &secret).await, Err(TokenError::Refused(_))));
        assert!(matches!(aws.accepts(&other_domain, &secret).await, Err(TokenError::Unreachable(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn get_client_token_needs_its_flow_and_no_domain_and_learns_of_the_flow_late() {
        const LAG: Duration = Duration::from_secs(5);
        let (aws, mut expected, secret) = prepared().await;
        expected.metadata.token_service = TokenService::GetClientToken;
        expected.metadata.token_endpoint = "https://cognito-idp.us-east-1.amazonaws.com/".to_owned();
        let says_flow = async |aws: &FakeAws, expected: &ExpectedToken| {
            let refusals =
                [aws.verify(expected, &secret).await.unwrap_err(), aws.accepts(expected, &secret).await.unwrap_err()];
            refusals.iter().all(|refusal| refusal.to_string().contains("ALLOW_CLIENT_TOKEN_AUTH"))
        };
        assert!(says_flow(&aws, &expected).await, "the flow is off");

        aws.world().behavior.flow_lags = LAG;
        let (pool, id) = (expected.metadata.user_pool_id.clone(), expected.client_id.clone());
        let client = aws.world().pools[&pool].clients[&id].client.clone();
        aws.update_user_pool_client(&pool, &id, &UserPoolClient { auth_flow: AuthFlow::ClientToken, ..client })
            .await
            .unwrap();
        assert!(says_flow(&aws, &expected).await, "the flow is not known yet");
        tokio::time::advance(LAG).await;
        assert_eq!(aws.verify(&expected, &secret).await, Ok(()), "beside a domain");
        aws.delete_user_pool_domain(&pool, "one").await.unwrap();
        assert_eq!(aws.verify(&expected, &secret).await, Ok(()), "without a domain");
        assert_eq!(aws.accepts(&expected, &Secret::new("b".repeat(24))).await, Ok(false));
    }

    #[tokio::test]
    async fn the_endpoint_can_be_unreachable_and_can_refuse() {
        let (aws, expected, secret) = prepared().await;
        aws.world().behavior.token_endpoint = TokenEndpointState::Unreachable;
        assert!(matches!(aws.verify(&expected, &secret).await, Err(TokenError::Unreachable(_))));
        aws.world().behavior.token_endpoint = TokenEndpointState::Refuses;
        assert!(matches!(aws.verify(&expected, &secret).await, Err(TokenError::Refused(_))));
        assert_eq!(aws.world().tokens_granted, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_service_that_lags_refuses_what_has_just_changed() {
        const LAG: Duration = Duration::from_secs(10);
        let (aws, expected, first) = prepared().await;
        aws.world().behavior.token_service_lags = LAG;
        assert!(matches!(aws.verify(&expected, &first).await, Err(TokenError::Refused(_))), "a new client");
        tokio::time::advance(LAG).await;
        assert_eq!(aws.verify(&expected, &first).await, Ok(()));
        let second = Secret::new("b".repeat(24));
        let pool = &expected.metadata.user_pool_id;
        aws.add_user_pool_client_secret(pool, &expected.client_id, &second).await.unwrap();
        assert_eq!(aws.accepts(&expected, &first).await, Ok(true));
        assert_eq!(aws.accepts(&expected, &second).await, Ok(false), "a new secret");
        tokio::time::advance(LAG).await;
        assert_eq!(aws.accepts(&expected, &second).await, Ok(true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_domain_that_is_looked_up_too_early_is_missing_for_a_quarter_of_an_hour() {
        let (aws, expected, secret) = prepared().await;
        aws.world().behavior.domain_dns = true;
        assert!(matches!(aws.accepts(&expected, &secret).await, Err(TokenError::Unreachable(_))));
        assert_eq!(aws.world().consumers.complaints.len(), 1);
        tokio::time::advance(DOMAIN_IS_UNKNOWN_FOR).await;
        assert!(matches!(aws.verify(&expected, &secret).await, Err(TokenError::Unreachable(_))), "cached");
        tokio::time::advance(MISSING_IS_CACHED_FOR).await;
        assert_eq!(aws.verify(&expected, &secret).await, Ok(()));

        let (aws, expected, secret) = prepared().await;
        aws.world().behavior.domain_dns = true;
        tokio::time::advance(DOMAIN_IS_UNKNOWN_FOR).await;
        assert_eq!(aws.verify(&expected, &secret).await, Ok(()), "looked up in time");
    }
}
