//! Reads what AWS holds.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::ControlFlow,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, future, stream};

use super::{Aws, Error, Target, notes::Note, phases::MAX_CONCURRENT, shared_pool};
use crate::{
    clock::{now, poll_until},
    model::{
        Applied, ClientId, ClientName, CustomDomain, Desired, DesiredPool, Domain, Mark, OwnPool, Owner, Ownership,
        PoolId, ResourceId, ResourceServer, SecretId, Tags,
        adoption::NotAdoptable,
        observed::{
            Foreign, ListedClient, Observed, ObservedClient, ObservedCustomDomain, ObservedPolicy, ObservedPool,
            ObservedSecret, ScopeHolder,
        },
        sharing::may_have_readers,
    },
    plan::scopes_to_remove,
    ports::{
        AWSCURRENT, AWSPREVIOUS, AwsError, DomainDescription, OLD_KEY, SecretDocument, SecretVersion, SecretVersions,
        Secrets, Services, UserPoolDescription, UserPools, Version, all_pages,
    },
    redact::Secret,
    rotation::versions::{labeled, read_listed},
};

/// What a run has created shows up within seconds.
const VISIBLE_WITHIN: Duration = Duration::from_secs(15);
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Secret values that were read on the way, for the steps that must write them again. Kept apart from
/// Observed, because Observed may be printed.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    /// By AWSCURRENT. It takes precedence over what Cognito shows: after a rotation, Cognito may show
    /// another secret, or none.
    recorded: HashMap<ClientId, Secret<String>>,
    described: HashMap<ClientId, Secret<String>>,
    pub(super) versions: HashMap<SecretId, CurrentVersion>,
}

/// The AWSCURRENT version of a secret, as it was observed.
#[derive(Debug)]
pub(super) struct CurrentVersion {
    pub(super) version: SecretVersion,
    /// Whether no version was AWSCURRENT before it. That is so for as long as it is AWSCURRENT.
    pub(super) is_first: bool,
}

impl Credentials {
    pub(super) fn of(&self, client: &ClientId) -> Option<&Secret<String>> {
        self.recorded.get(client).or_else(|| self.described.get(client))
    }

    /// Returns the secret that Cognito shows.
    pub(super) fn shown_of(&self, client: &ClientId) -> Option<&Secret<String>> {
        self.described.get(client)
    }
}

/// A pool and what is in it, as the API shows it.
pub(super) struct PoolContents {
    pub(super) pool: UserPoolDescription,
    /// Everybody's.
    pub(super) resource_servers: Vec<ResourceServer>,
    pub(super) clients: Clients,
}

/// The clients of a pool.
#[derive(Default)]
pub(super) struct Clients {
    /// The resource's own, and the one that it is to adopt.
    pub(super) ours: Vec<ClientAndSecret>,
    pub(super) foreign: Vec<ListedClient>,
}

/// What one reading of the account found, before it is put together.
#[derive(Default)]
pub(super) struct Found {
    pub(super) pool: Option<PoolContents>,
    pub(super) surplus_pools: Vec<PoolId>,
    /// The holder of the desired prefix.
    pub(super) prefix: Option<DomainDescription>,
    /// The holder of the desired custom domain.
    pub(super) custom_domain: Option<DomainDescription>,
    pub(super) secrets: FoundSecrets,
    pub(super) not_adoptable: Option<NotAdoptable>,
    pub(super) note: Note,
}

