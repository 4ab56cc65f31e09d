//! Rotation, with consumers asking for tokens all the while: Secrets Manager's four steps, and the
//! provider's own.

use std::time::Duration;

use cognito_m2m::{
    clock::Deadline,
    model::{ClientName, RotationRecord, SecretName},
    ports::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, SecretDocument},
    rotation::{RotationError, handle},
};
use serde_json::{Value, json};

use crate::{
    lifecycle::{large, large_changed},
    support::{
        Fault, Session, Stack, assert_is, assert_nothing_left,
        cloudformation::{End, ROTATION_FUNCTION},
        create, event,
        fake_aws::{FakeClientSecret, FakeVersion},
    },
};

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// A stack whose consumers never stop asking for tokens.
async fn made(properties: &Value) -> (Stack, String) {
    let stack = create();
    stack.world().consumers = true;
    let created = stack.create(properties).await;
    assert!(created.succeeded(), "{}", created.reason());
    (stack, created.physical_id().to_owned())
}

fn name(client: &str) -> SecretName {
    SecretName(format!("machine-to-machine-prod/{client}"))
}

fn document(stack: &Stack, client: &str) -> SecretDocument {
    stack.world().document(name(client).as_str()).clone()
}

/// What Secrets Manager does before it calls the function: a version without a value.
fn begin(stack: &Stack, client: &str, token: &str) {
    let mut world = stack.world();
    let secret = world.secrets.get_mut(&name(client)).unwrap();
    let version = FakeVersion { document: None, stages: [AWSPENDING.to_owned()].into(), created: Duration::ZERO };
    secret.versions.insert(token.to_owned(), version);
}

fn step_event(stack: &Stack, client: &str, step: &str, token: &str) -> Value {
    let arn = stack.world().secrets[&name(client)].arn.clone();
    json!({ "Step": step, "SecretId": arn, "ClientRequestToken": token, "RotationToken": "r" })
}

/// One invocation; `None` where the process was killed.
async fn step(
    stack: &Stack,
    session: &Session,
    client: &str,
    step: &str,
    token: &str,
) -> Option<Result<(), RotationError>> {
    let event = step_event(stack, client, step, token);
    let deadline = Deadline::after(Duration::from_mins(2));
    tokio::select! {
        result = handle(&event, deadline, session) => Some(result),
        () = session.dead.notified() => None,
    }
}

/// The whole rotation. Where a step fails or its process is killed Secrets Manager begins anew with
/// the same version.
async fn rotate_with(
    stack: &Stack,
    client: &str,
    token: &str,
    faults: impl IntoIterator<Item = (usize, Fault)>,
) -> usize {
    begin(stack, client, token);
    let first = Session::with_faults(&stack.world, faults);
    let mut session = first.clone();
    for _ in 0..4 {
        let mut all = true;
        for name in STEPS {
            if !matches!(step(stack, &session, client, name, token).await, Some(Ok(()))) {
                session = Session::new(&stack.world);
                all = false;
                break;
            }
        }
        if all {
            return first.calls_made();
        }
    }
    panic!("the rotation never came to its end");
}

async fn rotate(stack: &Stack, client: &str, token: &str) {
    rotate_with(stack, client, token, []).await;
}

