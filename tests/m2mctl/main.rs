//! `m2mctl` as a person runs it: the real binary, with AWS on this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/signing.rs"]
mod signing;
#[path = "../support/world/mod.rs"]
#[expect(dead_code, reason = "the other programs use the rest")]
mod world;

use std::{
    process::{Command, Output},
    time::Duration,
};

use cognito_m2m::model::{Mark, Owner};
use serde_json::{Value, json};
use signing::SigningKey;
use world::{
    CLIENT_TOKEN, TOKEN, World,
    cloudformation::{Stack, StackResource},
    cognito::Client,
    protocol::Refusal,
    seed::Seed,
};

const CLIENT_SECRET: &str = "canaryclientsecret0123456789abcdef";
const ISSUER: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC";
const STACK_ID: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/orders/1";
const SECRET_ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders-prod/web-shop-AbCdEf";
const POOL: &str = "eu-west-1_AbC";

/// The world, and the binary with an environment that leads there.
struct Aws(World);

impl Aws {
    fn start() -> Self {
        Self(World::start("eu-west-1"))
    }

    fn run(&self, line: &str) -> Printed {
        let mut command = bare(line);
        command.env("AWS_ENDPOINT_URL", self.0.url()).env("AWS_REGION", "eu-west-1");
        command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "test");
        run(command)
    }

    fn refuse(&self, call: &'static str, times: usize, status: u16, code: &str, message: &str) {
        self.0.aws().refuse(call, times, Refusal::new(status, code, message));
    }

    /// Adds the stack `orders`, with a client's secret in an output.
    fn stack(&self, template: &Value) {
        let resource = |logical_id, resource_type, physical_id, status| StackResource {
            logical_id,
            resource_type,
            physical_id,
            status,
        };
        let mut aws = self.0.aws();
        // The pool is on the second page.
        aws.page_size = 2;
        aws.stacks.push(Stack {
            id: STACK_ID.to_owned(),
            name: "orders".to_owned(),
            status: "CREATE_COMPLETE".to_owned(),
            parameters: [("EnvironmentName".to_owned(), "prod".to_owned())].into(),
            outputs: [("ClientSecretArn".to_owned(), SECRET_ARN.to_owned())].into(),
            resources: vec![
                resource("Gone", "Custom::CognitoM2M", "eu-west-1_Old", "DELETE_COMPLETE"),
                resource("Queue", "AWS::SQS::Queue", "q", "CREATE_COMPLETE"),
                resource("Auth", "Custom::CognitoM2M", POOL, "CREATE_COMPLETE"),
            ],
            template: template.to_string(),
        });
    }

    /// Adds the client `web-shop` and its secret.
    fn consumer(&self) {
        self.0.seed(&Seed {
            pool: POOL,
            pool_name: "orders-prod",
            domain: "orders-m2m-prod",
            owner: Owner { stack_id: STACK_ID.to_owned(), logical_id: "Auth".to_owned() },
            tags: &[],
            server: ("orders", &["read", "write"]),
            client_id: "id",
            client_name: "web-shop",
            client_secret: CLIENT_SECRET,
            secret_name: "orders-prod/web-shop",
            version: "v",
        });
    }

    fn sent(&self, call: &str) -> Vec<String> {
        self.0.bodies(call)
    }
}

/// Returns the command with nothing in its environment.
fn bare(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_m2mctl"));
    command.args(line.split_whitespace()).env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("HOME", env!("CARGO_TARGET_TMPDIR")).env("AWS_CONFIG_FILE", "/dev/null");
    command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command
}

struct Printed {
    stdout: String,
    stderr: String,
    code: i32,
}

fn run(mut command: Command) -> Printed {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let printed = Printed { stdout: text(stdout), stderr: text(stderr), code: status.code().unwrap() };
    for said in [&printed.stdout, &printed.stderr] {
        assert!(!said.to_lowercase().contains(CLIENT_SECRET), "the client secret is printed");
        assert!(!said.contains('\u{1b}'), "colors without a terminal");
    }
    printed
}

#[test]
fn help_is_no_error_and_a_wrong_line_is_1_and_not_2() {
    for (line, code, word) in [
        ("--help", 0, "Exit codes"),
        ("plan --help", 0, "Exit code 2"),
        ("--version", 0, env!("CARGO_PKG_VERSION")),
        ("schema", 0, "json-schema.org"),
        ("completions bash", 0, "complete -F"),
        ("schema --type CognitoM2MClient", 0, "AdoptClientId"),
        ("schema --type Custom::CognitoM2MResourceServer", 0, "Identifier"),
        ("schema --type Nothing", 1, "CognitoM2MResourceServer"),
        ("adopt", 1, "--user-pool-id"),
        ("access --user-pool-id nothing", 1, "us-east-1_AbCdEfGhI"),
        ("plan", 1, "--properties"),
        ("plan --properties /nowhere/at-all.yaml", 1, "/nowhere/at-all.yaml"),
        ("nonsense", 1, "nonsense"),
    ] {
        let mut command = bare(line);
        command.env("AWS_REGION", "eu-west-1");
        let Printed { stdout, stderr, code: found } = run(command);
        assert_eq!(found, code, "{line}: {stderr}");
        let said = if code == 0 { &stdout } else { &stderr };
        assert!(said.contains(word), "{line}: {said}");
    }
}

