//! Deletes everything a resource owns.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, future, stream};

use super::{
    Aws, Error,
    delete_part::observe_part,
    domains::delete_domain,
    name_stacks,
    notes::note_name,
    observe::{
        created_pools, is_orphan, list_clients, look_again, our_pools, resource_servers, secrets_of, with_decided_pool,
    },
    phases::{self, MAX_CONCURRENT},
    rounds::Rounds,
};
use crate::{
    clock::{now, poll_until, wait},
    model::{
        Applied, Digest, Owner, Ownership, PoolId, Region, ResourceId, SecretId, Tags, UserPool,
        observed::{DeleteObservation, Foreign, ListedClient, RemainingPool},
    },
    plan::{Deletion, Refusal, plan_delete},
    ports::{
        AwsError, ErrorKind, SecretDescription, SecretVersions, Secrets, Services, UserPoolDescription, UserPools,
    },
    retry::RetryingServices,
};

/// What to delete.
#[derive(Clone, Debug)]
pub struct DeleteTarget<'a> {
    pub owner: &'a Owner,
    pub scope: DeleteScope,
    /// When the event was sent, since the Unix epoch, if it says so.
    pub sent_at: Option<Duration>,
    pub place: DeletePlace<'a>,
    /// The names that the properties declare. Their tags decide.
    pub secrets: BTreeSet<SecretId>,
    pub recovery_window_in_days: u8,
    /// Whether this run may turn deletion protection off, because it turned it on itself.
    pub lift_protection: bool,
}

impl DeleteTarget<'_> {
    /// Tells whether the note among a thing's tags is of a newer event than this Delete.
    pub(super) fn is_older_than(&self, tags: &Tags) -> bool {
        let Some(note) = Applied::of(tags) else { return false };
        let is_older = |sent_at: Duration| sent_at.as_millis() < note.at.as_millis();
        match &self.scope {
            // An adopted client keeps its id when it is declared again.
            DeleteScope::Resource(ResourceId::Client(_)) => self.sent_at.is_some_and(is_older),
            DeleteScope::Resource(_) => false,
            DeleteScope::FailedCreate { request, .. } => note.latest() != Some(request),
            DeleteScope::SentAt(sent_at) => is_older(*sent_at),
        }
    }
}

/// Where to look for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeletePlace<'a> {
    /// The resource's own pool. The names are `None` if the properties do not parse.
    OwnPool(Option<PoolNames<'a>>),
    /// A client and its secret in somebody else's pool, if the properties name one.
    ClientIn(Option<PoolId>),
    /// A resource server in somebody else's pool, if the properties name one.
    ResourceServerIn(Option<PoolId>),
}

/// What the properties say about the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolNames<'a> {
    pub pool: &'a str,
    /// Of its domain, if it has one.
    pub prefix: Option<&'a str>,
}

/// Which of the owner's pools a Delete means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteScope {
    /// The resource with this id.
    Resource(ResourceId),
    /// What one Create made that has failed. `pool` is the pool that it had when it failed.
    FailedCreate { request: Digest, pool: Option<PoolId> },
    /// What there was at this time, since the Unix epoch: CloudFormation invented the id, because no
    /// Create has answered.
    SentAt(Duration),
}

impl DeleteScope {
    /// Tells whether no Create has succeeded.
    pub(super) fn is_failed_create(&self) -> bool {
        matches!(self, Self::FailedCreate { .. } | Self::SentAt(_))
    }
}

/// A Create that turned deletion protection on sees the note of a Delete within this time, and removes
/// everything itself.
const CREATE_ENDS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// A replica that was removed is gone within seconds.
const REPLICAS_GONE_WITHIN: Duration = Duration::from_secs(30);

/// Deletes everything with the owner's tags or marks.
///
/// # Guarantees
/// - It deletes nothing that a newer event than the target's has made.
/// - It deletes no pool that others have added to, and no client that was adopted.
/// - It deletes nothing while deletion protection is active on the pool.
/// - It succeeds if everything is gone already, or if nothing was ever created.
///
/// # Errors
/// What could not be deleted. A later run goes on from there.
pub async fn delete<S: Services>(aws: &Aws<'_, S>, target: &DeleteTarget<'_>) -> Result<(), Error> {
    let mut rounds = Rounds::default();
    let give_up_at = now() + CREATE_ENDS_WITHIN.min(aws.time_left());
    loop {
        match delete_once(aws, target).await {
            Ok(()) => return Ok(()),
            Err(error) if may_meet_a_create(target, &error) && now() + LOOK_AGAIN_AFTER < give_up_at => {
                aws.progress.during("waiting for a Create that may still run", wait(LOOK_AGAIN_AFTER)).await;
            }
            // Cognito may still be deleting a domain, or a Create may still run.
            Err(error) if rounds.another(aws, &error).await => {}
            Err(error) => return Err(error),
        }
    }
}

