//! The difference between Desired and Observed, as data. Pure: it makes every choice, and
//! [`reconcile`](crate::reconcile) makes none.
//!
//! A plan holds no secret, and no id of anything that is still to be made: steps name things as
//! the template does. So it can be logged, shown before a deploy and compared in a test.

use std::{collections::BTreeSet, fmt};

use crate::model::{
    Client, ClientId, ClientName, Desired, Domain, PoolId, ResourceServer, Rotation, RotationRecord, SecretName, Tags,
    UserPool,
    desired::{MAX_SCOPES_PER_SERVER, MAX_SERVERS, SecretMetadata},
    observed::{
        DeleteObservation, Observed, ObservedClient, ObservedDocument, ObservedPool, ObservedSecret, Ownership,
    },
};

/// Steps in phases. Steps of one phase do not need each other and run side by side; a phase
/// begins when the one before it has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub phases: Vec<Vec<Step>>,
}

/// One change. Creates and updates carry the whole thing as it shall be: Cognito resets what an
/// update leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    CreateUserPool {
        pool: UserPool,
    },
    UpdateUserPool {
        pool: UserPool,
        changes: Changes,
    },
    DeleteUserPool {
        id: PoolId,
    },

    CreateUserPoolDomain {
        domain: Domain,
    },
    UpdateUserPoolDomain {
        domain: Domain,
    },
    /// A pool has one prefix domain, so the old one goes first; it comes back if the new one
    /// cannot be had.
    ReplaceUserPoolDomain {
        from: Domain,
        to: Domain,
    },
    DeleteUserPoolDomain {
        pool: PoolId,
        prefix: String,
    },

    CreateResourceServer {
        server: ResourceServer,
    },
    UpdateResourceServer {
        server: ResourceServer,
        changes: Changes,
    },
    DeleteResourceServer {
        identifier: String,
    },

    CreateUserPoolClient {
        client: Client,
    },
    UpdateUserPoolClient {
        id: ClientId,
        client: Client,
        changes: Changes,
    },
    DeleteUserPoolClient {
        id: ClientId,
        name: ClientName,
    },

    CreateSecret {
        name: SecretName,
        client: ClientName,
        kms_key_id: Option<String>,
        tags: Tags,
        description: String,
        value: SecretMetadata,
    },
    /// Gives the client a new secret by the four steps of a rotation, now, and notes that it was done.
    RotateSecret {
        name: SecretName,
        client: ClientName,
        description: String,
    },
    ScheduleRotation {
        name: SecretName,
        rotation: Rotation,
    },
    CancelRotation {
        name: SecretName,
    },
    UpdateSecret {
        name: SecretName,
        client: ClientName,
        update: SecretUpdate,
        changes: Changes,
    },
    DeleteSecret {
        name: SecretName,
        recovery_window_in_days: u8,
    },

    /// Asks for one token, which costs money, and checks it.
    VerifyToken {
        client: ClientName,
    },
}

/// What a step does to the thing that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Update,
    Delete,
    /// Nothing is written.
    Verify,
}

/// What of a secret changes; the parts in the order in which they are carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretUpdate {
    pub restore: bool,
    pub tag: Tags,
    pub untag: Vec<String>,
    /// `Some(None)` is the AWS managed key.
    pub kms_key_id: Option<Option<String>>,
    pub description: Option<String>,
    pub value: Option<SecretMetadata>,
}

/// What an update changes, in words.
pub type Changes = Vec<String>;

/// Something stands in the way that is not ours to move. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "The domain prefix {prefix} already belongs to user pool {pool}, which is not this resource's. Nothing was changed. \
         Prefixes are unique in a region over all accounts: choose another DomainPrefix or EnvironmentName"
    )]
    DomainTaken { prefix: String, pool: String },
    #[error(
        "The secret {name} already exists and belongs to somebody else{}. Nothing was changed. \
         Choose another SecretNamePrefix, or remove the secret if nobody needs it", scheduled_note(*scheduled)
    )]
    SecretTaken { name: SecretName, scheduled: bool },
    #[error(
        "Deletion protection is in force on user pool {pool}. Nothing was removed. Switch it off on the pool's \
         settings page in the Cognito console, or, while the stack can still be updated, set DeletionProtection to INACTIVE \
         and deploy that; then delete again"
    )]
    DeletionProtected { pool: PoolId },
}

