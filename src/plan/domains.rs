//! The steps of a pool's two domains.
//!
//! Clients that use a domain must be able to use it at every moment. So a custom domain is created before the secrets
//! name it, and deleted after they have ceased to name it.

use super::{Changes, Deletion, Occasion, Refusal, Step, secrets::secret_in_use};
use crate::model::{
    CustomDomain, Desired, Domain, OwnPool, PoolDomain, PoolId, Tier, TokenSource,
    observed::{Observed, ObservedCustomDomain, ObservedPool},
};

/// The steps of both domains, by the time when they must run.
#[derive(Default)]
pub(super) struct DomainSteps {
    /// Cognito refuses the tier LITE while a domain has managed login.
    pub(super) before_pool: Vec<Step>,
    /// The prefix domain. Of two concurrent runs that have both created a pool, only one gets the prefix. So the steps
    /// of the custom domain come in a later phase, which only that run reaches.
    pub(super) prefix: Vec<Step>,
    /// The custom domain, before a secret names it.
    pub(super) custom: Vec<Step>,
    /// A domain that no secret names any more. It goes as late as possible: consumers may have read their secret
    /// before, and if a step before it fails, nothing of it must be put back. A custom domain would come back under
    /// another CloudFront name.
    pub(super) closed: Vec<Step>,
}

impl DomainSteps {
    /// Tells whether tokens must be verified again. They are verified at the prefix domain.
    pub(super) fn change_the_prefix_domain(&self) -> bool {
        let is_prefix = |step: &Step| match step {
            Step::UpdateUserPoolDomain { domain, .. } => matches!(domain, PoolDomain::Prefix(_)),
            Step::ReplaceUserPoolDomain { to, .. } => matches!(to, PoolDomain::Prefix(_)),
            _ => false,
        };
        !self.prefix.is_empty() || self.before_pool.iter().any(is_prefix)
    }
}

pub(super) fn plan_domains(desired: &Desired, own: &OwnPool, now: Option<&ObservedPool>, kept: bool) -> DomainSteps {
    let mut steps = DomainSteps::default();
    let prefix = if let Some(domain) = &own.domain {
        plan_domain(domain, now)
    } else {
        steps.closed.extend(plan_deletion_of_prefix(now));
        // It stays until the end, but LITE has no managed login.
        now.and_then(|pool| lowered_for(own, pool)).into_iter().collect()
    };
    // Cognito refuses LITE while the domain has managed login, and managed login while the pool has LITE.
    let is_lowered = |step: &Step| match step {
        Step::UpdateUserPoolDomain { domain, .. } => domain.managed_login_version() == 1,
        Step::ReplaceUserPoolDomain { to, .. } => to.managed_login_version() == 1,
        _ => false,
    };
    if prefix.iter().any(is_lowered) { &mut steps.before_pool } else { &mut steps.prefix }.extend(prefix);

    let mut present = now.and_then(|pool| pool.custom_domain.as_ref()).map(|present| present.domain.clone());
    let version = managed_login_version(own);
    if let Some(present) = present.as_mut().filter(|present| present.managed_login_version == 2 && version == 1) {
        present.managed_login_version = version;
        let lowered = match own.custom_domain.as_ref().filter(|custom| custom.name == present.name) {
            Some(desired) => desired.clone(),
            None => present.clone(),
        };
        let now = now.and_then(|pool| pool.custom_domain.as_ref());
        let changes = now.map(|now| changes_of_custom_domain(&lowered, &now.domain)).unwrap_or_default();
        steps.before_pool.push(Step::UpdateUserPoolDomain { domain: lowered.clone().into(), changes });
        *present = lowered;
    }
    let uses_custom = matches!(desired.token_source(now), TokenSource::CustomDomain { .. });
    match (&own.custom_domain, present, now) {
        (Some(desired), None, _) => {
            steps.custom.push(Step::CreateUserPoolDomain { domain: desired.clone().into() });
        }
        (Some(desired), Some(present), _) if present.name == desired.name => {
            let changes = changes_of_custom_domain(desired, &present);
            if !changes.is_empty() {
                steps.custom.push(Step::UpdateUserPoolDomain { domain: desired.clone().into(), changes });
            }
        }
        (Some(desired), Some(present), _) => {
            let step = Step::ReplaceUserPoolDomain { from: present.into(), to: desired.clone().into() };
            // If clients are about to use the new one, it must be there before their secrets say so.
            if uses_custom { &mut steps.custom } else { &mut steps.closed }.push(step);
        }
        (None, Some(present), Some(pool)) if !kept => {
            let deletion = Deletion::UserPoolDomain { pool: pool.id.clone(), domain: present.name };
            steps.closed.push(Step::Delete(deletion));
        }
        (None, ..) => {}
    }
    steps
}

