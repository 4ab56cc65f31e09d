//! Builds [`Desired`] from a template's properties, and checks the rules that involve several of them.
//!
//! These rules are: the length of derived names, reserved words in the domain, `LITE` without managed login, defaults
//! that are not valid, names that are declared twice, scopes that are not declared, a custom domain that clients use
//! and that is not declared, its certificate's place, a rotation without its function, and a domain although tokens
//! come from the API.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use super::{
    messages::{
        A_SECRETS_NAME, CUSTOM_DOMAIN_MESSAGE, DEFAULT_CLIENT_NAME, DOMAIN, IDENTIFIER_AS_NAME, IN_ITS_SERVER,
        IN_THE_POOL, LITE_LOGIN_MESSAGE, MARKED_NAME_MESSAGE, POOL_NAME, POOL_NAME_AS_SECRET_NAME, default_message,
        duplicate_message, left_out_message, length_message, reserved_word_message, too_many_scopes_message,
    },
    parse_part,
    reader::{Fields, Reader, quoted},
    rules::{Choice, TextRule, fill},
    sharing::{ReaderRules, read_secret_readers, read_secret_replicas},
    table::{
        ACCESS_TOKEN_VALIDITY_MINUTES, ALLOWED_OAUTH_SCOPES, BY_API, CERTIFICATE_ARN, CLIENT_NAME, CLIENTS,
        COGNITO_M2M, CUSTOM_DOMAIN, DEFAULT_CLIENT_SUFFIX, DEFAULT_RECOVERY_WINDOW_IN_DAYS, DELETION_PROTECTION,
        DOMAIN_NAME, DOMAIN_PREFIX, ENVIRONMENT_NAME, LITE_LOGIN_VERSION, MANAGED_LOGIN_VERSION, MAX_DOMAIN,
        MAX_POOL_NAME, MAX_SCOPES_PER_CLIENT, MAX_SHARED_WITH, NO_ROTATION, PROJECT_TAG, PROTECTED, Property,
        RESERVED_DOMAIN_WORDS, RESOURCE_SERVERS, ROTATE_SECRETS, ROTATION_DAYS, SCOPE_DESCRIPTION, SCOPE_NAME, SCOPES,
        SECRET_KMS_KEY_ID, SECRET_NAME, SECRET_NAME_PREFIX, SECRET_RECOVERY_WINDOW_IN_DAYS, SECURITY_POLICY,
        SERVER_IDENTIFIER, SERVER_NAME, SHARED_WITH_STACKS, TAGS, TOKEN_ENDPOINT_DOMAIN, TOKEN_SERVICE, USER_POOL_ID,
        USER_POOL_NAME_PREFIX, USER_POOL_TIER, VERIFY_TOKEN,
    },
};
use crate::model::{
    Client, ClientName, CustomDomain, Desired, DesiredPool, Domain, Endpoints, Mark, OwnPool, Owner, PoolId,
    ProviderConfig, ResourceServer, ResourceType, Rotation, Scope, SecretId, Tags, Tier, TokenEndpointDomain, UserPool,
    Violations,
    desired::declared_scopes,
    ownership::{MAX_TAGS, SHARED_WITH_TAG},
};

/// Parses the properties of a resource that belongs to `owner`.
///
/// # Errors
/// Returns every violation of the properties' rules, each with its path.
pub fn parse(
    resource_type: ResourceType,
    properties: &Value,
    owner: Owner,
    config: &ProviderConfig,
) -> Result<Desired, Violations> {
    let mut reader = Reader::default();
    let desired = match resource_type {
        ResourceType::CognitoM2M => read_pool_resource(&mut reader, properties, owner, config),
        ResourceType::CognitoM2MClient => parse_part::read_client(&mut reader, properties, owner, config),
        ResourceType::CognitoM2MResourceServer => parse_part::read_server(&mut reader, properties, owner, config),
    };
    reader.finish()?;
    // `read_desired` returns `None` only after it has noted a violation.
    desired.ok_or_else(|| Violations(Vec::new()))
}

