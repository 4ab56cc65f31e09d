//! Builds [`Desired`] for a client or a resource server in somebody else's pool.

use serde_json::Value;

use super::{
    parse::{
        read_recovery_window, read_rotation, read_server as read_server_fields, read_token_endpoint_domain,
        refuse_default,
    },
    reader::{Fields, Reader},
    sharing::{ReaderRules, read_secret_readers, read_secret_replicas},
    table::{
        ACCESS_TOKEN_VALIDITY_MINUTES, ADOPT_CLIENT_ID, COGNITO_M2M_CLIENT, COGNITO_M2M_RESOURCE_SERVER,
        DEFAULT_RECOVERY_WINDOW_IN_DAYS, PART_ALLOWED_OAUTH_SCOPES, PART_CLIENT_NAME, PART_IDENTIFIER,
        PART_SECRET_NAME, PART_SERVER_NAME, PART_TAGS, PART_TOKEN_ENDPOINT_DOMAIN, ROTATE_SECRET, SECRET_KMS_KEY_ID,
        SECRET_NAME, USER_POOL_ID, VERIFY_TOKEN,
    },
};
use crate::model::{
    Client, ClientId, ClientName, Desired, DesiredPool, Mark, Owner, PoolId, ProviderConfig, Replicas, SecretId, Tags,
    TokenEndpointDomain,
};

pub(super) fn read_client(
    reader: &mut Reader,
    properties: &Value,
    owner: Owner,
    config: &ProviderConfig,
) -> Option<Desired> {
    let fields = &reader.object("", properties, &COGNITO_M2M_CLIENT)?;
    // Each property is read, and its violation noted, before the first question mark ends the function.
    let pool = reader.read(fields, &USER_POOL_ID);
    let name = reader.read(fields, &PART_CLIENT_NAME);
    let scopes = reader.read(fields, &PART_ALLOWED_OAUTH_SCOPES);
    let secret_name = read_secret_name(reader, fields, &owner, name.as_deref());
    let adopt = reader.read(fields, &ADOPT_CLIENT_ID).map(ClientId);
    let validity = reader.read(fields, &ACCESS_TOKEN_VALIDITY_MINUTES);
    let tags = reader.read(fields, &PART_TAGS);
    let secret_kms_key_id = reader.read(fields, &SECRET_KMS_KEY_ID);
    let rules = ReaderRules::new(reader, fields, &owner, &config.endpoints, secret_kms_key_id.as_deref());
    let secret_readers = read_secret_readers(reader, fields, &rules);
    let secret_replicas = read_secret_replicas(reader, fields, &config.endpoints);
    let secret_recovery_window_in_days = read_recovery_window(reader, fields);
    let rotation = read_rotation(reader, fields, config);
    let rotate_secrets = reader.read(fields, &ROTATE_SECRET);
    let verify_token = reader.read(fields, &VERIFY_TOKEN);
    let token_endpoint_domain = read_token_endpoint_domain(reader, fields, &PART_TOKEN_ENDPOINT_DOMAIN);
    let client = Client {
        name: ClientName(name?),
        mark: Some(Mark::of(&owner)),
        adopt,
        scopes: scopes?.into_iter().map(|(_, scope)| scope).collect(),
        access_token_validity_minutes: validity?,
        secret_name: SecretId(secret_name?),
        secret_readers,
    };
    let mut secret_tags = owner.tags();
    secret_tags.extend(tags?);
    Some(Desired {
        endpoints: config.endpoints.clone(),
        pool: DesiredPool::Shared(PoolId(pool?)),
        resource_servers: Vec::new(),
        clients: vec![client],
        secret_tags,
        secret_kms_key_id,
        secret_recovery_window_in_days,
        rotation,
        secret_replicas,
        rotate_secrets: rotate_secrets?,
        verify_token: verify_token?,
        token_endpoint_domain: token_endpoint_domain?,
        owner,
    })
}

/// Returns the secret's name; `None` if it is not valid, or if it follows from a name that is not.
fn read_secret_name(reader: &mut Reader, fields: &Fields, owner: &Owner, client: Option<&str>) -> Option<String> {
    if fields.has(&PART_SECRET_NAME) {
        return reader.read(fields, &PART_SECRET_NAME);
    }
    let default = format!("{}/{}", owner.stack_name(), client?);
    let origin = ["the stack's name, a slash and the ClientName", "a secret's name"];
    refuse_default(reader, fields.path(&PART_SECRET_NAME), origin, &default, &SECRET_NAME).then_some(default)
}

pub(super) fn read_server(
    reader: &mut Reader,
    properties: &Value,
    owner: Owner,
    config: &ProviderConfig,
) -> Option<Desired> {
    let fields = &reader.object("", properties, &COGNITO_M2M_RESOURCE_SERVER)?;
    let pool = reader.read(fields, &USER_POOL_ID);
    let server = read_server_fields(reader, fields, &PART_IDENTIFIER, &PART_SERVER_NAME, Some(Mark::of(&owner)));
    Some(Desired {
        endpoints: config.endpoints.clone(),
        pool: DesiredPool::Shared(PoolId(pool?)),
        resource_servers: vec![server],
        clients: Vec::new(),
        // There is no secret.
        secret_tags: Tags::new(),
        secret_kms_key_id: None,
        secret_recovery_window_in_days: DEFAULT_RECOVERY_WINDOW_IN_DAYS,
        rotation: None,
        secret_replicas: Replicas::new(),
        rotate_secrets: String::new(),
        verify_token: false,
        token_endpoint_domain: TokenEndpointDomain::Prefix,
        owner,
    })
}
