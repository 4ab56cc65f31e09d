//! Removing everything, and the Delete that meets a running Create.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt, future, stream};
use uuid::Uuid;

use super::{
    Aws, Error, FIRST_WAIT, ROUNDS, Rounds, apply,
    observe::{SIDE_BY_SIDE, is_orphan, our_pools, pages, secrets_of},
};
use crate::{
    clock::{wait, wall_clock},
    model::{
        ClientId, ClientName, Owner, PoolId, SecretName, Tags, UserPool,
        observed::{DeleteObservation, ObservedClient, Ownership, RemainingPool},
    },
    plan::{NOTE_KEPT_FOR_DAYS, plan_delete},
    ports::{
        AwsError, ErrorKind, NewSecret, SecretDescription, SecretVersions, Secrets, TokenEndpoint, UserPoolDescription,
        UserPools,
    },
};

/// What is to be removed.
#[derive(Clone, Debug)]
pub struct DeleteTarget<'a> {
    pub owner: &'a Owner,
    /// The PhysicalResourceId, which may be a pool's id or anything else.
    pub physical_id: &'a str,
    /// `None` where the properties no longer parse: then every pool of the account is looked at.
    pub pool_name: Option<&'a str>,
    /// Names that the properties give; what is found under them decides.
    pub secrets: BTreeSet<SecretName>,
    pub recovery_window_in_days: u8,
    /// When the event was sent, since the Unix epoch.
    pub sent_at: Duration,
    /// Whether this run may lift a protection, because it has set it itself.
    pub lift_protection: bool,
}

/// Removes all that carries the owner's mark.
///
/// # Guarantees
/// - Nothing is removed while deletion protection is in force on the pool.
/// - What is gone already is no error, nor is that nothing was ever made.
///
/// # Errors
/// What could not be removed; a later run goes on from there.
pub async fn delete<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
    target: &DeleteTarget<'_>,
) -> Result<(), Error> {
    let mut rounds = Rounds::default();
    loop {
        match delete_once(aws, target).await {
            Ok(()) => return Ok(()),
            // A domain may be on its way out, or a Create still at work.
            Err(error) if rounds.another(aws, &error).await => {}
            Err(error) => return Err(error),
        }
    }
}

async fn delete_once<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
    target: &DeleteTarget<'_>,
) -> Result<(), Error> {
    let observing = observe_deletion(aws, target);
    let (observation, pools) =
        aws.progress.during("reading the present state", observing).await.map_err(Error::Observe)?;
    if target.lift_protection {
        for pool in pools.iter().filter(|pool| pool.state.deletion_protection) {
            let open = UserPool { deletion_protection: false, ..pool.state.clone() };
            let lifting = aws.pools.update_user_pool(&pool.id, &open);
            lifting
                .await
                .map_err(|source| Error::Step { step: format!("UpdateUserPool {}", pool.state.name), source })?;
        }
    }
    let plan = plan_delete(&observation, target.recovery_window_in_days)?;
    super::log_plan(&plan, Duration::ZERO);
    apply::apply_deletions(aws, &plan).await
}

async fn observe_deletion<U: UserPools, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    target: &DeleteTarget<'_>,
) -> Result<(DeleteObservation, Vec<UserPoolDescription>), AwsError> {
    let (pools, described) = future::try_join(pools_to_delete(aws, target), described_secrets(aws, target)).await?;
    let Some(pools) = pools else { return Ok((DeleteObservation::default(), Vec::new())) };
    let owner = target.owner;
    let mut secrets = Vec::new();
    for (name, described) in described.into_iter().filter(|(_, described)| !described.scheduled) {
        let ours = match Ownership::of(&described.tags, described.scheduled, owner) {
            Ownership::Ours => true,
            Ownership::Reclaimable => false,
            Ownership::NotOwned => is_our_orphan(aws, &name, &described.tags, &pools).await?,
        };
        if ours {
            secrets.push(name);
        }
    }
    secrets.sort();
    let note = secrets.iter().position(|name| *name == note_name(owner)).map(|index| secrets.remove(index));

    let remaining = pools.iter().map(|pool| RemainingPool {
        id: pool.id.clone(),
        domain: pool.domain.clone(),
        deletion_protection: pool.state.deletion_protection && !target.lift_protection,
    });
    Ok((DeleteObservation { pools: remaining.collect(), secrets, note }, pools))
}

