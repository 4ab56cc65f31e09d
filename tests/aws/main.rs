//! The adapters against a local HTTP server: what is sent, byte for byte where it matters, and how
//! every answer is read. AWS itself is never called.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/signing.rs"]
mod signing;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Debug, Display},
    process::Command,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_cognitoidentityprovider::config::{Credentials, SharedCredentialsProvider};
use cognito_m2m::{
    aws::{self, Cognito, Http, ResponseUrlClient, SecretsManager, TokenClient},
    cfn::{Deliver, DeliveryError, ResponseUrl, deliver::deliver},
    clock::{Deadline, now, wall_clock},
    model::{
        Client, ClientId, ClientName, Domain, Endpoints, Owner, PoolId, ResourceServer, Rotation, Scope, SecretName,
        Tags, Tier, UserPool, desired::SecretMetadata,
    },
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, AwsError, ClientSecretDescription, ClientSecrets, DomainDescription,
        ErrorKind, ExpectedToken, NewSecret, Page, SecretChange, SecretDocument, SecretVersions, Secrets,
        TokenEndpoint, TokenError, UserPools, Version,
    },
    redact::Secret,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use signing::{SigningKey, with};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, method, path},
};

const CLIENT_ID: &str = "7h1s1s4t3stcl13nt1d";
const CLIENT_SECRET: &str = "canaryclientsecret0123456789abcdef";
/// Base64 of `CLIENT_ID:CLIENT_SECRET`.
const BASIC: &str = "N2gxczFzNHQzc3RjbDEzbnQxZDpjYW5hcnljbGllbnRzZWNyZXQwMTIzNDU2Nzg5YWJjZGVm";
/// One of the client's secrets, as Cognito names it.
const SECRET_ID: &str = "7h1s1s4t3stcl13nt1d--1767323045";
const CURRENT: Version<'_> = Version::Stage(AWSCURRENT);
const NO_CHANGE: SecretChange = SecretChange { description: None, kms_key_id: None };
const STACK_ID: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/m2m/0a1b";

// ---------------------------------------------------------------------------------------------
// What the tests speak of.

fn pool_id() -> PoolId {
    PoolId::from("us-east-1_AbCdEfGhI")
}

fn client_id() -> ClientId {
    ClientId::from(CLIENT_ID)
}

fn owner() -> Owner {
    Owner { stack_id: STACK_ID.into(), logical_id: "M2M".into() }
}

fn tags() -> Tags {
    let mut tags = owner().tags();
    tags.insert("Environment".into(), "dev".into());
    tags
}

fn tags_as_map() -> Value {
    json!({
        "Environment": "dev", "ManagedBy": "cognito-m2m",
        "cognito-m2m:stack-id": STACK_ID, "cognito-m2m:logical-id": "M2M",
    })
}

fn tags_as_list() -> Value {
    json!([
        { "Key": "Environment", "Value": "dev" },
        { "Key": "ManagedBy", "Value": "cognito-m2m" },
        { "Key": "cognito-m2m:logical-id", "Value": "M2M" },
        { "Key": "cognito-m2m:stack-id", "Value": STACK_ID },
    ])
}

fn user_pool() -> UserPool {
    UserPool { name: "machine-to-machine-dev".into(), tier: Tier::Plus, deletion_protection: true, tags: tags() }
}

fn domain() -> Domain {
    Domain { prefix: "m2m-rubicon-dev".into(), managed_login_version: 2 }
}

fn resource_server() -> ResourceServer {
    ResourceServer {
        identifier: "https://api.example.com".into(),
        name: "The API".into(),
        scopes: vec![
            Scope { name: "read".into(), description: "May read".into() },
            Scope { name: "write".into(), description: "write".into() },
        ],
    }
}

fn resource_server_json() -> Value {
    json!({
        "UserPoolId": "us-east-1_AbCdEfGhI", "Identifier": "https://api.example.com", "Name": "The API",
        "Scopes": [
            { "ScopeName": "read", "ScopeDescription": "May read" },
            { "ScopeName": "write", "ScopeDescription": "write" },
        ],
    })
}

fn client() -> Client {
    Client {
        name: ClientName::from("billing"),
        scopes: vec!["m2m-client/write".into(), "m2m-client/read".into()],
        access_token_validity_minutes: 90,
        secret_name: secret_name(),
    }
}

fn secret_name() -> SecretName {
    SecretName::from("machine-to-machine-dev/billing")
}

fn rotation() -> Rotation {
    Rotation { function_arn: "arn:aws:lambda:us-east-1:123456789012:function:rotation".into(), days: 30 }
}

fn metadata() -> SecretMetadata {
    SecretMetadata {
        token_endpoint: "https://m2m-rubicon-dev.auth.us-east-1.amazoncognito.com/oauth2/token".into(),
        scope: "m2m-client/write m2m-client/read".into(),
        issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI".into(),
        jwks_uri: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI/.well-known/jwks.json".into(),
        user_pool_id: pool_id(),
        client_name: ClientName::from("billing"),
    }
}

fn document() -> SecretDocument {
    SecretDocument { client_id: client_id(), client_secret: Secret::new(CLIENT_SECRET.into()), metadata: metadata() }
}

/// The secret as the contract has it: these keys and no other.
fn document_json() -> Value {
    json!({
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "token_endpoint": "https://m2m-rubicon-dev.auth.us-east-1.amazoncognito.com/oauth2/token",
        "scope": "m2m-client/write m2m-client/read",
        "issuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI",
        "jwks_uri": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI/.well-known/jwks.json",
        "user_pool_id": "us-east-1_AbCdEfGhI",
        "client_name": "billing",
    })
}

// ---------------------------------------------------------------------------------------------
// AWS in a local server.

/// The settings of [`aws::config`], with credentials and an endpoint of the test's own.
fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIDTEST", "not-a-key", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(endpoint)
        .build()
}

struct Aws {
    server: MockServer,
    pools: Cognito,
    secrets: SecretsManager,
}

impl Aws {
    async fn start() -> Self {
        let server = MockServer::start().await;
        let config = sdk_config(&server.uri());
        Self { pools: Cognito::new(&config), secrets: SecretsManager::new(&config), server }
    }

    /// Gives this answer to whatever is asked.
    async fn answering(answer: Value) -> Self {
        let aws = Self::start().await;
        aws.answers(200, &answer).await;
        aws
    }

    /// Refuses whatever is asked.
    async fn refusing(status: u16, code: &str, message: &str) -> Self {
        let aws = Self::start().await;
        aws.refuses(status, code, message).await;
        aws
    }

    /// Forgets what was asked and gives this answer from now on.
    async fn answers(&self, status: u16, answer: &Value) {
        self.server.reset().await;
        let answer =
            ResponseTemplate::new(status).set_body_raw(answer.to_string().into_bytes(), "application/x-amz-json-1.1");
        Mock::given(any()).respond_with(answer).mount(&self.server).await;
    }

    async fn refuses(&self, status: u16, code: &str, message: &str) {
        self.answers(status, &json!({ "__type": code, "message": message })).await;
    }

    /// The one request that was sent: its target and its body.
    async fn sent(&self) -> (String, Value) {
        let requests = self.server.received_requests().await.unwrap();
        let [request] = requests.as_slice() else { panic!("{} requests were sent, not one", requests.len()) };
        assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/"));
        assert_eq!(header(request, "content-type"), "application/x-amz-json-1.1");
        (header(request, "x-amz-target").to_owned(), serde_json::from_slice(&request.body).unwrap())
    }

    async fn sent_cognito(&self, operation: &str, body: Value) {
        assert_eq!(self.sent().await, (format!("AWSCognitoIdentityProviderService.{operation}"), body));
    }

    async fn sent_secrets(&self, operation: &str, body: Value) {
        assert_eq!(self.sent().await, (format!("secretsmanager.{operation}"), body));
    }
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.get(name).unwrap_or_else(|| panic!("there is no {name}")).to_str().unwrap()
}

const OPERATIONS: [&str; 34] = [
    "ListUserPools",
    "DescribeUserPool",
    "CreateUserPool",
    "UpdateUserPool",
    "DeleteUserPool",
    "DescribeUserPoolDomain",
    "CreateUserPoolDomain",
    "UpdateUserPoolDomain",
    "DeleteUserPoolDomain",
    "ListResourceServers",
    "CreateResourceServer",
    "UpdateResourceServer",
    "DeleteResourceServer",
    "ListUserPoolClients",
    "DescribeUserPoolClient",
    "CreateUserPoolClient",
    "UpdateUserPoolClient",
    "DeleteUserPoolClient",
    "ListUserPoolClientSecrets",
    "AddUserPoolClientSecret",
    "DeleteUserPoolClientSecret",
    "ListSecrets",
    "DescribeSecret",
    "GetSecretValue",
    "CreateSecret",
    "PutSecretValue",
    "UpdateSecretVersionStage",
    "UpdateSecret",
    "RotateSecret",
    "CancelRotateSecret",
    "TagResource",
    "UntagResource",
    "RestoreSecret",
    "DeleteSecret",
];

/// Calls one operation, and shows what it gives.
async fn call(pools: &Cognito, secrets: &SecretsManager, operation: &str) -> Result<String, AwsError> {
    let (pool, id, secret) = (&pool_id(), &client_id(), &secret_name());
    Ok(match operation {
        "ListUserPools" => format!("{:?}", pools.list_user_pools(None).await?),
        "DescribeUserPool" => format!("{:?}", pools.describe_user_pool(pool).await?),
        "CreateUserPool" => format!("{:?}", pools.create_user_pool(&user_pool()).await?),
        "UpdateUserPool" => format!("{:?}", pools.update_user_pool(pool, &user_pool()).await?),
        "DeleteUserPool" => format!("{:?}", pools.delete_user_pool(pool).await?),
        "DescribeUserPoolDomain" => format!("{:?}", pools.describe_user_pool_domain("m2m-rubicon-dev").await?),
        "CreateUserPoolDomain" => format!("{:?}", pools.create_user_pool_domain(pool, &domain()).await?),
        "UpdateUserPoolDomain" => format!("{:?}", pools.update_user_pool_domain(pool, &domain()).await?),
        "DeleteUserPoolDomain" => format!("{:?}", pools.delete_user_pool_domain(pool, "m2m-rubicon-dev").await?),
        "ListResourceServers" => format!("{:?}", pools.list_resource_servers(pool, None).await?),
        "CreateResourceServer" => format!("{:?}", pools.create_resource_server(pool, &resource_server()).await?),
        "UpdateResourceServer" => format!("{:?}", pools.update_resource_server(pool, &resource_server()).await?),
        "DeleteResourceServer" => format!("{:?}", pools.delete_resource_server(pool, "m2m-client").await?),
        "ListUserPoolClients" => format!("{:?}", pools.list_user_pool_clients(pool, None).await?),
        "DescribeUserPoolClient" => format!("{:?}", pools.describe_user_pool_client(pool, id).await?),
        "CreateUserPoolClient" => format!("{:?}", pools.create_user_pool_client(pool, &client()).await?),
        "UpdateUserPoolClient" => format!("{:?}", pools.update_user_pool_client(pool, id, &client()).await?),
        "DeleteUserPoolClient" => format!("{:?}", pools.delete_user_pool_client(pool, id).await?),
        "ListUserPoolClientSecrets" => format!("{:?}", pools.list_user_pool_client_secrets(pool, id, None).await?),
        "AddUserPoolClientSecret" => {
            format!("{:?}", pools.add_user_pool_client_secret(pool, id, &client_secret()).await?)
        }
        "DeleteUserPoolClientSecret" => {
            format!("{:?}", pools.delete_user_pool_client_secret(pool, id, SECRET_ID).await?)
        }
        "ListSecrets" => format!("{:?}", secrets.list_secrets(&owner(), None).await?),
        "DescribeSecret" => format!("{:?}", secrets.describe_secret(secret).await?),
        "GetSecretValue" => format!("{:?}", secrets.get_secret_value(secret, CURRENT).await?),
        "CreateSecret" => format!("{:?}", secrets.create_secret(&new_secret(&document())).await?),
        "PutSecretValue" => {
            format!("{:?}", secrets.put_secret_value(secret, &document(), "token", AWSPENDING).await?)
        }
        "UpdateSecretVersionStage" => {
            format!("{:?}", secrets.update_secret_version_stage(secret, AWSCURRENT, Some("v1"), Some("v2")).await?)
        }
        "UpdateSecret" => format!("{:?}", secrets.update_secret(secret, &NO_CHANGE).await?),
        "RotateSecret" => format!("{:?}", secrets.rotate_secret(secret, &rotation()).await?),
        "CancelRotateSecret" => format!("{:?}", secrets.cancel_rotate_secret(secret).await?),
        "TagResource" => format!("{:?}", secrets.tag_resource(secret, &tags()).await?),
        "UntagResource" => format!("{:?}", secrets.untag_resource(secret, &["Team".to_owned()]).await?),
        "RestoreSecret" => format!("{:?}", secrets.restore_secret(secret).await?),
        "DeleteSecret" => format!("{:?}", secrets.delete_secret(secret, 7).await?),
        unknown => panic!("{unknown} is no operation of the ports"),
    })
}

