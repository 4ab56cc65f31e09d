//! `m2mctl` as a person runs it: the real binary against a local HTTP server that answers as AWS does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/signing.rs"]
mod signing;

use std::{
    process::{Command, Output},
    time::Duration,
};

use cognito_m2m::clock::wall_clock;
use serde_json::{Value, json};
use signing::{SigningKey, with};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{body_string_contains, header, method, path},
};

const CLIENT_SECRET: &str = "canaryclientsecret0123456789abcdef";
const ISSUER: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC";

/// A server, and the binary with nothing in its environment but what leads there.
struct Aws(MockServer);

impl Aws {
    async fn start() -> Self {
        Self(MockServer::start().await)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = bare(line);
        command.env("AWS_ENDPOINT_URL", self.0.uri()).env("AWS_REGION", "eu-west-1");
        command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }

    async fn run(&self, line: &str) -> Printed {
        run(self.command(line)).await
    }

    /// One answer of CloudFormation, IAM or STS: XML in the envelope that they share.
    async fn query(&self, action: &str, result: &str) {
        self.query_where(action, "", result).await;
    }

    async fn query_where(&self, action: &str, also: &str, result: &str) {
        let xml = format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>");
        Mock::given(method("POST"))
            .and(body_string_contains(format!("Action={action}&")))
            .and(body_string_contains(also))
            .respond_with(ResponseTemplate::new(200).set_body_string(xml))
            .mount(&self.0)
            .await;
    }

    async fn refuse(&self, action: &str, status: u16, code: &str, message: &str, times: u64) {
        let xml = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        Mock::given(method("POST"))
            .and(body_string_contains(format!("Action={action}&")))
            .respond_with(ResponseTemplate::new(status).set_body_string(xml))
            .up_to_n_times(times)
            .with_priority(1)
            .mount(&self.0)
            .await;
    }

    /// One answer of Cognito or Secrets Manager.
    async fn json(&self, target: &str, answer: Value) {
        Mock::given(header("x-amz-target", target))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(&self.0)
            .await;
    }

    async fn caller(&self, arn: &str) {
        let identity = format!("<Arn>{arn}</Arn><UserId>U</UserId><Account>123456789012</Account>");
        self.query("GetCallerIdentity", &identity).await;
    }

    /// The stack `orders`, with a client's secret in an output.
    async fn stack(&self) {
        let pair = |key: &str, value: &str, kind: &str| {
            format!("<member><{kind}Key>{key}</{kind}Key><{kind}Value>{value}</{kind}Value></member>")
        };
        let stack = format!(
            "<Stacks><member><StackId>{STACK_ID}</StackId><StackName>orders</StackName>\
             <CreationTime>2026-01-02T03:04:05Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>\
             <Parameters>{}</Parameters><Outputs>{}</Outputs></member></Stacks>",
            pair("EnvironmentName", "prod", "Parameter"),
            pair("ClientSecretArn", SECRET_ARN, "Output"),
        );
        self.query("DescribeStacks", &stack).await;
        let resource = |logical: &str, kind: &str, physical: &str| {
            format!(
                "<StackResourceSummaries><member><LogicalResourceId>{logical}</LogicalResourceId>\
                 <ResourceType>{kind}</ResourceType><PhysicalResourceId>{physical}</PhysicalResourceId>\
                 <ResourceStatus>CREATE_COMPLETE</ResourceStatus>\
                 <LastUpdatedTimestamp>2026-01-02T03:04:05Z</LastUpdatedTimestamp></member></StackResourceSummaries>"
            )
        };
        let gone =
            resource("Gone", "Custom::CognitoM2M", "eu-west-1_Old").replace("CREATE_COMPLETE", "DELETE_COMPLETE");
        let first = gone + &resource("Queue", "AWS::SQS::Queue", "q") + "<NextToken>second</NextToken>";
        self.query_where("ListStackResources", "NextToken=second", &resource("Auth", "Custom::CognitoM2M", POOL)).await;
        self.query("ListStackResources", &first).await;
    }

    /// The secret, its token endpoint and the key that signs.
    async fn consumer(&self, key: &SigningKey) {
        let value = json!({
            "client_id": "id", "client_secret": CLIENT_SECRET, "scope": "orders/read orders/write",
            "token_endpoint": format!("{}/oauth2/token", self.0.uri()), "issuer": ISSUER,
            "jwks_uri": format!("{}/jwks", self.0.uri()), "user_pool_id": POOL, "client_name": "web-shop",
        });
        let secret = json!({ "ARN": SECRET_ARN, "VersionId": "v", "SecretString": value.to_string() });
        self.json("secretsmanager.GetSecretValue", secret).await;
        Mock::given(path("/jwks"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "keys": [key.jwk()] })))
            .mount(&self.0)
            .await;
    }

    async fn token(&self, key: &SigningKey, scope: &str) -> String {
        let claims = json!({ "iss": ISSUER, "client_id": "id", "token_use": "access", "scope": scope });
        let claims = with(claims, &json!({ "exp": (wall_clock() + Duration::from_hours(1)).as_secs() }));
        let token = key.sign(&claims);
        Mock::given(path("/oauth2/token"))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 })),
            )
            .mount(&self.0)
            .await;
        token
    }

    async fn received(&self, filter: impl Fn(&Request) -> bool) -> Vec<String> {
        let requests = self.0.received_requests().await.unwrap();
        requests
            .iter()
            .filter(|request| filter(request))
            .map(|request| String::from_utf8(request.body.clone()).unwrap())
            .collect()
    }

    async fn sent(&self, action: &str) -> Vec<String> {
        let wanted = format!("Action={action}&");
        self.received(|request| String::from_utf8_lossy(&request.body).contains(&wanted)).await
    }
}

