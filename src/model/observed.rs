//! What AWS holds for one resource. Contains no secret values.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Applied, ClientId, ClientName, Domain, Ownership, PoolId, Region, ResourcePolicy, ResourceServer, Rotation,
    SecretId, Tags, UserPool, desired::SecretMetadata, sharing::ObservedReplica,
};

/// One reading of the account for a Create or an Update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The resource's pool and everything in it.
    pub pool: Option<ObservedPool>,
    /// Other pools with the same ownership tags. A lost answer or a second delivery created them.
    pub surplus_pools: Vec<PoolId>,
    /// The pool that holds the desired prefix, if it is not ours.
    pub prefix_taken_by: Option<String>,
    /// The secrets with the desired names, whoever owns them, and all others that are ours.
    pub secrets: BTreeMap<SecretId, ObservedSecret>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPool {
    pub id: PoolId,
    pub arn: String,
    /// Without the note among its tags.
    pub state: UserPool,
    /// What was applied to it; `None` if an older version made it.
    pub applied: Option<Applied>,
    /// Whether the settings that the template does not name are still machine-to-machine only.
    pub m2m_only: bool,
    /// Since the Unix epoch.
    pub created: Duration,
    /// The prefix domain, unless Cognito is deleting it.
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
    /// As in [`ObservedPool`].
    pub m2m_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSecret {
    pub arn: String,
    pub ownership: Ownership,
    /// Whether it is scheduled for deletion. Such a secret keeps its name and can be restored.
    pub scheduled: bool,
    pub tags: Tags,
    pub kms_key_id: Option<String>,
    /// Whether a change of key was cut off, so that versions may still be under the old one.
    pub key_change_unfinished: bool,
    pub description: String,
    pub rotation: Option<Rotation>,
    pub policy: ObservedPolicy,
    pub replicas: BTreeMap<Region, ObservedReplica>,
    /// The document of AWSCURRENT; `None` if there is none that can be read.
    pub document: Option<ObservedDocument>,
}

/// The resource policy of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObservedPolicy {
    /// It was not read: no readers are declared, or the secret must be restored or tagged first.
    NotRead,
    Read(Option<ResourcePolicy>),
}

/// A secret's value without its client secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedDocument {
    pub client_id: ClientId,
    pub metadata: SecretMetadata,
}

impl Observed {
    /// Returns the client with a name. Of several, it is the one that the client's secret names, else
    /// the one that any secret of ours names, else the first by id.
    ///
    /// Two deliveries of one event may both create a client of the same name. Only one of them can
    /// write the secret's first version, so the secret decides which client stays.
    #[must_use]
    pub fn client(&self, name: &ClientName, secret_name: &SecretId) -> Option<&ObservedClient> {
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

/// What a Delete finds in the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteObservation {
    pub pools: Vec<RemainingPool>,
    /// Our secrets that are not yet scheduled for deletion, with the regions of their replicas.
    pub secrets: BTreeMap<SecretId, BTreeSet<Region>>,
    /// The note for a running Create, if it is not yet scheduled for deletion. It keeps a recovery
    /// window, because the Create must still read it.
    pub note: Option<SecretId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemainingPool {
    pub id: PoolId,
    pub domain: Option<String>,
    pub deletion_protection: bool,
}
