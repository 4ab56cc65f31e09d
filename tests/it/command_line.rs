//! `m2mctl` against the AWS in memory: what it reports before and after a deploy, and that it only reads.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use clap::Parser;
use cognito_m2m::{
    m2mctl::{Cli, Context, Error, Outcome, run},
    model::{AuthFlow, ClientId, Endpoints, PoolId, SecretId},
    ports::{
        AWSPENDING, AccessToken, Account, AwsError, Caller, ClientSecrets as _, ErrorKind, ExpectedToken, Page,
        StackDescription, StackResource, TokenEndpoint, TokenError, Tokens,
    },
    redact::Secret,
};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{
    CANARY, Session, Stack, TokenEndpointState,
    fixtures::{custom_domain, large, large_by_api, large_changed, with},
    new_stack,
};

impl Tokens for Session {
    async fn request(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
        scopes: &[String],
    ) -> Result<AccessToken, TokenError> {
        let mut expected = expected.clone();
        // The token in memory carries all of the client's scopes.
        if !scopes.is_empty() {
            expected.metadata.scope = self.aws.world().scopes_of_token(&expected);
        }
        self.verify(&expected, secret).await?;
        let token = format!("token of {} for [{}]", expected.metadata.client_name, scopes.join(" "));
        Ok(AccessToken { token: Secret::new(token), token_type: "Bearer".to_owned(), expires_in: 3600 })
    }

    async fn claims(&self, expected: &ExpectedToken, token: &Secret<String>) -> Result<Value, TokenError> {
        assert!(token.expose().contains(expected.metadata.client_name.as_str()));
        Ok(json!({ "client_id": expected.client_id.as_str(), "scope": expected.metadata.scope }))
    }
}

/// An account whose stacks are given.
#[derive(Default)]
pub struct FakeAccount {
    pub stacks: BTreeMap<String, (StackDescription, Vec<StackResource>, Value)>,
    pub no_credentials: bool,
    pub denied: Vec<String>,
    pub exports: Vec<(String, String)>,
    /// The host names that have an address.
    pub resolved: Vec<String>,
}

impl Account for FakeAccount {
    async fn describe_stacks(&self, name: &str) -> Result<Option<StackDescription>, AwsError> {
        Ok(self.stacks.get(name).map(|(description, ..)| description.clone()))
    }

    async fn list_stack_resources(&self, name: &str, next: Option<&str>) -> Result<Page<StackResource>, AwsError> {
        // One a page, so that there are several.
        let index = next.map_or(0, |next| next.parse().unwrap());
        let resources = &self.stacks[name].1;
        let items = resources.get(index).cloned().into_iter().collect();
        Ok(Page { items, next: (index + 1 < resources.len()).then(|| (index + 1).to_string()) })
    }

    async fn list_exports(&self, next: Option<&str>) -> Result<Page<(String, String)>, AwsError> {
        let index = next.map_or(0, |next| next.parse().unwrap());
        let items = self.exports.get(index).cloned().into_iter().collect();
        Ok(Page { items, next: (index + 1 < self.exports.len()).then(|| (index + 1).to_string()) })
    }

    async fn get_template(&self, name: &str) -> Result<String, AwsError> {
        Ok(self.stacks[name].2.to_string())
    }

    async fn get_caller_identity(&self) -> Result<Caller, AwsError> {
        if self.no_credentials {
            return Err(AwsError {
                operation: "GetCallerIdentity",
                subject: String::new(),
                kind: ErrorKind::Denied,
                code: "ExpiredToken".to_owned(),
                message: "The security token included in the request is expired".to_owned(),
            });
        }
        Ok(Caller {
            account: "111122223333".to_owned(),
            arn: "arn:aws:sts::111122223333:assumed-role/deployer/me".to_owned(),
        })
    }

    async fn get_role(&self, name: &str) -> Result<String, AwsError> {
        Ok(format!("arn:aws:iam::111122223333:role/teams/{name}"))
    }