/// Returns the version that the pool's domains must have: without a domain of its own, that which its tier allows.
fn managed_login_version(own: &OwnPool) -> u8 {
    match &own.domain {
        Some(domain) => domain.managed_login_version,
        None if own.state.tier == Tier::Lite => 1,
        None => 2,
    }
}

/// Returns the step that turns managed login off on a prefix domain that is to be deleted.
fn lowered_for(own: &OwnPool, pool: &ObservedPool) -> Option<Step> {
    let current = pool.domain.as_ref()?;
    let domain = Domain { managed_login_version: 1, ..current.clone() };
    let changes = vec!["managed login version 1".to_owned()];
    (own.state.tier == Tier::Lite && domain != *current)
        .then(|| Step::UpdateUserPoolDomain { domain: domain.into(), changes })
}

fn plan_deletion_of_prefix(now: Option<&ObservedPool>) -> Option<Step> {
    let pool = now?;
    let domain = pool.domain.as_ref()?.prefix.clone();
    Some(Step::Delete(Deletion::UserPoolDomain { pool: pool.id.clone(), domain }))
}

fn plan_domain(desired: &Domain, observed: Option<&ObservedPool>) -> Vec<Step> {
    let Domain { prefix, managed_login_version } = desired;
    let domain = PoolDomain::from(desired.clone());
    match observed.and_then(|pool| pool.domain.as_ref()) {
        None => vec![Step::CreateUserPoolDomain { domain }],
        Some(current) if current == desired => Vec::new(),
        Some(current) if current.prefix == *prefix => {
            let changes = vec![format!("managed login version {managed_login_version}")];
            vec![Step::UpdateUserPoolDomain { domain, changes }]
        }
        Some(current) => vec![Step::ReplaceUserPoolDomain { from: current.clone().into(), to: domain }],
    }
}

fn changes_of_custom_domain(desired: &CustomDomain, observed: &CustomDomain) -> Changes {
    // A domain with another name is another domain.
    let CustomDomain { name: _, managed_login_version, certificate_arn, security_policy } = desired;
    let mut changes = Changes::new();
    if *managed_login_version != observed.managed_login_version {
        changes.push(format!("managed login version {managed_login_version}"));
    }
    if *certificate_arn != observed.certificate_arn {
        changes.push(format!("certificate {certificate_arn}"));
    }
    // A policy that Cognito does not show is not known to differ.
    if let (Some(policy), Some(_)) = (security_policy, &observed.security_policy)
        && *security_policy != observed.security_policy
    {
        changes.push(format!("security policy {policy}"));
    }
    changes
}

/// Tells whether a custom domain stays although it is not declared: in a rollback, if others have added to the pool.
/// They may have begun to use it.
#[must_use]
pub fn keeps_custom_domain(desired: &Desired, observed: &Observed, is_rollback: bool) -> bool {
    let Some(pool) = &observed.pool else { return false };
    let is_undeclared =
        pool.custom_domain.is_some() && desired.own_pool().is_some_and(|own| own.custom_domain.is_none());
    is_rollback && is_undeclared && !pool.foreign.is_empty()
}

/// Clients that are to use the custom domain instead of the prefix domain.
struct Switch<'a> {
    pool: &'a ObservedPool,
    /// The host name.
    domain: String,
}

