//! What a template declares: parsed once, and true from then on.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

use serde_json::Value;

use super::{
    ClientName, Endpoints, MANAGED_BY, Owner, PoolId, SecretName, Tags, Violations,
    ownership::is_our_tag_key,
    properties::{NumberRule, Reader, Regex, TextRule, join, quoted},
};

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
    /// Of every client's secret.
    pub secret_kms_key_id: Option<String>,
    /// 0 deletes a secret at once.
    pub secret_recovery_window_in_days: u8,
    /// How Secrets Manager rotates every client's secret; `None` where it does not.
    pub rotation: Option<Rotation>,
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

/// What the properties do not say and the function's settings do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    pub endpoints: Endpoints,
    /// The rotation function's ARN, by the environment variable `ROTATION_FUNCTION_ARN`.
    pub rotation_function: Option<String>,
}

/// The pool's whole state; every create and update carries all of it.
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
    pub secret_name: SecretName,
}

/// What a client's secret says beside the client secret itself.
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
    /// Every declared scope as `identifier/scope`, in the template's order.
    pub fn scopes(&self) -> impl Iterator<Item = String> + '_ {
        declared_scopes(&self.resource_servers)
    }

    /// The names of all clients' secrets.
    #[must_use]
    pub fn secret_names(&self) -> BTreeSet<SecretName> {
        self.clients.iter().map(|client| client.secret_name.clone()).collect()
    }

    /// What the client's secret should say, once the pool is known.
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

    /// Reads the properties of the resource `owner`.
    ///
    /// # Errors
    /// Every violation of the properties' rules, each with its path.
    pub fn from_properties(properties: &Value, owner: Owner, config: &ProviderConfig) -> Result<Self, Violations> {
        let mut reader = Reader::default();
        let desired = read(&mut reader, properties, owner, config);
        reader.finish()?;
        // `read` gives `None` only where it has refused something.
        desired.ok_or_else(|| Violations(Vec::new()))
    }
}

/// The recovery window alone, for a Delete whose other properties no longer parse.
#[must_use]
pub fn secret_recovery_window_in_days(properties: &Value) -> u8 {
    let mut reader = Reader::default();
    read_recovery_window(&mut reader, properties.get("SecretRecoveryWindowInDays"))
}

pub(super) const PROPERTIES: [&str; 16] = [
    "EnvironmentName",
    "UserPoolNamePrefix",
    "DomainPrefix",
    "ProjectTag",
    "Tags",
    "ResourceServers",
    "Clients",
    "UserPoolTier",
    "ManagedLoginVersion",
    "DeletionProtection",
    "SecretNamePrefix",
    "SecretKmsKeyId",
    "SecretRecoveryWindowInDays",
    "RotationDays",
    "RotateSecrets",
    "VerifyToken",
];

pub(super) const SERVER_PROPERTIES: [&str; 3] = ["Identifier", "Name", "Scopes"];
pub(super) const SCOPE_PROPERTIES: [&str; 2] = ["ScopeName", "ScopeDescription"];
pub(super) const CLIENT_PROPERTIES: [&str; 3] = ["ClientName", "AllowedOAuthScopes", "AccessTokenValidityMinutes"];

pub(super) const MAX_TAGS: usize = 50;
/// The owner's three, `Environment`, `Project`, and the note on the pool.
pub(super) const OUR_TAGS: usize = 6;
pub const MAX_SERVERS: usize = 25;
pub const MAX_SCOPES_PER_SERVER: usize = 100;
pub(super) const MAX_SCOPES_PER_CLIENT: usize = 50;
pub(super) const MAX_CLIENTS: usize = 100;

pub(super) const DEFAULT_ENVIRONMENT_NAME: &str = "dev";
pub(super) const DEFAULT_POOL_NAME_PREFIX: &str = "machine-to-machine";
pub(super) const DEFAULT_DOMAIN_PREFIX: &str = "m2m-rubicon";
pub(super) const DEFAULT_PROJECT_TAG: &str = "m2m-auth";
/// The end of the default client's name, which begins with the pool's.
pub(super) const DEFAULT_CLIENT_SUFFIX: &str = "-client";
pub(super) const DEFAULT_VALIDITY_IN_MINUTES: u32 = 60;
pub(super) const DEFAULT_TIER: Tier = Tier::Essentials;
pub(super) const DEFAULT_MANAGED_LOGIN_VERSION: u8 = 2;
pub(super) const DEFAULT_RECOVERY_WINDOW_IN_DAYS: u8 = 7;
pub(super) const NO_ROTATION: u32 = 0;
pub(super) const DEFAULT_VERIFY_TOKEN: bool = true;

