//! CloudFormation's part: events, their redelivery, and what follows a failure.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use cognito_m2m::{
    cfn::{Deliver, ResponseUrl},
    clock::Deadline,
    model::{Desired, Endpoints, Owner, ProviderConfig},
    provider::{HandlerError, Provider, handle},
};
use serde_json::{Value, json};

use super::fake_aws::{Fault, Session, World};

/// The presigned URL of every event; its signature must never be printed.
pub const RESPONSE_URL: &str = "https://bucket.s3.amazonaws.com/answer?X-Amz-Signature=canary-signature";

/// One answer as CloudFormation gets it.
#[derive(Clone, Debug)]
pub struct Answer(pub Value);

impl Answer {
    pub fn succeeded(&self) -> bool {
        self.0["Status"] == "SUCCESS"
    }

    pub fn physical_id(&self) -> &str {
        self.0["PhysicalResourceId"].as_str().unwrap()
    }

    pub fn reason(&self) -> &str {
        self.0["Reason"].as_str().unwrap_or_default()
    }

    pub fn attribute(&self, name: &str) -> &str {
        self.0["Data"][name].as_str().unwrap_or_else(|| panic!("no attribute {name} in {}", self.0))
    }
}

/// Takes the answers in place of the S3 bucket behind the ResponseURL.
#[derive(Clone, Default)]
pub struct Bucket(pub Arc<Mutex<Vec<Value>>>);

impl Deliver for Bucket {
    async fn put(&self, _url: &ResponseUrl, body: &str) -> Result<u16, String> {
        assert!(body.len() <= 4096, "{} bytes", body.len());
        self.0.lock().unwrap().push(serde_json::from_str(body).unwrap());
        Ok(200)
    }
}

/// One stack with one M2M resource in one account.
#[derive(Clone)]
pub struct Stack {
    pub world: Arc<Mutex<World>>,
    pub id: String,
    pub logical_id: String,
    requests: Arc<Mutex<u32>>,
    /// What the function's timeout leaves of each invocation.
    pub timeout: Duration,
}

/// What the function's settings say.
pub fn config() -> ProviderConfig {
    ProviderConfig {
        endpoints: Endpoints::new("us-east-1", None),
        rotation_function: Some(ROTATION_FUNCTION.to_owned()),
    }
}

pub const ROTATION_FUNCTION: &str = "arn:aws:lambda:us-east-1:111122223333:function:rotation";

/// How an invocation ended.
#[derive(Debug)]
pub enum End {
    Answered(Answer),
    /// The process was killed before it could answer.
    Killed,
}

pub fn event(
    request_type: &str,
    stack: &Stack,
    physical_id: Option<&str>,
    properties: &Value,
    old: Option<&Value>,
) -> Value {
    let mut requests = stack.requests.lock().unwrap();
    *requests += 1;
    let mut event = json!({
        "RequestType": request_type,
        "ResponseURL": RESPONSE_URL,
        "StackId": stack.id,
        "RequestId": format!("request-{requests}"),
        "ResourceType": "Custom::CognitoM2M",
        "LogicalResourceId": stack.logical_id,
        "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:provider",
        "ResourceProperties": properties,
    });
    if let Some(id) = physical_id {
        event["PhysicalResourceId"] = json!(id);
    }
    if let Some(old) = old {
        event["OldResourceProperties"] = old.clone();
    }
    event
}

/// A new account with one stack in it.
pub fn create() -> Stack {
    Stack::new(&Arc::default(), "one")
}

impl Stack {
    pub fn new(world: &Arc<Mutex<World>>, name: &str) -> Self {
        Self {
            world: Arc::clone(world),
            id: format!("arn:aws:cloudformation:us-east-1:111122223333:stack/{name}/0000"),
            logical_id: "M2M".to_owned(),
            requests: Arc::default(),
            timeout: Duration::from_mins(5),
        }
    }

    pub fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Runs one invocation for one event.
    pub async fn invoke(&self, session: &Session, event: &Value) -> Result<End, HandlerError> {
        let bucket = Bucket::default();
        let provider = async || Provider { services: session.clone(), config: config() };
        let work = handle(event, Deadline::after(self.timeout), provider, &bucket);
        let killed = tokio::select! {
            result = work => { result?; false }
            () = session.dead.notified() => true,
        };
        let answers = bucket.0.lock().unwrap().clone();
        if killed {
            assert!(answers.is_empty(), "a killed process has answered: {answers:?}");
            return Ok(End::Killed);
        }
        assert_eq!(answers.len(), 1, "one event, one answer: {answers:?}");
        let answer = &answers[0];
        for name in ["StackId", "RequestId", "LogicalResourceId"] {
            assert_eq!(answer[name], event[name], "{name} is copied");
        }
        assert!(answer["PhysicalResourceId"].as_str().is_some_and(|id| !id.is_empty() && id.len() <= 1024), "{answer}");
        match answer["Status"].as_str() {
            Some("SUCCESS") => assert!(answer.get("Reason").is_none()),
            Some("FAILED") => assert!(answer["Reason"].as_str().is_some_and(|reason| !reason.is_empty())),
            other => panic!("Status {other:?}"),
        }
        Ok(End::Answered(Answer(answer.clone())))
    }

