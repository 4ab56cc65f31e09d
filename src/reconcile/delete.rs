//! Deletes everything a resource owns. Handles the Delete that meets a running Create.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, future, stream};
use uuid::Uuid;

use super::{
    Aws, Error,
    observe::{created_pools, is_orphan, look_again, our_pools, secrets_of, with_holder_of_prefix},
    phases::{self, MAX_CONCURRENT},
    rounds::{FIRST_PAUSE, MAX_ROUNDS, Rounds},
};
use crate::{
    clock::{now, poll_until, wait},
    model::{
        Applied, ClientName, Digest, Owner, Ownership, PoolId, SecretId, Tags, UserPool,
        observed::{DeleteObservation, RemainingPool},
    },
    plan::{Deletion, NOTE_KEPT_FOR_DAYS, Refusal, plan_delete},
    ports::{
        AwsError, ErrorKind, NewSecret, SecretDescription, SecretVersions, Secrets, Services, UserPoolDescription,
        UserPools, all_pages,
    },
};

/// What to delete.
#[derive(Clone, Debug)]
pub struct DeleteTarget<'a> {
    pub owner: &'a Owner,
    pub scope: DeleteScope,
    /// The pool's name and its domain prefix; `None` if the properties do not parse.
    pub names: Option<PoolNames<'a>>,
    /// The names that the properties declare. Their tags decide.
    pub secrets: BTreeSet<SecretId>,
    pub recovery_window_in_days: u8,
    /// Whether this run may turn deletion protection off, because it turned it on itself.
    pub lift_protection: bool,
}

/// What the properties say about the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolNames<'a> {
    pub pool: &'a str,
    pub prefix: &'a str,
}

/// Which of the owner's pools a Delete means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteScope {
    /// The pool with this id.
    Pool(PoolId),
    /// What one Create made that has failed. `pool` is the pool that it had when it failed.
    FailedCreate { request: Digest, pool: Option<PoolId> },
    /// What there was at this time, since the Unix epoch: CloudFormation invented the id, because no
    /// Create has answered.
    SentAt(Duration),
}

/// A Create that turned deletion protection on sees the note of a Delete within this time, and removes
/// everything itself.
const CREATE_ENDS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// A replica that was removed is gone within seconds.
const REPLICAS_GONE_WITHIN: Duration = Duration::from_secs(30);

/// Deletes everything with the owner's tags.
///
/// # Guarantees
/// - It deletes nothing that a newer event than the target's has made.
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
    let observing = observe_deletion(aws, target);
    let (observation, pools) =
        aws.progress.during("reading the present state", observing).await.map_err(Error::Observe)?;
    if target.lift_protection {
        for pool in pools.iter().filter(|pool| pool.state.deletion_protection) {
            let open = UserPool { deletion_protection: false, ..pool.state.clone() };
            let lifting = aws.services.pools.update_user_pool(&pool.id, &open);
            lifting
                .await
                .map_err(|source| Error::Step { step: format!("UpdateUserPool {}", pool.state.name), source })?;
        }
    }
    let plan = plan_delete(&observation, target.recovery_window_in_days)?;
    super::log_plan(&plan, Duration::ZERO);
    phases::run(aws, &plan, async |deletion| Ok(perform_deletion(aws, deletion).await?)).await
}

pub(super) async fn perform_deletion<S: Services>(aws: &Aws<'_, S>, deletion: &Deletion) -> Result<(), AwsError> {
    match deletion {
        Deletion::Secret { name, recovery_window_in_days, replicas } => {
            let secrets = &aws.services.secrets;
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
        Deletion::UserPoolDomain { pool, prefix } => aws.services.pools.delete_user_pool_domain(pool, prefix).await,
        Deletion::UserPool { id } => {
            aws.services.pools.delete_user_pool(id).await?;
            aws.progress.pool_is_gone(id);
            Ok(())
        }
    }
}

async fn observe_deletion<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
) -> Result<(DeleteObservation, Vec<UserPoolDescription>), AwsError> {
    let (pools, described) = future::try_join(pools_to_delete(aws, target), described_secrets(aws, target)).await?;
    let Some(pools) = pools else { return Ok((DeleteObservation::default(), Vec::new())) };
    let owner = target.owner;
    let mut secrets = BTreeMap::new();
    for (name, described) in described.into_iter().filter(|(_, described)| !described.scheduled) {
        if Ownership::of(&described.tags, described.scheduled, owner) == Ownership::Ours
            || is_our_orphan(aws, &name, &described.tags, &pools).await?
        {
            secrets.insert(name, described.replicas.into_keys().collect());
        }
    }
    let note = secrets.remove_entry(&note_name(owner)).map(|(name, _)| name);

    let remaining = pools.iter().map(|pool| RemainingPool {
        id: pool.id.clone(),
        domain: pool.domain.clone(),
        deletion_protection: pool.state.deletion_protection && !target.lift_protection,
    });
    Ok((DeleteObservation { pools: remaining.collect(), secrets, note }, pools))
}

