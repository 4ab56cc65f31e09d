//! What a template declares, parsed and valid. [`properties`](crate::properties) makes it.

use std::{collections::BTreeSet, fmt};

use super::{
    ClientId, ClientName, Endpoints, Mark, Owner, PoolId, Principal, Replicas, SecretId, Tags,
    observed::{ObservedClient, ObservedPool},
    ownership::MAX_TAGS,
    sharing::{READERS_TAG, READERS_TAG_VALUE},
};

/// Cognito's quota of resource servers in a user pool.
pub const MAX_SERVERS: usize = 25;
/// Cognito's quota of scopes in a resource server.
pub const MAX_SCOPES_PER_SERVER: usize = 100;

/// What one resource declares: a whole pool, or one client or one resource server in somebody else's pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    pub owner: Owner,
    pub endpoints: Endpoints,
    pub pool: DesiredPool,
    /// In the template's order; identifiers are unique.
    pub resource_servers: Vec<ResourceServer>,
    /// In the template's order; names are unique.
    pub clients: Vec<Client>,
    /// The tags of every client's secret: ours and the user's.
    pub secret_tags: Tags,
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
    pub token_endpoint_domain: TokenEndpointDomain,
}

/// Which of the pool's domains the clients use, if it has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenEndpointDomain {
    Prefix,
    Custom,
}

impl TokenEndpointDomain {
    pub const ALL: [Self; 2] = [Self::Prefix, Self::Custom];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "PREFIX",
            Self::Custom => "CUSTOM",
        }
    }
}

/// Which pool a resource is about, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesiredPool {
    /// The resource's own pool. Everything in it belongs to the resource, except what has another resource's mark.
    Own(OwnPool),
    /// Somebody else's pool. Only what has the resource's mark belongs to the resource.
    Shared(PoolId),
}

/// A pool that the resource declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPool {
    pub state: UserPool,
    /// The prefix domain; `None` if clients get their tokens by API.
    pub domain: Option<Domain>,
    /// The custom domain beside the prefix domain.
    pub custom_domain: Option<CustomDomain>,
}

/// Where clients get their tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The OAuth 2.0 token endpoint of the pool's prefix domain.
    PrefixDomain(Domain),
    /// The OAuth 2.0 token endpoint of the pool's custom domain.
    CustomDomain {
        /// Its host name.
        name: String,
        /// The prefix domain, if the pool has one.
        prefix: Option<Domain>,
    },
    /// The operation GetClientToken. The pool needs no domain.
    Api,
}

impl TokenSource {
    /// Returns how clients ask for a token there.
    #[must_use]
    pub fn service(&self) -> TokenService {
        match self {
            Self::PrefixDomain(_) | Self::CustomDomain { .. } => TokenService::OAuth2,
            Self::Api => TokenService::GetClientToken,
        }
    }

    /// Returns where a token is requested to verify it: at the prefix domain, if there is one. A custom domain works
    /// only once the owner of its DNS zone has added a record, so it proves nothing about a client.
    #[must_use]
    pub fn to_verify_at(&self) -> Self {
        match self {
            Self::CustomDomain { prefix: Some(prefix), .. } => Self::PrefixDomain(prefix.clone()),
            source => source.clone(),
        }
    }
}

/// How a client asks for a token: the value of the key `token_service` in its secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenService {
    /// By the client credentials grant, at the token endpoint of a domain. A secret that does not say means this.
    #[default]
    OAuth2,
    /// By an unsigned call of this operation.
    /// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GetClientToken.html>
    GetClientToken,
}

impl TokenService {
    pub const ALL: [Self; 2] = [Self::OAuth2, Self::GetClientToken];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::GetClientToken => "GetClientToken",
        }
    }
}

impl fmt::Display for TokenService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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

