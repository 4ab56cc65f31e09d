//! Properties of a client and of a resource server in somebody else's pool that are wrong in one way each.

use std::sync::LazyLock;

use cognito_m2m::{model::ResourceType, properties::schema};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{
    bad_input::{scopes, x},
    support::{FakeAws, Stack, fixtures::with},
};

/// Properties, the path that the message must name, and a word of the rule.
pub type Wrong = (Value, &'static str, &'static str);

pub fn client() -> Value {
    json!({ "UserPoolId": "us-east-1_AbC123", "ClientName": "orders", "AllowedOAuthScopes": ["stock/read"] })
}

pub fn server() -> Value {
    json!({ "UserPoolId": "us-east-1_AbC123", "Identifier": "stock", "Scopes": [{ "ScopeName": "read" }] })
}

fn without(mut properties: Value, name: &str) -> Value {
    properties.as_object_mut().unwrap().remove(name);
    properties
}

pub fn wrong_clients() -> Vec<Wrong> {
    let set = |name: &str, value: Value| with(client(), name, value);
    vec![
        (json!([]), "ResourceProperties", "map"),
        (without(client(), "UserPoolId"), "UserPoolId", "required"),
        (without(client(), "ClientName"), "ClientName", "required"),
        (without(client(), "AllowedOAuthScopes"), "AllowedOAuthScopes", "required"),
        (set("UserPoolId", json!("pool")), "UserPoolId", "user pool id"),
        (set("UserPoolId", json!("")), "UserPoolId", "user pool id"),
        (set("UserPoolId", json!("us-east-1_a b")), "UserPoolId", "user pool id"),
        (set("UserPoolId", json!(["us-east-1_AbC123"])), "UserPoolId", "string"),
        (set("ClientName", json!(x(111))), "ClientName", "110"),
        (set("ClientName", json!("or ders")), "ClientName", "A-Za-z0-9"),
        (set("ClientName", json!("orders @0123456789abcdef")), "ClientName", "A-Za-z0-9"),
        (set("AllowedOAuthScopes", json!([])), "AllowedOAuthScopes", "1 to 50"),
        (set("AllowedOAuthScopes", json!("stock/read")), "AllowedOAuthScopes", "list"),
        (set("AllowedOAuthScopes", json!(["stock"])), "AllowedOAuthScopes[0]", "<Identifier>/<ScopeName>"),
        (set("AllowedOAuthScopes", json!(["a/b", "a/b"])), "AllowedOAuthScopes[1]", "unique"),
        (set("AccessTokenValidityMinutes", json!(4)), "AccessTokenValidityMinutes", "5 to 1440"),
        (set("SecretName", json!("")), "SecretName", "512"),
        (set("SecretName", json!("a b")), "SecretName", "A-Za-z0-9"),
        (set("SecretNamePrefix", json!("a")), "SecretNamePrefix", "known"),
        (set("SecretKmsKeyId", json!("a/b")), "SecretKmsKeyId", "key"),
        (set("SecretRecoveryWindowInDays", json!(3)), "SecretRecoveryWindowInDays", "7 to 30"),
        (set("RotationDays", json!(1001)), "RotationDays", "0 to 1000"),
        (set("RotateSecret", json!(x(129))), "RotateSecret", "128"),
        (set("RotateSecrets", json!("now")), "RotateSecrets", "known"),
        (set("VerifyToken", json!("yes")), "VerifyToken", "true"),
        (set("Tags", json!({ "ManagedBy": "me" })), "Tags.ManagedBy", "sets this tag itself"),
        (set("Tags", json!({ "cognito-m2m:stack-id": "me" })), "Tags.cognito-m2m:stack-id", "sets this tag itself"),
        (set("Tags", json!({ "aws:a": "b" })), "Tags.aws:a", "reserved for AWS"),
        (set("Tags", (0..48).map(|n| (format!("k{n}"), json!("v"))).collect()), "Tags", "47"),
        (set("AdoptClientId", json!("")), "AdoptClientId", "128"),
        (set("AdoptClientId", json!("a-b")), "AdoptClientId", r"[\w+]+"),
        (set("SharedWithStacks", json!(["a"])), "SharedWithStacks", "known"),
    ]
}

