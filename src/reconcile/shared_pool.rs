//! Reads a resource's part of somebody else's pool.

use std::collections::BTreeSet;

use futures::future;

use super::{
    Aws, Error, Target,
    notes::{Note, note_of_updates},
    observe::{
        ClientAndSecret, Clients, Found, FoundSecrets, PoolContents, describe_clients, list_clients, look_again,
        observe_secrets, resource_servers, secrets_of,
    },
};
use crate::{
    model::{
        ClientId, Desired, Mark, Owner, Ownership, PoolId, ResourceId, SecretId,
        adoption::NotAdoptable,
        observed::{ListedClient, ObservedClient},
        ownership::SHARED_WITH_TAG,
    },
    plan::Refusal,
    ports::{
        AwsError, ClientDescription, ClientSecrets, ErrorKind, Services, UserPoolDescription, UserPools, all_pages,
    },
};

/// Finds the resource's client or server, and what its plan depends on.
pub(super) async fn find<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    pool: &PoolId,
    target: &Target,
    former_secrets: &BTreeSet<SecretId>,
) -> Result<Found, Error> {
    if let Target::Update(ResourceId::ResourceServer { pool: was, identifier }) = target {
        let is_same = desired.resource_servers.iter().any(|server| server.identifier == *identifier);
        if was != pool || !is_same {
            return Err(Error::IdentityChanged { property: if was == pool { "Identifier" } else { "UserPoolId" } });
        }
    }
    let observed = future::try_join5(
        aws.services.pools.describe_user_pool(pool),
        resource_servers(aws, pool),
        our_clients(aws, desired, pool, target),
        secrets(aws, desired, target, former_secrets),
        note(aws, desired, target),
    );
    let (described, resource_servers, ours, secrets, note) = match observed.await {
        Ok(found) => found,
        Err(error) => {
            return Err(match unreadable(aws, &desired.owner, pool, error).await {
                Error::ConsentGone { pool, stack } => Refusal::NotShared { pool, stack, tag: None }.into(),
                error => error,
            });
        }
    };
    let Some(described) = described else { return Err(Error::NoSuchPool(pool.clone())) };
    if let (Target::Update(ResourceId::Client(client)), []) = (target, &*ours) {
        let mut documents = secrets.found.values().filter_map(|secret| secret.document.as_ref());
        let is_elsewhere =
            documents.any(|document| document.client_id == *client && document.metadata.user_pool_id != *pool);
        return Err(if is_elsewhere {
            Error::IdentityChanged { property: "UserPoolId" }
        } else {
            Error::ClientLost { client: client.clone(), pool: pool.clone() }
        });
    }
    let mut clients = Clients { ours, foreign: Vec::new() };
    let recorded = recorded_clients(aws, desired, pool, &secrets, &clients.ours).await.map_err(Error::Observe)?;
    clients.ours.extend(recorded);
    let mut found = Found { secrets, note, ..Found::default() };
    if let Some(adopt) = desired.clients.first().and_then(|client| client.adopt.as_ref()) {
        let adoptee = adoptee(aws, &desired.owner, &described, adopt, target, &clients.ours);
        match adoptee.await.map_err(Error::Observe)? {
            Ok(adoptee) => clients.ours.extend(adoptee),
            Err(rule) => found.not_adoptable = Some(rule),
        }
    }
    found.pool = Some(PoolContents { pool: described, resource_servers, clients });
    Ok(found)
}

/// Tells why the pool cannot be read: perhaps it is gone, or IAM denies it because the tag is missing.
pub(super) async fn unreadable<S: Services>(aws: &Aws<'_, S>, owner: &Owner, pool: &PoolId, error: AwsError) -> Error {
    match aws.services.pools.describe_user_pool(pool).await {
        Ok(None) => Error::NoSuchPool(pool.clone()),
        Ok(Some(described))
            if error.kind == ErrorKind::Denied && !described.state.tags.contains_key(SHARED_WITH_TAG) =>
        {
            Error::ConsentGone { pool: pool.clone(), stack: owner.stack_name().to_owned() }
        }
        _ => Error::Observe(error),
    }
}

/// Reads the clients with our marks. An Update knows the id of its client; a Create looks at all of them, because an
/// earlier delivery may have created one.
async fn our_clients<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    pool: &PoolId,
    target: &Target,
) -> Result<Vec<ClientAndSecret>, AwsError> {
    if desired.clients.is_empty() {
        return Ok(Vec::new());
    }
    let ids: BTreeSet<ClientId> = if let Target::Update(ResourceId::Client(id)) = target {
        BTreeSet::from([id.clone()])
    } else {
        let created = aws.progress.created_clients();
        let marked = if created.is_empty() && aws.progress.may_have_created_client() {
            // The answer to CreateUserPoolClient was lost.
            let marked = look_again(aws, async || {
                let marked = marked_clients(aws, &desired.owner, pool).await?;
                Ok((!marked.is_empty()).then_some(marked))
            });
            marked.await?.unwrap_or_default()
        } else {
            marked_clients(aws, &desired.owner, pool).await?
        };
        created.into_iter().chain(marked.into_iter().map(|client| client.id)).collect()
    };
    describe_ours(aws, &desired.owner, pool, ids).await
}