/// Reads everything that `desired` is about.
///
/// `former_secrets` are names that the previous properties used. They are read in addition to the
/// listing, because it lags by minutes.
pub(super) async fn observe<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    target: &Target,
    former_secrets: &BTreeSet<SecretId>,
) -> Result<(Observed, Credentials), Error> {
    let found = match (&desired.pool, target) {
        (DesiredPool::Shared(id), _) => shared_pool::find(aws, desired, id, target, former_secrets).await?,
        (DesiredPool::Own(own), Target::Create) => {
            find_for_create(aws, desired, own, former_secrets).await.map_err(Error::Observe)?
        }
        (DesiredPool::Own(own), Target::Update(ResourceId::Pool(id))) => {
            match find_for_update(aws, desired, own, id, former_secrets).await {
                Ok(found) if found.pool.is_none() => return Err(Error::PoolLost(id.clone())),
                Ok(found) => found,
                // Many errors can mean that the pool is gone or has lost its tags.
                Err(error) => {
                    let pool = aws.services.pools.describe_user_pool(id).await.map_err(Error::Observe)?;
                    let ours = pool.is_some_and(|pool| desired.owner.owns(&pool.state.tags));
                    return Err(if ours { Error::Observe(error) } else { Error::PoolLost(id.clone()) });
                }
            }
        }
        (DesiredPool::Own(_), Target::Update(id)) => return Err(Error::PoolLost(PoolId(id.to_string()))),
    };
    let (mut observed, credentials) = put_together(aws, desired, found).await.map_err(Error::Observe)?;
    if !scopes_to_remove(desired, &observed).is_empty()
        && let Some(pool) = &observed.pool
    {
        let holders = scope_holders(aws, desired, pool).await.map_err(Error::Observe)?;
        observed.scope_holders = holders;
    }
    Ok((observed, credentials))
}

async fn find_for_create<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    own: &OwnPool,
    former_secrets: &BTreeSet<SecretId>,
) -> Result<Found, AwsError> {
    let (pools, (prefix, custom_domain), secrets) = future::try_join3(
        pools_of_create(aws, &desired.owner, &own.state.name),
        holders_of_domains(aws, own),
        observe_secrets(aws, desired, &Target::Create, former_secrets),
    )
    .await?;
    let decided = match &own.domain {
        Some(_) => prefix.as_ref().map(|prefix| prefix.pool.clone()),
        None => secrets.pool_of_first(desired).cloned(),
    };
    let pools = with_decided_pool(aws, &desired.owner, pools, decided.as_ref()).await?;
    let (chosen, surplus_pools) = choose_pool(pools, decided.as_ref());
    let pool = match chosen {
        Some(pool) => {
            let (resource_servers, clients) =
                future::try_join(resource_servers(aws, &pool.id), own_clients(aws, &pool.id)).await?;
            Some(PoolContents { pool, resource_servers, clients })
        }
        None => None,
    };
    Ok(Found { pool, surplus_pools, prefix, custom_domain, secrets, ..Found::default() })
}

/// Finds who holds the desired prefix, and who the desired custom domain.
async fn holders_of_domains<S: Services>(
    aws: &Aws<'_, S>,
    own: &OwnPool,
) -> Result<(Option<DomainDescription>, Option<DomainDescription>), AwsError> {
    let holder = async |name: Option<&str>| match name {
        Some(name) => aws.services.pools.describe_user_pool_domain(name).await,
        None => Ok(None),
    };
    let prefix = own.domain.as_ref().map(|domain| domain.prefix.as_str());
    let custom = own.custom_domain.as_ref().map(|domain| domain.name.as_str());
    future::try_join(holder(prefix), holder(custom)).await
}

async fn find_for_update<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    own: &OwnPool,
    id: &PoolId,
    former_secrets: &BTreeSet<SecretId>,
) -> Result<Found, AwsError> {
    let (pool, resource_servers, clients, (prefix, custom_domain), secrets) = future::try_join5(
        aws.services.pools.describe_user_pool(id),
        resource_servers(aws, id),
        own_clients(aws, id),
        holders_of_domains(aws, own),
        observe_secrets(aws, desired, &Target::Update(ResourceId::Pool(id.clone())), former_secrets),
    )
    .await?;
    let pool = pool.filter(|pool| desired.owner.owns(&pool.state.tags));
    let pool = pool.map(|pool| PoolContents { pool, resource_servers, clients });
    Ok(Found { pool, prefix, custom_domain, secrets, ..Found::default() })
}

