//! The rate limits of Cognito, and the largest stack within the function's timeout.

use std::{collections::BTreeMap, time::Duration};

use cognito_m2m::{
    clock::Deadline,
    model::{PoolId, ResourceServer, SecretId},
    ports::{AwsError, SecretVersions, UserPools},
    retry::Retrying,
};
use futures::future;
use proptest::{collection::btree_map, prelude::*};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    FakeAws, Fault, Latency, Session, World, assert_is,
    fixtures::{domain, large, platform},
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

/// Uses up the quota of creating resource servers for ten seconds.
async fn use_up(aws: &FakeAws, pool: &PoolId) {
    let server = ResourceServer { identifier: "theirs".to_owned(), ..server() };
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        // All but the first are refused: the server is there, or too many calls come.
        let calls = (0..5).map(|_| aws.create_resource_server(pool, &server));
        future::join_all(calls).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn server() -> ResourceServer {
    ResourceServer { identifier: "billing".to_owned(), name: "Billing".to_owned(), mark: None, scopes: Vec::new() }
}

#[tokio::test(start_paused = true)]
async fn throttled_calls_are_made_again_in_turn_but_the_creation_of_a_domain_waits_for_none() {
    let aws = FakeAws::default();
    let pool = platform(&aws, "team-");
    aws.world().pools.get_mut(&pool).unwrap().domain = None;
    aws.world().behavior.quotas = true;
    // The first call of each operation is throttled.
    let session = Session::with_faults(&aws, (0..3).map(|call| (call, Fault::Throttled)));
    let run = Retrying::new(&session, Deadline::after(Duration::from_mins(15)));
    let (started, new_domain, new_server) = (Instant::now(), domain("ours").into(), server());
    let server = async {
        run.create_resource_server(&pool, &new_server).await.unwrap();
        started.elapsed()
    };
    let domain = async {
        run.create_user_pool_domain(&pool, &new_domain).await.unwrap();
        started.elapsed()
    };
    let list = async {
        run.list_resource_servers(&pool, None).await.unwrap();
        started.elapsed()
    };
    let (server, domain, list, ()) = future::join4(server, domain, list, use_up(&aws, &pool)).await;
    assert!(server > Duration::from_secs(2), "it was kept waiting: {server:?}");
    assert!(domain < Duration::from_secs(2), "{domain:?}");
    assert!(list > server, "in the order of their names: {list:?}, {server:?}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_of_secrets_manager_waits_for_longer_each_time() {
    let aws = FakeAws::default();
    let session = Session::with_faults(&aws, (0..6).map(|call| (call, Fault::Throttled)));
    let run = Retrying::new(&session, Deadline::after(Duration::from_mins(15)));
    let started = Instant::now();
    run.describe_secret(&SecretId::from("a")).await.unwrap();
    // Between half of these pauses and the whole: 0.25, 0.5, 1, 2, 4 and 4 s.
    let waited = started.elapsed().as_secs_f32();
    assert!((5.875..=11.75).contains(&waited), "{waited} s");
}