/// A domain under a name of the user's own. CloudFront serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomDomain {
    /// The host name.
    pub name: String,
    pub managed_login_version: u8,
    pub certificate_arn: String,
    /// What CloudFront accepts of its clients' TLS. A declared domain always has one; Cognito may not show one.
    pub security_policy: Option<String>,
}

/// Either domain of a pool, as the domain operations take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolDomain {
    Prefix(Domain),
    Custom(CustomDomain),
}

impl PoolDomain {
    /// Returns what the API calls `Domain`: the prefix, or the host name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Prefix(domain) => &domain.prefix,
            Self::Custom(domain) => &domain.name,
        }
    }

    #[must_use]
    pub fn managed_login_version(&self) -> u8 {
        match self {
            Self::Prefix(domain) => domain.managed_login_version,
            Self::Custom(domain) => domain.managed_login_version,
        }
    }
}

impl From<Domain> for PoolDomain {
    fn from(domain: Domain) -> Self {
        Self::Prefix(domain)
    }
}

impl From<CustomDomain> for PoolDomain {
    fn from(domain: CustomDomain) -> Self {
        Self::Custom(domain)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceServer {
    pub identifier: String,
    /// Without the mark.
    pub name: String,
    /// Whose it is; `None` if it belongs to the pool's owner.
    pub mark: Option<Mark>,
    pub scopes: Vec<Scope>,
}

impl ResourceServer {
    /// Returns every scope as `identifier/scope`.
    pub fn full_scopes(&self) -> impl Iterator<Item = String> + '_ {
        self.scopes.iter().map(|scope| self.full_scope(scope))
    }

    /// Returns one of the scopes as `identifier/scope`.
    #[must_use]
    pub fn full_scope(&self, scope: &Scope) -> String {
        format!("{}/{}", self.identifier, scope.name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub name: String,
    pub description: String,
}

/// A declared client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Without the mark.
    pub name: ClientName,
    /// The mark that the client is created with; `None` in the resource's own pool.
    pub mark: Option<Mark>,
    /// The existing client to take over instead of creating one.
    pub adopt: Option<ClientId>,
    /// `identifier/scope`, in the template's order.
    pub scopes: Vec<String>,
    pub access_token_validity_minutes: u32,
    pub secret_name: SecretId,
    /// Who may read the secret by its resource policy.
    pub secret_readers: BTreeSet<Principal>,
}

impl Client {
    /// Tells whether this is the client with a name. In its own pool a resource knows its clients by name. In
    /// somebody else's pool it has one client, which may be renamed.
    #[must_use]
    pub fn is_named(&self, name: &ClientName) -> bool {
        self.mark.is_some() || self.name == *name
    }

    /// Tells whether a client that exists is still to be taken over: it does not have the mark yet.
    #[must_use]
    pub fn is_to_adopt(&self, current: &ObservedClient) -> bool {
        self.mark.is_some() && current.mark.is_none()
    }
}

/// A client's whole state, as the API takes it. Every create and update sends all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPoolClient {
    /// With the mark.
    pub name: ClientName,
    pub scopes: Vec<String>,
    pub access_token_validity_minutes: u32,
    pub auth_flow: AuthFlow,
}

/// The client's only explicit authentication flow. Without one, Cognito turns user sign-in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFlow {
    /// `ALLOW_REFRESH_TOKEN_AUTH`. A client without users has nothing to refresh.
    RefreshToken,
    /// `ALLOW_CLIENT_TOKEN_AUTH`, which GetClientToken needs.
    ClientToken,
}

/// The keys of a client's secret other than its id and its client secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMetadata {
    pub token_service: TokenService,
    pub token_endpoint: String,
    pub scope: String,
    pub issuer: String,
    pub jwks_uri: String,
    pub user_pool_id: PoolId,
    pub client_name: ClientName,
}

impl Desired {
    /// Returns the pool if it is the resource's own.
    #[must_use]
    pub fn own_pool(&self) -> Option<&OwnPool> {
        match &self.pool {
            DesiredPool::Own(own) => Some(own),
            DesiredPool::Shared(_) => None,
        }
    }