fn scheduled_note(scheduled: bool) -> &'static str {
    if scheduled { " (it is scheduled for deletion and keeps its name until then)" } else { "" }
}

impl Step {
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Self::CreateUserPool { .. }
            | Self::CreateUserPoolDomain { .. }
            | Self::CreateResourceServer { .. }
            | Self::CreateUserPoolClient { .. }
            | Self::CreateSecret { .. } => Action::Create,
            Self::UpdateUserPool { .. }
            | Self::UpdateUserPoolDomain { .. }
            | Self::ReplaceUserPoolDomain { .. }
            | Self::UpdateResourceServer { .. }
            | Self::UpdateUserPoolClient { .. }
            | Self::UpdateSecret { .. }
            | Self::RotateSecret { .. }
            | Self::ScheduleRotation { .. }
            | Self::CancelRotation { .. } => Action::Update,
            Self::DeleteUserPool { .. }
            | Self::DeleteUserPoolDomain { .. }
            | Self::DeleteResourceServer { .. }
            | Self::DeleteUserPoolClient { .. }
            | Self::DeleteSecret { .. } => Action::Delete,
            Self::VerifyToken { .. } => Action::Verify,
        }
    }
}

impl Plan {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.phases.is_empty()
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.phases.iter().flatten()
    }

    fn of(phases: impl IntoIterator<Item = Vec<Step>>) -> Self {
        Self { phases: phases.into_iter().filter(|phase| !phase.is_empty()).collect() }
    }
}

/// The plan that makes Observed into Desired. A token is checked for each client that the plan
/// itself touches and for those in `also_verify`.
///
/// # Errors
/// Where a name belongs to somebody else.
pub fn plan(desired: &Desired, observed: &Observed, also_verify: &BTreeSet<ClientName>) -> Result<Plan, Refusal> {
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

    let now = observed.pool.as_ref();
    let domain = plan_domain(&desired.domain, now);
    let clients = plan_clients(desired, observed);
    let verify = plan_verification(desired, &clients, &domain, also_verify);
    let (mut secrets, mut rotate, mut schedule) = (Vec::new(), Vec::new(), Vec::new());
    for client in &desired.clients {
        let (mark, rotates) = plan_rotation_record(desired, observed, client);
        let description = mark.describe(&client.name);
        secrets.extend(plan_secret(desired, observed, client, (!rotates).then(|| description.clone())));
        if rotates {
            rotate.push(Step::RotateSecret {
                name: client.secret_name.clone(),
                client: client.name.clone(),
                description,
            });
        }
        schedule.extend(plan_schedule(desired, observed, client));
    }
    let ResourceServerSteps { make_room, widen, narrow } = plan_resource_servers(&desired.resource_servers, now);
    let (pool, protect) = plan_pool(&desired.pool, now);

    // The lesser tier is refused while the domain still has managed login, and managed login
    // while the pool still has the lesser tier.
    let downgrade = domain
        .iter()
        .any(|step| matches!(step, Step::UpdateUserPoolDomain { domain: to } | Step::ReplaceUserPoolDomain { to, .. } if to.managed_login_version == 1));
    let (domain_before_pool, domain_after_pool) = if downgrade { (domain, Vec::new()) } else { (Vec::new(), domain) };
    let domain_and_widen = domain_after_pool.into_iter().chain(widen).collect();
    // A token needs its client and the domain, and only where a rotation is due the secret as well. The
    // secrets come first: of two runs at once the one that loses a secret shall observe again, and not
    // fail by the token of a client that is about to go.
    let (verify, verify_rotated) = if rotate.is_empty() { (verify, Vec::new()) } else { (Vec::new(), verify) };
    let secrets_and_verify = secrets.into_iter().chain(verify).collect();

    Ok(Plan::of([
        domain_before_pool,
        pool,
        make_room,
        domain_and_widen,
        clients,
        secrets_and_verify,
        rotate,
        // Before anything is taken away: a failed check leaves the old state easy to restore.
        verify_rotated,
        // Secrets Manager tries a new schedule out, for which the token endpoint must be there.
        schedule,
        stale_secrets(desired, observed),
        stale_clients(desired, observed),
        // Only now does no client hold what goes.
        narrow,
        observed.surplus_pools.iter().map(|id| Step::DeleteUserPool { id: id.clone() }).collect(),
        // Last, so that whatever failed before can still be cleaned up.
        protect,
    ]))
}

