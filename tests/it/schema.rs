//! Compares the JSON Schema with the parser, which decides. The schema refuses nothing that the parser accepts. It
//! accepts what the parser refuses only if the broken rule is one that a schema cannot state.

use std::{collections::BTreeSet, fs, sync::LazyLock};

use cognito_m2m::{
    model::{Desired, Owner, ProviderConfig, ResourceType, Violation, Violations},
    properties::{self, rules_outside_schema, schema},
};
use jsonschema::Validator;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use crate::{
    bad_input::{self, clients, own, replicas, scopes, servers, x},
    support::cloudformation::config,
};

static SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft7::new(&schema(ResourceType::CognitoM2M)).unwrap());

fn desired(properties: &Value, config: &ProviderConfig) -> Result<Desired, Violations> {
    let stack_id = "arn:aws:cloudformation:us-east-1:111122223333:stack/one/0000".to_owned();
    let owner = Owner { stack_id, logical_id: "M2M".to_owned() };
    properties::parse(ResourceType::CognitoM2M, properties, owner, config)
}

/// A rule that a schema cannot state.
struct Beyond {
    /// Returns whether a violation is one of this rule.
    is: fn(&Value, &Violation) -> bool,
    /// Returns properties that break only this rule.
    examples: fn() -> Vec<Value>,
}