fn assert_rotated(stack: &Stack, client: &str, before: &SecretDocument) {
    let after = document(stack, client);
    assert!(after.client_secret != before.client_secret, "a new value");
    assert_eq!((&after.client_id, &after.metadata), (&before.client_id, &before.metadata), "the other keys are kept");
    let world = stack.world();
    assert_eq!(world.broken_promises, Vec::<String>::new());
    let pool = &world.pools[&after.metadata.user_pool_id];
    let secrets = &pool.clients[&after.client_id].secrets;
    assert_eq!(secrets.len(), 2);
    assert!(secrets.iter().any(|secret| secret.value == before.client_secret), "the former secret is still good");
    assert!(world.secrets[&name(client)].staged(AWSPENDING).is_none(), "no rotation is under way");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_gives_a_new_secret_and_cuts_nobody_off() {
    let (stack, id) = made(&large()).await;
    for round in 0..4 {
        let before = document(&stack, "web");
        rotate(&stack, "web", &format!("round-{round}")).await;
        assert_rotated(&stack, "web", &before);
    }
    assert_is(&stack, &large());
    let writes = stack.world().writes().len();
    assert!(stack.update(&id, &large(), &large()).await.succeeded());
    assert_eq!(stack.world().writes().len(), writes, "no plan shows a difference because of it");
}

#[tokio::test(start_paused = true)]
async fn every_step_may_be_repeated() {
    let (stack, _) = made(&large()).await;
    for round in 0..3 {
        let before = document(&stack, "web");
        let token = format!("round-{round}");
        begin(&stack, "web", &token);
        let session = Session::new(&stack.world);
        for name in STEPS {
            for _ in 0..3 {
                step(&stack, &session, "web", name, &token).await.unwrap().unwrap();
            }
        }
        for name in STEPS {
            step(&stack, &session, "web", name, &token).await.unwrap().unwrap();
        }
        assert_rotated(&stack, "web", &before);
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_of_every_step_survives_every_fault() {
    let mut combinations = 0;
    // With one secret, with two, and with two after the stack was updated in between.
    for earlier in 0..3 {
        let prepared = || async {
            let (stack, id) = made(&large()).await;
            for round in 0..earlier {
                rotate(&stack, "web", &format!("earlier-{round}")).await;
            }
            if earlier == 2 {
                assert!(stack.update(&id, &large_changed_in_scopes(), &large()).await.succeeded());
                assert_eq!(stack.world().broken_promises, Vec::<String>::new());
            }
            stack
        };
        let stack = prepared().await;
        let calls = rotate_with(&stack, "web", "token", []).await;
        for k in 0..calls {
            for (fault, times) in [
                (Fault::Before, 1),
                (Fault::Lost, 1),
                (Fault::Throttled, 3),
                (Fault::Busy, 3),
                (Fault::Hang, 1),
                (Fault::CrashBefore, 1),
                (Fault::CrashAfter, 1),
            ] {
                let stack = prepared().await;
                let before = document(&stack, "web");
                rotate_with(&stack, "web", "token", (k..k + times).map(|call| (call, fault.clone()))).await;
                assert_rotated(&stack, "web", &before);
                // And the next one still works.
                let before = document(&stack, "web");
                rotate(&stack, "web", "next").await;
                assert_rotated(&stack, "web", &before);
                combinations += 1;
            }
        }
    }
    println!("{combinations} combinations of a rotation's call and a fault");
    assert!(combinations > 250);
}

/// [`large`] with another scope for the client that is rotated, so that its secret's text changes.
fn large_changed_in_scopes() -> Value {
    let mut properties = large();
    properties["Clients"][0]["AllowedOAuthScopes"] = json!(["orders/read"]);
    properties
}

#[tokio::test(start_paused = true)]
async fn an_update_after_a_rotation_never_writes_an_older_value() {
    for hides in [true, false] {
        let (stack, id) = made(&large()).await;
        stack.world().describe_hides_secrets = hides;
        rotate(&stack, "web", "one").await;
        let rotated = document(&stack, "web");
        for (new, old) in [(large_changed_in_scopes(), large()), (large_changed(), large_changed_in_scopes())] {
            let updated = stack.update(&id, &new, &old).await;
            assert!(updated.succeeded(), "{}", updated.reason());
            assert_is(&stack, &new);
        }
        assert!(stack.world().document("shop/secrets/web").client_secret == rotated.client_secret);
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_in_the_middle_of_a_rotation_is_not_undone_by_its_end() {
    let moved = with(large_changed_in_scopes(), "DomainPrefix", "moved");
    for (done, new) in (1..4).flat_map(|done| [(done, large_changed_in_scopes()), (done, moved.clone())]) {
        let (old, new) = (with(large(), "RotationDays", 30), with(new, "RotationDays", 30));
        let (stack, id) = made(&old).await;
        rotate(&stack, "web", "earlier").await;
        let before = document(&stack, "web");
        begin(&stack, "web", "token");
        let session = Session::new(&stack.world);
        for name in &STEPS[..done] {
            step(&stack, &session, "web", name, "token").await.unwrap().unwrap();
        }
        let updated = stack.update(&id, &new, &old).await;
        assert!(updated.succeeded(), "{}", updated.reason());
        // The Update has brought it to its end; what is called late has nothing left to do.
        for name in ["setSecret", "testSecret", "finishSecret", "finishSecret"] {
            step(&stack, &session, "web", name, "token").await.unwrap().unwrap();
        }
        assert_is(&stack, &new);
        assert!(document(&stack, "web").client_secret != before.client_secret);
        assert!(stack.world().secrets[&name("web")].staged(AWSPENDING).is_none());
        assert_eq!(stack.world().broken_promises, Vec::<String>::new());
        let before = document(&stack, "web");
        rotate(&stack, "web", "next").await;
        assert_rotated(&stack, "web", &before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_ends_between_any_two_calls_of_an_update_is_not_written_over() {
    let (old, new) = (with(large(), "RotationDays", 30), with(large_changed_in_scopes(), "RotationDays", 30));
    let account = || async {
        let (stack, id) = made(&old).await;
        rotate(&stack, "web", "earlier").await;
        let update = event("Update", &stack, Some(&id), &new, Some(&old));
        (stack, update)
    };
    let (stack, update) = account().await;
    let session = Session::new(&stack.world);
    assert!(matches!(stack.invoke(&session, &update).await, Ok(End::Answered(answer)) if answer.succeeded()));
    let mut given_up = 0;
    for k in 0..session.calls_made() {
        let (stack, update) = account().await;
        let before = document(&stack, "web");
        let other = stack.clone();
        let whole = Fault::Meanwhile(std::sync::Arc::new(move || {
            let stack = other.clone();
            Box::pin(async move {
                let rotation = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
                    runtime.unwrap().block_on(async {
                        begin(&stack, "web", "token");
                        let session = Session::new(&stack.world);
                        for name in STEPS {
                            // Between the client's step and its secret's the token has other scopes than
                            // the secret says: testSecret fails, and is called again later.
                            if step(&stack, &session, "web", name, "token").await.unwrap().is_err() {
                                break;
                            }
                        }
                    });
                });
                rotation.join().unwrap();
            })
        }));
        let answer = stack.send_with(&update, [(k, whole)]).await;
        assert!(answer.succeeded(), "call {k}: {}", answer.reason());
        let promises = std::mem::take(&mut stack.world().broken_promises);
        assert_is(&stack, &new);
        let session = Session::new(&stack.world);
        let mut ended = true;
        for name in STEPS {
            ended &= step(&stack, &session, "web", name, "token").await.unwrap().is_ok();
        }
        if !ended {
            // It began in the one moment between the Update's look and its write, and Secrets Manager
            // has given it up: setSecret had taken the former secret away already, but AWSCURRENT is good.
            assert!(promises.iter().all(|promise| !promise.contains("AWSCURRENT")), "call {k}: {promises:?}");
            given_up += 1;
            continue;
        }
        assert_eq!(promises, Vec::<String>::new(), "call {k}");
        let after = document(&stack, "web");
        assert!(after.client_secret != before.client_secret, "call {k}: an older value was written back");
        rotate(&stack, "web", "next").await;
        assert_rotated(&stack, "web", &after);
    }
    assert!(given_up <= 2, "{given_up} rotations were given up");
}

#[tokio::test(start_paused = true)]
async fn where_somebody_moved_awscurrent_back_by_hand_nothing_is_deleted() {
    for updated in [false, true] {
        let (stack, id) = made(&large()).await;
        rotate(&stack, "web", "one").await;
        {
            let mut world = stack.world();
            let secret = world.secrets.get_mut(&name("web")).unwrap();
            let previous = secret.staged(AWSPREVIOUS).unwrap().0.clone();
            let current = secret.staged(AWSCURRENT).unwrap().0.clone();
            for (id, version) in &mut secret.versions {
                version.stages.clear();
                version.stages.extend((*id == previous).then(|| AWSCURRENT.to_owned()));
                version.stages.extend((*id == current).then(|| AWSPREVIOUS.to_owned()));
            }
        }
        if updated {
            assert!(stack.update(&id, &large_changed_in_scopes(), &large()).await.succeeded());
        }
        let current = document(&stack, "web");
        begin(&stack, "web", "token");
        let session = Session::new(&stack.world);
        step(&stack, &session, "web", "createSecret", "token").await.unwrap().unwrap();
        let error = step(&stack, &session, "web", "setSecret", "token").await.unwrap().unwrap_err().report();
        assert!(error.contains("cannot be told for certain"), "{error}");
        let world = stack.world();
        let client = &world.pools[&current.metadata.user_pool_id].clients[&current.client_id];
        assert!(client.secrets.len() == 2 && client.takes(&current.client_secret));
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_somebody_else_added_is_named_and_left_alone() {
    for earlier in 0..2 {
        let (stack, _) = made(&large()).await;
        for round in 0..earlier {
            rotate(&stack, "web", &format!("earlier-{round}")).await;
        }
        let before = document(&stack, "web");
        {
            let mut world = stack.world();
            let pool = world.pools.get_mut(&before.metadata.user_pool_id).unwrap();
            let client = pool.clients.get_mut(&before.client_id).unwrap();
            client.secrets.retain(|secret| secret.value == before.client_secret);
            let value = cognito_m2m::redact::Secret::new("somebody-elses-value-0123456789".to_owned());
            client.secrets.push(FakeClientSecret { id: "theirs--9".into(), value, created: Duration::from_secs(3) });
            world.consumers = false;
        }
        begin(&stack, "web", "token");
        let session = Session::new(&stack.world);
        step(&stack, &session, "web", "createSecret", "token").await.unwrap().unwrap();
        let clients = stack.world().pools[&before.metadata.user_pool_id].clients.clone();
        let error = step(&stack, &session, "web", "setSecret", "token").await.unwrap().unwrap_err().report();
        assert!(error.contains("theirs--9") && error.contains("delete-user-pool-client-secret"), "{error}");
        assert_eq!(stack.world().pools[&before.metadata.user_pool_id].clients, clients, "nothing was changed");
        assert!(document(&stack, "web").client_secret == before.client_secret);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_to_be_rotated_is_refused_and_left_alone() {
    let (stack, _) = made(&large()).await;
    begin(&stack, "web", "token");
    let session = Session::new(&stack.world);
    let writes = stack.world().writes().len();
    let refused = async |client: &str, name: &str, token: &str, word: &str| {
        let error = step(&stack, &session, client, name, token).await.unwrap().unwrap_err().report();
        assert!(error.contains(word), "{word} in {error}");
    };
    for name in STEPS {
        refused("web", name, "another-version", "not staged").await;
    }
    refused("web", "rotateSecret", "token", "rotateSecret").await;
    let tags = stack.world().secrets[&name("web")].tags.clone();
    for key in ["ManagedBy", "cognito-m2m:stack-id", "cognito-m2m:logical-id"] {
        stack.world().secrets.get_mut(&name("web")).unwrap().tags.remove(key);
        refused("web", "createSecret", "token", "ownership tags").await;
        stack.world().secrets.get_mut(&name("web")).unwrap().tags = tags.clone();
    }
    stack.world().secrets.get_mut(&name("web")).unwrap().scheduled = true;
    refused("web", "createSecret", "token", "scheduled").await;
    for event in [json!({}), json!("x"), json!({ "Step": "createSecret" }), Value::Null] {
        let result = handle(&event, Deadline::after(Duration::from_mins(1)), &session).await;
        assert!(matches!(result, Err(RotationError::Event(_))), "{event}");
    }
    assert_eq!(stack.world().writes().len(), writes);
}

#[tokio::test(start_paused = true)]
async fn secrets_managers_test_of_a_new_schedule_passes_with_a_copy_and_with_nothing() {
    for copy in [true, false] {
        let (stack, _) = made(&large()).await;
        begin(&stack, "web", "trial");
        if copy {
            let current = document(&stack, "web");
            let mut world = stack.world();
            let secret = world.secrets.get_mut(&name("web")).unwrap();
            secret.versions.get_mut("trial").unwrap().document = Some(current);
        }
        let writes = stack.world().writes().len();
        step(&stack, &Session::new(&stack.world), "web", "testSecret", "trial").await.unwrap().unwrap();
        assert_eq!(stack.world().writes().len(), writes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_secret_that_gets_no_token_does_not_become_current() {
    let (stack, _) = made(&large()).await;
    let before = document(&stack, "web");
    begin(&stack, "web", "token");
    let session = Session::new(&stack.world);
    step(&stack, &session, "web", "createSecret", "token").await.unwrap().unwrap();
    // setSecret was skipped.
    let error = step(&stack, &session, "web", "testSecret", "token").await.unwrap().unwrap_err().report();
    assert!(error.contains("web") && error.contains("AWSCURRENT was not moved"), "{error}");
    assert!(document(&stack, "web").client_secret == before.client_secret);
    let error = step(&stack, &session, "billing", "finishSecret", "token").await.unwrap().unwrap_err().report();
    assert!(error.contains("not staged"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_stack_deleted_in_the_middle_of_a_rotation_leaves_nothing() {
    let (stack, _) = made(&large()).await;
    let calls = rotate_with(&stack, "web", "token", []).await;
    for k in 0..calls {
        let (stack, id) = made(&large()).await;
        stack.world().consumers = false;
        begin(&stack, "web", "token");
        // The rotation dies at call k, the stack is deleted, and Secrets Manager calls again.
        let session = Session::with_faults(&stack.world, [(k, Fault::CrashAfter)]);
        for name in STEPS {
            if step(&stack, &session, "web", name, "token").await.is_none() {
                break;
            }
        }
        let deleted = stack.delete(&id, &large()).await;
        assert!(deleted.succeeded(), "{}", deleted.reason());
        for name in STEPS {
            let late = step(&stack, &Session::new(&stack.world), "web", name, "token").await.unwrap();
            assert!(late.is_err(), "there is nothing to rotate any more");
        }
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_domain_does_not_stand_in_the_way_of_the_next_rotation() {
    let (stack, id) = made(&large()).await;
    rotate(&stack, "web", "one").await;
    stack.world().consumers = false;
    let moved = with(large(), "DomainPrefix", "moved");
    assert!(stack.update(&id, &moved, &large()).await.succeeded());
    for token in ["two", "three"] {
        let before = document(&stack, "web");
        rotate(&stack, "web", token).await;
        assert_rotated(&stack, "web", &before);
    }
    assert_is(&stack, &moved);
}

#[tokio::test(start_paused = true)]
async fn a_new_secret_name_does_not_stand_in_the_way_of_the_next_rotation() {
    let renamed = with(large(), "SecretNamePrefix", "machine-to-machine-prod/new");
    let again = with(large(), "SecretNamePrefix", "machine-to-machine-prod");
    let (stack, id) = made(&large()).await;
    rotate(&stack, "web", "one").await;
    let rotated = document(&stack, "web");
    let session = Session::new(&stack.world);
    let update = |stack: &Stack| event("Update", stack, Some(&id), &renamed, Some(&large()));
    assert!(matches!(stack.invoke(&session, &update(&stack)).await, Ok(End::Answered(answer)) if answer.succeeded()));
    for k in 0..session.calls_made() {
        for fault in [Fault::Lost, Fault::CrashBefore, Fault::CrashAfter] {
            let (stack, id) = made(&large()).await;
            rotate(&stack, "web", "one").await;
            let event = event("Update", &stack, Some(&id), &renamed, Some(&large()));
            let answer = stack.send_with(&event, [(k, fault)]).await;
            assert!(answer.succeeded(), "{}", answer.reason());
            assert_is(&stack, &renamed);
            let before = document(&stack, "new/web");
            rotate(&stack, "new/web", "two").await;
            assert_rotated(&stack, "new/web", &before);
        }
    }
    // There and back: the old name's secret comes out of its deletion.
    assert!(stack.update(&id, &again, &renamed).await.succeeded());
    assert!(document(&stack, "web").client_secret == rotated.client_secret);
    let before = document(&stack, "web");
    rotate(&stack, "web", "three").await;
    assert_rotated(&stack, "web", &before);
}

fn with(properties: Value, key: &str, value: impl Into<Value>) -> Value {
    let mut properties = properties;
    properties[key] = value.into();
    properties
}

#[tokio::test(start_paused = true)]
async fn a_schedule_is_turned_on_changed_and_off_without_rotating() {
    let versions = [
        large(),
        with(large(), "RotationDays", "30"),
        with(large(), "RotationDays", 90),
        with(large(), "RotationDays", "0"),
    ];
    let (stack, id) = made(&versions[0]).await;
    let secret = document(&stack, "web");
    for pair in versions.windows(2) {
        let updated = stack.update(&id, &pair[1], &pair[0]).await;
        assert!(updated.succeeded(), "{}", updated.reason());
        assert_is(&stack, &pair[1]);
    }
    assert!(document(&stack, "web").client_secret == secret.client_secret);
    // And from the start.
    let (stack, id) = made(&versions[1]).await;
    assert_is(&stack, &versions[1]);
    let rotation = stack.world().secrets[&name("web")].rotation.clone().unwrap();
    assert_eq!((rotation.function_arn.as_str(), rotation.days), (ROTATION_FUNCTION, 30));
    assert!(stack.delete(&id, &versions[1]).await.succeeded());
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_changed_value_rotates_every_client_once_and_now() {
    let (a, b, c) = (large(), with(large(), "RotateSecrets", "2026-11"), with(large(), "RotateSecrets", "2026-12"));
    let (stack, id) = made(&a).await;
    let secrets = |stack: &Stack| ["web", "billing", "batch"].map(|client| document(stack, client).client_secret);
    let first = secrets(&stack);
    let update = async |new: &Value, old: &Value| {
        let updated = stack.update(&id, new, old).await;
        assert!(updated.succeeded(), "{}", updated.reason());
        assert_is(&stack, new);
        assert_eq!(stack.world().broken_promises, Vec::<String>::new());
    };
    update(&b, &a).await;
    let second = secrets(&stack);
    assert!(first.iter().zip(&second).all(|(one, two)| one != two), "every client's");
    update(&b, &a).await;
    assert!(secrets(&stack) == second, "a redelivery does not rotate again");
    update(&a, &b).await;
    assert!(secrets(&stack) == second, "nor does a rollback");
    update(&b, &a).await;
    assert!(secrets(&stack) == second, "nor the value before");
    update(&c, &b).await;
    let third = secrets(&stack);
    assert!(second.iter().zip(&third).all(|(two, three)| two != three));
    // Twice with different values: the first secret is dead.
    let world = stack.world();
    let pool = world.pools.values().next().unwrap();
    assert!(
        pool.clients.values().all(|client| client.secrets.len() == 2 && !first.iter().any(|dead| client.takes(dead)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_rotation_by_an_update_survives_every_fault_at_every_call() {
    let (old, new) = (with(large(), "RotateSecrets", "1"), with(large(), "RotateSecrets", "2"));
    let prepared = || async {
        let (stack, id) = made(&large()).await;
        assert!(stack.update(&id, &old, &large()).await.succeeded());
        (stack, id)
    };
    let (stack, id) = prepared().await;
    let session = Session::new(&stack.world);
    let update = |stack: &Stack, id: &str| event("Update", stack, Some(id), &new, Some(&old));
    assert!(
        matches!(stack.invoke(&session, &update(&stack, &id)).await, Ok(End::Answered(answer)) if answer.succeeded())
    );
    let calls = session.calls_made();
    let mut combinations = 0;
    for k in 0..calls {
        for fault in [Fault::Before, Fault::Lost, Fault::Throttled, Fault::Hang, Fault::CrashBefore, Fault::CrashAfter]
        {
            let (stack, id) = prepared().await;
            let before = ["web", "billing", "batch"].map(|client| document(&stack, client));
            let answer = stack.send_with(&update(&stack, &id), [(k, fault.clone())]).await;
            if !answer.succeeded() {
                let back = stack.update(&id, &old, &new).await;
                assert!(back.succeeded(), "{fault:?} at {k}: {}", back.reason());
                assert_is(&stack, &old);
                // The next attempt has a value of its own, as the guide says.
                let again = stack.update(&id, &with(large(), "RotateSecrets", "3"), &old).await;
                assert!(again.succeeded(), "{fault:?} at {k}: {}", again.reason());
            }
            for (client, before) in ["web", "billing", "batch"].into_iter().zip(before) {
                assert!(document(&stack, client).client_secret != before.client_secret, "{fault:?} at {k}: {client}");
            }
            assert_eq!(stack.world().broken_promises, Vec::<String>::new(), "{fault:?} at {k} of {calls}");
            combinations += 1;
        }
    }
    println!("{combinations} combinations of an Update that rotates and a fault");
}

#[tokio::test(start_paused = true)]
async fn an_update_brings_a_rotation_that_is_under_way_to_its_end() {
    for done in 0..4 {
        let (stack, id) = made(&large()).await;
        rotate(&stack, "web", "earlier").await;
        let before = document(&stack, "web");
        begin(&stack, "web", "token");
        let session = Session::new(&stack.world);
        for name in &STEPS[..done] {
            step(&stack, &session, "web", name, "token").await.unwrap().unwrap();
        }
        let new = with(large(), "RotateSecrets", "now");
        let updated = stack.update(&id, &new, &large()).await;
        assert!(updated.succeeded(), "{}", updated.reason());
        assert_is(&stack, &new);
        assert_rotated(&stack, "web", &before);
        let world = stack.world();
        let secret = &world.secrets[&name("web")];
        assert_eq!(secret.staged(AWSCURRENT).unwrap().0, "token", "not a third secret");
        assert!(secret.staged(AWSPREVIOUS).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_somebody_wrote_over_does_not_rotate_and_is_put_back() {
    let properties = with(large(), "RotateSecrets", "1");
    let (stack, id) = made(&properties).await;
    let before = document(&stack, "web");
    stack.world().secrets.get_mut(&name("web")).unwrap().description = "our web shop".to_owned();
    assert!(stack.update(&id, &properties, &properties).await.succeeded());
    assert!(document(&stack, "web").client_secret == before.client_secret);
    let described = stack.world().secrets[&name("web")].description.clone();
    assert_eq!(described, RotationRecord::new("1").describe(&ClientName::from("web")));
}