pub(super) const TIERS: [Tier; 3] = [Tier::Lite, Tier::Essentials, Tier::Plus];
pub(super) const PROTECTED: &str = "ACTIVE";
pub(super) const UNPROTECTED: &str = "INACTIVE";

pub(super) const VALIDITY_IN_MINUTES: NumberRule = NumberRule { says: "5 to 1440", ranges: &[5..=1440] };
pub(super) const MANAGED_LOGIN_VERSION: NumberRule = NumberRule { says: "1 or 2", ranges: &[1..=2] };
/// The lesser tier knows the classic pages alone.
pub(super) const LITE_LOGIN_VERSION: NumberRule = NumberRule { says: "1", ranges: &[1..=1] };
pub(super) const RECOVERY_WINDOW_IN_DAYS: NumberRule =
    NumberRule { says: "0 (delete at once) or 7 to 30", ranges: &[0..=0, 7..=30] };
pub(super) const ROTATION_DAYS: NumberRule = NumberRule { says: "0 (off) or 1 to 1000", ranges: &[0..=1000] };

/// As [`is_name_char`] has it.
const NAME_CHARS: Regex = Regex::Other(r"[A-Za-z0-9_\x09-\x0D +=,.@-]+");
/// As [`is_tag_char`] has it, in the classes of Unicode that ECMA-262 knows.
const TAG_CHARS: Regex = Regex::Other(r"[\p{Alphabetic}\p{N}\p{Z}_.:/=+@-]*");

pub(super) const ENVIRONMENT_NAME: TextRule = TextRule {
    min: 1,
    max: 32,
    pattern: "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?",
    regex: Regex::Printed,
    matches: |text| inner_hyphens(text),
};
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateUserPool.html>
pub(super) const POOL_NAME: TextRule = TextRule {
    min: 1,
    max: 128,
    pattern: r"[\w\s+=,.@-]+",
    regex: NAME_CHARS,
    matches: |text| text.chars().all(is_name_char),
};
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateUserPoolDomain.html>
pub(super) const DOMAIN: TextRule = TextRule {
    min: 1,
    max: 63,
    pattern: "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$",
    regex: Regex::Printed,
    matches: |text| inner_hyphens(text),
};
pub(super) const RESERVED_DOMAIN_WORDS: [&str; 3] = ["aws", "amazon", "cognito"];
/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
pub(super) const TAG_KEY: TextRule = TextRule {
    min: 1,
    max: 128,
    pattern: r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*",
    regex: TAG_CHARS,
    matches: |text| text.chars().all(is_tag_char),
};
/// In capitals too.
pub(super) const AWS_TAG_PREFIX: &str = "aws:";
pub(super) const TAG_VALUE: TextRule = TextRule {
    min: 0,
    max: 256,
    pattern: r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*",
    regex: TAG_CHARS,
    matches: |text| text.chars().all(is_tag_char),
};
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateResourceServer.html>
pub(super) const SERVER_IDENTIFIER: TextRule = TextRule {
    min: 1,
    max: 256,
    pattern: r"[\x21\x23-\x5B\x5D-\x7E]+",
    regex: Regex::Printed,
    matches: |text| text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\'),
};
pub(super) const SERVER_NAME: TextRule = TextRule {
    min: 1,
    max: 256,
    pattern: r"[\w\s+=,.@-]+",
    regex: NAME_CHARS,
    matches: |text| text.chars().all(is_name_char),
};
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ResourceServerScopeType.html>
pub(super) const SCOPE_NAME: TextRule = TextRule {
    min: 1,
    max: 256,
    pattern: r"[\x21\x23-\x2E\x30-\x5B\x5D-\x7E]+",
    regex: Regex::Printed,
    matches: |text| text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/')),
};
pub(super) const SCOPE_DESCRIPTION: TextRule =
    TextRule { min: 1, max: 256, pattern: ".+", regex: Regex::Any, matches: |_| true };