const STACK_ID: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/orders/1";
const SECRET_ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders-prod/web-shop-AbCdEf";
const POOL: &str = "eu-west-1_AbC";

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

async fn run(mut command: Command) -> Printed {
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let printed = Printed { stdout: text(stdout), stderr: text(stderr), code: status.code().unwrap() };
    for said in [&printed.stdout, &printed.stderr] {
        assert!(!said.contains(CLIENT_SECRET), "the client secret is printed");
        assert!(!said.contains('\u{1b}'), "colours off a terminal");
    }
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn help_is_no_error_and_a_wrong_line_is_1_and_not_2() {
    for (line, code, word) in [
        ("--help", 0, "Exit codes"),
        ("plan --help", 0, "Exit code 2"),
        ("--version", 0, env!("CARGO_PKG_VERSION")),
        ("schema", 0, "json-schema.org"),
        ("completions bash", 0, "complete -F"),
        ("plan", 1, "--properties"),
        ("plan --properties /nowhere/at-all.yaml", 1, "/nowhere/at-all.yaml"),
        ("nonsense", 1, "nonsense"),
    ] {
        let mut command = bare(line);
        command.env("AWS_REGION", "eu-west-1");
        let Printed { stdout, stderr, code: found } = run(command).await;
        assert_eq!(found, code, "{line}: {stderr}");
        let said = if code == 0 { &stdout } else { &stderr };
        assert!(said.contains(word), "{line}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_come_where_they_are_asked_for() {
    let mut command = bare("doctor --color always");
    command.env("AWS_REGION", "eu-west-1");
    let printed = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(String::from_utf8(printed.stdout).unwrap().contains("\u{1b}[31merror"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_region_and_no_credentials_say_what_to_do() {
    let printed = run(bare("doctor")).await;
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("Pass --region"), "{}", printed.stderr);

    let printed = run(bare("doctor --region eu-west-1")).await;
    assert_eq!(printed.code, 1);
    assert!(printed.stdout.contains("No credentials were found"), "{}", printed.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_are_told_apart() {
    for (code, advice) in
        [("InvalidClientTokenId", "AWS does not know these credentials"), ("ExpiredToken", "sign in again")]
    {
        let aws = Aws::start().await;
        aws.refuse("GetCallerIdentity", 403, code, "The security token included in the request is invalid.", 1).await;
        let printed = aws.run("doctor").await;
        assert_eq!(printed.code, 1);
        assert!(printed.stdout.contains(code) && printed.stdout.contains(advice), "{}", printed.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_permissions_of_an_assumed_role_are_simulated_for_the_role_with_its_path() {
    let aws = Aws::start().await;
    aws.caller("arn:aws:sts::123456789012:assumed-role/deployer/me").await;
    let role = "<Role><Path>/teams/</Path><RoleName>deployer</RoleName><RoleId>R</RoleId>\
                <Arn>arn:aws:iam::123456789012:role/teams/deployer</Arn><CreateDate>2026-01-02T03:04:05Z</CreateDate></Role>";
    aws.query("GetRole", role).await;
    let result = |action: &str, decision: &str| {
        format!(
            "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName><EvalDecision>{decision}</EvalDecision></member>"
        )
    };
    let first = format!(
        "<EvaluationResults>{}{}</EvaluationResults><IsTruncated>true</IsTruncated><Marker>more</Marker>",
        result("iam:CreateRole", "implicitDeny"),
        result("iam:PassRole", "allowed"),
    );
    let second = format!(
        "<EvaluationResults>{}</EvaluationResults><IsTruncated>false</IsTruncated>",
        result("sqs:CreateQueue", "explicitDeny")
    );
    aws.query_where("SimulatePrincipalPolicy", "Marker=more", &second).await;
    aws.query("SimulatePrincipalPolicy", &first).await;
    aws.json("AWSCognitoIdentityProviderService.DescribeUserPoolDomain", json!({ "DomainDescription": {} })).await;
    let printed = aws.run("doctor").await;
    assert_eq!(printed.code, 0, "{}", printed.stdout);
    assert!(
        printed
            .stdout
            .contains("role/teams/deployer is not allowed on every resource: iam:CreateRole, sqs:CreateQueue"),
        "{}",
        printed.stdout
    );
    assert!(printed.stdout.contains("ok      domain m2m-rubicon-dev: is free"), "{}", printed.stdout);
    let sent = aws.sent("SimulatePrincipalPolicy").await;
    assert!(
        sent[0].contains("PolicySourceArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fteams%2Fdeployer"),
        "{}",
        sent[0]
    );
    assert!(sent[0].contains("cloudformation%3ACreateChangeSet"), "{}", sent[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_simulated_is_no_error() {
    let aws = Aws::start().await;
    aws.caller("arn:aws:iam::123456789012:user/me").await;
    aws.refuse("SimulatePrincipalPolicy", 403, "AccessDenied", "not authorized", 1).await;
    aws.json("AWSCognitoIdentityProviderService.DescribeUserPoolDomain", json!({ "DomainDescription": {} })).await;
    let printed = aws.run("doctor").await;
    assert_eq!(printed.code, 0, "{}", printed.stdout);
    assert!(printed.stdout.contains("info    permissions: cannot be told beforehand"), "{}", printed.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_read_page_by_page_and_its_template_as_it_was_deployed() {
    let aws = Aws::start().await;
    aws.caller("arn:aws:iam::123456789012:user/me").await;
    aws.refuse("DescribeStacks", 400, "Throttling", "Rate exceeded", 1).await;
    aws.stack().await;
    let template = json!({
        "Parameters": { "EnvironmentName": { "Type": "String", "Default": "dev" } },
        "Resources": { "Auth": { "Type": "Custom::CognitoM2M", "Properties": {
            "EnvironmentName": { "Ref": "EnvironmentName" }, "DomainPrefix": "not-aws" } } },
    });
    aws.query("GetTemplate", &format!("<TemplateBody>{}</TemplateBody>", template.to_string().replace('"', "&quot;")))
        .await;
    aws.json("secretsmanager.ListSecrets", json!({ "SecretList": [] })).await;
    let printed = aws.run("doctor --stack orders").await;
    assert_eq!(printed.code, 1);
    // The stack's own value of the parameter, in a message of the properties' own rules.
    assert!(printed.stdout.contains("not-aws-prod"), "{}", printed.stdout);
    assert!(aws.sent("DescribeStacks").await.len() >= 2, "a throttled call is made again");
    assert!(aws.sent("DescribeStacks").await[0].contains("StackName=orders"));
    assert!(aws.sent("GetTemplate").await[0].contains("TemplateStage=Processed"));
    assert!(aws.sent("ListStackResources").await[1].contains("NextToken=second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_is_not_there_is_told_from_one_that_may_not_be_seen() {
    let aws = Aws::start().await;
    aws.refuse("DescribeStacks", 400, "ValidationError", "Stack with id orders does not exist", 1).await;
    let printed = aws.run("token --stack orders").await;
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("Stack orders does not exist in eu-west-1"), "{}", printed.stderr);

    aws.refuse("DescribeStacks", 403, "AccessDenied", "User is not authorized", 9).await;
    let printed = aws.run("token --stack orders").await;
    assert!(printed.stderr.contains("Allow DescribeStacks for these credentials"), "{}", printed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_as_a_consumer_asks() {
    let (aws, key) = (Aws::start().await, SigningKey::new("kid"));
    aws.stack().await;
    aws.consumer(&key).await;
    let token = aws.token(&key, "orders/read").await;
    let printed = aws.run("token --stack orders --scope orders/read").await;
    assert_eq!((printed.code, printed.stdout.trim_end()), (0, token.as_str()), "{}", printed.stderr);
    assert!(aws.sent("ListStackResources").await.is_empty(), "a consumer need not be allowed to");
    let asked = aws.received(|request| request.url.path() == "/oauth2/token").await;
    assert_eq!(asked, ["grant_type=client_credentials&scope=orders%2Fread"]);

    let printed = aws.run(&format!("token --secret {SECRET_ARN} --scope orders/read --decode")).await;
    let claims: Value = serde_json::from_str(&printed.stdout).unwrap_or_else(|_| panic!("{}", printed.stderr));
    assert_eq!((&claims["scope"], &claims["iss"]), (&json!("orders/read"), &json!(ISSUER)));

    // All scopes were asked for and one came.
    let printed = aws.run("token --stack orders --decode").await;
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("No token for client web-shop: the scopes are"), "{}", printed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_somebody_else_signed_does_not_decode() {
    let (aws, key) = (Aws::start().await, SigningKey::new("kid"));
    aws.consumer(&key).await;
    aws.token(&SigningKey::new("kid"), "orders/read orders/write").await;
    let printed = aws.run(&format!("token --secret {SECRET_ARN} --decode")).await;
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.contains("does not hold against"), "{}", printed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_says_what_the_endpoint_says() {
    let (aws, key) = (Aws::start().await, SigningKey::new("kid"));
    aws.consumer(&key).await;
    let refusal = json!({ "error": "invalid_client", "error_description": format!("bad {CLIENT_SECRET}") });
    Mock::given(path("/oauth2/token"))
        .respond_with(ResponseTemplate::new(400).set_body_json(refusal))
        .mount(&aws.0)
        .await;
    let printed = aws.run(&format!("token --secret {SECRET_ARN}")).await;
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.contains("HTTP 400 invalid_client"), "{}", printed.stderr);
}
