//! Reading what is there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, future, stream};

use super::{Aws, Credentials, Error, Target};
use crate::{
    model::{
        ClientId, Desired, Domain, Owner, PoolId, ResourceServer, SecretName, Tags,
        observed::{Observed, ObservedClient, ObservedPool, ObservedSecret, Ownership},
    },
    ports::{
        AWSCURRENT, AwsError, DomainDescription, Page, SecretVersion, SecretVersions, Secrets, TokenEndpoint,
        UserPoolDescription, UserPools, Version,
    },
    redact::Secret,
};

/// Calls that run side by side; Cognito's are held to its pace besides.
pub(super) const SIDE_BY_SIDE: usize = 10;

/// Reads all that bears on `desired`.
///
/// `former_secrets` are names that an earlier version may have used. They are looked at beside
/// those that the listing shows, because it lags behind by minutes; what is found decides.
pub(super) async fn observe<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
    desired: &Desired,
    target: &Target,
    former_secrets: &BTreeSet<SecretName>,
) -> Result<(Observed, Credentials), Error> {
    let result = async {
        let secrets = observe_secrets(aws, desired, target, former_secrets);
        let prefix = aws.pools.describe_user_pool_domain(&desired.domain.prefix);
        match target {
            Target::Create => {
                let (pools, prefix, secrets) =
                    future::try_join3(our_pools(aws, &desired.owner, Some(&desired.pool.name)), prefix, secrets)
                        .await?;
                let pools = with_holder_of_prefix(aws, &desired.owner, pools, prefix.as_ref()).await?;
                let (chosen, surplus) = choose_pool(pools, prefix.as_ref());
                let pool = match chosen {
                    Some(pool) => {
                        let (servers, clients) =
                            future::try_join(resource_servers(aws, &pool.id), clients(aws, &pool.id)).await?;
                        Some((pool, servers, clients))
                    }
                    None => None,
                };
                Ok((pool, surplus, prefix, secrets))
            }
            Target::Update(id) => {
                let described = aws.pools.describe_user_pool(id);
                let (pool, servers, clients, prefix, secrets) =
                    future::try_join5(described, resource_servers(aws, id), clients(aws, id), prefix, secrets).await?;
                let pool =
                    pool.filter(|pool| desired.owner.owns(&pool.state.tags)).map(|pool| (pool, servers, clients));
                Ok((pool, Vec::new(), prefix, secrets))
            }
        }
    }
    .await;
    let (pool, surplus_pools, prefix, mut secrets) = match (result, target) {
        (Ok((None, ..)), Target::Update(id)) => return Err(Error::PoolLost(id.clone())),
        (Ok(found), _) => found,
        // A pool that is gone, or that lost its tags, shows as all sorts of errors.
        (Err(error), Target::Update(id)) => {
            let pool = aws.pools.describe_user_pool(id).await.map_err(Error::Observe)?;
            let ours = pool.is_some_and(|pool| desired.owner.owns(&pool.state.tags));
            return Err(if ours { Error::Observe(error) } else { Error::PoolLost(id.clone()) });
        }
        (Err(error), Target::Create) => return Err(Error::Observe(error)),
    };

    let mut credentials =
        Credentials { versions: secrets.versions, recorded: secrets.recorded, ..Credentials::default() };
    let prefix_taken_by = prefix
        .as_ref()
        .filter(|prefix| !prefix.deleting && pool.as_ref().is_none_or(|(pool, ..)| pool.id != prefix.pool))
        .map(|prefix| match &prefix.account {
            Some(account) => format!("{} of account {account}", prefix.pool),
            None => prefix.pool.to_string(),
        });
    let pool = match pool {
        None => None,
        Some((pool, resource_servers, described)) => {
            let domain = pool_domain(aws, &pool, &desired.domain.prefix, prefix).await.map_err(Error::Observe)?;
            let mut clients = Vec::new();
            for (client, secret) in described {
                credentials.described.extend(secret.map(|secret| (client.id.clone(), secret)));
                clients.push(client);
            }
            adopt_orphans(aws, &mut secrets.found, &pool.id, &clients).await.map_err(Error::Observe)?;
            let UserPoolDescription { id, arn, state, m2m_only, domain: _, created: _ } = pool;
            Some(ObservedPool { id, arn, state, m2m_only, domain, resource_servers, clients })
        }
    };
    Ok((Observed { pool, surplus_pools, prefix_taken_by, secrets: secrets.found }, credentials))
}

/// Every pool with the owner's mark, looked for among those of one name, or among all.
pub(super) async fn our_pools<U: UserPools, S: Sync, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    owner: &Owner,
    name: Option<&str>,
) -> Result<Vec<UserPoolDescription>, AwsError> {
    let pools = pools_of_name(aws, name).await?;
    Ok(pools.into_iter().filter(|pool| owner.owns(&pool.state.tags)).collect())
}