pub fn wrong_servers() -> Vec<Wrong> {
    let set = |name: &str, value: Value| with(server(), name, value);
    vec![
        (Value::Null, "ResourceProperties", "map"),
        (without(server(), "UserPoolId"), "UserPoolId", "required"),
        (without(server(), "Identifier"), "Identifier", "required"),
        (without(server(), "Scopes"), "Scopes", "required"),
        (set("UserPoolId", json!("us-east-1_AbC123|stock")), "UserPoolId", "user pool id"),
        (set("Identifier", json!("a b")), "Identifier", "characters"),
        (set("Identifier", json!("https://api.example.com")), "Name", "must be given"),
        (set("Name", json!(x(231))), "Name", "230"),
        (set("Name", json!("Stock @0123456789abcdef")), "Name", "16 hexadecimal digits"),
        (set("Scopes", json!([])), "Scopes", "1 to 100"),
        (set("Scopes", scopes(101)), "Scopes", "1 to 100"),
        (set("Scopes", json!([{ "ScopeName": "a/b" }])), "Scopes[0].ScopeName", "characters"),
        (set("Scopes", json!([{ "ScopeName": "a" }, { "ScopeName": "a" }])), "Scopes[1].ScopeName", "unique"),
        (set("Tags", json!({ "a": "b" })), "Tags", "known"),
    ]
}

static CLIENT_SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft7::new(&schema(ResourceType::CognitoM2MClient)).unwrap());
static SERVER_SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft7::new(&schema(ResourceType::CognitoM2MResourceServer)).unwrap());

/// What a schema cannot state.
fn is_beyond(rule: &str) -> bool {
    ["16 hexadecimal digits"].contains(&rule) || rule == "unique"
}

#[tokio::test(start_paused = true)]
async fn a_wrong_property_is_named_with_its_rule_and_nothing_is_written() {
    for (resource_type, good, wrong, schema) in [
        (ResourceType::CognitoM2MClient, client(), wrong_clients(), &CLIENT_SCHEMA),
        (ResourceType::CognitoM2MResourceServer, server(), wrong_servers(), &SERVER_SCHEMA),
    ] {
        assert!(schema.is_valid(&good));
        for (properties, path, word) in wrong {
            let stack = Stack::of_type(resource_type, &FakeAws::default(), "team-a");
            let failed = stack.create(&properties).await;
            let reason = failed.failed(path);
            assert!(reason.contains(word), "{word:?} is not in {reason}");
            assert!(is_beyond(word) || !schema.is_valid(&properties), "the schema accepts {properties}");
            stack.delete(failed.physical_id(), &properties).await.good_at(&properties);
            let calls = stack.world().writes();
            assert_eq!(calls.iter().filter(|call| !call.contains("Secret") && **call != "TagResource").count(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn all_that_is_wrong_is_reported_at_once() {
    let stack = Stack::of_type(ResourceType::CognitoM2MClient, &FakeAws::default(), "team-a");
    let properties = json!({ "ClientName": "a b", "RotationDays": -1, "VerifyToken": 2, "Tags": 3, "Other": 4 });
    let reason = stack.create(&properties).await.failed("UserPoolId").clone();
    for path in ["ClientName", "AllowedOAuthScopes", "RotationDays", "VerifyToken", "Tags", "Other"] {
        assert!(reason.contains(path), "{path}: {reason}");
    }
}

#[test]
fn a_rotation_needs_its_function() {
    use cognito_m2m::{model::Owner, properties::parse};
    let config =
        cognito_m2m::model::ProviderConfig { rotation_function: None, ..crate::support::cloudformation::config() };
    let owner = Owner { stack_id: "arn:aws:cloudformation:us-east-1:1:stack/a/1".into(), logical_id: "C".into() };
    let properties = with(client(), "RotationDays", 30);
    let violations = parse(ResourceType::CognitoM2MClient, &properties, owner, &config).unwrap_err();
    assert!(violations.to_string().contains("ROTATION_FUNCTION_ARN"), "{violations}");
}