/// In the order of [`rules_outside_schema`].
const BEYOND: [Beyond; 16] = [
    Beyond {
        is: |properties, violation| {
            violation.path == "UserPoolNamePrefix" && too_long_with_environment(properties, &violation.path, 128)
        },
        examples: || {
            let of_their_own = json!({ "SecretNamePrefix": "s", "Clients": clients(1) });
            vec![
                with(&of_their_own, "/UserPoolNamePrefix", json!(x(125))),
                with(&json!({ "UserPoolNamePrefix": x(97), "EnvironmentName": x(32) }), "/Clients", clients(1)),
            ]
        },
    },
    Beyond {
        is: |properties, violation| {
            violation.path == "DomainPrefix" && too_long_with_environment(properties, &violation.path, 63)
        },
        examples: || vec![json!({ "DomainPrefix": x(60) }), json!({ "DomainPrefix": x(31), "EnvironmentName": x(32) })],
    },
    Beyond {
        is: |properties, Violation { path, rule }| {
            let prefix = text(properties, path).unwrap_or_default();
            path == "SecretNamePrefix" && rule.starts_with("the secret's name ") && prefix.chars().count() <= 510
        },
        examples: || {
            vec![
                json!({ "SecretNamePrefix": x(500) }),
                json!({ "SecretNamePrefix": x(510), "Clients": [{ "ClientName": "ab" }] }),
            ]
        },
    },
    Beyond {
        is: |properties, Violation { path, rule }| {
            let prefix = text(properties, "UserPoolNamePrefix").unwrap_or_default();
            path == "Clients" && rule.contains("one client with the name") && !prefix.contains([' ', ',', '\t'])
        },
        examples: || vec![json!({ "UserPoolNamePrefix": x(118) })],
    },
    Beyond {
        is: |_, Violation { path, rule }| {
            let names = ["].Identifier", "].ScopeName", "].ClientName"];
            (names.iter().any(|name| path.ends_with(name)) || path.starts_with("Tags["))
                && rule.contains(" is declared twice")
        },
        examples: || {
            let (server, client) = (&servers(1)[0], &clients(1)[0]);
            vec![
                json!({ "ResourceServers": [server, server] }),
                json!({ "ResourceServers": [server, { "Identifier": "i0", "Name": "b", "Scopes": scopes(2) }] }),
                json!({ "ResourceServers": [{ "Identifier": "a", "Scopes": [{ "ScopeName": "s" }, { "ScopeName": "s" }] }] }),
                json!({ "Clients": [client, client] }),
                json!({ "Clients": [{ "ClientName": "7" }, { "ClientName": 7 }] }),
                json!({ "Tags": ["a=b", "a=c"] }),
            ]
        },
    },
    Beyond {
        is: |properties, Violation { path, rule }| {
            rule.starts_with("must be a scope declared in ResourceServers, ")
                && given(properties, path).and_then(Value::as_str).is_some_and(|scope| {
                    let (server, scope) = scope.rsplit_once('/').unwrap_or_default();
                    !server.is_empty() && !scope.is_empty()
                })
        },
        examples: || {
            vec![
                json!({ "Clients": [{ "ClientName": "a", "AllowedOAuthScopes": ["m2m-client/delete"] }] }),
                json!({ "Clients": [{ "ClientName": "a", "AllowedOAuthScopes": ["https://api.example.com//read"] }] }),
            ]
        },
    },
    Beyond {
        is: |_, Violation { path, rule }| path.ends_with("].AllowedOAuthScopes") && rule.ends_with(" are declared"),
        examples: || {
            vec![
                json!({ "ResourceServers": [{ "Identifier": "a", "Scopes": scopes(51) }] }),
                json!({ "ResourceServers": [
                    { "Identifier": "a", "Scopes": scopes(25) }, { "Identifier": "b", "Scopes": scopes(26) },
                ] }),
            ]
        },
    },
    Beyond {
        is: |properties, Violation { path, rule }| {
            let whole = |number: &f64| number.fract() == 0.0;
            let number = given(properties, path).filter(|value| value.is_f64()).and_then(Value::as_f64);
            rule.contains("must be a whole number, ") && number.as_ref().is_some_and(whole)
        },
        examples: || {
            vec![
                json!({ "SecretRecoveryWindowInDays": 7.0 }),
                json!({ "RotationDays": -0.0 }),
                json!({ "ManagedLoginVersion": 1.0 }),
                json!({ "ManagedLoginVersion": 1.0, "UserPoolTier": "LITE" }),
                json!({ "Clients": [{ "ClientName": "a", "AccessTokenValidityMinutes": 6e1 }] }),
            ]
        },
    },
    Beyond {
        is: |properties, Violation { path, rule }| {
            (["EnvironmentName", "DomainPrefix", "SecretKmsKeyId"].contains(&path.as_str())
                || path.ends_with("].KmsKeyId"))
                && (rule.contains(" characters matching ") || rule.starts_with("must be a key id, "))
                && given(properties, path).is_some_and(Value::is_number)
        },
        examples: || {
            vec![
                json!({ "EnvironmentName": -7 }),
                json!({ "EnvironmentName": 1.5 }),
                json!({ "DomainPrefix": -7 }),
                json!({ "SecretKmsKeyId": 1.5 }),
            ]
        },
    },
    // A schema does not know the settings of the function.
    Beyond {
        is: |_, Violation { path, rule }| path == "RotationDays" && rule.contains("ROTATION_FUNCTION_ARN"),
        examples: || vec![json!({ "RotationDays": 30 })],
    },
    Beyond {
        is: |_, Violation { path, rule }| {
            path.contains("].SecretReaders[") && rule.starts_with("must be in the partition ")
        },
        examples: || vec![readers(&json!(["arn:aws-cn:iam::111122223333:root"]))],
    },
    Beyond {
        is: |_, Violation { path, rule }| {
            path.contains("].SecretReaders[") && rule.starts_with("needs SecretKmsKeyId ")
        },
        examples: || {
            let foreign = readers(&json!(["arn:aws:iam::444455556666:role/a"]));
            let aws_managed = json!("alias/aws/secretsmanager");
            vec![foreign.clone(), with(&foreign, "/SecretKmsKeyId", aws_managed)]
        },
    },
    Beyond {
        is: |_, Violation { path, rule }| {
            path.starts_with("SecretReplicas[")
                && (rule.contains(" is declared twice") || rule.starts_with("must be another region "))
        },
        examples: || {
            vec![
                json!({ "SecretReplicas": [{ "Region": "us-east-1" }] }),
                json!({ "SecretReplicas": [{ "Region": "eu-west-1" }, { "Region": "eu-west-1", "KmsKeyId": "a" }] }),
            ]
        },
    },
    Beyond {
        is: |_, Violation { path, rule }| path.ends_with(".Name") && rule.contains("16 hexadecimal digits"),
        examples: || {
            let name = "orders @0123456789abcdef";
            vec![json!({ "ResourceServers": [{ "Identifier": "a", "Name": name, "Scopes": [{ "ScopeName": "b" }] }] })]
        },
    },
    Beyond {
        is: |_, Violation { path, rule }| {
            (path == "SharedWithStacks" && rule.starts_with("the entries together"))
                || (path == "Tags" && rule.contains("SharedWithStacks"))
        },
        examples: || {
            let tags: Map<_, _> = (0..45).map(|number| (format!("key{number}"), json!("value"))).collect();
            vec![
                json!({ "SharedWithStacks": [x(120), format!("{}b", x(119)), format!("{}c", x(119))] }),
                json!({ "SharedWithStacks": ["a"], "Tags": tags }),
            ]
        },
    },
    Beyond {
        is: |_, Violation { path, rule }| {
            path == "CustomDomain.CertificateArn" && rule.starts_with("must begin with arn:aws:acm:us-east-1:")
        },
        examples: || {
            let custom = |partition: &str, region: &str| {
                let arn = format!("arn:{partition}:acm:{region}:111122223333:certificate/1");
                json!({ "CustomDomain": { "DomainName": "auth.example.com", "CertificateArn": arn } })
            };
            vec![custom("aws", "eu-west-1"), custom("aws-us-gov", "us-gov-west-1")]
        },
    },
];