/// Separates the secret values from what may be printed, and what is ours from what is not. Reads what only the
/// findings show is needed.
async fn put_together<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    found: Found,
) -> Result<(Observed, Credentials), AwsError> {
    let Found { pool, surplus_pools, prefix, custom_domain, mut secrets, not_adoptable, note } = found;
    let Note { applied: note, is_unfinished: note_is_unfinished } = note;
    let mut credentials =
        Credentials { versions: secrets.versions, recorded: secrets.recorded, ..Credentials::default() };
    let [prefix_taken_by, custom_domain_taken_by] =
        [&prefix, &custom_domain].map(|domain| other_holder(domain.as_ref(), pool.as_ref()));
    let pool = match pool {
        None => None,
        Some(PoolContents { pool, resource_servers, clients: described }) => {
            let (domain, custom_domain) = domains(aws, &pool, desired.own_pool(), [prefix, custom_domain]).await?;
            let mut clients = Vec::new();
            for (client, secret) in described.ours {
                credentials.described.extend(secret.map(|secret| (client.id.clone(), secret)));
                clients.push(client);
            }
            recognize_orphans(aws, &desired.owner, &pool.id, &clients, &mut secrets.found).await?;
            let UserPoolDescription { id, arn, mut state, m2m_only, domain: _, custom_domain: _, created } = pool;
            let applied = Applied::take(&mut state.tags);
            let mark = desired.own_pool().is_none().then(|| Mark::of(&desired.owner));
            let (resource_servers, foreign_servers) =
                resource_servers.into_iter().partition(|server| server.mark == mark);
            let foreign = Foreign { resource_servers: foreign_servers, clients: described.foreign };
            Some(ObservedPool {
                id,
                arn,
                state,
                applied,
                m2m_only,
                created,
                domain,
                custom_domain,
                resource_servers,
                clients,
                foreign,
            })
        }
    };
    let secrets = secrets.found;
    let scope_holders = Vec::new();
    let observed = Observed {
        pool,
        surplus_pools,
        prefix_taken_by,
        custom_domain_taken_by,
        note,
        note_is_unfinished,
        not_adoptable,
        scope_holders,
        secrets,
    };
    Ok((observed, credentials))
}

/// Names the pool that has a domain, if it is not the one that was found.
fn other_holder(domain: Option<&DomainDescription>, found: Option<&PoolContents>) -> Option<String> {
    let held = domain.filter(|held| !held.deleting && found.is_none_or(|found| found.pool.id != held.pool))?;
    Some(match &held.account {
        Some(account) => format!("{} of account {account}", held.pool),
        None => held.pool.to_string(),
    })
}

/// Makes the live secrets reclaimable that a former owner's run has left half-way.
async fn recognize_orphans<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    pool: &PoolId,
    clients: &[ObservedClient],
    secrets: &mut BTreeMap<SecretId, ObservedSecret>,
) -> Result<(), AwsError> {
    let clients: Vec<_> = clients.iter().map(ObservedClient::listed).collect();
    for (name, secret) in secrets {
        if secret.ownership == Ownership::NotOwned
            && !secret.scheduled
            && is_orphan(aws, owner, name, &secret.tags, pool, &clients).await?
        {
            secret.ownership = Ownership::Reclaimable;
        }
    }
    Ok(())
}

/// Reads the scopes of everybody else's clients in the pool.
async fn scope_holders<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    pool: &ObservedPool,
) -> Result<Vec<ScopeHolder>, AwsError> {
    let others = match &desired.pool {
        DesiredPool::Own(_) => pool.foreign.clients.clone(),
        DesiredPool::Shared(id) => list_clients(aws, id).await?,
    };
    describe_holders(aws, &pool.id, others).await
}

/// Describes clients, to learn the scopes that they hold.
pub(super) async fn describe_holders<S: Services>(
    aws: &Aws<'_, S>,
    pool: &PoolId,
    clients: Vec<ListedClient>,
) -> Result<Vec<ScopeHolder>, AwsError> {
    let holder = async |client: ListedClient| {
        let described = aws.services.pools.describe_user_pool_client(pool, &client.id).await?;
        Ok::<_, AwsError>(described.map(|described| ScopeHolder { client, scopes: described.observed.scopes }))
    };
    let described: Vec<_> =
        stream::iter(clients.into_iter().map(holder)).buffered(MAX_CONCURRENT).try_collect().await?;
    Ok(described.into_iter().flatten().collect())
}

