//! Two deliveries at once, and the Delete that meets a running Create.

use std::sync::{Arc, Mutex};

use futures::future;
use serde_json::json;

use crate::{
    lifecycle::large,
    support::{Answer, Fault, Session, Stack, assert_is, assert_nothing_left, cloudformation::End, create, event},
};

fn answered(end: Result<End, cognito_m2m::provider::HandlerError>) -> Answer {
    match end.unwrap() {
        End::Answered(answer) => answer,
        End::Killed => panic!("killed"),
    }
}

/// A fault that delivers another event and waits for its answer before the call goes on.
fn meanwhile(stack: &Stack, other: &serde_json::Value) -> (Fault, Arc<Mutex<Vec<Answer>>>) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let (stack, other, kept) = (stack.clone(), other.clone(), Arc::clone(&answers));
    let run = move || -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let (stack, other, kept) = (stack.clone(), other.clone(), Arc::clone(&kept));
        // On a thread and a clock of its own: the provider's future stays on one thread.
        Box::pin(async move {
            let answer = std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
                runtime.block_on(async { answered(stack.invoke(&Session::new(&stack.world), &other).await) })
            })
            .join()
            .unwrap();
            kept.lock().unwrap().push(answer);
        })
    };
    (Fault::Meanwhile(Arc::new(run)), answers)
}