pub(super) const CLIENT_NAME: TextRule = TextRule {
    min: 1,
    max: 128,
    pattern: "[A-Za-z0-9_+=.@-]{1,128}",
    regex: Regex::Printed,
    matches: |text| text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=.@-".contains(c)),
};
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
pub(super) const SECRET_NAME: TextRule = TextRule {
    min: 1,
    max: 512,
    pattern: "[A-Za-z0-9/_+=.@-]+",
    regex: Regex::Printed,
    matches: |text| text.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c)),
};
pub(super) const KMS_KEY_ID: TextRule = TextRule {
    min: 1,
    max: 2048,
    pattern: "a key id, a key ARN or alias/<name>",
    regex: Regex::Other(concat!(
        "(?:[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+|",
        "arn:[A-Za-z0-9-]+:kms:[A-Za-z0-9-]+:[A-Za-z0-9]+:(?:key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+))"
    )),
    matches: is_kms_key,
};
pub(super) const ROTATE_SECRETS: TextRule =
    TextRule { min: 0, max: 128, pattern: ".*", regex: Regex::Any, matches: |_| true };

fn read(reader: &mut Reader, properties: &Value, owner: Owner, config: &ProviderConfig) -> Option<Desired> {
    let map = reader.object("", properties, &PROPERTIES)?;

    // A name built from a broken part would be reported twice; the default stands in for it.
    let environment = match map.get("EnvironmentName") {
        None => DEFAULT_ENVIRONMENT_NAME.to_owned(),
        given => reader
            .ruled_text("EnvironmentName", given, &ENVIRONMENT_NAME)
            .unwrap_or_else(|| DEFAULT_ENVIRONMENT_NAME.to_owned()),
    };
    let pool_name = read_derived(
        reader,
        map.get("UserPoolNamePrefix"),
        "UserPoolNamePrefix",
        DEFAULT_POOL_NAME_PREFIX,
        &environment,
        &POOL_NAME,
    );
    let prefix =
        read_derived(reader, map.get("DomainPrefix"), "DomainPrefix", DEFAULT_DOMAIN_PREFIX, &environment, &DOMAIN);
    for word in RESERVED_DOMAIN_WORDS {
        if prefix.contains(word) {
            reader.refuse(
                "DomainPrefix",
                format!("the domain {} may not hold the word {word}, which Cognito reserves", quoted(&prefix)),
            );
        }
    }
    let tags = read_tags(reader, map.get("Tags"), map.get("ProjectTag"), &environment, &owner);

    let tier = reader
        .word("UserPoolTier", map.get("UserPoolTier"), &TIERS.map(Tier::as_str))
        .and_then(|word| TIERS.into_iter().find(|tier| tier.as_str() == word))
        .unwrap_or(DEFAULT_TIER);
    let managed_login_version = reader
        .number("ManagedLoginVersion", map.get("ManagedLoginVersion"), &MANAGED_LOGIN_VERSION)
        .and_then(|version| u8::try_from(version).ok())
        .unwrap_or(DEFAULT_MANAGED_LOGIN_VERSION);
    if tier == Tier::Lite && !LITE_LOGIN_VERSION.holds(managed_login_version.into()) {
        reader.refuse(
            "ManagedLoginVersion",
            "2 (the default) needs a UserPoolTier other than LITE; set it to 1 or change the tier",
        );
    }
    let deletion_protection =
        reader.word("DeletionProtection", map.get("DeletionProtection"), &[PROTECTED, UNPROTECTED]) == Some(PROTECTED);

    let resource_servers = match map.get("ResourceServers") {
        None => default_resource_servers(),
        given => read_resource_servers(reader, given),
    };
    let secret_prefix = read_secret_prefix(reader, map.get("SecretNamePrefix"), &pool_name);
    let clients = read_clients(reader, map.get("Clients"), &pool_name, secret_prefix.as_deref(), &resource_servers);

    let secret_kms_key_id = reader.ruled_text("SecretKmsKeyId", map.get("SecretKmsKeyId"), &KMS_KEY_ID);
    let secret_recovery_window_in_days = read_recovery_window(reader, map.get("SecretRecoveryWindowInDays"));
    let rotation = read_rotation(reader, map.get("RotationDays"), config);
    let rotate_secrets =
        reader.ruled_text("RotateSecrets", map.get("RotateSecrets"), &ROTATE_SECRETS).unwrap_or_default();
    let verify_token = reader.flag("VerifyToken", map.get("VerifyToken")).unwrap_or(DEFAULT_VERIFY_TOKEN);

    Some(Desired {
        owner,
        endpoints: config.endpoints.clone(),
        pool: UserPool { name: pool_name, tier, deletion_protection, tags },
        domain: Domain { prefix, managed_login_version },
        resource_servers,
        clients,
        secret_kms_key_id,
        secret_recovery_window_in_days,
        rotation,
        rotate_secrets,
        verify_token,
    })
}