/// Finds the owner's pools. Returns `None` if the event is too late to mean any of them.
async fn pools_to_delete<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
) -> Result<Option<Vec<UserPoolDescription>>, AwsError> {
    let is_newer = |pool: &UserPoolDescription| {
        let Some(note) = Applied::of(&pool.state.tags) else { return false };
        match &target.scope {
            DeleteScope::Pool(_) => false,
            DeleteScope::FailedCreate { request, .. } => note.latest() != Some(request),
            DeleteScope::SentAt(sent_at) => sent_at.as_millis() < note.at.as_millis(),
        }
    };
    let pools = match &target.scope {
        DeleteScope::Pool(id) => match aws.services.pools.describe_user_pool(id).await? {
            Some(pool) if target.owner.owns(&pool.state.tags) => vec![pool],
            // Another owner's pool. Only the tags decide.
            Some(_) => pools_by_tags(aws, target).await?,
            None => {
                let pools = pools_by_tags(aws, target).await?;
                if !pools.is_empty() {
                    // This pool is gone, and the resource has a newer one. So the event is a late second
                    // delivery, and does not mean what is there now.
                    tracing::warn!(pool = %id, "the pool is gone and the resource has another one; nothing to do");
                    return Ok(None);
                }
                pools
            }
        },
        DeleteScope::FailedCreate { .. } | DeleteScope::SentAt(_) => pools_by_tags(aws, target).await?,
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
) -> Result<Vec<UserPoolDescription>, AwsError> {
    let DeleteTarget { owner, scope, names, .. } = target;
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
    let prefix = aws.services.pools.describe_user_pool_domain(prefix);
    let (named, prefix) = future::try_join(our_pools(aws, owner, Some(name)), prefix).await?;
    let found = add(with_holder_of_prefix(aws, owner, named, prefix.as_ref()).await?);
    // A Create that has failed used this name.
    if !found.is_empty() || matches!(scope, DeleteScope::FailedCreate { .. }) {
        return Ok(found);
    }
    our_pools(aws, owner, None).await
}

/// Reads the secrets that the properties name and those that the listing shows.
async fn described_secrets<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
) -> Result<Vec<(SecretId, SecretDescription)>, AwsError> {
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

async fn is_our_orphan<S: Services>(
    aws: &Aws<'_, S>,
    name: &SecretId,
    tags: &Tags,
    pools: &[UserPoolDescription],
) -> Result<bool, AwsError> {
    if !Owner::made_by_this_program(tags) {
        return Ok(false);
    }
    for pool in pools {
        let listed =
            all_pages(async |next| aws.services.pools.list_user_pool_clients(&pool.id, next.as_deref()).await).await?;
        let clients: Vec<ClientName> = listed.into_iter().map(|(_, name)| name).collect();
        if is_orphan(aws, name, false, tags, &pool.id, &clients).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// When the Delete was sent, in microseconds since the Unix epoch.
const DELETED_AT: &str = "cognito-m2m:deleted-at";

fn note_name(owner: &Owner) -> SecretId {
    SecretId(format!("cognito-m2m/deleted/{}", owner.fingerprint()))
}

/// Leaves a note for a Create that may still run: when this Delete was sent.
///
/// CloudFormation sends such a Delete with an id that it invented, because no Create has answered. The
/// Delete first writes the note and then deletes what it sees. The Create looks for the note after its
/// last write. So one of the two sees everything that was created. The note is an empty secret that is
/// scheduled for deletion at once: it costs nothing, nobody can read it, and it vanishes in a week.
pub async fn note_delete<S: Services>(aws: &Aws<'_, S>, owner: &Owner, sent_at: Duration) {
    let name = note_name(owner);
    let mut tags = owner.tags();
    tags.insert(DELETED_AT.to_owned(), sent_at.as_micros().to_string());
    let write = async {
        // The note may appear or vanish between two calls: by a lost answer, by another delivery, or at
        // the end of its week.
        for _ in 1..MAX_ROUNDS {
            match write_note(aws, &name, &tags).await {
                Err(error) if error.kind == ErrorKind::Changed => wait(FIRST_PAUSE).await,
                result => return result,
            }
        }
        write_note(aws, &name, &tags).await
    };
    // A missing note must not fail the Delete: perhaps nobody can create a secret in this account.
    if let Err(error) = aws.progress.during("noting the Delete", write).await {
        tracing::warn!(%error, "no note was left for a Create that may still run");
    }
}

async fn write_note<S: Services>(aws: &Aws<'_, S>, name: &SecretId, tags: &Tags) -> Result<(), AwsError> {
    let secrets = &aws.services.secrets;
    match secrets.describe_secret(name).await? {
        None => {
            let token = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_str().as_bytes()).to_string();
            let description = "A cognito-m2m resource was deleted while it may still have been created";
            let new = NewSecret { name, tags, kms_key_id: None, description, document: None, token: &token };
            secrets.create_secret(&new).await?;
        }
        Some(found) => {
            if found.scheduled {
                secrets.restore_secret(name).await?;
            }
            secrets.tag_resource(name, tags).await?;
        }
    }
    secrets.delete_secret(name, NOTE_KEPT_FOR_DAYS).await
}

/// Tells whether a Delete was sent after a Create. If that cannot be found out, the Create goes on as if
/// there were none.
pub async fn deleted_while_creating<S: Services>(aws: &Aws<'_, S>, owner: &Owner, created_at: Duration) -> bool {
    let name = note_name(owner);
    let note = match aws.progress.during("looking for a Delete", aws.services.secrets.describe_secret(&name)).await {
        Ok(note) => note,
        Err(error) => {
            tracing::warn!(%error, "could not look for the note of a Delete");
            return false;
        }
    };
    let deleted_at = note.and_then(|note| note.tags.get(DELETED_AT)?.parse::<u128>().ok());
    deleted_at.is_some_and(|deleted_at| deleted_at >= created_at.as_micros())
}
