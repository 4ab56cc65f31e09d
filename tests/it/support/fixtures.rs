//! Properties and things that several tests use.

use std::time::Duration;

use cognito_m2m::{
    model::{
        AuthFlow, ClientId, ClientName, Domain, Owner, PoolId, ResourceServer, Scope, SecretId, Tags, Tier,
        TokenService, UserPool, UserPoolClient, desired::SecretMetadata, ownership::SHARED_WITH_TAG,
    },
    ports::{SecretDocument, UserPools},
    redact::Secret,
};
use serde_json::{Value, json};

use super::{
    Stack,
    cloudformation::parts,
    cognito::{FakeClient, FakeDomain, FakePool},
    fake_aws::{ACCOUNT, FakeAws, REGION, World},
    secrets_manager::FakeSecret,
};

/// The id that CloudFormation invents if it deletes a resource whose Create has not answered.
pub const INVENTED_ID: &str = "one-M2M-1A2B3C4D5E6F";

/// The name of the only secret that the default properties declare.
pub const DEFAULT_SECRET: &str = "machine-to-machine-dev/machine-to-machine-dev-client";

/// A certificate that an account with custom domains has.
pub const CERTIFICATE: &str = "arn:aws:acm:us-east-1:111122223333:certificate/11111111-2222-3333-4444-555555555555";

/// A custom domain under `example.com`.
pub fn custom_domain(name: &str) -> Value {
    json!({ "DomainName": name, "CertificateArn": CERTIFICATE })
}

/// Three clients, two servers.
pub fn large() -> Value {
    json!({
        "ServiceToken": "arn", "ServiceTimeout": "600",
        "EnvironmentName": "prod", "DomainPrefix": "orders", "ProjectTag": "shop", "Tags": { "Team": "orders" },
        "ResourceServers": [
            {
                "Identifier": "orders", "Name": "Orders",
                "Scopes": [{ "ScopeName": "read", "ScopeDescription": "See" }, { "ScopeName": "write" }],
            },
            { "Identifier": "stock", "Scopes": [{ "ScopeName": "read" }] },
        ],
        "Clients": [
            {
                "ClientName": "web", "AllowedOAuthScopes": ["orders/read", "orders/write"],
                "AccessTokenValidityMinutes": "5",
            },
            { "ClientName": "billing", "AllowedOAuthScopes": ["orders/read", "stock/read"] },
            { "ClientName": "batch" },
        ],
    })
}

/// [`large`] without a domain: tokens come from GetClientToken.
pub fn large_by_api() -> Value {
    let mut properties = with(large(), "TokenService", "API");
    properties.as_object_mut().unwrap().remove("DomainPrefix");
    properties
}

/// The names of the clients of [`large`].
pub const LARGE_CLIENTS: [&str; 3] = ["web", "billing", "batch"];

/// [`large`] with other scopes, clients, domain and tags.
pub fn large_changed() -> Value {
    json!({
        "EnvironmentName": "prod", "DomainPrefix": "shop", "ProjectTag": "shop2", "Tags": { "Owner": "me" },
        "ResourceServers": [
            {
                "Identifier": "orders", "Name": "Orders",
                "Scopes": [{ "ScopeName": "read", "ScopeDescription": "Look" }, { "ScopeName": "cancel" }],
            },
            { "Identifier": "returns", "Scopes": [{ "ScopeName": "read" }] },
        ],
        "Clients": [
            {
                "ClientName": "web", "AllowedOAuthScopes": ["orders/read", "orders/cancel"],
                "AccessTokenValidityMinutes": 10,
            },
            { "ClientName": "batch" },
            { "ClientName": "new", "AllowedOAuthScopes": ["returns/read"] },
        ],
        "SecretNamePrefix": "shop/secrets", "SecretKmsKeyId": "alias/mine",
    })
}

/// The properties with one more, or with one changed.
pub fn with(mut properties: Value, key: &str, value: impl Into<Value>) -> Value {
    properties[key] = value.into();
    properties
}

/// A resource of some stack.
pub fn owner() -> Owner {
    Owner { stack_id: "arn:a-stack".to_owned(), logical_id: "M2M".to_owned() }
}

pub fn user_pool(name: &str) -> UserPool {
    UserPool { name: name.to_owned(), tier: Tier::Essentials, deletion_protection: false, tags: Tags::new() }
}

pub fn domain(prefix: &str) -> Domain {
    Domain { prefix: prefix.to_owned(), managed_login_version: 1 }
}

/// A client's secret with this value, and with the scopes of [`one_client`].
pub fn document(value: &str) -> SecretDocument {
    SecretDocument {
        client_id: ClientId::from("id"),
        client_secret: Secret::new(value.to_owned()),
        metadata: SecretMetadata {
            token_service: TokenService::OAuth2,
            token_endpoint: String::new(),
            scope: "orders/read orders/write".to_owned(),
            issuer: String::new(),
            jwks_uri: String::new(),
            user_pool_id: "us-east-1_a".into(),
            client_name: "web".into(),
        },
        former: None,
    }
}

/// Makes a pool with the server `orders` and the client `web`. Returns the pool, the client and its secret.
pub async fn one_client(aws: &FakeAws) -> (PoolId, ClientId, Secret<String>) {
    let (pool, _) = aws.create_user_pool(&user_pool("pool")).await.unwrap();
    let scope = |name: &str| Scope { name: name.to_owned(), description: String::new() };
    let server = ResourceServer {
        identifier: "orders".to_owned(),
        name: "Orders".to_owned(),
        mark: None,
        scopes: vec![scope("read"), scope("write")],
    };
    aws.create_resource_server(&pool, &server).await.unwrap();
    let client = UserPoolClient {
        name: ClientName::from("web"),
        scopes: vec!["orders/read".to_owned(), "orders/write".to_owned()],
        access_token_validity_minutes: 60,
        auth_flow: AuthFlow::RefreshToken,
    };
    let (client, secret) = aws.create_user_pool_client(&pool, &client).await.unwrap();
    (pool, client, secret)
}