#[test]
fn colors_come_if_they_are_asked_for() {
    let mut command = bare("doctor --color always");
    command.env("AWS_REGION", "eu-west-1");
    let printed = command.output().unwrap();
    assert!(String::from_utf8(printed.stdout).unwrap().contains("\u{1b}[31merror"));
}

#[test]
fn no_region_and_no_credentials_say_what_to_do() {
    let printed = run(bare("doctor"));
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("Pass --region"), "{}", printed.stderr);

    let printed = run(bare("doctor --region eu-west-1"));
    assert_eq!(printed.code, 1);
    assert!(printed.stdout.contains("No credentials were found"), "{}", printed.stdout);
}

#[test]
fn bad_credentials_are_told_apart() {
    for (code, advice) in
        [("InvalidClientTokenId", "AWS does not know these credentials"), ("ExpiredToken", "sign in again")]
    {
        let aws = Aws::start();
        aws.refuse("GetCallerIdentity", 1, 403, code, "The security token included in the request is invalid.");
        let printed = aws.run("doctor");
        assert_eq!(printed.code, 1);
        assert!(printed.stdout.contains(code) && printed.stdout.contains(advice), "{}", printed.stdout);
    }
}

#[test]
fn the_permissions_of_an_assumed_role_are_simulated_for_the_role_with_its_path() {
    let aws = Aws::start();
    {
        let mut aws = aws.0.aws();
        aws.caller = "arn:aws:sts::123456789012:assumed-role/deployer/me".to_owned();
        aws.roles.insert("deployer".to_owned(), "arn:aws:iam::123456789012:role/teams/deployer".to_owned());
        let denied = [("iam:CreateRole", "implicitDeny"), ("sqs:CreateQueue", "explicitDeny")];
        aws.denied = denied.map(|(action, decision)| (action.to_owned(), decision.to_owned())).into();
        // The second of the two is on the second page.
        aws.page_size = 20;
    }
    let printed = aws.run("doctor");
    assert_eq!(printed.code, 0, "{}", printed.stdout);
    assert!(
        printed
            .stdout
            .contains("role/teams/deployer is not allowed on every resource: iam:CreateRole, sqs:CreateQueue"),
        "{}",
        printed.stdout
    );
    assert!(printed.stdout.contains("ok      domain m2m-rubicon-dev: is free"), "{}", printed.stdout);
    let sent = aws.sent("SimulatePrincipalPolicy");
    assert!(
        sent[0].contains("PolicySourceArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fteams%2Fdeployer"),
        "{}",
        sent[0]
    );
    assert!(sent[0].contains("cloudformation%3ACreateChangeSet"), "{}", sent[0]);
    assert_eq!(sent.len(), 2);
}

#[test]
fn what_may_not_be_simulated_is_no_error() {
    let aws = Aws::start();
    aws.refuse("SimulatePrincipalPolicy", 1, 403, "AccessDenied", "not authorized");
    let printed = aws.run("doctor");
    assert_eq!(printed.code, 0, "{}", printed.stdout);
    assert!(printed.stdout.contains("info    permissions: cannot be told beforehand"), "{}", printed.stdout);
}

#[test]
fn a_stack_is_read_page_by_page_and_its_template_as_it_was_deployed() {
    let aws = Aws::start();
    aws.refuse("DescribeStacks", 1, 400, "Throttling", "Rate exceeded");
    aws.stack(&json!({
        "Parameters": { "EnvironmentName": { "Type": "String", "Default": "dev" } },
        "Resources": { "Auth": { "Type": "Custom::CognitoM2M", "Properties": {
            "EnvironmentName": { "Ref": "EnvironmentName" }, "DomainPrefix": "not-aws" } } },
    }));
    let printed = aws.run("doctor --stack orders");
    assert_eq!(printed.code, 1);
    // A message of the properties' own rules shows the stack's value of the parameter.
    assert!(printed.stdout.contains("not-aws-prod"), "{}", printed.stdout);
    assert!(aws.sent("DescribeStacks").len() >= 2, "a throttled call is made again");
    assert!(aws.sent("DescribeStacks")[0].contains("StackName=orders"));
    assert!(aws.sent("GetTemplate")[0].contains("TemplateStage=Processed"));
    assert!(aws.sent("ListStackResources")[1].contains("NextToken=2"));
}

