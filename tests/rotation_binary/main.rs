//! The built functions as processes, between a Lambda Runtime API and an AWS of this file:
//!
//! ```text
//!     Runtime API  <->  rotation (or provider)  ->  Cloud
//! ```
//!
//! The `Cloud` keeps one client with its secrets at Cognito and one secret with its versions at
//! Secrets Manager, by AWS's rules, and the token endpoint with its keys. After every call it looks
//! whether AWSCURRENT's credentials are still good. When a case ends, everything that the process
//! has said at TRACE is searched for every secret that has passed the cloud. AWS itself is never
//! called.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/signing.rs"]
mod signing;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    time::Duration,
};

use aws_smithy_types::base64;
use cognito_m2m::{
    clock::{now, wall_clock},
    model::{ClientName, Owner, RotationRecord},
    ports::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, FORMER},
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use signing::SigningKey;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};

const POOL: &str = "us-east-1_AbCdEfGhI";
const CLIENT_ID: &str = "7h1s1s4t3stcl13nt1d";
const CLIENT: &str = "machine-to-machine-dev-client";
const SECRET: &str = "machine-to-machine-dev/machine-to-machine-dev-client";
const SECRET_ARN: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:machine-to-machine-dev/machine-to-machine-dev-client-AbCdEf";
const ISSUER: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI";
const SCOPE: &str = "m2m-client/read m2m-client/write";
const STACK_ID: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/m2m/0a1b";

/// What Cognito made for the client when it was created.
const FIRST_VALUE: &str = "canary0firstvalue0123456789abcdefghijklmnopqrstuvwxyz";
const FIRST_VERSION: &str = "00000000-0000-4000-8000-000000000000";
/// A client secret that somebody else has added by hand.
const FOREIGN_VALUE: &str = "canary0foreignvalue0123456789abcdefghijklmnopqrstuv";
const AWS_SECRET_KEY: &str = "canary0the0functions0own0key";

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];
const READS: [&str; 12] = [
    "DescribeSecret",
    "GetSecretValue",
    "ListSecrets",
    "ListUserPoolClientSecrets",
    "DescribeUserPool",
    "DescribeUserPoolDomain",
    "ListResourceServers",
    "ListUserPoolClients",
    "DescribeUserPoolClient",
    TOKEN,
    KEYS,
    ANSWER,
];
/// The requests that are no operation of AWS.
const TOKEN: &str = "token";
const KEYS: &str = "keys";
const ANSWER: &str = "answer";

/// The template's timeout is longer; no step here needs as much.
const TIMEOUT: Duration = Duration::from_mins(1);

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::new("key-1"));

// ---------------------------------------------------------------------------------------------
// HTTP, as much as the two servers need.

struct Received {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Clone)]
enum Reply {
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Closes the connection without a word.
    Lost,
}

fn ok(body: &Value) -> Reply {
    Reply::Answer(200, Vec::new(), body.to_string())
}

fn refused(code: &str, message: &str) -> Reply {
    Reply::Answer(400, Vec::new(), json!({ "__type": code, "message": message }).to_string())
}

/// Serves on a free port of this machine until the test's runtime ends; gives the address.
async fn serve<F, R>(handle: F) -> String
where
    F: Fn(Received) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let handle = Arc::new(handle);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handle = Arc::clone(&handle);
            tokio::spawn(async move { serve_one(stream, &*handle).await });
        }
    });
    address
}

/// One request a connection. A process that is killed leaves its connection in the middle.
async fn serve_one<R: Future<Output = Reply>>(mut stream: TcpStream, handle: impl Fn(Received) -> R) -> Option<()> {
    let request = read_request(&mut stream).await?;
    let Reply::Answer(status, headers, body) = handle(request).await else { return None };
    let headers: String = headers.iter().map(|(name, value)| [*name, ": ", value, "\r\n"].concat()).collect();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all([head, body].concat().as_bytes()).await.ok()
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received { method, path, headers, body })
}

// ---------------------------------------------------------------------------------------------
// AWS.

/// One of the client's secrets at Cognito.
#[derive(Clone, PartialEq)]
struct ClientSecret {
    id: String,
    value: String,
    created: Duration,
    /// Since when the token endpoint takes it.
    known_from: Instant,
}

/// One version of the secret. No `Debug`: a failing test must not print a value.
#[derive(Clone, PartialEq)]
struct Stored {
    value: Option<Value>,
    created: Duration,
    labels: BTreeSet<String>,
}

/// What happens to one call.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// A server error, and nothing happened.
    Before,
    /// It happened, and the connection breaks without an answer.
    After,
}

struct State {
    uri: String,
    client_secrets: Vec<ClientSecret>,
    /// Deleted, and still taken by the token endpoint until then.
    deleted: Vec<(String, Instant)>,
    versions: BTreeMap<String, Stored>,
    tags: BTreeMap<String, String>,
    description: String,
    scheduled: bool,
    rotations: u32,
    /// How long the token endpoint takes to learn of a new secret, and of a deleted one.
    learns_within: Duration,
    forgets_within: Duration,
    granted_scope: String,
    /// Every call since somebody last asked.
    calls: Vec<String>,
    /// What happens to the call of this number, counted from now.
    fault: Option<(usize, Fault)>,
    /// What nobody may ever print.
    confidential: BTreeSet<String>,
    /// After which call AWSCURRENT's credentials were no good any more.
    cut_off: Option<String>,
    /// What came to the ResponseURL.
    answers: Vec<Value>,
}

