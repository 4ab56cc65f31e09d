//! What a template declares, parsed and valid. [`properties`](crate::properties) makes it.

use std::{collections::BTreeSet, fmt};

use super::{
    ClientName, Endpoints, Owner, PoolId, Principal, Replicas, SecretId, Tags,
    ownership::MAX_TAGS,
    sharing::{READERS_TAG, READERS_TAG_VALUE},
};

/// Cognito's quota of resource servers in a user pool.
pub const MAX_SERVERS: usize = 25;
/// Cognito's quota of scopes in a resource server.
pub const MAX_SCOPES_PER_SERVER: usize = 100;

/// The whole stack that one `Custom::CognitoM2M` resource declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    pub owner: Owner,
    pub endpoints: Endpoints,
    pub pool: UserPool,
    pub domain: Domain,
    /// In the template's order; identifiers are unique.
    pub resource_servers: Vec<ResourceServer>,
    /// In the template's order; names are unique.
    pub clients: Vec<Client>,
    /// The key of every client's secret; `None` for the AWS managed key.
    pub secret_kms_key_id: Option<String>,
    /// 0 deletes a secret at once.
    pub secret_recovery_window_in_days: u8,
    /// How Secrets Manager rotates every client's secret; `None` if it does not.
    pub rotation: Option<Rotation>,
    /// The replicas of every client's secret.
    pub secret_replicas: Replicas,
    /// Any text; see [`RotationRecord`](super::RotationRecord).
    pub rotate_secrets: String,
    pub verify_token: bool,
}

/// A rotation schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub function_arn: String,
    /// 1 to 1,000.
    pub days: u32,
}

/// The function's own settings, which the properties do not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    pub endpoints: Endpoints,
    /// The rotation function's ARN, from the environment variable `ROTATION_FUNCTION_ARN`.
    pub rotation_function: Option<String>,
}

/// The pool's whole state. Every create and update sends all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPool {
    pub name: String,
    pub tier: Tier,
    pub deletion_protection: bool,
    /// Ours and the user's.
    pub tags: Tags,
}

/// <https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-sign-in-feature-plans.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Lite,
    Essentials,
    Plus,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Lite, Self::Essentials, Self::Plus];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lite => "LITE",
            Self::Essentials => "ESSENTIALS",
            Self::Plus => "PLUS",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A prefix domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    pub prefix: String,
    pub managed_login_version: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceServer {
    pub identifier: String,
    pub name: String,
    pub scopes: Vec<Scope>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub name: String,
    pub description: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub name: ClientName,
    /// `identifier/scope`, in the template's order.
    pub scopes: Vec<String>,
    pub access_token_validity_minutes: u32,
    pub secret_name: SecretId,
    /// Who may read the secret by its resource policy.
    pub secret_readers: BTreeSet<Principal>,
}

/// The keys of a client's secret other than its id and its client secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMetadata {
    pub token_endpoint: String,
    pub scope: String,
    pub issuer: String,
    pub jwks_uri: String,
    pub user_pool_id: PoolId,
    pub client_name: ClientName,
}

impl Desired {
    /// Returns every declared scope as `identifier/scope`, in the template's order.
    pub fn scopes(&self) -> impl Iterator<Item = String> + '_ {
        declared_scopes(&self.resource_servers)
    }

    /// Returns the names of all clients' secrets.
    #[must_use]
    pub fn secret_names(&self) -> BTreeSet<SecretId> {
        self.clients.iter().map(|client| client.secret_name.clone()).collect()
    }

    /// Returns the tags of a client's secret: a secret with readers has a mark that says so, if there is room.
    #[must_use]
    pub fn secret_tags(&self, client: &Client) -> Tags {
        let mut tags = self.pool.tags.clone();
        if !client.secret_readers.is_empty() && tags.len() < MAX_TAGS {
            tags.insert(READERS_TAG.to_owned(), READERS_TAG_VALUE.to_owned());
        }
        tags
    }

    /// Returns what the client's secret should contain, once the pool is known.
    #[must_use]
    pub fn secret_metadata(&self, client: &Client, pool: &PoolId) -> SecretMetadata {
        SecretMetadata {
            token_endpoint: self.endpoints.token_endpoint(&self.domain),
            scope: client.scopes.join(" "),
            issuer: self.endpoints.issuer(pool),
            jwks_uri: self.endpoints.jwks_uri(pool),
            user_pool_id: pool.clone(),
            client_name: client.name.clone(),
        }
    }
}

/// Returns every scope of the servers as `identifier/scope`, in their order.
pub(crate) fn declared_scopes(servers: &[ResourceServer]) -> impl Iterator<Item = String> + '_ {
    servers.iter().flat_map(|server| server.scopes.iter().map(|scope| format!("{}/{}", server.identifier, scope.name)))
}