/// Returns the recovery window, or the default if there is no valid one. A Delete needs it even if the other
/// properties do not parse.
#[must_use]
pub fn secret_recovery_window_in_days(properties: &Value) -> u8 {
    let mut reader = Reader::default();
    let fields = reader.object("", properties, &COGNITO_M2M).unwrap_or_else(|| Fields::none(&COGNITO_M2M));
    read_recovery_window(&mut reader, &fields)
}

/// Returns the pool that a client or a server was added to. A Delete needs it even if the other properties do not
/// parse.
#[must_use]
pub fn user_pool_id(properties: &Value) -> Option<PoolId> {
    PoolId::parse(properties.get(USER_POOL_ID.name)?.as_str()?)
}

fn read_pool_resource(
    reader: &mut Reader,
    properties: &Value,
    owner: Owner,
    config: &ProviderConfig,
) -> Option<Desired> {
    let fields = &reader.object("", properties, &COGNITO_M2M)?;
    // The question marks end nothing early: these properties have default values.
    let environment = reader.read(fields, &ENVIRONMENT_NAME)?;
    let secret_tags = read_tags(reader, fields, &environment, &owner)?;
    let state = read_pool(reader, fields, &environment, &secret_tags)?;
    let by_api = read_by_api(reader, fields)?;
    let domain = if by_api { None } else { Some(read_domain(reader, fields, &environment, state.tier)?) };
    let custom_domain = read_custom_domain(reader, fields, domain.as_ref(), &config.endpoints);
    let resource_servers = read_resource_servers(reader, fields);
    let secret_prefix = read_secret_prefix(reader, fields, &state.name);
    let secret_kms_key_id = reader.read(fields, &SECRET_KMS_KEY_ID);
    let readers = ReaderRules::new(reader, fields, &owner, &config.endpoints, secret_kms_key_id.as_deref());
    let context = ClientContext { pool_name: &state.name, secret_prefix, servers: &resource_servers, readers };
    let clients = read_clients(reader, fields, &context);
    Some(Desired {
        owner,
        endpoints: config.endpoints.clone(),
        pool: DesiredPool::Own(OwnPool { state, domain, custom_domain }),
        resource_servers,
        clients,
        secret_tags,
        secret_kms_key_id,
        secret_recovery_window_in_days: read_recovery_window(reader, fields),
        rotation: read_rotation(reader, fields, config),
        secret_replicas: read_secret_replicas(reader, fields, &config.endpoints),
        rotate_secrets: reader.read(fields, &ROTATE_SECRETS)?,
        verify_token: reader.read(fields, &VERIFY_TOKEN)?,
        token_endpoint_domain: read_token_endpoint_domain(reader, fields, &TOKEN_ENDPOINT_DOMAIN)?,
    })
}

fn read_pool(reader: &mut Reader, fields: &Fields, environment: &str, secret_tags: &Tags) -> Option<UserPool> {
    let name = read_derived_name(reader, fields, &USER_POOL_NAME_PREFIX, environment, (POOL_NAME, MAX_POOL_NAME))?;
    let word = reader.read(fields, &USER_POOL_TIER)?;
    Some(UserPool {
        name,
        tier: Tier::ALL.into_iter().find(|tier| tier.as_str() == word)?,
        deletion_protection: reader.read(fields, &DELETION_PROTECTION)? == PROTECTED,
        tags: read_pool_tags(reader, fields, secret_tags),
    })
}