    async fn simulate_principal_policy(&self, principal: &str, _: &[&str]) -> Result<Vec<String>, AwsError> {
        assert_eq!(principal, "arn:aws:iam::111122223333:role/teams/deployer");
        Ok(self.denied.clone())
    }

    async fn resolves(&self, host: &str) -> bool {
        self.resolved.iter().any(|resolved| resolved == host)
    }
}

/// What `--stack one` finds: the stack as it was deployed with these properties.
fn account(stack: &Stack, pool: &str, properties: &Value) -> FakeAccount {
    let resource = |logical_id: &str, resource_type: &str, physical_id: &str| StackResource {
        logical_id: logical_id.to_owned(),
        resource_type: resource_type.to_owned(),
        physical_id: physical_id.to_owned(),
    };
    let description = StackDescription {
        id: stack.id.clone(),
        name: "one".to_owned(),
        status: "UPDATE_COMPLETE".to_owned(),
        status_reason: String::new(),
        parameters: BTreeMap::from([("Team".to_owned(), "orders".to_owned()), ("Gone".to_owned(), "x".to_owned())]),
        outputs: BTreeMap::new(),
    };
    let resources =
        vec![resource("Queue", "AWS::SQS::Queue", "queue"), resource(&stack.logical_id, "Custom::CognitoM2M", pool)];
    let template = json!({
        "Parameters": { "Team": { "Type": "String" } , "Gone": { "Type": "String" } },
        "Resources": { &stack.logical_id: { "Type": "Custom::CognitoM2M", "Properties": properties } },
    });
    FakeAccount {
        stacks: BTreeMap::from([("one".to_owned(), (description, resources, template))]),
        ..Default::default()
    }
}

/// A file with some JSON, which is YAML too.
pub fn file(content: &Value) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("m2mctl-{}.yaml", NEXT.fetch_add(1, Ordering::Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content.to_string()).unwrap();
    path
}

/// Runs a command line; nothing may be written, and no client secret printed.
pub async fn m2mctl(stack: &Stack, account: FakeAccount, line: &str, files: &[&PathBuf]) -> Result<Outcome, Error> {
    let mut files = files.iter();
    let arguments = line.split(' ').map(|word| match word {
        "FILE" => files.next().unwrap().display().to_string(),
        word => word.to_owned(),
    });
    let cli = Cli::try_parse_from(std::iter::once("m2mctl".to_owned()).chain(arguments)).unwrap();
    let session = Session::new(&stack.aws);
    let context = Context {
        services: session,
        account,
        endpoints: Endpoints::new("us-east-1", None),
        region: "us-east-1".to_owned(),
    };
    let before = stack.world().writes().len();
    let result = run(&cli, &context).await;
    assert_eq!(stack.world().writes().len(), before, "m2mctl only reads");
    let printed = match &result {
        Ok(outcome) => outcome.text.clone(),
        Err(error) => error.report(),
    };
    assert!(!printed.contains(CANARY), "a client secret is printed");
    result
}

/// Returns the text without its colors.
pub fn plain(outcome: &Outcome) -> String {
    anstream::adapter::strip_str(&outcome.text).to_string()
}

