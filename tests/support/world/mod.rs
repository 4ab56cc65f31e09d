//! AWS over HTTP on this machine, for tests of the real binaries and for the benchmark.
//!
//! One server plays Cognito and Secrets Manager (AWS JSON 1.1), CloudFormation, IAM and STS (AWS
//! Query), Cognito's token endpoint with its keys, and the bucket behind a ResponseURL. It keeps real
//! state by AWS's own rules: one function for each operation, in one file for each service. AWS
//! itself is never called.

pub mod cloudformation;
pub mod cognito;
pub mod http;
pub mod iam;
pub mod protocol;
#[path = "../quotas.rs"]
mod quotas;
pub mod secrets_manager;
pub mod seed;
pub mod token_endpoint;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use cognito_m2m::clock::now;
use serde_json::Value;
use tokio::time::Instant;

use self::{
    cloudformation::Stack,
    cognito::{ForgottenSecret, Pool},
    http::{Reply, Request, Server},
    protocol::{Refusal, field},
    quotas::Quotas,
    secrets_manager::Secret,
};

/// The names of the requests that are not operations of AWS's API.
pub const TOKEN: &str = "POST /oauth2/token";
pub const KEYS: &str = "GET jwks.json";
pub const ANSWER: &str = "PUT ResponseURL";

/// The operation that issues a token without a domain.
pub const CLIENT_TOKEN: &str = "GetClientToken";

pub const ACCOUNT: &str = "123456789012";

/// Cognito's quota: calls of one operation on one pool in a second.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html>
const TOO_MANY: &str = "TooManyRequestsException";
pub const CALLS_AT_A_PACE: usize = 5;
pub const PACE: Duration = Duration::from_secs(1);

/// One request as the world saw it.
#[derive(Clone)]
pub struct Call {
    /// The operation, or one of [`TOKEN`], [`KEYS`] and [`ANSWER`].
    pub name: String,
    pub body: String,
    /// The service refused the call, because there were too many.
    pub throttled: bool,
    pub start: Instant,
    pub end: Instant,
}

impl Call {
    /// Whether the call changes something. A call that is not known to read counts as a write.
    pub fn is_write(&self) -> bool {
        let reads = ["List", "Describe", "Get", "Simulate", "GET", "PUT", "POST"];
        !reads.iter().any(|read| self.name.starts_with(read))
    }
}

/// What goes wrong with one call.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    /// A server error, and nothing happens.
    Before,
    /// The call takes effect, and the connection breaks without an answer.
    After,
}

/// All that AWS holds and how it behaves. Tests read and change it between calls.
pub struct Aws {
    pub region: String,
    pub pools: BTreeMap<String, Pool>,
    pub secrets: BTreeMap<String, Secret>,
    pub stacks: Vec<Stack>,
    /// What all stacks export.
    pub exports: Vec<(String, String)>,
    /// The names with an A record that a custom domain may be under.
    pub zones: BTreeSet<String>,
    /// The certificates in us-east-1.
    pub certificates: BTreeSet<String>,
    /// The ARN of whoever calls.
    pub caller: String,
    /// The ARNs of the roles, by name.
    pub roles: BTreeMap<String, String>,
    /// The actions that the caller may not take, each with the decision that IAM's simulator gives.
    pub denied: BTreeMap<String, String>,
    /// The key set of every pool.
    pub keys: Value,
    /// The access tokens that were issued.
    pub tokens: Vec<String>,
    /// What was PUT to the ResponseURL.
    pub answers: Vec<Value>,

    /// How long each call takes.
    pub latency: Duration,
    /// Whether Cognito keeps its quotas of requests in a second.
    pub quota: bool,
    /// The longest page of a listing, if it is to be shorter than AWS's own.
    pub page_size: usize,
    /// How long the token endpoint takes to learn of a new secret, and of a deleted one.
    pub learns_within: Duration,
    pub forgets_within: Duration,
    /// What happens to the call of this number, counted from now.
    pub fault: Option<(usize, Fault)>,
    /// A promise of the product, checked after every call.
    pub promise: Option<fn(&Self) -> bool>,

    pub calls: Vec<Call>,
    /// How many of the calls [`World::take_calls`] has returned.
    taken: usize,
    /// The first call after which the promise was broken.
    pub broken_by: Option<String>,
    /// What nobody may print.
    pub confidential: BTreeSet<String>,
    refusals: Vec<(&'static str, usize, Refusal)>,
    forgotten: Vec<ForgottenSecret>,
    quotas: Quotas,
    /// How many ids have been given out.
    ids: usize,
}

impl Aws {
    /// Returns an account with nothing in it.
    pub fn new(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            pools: BTreeMap::new(),
            secrets: BTreeMap::new(),
            stacks: Vec::new(),
            exports: Vec::new(),
            zones: BTreeSet::new(),
            certificates: BTreeSet::new(),
            caller: format!("arn:aws:iam::{ACCOUNT}:user/me"),
            roles: BTreeMap::new(),
            denied: BTreeMap::new(),
            keys: token_endpoint::key_set(),
            tokens: Vec::new(),
            answers: Vec::new(),
            latency: Duration::ZERO,
            quota: false,
            page_size: usize::MAX,
            learns_within: Duration::ZERO,
            forgets_within: Duration::ZERO,
            fault: None,
            promise: None,
            calls: Vec::new(),
            taken: 0,
            broken_by: None,
            confidential: BTreeSet::new(),
            refusals: Vec::new(),
            forgotten: Vec::new(),
            quotas: Quotas::default(),
            ids: 0,
        }
    }