/// How long the note of a Delete stays readable: the shortest window that there is.
pub const NOTE_KEPT_FOR_DAYS: u8 = 7;

/// The plan that leaves nothing: secrets, then domains, then pools.
///
/// # Errors
/// Where deletion protection is in force.
pub fn plan_delete(observation: &DeleteObservation, recovery_window_in_days: u8) -> Result<Plan, Refusal> {
    if let Some(pool) = observation.pools.iter().find(|pool| pool.deletion_protection) {
        return Err(Refusal::DeletionProtected { pool: pool.id.clone() });
    }
    Ok(Plan::of([
        observation
            .secrets
            .iter()
            .map(|name| (name, recovery_window_in_days))
            .chain(observation.note.iter().map(|name| (name, NOTE_KEPT_FOR_DAYS)))
            .map(|(name, days)| Step::DeleteSecret { name: name.clone(), recovery_window_in_days: days })
            .collect(),
        observation
            .pools
            .iter()
            .filter_map(|pool| {
                pool.domain
                    .as_ref()
                    .map(|prefix| Step::DeleteUserPoolDomain { pool: pool.id.clone(), prefix: prefix.clone() })
            })
            .collect(),
        observation.pools.iter().map(|pool| Step::DeleteUserPool { id: pool.id.clone() }).collect(),
    ]))
}