fn new_secret(document: &SecretDocument) -> NewSecret<'_> {
    static NAME: LazyLock<SecretName> = LazyLock::new(secret_name);
    static TAGS: LazyLock<Tags> = LazyLock::new(tags);
    NewSecret {
        name: &NAME,
        tags: &TAGS,
        kms_key_id: Some("alias/mine"),
        description: "Credentials of billing",
        document: Some(document),
        token: "0a1b2c3d-0000-5000-8000-0123456789ab",
    }
}

#[test]
fn every_operation_of_the_ports_is_called_here() {
    // The lists below are only as good as `OPERATIONS` is whole.
    let mut traits: BTreeMap<&str, Vec<&str>> = include_str!("../../src/ports.rs")
        .split("\npub trait ")
        .skip(1)
        .map(|rest| {
            let (head, body) = rest.split_once('{').unwrap();
            let (body, _) = body.split_once("\n}").unwrap();
            let methods =
                body.lines().filter_map(|line| line.trim_start().strip_prefix("async fn ")?.split('(').next());
            (head.split(':').next().unwrap().trim(), methods.collect())
        })
        .collect();
    // TokenClient is no service of the SDK's; its methods have tests of their own below, or in `m2mctl.rs`.
    assert_eq!(traits.remove("TokenEndpoint").unwrap(), ["accepts", "verify"]);
    assert_eq!(traits.remove("Tokens").unwrap(), ["request", "claims"]);
    // A bundle of ports, not a port.
    assert!(traits.remove("Services").is_some());
    // The command line's; `m2mctl.rs` tests each of them.
    assert!(traits.remove("Account").is_some());
    assert_eq!(traits.keys().copied().collect::<Vec<_>>(), ["ClientSecrets", "SecretVersions", "Secrets", "UserPools"]);
    let declared: BTreeSet<_> = traits.into_values().flatten().map(pascal).collect();
    assert_eq!(declared, OPERATIONS.map(ToOwned::to_owned).into());
}

fn pascal(snake: &str) -> String {
    snake.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

// ---------------------------------------------------------------------------------------------
// What is sent.

/// Without the days that Cognito has given up, although the SDK has no way to leave them out.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminCreateUserConfigType.html>
fn admin_only() -> Value {
    json!({ "AllowAdminCreateUserOnly": true })
}

#[tokio::test]
async fn create_user_pool_sends_a_strictly_machine_to_machine_pool_with_its_ownership_tags() {
    let aws = Aws::answering(json!({ "UserPool": { "Id": "us-east-1_AbCdEfGhI", "Arn": "arn:pool" } })).await;
    let made = aws.pools.create_user_pool(&user_pool()).await.unwrap();
    assert_eq!(made, (pool_id(), "arn:pool".to_owned()));
    aws.sent_cognito(
        "CreateUserPool",
        json!({
            "PoolName": "machine-to-machine-dev",
            "UserPoolTags": tags_as_map(),
            "UserPoolTier": "PLUS",
            "DeletionProtection": "ACTIVE",
            "AdminCreateUserConfig": admin_only(),
            "MfaConfiguration": "OFF",
            "AccountRecoverySetting": { "RecoveryMechanisms": [{ "Priority": 1, "Name": "admin_only" }] },
            "IssuerConfiguration": { "Type": "ORIGINAL" },
        }),
    )
    .await;
}

#[tokio::test]
async fn update_user_pool_sends_the_whole_pool_because_cognito_resets_what_is_left_out() {
    let aws = Aws::answering(json!({})).await;
    let pool = UserPool { tier: Tier::Lite, deletion_protection: false, ..user_pool() };
    aws.pools.update_user_pool(&pool_id(), &pool).await.unwrap();
    aws.sent_cognito(
        "UpdateUserPool",
        json!({
            "UserPoolId": "us-east-1_AbCdEfGhI",
            "PoolName": "machine-to-machine-dev",
            "UserPoolTags": tags_as_map(),
            "UserPoolTier": "LITE",
            "DeletionProtection": "INACTIVE",
            "AdminCreateUserConfig": admin_only(),
            "MfaConfiguration": "OFF",
            "AccountRecoverySetting": { "RecoveryMechanisms": [{ "Priority": 1, "Name": "admin_only" }] },
            "IssuerConfiguration": { "Type": "ORIGINAL" },
            "AutoVerifiedAttributes": [],
        }),
    )
    .await;
}

/// What every create and update says of a client.
fn client_settings() -> Value {
    json!({
        "UserPoolId": "us-east-1_AbCdEfGhI",
        "ClientName": "billing",
        "AllowedOAuthFlows": ["client_credentials"],
        "AllowedOAuthFlowsUserPoolClient": true,
        "AllowedOAuthScopes": ["m2m-client/write", "m2m-client/read"],
        "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"],
        "PreventUserExistenceErrors": "ENABLED",
        "EnableTokenRevocation": true,
        "AccessTokenValidity": 90,
        "TokenValidityUnits": { "AccessToken": "minutes" },
    })
}

#[tokio::test]
async fn create_user_pool_client_sends_a_client_that_can_do_nothing_but_client_credentials() {
    let made = json!({ "ClientId": CLIENT_ID, "ClientSecret": CLIENT_SECRET });
    let aws = Aws::answering(json!({ "UserPoolClient": made })).await;
    let made = aws.pools.create_user_pool_client(&pool_id(), &client()).await.unwrap();
    assert_eq!(made, (client_id(), Secret::new(CLIENT_SECRET.to_owned())));
    assert!(!format!("{made:?}").contains(CLIENT_SECRET));
    aws.sent_cognito("CreateUserPoolClient", with(client_settings(), &json!({ "GenerateSecret": true }))).await;
}

#[tokio::test]
async fn update_user_pool_client_sends_the_whole_client_and_empties_what_people_sign_in_with() {
    let aws = Aws::answering(json!({})).await;
    aws.pools.update_user_pool_client(&pool_id(), &client_id(), &client()).await.unwrap();
    let more = json!({
        "ClientId": CLIENT_ID, "SupportedIdentityProviders": [], "CallbackURLs": [], "LogoutURLs": [],
    });
    aws.sent_cognito("UpdateUserPoolClient", with(client_settings(), &more)).await;
}

#[tokio::test]
async fn resource_servers_are_sent_whole() {
    let aws = Aws::answering(json!({})).await;
    aws.pools.create_resource_server(&pool_id(), &resource_server()).await.unwrap();
    aws.sent_cognito("CreateResourceServer", resource_server_json()).await;

    aws.answers(200, &json!({})).await;
    aws.pools.update_resource_server(&pool_id(), &resource_server()).await.unwrap();
    aws.sent_cognito("UpdateResourceServer", resource_server_json()).await;
}

#[tokio::test]
async fn domains_are_sent_with_their_pool_and_managed_login_version() {
    let aws = Aws::answering(json!({})).await;
    let body = |version: u8| {
        json!({
            "UserPoolId": "us-east-1_AbCdEfGhI", "Domain": "m2m-rubicon-dev", "ManagedLoginVersion": version,
        })
    };
    aws.pools.create_user_pool_domain(&pool_id(), &domain()).await.unwrap();
    aws.sent_cognito("CreateUserPoolDomain", body(2)).await;

    aws.answers(200, &json!({})).await;
    let first_version = Domain { managed_login_version: 1, ..domain() };
    aws.pools.update_user_pool_domain(&pool_id(), &first_version).await.unwrap();
    aws.sent_cognito("UpdateUserPoolDomain", body(1)).await;
}

#[tokio::test]
async fn cognitos_reads_and_deletes_send_the_names_and_nothing_else() {
    let pool = "us-east-1_AbCdEfGhI";
    let expected = [
        ("ListUserPools", json!({ "MaxResults": 60 })),
        ("DescribeUserPool", json!({ "UserPoolId": pool })),
        ("DeleteUserPool", json!({ "UserPoolId": pool })),
        ("DescribeUserPoolDomain", json!({ "Domain": "m2m-rubicon-dev" })),
        ("DeleteUserPoolDomain", json!({ "Domain": "m2m-rubicon-dev", "UserPoolId": pool })),
        ("ListResourceServers", json!({ "UserPoolId": pool, "MaxResults": 50 })),
        ("DeleteResourceServer", json!({ "UserPoolId": pool, "Identifier": "m2m-client" })),
        ("ListUserPoolClients", json!({ "UserPoolId": pool, "MaxResults": 60 })),
        ("DescribeUserPoolClient", json!({ "UserPoolId": pool, "ClientId": CLIENT_ID })),
        ("DeleteUserPoolClient", json!({ "UserPoolId": pool, "ClientId": CLIENT_ID })),
        ("ListUserPoolClientSecrets", json!({ "UserPoolId": pool, "ClientId": CLIENT_ID })),
        (
            "DeleteUserPoolClientSecret",
            json!({ "UserPoolId": pool, "ClientId": CLIENT_ID, "ClientSecretId": SECRET_ID }),
        ),
    ];
    let aws = Aws::start().await;
    for (operation, body) in expected {
        aws.answers(200, &json!({})).await;
        call(&aws.pools, &aws.secrets, operation).await.unwrap();
        aws.sent_cognito(operation, body).await;
    }
}

#[tokio::test]
async fn a_client_secret_is_added_with_the_callers_value() {
    // Cognito shows the new value once more in its answer; nothing of it is kept.
    let added = json!({
        "ClientSecretId": SECRET_ID, "ClientSecretValue": CLIENT_SECRET, "ClientSecretCreateDate": 1_767_323_045.25,
    });
    let aws = Aws::answering(json!({ "ClientSecretDescriptor": added })).await;
    aws.pools.add_user_pool_client_secret(&pool_id(), &client_id(), &client_secret()).await.unwrap();
    aws.sent_cognito(
        "AddUserPoolClientSecret",
        json!({ "UserPoolId": "us-east-1_AbCdEfGhI", "ClientId": CLIENT_ID, "ClientSecret": CLIENT_SECRET }),
    )
    .await;
}