/// One client with these readers.
fn readers(readers: &Value) -> Value {
    json!({ "Clients": [{ "ClientName": "a", "SecretReaders": readers }] })
}

/// Returns the value at a path such as `Clients[1].ClientName`.
fn given<'p>(properties: &'p Value, path: &str) -> Option<&'p Value> {
    properties.pointer(&format!("/{}", path.replace('[', "/").replace(']', "").replace('.', "/")))
}

/// Returns a scalar as the text that CloudFormation would hand over.
fn text(properties: &Value, path: &str) -> Option<String> {
    match given(properties, path)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Returns whether a prefix is short enough by itself, but too long with the environment's name.
fn too_long_with_environment(properties: &Value, path: &str, most: usize) -> bool {
    let length = |path| text(properties, path).map(|text| text.chars().count());
    let (prefix, environment) = (length(path).unwrap_or_default(), length("EnvironmentName").unwrap_or("dev".len()));
    prefix <= most - 2 && prefix + 1 + environment > most
}

/// Returns the properties with one value set, or unchanged if they have no such place.
fn with(properties: &Value, pointer: &str, value: Value) -> Value {
    let mut properties = properties.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match properties.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.insert(name.to_owned(), value)),
        Some(Value::Array(list)) => match name.parse::<usize>() {
            Ok(index) if index < list.len() => list[index] = value,
            Ok(_) => list.push(value),
            Err(_) => {}
        },
        _ => {}
    }
    properties
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Verdict {
    Accepted,
    Refused,
    /// Refused only by the parser, by a rule that a schema cannot state.
    Beyond,
}

/// Asserts that the schema and the parser agree on the properties.
fn judge(properties: &Value) -> Verdict {
    let errors: Vec<_> =
        SCHEMA.iter_errors(properties).map(|error| format!("{}: {error:.200}", error.instance_path())).collect();
    match desired(properties, &config()) {
        Ok(_) => {
            assert!(errors.is_empty(), "the parser accepts, the schema does not: {errors:#?}\n{properties:.2000}");
            Verdict::Accepted
        }
        Err(violations) => {
            let is_beyond = |violation: &&Violation| BEYOND.iter().any(|rule| (rule.is)(properties, violation));
            let within: Vec<_> = violations.0.iter().filter(|violation| !is_beyond(violation)).collect();
            assert!(
                within.is_empty() || !errors.is_empty(),
                "the parser refuses, the schema does not: {within:#?}\n{properties:.2000}"
            );
            if errors.is_empty() { Verdict::Beyond } else { Verdict::Refused }
        }
    }
}