/// Returns the switch if an update sends clients from the prefix domain or the API to the custom domain. A secret that
/// names one of these says so: it is written last, so a second delivery of the event sees the same switch until it is
/// done.
fn switch<'o>(desired: &Desired, observed: &'o Observed) -> Option<Switch<'o>> {
    let pool = observed.pool.as_ref()?;
    let source = desired.token_source(Some(pool));
    let TokenSource::CustomDomain { name, prefix } = &source else { return None };
    let endpoints = &desired.endpoints;
    let of = |prefix: &Domain| endpoints.token_endpoint(&TokenSource::PrefixDomain(prefix.clone()));
    // Under a custom endpoint, all domains have the same token endpoint, and the API is at the same place.
    let api = (!endpoints.is_custom()).then(|| endpoints.token_endpoint(&TokenSource::Api));
    let others: Vec<String> = prefix.iter().chain(&pool.domain).map(of).chain(api).collect();
    let custom = endpoints.token_endpoint(&source);
    let leaves_another = |endpoint: &String| others.contains(endpoint) && *endpoint != custom;
    let mut documents = desired
        .clients
        .iter()
        .filter_map(|client| secret_in_use(observed, client))
        .filter_map(|(_, secret)| secret.document.as_ref());
    documents
        .any(|document| leaves_another(&document.metadata.token_endpoint))
        .then(|| Switch { pool, domain: name.clone() })
}

/// Returns why the clients cannot be sent to the custom domain yet. A host that cannot work is not looked up: a
/// resolver remembers for up to 15 minutes that there is no such name.
#[must_use]
pub fn custom_domain_not_ready(desired: &Desired, observed: &Observed) -> Option<Refusal> {
    let Switch { pool, domain } = switch(desired, observed).filter(|_| desired.verify_token)?;
    let reason = match &pool.custom_domain {
        Some(ObservedCustomDomain { domain: present, status, .. }) if present.name == domain => match status.as_str() {
            // An update takes minutes, and the domain goes on meanwhile. Not every cloud has a status.
            "ACTIVE" | "UPDATING" | "" => return None,
            status => format!("its status is {status}"),
        },
        _ => "the pool does not have this domain".to_owned(),
    };
    Some(Refusal::CustomDomainNotReady { domain, reason })
}

/// Plans one token at the custom domain, before clients are sent there. One is enough, and each is billed.
pub(super) fn plan_try_of_custom_domain(
    desired: &Desired,
    observed: &Observed,
    occasion: &Occasion<'_>,
) -> Result<Vec<Step>, Refusal> {
    if !desired.verify_token || occasion.is_create {
        return Ok(Vec::new());
    }
    match custom_domain_not_ready(desired, observed) {
        Some(refusal) if !occasion.is_rollback => return Err(refusal),
        Some(_) => return Ok(Vec::new()),
        None => {}
    }
    let Some(Switch { domain, .. }) = switch(desired, observed) else { return Ok(Vec::new()) };
    let step = |client: &crate::model::Client| {
        let current = observed.client(client)?;
        // A client without scopes gets no token.
        let scopes = Some(current.scopes.clone()).filter(|scopes| !scopes.is_empty())?;
        secret_in_use(observed, client)?;
        Some(Step::TryCustomDomain { client: client.name.clone(), scopes, domain: domain.clone() })
    };
    Ok(desired.clients.iter().find_map(step).into_iter().collect())
}

/// Refuses domains that belong to another owner, and to change or remove a domain that others may use.
pub(super) fn refuse_others_domains(
    own: &OwnPool,
    observed: &Observed,
    kept: bool,
    in_use: impl Fn(&ObservedPool) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if let (Some(pool), Some(domain)) = (observed.prefix_taken_by.clone(), &own.domain) {
        return Err(Refusal::DomainTaken { prefix: domain.prefix.clone(), pool });
    }
    if let (Some(pool), Some(custom)) = (observed.custom_domain_taken_by.clone(), &own.custom_domain) {
        return Err(Refusal::CustomDomainTaken { domain: custom.name.clone(), pool });
    }
    let Some(pool) = &observed.pool else { return Ok(()) };
    // Without a domain, the way to get tokens changes; that is another refusal.
    let domains = pool.domain.as_ref().zip(own.domain.as_ref());
    let prefix_changes = domains.is_some_and(|(present, domain)| present.prefix != domain.prefix);
    let custom_changes = pool
        .custom_domain
        .as_ref()
        .is_some_and(|present| own.custom_domain.as_ref().is_none_or(|custom| custom.name != present.domain.name));
    if prefix_changes || (custom_changes && !kept) { in_use(pool) } else { Ok(()) }
}

/// Returns the deletions of what domains a pool still has.
pub(super) fn deletions<'a>(pool: &'a PoolId, domains: [Option<&'a String>; 2]) -> impl Iterator<Item = Deletion> + 'a {
    let deletion = move |domain: &String| Deletion::UserPoolDomain { pool: pool.clone(), domain: domain.clone() };
    domains.into_iter().flatten().map(deletion)
}
