//! The IAM roles of the two functions allow exactly the calls that the code makes: no call is denied, and
//! nothing else is allowed.

use std::{collections::BTreeSet, fs};

use cognito_m2m::model::ownership::SHARED_WITH_TAG;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Returns every action with this prefix in a text, such as `cognito-idp:`.
fn actions(text: &str, prefix: &str) -> BTreeSet<String> {
    let action = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    text.split(prefix).skip(1).map(action).filter(|action| !action.is_empty()).collect()
}

/// Returns the operations that a file of the adapter calls as `self.sdk.some_operation()`.
fn operations(source: &str) -> BTreeSet<String> {
    let joined: String = source.split_whitespace().collect();
    let camel = |snake: &str| -> String {
        let word = |word: &str| word[..1].to_uppercase() + &word[1..];
        snake.split('_').map(word).collect()
    };
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    joined.split("self.sdk.").skip(1).map(|rest| camel(&name(rest))).collect()
}

/// Returns one impl block of a file.
fn block(source: &str, header: &str) -> String {
    let start = source.find(header).unwrap_or_else(|| panic!("there is no {header:?}"));
    let end = source[start..].find("\n}\n").unwrap();
    source[start..start + end].to_owned()
}

/// Returns a role of the template without its comments, which may mention other actions.
fn role(name: &str) -> String {
    let template = read("template.yaml");
    let start = template.find(&format!("\n  {name}:\n")).unwrap() + 1;
    let mut lines = template[start..].lines();
    let own = lines.next().unwrap();
    let rest = lines.take_while(|line| line.is_empty() || line.starts_with("    ") || line.starts_with("  #"));
    let code = rest.map(|line| line.split(" #").next().unwrap()).filter(|line| !line.trim_start().starts_with('#'));
    std::iter::once(own).chain(code).collect::<Vec<_>>().join("\n")
}

/// Returns every action that a role allows.
fn allowed(role: &str) -> BTreeSet<String> {
    let statements = role.split_once("Policies:").unwrap().1;
    let mut all = BTreeSet::new();
    let mut in_actions = false;
    for line in statements.lines() {
        let line = line.trim();
        if let Some(single) = line.strip_prefix("Action:") {
            in_actions = single.is_empty();
            all.extend((!in_actions).then(|| single.trim().to_owned()));
        } else if let (true, Some(action)) = (in_actions, line.strip_prefix("- ")) {
            all.insert(action.to_owned());
        } else {
            in_actions = false;
        }
    }
    all
}

#[test]
fn the_providers_role_holds_exactly_the_operations_that_the_adapter_calls() {
    for (file, prefix, implied) in [
        // IAM also asks for TagResource when CreateUserPool sets tags. The code never calls it.
        ("src/aws/cognito.rs", "cognito-idp:", Some("TagResource")),
        ("src/aws/secrets_manager.rs", "secretsmanager:", None),
    ] {
        let mut called = operations(&read(file));
        assert!(called.len() >= 10, "{file} calls {called:?}");
        called.extend(implied.map(ToOwned::to_owned));
        // Its condition is written like an action.
        let mut allowed = actions(&role("ProviderRole"), prefix);
        allowed.remove("BlockPublicPolicy");
        assert_eq!(allowed, called, "{prefix} in template.yaml and {file}");
    }
}

#[test]
fn the_rotations_role_holds_exactly_the_operations_that_a_rotation_calls() {
    for (file, header, prefix, calls, also) in [
        // It finds the prefix domain of a pool whose secrets name the custom domain.
        ("src/aws/cognito.rs", "impl ClientSecrets for Cognito {", "cognito-idp:", 3, Some("DescribeUserPool")),
        ("src/aws/secrets_manager.rs", "impl SecretVersions for SecretsManager {", "secretsmanager:", 4, None),
    ] {
        let mut called = operations(&block(&read(file), header));
        assert_eq!(called.len(), calls, "{file} calls {called:?}");
        called.extend(also.map(ToOwned::to_owned));
        assert_eq!(actions(&role("RotationRole"), prefix), called, "{prefix} in template.yaml and {file}");
    }
}