/// Tells whether a Create that still runs may have caused the error: it has just protected the pool.
fn may_meet_a_create(target: &DeleteTarget<'_>, error: &Error) -> bool {
    let is_protected = match error {
        Error::Refusal(Refusal::DeletionProtected { .. }) => true,
        Error::Step { source, .. } => source.operation == "DeleteUserPool" && source.kind == ErrorKind::Refused,
        _ => false,
    };
    is_protected && matches!(target.scope, DeleteScope::SentAt(_))
}

async fn delete_once<S: Services>(aws: &Aws<'_, S>, target: &DeleteTarget<'_>) -> Result<(), Error> {
    let observing = async {
        match target.place {
            DeletePlace::OwnPool(names) => observe_deletion(aws, target, names).await.map_err(Error::Observe),
            DeletePlace::ClientIn(_) | DeletePlace::ResourceServerIn(_) => {
                Ok((observe_part(aws, target).await?, Vec::new()))
            }
        }
    };
    let (observation, pools) = aws.progress.during("reading the present state", Box::pin(observing)).await?;
    if target.lift_protection {
        for pool in pools.iter().filter(|pool| pool.state.deletion_protection) {
            let open = UserPool { deletion_protection: false, ..pool.state.clone() };
            let lifting = aws.services.pools.update_user_pool(&pool.id, &open);
            lifting
                .await
                .map_err(|source| Error::Step { step: format!("UpdateUserPool {}", pool.state.name), source })?;
        }
    }
    // The Delete of a failed Create is a rollback: what others have begun to use since then stays.
    let is_rollback = target.scope.is_failed_create();
    let plan = match plan_delete(&observation, target.recovery_window_in_days, is_rollback) {
        Ok(plan) => plan,
        Err(refusal) => return Err(name_stacks(aws, refusal).await.into()),
    };
    let deleted = plan.steps().filter(|step| matches!(step, Deletion::ResourceServer { .. })).count();
    if deleted < observation.resource_servers.len() {
        let holders = &observation.scope_holders;
        tracing::warn!(
            ?holders,
            "a resource server of the failed Create is kept, because these clients have its scopes"
        );
    }
    super::log_plan(&plan, Duration::ZERO);
    phases::run(aws, &plan, async |deletion| Ok(perform_deletion(aws, deletion).await?)).await
}

pub(super) async fn perform_deletion<S: Services>(aws: &Aws<'_, S>, deletion: &Deletion) -> Result<(), AwsError> {
    let RetryingServices { pools, secrets, .. } = &aws.services;
    match deletion {
        Deletion::Secret { name, recovery_window_in_days, replicas } => {
            if replicas.is_empty() {
                return secrets.delete_secret(name, *recovery_window_in_days).await;
            }
            secrets.remove_regions_from_replication(name, replicas).await?;
            // Secrets Manager may count a replica for a while that it is still deleting.
            let end = (now() + REPLICAS_GONE_WITHIN).min(aws.services.deadline.for_work());
            poll_until(end, LOOK_AGAIN_AFTER, async || {
                match secrets.delete_secret(name, *recovery_window_in_days).await {
                    Err(error) if error.kind == ErrorKind::Changed => ControlFlow::Continue(error),
                    result => ControlFlow::Break(result),
                }
            })
            .await
        }
        Deletion::UserPoolClient { pool, id, name: _ } => pools.delete_user_pool_client(pool, id).await,
        Deletion::ReleaseUserPoolClient { pool, id, state } => pools.update_user_pool_client(pool, id, state).await,
        Deletion::ResourceServer { pool, identifier } => pools.delete_resource_server(pool, identifier).await,
        Deletion::UserPoolDomain { pool, domain } => delete_domain(aws, pool, domain).await,
        Deletion::UserPool { id } => {
            pools.delete_user_pool(id).await?;
            aws.progress.pool_is_gone(id);
            Ok(())
        }
    }
}

/// Finds what a Delete of the resource's own pool removes.
async fn observe_deletion<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
    names: Option<PoolNames<'_>>,
) -> Result<(DeleteObservation, Vec<UserPoolDescription>), AwsError> {
    let contents = async |pool: &UserPoolDescription| {
        future::try_join(resource_servers(aws, &pool.id), list_clients(aws, &pool.id)).await
    };
    let pools_and_contents = async {
        let Some(pools) = pools_to_delete(aws, target, names).await? else { return Ok(None) };
        let contents = future::try_join_all(pools.iter().map(contents)).await?;
        Ok(Some((pools, contents)))
    };
    let (found, described) = future::try_join(pools_and_contents, described_secrets(aws, target)).await?;
    let Some((pools, contents)) = found else { return Ok((DeleteObservation::default(), Vec::new())) };
    let mut observation = DeleteObservation::default();
    let mut clients = Vec::new();
    for (pool, (resource_servers, listed)) in pools.iter().zip(contents) {
        let (foreign, ours): (Vec<_>, Vec<_>) = listed.into_iter().partition(|client| client.mark.is_some());
        let foreign = Foreign {
            resource_servers: resource_servers.into_iter().filter(|server| server.mark.is_some()).collect(),
            clients: foreign,
        };
        clients.push((pool.id.clone(), ours));
        observation.pools.push(RemainingPool {
            id: pool.id.clone(),
            domain: pool.domain.clone(),
            custom_domain: pool.custom_domain.clone(),
            deletion_protection: pool.state.deletion_protection && !target.lift_protection,
            foreign,
        });
    }
    (observation.secrets, observation.note) = secrets_to_delete(aws, target.owner, described, &clients).await?;
    Ok((observation, pools))
}