/// Returns the tags of the pool: those of the secrets, and the one that shares the pool.
fn read_pool_tags(reader: &mut Reader, fields: &Fields, secret_tags: &Tags) -> Tags {
    let mut tags = secret_tags.clone();
    let prefixes = reader.read(fields, &SHARED_WITH_STACKS).unwrap_or_default();
    if prefixes.is_empty() {
        return tags;
    }
    let value = prefixes.into_iter().map(|(_, prefix)| prefix).collect::<Vec<_>>().join(" ");
    if value.len() > MAX_SHARED_WITH {
        let length = value.len();
        reader.refuse(
            fields.path(&SHARED_WITH_STACKS),
            format!("the entries together must have at most {MAX_SHARED_WITH} characters, but have {length}"),
        );
    }
    tags.insert(SHARED_WITH_TAG.to_owned(), value);
    if tags.len() > MAX_TAGS {
        let max = TAGS.rule.max() - 1;
        reader.refuse(
            fields.path(&TAGS),
            format!("must have at most {max} entries, because SharedWithStacks needs a tag as well"),
        );
    }
    tags
}

fn read_tags(reader: &mut Reader, fields: &Fields, environment: &str, owner: &Owner) -> Option<Tags> {
    let mut tags = owner.tags();
    tags.insert("Environment".to_owned(), environment.to_owned());
    tags.insert("Project".to_owned(), reader.read(fields, &PROJECT_TAG)?);
    debug_assert_eq!(tags.len(), TAGS.rule.ours());
    tags.extend(reader.read(fields, &TAGS)?);
    Some(tags)
}

/// Tells whether the clients get their tokens by API. There is no domain then, and nothing may be said about one.
fn read_by_api(reader: &mut Reader, fields: &Fields) -> Option<bool> {
    if reader.read(fields, &TOKEN_SERVICE)? != BY_API {
        return Some(false);
    }
    if fields.has(&DOMAIN_PREFIX) {
        reader.refuse(fields.path(&DOMAIN_PREFIX), left_out_message());
    }
    // It has no effect, but it must be valid.
    reader.read(fields, &MANAGED_LOGIN_VERSION)?;
    Some(true)
}

fn read_domain(reader: &mut Reader, fields: &Fields, environment: &str, tier: Tier) -> Option<Domain> {
    let prefix = read_derived_name(reader, fields, &DOMAIN_PREFIX, environment, (DOMAIN, MAX_DOMAIN))?;
    for reserved in RESERVED_DOMAIN_WORDS {
        if prefix.split('-').any(|word| word == reserved) {
            reader.refuse(fields.path(&DOMAIN_PREFIX), fill(&reserved_word_message(reserved), quoted(&prefix)));
        }
    }
    let version = reader.read(fields, &MANAGED_LOGIN_VERSION)?;
    let path = fields.path(&MANAGED_LOGIN_VERSION);
    if tier == Tier::Lite && !LITE_LOGIN_VERSION.holds(version) && !reader.has_refused(&path) {
        let origin = if fields.has(&MANAGED_LOGIN_VERSION) { "" } else { " (the default)" };
        reader.refuse(path, fill(LITE_LOGIN_MESSAGE, format!("{version}{origin}")));
    }
    Some(Domain { prefix, managed_login_version: u8::try_from(version).ok()? })
}

fn read_custom_domain(
    reader: &mut Reader,
    fields: &Fields,
    prefix_domain: Option<&Domain>,
    endpoints: &Endpoints,
) -> Option<CustomDomain> {
    let word = reader.read(fields, &TOKEN_ENDPOINT_DOMAIN);
    if word == Some(TokenEndpointDomain::Custom.as_str()) && !fields.has(&CUSTOM_DOMAIN) {
        let found = quoted(TokenEndpointDomain::Custom.as_str());
        reader.refuse(fields.path(&TOKEN_ENDPOINT_DOMAIN), fill(CUSTOM_DOMAIN_MESSAGE, found));
    }
    if prefix_domain.is_none() && fields.has(&CUSTOM_DOMAIN) {
        reader.refuse(fields.path(&CUSTOM_DOMAIN), left_out_message());
        return None;
    }
    let managed_login_version = prefix_domain?.managed_login_version;
    let custom = &reader.read(fields, &CUSTOM_DOMAIN)?;
    let name = reader.read(custom, &DOMAIN_NAME);
    let security_policy = reader.read(custom, &SECURITY_POLICY);
    let certificate_arn = reader.read(custom, &CERTIFICATE_ARN)?;
    if let Some(place) = place_of_certificates(endpoints.partition())
        && !certificate_arn.starts_with(&format!("{place}:"))
    {
        reader.refuse(
            custom.path(&CERTIFICATE_ARN),
            format!(
                "must begin with {place}:, where CloudFront finds its certificates, but is {}",
                quoted(&certificate_arn)
            ),
        );
    }
    Some(CustomDomain {
        name: name?,
        managed_login_version,
        certificate_arn,
        security_policy: security_policy.map(ToOwned::to_owned),
    })
}

