//! The part of CloudFormation: its events, their redelivery, the responses, and what must be true of
//! the account afterwards.

use std::{
    collections::BTreeSet,
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use cognito_m2m::{
    cfn::{Deliver, ResponseUrl},
    clock::Deadline,
    model::{
        Applied, AuthFlow, Client, ClientId, Desired, DesiredPool, Endpoints, Mark, Owner, PolicyChange, PoolId,
        ProviderConfig, Replicas, ResourcePolicy, ResourceServer, ResourceType, RotationRecord,
        observed::{Foreign, ObservedCustomDomain, ObservedPool},
        ownership::MAX_TAGS,
    },
    provider::{Provider, handle},
};
use serde_json::{Value, json};

use super::{
    cognito::{FakeClient, FakePool},
    fake_aws::{FakeAws, REGION, World},
    faults::{Fault, Session},
    fixtures::user_pool,
};

/// The presigned URL of every event. Its signature must never be printed.
pub const RESPONSE_URL: &str = "https://bucket.s3.amazonaws.com/answer?X-Amz-Signature=canary-signature";

pub const ROTATION_FUNCTION: &str = "arn:aws:lambda:us-east-1:111122223333:function:rotation";

/// Lambda runs an event whose function died again after this time.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
const LAMBDA_WAITS: Duration = Duration::from_mins(1);

/// One response, as CloudFormation receives it.
#[derive(Clone, Debug)]
pub struct CfnResponse {
    body: Value,
}

impl CfnResponse {
    /// Asserts success and returns the response.
    #[track_caller]
    pub fn good(self) -> Self {
        self.good_at("the event")
    }

    /// Like [`CfnResponse::good`]; a failure also prints `place`, such as the round of a loop.
    #[track_caller]
    pub fn good_at(self, place: impl Display) -> Self {
        assert!(self.succeeded(), "{place}: {}", self.reason());
        self
    }

    /// Asserts a failure whose reason contains the text, and returns the reason.
    #[track_caller]
    pub fn failed(&self, text: &str) -> String {
        assert!(!self.succeeded(), "this should have failed with {text:?}: {}", self.body);
        let reason = self.reason();
        assert!(reason.contains(text), "{text:?} is not in the reason: {reason}");
        reason.to_owned()
    }

    pub fn succeeded(&self) -> bool {
        self.body["Status"] == "SUCCESS"
    }

    pub fn physical_id(&self) -> &str {
        self.body["PhysicalResourceId"].as_str().unwrap()
    }

    pub fn reason(&self) -> &str {
        self.body["Reason"].as_str().unwrap_or_default()
    }

    /// One of the values that `Fn::GetAtt` reads.
    #[track_caller]
    pub fn attribute(&self, name: &str) -> &str {
        self.data()[name].as_str().unwrap_or_else(|| panic!("no attribute {name} in {}", self.body))
    }

    /// All values that `Fn::GetAtt` reads.
    pub fn data(&self) -> &Value {
        &self.body["Data"]
    }

    pub fn body(&self) -> &Value {
        &self.body
    }

    /// Checks what CloudFormation demands of a response to the event.
    fn check(self, event: &Value) -> Self {
        let body = &self.body;
        for name in ["StackId", "RequestId", "LogicalResourceId"] {
            assert_eq!(body[name], event[name], "{name} is copied");
        }
        assert!(body["PhysicalResourceId"].as_str().is_some_and(|id| !id.is_empty() && id.len() <= 1024), "{body}");
        match body["Status"].as_str() {
            Some("SUCCESS") => assert!(body.get("Reason").is_none()),
            Some("FAILED") => assert!(!self.reason().is_empty()),
            other => panic!("Status {other:?}"),
        }
        self
    }
}

/// Receives the responses in place of the S3 bucket behind the ResponseURL.
#[derive(Clone, Default)]
pub struct Bucket(pub Arc<Mutex<Vec<Value>>>);

impl Deliver for Bucket {
    async fn put(&self, _url: &ResponseUrl, body: &str) -> Result<u16, String> {
        assert!(body.len() <= 4096, "{} bytes", body.len());
        self.0.lock().unwrap().push(serde_json::from_str(body).unwrap());
        Ok(200)
    }
}

/// The settings of the provider's function.
pub fn config() -> ProviderConfig {
    ProviderConfig { endpoints: Endpoints::new(REGION, None), rotation_function: Some(ROTATION_FUNCTION.to_owned()) }
}

/// The provider as the function composes it, with a session in place of the SDK.
pub fn provider(session: &Session) -> Provider<Session> {
    Provider { services: session.clone(), config: config() }
}

/// One stack with one resource in an account.
#[derive(Clone)]
pub struct Stack {
    pub aws: FakeAws,
    pub id: String,
    pub logical_id: String,
    pub resource_type: ResourceType,
    /// The function's timeout.
    pub timeout: Duration,
    pub requests: Arc<Mutex<u32>>,
}

/// A stack in an account of its own.
pub fn new_stack() -> Stack {
    Stack::new(&FakeAws::default(), "one")
}

impl Stack {
    /// A stack with a resource of another type.
    pub fn of_type(resource_type: ResourceType, aws: &FakeAws, name: &str) -> Self {
        Self { resource_type, ..Self::new(aws, name) }
    }

    pub fn new(aws: &FakeAws, name: &str) -> Self {
        Self {
            aws: aws.clone(),
            id: format!("arn:aws:cloudformation:us-east-1:111122223333:stack/{name}/0000"),
            logical_id: "M2M".to_owned(),
            resource_type: ResourceType::CognitoM2M,
            timeout: Duration::from_mins(5),
            requests: Arc::default(),
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.aws.world()
    }

    /// The owner in the tags of everything that belongs to the stack's resource.
    pub fn owner(&self) -> Owner {
        Owner { stack_id: self.id.clone(), logical_id: self.logical_id.clone() }
    }

    pub fn create_event(&self, properties: &Value) -> Value {
        self.event("Create", properties)
    }

    pub fn update_event(&self, id: &str, new: &Value, old: &Value) -> Value {
        let mut event = self.event("Update", new);
        event["PhysicalResourceId"] = json!(id);
        event["OldResourceProperties"] = old.clone();
        event
    }

    pub fn delete_event(&self, id: &str, properties: &Value) -> Value {
        let mut event = self.event("Delete", properties);
        event["PhysicalResourceId"] = json!(id);
        event
    }

    fn event(&self, request_type: &str, properties: &Value) -> Value {
        let mut requests = self.requests.lock().unwrap();
        *requests += 1;
        json!({
            "RequestType": request_type,
            "ResponseURL": RESPONSE_URL,
            "StackId": self.id,
            "RequestId": format!("request-{requests}"),
            "ResourceType": self.resource_type.as_str(),
            "LogicalResourceId": self.logical_id,
            "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:provider",
            "ResourceProperties": properties,
        })
    }

    /// The properties that this stack's resource declares.
    pub fn desired(&self, properties: &Value) -> Desired {
        cognito_m2m::properties::parse(self.resource_type, properties, self.owner(), &config()).unwrap()
    }

    /// Runs one invocation for the event. Returns `None` if a fault kills its process.
    pub async fn invoke(&self, session: &Session, event: &Value) -> Option<CfnResponse> {
        let bucket = Bucket::default();
        let provider = async || provider(session);
        // Boxed, because the future is large.
        let work = Box::pin(handle(event, Deadline::after(self.timeout), provider, &bucket));
        let result = session.run(work).await;
        let mut responses = bucket.0.lock().unwrap().clone();
        let Some(result) = result else {
            assert!(responses.is_empty(), "a killed process has answered: {responses:?}");
            return None;
        };
        result.unwrap();
        assert_eq!(responses.len(), 1, "one event, one response: {responses:?}");
        Some(CfnResponse { body: responses.remove(0) }.check(event))
    }

    /// Runs one invocation that no fault kills.
    pub async fn run(&self, session: &Session, event: &Value) -> CfnResponse {
        self.invoke(session, event).await.expect("the process was killed")
    }

    /// Runs one invocation that must succeed, and returns the number of its calls.
    pub async fn count_calls(&self, event: &Value) -> usize {
        let session = Session::new(&self.aws);
        self.run(&session, event).await.good();
        session.calls_made()
    }

    /// Delivers an event. If a fault kills the process, delivers it again without faults, as Lambda does.
    pub async fn send_with(&self, event: &Value, faults: impl IntoIterator<Item = (usize, Fault)>) -> CfnResponse {
        if let Some(response) = self.invoke(&Session::with_faults(&self.aws, faults).of(self.owner()), event).await {
            return response;
        }
        tokio::time::sleep(LAMBDA_WAITS).await;
        self.run(&Session::new(&self.aws).of(self.owner()), event).await
    }

    pub async fn send(&self, event: &Value) -> CfnResponse {
        self.send_with(event, []).await
    }

    pub async fn create(&self, properties: &Value) -> CfnResponse {
        self.send(&self.create_event(properties)).await
    }

    pub async fn update(&self, id: &str, new: &Value, old: &Value) -> CfnResponse {
        self.send(&self.update_event(id, new, old)).await
    }

    pub async fn delete(&self, id: &str, properties: &Value) -> CfnResponse {
        self.send(&self.delete_event(id, properties)).await
    }
}

/// Asserts that the account holds exactly what the properties declare, whole and once, and nothing
/// else that is live and belongs to the stack.
#[track_caller]
pub fn assert_is(stack: &Stack, properties: &Value) {
    let desired = stack.desired(properties);
    let world = stack.world();
    if let DesiredPool::Shared(pool) = &desired.pool {
        assert_part_is(&world, pool, &desired);
        return;
    }
    let pools: Vec<_> = world.pools.iter().filter(|(_, pool)| desired.owner.owns(&pool.state.tags)).collect();
    assert_eq!(pools.len(), 1, "one pool");
    let (id, pool) = pools[0];
    assert_pool_is(pool, &desired);
    for client in &desired.clients {
        let (client_id, found) = pool.clients.iter().find(|(_, found)| found.client.name == client.name).unwrap();
        assert!(found.m2m_only);
        let by_api = desired.own_pool().unwrap().domain.is_none();
        assert_eq!(found.client.auth_flow, if by_api { AuthFlow::ClientToken } else { AuthFlow::RefreshToken });
        assert_eq!(
            (&found.client.scopes, found.client.access_token_validity_minutes),
            (&client.scopes, client.access_token_validity_minutes)
        );
        let document = world.document(&client.secret_name);
        assert!(found.takes(&document.client_secret), "the secret holds a secret of the client");
        assert_eq!(document.metadata, desired.secret_metadata(client, id, &desired.token_source(None)));
        assert_secret_is(&world, &desired, client, client_id);
    }
    let wanted: BTreeSet<_> = desired.clients.iter().map(|client| client.secret_name.as_str()).collect();
    assert_eq!(live_secrets(&world, &desired.owner), wanted, "one secret each");
    assert_eq!(world.consumers.complaints, Vec::<String>::new());
}

/// Asserts that the pool holds the declared client or server, once, and its secret.
#[track_caller]
fn assert_part_is(world: &World, id: &PoolId, desired: &Desired) {
    let pool = &world.pools[id];
    let (servers, clients) = parts(pool, &desired.owner);
    assert_eq!(servers, desired.resource_servers.iter().collect::<Vec<_>>());
    assert_eq!(clients.len(), desired.clients.len(), "one client: {clients:?}");
    let custom_domain = pool.custom_domain.as_ref().map(|held| ObservedCustomDomain {
        domain: held.domain.clone(),
        target: None,
        status: String::new(),
    });
    let domain = pool.domain.as_ref().map(|held| held.domain.clone());
    let observed = ObservedPool { domain, custom_domain, ..empty_pool(id) };
    for (client, (client_id, found)) in desired.clients.iter().zip(clients) {
        assert_eq!(Mark::split(found.client.name.as_str()).0, client.name.as_str());
        assert!(found.m2m_only);
        assert_eq!(
            (&found.client.scopes, found.client.access_token_validity_minutes),
            (&client.scopes, client.access_token_validity_minutes)
        );
        if observed.domain.is_none() && observed.custom_domain.is_none() {
            assert_eq!(found.client.auth_flow, AuthFlow::ClientToken);
        }
        let document = world.document(&client.secret_name);
        assert!(found.takes(&document.client_secret), "the secret holds a secret of the client");
        assert_eq!(document.metadata, desired.secret_metadata(client, id, &desired.token_source(Some(&observed))));
        assert_secret_is(world, desired, client, client_id);
    }
    let wanted: BTreeSet<_> = desired.clients.iter().map(|client| client.secret_name.as_str()).collect();
    assert_eq!(live_secrets(world, &desired.owner), wanted, "one secret each");
}

fn empty_pool(id: &PoolId) -> ObservedPool {
    ObservedPool {
        id: id.clone(),
        arn: String::new(),
        state: user_pool("a"),
        applied: None,
        m2m_only: false,
        created: Duration::ZERO,
        domain: None,
        custom_domain: None,
        resource_servers: Vec::new(),
        clients: Vec::new(),
        foreign: Foreign::default(),
    }
}

/// The servers and clients in a pool that have the owner's marks.
pub fn parts<'p>(pool: &'p FakePool, owner: &Owner) -> (Vec<&'p ResourceServer>, Vec<(&'p ClientId, &'p FakeClient)>) {
    let marks = [Mark::of(owner), Mark::of_adopted(owner)];
    let is_ours = |mark: Option<&Mark>| mark.is_some_and(|mark| marks.contains(mark));
    let servers = pool.servers.values().filter(|server| is_ours(server.mark.as_ref()));
    let clients =
        pool.clients.iter().filter(|(_, client)| is_ours(Mark::split(client.client.name.as_str()).1.as_ref()));
    (servers.collect(), clients.collect())
}

#[track_caller]
pub fn assert_pool_is(pool: &FakePool, desired: &Desired) {
    let mut state = pool.state.clone();
    let own = desired.own_pool().unwrap();
    let has_room = own.state.tags.len() < MAX_TAGS;
    assert_eq!(Applied::take(&mut state.tags).is_some(), has_room, "a note says what was applied");
    assert_eq!(state, own.state);
    assert!(pool.m2m_only, "machine-to-machine and nothing else");
    assert_eq!(pool.domain.as_ref().map(|held| &held.domain), own.domain.as_ref());
    assert_eq!(pool.custom_domain.as_ref().map(|held| &held.domain), own.custom_domain.as_ref());
    let servers: Vec<_> = pool.servers.values().cloned().collect();
    let mut wanted = desired.resource_servers.clone();
    wanted.sort_by(|a, b| a.identifier.cmp(&b.identifier));
    assert_eq!(servers, wanted);
    assert_eq!(pool.clients.len(), desired.clients.len(), "one client of each name: {:?}", pool.clients);
}

#[track_caller]
fn assert_secret_is(world: &World, desired: &Desired, client: &Client, client_id: &ClientId) {
    let secret = &world.secrets[&client.secret_name];
    let mut tags = secret.tags.clone();
    let is_noted = Applied::take(&mut tags).is_some();
    assert_eq!(is_noted, desired.own_pool().is_none(), "a client of a shared pool has its note on the secret");
    assert_eq!((&tags, &secret.kms_key_id), (&desired.tags_of_secret(client), &desired.secret_kms_key_id));
    let change = ResourcePolicy::with_readers(secret.policy.as_ref(), &client.secret_readers);
    assert_eq!(change, PolicyChange::Keep, "the policy names the readers: {:?}", secret.policy);
    let replicas: Replicas =
        secret.replicas.iter().map(|(region, replica)| (region.clone(), replica.kms_key_id.clone())).collect();
    assert_eq!(replicas, desired.secret_replicas);
    assert_eq!(secret.rotation, desired.rotation);
    let record = RotationRecord::parse(&secret.description).unwrap();
    assert!(!record.asks_to_rotate(&desired.rotate_secrets), "{}", secret.description);
    let document = world.document(&client.secret_name);
    assert_eq!(&document.client_id, client_id, "the secret is about the client");
}

/// Asserts that nothing live belongs to the stack.
#[track_caller]
pub fn assert_nothing_left(stack: &Stack) {
    let owner = stack.owner();
    let world = stack.world();
    let pools = world.pools.iter().filter(|(_, pool)| owner.owns(&pool.state.tags));
    let pools: Vec<_> = pools.map(|(id, _)| id).collect();
    assert!(pools.is_empty(), "left behind: {pools:?}");
    let secrets = live_secrets(&world, &owner);
    assert!(secrets.is_empty(), "left behind: {secrets:?}");
    for pool in world.pools.values() {
        let (servers, clients) = parts(pool, &owner);
        assert!(servers.is_empty() && clients.is_empty(), "left behind: {servers:?} {clients:?}");
    }
}

/// Asserts that no consumer was cut off.
#[track_caller]
pub fn assert_no_complaints(stack: &Stack) {
    assert_eq!(stack.world().consumers.complaints, Vec::<String>::new());
}

fn live_secrets<'a>(world: &'a World, owner: &Owner) -> BTreeSet<&'a str> {
    let secrets = world.secrets.iter().filter(|(_, secret)| !secret.scheduled && owner.owns(&secret.tags));
    secrets.map(|(name, _)| name.as_str()).collect()
}

mod tests {
    use super::*;

    fn response(status: &str) -> CfnResponse {
        CfnResponse { body: json!({ "Status": status, "Reason": "the domain is taken" }) }
    }

    #[test]
    fn the_reason_of_a_failure_is_returned() {
        response("SUCCESS").good();
        assert_eq!(response("FAILED").failed("domain"), "the domain is taken");
    }

    #[test]
    #[should_panic(expected = "round 3: the domain is taken")]
    fn a_failure_is_not_good() {
        response("FAILED").good_at("round 3");
    }

    #[test]
    #[should_panic(expected = "this should have failed")]
    fn a_success_has_not_failed() {
        response("SUCCESS").failed("domain");
    }

    #[test]
    #[should_panic(expected = "\"quota\" is not in the reason: the domain is taken")]
    fn a_failure_for_another_reason_is_not_the_expected_one() {
        response("FAILED").failed("quota");
    }
}
