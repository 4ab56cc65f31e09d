//! Computes a plan: the difference between Desired and Observed. The only place that makes choices.

use std::collections::BTreeSet;

use super::{
    Changes, Deletion, Plan, SecretUpdate, Step,
    sharing::{SharingSteps, plan_sharing},
};
use crate::model::{
    APPLIED_TAG, Applied, Client, ClientId, ClientName, Desired, Domain, Ownership, PolicyChange, PoolId,
    ResourcePolicy, ResourceServer, RotationRecord, SecretId, Tags, UserPool,
    desired::{MAX_SCOPES_PER_SERVER, MAX_SERVERS, SecretMetadata},
    ids::short_key_id,
    observed::{
        DeleteObservation, Observed, ObservedClient, ObservedDocument, ObservedPolicy, ObservedPool, ObservedSecret,
    },
    ownership::MAX_TAGS,
    sharing::{MAX_POLICY, READERS_TAG},
};

/// Why there is no plan. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "The domain prefix {prefix} already belongs to user pool {pool}, which this resource does not own. Nothing was changed. \
         A prefix is unique in a region across all AWS accounts. Choose another DomainPrefix or EnvironmentName"
    )]
    DomainTaken { prefix: String, pool: String },
    #[error(
        "The secret {name} already exists and belongs to another owner{}. Nothing was changed. \
         Choose another SecretNamePrefix, or delete the secret if nobody needs it", scheduled_note(*scheduled)
    )]
    SecretTaken { name: SecretId, scheduled: bool },
    #[error(
        "The resource policy of secret {name} would have {length} characters with its readers, and AWS allows {MAX_POLICY}. \
         Nothing was changed. Remove statements of your own from the policy, or entries from SecretReaders"
    )]
    PolicyTooLong { name: SecretId, length: usize },
    #[error(
        "Deletion protection is active on user pool {pool}. Nothing was deleted. Turn it off on the pool's \
         settings page in the Cognito console, then delete again. While the stack can still be updated, you can set \
         DeletionProtection to INACTIVE and deploy instead"
    )]
    DeletionProtected { pool: PoolId },
}

fn scheduled_note(scheduled: bool) -> &'static str {
    if scheduled { " (it is scheduled for deletion and keeps its name until then)" } else { "" }
}

/// Makes the plan that turns Observed into Desired. It checks a token for each client that it changes,
/// and for those in `also_verify`.
///
/// # Errors
/// A name belongs to another owner.
pub fn plan(desired: &Desired, observed: &Observed, also_verify: &BTreeSet<ClientName>) -> Result<Plan, Refusal> {
    refuse_taken_names(desired, observed)?;
    let now = observed.pool.as_ref();
    let domain = plan_domain(&desired.domain, now);
    let clients = plan_clients(desired, observed);
    let verify = plan_verification(desired, &clients, &domain, also_verify);
    let SecretSteps { rotate_renamed, secrets, rotate, schedule } = plan_secrets(desired, observed);
    let SharingSteps { readers, replicate, wait, remove } = plan_sharing(desired, observed)?;
    let ResourceServerSteps { make_room, widen, narrow } = plan_resource_servers(&desired.resource_servers, now);
    let (pool, protect) = plan_pool(&desired.pool, now);

    // Cognito refuses LITE while the domain has managed login, and managed login while the pool has
    // LITE.
    let downgrade = domain
        .iter()
        .any(|step| matches!(step, Step::UpdateUserPoolDomain { domain: to } | Step::ReplaceUserPoolDomain { to, .. } if to.managed_login_version == 1));
    let (domain_before_pool, domain_after_pool) = if downgrade { (domain, Vec::new()) } else { (Vec::new(), domain) };
    let domain_and_widen = domain_after_pool.into_iter().chain(widen).collect();
    // A token needs its client and the domain. Only after a rotation does it need the secret as well.
    // The secrets come first: of two concurrent runs, the one that loses a secret must observe again
    // before it fails on the token of a client that is about to go.
    let (verify, verify_rotated) = if rotate.is_empty() { (verify, Vec::new()) } else { (Vec::new(), verify) };
    let secrets_and_verify = secrets.into_iter().chain(verify).collect();

    Ok(Plan::of([
        domain_before_pool,
        pool,
        make_room,
        domain_and_widen,
        clients,
        // A secret with a new name gets the credentials and the record that the old one has then.
        rotate_renamed,
        secrets_and_verify,
        rotate,
        // Before anything is deleted: after a failed check, the old state is easy to restore.
        verify_rotated,
        // Secrets Manager tests a new schedule, and the test needs the token endpoint.
        schedule,
        readers,
        replicate,
        wait,
        stale_secrets(desired, observed).into_iter().chain(remove).collect(),
        stale_clients(desired, observed),
        // Only now does no client hold these scopes any more.
        narrow,
        observed.surplus_pools.iter().map(|id| Step::Delete(Deletion::UserPool { id: id.clone() })).collect(),
        // Last, so that CloudFormation can still delete what a failed Create made.
        protect,
    ]))
}

