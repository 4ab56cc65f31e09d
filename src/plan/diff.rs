//! Makes a plan from the difference between Desired and Observed, and puts its steps in order.

use std::collections::BTreeSet;

use super::{
    Changes, Deletion, Phase, Plan, Refusal, Step,
    domains::{
        DomainSteps, deletions, keeps_custom_domain, plan_domains, plan_try_of_custom_domain, refuse_others_domains,
    },
    refusal::{CHANGING_THE_DOMAIN, CHANGING_THE_TOKEN_SERVICE, DELETING_THE_POOL, Member},
    secrets::{SecretSteps, plan_secrets, stale_secrets},
    sharing::{SharingSteps, plan_sharing},
    step::phase,
};
use crate::model::{
    AuthFlow, Client, ClientId, ClientName, Desired, DesiredPool, Mark, OwnPool, Owner, Ownership, PoolId,
    ResourceServer, Tags, TokenSource, UserPool, UserPoolClient,
    desired::{MAX_SCOPES_PER_SERVER, MAX_SERVERS},
    observed::{
        DeleteObservation, Foreign, FormerClient, ListedClient, Observed, ObservedClient, ObservedPool, ObservedSecret,
        RemainingClient, ScopeHolder,
    },
    ownership::SHARED_WITH_TAG,
};

/// What a plan depends on besides Desired and Observed.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    pub is_create: bool,
    /// Whether the event returns to what was declared before. What others hold by now is then kept.
    pub is_rollback: bool,
    /// Clients whose tokens are checked even if nothing changes.
    pub also_verify: &'a BTreeSet<ClientName>,
}

/// Makes the plan that turns Observed into Desired. It checks a token for each client that it changes,
/// and for those in `occasion`.
///
/// # Errors
/// The plan would touch what belongs to another owner, or break what others use.
pub fn plan(desired: &Desired, observed: &Observed, occasion: &Occasion<'_>) -> Result<Plan, Refusal> {
    refuse_others_things(desired, observed, occasion)?;
    let servers = servers_to_plan(desired, observed, occasion)?;
    let sharing = plan_sharing(desired, observed)?;
    let trial = plan_try_of_custom_domain(desired, observed, occasion)?;
    let plan = plan_steps(desired, observed, &servers, (trial, sharing), occasion);
    refuse_without_consent(desired, observed, occasion.is_create || plan.writes())?;
    refuse_unknown_scopes(desired, observed, &plan)?;
    Ok(plan)
}

fn plan_steps(
    desired: &Desired,
    observed: &Observed,
    servers: &[ResourceServer],
    (trial, sharing): (Vec<Step>, SharingSteps),
    occasion: &Occasion<'_>,
) -> Plan {
    let now = observed.pool.as_ref();
    let (domains, pool, protect) = match &desired.pool {
        DesiredPool::Own(own) => {
            let (pool, protect) = plan_pool(&own.state, now);
            let kept = keeps_custom_domain(desired, observed, occasion.is_rollback);
            (plan_domains(desired, own, now, kept), pool, protect)
        }
        DesiredPool::Shared(_) => Default::default(),
    };
    let ClientSteps { update: clients, close } = plan_clients(desired, observed);
    let verify = plan_verification(desired, clients.iter().chain(&close), &domains, occasion.also_verify);
    let SecretSteps { prepare, rotate_renamed, secrets, rotate, schedule } = plan_secrets(desired, observed);
    let SharingSteps { readers, replicate, wait, remove } = sharing;
    let ResourceServerSteps { make_room, widen, narrow } = plan_resource_servers(servers, now);
    let Adoption { prove, record } = plan_adoption(desired, observed);
    let DomainSteps { before_pool, prefix, custom, closed } = domains;
    // An adopted client's secret is recorded before anything about the client changes.
    let (secrets_before_clients, secrets) =
        if record.is_empty() { (Vec::new(), secrets) } else { (secrets, Vec::new()) };
    // A token needs its client and the domain. Only after a rotation does it need the secret as well.
    let (verify, verify_rotated) = if rotate.is_empty() { (verify, Vec::new()) } else { (Vec::new(), verify) };
    let (clients, secrets) = if custom.is_empty() && rotate_renamed.is_empty() {
        (client_chains(clients, secrets, verify), Phase::new())
    } else {
        // A secret may name the custom domain. One with a new name gets the credentials and the record that the old one
        // has after its rotation. So the secrets wait for all of these.
        (phase(custom.into_iter().chain(clients)), phase(secrets.into_iter().chain(verify)))
    };

    Plan::of([
        // Alone, so that nothing has changed if it fails.
        phase(trial),
        phase(before_pool),
        phase(pool),
        phase(make_room),
        // Nobody reads what is prepared, so it waits for nothing. It comes early because clients wait for this phase.
        phase(prefix.into_iter().chain(widen).chain(prepare)),
        phase(prove),
        phase(secrets_before_clients),
        phase(record),
        clients,
        phase(rotate_renamed),
        secrets,
        phase(rotate),
        // Before anything is deleted: after a failed check, the old state is easy to restore.
        phase(verify_rotated),
        // Secrets Manager tests a new schedule, and the test needs the token endpoint.
        phase(schedule),
        phase(readers),
        phase(replicate),
        phase(wait),
        phase(stale_secrets(desired, observed).into_iter().chain(remove)),
        phase(stale_clients(desired, observed)),
        // Only now does no client hold these scopes any more.
        phase(narrow),
        // The secrets say the new way to get tokens, and it has been checked. Consumers that read them before are cut
        // off as late as possible.
        phase(close.into_iter().chain(closed)),
        phase(observed.surplus_pools.iter().map(|id| Step::Delete(Deletion::UserPool { id: id.clone() }))),
        // Last, so that CloudFormation can still delete what a failed Create made.
        phase(protect),
    ])
}