/// The time in memory begins at the epoch, so every secret is as old as the day is late.
pub fn ageless(text: &str) -> String {
    let line = |line: &str| match line.split_once(" days old") {
        Some((before, after)) => format!("{} N days old{after}", before.trim_end_matches(char::is_numeric).trim_end()),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_plan_for_nothing_creates_everything_and_exits_with_2() {
    let stack = new_stack();
    let outcome = m2mctl(&stack, FakeAccount::default(), "plan --properties FILE", &[&file(&json!({}))]).await.unwrap();
    assert_eq!(outcome.exit_code, 2);
    assert_snapshot!(plain(&outcome), @r"
    User pool machine-to-machine-dev, which does not exist yet

      + CreateUserPool machine-to-machine-dev

      + CreateUserPoolDomain m2m-rubicon-dev (managed login version 2)
      + CreateResourceServer m2m-client: read write

      + CreateUserPoolClient machine-to-machine-dev-client: m2m-client/read m2m-client/write (60 minutes)
        + CreateSecret machine-to-machine-dev/machine-to-machine-dev-client
        ? VerifyToken machine-to-machine-dev-client

    Plan: 5 to create, 0 to change, 0 to delete; 1 to verify, with a token each.
    ");
}

#[tokio::test(start_paused = true)]
async fn a_plan_for_what_is_there_is_empty_and_exits_with_0() {
    let stack = new_stack();
    let pool = stack.create(&large()).await.physical_id().to_owned();
    for line in ["plan --properties FILE", "plan --properties FILE --stack one"] {
        let outcome = m2mctl(&stack, account(&stack, &pool, &large()), line, &[&file(&large())]).await.unwrap();
        assert_eq!(outcome.exit_code, 0, "{}", outcome.text);
        assert!(outcome.text.contains("No changes."), "{}", outcome.text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_for_an_update_shows_what_the_update_then_does() {
    let stack = new_stack();
    let pool = stack.create(&large()).await.physical_id().to_owned();
    let files = [&file(&large_changed())];
    let line = "plan --properties FILE --stack one --output json";
    let outcome = m2mctl(&stack, account(&stack, &pool, &large()), line, &files).await.unwrap();
    assert_eq!(outcome.exit_code, 2);
    let plan: Value = serde_json::from_str(&outcome.text).unwrap();
    assert_eq!(plan["user_pool_id"], pool);
    let steps: Vec<&str> = plan["steps"].as_array().unwrap().iter().map(|s| s["step"].as_str().unwrap()).collect();
    assert_snapshot!(steps.join("\n"), @r"
    UpdateUserPool machine-to-machine-prod: tags +Owner +Project -Team
    DeleteUserPoolDomain orders-prod, then CreateUserPoolDomain shop-prod (managed login version 2)
    UpdateResourceServer orders: description of read, +cancel
    CreateResourceServer returns: read
    UpdateUserPoolClient web: +orders/cancel, -orders/write, access token validity 5 -> 10 minutes
    CreateSecret shop/secrets/web
    VerifyToken web
    UpdateUserPoolClient batch: +orders/cancel, +returns/read, -orders/write, -stock/read
    CreateSecret shop/secrets/batch
    VerifyToken batch
    CreateUserPoolClient new: returns/read (60 minutes)
    CreateSecret shop/secrets/new
    VerifyToken new
    DeleteSecret machine-to-machine-prod/batch (recoverable for 7 days)
    DeleteSecret machine-to-machine-prod/billing (recoverable for 7 days)
    DeleteSecret machine-to-machine-prod/web (recoverable for 7 days)
    DeleteUserPoolClient billing (clientdaa53)
    UpdateResourceServer orders: -write
    DeleteResourceServer stock
    ");

    stack.update(&pool, &large_changed(), &large()).await.good();
    let after = m2mctl(&stack, account(&stack, &pool, &large()), line, &files).await.unwrap();
    assert_eq!(after.exit_code, 0, "{}", after.text);
}

#[tokio::test(start_paused = true)]
async fn a_switch_to_the_api_is_planned_with_what_it_means_for_consumers_and_examined_afterwards() {
    let stack = new_stack();
    let pool = stack.create(&large()).await.physical_id().to_owned();
    let files = [&file(&large_by_api())];
    let there = || account(&stack, &pool, &large_by_api());
    let outcome = m2mctl(&stack, there(), "plan --properties FILE --stack one", &files).await.unwrap();
    assert_eq!(outcome.exit_code, 2);
    assert_snapshot!(plain(&outcome).replace(&pool, "POOL"), @r"
    User pool POOL (machine-to-machine-prod), resource M2M of arn:aws:cloudformation:us-east-1:111122223333:stack/one/0000

      ~ UpdateUserPoolClient web: GetClientToken on
        ~ UpdateSecret machine-to-machine-prod/web: token_service oauth2 -> GetClientToken (running consumers must change how they ask for tokens), token_endpoint
        ? VerifyToken web
      ~ UpdateUserPoolClient billing: GetClientToken on
        ~ UpdateSecret machine-to-machine-prod/billing: token_service oauth2 -> GetClientToken (running consumers must change how they ask for tokens), token_endpoint
        ? VerifyToken billing
      ~ UpdateUserPoolClient batch: GetClientToken on
        ~ UpdateSecret machine-to-machine-prod/batch: token_service oauth2 -> GetClientToken (running consumers must change how they ask for tokens), token_endpoint
        ? VerifyToken batch

      - DeleteUserPoolDomain orders-prod

    Plan: 0 to create, 6 to change, 1 to delete; 3 to verify, with a token each.
    ");

    stack.update(&pool, &large_by_api(), &large()).await.good();
    let outcome = m2mctl(&stack, there(), "doctor --stack one --properties FILE", &files).await.unwrap();
    assert_eq!(outcome.exit_code, 0, "{}", outcome.text);
    assert!(outcome.text.contains("token of web: is given"), "{}", outcome.text);
    let outcome = m2mctl(&stack, there(), "doctor --properties FILE", &files).await.unwrap();
    assert!(outcome.text.contains("domain: is not needed"), "{}", outcome.text);

    // Somebody has turned the flow off by hand.
    for client in stack.world().pools.get_mut(&PoolId::from(pool.as_str())).unwrap().clients.values_mut() {
        client.client.auth_flow = AuthFlow::RefreshToken;
    }
    let outcome = m2mctl(&stack, there(), "doctor --stack one", &[]).await.unwrap();
    assert_eq!(outcome.exit_code, 1);
    assert!(outcome.text.contains("ALLOW_CLIENT_TOKEN_AUTH") && outcome.text.contains("Otherwise deploy again"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_tells_what_a_deploy_would_fail_with() {
    let stack = new_stack();
    stack.world().add_foreign_pool("somebody", "m2m-rubicon-dev");
    let error =
        m2mctl(&stack, FakeAccount::default(), "plan --properties FILE", &[&file(&json!({}))]).await.unwrap_err();
    assert!(error.report().starts_with("A deploy would fail. The domain prefix m2m-rubicon-dev already belongs to"));

    let wrong = json!({ "Clients": [{ "ClientName": "a b" }], "RotationDays": 1001 });
    let error = m2mctl(&stack, FakeAccount::default(), "plan --properties FILE", &[&file(&wrong)]).await.unwrap_err();
    let text = error.report();
    assert!(text.contains("Clients[0].ClientName") && text.contains("RotationDays"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn two_stacks_with_a_pool_of_the_same_name_have_to_be_told_apart() {
    let one = new_stack();
    let properties = |prefix: &str| json!({ "DomainPrefix": prefix, "SecretNamePrefix": prefix });
    let pool = one.create(&properties("one")).await.physical_id().to_owned();
    let two = Stack::new(&one.aws, "two");
    two.create(&properties("two")).await.good();
    let files = [&file(&properties("one"))];
    let error = m2mctl(&one, FakeAccount::default(), "plan --properties FILE", &files).await.unwrap_err();
    let text = error.report();
    assert!(text.contains("name yours with --stack") && text.contains(&one.id) && text.contains(&two.id), "{text}");
    let line = "plan --properties FILE --stack one";
    let outcome = m2mctl(&one, account(&one, &pool, &properties("one")), line, &files).await.unwrap();
    assert_eq!(outcome.exit_code, 0);
}

#[tokio::test(start_paused = true)]
async fn a_template_is_resolved_with_the_parameters_of_the_stack_and_those_given() {
    let stack = new_stack();
    let properties = |environment: &str| json!({ "EnvironmentName": environment, "Tags": { "Team": "orders" } });
    let pool = stack.create(&properties("dev")).await.physical_id().to_owned();
    let template = json!({
        "Parameters": {
            "EnvironmentName": { "Type": "String", "Default": "dev" },
            "Team": { "Type": "String" },
        },
        "Resources": { "M2M": { "Type": "Custom::CognitoM2M", "Properties": {
            "ServiceToken": { "Fn::ImportValue": "cognito-m2m-ServiceToken" },
            "EnvironmentName": { "Ref": "EnvironmentName" },
            "Tags": { "Team": { "Ref": "Team" } },
        } } },
    });
    let files = [&file(&template)];
    let there = || account(&stack, &pool, &properties("dev"));
    let same = m2mctl(&stack, there(), "plan --template FILE --stack one", &files).await.unwrap();
    assert_eq!(same.exit_code, 0, "{}", same.text);
    // A value that is empty is a value.
    let mut emptied = there();
    emptied.stacks.get_mut("one").unwrap().0.parameters.insert("Team".to_owned(), String::new());
    let empty = m2mctl(&stack, emptied, "plan --template FILE --stack one", &files).await.unwrap();
    assert!(plain(&empty).contains("tags +Team"), "{}", empty.text);
    let line = "plan --template FILE --stack one --parameter-overrides EnvironmentName=prod";
    let other = m2mctl(&stack, there(), line, &files).await.unwrap();
    assert!(plain(&other).contains("machine-to-machine-dev -> machine-to-machine-prod"), "{}", other.text);
    let error = m2mctl(&stack, FakeAccount::default(), "plan --template FILE", &files).await.unwrap_err();
    assert!(error.report().contains("Team"), "{}", error.report());
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_does_not_exist_yet_has_nothing() {
    let stack = new_stack();
    let line = "plan --properties FILE --stack new";
    let outcome = m2mctl(&stack, FakeAccount::default(), line, &[&file(&json!({}))]).await.unwrap();
    assert_eq!(outcome.exit_code, 2);
    assert!(outcome.text.starts_with("User pool machine-to-machine-dev, which does not exist yet"));
    assert!(outcome.text.contains("Stack new does not exist: this is the plan of a new one"), "{}", outcome.text);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_printed_alone_and_its_claims_where_asked() {
    let stack = new_stack();
    let pool = stack.create(&json!({})).await.physical_id().to_owned();
    let there = || account(&stack, &pool, &json!({}));
    let outcome = m2mctl(&stack, there(), "token --stack one", &[]).await.unwrap();
    assert_eq!(outcome.text, "token of machine-to-machine-dev-client for []\n");
    let line = "token --secret machine-to-machine-dev/machine-to-machine-dev-client --output json";
    let outcome = m2mctl(&stack, there(), line, &[]).await.unwrap();
    let granted: Value = serde_json::from_str(&outcome.text).unwrap();
    assert_eq!((&granted["token_type"], &granted["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let line = "token --stack one --scope m2m-client/read --decode";
    let claims: Value = serde_json::from_str(&m2mctl(&stack, there(), line, &[]).await.unwrap().text).unwrap();
    assert_eq!(claims["scope"], "m2m-client/read");
}

#[tokio::test(start_paused = true)]
async fn the_client_of_a_token_is_found_by_the_outputs_and_else_by_the_tags() {
    let stack = new_stack();
    let answer = stack.create(&large()).await;
    let pool = answer.physical_id().to_owned();
    let there = || account(&stack, &pool, &large());
    let error = m2mctl(&stack, there(), "token --stack one", &[]).await.unwrap_err();
    assert_eq!(error.report(), "Stack one has the clients batch, billing, web; name one with --client");
    let error = m2mctl(&stack, there(), "token --stack one --client nobody", &[]).await.unwrap_err();
    assert!(error.report().contains("batch, billing, web"));
    let outcome = m2mctl(&stack, there(), "token --stack one --client billing", &[]).await.unwrap();
    assert!(outcome.text.starts_with("token of billing"));

    let with_outputs = || {
        let mut account = there();
        let outputs = &mut account.stacks.get_mut("one").unwrap().0.outputs;
        outputs.insert("ClientSecretArn".to_owned(), answer.attribute("ClientSecretArn.web").to_owned());
        for name in ["Other", "Idempotency"] {
            outputs.insert(name.to_owned(), answer.attribute("ClientSecretArn.batch").to_owned());
        }
        account
    };
    let listings = || stack.world().calls.iter().filter(|call| call.operation == "ListSecrets").count();
    let before = listings();
    for (line, client) in [("token --stack one", "web"), ("token --stack one --client batch", "batch")] {
        let outcome = m2mctl(&stack, with_outputs(), line, &[]).await.unwrap();
        assert!(outcome.text.starts_with(&format!("token of {client} ")), "{}", outcome.text);
    }
    assert_eq!(listings(), before, "a consumer need not be allowed to list");
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_name_in_two_resources_are_not_taken_for_each_other() {
    let one = new_stack();
    let properties = |name: &str| json!({ "EnvironmentName": name, "Clients": [{ "ClientName": "web" }] });
    let pool = one.create(&properties("one")).await.physical_id().to_owned();
    let mut two = one.clone();
    two.logical_id = "Second".to_owned();
    two.create(&properties("two")).await.good();
    let mut both = account(&one, &pool, &properties("one"));
    let resources = &mut both.stacks.get_mut("one").unwrap().1;
    let mut second = resources[1].clone();
    second.logical_id = "Second".to_owned();
    resources.push(second);
    let error = m2mctl(&one, both, "token --stack one --client web", &[]).await.unwrap_err();
    let text = error.report();
    assert!(text.contains("machine-to-machine-one/web") && text.contains("machine-to-machine-two/web"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_credentials_or_no_stack_says_what_to_do() {
    let stack = new_stack();
    let expired = FakeAccount { no_credentials: true, ..Default::default() };
    let outcome = m2mctl(&stack, expired, "doctor", &[]).await.unwrap();
    assert_eq!(outcome.exit_code, 1);
    assert!(plain(&outcome).contains("sign in again"), "{}", outcome.text);
    let outcome = m2mctl(&stack, FakeAccount::default(), "doctor --stack nowhere", &[]).await.unwrap();
    assert_eq!(outcome.exit_code, 1);
    assert!(plain(&outcome).contains("does not exist in us-east-1"), "{}", outcome.text);
    let error = m2mctl(&stack, FakeAccount::default(), "token --stack nowhere", &[]).await.unwrap_err();
    assert!(error.report().contains("does not exist in us-east-1"));
    let error = m2mctl(&stack, FakeAccount::default(), "token --secret nothing", &[]).await.unwrap_err();
    assert!(error.report().contains("Secret nothing does not exist"));
}

#[tokio::test(start_paused = true)]
async fn a_doctor_before_a_deploy_looks_at_permissions_and_domain() {
    let stack = new_stack();
    let denied = FakeAccount { denied: vec!["iam:CreateRole".to_owned()], ..Default::default() };
    let outcome = m2mctl(&stack, denied, "doctor", &[]).await.unwrap();
    assert_snapshot!(plain(&outcome), @r"
    ok      credentials: arn:aws:sts::111122223333:assumed-role/deployer/me in account 111122223333, region us-east-1
    warning permissions: arn:aws:iam::111122223333:role/teams/deployer is not allowed on every resource: iam:CreateRole
            A deploy that needs these actions fails, unless a policy allows them on the resources in question. Allow them, or deploy with another role.
    ok      domain m2m-rubicon-dev: is free

    0 errors, 1 warning.
    ");
    assert_eq!(outcome.exit_code, 0, "a warning is no error");

    stack.world().add_foreign_pool("somebody", "m2m-rubicon-dev");
    let outcome = m2mctl(&stack, FakeAccount::default(), "doctor", &[]).await.unwrap();
    assert_eq!(outcome.exit_code, 1);
    assert!(plain(&outcome).contains("error   domain m2m-rubicon-dev: belongs to user pool us-east-1_foreign"));
}

#[tokio::test(start_paused = true)]
async fn a_doctor_finds_nothing_wrong_with_a_sound_stack() {
    let stack = new_stack();
    let pool = stack.create(&json!({})).await.physical_id().to_owned();
    let tokens = stack.world().tokens_granted;
    let outcome = m2mctl(&stack, account(&stack, &pool, &json!({})), "doctor --stack one", &[]).await.unwrap();
    assert_snapshot!(ageless(&plain(&outcome)).replace(&pool, "POOL"), @r"
    ok      credentials: arn:aws:sts::111122223333:assumed-role/deployer/me in account 111122223333, region us-east-1
    ok      stack one: UPDATE_COMPLETE
    ok      user pool POOL: is what the properties declare
    warning secret machine-to-machine-dev/machine-to-machine-dev-client: is N days old and does not rotate
            Set RotationDays, or give RotateSecrets a new value.
    ok      token of machine-to-machine-dev-client: is given; signature, issuer and scopes are right

    0 errors, 1 warning.
    ");
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(stack.world().tokens_granted, tokens + 1);
    let line = "doctor --stack one --skip-tokens";
    m2mctl(&stack, account(&stack, &pool, &json!({})), line, &[]).await.unwrap();
    assert_eq!(stack.world().tokens_granted, tokens + 1, "tokens are billed");
}

#[tokio::test(start_paused = true)]
async fn a_doctor_looks_at_the_custom_domain_and_its_name() {
    let stack = new_stack();
    stack.world().allow_custom_domains();
    let properties = json!({ "CustomDomain": custom_domain("auth.example.com") });
    let pool = stack.create(&properties).await.physical_id().to_owned();
    let line = async |resolved: &[&str]| {
        let resolved = resolved.iter().map(ToString::to_string).collect();
        let account = FakeAccount { resolved, ..account(&stack, &pool, &properties) };
        let outcome = m2mctl(&stack, account, "doctor --stack one --skip-tokens", &[]).await.unwrap();
        let text = plain(&outcome);
        let start = text.find("custom domain").unwrap();
        let lines: Vec<_> = text[start - 8..].lines().take(2).collect();
        lines.into_iter().filter(|line| !line.contains("secret")).collect::<Vec<_>>().join("\n")
    };
    let status = |status: &'static str| {
        let mut world = stack.world();
        world.pools.values_mut().next().unwrap().custom_domain.as_mut().unwrap().status = status;
    };
    let target = stack.world().pools.values().next().unwrap().custom_domain.clone().unwrap().target;
    let all = [line(&["auth.example.com"]).await, line(&[]).await];
    status("CREATING");
    let creating = line(&[]).await;
    status("FAILED");
    let all = [&all[..], &[creating, line(&[]).await]].concat().join("\n").replace(&target, "TARGET");
    assert_snapshot!(all, @r"
    ok      custom domain auth.example.com: is ACTIVE, and its name resolves
    error   custom domain auth.example.com: is ACTIVE, but its name does not resolve
            Add a DNS record: an alias of, or a CNAME for, TARGET. A resolver may remember for up to 15 minutes that there was none.
    info    custom domain auth.example.com: is CREATING
            Wait: this takes up to an hour. Its DNS record must point to TARGET.
    error   custom domain auth.example.com: is FAILED
            Remove CustomDomain from the template and deploy. Then declare it again.
    ");
}

#[tokio::test(start_paused = true)]
async fn a_doctor_finds_what_somebody_has_changed_by_hand() {
    let stack = new_stack();
    let pool = stack.create(&large()).await.physical_id().to_owned();
    {
        let mut world = stack.world();
        world.behavior.token_endpoint = TokenEndpointState::Refuses;
        let pool = world.pools.values_mut().next().unwrap();
        pool.clients.values_mut().find(|client| client.client.name.as_str() == "web").unwrap().client.scopes.pop();
        let secret = world.secrets.get_mut(&SecretId::from("machine-to-machine-prod/web")).unwrap();
        let mut pending = secret.versions.values().next().unwrap().clone();
        pending.stages = [AWSPENDING.to_owned()].into();
        secret.versions.insert("pending".to_owned(), pending);
        world.secrets.remove(&SecretId::from("machine-to-machine-prod/batch"));
    }
    let line = "doctor --stack one --output json";
    let outcome = m2mctl(&stack, account(&stack, &pool, &large()), line, &[]).await.unwrap();
    assert_eq!(outcome.exit_code, 1);
    let report: Value = serde_json::from_str(&outcome.text).unwrap();
    let findings: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] != "ok")
        .map(|finding| {
            let word = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {}", word("severity"), word("subject"), word("found"))
        })
        .collect();
    assert_snapshot!(ageless(&findings.join("\n")).replace(&pool, "POOL"), @r"
    warning user pool POOL: differs: UpdateUserPoolClient web: +orders/write; VerifyToken web; CreateSecret machine-to-machine-prod/batch
    error secret machine-to-machine-prod/batch: does not exist
    warning secret machine-to-machine-prod/billing: is N days old and does not rotate
    error token of billing: HTTP 400 invalid_client
    warning secret machine-to-machine-prod/web: is N days old and does not rotate
    warning secret machine-to-machine-prod/web: has a rotation that has not finished
    error token of web: HTTP 400 invalid_client
    ");
}

/// Adds a secret to the client `web`, as somebody would who has the permission. Returns the ids of all its secrets.
async fn add_secret_by_hand(stack: &Stack, pool: &str) -> Vec<String> {
    let pool = PoolId::parse(pool).unwrap();
    let web: ClientId = {
        let world = stack.world();
        let clients = &world.pools[&pool].clients;
        clients.iter().find(|(_, client)| client.client.name.as_str() == "web").unwrap().0.clone()
    };
    let value = Secret::new(
        CANARY.chars().chain("0".repeat(64).chars()).filter(char::is_ascii_alphanumeric).take(64).collect(),
    );
    let session = Session::new(&stack.aws);
    session.add_user_pool_client_secret(&pool, &web, &value).await.unwrap();
    let listed = session.list_user_pool_client_secrets(&pool, &web, None).await.unwrap();
    listed.items.into_iter().map(|secret| secret.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_doctor_warns_of_a_client_secret_that_no_version_explains() {
    let stack = new_stack();
    let pool = stack.create(&large()).await.physical_id().to_owned();
    let line = "doctor --stack one --skip-tokens";
    let ids = add_secret_by_hand(&stack, &pool).await;
    let outcome = m2mctl(&stack, account(&stack, &pool, &large()), line, &[]).await.unwrap();
    let text = plain(&outcome);
    let found: Vec<&str> = text.lines().filter(|line| line.contains("secrets in Cognito")).collect();
    let [warning] = found.as_slice() else { panic!("{text}") };
    assert!(warning.starts_with("warning client web: has 2 secrets in Cognito ("), "{warning}");
    assert!(warning.ends_with("but secret machine-to-machine-prod/web holds only 1 of them"), "{warning}");
    assert!(ids.len() == 2 && ids.iter().all(|id| warning.contains(id.as_str())), "{warning}");
    assert!(text.contains("delete-user-pool-client-secret --user-pool-id"), "{text}");
    assert_eq!(outcome.exit_code, 0, "a warning is no error");
}

#[tokio::test(start_paused = true)]
async fn the_two_secrets_that_a_rotation_leaves_are_explained() {
    let stack = new_stack();
    let pool = stack.create(&large()).await.physical_id().to_owned();
    let rotated = with(large(), "RotateSecrets", "once");
    stack.update(&pool, &rotated, &large()).await.good();
    let secrets: Vec<usize> =
        stack.world().pools.values().next().unwrap().clients.values().map(|client| client.secrets.len()).collect();
    assert_eq!(secrets, [2, 2, 2]);
    let there = || account(&stack, &pool, &rotated);
    let outcome = m2mctl(&stack, there(), "doctor --stack one", &[]).await.unwrap();
    assert!(!plain(&outcome).contains("secrets in Cognito"), "{}", outcome.text);

    // A later Update rewrites the secrets, so that AWSPREVIOUS holds the present client secret too.
    let narrower = with(rotated.clone(), "DomainPrefix", "shop");
    stack.update(&pool, &narrower, &rotated).await.good();
    let outcome = m2mctl(&stack, account(&stack, &pool, &narrower), "doctor --stack one", &[]).await.unwrap();
    assert!(!plain(&outcome).contains("secrets in Cognito"), "{}", outcome.text);
}