/// Refuses names that belong to another owner.
fn refuse_taken_names(desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    if let Some(pool) = &observed.prefix_taken_by {
        return Err(Refusal::DomainTaken { prefix: desired.domain.prefix.clone(), pool: pool.clone() });
    }
    for client in &desired.clients {
        if let Some(ObservedSecret { ownership: Ownership::NotOwned, scheduled, .. }) =
            observed.secrets.get(&client.secret_name)
        {
            return Err(Refusal::SecretTaken { name: client.secret_name.clone(), scheduled: *scheduled });
        }
    }
    Ok(())
}

/// The steps of the clients' secrets.
#[derive(Default)]
struct SecretSteps {
    /// Rotates secrets that get a new name, under the old one.
    rotate_renamed: Vec<Step>,
    /// Creates and updates.
    secrets: Vec<Step>,
    /// Rotates secrets that keep their name.
    rotate: Vec<Step>,
    schedule: Vec<Step>,
}

fn plan_secrets(desired: &Desired, observed: &Observed) -> SecretSteps {
    let mut steps = SecretSteps::default();
    for client in &desired.clients {
        let (record, rotated) = plan_rotation_record(desired, observed, client);
        let description = record.describe(&client.name);
        let keeps_name = rotated.is_some_and(|name| *name == client.secret_name);
        steps.secrets.extend(plan_secret(desired, observed, client, (!keeps_name).then(|| description.clone())));
        if let Some(name) = rotated {
            let step = Step::RotateSecret { name: name.clone(), client: client.name.clone(), description };
            if keeps_name { &mut steps.rotate } else { &mut steps.rotate_renamed }.push(step);
        }
        steps.schedule.extend(plan_schedule(desired, observed, client));
    }
    steps
}

/// How long a Create can read the note of a Delete: the shortest recovery window there is.
pub const NOTE_KEPT_FOR_DAYS: u8 = 7;

/// Makes the plan that leaves nothing: it deletes secrets, then domains, then pools.
///
/// # Errors
/// Deletion protection is active.
pub fn plan_delete(observation: &DeleteObservation, recovery_window_in_days: u8) -> Result<Plan<Deletion>, Refusal> {
    if let Some(pool) = observation.pools.iter().find(|pool| pool.deletion_protection) {
        return Err(Refusal::DeletionProtected { pool: pool.id.clone() });
    }
    Ok(Plan::of([
        observation
            .secrets
            .iter()
            .map(|(name, replicas)| (name, recovery_window_in_days, replicas.clone()))
            .chain(observation.note.iter().map(|name| (name, NOTE_KEPT_FOR_DAYS, BTreeSet::new())))
            .map(|(name, days, replicas)| Deletion::Secret {
                name: name.clone(),
                recovery_window_in_days: days,
                replicas,
            })
            .collect(),
        observation
            .pools
            .iter()
            .filter_map(|pool| {
                pool.domain
                    .as_ref()
                    .map(|prefix| Deletion::UserPoolDomain { pool: pool.id.clone(), prefix: prefix.clone() })
            })
            .collect(),
        observation.pools.iter().map(|pool| Deletion::UserPool { id: pool.id.clone() }).collect(),
    ]))
}

