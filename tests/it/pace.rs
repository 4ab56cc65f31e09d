//! Cognito's pace, and a large stack within the function's timeout.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Fault, Session, Stack, assert_is, cloudformation::End, create, event};

/// The most that may be declared: 100 clients, 25 servers.
fn largest() -> Value {
    let servers: Vec<_> = (0..25)
        .map(|n| json!({ "Identifier": format!("s{n}"), "Scopes": [{ "ScopeName": "a" }, { "ScopeName": "b" }] }))
        .collect();
    let clients: Vec<_> = (0..100).map(|n| json!({ "ClientName": format!("client-{n:03}") })).collect();
    json!({ "ResourceServers": servers, "Clients": clients, "VerifyToken": "true" })
}

/// Cognito's operations: five a second of each. A call may reach the service at any moment between
/// being made and being answered, so the latest arrival of one is held against the earliest of the
/// fifth after it.
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
    let stack = create();
    let started = Instant::now();
    let created = stack.create(&largest()).await;
    assert!(created.succeeded(), "{}", created.reason());
    assert!(started.elapsed() < stack.timeout / 2, "{:?}", started.elapsed());
    assert_is(&stack, &largest());
    assert_pace(&stack);
    assert_eq!(created.0["Data"].get("ClientId.client-000"), None, "the per-client attributes do not fit");
    assert_eq!(created.attribute("ClientIds").split(',').count(), 100);
    assert_eq!(created.attribute("TokenVerification"), "verified");

    let started = Instant::now();
    let updated = stack.update(created.physical_id(), &largest(), &largest()).await;
    assert!(updated.succeeded(), "{}", updated.reason());
    assert!(started.elapsed() < stack.timeout / 4, "{:?}", started.elapsed());
    assert_pace(&stack);
    let deleted = stack.delete(created.physical_id(), &largest()).await;
    assert!(deleted.succeeded(), "{}", deleted.reason());
}

#[tokio::test(start_paused = true)]
async fn a_fifth_of_all_calls_may_be_throttled() {
    let stack = create();
    let throttled = (0..2000).filter(|call| call % 5 == 3).map(|call| (call, Fault::Throttled));
    let session = Session::with_faults(&stack.world, throttled);
    let end = stack.invoke(&session, &event("Create", &stack, None, &largest(), None)).await.unwrap();
    let End::Answered(answer) = end else { panic!("killed") };
    assert!(answer.succeeded(), "{}", answer.reason());
    assert_is(&stack, &largest());
    assert_pace(&stack);
}

#[tokio::test(start_paused = true)]
async fn calls_that_do_not_need_each_other_run_side_by_side() {
    // Ten milliseconds a call: a Create of three clients one after the other would take 200.
    let stack = create();
    let started = Instant::now();
    assert!(stack.create(&crate::lifecycle::large()).await.succeeded());
    let calls = stack.world().calls.len();
    assert!(started.elapsed() <= Duration::from_millis(90), "{calls} calls took {:?}", started.elapsed());
}