/// A pool of a platform team: a domain, the server `stock`, and a user-facing client. Stacks with these prefixes may
/// add to it.
pub fn platform(aws: &FakeAws, shared_with: &str) -> PoolId {
    let mut world = aws.world();
    let id = world.add_foreign_pool("platform", "platform");
    let client = ClientId(format!("theirs{}", world.next_number()));
    let pool = world.pools.get_mut(&id).unwrap();
    pool.state.tags = Tags::from([(SHARED_WITH_TAG.to_owned(), shared_with.to_owned())]);
    let scope = |name: &str| Scope { name: name.to_owned(), description: name.to_owned() };
    let stock = ResourceServer {
        identifier: "stock".to_owned(),
        name: "Stock".to_owned(),
        mark: None,
        scopes: vec![scope("read"), scope("write")],
    };
    pool.servers.insert(stock.identifier.clone(), stock);
    pool.clients.insert(client, FakeClient::existing("website", &["stock/read"]));
    id
}

/// The id of the client that another tool has made in the platform's pool, and that a stack is to adopt.
pub const ADOPTEE: &str = "existing123";

/// Adds the client [`ADOPTEE`] to the platform's pool.
pub fn add_adoptee(stack: &Stack, pool: &PoolId) -> ClientId {
    let mut client = FakeClient::existing("Orders, old", &["stock/read", "stock/write"]);
    client.client.access_token_validity_minutes = 30;
    let id = ClientId::from(ADOPTEE);
    stack.world().pools.get_mut(pool).unwrap().clients.insert(id.clone(), client);
    id
}

/// The properties of a client in the platform's pool.
pub fn member_client(pool: &PoolId) -> Value {
    json!({ "UserPoolId": pool.as_str(), "ClientName": "orders", "AllowedOAuthScopes": ["stock/read"] })
}

/// The properties of a server in the platform's pool.
pub fn member_server(pool: &PoolId, scopes: &[&str]) -> Value {
    let scopes: Vec<_> = scopes.iter().map(|scope| json!({ "ScopeName": scope })).collect();
    json!({ "UserPoolId": pool.as_str(), "Identifier": "billing", "Name": "Billing", "Scopes": scopes })
}

/// Everything in a pool but what the stacks have added, with all that can be seen of it.
pub fn others_in(stacks: &[&Stack], pool: &PoolId) -> String {
    let world = stacks[0].world();
    let mut pool = world.pools[pool].clone();
    for stack in stacks {
        let (servers, clients) = parts(&pool, &stack.owner());
        let servers: Vec<_> = servers.into_iter().map(|server| server.identifier.clone()).collect();
        let clients: Vec<_> = clients.into_iter().map(|(id, _)| id.clone()).collect();
        pool.servers.retain(|identifier, _| !servers.contains(identifier));
        pool.clients.retain(|id, _| !clients.contains(id) && id.as_str() != ADOPTEE);
    }
    format!("{pool:#?}")
}

impl World {
    /// Adds what a custom domain under `example.com` needs.
    pub fn allow_custom_domains(&mut self) {
        self.certificates.insert(CERTIFICATE.to_owned());
        self.dns.insert("example.com".to_owned(), "192.0.2.1".to_owned());
    }

    /// Adds the DNS record of each custom domain, as its owner does after a deployment.
    pub fn add_alias_records(&mut self) {
        let domains = self.pools.values().filter_map(|pool| pool.custom_domain.as_ref());
        self.dns.extend(domains.map(|held| (held.domain.name.clone(), held.target.clone())));
    }

    /// Adds somebody else's pool with a domain.
    pub fn add_foreign_pool(&mut self, name: &str, prefix: &str) -> PoolId {
        let id = PoolId(format!("{REGION}_foreign{}", self.next_number()));
        let mut pool = FakePool::new(user_pool(name), Duration::ZERO);
        pool.m2m_only = false;
        pool.domain = Some(FakeDomain::new(domain(prefix)));
        self.pools.insert(id.clone(), pool);
        id
    }

    /// Adds somebody else's secret.
    pub fn add_foreign_secret(&mut self, name: &str, tags: Tags, scheduled: bool) {
        let arn = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf");
        let secret = FakeSecret { tags, scheduled, ..FakeSecret::new(arn) };
        self.secrets.insert(SecretId::from(name), secret);
    }
}

/// Adds a pool and a secret of somebody else, with names like ours; returns them.
pub fn add_foreign_things(stack: &Stack) -> Vec<(String, String)> {
    {
        let mut world = stack.world();
        world.add_foreign_pool("machine-to-machine-prod", "somebody-else");
        world.add_foreign_secret("machine-to-machine-prod/other", Tags::new(), false);
    }
    foreign_things(stack)
}

/// The things of [`add_foreign_things`], each with all that can be seen of it.
pub fn foreign_things(stack: &Stack) -> Vec<(String, String)> {
    let ids: Vec<_> = stack.world().pools.keys().filter(|id| id.as_str().contains("foreign")).cloned().collect();
    let pools: Vec<_> = ids.into_iter().map(|id| (id.to_string(), others_in(&[stack], &id))).collect();
    let world = stack.world();
    let secrets = world.secrets.iter().filter(|(name, _)| name.as_str().ends_with("/other"));
    pools.into_iter().chain(secrets.map(|(name, secret)| (name.to_string(), format!("{secret:?}")))).collect()
}