/// Returns the pool's own step, and the one that turns its protection on at the very end.
fn plan_pool(desired: &UserPool, observed: Option<&ObservedPool>) -> (Vec<Step>, Vec<Step>) {
    let first = before_protection(desired, observed);
    let is_protected_last = desired.deletion_protection && !first.deletion_protection;
    let step = match observed {
        None => vec![Step::CreateUserPool { pool: first }],
        Some(observed) => match pool_changes(&first, observed) {
            changes if changes.is_empty() => Vec::new(),
            changes => vec![Step::UpdateUserPool { pool: first, changes }],
        },
    };
    let protect = if is_protected_last {
        vec![Step::UpdateUserPool { pool: desired.clone(), changes: vec!["deletion protection on".to_owned()] }]
    } else {
        Vec::new()
    };
    (step, protect)
}

/// Returns the desired pool without a protection that it does not have yet.
fn before_protection(desired: &UserPool, observed: Option<&ObservedPool>) -> UserPool {
    let was_protected = observed.is_some_and(|pool| pool.state.deletion_protection);
    UserPool { deletion_protection: desired.deletion_protection && was_protected, ..desired.clone() }
}

/// Adds a note to every step that writes the pool: Cognito drops the tags that an update leaves out.
///
/// If `is_due` and no step would write it early, adds a step to the first phase. It delays nothing,
/// because it runs beside the steps of that phase. A pool with as many tags as AWS allows has no room for
/// a note; late events are then not recognized.
#[must_use]
pub fn add_note(plan: Plan, desired: &UserPool, observed: Option<&ObservedPool>, note: &Applied, is_due: bool) -> Plan {
    if desired.tags.len() >= MAX_TAGS {
        return plan;
    }
    let Plan { mut phases } = plan;
    let writes_pool = |phase: &Vec<Step>| {
        phase.iter().any(|step| matches!(step, Step::CreateUserPool { .. } | Step::UpdateUserPool { .. }))
    };
    let is_noted = match phases.as_slice() {
        [only] => writes_pool(only),
        // The last phase may turn the protection on: too late for the note.
        [early @ .., _] => early.iter().any(writes_pool),
        [] => false,
    };
    if is_due && !is_noted {
        let pool = before_protection(desired, observed);
        let step = Step::UpdateUserPool { pool, changes: vec!["note of this event".to_owned()] };
        match phases.first_mut() {
            Some(first) => first.insert(0, step),
            None => phases.push(vec![step]),
        }
    }
    for step in phases.iter_mut().flatten() {
        if let Step::CreateUserPool { pool } | Step::UpdateUserPool { pool, .. } = step {
            pool.tags.insert(APPLIED_TAG.to_owned(), note.to_string());
        }
    }
    Plan { phases }
}

fn pool_changes(desired: &UserPool, observed: &ObservedPool) -> Changes {
    let UserPool { name, tier, deletion_protection, tags } = desired;
    let mut changes = Changes::new();
    if *name != observed.state.name {
        changes.push(format!("name {} -> {name}", observed.state.name));
    }
    if *tier != observed.state.tier {
        changes.push(format!("tier {} -> {tier}", observed.state.tier));
    }
    if *deletion_protection != observed.state.deletion_protection {
        changes.push("deletion protection off".to_owned());
    }
    changes.extend(tag_changes(tags, &observed.state.tags));
    if !observed.m2m_only {
        changes.push("settings back to machine-to-machine only".to_owned());
    }
    changes
}

fn tag_changes(desired: &Tags, observed: &Tags) -> Option<String> {
    let mut changed: BTreeSet<String> = BTreeSet::new();
    changed.extend(
        desired.iter().filter(|(key, value)| observed.get(*key) != Some(value)).map(|(key, _)| format!("+{key}")),
    );
    changed.extend(stale_tags(desired, observed).map(|key| format!("-{key}")));
    (!changed.is_empty()).then(|| format!("tags {}", changed.into_iter().collect::<Vec<_>>().join(" ")))
}

/// Returns the tags to remove. AWS's own tags stay.
fn stale_tags<'t>(desired: &'t Tags, observed: &'t Tags) -> impl Iterator<Item = &'t String> {
    observed.keys().filter(|key| !desired.contains_key(*key) && !key.starts_with("aws:"))
}

fn plan_domain(desired: &Domain, observed: Option<&ObservedPool>) -> Vec<Step> {
    let domain = desired.clone();
    match observed.and_then(|pool| pool.domain.as_ref()) {
        None => vec![Step::CreateUserPoolDomain { domain }],
        Some(current) if current == desired => Vec::new(),
        Some(current) if current.prefix == desired.prefix => vec![Step::UpdateUserPoolDomain { domain }],
        Some(current) => vec![Step::ReplaceUserPoolDomain { from: current.clone(), to: domain }],
    }
}