/// Makes the phase in which each client's secret and token check follow the client at once. A secret says what its
/// client is allowed, and a token needs the client; neither needs another client. Cognito's rate keeps the last of many
/// clients waiting, and nothing else waits for it.
fn client_chains(clients: Vec<Step>, secrets: Vec<Step>, verify: Vec<Step>) -> Phase {
    let mut tasks = phase(clients);
    for step in secrets.into_iter().chain(verify) {
        let client = client_of(&step);
        match tasks.iter_mut().find(|task| client.is_some() && changed_client(&task.step) == client) {
            Some(task) => task.then.push(step),
            None => tasks.push(step.into()),
        }
    }
    tasks
}

/// Returns the client that a step creates or updates in Cognito.
fn changed_client(step: &Step) -> Option<&ClientName> {
    match step {
        Step::CreateUserPoolClient { client, .. } | Step::UpdateUserPoolClient { client, .. } => Some(client),
        _ => None,
    }
}

/// Returns the client whose secret a step writes, or whose token it checks.
fn client_of(step: &Step) -> Option<&ClientName> {
    match step {
        Step::CreateSecret { client, .. } | Step::UpdateSecret { client, .. } | Step::VerifyToken { client } => {
            Some(client)
        }
        _ => None,
    }
}

/// Refuses names and clients that belong to another owner, and a change of the domain that others use.
fn refuse_others_things(desired: &Desired, observed: &Observed, occasion: &Occasion<'_>) -> Result<(), Refusal> {
    if let Some(own) = desired.own_pool() {
        let kept = keeps_custom_domain(desired, observed, occasion.is_rollback);
        refuse_others_domains(own, observed, kept, |pool| {
            refuse_while_in_use(&pool.id, &pool.foreign, CHANGING_THE_DOMAIN)
        })?;
    }
    for client in &desired.clients {
        if let Some(ObservedSecret { ownership: Ownership::NotOwned, scheduled, .. }) =
            observed.secrets.get(&client.secret_name)
        {
            let property = if desired.own_pool().is_some() { "SecretNamePrefix" } else { "SecretName" };
            return Err(Refusal::SecretTaken { name: client.secret_name.clone(), scheduled: *scheduled, property });
        }
        if let (Some(rule), Some(client)) = (&observed.not_adoptable, &client.adopt) {
            return Err(Refusal::NotAdoptable { client: client.clone(), rule: rule.clone() });
        }
    }
    let Some(pool) = &observed.pool else { return Ok(()) };
    let is_foreign = |server: &&ResourceServer| {
        pool.foreign.resource_servers.iter().any(|foreign| foreign.identifier == server.identifier)
    };
    if let Some(server) = desired.resource_servers.iter().find(is_foreign) {
        return Err(Refusal::ServerTaken { identifier: server.identifier.clone(), pool: pool.id.clone() });
    }
    match desired.own_pool().and_then(|own| change_for_others(own, pool)) {
        Some(change) => refuse_while_in_use(&pool.id, &pool.foreign, change),
        None => Ok(()),
    }
}

