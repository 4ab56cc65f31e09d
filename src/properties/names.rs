//! Rules for names that follow from several properties, as data in the JSON Schema. `parse` checks them itself; the
//! rule of cfn-lint in `lint/` reads them.

use serde_json::{Value, json};

use super::{
    messages::{
        A_SECRETS_NAME, DEFAULT_CLIENT_NAME, DOMAIN, IDENTIFIER_AS_NAME, MARKED_NAME_MESSAGE, POOL_NAME,
        POOL_NAME_AS_SECRET_NAME, default_message, length_message, reserved_word_message,
    },
    rules::TextRule,
    schema::{has_word, restrict},
    table::{
        BY_API, CLIENT_NAME, CLIENTS, COGNITO_M2M, COGNITO_M2M_RESOURCE_SERVER, DEFAULT_CLIENT_SUFFIX, DOMAIN_PREFIX,
        ENVIRONMENT_NAME, MAX_DOMAIN, MAX_POOL_NAME, Object, PART_SERVER_NAME, RESERVED_DOMAIN_WORDS, RESOURCE_SERVER,
        SECRET_NAME, SECRET_NAME_PREFIX, SERVER_IDENTIFIER, SERVER_NAME, TOKEN_SERVICE, USER_POOL_NAME_PREFIX,
    },
};

/// Returns the rules for the names of an object.
///
/// Each has the parts of a name (`{"property": …}`, or `{"each": …, "property": …}` for a property of each entry of a
/// list; other text is itself), a schema for the name, and the message and the property that it is about. With `when`,
/// the rule applies only if properties keep these schemas. With `unless`, the name is the default of that property.
pub(super) fn names(table: &Object) -> Vec<Value> {
    if table.name == COGNITO_M2M.name {
        names_of_the_pool()
    } else if table.name == RESOURCE_SERVER.name {
        names_of_a_server(&SERVER_NAME.rule)
    } else if table.name == COGNITO_M2M_RESOURCE_SERVER.name {
        names_of_a_server(&PART_SERVER_NAME.rule)
    } else {
        Vec::new()
    }
}

fn names_of_the_pool() -> Vec<Value> {
    let with_environment =
        |property: &str| json!([{ "property": property }, "-", { "property": ENVIRONMENT_NAME.name }]);
    let (pool, domain) = (with_environment(USER_POOL_NAME_PREFIX.name), with_environment(DOMAIN_PREFIX.name));
    let mut client = pool.clone();
    if let Some(parts) = client.as_array_mut() {
        parts.push(json!(DEFAULT_CLIENT_SUFFIX));
    }
    let secret = json!([
        { "property": SECRET_NAME_PREFIX.name }, "/", { "each": CLIENTS.name, "property": CLIENT_NAME.name },
    ]);
    let mut names = vec![
        too_long(USER_POOL_NAME_PREFIX.name, &pool, POOL_NAME, MAX_POOL_NAME),
        with_domain(too_long(DOMAIN_PREFIX.name, &domain, DOMAIN, MAX_DOMAIN)),
        too_long(SECRET_NAME_PREFIX.name, &secret, A_SECRETS_NAME, SECRET_NAME.max),
        default(SECRET_NAME_PREFIX.name, &pool, POOL_NAME_AS_SECRET_NAME, &SECRET_NAME),
        default(CLIENTS.name, &client, DEFAULT_CLIENT_NAME, &CLIENT_NAME.rule),
    ];
    names.extend(RESERVED_DOMAIN_WORDS.map(|word| {
        let schema = json!({ "not": { "pattern": has_word(word) } });
        with_domain(json!({
            "path": DOMAIN_PREFIX.name, "parts": domain, "schema": schema, "message": reserved_word_message(word),
        }))
    }));
    names
}

fn names_of_a_server(rule: &TextRule) -> Vec<Value> {
    vec![
        default(SERVER_NAME.name, &json!([{ "property": SERVER_IDENTIFIER.name }]), IDENTIFIER_AS_NAME, rule),
        json!({
            "path": SERVER_NAME.name,
            "parts": [{ "property": SERVER_NAME.name }],
            "schema": { "not": { "pattern": " @[0-9a-f]{16}$" } },
            "message": MARKED_NAME_MESSAGE,
        }),
    ]
}

/// Limits a rule to pools that have a domain.
fn with_domain(mut rule: Value) -> Value {
    rule["when"] = json!({ TOKEN_SERVICE.name: { "not": { "const": BY_API } } });
    rule
}

fn too_long(path: &str, parts: &Value, what: &str, max: usize) -> Value {
    // The parser says both: the name, and how long it is.
    let message = length_message(what, max).replace("{found}", "{found} has {length}");
    json!({ "path": path, "parts": parts, "schema": { "maxLength": max }, "message": message })
}

fn default(path: &str, parts: &Value, what: [&str; 2], rule: &TextRule) -> Value {
    let mut schema = json!({});
    restrict(&mut schema, rule);
    json!({ "path": path, "parts": parts, "unless": path, "schema": schema, "message": default_message(what, rule) })
}