/// Every pool of a name, or all.
pub(super) async fn pools_of_name<U: UserPools, S: Sync, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    name: Option<&str>,
) -> Result<Vec<UserPoolDescription>, AwsError> {
    let listed = pages(async |next| aws.pools.list_user_pools(next.as_deref()).await).await?;
    let candidates = listed.into_iter().filter(|(_, found)| name.is_none_or(|name| name == found)).map(|(id, _)| id);
    let described: Vec<_> = stream::iter(candidates.map(async |id| aws.pools.describe_user_pool(&id).await))
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect()
        .await?;
    Ok(described.into_iter().flatten().collect())
}

/// The pool that holds the prefix may be ours and younger than the listing: a second delivery of
/// the event made it meanwhile.
async fn with_holder_of_prefix<U: UserPools, S: Sync, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    owner: &Owner,
    mut pools: Vec<UserPoolDescription>,
    prefix: Option<&DomainDescription>,
) -> Result<Vec<UserPoolDescription>, AwsError> {
    if let Some(prefix) = prefix
        && !pools.iter().any(|pool| pool.id == prefix.pool)
    {
        let holder = aws.pools.describe_user_pool(&prefix.pool).await?;
        pools.extend(holder.filter(|pool| owner.owns(&pool.state.tags)));
    }
    Ok(pools)
}

/// Which of several pools with our mark stays: the one that holds the desired prefix, then one
/// with any domain, then the oldest. Only one pool can hold a prefix, so two runs at once cannot
/// choose differently for good: the one that fails to get the prefix observes again.
fn choose_pool(
    mut pools: Vec<UserPoolDescription>,
    prefix: Option<&DomainDescription>,
) -> (Option<UserPoolDescription>, Vec<PoolId>) {
    let holds_prefix = |pool: &UserPoolDescription| prefix.is_some_and(|prefix| prefix.pool == pool.id);
    pools.sort_by(|a, b| {
        (!holds_prefix(a), a.domain.is_none())
            .cmp(&(!holds_prefix(b), b.domain.is_none()))
            .then(a.created.cmp(&b.created))
            .then(a.id.cmp(&b.id))
    });
    let mut pools = pools.into_iter();
    (pools.next(), pools.map(|pool| pool.id).collect())
}

async fn pool_domain<U: UserPools, S: Sync, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    pool: &UserPoolDescription,
    desired_prefix: &str,
    described: Option<DomainDescription>,
) -> Result<Option<Domain>, AwsError> {
    let (prefix, description) = match described {
        // The pool's own description may not have heard of a new domain yet.
        Some(description) if description.pool == pool.id => (desired_prefix, Some(description)),
        _ => match pool.domain.as_deref() {
            Some(prefix) if prefix != desired_prefix => (prefix, aws.pools.describe_user_pool_domain(prefix).await?),
            _ => return Ok(None),
        },
    };
    Ok(description.filter(|description| !description.deleting && description.pool == pool.id).map(|description| {
        Domain { prefix: prefix.to_owned(), managed_login_version: description.managed_login_version }
    }))
}

async fn resource_servers<U: UserPools, S: Sync, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    pool: &PoolId,
) -> Result<Vec<ResourceServer>, AwsError> {
    pages(async |next| aws.pools.list_resource_servers(pool, next.as_deref()).await).await
}

type ClientAndSecret = (ObservedClient, Option<Secret<String>>);

async fn clients<U: UserPools, S: Sync, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    pool: &PoolId,
) -> Result<Vec<ClientAndSecret>, AwsError> {
    let listed = pages(async |next| aws.pools.list_user_pool_clients(pool, next.as_deref()).await).await?;
    let described: Vec<_> =
        stream::iter(listed.into_iter().map(async |(id, _)| aws.pools.describe_user_pool_client(pool, &id).await))
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
    Ok(described.into_iter().flatten().map(|client| (client.observed, client.secret)).collect())
}

#[derive(Default)]
struct FoundSecrets {
    found: BTreeMap<SecretName, ObservedSecret>,
    recorded: HashMap<ClientId, Secret<String>>,
    versions: HashMap<SecretName, String>,
}