fn read_rotation(reader: &mut Reader, given: Option<&Value>, config: &ProviderConfig) -> Option<Rotation> {
    let days = reader.number("RotationDays", given, &ROTATION_DAYS).filter(|days| *days != NO_ROTATION)?;
    let Some(function_arn) = config.rotation_function.clone() else {
        reader.refuse(
            "RotationDays",
            "must be 0: the provider does not know the rotation function (its environment variable \
             ROTATION_FUNCTION_ARN is not set)",
        );
        return None;
    };
    Some(Rotation { function_arn, days })
}

/// `<prefix>-<environment>`, held against the rule of the whole name.
fn read_derived(
    reader: &mut Reader,
    given: Option<&Value>,
    path: &str,
    default: &str,
    environment: &str,
    rule: &TextRule,
) -> String {
    let prefix = match given {
        None => default.to_owned(),
        Some(_) => match reader.text(path, given) {
            Some(prefix) => prefix,
            // The wrong type has been reported.
            None => return format!("{default}-{environment}"),
        },
    };
    let name = format!("{prefix}-{environment}");
    if prefix.is_empty() {
        reader.refuse(path, "must not be empty");
    } else {
        reader.check(path, &name, rule);
    }
    name
}

fn read_tags(
    reader: &mut Reader,
    given: Option<&Value>,
    project: Option<&Value>,
    environment: &str,
    owner: &Owner,
) -> Tags {
    let project = match project {
        None => DEFAULT_PROJECT_TAG.to_owned(),
        given => reader.ruled_text("ProjectTag", given, &TAG_VALUE).unwrap_or_default(),
    };
    let mut tags = owner.tags();
    tags.insert("Environment".to_owned(), environment.to_owned());
    tags.insert("Project".to_owned(), project);
    debug_assert!(tags.keys().all(|key| is_our_tag_key(key)) && tags.contains_key(MANAGED_BY.0));

    debug_assert_eq!(tags.len() + 1, OUR_TAGS);
    let Some(given) = given else { return tags };
    let Some(map) = given.as_object() else {
        reader.refuse("Tags", "must be a map of strings");
        return tags;
    };
    if map.len() > MAX_TAGS - OUR_TAGS {
        reader.refuse(
            "Tags",
            format!("may have at most {} entries beside our {OUR_TAGS}, but has {}", MAX_TAGS - OUR_TAGS, map.len()),
        );
    }
    for (key, value) in map {
        let path = join("Tags", key);
        if key.to_ascii_lowercase().starts_with(AWS_TAG_PREFIX) {
            reader.refuse(&path, "the prefix aws: is reserved by AWS");
        } else if is_our_tag_key(key) {
            reader.refuse(
                &path,
                "is set by this resource itself; Environment and Project follow EnvironmentName and ProjectTag",
            );
        } else {
            reader.check(&path, key, &TAG_KEY);
        }
        if let Some(value) = reader.ruled_text(&path, Some(value), &TAG_VALUE) {
            tags.insert(key.clone(), value);
        }
    }
    tags
}

pub(super) fn default_resource_servers() -> Vec<ResourceServer> {
    let scope = |name: &str| Scope { name: name.to_owned(), description: name.to_owned() };
    vec![ResourceServer {
        identifier: "m2m-client".to_owned(),
        name: "m2m-client".to_owned(),
        scopes: vec![scope("read"), scope("write")],
    }]
}

