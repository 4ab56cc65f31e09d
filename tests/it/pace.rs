//! The rate limits of Cognito, and the largest stack within the function's timeout.

use std::{collections::BTreeMap, time::Duration};

use cognito_m2m::{
    clock::Deadline,
    ports::{AwsError, UserPools},
    retry::Retrying,
};
use futures::future;
use proptest::{collection::btree_map, prelude::*};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    FakeAws, Fault, Latency, Session, World, assert_is,
    fixtures::{large, platform},
    new_stack,
};

/// As many clients and servers as the properties may declare: 100 and 25.
fn largest() -> Value {
    let servers: Vec<_> = (0..25)
        .map(|n| json!({ "Identifier": format!("s{n}"), "Scopes": [{ "ScopeName": "a" }, { "ScopeName": "b" }] }))
        .collect();
    let clients: Vec<_> = (0..100).map(|n| json!({ "ClientName": format!("client-{n:03}") })).collect();
    json!({ "ResourceServers": servers, "Clients": clients, "VerifyToken": "true" })
}

/// Asserts that Cognito never gets a sixth call of one operation within a second.
fn assert_pace(world: &World) {
    let mut arrivals: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
    for call in &world.calls {
        if !call.operation.contains("Secret")
            && !call.operation.contains("TagResource")
            && call.operation != "VerifyToken"
        {
            arrivals.entry(call.operation).or_default().extend(call.arrived_at);
        }
    }
    for (operation, mut arrivals) in arrivals {
        arrivals.sort();
        for six in arrivals.windows(6) {
            let apart = six[5] - six[0];
            assert!(apart >= Duration::from_secs(1), "{operation}: six calls arrived within {apart:?}");
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
    assert_pace(&stack.world());
    assert_eq!(created.data().get("ClientId.client-000"), None, "the per-client attributes do not fit");
    assert_eq!(created.attribute("ClientIds").split(',').count(), 100);
    assert_eq!(created.attribute("TokenVerification"), "verified");

    let started = Instant::now();
    stack.update(created.physical_id(), &largest(), &largest()).await.good();
    assert!(started.elapsed() < stack.timeout / 4, "{:?}", started.elapsed());
    assert_pace(&stack.world());
    stack.delete(created.physical_id(), &largest()).await.good();
}

#[tokio::test(start_paused = true)]
async fn a_fifth_of_all_calls_may_be_throttled() {
    let stack = new_stack();
    let throttled = (0..2000).filter(|call| call % 5 == 3).map(|call| (call, Fault::Throttled));
    stack.send_with(&stack.create_event(&largest()), throttled).await.good();
    assert_is(&stack, &largest());
    assert_pace(&stack.world());
}

#[tokio::test(start_paused = true)]
async fn calls_that_do_not_need_each_other_run_side_by_side() {
    // A call takes ten milliseconds. One after the other, the calls would take 200.
    let stack = new_stack();
    let started = Instant::now();
    stack.create(&large()).await.good();
    let calls = stack.world().calls.len();
    // From the creation of the domain on, the first look-up waits.
    let took = started.elapsed().saturating_sub(Duration::from_secs(20));
    assert!(took <= Duration::from_millis(90), "{calls} calls took {took:?}");
}

/// Makes so many calls of one operation in one run, all at once, on an AWS that keeps its quotas.
async fn calls_of_one_run(
    aws: &FakeAws,
    calls: usize,
    faults: impl IntoIterator<Item = (usize, Fault)>,
) -> Vec<Result<(), AwsError>> {
    let pool = platform(aws, "team-");
    aws.world().behavior.quotas = true;
    let session = Session::with_faults(aws, faults);
    let run = Retrying::new(&session, Deadline::after(Duration::from_mins(15)));
    let call = |_| async { run.list_resource_servers(&pool, None).await.map(drop) };
    future::join_all((0..calls).map(call)).await
}

fn milliseconds(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sixth_call_of_an_operation_arrives_within_a_second(
        calls in 1..60_usize,
        there in milliseconds(0..=300),
        back in milliseconds(0..=300),
        // A call takes at most twice as long as another.
        factor in 1..=2_u32,
        seed in any::<u64>(),
        lost in btree_map(0..60_usize, prop_oneof![Just(Fault::Lost), Just(Fault::Hang)], 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let aws = FakeAws::default();
            aws.world().behavior.latency = Latency { there, back, factor };
            aws.world().random = fastrand::Rng::with_seed(seed);
            for result in calls_of_one_run(&aws, calls, lost).await {
                result.unwrap();
            }
            assert_pace(&aws.world());
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_the_pace_and_half_a_latency_each_second() {
    const LATENCY: Duration = Duration::from_millis(50);
    let aws = FakeAws::default();
    aws.world().behavior.latency = Latency { there: LATENCY / 2, back: LATENCY / 2, factor: 1 };
    let started = Instant::now();
    let made = calls_of_one_run(&aws, 100, []).await;
    assert!(made.iter().all(Result::is_ok));
    // Five calls begin at once, so the last five begin 19 seconds later.
    let over = started.elapsed().saturating_sub(Duration::from_secs(19) + LATENCY);
    println!("100 calls take {over:?} more than the pace and their latency");
    assert!(over <= 19 * LATENCY / 2 + Duration::from_millis(30), "{over:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_become_faster_all_at_once_are_refused_and_made_again() {
    let aws = FakeAws::default();
    let slow = Latency { there: Duration::from_millis(800), ..Latency::default() };
    aws.world().behavior.latency = slow;
    let become_fast = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        aws.world().behavior.latency = Latency::default();
    };
    let (made, ()) = future::join(calls_of_one_run(&aws, 25, []), become_fast).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert!(aws.world().calls.len() > 25, "no call was refused");
}
