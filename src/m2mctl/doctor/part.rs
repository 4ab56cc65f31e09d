//! A client or a resource server in somebody else's pool: the owner's consent, and whether it is still there.

use std::collections::BTreeSet;

use super::{Finding, Severity};
use crate::{
    m2mctl::error::Error,
    model::{
        ClientId, Desired, Mark, Owner, PoolId, ResourceId, ResourceServer, SecretId, Tags, ownership::SHARED_WITH_TAG,
    },
    ports::{AWSCURRENT, AwsError, SecretVersions as _, Services, UserPools as _, Version, all_pages},
    reconcile::Aws,
};

const GONE: &str = "Declare it under another logical id, because CloudFormation knows the lost one by its id.";
const UNMARKED: &str = "Give it its name back, or declare it under another logical id.";

/// Returns what a finding calls the client or the server that is declared.
pub(super) fn subject(desired: &Desired, pool: &PoolId) -> String {
    match (desired.clients.first(), desired.resource_servers.first()) {
        (Some(client), _) => format!("client {} in user pool {pool}", client.name),
        (None, Some(server)) => server_subject(&server.identifier, pool),
        (None, None) => format!("user pool {pool}"),
    }
}

fn server_subject(identifier: &str, pool: &PoolId) -> String {
    format!("resource server {identifier} in user pool {pool}")
}

/// Says how to check what has no stack yet.
pub(super) fn before_deploy(error: &Error) -> Finding {
    Finding::new(Severity::Info, "properties", format!("cannot be compared: {error}"))
        .advice("Run m2mctl plan with --stack and the name that the stack will have.")
}

/// Returns the pool that one of a client's secrets names.
pub(super) async fn pool_of_secrets<S: Services>(aws: &Aws<'_, S>, secrets: &BTreeSet<SecretId>) -> Option<PoolId> {
    for name in secrets {
        let read = aws.services.secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await;
        if let Ok(Some(version)) = read
            && let Some(document) = version.document
        {
            return Some(document.metadata.user_pool_id);
        }
    }
    None
}

/// Checks the pool's consent, and that the client or the server is there with the resource's mark.
pub(super) async fn examine<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    id: &ResourceId,
    pool: &PoolId,
) -> Vec<Finding> {
    let subject = format!("user pool {pool}");
    let tags = match aws.services.pools.describe_user_pool(pool).await {
        Ok(Some(described)) => described.state.tags,
        Ok(None) => {
            return vec![
                Finding::new(Severity::Error, subject, "does not exist")
                    .advice("Delete the stack: nothing of it works without the pool."),
            ];
        }
        Err(error) => return vec![Finding::of_failure(subject, &error)],
    };
    let mut findings = vec![consent(subject, owner, &tags)];
    let found = match id {
        ResourceId::Client(id) => client(aws, owner, id, pool).await,
        ResourceId::ResourceServer { identifier, .. } => server(aws, owner, identifier, pool).await,
        ResourceId::Pool(_) => Ok(Vec::new()),
    };
    findings.extend(found.unwrap_or_else(|error| vec![Finding::of_failure(id.to_string(), &error)]));
    findings
}

fn consent(subject: String, owner: &Owner, tags: &Tags) -> Finding {
    let stack = owner.stack_name();
    match tags.get(SHARED_WITH_TAG) {
        Some(_) if owner.may_join(tags) => {
            Finding::new(Severity::Ok, subject, format!("is shared with stack {stack}"))
        }
        Some(prefixes) => {
            let found = format!("is not shared with stack {stack}: its tag {SHARED_WITH_TAG} names only {prefixes}");
            Finding::new(Severity::Warning, subject, found).advice(
                "Everything goes on to work, but the provider refuses the next Update. The owner of the pool can add a \
                 prefix of the stack's name to the tag (SharedWithStacks of Custom::CognitoM2M).",
            )
        }
        None => Finding::new(Severity::Error, subject, format!("does not have the tag {SHARED_WITH_TAG}")).advice(
            "Tokens are still given, but IAM denies rotations, Updates and the Delete. The owner of the pool can set the \
             tag (SharedWithStacks of Custom::CognitoM2M).",
        ),
    }
}

async fn client<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    id: &ClientId,
    pool: &PoolId,
) -> Result<Vec<Finding>, AwsError> {
    let Some(described) = aws.services.pools.describe_user_pool_client(pool, id).await? else {
        let subject = format!("client {id} in user pool {pool}");
        return Ok(vec![Finding::new(Severity::Error, subject, "does not exist").advice(GONE)]);
    };
    let client = described.observed;
    let subject = format!("client {} in user pool {pool}", client.name);
    let (severity, found, advice) = match &client.mark {
        Some(mark) if *mark == Mark::of(owner) => (Severity::Ok, "has the resource's mark", ""),
        Some(mark) if *mark == Mark::of_adopted(owner) => (Severity::Ok, "is adopted and has the resource's mark", ""),
        _ => (Severity::Error, "does not have the resource's mark at the end of its name", UNMARKED),
    };
    let mut findings = vec![Finding::new(severity, subject.clone(), found).advice(advice)];
    let known: BTreeSet<String> = servers(aws, pool).await?.iter().flat_map(ResourceServer::full_scopes).collect();
    let gone: Vec<_> = client.scopes.into_iter().filter(|scope| !known.contains(scope)).collect();
    if !gone.is_empty() {
        let found = format!("has scopes that no resource server has: {}", gone.join(", "));
        findings.push(Finding::new(Severity::Warning, subject, found).advice(
            "Cognito leaves them out of the client's tokens. Let the API's team declare them again, or remove them.",
        ));
    }
    Ok(findings)
}

async fn server<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    identifier: &str,
    pool: &PoolId,
) -> Result<Vec<Finding>, AwsError> {
    let subject = server_subject(identifier, pool);
    let found = servers(aws, pool).await?.into_iter().find(|server| server.identifier == identifier);
    Ok(vec![match found {
        None => Finding::new(Severity::Error, subject, "does not exist")
            .advice("Change any property of the resource and deploy: an Update creates it again."),
        Some(server) if server.mark == Some(Mark::of(owner)) => {
            Finding::new(Severity::Ok, subject, "has the resource's mark")
        }
        Some(_) => Finding::new(Severity::Error, subject, "does not have the resource's mark at the end of its name")
            .advice(UNMARKED),
    }])
}

async fn servers<S: Services>(aws: &Aws<'_, S>, pool: &PoolId) -> Result<Vec<ResourceServer>, AwsError> {
    all_pages(async |next| aws.services.pools.list_resource_servers(pool, next.as_deref()).await).await
}