    /// Has the next calls of this name refused, so many times.
    pub fn refuse(&mut self, call: &'static str, times: usize, refusal: Refusal) {
        self.refusals.push((call, times, refusal));
    }

    fn handle(&mut self, call: &str, request: &Request) -> Option<Reply> {
        self.keep_confidential(request);
        let fault = self.next_fault();
        if fault == Some(Fault::Before) {
            return Some(Refusal::new(500, "InternalServiceError", "").reply(request));
        }
        let answered = match self.next_refusal(call) {
            Some(refusal) => Err(refusal),
            None => self.answer(call, request),
        };
        if self.broken_by.is_none() && self.promise.is_some_and(|holds| !holds(self)) {
            self.broken_by = Some(call.to_owned());
        }
        let reply = answered.unwrap_or_else(|refusal| refusal.reply(request));
        (fault != Some(Fault::After)).then_some(reply)
    }

    fn answer(&mut self, call: &str, request: &Request) -> Result<Reply, Refusal> {
        let target = request.header("x-amz-target");
        match call {
            TOKEN => self.issue_token(request),
            KEYS => self.publish_keys(request),
            CLIENT_TOKEN => self.get_client_token(request),
            ANSWER => {
                self.answers.push(request.json());
                Ok(Reply::new(200, "", ""))
            }
            _ if target.starts_with("AWSCognitoIdentityProviderService.") => {
                let body = request.json();
                self.keep_the_quota(call, field(&body, "UserPoolId"))?;
                Ok(Reply::json(200, &self.cognito(call, &body)?))
            }
            _ if target.starts_with("secretsmanager.") => {
                Ok(Reply::json(200, &self.secrets_manager(call, &request.json())?))
            }
            _ => {
                let form = protocol::form(request);
                let result = match call {
                    "DescribeStacks" | "ListStackResources" | "GetTemplate" | "ListExports" => {
                        self.cloudformation(call, &form)?
                    }
                    _ => self.iam_and_sts(call, &form)?,
                };
                Ok(protocol::query_reply(call, &result))
            }
        }
    }

    fn keep_confidential(&mut self, request: &Request) {
        let authorization = request.header("authorization");
        if !authorization.is_empty() {
            self.confidential.insert(authorization.to_owned());
            // Its last part may not appear either: it is the credentials or the signature.
            let part = authorization.rsplit([' ', '=']).find(|part| part.len() > 20);
            self.confidential.extend(part.map(ToOwned::to_owned));
        }
    }

    fn next_fault(&mut self) -> Option<Fault> {
        match &mut self.fault {
            Some((0, _)) => self.fault.take().map(|(_, fault)| fault),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    fn next_refusal(&mut self, call: &str) -> Option<Refusal> {
        let (_, left, refusal) = self.refusals.iter_mut().find(|(name, left, _)| *name == call && *left > 0)?;
        *left -= 1;
        Some(refusal.clone())
    }

    fn keep_the_quota(&mut self, operation: &str, pool: &str) -> Result<(), Refusal> {
        if self.quota && !self.quotas.allow(operation, pool, now()) {
            return Err(Refusal::of(TOO_MANY, "Too many requests"));
        }
        Ok(())
    }

    fn id(&mut self) -> usize {
        self.ids += 1;
        self.ids
    }
}

/// The server and its state.
#[derive(Clone)]
pub struct World {
    server: Arc<Server>,
    aws: Arc<Mutex<Aws>>,
}

impl World {
    pub fn start(region: &str) -> Self {
        let aws = Arc::new(Mutex::new(Aws::new(region)));
        let serving = Arc::clone(&aws);
        Self { server: Arc::new(Server::start(move |request| serve(&serving, request))), aws }
    }

    /// Returns the state, locked. Calls that arrive wait until the guard is dropped.
    pub fn aws(&self) -> MutexGuard<'_, Aws> {
        self.aws.lock().unwrap()
    }

    /// Returns the endpoint of every service.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Returns an address that CloudFormation might have presigned.
    pub fn response_url(&self) -> String {
        format!("{}/answer?X-Amz-Signature=canary0signature", self.url())
    }

    /// Returns the calls since somebody last asked.
    pub fn take_calls(&self) -> Vec<Call> {
        let mut aws = self.aws();
        let calls = aws.calls[aws.taken..].to_vec();
        aws.taken = aws.calls.len();
        calls
    }

    /// Returns the bodies of all requests of this name.
    pub fn bodies(&self, name: &str) -> Vec<String> {
        self.aws().calls.iter().filter(|call| call.name == name).map(|call| call.body.clone()).collect()
    }
}

fn serve(aws: &Mutex<Aws>, request: &Request) -> Option<Reply> {
    let start = now();
    let name = name(request);
    let (reply, latency) = {
        let mut aws = aws.lock().unwrap();
        (aws.handle(&name, request), aws.latency)
    };
    wait_until(start + latency);
    let throttled = reply.as_ref().is_some_and(|reply| reply.status >= 400 && reply.body.contains(TOO_MANY));
    aws.lock().unwrap().calls.push(Call { name, body: request.text(), throttled, start, end: now() });
    reply
}

fn name(request: &Request) -> String {
    match request.path.split('?').next().unwrap_or_default() {
        "/oauth2/token" => TOKEN.to_owned(),
        "/answer" => ANSWER.to_owned(),
        path if path.ends_with("jwks.json") => KEYS.to_owned(),
        _ => match request.header("x-amz-target").rsplit_once('.') {
            Some((_, operation)) => operation.to_owned(),
            None => protocol::form(request).remove("Action").unwrap_or_default(),
        },
    }
}

#[expect(clippy::disallowed_methods, reason = "each connection has a thread of its own")]
fn wait_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(now()));
}