#[test]
fn it_is_a_schema_of_draft_07() {
    let schema = schema(ResourceType::CognitoM2M);
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    jsonschema::draft7::meta::validate(&schema).unwrap();
    // The meta-schema does not know all keywords: a misspelled one would have no effect.
    let mut keywords = BTreeSet::new();
    collect_keywords(&schema, &mut keywords);
    let known = [
        "$comment",
        "$schema",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "default",
        "description",
        "else",
        "enum",
        "if",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "not",
        "pattern",
        "properties",
        "propertyNames",
        "required",
        "then",
        "title",
        "type",
        "uniqueItems",
    ];
    assert_eq!(keywords, known.map(str::to_owned).into());
}

fn collect_keywords(schema: &Value, found: &mut BTreeSet<String>) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        found.insert(keyword.clone());
        match (keyword.as_str(), value) {
            ("default" | "const" | "enum", _) => {}
            ("properties", Value::Object(properties)) => {
                properties.values().for_each(|property| collect_keywords(property, found));
            }
            (_, Value::Array(schemas)) => schemas.iter().for_each(|schema| collect_keywords(schema, found)),
            (_, schema) => collect_keywords(schema, found),
        }
    }
}

#[test]
fn what_is_wrong_is_refused_by_the_schema_too() {
    let mut beyond = 0;
    let table = bad_input::properties();
    for (properties, path, _) in &table {
        match judge(properties) {
            Verdict::Accepted => panic!("{path}: {properties:.300}"),
            Verdict::Refused => {}
            Verdict::Beyond => beyond += 1,
        }
    }
    println!("{} sets of properties with one thing wrong, {beyond} by a rule beyond the schema", table.len());
    assert!(beyond < 30);
}

#[test]
fn what_is_right_is_accepted_by_the_schema_too() {
    for properties in bad_input::unusual() {
        assert_eq!(judge(&properties), Verdict::Accepted, "{properties}");
    }
}

#[test]
fn the_corpus_is_judged_alike() {
    let folder = format!("{}/fuzz/corpus/desired", env!("CARGO_MANIFEST_DIR"));
    let mut seen = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        seen.extend(serde_json::from_slice(&bytes).ok().as_ref().map(judge));
    }
    assert!(seen.contains(&Verdict::Accepted) && seen.contains(&Verdict::Refused), "{seen:?}");
}

#[test]
fn each_rule_beyond_the_schema_is_one_and_is_told() {
    assert_eq!(BEYOND.len(), rules_outside_schema(ResourceType::CognitoM2M).len());
    for (rule, says) in BEYOND.iter().zip(rules_outside_schema(ResourceType::CognitoM2M)) {
        for properties in (rule.examples)() {
            assert!(SCHEMA.is_valid(&properties), "{says}: it is not beyond the schema: {properties:.300}");
            let config = if says.starts_with("`RotationDays`") {
                ProviderConfig { rotation_function: None, ..config() }
            } else {
                config()
            };
            let violations = desired(&properties, &config).unwrap_err();
            for violation in &violations.0 {
                assert!((rule.is)(&properties, violation), "{says}: {violation}");
            }
        }
    }
}

#[test]
fn the_defaults_are_those_of_no_properties() {
    let schema = schema(ResourceType::CognitoM2M);
    let nothing = desired(&json!({}), &config()).unwrap();
    let (mut defaults, mut without) = (Map::new(), Vec::new());
    for (name, property) in schema["properties"].as_object().unwrap() {
        match property.get("default") {
            Some(default) => {
                let alone = json!({ name: default });
                assert_eq!(desired(&alone, &config()).as_ref(), Ok(&nothing), "{name}");
                defaults.insert(name.clone(), default.clone());
            }
            None => without.push(name.as_str()),
        }
    }
    // These follow from other properties, belong to CloudFormation, or mean the AWS managed key.
    assert_eq!(
        without,
        ["Clients", "CustomDomain", "SecretKmsKeyId", "SecretNamePrefix", "ServiceTimeout", "ServiceToken"]
    );
    let defaults = Value::Object(defaults);
    assert_eq!(desired(&defaults, &config()).as_ref(), Ok(&nothing));
    assert_eq!(judge(&defaults), Verdict::Accepted);

    let client = json!({ "Clients": clients(1) });
    let validity = &schema["properties"]["Clients"]["items"]["properties"]["AccessTokenValidityMinutes"]["default"];
    let given = with(&client, "/Clients/0/AccessTokenValidityMinutes", validity.clone());
    assert!(validity.is_number());
    assert_eq!(desired(&given, &config()), desired(&client, &config()));
}