#[tokio::test]
async fn the_next_page_is_asked_for_by_its_token() {
    let aws = Aws::answering(json!({})).await;
    let pool = "us-east-1_AbCdEfGhI";
    aws.pools.list_user_pools(Some("page2")).await.unwrap();
    aws.sent_cognito("ListUserPools", json!({ "MaxResults": 60, "NextToken": "page2" })).await;

    aws.answers(200, &json!({})).await;
    aws.pools.list_resource_servers(&pool_id(), Some("page2")).await.unwrap();
    let body = json!({ "UserPoolId": pool, "MaxResults": 50, "NextToken": "page2" });
    aws.sent_cognito("ListResourceServers", body).await;

    aws.answers(200, &json!({})).await;
    aws.pools.list_user_pool_clients(&pool_id(), Some("page2")).await.unwrap();
    let body = json!({ "UserPoolId": pool, "MaxResults": 60, "NextToken": "page2" });
    aws.sent_cognito("ListUserPoolClients", body).await;

    aws.answers(200, &json!({})).await;
    aws.pools.list_user_pool_client_secrets(&pool_id(), &client_id(), Some("page2")).await.unwrap();
    let body = json!({ "UserPoolId": pool, "ClientId": CLIENT_ID, "NextToken": "page2" });
    aws.sent_cognito("ListUserPoolClientSecrets", body).await;

    aws.answers(200, &json!({})).await;
    aws.secrets.list_secrets(&owner(), Some("page2")).await.unwrap();
    let filters = json!([{ "Key": "tag-value", "Values": [STACK_ID] }]);
    let body = json!({ "Filters": filters, "MaxResults": 100, "NextToken": "page2" });
    aws.sent_secrets("ListSecrets", body).await;
}

