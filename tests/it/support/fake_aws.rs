//! Cognito, Secrets Manager and the token endpoint in memory, with the rules that local clouds lack:
//! names are not unique, a pool with a domain or with protection is not deleted, scopes must exist,
//! a deleted secret keeps its name, a version's token takes one value, listings lag behind.
//!
//! <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/Welcome.html>
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html>

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cognito_m2m::{
    model::{
        Client, ClientId, ClientName, Domain, Endpoints, Owner, PoolId, ResourceServer, Rotation, SecretName, Tags,
        Tier, UserPool, observed::ObservedClient,
    },
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, AwsError, ClientDescription, ClientSecretDescription, ClientSecrets,
        DomainDescription, ErrorKind, ExpectedToken, NEXT, NewSecret, Page, Result, SecretChange, SecretDescription,
        SecretDocument, SecretVersion, SecretVersions, Secrets, Services, TokenEndpoint, TokenError,
        UserPoolDescription, UserPools, Version,
    },
    redact::Secret,
};
use tokio::{sync::Notify, time::Instant};

/// A secret's value starts with this, so that a test can look for it everywhere.
pub const CANARY: &str = "canary-client-secret-";

/// Everything that the account holds.
#[derive(Debug, Default)]
pub struct World {
    pub pools: BTreeMap<PoolId, FakePool>,
    pub secrets: BTreeMap<SecretName, FakeSecret>,
    pub calls: Vec<Call>,
    pub tokens_granted: usize,
    pub token_endpoint: TokenMood,
    /// Pages are short, so that there are several.
    made: u64,
    /// How long a deleted domain still counts.
    pub domain_lingers: Duration,
    /// ListSecrets shows nothing younger than five minutes.
    pub listing_lags: bool,
    /// Scopes that a client of this name may not lose at any moment.
    pub granted_for_good: BTreeMap<ClientName, BTreeSet<String>>,
    pub broken_promises: Vec<String>,
    /// Whether consumers are asking for tokens all the while.
    pub consumers: bool,
    /// What a consumer holds that read each secret before the last rotation.
    read_before: BTreeMap<SecretName, (SecretDocument, Option<SecretDocument>)>,
    /// DescribeUserPoolClient shows nothing once there are two secrets, or else the oldest.
    pub describe_hides_secrets: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenMood {
    #[default]
    Works,
    Unreachable,
    Refuses,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakePool {
    pub state: UserPool,
    pub m2m_only: bool,
    pub domain: Option<FakeDomain>,
    pub servers: BTreeMap<String, ResourceServer>,
    pub clients: BTreeMap<ClientId, FakeClient>,
    created: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeDomain {
    pub domain: Domain,
    pub gone_at: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeClient {
    pub client: Client,
    pub m2m_only: bool,
    /// At most two, the oldest first. All of them are good at the token endpoint.
    pub secrets: Vec<FakeClientSecret>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeClientSecret {
    pub id: String,
    pub value: Secret<String>,
    pub created: Duration,
}

impl FakeClient {
    pub fn takes(&self, value: &Secret<String>) -> bool {
        self.secrets.iter().any(|secret| secret.value == *value)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeSecret {
    pub arn: String,
    pub tags: Tags,
    pub kms_key_id: Option<String>,
    pub scheduled: bool,
    pub description: String,
    pub rotation: Option<Rotation>,
    pub versions: BTreeMap<String, FakeVersion>,
    created: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeVersion {
    /// Secrets Manager makes a version without a value when a rotation begins.
    pub document: Option<SecretDocument>,
    pub stages: BTreeSet<String>,
    pub created: Duration,
}

impl FakeSecret {
    pub fn staged(&self, stage: &str) -> Option<(&String, &FakeVersion)> {
        self.versions.iter().find(|(_, version)| version.stages.contains(stage))
    }

    /// Puts a label on a version. AWSPREVIOUS follows AWSCURRENT.
    fn label(&mut self, stage: &str, to: &str) {
        let from = self.staged(stage).map(|(id, _)| id.clone());
        for version in self.versions.values_mut() {
            version.stages.remove(stage);
        }
        self.versions.get_mut(to).unwrap().stages.insert(stage.to_owned());
        if let Some(from) = from.filter(|from| stage == AWSCURRENT && from != to) {
            self.label(AWSPREVIOUS, &from);
        }
    }
}

/// One call, as the service's own log would show it.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: &'static str,
    pub at: Instant,
    pub answered_at: Option<Instant>,
}

impl Call {
    pub fn is_write(&self) -> bool {
        !["List", "Describe", "Get", "VerifyToken"].iter().any(|read| self.operation.starts_with(read))
    }
}

/// What goes wrong with one call.
#[derive(Clone)]
pub enum Fault {
    /// Nothing happens and the service says so.
    Before,
    /// It happens and the answer is lost.
    Lost,
    /// It happens and the process is gone.
    CrashAfter,
    /// The process is gone before it happens.
    CrashBefore,
    /// Nothing happens and no answer comes.
    Hang,
    Throttled,
    Busy,
    Quota,
    /// Something else runs first, then the call goes on.
    Meanwhile(Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>),
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Before => "an error before the effect",
            Self::Lost => "the answer lost",
            Self::CrashAfter => "a crash after the effect",
            Self::CrashBefore => "a crash before the effect",
            Self::Hang => "a hang",
            Self::Throttled => "throttling",
            Self::Busy => "another modification",
            Self::Quota => "a quota",
            Self::Meanwhile(_) => "something meanwhile",
        })
    }
}

/// One process's view of the account: its calls are counted, and some of them go wrong.
#[derive(Clone)]
pub struct Session {
    pub world: Arc<Mutex<World>>,
    count: Arc<AtomicUsize>,
    faults: Arc<BTreeMap<usize, Fault>>,
    /// Every call from this one on hangs.
    pub dead: Arc<Notify>,
}

impl Session {
    pub fn new(world: &Arc<Mutex<World>>) -> Self {
        Self::with_faults(world, [])
    }

    /// Calls are counted from 0, tries of one call each by itself.
    pub fn with_faults(world: &Arc<Mutex<World>>, faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        Self {
            world: Arc::clone(world),
            count: Arc::default(),
            faults: Arc::new(faults.into_iter().collect()),
            dead: Arc::default(),
        }
    }

    /// All the scopes that the token of a client carries.
    #[cfg(feature = "cli")]
    pub fn world_scopes(&self, expected: &ExpectedToken) -> String {
        let world = self.world.lock().unwrap();
        let pool = &world.pools[&expected.metadata.user_pool_id];
        let scopes = World::effective_scopes(pool, &pool.clients[&expected.client_id]);
        scopes.into_iter().collect::<Vec<_>>().join(" ")
    }

    pub fn calls_made(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// One call: the fault that is due, some latency, the effect under the account's lock.
    async fn call<R>(&self, operation: &'static str, effect: impl FnOnce(&mut World) -> Result<R> + Send) -> Result<R> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let index = {
            let mut world = self.world();
            world.calls.push(Call { operation, at: Instant::now(), answered_at: None });
            world.calls.len() - 1
        };
        tokio::time::sleep(Duration::from_millis(5)).await;
        let fault = self.faults.get(&number).cloned();
        if let Some(Fault::Meanwhile(other)) = &fault {
            other().await;
        }
        let result = match fault {
            Some(Fault::Before) => {
                Err(error(operation, ErrorKind::Refused, "InvalidParameterException", "a fault before the effect"))
            }
            Some(Fault::Throttled) => {
                Err(error(operation, ErrorKind::Throttled, "TooManyRequestsException", "Rate exceeded"))
            }
            Some(Fault::Busy) => {
                Err(error(operation, ErrorKind::Busy, "ConcurrentModificationException", "Only one request"))
            }
            Some(Fault::Quota) => Err(error(
                operation,
                ErrorKind::Quota,
                "LimitExceededException",
                "Too many user pools: the quota is 1000",
            )),
            Some(Fault::CrashBefore) => self.die().await,
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::CrashAfter) => {
                let _ = effect(&mut self.world());
                self.world().keep_watch(operation);
                self.die().await
            }
            Some(Fault::Lost) => {
                let _ = effect(&mut self.world());
                self.world().keep_watch(operation);
                Err(error(operation, ErrorKind::Lost, "ConnectionLost", "the answer was lost"))
            }
            Some(Fault::Meanwhile(_)) | None => {
                let result = effect(&mut self.world());
                self.world().keep_watch(operation);
                result
            }
        };
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.world().calls[index].answered_at = Some(Instant::now());
        result
    }

    async fn die<R>(&self) -> R {
        self.dead.notify_one();
        std::future::pending().await
    }
}

fn error(operation: &'static str, kind: ErrorKind, code: &str, message: &str) -> AwsError {
    AwsError { operation, subject: "a thing".to_owned(), kind, code: code.to_owned(), message: message.to_owned() }
}

fn refused<R>(operation: &'static str, code: &str, message: &str) -> Result<R> {
    Err(error(operation, ErrorKind::Refused, code, message))
}

fn changed<R>(operation: &'static str, code: &str, message: &str) -> Result<R> {
    Err(error(operation, ErrorKind::Changed, code, message))
}

fn not_found<R>(operation: &'static str) -> Result<R> {
    changed(operation, "ResourceNotFoundException", "no such thing")
}

/// So many entries a page.
const PAGE: usize = 3;

fn page<T>(all: Vec<T>, next: Option<&str>) -> Page<T> {
    let start: usize = next.map_or(0, |next| next.parse().unwrap());
    let end = start + PAGE;
    let next = (end < all.len()).then(|| end.to_string());
    Page { items: all.into_iter().skip(start).take(PAGE).collect(), next }
}

impl World {
    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn pool(&mut self, operation: &'static str, id: &PoolId) -> Result<&mut FakePool> {
        self.pools.get_mut(id).map_or_else(|| not_found(operation), Ok)
    }

    fn domain_owner(&self, prefix: &str) -> Option<(&PoolId, &FakeDomain)> {
        self.pools
            .iter()
            .find_map(|(id, pool)| Some((id, pool.domain.as_ref().filter(|held| held.domain.prefix == prefix)?)))
    }

    fn drop_gone_domains(&mut self) {
        for pool in self.pools.values_mut() {
            if pool.domain.as_ref().and_then(|domain| domain.gone_at).is_some_and(|gone_at| gone_at <= Instant::now()) {
                pool.domain = None;
            }
        }
    }

    /// A secret by its name or its ARN.
    fn key(&self, name: &SecretName) -> SecretName {
        let by_arn = self.secrets.iter().find(|(_, secret)| secret.arn == name.as_str()).map(|(key, _)| key.clone());
        by_arn.unwrap_or_else(|| name.clone())
    }

    fn secret(&self, name: &SecretName) -> Option<&FakeSecret> {
        self.secrets.get(&self.key(name))
    }

    fn client(&mut self, operation: &'static str, pool: &PoolId, id: &ClientId) -> Result<&mut FakeClient> {
        self.pool(operation, pool)?.clients.get_mut(id).map_or_else(|| not_found(operation), Ok)
    }

    fn live_secret(&mut self, operation: &'static str, name: &SecretName) -> Result<&mut FakeSecret> {
        let key = self.key(name);
        match self.secrets.get_mut(&key) {
            None => not_found(operation),
            Some(secret) if secret.scheduled => changed(
                operation,
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            ),
            Some(secret) => Ok(secret),
        }
    }

    /// Scopes that a token of the client would carry: those allowed that its pool still defines.
    pub fn effective_scopes(pool: &FakePool, client: &FakeClient) -> BTreeSet<String> {
        let defined: BTreeSet<String> = pool.defined_scopes();
        client.client.scopes.iter().filter(|scope| defined.contains(*scope)).cloned().collect()
    }

    fn keep_watch(&mut self, operation: &str) {
        self.keep_consumers(operation);
        for (name, scopes) in &self.granted_for_good {
            let still = self.pools.values().any(|pool| {
                pool.clients.values().any(|client| {
                    client.client.name == *name && Self::effective_scopes(pool, client).is_superset(scopes)
                })
            });
            if !still {
                self.broken_promises.push(format!("{operation} took a scope from {name} that both versions grant"));
            }
        }
    }

    /// Whoever reads AWSCURRENT now is not refused, nor is whoever read it before the last rotation,
    /// unless the next one has begun.
    fn keep_consumers(&mut self, operation: &str) {
        if !self.consumers {
            return;
        }
        let mut broken = Vec::new();
        for (name, secret) in self.secrets.iter().filter(|(_, secret)| !secret.scheduled) {
            let Some(document) = secret.staged(AWSCURRENT).and_then(|(_, version)| version.document.clone()) else {
                continue;
            };
            let Some(client) =
                self.pools.get(&document.metadata.user_pool_id).and_then(|pool| pool.clients.get(&document.client_id))
            else {
                continue;
            };
            if !client.takes(&document.client_secret) {
                broken.push(format!("{operation}: AWSCURRENT of {name} is refused"));
            }
            let read = self.read_before.entry(name.clone()).or_insert_with(|| (document.clone(), None));
            if read.0.client_secret != document.client_secret {
                *read = (document.clone(), Some(read.0.clone()));
            }
            let former = read.1.as_ref().filter(|former| former.client_id == document.client_id);
            let next_is_pending = secret.staged(AWSPENDING).is_some_and(|(_, version)| {
                version.document.as_ref().is_some_and(|pending| pending.client_secret != document.client_secret)
            });
            // Or it is on the client already, whatever has become of its label.
            let next_is_there = client.secrets.iter().any(|secret| {
                let known = former.is_some_and(|former| former.client_secret == secret.value);
                secret.value != document.client_secret && !known
            });
            let next_has_begun = next_is_pending || next_is_there;
            if former.is_some_and(|former| !next_has_begun && !client.takes(&former.client_secret)) {
                broken.push(format!("{operation}: what {name} said before the last rotation is refused"));
            }
        }
        self.broken_promises.extend(broken);
    }

    pub fn writes(&self) -> Vec<&'static str> {
        self.calls.iter().filter(|call| call.is_write()).map(|call| call.operation).collect()
    }

    /// Somebody else's pool, with a domain.
    pub fn add_foreign_pool(&mut self, name: &str, prefix: &str) -> PoolId {
        let id = PoolId(format!("us-east-1_foreign{}", self.next()));
        let state =
            UserPool { name: name.to_owned(), tier: Tier::Essentials, deletion_protection: false, tags: Tags::new() };
        let domain =
            FakeDomain { domain: Domain { prefix: prefix.to_owned(), managed_login_version: 1 }, gone_at: None };
        let pool = FakePool {
            state,
            m2m_only: false,
            domain: Some(domain),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            created: Duration::ZERO,
        };
        self.pools.insert(id.clone(), pool);
        id
    }

    /// Somebody else's secret.
    pub fn add_foreign_secret(&mut self, name: &str, tags: Tags, scheduled: bool) {
        let secret = FakeSecret {
            arn: format!("arn:aws:secretsmanager:us-east-1:111122223333:secret:{name}-AbCdEf"),
            tags,
            kms_key_id: None,
            scheduled,
            description: String::new(),
            rotation: None,
            versions: BTreeMap::new(),
            created: None,
        };
        self.secrets.insert(SecretName::from(name), secret);
    }

    /// The client's secret as a consumer that reads AWSCURRENT sees it.
    pub fn document(&self, name: &str) -> &SecretDocument {
        let secret = &self.secrets[&SecretName::from(name)];
        assert!(!secret.scheduled, "{name} is scheduled for deletion");
        secret.staged(AWSCURRENT).unwrap().1.document.as_ref().unwrap()
    }
}

impl FakePool {
    fn defined_scopes(&self) -> BTreeSet<String> {
        self.servers
            .values()
            .flat_map(|server| server.scopes.iter().map(|scope| format!("{}/{}", server.identifier, scope.name)))
            .collect()
    }

    fn check_scopes(&self, operation: &'static str, client: &Client) -> Result<()> {
        let defined = self.defined_scopes();
        if client.scopes.len() > 50 {
            return refused(operation, "InvalidParameterException", "at most 50 scopes");
        }
        match client.scopes.iter().find(|scope| !defined.contains(*scope)) {
            Some(scope) => {
                changed(operation, "ScopeDoesNotExistException", &format!("The scope {scope} does not exist"))
            }
            None => Ok(()),
        }
    }
}

fn check_server(operation: &'static str, server: &ResourceServer) -> Result<()> {
    if server.scopes.len() > 100 {
        Err(error(operation, ErrorKind::Quota, "LimitExceededException", "at most 100 scopes"))
    } else {
        Ok(())
    }
}

impl Services for Session {
    type Pools = Self;
    type Secrets = Self;
    type Tokens = Self;

    fn pools(&self) -> &Self {
        self
    }

    fn secrets(&self) -> &Self {
        self
    }

    fn tokens(&self) -> &Self {
        self
    }
}

impl UserPools for Session {
    async fn list_user_pools(&self, next: Option<&str>) -> Result<Page<(PoolId, String)>> {
        let next = next.map(ToOwned::to_owned);
        self.call("ListUserPools", move |world| {
            Ok(page(
                world.pools.iter().map(|(id, pool)| (id.clone(), pool.state.name.clone())).collect(),
                next.as_deref(),
            ))
        })
        .await
    }

    async fn describe_user_pool(&self, id: &PoolId) -> Result<Option<UserPoolDescription>> {
        self.call("DescribeUserPool", |world| {
            world.drop_gone_domains();
            Ok(world.pools.get(id).map(|pool| UserPoolDescription {
                id: id.clone(),
                arn: format!("arn:aws:cognito-idp:us-east-1:111122223333:userpool/{id}"),
                state: pool.state.clone(),
                m2m_only: pool.m2m_only,
                domain: pool.domain.as_ref().map(|held| held.domain.prefix.clone()),
                created: pool.created,
            }))
        })
        .await
    }

    async fn create_user_pool(&self, pool: &UserPool) -> Result<(PoolId, String)> {
        self.call("CreateUserPool", |world| {
            let number = world.next();
            // Ids are in no order of age.
            let id = PoolId(format!("us-east-1_{:04x}{number}", (number * 40_503) % 65_536));
            let pool = FakePool {
                state: pool.clone(),
                m2m_only: true,
                domain: None,
                servers: BTreeMap::new(),
                clients: BTreeMap::new(),
                created: Duration::from_secs(number),
            };
            world.pools.insert(id.clone(), pool);
            let arn = format!("arn:aws:cognito-idp:us-east-1:111122223333:userpool/{id}");
            Ok((id, arn))
        })
        .await
    }

    async fn update_user_pool(&self, id: &PoolId, pool: &UserPool) -> Result<()> {
        self.call("UpdateUserPool", |world| {
            let current = world.pool("UpdateUserPool", id)?;
            let managed_login = current.domain.as_ref().is_some_and(|held| held.domain.managed_login_version == 2);
            if pool.tier == Tier::Lite && managed_login {
                return refused(
                    "UpdateUserPool",
                    "TierChangeNotAllowedException",
                    "Managed login needs to be disabled for LITE",
                );
            }
            current.state = pool.clone();
            current.m2m_only = true;
            Ok(())
        })
        .await
    }

    async fn delete_user_pool(&self, id: &PoolId) -> Result<()> {
        self.call("DeleteUserPool", |world| {
            world.drop_gone_domains();
            let Some(pool) = world.pools.get(id) else { return Ok(()) };
            if pool.state.deletion_protection {
                return refused("DeleteUserPool", "InvalidParameterException", "deletion protection is activated");
            }
            if pool.domain.is_some() {
                return changed(
                    "DeleteUserPool",
                    "InvalidParameterException",
                    "It has a domain configured that should be deleted first.",
                );
            }
            world.pools.remove(id);
            Ok(())
        })
        .await
    }

    async fn describe_user_pool_domain(&self, prefix: &str) -> Result<Option<DomainDescription>> {
        self.call("DescribeUserPoolDomain", |world| {
            world.drop_gone_domains();
            Ok(world.domain_owner(prefix).map(|(pool, held)| DomainDescription {
                pool: pool.clone(),
                account: Some("111122223333".to_owned()),
                managed_login_version: held.domain.managed_login_version,
                deleting: held.gone_at.is_some(),
            }))
        })
        .await
    }

    async fn create_user_pool_domain(&self, pool: &PoolId, domain: &Domain) -> Result<()> {
        const OPERATION: &str = "CreateUserPoolDomain";
        self.call(OPERATION, |world| {
            world.drop_gone_domains();
            if world.domain_owner(&domain.prefix).is_some_and(|(owner, _)| owner != pool) {
                return changed(
                    OPERATION,
                    "InvalidParameterException",
                    "Domain already associated with another user pool.",
                );
            }
            let pool = world.pool(OPERATION, pool)?;
            if pool.domain.is_some() {
                return changed(OPERATION, "InvalidParameterException", "User pool already has a domain configured");
            }
            if pool.state.tier == Tier::Lite && domain.managed_login_version == 2 {
                return refused(
                    OPERATION,
                    "FeatureUnavailableInTierException",
                    "Managed login is not available in LITE",
                );
            }
            pool.domain = Some(FakeDomain { domain: domain.clone(), gone_at: None });
            Ok(())
        })
        .await
    }

    async fn update_user_pool_domain(&self, pool: &PoolId, domain: &Domain) -> Result<()> {
        const OPERATION: &str = "UpdateUserPoolDomain";
        self.call(OPERATION, |world| {
            let pool = world.pool(OPERATION, pool)?;
            if pool.state.tier == Tier::Lite && domain.managed_login_version == 2 {
                return refused(
                    OPERATION,
                    "FeatureUnavailableInTierException",
                    "Managed login is not available in LITE",
                );
            }
            match pool.domain.as_mut().filter(|held| held.domain.prefix == domain.prefix) {
                Some(held) => held.domain = domain.clone(),
                None => return not_found(OPERATION),
            }
            Ok(())
        })
        .await
    }

    async fn delete_user_pool_domain(&self, pool: &PoolId, prefix: &str) -> Result<()> {
        self.call("DeleteUserPoolDomain", |world| {
            let lingers = world.domain_lingers;
            let Some(pool) = world.pools.get_mut(pool) else { return Ok(()) };
            if pool.domain.as_ref().is_some_and(|held| held.domain.prefix == prefix) {
                if lingers.is_zero() {
                    pool.domain = None;
                } else if let Some(held) = &mut pool.domain {
                    held.gone_at.get_or_insert(Instant::now() + lingers);
                }
            }
            Ok(())
        })
        .await
    }

    async fn list_resource_servers(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<ResourceServer>> {
        let next = next.map(ToOwned::to_owned);
        self.call("ListResourceServers", move |world| {
            Ok(page(world.pool("ListResourceServers", pool)?.servers.values().cloned().collect(), next.as_deref()))
        })
        .await
    }

    async fn create_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()> {
        const OPERATION: &str = "CreateResourceServer";
        self.call(OPERATION, |world| {
            check_server(OPERATION, server)?;
            let pool = world.pool(OPERATION, pool)?;
            if pool.servers.contains_key(&server.identifier) {
                return changed(
                    OPERATION,
                    "InvalidParameterException",
                    "A resource server with that identifier already exists.",
                );
            }
            if pool.servers.len() == 25 {
                return Err(error(
                    OPERATION,
                    ErrorKind::Quota,
                    "LimitExceededException",
                    "at most 25 resource servers",
                ));
            }
            pool.servers.insert(server.identifier.clone(), server.clone());
            Ok(())
        })
        .await
    }

    async fn update_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()> {
        const OPERATION: &str = "UpdateResourceServer";
        self.call(OPERATION, |world| {
            check_server(OPERATION, server)?;
            match world.pool(OPERATION, pool)?.servers.get_mut(&server.identifier) {
                Some(current) => *current = server.clone(),
                None => return not_found(OPERATION),
            }
            Ok(())
        })
        .await
    }

    async fn delete_resource_server(&self, pool: &PoolId, identifier: &str) -> Result<()> {
        self.call("DeleteResourceServer", |world| {
            if let Some(pool) = world.pools.get_mut(pool) {
                pool.servers.remove(identifier);
            }
            Ok(())
        })
        .await
    }

    async fn list_user_pool_clients(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<(ClientId, ClientName)>> {
        let next = next.map(ToOwned::to_owned);
        self.call("ListUserPoolClients", move |world| {
            let pool = world.pool("ListUserPoolClients", pool)?;
            Ok(page(
                pool.clients.iter().map(|(id, client)| (id.clone(), client.client.name.clone())).collect(),
                next.as_deref(),
            ))
        })
        .await
    }

    async fn describe_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<Option<ClientDescription>> {
        self.call("DescribeUserPoolClient", |world| {
            let hides = world.describe_hides_secrets;
            let pool = world.pool("DescribeUserPoolClient", pool)?;
            Ok(pool.clients.get(id).map(|found| ClientDescription {
                observed: ObservedClient {
                    id: id.clone(),
                    name: found.client.name.clone(),
                    scopes: found.client.scopes.clone(),
                    access_token_validity_minutes: found.client.access_token_validity_minutes,
                    m2m_only: found.m2m_only,
                },
                secret: found
                    .secrets
                    .first()
                    .filter(|_| !hides || found.secrets.len() < 2)
                    .map(|secret| secret.value.clone()),
            }))
        })
        .await
    }

    async fn create_user_pool_client(&self, pool: &PoolId, client: &Client) -> Result<(ClientId, Secret<String>)> {
        const OPERATION: &str = "CreateUserPoolClient";
        self.call(OPERATION, |world| {
            let number = world.next();
            let pool = world.pool(OPERATION, pool)?;
            pool.check_scopes(OPERATION, client)?;
            let id = ClientId(format!("client{:04x}{number}", (number * 40_503) % 65_536));
            let secret = Secret::new(format!("{CANARY}{number}"));
            let first = FakeClientSecret {
                id: format!("{id}--{number}"),
                value: secret.clone(),
                created: Duration::from_secs(number),
            };
            pool.clients
                .insert(id.clone(), FakeClient { client: client.clone(), m2m_only: true, secrets: vec![first] });
            Ok((id, secret))
        })
        .await
    }

    async fn update_user_pool_client(&self, pool: &PoolId, id: &ClientId, client: &Client) -> Result<()> {
        const OPERATION: &str = "UpdateUserPoolClient";
        self.call(OPERATION, |world| {
            let pool = world.pool(OPERATION, pool)?;
            pool.check_scopes(OPERATION, client)?;
            match pool.clients.get_mut(id) {
                Some(found) => {
                    found.client = client.clone();
                    found.m2m_only = true;
                }
                None => return not_found(OPERATION),
            }
            Ok(())
        })
        .await
    }

    async fn delete_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<()> {
        self.call("DeleteUserPoolClient", |world| {
            if let Some(pool) = world.pools.get_mut(pool) {
                pool.clients.remove(id);
            }
            Ok(())
        })
        .await
    }
}

/// How long ListSecrets may lag behind.
const LAG: Duration = Duration::from_mins(5);

impl SecretVersions for Session {
    async fn describe_secret(&self, name: &SecretName) -> Result<Option<SecretDescription>> {
        self.call("DescribeSecret", |world| {
            Ok(world.secret(name).map(|secret| SecretDescription {
                arn: secret.arn.clone(),
                description: secret.description.clone(),
                tags: secret.tags.clone(),
                kms_key_id: secret.kms_key_id.clone(),
                scheduled: secret.scheduled,
                rotation: secret.rotation.clone(),
                versions: secret
                    .versions
                    .iter()
                    .filter(|(_, version)| !version.stages.is_empty())
                    .map(|(id, version)| (id.clone(), version.stages.clone()))
                    .collect(),
            }))
        })
        .await
    }

    async fn get_secret_value(&self, name: &SecretName, version: Version<'_>) -> Result<Option<SecretVersion>> {
        self.call("GetSecretValue", |world| {
            if world.secret(name).is_none() {
                return Ok(None);
            }
            let secret = world.live_secret("GetSecretValue", name)?;
            let found = match version {
                Version::Stage(stage) => secret.staged(stage),
                Version::Id(id) => secret.versions.get_key_value(id),
            };
            Ok(found.filter(|(_, version)| version.document.is_some()).map(|(id, version)| SecretVersion {
                id: id.clone(),
                created: Some(version.created),
                document: version.document.clone(),
            }))
        })
        .await
    }

    async fn put_secret_value(
        &self,
        name: &SecretName,
        document: &SecretDocument,
        token: &str,
        stage: &str,
    ) -> Result<()> {
        const OPERATION: &str = "PutSecretValue";
        self.call(OPERATION, |world| {
            let created = Duration::from_secs(world.next());
            let secret = world.live_secret(OPERATION, name)?;
            match secret.versions.get(token).map(|version| &version.document) {
                // The request is ignored: the version keeps the stages that it has.
                Some(Some(same)) if same == document => Ok(()),
                Some(Some(_)) => {
                    changed(OPERATION, "ResourceExistsException", "a version with this token has another value")
                }
                Some(None) | None => {
                    let version = FakeVersion { document: Some(document.clone()), stages: BTreeSet::new(), created };
                    secret.versions.insert(token.to_owned(), version);
                    secret.label(stage, token);
                    if stage == AWSCURRENT || stage == NEXT {
                        // "RotationAbandoned": a version made in the middle of a rotation ends it.
                        for version in secret.versions.values_mut() {
                            version.stages.remove(AWSPENDING);
                        }
                    }
                    Ok(())
                }
            }
        })
        .await
    }

    async fn update_secret_version_stage(
        &self,
        name: &SecretName,
        stage: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<()> {
        const OPERATION: &str = "UpdateSecretVersionStage";
        self.call(OPERATION, |world| {
            let secret = world.live_secret(OPERATION, name)?;
            let holder = secret.staged(stage).map(|(id, _)| id.clone());
            // "If the label is attached and you either do not specify this parameter, or the version ID
            // does not match, then the operation fails."
            if holder.is_some() && holder.as_deref() != from {
                return changed(OPERATION, "InvalidParameterException", "the label is on another version");
            }
            match to {
                Some(to) if secret.versions.contains_key(to) => secret.label(stage, to),
                Some(_) => return not_found(OPERATION),
                None => {
                    for version in secret.versions.values_mut() {
                        version.stages.remove(stage);
                    }
                }
            }
            Ok(())
        })
        .await
    }
}

impl ClientSecrets for Session {
    async fn list_user_pool_client_secrets(
        &self,
        pool: &PoolId,
        client: &ClientId,
        _next: Option<&str>,
    ) -> Result<Page<ClientSecretDescription>> {
        const OPERATION: &str = "ListUserPoolClientSecrets";
        self.call(OPERATION, |world| {
            let client = world.client(OPERATION, pool, client)?;
            let shown =
                |secret: &FakeClientSecret| ClientSecretDescription { id: secret.id.clone(), created: secret.created };
            // In no order.
            Ok(Page { items: client.secrets.iter().rev().map(shown).collect(), next: None })
        })
        .await
    }

    async fn add_user_pool_client_secret(
        &self,
        pool: &PoolId,
        client: &ClientId,
        value: &Secret<String>,
    ) -> Result<()> {
        const OPERATION: &str = "AddUserPoolClientSecret";
        self.call(OPERATION, |world| {
            let number = world.next();
            let found = world.client(OPERATION, pool, client)?;
            if !(24..=64).contains(&value.expose().len()) || !value.expose().bytes().all(|b| b.is_ascii_alphanumeric())
            {
                return refused(OPERATION, "InvalidParameterException", "24 to 64 of [\\w+]");
            }
            if found.secrets.len() == 2 {
                return Err(error(OPERATION, ErrorKind::Quota, "LimitExceededException", "at most two secrets"));
            }
            let id = format!("{client}--{number}");
            found.secrets.push(FakeClientSecret { id, value: value.clone(), created: Duration::from_secs(number) });
            Ok(())
        })
        .await
    }

    async fn delete_user_pool_client_secret(&self, pool: &PoolId, client: &ClientId, id: &str) -> Result<()> {
        const OPERATION: &str = "DeleteUserPoolClientSecret";
        self.call(OPERATION, |world| {
            let Ok(found) = world.client(OPERATION, pool, client) else { return Ok(()) };
            if found.secrets.len() == 1 && found.secrets[0].id == id {
                return refused(OPERATION, "InvalidParameterException", "the last secret stays");
            }
            found.secrets.retain(|secret| secret.id != id);
            Ok(())
        })
        .await
    }
}

impl Secrets for Session {
    async fn list_secrets(&self, owner: &Owner, next: Option<&str>) -> Result<Page<SecretName>> {
        let next = next.map(ToOwned::to_owned);
        self.call("ListSecrets", move |world| {
            let lags = world.listing_lags;
            let shown = |secret: &FakeSecret| !lags || secret.created.is_none_or(|created| created.elapsed() > LAG);
            let ours = world
                .secrets
                .iter()
                .filter(|(_, secret)| !secret.scheduled && shown(secret) && owner.owns(&secret.tags));
            Ok(page(ours.map(|(name, _)| name.clone()).collect(), next.as_deref()))
        })
        .await
    }

    async fn create_secret(&self, secret: &NewSecret<'_>) -> Result<String> {
        const OPERATION: &str = "CreateSecret";
        self.call(OPERATION, |world| {
            let NewSecret { name, tags, kms_key_id, description, document, token } = secret;
            let number = world.next();
            if let Some(found) = world.secrets.get(*name) {
                if found.scheduled {
                    return changed(
                        OPERATION,
                        "InvalidRequestException",
                        "a secret with this name is already scheduled for deletion.",
                    );
                }
                let same = found.versions.get(*token).and_then(|version| version.document.as_ref()) == *document;
                return if same && document.is_some() {
                    Ok(found.arn.clone())
                } else {
                    changed(OPERATION, "ResourceExistsException", "the secret already exists.")
                };
            }
            let arn = format!("arn:aws:secretsmanager:us-east-1:111122223333:secret:{name}-{number:06}");
            let first = |document: &SecretDocument| {
                let stages = [AWSCURRENT.to_owned()].into();
                let version =
                    FakeVersion { document: Some(document.clone()), stages, created: Duration::from_secs(number) };
                ((*token).to_owned(), version)
            };
            let new = FakeSecret {
                arn: arn.clone(),
                tags: (*tags).clone(),
                kms_key_id: kms_key_id.map(ToOwned::to_owned),
                scheduled: false,
                description: (*description).to_owned(),
                rotation: None,
                versions: document.map(first).into_iter().collect(),
                created: Some(Instant::now()),
            };
            world.secrets.insert((*name).clone(), new);
            Ok(arn)
        })
        .await
    }

    async fn update_secret(&self, name: &SecretName, change: &SecretChange) -> Result<()> {
        self.call("UpdateSecret", |world| {
            let SecretChange { description, kms_key_id } = change;
            let secret = world.live_secret("UpdateSecret", name)?;
            if let Some(description) = description {
                secret.description.clone_from(description);
            }
            if let Some(key) = kms_key_id {
                secret.kms_key_id.clone_from(key);
            }
            Ok(())
        })
        .await
    }

    async fn rotate_secret(&self, name: &SecretName, rotation: &Rotation) -> Result<()> {
        self.call("RotateSecret", |world| {
            world.live_secret("RotateSecret", name)?.rotation = Some(rotation.clone());
            Ok(())
        })
        .await
    }

    async fn cancel_rotate_secret(&self, name: &SecretName) -> Result<()> {
        self.call("CancelRotateSecret", |world| {
            world.live_secret("CancelRotateSecret", name)?.rotation = None;
            Ok(())
        })
        .await
    }

    async fn tag_resource(&self, name: &SecretName, tags: &Tags) -> Result<()> {
        self.call("TagResource", |world| {
            world.live_secret("TagResource", name)?.tags.extend(tags.clone());
            Ok(())
        })
        .await
    }

    async fn untag_resource(&self, name: &SecretName, keys: &[String]) -> Result<()> {
        self.call("UntagResource", |world| {
            world.live_secret("UntagResource", name)?.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await
    }

    async fn restore_secret(&self, name: &SecretName) -> Result<()> {
        self.call("RestoreSecret", |world| match world.secrets.get_mut(name) {
            None => not_found("RestoreSecret"),
            Some(secret) => {
                secret.scheduled = false;
                Ok(())
            }
        })
        .await
    }

    async fn delete_secret(&self, name: &SecretName, recovery_window_in_days: u8) -> Result<()> {
        self.call("DeleteSecret", |world| {
            if recovery_window_in_days == 0 {
                world.secrets.remove(name);
            } else if let Some(secret) = world.secrets.get_mut(name) {
                secret.scheduled = true;
            }
            Ok(())
        })
        .await
    }
}

impl TokenEndpoint for Session {
    async fn accepts(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<bool, TokenError> {
        let answer = self
            .call("VerifyToken", |world| {
                let metadata = &expected.metadata;
                let endpoints = Endpoints::new("us-east-1", None);
                let domain = world.pools.get(&metadata.user_pool_id).and_then(|pool| pool.domain.as_ref());
                if domain.map(|held| endpoints.token_endpoint(&held.domain)).as_ref() != Some(&metadata.token_endpoint)
                {
                    return Ok(Err(TokenError::Unreachable("no such host".to_owned())));
                }
                let client = world.client("token", &metadata.user_pool_id, &expected.client_id);
                Ok(Ok(client.is_ok_and(|client| client.takes(secret))))
            })
            .await;
        answer.unwrap_or_else(|error| Err(TokenError::Unreachable(error.to_string())))
    }

    async fn verify(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<(), TokenError> {
        let endpoints = Endpoints::new("us-east-1", None);
        let answer = self
            .call("VerifyToken", |world| {
                Ok(match world.token_endpoint {
                    TokenMood::Unreachable => Err(TokenError::Unreachable("no such host".to_owned())),
                    TokenMood::Refuses => Err(TokenError::Refused("HTTP 400 invalid_client".to_owned())),
                    TokenMood::Works => {
                        let found = world.pools.get(&expected.metadata.user_pool_id).and_then(|pool| {
                            let domain = &pool.domain.as_ref().filter(|held| held.gone_at.is_none())?.domain;
                            let client = pool.clients.get(&expected.client_id)?;
                            let wanted: BTreeSet<String> =
                                expected.metadata.scope.split(' ').map(ToOwned::to_owned).collect();
                            let good = endpoints.token_endpoint(domain) == expected.metadata.token_endpoint
                                && client.takes(secret)
                                && World::effective_scopes(pool, client) == wanted;
                            good.then_some(())
                        });
                        match found {
                            Some(()) => {
                                world.tokens_granted += 1;
                                Ok(())
                            }
                            None => Err(TokenError::Refused("the token is not as expected".to_owned())),
                        }
                    }
                })
            })
            .await;
        // A call that fails below the endpoint is a network that cannot be reached.
        answer.unwrap_or_else(|error| Err(TokenError::Unreachable(error.to_string())))
    }
}