/// The places in [`bases`] that can be set.
const PLACES: [&str; 51] = [
    "/EnvironmentName",
    "/UserPoolNamePrefix",
    "/DomainPrefix",
    "/ProjectTag",
    "/Tags",
    "/Tags/a",
    "/Tags/0",
    "/Tags/9",
    "/Tags/Environment",
    "/Tags/ManagedBy",
    "/Tags/Aws:a",
    "/Tags/cognito-m2m:a",
    "/Tags/ServiceToken",
    "/Tags/",
    "/ResourceServers",
    "/ResourceServers/0",
    "/ResourceServers/9",
    "/ResourceServers/0/Identifier",
    "/ResourceServers/0/Name",
    "/ResourceServers/0/Scopes",
    "/ResourceServers/0/Scopes/9",
    "/ResourceServers/0/Scopes/0/ScopeName",
    "/ResourceServers/0/Scopes/0/ScopeDescription",
    "/ResourceServers/0/Scopes/0/ServiceToken",
    "/Clients",
    "/Clients/9",
    "/Clients/0/ClientName",
    "/Clients/0/AllowedOAuthScopes",
    "/Clients/0/AllowedOAuthScopes/0",
    "/Clients/0/AccessTokenValidityMinutes",
    "/Clients/0/SecretReaders",
    "/Clients/0/SecretReaders/0",
    "/Clients/0/SecretReaders/9",
    "/SecretReplicas",
    "/SecretReplicas/9",
    "/SecretReplicas/0/Region",
    "/SecretReplicas/0/KmsKeyId",
    "/UserPoolTier",
    "/ManagedLoginVersion",
    "/DeletionProtection",
    "/SecretNamePrefix",
    "/SecretKmsKeyId",
    "/SecretRecoveryWindowInDays",
    "/RotationDays",
    "/RotateSecrets",
    "/VerifyToken",
    "/CustomDomain",
    "/CustomDomain/DomainName",
    "/CustomDomain/CertificateArn",
    "/CustomDomain/SecurityPolicy",
    "/TokenEndpointDomain",
];
/// Places where no property is.
const NOWHERE: [&str; 4] = ["/Nonsense", "/ServiceToken", "/Clients/0/ServiceTimeout", "/ResourceServers/0/Nonsense"];

fn bases() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "Tags": { "Kosten stelle": "Größe" }, "UserPoolTier": "LITE", "ManagedLoginVersion": "01" }),
        json!({ "UserPoolNamePrefix": "a b", "SecretNamePrefix": "s", "Clients": clients(2) }),
        json!({
            "ResourceServers": [
                { "Identifier": "a", "Scopes": [{ "ScopeName": "r" }] },
                { "Identifier": "https://a/", "Name": "b", "Scopes": [{ "ScopeName": "r" }, { "ScopeName": "w" }] },
            ],
            "Clients": [
                { "ClientName": "x", "AllowedOAuthScopes": ["a/r", "https://a//w"] },
                { "ClientName": "y", "AccessTokenValidityMinutes": "60" },
            ],
            "Tags": {},
        }),
        json!({ "Tags": ["a=b", "c="], "DomainPrefix": "lawson" }),
        json!({
            "CustomDomain": {
                "DomainName": "auth.example.com",
                "CertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/1",
            },
            "TokenEndpointDomain": "CUSTOM",
        }),
        json!({
            "Clients": [{ "ClientName": "x", "SecretReaders": [own("root")] }, { "ClientName": "y" }],
            "SecretReplicas": [{ "Region": "eu-west-1" }],
        }),
    ]
}