/// Takes the document out of a request, since the order of its keys means nothing.
fn take_secret_string(body: &mut Value) -> Value {
    let text = body.as_object_mut().unwrap().remove("SecretString").unwrap();
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn create_secret_sends_value_key_tags_and_token_in_one_call() {
    let aws = Aws::answering(json!({ "ARN": "arn:secret", "Name": "machine-to-machine-dev/billing" })).await;
    assert_eq!(aws.secrets.create_secret(&new_secret(&document())).await.unwrap(), "arn:secret");
    let (target, mut body) = aws.sent().await;
    assert_eq!(target, "secretsmanager.CreateSecret");
    assert_eq!(take_secret_string(&mut body), document_json());
    assert_eq!(
        body,
        json!({
            "Name": "machine-to-machine-dev/billing",
            "Description": "Credentials of billing",
            "KmsKeyId": "alias/mine",
            "Tags": tags_as_list(),
            "ClientRequestToken": "0a1b2c3d-0000-5000-8000-0123456789ab",
        })
    );
}

#[tokio::test]
async fn create_secret_without_key_and_value_leaves_both_out() {
    let aws = Aws::answering(json!({ "ARN": "arn:secret" })).await;
    let document = document();
    let bare = NewSecret { kms_key_id: None, document: None, ..new_secret(&document) };
    aws.secrets.create_secret(&bare).await.unwrap();
    aws.sent_secrets(
        "CreateSecret",
        json!({
            "Name": "machine-to-machine-dev/billing",
            "Description": "Credentials of billing",
            "Tags": tags_as_list(),
            "ClientRequestToken": "0a1b2c3d-0000-5000-8000-0123456789ab",
        }),
    )
    .await;
}

/// Takes out the token that the SDK makes up. Where no value is written it means nothing.
fn take_made_up_token(body: &mut Value) {
    let token = body.as_object_mut().unwrap().remove("ClientRequestToken").unwrap();
    assert_eq!(token.as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn put_secret_value_sends_the_document_the_callers_token_and_a_stage_other_than_awscurrent() {
    let rest = json!({ "SecretId": "machine-to-machine-dev/billing", "ClientRequestToken": "token-of-the-caller" });
    let aws = Aws::start().await;
    for (stage, more) in [
        // What a version gets that is written without one.
        (AWSCURRENT, json!({})),
        (AWSPENDING, json!({ "VersionStages": ["AWSPENDING"] })),
        ("another", json!({ "VersionStages": ["another"] })),
    ] {
        aws.answers(200, &json!({})).await;
        aws.secrets.put_secret_value(&secret_name(), &document(), "token-of-the-caller", stage).await.unwrap();
        let (target, mut body) = aws.sent().await;
        assert_eq!(target, "secretsmanager.PutSecretValue");
        assert_eq!(take_secret_string(&mut body), document_json());
        assert_eq!(body, with(rest.clone(), &more), "{stage}");
    }
}

#[tokio::test]
async fn get_secret_value_asks_for_a_version_by_its_stage_or_its_id() {
    let aws = Aws::start().await;
    for (version, more) in [
        // What is read without a stage.
        (Version::Stage(AWSCURRENT), json!({})),
        (Version::Stage(AWSPREVIOUS), json!({ "VersionStage": "AWSPREVIOUS" })),
        (Version::Stage(AWSPENDING), json!({ "VersionStage": "AWSPENDING" })),
        (Version::Id("v1"), json!({ "VersionId": "v1" })),
    ] {
        aws.answers(200, &json!({ "VersionId": "v1" })).await;
        aws.secrets.get_secret_value(&secret_name(), version).await.unwrap().unwrap();
        let body = with(json!({ "SecretId": "machine-to-machine-dev/billing" }), &more);
        aws.sent_secrets("GetSecretValue", body).await;
    }
}

#[tokio::test]
async fn a_staging_label_is_moved_put_or_taken_away() {
    let aws = Aws::start().await;
    for (from, to, more) in [
        (Some("v1"), Some("v2"), json!({ "RemoveFromVersionId": "v1", "MoveToVersionId": "v2" })),
        (None, Some("v2"), json!({ "MoveToVersionId": "v2" })),
        (Some("v1"), None, json!({ "RemoveFromVersionId": "v1" })),
    ] {
        aws.answers(200, &json!({})).await;
        aws.secrets.update_secret_version_stage(&secret_name(), AWSPENDING, from, to).await.unwrap();
        let body = json!({ "SecretId": "machine-to-machine-dev/billing", "VersionStage": "AWSPENDING" });
        aws.sent_secrets("UpdateSecretVersionStage", with(body, &more)).await;
    }
}

#[tokio::test]
async fn rotation_is_turned_on_without_rotating_at_once() {
    let aws = Aws::answering(json!({})).await;
    aws.secrets.rotate_secret(&secret_name(), &rotation()).await.unwrap();
    let (target, mut body) = aws.sent().await;
    take_made_up_token(&mut body);
    assert_eq!(target, "secretsmanager.RotateSecret");
    assert_eq!(
        body,
        json!({
            "SecretId": "machine-to-machine-dev/billing",
            "RotationLambdaARN": "arn:aws:lambda:us-east-1:123456789012:function:rotation",
            "RotationRules": { "AutomaticallyAfterDays": 30 },
            // Left out, Secrets Manager rotates at once.
            "RotateImmediately": false,
        })
    );
}

#[tokio::test]
async fn update_secret_sends_what_changes_and_never_a_value() {
    let (mine, aws_managed) = ("alias/mine", "alias/aws/secretsmanager");
    let aws = Aws::start().await;
    for (description, kms_key_id, more) in [
        (None, Some(Some(mine)), json!({ "KmsKeyId": mine })),
        (None, Some(None), json!({ "KmsKeyId": aws_managed })),
        (Some("Credentials of billing"), None, json!({ "Description": "Credentials of billing" })),
        (Some(""), Some(None), json!({ "Description": "", "KmsKeyId": aws_managed })),
        (None, None, json!({})),
    ] {
        aws.answers(200, &json!({})).await;
        let change = SecretChange {
            description: description.map(ToOwned::to_owned),
            kms_key_id: kms_key_id.map(|key| key.map(ToOwned::to_owned)),
        };
        aws.secrets.update_secret(&secret_name(), &change).await.unwrap();
        let (target, mut body) = aws.sent().await;
        take_made_up_token(&mut body);
        assert_eq!(target, "secretsmanager.UpdateSecret");
        assert_eq!(body, with(json!({ "SecretId": "machine-to-machine-dev/billing" }), &more));
    }
}

#[tokio::test]
async fn a_recovery_window_of_no_days_deletes_a_secret_at_once() {
    let aws = Aws::answering(json!({})).await;
    aws.secrets.delete_secret(&secret_name(), 0).await.unwrap();
    let name = "machine-to-machine-dev/billing";
    aws.sent_secrets("DeleteSecret", json!({ "SecretId": name, "ForceDeleteWithoutRecovery": true })).await;

    aws.answers(200, &json!({})).await;
    aws.secrets.delete_secret(&secret_name(), 30).await.unwrap();
    aws.sent_secrets("DeleteSecret", json!({ "SecretId": name, "RecoveryWindowInDays": 30 })).await;
}

#[tokio::test]
async fn the_other_calls_of_secrets_manager_send_the_names_and_nothing_else() {
    let name = "machine-to-machine-dev/billing";
    let expected = [
        ("ListSecrets", json!({ "MaxResults": 100, "Filters": [{ "Key": "tag-value", "Values": [STACK_ID] }] })),
        ("DescribeSecret", json!({ "SecretId": name })),
        ("GetSecretValue", json!({ "SecretId": name })),
        ("CancelRotateSecret", json!({ "SecretId": name })),
        ("TagResource", json!({ "SecretId": name, "Tags": tags_as_list() })),
        ("UntagResource", json!({ "SecretId": name, "TagKeys": ["Team"] })),
        ("RestoreSecret", json!({ "SecretId": name })),
    ];
    let aws = Aws::start().await;
    for (operation, body) in expected {
        aws.answers(200, &json!({})).await;
        call(&aws.pools, &aws.secrets, operation).await.unwrap();
        aws.sent_secrets(operation, body).await;
    }
}

// ---------------------------------------------------------------------------------------------
// How answers are read.

#[tokio::test]
async fn a_page_is_read_with_its_token_and_an_empty_token_ends_the_listing() {
    let aws = Aws::start().await;
    for (token, next) in [(json!("page2"), Some("page2".to_owned())), (json!(""), None), (Value::Null, None)] {
        let pools = json!([{ "Id": "us-east-1_A", "Name": "a" }, { "Name": "no id" }, { "Id": "us-east-1_B" }]);
        aws.answers(200, &json!({ "UserPools": pools, "NextToken": token })).await;
        let items = vec![(PoolId::from("us-east-1_A"), "a".to_owned()), (PoolId::from("us-east-1_B"), String::new())];
        assert_eq!(aws.pools.list_user_pools(None).await.unwrap(), Page { items, next: next.clone() });

        let clients = json!([{ "ClientId": "1", "ClientName": "a" }, { "ClientName": "no id" }, { "ClientId": "2" }]);
        aws.answers(200, &json!({ "UserPoolClients": clients, "NextToken": token })).await;
        let items = vec![
            (ClientId::from("1"), ClientName::from("a")),
            // A client whose name is not shown is still a client.
            (ClientId::from("2"), ClientName::from("")),
        ];
        assert_eq!(
            aws.pools.list_user_pool_clients(&pool_id(), None).await.unwrap(),
            Page { items, next: next.clone() }
        );

        let server = resource_server_json();
        aws.answers(200, &json!({ "ResourceServers": [server, { "Identifier": "bare" }], "NextToken": token })).await;
        let bare = ResourceServer { identifier: "bare".into(), name: String::new(), scopes: Vec::new() };
        let items = vec![resource_server(), bare];
        assert_eq!(
            aws.pools.list_resource_servers(&pool_id(), None).await.unwrap(),
            Page { items, next: next.clone() }
        );

        let client_secrets = json!([
            { "ClientSecretId": "1", "ClientSecretCreateDate": 1_767_323_045.25 },
            { "ClientSecretCreateDate": 1_767_323_045 }, { "ClientSecretId": "2" },
        ]);
        aws.answers(200, &json!({ "ClientSecrets": client_secrets, "NextToken": token })).await;
        let items = vec![
            ClientSecretDescription { id: "1".to_owned(), created: Duration::from_millis(1_767_323_045_250) },
            // One whose age is not shown is still a secret.
            ClientSecretDescription { id: "2".to_owned(), created: Duration::ZERO },
        ];
        assert_eq!(
            aws.pools.list_user_pool_client_secrets(&pool_id(), &client_id(), None).await.unwrap(),
            Page { items, next: next.clone() }
        );

        let secrets = json!([{ "Name": "machine-to-machine-dev/billing", "Tags": tags_as_list() }]);
        aws.answers(200, &json!({ "SecretList": secrets, "NextToken": token })).await;
        let items = vec![secret_name()];
        assert_eq!(aws.secrets.list_secrets(&owner(), None).await.unwrap(), Page { items, next });
    }
}

#[tokio::test]
async fn a_listing_without_its_list_is_an_empty_page() {
    let aws = Aws::answering(json!({})).await;
    assert_eq!(aws.pools.list_user_pools(None).await.unwrap(), Page { items: Vec::new(), next: None });
    let page = aws.pools.list_resource_servers(&pool_id(), None).await.unwrap();
    assert_eq!(page, Page { items: Vec::new(), next: None });
    let page = aws.pools.list_user_pool_clients(&pool_id(), None).await.unwrap();
    assert_eq!(page, Page { items: Vec::new(), next: None });
    let page = aws.pools.list_user_pool_client_secrets(&pool_id(), &client_id(), None).await.unwrap();
    assert_eq!(page, Page { items: Vec::new(), next: None });
    assert_eq!(aws.secrets.list_secrets(&owner(), None).await.unwrap(), Page { items: Vec::new(), next: None });
}

#[tokio::test]
async fn a_listed_secret_is_ours_only_where_both_ownership_tags_say_so() {
    let mark = |stack: &str, logical: &str| {
        json!([
            { "Key": "cognito-m2m:stack-id", "Value": stack }, { "Key": "cognito-m2m:logical-id", "Value": logical },
        ])
    };
    // The service's own filter lets all of these through: it matches prefixes and ignores case.
    let list = json!([
        { "Name": "ours", "Tags": mark(STACK_ID, "M2M") },
        { "Name": "another stack", "Tags": mark(&format!("{STACK_ID}0"), "M2M") },
        { "Name": "another case", "Tags": mark(&STACK_ID.to_uppercase(), "M2M") },
        { "Name": "another resource", "Tags": mark(STACK_ID, "Other") },
        { "Name": "another tag", "Tags": [{ "Key": "note", "Value": STACK_ID }] },
        { "Name": "no tags" },
        { "Tags": mark(STACK_ID, "M2M") },
    ]);
    let aws = Aws::answering(json!({ "SecretList": list })).await;
    let page = aws.secrets.list_secrets(&owner(), None).await.unwrap();
    assert_eq!(page.items, [SecretName::from("ours")]);
}

/// DescribeUserPool's answer for a pool that this program made, with what AWS adds on its own.
fn described_pool() -> Value {
    json!({
        "Id": "us-east-1_AbCdEfGhI",
        "Arn": "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEfGhI",
        "Name": "machine-to-machine-dev",
        "UserPoolTags": tags_as_map(),
        "UserPoolTier": "PLUS",
        "DeletionProtection": "ACTIVE",
        "Domain": "m2m-rubicon-dev",
        "CreationDate": 1_767_323_045.25,
        "LastModifiedDate": 1_767_323_046.5,
        "EstimatedNumberOfUsers": 0,
        "AdminCreateUserConfig": { "AllowAdminCreateUserOnly": true, "UnusedAccountValidityDays": 7 },
        "MfaConfiguration": "OFF",
        "AccountRecoverySetting": { "RecoveryMechanisms": [{ "Priority": 1, "Name": "admin_only" }] },
        "EmailConfiguration": { "EmailSendingAccount": "COGNITO_DEFAULT" },
        "VerificationMessageTemplate": { "DefaultEmailOption": "CONFIRM_WITH_CODE" },
        "UserAttributeUpdateSettings": { "AttributesRequireVerificationBeforeUpdate": [] },
        "LambdaConfig": {},
        "SomethingNew": { "AddedByAWS": true },
    })
}

#[tokio::test]
async fn describe_user_pool_reads_the_whole_state() {
    let aws = Aws::answering(json!({ "UserPool": described_pool() })).await;
    let pool = aws.pools.describe_user_pool(&pool_id()).await.unwrap().unwrap();
    assert_eq!(pool.id, pool_id());
    assert_eq!(pool.arn, "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEfGhI");
    assert_eq!(pool.state, user_pool());
    assert!(pool.m2m_only);
    assert_eq!(pool.domain.as_deref(), Some("m2m-rubicon-dev"));
    assert_eq!(pool.created, Duration::from_millis(1_767_323_045_250));
}

#[tokio::test]
async fn describe_user_pool_reads_an_answer_that_says_almost_nothing() {
    let aws = Aws::answering(json!({ "UserPool": { "Domain": "" } })).await;
    let pool = aws.pools.describe_user_pool(&pool_id()).await.unwrap().unwrap();
    assert_eq!((pool.id, pool.arn.as_str(), pool.domain), (pool_id(), "", None));
    let state = UserPool { name: String::new(), tier: Tier::Essentials, deletion_protection: false, tags: Tags::new() };
    assert_eq!(pool.state, state);
    assert_eq!(pool.created, Duration::ZERO);
    // What is not said to be strict is not taken for it.
    assert!(!pool.m2m_only);

    aws.answers(200, &json!({})).await;
    assert_eq!(aws.pools.describe_user_pool(&pool_id()).await.unwrap(), None);
}

#[tokio::test]
async fn a_pool_that_has_drifted_from_machine_to_machine_is_not_strict() {
    let aws = Aws::start().await;
    let recovery = |mechanisms: Value| json!({ "AccountRecoverySetting": { "RecoveryMechanisms": mechanisms } });
    for (drift, m2m_only) in [
        (json!({ "AdminCreateUserConfig": { "AllowAdminCreateUserOnly": false } }), false),
        (json!({ "AdminCreateUserConfig": null }), false),
        (json!({ "MfaConfiguration": "ON" }), false),
        (json!({ "MfaConfiguration": "OPTIONAL" }), false),
        (json!({ "MfaConfiguration": null }), true),
        (json!({ "AccountRecoverySetting": null }), false),
        (recovery(json!([{ "Priority": 1, "Name": "verified_email" }])), false),
        (
            recovery(json!([{ "Priority": 1, "Name": "admin_only" }, { "Priority": 2, "Name": "verified_email" }])),
            false,
        ),
        (json!({ "AutoVerifiedAttributes": ["email"] }), false),
        (json!({ "AutoVerifiedAttributes": [] }), true),
        (json!({ "IssuerConfiguration": { "Type": "ORIGINAL" } }), true),
        (json!({ "IssuerConfiguration": { "Type": "UPDATED" } }), false),
        (json!({ "IssuerConfiguration": {} }), true),
    ] {
        aws.answers(200, &json!({ "UserPool": with(described_pool(), &drift) })).await;
        let pool = aws.pools.describe_user_pool(&pool_id()).await.unwrap().unwrap();
        assert_eq!(pool.m2m_only, m2m_only, "{drift}");
    }
}

#[tokio::test]
async fn a_pool_is_made_only_where_the_answer_names_it() {
    let aws = Aws::start().await;
    for answer in [json!({}), json!({ "UserPool": {} })] {
        aws.answers(200, &answer).await;
        let error = aws.pools.create_user_pool(&user_pool()).await.unwrap_err();
        // Whether it was made cannot be told.
        assert_eq!((error.kind, error.operation), (ErrorKind::Lost, "CreateUserPool"), "{error}");
    }
    for answer in [json!({ "UserPoolClient": { "ClientId": CLIENT_ID } }), json!({})] {
        aws.answers(200, &answer).await;
        let error = aws.pools.create_user_pool_client(&pool_id(), &client()).await.unwrap_err();
        assert_eq!((error.kind, error.operation), (ErrorKind::Lost, "CreateUserPoolClient"), "{error}");
    }
}

#[tokio::test]
async fn a_domain_that_nobody_has_is_answered_with_an_empty_description() {
    let aws = Aws::start().await;
    for answer in [
        json!({ "DomainDescription": {} }),
        json!({}),
        json!({ "DomainDescription": null }),
        json!({ "DomainDescription": { "UserPoolId": "" } }),
    ] {
        aws.answers(200, &answer).await;
        assert_eq!(aws.pools.describe_user_pool_domain("m2m-rubicon-dev").await.unwrap(), None, "{answer}");
    }
}

#[tokio::test]
async fn a_domain_is_read_with_its_pool_account_and_state() {
    let aws = Aws::start().await;
    let described = json!({
        "UserPoolId": "us-east-1_AbCdEfGhI", "AWSAccountId": "123456789012", "Domain": "m2m-rubicon-dev",
        "Status": "ACTIVE", "ManagedLoginVersion": 2, "S3Bucket": "aws-cognito-prod", "CustomDomainConfig": {},
    });
    let expected = DomainDescription {
        pool: pool_id(),
        account: Some("123456789012".into()),
        managed_login_version: 2,
        deleting: false,
    };
    for (change, expected) in [
        (json!({}), expected.clone()),
        (json!({ "Status": "CREATING" }), expected.clone()),
        (json!({ "Status": "DELETING" }), DomainDescription { deleting: true, ..expected.clone() }),
        (json!({ "ManagedLoginVersion": null }), DomainDescription { managed_login_version: 1, ..expected.clone() }),
        (json!({ "AWSAccountId": null }), DomainDescription { account: None, ..expected.clone() }),
    ] {
        aws.answers(200, &json!({ "DomainDescription": with(described.clone(), &change) })).await;
        let domain = aws.pools.describe_user_pool_domain("m2m-rubicon-dev").await.unwrap();
        assert_eq!(domain, Some(expected), "{change}");
    }
}

/// DescribeUserPoolClient's answer for a client that this program made, with what AWS adds.
fn described_client() -> Value {
    let more = json!({
        "ClientId": CLIENT_ID, "ClientSecret": CLIENT_SECRET, "RefreshTokenValidity": 30, "AuthSessionValidity": 3,
        "EnablePropagateAdditionalUserContextData": false,
        "CreationDate": 1_767_323_045.25, "LastModifiedDate": 1_767_323_045.25, "SomethingNew": [1],
    });
    with(client_settings(), &more)
}

#[tokio::test]
async fn describe_user_pool_client_reads_the_client_and_keeps_its_secret_to_itself() {
    let aws = Aws::answering(json!({ "UserPoolClient": described_client() })).await;
    let described = aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap().unwrap();
    assert!(!format!("{described:?}").contains(CLIENT_SECRET));
    let observed = described.observed;
    assert_eq!((&observed.id, &observed.name), (&client_id(), &client().name));
    assert_eq!(observed.scopes, client().scopes);
    assert_eq!(observed.access_token_validity_minutes, 90);
    assert!(observed.m2m_only);
    assert_eq!(described.secret, Some(Secret::new(CLIENT_SECRET.to_owned())));

    aws.answers(200, &json!({})).await;
    assert_eq!(aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap(), None);
}

#[tokio::test]
async fn a_client_without_a_visible_secret_is_read_without_one() {
    let aws = Aws::answering(json!({ "UserPoolClient": { "ClientId": CLIENT_ID } })).await;
    let described = aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap().unwrap();
    assert_eq!(described.secret, None);
    assert_eq!(described.observed.name.as_str(), "");
    assert_eq!(described.observed.scopes, Vec::<String>::new());
    assert_eq!(described.observed.access_token_validity_minutes, 60);
    assert!(!described.observed.m2m_only);
}

#[tokio::test]
async fn access_token_validity_is_read_in_whatever_unit_it_is_told() {
    let aws = Aws::start().await;
    for (validity, units, minutes) in [
        (json!(2), json!({ "AccessToken": "hours" }), 120),
        (json!(300), json!({ "AccessToken": "seconds" }), 5),
        (json!(1), json!({ "AccessToken": "days" }), 1440),
        (json!(30), json!({ "AccessToken": "minutes", "RefreshToken": "days" }), 30),
        // Hours are Cognito's default.
        (json!(3), json!({ "RefreshToken": "days" }), 180),
        (json!(3), Value::Null, 180),
        (Value::Null, json!({ "AccessToken": "minutes" }), 60),
        (json!(0), Value::Null, 60),
    ] {
        let change = json!({ "AccessTokenValidity": validity, "TokenValidityUnits": units });
        aws.answers(200, &json!({ "UserPoolClient": with(described_client(), &change) })).await;
        let described = aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap().unwrap();
        assert_eq!(described.observed.access_token_validity_minutes, minutes, "{change}");
    }
}

#[tokio::test]
async fn a_client_that_has_drifted_from_machine_to_machine_is_not_strict() {
    let aws = Aws::start().await;
    for (drift, m2m_only) in [
        (json!({ "AllowedOAuthFlows": ["client_credentials", "code"] }), false),
        (json!({ "AllowedOAuthFlows": ["code"] }), false),
        (json!({ "AllowedOAuthFlows": [] }), false),
        (json!({ "AllowedOAuthFlowsUserPoolClient": false }), false),
        (json!({ "AllowedOAuthFlowsUserPoolClient": null }), false),
        (json!({ "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"] }), false),
        // None at all is how Cognito shows its default, which signs users in.
        (json!({ "ExplicitAuthFlows": null }), false),
        (json!({ "PreventUserExistenceErrors": "LEGACY" }), false),
        (json!({ "EnableTokenRevocation": false }), false),
        (json!({ "SupportedIdentityProviders": ["COGNITO"] }), false),
        (json!({ "CallbackURLs": ["https://example.com"] }), false),
        (json!({ "LogoutURLs": ["https://example.com"] }), false),
        (json!({ "SupportedIdentityProviders": [], "CallbackURLs": [], "LogoutURLs": [] }), true),
    ] {
        aws.answers(200, &json!({ "UserPoolClient": with(described_client(), &drift) })).await;
        let described = aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap().unwrap();
        assert_eq!(described.observed.m2m_only, m2m_only, "{drift}");
    }
}

fn described_secret() -> Value {
    json!({
        "ARN": "arn:secret", "Name": "machine-to-machine-dev/billing", "KmsKeyId": "alias/mine",
        "Description": "Credentials of billing",
        "Tags": [{ "Key": "Team", "Value": "blue" }, { "Key": "Empty" }, { "Value": "no key" }],
        "RotationEnabled": true, "RotationLambdaARN": rotation().function_arn,
        "RotationRules": { "AutomaticallyAfterDays": 30 }, "NextRotationDate": 1_767_323_045.25,
        "VersionIdsToStages": { "v1": ["AWSPREVIOUS"], "v2": ["AWSPENDING", "AWSCURRENT"], "v3": [] },
        "SomethingNew": 1,
    })
}

#[tokio::test]
async fn describe_secret_reads_description_tags_key_and_schedule() {
    let aws = Aws::answering(described_secret()).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    assert_eq!((secret.arn.as_str(), secret.description.as_str()), ("arn:secret", "Credentials of billing"));
    assert_eq!(secret.tags, Tags::from([("Team".to_owned(), "blue".to_owned()), ("Empty".to_owned(), String::new())]));
    assert_eq!(secret.kms_key_id.as_deref(), Some("alias/mine"));
    assert!(!secret.scheduled);

    let change = json!({ "DeletedDate": 1_767_323_045.25, "KmsKeyId": "", "Tags": null, "Description": null });
    aws.answers(200, &with(described_secret(), &change)).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    assert_eq!((secret.scheduled, secret.kms_key_id, secret.tags), (true, None, Tags::new()));
    assert_eq!(secret.description, "");
}

#[tokio::test]
async fn describe_secret_reads_the_labels_of_every_version() {
    let labels = |list: &[&str]| list.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
    let aws = Aws::answering(described_secret()).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    let expected = BTreeMap::from([
        ("v1".to_owned(), labels(&[AWSPREVIOUS])),
        ("v2".to_owned(), labels(&[AWSCURRENT, AWSPENDING])),
        ("v3".to_owned(), labels(&[])),
    ]);
    assert_eq!(secret.versions, expected);

    aws.answers(200, &with(described_secret(), &json!({ "VersionIdsToStages": null }))).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    assert_eq!(secret.versions, BTreeMap::new());
}

#[tokio::test]
async fn describe_secret_reads_the_rotation_where_it_is_on() {
    let aws = Aws::start().await;
    for (change, expected) in [
        (json!({}), Some(rotation())),
        // Once turned off, function and days are still shown.
        (json!({ "RotationEnabled": false }), None),
        (json!({ "RotationEnabled": null }), None),
        // A schedule that somebody has set by hand is none of ours: it is to be told apart.
        (
            json!({ "RotationRules": { "ScheduleExpression": "rate(4 hours)" } }),
            Some(Rotation { days: 0, ..rotation() }),
        ),
        (json!({ "RotationRules": null }), Some(Rotation { days: 0, ..rotation() })),
        (json!({ "RotationLambdaARN": null }), Some(Rotation { function_arn: String::new(), ..rotation() })),
    ] {
        aws.answers(200, &with(described_secret(), &change)).await;
        let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
        assert_eq!(secret.rotation, expected, "{change}");
    }
}

#[tokio::test]
async fn a_secret_value_is_read_with_the_date_of_its_version() {
    let aws = Aws::start().await;
    for (date, created) in
        [(json!(1_767_323_045.25), Some(Duration::from_millis(1_767_323_045_250))), (Value::Null, None)]
    {
        let answer = json!({ "VersionId": "v1", "SecretString": document_json().to_string(), "CreatedDate": date });
        aws.answers(200, &answer).await;
        let version = aws.secrets.get_secret_value(&secret_name(), Version::Id("v1")).await.unwrap().unwrap();
        assert_eq!((version.id.as_str(), version.created), ("v1", created));
        assert_eq!(version.document, Some(document()));
    }
}

#[tokio::test]
async fn a_secret_value_is_read_whatever_else_its_document_says() {
    let aws = Aws::start().await;
    for text in [document_json(), with(document_json(), &json!({ "note": { "by": "a person" } }))] {
        aws.answers(200, &json!({ "VersionId": "v1", "SecretString": text.to_string() })).await;
        let version = aws.secrets.get_secret_value(&secret_name(), CURRENT).await.unwrap().unwrap();
        assert!(!format!("{version:?}").contains(CLIENT_SECRET));
        assert_eq!(version.id, "v1");
        assert_eq!(version.document, Some(document()));
    }
}

#[tokio::test]
async fn a_secret_value_that_is_no_document_counts_as_none() {
    let aws = Aws::start().await;
    let mut lacking = document_json();
    lacking.as_object_mut().unwrap().remove("issuer");
    let mistyped = with(document_json(), &json!({ "scope": ["m2m-client/read"] }));
    for text in [CLIENT_SECRET, "", "null", "[]", "\"text\"", "{}", &lacking.to_string(), &mistyped.to_string()] {
        aws.answers(200, &json!({ "VersionId": "v1", "SecretString": text })).await;
        let version = aws.secrets.get_secret_value(&secret_name(), CURRENT).await.unwrap().unwrap();
        assert_eq!((version.id.as_str(), version.document), ("v1", None), "{} bytes", text.len());
    }
    // A binary value has no string at all.
    aws.answers(200, &json!({ "SecretBinary": "AAEC" })).await;
    let version = aws.secrets.get_secret_value(&secret_name(), CURRENT).await.unwrap().unwrap();
    assert_eq!((version.id.as_str(), version.document), ("", None));
}

// ---------------------------------------------------------------------------------------------
// Errors.

#[tokio::test]
async fn every_error_is_sorted_and_named_and_nothing_is_sent_a_second_time() {
    let aws = Aws::start().await;
    for (status, code, kind) in [
        (400, "InvalidParameterException", ErrorKind::Refused),
        (400, "LimitExceededException", ErrorKind::Quota),
        (400, "TooManyRequestsException", ErrorKind::Throttled),
        (400, "ThrottlingException", ErrorKind::Throttled),
        (400, "RequestLimitExceeded", ErrorKind::Throttled),
        (429, "SomethingElse", ErrorKind::Throttled),
        (400, "ConcurrentModificationException", ErrorKind::Busy),
        (500, "InternalErrorException", ErrorKind::Lost),
        (500, "InternalServiceError", ErrorKind::Lost),
        (503, "ServiceUnavailableException", ErrorKind::Lost),
        (502, "BadGateway", ErrorKind::Lost),
        (400, "AccessDeniedException", ErrorKind::Denied),
        (400, "NotAuthorizedException", ErrorKind::Denied),
        (400, "UnrecognizedClientException", ErrorKind::Denied),
        (400, "ExpiredTokenException", ErrorKind::Denied),
        (400, "SomethingNewException", ErrorKind::Refused),
    ] {
        for operation in OPERATIONS {
            aws.refuses(status, code, "What the service says.").await;
            let error = call(&aws.pools, &aws.secrets, operation).await.unwrap_err();
            // A label that is not where it was seen: the one way in which this operation uses the code.
            let moved = (operation, code) == ("UpdateSecretVersionStage", "InvalidParameterException");
            let kind = if moved { ErrorKind::Changed } else { kind };
            assert_eq!(error.kind, kind, "{operation} {code}");
            assert_eq!(
                error.to_string(),
                format!("{operation} on {} failed: {code}: What the service says.", error.subject)
            );
            assert!(!error.subject.is_empty(), "{operation}");
            let (target, _) = aws.sent().await;
            assert!(target.ends_with(&format!(".{operation}")), "{target} and not {operation}");
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_none_to_a_describe_and_done_to_a_delete() {
    let aws = Aws::start().await;
    for operation in OPERATIONS {
        aws.refuses(400, "ResourceNotFoundException", "User pool us-east-1_AbCdEfGhI does not exist.").await;
        let outcome = call(&aws.pools, &aws.secrets, operation).await;
        if operation.starts_with("Describe") || operation == "GetSecretValue" {
            assert_eq!(outcome.as_deref(), Ok("None"), "{operation}");
        } else if operation.starts_with("Delete") {
            assert_eq!(outcome.as_deref(), Ok("()"), "{operation}");
        } else {
            assert_eq!(outcome.map_err(|error| error.kind), Err(ErrorKind::Changed), "{operation}");
        }
    }
}

#[tokio::test]
async fn cognitos_one_code_for_everything_is_told_apart_by_its_message() {
    let aws = Aws::start().await;
    let code = "InvalidParameterException";
    for (operation, message, kind) in [
        ("CreateUserPoolDomain", "Domain already associated with another user pool.", ErrorKind::Changed),
        ("CreateUserPoolDomain", "User pool already has a domain configured", ErrorKind::Changed),
        ("CreateUserPoolDomain", "Domain cannot contain reserved word: aws", ErrorKind::Refused),
        ("CreateResourceServer", "A resource server with that identifier already exists.", ErrorKind::Changed),
        ("DeleteUserPool", "It has a domain configured that should be deleted first.", ErrorKind::Changed),
        (
            "DeleteUserPool",
            "The user pool cannot be deleted because deletion protection is activated.",
            ErrorKind::Refused,
        ),
        ("DeleteUserPoolDomain", "Something about the domain.", ErrorKind::Refused),
        ("UpdateUserPoolClient", "Something already exists.", ErrorKind::Refused),
    ] {
        aws.refuses(400, code, message).await;
        let error = call(&aws.pools, &aws.secrets, operation).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{operation}");
    }
    aws.refuses(400, code, "No such domain or user pool exists.").await;
    assert_eq!(call(&aws.pools, &aws.secrets, "DeleteUserPoolDomain").await.as_deref(), Ok("()"));
    aws.refuses(400, "ScopeDoesNotExistException", "Invalid scope requested: m2m-client/x").await;
    let error = call(&aws.pools, &aws.secrets, "UpdateUserPoolClient").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Changed);
}

#[tokio::test]
async fn a_secret_in_the_wrong_state_is_a_changed_world() {
    let aws = Aws::start().await;
    for (operation, code, message) in [
        ("CreateSecret", "ResourceExistsException", "The operation failed because the secret already exists."),
        (
            "CreateSecret",
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        ),
        (
            "GetSecretValue",
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        ),
        (
            "PutSecretValue",
            "ResourceExistsException",
            "You can't use ClientRequestToken token because that value is already in use for a version of this secret.",
        ),
    ] {
        // Secrets Manager spells the field in capitals, and the code sometimes with its namespace.
        let answer = json!({ "__type": format!("com.amazonaws.secretsmanager#{code}"), "Message": message });
        aws.answers(400, &answer).await;
        let error = call(&aws.pools, &aws.secrets, operation).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str(), error.message.as_str()), (ErrorKind::Changed, code, message));
    }
}

#[tokio::test]
async fn deleting_a_secret_that_is_scheduled_already_is_done() {
    let aws = Aws::start().await;
    for message in [
        "You can't perform this operation on the secret because it was already scheduled for deletion.",
        "You can't perform this operation on the secret because it was marked for deletion.",
        "You tried to perform the operation on a secret that's currently marked deleted.",
    ] {
        aws.refuses(400, "InvalidRequestException", message).await;
        assert_eq!(aws.secrets.delete_secret(&secret_name(), 7).await, Ok(()), "{message}");
    }
    let message = "You can't delete secret x that still has replica regions [us-west-2]";
    aws.refuses(400, "InvalidRequestException", message).await;
    let error = aws.secrets.delete_secret(&secret_name(), 7).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn an_error_without_a_body_or_with_a_page_is_still_an_error_of_its_status() {
    let aws = Aws::start().await;
    for (status, body, kind) in [
        (500, "", ErrorKind::Lost),
        (502, "<html><body>Bad gateway</body></html>", ErrorKind::Lost),
        (503, "<html><body>Service unavailable</body></html>", ErrorKind::Lost),
        (400, "{}", ErrorKind::Refused),
        (403, "<html><body>Not through this proxy</body></html>", ErrorKind::Denied),
        (404, "", ErrorKind::Refused),
        (429, "slow down", ErrorKind::Throttled),
        // An answer that says it worked and cannot be read: it may have happened.
        (200, "<html><body>Sign in to the network</body></html>", ErrorKind::Lost),
    ] {
        for operation in ["CreateUserPool", "DeleteUserPoolClient", "PutSecretValue"] {
            aws.server.reset().await;
            let answer = ResponseTemplate::new(status).set_body_string(body);
            Mock::given(any()).respond_with(answer).mount(&aws.server).await;
            let error = call(&aws.pools, &aws.secrets, operation).await.map(|_| ()).unwrap_err();
            assert_eq!(error.kind, kind, "{operation} {status}: {error}");
            assert_eq!(aws.server.received_requests().await.unwrap().len(), 1, "{operation} {status}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_quoted() {
    let aws = Aws::start().await;
    let client = format!(r#"{{"UserPoolClient":{{"ClientId":"x","ClientSecret":"{CLIENT_SECRET}"#);
    let mistyped = format!(r#"{{"UserPoolClient":{{"ClientSecret":["{CLIENT_SECRET}"]}}}}"#);
    let value = format!(r#"{{"VersionId":"v1","SecretString":"{CLIENT_SECRET}"#);
    let added = format!(r#"{{"ClientSecretDescriptor":{{"ClientSecretValue":["{CLIENT_SECRET}"]}}}}"#);
    for (operation, body) in [
        ("CreateUserPoolClient", &client),
        ("DescribeUserPoolClient", &client),
        ("DescribeUserPoolClient", &mistyped),
        ("GetSecretValue", &value),
        ("AddUserPoolClientSecret", &added),
    ] {
        aws.server.reset().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string(body)).mount(&aws.server).await;
        let error = call(&aws.pools, &aws.secrets, operation).await.map(|_| ()).unwrap_err();
        assert_shows_no_secret(&error);
        assert_eq!(error.kind, ErrorKind::Lost, "{error}");
    }
}

#[tokio::test]
async fn the_code_is_read_from_the_header_too() {
    let aws = Aws::start().await;
    let answer = ResponseTemplate::new(400)
        .insert_header("x-amzn-errortype", "LimitExceededException:http://internal.amazon.com/coral/")
        .set_body_string(r#"{"message":"Maximum number of user pools reached"}"#);
    Mock::given(any()).respond_with(answer).mount(&aws.server).await;
    let error = aws.pools.create_user_pool(&user_pool()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Quota, "LimitExceededException"));
}

#[tokio::test]
async fn an_error_of_twenty_kilobytes_arrives_whole() {
    let message = format!("1 validation error detected: {}", "é\"\n".repeat(5000));
    let aws = Aws::refusing(400, "InvalidParameterException", &message).await;
    let error = aws.pools.create_user_pool(&user_pool()).await.unwrap_err();
    assert_eq!((error.kind, error.message), (ErrorKind::Refused, message));
}

#[tokio::test]
async fn an_error_that_quotes_the_client_secret_or_a_signed_url_comes_out_scrubbed() {
    let said = format!(
        "Value '{}' at 'secretString' failed; so did {CLIENT_SECRET}; see https://h/p?X-Amz-Signature=canary0",
        document_json()
    );
    let aws = Aws::refusing(400, "ValidationException", &said).await;
    for operation in ["CreateSecret", "PutSecretValue", "AddUserPoolClientSecret"] {
        let error = call(&aws.pools, &aws.secrets, operation).await.unwrap_err();
        assert_shows_no_secret(&error);
        assert!(!error.message.contains("canary0"), "{error}");
        assert!(error.message.contains("so did ***") && error.message.contains("secretString"), "{error}");
    }
}

#[tokio::test]
async fn a_lost_connection_may_have_happened_or_not_and_is_not_sent_again() {
    for operation in OPERATIONS {
        let server = Scripted::start(vec![Turn::Close, Turn::Close]).await;
        let config = sdk_config(&server.uri);
        let error = call(&Cognito::new(&config), &SecretsManager::new(&config), operation).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Lost, "ConnectionLost"), "{error}");
        assert_shows_no_secret(&error);
        assert_eq!(server.seen().len(), 1, "{operation}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_lost() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"UserPool\":";
    let server = Scripted::start(vec![Turn::Answer(half)]).await;
    let error = Cognito::new(&sdk_config(&server.uri)).create_user_pool(&user_pool()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Lost, "{error}");
}

#[tokio::test]
async fn a_service_that_nobody_listens_for_is_lost() {
    let config = sdk_config(&nobody().await);
    let error = Cognito::new(&config).list_user_pools(None).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Lost, "ConnectionLost"), "{error}");
}

#[tokio::test]
async fn a_call_without_credentials_is_denied_and_not_sent() {
    let aws = Aws::answering(json!({})).await;
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(aws.server.uri())
        .build();
    for operation in ["ListUserPools", "CreateSecret"] {
        let error = call(&Cognito::new(&config), &SecretsManager::new(&config), operation).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Denied, "NotSent"), "{error}");
        assert_shows_no_secret(&error);
    }
    assert_eq!(aws.server.received_requests().await.unwrap().len(), 0);
}

/// Neither form of an error may hold the secret, its Basic credentials or the token.
fn assert_shows_no_secret(error: &(impl Debug + Display)) {
    for text in [format!("{error}"), format!("{error:?}")] {
        // The text itself is not printed where it may hold the secret.
        assert!(!text.contains(CLIENT_SECRET), "the client secret is shown");
        assert!(!text.contains(BASIC), "the Basic credentials are shown");
    }
}

// ---------------------------------------------------------------------------------------------
// A server that breaks the rules of HTTP.

enum Turn {
    /// Reads the request and closes the connection.
    Close,
    /// Reads the request and answers nothing.
    Hang,
    /// As `Hang`, and lets the clock run on by so much without waiting for it.
    HangFor(Duration),
    /// Answers with these bytes and closes the connection.
    Answer(&'static str),
}

/// Takes one turn with each connection; after the last it listens no more.
struct Scripted {
    uri: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn start(turns: Vec<Turn>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let record = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut hanging = Vec::new();
            for turn in turns {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                record.lock().unwrap().push(request);
                match turn {
                    Turn::Close => drop(stream),
                    Turn::Hang => hanging.push(stream),
                    Turn::HangFor(time) => {
                        hanging.push(stream);
                        tokio::time::pause();
                        tokio::time::advance(time).await;
                        tokio::time::resume();
                    }
                    Turn::Answer(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                }
            }
            drop(listener);
            // The connections that hang do so until the test ends.
            std::future::pending::<()>().await;
            drop(hanging);
        });
        Self { uri, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or_default() {
                return text.into_owned();
            }
        }
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "the request breaks off");
    }
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

// ---------------------------------------------------------------------------------------------
// Tokens.

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::new("key-1"));
/// Says that it is `KEY` and is not.
static IMPOSTOR: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::new("key-1"));

/// The claims of a good token, as Cognito makes them.
fn claims() -> Value {
    let now = wall_clock().as_secs();
    json!({
        "sub": CLIENT_ID, "token_use": "access", "scope": "m2m-client/read m2m-client/write", "auth_time": now,
        "iss": metadata().issuer, "exp": now + 3600, "iat": now, "version": 2, "jti": "0a1b", "client_id": CLIENT_ID,
    })
}

fn key_set() -> Value {
    json!({ "keys": [with(KEY.jwk(), &json!({ "kid": "key-0" })), KEY.jwk()] })
}

const TOKEN_PATH: &str = "/oauth2/token";
const JWKS_PATH: &str = "/us-east-1_AbCdEfGhI/.well-known/jwks.json";

fn oauth() -> TokenClient {
    TokenClient::new(Http::default())
}

fn expected_at(token_uri: &str, jwks_uri: &str) -> ExpectedToken {
    let token_endpoint = format!("{token_uri}{TOKEN_PATH}");
    ExpectedToken {
        client_id: client_id(),
        metadata: SecretMetadata { token_endpoint, jwks_uri: format!("{jwks_uri}{JWKS_PATH}"), ..metadata() },
    }
}

fn client_secret() -> Secret<String> {
    Secret::new(CLIENT_SECRET.to_owned())
}

fn granted(token: &str) -> ResponseTemplate {
    let answer = json!({ "access_token": token, "expires_in": 3600, "token_type": "Bearer" });
    ResponseTemplate::new(200).set_body_json(answer)
}

async fn token_server(token: ResponseTemplate, keys: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path(TOKEN_PATH)).respond_with(token).mount(&server).await;
    Mock::given(method("GET")).and(path(JWKS_PATH)).respond_with(keys).mount(&server).await;
    server
}

/// Verifies against these two answers; no error may hold a secret.
async fn verify(token: ResponseTemplate, keys: ResponseTemplate) -> Result<(), TokenError> {
    let server = token_server(token, keys).await;
    let outcome = oauth().verify(&expected_at(&server.uri(), &server.uri()), &client_secret()).await;
    if let Err(error) = &outcome {
        assert_shows_no_secret(error);
    }
    outcome
}

/// As [`verify`], for a token that was granted; no error may hold any part of it.
async fn verify_token(token: &str) -> Result<(), TokenError> {
    let outcome = verify(granted(token), ResponseTemplate::new(200).set_body_json(key_set())).await;
    if let Err(error) = &outcome {
        let shown = format!("{error} {error:?}");
        for part in token.split('.').filter(|part| part.len() > 8) {
            assert!(!shown.contains(part), "a part of the token is shown");
        }
    }
    outcome
}

fn refusal(outcome: Result<(), TokenError>) -> String {
    match outcome {
        Err(TokenError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn unreachability(outcome: Result<(), TokenError>) -> String {
    match outcome {
        Err(TokenError::Unreachable(why)) => why,
        other => panic!("not unreachable: {other:?}"),
    }
}

#[tokio::test]
async fn a_good_token_is_verified() {
    assert_eq!(verify_token(&KEY.sign(&claims())).await, Ok(()));
    // The order of scopes means nothing.
    let token = KEY.sign(&with(claims(), &json!({ "scope": "m2m-client/write m2m-client/read" })));
    assert_eq!(verify_token(&token).await, Ok(()));
}

#[tokio::test]
async fn a_token_is_asked_for_as_cognito_wants_and_the_keys_without_credentials() {
    let keys = ResponseTemplate::new(200).set_body_json(key_set());
    let server = token_server(granted(&KEY.sign(&claims())), keys).await;
    oauth().verify(&expected_at(&server.uri(), &server.uri()), &client_secret()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    let of = |path: &str| requests.iter().find(|request| request.url.path() == path).unwrap();

    let token = of(TOKEN_PATH);
    assert_eq!((token.method.as_str(), token.url.query()), ("POST", None));
    assert_eq!(header(token, "authorization"), format!("Basic {BASIC}"));
    assert_eq!(header(token, "content-type"), "application/x-www-form-urlencoded");
    // No scope: the endpoint then grants all that the client is allowed.
    assert_eq!(token.body, b"grant_type=client_credentials");

    let keys = of(JWKS_PATH);
    assert_eq!(keys.method.as_str(), "GET");
    assert!(keys.headers.get("authorization").is_none() && keys.body.is_empty());
}

#[tokio::test]
async fn a_token_with_a_wrong_claim_is_refused_by_the_claims_name() {
    let past = wall_clock().as_secs() - 3600;
    for (change, named) in [
        (json!({ "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Another" }), "InvalidIssuer"),
        (json!({ "iss": null }), "iss"),
        (json!({ "exp": past }), "ExpiredSignature"),
        (json!({ "exp": null }), "exp"),
        (json!({ "client_id": "another" }), "client_id"),
        (json!({ "client_id": null }), "null"),
        (json!({ "token_use": "id" }), "token_use"),
        (json!({ "scope": "m2m-client/read" }), "scopes"),
        (json!({ "scope": "m2m-client/read m2m-client/write aws.cognito.signin.user.admin" }), "scopes"),
        (json!({ "scope": "" }), "scopes"),
    ] {
        let why = refusal(verify_token(&KEY.sign(&with(claims(), &change))).await);
        assert!(why.contains(named), "{change}: {why}");
    }
    for (left_out, named) in
        [("iss", "iss"), ("exp", "exp"), ("client_id", "client_id"), ("token_use", "token_use"), ("scope", "scopes")]
    {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(left_out);
        let why = refusal(verify_token(&KEY.sign(&claims)).await);
        assert!(why.contains(named), "without {left_out}: {why}");
    }
}

#[tokio::test]
async fn a_token_that_the_pools_key_did_not_sign_is_refused() {
    let why = refusal(verify_token(&IMPOSTOR.sign(&claims())).await);
    assert!(why.contains("InvalidSignature"), "{why}");

    // The signature of one token under the claims of another.
    let (good, wider) = (KEY.sign(&claims()), IMPOSTOR.sign(&with(claims(), &json!({ "scope": "admin" }))));
    let (good_parts, wider_parts): (Vec<_>, Vec<_>) = (good.split('.').collect(), wider.split('.').collect());
    let forged = [good_parts[0], wider_parts[1], good_parts[2]].join(".");
    let why = refusal(verify_token(&forged).await);
    assert!(why.contains("InvalidSignature"), "{why}");
}

#[tokio::test]
async fn a_token_whose_key_is_not_in_the_set_is_refused() {
    let unknown = SigningKey { key: KEY.key.clone(), kid: "key-9" };
    let why = refusal(verify_token(&unknown.sign(&claims())).await);
    assert!(why.contains("key") && why.contains(JWKS_PATH), "{why}");

    let without_kid = encode(&Header::new(Algorithm::RS256), &claims(), &KEY.key).unwrap();
    let why = refusal(verify_token(&without_kid).await);
    assert!(why.contains("key") && why.contains(JWKS_PATH), "{why}");
}

#[tokio::test]
async fn a_token_of_another_algorithm_is_refused_before_its_signature_is_looked_at() {
    // The old trick: the public key, which everybody has, as the secret of a symmetric signature.
    let public = KEY.jwk()["n"].as_str().unwrap().to_owned();
    let header = Header { kid: Some("key-1".to_owned()), ..Header::new(Algorithm::HS256) };
    let symmetric = encode(&header, &claims(), &EncodingKey::from_secret(public.as_bytes())).unwrap();
    let why = refusal(verify_token(&symmetric).await);
    assert!(why.contains("HS256") && why.contains("RS256"), "{why}");

    let header = Header { kid: Some("key-1".to_owned()), ..Header::new(Algorithm::RS512) };
    let why = refusal(verify_token(&encode(&header, &claims(), &KEY.key).unwrap()).await);
    assert!(why.contains("RS512"), "{why}");

    let signed = KEY.sign(&claims());
    let payload = signed.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"}
    let why = refusal(verify_token(&format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.")).await);
    assert!(why.contains("none"), "{why}");
}

#[tokio::test]
async fn what_is_no_token_at_all_is_refused_and_not_quoted() {
    for nonsense in ["", "canarycanarycanary", "canarycanary.canarycanary.canarycanary", "{\"canarycanary\":1}"] {
        let why = refusal(verify_token(nonsense).await);
        assert!(why.contains("not a JWT") && !why.contains("canary"), "{why}");
    }
}

#[tokio::test]
async fn an_oauth_error_is_refused_with_its_code() {
    let keys = || ResponseTemplate::new(200).set_body_json(key_set());
    for (status, answer, said) in [
        (400, json!({ "error": "invalid_client" }), "HTTP 400 invalid_client"),
        (401, json!({ "error": "invalid_client" }), "HTTP 401 invalid_client"),
        (400, json!({ "error": "invalid_grant", "error_description": null }), "HTTP 400 invalid_grant"),
        (
            400,
            json!({ "error": "invalid_scope", "error_description": "No such scope", "error_uri": "https://x" }),
            "HTTP 400 invalid_scope: No such scope",
        ),
        (
            400,
            json!({ "error": "invalid_client", "error_description": format!("'{CLIENT_SECRET}' is wrong") }),
            "HTTP 400 invalid_client: '***' is wrong",
        ),
    ] {
        let why = refusal(verify(ResponseTemplate::new(status).set_body_json(answer), keys()).await);
        assert!(why.contains(TOKEN_PATH) && why.ends_with(said), "{why}");
    }
}

#[tokio::test]
async fn what_is_not_the_endpoints_own_word_is_unreachable() {
    let page = "<html><body>canary page</body></html>";
    let oauth_error = r#"{"error":"temporarily_unavailable"}"#;
    for (status, body) in [
        (200, page),
        (200, ""),
        (200, "{}"),
        (200, r#"{"access_token":17}"#),
        (302, ""),
        (400, page),
        (400, "{}"),
        (401, r#"{"message":"canary"}"#),
        (403, page),
        (404, page),
        (429, oauth_error),
        (500, oauth_error),
        (500, ""),
        (502, page),
        (503, oauth_error),
    ] {
        let keys = ResponseTemplate::new(200).set_body_json(key_set());
        let why = unreachability(verify(ResponseTemplate::new(status).set_body_string(body), keys).await);
        assert!(why.contains(TOKEN_PATH) && !why.contains("canary"), "{status} {body}: {why}");

        let good = granted(&KEY.sign(&claims()));
        let why = unreachability(verify(good, ResponseTemplate::new(status).set_body_string(body)).await);
        assert!(why.contains(JWKS_PATH) && !why.contains("canary"), "{status} {body}: {why}");
    }
}

/// Asks whether the endpoint takes the credentials; no error may hold a secret.
async fn accepts(answer: ResponseTemplate) -> Result<bool, TokenError> {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path(TOKEN_PATH)).respond_with(answer).mount(&server).await;
    // No keys: whether a secret is good is not a question of what the token says.
    let outcome = oauth().accepts(&expected_at(&server.uri(), &server.uri()), &client_secret()).await;
    if let Err(error) = &outcome {
        assert_shows_no_secret(error);
    }
    let requests = server.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("{} requests were sent, not one", requests.len()) };
    assert_eq!(header(request, "authorization"), format!("Basic {BASIC}"));
    assert_eq!(request.body, b"grant_type=client_credentials");
    outcome
}

#[tokio::test]
async fn a_secret_is_accepted_where_it_gets_a_token() {
    assert_eq!(accepts(granted(&KEY.sign(&claims()))).await, Ok(true));
    // What kind of token does not matter here.
    assert_eq!(accepts(granted("canary")).await, Ok(true));
}

#[tokio::test]
async fn a_secret_is_not_accepted_where_the_endpoint_refuses_for_whatever_reason() {
    for (status, answer) in [
        (400, json!({ "error": "invalid_client" })),
        (401, json!({ "error": "invalid_client" })),
        (400, json!({ "error": "invalid_client", "error_description": format!("'{CLIENT_SECRET}' is wrong") })),
        // Not the secret's fault; the port says so of its `false`.
        (400, json!({ "error": "unauthorized_client" })),
        (400, json!({ "error": "invalid_scope", "error_description": "No such scope" })),
    ] {
        let outcome = accepts(ResponseTemplate::new(status).set_body_json(&answer)).await;
        assert_eq!(outcome, Ok(false), "{status} {}", answer["error"]);
    }
}

#[tokio::test]
async fn what_is_not_the_endpoints_own_word_says_nothing_of_the_secret() {
    let oauth_error = r#"{"error":"invalid_client"}"#;
    let page = "<html><body>canary invalid_client</body></html>";
    for (status, body) in [
        (200, page),
        (200, oauth_error),
        (302, ""),
        (302, oauth_error),
        (400, page),
        (400, r#"{"message":"canary invalid_client"}"#),
        (404, page),
        (429, oauth_error),
        (500, oauth_error),
        (502, page),
        (503, ""),
    ] {
        let outcome = accepts(ResponseTemplate::new(status).set_body_string(body)).await;
        let said = |why: &str| why.contains(TOKEN_PATH) && !why.contains("canary");
        assert!(matches!(&outcome, Err(TokenError::Unreachable(why)) if said(why)), "{status} {body}: {outcome:?}");
    }
    for uri in [nobody().await, Scripted::start(vec![Turn::Close]).await.uri] {
        let outcome = oauth().accepts(&expected_at(&uri, &uri), &client_secret()).await;
        assert!(matches!(&outcome, Err(TokenError::Unreachable(_))), "{outcome:?}");
        assert_shows_no_secret(&outcome.unwrap_err());
    }
}

#[tokio::test]
async fn a_refusal_stands_even_where_the_keys_cannot_be_had() {
    // The keys fail at once and the refusal takes its time: which comes first must not decide.
    let refused = ResponseTemplate::new(400)
        .set_body_json(json!({ "error": "invalid_client" }))
        .set_delay(Duration::from_millis(300));
    let why = refusal(verify(refused, ResponseTemplate::new(503)).await);
    assert!(why.contains("invalid_client"), "{why}");
}

#[tokio::test]
async fn a_connection_that_breaks_or_was_never_there_is_unreachable() {
    let keys = || ResponseTemplate::new(200).set_body_json(key_set());
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"access_token\":\"canary";
    for turn in [Turn::Close, Turn::Answer(half)] {
        let good = token_server(granted(&KEY.sign(&claims())), keys()).await;
        let broken = Scripted::start(vec![turn]).await;
        let outcome = oauth().verify(&expected_at(&broken.uri, &good.uri()), &client_secret()).await;
        assert_shows_no_secret(outcome.as_ref().unwrap_err());
        let why = unreachability(outcome);
        assert!(why.contains(TOKEN_PATH) && !why.contains("canary"), "{why}");
        assert_eq!(broken.seen().len(), 1);
    }
    let nobody = nobody().await;
    let outcome = oauth().verify(&expected_at(&nobody, &nobody), &client_secret()).await;
    assert_shows_no_secret(outcome.as_ref().unwrap_err());
    assert!(unreachability(outcome).contains(TOKEN_PATH));
}

#[tokio::test]
async fn the_credentials_follow_no_redirect() {
    let elsewhere = MockServer::start().await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        let keys = ResponseTemplate::new(200).set_body_json(key_set());
        let why = unreachability(verify(redirect, keys).await);
        assert!(why.contains(&status.to_string()), "{why}");
    }
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}

// ---------------------------------------------------------------------------------------------
// The answer's delivery.

const QUERY: &str = "X-Amz-Date=20260102T030405Z&X-Amz-Signature=canary%2Fsignature%3D";

fn response_url(base: &str) -> ResponseUrl {
    ResponseUrl::parse(&format!("{base}/arn%3Aaws%3Acloudformation/M2M%7C0a1b?{QUERY}")).unwrap()
}

fn http() -> ResponseUrlClient {
    ResponseUrlClient(Http::default())
}

/// Longer than any of these tests takes.
fn long() -> Deadline {
    Deadline::after(Duration::from_mins(10))
}

fn assert_shows_no_query(error: &DeliveryError) {
    for text in [format!("{error}"), format!("{error:?}")] {
        assert!(!text.contains("canary") && !text.contains("X-Amz"), "{text}");
    }
}

#[tokio::test]
async fn the_answer_is_put_with_an_empty_content_type_and_its_exact_length() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let body = r#"{"Status":"FAILED","Reason":"café 😀"}"#;
    deliver(&http(), &response_url(&server.uri()), body, long()).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!(request.method.as_str(), "PUT");
    // The signature covers the URL as it was given.
    assert_eq!(request.url.path(), "/arn%3Aaws%3Acloudformation/M2M%7C0a1b");
    assert_eq!(request.url.query(), Some(QUERY));
    let values = |name: &str| request.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(values("content-type"), [""]);
    assert_eq!(values("content-length"), [body.len().to_string().as_str()]);
    assert_eq!(values("transfer-encoding"), Vec::<&str>::new());
    assert_eq!(values("authorization"), Vec::<&str>::new());
    assert_eq!(request.body, body.as_bytes());
}

#[tokio::test]
async fn the_answer_is_put_again_after_a_server_error() {
    for status in [500, 502, 503] {
        let server = MockServer::start().await;
        let failing = Mock::given(method("PUT")).respond_with(ResponseTemplate::new(status));
        failing.up_to_n_times(2).mount(&server).await;
        Mock::given(method("PUT")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        deliver(&http(), &response_url(&server.uri()), "{}", long()).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), 3, "{status}");
        assert!(requests.iter().all(|request| request.body == b"{}"), "{status}");
    }
}

const DELIVERED: Turn = Turn::Answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");

#[tokio::test]
async fn the_answer_is_put_again_after_a_dropped_connection() {
    let server = Scripted::start(vec![Turn::Close, DELIVERED]).await;
    deliver(&http(), &response_url(&server.uri), "{\"a\":1}", long()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|request| request.starts_with("PUT ") && request.ends_with("\r\n\r\n{\"a\":1}")));
}

#[tokio::test]
async fn the_answer_is_put_again_after_a_hang() {
    let server = Scripted::start(vec![Turn::HangFor(Duration::from_secs(6)), DELIVERED]).await;
    deliver(&http(), &response_url(&server.uri), "{}", long()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [400, 401, 403, 404, 408, 409, 429] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let error = deliver(&http(), &response_url(&server.uri()), "{}", long()).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused(refused) if refused == status), "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_shows_no_query(&error);
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_answer_follows_no_redirect() {
    let elsewhere = MockServer::start().await;
    for status in [301, 302, 303, 307, 308] {
        let server = MockServer::start().await;
        let redirect = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        Mock::given(any()).respond_with(redirect).mount(&server).await;
        let error = deliver(&http(), &response_url(&server.uri()), "{}", long()).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused(refused) if refused == status), "{error}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{status}");
    }
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn delivery_gives_up_at_the_deadline_and_does_not_show_the_signature() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).mount(&server).await;
    let second = || Deadline::after(Duration::from_secs(1));
    let error = deliver(&http(), &response_url(&server.uri()), "{}", second()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OutOfTime(_)), "{error}");
    assert_shows_no_query(&error);
    assert!(server.received_requests().await.unwrap().len() > 1);

    let error = deliver(&http(), &response_url(&nobody().await), "{}", second()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OutOfTime(_)), "{error}");
    assert_shows_no_query(&error);
}

#[tokio::test]
async fn a_server_that_hangs_is_left_at_the_deadline() {
    let server = Scripted::start(vec![Turn::Hang, Turn::Hang, Turn::Hang]).await;
    let deadline = Deadline::after(Duration::from_millis(500));
    let error = deliver(&http(), &response_url(&server.uri), "{}", deadline).await.unwrap_err();
    assert!(matches!(&error, DeliveryError::OutOfTime(last) if last.contains("no answer")), "{error}");
    assert_shows_no_query(&error);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn one_lost_put_says_why_without_its_url() {
    for base in [nobody().await, Scripted::start(vec![Turn::Close]).await.uri] {
        let why = http().put(&response_url(&base), "{}").await.unwrap_err();
        assert!(!why.is_empty());
        assert!(!why.contains("canary") && !why.contains("X-Amz") && !why.contains("arn%3A"), "{why}");
    }
}

/// Answers nothing but server errors, and counts.
struct Failing(std::cell::Cell<u32>);

impl Deliver for Failing {
    async fn put(&self, _: &ResponseUrl, _: &str) -> Result<u16, String> {
        self.0.set(self.0.get() + 1);
        Ok(500)
    }
}

#[tokio::test(start_paused = true)]
async fn delivery_goes_on_until_the_deadline_and_slows_down() {
    let failing = Failing(std::cell::Cell::new(0));
    let deadline = Deadline::after(Duration::from_mins(5));
    let error = deliver(&failing, &response_url("https://example.com"), "{}", deadline).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OutOfTime(_)), "{error}");
    assert!(error.to_string().contains("HTTP status 500"), "{error}");
    assert!(now() <= deadline.for_answer());
    let left = deadline.for_answer() - now();
    assert!(left <= Duration::from_secs(3), "it gave up {left:?} too early");
    // Every two or three seconds, once it has slowed down.
    assert!((100..=210).contains(&failing.0.get()), "{} times", failing.0.get());
}