/// The steps of the resource servers. No client loses a scope that both the old and the new version
/// grant, because no step removes such a scope or its server.
struct ResourceServerSteps {
    /// Deletes the servers that must go first, if a pool cannot hold the old and the new ones.
    make_room: Vec<Step>,
    /// Creates servers, and adds the new scopes to the present ones.
    widen: Vec<Step>,
    /// Removes the rest, once no client holds it.
    narrow: Vec<Step>,
}

fn plan_resource_servers(desired: &[ResourceServer], observed: Option<&ObservedPool>) -> ResourceServerSteps {
    let existing = observed.map_or(&[][..], |pool| &pool.resource_servers);
    let (mut widen, mut narrow) = (Vec::new(), Vec::new());
    for server in desired {
        let Some(current) = existing.iter().find(|current| current.identifier == server.identifier) else {
            widen.push(Step::CreateResourceServer { server: server.clone() });
            continue;
        };
        let leaving: Vec<_> =
            current.scopes.iter().filter(|scope| !server.scopes.iter().any(|kept| kept.name == scope.name)).collect();
        // A scope that does not fit beside the new ones is removed at once.
        let staying = leaving.iter().take(MAX_SCOPES_PER_SERVER.saturating_sub(server.scopes.len()));
        let wide = ResourceServer {
            scopes: server.scopes.iter().chain(staying.copied()).cloned().collect(),
            ..server.clone()
        };
        let changes = server_changes(&wide, current);
        if !changes.is_empty() {
            widen.push(Step::UpdateResourceServer { server: wide.clone(), changes });
        }
        let changes: Changes =
            wide.scopes[server.scopes.len()..].iter().map(|scope| format!("-{}", scope.name)).collect();
        if !changes.is_empty() {
            narrow.push(Step::UpdateResourceServer { server: server.clone(), changes });
        }
    }
    let mut make_room: Vec<_> = existing
        .iter()
        .filter(|current| !desired.iter().any(|server| server.identifier == current.identifier))
        .map(|server| Step::DeleteResourceServer { identifier: server.identifier.clone() })
        .collect();
    let created = widen.iter().filter(|step| matches!(step, Step::CreateResourceServer { .. })).count();
    let in_the_way = (existing.len() + created).saturating_sub(MAX_SERVERS).min(make_room.len());
    narrow.extend(make_room.split_off(in_the_way));
    ResourceServerSteps { make_room, widen, narrow }
}

fn server_changes(desired: &ResourceServer, observed: &ResourceServer) -> Changes {
    let ResourceServer { identifier: _, name, scopes } = desired;
    let mut changes = Changes::new();
    if *name != observed.name {
        changes.push(format!("name {} -> {name}", observed.name));
    }
    for scope in scopes {
        match observed.scopes.iter().find(|current| current.name == scope.name) {
            None => changes.push(format!("+{}", scope.name)),
            Some(current) if current.description != scope.description => {
                changes.push(format!("description of {}", scope.name));
            }
            Some(_) => {}
        }
    }
    changes.extend(
        observed
            .scopes
            .iter()
            .filter(|current| !scopes.iter().any(|kept| kept.name == current.name))
            .map(|scope| format!("-{}", scope.name)),
    );
    changes
}

fn plan_clients(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let step = |client: &Client| {
        let Some(current) = observed.client(&client.name, &client.secret_name) else {
            return Some(Step::CreateUserPoolClient { client: client.clone() });
        };
        let changes = client_changes(client, current);
        (!changes.is_empty()).then(|| Step::UpdateUserPoolClient {
            id: current.id.clone(),
            client: client.clone(),
            changes,
        })
    };
    desired.clients.iter().filter_map(step).collect()
}

fn client_changes(desired: &Client, observed: &ObservedClient) -> Changes {
    let Client { name: _, scopes, access_token_validity_minutes, secret_name: _, secret_readers: _ } = desired;
    let wanted: BTreeSet<&str> = scopes.iter().map(String::as_str).collect();
    let granted: BTreeSet<&str> = observed.scopes.iter().map(String::as_str).collect();
    let mut changes = Changes::new();
    changes.extend(wanted.difference(&granted).map(|scope| format!("+{scope}")));
    changes.extend(granted.difference(&wanted).map(|scope| format!("-{scope}")));
    if *access_token_validity_minutes != observed.access_token_validity_minutes {
        changes.push(format!(
            "access token validity {} -> {access_token_validity_minutes} minutes",
            observed.access_token_validity_minutes
        ));
    }
    if !observed.m2m_only {
        changes.push("settings back to machine-to-machine only".to_owned());
    }
    changes
}

