//! Every call, every fault. After each fault the test plays CloudFormation: a Delete after a failed
//! Create, the swapped Update after a failed one, redelivery after a crash.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    lifecycle::{large, large_changed},
    support::{Answer, Call, Fault, Session, Stack, assert_is, assert_nothing_left, create, event},
};

/// The faults, each with what happens to how many calls from the k-th on.
fn faults() -> Vec<(&'static str, Fault, usize)> {
    vec![
        ("an error before the effect", Fault::Before, 1),
        ("the effect, then the answer lost", Fault::Lost, 1),
        ("the answers lost twice", Fault::Lost, 2),
        ("throttling three times", Fault::Throttled, 3),
        ("another modification for a while", Fault::Busy, 4),
        ("a hang", Fault::Hang, 1),
        ("hanging for good", Fault::Hang, 1000),
        ("a quota", Fault::Quota, 1),
        ("a crash before the effect", Fault::CrashBefore, 1),
        ("a crash after the effect", Fault::CrashAfter, 1),
    ]
}

/// An account, and the resource's id where it has one.
type SetUp = std::pin::Pin<Box<dyn Future<Output = (Stack, Option<String>)>>>;

/// What one event is sent into, and what must be true when all has ended.
struct Scenario {
    name: &'static str,
    /// Sets the account up.
    before: fn() -> SetUp,
    kind: &'static str,
    properties: fn() -> Value,
    old: fn() -> Value,
}

fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "the default Create",
            before: || Box::pin(async { (create(), None) }),
            kind: "Create",
            properties: || json!({}),
            old: || json!({}),
        },
        Scenario {
            name: "a Create with three clients, two servers and protection",
            before: || Box::pin(async { (create(), None) }),
            kind: "Create",
            properties: || {
                let mut properties = large();
                properties["DeletionProtection"] = json!("ACTIVE");
                properties
            },
            old: || json!({}),
        },
        Scenario {
            name: "a Create over secrets that a former stack gave up",
            before: || {
                Box::pin(async {
                    let former = create();
                    let created = former.create(&large()).await;
                    assert!(former.delete(created.physical_id(), &large()).await.succeeded());
                    (Stack::new(&former.world, "again"), None)
                })
            },
            kind: "Create",
            properties: large,
            old: || json!({}),
        },
        Scenario {
            name: "an Update of scopes, clients, domain and tags at once",
            before: || made(large()),
            kind: "Update",
            properties: large_changed,
            old: large,
        },
        Scenario {
            name: "an Update that changes nothing",
            before: || made(large()),
            kind: "Update",
            properties: large,
            old: large,
        },
        Scenario { name: "a Delete", before: || made(large()), kind: "Delete", properties: large, old: || json!({}) },
        Scenario {
            name: "a Delete of a half-made stack",
            before: || {
                Box::pin(async {
                    let stack = create();
                    // Half way: the process is killed and nobody delivers the event again.
                    let session = Session::with_faults(&stack.world, [(14, Fault::CrashAfter)]);
                    stack.invoke(&session, &event("Create", &stack, None, &large(), None)).await.unwrap();
                    assert_eq!(stack.world().pools.len(), 1, "something was made");
                    (stack, Some("one-M2M-1A2B3C4D5E6F".to_owned()))
                })
            },
            kind: "Delete",
            properties: large,
            old: || json!({}),
        },
    ]
}

fn made(properties: Value) -> SetUp {
    Box::pin(async move {
        let stack = create();
        let created = stack.create(&properties).await;
        assert!(created.succeeded(), "{}", created.reason());
        for client in ["web", "batch"] {
            stack.world().granted_for_good.insert(client.into(), ["orders/read".to_owned()].into());
        }
        (stack, Some(created.physical_id().to_owned()))
    })
}

/// Plays CloudFormation after an answer, without further faults, and checks the promised end.
async fn aftermath(stack: &Stack, scenario: &Scenario, id: Option<&str>, answer: &Answer) {
    let (properties, old) = ((scenario.properties)(), (scenario.old)());
    match (scenario.kind, answer.succeeded()) {
        ("Create" | "Update", true) => {
            assert_is(stack, &properties);
            let again = stack.update(answer.physical_id(), &properties, &properties).await;
            assert!(again.succeeded(), "{}", again.reason());
        }
        ("Create", false) => {
            let deleted = stack.delete(answer.physical_id(), &properties).await;
            assert!(deleted.succeeded(), "{}", deleted.reason());
            assert_nothing_left(stack);
        }
        ("Update", false) => {
            assert_eq!(Some(answer.physical_id()), id, "the id that it was given");
            let rolled_back = stack.update(answer.physical_id(), &old, &properties).await;
            assert!(rolled_back.succeeded(), "{}", rolled_back.reason());
            assert_is(stack, &old);
        }
        ("Delete", succeeded) => {
            if !succeeded {
                // CloudFormation, or the user, tries again.
                let again = stack.delete(answer.physical_id(), &properties).await;
                assert!(again.succeeded(), "{}", again.reason());
            }
            stack.world().granted_for_good.clear();
            assert_nothing_left(stack);
        }
        (other, _) => panic!("{other}"),
    }
    let promises = stack.world().broken_promises.clone();
    assert!(scenario.kind == "Delete" || promises.is_empty(), "{promises:?}");
}

