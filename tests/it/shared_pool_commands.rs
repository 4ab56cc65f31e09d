//! `m2mctl` and pools that many stacks share: plan, doctor and token for the parts, and the commands `adopt` and
//! `access`.

use std::collections::{BTreeMap, BTreeSet};

use cognito_m2m::{
    m2mctl::template::{self, Pseudo, Template},
    model::{ClientId, Mark, Owner, PoolId, ResourceServer, ResourceType, Scope},
    ports::{StackDescription, StackResource},
    properties,
    redact::Secret,
};
use insta::assert_snapshot;
use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde_json::{Value, json};

use crate::{
    command_line::{FakeAccount, ageless, file, m2mctl, plain},
    support::{
        CANARY, FakeAws, FakeClient, FakeClientSecret, FakePool, Stack, assert_is,
        cloudformation::config,
        fixtures::{add_adoptee, member_client, member_server, platform, with},
    },
};

const STACK: &str = "team-a";

/// A stack of a team, and the platform's pool.
fn team(resource_type: ResourceType) -> (Stack, PoolId) {
    let aws = FakeAws::default();
    let pool = platform(&aws, "team-");
    (Stack::of_type(resource_type, &aws, STACK), pool)
}

/// What `--stack team-a` finds: resources with their types, ids and properties.
fn account(stack: &Stack, resources: &[(&str, ResourceType, &str, Value)]) -> FakeAccount {
    let description = StackDescription {
        id: stack.id.clone(),
        name: STACK.to_owned(),
        status: "CREATE_COMPLETE".to_owned(),
        status_reason: String::new(),
        parameters: BTreeMap::new(),
        outputs: BTreeMap::new(),
    };
    let listed = resources.iter().map(|(logical_id, resource_type, physical_id, _)| StackResource {
        logical_id: (*logical_id).to_owned(),
        resource_type: resource_type.as_str().to_owned(),
        physical_id: (*physical_id).to_owned(),
    });
    FakeAccount {
        stacks: BTreeMap::from([(STACK.to_owned(), (description, listed.collect(), template(resources)))]),
        ..Default::default()
    }
}

fn template(resources: &[(&str, ResourceType, &str, Value)]) -> Value {
    let declared = resources.iter().map(|(logical_id, resource_type, _, properties)| {
        ((*logical_id).to_owned(), json!({ "Type": resource_type.as_str(), "Properties": properties }))
    });
    json!({ "Resources": declared.collect::<serde_json::Map<_, _>>() })
}

async fn runs(stack: &Stack, account: FakeAccount, line: &str, files: &[&std::path::PathBuf]) -> String {
    let outcome = m2mctl(stack, account, line, files).await.unwrap_or_else(|error| panic!("{}", error.report()));
    plain(&outcome)
}

async fn fails(stack: &Stack, account: FakeAccount, line: &str, files: &[&std::path::PathBuf]) -> String {
    m2mctl(stack, account, line, files).await.unwrap_err().report()
}

// plan