/// Finds the pools of a Create: those with the owner's tags, and those that this run created.
///
/// AWS may not list a new pool, describe it, or show its tags at once. A run that took its own pool for
/// deleted would stop, or create a second one.
async fn pools_of_create<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    name: &str,
) -> Result<Vec<UserPoolDescription>, AwsError> {
    let created = created_pools(aws).await?;
    let listed = if created.is_empty() && aws.progress.may_have_created_pool() {
        // The answer to CreateUserPool was lost.
        look_again(aws, async || {
            let pools = our_pools(aws, owner, Some(name)).await?;
            Ok((!pools.is_empty()).then_some(pools))
        })
        .await?
        .unwrap_or_default()
    } else {
        our_pools(aws, owner, Some(name)).await?
    };
    let others = listed.into_iter().filter(|pool| !created.iter().any(|created| created.id == pool.id)).collect();
    Ok([created, others].concat())
}

/// Describes the pools that this run created, by their ids.
pub(super) async fn created_pools<S: Services>(aws: &Aws<'_, S>) -> Result<Vec<UserPoolDescription>, AwsError> {
    let mut pools = Vec::new();
    for id in aws.progress.created_pools() {
        match look_again(aws, async || aws.services.pools.describe_user_pool(&id).await).await? {
            Some(pool) => pools.push(pool),
            None => aws.progress.pool_is_gone(&id),
        }
    }
    Ok(pools)
}

/// Repeats a read that finds nothing until it finds something. Returns `None` if it never does.
pub(super) async fn look_again<S: Services, T>(
    aws: &Aws<'_, S>,
    read: impl AsyncFn() -> Result<Option<T>, AwsError>,
) -> Result<Option<T>, AwsError> {
    let end = (now() + VISIBLE_WITHIN).min(aws.services.deadline.for_work());
    let found = poll_until(end, LOOK_AGAIN_AFTER, async || match read().await {
        Ok(Some(found)) => ControlFlow::Break(Ok(found)),
        Ok(None) => ControlFlow::Continue(None),
        Err(error) => ControlFlow::Break(Err(Some(error))),
    });
    match found.await {
        Ok(found) => Ok(Some(found)),
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error),
    }
}

/// Finds the pools with the owner's tags, among the pools of one name or among all.
pub(super) async fn our_pools<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    name: Option<&str>,
) -> Result<Vec<UserPoolDescription>, AwsError> {
    let pools = pools_named(aws, name).await?;
    Ok(pools.into_iter().filter(|pool| owner.owns(&pool.state.tags)).collect())
}

/// Finds the pools of a name, whoever owns them.
///
/// # Errors
/// A call failed.
pub async fn pools_of_name<S: Services>(aws: &Aws<'_, S>, name: &str) -> Result<Vec<UserPoolDescription>, Error> {
    pools_named(aws, Some(name)).await.map_err(Error::Observe)
}

/// Finds the pools of a name, or all.
async fn pools_named<S: Services>(aws: &Aws<'_, S>, name: Option<&str>) -> Result<Vec<UserPoolDescription>, AwsError> {
    let listed = all_pages(async |next| aws.services.pools.list_user_pools(next.as_deref()).await).await?;
    let candidates = listed.into_iter().filter(|(_, found)| name.is_none_or(|name| name == found)).map(|(id, _)| id);
    let described: Vec<_> = stream::iter(candidates.map(async |id| aws.services.pools.describe_user_pool(&id).await))
        .buffer_unordered(MAX_CONCURRENT)
        .try_collect()
        .await?;
    Ok(described.into_iter().flatten().collect())
}

/// Adds the pool that a unique name belongs to, if it is ours and not listed yet: a second delivery of the event
/// may have created it meanwhile.
pub(super) async fn with_decided_pool<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    mut pools: Vec<UserPoolDescription>,
    decided: Option<&PoolId>,
) -> Result<Vec<UserPoolDescription>, AwsError> {
    if let Some(decided) = decided
        && !pools.iter().any(|pool| pool.id == *decided)
    {
        let found = aws.services.pools.describe_user_pool(decided).await?;
        pools.extend(found.filter(|pool| owner.owns(&pool.state.tags)));
    }
    Ok(pools)
}

