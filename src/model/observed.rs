//! What AWS holds for one resource. Contains no secret values.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Applied, AuthFlow, Client, ClientId, ClientName, CustomDomain, Domain, Mark, Ownership, PoolId, Region,
    ResourcePolicy, ResourceServer, Rotation, SecretId, Tags, UserPool, UserPoolClient, adoption::NotAdoptable,
    desired::SecretMetadata, sharing::ObservedReplica,
};

/// One reading of the account for a Create or an Update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The pool, and what the resource owns in it.
    pub pool: Option<ObservedPool>,
    /// Other pools with the same ownership tags. A lost answer or a second delivery created them.
    pub surplus_pools: Vec<PoolId>,
    /// The pool that holds the desired prefix, if it is not ours.
    pub prefix_taken_by: Option<String>,
    /// The pool that holds the desired custom domain, if it is not ours.
    pub custom_domain_taken_by: Option<String>,
    /// The note of a resource that has nothing to keep it on; see [`ObservedPool::applied`].
    pub note: Option<Applied>,
    /// Whether the note was written by a run that was cut off before it had scheduled the note for deletion.
    pub note_is_unfinished: bool,
    /// Why the client that is to be adopted cannot be.
    pub not_adoptable: Option<NotAdoptable>,
    /// The clients outside the resource that hold a scope which the resource is to lose. Read only if it is to lose
    /// one.
    pub scope_holders: Vec<ScopeHolder>,
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
    /// The custom domain, unless Cognito is deleting it.
    pub custom_domain: Option<ObservedCustomDomain>,
    pub resource_servers: Vec<ResourceServer>,
    /// The resource's own clients, and the one that it is to adopt.
    pub clients: Vec<ObservedClient>,
    /// What others own in the pool.
    pub foreign: Foreign,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedCustomDomain {
    pub domain: CustomDomain,
    /// The name of the CloudFront distribution that serves it, for the DNS record.
    pub target: Option<String>,
    /// Such as `ACTIVE` or `CREATING`.
    pub status: String,
}

/// What others own in a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    pub resource_servers: Vec<ResourceServer>,
    /// Clients with another resource's mark. Not read for a resource that does not own the pool.
    pub clients: Vec<ListedClient>,
}

impl Foreign {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { resource_servers, clients } = self;
        resource_servers.is_empty() && clients.is_empty()
    }
}

/// What an adopted client was before, for the time when it is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerClient {
    /// As Cognito held it.
    pub name: ClientName,
    pub scopes: Vec<String>,
    pub access_token_validity_minutes: u32,
}

/// A client, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedClient {
    pub id: ClientId,
    /// Without the mark.
    pub name: ClientName,
    pub mark: Option<Mark>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedClient {
    pub id: ClientId,
    /// Without the mark.
    pub name: ClientName,
    pub mark: Option<Mark>,
    pub scopes: Vec<String>,
    pub access_token_validity_minutes: u32,
    /// `None` if there are several, or another one.
    pub auth_flow: Option<AuthFlow>,
    /// As in [`ObservedPool`].
    pub m2m_only: bool,
}

/// A client and the scopes that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeHolder {
    pub client: ListedClient,
    pub scopes: Vec<String>,
}

impl ObservedClient {
    /// Returns what a listing shows of the client.
    #[must_use]
    pub fn listed(&self) -> ListedClient {
        ListedClient { id: self.id.clone(), name: self.name.clone(), mark: self.mark.clone() }
    }

    /// Returns the name as Cognito holds it.
    #[must_use]
    pub fn full_name(&self) -> ClientName {
        ClientName(Mark::join(self.name.as_str(), self.mark.as_ref()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSecret {
    pub arn: String,
    pub ownership: Ownership,
    /// Whether it is scheduled for deletion. Such a secret keeps its name and can be restored.
    pub scheduled: bool,
    /// Without the note among its tags.
    pub tags: Tags,
    /// What was applied to the client; see [`ObservedPool::applied`].
    pub applied: Option<Applied>,
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
    /// It was not read. The secret's tags say that it has no readers.
    NotRead,
    /// It cannot be read before the secret is restored or tagged, and may name readers.
    Unknown,
    Read(Option<ResourcePolicy>),
}

/// A secret's value without its client secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedDocument {
    pub client_id: ClientId,
    pub metadata: SecretMetadata,
}

impl Observed {
    /// Returns the declared client. Of several, it is the one that the client's secret names, else
    /// the one that any secret of ours names, else the first by id.
    ///
    /// Two deliveries of one event may both create the client. Only one of them can write the secret's first
    /// version, so the secret decides which client stays.
    #[must_use]
    pub fn client(&self, client: &Client) -> Option<&ObservedClient> {
        let candidates =
            || self.pool.iter().flat_map(|pool| &pool.clients).filter(|found| client.is_named(&found.name));
        let named_by = |secret: &ObservedSecret| {
            let document = secret.document.as_ref().filter(|_| secret.ownership == Ownership::Ours)?;
            candidates().find(|client| client.id == document.client_id)
        };
        self.secrets
            .get(&client.secret_name)
            .and_then(named_by)
            .or_else(|| self.secrets.values().find_map(named_by))
            .or_else(|| candidates().min_by(|a, b| a.id.cmp(&b.id)))
    }
}

/// What a Delete finds in the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteObservation {
    pub pools: Vec<RemainingPool>,
    /// The resource's clients in somebody else's pool.
    pub clients: Vec<RemainingClient>,
    /// The resource's servers in somebody else's pool.
    pub resource_servers: Vec<(PoolId, ResourceServer)>,
    /// The clients outside the resource that hold a scope of one of these servers.
    pub scope_holders: Vec<ScopeHolder>,
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
    pub custom_domain: Option<String>,
    pub deletion_protection: bool,
    /// What others have in it.
    pub foreign: Foreign,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemainingClient {
    pub pool: PoolId,
    pub id: ClientId,
    pub name: ClientName,
    /// The state that an adopted client is to have again; `None` if the resource created the client.
    pub former: Option<UserPoolClient>,
}