/// Returns the start of the ARN of a certificate that a custom domain can use; `None` in a partition whose rule is not
/// known.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-add-custom-domain.html>
fn place_of_certificates(partition: &str) -> Option<&'static str> {
    match partition {
        "aws" => Some("arn:aws:acm:us-east-1"),
        "aws-us-gov" => Some("arn:aws-us-gov:acm:us-gov-west-1"),
        _ => None,
    }
}

pub(super) fn read_token_endpoint_domain(
    reader: &mut Reader,
    fields: &Fields,
    property: &Property<Choice>,
) -> Option<TokenEndpointDomain> {
    let word = reader.read(fields, property)?;
    TokenEndpointDomain::ALL.into_iter().find(|domain| domain.as_str() == word)
}

/// Reads a prefix and returns `<prefix>-<environment>`, the name of something that `(what, max)` describes.
fn read_derived_name(
    reader: &mut Reader,
    fields: &Fields,
    property: &Property<TextRule>,
    environment: &str,
    (what, max): (&str, usize),
) -> Option<String> {
    let name = format!("{}-{environment}", reader.read(fields, property)?);
    let length = name.chars().count();
    if length > max {
        reader
            .refuse(fields.path(property), fill(&length_message(what, max), format!("{} has {length}", quoted(&name))));
    }
    Some(name)
}

fn read_resource_servers(reader: &mut Reader, fields: &Fields) -> Vec<ResourceServer> {
    let mut seen = HashSet::new();
    let mut servers = Vec::new();
    for fields in reader.read(fields, &RESOURCE_SERVERS).unwrap_or_default() {
        let server = read_server(reader, &fields, &SERVER_IDENTIFIER, &SERVER_NAME, None);
        if !server.identifier.is_empty() {
            let path = fields.path(&SERVER_IDENTIFIER);
            refuse_duplicate(reader, &mut seen, path, &server.identifier, IN_THE_POOL);
        }
        servers.push(server);
    }
    servers
}

/// Reads a resource server. What is not valid is empty.
pub(super) fn read_server(
    reader: &mut Reader,
    fields: &Fields,
    identifier_property: &Property<TextRule>,
    name_property: &Property<TextRule>,
    mark: Option<Mark>,
) -> ResourceServer {
    let identifier = reader.read(fields, identifier_property);
    let name = match &identifier {
        Some(identifier) if !fields.has(name_property) => {
            refuse_default(reader, fields.path(name_property), IDENTIFIER_AS_NAME, identifier, &name_property.rule);
            Some(identifier.clone())
        }
        _ => reader.read(fields, name_property),
    };
    if let Some((_, Some(_))) = name.as_deref().map(Mark::split) {
        reader.refuse(fields.path(name_property), MARKED_NAME_MESSAGE);
    }
    let scopes = read_scopes(reader, fields);
    ResourceServer { identifier: identifier.unwrap_or_default(), name: name.unwrap_or_default(), mark, scopes }
}

fn read_scopes(reader: &mut Reader, server: &Fields) -> Vec<Scope> {
    let mut seen = HashSet::new();
    let mut scopes = Vec::new();
    for fields in reader.read(server, &SCOPES).unwrap_or_default() {
        let name = reader.read(&fields, &SCOPE_NAME);
        let description = reader.read(&fields, &SCOPE_DESCRIPTION);
        let Some(name) = name else { continue };
        refuse_duplicate(reader, &mut seen, fields.path(&SCOPE_NAME), &name, IN_ITS_SERVER);
        scopes.push(Scope { description: description.unwrap_or_else(|| name.clone()), name });
    }
    scopes
}