/// Returns what the client's secret must record about `RotateSecrets`, and the secret to rotate now. A
/// client that is new needs no rotation.
///
/// The record follows the client. If the secret's name changes, the secret with the old name has the record,
/// and it is the one that is rotated: it also has the versions that a rotation needs.
fn plan_rotation_record<'o>(
    desired: &Desired,
    observed: &'o Observed,
    client: &Client,
) -> (RotationRecord, Option<&'o SecretId>) {
    let value = desired.rotate_secrets.as_str();
    match secret_in_use(observed, client).map(|(name, secret)| (name, RotationRecord::parse(&secret.description))) {
        Some((name, Some(record))) => (record.then(value), record.asks_to_rotate(value).then_some(name)),
        _ => (RotationRecord::new(value), None),
    }
}

/// Returns the live secret with the client's credentials: the one with the desired name, or else the one
/// whose document names the client.
fn secret_in_use<'o>(observed: &'o Observed, client: &Client) -> Option<(&'o SecretId, &'o ObservedSecret)> {
    let is_live =
        |secret: &ObservedSecret| secret.ownership == Ownership::Ours && !secret.scheduled && secret.document.is_some();
    if let Some(found) = observed.secrets.get_key_value(&client.secret_name).filter(|(_, secret)| is_live(secret)) {
        return Some(found);
    }
    let id = &observed.client(&client.name, &client.secret_name)?.id;
    observed.secrets.iter().filter(|(_, secret)| is_live(secret)).find(|(_, secret)| {
        secret
            .document
            .as_ref()
            .is_some_and(|found| found.client_id == *id && found.metadata.client_name == client.name)
    })
}

fn plan_schedule(desired: &Desired, observed: &Observed, client: &Client) -> Option<Step> {
    let name = client.secret_name.clone();
    let current = observed.secrets.get(&name).and_then(|secret| secret.rotation.as_ref());
    match &desired.rotation {
        rotation if rotation.as_ref() == current => None,
        Some(rotation) => Some(Step::ScheduleRotation { name, rotation: rotation.clone() }),
        None => Some(Step::CancelRotation { name }),
    }
}

/// Plans the secret's own step. `description` is `None` if a rotation will write it.
fn plan_secret(desired: &Desired, observed: &Observed, client: &Client, description: Option<String>) -> Option<Step> {
    let name = client.secret_name.clone();
    let tags = &desired.secret_tags(client);
    let kms_key_id = desired.secret_kms_key_id.clone();
    let Some(current) = observed.secrets.get(&name) else {
        let description = description.unwrap_or_default();
        return Some(Step::CreateSecret {
            name,
            client: client.name.clone(),
            kms_key_id,
            tags: tags.clone(),
            description,
        });
    };

    let mut changes = Changes::new();
    let mut update = SecretUpdate { restore: current.scheduled, ..SecretUpdate::default() };
    if update.restore {
        changes.push("restore".to_owned());
    }
    let present = &comparable_tags(client, tags, current);
    if let Some(change) = tag_changes(tags, present) {
        changes.push(change);
        update.tag = tags
            .iter()
            .filter(|(key, value)| present.get(*key) != Some(value))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        update.untag = stale_tags(tags, present).cloned().collect();
    }
    let changes_key = current.key_change_unfinished || !same_key(kms_key_id.as_deref(), current.kms_key_id.as_deref());
    if changes_key {
        changes.push("key".to_owned());
        update.kms_key_id = Some(kms_key_id);
    }
    if let Some(description) = description.filter(|description| *description != current.description) {
        changes.push("description".to_owned());
        update.description = Some(description);
    }
    let document_changes = document_changes(desired, observed, client, current.document.as_ref());
    // UpdateSecret can succeed without encrypting anything again; a new version fails if the key cannot be used.
    update.document = changes_key || !document_changes.is_empty();
    changes.extend(document_changes);
    (!changes.is_empty()).then(|| Step::UpdateSecret { name, client: client.name.clone(), update, changes })
}

