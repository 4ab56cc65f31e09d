//! Why there is no plan.

use std::fmt;

use crate::model::{
    ClientId, Mark, PoolId, SecretId, adoption::NotAdoptable, ownership::SHARED_WITH_TAG, sharing::MAX_POLICY,
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
        "The custom domain {domain} already belongs to user pool {pool}, which this resource does not own. Nothing was \
         changed. Remove it there first, or choose another DomainName"
    )]
    CustomDomainTaken { domain: String, pool: String },
    #[error(
        "Clients cannot use the custom domain {domain} yet: {reason}. Nothing was changed. First deploy CustomDomain with \
         TokenEndpointDomain PREFIX, add the DNS record, and wait until the domain gives tokens. Then deploy CUSTOM"
    )]
    CustomDomainNotReady { domain: String, reason: String },
    #[error(
        "The secret {name} already exists and belongs to another owner{}. Nothing was changed. \
         Choose another {property}, or delete the secret if nobody needs it", scheduled_note(*scheduled)
    )]
    SecretTaken { name: SecretId, scheduled: bool, property: &'static str },
    #[error(
        "The resource server {identifier} already exists in user pool {pool} and belongs to another owner. Nothing was \
         changed. Choose another Identifier, or let its owner delete it"
    )]
    ServerTaken { identifier: String, pool: PoolId },
    #[error(
        "User pool {pool} is not shared with stack {stack}: {}. Nothing was changed. The owner of the pool must add a \
         prefix of the stack's name to the tag {SHARED_WITH_TAG} (SharedWithStacks of Custom::CognitoM2M)",
        shared_with(tag.as_deref())
    )]
    NotShared { pool: PoolId, stack: String, tag: Option<String> },
    #[error(
        "User pool {pool} has no scope {}. Nothing was changed. Correct AllowedOAuthScopes, or deploy the resource server \
         that declares the scope first", scopes.join(", ")
    )]
    UnknownScopes { pool: PoolId, scopes: Vec<String> },
    #[error(
        "Cannot remove {}: still in use by {}. Nothing was changed. A scope can be removed when no other client has it: \
         take it out of their AllowedOAuthScopes first",
        scopes.join(", "), list(clients)
    )]
    ScopesInUse { scopes: Vec<String>, clients: Vec<Member> },
    #[error(
        "User pool {pool} contains what other stacks have added: {}. Nothing was changed. {action} would break it: \
         delete those resources first",
        list(members)
    )]
    PoolInUse { pool: PoolId, action: &'static str, members: Vec<Member> },
    #[error("Client {client} cannot be adopted: {rule}. Nothing was changed. {}", rule.advice())]
    NotAdoptable { client: ClientId, rule: NotAdoptable },
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

/// What changing the domain of a shared pool is called in [`Refusal::PoolInUse`].
pub const CHANGING_THE_DOMAIN: &str = "A change of the domain";
/// What a switch between the domain and the API is called in [`Refusal::PoolInUse`].
pub const CHANGING_THE_TOKEN_SERVICE: &str = "A change of TokenService";
/// What deleting a shared pool is called in [`Refusal::PoolInUse`].
pub const DELETING_THE_POOL: &str = "Deleting the pool";

/// A client or a resource server that somebody else has in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Such as `client orders (1example23456789)`.
    pub what: String,
    pub mark: Option<Mark>,
    /// The stack that the mark stands for, if it is known.
    pub stack: Option<String>,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, mark: _, stack } = self;
        match stack {
            Some(stack) => write!(f, "{what} of stack {stack}"),
            None => f.write_str(what),
        }
    }
}

impl Refusal {
    /// Returns the members that the refusal names, so that their stacks can be filled in.
    pub fn members_mut(&mut self) -> &mut [Member] {
        match self {
            Self::ScopesInUse { clients: members, .. } | Self::PoolInUse { members, .. } => members,
            _ => &mut [],
        }
    }
}

/// A message names this many members. CloudFormation takes 4,096 bytes.
const MAX_NAMED: usize = 10;

fn list(members: &[Member]) -> String {
    let named: Vec<_> = members.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    match members.len().saturating_sub(MAX_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn scheduled_note(scheduled: bool) -> &'static str {
    if scheduled { " (it is scheduled for deletion and keeps its name until then)" } else { "" }
}

fn shared_with(tag: Option<&str>) -> String {
    match tag {
        Some(value) => format!("its tag {SHARED_WITH_TAG} names only {value}"),
        None => format!("it does not have the tag {SHARED_WITH_TAG}"),
    }
}