type DescribedSecrets = Vec<(SecretId, SecretDescription)>;

/// Returns our live secrets with the regions of their replicas, and the live note.
pub(super) async fn secrets_to_delete<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    described: DescribedSecrets,
    clients: &[(PoolId, Vec<ListedClient>)],
) -> Result<(BTreeMap<SecretId, BTreeSet<Region>>, Option<SecretId>), AwsError> {
    let mut secrets = BTreeMap::new();
    for (name, described) in described.into_iter().filter(|(_, described)| !described.scheduled) {
        let mut is_ours = Ownership::of(&described.tags, described.scheduled, owner) == Ownership::Ours;
        for (pool, clients) in clients {
            is_ours = is_ours || is_orphan(aws, owner, &name, &described.tags, pool, clients).await?;
        }
        if is_ours {
            secrets.insert(name, described.replicas.into_keys().collect());
        }
    }
    let note = secrets.remove_entry(&note_name(owner)).map(|(name, _)| name);
    Ok((secrets, note))
}

/// Finds the owner's pools. Returns `None` if the event is too late to mean any of them.
async fn pools_to_delete<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
    names: Option<PoolNames<'_>>,
) -> Result<Option<Vec<UserPoolDescription>>, AwsError> {
    let is_newer = |pool: &UserPoolDescription| target.is_older_than(&pool.state.tags);
    let pools = match &target.scope {
        DeleteScope::Resource(ResourceId::Pool(id)) => match aws.services.pools.describe_user_pool(id).await? {
            Some(pool) if target.owner.owns(&pool.state.tags) => vec![pool],
            // Another owner's pool. Only the tags decide.
            Some(_) => pools_by_tags(aws, target, names).await?,
            None => {
                let pools = pools_by_tags(aws, target, names).await?;
                if !pools.is_empty() {
                    // This pool is gone, and the resource has a newer one. So the event is a late second
                    // delivery, and does not mean what is there now.
                    tracing::warn!(pool = %id, "the pool is gone and the resource has another one; nothing to do");
                    return Ok(None);
                }
                pools
            }
        },
        _ => pools_by_tags(aws, target, names).await?,
    };
    if let Some(pool) = pools.iter().find(|pool| is_newer(pool)) {
        tracing::warn!(pool = %pool.id, "a newer event was applied to the resource's pool; nothing to do");
        return Ok(None);
    }
    Ok(Some(pools))
}

/// Finds the pools with the owner's tags: first those of the declared name, because an account may have
/// a thousand pools, then those of any name.
async fn pools_by_tags<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
    names: Option<PoolNames<'_>>,
) -> Result<Vec<UserPoolDescription>, AwsError> {
    let DeleteTarget { owner, scope, .. } = target;
    let mut pools = created_pools(aws).await?;
    let mut add = |found: Vec<UserPoolDescription>| {
        for pool in found {
            if !pools.iter().any(|known| known.id == pool.id) {
                pools.push(pool);
            }
        }
        pools.clone()
    };
    if let DeleteScope::FailedCreate { pool: Some(id), .. } = scope {
        // It may be too new to be listed, or to show its tags.
        let pool = look_again(aws, async || {
            let pool = aws.services.pools.describe_user_pool(id).await?;
            let is_settled = pool.as_ref().is_none_or(|pool| owner.owns(&pool.state.tags));
            Ok(is_settled.then_some(pool))
        });
        add(pool.await?.flatten().into_iter().collect());
    }
    let Some(PoolNames { pool: name, prefix }) = names else { return Ok(add(our_pools(aws, owner, None).await?)) };
    let holder = async {
        match prefix {
            Some(prefix) => aws.services.pools.describe_user_pool_domain(prefix).await,
            None => Ok(None),
        }
    };
    let (of_name, holder) = future::try_join(our_pools(aws, owner, Some(name)), holder).await?;
    let holder = holder.map(|holder| holder.pool);
    let found = add(with_decided_pool(aws, owner, of_name, holder.as_ref()).await?);
    // A Create that has failed used this name.
    if !found.is_empty() || matches!(scope, DeleteScope::FailedCreate { .. }) {
        return Ok(found);
    }
    our_pools(aws, owner, None).await
}

/// Reads the secrets that the properties name and those that the listing shows.
pub(super) async fn described_secrets<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
) -> Result<DescribedSecrets, AwsError> {
    let mut names = target.secrets.clone();
    names.extend(secrets_of(aws, target.owner).await?);
    let described: Vec<_> = stream::iter(names.into_iter().map(async |name| {
        let described = aws.services.secrets.describe_secret(&name).await?;
        Ok::<_, AwsError>(described.map(|described| (name, described)))
    }))
    .buffer_unordered(MAX_CONCURRENT)
    .try_collect()
    .await?;
    Ok(described.into_iter().flatten().collect())
}
