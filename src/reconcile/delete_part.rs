//! Finds what a Delete removes from somebody else's pool.

use std::collections::BTreeSet;

use super::{
    Aws, DeletePlace, DeleteScope, DeleteTarget, Error,
    delete::{described_secrets, secrets_to_delete},
    notes::note_name,
    observe::{describe_clients, describe_holders, list_clients, resource_servers},
    shared_pool::{is_ours, marked_clients, unreadable},
};
use crate::{
    model::{
        AuthFlow, Mark, Owner, PoolId, ResourceId, ResourceServer, SecretId, Tags, UserPoolClient,
        observed::{DeleteObservation, FormerClient, ObservedClient, RemainingClient},
        ownership::SHARED_WITH_TAG,
    },
    ports::{
        ADOPTED, AWSCURRENT, AwsError, SecretDescription, SecretVersions, Secrets, Services, UserPools, Version,
        all_pages,
    },
};

/// Finds the resource's client or server, and its secret.
pub(super) async fn observe_part<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
) -> Result<DeleteObservation, Error> {
    match &target.place {
        DeletePlace::ResourceServerIn(named) => {
            let mut observation = DeleteObservation::default();
            for pool in pools(aws, target, named.as_ref(), &[]).await? {
                let found = servers(aws, target.owner, &pool).await;
                add_servers(aws, &mut observation, target.owner, &pool, found).await?;
            }
            Ok(observation)
        }
        DeletePlace::ClientIn(named) => observe_client(aws, target, named.as_ref()).await,
        DeletePlace::OwnPool(_) => Ok(DeleteObservation::default()),
    }
}

async fn observe_client<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
    named: Option<&PoolId>,
) -> Result<DeleteObservation, Error> {
    let owner = target.owner;
    let described = described_secrets(aws, target).await.map_err(Error::Observe)?;
    let is_ours = |(_, secret): &&(SecretId, SecretDescription)| owner.owns(&secret.tags);
    let (scheduled, live): (Vec<_>, Vec<_>) =
        described.iter().filter(is_ours).partition(|(_, secret)| secret.scheduled);
    let scheduled: Vec<_> = scheduled.into_iter().map(|(name, _)| name.clone()).collect();
    let ours: Vec<_> = live.into_iter().map(|(name, secret)| (name.clone(), secret.tags.clone())).collect();
    if ours.iter().any(|(_, tags)| target.is_older_than(tags)) {
        tracing::warn!("a newer event was applied to the resource's client; nothing to do");
        return Ok(DeleteObservation::default());
    }
    let mut observation = DeleteObservation::default();
    let mut listed = Vec::new();
    for pool in pools(aws, target, named, &ours).await? {
        match marked_clients(aws, owner, &pool).await {
            Ok(found) => listed.push((pool, found)),
            Err(error) => match unreadable(aws, owner, &pool, error).await {
                Error::NoSuchPool(_) => {}
                error => return Err(error),
            },
        }
    }
    if let DeleteScope::Resource(ResourceId::Client(id)) = &target.scope
        && !listed.iter().flat_map(|(_, clients)| clients).any(|client| client.id == *id)
        && listed.iter().any(|(_, clients)| !clients.is_empty())
    {
        // This client is gone, and the resource has a newer one. So the event is a late second delivery.
        tracing::warn!(client = %id, "the client is gone and the resource has another one; nothing to do");
        return Ok(DeleteObservation::default());
    }
    for (pool, clients) in &listed {
        let found = describe_clients(aws, pool, clients.iter().map(|client| client.id.clone())).await;
        for (client, _) in found.map_err(Error::Observe)? {
            let former = if client.mark == Some(Mark::of_adopted(owner)) {
                let secrets = ours.iter().map(|(name, _)| name);
                let former = match former_client(aws, secrets).await.map_err(Error::Observe)? {
                    // A Delete that met a running Create may have scheduled the secret for deletion before.
                    None => restored_former_client(aws, target, &scheduled).await.map_err(Error::Observe)?,
                    former => former,
                };
                Some(former_state(aws, target, pool, &client, former).await.map_err(Error::Observe)?)
            } else {
                None
            };
            let ObservedClient { id, name, .. } = client;
            observation.clients.push(RemainingClient { pool: pool.clone(), id, name, former });
        }
    }
    (observation.secrets, observation.note) =
        secrets_to_delete(aws, owner, described, &listed).await.map_err(Error::Observe)?;
    Ok(observation)
}