    /// Returns the clients that get other tokens than under `former`, or get them elsewhere: all if it is not known.
    #[must_use]
    pub fn clients_changed_since(&self, former: Option<&Self>) -> BTreeSet<ClientName> {
        let domain = |desired: &Self| desired.own_pool().and_then(|own| own.domain.clone());
        let former = former.filter(|former| domain(former) == domain(self));
        let is_changed = |client: &&Client| {
            let Client {
                name,
                scopes,
                access_token_validity_minutes,
                mark: _,
                adopt: _,
                secret_name: _,
                secret_readers: _,
            } = *client;
            let is_same = |before: &Client| {
                before.name == *name
                    && before.scopes == *scopes
                    && before.access_token_validity_minutes == *access_token_validity_minutes
            };
            !former.is_some_and(|former| former.clients.iter().any(is_same))
        };
        self.clients.iter().filter(is_changed).map(|client| client.name.clone()).collect()
    }

    /// Tells whether nothing that the resource owns can hold a note: a resource server has no tags.
    #[must_use]
    pub fn keeps_no_note(&self) -> bool {
        self.own_pool().is_none() && self.clients.is_empty()
    }

    /// Returns every declared scope as `identifier/scope`, in the template's order.
    pub fn scopes(&self) -> impl Iterator<Item = String> + '_ {
        declared_scopes(&self.resource_servers)
    }

    /// Returns the names of all clients' secrets.
    #[must_use]
    pub fn secret_names(&self) -> BTreeSet<SecretId> {
        self.clients.iter().map(|client| client.secret_name.clone()).collect()
    }

    /// Returns the tags of a client's secret. A secret with readers has a mark that says so, if there is room.
    #[must_use]
    pub fn tags_of_secret(&self, client: &Client) -> Tags {
        let mut tags = self.secret_tags.clone();
        if !client.secret_readers.is_empty() && self.has_room_for_mark() {
            tags.insert(READERS_TAG.to_owned(), READERS_TAG_VALUE.to_owned());
        }
        tags
    }

    /// Tells whether a secret has room for one tag more. In somebody else's pool, the note about the events is a tag of
    /// the secret, too.
    #[must_use]
    pub fn has_room_for_mark(&self) -> bool {
        let notes = match &self.pool {
            DesiredPool::Own(_) => 0,
            DesiredPool::Shared(_) => 1,
        };
        self.secret_tags.len() + notes < MAX_TAGS
    }

    /// Returns where the clients get their tokens. In somebody else's pool, its domains decide: of one domain only,
    /// that one is used.
    #[must_use]
    pub fn token_source(&self, observed: Option<&ObservedPool>) -> TokenSource {
        let (prefix, custom) = match &self.pool {
            DesiredPool::Own(own) => (own.domain.as_ref(), own.custom_domain.as_ref()),
            DesiredPool::Shared(_) => {
                let custom = observed.and_then(|pool| pool.custom_domain.as_ref()).map(|custom| &custom.domain);
                (observed.and_then(|pool| pool.domain.as_ref()), custom)
            }
        };
        match (prefix.cloned(), custom, self.token_endpoint_domain) {
            (prefix, Some(custom), TokenEndpointDomain::Custom) | (prefix @ None, Some(custom), _) => {
                TokenSource::CustomDomain { name: custom.name.clone(), prefix }
            }
            (Some(prefix), _, _) => TokenSource::PrefixDomain(prefix),
            (None, None, _) => TokenSource::Api,
        }
    }

    /// Returns what the client's secret should contain, once the pool is known.
    #[must_use]
    pub fn secret_metadata(&self, client: &Client, pool: &PoolId, tokens: &TokenSource) -> SecretMetadata {
        SecretMetadata {
            token_service: tokens.service(),
            token_endpoint: self.endpoints.token_endpoint(tokens),
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
    servers.iter().flat_map(ResourceServer::full_scopes)
}
