//! What AWS holds now, as far as it bears on one resource. No secret values.

use std::collections::BTreeMap;

use super::{
    ClientId, ClientName, Domain, Owner, PoolId, ResourceServer, Rotation, SecretName, Tags, UserPool,
    desired::SecretMetadata,
};

/// One reading of the account, for a Create or an Update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The resource's pool, with all that is in it.
    pub pool: Option<ObservedPool>,
    /// Other pools with the same ownership mark: a lost answer or a second delivery made them.
    pub surplus_pools: Vec<PoolId>,
    /// The pool that holds the desired prefix, where that is none of ours.
    pub prefix_taken_by: Option<String>,
    /// Secrets under the desired names, whoever owns them, and all others that are ours.
    pub secrets: BTreeMap<SecretName, ObservedSecret>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPool {
    pub id: PoolId,
    pub arn: String,
    pub state: UserPool,
    /// Whether the settings that the template does not name are still strictly machine-to-machine.
    pub m2m_only: bool,
    /// The prefix domain, unless it is being deleted.
    pub domain: Option<Domain>,
    pub resource_servers: Vec<ResourceServer>,
    pub clients: Vec<ObservedClient>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedClient {
    pub id: ClientId,
    pub name: ClientName,
    pub scopes: Vec<String>,
    pub access_token_validity_minutes: u32,
    /// As for the pool.
    pub m2m_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSecret {
    pub arn: String,
    pub ownership: Ownership,
    /// Scheduled for deletion: it keeps its name and can be restored.
    pub scheduled: bool,
    pub tags: Tags,
    pub kms_key_id: Option<String>,
    pub description: String,
    pub rotation: Option<Rotation>,
    /// What AWSCURRENT says; `None` where there is nothing readable.
    pub document: Option<ObservedDocument>,
}

/// A secret's value without its client secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedDocument {
    pub client_id: ClientId,
    pub metadata: SecretMetadata,
}

/// What may be done with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    Ours,
    /// Scheduled for deletion by a former resource of this kind: the same stack, deleted and
    /// deployed again, has a new id. It may be restored and made ours.
    Reclaimable,
    NotOwned,
}

impl Ownership {
    #[must_use]
    pub fn of(tags: &Tags, scheduled: bool, owner: &Owner) -> Self {
        if owner.owns(tags) {
            Self::Ours
        } else if scheduled && Owner::made_by_this_program(tags) {
            Self::Reclaimable
        } else {
            Self::NotOwned
        }
    }
}

impl Observed {
    /// The client that a name stands for: the one that the name's own secret speaks of, else the
    /// one that any secret of ours speaks of, else the first by id.
    ///
    /// Two deliveries of one event may both create a client of the same name. Only one of them
    /// can write a secret's first version, so the secret decides which client stays.
    #[must_use]
    pub fn client(&self, name: &ClientName, secret_name: &SecretName) -> Option<&ObservedClient> {
        let candidates = || self.pool.iter().flat_map(|pool| &pool.clients).filter(|client| client.name == *name);
        let named_by = |secret: &ObservedSecret| {
            let document = secret.document.as_ref().filter(|_| secret.ownership == Ownership::Ours)?;
            candidates().find(|client| client.id == document.client_id)
        };
        self.secrets
            .get(secret_name)
            .and_then(named_by)
            .or_else(|| self.secrets.values().find_map(named_by))
            .or_else(|| candidates().min_by(|a, b| a.id.cmp(&b.id)))
    }
}

/// What a Delete finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteObservation {
    pub pools: Vec<RemainingPool>,
    /// Ours and not yet scheduled for deletion.
    pub secrets: Vec<SecretName>,
    /// The note for a running Create, where it is not yet scheduled for deletion. It is not deleted
    /// at once in any case, for it is still to be read.
    pub note: Option<SecretName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemainingPool {
    pub id: PoolId,
    pub domain: Option<String>,
    pub deletion_protection: bool,
}