// ---------------------------------------------------------------------------------------------
// Endpoints.

fn endpoints_of(region: &str, endpoint: Option<&str>) -> (String, String, String) {
    let mut config =
        SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new(region.to_owned()));
    config.set_endpoint_url(endpoint.map(ToOwned::to_owned));
    shown(&aws::endpoints(&config.build()))
}

fn shown(endpoints: &Endpoints) -> (String, String, String) {
    (endpoints.token_endpoint(&domain()), endpoints.jwks_uri(&pool_id()), endpoints.issuer(&pool_id()))
}

fn aws_endpoints() -> (String, String, String) {
    (metadata().token_endpoint, metadata().jwks_uri, metadata().issuer)
}

#[test]
fn without_a_custom_endpoint_the_addresses_are_the_regions() {
    assert_eq!(endpoints_of("us-east-1", None), aws_endpoints());
    let (token_endpoint, jwks_uri, _) = endpoints_of("eu-west-1", None);
    assert_eq!(token_endpoint, "https://m2m-rubicon-dev.auth.eu-west-1.amazoncognito.com/oauth2/token");
    assert!(jwks_uri.starts_with("https://cognito-idp.eu-west-1.amazonaws.com/"), "{jwks_uri}");
}

#[test]
fn a_custom_endpoint_serves_tokens_and_keys_and_an_endpoint_of_awss_own_does_not() {
    let local = (
        "http://127.0.0.1:4566/oauth2/token".to_owned(),
        "http://127.0.0.1:4566/us-east-1_AbCdEfGhI/.well-known/jwks.json".to_owned(),
        metadata().issuer,
    );
    assert_eq!(endpoints_of("us-east-1", Some("http://127.0.0.1:4566")), local);
    assert_eq!(endpoints_of("us-east-1", Some("http://127.0.0.1:4566/")), local);
    let interface = "https://vpce-1-x.cognito-idp.us-east-1.vpce.amazonaws.com";
    assert_eq!(endpoints_of("us-east-1", Some(interface)), aws_endpoints());
}