/// The pool's own step, and the one that raises its protection at the very end.
fn plan_pool(desired: &UserPool, observed: Option<&ObservedPool>) -> (Vec<Step>, Vec<Step>) {
    let was_protected = observed.is_some_and(|pool| pool.state.deletion_protection);
    let first = UserPool { deletion_protection: desired.deletion_protection && was_protected, ..desired.clone() };
    let step = match observed {
        None => vec![Step::CreateUserPool { pool: first }],
        Some(observed) => match pool_changes(&first, observed) {
            changes if changes.is_empty() => Vec::new(),
            changes => vec![Step::UpdateUserPool { pool: first, changes }],
        },
    };
    let protect = if desired.deletion_protection && !was_protected {
        vec![Step::UpdateUserPool { pool: desired.clone(), changes: vec!["deletion protection on".to_owned()] }]
    } else {
        Vec::new()
    };
    (step, protect)
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

/// Tags that are there and shall not be. AWS's own are not ours to remove.
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

/// The steps of the resource servers. No client loses a scope that the old and the new version
/// both grant: such a scope's server and the scope itself are in both, and are never taken away.
struct ResourceServerSteps {
    /// Servers that go before the new ones come, where a pool cannot hold both.
    make_room: Vec<Step>,
    /// Servers created, or widened to what they have and shall have.
    widen: Vec<Step>,
    /// The rest taken away, once no client holds it any more.
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
        // What does not fit beside the new scopes goes at once.
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
    let Client { name: _, scopes, access_token_validity_minutes, secret_name: _ } = desired;
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

/// What the secret shall remember of `RotateSecrets`, and whether it is to be rotated now. A secret
/// that is new, or gets new credentials with its restoration, needs no rotation.
fn plan_rotation_record(desired: &Desired, observed: &Observed, client: &Client) -> (RotationRecord, bool) {
    let value = desired.rotate_secrets.as_str();
    let current = observed.secrets.get(&client.secret_name);
    let known =
        current.filter(|secret| secret.ownership == Ownership::Ours && !secret.scheduled && secret.document.is_some());
    match known.and_then(|secret| RotationRecord::parse(&secret.description)) {
        Some(mark) => (mark.then(value), mark.asks_to_rotate(value)),
        None => (RotationRecord::new(value), false),
    }
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

/// `description` is `None` where a rotation is going to write it.
fn plan_secret(desired: &Desired, observed: &Observed, client: &Client, description: Option<String>) -> Option<Step> {
    let name = client.secret_name.clone();
    let tags = &desired.pool.tags;
    let kms_key_id = desired.secret_kms_key_id.clone();
    // Before there is a pool its id stands as it will be written then: not known yet.
    let pool = observed.pool.as_ref().map_or_else(|| PoolId::from(""), |pool| pool.id.clone());
    let value = desired.secret_metadata(client, &pool);
    let Some(current) = observed.secrets.get(&name) else {
        let description = description.unwrap_or_default();
        return Some(Step::CreateSecret {
            name,
            client: client.name.clone(),
            kms_key_id,
            tags: tags.clone(),
            description,
            value,
        });
    };

    let mut changes = Changes::new();
    let mut update = SecretUpdate { restore: current.scheduled, ..SecretUpdate::default() };
    if update.restore {
        changes.push("restore".to_owned());
    }
    if let Some(change) = tag_changes(tags, &current.tags) {
        changes.push(change);
        update.tag = tags
            .iter()
            .filter(|(key, value)| current.tags.get(*key) != Some(value))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        update.untag = stale_tags(tags, &current.tags).cloned().collect();
    }
    if !same_key(kms_key_id.as_deref(), current.kms_key_id.as_deref()) {
        changes.push("key".to_owned());
        update.kms_key_id = Some(kms_key_id);
    }
    if let Some(description) = description.filter(|description| *description != current.description) {
        changes.push("description".to_owned());
        update.description = Some(description);
    }
    let owner = observed.client(&client.name, &name);
    let value_changes = document_changes(&value, owner.map(|owner| &owner.id), current.document.as_ref());
    if !value_changes.is_empty() {
        changes.extend(value_changes);
        update.value = Some(value);
    }
    (!changes.is_empty()).then(|| Step::UpdateSecret { name, client: client.name.clone(), update, changes })
}

/// The names of the keys whose values change.
fn document_changes(
    desired: &SecretMetadata,
    client: Option<&ClientId>,
    observed: Option<&ObservedDocument>,
) -> Changes {
    let Some(ObservedDocument { client_id, metadata }) = observed else { return vec!["value".to_owned()] };
    let SecretMetadata { token_endpoint, scope, issuer, jwks_uri, user_pool_id, client_name } = desired;
    [
        ("client_id", client == Some(client_id)),
        ("token_endpoint", *token_endpoint == metadata.token_endpoint),
        ("scope", *scope == metadata.scope),
        ("issuer", *issuer == metadata.issuer),
        ("jwks_uri", *jwks_uri == metadata.jwks_uri),
        ("user_pool_id", *user_pool_id == metadata.user_pool_id),
        ("client_name", *client_name == metadata.client_name),
    ]
    .into_iter()
    .filter(|(_, same)| !same)
    .map(|(key, _)| key.to_owned())
    .collect()
}

/// Whether two spellings name one key: DescribeSecret may show an ARN for what was given as an id
/// or an alias, and shows nothing or the alias for the AWS managed key.
fn same_key(desired: Option<&str>, observed: Option<&str>) -> bool {
    let short = |key: Option<&str>| -> String {
        let key = key.unwrap_or("alias/aws/secretsmanager");
        let resource = if key.starts_with("arn:") { key.splitn(6, ':').last().unwrap_or(key) } else { key };
        resource.strip_prefix("key/").unwrap_or(resource).to_owned()
    };
    short(desired) == short(observed)
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

/// Secrets of ours under names that are no longer desired.
fn stale_secrets(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let wanted: BTreeSet<&SecretName> = desired.clients.iter().map(|client| &client.secret_name).collect();
    observed
        .secrets
        .iter()
        .filter(|(name, secret)| secret.ownership == Ownership::Ours && !secret.scheduled && !wanted.contains(name))
        .map(|(name, _)| Step::DeleteSecret {
            name: name.clone(),
            recovery_window_in_days: desired.secret_recovery_window_in_days,
        })
        .collect()
}

/// Clients of the pool that stand for no declared name, second ones of a name among them.
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

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing to do");
        }
        for (index, step) in self.steps().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateUserPool { pool } => write!(f, "CreateUserPool {}", pool.name),
            Self::UpdateUserPool { pool, changes } => write!(f, "UpdateUserPool {}: {}", pool.name, changes.join(", ")),
            Self::DeleteUserPool { id } => write!(f, "DeleteUserPool {id}"),
            Self::CreateUserPoolDomain { domain } => {
                write!(
                    f,
                    "CreateUserPoolDomain {} (managed login version {})",
                    domain.prefix, domain.managed_login_version
                )
            }
            Self::UpdateUserPoolDomain { domain } => {
                write!(
                    f,
                    "UpdateUserPoolDomain {}: managed login version {}",
                    domain.prefix, domain.managed_login_version
                )
            }
            Self::ReplaceUserPoolDomain { from, to } => {
                write!(
                    f,
                    "DeleteUserPoolDomain {}, then CreateUserPoolDomain {} (managed login version {})",
                    from.prefix, to.prefix, to.managed_login_version
                )
            }
            Self::DeleteUserPoolDomain { pool: _, prefix } => write!(f, "DeleteUserPoolDomain {prefix}"),
            Self::CreateResourceServer { server } => {
                let scopes: Vec<_> = server.scopes.iter().map(|scope| scope.name.as_str()).collect();
                write!(f, "CreateResourceServer {}: {}", server.identifier, scopes.join(" "))
            }
            Self::UpdateResourceServer { server, changes } => {
                write!(f, "UpdateResourceServer {}: {}", server.identifier, changes.join(", "))
            }
            Self::DeleteResourceServer { identifier } => write!(f, "DeleteResourceServer {identifier}"),
            Self::CreateUserPoolClient { client } => {
                write!(
                    f,
                    "CreateUserPoolClient {}: {} ({} minutes)",
                    client.name,
                    client.scopes.join(" "),
                    client.access_token_validity_minutes
                )
            }
            Self::UpdateUserPoolClient { id: _, client, changes } => {
                write!(f, "UpdateUserPoolClient {}: {}", client.name, changes.join(", "))
            }
            Self::DeleteUserPoolClient { id, name } => write!(f, "DeleteUserPoolClient {name} ({id})"),
            Self::CreateSecret { name, .. } => write!(f, "CreateSecret {name}"),
            Self::UpdateSecret { name, client: _, update: _, changes } => {
                write!(f, "UpdateSecret {name}: {}", changes.join(", "))
            }
            Self::RotateSecret { name, .. } => write!(f, "RotateSecret {name}: now"),
            Self::ScheduleRotation { name, rotation } => write!(f, "RotateSecret {name}: every {} days", rotation.days),
            Self::CancelRotation { name } => write!(f, "CancelRotateSecret {name}"),
            Self::DeleteSecret { name, recovery_window_in_days: 0 } => write!(f, "DeleteSecret {name} (at once)"),
            Self::DeleteSecret { name, recovery_window_in_days } => {
                write!(f, "DeleteSecret {name} (recoverable for {recovery_window_in_days} days)")
            }
            Self::VerifyToken { client } => write!(f, "VerifyToken {client}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{
        Endpoints, Owner, ProviderConfig,
        observed::{DeleteObservation, RemainingPool},
    };

    fn desired(properties: &Value) -> Desired {
        let owner = Owner { stack_id: "arn:stack".into(), logical_id: "M2M".into() };
        let endpoints = Endpoints::new("us-east-1", None);
        let config = ProviderConfig { endpoints, rotation_function: Some("arn:rotation".into()) };
        crate::properties::parse(properties, owner, &config).unwrap()
    }

    /// The account as a deployment of `desired` leaves it.
    fn observed(desired: &Desired) -> Observed {
        let id = PoolId::from("us-east-1_Pool");
        let client = |client: &Client| ObservedClient {
            id: ClientId(format!("id-of-{}", client.name)),
            name: client.name.clone(),
            scopes: client.scopes.clone(),
            access_token_validity_minutes: client.access_token_validity_minutes,
            m2m_only: true,
        };
        let secret = |client: &Client| ObservedSecret {
            arn: format!("arn:{}", client.secret_name),
            ownership: Ownership::Ours,
            scheduled: false,
            tags: desired.pool.tags.clone(),
            kms_key_id: desired.secret_kms_key_id.clone(),
            description: RotationRecord::new(&desired.rotate_secrets).describe(&client.name),
            rotation: desired.rotation.clone(),
            document: Some(ObservedDocument {
                client_id: ClientId(format!("id-of-{}", client.name)),
                metadata: desired.secret_metadata(client, &id),
            }),
        };
        Observed {
            pool: Some(ObservedPool {
                id: id.clone(),
                arn: "arn:pool".into(),
                state: desired.pool.clone(),
                m2m_only: true,
                domain: Some(desired.domain.clone()),
                resource_servers: desired.resource_servers.clone(),
                clients: desired.clients.iter().map(client).collect(),
            }),
            secrets: desired.clients.iter().map(|client| (client.secret_name.clone(), secret(client))).collect(),
            ..Observed::default()
        }
    }

    fn shown(desired: &Desired, observed: &Observed) -> String {
        let plan = plan(desired, observed, &BTreeSet::new()).unwrap();
        let phases =
            plan.phases.iter().map(|phase| phase.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        phases.collect::<Vec<_>>().join("\n---\n")
    }

    #[test]
    fn a_create_makes_everything_in_the_order_in_which_it_is_needed() {
        let desired = desired(&json!({ "DeletionProtection": "ACTIVE" }));
        assert_snapshot!(shown(&desired, &Observed::default()), @r"
        CreateUserPool machine-to-machine-dev
        ---
        CreateUserPoolDomain m2m-rubicon-dev (managed login version 2)
        CreateResourceServer m2m-client: read write
        ---
        CreateUserPoolClient machine-to-machine-dev-client: m2m-client/read m2m-client/write (60 minutes)
        ---
        CreateSecret machine-to-machine-dev/machine-to-machine-dev-client
        VerifyToken machine-to-machine-dev-client
        ---
        UpdateUserPool machine-to-machine-dev: deletion protection on
        ");
    }

    #[test]
    fn nothing_is_left_to_do_where_all_is_as_desired() {
        let desired = desired(&json!({ "Tags": { "a": "b" }, "DeletionProtection": "ACTIVE" }));
        assert_snapshot!(plan(&desired, &observed(&desired), &BTreeSet::new()).unwrap(), @"nothing to do");
    }

    #[test]
    fn an_update_widens_moves_and_narrows() {
        let server = |scopes: &[&str]| {
            let scopes: Vec<_> = scopes.iter().map(|scope| json!({ "ScopeName": scope })).collect();
            json!([{ "Identifier": "api", "Scopes": scopes }])
        };
        let old = desired(
            &json!({ "ResourceServers": server(&["a", "b"]), "Clients": [{ "ClientName": "one" }, { "ClientName": "two" }] }),
        );
        let new = desired(&json!({
            "ResourceServers": server(&["b", "c"]), "DomainPrefix": "other", "UserPoolTier": "PLUS", "Tags": { "t": "1" },
            "Clients": [{ "ClientName": "one", "AccessTokenValidityMinutes": 5 }, { "ClientName": "three", "AllowedOAuthScopes": ["api/b"] }],
        }));
        assert_snapshot!(shown(&new, &observed(&old)), @r"
        UpdateUserPool machine-to-machine-dev: tier ESSENTIALS -> PLUS, tags +t
        ---
        DeleteUserPoolDomain m2m-rubicon-dev, then CreateUserPoolDomain other-dev (managed login version 2)
        UpdateResourceServer api: +c
        ---
        UpdateUserPoolClient one: +api/c, -api/a, access token validity 60 -> 5 minutes
        CreateUserPoolClient three: api/b (60 minutes)
        ---
        UpdateSecret machine-to-machine-dev/one: tags +t, token_endpoint, scope
        CreateSecret machine-to-machine-dev/three
        VerifyToken one
        VerifyToken three
        ---
        DeleteSecret machine-to-machine-dev/two (recoverable for 7 days)
        ---
        DeleteUserPoolClient two (id-of-two)
        ---
        UpdateResourceServer api: -a
        ");
    }

    #[test]
    fn a_downgrade_gives_managed_login_up_first_also_with_a_new_prefix() {
        let old = desired(&json!({}));
        for prefix in ["m2m-rubicon", "other"] {
            let new = desired(&json!({ "UserPoolTier": "LITE", "ManagedLoginVersion": 1, "DomainPrefix": prefix }));
            let plan = plan(&new, &observed(&old), &BTreeSet::new()).unwrap();
            assert!(matches!(plan.phases[1][..], [Step::UpdateUserPool { .. }]), "{plan}");
        }
    }

    #[test]
    fn second_clients_and_pools_of_one_name_go_and_the_secret_says_which() {
        let desired = desired(&json!({}));
        let mut observed = observed(&desired);
        let pool = observed.pool.as_mut().unwrap();
        // First by its id, but not the one that the secret speaks of.
        pool.clients.insert(0, ObservedClient { id: "aaa".into(), ..pool.clients[0].clone() });
        observed.surplus_pools.push("us-east-1_Second".into());
        assert_snapshot!(shown(&desired, &observed), @r"
        DeleteUserPoolClient machine-to-machine-dev-client (aaa)
        ---
        DeleteUserPool us-east-1_Second
        ");
    }

    #[test]
    fn a_key_is_the_same_in_every_spelling() {
        let arn = "arn:aws:kms:us-east-1:111122223333:key/1234";
        assert!(same_key(Some("1234"), Some(arn)) && same_key(Some(arn), Some("1234")));
        assert!(same_key(Some("alias/a"), Some("arn:aws:kms:us-east-1:111122223333:alias/a")));
        assert!(same_key(None, None) && same_key(None, Some("alias/aws/secretsmanager")));
        assert!(!same_key(None, Some("1234")) && !same_key(Some("alias/a"), Some("alias/b")));
    }

    #[test]
    fn a_delete_takes_secrets_domains_and_pools_in_this_order_or_nothing() {
        let pool =
            RemainingPool { id: "us-east-1_Pool".into(), domain: Some("prefix".into()), deletion_protection: false };
        let observation =
            DeleteObservation { pools: vec![pool.clone()], secrets: vec!["a/b".into()], note: Some("note".into()) };
        assert_snapshot!(plan_delete(&observation, 0).unwrap(), @r"
        DeleteSecret a/b (at once)
        DeleteSecret note (recoverable for 7 days)
        DeleteUserPoolDomain prefix
        DeleteUserPool us-east-1_Pool
        ");
        let protected =
            DeleteObservation { pools: vec![RemainingPool { deletion_protection: true, ..pool }], ..observation };
        assert_snapshot!(plan_delete(&protected, 0).unwrap_err(), @"Deletion protection is in force on user pool us-east-1_Pool. Nothing was removed. Switch it off on the pool's settings page in the Cognito console, or, while the stack can still be updated, set DeletionProtection to INACTIVE and deploy that; then delete again");
    }

    #[test]
    fn what_belongs_to_somebody_else_is_named() {
        let desired = desired(&json!({}));
        let taken = Observed { prefix_taken_by: Some("us-east-1_Theirs".into()), ..Observed::default() };
        assert_snapshot!(plan(&desired, &taken, &BTreeSet::new()).unwrap_err(), @"The domain prefix m2m-rubicon-dev already belongs to user pool us-east-1_Theirs, which is not this resource's. Nothing was changed. Prefixes are unique in a region over all accounts: choose another DomainPrefix or EnvironmentName");
        let mut taken = observed(&desired);
        for secret in taken.secrets.values_mut() {
            (secret.ownership, secret.scheduled) = (Ownership::NotOwned, true);
        }
        assert_snapshot!(plan(&desired, &taken, &BTreeSet::new()).unwrap_err(), @"The secret machine-to-machine-dev/machine-to-machine-dev-client already exists and belongs to somebody else (it is scheduled for deletion and keeps its name until then). Nothing was changed. Choose another SecretNamePrefix, or remove the secret if nobody needs it");
    }
}