    /// Delivers an event; where the process is killed, delivers it again without faults, as
    /// Lambda does.
    pub async fn send_with(&self, event: &Value, faults: impl IntoIterator<Item = (usize, Fault)>) -> Answer {
        match self.invoke(&Session::with_faults(&self.world, faults), event).await.unwrap() {
            End::Answered(answer) => answer,
            End::Killed => match self.invoke(&Session::new(&self.world), event).await.unwrap() {
                End::Answered(answer) => answer,
                End::Killed => panic!("killed again without a fault"),
            },
        }
    }

    pub async fn send(&self, event: &Value) -> Answer {
        self.send_with(event, []).await
    }

    pub async fn create(&self, properties: &Value) -> Answer {
        self.send(&event("Create", self, None, properties, None)).await
    }

    pub async fn update(&self, id: &str, properties: &Value, old: &Value) -> Answer {
        self.send(&event("Update", self, Some(id), properties, Some(old))).await
    }

    pub async fn delete(&self, id: &str, properties: &Value) -> Answer {
        self.send(&event("Delete", self, Some(id), properties, None)).await
    }
}

/// What the properties declare for this stack.
pub fn desired(stack: &Stack, properties: &Value) -> Desired {
    let owner = Owner { stack_id: stack.id.clone(), logical_id: stack.logical_id.clone() };
    Desired::from_properties(properties, owner, &config()).unwrap()
}

/// Holds the account against the properties: exactly what they declare is there, once, whole and
/// consistent, and nothing else of this stack is live.
pub fn assert_is(stack: &Stack, properties: &Value) {
    let desired = desired(stack, properties);
    let world = stack.world();
    let pools: Vec<_> = world.pools.iter().filter(|(_, pool)| desired.owner.owns(&pool.state.tags)).collect();
    assert_eq!(pools.len(), 1, "one pool");
    let (id, pool) = pools[0];
    assert_eq!(pool.state, desired.pool);
    assert!(pool.m2m_only, "strictly machine-to-machine");
    assert_eq!(pool.domain.as_ref().map(|held| &held.domain), Some(&desired.domain));
    let servers: Vec<_> = pool.servers.values().cloned().collect();
    let mut wanted = desired.resource_servers.clone();
    wanted.sort_by(|a, b| a.identifier.cmp(&b.identifier));
    assert_eq!(servers, wanted);

    assert_eq!(pool.clients.len(), desired.clients.len(), "one client of each name: {:?}", pool.clients);
    for client in &desired.clients {
        let (client_id, found) = pool.clients.iter().find(|(_, found)| found.client.name == client.name).unwrap();
        assert!(found.m2m_only);
        assert_eq!(
            (&found.client.scopes, found.client.access_token_validity_minutes),
            (&client.scopes, client.access_token_validity_minutes)
        );
        let secret = &world.secrets[&client.secret_name];
        assert_eq!((&secret.tags, &secret.kms_key_id), (&desired.pool.tags, &desired.secret_kms_key_id));
        let document = world.document(client.secret_name.as_str());
        assert_eq!(&document.client_id, client_id, "the secret speaks of the client");
        assert!(found.takes(&document.client_secret), "the secret holds a secret of the client");
        let mark = cognito_m2m::model::RotationRecord::parse(&secret.description).unwrap();
        assert!(!mark.asks_to_rotate(&desired.rotate_secrets), "{}", secret.description);
        assert_eq!(secret.rotation, desired.rotation);
        assert_eq!(document.metadata, desired.secret_metadata(client, id));
    }
    let ours = world
        .secrets
        .iter()
        .filter(|(_, secret)| !secret.scheduled && desired.owner.owns(&secret.tags))
        .map(|(name, _)| name)
        .collect::<BTreeSet<_>>();
    assert_eq!(
        ours,
        desired.clients.iter().map(|client| &client.secret_name).collect::<BTreeSet<_>>(),
        "one secret each"
    );
    assert_eq!(world.broken_promises, Vec::<String>::new());
}

/// Nothing live carries the stack's mark.
pub fn assert_nothing_left(stack: &Stack) {
    let owner = Owner { stack_id: stack.id.clone(), logical_id: stack.logical_id.clone() };
    let world = stack.world();
    let pools: Vec<_> = world.pools.iter().filter(|(_, pool)| owner.owns(&pool.state.tags)).map(|(id, _)| id).collect();
    assert!(pools.is_empty(), "left behind: {pools:?}");
    let secrets: Vec<_> = world
        .secrets
        .iter()
        .filter(|(_, secret)| !secret.scheduled && owner.owns(&secret.tags))
        .map(|(name, _)| name)
        .collect();
    assert!(secrets.is_empty(), "left behind: {secrets:?}");
}