/// Names the change that makes the pool's other clients get their tokens in another way.
fn change_for_others(own: &OwnPool, pool: &ObservedPool) -> Option<&'static str> {
    match (&own.domain, &pool.domain) {
        (None, Some(_)) => Some(CHANGING_THE_TOKEN_SERVICE),
        // A domain that is missing for another reason is put back.
        (Some(_), None) => {
            let by_api = pool.clients.iter().any(|client| client.auth_flow == Some(AuthFlow::ClientToken));
            by_api.then_some(CHANGING_THE_TOKEN_SERVICE)
        }
        _ => None,
    }
}

fn refuse_while_in_use(pool: &PoolId, foreign: &Foreign, action: &'static str) -> Result<(), Refusal> {
    let Foreign { resource_servers, clients } = foreign;
    let servers = resource_servers.iter().map(|server| Member {
        what: format!("resource server {}", server.identifier),
        mark: server.mark.clone(),
        stack: None,
    });
    let members: Vec<_> = clients.iter().map(client_member).chain(servers).collect();
    if members.is_empty() {
        return Ok(());
    }
    Err(Refusal::PoolInUse { pool: pool.clone(), action, members })
}

fn client_member(client: &ListedClient) -> Member {
    let ListedClient { id, name, mark } = client;
    Member { what: format!("client {name} ({id})"), mark: mark.clone(), stack: None }
}

/// Refuses to write to somebody else's pool if its owner has not consented.
fn refuse_without_consent(desired: &Desired, observed: &Observed, writes: bool) -> Result<(), Refusal> {
    let (DesiredPool::Shared(_), Some(pool)) = (&desired.pool, &observed.pool) else { return Ok(()) };
    if !writes || desired.owner.may_join(&pool.state.tags) {
        return Ok(());
    }
    Err(Refusal::NotShared {
        pool: pool.id.clone(),
        stack: desired.owner.stack_name().to_owned(),
        tag: pool.state.tags.get(SHARED_WITH_TAG).cloned(),
    })
}

/// Refuses to give a client scopes that its pool does not have. Parsing has checked those of the resource's own pool.
fn refuse_unknown_scopes(desired: &Desired, observed: &Observed, plan: &Plan) -> Result<(), Refusal> {
    let (DesiredPool::Shared(_), Some(pool)) = (&desired.pool, &observed.pool) else { return Ok(()) };
    let known = known_scopes(observed);
    let written = plan.steps().filter_map(|step| match step {
        Step::CreateUserPoolClient { state, .. } | Step::UpdateUserPoolClient { state, .. } => Some(&state.scopes),
        _ => None,
    });
    let scopes: Vec<_> = written.flatten().filter(|scope| !known.contains(*scope)).cloned().collect();
    if scopes.is_empty() { Ok(()) } else { Err(Refusal::UnknownScopes { pool: pool.id.clone(), scopes }) }
}

/// Returns the scopes that the pool has, whoever declares them.
fn known_scopes(observed: &Observed) -> BTreeSet<String> {
    let servers =
        observed.pool.iter().flat_map(|pool| pool.foreign.resource_servers.iter().chain(&pool.resource_servers));
    servers.flat_map(ResourceServer::full_scopes).collect()
}

/// Returns the scopes that the resource's servers have and are to lose.
#[must_use]
pub fn scopes_to_remove(desired: &Desired, observed: &Observed) -> BTreeSet<String> {
    let declared: BTreeSet<String> = desired.scopes().collect();
    let present = observed.pool.iter().flat_map(|pool| &pool.resource_servers).flat_map(ResourceServer::full_scopes);
    present.filter(|scope| !declared.contains(scope)).collect()
}

/// Returns the scopes that the resource's servers are to lose while a client outside the resource holds them.
#[must_use]
pub fn held_scopes(desired: &Desired, observed: &Observed) -> BTreeSet<String> {
    let removed = scopes_to_remove(desired, observed);
    let held = observed.scope_holders.iter().flat_map(|holder| &holder.scopes);
    held.filter(|scope| removed.contains(*scope)).cloned().collect()
}