/// Returns the secret's tags without the mark of its readers, if the mark must stay until our statement is gone. A secret
/// with as many tags as AWS allows has no room for it, and needs none.
fn comparable_tags(client: &Client, desired: &Tags, secret: &ObservedSecret) -> Tags {
    let has_statement = match &secret.policy {
        ObservedPolicy::NotRead => true,
        ObservedPolicy::Read(policy) => {
            ResourcePolicy::with_readers(policy.as_ref(), &BTreeSet::new()) != PolicyChange::Keep
        }
    };
    let mut tags = secret.tags.clone();
    if client.secret_readers.is_empty() && has_statement && desired.len() < MAX_TAGS {
        tags.remove(READERS_TAG);
    }
    tags
}

/// Returns the names of the document's keys whose values change. Without a document or a pool, the whole
/// value changes.
fn document_changes(
    desired: &Desired,
    observed: &Observed,
    client: &Client,
    document: Option<&ObservedDocument>,
) -> Changes {
    let (Some(ObservedDocument { client_id, metadata }), Some(pool)) = (document, &observed.pool) else {
        return vec!["value".to_owned()];
    };
    let present = observed.client(&client.name, &client.secret_name).map(|client| &client.id);
    let SecretMetadata { token_endpoint, scope, issuer, jwks_uri, user_pool_id, client_name } =
        desired.secret_metadata(client, &pool.id);
    [
        ("client_id", present == Some(client_id)),
        ("token_endpoint", token_endpoint == metadata.token_endpoint),
        ("scope", scope == metadata.scope),
        ("issuer", issuer == metadata.issuer),
        ("jwks_uri", jwks_uri == metadata.jwks_uri),
        ("user_pool_id", user_pool_id == metadata.user_pool_id),
        ("client_name", client_name == metadata.client_name),
    ]
    .into_iter()
    .filter(|(_, same)| !same)
    .map(|(key, _)| key.to_owned())
    .collect()
}

/// Tells whether two spellings name the same key. DescribeSecret may show an ARN for a key that was
/// given as an id or an alias. For the AWS managed key it shows nothing or the alias.
pub(super) fn same_key(desired: Option<&str>, observed: Option<&str>) -> bool {
    short_key_id(desired) == short_key_id(observed)
}

fn plan_verification(desired: &Desired, clients: &[Step], domain: &[Step], also: &BTreeSet<ClientName>) -> Vec<Step> {
    if !desired.verify_token {
        return Vec::new();
    }
    let changed: BTreeSet<&ClientName> = clients
        .iter()
        .filter_map(|step| match step {
            Step::CreateUserPoolClient { client } | Step::UpdateUserPoolClient { client, .. } => Some(&client.name),
            _ => None,
        })
        .collect();
    desired
        .clients
        .iter()
        .filter(|client| !domain.is_empty() || changed.contains(&client.name) || also.contains(&client.name))
        .map(|client| Step::VerifyToken { client: client.name.clone() })
        .collect()
}

/// Deletes our secrets whose names are no longer desired.
fn stale_secrets(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let wanted: BTreeSet<&SecretId> = desired.clients.iter().map(|client| &client.secret_name).collect();
    observed
        .secrets
        .iter()
        .filter(|(name, secret)| secret.ownership == Ownership::Ours && !secret.scheduled && !wanted.contains(name))
        .map(|(name, secret)| {
            let recovery_window_in_days = desired.secret_recovery_window_in_days;
            let replicas = secret.replicas.keys().cloned().collect();
            Step::Delete(Deletion::Secret { name: name.clone(), recovery_window_in_days, replicas })
        })
        .collect()
}

/// Deletes the pool's clients that the template does not declare, and all but one of each name.
fn stale_clients(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let kept: BTreeSet<&ClientId> = desired
        .clients
        .iter()
        .filter_map(|client| observed.client(&client.name, &client.secret_name))
        .map(|client| &client.id)
        .collect();
    observed
        .pool
        .iter()
        .flat_map(|pool| &pool.clients)
        .filter(|client| !kept.contains(&client.id))
        .map(|client| Step::DeleteUserPoolClient { id: client.id.clone(), name: client.name.clone() })
        .collect()
}