fn read_resource_servers(reader: &mut Reader, given: Option<&Value>) -> Vec<ResourceServer> {
    let mut seen = HashSet::new();
    let mut servers = Vec::new();
    let list = reader.list("ResourceServers", given, 1, MAX_SERVERS).unwrap_or_default();
    for (index, entry) in list.iter().enumerate() {
        let path = format!("ResourceServers[{index}]");
        let Some(map) = reader.object(&path, entry, &SERVER_PROPERTIES) else { continue };
        let identifier_path = join(&path, "Identifier");
        if !map.contains_key("Identifier") {
            reader.refuse(&identifier_path, "is required");
        }
        let identifier = reader.ruled_text(&identifier_path, map.get("Identifier"), &SERVER_IDENTIFIER);
        if let Some(identifier) = &identifier
            && !seen.insert(identifier.clone())
        {
            reader.refuse(
                &identifier_path,
                format!("{} is declared twice; identifiers are unique in a pool", quoted(identifier)),
            );
        }
        let name_path = join(&path, "Name");
        let name = match (map.get("Name"), &identifier) {
            (None, Some(identifier)) => {
                // An identifier may be a URL, a name may not.
                if !identifier.chars().all(is_name_char) {
                    reader.refuse(
                        &name_path,
                        format!(
                            "is not given and would be the Identifier {}, but a name must match {}; give a Name",
                            quoted(identifier),
                            SERVER_NAME.pattern
                        ),
                    );
                }
                Some(identifier.clone())
            }
            (given, _) => reader.ruled_text(&name_path, given, &SERVER_NAME),
        };
        let scopes = read_scopes(reader, &join(&path, "Scopes"), map.get("Scopes"));
        servers.push(ResourceServer {
            identifier: identifier.unwrap_or_default(),
            name: name.unwrap_or_default(),
            scopes,
        });
    }
    servers
}

fn read_scopes(reader: &mut Reader, path: &str, given: Option<&Value>) -> Vec<Scope> {
    if given.is_none() {
        reader.refuse(path, format!("is required: 1 to {MAX_SCOPES_PER_SERVER} scopes"));
    }
    let mut seen = HashSet::new();
    let mut scopes = Vec::new();
    let list = reader.list(path, given, 1, MAX_SCOPES_PER_SERVER).unwrap_or_default();
    for (index, entry) in list.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(map) = reader.object(&path, entry, &SCOPE_PROPERTIES) else { continue };
        let name_path = join(&path, "ScopeName");
        if !map.contains_key("ScopeName") {
            reader.refuse(&name_path, "is required");
        }
        let Some(name) = reader.ruled_text(&name_path, map.get("ScopeName"), &SCOPE_NAME) else { continue };
        if !seen.insert(name.clone()) {
            reader
                .refuse(&name_path, format!("{} is declared twice; scope names are unique in a server", quoted(&name)));
        }
        let description = match map.get("ScopeDescription") {
            None => name.clone(),
            given => reader.ruled_text(&join(&path, "ScopeDescription"), given, &SCOPE_DESCRIPTION).unwrap_or_default(),
        };
        scopes.push(Scope { name, description });
    }
    scopes
}

/// `None` where it is broken, so that no client's secret name is blamed for it.
fn read_secret_prefix(reader: &mut Reader, given: Option<&Value>, pool_name: &str) -> Option<String> {
    const PATH: &str = "SecretNamePrefix";
    if given.is_some() {
        return reader.ruled_text(PATH, given, &SECRET_NAME);
    }
    let fits = SECRET_NAME.holds(pool_name);
    // A pool name that breaks its own rule has been reported.
    if !fits && POOL_NAME.holds(pool_name) {
        reader.refuse(
            PATH,
            format!(
                "is not given and would be the pool's name {}, but a secret's name must match {}; give a SecretNamePrefix",
                quoted(pool_name),
                SECRET_NAME.pattern
            ),
        );
    }
    fits.then(|| pool_name.to_owned())
}