/// Set for the child process alone; holds the token endpoint that it must see.
const CHILD: &str = "COGNITO_M2M_TEST_EXPECTED_TOKEN_ENDPOINT";

/// Runs itself again in a process with these settings and no other. There the settings are loaded
/// as in production, two calls are made, and the endpoints must be `expected`.
async fn with_environment(expected: &str, settings: &[(&str, &str)]) {
    let this_test = "the_endpoints_are_those_of_the_sdks_own_settings_and_its_retries_are_off";
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", this_test, "--nocapture"]).env_clear().env(CHILD, expected).envs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "not-a-key"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    child.envs(settings.iter().copied());
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "with {settings:?}: {}", String::from_utf8_lossy(&said));
}

/// What the child does.
async fn is_child(expected: &str) {
    let config = aws::config(&Http::default()).await;
    let (token_endpoint, ..) = shown(&aws::endpoints(&config));
    assert_eq!(token_endpoint, expected);
    let local = expected.starts_with("http://127.0.0.1");
    if local {
        let error = Cognito::new(&config).list_user_pools(None).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Throttled, "ThrottlingException"), "{error}");
    }
}

#[tokio::test]
async fn the_endpoints_are_those_of_the_sdks_own_settings_and_its_retries_are_off() {
    #[expect(clippy::disallowed_methods, reason = "the test talks to its own child process")]
    if let Ok(expected) = std::env::var(CHILD) {
        return is_child(&expected).await;
    }
    // Throttling is what the SDK would be most eager to try again.
    let aws = Aws::refusing(400, "ThrottlingException", "Rate exceeded").await;
    let (local, other) = (aws.server.uri(), nobody().await);
    let (local, other) = (local.as_str(), other.as_str());
    let local_token = format!("{local}{TOKEN_PATH}");
    let aws_token = metadata().token_endpoint;
    let profile = format!("{}/endpoint-of-a-profile", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&profile, format!("[default]\nendpoint_url = {local}\n")).unwrap();

    let (all, cognito) = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER");
    with_environment(&aws_token, &[]).await;
    with_environment(&aws_token, &[("AWS_ENDPOINT_URL_SECRETS_MANAGER", other)]).await;
    with_environment(&aws_token, &[(all, other), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]).await;
    assert_eq!(aws.server.received_requests().await.unwrap().len(), 0);

    let custom: [&[(&str, &str)]; 4] =
        [&[(all, local)], &[(cognito, local)], &[(all, other), (cognito, local)], &[("AWS_CONFIG_FILE", &profile)]];
    for settings in custom {
        aws.refuses(400, "ThrottlingException", "Rate exceeded").await;
        with_environment(&local_token, settings).await;
        aws.sent_cognito("ListUserPools", json!({ "MaxResults": 60 })).await;
    }
}
