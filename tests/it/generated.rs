//! The files that follow from the code, for what is not Rust: the JSON Schemas, for the rules of cfn-lint in `lint/` and
//! for the CDK library in `cdk/`; and what the parser says about the tables of good and bad properties, for the tests of
//! the rules. These tests hold the files equal to the code.
//!
//! `make generate` writes them.

use std::{env, fs, path::Path};

use cognito_m2m::{
    model::{Owner, ResourceType, Violation},
    properties::{self, schema},
};
use serde_json::{Value, json};

use crate::{bad_input, bad_input_parts, support::cloudformation::config};

const TYPES: [ResourceType; 3] =
    [ResourceType::CognitoM2M, ResourceType::CognitoM2MClient, ResourceType::CognitoM2MResourceServer];

/// Properties that are longer than this add nothing: a shorter set breaks the same rule.
const MAX_CASE_BYTES: usize = 10_000;

/// Compares a file with what the code makes, or writes it.
fn hold(path: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = format!("{value:#}\n");
    if env::var_os("GENERATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{} is not what the code says: run `make generate`", path.display());
}

/// Returns properties of a resource type, those that are wrong first.
fn cases(resource_type: ResourceType) -> (Vec<Value>, Vec<Value>) {
    let of = |table: Vec<bad_input_parts::Wrong>| table.into_iter().map(|(properties, ..)| properties).collect();
    match resource_type {
        ResourceType::CognitoM2M => (of(bad_input::properties()), bad_input::unusual()),
        ResourceType::CognitoM2MClient => (of(bad_input_parts::wrong_clients()), vec![bad_input_parts::client()]),
        ResourceType::CognitoM2MResourceServer => {
            (of(bad_input_parts::wrong_servers()), vec![bad_input_parts::server()])
        }
    }
}

/// Returns properties with what the parser says about them.
fn judged(resource_type: ResourceType, properties: &Value) -> Value {
    let stack_id = "arn:aws:cloudformation:us-east-1:111122223333:stack/one/0000".to_owned();
    let owner = Owner { stack_id, logical_id: "M2M".to_owned() };
    let violations = properties::parse(resource_type, properties, owner, &config()).err().map(|all| all.0);
    let says = |Violation { path, rule }| json!([path, rule]);
    json!({ "properties": properties, "violations": violations.unwrap_or_default().into_iter().map(says).collect::<Vec<_>>() })
}

#[test]
fn the_schemas_in_the_packages_are_those_of_the_code() {
    for resource_type in TYPES {
        let name = resource_type.as_str().replace("::", "-");
        hold(&format!("lint/cfn_lint_cognito_m2m/schemas/{name}.json"), &schema(resource_type));
    }
}

#[test]
fn the_cases_of_the_lint_rules_tests_are_those_of_the_parsers_tests() {
    let of_type = |resource_type: ResourceType| {
        let (wrong, right) = cases(resource_type);
        let short = |properties: &Value| properties.to_string().len() < MAX_CASE_BYTES;
        let judged = |sets: Vec<Value>| -> Vec<Value> {
            sets.iter().filter(|set| short(set)).map(|set| judged(resource_type, set)).collect()
        };
        (resource_type.as_str().to_owned(), json!({ "wrong": judged(wrong), "right": judged(right) }))
    };
    hold("tests/tools/lint_cases.json", &Value::Object(TYPES.into_iter().map(of_type).collect()));
}