/// The ends of every range, and their neighbors.
const NUMBERS: [u32; 25] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 29, 30, 31, 59, 60, 99, 100, 999, 1000, 1001, 1439, 1440, 1441, 10_000, u32::MAX];
const LENGTHS: [usize; 9] = [1, 32, 61, 63, 126, 128, 256, 510, 2048];
const WORDS: [&str; 62] = [
    "",
    "a",
    "b",
    "x",
    "7",
    "dev",
    "a/r",
    "a/w",
    "https://a/",
    "https://a//r",
    "a b",
    "a,b",
    "a-",
    "-a",
    "aws",
    "xawsx",
    "x-aws-x",
    "aws-",
    "laws-amazonas",
    "-cognito",
    "a=b",
    "a=c",
    "=b",
    "c=d=e",
    "aws:a=b",
    "Project=b",
    "Projects=b",
    "cognito-m2m:a=b",
    "amazon",
    "cognito",
    "LITE",
    "API",
    "DOMAIN",
    "PLUS",
    "ESSENTIALS",
    "Lite",
    "ACTIVE",
    "INACTIVE",
    "true",
    "false",
    "True",
    "alias/a",
    "key/a",
    "arn:aws:kms:us-east-1:111122223333:key/a",
    "arn:aws:kms:us-east-1:111122223333:alias/a/b",
    "arn:aws:s3:::a",
    "arn:aws:acm:us-east-1:111122223333:certificate/a",
    "arn:aws:acm:eu-west-1:111122223333:certificate/a",
    "a.example.com",
    "example.com",
    "CUSTOM",
    "TLS_V1",
    "*",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:role/a/b",
    "arn:aws:iam::111122223333:role/*",
    "arn:aws:iam::111122223333:user/",
    "arn:aws:iam::444455556666:user/a",
    "arn:aws-cn:iam::444455556666:role/a",
    "us-east-1",
    "eu-west-1",
    "eu-west",
];
const CHARS: [char; 24] = [
    'a', 'z', 'A', '0', '-', '_', '.', ':', '/', '=', '+', '@', ',', ' ', '"', '\\', '\n', '\u{b}', '\u{85}', '\u{a0}',
    'é', '語', '²', '😀',
];

fn value() -> impl Strategy<Value = Value> {
    let number = select(&NUMBERS[..]);
    let near = (select(&LENGTHS[..]), 0..5_usize).prop_map(|(length, more)| length.saturating_sub(2) + more);
    prop_oneof![
        4 => number.clone().prop_map(Value::from),
        4 => (number.clone(), 0..4_usize).prop_map(|(number, zeros)| json!(format!("{}{number}", "0".repeat(zeros)))),
        1 => number.clone().prop_map(|number| json!(-i64::from(number))),
        1 => number.clone().prop_map(|number| json!(f64::from(number))),
        1 => number.prop_map(|number| json!(f64::from(number) + 0.5)),
        1 => select(vec![json!(u64::MAX), json!(1e25), json!(1e-7), json!(-0.0), json!("+7"), json!("7 "), json!("٧")]),
        8 => select(&WORDS[..]).prop_map(Value::from),
        4 => vec(select(&CHARS[..]), 0..5).prop_map(|chars| json!(chars.into_iter().collect::<String>())),
        4 => (near, select(vec!['x', '-', ' ', '語', '😀'])).prop_map(|(length, c)| json!(c.to_string().repeat(length))),
        1 => any::<bool>().prop_map(Value::from),
        1 => select(vec![Value::Null, json!([]), json!({}), json!([""]), json!([{}]), json!({ "": "" })]),
        1 => select(vec![servers(1)[0].clone(), clients(1)[0].clone(), scopes(1)[0].clone()]),
        1 => select(vec![json!(["a/r"]), json!(["a/r", "a/r"]), json!(["a/r", "b/r"]), json!(["a"]), json!([7])]),
        1 => select(vec![json!(["a=b"]), json!(["a=b", "c=d"]), json!(["a=b", "a=c"]), json!(["", "a=b"])]),
        1 => select(vec![0, 1, 25, 26, 45, 46, 50, 51, 100, 101]).prop_flat_map(|count| {
            let tags: Map<_, _> = (0..count).map(|n| (format!("t{n}"), json!("v"))).collect();
            let list = (0..count).map(|n| json!(format!("t{n}=v"))).collect();
            select(vec![servers(count), scopes(count), clients(count), Value::Object(tags), list])
        }),
    ]
}