#[tokio::test(start_paused = true)]
async fn a_plan_of_a_new_stack_goes_by_the_stacks_name() {
    let (stack, pool) = team(ResourceType::CognitoM2MClient);
    let files = [&file(&member_client(&pool))];
    let line = "plan --properties FILE --type CognitoM2MClient --stack team-new";
    let text = runs(&stack, FakeAccount::default(), line, &files).await;
    assert_snapshot!(text.replace(pool.as_str(), "POOL"), @r"
    User pool POOL
    Stack team-new does not exist: this is the plan of a new one

      + CreateUserPoolClient orders: stock/read (60 minutes)
        + CreateSecret team-new/orders
        ? VerifyToken orders

    Plan: 2 to create, 0 to change, 0 to delete; 1 to verify, with a token each.
    ");

    let line = "plan --properties FILE --type Custom::CognitoM2MClient --stack another";
    let text = fails(&stack, FakeAccount::default(), line, &files).await;
    assert!(
        text.starts_with("A deploy would fail. User pool ") && text.contains("is not shared with stack another"),
        "{text}"
    );
    assert!(text.ends_with("(Stack another does not exist in us-east-1)"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_the_template_imports_is_found_by_the_export() {
    let (stack, pool) = team(ResourceType::CognitoM2MClient);
    let imported = json!({ "Fn::ImportValue": { "Fn::Sub": "${Platform}-UserPoolId" } });
    let properties = with(member_client(&pool), "UserPoolId", imported);
    let mut template = template(&[("M2M", ResourceType::CognitoM2MClient, "", properties)]);
    template["Parameters"] = json!({ "Platform": { "Type": "String", "Default": "platform" } });
    let exports = [("other".to_owned(), "x".to_owned()), ("platform-UserPoolId".to_owned(), pool.to_string())];
    let there = || FakeAccount { exports: exports.to_vec(), ..Default::default() };
    let line = "plan --template FILE --stack team-new";
    let text = runs(&stack, there(), line, &[&file(&template)]).await;
    assert!(text.starts_with(&format!("User pool {pool}\n")), "{text}");
    let line = "plan --template FILE --stack team-new --parameter-overrides Platform=typo";
    let text = fails(&stack, there(), line, &[&file(&template)]).await;
    assert!(text.contains("UserPoolId: no stack in this account and region exports typo-UserPoolId"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_a_part_needs_a_stack_and_its_properties_are_checked_before() {
    let (stack, pool) = team(ResourceType::CognitoM2MClient);
    let line = "plan --properties FILE --type CognitoM2MClient";
    let text = fails(&stack, FakeAccount::default(), line, &[&file(&member_client(&pool))]).await;
    assert!(text.starts_with("A Custom::CognitoM2MClient belongs to a stack") && text.contains("--stack"), "{text}");
    let wrong = with(member_client(&pool), "ClientName", "a b");
    let text = fails(&stack, FakeAccount::default(), line, &[&file(&wrong)]).await;
    assert!(text.contains("ClientName: must be"), "{text}");
    let doctor = "doctor --properties FILE --type CognitoM2MClient";
    let text = runs(&stack, FakeAccount::default(), doctor, &[&file(&member_client(&pool))]).await;
    assert!(text.contains("info    properties: cannot be compared") && text.contains("0 errors"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_plan_for_what_is_there_is_empty_and_a_change_of_each_type_is_shown() {
    let (client, pool) = team(ResourceType::CognitoM2MClient);
    let server =
        Stack { resource_type: ResourceType::CognitoM2MResourceServer, logical_id: "Api".into(), ..client.clone() };
    let client_id = client.create(&member_client(&pool)).await.good().physical_id().to_owned();
    let server_id = server.create(&member_server(&pool, &["read"])).await.good().physical_id().to_owned();
    let resources = [
        ("M2M", ResourceType::CognitoM2MClient, &*client_id, member_client(&pool)),
        ("Api", ResourceType::CognitoM2MResourceServer, &*server_id, member_server(&pool, &["read"])),
    ];
    let there = || account(&client, &resources);
    let files = [&file(&template(&resources))];
    let text = fails(&client, there(), "plan --template FILE --stack team-a", &files).await;
    assert!(text.contains("M2M (Custom::CognitoM2MClient), Api (Custom::CognitoM2MResourceServer)"), "{text}");
    for choice in ["--logical-id M2M", "--logical-id Api", "--type CognitoM2MClient", "--type CognitoM2MResourceServer"]
    {
        let text = runs(&client, there(), &format!("plan --template FILE --stack team-a {choice}"), &files).await;
        assert!(text.contains("No changes."), "{text}");
    }

    let changed = with(with(member_client(&pool), "ClientName", "shop"), "AllowedOAuthScopes", json!(["stock/write"]));
    let line = "plan --properties FILE --type CognitoM2MClient --stack team-a";
    let text = runs(&client, there(), line, &[&file(&changed)]).await;
    assert_snapshot!(text.replace(pool.as_str(), "POOL"), @r"
    User pool POOL, Custom::CognitoM2MClient M2M of arn:aws:cloudformation:us-east-1:111122223333:stack/team-a/0000

      ~ UpdateUserPoolClient shop: name orders @9eaddd310a715fc5 -> shop @9eaddd310a715fc5, +stock/write, -stock/read
        + CreateSecret team-a/shop
        ? VerifyToken shop

      - DeleteSecret team-a/orders (recoverable for 7 days)

    Plan: 1 to create, 1 to change, 1 to delete; 1 to verify, with a token each.
    ");

    let changed = member_server(&pool, &["read", "issue"]);
    let line = "plan --properties FILE --logical-id Api --stack team-a --output json";
    let outcome = m2mctl(&client, there(), line, &[&file(&changed)]).await.unwrap();
    assert_eq!(outcome.exit_code, 2);
    let plan: Value = serde_json::from_str(&outcome.text).unwrap();
    assert_eq!(plan["type"], "Custom::CognitoM2MResourceServer");
    assert_eq!((&plan["user_pool_id"], &plan["logical_id"]), (&json!(pool.as_str()), &json!("Api")));
    assert_eq!(plan["steps"][0]["step"], "UpdateResourceServer billing: +issue");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_would_break_others_names_their_stacks() {
    let (client, pool) = team(ResourceType::CognitoM2MClient);
    let server = Stack::of_type(ResourceType::CognitoM2MResourceServer, &client.aws, "team-api");
    let id = server.create(&member_server(&pool, &["read", "issue"])).await.good().physical_id().to_owned();
    client.create(&with(member_client(&pool), "AllowedOAuthScopes", json!(["billing/issue"]))).await.good();
    let resources = [("M2M", ResourceType::CognitoM2MResourceServer, &*id, member_server(&pool, &["read"]))];
    let there = account(&server, &resources);
    let text = fails(&server, there, "plan --template FILE --stack team-a", &[&file(&template(&resources))]).await;
    assert!(
        text.contains("Cannot remove billing/issue: still in use by client orders") && text.contains("of stack team-a"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_adoption_is_planned_and_a_rule_that_is_broken_is_named() {
    let (stack, pool) = team(ResourceType::CognitoM2MClient);
    let id = add_adoptee(&stack, &pool);
    let files = [&file(&with(member_client(&pool), "AdoptClientId", id.as_str()))];
    let line = "plan --properties FILE --type CognitoM2MClient --stack team-new";
    let text = runs(&stack, FakeAccount::default(), line, &files).await;
    assert_snapshot!(text.replace(pool.as_str(), "POOL"), @r"
    User pool POOL
    Stack team-new does not exist: this is the plan of a new one

      ? VerifyToken orders: with its present secret

      + CreateSecret team-new/orders

      ~ PutSecretValue team-new/orders: record of the client's former name Orders, old

      ~ UpdateUserPoolClient orders: name Orders, old -> orders @34f334075a195ba8, -stock/write, access token validity 30 -> 60 minutes, settings back to machine-to-machine only
        ? VerifyToken orders

    Plan: 1 to create, 2 to change, 0 to delete; 2 to verify, with a token each.
    ");

    let make_web = |client: &mut FakeClient| client.settings.callback_urls = text_list(&["https://a"]);
    make_web(stack.world().pools.get_mut(&pool).unwrap().clients.get_mut(&id).unwrap());
    let text = fails(&stack, FakeAccount::default(), line, &files).await;
    assert!(text.contains("users can sign in with it: it has the callback URLs https://a"), "{text}");
}

// doctor and token

#[tokio::test(start_paused = true)]
async fn a_doctor_finds_nothing_wrong_with_sound_parts() {
    let (client, pool) = team(ResourceType::CognitoM2MClient);
    let server =
        Stack { resource_type: ResourceType::CognitoM2MResourceServer, logical_id: "Api".into(), ..client.clone() };
    let client_id = client.create(&member_client(&pool)).await.good().physical_id().to_owned();
    let server_id = server.create(&member_server(&pool, &["read"])).await.good().physical_id().to_owned();
    let resources = [
        ("M2M", ResourceType::CognitoM2MClient, &*client_id, member_client(&pool)),
        ("Api", ResourceType::CognitoM2MResourceServer, &*server_id, member_server(&pool, &["read"])),
    ];
    let outcome = m2mctl(&client, account(&client, &resources), "doctor --stack team-a", &[]).await.unwrap();
    assert_eq!(outcome.exit_code, 0, "{}", outcome.text);
    assert_snapshot!(ageless(&plain(&outcome)).replace(pool.as_str(), "POOL"), @r"
    ok      credentials: arn:aws:sts::111122223333:assumed-role/deployer/me in account 111122223333, region us-east-1
    ok      stack team-a: CREATE_COMPLETE
    ok      client orders in user pool POOL: is what the properties declare
    ok      user pool POOL: is shared with stack team-a
    ok      client orders in user pool POOL: has the resource's mark
    warning secret team-a/orders: is N days old and does not rotate
            Set RotationDays, or give RotateSecrets a new value.
    ok      token of orders: is given; signature, issuer and scopes are right
    ok      resource server billing in user pool POOL: is what the properties declare
    ok      user pool POOL: is shared with stack team-a
    ok      resource server billing in user pool POOL: has the resource's mark

    0 errors, 1 warning.
    ");
    // A template that the user passes declares both.
    let line = "doctor --stack team-a --template FILE --skip-tokens";
    let text = runs(&client, account(&client, &resources), line, &[&file(&template(&resources))]).await;
    assert_eq!(text.matches("is what the properties declare").count(), 2, "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_doctor_finds_what_the_owner_of_the_pool_or_somebody_else_has_done() {
    let (stack, pool) = team(ResourceType::CognitoM2MClient);
    let properties = with(member_client(&pool), "AllowedOAuthScopes", json!(["stock/read", "stock/write"]));
    let id = stack.create(&properties).await.good().physical_id().to_owned();
    let resources = [("M2M", ResourceType::CognitoM2MClient, &*id, properties)];
    let bad = async || {
        let line = "doctor --stack team-a --output json";
        let outcome = m2mctl(&stack, account(&stack, &resources), line, &[]).await.unwrap();
        let report: Value = serde_json::from_str(&outcome.text).unwrap();
        let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] != "ok");
        let line = |finding: &Value| {
            let word = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {}", word("severity"), word("subject"), word("found"))
        };
        let lines: Vec<_> = findings.map(line).collect();
        ageless(&lines.join("\n")).replace(pool.as_str(), "POOL").replace(&id, "CLIENT")
    };
    let change = |change: &dyn Fn(&mut FakePool)| change(stack.world().pools.get_mut(&pool).unwrap());
    let client_id = ClientId::from(&*id);

    change(&|pool| pool.servers.get_mut("stock").unwrap().scopes.truncate(1));
    assert_snapshot!(bad().await, @r"
    warning client orders in user pool POOL: has scopes that no resource server has: stock/write
    warning secret team-a/orders: is N days old and does not rotate
    error token of orders: the token is not as expected
    ");
    change(&|pool| drop(pool.state.tags.insert("cognito-m2m:shared-with".to_owned(), "others".to_owned())));
    let text = bad().await;
    assert!(text.contains("warning user pool POOL: is not shared with stack team-a: its tag"), "{text}");
    change(&|pool| pool.state.tags.clear());
    let text = bad().await;
    assert!(text.contains("error user pool POOL: does not have the tag cognito-m2m:shared-with"), "{text}");
    change(&|pool| pool.clients.get_mut(&client_id).unwrap().client.name.0 = "orders".to_owned());
    let text = bad().await;
    assert!(text.contains("error client orders in user pool POOL: does not have the resource's mark"), "{text}");
    change(&|pool| drop(pool.clients.remove(&client_id)));
    let text = bad().await;
    assert!(text.contains("error client CLIENT in user pool POOL: does not exist"), "{text}");
    assert!(!text.contains("resource M2M"), "said once: {text}");
    stack.world().pools.remove(&pool);
    let text = bad().await;
    assert!(text.contains("error user pool POOL: does not exist"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_doctor_finds_a_server_that_is_gone_or_somebody_elses() {
    let (stack, pool) = team(ResourceType::CognitoM2MResourceServer);
    let id = stack.create(&member_server(&pool, &["read"])).await.good().physical_id().to_owned();
    let resources = [("M2M", ResourceType::CognitoM2MResourceServer, &*id, member_server(&pool, &["read"]))];
    stack.world().pools.get_mut(&pool).unwrap().servers.get_mut("billing").unwrap().mark = None;
    let text = runs(&stack, account(&stack, &resources), "doctor --stack team-a", &[]).await;
    assert!(
        text.contains("resource server billing in user pool") && text.contains("does not have the resource's mark"),
        "{text}"
    );
    stack.world().pools.get_mut(&pool).unwrap().servers.remove("billing");
    let text = runs(&stack, account(&stack, &resources), "doctor --stack team-a", &[]).await;
    assert!(text.contains("resource server billing") && text.contains("does not exist"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_part_is_found_by_the_stack_and_by_the_clients_name() {
    let (stack, pool) = team(ResourceType::CognitoM2MClient);
    let other = Stack { logical_id: "Other".into(), ..stack.clone() };
    let id = stack.create(&member_client(&pool)).await.good().physical_id().to_owned();
    let named = with(with(member_client(&pool), "ClientName", "shop"), "SecretName", "somewhere/else");
    let other_id = other.create(&named).await.good().physical_id().to_owned();
    let one = [("M2M", ResourceType::CognitoM2MClient, &*id, member_client(&pool))];
    let text = runs(&stack, account(&stack, &one), "token --stack team-a", &[]).await;
    assert_eq!(text, "token of orders for []\n");
    let both = [one[0].clone(), ("Other", ResourceType::CognitoM2MClient, &*other_id, named)];
    for name in ["orders", "shop"] {
        let text = runs(&stack, account(&stack, &both), &format!("token --stack team-a --client {name}"), &[]).await;
        assert_eq!(text, format!("token of {name} for []\n"));
    }
    let text = fails(&stack, account(&stack, &both), "token --stack team-a --client nobody", &[]).await;
    assert!(text.contains("name one with --client"), "{text}");
}

// adopt

fn add(stack: &Stack, pool: &PoolId, id: &str, client: FakeClient) {
    stack.world().pools.get_mut(pool).unwrap().clients.insert(ClientId::from(id), client);
}

fn existing(name: &str, scopes: &[&str], change: impl FnOnce(&mut FakeClient)) -> FakeClient {
    let mut client = FakeClient::existing(name, scopes);
    client.secrets[0].value = Secret::new(format!("{CANARY}{name}"));
    change(&mut client);
    client
}

fn text_list(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// A pool from Terraform that nobody shares yet, with clients of every kind.
fn pool_from_terraform(aws: &FakeAws) -> PoolId {
    let pool = platform(aws, "");
    let stack = Stack::new(aws, "any");
    {
        let mut world = aws.world();
        let pool = world.pools.get_mut(&pool).unwrap();
        pool.state.tags = [("Owner".to_owned(), "me".to_owned())].into();
        pool.clients.clear();
    }
    let clients = [
        // What aws_cognito_user_pool_client makes if nobody chooses a flow.
        (
            "1a",
            existing("web-shop", &["stock/read", "stock/write"], |client| {
                client.settings.sign_in_flows =
                    text_list(&["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"]);
                client.client.access_token_validity_minutes = 30;
            }),
        ),
        ("2b", existing("web-shop", &["stock/read"], |_| {})),
        ("3c", existing("Nightly report, v2\n# evil", &["stock/read", "gone/read"], |_| {})),
        (
            "4d",
            existing("portal", &["stock/read"], |client| {
                client.settings.callback_urls = text_list(&["https://portal.example.com/cb?key=1"]);
            }),
        ),
        ("5e", existing("mobile", &["stock/read"], |client| client.settings.oauth_flows = text_list(&["code"]))),
        (
            "6f",
            existing("rotated", &["stock/read"], |client| {
                let second = FakeClientSecret { id: "second".to_owned(), ..client.secrets[0].clone() };
                client.secrets.push(second);
            }),
        ),
        ("7g", existing("public", &["stock/read"], |client| client.secrets.clear())),
        ("8h", existing("nothing", &[], |_| {})),
        ("9i", existing("left-behind", &["gone/read"], |_| {})),
        ("10j", existing("stranger @0123456789abcdef", &["stock/read"], |_| {})),
    ];
    for (id, client) in clients {
        add(&stack, &pool, id, client);
    }
    pool
}

#[tokio::test(start_paused = true)]
async fn a_template_that_the_aws_cli_does_not_send_by_itself_gets_a_bucket() {
    for (clients, needs_bucket) in [(10, false), (300, true)] {
        let aws = FakeAws::default();
        let pool = pool_from_terraform(&aws);
        let stack = Stack::of_type(ResourceType::CognitoM2MClient, &aws, "orders-clients");
        for number in 0..clients {
            let name = format!("batch-{number}");
            add(&stack, &pool, &format!("id{number}"), existing(&name, &["stock/read"], |_| {}));
        }
        let line = format!("adopt --user-pool-id {pool} --stack-prefix orders-");
        let text = runs(&stack, FakeAccount::default(), &line, &[]).await;
        assert_eq!(text.len() > 51_200, needs_bucket);
        assert_eq!(text.contains("--stack-name orders-clients --s3-bucket BUCKET"), needs_bucket);
    }
}

#[expect(clippy::too_many_lines, reason = "most of it is what is printed")]
#[tokio::test(start_paused = true)]
async fn the_template_takes_over_every_machine_client_and_says_why_not_of_the_others() {
    let aws = FakeAws::default();
    let pool = pool_from_terraform(&aws);
    let stack = Stack::of_type(ResourceType::CognitoM2MClient, &aws, "orders-clients");
    let line = format!("adopt --user-pool-id {pool} --stack-prefix orders-");
    let text = runs(&stack, FakeAccount::default(), &line, &[]).await;
    assert!(!text.contains(CANARY));
    assert_snapshot!(text.replace(pool.as_str(), "POOL"), @r#"
    # The machine clients of user pool POOL (platform).
    # Each keeps its id and its secret. If you delete the stack, they stay and get their names back.
    #
    # 1. Let the stack add to the pool. This sets one tag and keeps the others:
    #      aws cognito-idp tag-resource --region us-east-1 --resource-arn 'arn:aws:cognito-idp:us-east-1:111122223333:userpool/POOL' --tags '{"cognito-m2m:shared-with":"orders-"}'
    #    If Terraform manages the pool, set the tag there, or the next apply removes it:
    #      tags = {
    #        "cognito-m2m:shared-with" = "orders-"
    #      }
    # 2. Take the clients out of the tool that made them, without deleting them (terraform state rm).
    #    Otherwise its next run changes them back.
    # 3. Deploy this template:
    #      aws cloudformation deploy --region us-east-1 --template-file FILE --stack-name orders-clients
    #
    # Left out:
    # - left-behind (9i): none of its scopes exists any more: gone/read.
    #   Give it a scope of a resource server, and run this again.
    # - mobile (5e): client_credentials must be its only OAuth flow, but it has code.
    #   If nobody signs in with the client, remove these settings from it, and run this again.
    # - nothing (8h): it has no scope, and AllowedOAuthScopes needs 1 to 50.
    #   Give it a scope of a resource server, and run this again.
    # - portal (4d): users can sign in with it: it has the callback URLs https://portal.example.com/cb?***.
    #   If nobody signs in with the client, remove these settings from it, and run this again.
    # - public (7g): it has no secret that Cognito shows.
    #   Declare a client without AdoptClientId. It gets an id and a secret of its own.
    # - rotated (6f): it has two secrets, and nobody can tell which one its consumers use.
    #   Find out which one is in use, delete the other one with DeleteUserPoolClientSecret, and run this again.
    # - stranger @0123456789abcdef (10j): its name has the mark @0123456789abcdef, so another resource owns it.
    #   Delete that resource first, if it adopted the client. The client then stays and gets its former name back.

    AWSTemplateFormatVersion: "2010-09-09"
    Description: Takes over the machine clients of user pool POOL. Made by m2mctl adopt.

    Parameters:
      ProviderStackName:
        Type: String
        Default: cognito-m2m
        Description: The name of the stack that exports the provider's ServiceToken.

    Resources:
      # In Cognito, its name is "Nightly report, v2\n# evil".
      # Without these scopes, which no resource server has any more: gone/read
      NightlyReportV2Evil:
        Type: Custom::CognitoM2MClient
        Properties:
          ServiceToken:
            Fn::ImportValue: !Sub ${ProviderStackName}-ServiceToken
          ServiceTimeout: 1200
          UserPoolId: POOL
          AdoptClientId: "3c"
          ClientName: Nightly-report--v2---evil
          AllowedOAuthScopes:
            - stock/read
          AccessTokenValidityMinutes: 60

      WebShop:
        Type: Custom::CognitoM2MClient
        Properties:
          ServiceToken:
            Fn::ImportValue: !Sub ${ProviderStackName}-ServiceToken
          ServiceTimeout: 1200
          UserPoolId: POOL
          AdoptClientId: "1a"
          ClientName: web-shop
          AllowedOAuthScopes:
            - stock/read
            - stock/write
          AccessTokenValidityMinutes: 30

      # In Cognito, its name is "web-shop".
      WebShop2:
        Type: Custom::CognitoM2MClient
        Properties:
          ServiceToken:
            Fn::ImportValue: !Sub ${ProviderStackName}-ServiceToken
          ServiceTimeout: 1200
          UserPoolId: POOL
          AdoptClientId: "2b"
          ClientName: web-shop-2
          AllowedOAuthScopes:
            - stock/read
          AccessTokenValidityMinutes: 60
    "#);
}

/// The resources of a printed template, as CloudFormation hands them to the provider.
fn resources(template: &Value) -> Vec<(String, Value)> {
    let parsed = Template::new(template.clone());
    let ids = parsed.resources_of_type("Custom::CognitoM2MClient");
    assert_eq!(ids.len(), template["Resources"].as_object().map_or(0, serde_json::Map::len), "all of one type");
    let properties = |id: &str| parsed.properties(id, &BTreeMap::new(), &Pseudo::default()).unwrap();
    ids.into_iter().map(|id| (id.to_owned(), properties(id))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_template_deploys_and_the_clients_keep_their_ids_and_secrets() {
    let aws = FakeAws::default();
    let pool = pool_from_terraform(&aws);
    let stack = Stack::of_type(ResourceType::CognitoM2MClient, &aws, "orders-clients");
    let line = format!("adopt --user-pool-id {pool} --stack-prefix orders-");
    let text = runs(&stack, FakeAccount::default(), &line, &[]).await;
    let report = runs(&stack, FakeAccount::default(), &format!("{line} --output json"), &[]).await;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(template::parse(&text).unwrap(), report["template"], "YAML and JSON say the same");
    assert_eq!(report["tag"]["value"], "orders-");
    aws.world().pools.get_mut(&pool).unwrap().state.tags.insert("cognito-m2m:shared-with".into(), "orders-".into());
    aws.world().behavior.iam_reads_tags = true;
    let resources = resources(&report["template"]);
    assert_eq!(resources.len(), 3);
    for (logical_id, properties) in &resources {
        let resource = Stack { logical_id: logical_id.clone(), ..stack.clone() };
        let created = resource.create(properties).await.good();
        assert_eq!(created.physical_id(), properties["AdoptClientId"]);
        assert_eq!(created.attribute("TokenVerification"), "verified");
        assert_is(&resource, properties);
    }

    // A second run has nothing more to do.
    let text = runs(&stack, FakeAccount::default(), &line, &[]).await;
    assert!(text.contains("# No client can be adopted.") && !text.contains("Resources:"), "{text}");
    assert!(text.contains("resource WebShop of stack orders-clients has adopted it already"), "{text}");
    assert!(!text.contains("tag-resource"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_shared_already_keeps_its_prefixes_and_needs_no_tag() {
    let (stack, pool) = team(ResourceType::CognitoM2MClient);
    add_adoptee(&stack, &pool);
    let text = runs(&stack, FakeAccount::default(), &format!("adopt --user-pool-id {pool}"), &[]).await;
    assert!(text.contains("1. The pool is already shared with stacks whose names begin with: team-"), "{text}");
    assert!(text.contains("--stack-name team-clients") && !text.contains("tag-resource"), "{text}");
    let line = format!("adopt --user-pool-id {pool} --stack-prefix shop");
    let text = runs(&stack, FakeAccount::default(), &line, &[]).await;
    assert!(text.contains(r#"--tags '{"cognito-m2m:shared-with":"team- shop"}'"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_clients_of_a_pool_of_ours_are_not_taken_from_its_owner() {
    let owner = Stack::new(&FakeAws::default(), "platform");
    let pool = owner.create(&json!({})).await.good().physical_id().to_owned();
    let text = runs(&owner, FakeAccount::default(), &format!("adopt --user-pool-id {pool}"), &[]).await;
    assert!(text.contains("stack platform, which owns the user pool, declares it and keeps its secret."), "{text}");
    assert!(!text.contains("Resources:"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_does_not_exist_is_named_with_the_region() {
    let (stack, _) = team(ResourceType::CognitoM2MClient);
    for command in ["adopt", "access"] {
        let line = format!("{command} --user-pool-id us-east-1_None");
        let text = fails(&stack, FakeAccount::default(), &line, &[]).await;
        assert!(text.starts_with("User pool us-east-1_None does not exist in us-east-1. Correct"), "{text}");
    }
}

/// Every kind of character that Cognito takes in a client's name, and some that it does not take.
const NAME: &str = "[A-Za-z0-9_ \t\n+=,.@#:'\"{}$%\u{85}\u{2028}\u{e9}-]{0,12}";

fn any_client() -> impl Strategy<Value = (String, Vec<String>, u32)> {
    let scopes = vec!["api/a", "api/b", "https://api:8080/'\"/c", "gone/a", "api"];
    let scopes = subsequence(scopes, 0..=5).prop_map(|scopes| text_list(&scopes));
    let names =
        prop_oneof![NAME, Just("web".to_owned()), Just("Web-".to_owned()), Just("yes".to_owned()), "[a-z]{126,128}"];
    (names, scopes, prop_oneof![Just(60u32), 1..2000u32])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever is in the pool: the YAML and the JSON are the same template, CloudFormation can read it, and the
    /// provider takes each of its resources.
    #[test]
    fn every_printed_resource_passes_the_parser(clients in vec(any_client(), 0..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let aws = FakeAws::default();
            let pool = platform(&aws, "");
            let stack = Stack::of_type(ResourceType::CognitoM2MClient, &aws, "orders");
            {
                let mut world = aws.world();
                let pool = world.pools.get_mut(&pool).unwrap();
                pool.state.name = clients.first().map_or_else(String::new, |(name, ..)| name.clone());
                for (identifier, scopes) in [("api", &["a", "b"][..]), ("https://api:8080/'\"", &["c"])] {
                    let scopes = scopes.iter().map(|name| Scope { name: (*name).to_owned(), description: String::new() });
                    let server = ResourceServer {
                        identifier: identifier.to_owned(), name: "Api".to_owned(), mark: None, scopes: scopes.collect(),
                    };
                    pool.servers.insert(identifier.to_owned(), server);
                }
            }
            for (index, (name, scopes, minutes)) in clients.iter().enumerate() {
                let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
                add(&stack, &pool, &format!("{index}e5"), existing(name, &scopes, |client| {
                    client.client.access_token_validity_minutes = *minutes;
                }));
            }
            let line = format!("adopt --user-pool-id {pool} --stack-prefix orders");
            let text = runs(&stack, FakeAccount::default(), &line, &[]).await;
            let report = runs(&stack, FakeAccount::default(), &format!("{line} --output json"), &[]).await;
            let report: Value = serde_json::from_str(&report).unwrap();
            let printed = &report["template"];
            assert_eq!(report["clients"].as_array().unwrap().len() + report["left_out"].as_array().unwrap().len(),
                clients.len() + 1, "nobody is forgotten");
            if printed.is_null() {
                assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
                return;
            }
            assert_eq!(&template::parse(&text).unwrap(), printed, "{text}");
            let resources = resources(printed);
            let mut names = BTreeSet::new();
            for (logical_id, properties) in &resources {
                let owner = Owner { stack_id: stack.id.clone(), logical_id: logical_id.clone() };
                properties::parse(ResourceType::CognitoM2MClient, properties, owner, &config()).unwrap();
                assert!(logical_id.chars().all(|c| c.is_ascii_alphanumeric()), "{logical_id}");
                assert!(names.insert(properties["ClientName"].to_string()), "two secrets would have one name");
            }
        });
    }
}

// access

/// A pool with the clients and servers of several stacks.
async fn busy_pool() -> (Stack, PoolId) {
    let (stack, pool) = team(ResourceType::CognitoM2MClient);
    let api = Stack::of_type(ResourceType::CognitoM2MResourceServer, &stack.aws, "team-api");
    api.create(&member_server(&pool, &["read", "issue"])).await.good();
    let properties = with(member_client(&pool), "AllowedOAuthScopes", json!(["billing/issue", "stock/read"]));
    stack.create(&properties).await.good();
    let adopter = Stack { logical_id: "Adopted".into(), ..stack.clone() };
    let id = add_adoptee(&stack, &pool);
    let adopting = with(with(member_client(&pool), "AdoptClientId", id.as_str()), "ClientName", "=shop");
    adopter.create(&adopting).await.good();
    add(&stack, &pool, "old", existing("legacy, old", &["stock/read", "gone/\"write\""], |_| {}));
    add(&stack, &pool, "off", existing("off", &["stock/read"], |client| client.settings.oauth_flows.clear()));
    add(
        &stack,
        &pool,
        "user",
        existing("portal", &["openid", "stock/read"], |client| {
            client.settings.oauth_flows = text_list(&["code"]);
        }),
    );
    add(&stack, &pool, "stranger", existing("stranger @0123456789abcdef", &["stock/read"], |_| {}));
    (stack, pool)
}

/// Replaces what is made by chance.
fn stable(text: &str, stack: &Stack, pool: &PoolId) -> String {
    let world = stack.world();
    let mut text = text.replace(pool.as_str(), "POOL");
    for (id, client) in &world.pools[pool].clients {
        if id.as_str().starts_with("client") || id.as_str().starts_with("theirs") {
            let name = Mark::split(client.client.name.as_str()).0.to_owned();
            text = text.replace(id.as_str(), &format!("{name:~<width$}", width = id.as_str().len()));
        }
    }
    text
}

#[tokio::test(start_paused = true)]
async fn the_matrix_shows_who_may_call_what() {
    let (stack, pool) = busy_pool().await;
    let text = runs(&stack, FakeAccount::default(), &format!("access --user-pool-id {pool}"), &[]).await;
    assert_snapshot!(stable(&text, &stack, &pool), @r#"
    User pool POOL (platform)
    Shared with stacks whose names begin with: team-

    Scopes
      billing (Billing): unknown (@94dd504d93c15930)
        1  billing/read   no client has it
        2  billing/issue
      stock (Stock): the pool's owner
        3  stock/read
        4  stock/write   no client has it
      Cognito's own
        5  openid
      gone: no resource server has these scopes, so Cognito leaves them out of every token
        6  gone/"write"

    Client       Id           Stack                        For        1  2  3  4  5  6
    =shop        existing123  team-a (Adopted, adopted)    machine    .  .  x  .  .  .
    legacy, old  old          the pool's owner             machine    .  .  x  .  .  !
    off          off          the pool's owner             nobody     .  .  -  .  .  .
    orders       orders~~~~~  team-a (M2M)                 machine    .  x  x  .  .  .
    portal       user         the pool's owner             users      .  .  x  .  x  .
    stranger     stranger     unknown (@0123456789abcdef)  machine    .  .  x  .  .  .
    website      website      the pool's owner             machine    .  .  x  .  .  .

    x: allowed; !: allowed, but the scope is gone; -: allowed, but the client has no OAuth flow
    "#);
}

#[tokio::test(start_paused = true)]
async fn the_matrix_is_csv_for_a_spreadsheet() {
    let (stack, pool) = busy_pool().await;
    let line = format!("access --user-pool-id {pool} --format csv");
    let text = runs(&stack, FakeAccount::default(), &line, &[]).await;
    assert!(text.lines().count() == text.matches("\r\n").count());
    assert_snapshot!(stable(&text, &stack, &pool), @r#"
    client_id,client_name,stack,logical_id,adopted,mark_without_owner,oauth_flows,billing/read,billing/issue,stock/read,stock/write,openid,"gone/""write"""
    existing123,'=shop,team-a,Adopted,true,,client_credentials,,,allowed,,,
    old,"legacy, old",,,false,,client_credentials,,,allowed,,,gone
    off,off,,,false,,,,,no flow,,,
    orders~~~~~,orders,team-a,M2M,false,,client_credentials,,allowed,allowed,,,
    user,portal,,,false,,code,,,allowed,,allowed,
    stranger,stranger,,,false,0123456789abcdef,client_credentials,,,allowed,,,
    website,website,,,false,,client_credentials,,,allowed,,,
    ,(no client),,,,,,unused,,,unused,,
    "#);
}

#[tokio::test(start_paused = true)]
async fn the_matrix_is_json_for_a_program() {
    let (stack, pool) = busy_pool().await;
    let line = format!("access --user-pool-id {pool} --output json");
    let text = runs(&stack, FakeAccount::default(), &line, &[]).await;
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["unused_scopes"], json!(["billing/read", "stock/write"]));
    assert_eq!(report["gone_scopes"], json!(["gone/\"write\""]));
    let shown = json!({ "clients": [report["clients"][0]], "resource_servers": [report["resource_servers"][0]] });
    assert_snapshot!(stable(&format!("{shown:#}"), &stack, &pool), @r#"
    {
      "clients": [
        {
          "client_id": "existing123",
          "client_name": "=shop",
          "gone_scopes": [],
          "oauth_flows": [
            "client_credentials"
          ],
          "owner": {
            "adopted": true,
            "logical_id": "Adopted",
            "owns_pool": false,
            "stack": "team-a",
            "stack_id": "arn:aws:cloudformation:us-east-1:111122223333:stack/team-a/0000",
            "unknown_mark": null
          },
          "scopes": [
            "stock/read"
          ]
        }
      ],
      "resource_servers": [
        {
          "identifier": "billing",
          "name": "Billing",
          "owner": {
            "adopted": false,
            "logical_id": null,
            "owns_pool": false,
            "stack": null,
            "stack_id": null,
            "unknown_mark": "94dd504d93c15930"
          },
          "scopes": [
            {
              "client_ids": [],
              "scope": "billing/read"
            },
            {
              "client_ids": [
                "orders~~~~~"
              ],
              "scope": "billing/issue"
            }
          ]
        }
      ]
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn the_matrix_is_a_graph_for_mermaid() {
    let (stack, pool) = busy_pool().await;
    let line = format!("access --user-pool-id {pool} --format mermaid");
    let text = runs(&stack, FakeAccount::default(), &line, &[]).await;
    assert_snapshot!(stable(&text, &stack, &pool), @r#"
    flowchart LR
      c0["=shop<br/>team-a (Adopted, adopted)"]
      c1["legacy, old<br/>the pool's owner"]
      c2["off<br/>the pool's owner"]
      c3["orders<br/>team-a (M2M)"]
      c4["portal<br/>the pool's owner"]
      c5["stranger<br/>unknown (@0123456789abcdef)"]
      c6["website<br/>the pool's owner"]
      subgraph g0["billing: unknown (@94dd504d93c15930)"]
        s0["billing/read<br/>no client has it"]:::unused
        s1["billing/issue"]
      end
      subgraph g1["stock: the pool's owner"]
        s2["stock/read"]
        s3["stock/write<br/>no client has it"]:::unused
      end
      subgraph g2["Cognito's own"]
        s4["openid"]
      end
      subgraph g3["gone"]
        s5["gone/#34;write#34;"]:::gone
      end
      c0 --> s2
      c1 --> s2
      c1 -.->|gone| s5
      c2 -.->|no flow| s2
      c3 --> s1
      c3 --> s2
      c4 --> s2
      c4 --> s4
      c5 --> s2
      c6 --> s2
      classDef unused stroke-dasharray: 4
      classDef gone stroke:#d00,color:#d00
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_may_not_list_secrets_sees_the_rest() {
    let (stack, pool) = busy_pool().await;
    stack.world().behavior.denied_for.insert("ListSecrets", std::time::Duration::MAX);
    let text = runs(&stack, FakeAccount::default(), &format!("access --user-pool-id {pool}"), &[]).await;
    assert!(text.contains("The stacks are not known: ListSecrets") && text.contains("unknown (@"), "{text}");
    let text = runs(&stack, FakeAccount::default(), &format!("adopt --user-pool-id {pool}"), &[]).await;
    assert!(text.contains("# The stacks of the marks are not known: ListSecrets"), "{text}");
}