/// Chooses which of several pools with our tags stays: the one that a unique name belongs to, then one with any
/// domain, then the oldest. The name is the desired prefix, or else that of the first client's secret. Only one pool
/// can have it, so two concurrent runs end with the same choice: the run that fails to get the name observes again.
fn choose_pool(
    mut pools: Vec<UserPoolDescription>,
    decided: Option<&PoolId>,
) -> (Option<UserPoolDescription>, Vec<PoolId>) {
    let is_decided = |pool: &UserPoolDescription| decided == Some(&pool.id);
    pools.sort_by(|a, b| {
        (!is_decided(a), a.domain.is_none())
            .cmp(&(!is_decided(b), b.domain.is_none()))
            .then(a.created.cmp(&b.created))
            .then(a.id.cmp(&b.id))
    });
    let mut pools = pools.into_iter();
    (pools.next(), pools.map(|pool| pool.id).collect())
}

/// Returns the domains of a pool. `described` are the holders of the desired prefix and the desired custom domain.
async fn domains<S: Services>(
    aws: &Aws<'_, S>,
    pool: &UserPoolDescription,
    own: Option<&OwnPool>,
    described: [Option<DomainDescription>; 2],
) -> Result<(Option<Domain>, Option<ObservedCustomDomain>), AwsError> {
    let [prefix, custom] = described;
    let desired_prefix = own.and_then(|own| own.domain.as_ref()).map(|domain| domain.prefix.as_str());
    let desired_custom = own.and_then(|own| own.custom_domain.as_ref()).map(|custom| custom.name.as_str());
    let (prefix, custom) = future::try_join(
        domain_of_pool(aws, &pool.id, pool.domain.as_deref(), desired_prefix, prefix),
        domain_of_pool(aws, &pool.id, pool.custom_domain.as_deref(), desired_custom, custom),
    )
    .await?;
    let prefix = prefix.map(|(prefix, found)| Domain { prefix, managed_login_version: found.managed_login_version });
    let custom = custom.map(|(name, found)| ObservedCustomDomain {
        domain: CustomDomain {
            name,
            managed_login_version: found.managed_login_version,
            certificate_arn: found.certificate_arn.unwrap_or_default(),
            security_policy: found.security_policy,
        },
        target: found.target,
        status: found.status,
    });
    Ok((prefix, custom))
}

/// Returns the pool's domain of one kind, unless Cognito is deleting it. `shown` is the one in the pool's description,
/// and `described` is the holder of the desired one.
async fn domain_of_pool<S: Services>(
    aws: &Aws<'_, S>,
    pool: &PoolId,
    shown: Option<&str>,
    desired: Option<&str>,
    described: Option<DomainDescription>,
) -> Result<Option<(String, DomainDescription)>, AwsError> {
    let (name, description) = match (desired, described) {
        // The pool's own description may not show a new domain yet.
        (Some(desired), Some(description)) if description.pool == *pool => (desired, Some(description)),
        _ => match shown {
            Some(name) if Some(name) != desired => (name, aws.services.pools.describe_user_pool_domain(name).await?),
            _ => return Ok(None),
        },
    };
    let is_there = |description: &DomainDescription| !description.deleting && description.pool == *pool;
    Ok(description.filter(is_there).map(|description| (name.to_owned(), description)))
}

pub(super) async fn resource_servers<S: Services>(
    aws: &Aws<'_, S>,
    pool: &PoolId,
) -> Result<Vec<ResourceServer>, AwsError> {
    all_pages(async |next| aws.services.pools.list_resource_servers(pool, next.as_deref()).await).await
}

pub(super) type ClientAndSecret = (ObservedClient, Option<Secret<String>>);

/// Lists the clients of a pool, whoever owns them.
pub(super) async fn list_clients<S: Services>(aws: &Aws<'_, S>, pool: &PoolId) -> Result<Vec<ListedClient>, AwsError> {
    let listed = all_pages(async |next| aws.services.pools.list_user_pool_clients(pool, next.as_deref()).await).await?;
    let split = |(id, full_name): (ClientId, ClientName)| {
        let (name, mark) = Mark::split(full_name.as_str());
        ListedClient { id, name: ClientName::from(name), mark }
    };
    Ok(listed.into_iter().map(split).collect())
}

