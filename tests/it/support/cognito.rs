//! Amazon Cognito user pools in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cognito_m2m::{
    clock::wall_clock,
    model::{
        AuthFlow, ClientId, ClientName, CustomDomain, Domain, Mark, Owner, PoolDomain, PoolId, ResourceServer, Tags,
        Tier, UserPool, UserPoolClient, adoption::ClientSettings, observed::ObservedClient, ownership::SHARED_WITH_TAG,
    },
    ports::{
        ClientDescription, ClientSecretDescription, ClientSecrets, DomainDescription, ErrorKind, Page, Result,
        UserPoolDescription, UserPools,
    },
    redact::Secret,
};
use tokio::time::Instant;

use super::fake_aws::{
    ACCOUNT, CANARY, FakeAws, REGION, Refusal, World, changed, not_found, over_quota, page, page_of, refused,
};

/// <https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html>
const MAX_RESOURCE_SERVERS: usize = 25;
const MAX_SCOPES_OF_SERVER: usize = 100;
const MAX_SCOPES_OF_CLIENT: usize = 50;
const MAX_CUSTOM_DOMAINS: usize = 4;
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AddUserPoolClientSecret.html>
const MAX_CLIENT_SECRETS: usize = 2;

#[derive(Clone, Debug, PartialEq)]
pub struct FakePool {
    pub state: UserPool,
    pub m2m_only: bool,
    pub domain: Option<FakeDomain>,
    pub custom_domain: Option<FakeCustomDomain>,
    pub servers: BTreeMap<String, ResourceServer>,
    pub clients: BTreeMap<ClientId, FakeClient>,
    pub created: Duration,
    created_at: Instant,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeDomain {
    pub domain: Domain,
    pub created_at: Instant,
    /// When a deleted domain is gone.
    pub gone_at: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeCustomDomain {
    pub domain: CustomDomain,
    /// The CloudFront distribution that serves it.
    pub target: String,
    /// `ACTIVE`, unless a test says otherwise.
    pub status: &'static str,
    /// When a deleted domain is gone.
    pub gone_at: Option<Instant>,
}

impl FakeCustomDomain {
    /// Nobody has published what AWS does while an update runs. This is the worse case.
    fn check_no_update(&self) -> Result<(), Refusal> {
        if self.status == "UPDATING" {
            return Err(refused("InvalidParameterException", "The domain is not available"));
        }
        Ok(())
    }

    fn is_deleting(&self) -> bool {
        self.gone_at.is_some()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeClient {
    pub client: UserPoolClient,
    pub m2m_only: bool,
    pub settings: ClientSettings,
    /// At most two, the oldest first. The token endpoint accepts all of them.
    pub secrets: Vec<FakeClientSecret>,
    pub created_at: Instant,
    /// When the client was created or updated.
    pub changed_at: Instant,
    /// When the client got its authentication flow.
    pub flow_since: Instant,
    /// The values that were deleted.
    pub deleted: Vec<Secret<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeClientSecret {
    pub id: String,
    pub value: Secret<String>,
    pub created: Duration,
    pub added_at: Instant,
}

impl FakeDomain {
    pub fn new(domain: Domain) -> Self {
        Self { domain, created_at: Instant::now(), gone_at: None }
    }
}

impl FakePool {
    pub fn new(state: UserPool, created: Duration) -> Self {
        Self {
            state,
            m2m_only: true,
            domain: None,
            custom_domain: None,
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            created,
            created_at: Instant::now(),
        }
    }

    /// The creation date, on the clock that tests can pause.
    fn creation_date(&self) -> Duration {
        wall_clock().saturating_sub(self.created_at.elapsed())
    }

    /// The scopes in a token of the client: those that it may have and that its pool still defines.
    pub fn effective_scopes(&self, client: &FakeClient) -> BTreeSet<String> {
        self.defined_scopes().into_iter().filter(|scope| client.client.scopes.contains(scope)).collect()
    }

    fn defined_scopes(&self) -> BTreeSet<String> {
        self.servers
            .values()
            .flat_map(|server| server.scopes.iter().map(|scope| format!("{}/{}", server.identifier, scope.name)))
            .collect()
    }

    fn check_scopes(&self, client: &UserPoolClient) -> Result<(), Refusal> {
        let defined = self.defined_scopes();
        if client.scopes.len() > MAX_SCOPES_OF_CLIENT {
            return Err(refused("InvalidParameterException", "at most 50 scopes"));
        }
        match client.scopes.iter().find(|scope| !defined.contains(*scope)) {
            Some(scope) => Err(changed("ScopeDoesNotExistException", &format!("The scope {scope} does not exist"))),
            None => Ok(()),
        }
    }

    /// Checks that the tier has managed login if the domain uses it.
    fn check_managed_login(&self, domain: &PoolDomain) -> Result<(), Refusal> {
        if self.state.tier == Tier::Lite && domain.managed_login_version() == 2 {
            return Err(refused("FeatureUnavailableInTierException", "Managed login is not available in LITE"));
        }
        Ok(())
    }

    fn client(&mut self, id: &ClientId) -> Result<&mut FakeClient, Refusal> {
        self.clients.get_mut(id).ok_or_else(not_found)
    }
}

impl FakeClient {
    /// A client that another tool has made. Its secret is `secret-of-<name>`.
    pub fn existing(name: &str, scopes: &[&str]) -> Self {
        let value = Secret::new(format!("secret-of-{name}"));
        let now = Instant::now();
        let secret = FakeClientSecret { id: "first".to_owned(), value, created: Duration::ZERO, added_at: now };
        Self {
            client: UserPoolClient {
                name: ClientName::from(name),
                scopes: scopes.iter().map(ToString::to_string).collect(),
                access_token_validity_minutes: 60,
                auth_flow: AuthFlow::RefreshToken,
            },
            m2m_only: false,
            settings: machine_settings(),
            secrets: vec![secret],
            created_at: now,
            changed_at: now,
            flow_since: now,
            deleted: Vec::new(),
        }
    }

    pub fn takes(&self, value: &Secret<String>) -> bool {
        self.secret(value).is_some()
    }

    pub fn secret(&self, value: &Secret<String>) -> Option<&FakeClientSecret> {
        self.secrets.iter().find(|secret| secret.value == *value)
    }
}

impl World {
    /// The pool that a call works on.
    fn pool(&mut self, id: &PoolId) -> Result<&mut FakePool, Refusal> {
        let pool = self.pools.get_mut(id).ok_or_else(not_found)?;
        let tags = &pool.state.tags;
        let is_allowed = tags.contains_key(SHARED_WITH_TAG) || Owner::made_by_this_program(tags);
        if self.behavior.iam_reads_tags && !is_allowed {
            return Err(Refusal::new(ErrorKind::Denied, "AccessDeniedException", "no identity-based policy allows it"));
        }
        Ok(pool)
    }

    /// The domain, with its pool in whatever account.
    fn describe_domain(&self, name: &str) -> Option<DomainDescription> {
        self.pools.iter().find_map(|(id, pool)| {
            let prefix = pool.domain.as_ref().filter(|held| held.domain.prefix == name);
            let custom = pool.custom_domain.as_ref().filter(|held| held.domain.name == name);
            let deleting =
                prefix.is_some_and(|held| held.gone_at.is_some()) || custom.is_some_and(FakeCustomDomain::is_deleting);
            let version = prefix.map(|held| held.domain.managed_login_version);
            Some(DomainDescription {
                pool: id.clone(),
                account: Some(ACCOUNT.to_owned()),
                managed_login_version: version.or(custom.map(|held| held.domain.managed_login_version))?,
                deleting,
                status: if deleting { "DELETING" } else { custom.map_or("ACTIVE", |held| held.status) }.to_owned(),
                certificate_arn: custom.map(|held| held.domain.certificate_arn.clone()),
                security_policy: custom.and_then(|held| held.domain.security_policy.clone()),
                target: custom.map(|held| held.target.clone()),
            })
        })
    }

    /// Checks what Cognito demands of a custom domain.
    fn check_custom_domain(&self, domain: &CustomDomain) -> Result<(), Refusal> {
        let CustomDomain { name, certificate_arn, .. } = domain;
        let parent = name.split_once('.').map_or("", |(_, parent)| parent);
        if !self.dns.contains_key(parent) {
            let message = "Custom domain is not a valid subdomain: Was not able to resolve a DNS A record for the parent \
                           domain or domain parent is a top-level domain.";
            return Err(refused("InvalidParameterException", message));
        }
        if !certificate_arn.starts_with("arn:aws:acm:us-east-1:") || !self.certificates.contains(certificate_arn) {
            let message = "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, or \
                           doesn't include a valid certificate chain.";
            return Err(refused("InvalidParameterException", message));
        }
        Ok(())
    }

    fn create_custom_domain(&mut self, pool: &PoolId, domain: &CustomDomain) -> Result<Option<String>, Refusal> {
        self.check_custom_domain(domain)?;
        if self.pools.values().filter(|pool| pool.custom_domain.is_some()).count() == MAX_CUSTOM_DOMAINS {
            return Err(over_quota("at most four custom domains"));
        }
        let target = format!("d{}.cloudfront.net", self.next_number());
        let status = self.behavior.new_custom_domain.unwrap_or("ACTIVE");
        let domain = after_write(domain);
        let held = FakeCustomDomain { domain, target: target.clone(), status, gone_at: None };
        self.pool(pool)?.custom_domain = Some(held);
        Ok(Some(target))
    }

    fn drop_gone_domains(&mut self) {
        let now = Instant::now();
        for pool in self.pools.values_mut() {
            pool.domain.take_if(|domain| domain.gone_at.is_some_and(|gone_at| gone_at <= now));
            pool.custom_domain.take_if(|domain| domain.gone_at.is_some_and(|gone_at| gone_at <= now));
        }
    }
}

/// A custom domain as Cognito keeps it. What a request leaves out is reset.
fn after_write(domain: &CustomDomain) -> CustomDomain {
    let policy = domain.security_policy.clone().unwrap_or_else(|| "TLS_V1".to_owned());
    CustomDomain { security_policy: Some(policy), ..domain.clone() }
}

/// The settings that every create and update of ours sends.
pub fn machine_settings() -> ClientSettings {
    ClientSettings { oauth_flows: vec!["client_credentials".to_owned()], ..ClientSettings::default() }
}

/// Returns the id of the thing with this number. Ids are in no order of age.
fn scattered_id(prefix: &str, number: u64) -> String {
    format!("{prefix}{:04x}{number}", (number * 40_503) % 65_536)
}

fn pool_arn(id: &PoolId) -> String {
    format!("arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{id}")
}

fn check_server(server: &ResourceServer) -> Result<(), Refusal> {
    if server.scopes.len() > MAX_SCOPES_OF_SERVER { Err(over_quota("at most 100 scopes")) } else { Ok(()) }
}

impl UserPools for FakeAws {
    async fn list_user_pools(&self, next: Option<&str>) -> Result<Page<(PoolId, String)>> {
        self.answer("ListUserPools", |world| {
            let lags = world.behavior.pool_listing_lags;
            let listed = world.pools.iter().filter(|(_, pool)| pool.created_at.elapsed() >= lags);
            Ok(page(listed.map(|(id, pool)| (id.clone(), pool.state.name.clone())), next))
        })
    }

    async fn describe_user_pool(&self, id: &PoolId) -> Result<Option<UserPoolDescription>> {
        self.answer("DescribeUserPool", |world| {
            world.drop_gone_domains();
            let dated = world.behavior.domain_dns;
            let shown = |pool: &FakePool| {
                let tags = if pool.created_at.elapsed() < world.behavior.tags_lag {
                    Tags::new()
                } else {
                    pool.state.tags.clone()
                };
                UserPool { tags, ..pool.state.clone() }
            };
            Ok(world.pools.get(id).map(|pool| UserPoolDescription {
                id: id.clone(),
                arn: pool_arn(id),
                state: shown(pool),
                m2m_only: pool.m2m_only,
                domain: pool.domain.as_ref().map(|held| held.domain.prefix.clone()),
                custom_domain: pool.custom_domain.as_ref().map(|held| held.domain.name.clone()),
                created: if dated { pool.creation_date() } else { pool.created },
            }))
        })
    }

    async fn create_user_pool(&self, pool: &UserPool) -> Result<(PoolId, String)> {
        self.answer("CreateUserPool", |world| {
            let number = world.next_number();
            let id = PoolId(scattered_id(&format!("{REGION}_"), number));
            world.pools.insert(id.clone(), FakePool::new(pool.clone(), Duration::from_secs(number)));
            let arn = pool_arn(&id);
            Ok((id, arn))
        })
    }

    async fn update_user_pool(&self, id: &PoolId, pool: &UserPool) -> Result<()> {
        self.answer("UpdateUserPool", |world| {
            let current = world.pool(id)?;
            let prefix = current.domain.as_ref().map(|held| held.domain.managed_login_version);
            let custom = current.custom_domain.as_ref().map(|held| held.domain.managed_login_version);
            let managed_login = [prefix, custom].contains(&Some(2));
            if pool.tier == Tier::Lite && managed_login {
                return Err(refused("TierChangeNotAllowedException", "Managed login needs to be disabled for LITE"));
            }
            current.state = pool.clone();
            current.m2m_only = true;
            Ok(())
        })
    }

    async fn delete_user_pool(&self, id: &PoolId) -> Result<()> {
        self.answer("DeleteUserPool", |world| {
            world.drop_gone_domains();
            let Some(pool) = world.pools.get(id) else { return Ok(()) };
            if pool.state.deletion_protection {
                return Err(refused("InvalidParameterException", "deletion protection is activated"));
            }
            if pool.domain.is_some() || pool.custom_domain.is_some() {
                let message = "It has a domain configured that should be deleted first.";
                return Err(changed("InvalidParameterException", message));
            }
            world.pools.remove(id);
            Ok(())
        })
    }

    async fn describe_user_pool_domain(&self, domain: &str) -> Result<Option<DomainDescription>> {
        self.answer("DescribeUserPoolDomain", |world| {
            world.drop_gone_domains();
            Ok(world.describe_domain(domain))
        })
    }

    async fn create_user_pool_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<Option<String>> {
        self.answer("CreateUserPoolDomain", |world| {
            world.drop_gone_domains();
            if world.describe_domain(domain.name()).is_some_and(|held| held.pool != *pool) {
                return Err(changed("InvalidParameterException", "Domain already associated with another user pool."));
            }
            let held = world.pool(pool)?;
            let held_until = match domain {
                PoolDomain::Prefix(_) => held.domain.as_ref().map(|held| held.gone_at),
                PoolDomain::Custom(_) => held.custom_domain.as_ref().map(|held| held.gone_at),
            };
            if held_until.flatten().is_some() {
                // Nobody has published what AWS says.
                return Err(refused("InvalidParameterException", "The domain is not available"));
            }
            if held_until.is_some() {
                return Err(changed("InvalidParameterException", "User pool already has a domain configured"));
            }
            held.check_managed_login(domain)?;
            match domain {
                PoolDomain::Prefix(domain) => {
                    held.domain = Some(FakeDomain::new(domain.clone()));
                    Ok(None)
                }
                PoolDomain::Custom(domain) => world.create_custom_domain(pool, domain),
            }
        })
    }

    async fn update_user_pool_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<()> {
        self.answer("UpdateUserPoolDomain", |world| {
            if let PoolDomain::Custom(domain) = domain {
                world.check_custom_domain(domain)?;
            }
            let pool = world.pool(pool)?;
            pool.check_managed_login(domain)?;
            match domain {
                PoolDomain::Prefix(domain) => {
                    let held = pool.domain.as_mut().filter(|held| held.domain.prefix == domain.prefix);
                    held.ok_or_else(not_found)?.domain = domain.clone();
                }
                PoolDomain::Custom(domain) => {
                    let held = pool.custom_domain.as_mut().filter(|held| held.domain.name == domain.name);
                    let held = held.ok_or_else(not_found)?;
                    held.check_no_update()?;
                    held.domain = after_write(domain);
                }
            }
            Ok(())
        })
    }

    async fn delete_user_pool_domain(&self, pool: &PoolId, domain: &str) -> Result<()> {
        self.answer("DeleteUserPoolDomain", |world| {
            let lingers = world.behavior.domain_lingers;
            let gone_at = Instant::now() + lingers;
            let Some(pool) = world.pools.get_mut(pool) else { return Ok(()) };
            if let Some(held) = pool.domain.as_mut().filter(|held| held.domain.prefix == domain) {
                held.gone_at.get_or_insert(gone_at);
            }
            if let Some(held) = pool.custom_domain.as_mut().filter(|held| held.domain.name == domain) {
                held.check_no_update()?;
                held.gone_at.get_or_insert(gone_at);
            }
            world.drop_gone_domains();
            Ok(())
        })
    }

    async fn list_resource_servers(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<ResourceServer>> {
        self.answer("ListResourceServers", |world| Ok(page(world.pool(pool)?.servers.values().cloned(), next)))
    }

    async fn create_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()> {
        self.answer("CreateResourceServer", |world| {
            check_server(server)?;
            let pool = world.pool(pool)?;
            if pool.servers.contains_key(&server.identifier) {
                let message = "A resource server with that identifier already exists.";
                return Err(changed("InvalidParameterException", message));
            }
            if pool.servers.len() == MAX_RESOURCE_SERVERS {
                return Err(over_quota("at most 25 resource servers"));
            }
            pool.servers.insert(server.identifier.clone(), server.clone());
            Ok(())
        })
    }

    async fn update_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()> {
        self.answer("UpdateResourceServer", |world| {
            check_server(server)?;
            let current = world.pool(pool)?.servers.get_mut(&server.identifier).ok_or_else(not_found)?;
            current.clone_from(server);
            Ok(())
        })
    }

    async fn delete_resource_server(&self, pool: &PoolId, identifier: &str) -> Result<()> {
        self.answer("DeleteResourceServer", |world| {
            if world.pools.contains_key(pool) {
                world.pool(pool)?.servers.remove(identifier);
            }
            Ok(())
        })
    }

    async fn list_user_pool_clients(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<(ClientId, ClientName)>> {
        self.answer("ListUserPoolClients", |world| {
            let size = world.clients_per_page();
            let lags = world.behavior.client_listing_lags;
            // The token names the last client of the page, so that a change in between hides no other client.
            let rest = world.pool(pool)?.clients.iter().filter(|(id, _)| next.is_none_or(|last| id.as_str() > last));
            let rest = rest.filter(|(_, client)| client.created_at.elapsed() >= lags);
            let rest = rest.map(|(id, client)| (id.clone(), client.client.name.clone()));
            let Page { items, next } = page_of(size, rest, None);
            let last = items.last().map(|(id, _): &(ClientId, _)| id.to_string());
            Ok(Page { items, next: next.and(last) })
        })
    }

    async fn describe_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<Option<ClientDescription>> {
        self.answer("DescribeUserPoolClient", |world| {
            let hides = world.behavior.describe_hides_secrets;
            Ok(world.pool(pool)?.clients.get(id).map(|found| ClientDescription {
                observed: ObservedClient {
                    id: id.clone(),
                    name: ClientName::from(Mark::split(found.client.name.as_str()).0),
                    mark: Mark::split(found.client.name.as_str()).1,
                    scopes: found.client.scopes.clone(),
                    access_token_validity_minutes: found.client.access_token_validity_minutes,
                    auth_flow: Some(found.client.auth_flow),
                    m2m_only: found.m2m_only,
                },
                secret: match &found.secrets[..] {
                    [_, _] if hides => None,
                    secrets => secrets.first().map(|secret| secret.value.clone()),
                },
                settings: found.settings.clone(),
            }))
        })
    }

    async fn create_user_pool_client(
        &self,
        pool: &PoolId,
        client: &UserPoolClient,
    ) -> Result<(ClientId, Secret<String>)> {
        self.answer("CreateUserPoolClient", |world| {
            let number = world.next_number();
            let pool = world.pool(pool)?;
            pool.check_scopes(client)?;
            let id = ClientId(scattered_id("client", number));
            let value = Secret::new(format!("{CANARY}{number}"));
            let first = FakeClientSecret {
                id: format!("{id}--{number}"),
                value: value.clone(),
                created: Duration::from_secs(number),
                added_at: Instant::now(),
            };
            let client = FakeClient {
                client: client.clone(),
                m2m_only: true,
                settings: machine_settings(),
                secrets: vec![first],
                deleted: Vec::new(),
                created_at: Instant::now(),
                changed_at: Instant::now(),
                flow_since: Instant::now(),
            };
            pool.clients.insert(id.clone(), client);
            Ok((id, value))
        })
    }

    async fn update_user_pool_client(&self, pool: &PoolId, id: &ClientId, client: &UserPoolClient) -> Result<()> {
        self.answer("UpdateUserPoolClient", |world| {
            let pool = world.pool(pool)?;
            pool.check_scopes(client)?;
            let found = pool.client(id)?;
            if found.client.auth_flow != client.auth_flow {
                found.flow_since = Instant::now();
            }
            found.client = client.clone();
            found.m2m_only = true;
            found.settings = machine_settings();
            found.changed_at = Instant::now();
            Ok(())
        })
    }

    async fn delete_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<()> {
        self.answer("DeleteUserPoolClient", |world| {
            if world.pools.contains_key(pool) {
                world.pool(pool)?.clients.remove(id);
            }
            Ok(())
        })
    }
}

impl ClientSecrets for FakeAws {
    async fn list_user_pool_client_secrets(
        &self,
        pool: &PoolId,
        client: &ClientId,
        _next: Option<&str>,
    ) -> Result<Page<ClientSecretDescription>> {
        self.answer("ListUserPoolClientSecrets", |world| {
            let secrets = &world.pool(pool)?.client(client)?.secrets;
            let shown =
                |secret: &FakeClientSecret| ClientSecretDescription { id: secret.id.clone(), created: secret.created };
            // The newest first: no order is documented, so nobody may count on the oldest first.
            Ok(Page { items: secrets.iter().rev().map(shown).collect(), next: None })
        })
    }

    async fn add_user_pool_client_secret(
        &self,
        pool: &PoolId,
        client: &ClientId,
        value: &Secret<String>,
    ) -> Result<()> {
        self.answer("AddUserPoolClientSecret", |world| {
            let number = world.next_number();
            let found = world.pool(pool)?.client(client)?;
            let text = value.expose();
            if !(24..=64).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(refused("InvalidParameterException", "24 to 64 of [\\w+]"));
            }
            if found.secrets.len() == MAX_CLIENT_SECRETS {
                return Err(over_quota("at most two secrets"));
            }
            let id = format!("{client}--{number}");
            let (value, created) = (value.clone(), Duration::from_secs(number));
            found.secrets.push(FakeClientSecret { id, value, created, added_at: Instant::now() });
            Ok(())
        })
    }

    async fn delete_user_pool_client_secret(&self, pool: &PoolId, client: &ClientId, id: &str) -> Result<()> {
        self.answer("DeleteUserPoolClientSecret", |world| {
            let Ok(found) = world.pool(pool).and_then(|pool| pool.client(client)) else { return Ok(()) };
            if found.secrets.len() == 1 && found.secrets[0].id == id {
                return Err(refused("InvalidParameterException", "the last secret stays"));
            }
            let deleted = found.secrets.extract_if(.., |secret| secret.id == id);
            found.deleted.extend(deleted.map(|secret| secret.value));
            Ok(())
        })
    }
}

mod tests {
    use super::*;
    use crate::support::fixtures::{CERTIFICATE, domain, one_client, user_pool};

    #[tokio::test]
    async fn a_pool_with_protection_or_a_domain_is_not_deleted() {
        let aws = FakeAws::default();
        let protected = UserPool { deletion_protection: true, ..user_pool("a") };
        let (pool, _) = aws.create_user_pool(&protected).await.unwrap();
        assert!(aws.delete_user_pool(&pool).await.unwrap_err().message.contains("protection"));
        aws.update_user_pool(&pool, &user_pool("a")).await.unwrap();
        aws.create_user_pool_domain(&pool, &domain("one").into()).await.unwrap();
        assert!(aws.delete_user_pool(&pool).await.unwrap_err().message.contains("domain"));
        aws.delete_user_pool_domain(&pool, "one").await.unwrap();
        aws.delete_user_pool(&pool).await.unwrap();
        assert!(aws.world().pools.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_domain_has_one_pool_and_may_linger_after_its_deletion() {
        let aws = FakeAws::default();
        aws.world().behavior.domain_lingers = Duration::from_secs(20);
        let (one, _) = aws.create_user_pool(&user_pool("same")).await.unwrap();
        let (two, _) = aws.create_user_pool(&user_pool("same")).await.unwrap();
        assert_ne!(one, two, "names are not unique");
        aws.create_user_pool_domain(&one, &domain("one").into()).await.unwrap();
        assert!(aws.create_user_pool_domain(&two, &domain("one").into()).await.is_err());
        aws.delete_user_pool_domain(&one, "one").await.unwrap();
        assert!(aws.describe_user_pool_domain("one").await.unwrap().unwrap().deleting);
        assert!(aws.create_user_pool_domain(&two, &domain("one").into()).await.is_err());
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(aws.describe_user_pool_domain("one").await.unwrap(), None);
        aws.create_user_pool_domain(&two, &domain("one").into()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_pool_may_be_missing_in_the_listing_and_its_tags_in_its_description() {
        let aws = FakeAws::default();
        aws.world().behavior.pool_listing_lags = Duration::from_secs(2);
        aws.world().behavior.tags_lag = Duration::from_secs(4);
        let tagged = UserPool { tags: Tags::from([("a".to_owned(), "b".to_owned())]), ..user_pool("a") };
        let (id, _) = aws.create_user_pool(&tagged).await.unwrap();
        for (listed, tags) in [(0, 0), (1, 0), (1, 1)] {
            assert_eq!(aws.list_user_pools(None).await.unwrap().items.len(), listed);
            assert_eq!(aws.describe_user_pool(&id).await.unwrap().unwrap().state.tags.len(), tags);
            tokio::time::advance(Duration::from_secs(2)).await;
        }
    }

    #[tokio::test]
    async fn managed_login_and_the_lite_tier_exclude_each_other() {
        let aws = FakeAws::default();
        let lite = UserPool { tier: Tier::Lite, ..user_pool("a") };
        let managed = Domain { managed_login_version: 2, ..domain("one") };
        let (pool, _) = aws.create_user_pool(&lite).await.unwrap();
        assert!(aws.create_user_pool_domain(&pool, &managed.clone().into()).await.is_err());
        aws.update_user_pool(&pool, &user_pool("a")).await.unwrap();
        aws.create_user_pool_domain(&pool, &managed.clone().into()).await.unwrap();
        assert!(aws.update_user_pool(&pool, &lite).await.is_err());
    }

    #[tokio::test]
    async fn a_custom_domain_needs_its_parent_and_its_certificate_and_an_update_resets_its_policy() {
        let aws = FakeAws::default();
        let (pool, _) = aws.create_user_pool(&user_pool("a")).await.unwrap();
        let custom = |name: &str| CustomDomain {
            name: name.to_owned(),
            managed_login_version: 1,
            certificate_arn: CERTIFICATE.to_owned(),
            security_policy: Some("TLS_V1_3_2025".to_owned()),
        };
        let domain = PoolDomain::Custom(custom("auth.example.com"));
        let refused = aws.create_user_pool_domain(&pool, &domain).await.unwrap_err();
        assert!(refused.message.contains("DNS A record"), "{refused}");
        aws.world().dns.insert("example.com".to_owned(), "192.0.2.1".to_owned());
        let refused = aws.create_user_pool_domain(&pool, &domain).await.unwrap_err();
        assert!(refused.message.contains("SSL certificate"), "{refused}");
        aws.world().certificates.insert(CERTIFICATE.to_owned());
        let target = aws.create_user_pool_domain(&pool, &domain).await.unwrap();
        let described = aws.describe_user_pool_domain("auth.example.com").await.unwrap().unwrap();
        assert!(target.is_some() && described.target == target);
        assert_eq!(described.security_policy.as_deref(), Some("TLS_V1_3_2025"));
        assert!(aws.create_user_pool_domain(&pool, &domain).await.is_err(), "one of a pool");

        let without = CustomDomain { security_policy: None, ..custom("auth.example.com") };
        aws.update_user_pool_domain(&pool, &without.into()).await.unwrap();
        let described = aws.describe_user_pool_domain("auth.example.com").await.unwrap().unwrap();
        assert_eq!(described.security_policy.as_deref(), Some("TLS_V1"), "reset");
        assert!(aws.delete_user_pool(&pool).await.is_err());

        for name in ["b", "c", "d", "e"] {
            let (pool, _) = aws.create_user_pool(&user_pool(name)).await.unwrap();
            let taken = aws.create_user_pool_domain(&pool, &domain).await.unwrap_err();
            assert!(taken.message.contains("already associated"), "{taken}");
            let created = aws.create_user_pool_domain(&pool, &custom(&format!("{name}.example.com")).into()).await;
            assert_eq!(created.is_ok(), name != "e", "four in an account");
        }
        aws.delete_user_pool_domain(&pool, "auth.example.com").await.unwrap();
        aws.delete_user_pool(&pool).await.unwrap();
    }

    #[tokio::test]
    async fn a_client_names_scopes_that_exist_and_loses_those_that_are_removed() {
        let aws = FakeAws::default();
        let (pool, id, _) = one_client(&aws).await;
        let client = aws.world().pools[&pool].clients[&id].client.clone();
        let unknown = UserPoolClient { scopes: vec!["orders/unknown".to_owned()], ..client.clone() };
        assert_eq!(
            aws.update_user_pool_client(&pool, &id, &unknown).await.unwrap_err().code,
            "ScopeDoesNotExistException"
        );
        let server = aws.world().pools[&pool].servers["orders"].clone();
        assert!(aws.create_resource_server(&pool, &server).await.is_err(), "identifiers are unique in a pool");
        // Cognito allows this and says nothing.
        aws.update_resource_server(&pool, &ResourceServer { scopes: vec![], ..server }).await.unwrap();
        let world = aws.world();
        let pool = &world.pools[&pool];
        assert_eq!(pool.clients[&id].client, client);
        assert!(pool.effective_scopes(&pool.clients[&id]).is_empty());
    }

    #[tokio::test]
    async fn a_client_has_at_most_two_secrets_and_keeps_its_last() {
        let aws = FakeAws::default();
        let (pool, id, first) = one_client(&aws).await;
        let value = |letter: &str| Secret::new(letter.repeat(24));
        assert!(aws.add_user_pool_client_secret(&pool, &id, &Secret::new("short".to_owned())).await.is_err());
        aws.add_user_pool_client_secret(&pool, &id, &value("a")).await.unwrap();
        let error = aws.add_user_pool_client_secret(&pool, &id, &value("b")).await.unwrap_err();
        assert_eq!(error.code, "LimitExceededException");

        let shown = async |aws: &FakeAws| aws.describe_user_pool_client(&pool, &id).await.unwrap().unwrap().secret;
        assert!(shown(&aws).await == Some(first));
        aws.world().behavior.describe_hides_secrets = true;
        assert!(shown(&aws).await.is_none());

        let secrets = aws.list_user_pool_client_secrets(&pool, &id, None).await.unwrap().items;
        assert!(secrets[0].created > secrets[1].created, "the newest first");
        aws.delete_user_pool_client_secret(&pool, &id, &secrets[1].id).await.unwrap();
        assert!(aws.delete_user_pool_client_secret(&pool, &id, &secrets[0].id).await.is_err());
        assert!(aws.world().pools[&pool].clients[&id].takes(&value("a")));
    }
}