/// Returns `None` if the prefix is not valid, so that no client's secret name is reported as well.
fn read_secret_prefix(reader: &mut Reader, fields: &Fields, pool_name: &str) -> Option<String> {
    if fields.has(&SECRET_NAME_PREFIX) {
        return reader.read(fields, &SECRET_NAME_PREFIX);
    }
    let path = fields.path(&SECRET_NAME_PREFIX);
    refuse_default(reader, path, POOL_NAME_AS_SECRET_NAME, pool_name, &SECRET_NAME).then(|| pool_name.to_owned())
}

/// What the clients depend on besides their own properties.
struct ClientContext<'a> {
    pool_name: &'a str,
    /// `None` if it is not valid.
    secret_prefix: Option<String>,
    servers: &'a [ResourceServer],
    readers: ReaderRules,
}

fn read_clients(reader: &mut Reader, fields: &Fields, context: &ClientContext<'_>) -> Vec<Client> {
    let ClientContext { pool_name, secret_prefix, servers, readers } = context;
    let declared: Vec<String> = declared_scopes(servers).collect();
    let mut seen = HashSet::new();
    let mut clients = Vec::new();
    for fields in given_or_default_clients(reader, fields, pool_name) {
        let name = reader.read(&fields, &CLIENT_NAME);
        if let Some(name) = &name {
            refuse_duplicate(reader, &mut seen, fields.path(&CLIENT_NAME), name, IN_THE_POOL);
        }
        let scopes = read_client_scopes(reader, &fields, &declared);
        let validity = reader.read(&fields, &ACCESS_TOKEN_VALIDITY_MINUTES);
        let secret_readers = read_secret_readers(reader, &fields, readers);
        let (Some(name), Some(prefix), Some(validity)) = (name, secret_prefix, validity) else { continue };
        let secret_name = format!("{prefix}/{name}");
        let length = secret_name.chars().count();
        if length > SECRET_NAME.max {
            let found = format!("{} has {length}", quoted(&secret_name));
            reader.refuse(SECRET_NAME_PREFIX.name, fill(&length_message(A_SECRETS_NAME, SECRET_NAME.max), found));
        }
        clients.push(Client {
            name: ClientName(name),
            mark: None,
            adopt: None,
            scopes,
            access_token_validity_minutes: validity,
            secret_name: SecretId(secret_name),
            secret_readers,
        });
    }
    clients
}

fn given_or_default_clients(reader: &mut Reader, fields: &Fields, pool_name: &str) -> Vec<Fields> {
    if fields.has(&CLIENTS) {
        return reader.read(fields, &CLIENTS).unwrap_or_default();
    }
    let name = format!("{pool_name}{DEFAULT_CLIENT_SUFFIX}");
    // A pool's name that is too long by itself has been reported.
    if pool_name.chars().count() > MAX_POOL_NAME
        || !refuse_default(reader, fields.path(&CLIENTS), DEFAULT_CLIENT_NAME, &name, &CLIENT_NAME.rule)
    {
        return Vec::new();
    }
    let default = json!({ CLIENT_NAME.name: name });
    reader.object(&format!("{}[0]", fields.path(&CLIENTS)), &default, CLIENTS.rule.each).into_iter().collect()
}

