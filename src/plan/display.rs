//! Prints plans for logs and for `m2mctl plan`.

use std::{collections::BTreeSet, fmt};

use super::{Deletion, Plan, Step};
use crate::model::{CustomDomain, Domain, PoolDomain, Region};

impl<S: fmt::Display> fmt::Display for Plan<S> {
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
    #[expect(clippy::too_many_lines, reason = "one arm for each step")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TryCustomDomain { client, scopes: _, domain } => {
                write!(f, "VerifyToken {client}: at {domain}, before anything changes")
            }
            Self::CreateUserPool { pool } => write!(f, "CreateUserPool {}", pool.name),
            Self::UpdateUserPool { pool, changes } => write!(f, "UpdateUserPool {}: {}", pool.name, changes.join(", ")),
            Self::CreateUserPoolDomain { domain } => {
                write!(f, "CreateUserPoolDomain {} ({})", domain.name(), settings(domain))
            }
            Self::UpdateUserPoolDomain { domain, changes } => {
                write!(f, "UpdateUserPoolDomain {}: {}", domain.name(), changes.join(", "))
            }
            Self::ReplaceUserPoolDomain { from, to } => {
                let (old, new) = (from.name(), to.name());
                write!(f, "DeleteUserPoolDomain {old}, then CreateUserPoolDomain {new} ({})", settings(to))
            }
            Self::CreateResourceServer { server } => {
                let scopes: Vec<_> = server.scopes.iter().map(|scope| scope.name.as_str()).collect();
                write!(f, "CreateResourceServer {}: {}", server.identifier, scopes.join(" "))
            }
            Self::UpdateResourceServer { server, changes } => {
                write!(f, "UpdateResourceServer {}: {}", server.identifier, changes.join(", "))
            }
            Self::CreateUserPoolClient { client, state } => {
                write!(
                    f,
                    "CreateUserPoolClient {client}: {} ({} minutes)",
                    state.scopes.join(" "),
                    state.access_token_validity_minutes
                )
            }
            Self::UpdateUserPoolClient { id: _, client, state: _, changes } => {
                write!(f, "UpdateUserPoolClient {client}: {}", changes.join(", "))
            }
            Self::ProveSecret { client, scopes: _ } => write!(f, "VerifyToken {client}: with its present secret"),
            Self::RecordFormerClient { name, client: _, former } => {
                write!(f, "PutSecretValue {name}: record of the client's former name {}", former.name)
            }
            Self::CreateSecret { name, .. } => write!(f, "CreateSecret {name}"),
            Self::UpdateSecret { name, client: _, update: _, changes } => {
                write!(f, "UpdateSecret {name}: {}", changes.join(", "))
            }
            Self::PrepareSecret { name, client: _ } => {
                write!(f, "PutSecretValue {name}: the next version, which nobody reads yet")
            }
            Self::RotateSecret { name, .. } => write!(f, "RotateSecret {name}: now"),
            Self::ScheduleRotation { name, rotation } => write!(f, "RotateSecret {name}: every {} days", rotation.days),
            Self::CancelRotation { name } => write!(f, "CancelRotateSecret {name}"),
            Self::PutResourcePolicy { name, readers: _, changes } => {
                write!(f, "PutResourcePolicy {name}: {}", changes.join(", "))
            }
            Self::DeleteResourcePolicy { name } => write!(f, "DeleteResourcePolicy {name}"),
            Self::ReplicateSecretToRegions { name, replicas, renewed } => {
                let replica = |region: &Region| {
                    let note = if renewed.contains(region) { " (removed and made again)" } else { "" };
                    format!("{region}{note}")
                };
                let list: Vec<_> = replicas.keys().map(replica).collect();
                write!(f, "ReplicateSecretToRegions {name}: {}", list.join(", "))
            }
            Self::AwaitReplicas { name, regions } => write!(f, "AwaitReplicas {name}: {}", listed(regions)),
            Self::RemoveRegionsFromReplication { name, regions } => {
                write!(f, "RemoveRegionsFromReplication {name}: {}", listed(regions))
            }
            Self::VerifyToken { client } => write!(f, "VerifyToken {client}"),
            Self::Delete(deletion) => write!(f, "{deletion}"),
        }
    }
}

impl fmt::Display for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { name, recovery_window_in_days, replicas } => {
                if !replicas.is_empty() {
                    write!(f, "RemoveRegionsFromReplication {name}: {}, then ", listed(replicas))?;
                }
                match recovery_window_in_days {
                    0 => write!(f, "DeleteSecret {name} (at once)"),
                    days => write!(f, "DeleteSecret {name} (recoverable for {days} days)"),
                }
            }
            Self::UserPoolClient { pool: _, id, name } => write!(f, "DeleteUserPoolClient {name} ({id})"),
            Self::ReleaseUserPoolClient { pool: _, id, state } => {
                write!(f, "UpdateUserPoolClient {id}: back to the name {}", state.name)
            }
            Self::ResourceServer { pool: _, identifier } => write!(f, "DeleteResourceServer {identifier}"),
            Self::UserPoolDomain { pool: _, domain } => write!(f, "DeleteUserPoolDomain {domain}"),
            Self::UserPool { id } => write!(f, "DeleteUserPool {id}"),
        }
    }
}

fn settings(domain: &PoolDomain) -> String {
    match domain {
        PoolDomain::Prefix(Domain { prefix: _, managed_login_version }) => {
            format!("managed login version {managed_login_version}")
        }
        PoolDomain::Custom(CustomDomain { name: _, managed_login_version, certificate_arn, security_policy }) => {
            let policy = security_policy.as_ref().map(|policy| format!(", {policy}")).unwrap_or_default();
            format!("managed login version {managed_login_version}, {certificate_arn}{policy}")
        }
    }
}

fn listed(regions: &BTreeSet<Region>) -> String {
    regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ")
}