/// Reads the clients of the resource's own pool. It owns all those without a mark.
async fn own_clients<S: Services>(aws: &Aws<'_, S>, pool: &PoolId) -> Result<Clients, AwsError> {
    let (foreign, ours): (Vec<_>, Vec<_>) =
        list_clients(aws, pool).await?.into_iter().partition(|client| client.mark.is_some());
    // A list need not show at once what this run has created, and the next round would create it again.
    let ids: BTreeSet<_> = ours.into_iter().map(|client| client.id).chain(aws.progress.created_clients()).collect();
    let ours = describe_clients(aws, pool, ids).await?;
    Ok(Clients { ours, foreign })
}

pub(super) async fn describe_clients<S: Services>(
    aws: &Aws<'_, S>,
    pool: &PoolId,
    ids: impl IntoIterator<Item = ClientId>,
) -> Result<Vec<ClientAndSecret>, AwsError> {
    let described: Vec<_> =
        stream::iter(ids.into_iter().map(async |id| aws.services.pools.describe_user_pool_client(pool, &id).await))
            .buffer_unordered(MAX_CONCURRENT)
            .try_collect()
            .await?;
    Ok(described.into_iter().flatten().map(|client| (client.observed, client.secret)).collect())
}

#[derive(Default)]
pub(super) struct FoundSecrets {
    pub(super) found: BTreeMap<SecretId, ObservedSecret>,
    recorded: HashMap<ClientId, Secret<String>>,
    versions: HashMap<SecretId, CurrentVersion>,
}

impl FoundSecrets {
    /// Returns the pool that the first client's secret names, or else the next one's.
    fn pool_of_first(&self, desired: &Desired) -> Option<&PoolId> {
        let mut secrets = desired.clients.iter().filter_map(|client| self.found.get(&client.secret_name));
        secrets.find_map(|secret| {
            let document = secret.document.as_ref().filter(|_| secret.ownership == Ownership::Ours)?;
            Some(&document.metadata.user_pool_id)
        })
    }
}

pub(super) async fn observe_secrets<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    target: &Target,
    former: &BTreeSet<SecretId>,
) -> Result<FoundSecrets, AwsError> {
    let shared = desired.clients.iter().filter(|client| !client.secret_readers.is_empty());
    let shared: HashSet<&SecretId> = shared.map(|client| &client.secret_name).collect();
    let wanted: HashSet<SecretId> = desired.clients.iter().map(|client| client.secret_name.clone()).collect();
    let own = read_secrets(aws, &desired.owner, wanted.iter().cloned().collect(), Some(&shared));
    // A Create has no former names, because a second delivery has the same properties.
    let strays = async {
        let names: BTreeSet<_> = match target {
            Target::Create => BTreeSet::new(),
            Target::Update(_) => {
                let listed = secrets_of(aws, &desired.owner).await?;
                former.iter().cloned().chain(listed).filter(|name| !wanted.contains(name)).collect()
            }
        };
        // These are about to be deleted, with their policies.
        read_secrets(aws, &desired.owner, names.into_iter().collect(), None).await
    };
    let (mut all, strays) = future::try_join(own, strays).await?;
    // Ignore the secrets of other owners under names that are not desired.
    all.found.extend(strays.found.into_iter().filter(|(_, secret)| secret.ownership == Ownership::Ours));
    // The secret with the desired name takes precedence.
    for (client, secret) in strays.recorded {
        all.recorded.entry(client).or_insert(secret);
    }
    all.versions.extend(strays.versions);
    Ok(all)
}

/// How many secrets are read concurrently. Secrets Manager answers 10,000 reads a second, so its quota is no limit. But
/// each call in flight has a connection of its own, whose handshake costs processor time.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
const MAX_CONCURRENT_READS: usize = 20;