#[test]
fn the_rotations_role_can_neither_make_nor_remove_a_pool_a_client_or_a_secret() {
    let known = [
        "cognito-idp:AddUserPoolClientSecret",
        "cognito-idp:DeleteUserPoolClientSecret",
        "cognito-idp:DescribeUserPool",
        "cognito-idp:ListUserPoolClientSecrets",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    ];
    let role = role("RotationRole");
    // There is no wildcard, no other policy, and no list of exceptions.
    assert_eq!(allowed(&role), known.iter().map(ToString::to_string).collect());
    for other in ["ManagedPolicyArns", "NotAction", "NotResource"] {
        assert!(!role.contains(other), "{other}");
    }
    // It may change tagged things only, and look at any pool. The local cloud, the keys and the logs know no such condition.
    let statements = statements(&role);
    assert_eq!(statements.len(), 7, "{role}");
    for statement in statements {
        let name = statement.lines().next().unwrap();
        let tagged = statement.contains("StringEquals: {\"aws:ResourceTag/ManagedBy\": cognito-m2m}")
            || statement.contains(&format!("\"Null\": {{\"aws:ResourceTag/{SHARED_WITH_TAG}\": \"false\"}}"));
        let by_name =
            ["LookAtUserPools", "ChangeSecretsOfClientsInLocalCloud", "EncryptSecrets", "WriteLogs"].contains(&name);
        assert!(tagged != by_name, "{statement}");
    }
}

#[test]
fn the_provider_may_call_the_rotation_function_and_no_other() {
    let role = role("ProviderRole");
    assert_eq!(actions(&role, "lambda:"), BTreeSet::from(["InvokeFunction".to_owned()]));
    let statement = role.split("- Sid: NameRotationFunction").nth(1).unwrap().split("- Sid: ").next().unwrap();
    assert!(statement.contains("Resource: !GetAtt RotationFunction.Arn"), "{statement}");
}

#[test]
fn the_provider_may_write_only_a_policy_that_aws_has_checked() {
    let role = role("ProviderRole");
    let writing: Vec<_> =
        statements(&role).into_iter().filter(|statement| statement.contains(":PutResourcePolicy")).collect();
    let [statement] = writing[..] else { panic!("{writing:?}") };
    assert!(statement.contains("Bool: {\"secretsmanager:BlockPublicPolicy\": \"true\"}"), "{statement}");
    assert!(statement.contains("StringEquals: {\"aws:ResourceTag/ManagedBy\": cognito-m2m}"), "{statement}");
}

#[test]
fn the_local_cloud_is_given_no_action_that_aws_is_not() {
    for (name, sid) in
        [("ProviderRole", "ManageUserPoolsInLocalCloud"), ("RotationRole", "ChangeSecretsOfClientsInLocalCloud")]
    {
        let role = role(name);
        let (before, rest) = role.split_once(sid).unwrap();
        let (local, after) = rest.split_once("AWS::NoValue").unwrap();
        let aws = format!("{before}{after}");
        assert!(actions(local, "cognito-idp:").is_subset(&actions(&aws, "cognito-idp:")), "{name}");
        assert!(
            before.trim_end().ends_with("- InLocalCloud\n                  - Sid:"),
            "{name}: only under its condition"
        );
    }
}

/// Returns the statements of a role as text.
fn statements(role: &str) -> Vec<&str> {
    role.split("- Sid: ").skip(1).collect()
}

#[test]
fn the_roles_touch_only_notes_and_secrets_whose_names_begin_with_the_prefix() {
    let (secrets, notes) = (":secret:${SecretsPrefix}*", ":secret:cognito-m2m/deleted/*");
    assert!(read("src/reconcile/notes.rs").contains("\"cognito-m2m/deleted/{}\""), "the name of a note");
    for (name, count, notes_count) in [("ProviderRole", 4, 3), ("RotationRole", 1, 0)] {
        let role = role(name);
        let resources: Vec<_> = role.lines().filter(|line| line.contains(":secret:")).collect();
        let ending = |end: &str| resources.iter().filter(|resource| resource.ends_with(end)).count();
        assert_eq!((ending(secrets), ending(notes)), (count, notes_count), "{name}: {resources:?}");
        assert_eq!(resources.len(), count + notes_count, "{name}: {resources:?}");
    }
}

#[test]
fn a_tag_is_never_put_on_what_has_another_manager_or_is_shared() {
    let role = role("ProviderRole");
    let tagging: Vec<_> =
        statements(&role).into_iter().filter(|statement| statement.contains(":TagResource")).collect();
    assert_eq!(tagging.len(), 4, "{tagging:?}");
    for statement in tagging {
        let conditions = statement.split("Condition:").nth(1).unwrap();
        // An existing thing passes only if it has our tag, or no tag ManagedBy at all. In the second case a pool must
        // not be shared, either: then it is somebody else's.
        let has_our_tag = conditions.contains("StringEquals:")
            && conditions.contains("\"aws:ResourceTag/ManagedBy\": cognito-m2m")
            && !conditions.contains("IfExists");
        let new = conditions.contains("StringEqualsIfExists: {\"aws:ResourceTag/ManagedBy\": cognito-m2m}");
        let of_pools = statement.contains("cognito-idp:TagResource");
        let not_shared = conditions.contains(&format!("\"Null\": {{\"aws:ResourceTag/{SHARED_WITH_TAG}\": \"true\"}}"));
        assert!(has_our_tag || (new && (not_shared || !of_pools)), "{statement}");
    }
}
