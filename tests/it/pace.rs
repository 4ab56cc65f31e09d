//! The rate limits of Cognito, and the largest stack within the function's timeout.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Fault, Stack, assert_is, fixtures::large, new_stack};

/// As many clients and servers as the properties may declare: 100 and 25.
fn largest() -> Value {
    let servers: Vec<_> = (0..25)
        .map(|n| json!({ "Identifier": format!("s{n}"), "Scopes": [{ "ScopeName": "a" }, { "ScopeName": "b" }] }))
        .collect();
    let clients: Vec<_> = (0..100).map(|n| json!({ "ClientName": format!("client-{n:03}") })).collect();
    json!({ "ResourceServers": servers, "Clients": clients, "VerifyToken": "true" })
}

/// Asserts that Cognito never gets more than five calls of one operation in a second.
///
/// A call may reach the service at any moment between the request and the answer. So the latest
/// possible arrival of each call is compared with the earliest possible one of the fifth after it.
fn assert_pace(stack: &Stack) {
    let mut calls: BTreeMap<&str, Vec<(Instant, Instant)>> = BTreeMap::new();
    for call in &stack.world().calls {
        if !call.operation.contains("Secret")
            && !call.operation.contains("TagResource")
            && call.operation != "VerifyToken"
        {
            calls.entry(call.operation).or_default().push((call.at, call.answered_at.unwrap_or(call.at)));
        }
    }
    for (operation, mut times) in calls {
        times.sort();
        let mut answered: Vec<_> = times.iter().map(|(_, answered)| *answered).collect();
        answered.sort();
        for window in 0..times.len().saturating_sub(5) {
            let (sixth_made, first_answered) = (times[window + 5].0, answered[window]);
            let apart = sixth_made.saturating_duration_since(first_answered);
            assert!(apart >= Duration::from_secs(1), "{operation}: six calls within {apart:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_largest_stack_keeps_the_pace_and_fits_the_timeout() {
    let stack = new_stack();
    let started = Instant::now();
    let created = stack.create(&largest()).await.good();
    assert!(started.elapsed() < stack.timeout / 2, "{:?}", started.elapsed());
    assert_is(&stack, &largest());
    assert_pace(&stack);
    assert_eq!(created.data().get("ClientId.client-000"), None, "the per-client attributes do not fit");
    assert_eq!(created.attribute("ClientIds").split(',').count(), 100);
    assert_eq!(created.attribute("TokenVerification"), "verified");

    let started = Instant::now();
    stack.update(created.physical_id(), &largest(), &largest()).await.good();
    assert!(started.elapsed() < stack.timeout / 4, "{:?}", started.elapsed());
    assert_pace(&stack);
    stack.delete(created.physical_id(), &largest()).await.good();
}

#[tokio::test(start_paused = true)]
async fn a_fifth_of_all_calls_may_be_throttled() {
    let stack = new_stack();
    let throttled = (0..2000).filter(|call| call % 5 == 3).map(|call| (call, Fault::Throttled));
    stack.send_with(&stack.create_event(&largest()), throttled).await.good();
    assert_is(&stack, &largest());
    assert_pace(&stack);
}

#[tokio::test(start_paused = true)]
async fn calls_that_do_not_need_each_other_run_side_by_side() {
    // A call takes ten milliseconds. One after the other, the calls would take 200.
    let stack = new_stack();
    let started = Instant::now();
    stack.create(&large()).await.good();
    let calls = stack.world().calls.len();
    // From the creation of the domain on, the first look-up waits.
    let took = started.elapsed() - Duration::from_secs(20);
    assert!(took <= Duration::from_millis(90), "{calls} calls took {took:?}");
}
