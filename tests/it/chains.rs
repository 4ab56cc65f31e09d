//! The chains of calls of which each needs the one before. A call takes ten milliseconds on the paused clock, so the
//! time of an event is the length of its chain. The answer to CloudFormation takes none.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{FakeSecret, Fault, Stack, assert_is, fixtures::with, new_stack};

const ROUND_TRIP: Duration = Duration::from_millis(10);

/// A stack whose resource is not new any more, and the resource's id.
async fn settled(properties: &Value) -> (Stack, String) {
    let stack = new_stack();
    let id = stack.create(properties).await.good().physical_id().to_owned();
    settle(&stack).await;
    (stack, id)
}

async fn settle(stack: &Stack) {
    tokio::time::advance(Duration::from_mins(10)).await;
    stack.world().calls.clear();
}

fn scopes(names: &[&str]) -> Value {
    let scopes: Vec<_> = names.iter().map(|name| json!({ "ScopeName": name })).collect();
    json!({ "ResourceServers": [{ "Identifier": "m2m-client", "Scopes": scopes }] })
}

fn operations(stack: &Stack) -> Vec<&'static str> {
    stack.world().calls.iter().map(|call| call.operation).collect()
}

/// When the calls of an operation were made, and when they were answered.
fn times(stack: &Stack, operation: &str) -> Vec<(Instant, Option<Instant>)> {
    let world = stack.world();
    world.calls.iter().filter(|call| call.operation == operation).map(|call| (call.at, call.answered_at)).collect()
}

#[tokio::test(start_paused = true)]
async fn an_update_with_one_scope_more_is_a_chain_of_six() {
    let (stack, id) = settled(&scopes(&["read"])).await;
    // The second update finds a version that was AWSCURRENT before, and must look whose credentials it holds.
    for (old, new, reads) in
        [(&["read"][..], &["read", "write"][..], 0), (&["read", "write"], &["read", "write", "admin"], 1)]
    {
        let started = Instant::now();
        stack.update(&id, &scopes(new), &scopes(old)).await.good();
        assert_eq!(started.elapsed(), 5 * ROUND_TRIP, "{:?}", operations(&stack));
        let calls = operations(&stack);
        // The secret's value is read once. What follows the eight looks writes, or reads the version before.
        assert_eq!(calls.iter().filter(|call| **call == "GetSecretValue").count(), 1 + reads, "{calls:?}");
        let mut rest: Vec<_> = calls[8..].iter().copied().filter(|call| *call != "GetSecretValue").collect();
        rest.sort_unstable();
        let writes = [
            "PutSecretValue",
            "UpdateResourceServer",
            "UpdateSecretVersionStage",
            "UpdateUserPool",
            "UpdateUserPoolClient",
            "VerifyToken",
        ];
        assert_eq!(rest, writes, "{calls:?}");
        assert_is(&stack, &scopes(new));
        settle(&stack).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_an_update_that_changes_nothing_and_a_delete_wait_for_nothing_needless() {
    let stack = new_stack();
    // A new domain would keep the token check waiting.
    let properties = json!({ "VerifyToken": false });
    let started = Instant::now();
    let id = stack.create(&properties).await.good().physical_id().to_owned();
    assert_eq!(started.elapsed(), 6 * ROUND_TRIP, "{:?}", operations(&stack));
    settle(&stack).await;

    let started = Instant::now();
    stack.update(&id, &properties, &properties).await.good();
    assert_eq!((started.elapsed(), operations(&stack).len()), (2 * ROUND_TRIP, 8), "{:?}", operations(&stack));
    settle(&stack).await;

    let started = Instant::now();
    stack.delete(&id, &properties).await.good();
    assert_eq!(started.elapsed(), 5 * ROUND_TRIP, "{:?}", operations(&stack));
}

fn clients(count: usize) -> Value {
    let clients: Vec<_> = (0..count).map(|number| json!({ "ClientName": format!("client-{number:03}") })).collect();
    json!({ "Clients": clients })
}

#[tokio::test(start_paused = true)]
async fn each_secret_follows_its_client_at_once_also_while_token_checks_wait_for_a_new_domain() {
    for count in [20, 100] {
        let stack = new_stack();
        stack.world().behavior.domain_dns = true;
        stack.create(&clients(count)).await.good();
        let (created, secrets) = (times(&stack, "CreateUserPoolClient"), times(&stack, "CreateSecret"));
        assert_eq!((created.len(), secrets.len()), (count, count));
        for (number, (client, secret)) in created.iter().zip(&secrets).enumerate() {
            assert_eq!(client.1, Some(secret.0), "client {number} of {count}");
        }
        assert_is(&stack, &clients(count));
    }
}

#[tokio::test(start_paused = true)]
async fn many_clients_take_hardly_longer_than_the_rate_of_cognito() {
    for (count, pace) in [(20, 3), (100, 19)] {
        let stack = new_stack();
        let started = Instant::now();
        stack.create(&with(clients(count), "VerifyToken", false)).await.good();
        let floor = Duration::from_secs(pace) + 6 * ROUND_TRIP;
        let took = started.elapsed();
        assert!(took <= floor.mul_f32(1.05), "{count} clients: {took:?} to {floor:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fails_stops_those_that_have_not_begun_and_cancels_nothing() {
    let stack = new_stack();
    // 22 looks, the pool, its domain and its server; then the clients. Cognito's rate lets five begin.
    let failed = stack.send_with(&stack.create_event(&clients(20)), [(27, Fault::Quota)]).await;
    failed.failed("CreateUserPoolClient client-002");
    let created = times(&stack, "CreateUserPoolClient");
    assert!((5..=10).contains(&created.len()), "{}", created.len());
    assert!(created.iter().all(|(_, answered)| answered.is_some()), "none was canceled");
    assert!(times(&stack, "CreateSecret").len() < created.len());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_loses_a_secret_observes_again_before_it_fails_on_a_token() {
    let stack = new_stack();
    // The first client's token is refused when the run believes it, and not any more in the next round.
    stack.world().behavior.token_service_lags = Duration::from_secs(38);
    let (account, tags) = (stack.clone(), stack.owner().tags());
    let lose = Fault::meanwhile(move || {
        let secret = FakeSecret { tags: tags.clone(), ..FakeSecret::new("arn:theirs".to_owned()) };
        account.world().secrets.insert("machine-to-machine-dev/client-001".into(), secret);
    });
    // Four looks, the pool, its domain and its server, two clients, and the first secret come before.
    stack.send_with(&stack.create_event(&clients(2)), [(10, lose)]).await.good();
    let calls = operations(&stack);
    assert_eq!(calls.iter().filter(|call| **call == "ListUserPoolClients").count(), 1, "a second round: {calls:?}");
    assert_is(&stack, &clients(2));
}
