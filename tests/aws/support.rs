//! What the tests send and expect, an AWS in a local server, and a server that breaks the rules of HTTP.

use std::{
    fmt::{Debug, Display},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_cognitoidentityprovider::config::{Credentials, SharedCredentialsProvider};
use cognito_m2m::{
    aws::{Cognito, Http, SecretsManager},
    model::{
        AuthFlow, ClientId, ClientName, Domain, Owner, PoolId, Replicas, ResourcePolicy, ResourceServer, Rotation,
        Scope, SecretId, Tags, Tier, TokenService, UserPool, UserPoolClient, desired::SecretMetadata,
    },
    ports::{
        AWSCURRENT, AWSPENDING, AwsError, ClientSecrets, NewSecret, SecretChange, SecretDocument, SecretVersions,
        Secrets, UserPools, Version,
    },
    redact::Secret,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

pub const CLIENT_ID: &str = "7h1s1s4t3stcl13nt1d";
pub const CLIENT_SECRET: &str = "canaryclientsecret0123456789abcdef";
/// Base64 of `CLIENT_ID:CLIENT_SECRET`.
pub const BASIC: &str = "N2gxczFzNHQzc3RjbDEzbnQxZDpjYW5hcnljbGllbnRzZWNyZXQwMTIzNDU2Nzg5YWJjZGVm";
/// One of the client's secrets, as Cognito names it.
pub const SECRET_ID: &str = "7h1s1s4t3stcl13nt1d--1767323045";
pub const CURRENT: Version<'_> = Version::Stage(AWSCURRENT);
pub const NO_CHANGE: SecretChange = SecretChange { description: None, kms_key_id: None };
pub const STACK_ID: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/m2m/0a1b";

pub fn pool_id() -> PoolId {
    PoolId::from("us-east-1_AbCdEfGhI")
}

pub fn client_id() -> ClientId {
    ClientId::from(CLIENT_ID)
}

pub fn owner() -> Owner {
    Owner { stack_id: STACK_ID.into(), logical_id: "M2M".into() }
}

pub fn tags() -> Tags {
    let mut tags = owner().tags();
    tags.insert("Environment".into(), "dev".into());
    tags
}

pub fn tags_as_map() -> Value {
    json!({
        "Environment": "dev", "ManagedBy": "cognito-m2m",
        "cognito-m2m:stack-id": STACK_ID, "cognito-m2m:logical-id": "M2M",
    })
}

pub fn tags_as_list() -> Value {
    json!([
        { "Key": "Environment", "Value": "dev" },
        { "Key": "ManagedBy", "Value": "cognito-m2m" },
        { "Key": "cognito-m2m:logical-id", "Value": "M2M" },
        { "Key": "cognito-m2m:stack-id", "Value": STACK_ID },
    ])
}

pub fn user_pool() -> UserPool {
    UserPool { name: "machine-to-machine-dev".into(), tier: Tier::Plus, deletion_protection: true, tags: tags() }
}

pub fn domain() -> Domain {
    Domain { prefix: "m2m-rubicon-dev".into(), managed_login_version: 2 }
}

pub fn resource_server() -> ResourceServer {
    ResourceServer {
        identifier: "https://api.example.com".into(),
        name: "The API".into(),
        mark: None,
        scopes: vec![
            Scope { name: "read".into(), description: "May read".into() },
            Scope { name: "write".into(), description: "write".into() },
        ],
    }
}

pub fn resource_server_json() -> Value {
    json!({
        "UserPoolId": "us-east-1_AbCdEfGhI", "Identifier": "https://api.example.com", "Name": "The API",
        "Scopes": [
            { "ScopeName": "read", "ScopeDescription": "May read" },
            { "ScopeName": "write", "ScopeDescription": "write" },
        ],
    })
}

pub fn client() -> UserPoolClient {
    UserPoolClient {
        name: ClientName::from("billing"),
        scopes: vec!["m2m-client/write".into(), "m2m-client/read".into()],
        access_token_validity_minutes: 90,
        auth_flow: AuthFlow::RefreshToken,
    }
}

pub fn secret_name() -> SecretId {
    SecretId::from("machine-to-machine-dev/billing")
}

pub fn rotation() -> Rotation {
    Rotation { function_arn: "arn:aws:lambda:us-east-1:123456789012:function:rotation".into(), days: 30 }
}

pub fn metadata() -> SecretMetadata {
    SecretMetadata {
        token_service: TokenService::OAuth2,
        token_endpoint: "https://m2m-rubicon-dev.auth.us-east-1.amazoncognito.com/oauth2/token".into(),
        scope: "m2m-client/write m2m-client/read".into(),
        issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI".into(),
        jwks_uri: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI/.well-known/jwks.json".into(),
        user_pool_id: pool_id(),
        client_name: ClientName::from("billing"),
    }
}

pub fn document() -> SecretDocument {
    SecretDocument {
        client_id: client_id(),
        client_secret: Secret::new(CLIENT_SECRET.into()),
        metadata: metadata(),
        former: None,
    }
}

/// The secret's document: these keys and no other.
pub fn document_json() -> Value {
    json!({
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "token_service": "oauth2",
        "token_endpoint": "https://m2m-rubicon-dev.auth.us-east-1.amazoncognito.com/oauth2/token",
        "scope": "m2m-client/write m2m-client/read",
        "issuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI",
        "jwks_uri": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI/.well-known/jwks.json",
        "user_pool_id": "us-east-1_AbCdEfGhI",
        "client_name": "billing",
    })
}

/// The settings of [`aws::config`](cognito_m2m::aws::config) with the test's credentials and endpoint.
pub fn sdk_config(endpoint: &str) -> SdkConfig {
    sdk_config_with(&Http::default(), endpoint)
}

pub fn sdk_config_with(http: &Http, endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIDTEST", "not-a-key", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .http_client(http.for_sdk())
        .endpoint_url(endpoint)
        .build()
}

pub struct Aws {
    pub server: MockServer,
    pub pools: Cognito,
    pub secrets: SecretsManager,
}

impl Aws {
    pub async fn start() -> Self {
        let server = MockServer::start().await;
        let config = sdk_config(&server.uri());
        Self { pools: Cognito::new(&config), secrets: SecretsManager::new(&config), server }
    }

    /// Answers every request with this body.
    pub async fn answering(answer: Value) -> Self {
        let aws = Self::start().await;
        aws.answers(200, &answer).await;
        aws
    }

    /// Refuses every request.
    pub async fn refusing(status: u16, code: &str, message: &str) -> Self {
        let aws = Self::start().await;
        aws.refuses(status, code, message).await;
        aws
    }

    /// Forgets the requests so far and gives this answer from now on.
    pub async fn answers(&self, status: u16, answer: &Value) {
        self.server.reset().await;
        let answer =
            ResponseTemplate::new(status).set_body_raw(answer.to_string().into_bytes(), "application/x-amz-json-1.1");
        Mock::given(any()).respond_with(answer).mount(&self.server).await;
    }

    pub async fn refuses(&self, status: u16, code: &str, message: &str) {
        self.answers(status, &json!({ "__type": code, "message": message })).await;
    }

    /// Returns the target and the body of the one request that was sent.
    pub async fn sent(&self) -> (String, Value) {
        let requests = self.server.received_requests().await.unwrap();
        let [request] = requests.as_slice() else { panic!("{} requests were sent, not one", requests.len()) };
        assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/"));
        assert_eq!(header(request, "content-type"), "application/x-amz-json-1.1");
        (header(request, "x-amz-target").to_owned(), serde_json::from_slice(&request.body).unwrap())
    }

    pub async fn sent_cognito(&self, operation: &str, body: Value) {
        assert_eq!(self.sent().await, (format!("AWSCognitoIdentityProviderService.{operation}"), body));
    }

    pub async fn sent_secrets(&self, operation: &str, body: Value) {
        assert_eq!(self.sent().await, (format!("secretsmanager.{operation}"), body));
    }
}

pub fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.get(name).unwrap_or_else(|| panic!("there is no {name}")).to_str().unwrap()
}

pub const OPERATIONS: [&str; 39] = [
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
    "GetResourcePolicy",
    "PutResourcePolicy",
    "DeleteResourcePolicy",
    "ReplicateSecretToRegions",
    "RemoveRegionsFromReplication",
    "DeleteSecret",
];

/// Calls one operation and returns its result as text.
pub async fn call(pools: &Cognito, secrets: &SecretsManager, operation: &str) -> Result<String, AwsError> {
    let (pool, id, secret) = (&pool_id(), &client_id(), &secret_name());
    Ok(match operation {
        "ListUserPools" => format!("{:?}", pools.list_user_pools(None).await?),
        "DescribeUserPool" => format!("{:?}", pools.describe_user_pool(pool).await?),
        "CreateUserPool" => format!("{:?}", pools.create_user_pool(&user_pool()).await?),
        "UpdateUserPool" => format!("{:?}", pools.update_user_pool(pool, &user_pool()).await?),
        "DeleteUserPool" => format!("{:?}", pools.delete_user_pool(pool).await?),
        "DescribeUserPoolDomain" => format!("{:?}", pools.describe_user_pool_domain("m2m-rubicon-dev").await?),
        "CreateUserPoolDomain" => format!("{:?}", pools.create_user_pool_domain(pool, &domain().into()).await?),
        "UpdateUserPoolDomain" => format!("{:?}", pools.update_user_pool_domain(pool, &domain().into()).await?),
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
        "ListSecrets" => format!("{:?}", secrets.list_secrets(Some(&owner()), None).await?),
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
        "GetResourcePolicy" => format!("{:?}", secrets.get_resource_policy(secret).await?),
        "PutResourcePolicy" => format!("{:?}", secrets.put_resource_policy(secret, &policy()).await?),
        "DeleteResourcePolicy" => format!("{:?}", secrets.delete_resource_policy(secret).await?),
        "ReplicateSecretToRegions" => format!("{:?}", secrets.replicate_secret_to_regions(secret, &replicas()).await?),
        "RemoveRegionsFromReplication" => {
            let regions = replicas().into_keys().collect();
            format!("{:?}", secrets.remove_regions_from_replication(secret, &regions).await?)
        }
        "DeleteSecret" => format!("{:?}", secrets.delete_secret(secret, 7).await?),
        unknown => panic!("{unknown} is no operation of the ports"),
    })
}

pub fn policy() -> ResourcePolicy {
    ResourcePolicy::parse(r#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Resource":"*"}]}"#).unwrap()
}

pub fn replicas() -> Replicas {
    [("eu-west-1".into(), None), ("us-west-2".into(), Some("alias/there".to_owned()))].into()
}

pub fn new_secret(document: &SecretDocument) -> NewSecret<'_> {
    static NAME: LazyLock<SecretId> = LazyLock::new(secret_name);
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

pub fn client_secret() -> Secret<String> {
    Secret::new(CLIENT_SECRET.to_owned())
}

/// Fails if `Display` or `Debug` of the error shows the secret or its Basic credentials.
pub fn assert_shows_no_secret(error: &(impl Debug + Display)) {
    for text in [format!("{error}"), format!("{error:?}")] {
        // The text may hold the secret, so it is not printed.
        assert!(!text.contains(CLIENT_SECRET), "the client secret is shown");
        assert!(!text.contains(BASIC), "the Basic credentials are shown");
    }
}

pub enum Turn {
    /// Reads the request and closes the connection.
    Close,
    /// Reads the request and answers nothing.
    Hang,
    /// Hangs and advances the clock by this much without waiting.
    HangFor(Duration),
    /// Answers with these bytes and then does as `HangFor`.
    Stall(&'static str, Duration),
    /// Answers with these bytes and closes the connection.
    Answer(&'static str),
}

/// Takes one turn with each connection and stops listening after the last.
pub struct Scripted {
    pub uri: String,
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub async fn start(turns: Vec<Turn>) -> Self {
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
                        advance(time).await;
                    }
                    Turn::Stall(beginning, time) => {
                        stream.write_all(beginning.as_bytes()).await.unwrap();
                        hanging.push(stream);
                        advance(time).await;
                    }
                    Turn::Answer(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                }
            }
            drop(listener);
            // The hanging connections stay open until the test ends.
            std::future::pending::<()>().await;
            drop(hanging);
        });
        Self { uri, seen }
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn advance(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
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

/// Returns an address at which nobody listens.
pub async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

pub const TOKEN_PATH: &str = "/oauth2/token";
pub const JWKS_PATH: &str = "/us-east-1_AbCdEfGhI/.well-known/jwks.json";