/// Returns the servers that the plan makes: the declared ones, and in a rollback also the scopes that somebody else's
/// client has begun to use. Cognito would take such a scope out of the client's tokens without a word.
fn servers_to_plan(
    desired: &Desired,
    observed: &Observed,
    occasion: &Occasion<'_>,
) -> Result<Vec<ResourceServer>, Refusal> {
    let held = held_scopes(desired, observed);
    let mut servers = desired.resource_servers.clone();
    if held.is_empty() {
        return Ok(servers);
    }
    if !occasion.is_rollback {
        return Err(scopes_in_use(held, &observed.scope_holders));
    }
    for current in observed.pool.iter().flat_map(|pool| &pool.resource_servers) {
        let kept = current.scopes.iter().filter(|scope| held.contains(&current.full_scope(scope)));
        let kept: Vec<_> = kept.cloned().collect();
        match servers.iter_mut().find(|server| server.identifier == current.identifier) {
            Some(server) => server.scopes.extend(kept),
            None if kept.is_empty() => {}
            None => servers.push(ResourceServer { scopes: kept, ..current.clone() }),
        }
    }
    Ok(servers)
}

fn scopes_in_use(held: BTreeSet<String>, holders: &[ScopeHolder]) -> Refusal {
    let holds = |holder: &&ScopeHolder| holder.scopes.iter().any(|scope| held.contains(scope));
    let clients = holders.iter().filter(holds).map(|holder| client_member(&holder.client)).collect();
    Refusal::ScopesInUse { scopes: held.into_iter().collect(), clients }
}

/// How long a Create can read the note of a Delete: the shortest recovery window there is.
pub const NOTE_KEPT_FOR_DAYS: u8 = 7;