#[tokio::test(start_paused = true)]
async fn every_call_survives_every_fault() {
    let mut combinations = 0;
    for scenario in scenarios() {
        let (stack, id) = (scenario.before)().await;
        let session = Session::new(&stack.world);
        let event_of = |stack: &Stack, id: Option<&str>| {
            event(scenario.kind, stack, id, &(scenario.properties)(), Some(&(scenario.old)()))
        };
        stack.invoke(&session, &event_of(&stack, id.as_deref())).await.unwrap();
        let calls = session.calls_made();

        for k in 0..calls {
            for (what, fault, times) in faults() {
                let (stack, id) = (scenario.before)().await;
                let foreign = foreign(&stack);
                let due = (k..k + times).map(|call| (call, fault.clone()));
                let answer = stack.send_with(&event_of(&stack, id.as_deref()), due).await;
                let outcome = async { aftermath(&stack, &scenario, id.as_deref(), &answer).await };
                let guarded = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(outcome)).await;
                assert!(
                    guarded.is_ok(),
                    "{}: {what} at call {k} of {calls}; the answer was {:?}",
                    scenario.name,
                    answer.0
                );
                // What passes by itself must not fail the event.
                if matches!(fault, Fault::Throttled | Fault::Busy)
                    || (matches!(fault, Fault::Lost | Fault::Hang) && times < 3)
                {
                    assert!(
                        answer.succeeded(),
                        "{}: {what} at call {k} of {calls}: {}",
                        scenario.name,
                        answer.reason()
                    );
                }
                assert_eq!(
                    foreign,
                    foreign_now(&stack),
                    "{}: {what} at call {k} touched what is not ours",
                    scenario.name
                );
                combinations += 1;
            }
        }
        println!("{}: {calls} calls", scenario.name);
    }
    println!("{combinations} combinations of a call and a fault");
    assert!(combinations > 1000);
}

type Foreign = Vec<(String, String)>;

/// Somebody else's things beside ours.
fn foreign(stack: &Stack) -> Foreign {
    {
        let mut world = stack.world();
        world.add_foreign_pool("machine-to-machine-prod", "somebody-else");
        world.add_foreign_secret("machine-to-machine-prod/other", std::collections::BTreeMap::new(), false);
    }
    foreign_now(stack)
}

fn foreign_now(stack: &Stack) -> Foreign {
    let world = stack.world();
    let pools = world
        .pools
        .iter()
        .filter(|(id, _)| id.as_str().contains("foreign"))
        .map(|(id, pool)| (id.to_string(), format!("{pool:?}")));
    let secrets = world
        .secrets
        .iter()
        .filter(|(name, _)| name.as_str().ends_with("/other"))
        .map(|(name, secret)| (name.to_string(), format!("{secret:?}")));
    pools.chain(secrets).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_is_cleaned_up_also_by_an_id_that_cloudformation_invented() {
    for k in 0..40 {
        let stack = create();
        let session = Session::with_faults(&stack.world, [(k, Fault::CrashAfter)]);
        stack.invoke(&session, &event("Create", &stack, None, &large(), None)).await.unwrap();
        let deleted = stack.delete("one-M2M-1A2B3C4D5E6F", &large()).await;
        assert!(deleted.succeeded(), "killed after call {k}: {}", deleted.reason());
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_is_answered_before_the_deadline_and_names_the_step() {
    for (timeout, k) in [(Duration::from_mins(5), 3), (Duration::from_secs(20), 3), (Duration::from_secs(3), 0)] {
        let mut stack = create();
        stack.timeout = timeout;
        let before = tokio::time::Instant::now();
        let hang = (k..1000).map(|call| (call, Fault::Hang));
        let answer = stack.send_with(&event("Create", &stack, None, &json!({}), None), hang).await;
        assert!(!answer.succeeded());
        assert!(before.elapsed() < timeout, "{:?}", before.elapsed());
        let reason = answer.reason();
        assert!(reason.contains("CreateUserPool") || reason.contains("eading the present state"), "{reason}");
        assert!(reason.contains("no answer") || reason.contains("Time ran out"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_reported_at_once_and_never_tried_again() {
    let stack = create();
    let answer = stack.send_with(&event("Create", &stack, None, &json!({}), None), [(3, Fault::Quota)]).await;
    assert!(!answer.succeeded());
    for word in ["LimitExceededException", "CreateUserPool", "quota"] {
        assert!(answer.reason().contains(word), "{word} in {}", answer.reason());
    }
    let tries = stack.world().calls.iter().filter(|Call { operation, .. }| *operation == "CreateUserPool").count();
    assert_eq!(tries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_create_user_pool_does_not_make_a_second_pool() {
    let stack = create();
    let answer = stack.send_with(&event("Create", &stack, None, &json!({}), None), [(3, Fault::Lost)]).await;
    assert!(answer.succeeded(), "{}", answer.reason());
    assert_eq!(stack.world().writes().iter().filter(|write| **write == "CreateUserPool").count(), 1);
    assert_is(&stack, &json!({}));
}
