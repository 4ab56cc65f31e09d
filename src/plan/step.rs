//! A plan and its steps, as data.

use std::{collections::BTreeSet, iter};

use crate::model::{
    ClientId, ClientName, PoolDomain, PoolId, Principal, Region, Replicas, ResourceServer, Rotation, SecretId, Tags,
    UserPool, UserPoolClient, observed::FormerClient,
};

/// Steps in phases. A phase begins when the one before it has ended. The tasks of one phase are independent of each
/// other and run concurrently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<S = Step> {
    pub phases: Vec<Phase<S>>,
}

pub type Phase<S = Step> = Vec<Task<S>>;

/// A step, and the steps that need no other step of the phase. They begin when it has ended, whatever the rest of the
/// phase does, and run concurrently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task<S = Step> {
    pub step: S,
    pub then: Vec<S>,
}

impl<S> From<S> for Task<S> {
    fn from(step: S) -> Self {
        Self { step, then: Vec::new() }
    }
}

/// One change. A create or an update holds the whole new state, because Cognito resets what an update
/// leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Requests a token at the custom domain, before anything changes, with what a client has now. Nobody must be sent
    /// to a host that gives no tokens.
    TryCustomDomain {
        client: ClientName,
        scopes: Vec<String>,
        /// The host name.
        domain: String,
    },

    CreateUserPool {
        pool: UserPool,
    },
    UpdateUserPool {
        pool: UserPool,
        changes: Changes,
    },

    CreateUserPoolDomain {
        domain: PoolDomain,
    },
    UpdateUserPoolDomain {
        domain: PoolDomain,
        changes: Changes,
    },
    /// Deletes the old domain, then creates the new one: a pool has one prefix domain and one custom domain. Creates
    /// the old one again if the new one fails.
    ReplaceUserPoolDomain {
        from: PoolDomain,
        to: PoolDomain,
    },

    CreateResourceServer {
        server: ResourceServer,
    },
    UpdateResourceServer {
        server: ResourceServer,
        changes: Changes,
    },

    CreateUserPoolClient {
        client: ClientName,
        state: UserPoolClient,
    },
    UpdateUserPoolClient {
        id: ClientId,
        client: ClientName,
        state: UserPoolClient,
        changes: Changes,
    },
    /// Requests a token with the secret of a client that is to be adopted, for the scopes that it has now.
    ProveSecret {
        client: ClientName,
        scopes: Vec<String>,
    },
    /// Records in the secret what an adopted client was before.
    RecordFormerClient {
        name: SecretId,
        client: ClientName,
        former: FormerClient,
    },

    CreateSecret {
        name: SecretId,
        client: ClientName,
        kms_key_id: Option<String>,
        tags: Tags,
        description: String,
    },
    /// Rotates the client's secret now, then records in the description that it was done.
    RotateSecret {
        name: SecretId,
        client: ClientName,
        description: String,
    },
    ScheduleRotation {
        name: SecretId,
        rotation: Rotation,
    },
    CancelRotation {
        name: SecretId,
    },
    UpdateSecret {
        name: SecretId,
        client: ClientName,
        update: SecretUpdate,
        changes: Changes,
    },
    /// Writes the version that [`DocumentUpdate::Release`] makes AWSCURRENT in a later phase. Nobody reads it until
    /// then.
    PrepareSecret {
        name: SecretId,
        client: ClientName,
    },
    /// Makes the statement of ours in the secret's resource policy name these readers. The other statements stay.
    PutResourcePolicy {
        name: SecretId,
        readers: BTreeSet<Principal>,
        changes: Changes,
    },
    /// Deletes the secret's resource policy, whose only statement is ours.
    DeleteResourcePolicy {
        name: SecretId,
    },
    /// Makes replicas. First removes those in the regions of `renewed`, because the key of a replica cannot change.
    ReplicateSecretToRegions {
        name: SecretId,
        replicas: Replicas,
        renewed: BTreeSet<Region>,
    },
    /// Waits until the replicas in these regions are in sync.
    AwaitReplicas {
        name: SecretId,
        regions: BTreeSet<Region>,
    },
    RemoveRegionsFromReplication {
        name: SecretId,
        regions: BTreeSet<Region>,
    },
    /// Requests one token and checks it. Cognito bills each token.
    VerifyToken {
        client: ClientName,
    },

    Delete(Deletion),
}

/// The deletions that both a Delete and an Update make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Removes the replicas first: AWS deletes no secret that has one.
    Secret {
        name: SecretId,
        recovery_window_in_days: u8,
        replicas: BTreeSet<Region>,
    },
    UserPoolClient {
        pool: PoolId,
        id: ClientId,
        name: ClientName,
    },
    /// Gives an adopted client its former name back, instead of deleting it.
    ReleaseUserPoolClient {
        pool: PoolId,
        id: ClientId,
        state: UserPoolClient,
    },
    ResourceServer {
        pool: PoolId,
        identifier: String,
    },
    UserPoolDomain {
        pool: PoolId,
        /// The prefix, or the host name of a custom domain.
        domain: String,
    },
    UserPool {
        id: PoolId,
    },
}

/// What a step does to the thing it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Update,
    Delete,
    /// Writes nothing.
    Verify,
}

/// Changes to a secret, in the order they are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretUpdate {
    pub restore: bool,
    /// Before `tag`, because AWS limits the number of tags.
    pub untag: Vec<String>,
    pub tag: Tags,
    pub kms_key_id: Option<String>,
    pub description: Option<String>,
    pub document: DocumentUpdate,
}

/// What becomes of AWSCURRENT. `apply` makes the document: only it knows the client's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DocumentUpdate {
    #[default]
    Keep,
    /// A new version is written.
    Write,
    /// The version becomes AWSCURRENT that [`Step::PrepareSecret`] has written.
    Release,
}

/// What an update changes, in words for people.
pub type Changes = Vec<String>;

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
            | Self::RecordFormerClient { .. }
            | Self::UpdateSecret { .. }
            | Self::PrepareSecret { .. }
            | Self::RotateSecret { .. }
            | Self::ScheduleRotation { .. }
            | Self::CancelRotation { .. }
            | Self::PutResourcePolicy { .. }
            | Self::DeleteResourcePolicy { .. }
            | Self::ReplicateSecretToRegions { .. } => Action::Update,
            Self::RemoveRegionsFromReplication { .. } | Self::Delete(_) => Action::Delete,
            Self::TryCustomDomain { .. }
            | Self::ProveSecret { .. }
            | Self::VerifyToken { .. }
            | Self::AwaitReplicas { .. } => Action::Verify,
        }
    }
}

impl Plan {
    /// Tells whether the plan changes anything.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.steps().any(|step| step.action() != Action::Verify)
    }
}

impl<S> Default for Plan<S> {
    fn default() -> Self {
        Self { phases: Vec::new() }
    }
}

impl<S> Plan<S> {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.phases.is_empty()
    }

    pub fn steps(&self) -> impl Iterator<Item = &S> {
        self.phases.iter().flatten().flat_map(|Task { step, then }| iter::once(step).chain(then))
    }

    pub(super) fn steps_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.phases.iter_mut().flatten().flat_map(|Task { step, then }| iter::once(step).chain(then))
    }

    /// Drops empty phases.
    pub(super) fn of(phases: impl IntoIterator<Item = Phase<S>>) -> Self {
        Self { phases: phases.into_iter().filter(|phase| !phase.is_empty()).collect() }
    }
}

/// Makes a phase of steps that nothing follows.
pub(super) fn phase<S>(steps: impl IntoIterator<Item = S>) -> Phase<S> {
    steps.into_iter().map(Task::from).collect()
}