/// Makes the plan that leaves nothing. In the resource's own pool it deletes secrets, then domains, then pools. In
/// somebody else's pool it deletes what the resource added, then the secret, which says where that was.
///
/// With `keep_held_scopes`, a server stays if somebody else's client holds one of its scopes.
///
/// # Errors
/// Deletion protection is active, or others use what would be deleted.
pub fn plan_delete(
    observation: &DeleteObservation,
    recovery_window_in_days: u8,
    keep_held_scopes: bool,
) -> Result<Plan<Deletion>, Refusal> {
    let DeleteObservation { pools, clients, resource_servers, scope_holders, secrets, note } = observation;
    if let Some(pool) = pools.iter().find(|pool| pool.deletion_protection) {
        return Err(Refusal::DeletionProtected { pool: pool.id.clone() });
    }
    for pool in pools {
        refuse_while_in_use(&pool.id, &pool.foreign, DELETING_THE_POOL)?;
    }
    let held: BTreeSet<&String> = scope_holders.iter().flat_map(|holder| &holder.scopes).collect();
    let is_held = |server: &ResourceServer| server.full_scopes().any(|scope| held.contains(&scope));
    let scopes: BTreeSet<String> = resource_servers
        .iter()
        .flat_map(|(_, server)| server.full_scopes())
        .filter(|scope| held.contains(scope))
        .collect();
    if !scopes.is_empty() && !keep_held_scopes {
        return Err(scopes_in_use(scopes, scope_holders));
    }
    let clients = clients.iter().map(|RemainingClient { pool, id, name, former }| {
        let (pool, id) = (pool.clone(), id.clone());
        match former {
            Some(state) => Deletion::ReleaseUserPoolClient { pool, id, state: state.clone() },
            None => Deletion::UserPoolClient { pool, id, name: name.clone() },
        }
    });
    let servers = resource_servers
        .iter()
        .filter(|(_, server)| !is_held(server))
        .map(|(pool, server)| Deletion::ResourceServer { pool: pool.clone(), identifier: server.identifier.clone() });
    let secrets = secrets
        .iter()
        .map(|(name, replicas)| (name, recovery_window_in_days, replicas.clone()))
        .chain(note.iter().map(|name| (name, NOTE_KEPT_FOR_DAYS, BTreeSet::new())))
        .map(|(name, days, replicas)| Deletion::Secret { name: name.clone(), recovery_window_in_days: days, replicas });
    let domains =
        pools.iter().flat_map(|pool| deletions(&pool.id, [pool.domain.as_ref(), pool.custom_domain.as_ref()]));
    let pools = pools.iter().map(|pool| Deletion::UserPool { id: pool.id.clone() });
    Ok(Plan::of([phase(clients), phase(servers), phase(secrets), phase(domains), phase(pools)]))
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
pub(super) fn before_protection(desired: &UserPool, observed: Option<&ObservedPool>) -> UserPool {
    let was_protected = observed.is_some_and(|pool| pool.state.deletion_protection);
    UserPool { deletion_protection: desired.deletion_protection && was_protected, ..desired.clone() }
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

pub(super) fn tag_changes(desired: &Tags, observed: &Tags) -> Option<String> {
    let mut changed: BTreeSet<String> = BTreeSet::new();
    changed.extend(
        desired.iter().filter(|(key, value)| observed.get(*key) != Some(value)).map(|(key, _)| format!("+{key}")),
    );
    changed.extend(stale_tags(desired, observed).map(|key| format!("-{key}")));
    (!changed.is_empty()).then(|| format!("tags {}", changed.into_iter().collect::<Vec<_>>().join(" ")))
}

/// Returns the tags to remove. AWS's own tags stay.
pub(super) fn stale_tags<'t>(desired: &'t Tags, observed: &'t Tags) -> impl Iterator<Item = &'t String> {
    observed.keys().filter(|key| !desired.contains_key(*key) && !key.starts_with("aws:"))
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
    let foreign = observed.map_or(0, |pool| pool.foreign.resource_servers.len());
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
        .filter_map(|server| {
            let pool = observed?.id.clone();
            Some(Step::Delete(Deletion::ResourceServer { pool, identifier: server.identifier.clone() }))
        })
        .collect();
    let created = widen.iter().filter(|step| matches!(step, Step::CreateResourceServer { .. })).count();
    let in_the_way = (existing.len() + foreign + created).saturating_sub(MAX_SERVERS).min(make_room.len());
    narrow.extend(make_room.split_off(in_the_way));
    ResourceServerSteps { make_room, widen, narrow }
}

fn server_changes(desired: &ResourceServer, observed: &ResourceServer) -> Changes {
    // What has another mark is not this resource's server.
    let ResourceServer { identifier: _, name, mark: _, scopes } = desired;
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

/// The steps of the clients.
#[derive(Default)]
struct ClientSteps {
    /// Creates and updates. They take no way to get tokens from a client.
    update: Vec<Step>,
    /// Turns GetClientToken off for clients that get their tokens from a domain now.
    close: Vec<Step>,
}

fn plan_clients(desired: &Desired, observed: &Observed) -> ClientSteps {
    let tokens = desired.token_source(observed.pool.as_ref());
    let mut steps = ClientSteps::default();
    for client in &desired.clients {
        let current = observed.client(client);
        let state = client_state(&desired.owner, client, current, &tokens);
        let client = client.name.clone();
        let Some(current) = current else {
            steps.update.push(Step::CreateUserPoolClient { client, state });
            continue;
        };
        let update = |state: UserPoolClient, changes| {
            let (id, client) = (current.id.clone(), client.clone());
            Step::UpdateUserPoolClient { id, client, state, changes }
        };
        let by_api = current.auth_flow == Some(AuthFlow::ClientToken);
        let first =
            UserPoolClient { auth_flow: if by_api { AuthFlow::ClientToken } else { state.auth_flow }, ..state.clone() };
        let changes = client_changes(&first, current);
        if !changes.is_empty() {
            steps.update.push(update(first.clone(), changes));
        }
        if first != state {
            let change = "GetClientToken off (consumers that still use it get no more tokens)".to_owned();
            steps.close.push(update(state, vec![change]));
        }
    }
    steps
}

/// Returns the whole state that a client must have.
fn client_state(
    owner: &Owner,
    client: &Client,
    current: Option<&ObservedClient>,
    tokens: &TokenSource,
) -> UserPoolClient {
    let Client { name, mark, adopt: _, scopes, access_token_validity_minutes, secret_name: _, secret_readers: _ } =
        client;
    let adopted = current.filter(|current| mark.is_some() && current.mark != *mark);
    let mark = if adopted.is_some() { Some(Mark::of_adopted(owner)) } else { mark.clone() };
    let auth_flow = match tokens {
        // Its consumers may get their tokens by either way, and must not be cut off.
        TokenSource::PrefixDomain(_) | TokenSource::CustomDomain { .. }
            if adopted.is_some_and(|old| old.auth_flow == Some(AuthFlow::ClientToken)) =>
        {
            AuthFlow::ClientToken
        }
        TokenSource::PrefixDomain(_) | TokenSource::CustomDomain { .. } => AuthFlow::RefreshToken,
        TokenSource::Api => AuthFlow::ClientToken,
    };
    UserPoolClient {
        name: ClientName(Mark::join(name.as_str(), mark.as_ref())),
        scopes: scopes.clone(),
        access_token_validity_minutes: *access_token_validity_minutes,
        auth_flow,
    }
}

fn client_changes(desired: &UserPoolClient, observed: &ObservedClient) -> Changes {
    let UserPoolClient { name, scopes, access_token_validity_minutes, auth_flow } = desired;
    let wanted: BTreeSet<&str> = scopes.iter().map(String::as_str).collect();
    let granted: BTreeSet<&str> = observed.scopes.iter().map(String::as_str).collect();
    let mut changes = Changes::new();
    let full_name = observed.full_name();
    if *name != full_name {
        changes.push(format!("name {full_name} -> {name}"));
    }
    changes.extend(wanted.difference(&granted).map(|scope| format!("+{scope}")));
    changes.extend(granted.difference(&wanted).map(|scope| format!("-{scope}")));
    if *access_token_validity_minutes != observed.access_token_validity_minutes {
        changes.push(format!(
            "access token validity {} -> {access_token_validity_minutes} minutes",
            observed.access_token_validity_minutes
        ));
    }
    match (observed.auth_flow, auth_flow) {
        (Some(AuthFlow::RefreshToken), AuthFlow::ClientToken) if observed.m2m_only => {
            changes.push("GetClientToken on".to_owned());
        }
        (Some(current), flow) if observed.m2m_only && current == *flow => {}
        _ => changes.push("settings back to machine-to-machine only".to_owned()),
    }
    changes
}

/// The steps that come before anything about an existing client changes.
#[derive(Default)]
struct Adoption {
    prove: Vec<Step>,
    record: Vec<Step>,
}

/// Plans the adoption of a client that does not have the resource's mark yet.
fn plan_adoption(desired: &Desired, observed: &Observed) -> Adoption {
    let adoptee = |client: &Client| {
        let current = observed.client(client)?;
        client.is_to_adopt(current).then(|| (client.clone(), current.clone()))
    };
    let Some((client, current)) = desired.clients.iter().find_map(adoptee) else { return Adoption::default() };
    let can_be_proved = match desired.token_source(observed.pool.as_ref()) {
        TokenSource::PrefixDomain(_) | TokenSource::CustomDomain { .. } => true,
        TokenSource::Api => current.auth_flow == Some(AuthFlow::ClientToken),
    };
    let former = FormerClient {
        name: current.full_name(),
        scopes: current.scopes.clone(),
        access_token_validity_minutes: current.access_token_validity_minutes,
    };
    // Cognito leaves a scope that is gone out of the token, and gives no token to a client without scopes.
    let known = known_scopes(observed);
    let scopes: Vec<_> = current.scopes.iter().filter(|scope| known.contains(*scope)).cloned().collect();
    let prove = (desired.verify_token && can_be_proved && !scopes.is_empty())
        .then(|| Step::ProveSecret { client: client.name.clone(), scopes });
    Adoption {
        prove: prove.into_iter().collect(),
        record: vec![Step::RecordFormerClient { name: client.secret_name, client: client.name, former }],
    }
}

fn plan_verification<'s>(
    desired: &Desired,
    clients: impl Iterator<Item = &'s Step>,
    domains: &DomainSteps,
    also: &BTreeSet<ClientName>,
) -> Vec<Step> {
    if !desired.verify_token {
        return Vec::new();
    }
    let changed: BTreeSet<&ClientName> = clients.filter_map(changed_client).collect();
    desired
        .clients
        .iter()
        .filter(|client| {
            domains.change_the_prefix_domain() || changed.contains(&client.name) || also.contains(&client.name)
        })
        .map(|client| Step::VerifyToken { client: client.name.clone() })
        .collect()
}

/// Deletes the resource's clients that the template does not declare, and all but one of each name. A client that was
/// adopted, or is to be, is never deleted.
fn stale_clients(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let Some(pool) = &observed.pool else { return Vec::new() };
    let kept: BTreeSet<&ClientId> =
        desired.clients.iter().filter_map(|client| observed.client(client)).map(|client| &client.id).collect();
    let created = desired.own_pool().is_none().then(|| Mark::of(&desired.owner));
    pool.clients
        .iter()
        .filter(|client| client.mark == created && !kept.contains(&client.id))
        .map(|ObservedClient { id, name, .. }| {
            let (pool, id, name) = (pool.id.clone(), id.clone(), name.clone());
            Step::Delete(Deletion::UserPoolClient { pool, id, name })
        })
        .collect()
}