fn read_clients(
    reader: &mut Reader,
    given: Option<&Value>,
    pool_name: &str,
    secret_prefix: Option<&str>,
    servers: &[ResourceServer],
) -> Vec<Client> {
    let declared: Vec<String> = declared_scopes(servers).collect();
    let default_name = format!("{pool_name}{DEFAULT_CLIENT_SUFFIX}");
    let default = serde_json::json!([{ "ClientName": default_name }]);
    if given.is_none() && !CLIENT_NAME.holds(&default_name) {
        // A pool name that breaks its own rule has been reported.
        if POOL_NAME.holds(pool_name) {
            reader.refuse(
                "Clients",
                format!(
                    "is not given and would be one client {}, but a client's name must match {}; declare Clients",
                    quoted(&default_name),
                    CLIENT_NAME.pattern
                ),
            );
        }
        return Vec::new();
    }
    let list = reader.list("Clients", given.or(Some(&default)), 1, MAX_CLIENTS).unwrap_or_default();

    let mut seen = HashSet::new();
    let mut clients = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let path = format!("Clients[{index}]");
        let Some(map) = reader.object(&path, entry, &CLIENT_PROPERTIES) else {
            continue;
        };
        let name_path = join(&path, "ClientName");
        if !map.contains_key("ClientName") {
            reader.refuse(&name_path, "is required");
        }
        let name = reader.ruled_text(&name_path, map.get("ClientName"), &CLIENT_NAME);
        if let Some(name) = &name
            && !seen.insert(name.clone())
        {
            reader.refuse(&name_path, format!("{} is declared twice; a client is known by its name", quoted(name)));
        }
        let scopes =
            read_client_scopes(reader, &join(&path, "AllowedOAuthScopes"), map.get("AllowedOAuthScopes"), &declared);
        let access_token_validity_minutes = reader
            .number(
                &join(&path, "AccessTokenValidityMinutes"),
                map.get("AccessTokenValidityMinutes"),
                &VALIDITY_IN_MINUTES,
            )
            .unwrap_or(DEFAULT_VALIDITY_IN_MINUTES);
        let (Some(name), Some(prefix)) = (name, secret_prefix) else { continue };
        let secret_name = format!("{prefix}/{name}");
        if secret_name.len() > SECRET_NAME.max {
            reader.refuse(
                "SecretNamePrefix",
                format!("the secret's name {} is longer than {} characters", quoted(&secret_name), SECRET_NAME.max),
            );
        }
        clients.push(Client {
            name: ClientName(name),
            scopes,
            access_token_validity_minutes,
            secret_name: SecretName(secret_name),
        });
    }
    clients
}

fn read_client_scopes(reader: &mut Reader, path: &str, given: Option<&Value>, declared: &[String]) -> Vec<String> {
    if given.is_none() {
        if declared.len() > MAX_SCOPES_PER_CLIENT {
            reader.refuse(
                path,
                format!("is not given and would be all {} declared scopes, but a client may have at most {MAX_SCOPES_PER_CLIENT}", declared.len()),
            );
        }
        return declared.to_vec();
    }
    let known: BTreeSet<&str> = declared.iter().map(String::as_str).collect();
    let mut seen = HashSet::new();
    let mut scopes = Vec::new();
    let list = reader.list(path, given, 1, MAX_SCOPES_PER_CLIENT).unwrap_or_default();
    for (index, entry) in list.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(scope) = reader.text(&path, Some(entry)) else { continue };
        if !known.contains(scope.as_str()) {
            reader.refuse(
                &path,
                format!("{} is not declared in ResourceServers; write identifier/scope", quoted(&scope)),
            );
        } else if !seen.insert(scope.clone()) {
            reader.refuse(&path, format!("{} is listed twice", quoted(&scope)));
        }
        scopes.push(scope);
    }
    scopes
}

fn read_recovery_window(reader: &mut Reader, given: Option<&Value>) -> u8 {
    reader
        .number("SecretRecoveryWindowInDays", given, &RECOVERY_WINDOW_IN_DAYS)
        .and_then(|days| u8::try_from(days).ok())
        .unwrap_or(DEFAULT_RECOVERY_WINDOW_IN_DAYS)
}

pub(super) fn declared_scopes(servers: &[ResourceServer]) -> impl Iterator<Item = String> + '_ {
    servers.iter().flat_map(|server| server.scopes.iter().map(|scope| format!("{}/{}", server.identifier, scope.name)))
}

/// Lower-case letters, digits and, inside, hyphens.
fn inner_hyphens(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// `[\w\s+=,.@-]`, as the service reads it: ASCII.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c.is_ascii_whitespace() || c == '\x0b' || "+=,.@-".contains(c)
}

fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

fn is_kms_key(text: &str) -> bool {
    let plain = |part: &str, extra: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    let local = match text.strip_prefix("arn:") {
        // arn:partition:kms:region:account:key/id or :alias/name
        Some(arn) => match *arn.splitn(5, ':').collect::<Vec<_>>() {
            [partition, "kms", region, account, resource]
                if plain(partition, "-") && plain(region, "-") && plain(account, "") && resource.contains('/') =>
            {
                resource
            }
            _ => return false,
        },
        None => text,
    };
    match local.split_once('/') {
        Some(("alias", name)) => plain(name, "/_-"),
        Some(("key", id)) => text.starts_with("arn:") && plain(id, "-"),
        Some(_) => false,
        None => plain(local, "-"),
    }
}