#[derive(Clone)]
struct Cloud {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Cloud {
    /// A client with the secret that it was created with, as the provider leaves it behind.
    async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            uri: String::new(),
            client_secrets: vec![ClientSecret {
                id: format!("{CLIENT_ID}--{}0", wall_clock().as_millis()),
                value: FIRST_VALUE.to_owned(),
                created: wall_clock(),
                known_from: now(),
            }],
            deleted: Vec::new(),
            versions: BTreeMap::new(),
            tags: tags(),
            description: RotationRecord::new("").describe(&ClientName::from(CLIENT)),
            scheduled: false,
            rotations: 0,
            learns_within: Duration::ZERO,
            forgets_within: Duration::ZERO,
            granted_scope: SCOPE.to_owned(),
            calls: Vec::new(),
            fault: None,
            confidential: [FIRST_VALUE, FOREIGN_VALUE, AWS_SECRET_KEY].map(ToOwned::to_owned).into(),
            cut_off: None,
            answers: Vec::new(),
        }));
        let serving = Arc::clone(&state);
        let address = serve(move |request| {
            let reply = serving.lock().unwrap().handle(&request);
            async { reply }
        })
        .await;
        let cloud = Self { address, state };
        let uri = format!("http://{}", cloud.address);
        cloud.state().versions.insert(
            FIRST_VERSION.to_owned(),
            Stored {
                value: Some(json!({
                    "client_id": CLIENT_ID, "client_secret": FIRST_VALUE, "token_endpoint": format!("{uri}/oauth2/token"),
                    "scope": SCOPE, "issuer": ISSUER, "jwks_uri": format!("{uri}/{POOL}/.well-known/jwks.json"),
                    "user_pool_id": POOL, "client_name": CLIENT,
                })),
                created: wall_clock(),
                labels: [AWSCURRENT.to_owned()].into(),
            },
        );
        cloud.state().uri = uri;
        cloud
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Secrets Manager begins a rotation: a version that is staged and has no value yet.
    fn begin_rotation(&self) -> String {
        let mut state = self.state();
        state.rotations += 1;
        let token = format!("00000000-0000-4000-8000-{:012}", state.rotations);
        state.versions.insert(token.clone(), Stored { value: None, created: wall_clock(), labels: BTreeSet::new() });
        state.put_label(AWSPENDING, Some(&token));
        token
    }

    /// Everything there is becomes older.
    fn a_month_passes(&self) {
        let month = Duration::from_hours(30 * 24);
        let mut state = self.state();
        state.client_secrets.iter_mut().for_each(|secret| secret.created -= month);
        state.versions.values_mut().for_each(|version| version.created -= month);
    }

    /// What a step could have changed.
    fn snapshot(&self) -> (Vec<ClientSecret>, BTreeMap<String, Stored>) {
        let state = self.state();
        (state.client_secrets.clone(), state.versions.clone())
    }

    /// The values that Cognito has, oldest first.
    fn values(&self) -> Vec<String> {
        self.state().client_secrets.iter().map(|secret| secret.value.clone()).collect()
    }

    fn labels(&self, version: &str) -> Vec<String> {
        self.state().versions[version].labels.iter().cloned().collect()
    }

    fn document(&self, version: &str) -> Value {
        self.state().versions[version].value.clone().unwrap()
    }

    fn value(&self, version: &str) -> String {
        self.document(version)["client_secret"].as_str().unwrap().to_owned()
    }

    fn holder(&self, label: &str) -> Option<String> {
        self.state().holder(label)
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    /// Those calls that change something, since they were last asked for.
    fn take_writes(&self) -> Vec<String> {
        writes(self.take_calls())
    }

    /// Somebody adds a secret to the client by hand.
    fn add_foreign(&self) -> String {
        self.state().add(FOREIGN_VALUE)
    }
}

fn writes(calls: Vec<String>) -> Vec<String> {
    calls.into_iter().filter(|call| !READS.contains(&call.as_str())).collect()
}

fn tags() -> BTreeMap<String, String> {
    let owner = Owner { stack_id: STACK_ID.to_owned(), logical_id: "M2M".to_owned() };
    let more = [("Environment", "dev"), ("Project", "m2m-auth")];
    owner.tags().into_iter().chain(more.map(|(key, value)| (key.to_owned(), value.to_owned()))).collect()
}

/// Secrets Manager knows milliseconds.
fn millis(date: Duration) -> Value {
    json!(Duration::from_millis(u64::try_from(date.as_millis()).unwrap()).as_secs_f64())
}