/// Returns the pools to look into: the one that the properties or the id name, else those that our secrets name, else
/// all that are shared with anybody.
async fn pools<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
    named: Option<&PoolId>,
    secrets: &[(SecretId, Tags)],
) -> Result<BTreeSet<PoolId>, Error> {
    let in_id = match &target.scope {
        DeleteScope::FailedCreate { pool, .. } => pool.clone(),
        DeleteScope::Resource(ResourceId::ResourceServer { pool, .. }) => Some(pool.clone()),
        DeleteScope::Resource(_) | DeleteScope::SentAt(_) => None,
    };
    let mut pools: BTreeSet<_> = named.cloned().into_iter().chain(in_id).collect();
    if pools.is_empty() {
        for (name, _) in secrets {
            let current = aws.services.secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await;
            let document = current.map_err(Error::Observe)?.and_then(|version| version.document);
            pools.extend(document.map(|document| document.metadata.user_pool_id));
        }
    }
    if pools.is_empty() {
        pools = shared_pools(aws).await.map_err(Error::Observe)?;
    }
    Ok(pools)
}

async fn shared_pools<S: Services>(aws: &Aws<'_, S>) -> Result<BTreeSet<PoolId>, AwsError> {
    let mut shared = BTreeSet::new();
    for (id, _) in all_pages(async |next| aws.services.pools.list_user_pools(next.as_deref()).await).await? {
        let pool = aws.services.pools.describe_user_pool(&id).await?;
        if pool.is_some_and(|pool| pool.state.tags.contains_key(SHARED_WITH_TAG)) {
            shared.insert(id);
        }
    }
    Ok(shared)
}

async fn servers<S: Services>(aws: &Aws<'_, S>, owner: &Owner, pool: &PoolId) -> Result<Vec<ResourceServer>, AwsError> {
    let listed = resource_servers(aws, pool).await?;
    Ok(listed.into_iter().filter(|server| is_ours(server.mark.as_ref(), owner)).collect())
}

/// Adds servers, and the clients that hold their scopes.
async fn add_servers<S: Services>(
    aws: &Aws<'_, S>,
    observation: &mut DeleteObservation,
    owner: &Owner,
    pool: &PoolId,
    found: Result<Vec<ResourceServer>, AwsError>,
) -> Result<(), Error> {
    let found = match found {
        Ok(found) => found,
        Err(error) => match unreadable(aws, owner, pool, error).await {
            Error::NoSuchPool(_) => return Ok(()),
            error => return Err(error),
        },
    };
    if !found.is_empty() {
        let clients = list_clients(aws, pool).await.map_err(Error::Observe)?;
        observation.scope_holders.extend(describe_holders(aws, pool, clients).await.map_err(Error::Observe)?);
    }
    observation.resource_servers.extend(found.into_iter().map(|server| (pool.clone(), server)));
    Ok(())
}

/// Reads what an adopted client was before, as this run or the secret knows it.
async fn former_client<'s, S: Services>(
    aws: &Aws<'_, S>,
    secrets: impl Iterator<Item = &'s SecretId>,
) -> Result<Option<FormerClient>, AwsError> {
    if let Some(former) = aws.progress.former_client() {
        return Ok(Some(former));
    }
    for name in secrets {
        let version = aws.services.secrets.get_secret_value(name, Version::Stage(ADOPTED)).await?;
        if let Some(former) = version.and_then(|version| version.document).and_then(|document| document.former) {
            return Ok(Some(former));
        }
    }
    Ok(None)
}

/// Restores secrets that are scheduled for deletion, reads the record, and schedules them again.
async fn restored_former_client<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
    scheduled: &[SecretId],
) -> Result<Option<FormerClient>, AwsError> {
    let note = note_name(target.owner);
    let mut found = None;
    for name in scheduled.iter().filter(|name| **name != note) {
        aws.services.secrets.restore_secret(name).await?;
        let former = former_client(aws, std::iter::once(name)).await;
        aws.services.secrets.delete_secret(name, target.recovery_window_in_days).await?;
        found = former?.or(found);
    }
    Ok(found)
}

/// Returns the state that an adopted client is to have again.
async fn former_state<S: Services>(
    aws: &Aws<'_, S>,
    target: &DeleteTarget<'_>,
    pool: &PoolId,
    client: &ObservedClient,
    former: Option<FormerClient>,
) -> Result<UserPoolClient, AwsError> {
    let (name, scopes, validity) = match (former, &target.scope) {
        (Some(FormerClient { name, scopes, access_token_validity_minutes }), scope) if scope.is_failed_create() => {
            (name, scopes, access_token_validity_minutes)
        }
        (Some(former), _) => (former.name, client.scopes.clone(), client.access_token_validity_minutes),
        // Without the record, at least the mark goes.
        (None, _) => (client.name.clone(), client.scopes.clone(), client.access_token_validity_minutes),
    };
    // Cognito refuses a scope that is gone.
    let defined: BTreeSet<String> =
        resource_servers(aws, pool).await?.iter().flat_map(|server| server.full_scopes().collect::<Vec<_>>()).collect();
    Ok(UserPoolClient {
        name,
        scopes: scopes.into_iter().filter(|scope| defined.contains(scope)).collect(),
        access_token_validity_minutes: validity,
        auth_flow: client.auth_flow.unwrap_or(AuthFlow::RefreshToken),
    })
}