fn read_client_scopes(reader: &mut Reader, fields: &Fields, declared: &[String]) -> Vec<String> {
    if !fields.has(&ALLOWED_OAUTH_SCOPES) {
        if declared.len() > MAX_SCOPES_PER_CLIENT {
            reader.refuse(fields.path(&ALLOWED_OAUTH_SCOPES), fill(&too_many_scopes_message(), declared.len()));
        }
        return declared.to_vec();
    }
    let known: BTreeSet<&str> = declared.iter().map(String::as_str).collect();
    let given = reader.read(fields, &ALLOWED_OAUTH_SCOPES).unwrap_or_default();
    for (path, scope) in &given {
        if !known.contains(scope.as_str()) {
            reader.refuse(path, ALLOWED_OAUTH_SCOPES.rule.item.refusal(scope));
        }
    }
    given.into_iter().map(|(_, scope)| scope).collect()
}

pub(super) fn read_recovery_window(reader: &mut Reader, fields: &Fields) -> u8 {
    reader
        .read(fields, &SECRET_RECOVERY_WINDOW_IN_DAYS)
        .and_then(|days| u8::try_from(days).ok())
        .unwrap_or(DEFAULT_RECOVERY_WINDOW_IN_DAYS)
}

pub(super) fn read_rotation(reader: &mut Reader, fields: &Fields, config: &ProviderConfig) -> Option<Rotation> {
    let days = reader.read(fields, &ROTATION_DAYS).filter(|days| *days != NO_ROTATION)?;
    let Some(function_arn) = config.rotation_function.clone() else {
        reader.refuse(
            fields.path(&ROTATION_DAYS),
            format!(
                "must be 0, because the provider does not know the rotation function (its environment variable \
                 ROTATION_FUNCTION_ARN is not set), but is {days}"
            ),
        );
        return None;
    };
    Some(Rotation { function_arn, days })
}

fn refuse_duplicate(reader: &mut Reader, seen: &mut HashSet<String>, path: String, name: &str, place: &str) {
    if !seen.insert(name.to_owned()) {
        reader.refuse(path, fill(&duplicate_message(place), quoted(name)));
    }
}

/// Returns whether a default that follows from another property keeps its rule. Refuses the property if not.
pub(super) fn refuse_default(
    reader: &mut Reader,
    path: String,
    what: [&str; 2],
    default: &str,
    rule: &TextRule,
) -> bool {
    let holds = rule.holds(default);
    if !holds {
        reader.refuse(path, fill(&default_message(what, rule), quoted(default)));
    }
    holds
}

#[cfg(test)]
mod tests {
    use super::{
        super::table::{CLIENT, CUSTOM_DOMAIN_OBJECT, Object, REPLICA, RESOURCE_SERVER, SCOPE},
        *,
    };
    use crate::model::Endpoints;

    fn parsed(properties: &Value) -> Result<Desired, Violations> {
        let owner = Owner { stack_id: "arn:stack".into(), logical_id: "M2M".into() };
        let endpoints = Endpoints::new("us-east-1", None);
        let config = ProviderConfig { endpoints, rotation_function: None };
        parse(ResourceType::CognitoM2M, properties, owner, &config)
    }

    #[test]
    fn every_property_of_the_table_is_read() {
        let base = json!({
            "ResourceServers": [{ "Identifier": "api", "Scopes": [{ "ScopeName": "read" }] }],
            "Clients": [{ "ClientName": "one" }],
            "CustomDomain": {
                "DomainName": "auth.example.com",
                "CertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/1",
            },
            "SecretReplicas": [{ "Region": "eu-west-1" }],
        });
        let places: [(&Object, &str, &str); 6] = [
            (&COGNITO_M2M, "", ""),
            (&RESOURCE_SERVER, "/ResourceServers/0", "ResourceServers[0]."),
            (&SCOPE, "/ResourceServers/0/Scopes/0", "ResourceServers[0].Scopes[0]."),
            (&CLIENT, "/Clients/0", "Clients[0]."),
            (&CUSTOM_DOMAIN_OBJECT, "/CustomDomain", "CustomDomain."),
            (&REPLICA, "/SecretReplicas/0", "SecretReplicas[0]."),
        ];
        for (table, pointer, path) in places {
            for entry in table.entries {
                let mut properties = base.clone();
                properties.pointer_mut(pointer).unwrap()[entry.name()] = Value::Null;
                let Violations(violations) = parsed(&properties).unwrap_err();
                let paths: Vec<_> = violations.into_iter().map(|violation| violation.path).collect();
                assert_eq!(paths, [format!("{path}{}", entry.name())]);
            }
        }
    }

