//! The package held against the code.

use std::{collections::BTreeSet, fs};

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Every `prefix:Action` in a text.
fn actions(text: &str, prefix: &str) -> BTreeSet<String> {
    let action = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    text.split(prefix).skip(1).map(action).filter(|action| !action.is_empty()).collect()
}

/// The operations that a file of the adapter calls, read off `self.sdk.some_operation()`.
fn operations(source: &str) -> BTreeSet<String> {
    let joined: String = source.split_whitespace().collect();
    let camel = |snake: &str| -> String {
        let word = |word: &str| word[..1].to_uppercase() + &word[1..];
        snake.split('_').map(word).collect()
    };
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    joined.split("self.sdk.").skip(1).map(|rest| camel(&name(rest))).collect()
}

fn role() -> String {
    let template = read("template.yaml");
    let start = template.find("\n  ProviderRole:").unwrap();
    let end = template[start..].find("\n  ProviderLogGroup:").unwrap();
    // Comments may speak of other actions.
    let lines = template[start..start + end].lines();
    lines
        .map(|line| line.split(" #").next().unwrap())
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_role_holds_exactly_the_operations_that_the_adapter_calls() {
    for (file, prefix, implied) in [
        // CreateUserPool with tags is also authorized as TagResource, which is never called by itself.
        ("src/aws/user_pools.rs", "cognito-idp:", Some("TagResource")),
        ("src/aws/secrets.rs", "secretsmanager:", None),
    ] {
        let mut called = operations(&read(file));
        assert!(called.len() >= 10, "{file} calls {called:?}");
        called.extend(implied.map(ToOwned::to_owned));
        assert_eq!(actions(&role(), prefix), called, "{prefix} in template.yaml and {file}");
    }
}

#[test]
fn the_local_cloud_is_given_no_action_that_aws_is_not() {
    let role = role();
    let (aws, local) = role.split_once("ManageUserPoolsInLocalCloud").unwrap();
    let local = local.split_once("AWS::NoValue").unwrap().0;
    assert!(actions(local, "cognito-idp:").is_subset(&actions(aws, "cognito-idp:")));
    assert!(role.contains("- InLocalCloud"), "and only under its condition");
}

#[test]
fn a_panic_can_be_caught_in_what_is_deployed() {
    // cargo-lambda builds with panic = "abort" unless the manifest says otherwise.
    let manifest = read("Cargo.toml");
    let release = manifest.split("[profile.release]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(release.contains("\npanic = \"unwind\""), "{release}");
}