/// Reads secrets. `shared` are those with declared readers; without it, no resource policy is read.
async fn read_secrets<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    names: Vec<SecretId>,
    shared: Option<&HashSet<&SecretId>>,
) -> Result<FoundSecrets, AwsError> {
    let read = async |name: SecretId| {
        let Some(described) = aws.services.secrets.describe_secret(&name).await? else { return Ok(None) };
        let ownership = Ownership::of(&described.tags, described.scheduled, owner);
        if ownership != Ownership::Ours || described.scheduled {
            let may_have_readers = shared.is_some() && may_have_readers(&described.tags);
            let policy = if may_have_readers { ObservedPolicy::Unknown } else { ObservedPolicy::NotRead };
            return Ok(Some((name, described, ownership, None, policy)));
        }
        let version = read_listed(&aws.services.secrets, &name, Version::Stage(AWSCURRENT), aws.services.deadline);
        let policy = async {
            if shared.is_none_or(|shared| !shared.contains(&name) && !may_have_readers(&described.tags)) {
                return Ok(ObservedPolicy::NotRead);
            }
            aws.services.secrets.get_resource_policy(&name).await.map(ObservedPolicy::Read)
        };
        let (version, policy) = future::try_join(version, policy).await?;
        Ok::<_, AwsError>(Some((name, described, ownership, version, policy)))
    };
    let read: Vec<_> =
        stream::iter(names.into_iter().map(read)).buffer_unordered(MAX_CONCURRENT_READS).try_collect().await?;
    let mut all = FoundSecrets::default();
    for (name, mut described, ownership, version, policy) in read.into_iter().flatten() {
        let applied = Applied::take(&mut described.tags);
        let mut document = None;
        if let Some(version) = version {
            document = version.document.as_ref().map(SecretDocument::observed);
            all.recorded.extend(version.document.clone().map(|document| (document.client_id, document.client_secret)));
            // The description is older than the version that was read, and must be about the same one.
            let is_first = labeled(&described.versions, AWSCURRENT) == Some(version.id.as_str())
                && labeled(&described.versions, AWSPREVIOUS).is_none();
            all.versions.insert(name.clone(), CurrentVersion { version, is_first });
        }
        let secret = ObservedSecret {
            arn: described.arn,
            ownership,
            scheduled: described.scheduled,
            tags: described.tags,
            applied,
            kms_key_id: described.kms_key_id,
            key_change_unfinished: labeled(&described.versions, OLD_KEY).is_some(),
            description: described.description,
            rotation: described.rotation,
            policy,
            replicas: described.replicas,
            document,
        };
        all.found.insert(name, secret);
    }
    Ok(all)
}

/// Tells whether a live secret with another owner's tags is one that we may reclaim.
///
/// A run that is killed between RestoreSecret and TagResource leaves a live secret with its former owner's tags. It is
/// reclaimable if it is for one of our clients, and what it names is gone: its pool of this region, or its client
/// if the former owner is the same resource of a stack that was deleted and deployed again.
pub(super) async fn is_orphan<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    name: &SecretId,
    tags: &Tags,
    pool: &PoolId,
    clients: &[ListedClient],
) -> Result<bool, AwsError> {
    let Some(former) = Owner::of(tags) else { return Ok(false) };
    let is_redeployed = former.stack_name() == owner.stack_name() && former.logical_id == owner.logical_id;
    let is_for = |client: &ListedClient| {
        let by_name = name.as_str().strip_suffix(client.name.as_str()).is_some_and(|prefix| prefix.ends_with('/'));
        if client.mark.is_some() { is_redeployed } else { by_name }
    };
    let Some(client) = clients.iter().find(|client| is_for(client)) else { return Ok(false) };
    let Some(SecretVersion { document: Some(document), .. }) =
        aws.services.secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await?
    else {
        return Ok(false);
    };
    let SecretDocument { client_id, metadata, .. } = document;
    let its_pool = metadata.user_pool_id;
    if its_pool.region() != pool.region() {
        return Ok(false);
    }
    if aws.services.pools.describe_user_pool(&its_pool).await?.is_none() {
        return Ok(true);
    }
    if its_pool != *pool {
        return Ok(false);
    }
    // Another delivery has tagged it and written our client since its tags were read.
    if client.mark.is_none() {
        return Ok(client_id == client.id);
    }
    let is_gone = || aws.services.pools.describe_user_pool_client(pool, &client_id);
    Ok(client_id == client.id || is_gone().await?.is_none())
}

/// Lists the names of the owner's secrets. The listing lags by up to five minutes.
///
/// # Errors
/// A call failed.
pub async fn secrets_of<S: Services>(aws: &Aws<'_, S>, owner: &Owner) -> Result<Vec<SecretId>, AwsError> {
    let listed = all_pages(async |next| aws.services.secrets.list_secrets(Some(owner), next.as_deref()).await).await?;
    Ok(listed.into_iter().map(|(name, _)| name).collect())
}
