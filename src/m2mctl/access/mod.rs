//! `m2mctl access`: who may call what in a user pool.
//!
//! `print` has the formats.

mod print;

use std::collections::BTreeSet;

use super::{
    args::{AccessArgs, AccessFormat, Format},
    context::Context,
    error::Error,
    live_pool::{LivePool, Owners},
    output::Outcome,
};
use crate::{
    model::{ClientId, Mark, Owner, PoolId, ResourceServer, ownership::SHARED_WITH_TAG},
    ports::{Account, AwsError, ClientDescription, Services},
    reconcile::Progress,
};

/// Who may call what in a pool.
pub struct Access {
    pub pool: PoolId,
    pub pool_name: String,
    /// The prefixes of the names of stacks that may add to it.
    pub shared_with: Vec<String>,
    /// Everything that a client can have, by group. Only the last group may have scopes that are gone.
    pub groups: Vec<Group>,
    /// By name.
    pub clients: Vec<Caller>,
    /// Why the stacks that own clients and servers are not known.
    pub unknown_owners: Option<AwsError>,
}

/// Scopes that belong together.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    pub kind: GroupKind,
    pub scopes: Vec<Scope>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// The scopes of a resource server.
    Server { identifier: String, name: String, holder: Holder },
    /// Cognito's own, such as `openid`.
    Cognito,
    /// Scopes that clients have and no resource server has any more. Cognito leaves them out of every token.
    Gone,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Scope {
    /// As a client has it, such as `orders/read`.
    pub name: String,
    /// Whether no client has it.
    pub unused: bool,
}

/// An app client.
#[derive(Debug, PartialEq, Eq)]
pub struct Caller {
    pub id: ClientId,
    /// Without the mark.
    pub name: String,
    pub holder: Holder,
    /// Its OAuth flows. A client without any gets no token with a scope.
    pub flows: Vec<String>,
    pub scopes: BTreeSet<String>,
}

/// Who owns a client or a resource server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The owner of the pool. It has no mark.
    Pool(Option<Owner>),
    Stack {
        owner: Owner,
        adopted: bool,
    },
    /// No secret's tags name the owner of this mark.
    Unknown(Mark),
}

/// The scopes of Cognito itself.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-define-resource-servers.html>
const COGNITOS_SCOPES: [&str; 5] = ["aws.cognito.signin.user.admin", "email", "openid", "phone", "profile"];

pub(super) async fn run<S: Services, A: Account>(
    arguments: &AccessArgs,
    format: Format,
    context: &Context<S, A>,
) -> Result<Outcome, Error> {
    let access = compute(context, &arguments.user_pool_id).await?;
    let format = arguments.format.unwrap_or(match format {
        Format::Text => AccessFormat::Text,
        Format::Json => AccessFormat::Json,
    });
    Ok(match format {
        AccessFormat::Text => Outcome { text: print::text(&access), exit_code: 0 },
        AccessFormat::Csv => Outcome { text: print::csv(&access), exit_code: 0 },
        AccessFormat::Json => Outcome::json(&print::json(&access), 0),
        AccessFormat::Mermaid => Outcome { text: print::mermaid(&access), exit_code: 0 },
    })
}

/// Reads a pool. Changes nothing.
///
/// # Errors
/// The pool does not exist or cannot be read.
pub async fn compute<S: Services, A: Account>(context: &Context<S, A>, pool: &PoolId) -> Result<Access, Error> {
    let progress = Progress::default();
    let LivePool { pool, resource_servers, clients, owners } =
        LivePool::read(&context.aws(&progress), pool, context).await?;
    let tags = pool.state.tags;
    let pool_owner = Owner::of(&tags);
    let holder = |mark: Option<&Mark>| holder(mark, pool_owner.as_ref(), &owners);
    let clients: Vec<_> = clients
        .into_iter()
        .map(|ClientDescription { observed, secret: _, settings }| Caller {
            holder: holder(observed.mark.as_ref()),
            id: observed.id,
            name: observed.name.0,
            flows: settings.oauth_flows,
            scopes: observed.scopes.into_iter().collect(),
        })
        .collect();
    let shared_with = tags.get(SHARED_WITH_TAG).map(String::as_str).unwrap_or_default();
    Ok(Access {
        pool: pool.id,
        pool_name: pool.state.name,
        shared_with: shared_with.split_whitespace().map(ToOwned::to_owned).collect(),
        groups: groups(resource_servers, &clients, holder),
        clients,
        unknown_owners: owners.unknown,
    })
}

fn holder(mark: Option<&Mark>, pool_owner: Option<&Owner>, owners: &Owners) -> Holder {
    let Some(mark) = mark else { return Holder::Pool(pool_owner.cloned()) };
    match owners.find(mark) {
        Some((owner, adopted)) => Holder::Stack { owner: owner.clone(), adopted },
        None => Holder::Unknown(mark.clone()),
    }
}

/// Sorts the scopes of the servers and of the clients into groups. A group without a scope is left out, unless it is a
/// server's.
fn groups(servers: Vec<ResourceServer>, clients: &[Caller], holder: impl Fn(Option<&Mark>) -> Holder) -> Vec<Group> {
    let held: BTreeSet<&String> = clients.iter().flat_map(|client| &client.scopes).collect();
    let scope = |name: String| Scope { unused: !held.contains(&name), name };
    let mut groups = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for server in servers {
        known.extend(server.full_scopes());
        let scopes = server.full_scopes().map(scope).collect();
        let ResourceServer { identifier, name, mark, scopes: _ } = server;
        groups.push(Group { kind: GroupKind::Server { identifier, name, holder: holder(mark.as_ref()) }, scopes });
    }
    let (own, gone): (Vec<_>, Vec<_>) = held
        .iter()
        .filter(|name| !known.contains(**name))
        .map(|name| scope((*name).clone()))
        .partition(|scope| COGNITOS_SCOPES.contains(&&*scope.name));
    let others = [(GroupKind::Cognito, own), (GroupKind::Gone, gone)];
    groups.extend(
        others.into_iter().filter(|(_, scopes)| !scopes.is_empty()).map(|(kind, scopes)| Group { kind, scopes }),
    );
    groups
}

impl Access {
    /// Returns every scope with its group.
    fn scopes(&self) -> impl Iterator<Item = (&Scope, &GroupKind)> {
        self.groups.iter().flat_map(|group| group.scopes.iter().map(move |scope| (scope, &group.kind)))
    }

    /// Returns the names of the scopes that are gone.
    fn gone(&self) -> BTreeSet<&str> {
        self.scopes().filter(|(_, kind)| **kind == GroupKind::Gone).map(|(scope, _)| scope.name.as_str()).collect()
    }
}

impl Caller {
    /// Tells what the client can do with a scope.
    fn grant(&self, scope: &Scope, kind: &GroupKind) -> Grant {
        if !self.scopes.contains(&scope.name) {
            Grant::None
        } else if *kind == GroupKind::Gone {
            Grant::Gone
        } else if self.flows.is_empty() {
            Grant::NoFlow
        } else {
            Grant::Allowed
        }
    }
}

/// What a client can do with a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    None,
    Allowed,
    /// The client has the scope, but no resource server has it.
    Gone,
    /// The client has the scope, but no OAuth flow to get a token with.
    NoFlow,
}