#[test]
fn a_stack_that_is_not_there_is_told_from_one_that_may_not_be_seen() {
    let aws = Aws::start();
    let printed = aws.run("token --stack orders");
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("Stack orders does not exist in eu-west-1"), "{}", printed.stderr);

    aws.refuse("DescribeStacks", usize::MAX, 403, "AccessDenied", "User is not authorized");
    let printed = aws.run("token --stack orders");
    assert!(printed.stderr.contains("Allow DescribeStacks for these credentials"), "{}", printed.stderr);
}

#[test]
fn a_token_is_asked_for_as_a_consumer_asks() {
    let aws = Aws::start();
    aws.stack(&json!({}));
    aws.consumer();
    let printed = aws.run("token --stack orders --scope orders/read");
    let issued = aws.0.aws().tokens.clone();
    assert_eq!((printed.code, printed.stdout.trim_end()), (0, issued[0].as_str()), "{}", printed.stderr);
    assert!(aws.sent("ListStackResources").is_empty(), "a consumer need not be allowed to");
    assert_eq!(aws.sent(TOKEN), ["grant_type=client_credentials&scope=orders%2Fread"]);

    let printed = aws.run(&format!("token --secret {SECRET_ARN} --scope orders/read --decode"));
    let claims: Value = serde_json::from_str(&printed.stdout).unwrap_or_else(|_| panic!("{}", printed.stderr));
    assert_eq!((&claims["scope"], &claims["iss"]), (&json!("orders/read"), &json!(ISSUER)));

    // All scopes are asked for, and Cognito grants one.
    aws.0.aws().pools.get_mut(POOL).unwrap().clients.get_mut("id").unwrap().description["AllowedOAuthScopes"] =
        json!(["orders/read"]);
    let printed = aws.run("token --stack orders --decode");
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("No token for client web-shop: the scopes are"), "{}", printed.stderr);
}

/// Makes the seeded pool one without a domain.
fn switch_to_the_api(aws: &Aws) {
    let url = aws.0.url();
    let mut aws = aws.0.aws();
    let pool = aws.pools.get_mut(POOL).unwrap();
    pool.domain = None;
    pool.clients.get_mut("id").unwrap().description["ExplicitAuthFlows"] = json!(["ALLOW_CLIENT_TOKEN_AUTH"]);
    let version = aws.secrets.get_mut("orders-prod/web-shop").unwrap().versions.get_mut("v").unwrap();
    let mut document: Value = serde_json::from_str(version.value.as_deref().unwrap()).unwrap();
    document["token_service"] = json!("GetClientToken");
    document["token_endpoint"] = json!(format!("{url}/"));
    version.value = Some(document.to_string());
}

#[test]
fn a_token_of_a_pool_without_a_domain_is_asked_for_by_the_api() {
    let aws = Aws::start();
    aws.consumer();
    switch_to_the_api(&aws);
    let printed = aws.run(&format!("token --secret {SECRET_ARN} --scope orders/read --decode"));
    let claims: Value = serde_json::from_str(&printed.stdout).unwrap_or_else(|_| panic!("{}", printed.stderr));
    assert_eq!((&claims["scope"], &claims["iss"]), (&json!("orders/read"), &json!(ISSUER)));
    assert_eq!(aws.sent(TOKEN), Vec::<String>::new());
    let sent: Value = serde_json::from_str(&aws.sent(CLIENT_TOKEN)[0]).unwrap();
    assert_eq!((&sent["ClientId"], &sent["Scopes"]), (&json!("id"), &json!(["orders/read"])));

    aws.refuse(CLIENT_TOKEN, 1, 400, "NotAuthorizedException", "Invalid client or secret");
    let printed = aws.run(&format!("token --secret {SECRET_ARN}"));
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.contains("GetClientToken") && printed.stderr.contains("Invalid client or secret"));
}

#[test]
fn a_token_that_somebody_else_signed_does_not_decode() {
    let aws = Aws::start();
    aws.consumer();
    aws.0.aws().keys = json!({ "keys": [SigningKey::new("key-1").jwk()] });
    let printed = aws.run(&format!("token --secret {SECRET_ARN} --decode"));
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.contains("does not hold against"), "{}", printed.stderr);
}

#[test]
fn a_refused_token_says_what_the_endpoint_says() {
    let aws = Aws::start();
    aws.consumer();
    aws.refuse(TOKEN, 1, 400, "invalid_client", &format!("bad {CLIENT_SECRET}"));
    let printed = aws.run(&format!("token --secret {SECRET_ARN}"));
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.contains("HTTP 400 invalid_client"), "{}", printed.stderr);
}