/// Every pool of the owner's; `None` where the event is too late to mean any of them.
async fn pools_to_delete<U: UserPools, S: Sync, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    target: &DeleteTarget<'_>,
) -> Result<Option<Vec<UserPoolDescription>>, AwsError> {
    let DeleteTarget { owner, physical_id, pool_name, .. } = target;
    let mut pools = our_pools(aws, owner, *pool_name).await?;
    if let Some(id) = PoolId::parse(physical_id)
        && !pools.iter().any(|pool| pool.id == id)
    {
        match aws.pools.describe_user_pool(&id).await? {
            Some(pool) if owner.owns(&pool.state.tags) => pools.push(pool),
            // Somebody else's pool, and not a word about ours: the mark decides.
            Some(_) => {}
            // This very pool is gone, and the resource lives on in another one: the event is a late
            // second delivery, and what is there now is not what it was sent for.
            None if !pools.is_empty() => {
                tracing::warn!(pool = %id, "the pool is gone and the resource has another one; nothing to do");
                return Ok(None);
            }
            None => {}
        }
    }
    Ok(Some(pools))
}

/// The secrets that may be the owner's: those that the properties name and those that are listed.
async fn described_secrets<U: Sync, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    target: &DeleteTarget<'_>,
) -> Result<Vec<(SecretName, SecretDescription)>, AwsError> {
    let mut names = target.secrets.clone();
    names.extend(secrets_of(aws, target.owner).await?);
    let described: Vec<_> = stream::iter(names.into_iter().map(async |name| {
        let described = aws.secrets.describe_secret(&name).await?;
        Ok::<_, AwsError>(described.map(|described| (name, described)))
    }))
    .buffer_unordered(SIDE_BY_SIDE)
    .try_collect()
    .await?;
    Ok(described.into_iter().flatten().collect())
}

async fn is_our_orphan<U: UserPools, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    name: &SecretName,
    tags: &Tags,
    pools: &[UserPoolDescription],
) -> Result<bool, AwsError> {
    if !Owner::made_by_this_program(tags) {
        return Ok(false);
    }
    for pool in pools {
        let listed = pages(async |next| aws.pools.list_user_pool_clients(&pool.id, next.as_deref()).await).await?;
        let clients: Vec<_> = listed.into_iter().map(|(id, name)| named(id, name)).collect();
        if is_orphan(aws, name, false, tags, &pool.id, &clients).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn named(id: ClientId, name: ClientName) -> ObservedClient {
    ObservedClient { id, name, scopes: Vec::new(), access_token_validity_minutes: 0, m2m_only: true }
}

const DELETED_AT: &str = "cognito-m2m:deleted-at";

fn note_name(owner: &Owner) -> SecretName {
    SecretName(format!("cognito-m2m/deleted/{}", owner.fingerprint()))
}

/// Leaves a note for a Create that may still be at work.
///
/// CloudFormation sends such a Delete with an id that it made up, because no Create has answered.
/// The Delete writes the note first and then removes what it sees; the Create looks for the note
/// after its last write. Whichever comes first, one of the two sees all that was made. The note is
/// an empty secret, scheduled for deletion at once: it costs nothing, nobody can read it, and it
/// vanishes in a week.
pub async fn note_delete<U: Sync, S: Secrets, T: Sync>(aws: &Aws<'_, U, S, T>, owner: &Owner) {
    let name = note_name(owner);
    let mut tags = owner.tags();
    tags.insert(DELETED_AT.to_owned(), wall_clock().as_millis().to_string());
    let write = async {
        // What was there a moment ago may be gone, and the other way round: a lost answer, another
        // delivery, the end of the week.
        for _ in 1..ROUNDS {
            match write_note(aws, &name, &tags).await {
                Err(error) if error.kind == ErrorKind::Changed => wait(FIRST_WAIT).await,
                result => return result,
            }
        }
        write_note(aws, &name, &tags).await
    };
    // A Delete must not fail for the note's sake: it may be all that is wrong with the account that
    // secrets cannot be created in it.
    if let Err(error) = aws.progress.during("noting the Delete", write).await {
        tracing::warn!(%error, "no note was left for a Create that may still run");
    }
}

async fn write_note<U: Sync, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    name: &SecretName,
    tags: &Tags,
) -> Result<(), AwsError> {
    let secrets = &aws.secrets;
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

/// Whether a Delete is at work, or has been answered, that was sent after this Create. Where that
/// cannot be found out the Create goes on as if there were none.
pub async fn deleted_while_creating<U: Sync, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    created: &DeleteTarget<'_>,
) -> bool {
    let name = note_name(created.owner);
    let note = match aws.progress.during("looking for a Delete", aws.secrets.describe_secret(&name)).await {
        Ok(note) => note,
        Err(error) => {
            tracing::warn!(%error, "could not look for the note of a Delete");
            return false;
        }
    };
    let deleted_at_ms = note.and_then(|note| note.tags.get(DELETED_AT)?.parse::<u128>().ok());
    deleted_at_ms.is_some_and(|deleted_at_ms| deleted_at_ms >= created.sent_at.as_millis())
}