/// Describes those of the clients that have one of the owner's marks.
async fn describe_ours<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    pool: &PoolId,
    ids: BTreeSet<ClientId>,
) -> Result<Vec<ClientAndSecret>, AwsError> {
    let described = describe_clients(aws, pool, ids).await?;
    Ok(described.into_iter().filter(|(client, _)| is_ours(client.mark.as_ref(), owner)).collect())
}

/// Tells whether the owner created or adopted what has the mark.
pub(super) fn is_ours(mark: Option<&Mark>, owner: &Owner) -> bool {
    mark.is_some_and(|mark| *mark == Mark::of(owner) || *mark == Mark::of_adopted(owner))
}

/// Lists the clients with the owner's marks.
pub(super) async fn marked_clients<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    pool: &PoolId,
) -> Result<Vec<ListedClient>, AwsError> {
    let listed = list_clients(aws, pool).await?;
    Ok(listed.into_iter().filter(|client| is_ours(client.mark.as_ref(), owner)).collect())
}

/// Reads our clients that a secret names and the listing did not show: another delivery of the event may have created
/// one after the listing was read.
async fn recorded_clients<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    pool: &PoolId,
    secrets: &FoundSecrets,
    known: &[ClientAndSecret],
) -> Result<Vec<ClientAndSecret>, AwsError> {
    let documents = secrets.found.values().filter(|secret| secret.ownership == Ownership::Ours);
    let documents = documents.filter_map(|secret| secret.document.as_ref());
    let ids: BTreeSet<ClientId> = documents
        .filter(|document| document.metadata.user_pool_id == *pool)
        .map(|document| document.client_id.clone())
        .filter(|id| !known.iter().any(|(client, _)| client.id == *id))
        .collect();
    describe_ours(aws, &desired.owner, pool, ids).await
}

/// Reads the client that is to be adopted. Returns nothing if the resource has a client already.
async fn adoptee<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    pool: &UserPoolDescription,
    id: &ClientId,
    target: &Target,
    ours: &[ClientAndSecret],
) -> Result<Result<Option<ClientAndSecret>, NotAdoptable>, AwsError> {
    if ours.iter().any(|(client, _)| client.id == *id) {
        return Ok(Ok(None));
    }
    if *target != Target::Create || !ours.is_empty() {
        return Ok(Err(NotAdoptable::NotACreate));
    }
    let Some(described) = aws.services.pools.describe_user_pool_client(&pool.id, id).await? else {
        return Ok(Err(NotAdoptable::Missing));
    };
    let rule = match &described.observed.mark {
        // Another delivery of the event has adopted it a moment ago.
        Some(mark) if *mark == Mark::of_adopted(owner) => Ok(()),
        _ => adoption_rule(aws, pool, &described).await?,
    };
    let ClientDescription { observed, secret, settings: _ } = described;
    Ok(rule.map(|()| Some((observed, secret))))
}

/// Checks whether a client of a pool may be adopted.
///
/// # Errors
/// A call failed.
pub async fn adoption_rule<S: Services>(
    aws: &Aws<'_, S>,
    pool: &UserPoolDescription,
    client: &ClientDescription,
) -> Result<Result<(), NotAdoptable>, AwsError> {
    let ClientDescription { observed, secret, settings } = client;
    if let Some(mark) = &observed.mark {
        return Ok(Err(NotAdoptable::Marked(mark.clone())));
    }
    if let Err(rule) = settings.check() {
        return Ok(Err(rule));
    }
    if let Some(stack) = declaring_stack(aws, pool, observed).await? {
        return Ok(Err(NotAdoptable::Declared(stack)));
    }
    let list = async |next: Option<String>| {
        aws.services.pools.list_user_pool_client_secrets(&pool.id, &observed.id, next.as_deref()).await
    };
    Ok(match all_pages(list).await?.len() {
        0 | 1 if secret.is_some() => Ok(()),
        0 | 1 => Err(NotAdoptable::NoSecret),
        _ => Err(NotAdoptable::TwoSecrets),
    })
}

/// Returns the stack whose `Custom::CognitoM2M` declares a client without a mark. It keeps the client's secret, whose
/// name ends with the client's.
async fn declaring_stack<S: Services>(
    aws: &Aws<'_, S>,
    pool: &UserPoolDescription,
    client: &ObservedClient,
) -> Result<Option<String>, AwsError> {
    let Some(owner) = Owner::of(&pool.state.tags) else { return Ok(None) };
    let is_its =
        |name: &SecretId| name.as_str().strip_suffix(client.name.as_str()).is_some_and(|prefix| prefix.ends_with('/'));
    let secrets = secrets_of(aws, &owner).await?;
    Ok(secrets.iter().any(is_its).then(|| owner.stack_name().to_owned()))
}

async fn secrets<S: Services>(
    aws: &Aws<'_, S>,
    desired: &Desired,
    target: &Target,
    former: &BTreeSet<SecretId>,
) -> Result<FoundSecrets, AwsError> {
    // A resource server has no secret.
    if desired.clients.is_empty() {
        return Ok(FoundSecrets::default());
    }
    observe_secrets(aws, desired, target, former).await
}

/// Reads the note of a resource server.
async fn note<S: Services>(aws: &Aws<'_, S>, desired: &Desired, target: &Target) -> Result<Note, AwsError> {
    if desired.clients.is_empty() && *target != Target::Create {
        note_of_updates(aws, &desired.owner).await
    } else {
        Ok(Note::default())
    }
}
