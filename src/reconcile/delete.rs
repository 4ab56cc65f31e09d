//! Removing everything, and the Delete that meets a running Create.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Aws, Error, FIRST_WAIT, LONGEST_WAIT, ROUNDS, apply, chain,
    observe::{SIDE_BY_SIDE, is_orphan, our_pools, pages},
};
use crate::{
    deadline::{wait, wall_clock},
    model::{
        ClientName, Owner, PoolId, SecretName, Tags,
        observed::{ObservedClient, Ownership, RemainingPool, Remains},
    },
    plan::plan_delete,
    ports::{AwsError, ErrorKind, NewSecret, Secrets, TokenEndpoint, UserPoolDescription, UserPools},
};

/// What is to be removed.
#[derive(Clone, Debug)]
pub struct Departed<'a> {
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
    departed: &Departed<'_>,
) -> Result<(), Error> {
    let mut pause = FIRST_WAIT;
    let mut round = 1;
    loop {
        let error = match delete_once(aws, departed).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let moved =
            matches!(&error, Error::Observe(source) | Error::Step { source, .. } if source.kind == ErrorKind::Changed);
        if !moved || round == ROUNDS || pause >= aws.deadline.left() {
            return Err(error);
        }
        // A domain may be on its way out, or a Create still at work.
        tracing::info!(round, cause = chain(&error), "observing again");
        aws.progress.during("waiting to observe again", wait(pause)).await;
        pause = (pause * 2).min(LONGEST_WAIT);
        round += 1;
    }
}

async fn delete_once<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
    departed: &Departed<'_>,
) -> Result<(), Error> {
    let observing = observe_remains(aws, departed);
    let (remains, pools) = aws.progress.during("reading the present state", observing).await.map_err(Error::Observe)?;
    if departed.lift_protection {
        for pool in pools.iter().filter(|pool| pool.state.deletion_protection) {
            let open = crate::model::UserPool { deletion_protection: false, ..pool.state.clone() };
            let lifting = aws.pools.update_user_pool(&pool.id, &open);
            lifting
                .await
                .map_err(|source| Error::Step { step: format!("UpdateUserPool {}", pool.state.name), source })?;
        }
    }
    let plan = plan_delete(&remains, departed.recovery_window_in_days)?;
    super::log_plan(&plan, Duration::ZERO);
    apply::apply_deletions(aws, &plan).await
}

async fn observe_remains<U: UserPools, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    departed: &Departed<'_>,
) -> Result<(Remains, Vec<UserPoolDescription>), AwsError> {
    let Departed { owner, physical_id, pool_name, .. } = departed;
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
                return Ok((Remains::default(), Vec::new()));
            }
            None => {}
        }
    }

    let mut names = departed.secrets.clone();
    names.extend(pages(async |next| aws.secrets.list_secrets(owner, next.as_deref()).await).await?);
    let described: Vec<_> = stream::iter(names.into_iter().map(async |name| {
        let described = aws.secrets.describe_secret(&name).await?;
        Ok::<_, AwsError>(described.map(|described| (name, described)))
    }))
    .buffer_unordered(SIDE_BY_SIDE)
    .try_collect()
    .await?;
    let mut secrets = Vec::new();
    for (name, described) in described.into_iter().flatten().filter(|(_, described)| !described.scheduled) {
        let ours = match Ownership::of(&described.tags, described.scheduled, owner) {
            Ownership::Ours => true,
            Ownership::GivenUp => false,
            Ownership::SomebodyElses => is_our_orphan(aws, &name, &described.tags, &pools).await?,
        };
        if ours {
            secrets.push(name);
        }
    }
    secrets.sort();

    let remaining = pools.iter().map(|pool| RemainingPool {
        id: pool.id.clone(),
        domain: pool.domain.clone(),
        deletion_protection: pool.state.deletion_protection && !departed.lift_protection,
    });
    Ok((Remains { pools: remaining.collect(), secrets }, pools))
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
        if is_orphan(aws, name, false, tags, &clients).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn named(id: crate::model::ClientId, name: ClientName) -> ObservedClient {
    ObservedClient { id, name, scopes: Vec::new(), access_token_validity_minutes: 0, strict: true }
}

const DELETED_AT: &str = "cognito-m2m:deleted-at";
const NOTE_KEPT_FOR_DAYS: u8 = 7;

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
///
/// # Errors
/// Where it could not be written: then the Delete must not go on, for a Create might outlive it.
pub async fn note_delete<U: UserPools, S: Secrets, T: TokenEndpoint>(
    aws: &Aws<'_, U, S, T>,
    owner: &Owner,
) -> Result<(), Error> {
    let name = note_name(owner);
    let mut tags = owner.tags();
    tags.insert(DELETED_AT.to_owned(), wall_clock().as_millis().to_string());
    let step = async {
        let secrets = &aws.secrets;
        match secrets.describe_secret(&name).await? {
            None => {
                let token = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_str().as_bytes()).to_string();
                let description = "A cognito-m2m resource was deleted while it may still have been created";
                let new = NewSecret {
                    name: &name,
                    tags: &tags,
                    kms_key_id: None,
                    description,
                    document: None,
                    token: &token,
                };
                secrets.create_secret(&new).await?;
            }
            Some(found) => {
                if found.scheduled {
                    secrets.restore_secret(&name).await?;
                }
                secrets.tag_resource(&name, &tags).await?;
            }
        }
        secrets.delete_secret(&name, NOTE_KEPT_FOR_DAYS).await
    };
    let result = aws.progress.during("noting the Delete", step).await;
    result.map_err(|source| Error::Step { step: format!("CreateSecret {name} (a note for a running Create)"), source })
}

/// Whether a Delete has been answered, or is at work, that was sent after this Create.
///
/// # Errors
/// Where the note could not be looked for.
pub async fn deleted_while_creating<U: Sync, S: Secrets, T: Sync>(
    aws: &Aws<'_, U, S, T>,
    created: &Departed<'_>,
) -> Result<bool, Error> {
    let name = note_name(created.owner);
    let found = aws
        .progress
        .during("looking for a Delete", aws.secrets.describe_secret(&name))
        .await
        .map_err(Error::Observe)?;
    let deleted_at = found.and_then(|found| found.tags.get(DELETED_AT)?.parse::<u64>().ok()).map(Duration::from_millis);
    Ok(deleted_at.is_some_and(|deleted_at| deleted_at >= created.sent_at))
}