/// A pool with two clients that Terraform made. One of them has two secrets. A third one belongs to a stack.
fn pool_from_terraform() -> Aws {
    let aws = Aws::start();
    aws.consumer();
    {
        let mut aws = aws.0.aws();
        let pool = aws.pools.get_mut(POOL).unwrap();
        pool.description["UserPoolTags"] = json!({ "Team": "platform" });
        let mut add = |id: &str, name: &str| {
            let mut description = pool.clients["id"].description.clone();
            description["ClientId"] = json!(id);
            description["ClientName"] = json!(name);
            let mut client = Client { description, secrets: Vec::new(), flow_known_from: cognito_m2m::clock::now() };
            client.add_secret(CLIENT_SECRET, Duration::ZERO);
            pool.clients.insert(id.to_owned(), client);
        };
        add("2nd", "nightly report");
        let owner = Owner { stack_id: STACK_ID.to_owned(), logical_id: "Auth".to_owned() };
        add("3rd", &format!("stock @{}", Mark::of(&owner)));
        pool.clients.get_mut("2nd").unwrap().add_secret(&CLIENT_SECRET.to_uppercase(), Duration::ZERO);
        // The next page is asked for.
        aws.page_size = 1;
    }
    aws
}

#[test]
fn a_template_is_printed_that_adopts_what_the_pool_has() {
    let aws = pool_from_terraform();
    let printed = aws.run(&format!("adopt --user-pool-id {POOL} --stack-prefix team-"));
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{}", printed.stdout);
    for line in [
        "#      aws cognito-idp tag-resource --region eu-west-1 --resource-arn 'arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbC' --tags '{\"cognito-m2m:shared-with\":\"team-\"}'",
        "# - nightly report (2nd): it has two secrets, and nobody can tell which one its consumers use.",
        "  WebShop:",
        "      AdoptClientId: id",
        "      ClientName: web-shop",
        "        - orders/write",
    ] {
        assert!(printed.stdout.lines().any(|printed| printed == line), "{line}\n{}", printed.stdout);
    }
    assert!(printed.stdout.contains("(3rd): resource Auth of stack orders owns it."), "{}", printed.stdout);
    assert_eq!(aws.sent("DescribeUserPoolClient").len(), 3);
    assert!(aws.0.aws().calls.iter().all(|call| !call.is_write()), "it only reads");
    // The SDK sends what `--output json` needs, too.
    let printed = aws.run(&format!("adopt --user-pool-id {POOL} --output json"));
    let report: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(report["clients"][0]["client_id"], "id");
    assert_eq!(report["template"]["Resources"]["WebShop"]["Type"], "Custom::CognitoM2MClient");
}

#[test]
fn a_pool_that_a_template_imports_is_found_by_the_exports() {
    let aws = pool_from_terraform();
    let export = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    aws.0.aws().exports = vec![export("other", "x"), export("platform-UserPoolId", POOL)];
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("imports.json");
    let template = json!({ "Resources": { "Web": { "Type": "Custom::CognitoM2MClient", "Properties": {
        "UserPoolId": { "Fn::ImportValue": "platform-UserPoolId" },
        "ClientName": "web", "AllowedOAuthScopes": ["orders/read"] } } } });
    std::fs::write(&file, template.to_string()).unwrap();
    let printed = aws.run(&format!("plan --template {} --stack team-a", file.display()));
    assert_eq!(printed.code, 1);
    assert!(
        printed.stderr.contains(&format!("User pool {POOL} is not shared with stack team-a")),
        "{}",
        printed.stderr
    );
    assert_eq!(aws.sent("ListExports").len(), 2, "page by page");
}

#[test]
fn the_matrix_names_the_stacks_or_says_why_it_cannot() {
    let aws = pool_from_terraform();
    let printed = aws.run(&format!("access --user-pool-id {POOL}"));
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    assert!(printed.stdout.contains("orders (Auth)"), "{}", printed.stdout);
    aws.refuse("ListSecrets", usize::MAX, 403, "AccessDeniedException", "not authorized");
    let printed = aws.run(&format!("access --user-pool-id {POOL} --format mermaid"));
    assert!(printed.stdout.starts_with("flowchart LR\n"), "{}", printed.stdout);
    let printed = aws.run(&format!("access --user-pool-id {POOL}"));
    assert_eq!(printed.code, 0);
    assert!(printed.stdout.contains("Allow ListSecrets for these credentials"), "{}", printed.stdout);
    assert!(aws.0.aws().calls.iter().all(|call| !call.is_write()), "it only reads");

    aws.refuse("ListUserPoolClients", usize::MAX, 403, "AccessDeniedException", "not authorized");
    let printed = aws.run(&format!("access --user-pool-id {POOL}"));
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("Allow ListUserPoolClients for these credentials"), "{}", printed.stderr);
}
