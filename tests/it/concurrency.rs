//! Two deliveries of one event at the same time, and a Delete that meets a running Create.

use std::sync::{Arc, Mutex};

use cognito_m2m::model::{ClientId, PoolId, ResourceType};
use futures::future;
use serde_json::{Value, json};

use crate::support::{
    CfnResponse, FakeAws, Fault, Stack, assert_is, assert_nothing_left,
    fixtures::{
        ADOPTEE, INVENTED_ID, add_adoptee, large, large_by_api, large_changed, member_client, member_server, others_in,
        platform, with,
    },
    in_another_process, new_stack,
};

/// The responses to the events that a fault delivers.
type Responses = Arc<Mutex<Vec<CfnResponse>>>;

/// A fault that delivers another event and waits for its response before the call goes on.
fn meanwhile(stack: &Stack, other: &Value) -> (Fault, Responses) {
    let responses = Responses::default();
    let (stack, other, received) = (stack.clone(), other.clone(), Arc::clone(&responses));
    let fault = Fault::meanwhile(move || {
        let (stack, other) = (stack.clone(), other.clone());
        let response = in_another_process(async move || stack.send(&other).await);
        received.lock().unwrap().push(response);
    });
    (fault, responses)
}

fn first(responses: &Responses) -> CfnResponse {
    responses.lock().unwrap()[0].clone()
}

/// Delivers two events at the same moment.
async fn both(one: (&Stack, &Value), two: (&Stack, &Value)) -> (CfnResponse, CfnResponse) {
    future::join(one.0.send(one.1), two.0.send(two.1)).await
}

#[tokio::test(start_paused = true)]
async fn the_same_create_twice_at_once_makes_everything_once() {
    for properties in [json!({}), large(), large_by_api(), json!({ "DeletionProtection": "ACTIVE" })] {
        let stack = new_stack();
        let event = stack.create_event(&properties);
        let (one, two) = both((&stack, &event), (&stack, &event)).await;
        assert_eq!(one.good().data(), two.good().data(), "both responses are about the same things");
        assert_is(&stack, &properties);
    }
}

/// A stack with a resource in a platform's pool, its properties, and the pool.
fn member(resource_type: ResourceType, adopts: bool) -> (Stack, Value, PoolId) {
    let aws = FakeAws::default();
    let pool = platform(&aws, "team-");
    let stack = Stack::of_type(resource_type, &aws, "team-a");
    let properties = match resource_type {
        ResourceType::CognitoM2MResourceServer => member_server(&pool, &["read"]),
        _ if adopts => with(member_client(&pool), "AdoptClientId", ADOPTEE),
        _ => member_client(&pool),
    };
    if adopts {
        add_adoptee(&stack, &pool);
    }
    (stack, properties, pool)
}

const MEMBERS: [(ResourceType, bool); 3] = [
    (ResourceType::CognitoM2MClient, false),
    (ResourceType::CognitoM2MClient, true),
    (ResourceType::CognitoM2MResourceServer, false),
];