    #[test]
    fn a_certificate_is_of_the_partition_and_in_the_region_where_cloudfront_looks() {
        let parse_in = |region: &str, certificate: &str| {
            let owner = Owner { stack_id: "arn:stack".into(), logical_id: "M2M".into() };
            let config = ProviderConfig { endpoints: Endpoints::new(region, None), rotation_function: None };
            let custom = json!({ "DomainName": "auth.example.com", "CertificateArn": certificate });
            parse(ResourceType::CognitoM2M, &json!({ "CustomDomain": custom }), owner, &config).is_ok()
        };
        let [aws, elsewhere, govcloud, govcloud_elsewhere] = [
            "arn:aws:acm:us-east-1:111122223333:certificate/1-a",
            "arn:aws:acm:eu-west-1:111122223333:certificate/1-a",
            "arn:aws-us-gov:acm:us-gov-west-1:111122223333:certificate/1-a",
            "arn:aws-us-gov:acm:us-gov-east-1:111122223333:certificate/1-a",
        ];
        for region in ["us-east-1", "eu-west-1"] {
            assert_eq!([aws, elsewhere, govcloud].map(|arn| parse_in(region, arn)), [true, false, false], "{region}");
        }
        for region in ["us-gov-west-1", "us-gov-east-1"] {
            let accepted = [aws, govcloud, govcloud_elsewhere].map(|arn| parse_in(region, arn));
            assert_eq!(accepted, [false, true, false], "{region}");
        }
        assert!(parse_in("cn-north-1", "arn:aws-cn:acm:cn-north-1:111122223333:certificate/1-a"), "AWS decides");
    }

    #[test]
    fn a_custom_domain_has_the_login_version_of_the_prefix_domain_and_a_security_policy() {
        let custom = json!({
            "DomainName": "auth.example.com",
            "CertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/1",
        });
        let desired = parsed(&json!({ "CustomDomain": custom, "ManagedLoginVersion": 1 })).unwrap();
        let CustomDomain { name, managed_login_version, certificate_arn, security_policy } =
            desired.own_pool().unwrap().custom_domain.clone().unwrap();
        assert_eq!((name.as_str(), managed_login_version), ("auth.example.com", 1));
        assert_eq!(certificate_arn, "arn:aws:acm:us-east-1:111122223333:certificate/1");
        assert_eq!(security_policy.as_deref(), Some("TLS_V1_2_2021"));
        assert_eq!(desired.token_endpoint_domain, TokenEndpointDomain::Prefix);
    }

    #[test]
    fn a_list_of_tags_is_the_map_of_them() {
        let map = parsed(&json!({ "Tags": { "Team": "a=b", "empty": "" } })).unwrap();
        assert_eq!(parsed(&json!({ "Tags": ["Team=a=b", "empty="] })).unwrap(), map);
        assert_eq!(map.secret_tags["Team"], "a=b");
        for none in [json!([""]), json!([]), json!({})] {
            assert_eq!(parsed(&json!({ "Tags": none })).unwrap(), parsed(&json!({})).unwrap(), "{none}");
        }
    }

    #[test]
    fn the_recovery_window_is_read_whatever_else_is_wrong() {
        for (properties, days) in [
            (json!({ "SecretRecoveryWindowInDays": "0", "EnvironmentName": [], "Nonsense": 1 }), 0),
            (json!({ "SecretRecoveryWindowInDays": 30, "Clients": "none" }), 30),
            (json!({ "SecretRecoveryWindowInDays": "soon" }), 7),
            (json!({}), 7),
            (Value::Null, 7),
        ] {
            assert_eq!(secret_recovery_window_in_days(&properties), days, "{properties}");
        }
    }
}