#[tokio::test(start_paused = true)]
async fn the_same_create_twice_at_once_makes_everything_once() {
    for properties in [json!({}), large(), json!({ "DeletionProtection": "ACTIVE" })] {
        let stack = create();
        let event = event("Create", &stack, None, &properties, None);
        let sessions = (Session::new(&stack.world), Session::new(&stack.world));
        let (one, two) = future::join(stack.invoke(&sessions.0, &event), stack.invoke(&sessions.1, &event)).await;
        let (one, two) = (answered(one), answered(two));
        assert!(one.succeeded() && two.succeeded(), "{} {}", one.reason(), two.reason());
        assert_eq!(one.0["Data"], two.0["Data"], "both answers speak of the same things");
        assert_is(&stack, &properties);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_create_starting_between_any_two_calls_of_the_other_makes_everything_once() {
    let mut combinations = 0;
    for redeployed in [false, true] {
        let account = || async {
            let former = create();
            if redeployed {
                let created = former.create(&large()).await;
                assert!(former.delete(created.physical_id(), &large()).await.succeeded());
            }
            Stack::new(&former.world, "stack")
        };
        let stack = account().await;
        let session = Session::new(&stack.world);
        answered(stack.invoke(&session, &event("Create", &stack, None, &large(), None)).await);
        for k in 0..session.calls_made() {
            let stack = account().await;
            let event = event("Create", &stack, None, &large(), None);
            let (fault, others) = meanwhile(&stack, &event);
            let answer = stack.send_with(&event, [(k, fault)]).await;
            let other = others.lock().unwrap()[0].clone();
            assert!(answer.succeeded() && other.succeeded(), "call {k}: {} {}", answer.reason(), other.reason());
            assert_eq!(answer.0["Data"], other.0["Data"], "call {k}");
            assert_is(&stack, &large());
            combinations += 1;
        }
    }
    println!("{combinations} interleavings of a Create with itself");
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_meets_a_running_create_leaves_nothing_whatever_call_it_falls_on() {
    let stack = create();
    let session = Session::new(&stack.world);
    answered(stack.invoke(&session, &event("Create", &stack, None, &large(), None)).await);
    let calls = session.calls_made();
    for k in 0..calls {
        let stack = create();
        let (fault, answers) =
            meanwhile(&stack, &event("Delete", &stack, Some("one-M2M-1A2B3C4D5E6F"), &large(), None));
        let created = stack.send_with(&event("Create", &stack, None, &large(), None), [(k, fault)]).await;
        let deleted = answers.lock().unwrap()[0].clone();
        assert!(deleted.succeeded(), "call {k}: {}", deleted.reason());
        assert!(!created.succeeded(), "call {k}: the Create knows that nobody wants it any more");
        assert_nothing_left(&stack);
    }
    println!("{calls} interleavings of a Delete with a running Create");
}

#[tokio::test(start_paused = true)]
async fn a_delete_and_a_create_call_by_call_leave_nothing() {
    // Both at once, with the Delete held back by so many calls' time.
    for head_start in 0..120_u64 {
        let stack = create();
        let (create_event, delete_event) = (
            event("Create", &stack, None, &large(), None),
            event("Delete", &stack, Some("one-M2M-1A2B3C4D5E6F"), &large(), None),
        );
        let sessions = (Session::new(&stack.world), Session::new(&stack.world));
        let later = async {
            tokio::time::sleep(std::time::Duration::from_millis(head_start * 3)).await;
            stack.invoke(&sessions.1, &delete_event).await
        };
        let (created, deleted) = future::join(stack.invoke(&sessions.0, &create_event), later).await;
        let (created, deleted) = (answered(created), answered(deleted));
        assert!(deleted.succeeded(), "{head_start}: {}", deleted.reason());
        assert!(
            !created.succeeded() || stack.world().pools.is_empty(),
            "{head_start}: a Create that ended before the Delete began was removed by it"
        );
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_was_deleted_while_creating_can_be_created_again() {
    let stack = create();
    assert!(stack.delete("one-M2M-1A2B3C4D5E6F", &large()).await.succeeded());
    // The wall clock is not paused: a Create sent later has a later time.
    std::thread::sleep(std::time::Duration::from_millis(3));
    let answer = stack.create(&large()).await;
    assert!(answer.succeeded(), "{}", answer.reason());
    assert_is(&stack, &large());
    assert!(stack.delete(answer.physical_id(), &large()).await.succeeded());
    assert!(stack.delete("one-M2M-1A2B3C4D5E6F", &large()).await.succeeded(), "and the note is written anew");
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn two_stacks_with_the_same_names_do_not_take_from_each_other() {
    let one = create();
    let two = Stack::new(&one.world, "two");
    let sessions = (Session::new(&one.world), Session::new(&one.world));
    let events = (event("Create", &one, None, &large(), None), event("Create", &two, None, &large(), None));
    let (first, second) = future::join(one.invoke(&sessions.0, &events.0), two.invoke(&sessions.1, &events.1)).await;
    let (first, second) = (answered(first), answered(second));
    assert_ne!(
        first.succeeded(),
        second.succeeded(),
        "one of them has the domain: {} {}",
        first.reason(),
        second.reason()
    );
    let (winner, loser, lost) = if first.succeeded() { (&one, &two, second) } else { (&two, &one, first) };
    assert!(lost.reason().contains("orders-prod"), "{}", lost.reason());
    assert!(loser.delete(lost.physical_id(), &large()).await.succeeded());
    assert_nothing_left(loser);
    assert_is(winner, &large());
}

#[tokio::test(start_paused = true)]
async fn the_delete_of_an_old_stack_spares_a_new_one_with_the_same_names() {
    let old = create();
    let created = old.create(&large()).await;
    let deletion = event("Delete", &old, Some(created.physical_id()), &large(), None);
    let session = Session::new(&old.world);
    answered(old.invoke(&session, &deletion).await);
    for k in 0..session.calls_made() {
        let old = create();
        let created = old.create(&large()).await;
        let new = Stack::new(&old.world, "new");
        let (fault, news) = meanwhile(&new, &event("Create", &new, None, &large(), None));
        let deletion = event("Delete", &old, Some(created.physical_id()), &large(), None);
        let deleted = old.send_with(&deletion, [(k, fault)]).await;
        assert!(deleted.succeeded(), "call {k}: {}", deleted.reason());
        assert_nothing_left(&old);
        let answer = news.lock().unwrap()[0].clone();
        if answer.succeeded() {
            assert_is(&new, &large());
        } else {
            assert!(new.delete(answer.physical_id(), &large()).await.succeeded());
            assert_nothing_left(&new);
        }
    }
}
