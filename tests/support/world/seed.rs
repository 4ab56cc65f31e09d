//! A pool with one client and its secret, as the provider leaves them behind.

use std::collections::BTreeMap;

use cognito_m2m::{
    clock::{now, wall_clock},
    model::{ClientName, Owner, RotationRecord},
    ports::AWSCURRENT,
};
use serde_json::{Value, json};

use super::{
    World,
    cognito::{Client, Pool},
    secrets_manager::{Secret, Version, secret_arn},
    token_endpoint::issuer,
};

pub struct Seed<'a> {
    pub pool: &'a str,
    pub pool_name: &'a str,
    pub domain: &'a str,
    pub owner: Owner,
    pub tags: &'a [(&'a str, &'a str)],
    /// The resource server and its scopes.
    pub server: (&'a str, &'a [&'a str]),
    pub client_id: &'a str,
    pub client_name: &'a str,
    /// The client secret that Cognito made when it created the client.
    pub client_secret: &'a str,
    pub secret_name: &'a str,
    pub version: &'a str,
}

impl World {
    pub fn seed(&self, seed: &Seed<'_>) {
        let (tags, scopes) = (seed.all_tags(), seed.scopes());
        let url = self.url();
        let mut aws = self.aws();
        let description = aws.pool_description(seed.pool, &seed.pool_request(&tags), wall_clock());
        let mut pool = Pool { description, ..Pool::default() };
        pool.domain = Some(json!({
            "UserPoolId": seed.pool, "Domain": seed.domain, "Status": "ACTIVE", "ManagedLoginVersion": 2,
        }));
        let scope = |name: &&str| json!({ "ScopeName": name, "ScopeDescription": name });
        let (identifier, names) = seed.server;
        pool.servers.push(json!({
            "UserPoolId": seed.pool, "Identifier": identifier, "Name": identifier,
            "Scopes": names.iter().map(scope).collect::<Vec<_>>(),
        }));
        let description = pool.client_description(&json!({
            "UserPoolId": seed.pool, "ClientId": seed.client_id, "ClientName": seed.client_name,
            "AllowedOAuthFlows": ["client_credentials"], "AllowedOAuthFlowsUserPoolClient": true,
            "AllowedOAuthScopes": scopes, "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"],
            "PreventUserExistenceErrors": "ENABLED", "EnableTokenRevocation": true, "AccessTokenValidity": 60,
            "TokenValidityUnits": { "AccessToken": "minutes" },
        }));
        let Ok(description) = description else { unreachable!("the server defines the scopes") };
        let mut client = Client { description, secrets: Vec::new(), flow_known_from: now() };
        client.add_secret(seed.client_secret, std::time::Duration::ZERO);
        pool.clients.insert(seed.client_id.to_owned(), client);
        aws.pools.insert(seed.pool.to_owned(), pool);

        let document = json!({
            "client_id": seed.client_id, "client_secret": seed.client_secret, "scope": scopes.join(" "),
            "token_service": "oauth2", "token_endpoint": format!("{url}/oauth2/token"), "issuer": issuer(&aws.region, seed.pool),
            "jwks_uri": format!("{url}/{}/.well-known/jwks.json", seed.pool),
            "user_pool_id": seed.pool, "client_name": seed.client_name,
        });
        aws.confidential.insert(seed.client_secret.to_owned());
        let version = Version {
            value: Some(document.to_string()),
            created: wall_clock(),
            labels: [AWSCURRENT.to_owned()].into(),
        };
        let secret = Secret {
            name: seed.secret_name.to_owned(),
            arn: secret_arn(&aws.region, seed.secret_name),
            description: RotationRecord::new("").describe(&ClientName::from(seed.client_name)),
            tags,
            kms_key_id: None,
            rotation: None,
            policy: None,
            replicas: BTreeMap::new(),
            deleted: None,
            versions: [(seed.version.to_owned(), version)].into(),
        };
        aws.secrets.insert(seed.secret_name.to_owned(), secret);
    }
}

impl Seed<'_> {
    pub fn all_tags(&self) -> BTreeMap<String, String> {
        let more = self.tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.owner.tags().into_iter().chain(more).collect()
    }

    fn scopes(&self) -> Vec<String> {
        let (identifier, names) = self.server;
        names.iter().map(|name| format!("{identifier}/{name}")).collect()
    }

    fn pool_request(&self, tags: &BTreeMap<String, String>) -> Value {
        json!({
            "PoolName": self.pool_name, "UserPoolTags": tags,
            "AdminCreateUserConfig": { "AllowAdminCreateUserOnly": true },
            "AccountRecoverySetting": { "RecoveryMechanisms": [{ "Priority": 1, "Name": "admin_only" }] },
        })
    }
}