fn change() -> impl Strategy<Value = (String, Value)> {
    let key = vec(select(&CHARS[..]), 0..5).prop_map(|chars| {
        let key: String = chars.into_iter().collect();
        format!("/Tags/{}", key.replace('/', ""))
    });
    let place = prop_oneof![
        30 => select(&PLACES[..]).prop_map(ToOwned::to_owned),
        3 => key,
        1 => select(&NOWHERE[..]).prop_map(ToOwned::to_owned),
    ];
    (place, value())
}

#[test]
fn any_properties_are_judged_alike() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let counts = std::cell::RefCell::new(std::collections::BTreeMap::<Verdict, u32>::new());
    let result = runner.run(&(select(bases()), vec(change(), 1..4)), |(base, changes)| {
        let properties =
            changes.into_iter().fold(base, |properties, (pointer, value)| with(&properties, &pointer, value));
        *counts.borrow_mut().entry(judge(&properties)).or_default() += 1;
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    println!("judged alike: {:?}", counts.borrow());
    // Random changes rarely break only a rule that a schema cannot state.
    for (verdict, least) in [(Verdict::Accepted, 500), (Verdict::Refused, 500), (Verdict::Beyond, 5)] {
        assert!(counts.borrow().get(&verdict).is_some_and(|count| *count >= least), "{counts:?}");
    }
}

#[test]
fn one_change_at_the_edge_of_a_rule_is_judged_alike() {
    let mut judged = 0;
    let mut judge = |properties: Value| {
        judge(&properties);
        judged += 1;
    };
    for base in bases() {
        for place in PLACES {
            for number in NUMBERS {
                judge(with(&base, place, json!(number)));
                judge(with(&base, place, json!(format!("0{number}"))));
            }
            for word in WORDS {
                judge(with(&base, place, json!(word)));
            }
            for length in LENGTHS {
                (length.saturating_sub(1)..=length + 1).for_each(|length| judge(with(&base, place, json!(x(length)))));
            }
            for c in CHARS {
                judge(with(&base, place, json!(format!("a{c}a"))));
            }
        }
    }
    let days = ["/ManagedLoginVersion", "/SecretRecoveryWindowInDays", "/RotationDays"];
    for place in days.into_iter().chain(["/Clients/0/AccessTokenValidityMinutes"]) {
        let base = json!({ "Clients": clients(1) });
        for number in 0..=1500 {
            judge(with(&base, place, json!(number)));
            judge(with(&base, place, json!(number.to_string())));
            judge(with(&base, place, json!(format!("{number:06}"))));
        }
    }
    let declared = json!({ "ResourceServers": [{ "Identifier": "a", "Scopes": scopes(60) }] });
    for count in 0..=52 {
        let allowed: Vec<_> = (0..count).map(|n| format!("a/s{n}")).collect();
        judge(with(&declared, "/Clients", json!([{ "ClientName": "x", "AllowedOAuthScopes": allowed }])));
        let tags: Map<_, _> = (0..count).map(|n| (format!("t{n}"), json!("v"))).collect();
        judge(json!({ "Tags": tags }));
        judge(json!({ "Tags": (0..count).map(|n| format!("t{n}=v")).collect::<Vec<_>>() }));
    }
    for length in LENGTHS.into_iter().flat_map(|length| length - 1..=length + 1) {
        for c in ["x", "-", "語", "😀", "\u{2028}", "="] {
            let text = c.repeat(length);
            for tag in [format!("{text}=v"), format!("k={text}"), format!("{text}={text}")] {
                judge(json!({ "Tags": [tag] }));
            }
            judge(json!({ "Tags": { text.clone(): "v" } }));
        }
    }
    for count in (0..=27).chain(49..=51).chain(99..=101) {
        judge(json!({ "ResourceServers": servers(count) }));
        judge(json!({ "Clients": clients(count) }));
        judge(json!({ "SecretReplicas": replicas(count) }));
        judge(readers(&(0..count).map(|n| json!(own(&format!("role/r{n}")))).collect()));
        let allowed = json!([{ "ClientName": "x", "AllowedOAuthScopes": ["a/s0"] }]);
        judge(json!({ "ResourceServers": [{ "Identifier": "a", "Scopes": scopes(count) }], "Clients": allowed }));
    }
    println!("{judged} sets of properties with one thing at the edge of a rule");
}
