//! Plans the readers and the replicas of the clients' secrets.

use std::collections::BTreeSet;

use super::{Refusal, Step};
use crate::model::{
    Client, Desired, PolicyChange, Region, Replicas, ResourcePolicy,
    observed::{Observed, ObservedPolicy, ObservedSecret},
    sharing::{MAX_POLICY, ReplicaStatus},
};

/// The steps that share the clients' secrets.
#[derive(Default)]
pub(super) struct SharingSteps {
    /// Readers. A principal can read the secret from then on, so they follow the document.
    pub(super) readers: Vec<Step>,
    pub(super) replicate: Vec<Step>,
    pub(super) wait: Vec<Step>,
    /// Removes the replicas in regions that are not declared.
    pub(super) remove: Vec<Step>,
}

/// # Errors
/// A resource policy would be too long.
pub(super) fn plan_sharing(desired: &Desired, observed: &Observed) -> Result<SharingSteps, Refusal> {
    let mut steps = SharingSteps::default();
    for client in &desired.clients {
        let secret = observed.secrets.get(&client.secret_name);
        steps.readers.extend(plan_readers(client, secret)?);
        plan_replicas(&desired.secret_replicas, client, secret, &mut steps);
    }
    Ok(steps)
}

fn plan_readers(client: &Client, secret: Option<&ObservedSecret>) -> Result<Option<Step>, Refusal> {
    let (name, readers) = (client.secret_name.clone(), &client.secret_readers);
    let put = |changes| Step::PutResourcePolicy { name: name.clone(), readers: readers.clone(), changes };
    let present = match secret.map(|secret| &secret.policy) {
        None => None,
        Some(ObservedPolicy::Read(policy)) => policy.as_ref(),
        Some(ObservedPolicy::NotRead) if readers.is_empty() => return Ok(None),
        // The step itself reads the policy, once the secret is restored or has our tags.
        Some(ObservedPolicy::Unknown) if readers.is_empty() => {
            return Ok(Some(put(vec!["no readers".to_owned()])));
        }
        Some(ObservedPolicy::NotRead | ObservedPolicy::Unknown) => None,
    };
    match ResourcePolicy::with_readers(present, readers) {
        PolicyChange::Keep => Ok(None),
        PolicyChange::Delete => Ok(Some(Step::DeleteResourcePolicy { name })),
        PolicyChange::Put(policy) if policy.length() > MAX_POLICY => {
            Err(Refusal::PolicyTooLong { name, length: policy.length() })
        }
        PolicyChange::Put(_) => Ok(Some(put(ResourcePolicy::changes(present, readers)))),
    }
}

fn plan_replicas(declared: &Replicas, client: &Client, secret: Option<&ObservedSecret>, steps: &mut SharingSteps) {
    let name = client.secret_name.clone();
    let (mut replicas, mut renewed, mut regions) = (Replicas::new(), BTreeSet::new(), BTreeSet::new());
    for (region, key) in declared {
        let present = secret.and_then(|secret| secret.replicas.get(region));
        let has_other_key = present.is_some_and(|present| !present.has_key(key.as_deref()));
        if has_other_key {
            renewed.insert(region.clone());
        }
        match present.map(|present| &present.status).filter(|_| !has_other_key) {
            Some(ReplicaStatus::InSync) => {}
            // An earlier run made it and did not see the end.
            Some(ReplicaStatus::InProgress) => drop(regions.insert(region.clone())),
            Some(ReplicaStatus::Failed(_)) | None => {
                replicas.insert(region.clone(), key.clone());
                regions.insert(region.clone());
            }
        }
    }
    if !replicas.is_empty() {
        steps.replicate.push(Step::ReplicateSecretToRegions { name: name.clone(), replicas, renewed });
    }
    if !regions.is_empty() {
        steps.wait.push(Step::AwaitReplicas { name: name.clone(), regions });
    }
    let undeclared = secret.into_iter().flat_map(|secret| secret.replicas.keys());
    let regions: BTreeSet<Region> = undeclared.filter(|region| !declared.contains_key(*region)).cloned().collect();
    if !regions.is_empty() {
        steps.remove.push(Step::RemoveRegionsFromReplication { name, regions });
    }
}