async fn observe_secrets<U: Sync, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    desired: &Desired,
    target: &Target,
    former: &BTreeSet<SecretName>,
) -> Result<FoundSecrets, AwsError> {
    let wanted: HashSet<SecretName> = desired.clients.iter().map(|client| client.secret_name.clone()).collect();
    let own = read_secrets(aws, &desired.owner, wanted.iter().cloned().collect());
    // A Create has no former names: a second delivery has the same properties.
    let strays = async {
        let names: BTreeSet<_> = match target {
            Target::Create => BTreeSet::new(),
            Target::Update(_) => {
                let listed = secrets_of(aws, &desired.owner).await?;
                former.iter().cloned().chain(listed).filter(|name| !wanted.contains(name)).collect()
            }
        };
        read_secrets(aws, &desired.owner, names.into_iter().collect()).await
    };
    let (mut all, strays) = future::try_join(own, strays).await?;
    // Somebody else's secret under a name that we do not want is not our business.
    all.found.extend(strays.found.into_iter().filter(|(_, secret)| secret.ownership == Ownership::Ours));
    // What the desired name's own secret records comes first.
    for (client, secret) in strays.recorded {
        all.recorded.entry(client).or_insert(secret);
    }
    all.versions.extend(strays.versions);
    Ok(all)
}

async fn read_secrets<U: Sync, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    owner: &Owner,
    names: Vec<SecretName>,
) -> Result<FoundSecrets, AwsError> {
    let read = async |name: SecretName| {
        let Some(described) = aws.secrets.describe_secret(&name).await? else { return Ok(None) };
        let ownership = Ownership::of(&described.tags, described.scheduled, owner);
        let version = if ownership == Ownership::Ours && !described.scheduled {
            aws.secrets.get_secret_value(&name, Version::Stage(AWSCURRENT)).await?
        } else {
            None
        };
        Ok::<_, AwsError>(Some((name, described, ownership, version)))
    };
    let read: Vec<_> = stream::iter(names.into_iter().map(read)).buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
    let mut all = FoundSecrets::default();
    for (name, described, ownership, version) in read.into_iter().flatten() {
        let mut document = None;
        if let Some(SecretVersion { id, created: _, document: found }) = version {
            all.versions.insert(name.clone(), id);
            document = found.as_ref().map(super::super::ports::SecretDocument::observed);
            all.recorded.extend(found.map(|found| (found.client_id, found.client_secret)));
        }
        let secret = ObservedSecret {
            arn: described.arn,
            ownership,
            scheduled: described.scheduled,
            tags: described.tags,
            kms_key_id: described.kms_key_id,
            description: described.description,
            rotation: described.rotation,
            document,
        };
        all.found.insert(name, secret);
    }
    Ok(all)
}

async fn adopt_orphans<U: UserPools, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    secrets: &mut BTreeMap<SecretName, ObservedSecret>,
    pool: &PoolId,
    clients: &[ObservedClient],
) -> Result<(), AwsError> {
    for (name, secret) in secrets {
        if secret.ownership == Ownership::NotOwned
            && is_orphan(aws, name, secret.scheduled, &secret.tags, pool, clients).await?
        {
            secret.ownership = Ownership::Reclaimable;
        }
    }
    Ok(())
}

/// A run that was killed between RestoreSecret and TagResource leaves a live secret with its former
/// owner's tags. It is still given up, not somebody else's, if that owner's pool was in this region
/// and is gone, and our pool already has the client that the secret is for.
pub(super) async fn is_orphan<U: UserPools, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    name: &SecretName,
    scheduled: bool,
    tags: &Tags,
    pool: &PoolId,
    clients: &[ObservedClient],
) -> Result<bool, AwsError> {
    let ours = |client: &ObservedClient| {
        name.as_str().strip_suffix(client.name.as_str()).is_some_and(|prefix| prefix.ends_with('/'))
    };
    if scheduled || !Owner::made_by_this_program(tags) || !clients.iter().any(ours) {
        return Ok(false);
    }
    match aws.secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await? {
        Some(SecretVersion { document: Some(document), .. })
            if document.metadata.user_pool_id.region() == pool.region() =>
        {
            Ok(aws.pools.describe_user_pool(&document.metadata.user_pool_id).await?.is_none())
        }
        _ => Ok(false),
    }
}

/// The names of the owner's secrets, as far as the listing has them: it lags behind by minutes.
///
/// # Errors
/// A call that failed.
pub async fn secrets_of<U: Sync, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    owner: &Owner,
) -> Result<Vec<SecretName>, AwsError> {
    pages(async |next| aws.secrets.list_secrets(owner, next.as_deref()).await).await
}

/// All pages of a listing.
pub(super) async fn pages<T>(
    fetch: impl AsyncFn(Option<String>) -> Result<Page<T>, AwsError>,
) -> Result<Vec<T>, AwsError> {
    let mut all = Vec::new();
    let mut next = None;
    loop {
        let page = fetch(next).await?;
        all.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}