#[tokio::test(start_paused = true)]
async fn the_same_create_of_a_member_starting_between_any_two_calls_of_the_other_makes_everything_once() {
    let mut combinations = 0;
    for (resource_type, adopts) in MEMBERS {
        let (stack, properties, _) = member(resource_type, adopts);
        for k in 0..stack.count_calls(&stack.create_event(&properties)).await {
            let (stack, properties, pool) = member(resource_type, adopts);
            let others = others_in(&[&stack], &pool);
            let event = stack.create_event(&properties);
            let (fault, responses) = meanwhile(&stack, &event);
            let one = stack.send_with(&event, [(k, fault)]).await.good_at(format_args!("call {k}"));
            let other = first(&responses).good_at(format_args!("the other at call {k}"));
            assert_eq!(one.data(), other.data(), "call {k}");
            assert_is(&stack, &properties);
            assert_eq!(others_in(&[&stack], &pool), others, "call {k}");
            combinations += 1;
        }
    }
    println!("{combinations} interleavings of a member's Create with itself");
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_meets_a_running_create_of_a_member_leaves_nothing_whatever_call_it_falls_on() {
    let mut combinations = 0;
    for (resource_type, adopts) in MEMBERS {
        let (stack, properties, _) = member(resource_type, adopts);
        for k in 0..stack.count_calls(&stack.create_event(&properties)).await {
            let (stack, properties, pool) = member(resource_type, adopts);
            let others = others_in(&[&stack], &pool);
            let (fault, deletes) = meanwhile(&stack, &stack.delete_event(INVENTED_ID, &properties));
            let created = stack.send_with(&stack.create_event(&properties), [(k, fault)]).await;
            first(&deletes).good_at(format_args!("call {k}"));
            assert!(!created.succeeded(), "call {k}: the Create knows that nobody wants it any more");
            assert_nothing_left(&stack);
            assert_eq!(others_in(&[&stack], &pool), others, "call {k}");
            if adopts {
                let name = stack.world().pools[&pool].clients[&ClientId::from(ADOPTEE)].client.name.clone();
                assert_eq!(name.as_str(), "Orders, old", "call {k}");
            }
            combinations += 1;
        }
    }
    println!("{combinations} interleavings of a Delete with a member's running Create");
}

/// A new stack; `redeployed` says whether its account holds the secrets of a deleted one.
async fn account(redeployed: bool) -> Stack {
    let former = new_stack();
    if redeployed {
        let created = former.create(&large()).await;
        former.delete(created.physical_id(), &large()).await.good();
    }
    Stack::new(&former.aws, "stack")
}

#[tokio::test(start_paused = true)]
async fn the_same_create_starting_between_any_two_calls_of_the_other_makes_everything_once() {
    let mut combinations = 0;
    // Without a domain, the secrets decide which pool stays.
    for (redeployed, properties) in [false, true].into_iter().flat_map(|it| [(it, large()), (it, large_by_api())]) {
        let stack = account(redeployed).await;
        for k in 0..stack.count_calls(&stack.create_event(&properties)).await {
            let stack = account(redeployed).await;
            let event = stack.create_event(&properties);
            let (fault, others) = meanwhile(&stack, &event);
            let one = stack.send_with(&event, [(k, fault)]).await.good_at(format_args!("call {k}"));
            let other = first(&others).good_at(format_args!("the other at call {k}"));
            assert_eq!(one.data(), other.data(), "call {k}");
            assert_is(&stack, &properties);
            combinations += 1;
        }
    }
    println!("{combinations} interleavings of a Create with itself");
}

#[tokio::test(start_paused = true)]
async fn the_same_update_starting_between_any_two_calls_of_the_other_changes_everything_once() {
    let mut combinations = 0;
    let account = || async {
        let stack = new_stack();
        let id = stack.create(&large()).await.good().physical_id().to_owned();
        let event = stack.update_event(&id, &large_changed(), &large());
        let scopes = stack.update_event(&id, &fewer_scopes(), &large());
        (stack, [event, scopes])
    };
    for (which, properties) in [large_changed(), fewer_scopes()].into_iter().enumerate() {
        let (stack, events) = account().await;
        for k in 0..stack.count_calls(&events[which]).await {
            let (stack, events) = account().await;
            let (fault, others) = meanwhile(&stack, &events[which]);
            let one = stack.send_with(&events[which], [(k, fault)]).await.good_at(format_args!("call {k}"));
            let other = first(&others).good_at(format_args!("the other at call {k}"));
            assert_eq!(one.data()["ClientIds"], other.data()["ClientIds"], "call {k}");
            assert_is(&stack, &properties);
            combinations += 1;
        }
    }
    println!("{combinations} interleavings of an Update with itself");
}

/// [`large`] with a client that has fewer scopes, so that its secret gets a new version.
fn fewer_scopes() -> Value {
    let mut properties = large();
    properties["Clients"][0]["AllowedOAuthScopes"] = json!(["orders/read"]);
    properties
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_meets_a_running_create_leaves_nothing_whatever_call_it_falls_on() {
    let mut combinations = 0;
    for properties in [large(), large_by_api()] {
        let stack = new_stack();
        for k in 0..stack.count_calls(&stack.create_event(&properties)).await {
            let stack = new_stack();
            let (fault, deletes) = meanwhile(&stack, &stack.delete_event(INVENTED_ID, &properties));
            let created = stack.send_with(&stack.create_event(&properties), [(k, fault)]).await;
            first(&deletes).good_at(format_args!("call {k}"));
            assert!(!created.succeeded(), "call {k}: the Create knows that nobody wants it any more");
            assert_nothing_left(&stack);
            combinations += 1;
        }
    }
    println!("{combinations} interleavings of a Delete with a running Create");
}

#[tokio::test(start_paused = true)]
async fn a_delete_and_a_create_call_by_call_leave_nothing() {
    // Both at once. The Delete starts later by this many thirds of a call's time.
    for head_start in 0..120_u64 {
        let stack = new_stack();
        let create = stack.create_event(&large());
        let delete = stack.delete_event(INVENTED_ID, &large());
        let later = async {
            tokio::time::sleep(std::time::Duration::from_millis(head_start * 3)).await;
            stack.send(&delete).await
        };
        let (created, deleted) = future::join(stack.send(&create), later).await;
        deleted.good_at(head_start);
        assert!(
            !created.succeeded() || stack.world().pools.is_empty(),
            "{head_start}: a Create that ended before the Delete began was removed by it"
        );
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_was_deleted_while_creating_can_be_created_again() {
    let stack = new_stack();
    stack.delete(INVENTED_ID, &large()).await.good();
    // The wall clock is not paused: a Create sent later has a later time.
    std::thread::sleep(std::time::Duration::from_millis(3));
    let created = stack.create(&large()).await.good();
    assert_is(&stack, &large());
    stack.delete(created.physical_id(), &large()).await.good();
    stack.delete(INVENTED_ID, &large()).await.good_at("the note is written anew");
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn two_stacks_with_the_same_names_do_not_take_from_each_other() {
    let one = new_stack();
    let two = Stack::new(&one.aws, "two");
    let events = (one.create_event(&large()), two.create_event(&large()));
    let (first, second) = both((&one, &events.0), (&two, &events.1)).await;
    assert_ne!(
        first.succeeded(),
        second.succeeded(),
        "one of them has the domain: {} {}",
        first.reason(),
        second.reason()
    );
    let (winner, loser, lost) = if first.succeeded() { (&one, &two, second) } else { (&two, &one, first) };
    lost.failed("orders-prod");
    loser.delete(lost.physical_id(), &large()).await.good();
    assert_nothing_left(loser);
    assert_is(winner, &large());
}

#[tokio::test(start_paused = true)]
async fn the_delete_of_an_old_stack_spares_a_new_one_with_the_same_names() {
    let account = || async {
        let old = new_stack();
        let created = old.create(&large()).await.good();
        let deletion = old.delete_event(created.physical_id(), &large());
        (old, deletion)
    };
    let (old, deletion) = account().await;
    for k in 0..old.count_calls(&deletion).await {
        let (old, deletion) = account().await;
        let new = Stack::new(&old.aws, "new");
        let (fault, responses) = meanwhile(&new, &new.create_event(&large()));
        old.send_with(&deletion, [(k, fault)]).await.good_at(format_args!("call {k}"));
        assert_nothing_left(&old);
        let created = first(&responses);
        if created.succeeded() {
            assert_is(&new, &large());
        } else {
            new.delete(created.physical_id(), &large()).await.good();
            assert_nothing_left(&new);
        }
    }
}