impl State {
    fn handle(&mut self, request: &Received) -> Reply {
        let authorization = request.header("authorization");
        if !authorization.is_empty() {
            self.confidential.insert(authorization.to_owned());
            // Also where only its last part is shown: the credentials or the signature.
            let part = authorization.rsplit([' ', '=']).find(|part| part.len() > 20).unwrap();
            self.confidential.insert(part.to_owned());
        }
        let path = request.path.split('?').next().unwrap();
        let call = match path {
            "/" => request.header("x-amz-target").split('.').nth(1).unwrap_or_default().to_owned(),
            "/oauth2/token" => TOKEN.to_owned(),
            "/answer" => ANSWER.to_owned(),
            _ => KEYS.to_owned(),
        };
        self.calls.push(call.clone());
        let fault = match &mut self.fault {
            Some((0, _)) => self.fault.take().map(|(_, fault)| fault),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if fault == Some(Fault::Before) {
            return Reply::Answer(500, Vec::new(), json!({ "__type": "InternalServiceError" }).to_string());
        }
        let reply = match call.as_str() {
            TOKEN => self.token(request),
            KEYS => {
                assert_eq!((request.method.as_str(), path), ("GET", format!("/{POOL}/.well-known/jwks.json").as_str()));
                ok(&json!({ "keys": [KEY.jwk()] }))
            }
            ANSWER => {
                self.answers.push(request.json());
                ok(&json!({}))
            }
            operation => self.operation(operation, &request.json()),
        };
        self.look_whether_awscurrent_is_good(&call);
        if fault == Some(Fault::After) { Reply::Lost } else { reply }
    }

    fn look_whether_awscurrent_is_good(&mut self, call: &str) {
        let current = self.holder(AWSCURRENT).and_then(|id| self.versions[&id].value.clone());
        let value = current.map(|document| document["client_secret"].clone());
        let good = value.is_some_and(|value| self.client_secrets.iter().any(|secret| value == secret.value.as_str()));
        if !good {
            self.cut_off.get_or_insert_with(|| call.to_owned());
        }
    }

    fn token(&mut self, request: &Received) -> Reply {
        assert_eq!(request.body, b"grant_type=client_credentials");
        let basic = |value: &str| format!("Basic {}", base64::encode(format!("{CLIENT_ID}:{value}")));
        let given = request.header("authorization");
        let known =
            self.client_secrets.iter().any(|secret| secret.known_from <= now() && basic(&secret.value) == given);
        let remembered = self.deleted.iter().any(|(value, until)| *until > now() && basic(value) == given);
        if !known && !remembered {
            return Reply::Answer(400, Vec::new(), r#"{"error":"invalid_client"}"#.to_owned());
        }
        let now = wall_clock().as_secs();
        let token = KEY.sign(&json!({
            "sub": CLIENT_ID, "client_id": CLIENT_ID, "token_use": "access", "scope": self.granted_scope,
            "iss": ISSUER, "iat": now, "auth_time": now, "exp": now + 3600, "version": 2, "jti": "0a1b",
        }));
        self.confidential.extend(token.rsplit('.').next().map(ToOwned::to_owned));
        ok(&json!({ "access_token": token, "expires_in": 3600, "token_type": "Bearer" }))
    }

    fn operation(&mut self, operation: &str, body: &Value) -> Reply {
        let text = |key: &str| body[key].as_str();
        if let Some(id) = text("SecretId")
            && ![SECRET, SECRET_ARN].contains(&id)
        {
            return refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
        }
        match operation {
            "ListUserPoolClientSecrets" => self.list_client_secrets(text("NextToken")),
            "AddUserPoolClientSecret" => self.add_client_secret(text("ClientSecret").unwrap()),
            "DeleteUserPoolClientSecret" => self.delete_client_secret(text("ClientSecretId").unwrap()),
            "DescribeSecret" => self.describe_secret(),
            "GetSecretValue" => self.get_secret_value(text("VersionId"), text("VersionStage")),
            "PutSecretValue" => self.put_secret_value(body),
            "UpdateSecretVersionStage" => self.update_secret_version_stage(body),
            "UpdateSecret" => {
                text("Description").unwrap().clone_into(&mut self.description);
                ok(&json!({ "ARN": SECRET_ARN }))
            }
            // The rest is for the provider, which looks at everything and finds it in order.
            "ListSecrets" => ok(&json!({ "SecretList": [{ "Name": SECRET, "Tags": self.tag_list() }] })),
            "DescribeUserPool" => ok(&json!({ "UserPool": {
                "Id": POOL, "Name": "machine-to-machine-dev", "Arn": "arn:pool", "UserPoolTags": self.tags,
                "UserPoolTier": "ESSENTIALS", "DeletionProtection": "INACTIVE", "Domain": "m2m-rubicon-dev",
                "AdminCreateUserConfig": { "AllowAdminCreateUserOnly": true }, "MfaConfiguration": "OFF",
                "AccountRecoverySetting": { "RecoveryMechanisms": [{ "Priority": 1, "Name": "admin_only" }] },
            } })),
            "DescribeUserPoolDomain" => ok(&json!({ "DomainDescription": {
                "UserPoolId": POOL, "Domain": "m2m-rubicon-dev", "Status": "ACTIVE", "ManagedLoginVersion": 2,
            } })),
            "ListResourceServers" => {
                let scope = |name: &str| json!({ "ScopeName": name, "ScopeDescription": name });
                ok(&json!({ "ResourceServers": [{
                    "UserPoolId": POOL, "Identifier": "m2m-client", "Name": "m2m-client",
                    "Scopes": [scope("read"), scope("write")],
                }] }))
            }
            "ListUserPoolClients" => {
                ok(&json!({ "UserPoolClients": [{ "ClientId": CLIENT_ID, "ClientName": CLIENT }] }))
            }
            "DescribeUserPoolClient" => ok(&json!({ "UserPoolClient": {
                // Which of its secrets Cognito shows is not documented; this is the one to be wary of.
                "ClientId": CLIENT_ID, "ClientName": CLIENT, "ClientSecret": self.client_secrets[0].value,
                "AllowedOAuthFlows": ["client_credentials"], "AllowedOAuthFlowsUserPoolClient": true,
                "AllowedOAuthScopes": SCOPE.split(' ').collect::<Vec<_>>(),
                "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"], "PreventUserExistenceErrors": "ENABLED",
                "EnableTokenRevocation": true, "AccessTokenValidity": 60,
                "TokenValidityUnits": { "AccessToken": "minutes" },
            } })),
            unknown => refused("UnknownOperationException", unknown),
        }
    }

    /// One a page, so that whoever reads only the first page is found out.
    fn list_client_secrets(&self, next: Option<&str>) -> Reply {
        let at: usize = next.map_or(0, |next| next.parse().unwrap());
        let shown =
            self.client_secrets.iter().skip(at).take(1).map(
                |secret| json!({ "ClientSecretId": secret.id, "ClientSecretCreateDate": secret.created.as_secs() }),
            );
        let next = (at + 1 < self.client_secrets.len()).then(|| (at + 1).to_string());
        ok(&json!({ "ClientSecrets": shown.collect::<Vec<_>>(), "NextToken": next }))
    }

    fn add_client_secret(&mut self, value: &str) -> Reply {
        self.confidential.insert(value.to_owned());
        if self.client_secrets.len() >= 2 {
            return refused("LimitExceededException", "The client has the maximum number of secrets.");
        }
        let fits = (24..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            // As the service does, with the value.
            return refused("InvalidParameterException", &format!("Value '{value}' at 'clientSecret' failed"));
        }
        let id = self.add(value);
        ok(&json!({ "ClientSecretDescriptor": {
            "ClientSecretId": id, "ClientSecretValue": value, "ClientSecretCreateDate": wall_clock().as_secs(),
        } }))
    }

    fn add(&mut self, value: &str) -> String {
        let created = wall_clock();
        // Two of one second have different numbers.
        let id = format!("{CLIENT_ID}--{}{}", created.as_millis(), self.client_secrets.len());
        let known_from = now() + self.learns_within;
        self.client_secrets.push(ClientSecret { id: id.clone(), value: value.to_owned(), created, known_from });
        id
    }

    fn delete_client_secret(&mut self, id: &str) -> Reply {
        let Some(index) = self.client_secrets.iter().position(|secret| secret.id == id) else {
            return refused("ResourceNotFoundException", "There is no such client secret.");
        };
        if self.client_secrets.len() == 1 {
            return refused("InvalidParameterException", "A client's last secret cannot be deleted.");
        }
        let gone = self.client_secrets.remove(index);
        self.deleted.push((gone.value, now() + self.forgets_within));
        ok(&json!({}))
    }

    fn tag_list(&self) -> Value {
        self.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
    }

    fn describe_secret(&self) -> Reply {
        let staged = self.versions.iter().filter(|(_, version)| !version.labels.is_empty());
        ok(&json!({
            "ARN": SECRET_ARN, "Name": SECRET, "Description": self.description, "Tags": self.tag_list(),
            "DeletedDate": self.scheduled.then(|| wall_clock().as_secs()),
            "VersionIdsToStages": staged.map(|(id, version)| (id, &version.labels)).collect::<BTreeMap<_, _>>(),
        }))
    }

    fn get_secret_value(&self, id: Option<&str>, stage: Option<&str>) -> Reply {
        let id = id.map(ToOwned::to_owned).or_else(|| self.holder(stage.unwrap_or(AWSCURRENT)));
        let found = id.and_then(|id| self.versions.get(&id).map(|version| (id, version)));
        let Some((id, Stored { value: Some(value), created, labels })) = found else {
            return refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret value.");
        };
        ok(&json!({
            "ARN": SECRET_ARN, "Name": SECRET, "VersionId": id, "SecretString": value.to_string(),
            "VersionStages": labels, "CreatedDate": millis(*created),
        }))
    }

    fn put_secret_value(&mut self, body: &Value) -> Reply {
        let token = body["ClientRequestToken"].as_str().unwrap();
        let value: Value = serde_json::from_str(body["SecretString"].as_str().unwrap()).unwrap();
        self.confidential.extend(value["client_secret"].as_str().map(ToOwned::to_owned));
        if let Some(Stored { value: Some(present), .. }) = self.versions.get(token) {
            // The same value again is ignored, another one refused.
            if *present != value {
                return refused("ResourceExistsException", "ClientRequestToken is already in use for a version.");
            }
            return ok(&json!({ "ARN": SECRET_ARN, "VersionId": token }));
        }
        let labels = self.versions.get(token).map(|version| version.labels.clone()).unwrap_or_default();
        self.versions.insert(token.to_owned(), Stored { value: Some(value), created: wall_clock(), labels });
        let stages = body["VersionStages"].as_array().cloned().unwrap_or_else(|| vec![json!(AWSCURRENT)]);
        for stage in stages {
            self.put_label(stage.as_str().unwrap(), Some(token));
        }
        ok(&json!({ "ARN": SECRET_ARN, "VersionId": token }))
    }

    fn update_secret_version_stage(&mut self, body: &Value) -> Reply {
        let label = body["VersionStage"].as_str().unwrap();
        let (from, to) = (body["RemoveFromVersionId"].as_str(), body["MoveToVersionId"].as_str());
        if to.is_some_and(|to| !self.versions.contains_key(to)) {
            return refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.");
        }
        let holder = self.holder(label);
        // The present holder is to be named, and nobody else.
        if from != holder.as_deref() && !(holder.as_deref() == to && from.is_none()) {
            return refused("InvalidParameterException", "RemoveFromVersionId is not where the staging label is.");
        }
        if label == AWSCURRENT && to.is_none() {
            return refused("InvalidParameterException", "You can't remove AWSCURRENT; move it to another version.");
        }
        self.put_label(label, to);
        ok(&json!({ "ARN": SECRET_ARN, "Name": SECRET }))
    }

    fn holder(&self, label: &str) -> Option<String> {
        self.versions.iter().find(|(_, version)| version.labels.contains(label)).map(|(id, _)| id.clone())
    }

    /// AWSPREVIOUS goes to where AWSCURRENT comes from.
    fn put_label(&mut self, label: &str, to: Option<&str>) {
        let holder = self.holder(label);
        if holder.as_deref() == to {
            return;
        }
        if let Some(holder) = holder {
            self.versions.get_mut(&holder).unwrap().labels.remove(label);
            if label == AWSCURRENT {
                self.put_label(AWSPREVIOUS, Some(&holder));
            }
        }
        if let Some(version) = to.and_then(|to| self.versions.get_mut(to)) {
            version.labels.insert(label.to_owned());
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Lambda.

/// One function's process and the Runtime API that it asks for events.
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
struct Function {
    process: Child,
    said: Vec<JoinHandle<Vec<u8>>>,
    events: mpsc::UnboundedSender<(Value, Duration)>,
    outcomes: mpsc::UnboundedReceiver<Result<(), String>>,
}

impl Function {
    async fn start(program: &str, cloud: &Cloud) -> Self {
        let (events, waiting) = mpsc::unbounded_channel();
        let (done, outcomes) = mpsc::unbounded_channel();
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        let runtime = serve(move |request| {
            let (waiting, done) = (Arc::clone(&waiting), done.clone());
            async move { runtime_api(&request, &waiting, &done).await }
        })
        .await;
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).envs(
            [
                ("AWS_LAMBDA_RUNTIME_API", runtime.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "function"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
                ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
                // Of no effect beside the other, as it must be.
                ("RUST_LOG", "trace"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
                ("AWS_SECRET_ACCESS_KEY", AWS_SECRET_KEY),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("AWS_ENDPOINT_URL", &format!("http://{}", cloud.address)),
            ],
        );
        let mut process = command.spawn().unwrap();
        let said = vec![listen(process.stdout.take().unwrap()), listen(process.stderr.take().unwrap())];
        Self { process, said, events, outcomes }
    }

    /// Runs one event; the error is what Lambda is told.
    async fn invoke(&mut self, event: Value, within: Duration) -> Result<(), String> {
        self.events.send((event, within)).unwrap();
        // A little more than the function has.
        let outcome = timeout(within + Duration::from_secs(10), self.outcomes.recv()).await;
        outcome.unwrap_or_else(|_| panic!("the function did not end in its time")).unwrap()
    }

    /// All that the process has printed.
    async fn stop(mut self) -> String {
        self.process.kill().await.unwrap();
        let mut all = Vec::new();
        for said in self.said {
            all.extend(said.await.unwrap());
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

fn listen(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<Vec<u8>> {
    tokio::spawn(async move {
        let mut said = Vec::new();
        pipe.read_to_end(&mut said).await.unwrap();
        said
    })
}

async fn runtime_api(
    request: &Received,
    waiting: &tokio::sync::Mutex<mpsc::UnboundedReceiver<(Value, Duration)>>,
    done: &mpsc::UnboundedSender<Result<(), String>>,
) -> Reply {
    let accepted = Reply::Answer(202, Vec::new(), r#"{"status":"OK"}"#.to_owned());
    let told = match request.path.rsplit('/').next() {
        Some("next") => {
            let Some((event, within)) = waiting.lock().await.recv().await else { return Reply::Lost };
            let deadline = (wall_clock() + within).as_millis();
            let headers = vec![
                ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
                ("lambda-runtime-deadline-ms", deadline.to_string()),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned()),
            ];
            return Reply::Answer(200, headers, event.to_string());
        }
        Some("response") => Ok(()),
        Some("error") => Err(request.json()["errorMessage"].as_str().unwrap_or_default().to_owned()),
        _ => panic!("{} is no path of the Runtime API", request.path),
    };
    // Nobody waits any more once the test has ended.
    let _ = done.send(told);
    accepted
}

// ---------------------------------------------------------------------------------------------
// One case: a cloud and a function.

struct Case {
    cloud: Cloud,
    function: Function,
    /// What Lambda was told of failures.
    errors: Vec<String>,
}

impl Case {
    async fn start() -> Self {
        Self::of(env!("CARGO_BIN_EXE_rotation")).await
    }

    async fn of(program: &str) -> Self {
        let cloud = Cloud::start().await;
        let function = Function::start(program, &cloud).await;
        Self { cloud, function, errors: Vec::new() }
    }

    async fn invoke(&mut self, event: Value, within: Duration) -> Result<(), String> {
        let outcome = self.function.invoke(event, within).await;
        self.errors.extend(outcome.clone().err());
        outcome
    }

    async fn step(&mut self, step: &str, token: &str) -> Result<(), String> {
        self.invoke(rotation_event(step, token), TIMEOUT).await
    }

    /// Runs a step that must succeed; gives the writes that it made.
    async fn does(&mut self, step: &str, token: &str) -> Vec<String> {
        self.cloud.take_calls();
        self.step(step, token).await.unwrap_or_else(|error| panic!("{step}: {error}"));
        self.cloud.take_writes()
    }

    /// Runs a step that must succeed and change nothing.
    async fn does_nothing(&mut self, step: &str, token: &str) {
        let before = self.cloud.snapshot();
        assert_eq!(self.does(step, token).await, Vec::<String>::new(), "{step} again");
        assert!(self.cloud.snapshot() == before, "{step} again has changed something");
    }

    /// Runs an event that must fail and change nothing; gives the error.
    async fn fails(&mut self, event: Value) -> String {
        let before = self.cloud.snapshot();
        self.cloud.take_calls();
        let error = self.invoke(event.clone(), Duration::from_secs(8)).await.expect_err(&event.to_string());
        assert_eq!(self.cloud.take_writes(), Vec::<String>::new(), "{event}: {error}");
        assert!(self.cloud.snapshot() == before, "{event} has changed something");
        error
    }

    /// A whole rotation; gives its token.
    async fn rotates(&mut self) -> String {
        self.cloud.a_month_passes();
        let token = self.cloud.begin_rotation();
        for step in STEPS {
            self.does(step, &token).await;
        }
        token
    }

    /// AWSCURRENT was good all the time, and nothing that was said gives anything away.
    async fn ends(self) {
        let said = self.function.stop().await;
        let state = self.cloud.state();
        assert_eq!(state.cut_off, None, "AWSCURRENT's credentials were no good after this call");
        assert!(said.contains("event received"), "nothing was logged");
        let told: Vec<_> = state.answers.iter().map(ToString::to_string).collect();
        // The text itself is not printed: it may hold the secret.
        for (place, text) in [("log", said), ("errors", self.errors.join("\n")), ("answers", told.join("\n"))] {
            let shown = state.confidential.iter().filter(|secret| text.contains(secret.as_str())).count();
            assert_eq!(shown, 0, "the {place} shows secrets");
            let lower = text.to_ascii_lowercase();
            for word in ["authorization", "access_token", "basic ", "aws4-hmac-sha256", "canary", "eyj"] {
                assert!(!lower.contains(word), "the {place} holds {word:?}");
            }
        }
    }
}

fn rotation_event(step: &str, token: &str) -> Value {
    json!({ "Step": step, "SecretId": SECRET_ARN, "ClientRequestToken": token, "RotationToken": "unused" })
}

// ---------------------------------------------------------------------------------------------
// Rotations that succeed.

#[tokio::test]
async fn three_rotations_in_a_row_cut_nobody_off_and_every_step_may_be_repeated() {
    let mut case = Case::start().await;
    let cloud = case.cloud.clone();
    for round in 1..=3 {
        cloud.a_month_passes();
        let current = cloud.holder(AWSCURRENT).unwrap();
        let (before, document) = (cloud.values(), cloud.document(&current));
        let token = cloud.begin_rotation();

        assert_eq!(case.does("createSecret", &token).await, ["PutSecretValue"]);
        let mut pending = cloud.document(&token);
        let value = cloud.value(&token);
        assert!(value.len() == 64 && value.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(!before.contains(&value), "the value is not new");
        pending["client_secret"] = document["client_secret"].clone();
        assert!(pending == document, "another key has changed");
        assert_eq!((cloud.labels(&token), cloud.labels(&current)), (vec![AWSPENDING.into()], vec![AWSCURRENT.into()]));
        case.does_nothing("createSecret", &token).await;

        let writes = case.does("setSecret", &token).await;
        let former: &[&str] = if round == 1 { &[] } else { &["DeleteUserPoolClientSecret"] };
        assert_eq!(writes, [former, &["UpdateSecretVersionStage", "AddUserPoolClientSecret"]].concat());
        assert!(cloud.values() == [cloud.value(&current), value.clone()], "Cognito holds other secrets");
        case.does_nothing("setSecret", &token).await;

        case.does_nothing("testSecret", &token).await;
        case.does_nothing("testSecret", &token).await;

        let writes = case.does("finishSecret", &token).await;
        assert_eq!(writes, ["UpdateSecretVersionStage"; 3]);
        assert_eq!((cloud.labels(&token), cloud.labels(&current)), (vec![AWSCURRENT.into()], vec![AWSPREVIOUS.into()]));
        // Who read the former version is not cut off either.
        assert!(cloud.values() == [cloud.value(&current), value], "Cognito holds other secrets");
        // Whatever comes again after the end has nothing left to do.
        for step in STEPS {
            case.does_nothing(step, &token).await;
        }
    }
    case.ends().await;
}

#[tokio::test]
async fn the_test_of_a_new_schedule_passes_and_changes_nothing() {
    let mut case = Case::start().await;
    // Secrets Manager runs testSecret alone on a version that it removes again. That it holds a copy
    // of AWSCURRENT is said by its users and not by its documentation, so both are tried.
    let token = case.cloud.begin_rotation();
    case.does_nothing("testSecret", &token).await;
    let copy = case.cloud.document(FIRST_VERSION);
    case.cloud.state().versions.get_mut(&token).unwrap().value = Some(copy);
    for step in ["createSecret", "setSecret", "testSecret"] {
        case.does_nothing(step, &token).await;
    }
    assert!(case.cloud.take_calls().is_empty() && case.cloud.values() == [FIRST_VALUE]);
    case.ends().await;
}

#[tokio::test]
async fn a_secret_that_the_token_endpoint_knows_only_after_some_seconds_passes() {
    let mut case = Case::start().await;
    let token = case.cloud.begin_rotation();
    case.cloud.state().learns_within = Duration::from_secs(3);
    for step in ["createSecret", "setSecret"] {
        case.does(step, &token).await;
    }
    let started = now();
    assert_eq!(case.step("testSecret", &token).await, Ok(()));
    assert!(started.elapsed() >= Duration::from_secs(2), "the endpoint was not waited for");
    let asked = case.cloud.take_calls().iter().filter(|call| *call == TOKEN).count();
    assert!(asked >= 2, "asked {asked} times");
    assert_eq!(case.does("finishSecret", &token).await.len(), 2);
    case.ends().await;
}

#[tokio::test]
async fn what_the_stack_says_beside_the_secret_is_kept_where_it_was_updated_in_between() {
    let mut case = Case::start().await;
    let cloud = case.cloud.clone();
    cloud.a_month_passes();
    let token = cloud.begin_rotation();
    for step in ["createSecret", "setSecret", "testSecret"] {
        case.does(step, &token).await;
    }
    let mut updated = cloud.document(FIRST_VERSION);
    updated["scope"] = json!("m2m-client/read");
    let body = json!({ "ClientRequestToken": "of-the-update", "SecretString": updated.to_string() });
    cloud.state().put_secret_value(&body);

    let writes = case.does("finishSecret", &token).await;
    let labels = ["UpdateSecretVersionStage"; 3];
    assert_eq!(writes, [&["PutSecretValue"][..], &labels].concat());
    let current = cloud.holder(AWSCURRENT).unwrap();
    updated["client_secret"] = json!(cloud.value(&token));
    assert!(cloud.document(&current) == updated, "AWSCURRENT is not the update with the new secret");
    assert_eq!(cloud.holder(AWSPENDING), None);
    // Its version has no label any more, so that nothing but the step that took it may come again.
    case.does_nothing("finishSecret", &token).await;
    let error = case.fails(rotation_event("setSecret", &token)).await;
    assert!(error.contains("is not staged"), "{error}");
    cloud.state().granted_scope = "m2m-client/read".to_owned();
    let next = case.rotates().await;
    assert!(cloud.values() == [cloud.value(&token), cloud.value(&next)], "Cognito holds other secrets");
    case.ends().await;
}

#[tokio::test]
async fn the_former_secret_is_found_by_its_label_where_the_stack_was_updated_since() {
    let mut case = Case::start().await;
    let cloud = case.cloud.clone();
    let first = case.rotates().await;
    // As the provider does it: AWSPREVIOUS goes to an older text about the present credentials.
    let mut updated = cloud.document(&first);
    updated["scope"] = json!("m2m-client/read");
    let body = json!({ "ClientRequestToken": "of-the-update", "SecretString": updated.to_string() });
    cloud.state().put_label(FORMER, Some(FIRST_VERSION));
    cloud.state().put_secret_value(&body);
    cloud.state().granted_scope = "m2m-client/read".to_owned();
    assert_eq!(cloud.labels(&first), [AWSPREVIOUS]);

    let second = case.rotates().await;
    assert!(cloud.values() == [cloud.value(&first), cloud.value(&second)], "Cognito holds other secrets");
    case.ends().await;
}

// ---------------------------------------------------------------------------------------------
// Faults.

/// The second rotation with this fault; Secrets Manager calls a step that failed again.
async fn rotates_in_spite_of(fault: (usize, Fault)) {
    let mut case = Case::start().await;
    let cloud = case.cloud.clone();
    let first = case.rotates().await;
    cloud.a_month_passes();
    let token = cloud.begin_rotation();
    cloud.take_calls();
    cloud.state().fault = Some(fault);
    for step in STEPS {
        let mut outcome = case.step(step, &token).await;
        if outcome.is_err() {
            outcome = case.step(step, &token).await;
        }
        let calls = cloud.take_calls();
        outcome.unwrap_or_else(|error| panic!("call {} lost; {step}: {error}; it made {calls:?}", fault.0));
    }
    assert!(cloud.values() == [cloud.value(&first), cloud.value(&token)], "call {} lost: other secrets", fault.0);
    assert_eq!(cloud.labels(&token), [AWSCURRENT], "call {} lost", fault.0);
    assert_eq!(cloud.labels(&first), [AWSPREVIOUS], "call {} lost", fault.0);
    assert!(cloud.state().fault.is_none(), "there is no call {}", fault.0);
    case.ends().await;
}

#[tokio::test]
async fn every_single_call_of_a_rotation_may_fail_or_lose_its_answer() {
    let mut case = Case::start().await;
    case.rotates().await;
    case.cloud.a_month_passes();
    let token = case.cloud.begin_rotation();
    case.cloud.take_calls();
    let mut calls = 0;
    for step in STEPS {
        case.step(step, &token).await.unwrap();
        calls += case.cloud.take_calls().len();
    }
    case.ends().await;
    assert!(calls > 20, "only {calls} calls");

    let faults = (0..calls).flat_map(|call| [(call, Fault::Before), (call, Fault::After)]);
    stream::iter(faults).for_each_concurrent(8, rotates_in_spite_of).await;
}

#[tokio::test]
async fn awscurrents_secret_stays_where_the_token_endpoint_lags_behind() {
    let mut case = Case::start().await;
    let cloud = case.cloud.clone();
    let first = case.rotates().await;
    cloud.a_month_passes();
    let token = cloud.begin_rotation();
    // For a while the endpoint still takes the secret that goes and does not take the one that comes.
    let lag = Duration::from_secs(5);
    (cloud.state().learns_within, cloud.state().forgets_within) = (lag, lag);
    for step in ["createSecret", "setSecret"] {
        case.does(step, &token).await;
    }
    // Lambda may deliver a step twice; that it cannot tell the secrets apart now is no harm.
    let again = case.step("setSecret", &token).await;
    assert!(
        cloud.values() == [cloud.value(&first), cloud.value(&token)],
        "a setSecret that came again ({again:?}) has changed the secrets"
    );
    case.does_nothing("testSecret", &token).await;
    case.does_nothing("setSecret", &token).await;
    case.does("finishSecret", &token).await;
    case.ends().await;
}

// ---------------------------------------------------------------------------------------------
// Refusals.

#[tokio::test]
async fn a_version_that_is_not_staged_is_an_error_and_nothing_is_written() {
    let mut case = Case::start().await;
    let first = case.rotates().await;
    let second = case.rotates().await;
    let unknown = "99999999-0000-4000-8000-000000000000";
    // Nobody's; AWSPREVIOUS's; one without any label.
    assert_eq!(case.cloud.labels(&first), [AWSPREVIOUS]);
    assert_eq!(case.cloud.labels(FIRST_VERSION), Vec::<String>::new());
    for version in [unknown, &first, FIRST_VERSION] {
        for step in STEPS {
            let error = case.fails(rotation_event(step, version)).await;
            assert!(error.contains(version) && error.contains("not staged AWSPENDING"), "{error}");
        }
    }
    assert_eq!(case.cloud.labels(&second), [AWSCURRENT]);
    case.ends().await;
}

#[tokio::test]
async fn a_secret_without_the_ownership_tags_is_an_error_and_nothing_is_written() {
    let mut case = Case::start().await;
    let token = case.cloud.begin_rotation();
    for lacking in ["ManagedBy", "cognito-m2m:stack-id", "cognito-m2m:logical-id"] {
        case.cloud.state().tags = tags();
        case.cloud.state().tags.remove(lacking);
        for step in STEPS {
            let error = case.fails(rotation_event(step, &token)).await;
            assert!(error.contains(SECRET_ARN) && error.contains("ownership tags"), "without {lacking}: {error}");
        }
    }
    case.cloud.state().tags = tags();
    case.cloud.state().tags.insert("ManagedBy".into(), "somebody else".into());
    let error = case.fails(rotation_event("createSecret", &token)).await;
    assert!(error.contains("ownership tags"), "{error}");
    case.ends().await;
}

#[tokio::test]
async fn what_is_no_step_of_a_rotation_is_an_error_and_asks_aws_nothing() {
    let mut case = Case::start().await;
    let token = case.cloud.begin_rotation();
    for step in ["", "createsecret", "deleteSecret", "createSecret "] {
        let error = case.fails(rotation_event(step, &token)).await;
        assert!(error.contains(&format!("{step:?}")) && error.contains("finishSecret"), "{error}");
    }
    for event in
        [json!({}), json!([]), json!({ "Step": "createSecret", "SecretId": SECRET_ARN }), json!("createSecret")]
    {
        let error = case.fails(event).await;
        assert!(error.contains("cannot be read"), "{error}");
    }
    assert_eq!(case.cloud.take_calls(), Vec::<String>::new());
    case.ends().await;
}

#[tokio::test]
async fn a_secret_that_is_gone_or_going_is_an_error_and_nothing_is_written() {
    let mut case = Case::start().await;
    let token = case.cloud.begin_rotation();
    let gone =
        json!({ "Step": "createSecret", "SecretId": "arn:aws:secretsmanager:gone", "ClientRequestToken": token });
    let error = case.fails(gone).await;
    assert!(error.contains("arn:aws:secretsmanager:gone does not exist"), "{error}");
    case.cloud.state().scheduled = true;
    for step in STEPS {
        let error = case.fails(rotation_event(step, &token)).await;
        assert!(error.contains("scheduled for deletion"), "{error}");
    }
    case.ends().await;
}

#[tokio::test]
async fn a_second_client_secret_of_somebody_elses_is_named_and_not_deleted() {
    let mut case = Case::start().await;
    let cloud = case.cloud.clone();
    cloud.a_month_passes();
    let foreign = cloud.add_foreign();
    let token = cloud.begin_rotation();
    case.does("createSecret", &token).await;
    // Older than ours or younger: by age alone it is not taken for the former one.
    for _ in 0..2 {
        let error = case.fails(rotation_event("setSecret", &token)).await;
        assert!(error.contains(&foreign) && error.contains(CLIENT_ID) && error.contains(POOL), "{error}");
        assert!(error.contains("delete-user-pool-client-secret"), "{error}");
        cloud.state().client_secrets[0].created += Duration::from_hours(2000 * 24);
    }
    // Once it is removed the rotation goes on from where it stopped.
    cloud.state().client_secrets.pop();
    for step in &STEPS[1..] {
        case.does(step, &token).await;
    }
    assert_eq!(cloud.labels(&token), [AWSCURRENT]);

    // The same after a rotation, where somebody has put his own in the former one's place.
    cloud.a_month_passes();
    let former = cloud.state().client_secrets.remove(0);
    let foreign = cloud.add_foreign();
    let token = cloud.begin_rotation();
    case.does("createSecret", &token).await;
    let error = case.fails(rotation_event("setSecret", &token)).await;
    assert!(error.contains(&foreign) && !error.contains(&former.id), "{error}");
    case.ends().await;
}

#[tokio::test]
async fn awscurrent_is_not_moved_to_a_secret_that_gets_no_good_token() {
    let mut case = Case::start().await;
    let token = case.cloud.begin_rotation();
    // Nobody has given it to Cognito.
    case.does("createSecret", &token).await;
    let error = case.fails(rotation_event("testSecret", &token)).await;
    assert!(error.contains("invalid_client") && error.contains(CLIENT), "{error}");
    assert!(error.contains("AWSCURRENT was not moved"), "{error}");

    case.does("setSecret", &token).await;
    case.cloud.state().granted_scope = "m2m-client/read".to_owned();
    let error = case.fails(rotation_event("testSecret", &token)).await;
    assert!(error.contains("scopes"), "{error}");
    assert_eq!(case.cloud.labels(FIRST_VERSION), [AWSCURRENT]);
    case.ends().await;
}

#[tokio::test]
async fn a_secret_that_is_no_document_is_an_error_and_is_not_quoted() {
    let mut case = Case::start().await;
    let token = case.cloud.begin_rotation();
    // Before createSecret there is nothing to set and nothing to move to.
    for step in ["setSecret", "finishSecret"] {
        let error = case.fails(rotation_event(step, &token)).await;
        assert!(error.contains("AWSPENDING holds no client's document"), "{error}");
    }
    case.cloud.state().versions.get_mut(FIRST_VERSION).unwrap().value = Some(json!({ "password": FIRST_VALUE }));
    let error = case.fails(rotation_event("createSecret", &token)).await;
    assert!(error.contains("AWSCURRENT holds no client's document"), "{error}");
    // It was this test that took the good credentials away.
    case.cloud.state().cut_off = None;
    case.ends().await;
}

// ---------------------------------------------------------------------------------------------
// The provider.

fn update_event(cloud: &Cloud, request_id: &str, rotate_secrets: &str, old: &str) -> Value {
    json!({
        "RequestType": "Update", "ResourceType": "Custom::CognitoM2M", "StackId": STACK_ID, "RequestId": request_id,
        "LogicalResourceId": "M2M", "PhysicalResourceId": POOL,
        "ResponseURL": format!("http://{}/answer?X-Amz-Signature=canary0signature", cloud.address),
        "ResourceProperties": { "ServiceToken": "arn", "RotateSecrets": rotate_secrets },
        "OldResourceProperties": { "ServiceToken": "arn", "RotateSecrets": old },
    })
}

#[tokio::test]
async fn the_provider_rotates_once_for_a_new_value_and_not_for_a_redelivery_or_a_rollback() {
    let mut case = Case::of(env!("CARGO_BIN_EXE_provider")).await;
    let cloud = case.cloud.clone();
    cloud.a_month_passes();
    let update = async |case: &mut Case, request_id: &str, value: &str, old: &str| {
        cloud.take_calls();
        assert_eq!(case.invoke(update_event(&cloud, request_id, value, old), TIMEOUT).await, Ok(()));
        let calls = cloud.take_calls();
        assert_eq!(calls.iter().filter(|call| *call == ANSWER).count(), 1, "{calls:?}");
        let answer = cloud.state().answers.last().cloned().unwrap();
        assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!(POOL)), "{answer}");
        writes(calls)
    };

    assert_eq!(update(&mut case, "r0", "", "").await, Vec::<String>::new());
    let rotation = [
        "PutSecretValue",
        "UpdateSecretVersionStage",
        "AddUserPoolClientSecret",
        "UpdateSecretVersionStage",
        "UpdateSecretVersionStage",
        "UpdateSecretVersionStage",
        "UpdateSecret",
    ];
    assert_eq!(update(&mut case, "r1", "2026-06", "").await, rotation);
    let current = cloud.holder(AWSCURRENT).unwrap();
    assert_eq!((cloud.holder(AWSPREVIOUS).as_deref(), cloud.holder(AWSPENDING)), (Some(FIRST_VERSION), None));
    assert!(cloud.values() == [FIRST_VALUE.to_owned(), cloud.value(&current)], "Cognito holds other secrets");

    assert_eq!(update(&mut case, "r1", "2026-06", "").await, Vec::<String>::new(), "a redelivery");
    // What the secret remembers changes, and nothing else.
    assert_eq!(update(&mut case, "r2", "", "2026-06").await, ["UpdateSecret"], "a rollback");
    assert_eq!(cloud.holder(AWSCURRENT), Some(current));
    case.ends().await;
}
