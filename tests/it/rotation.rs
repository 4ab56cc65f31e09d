//! Rotation by the four steps of Secrets Manager and by the provider itself, while consumers ask for
//! tokens all the time.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use cognito_m2m::{
    clock::Deadline,
    model::{ClientName, RotationRecord, SecretId},
    ports::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, SecretDocument},
    redact::Secret,
    rotation::{RotationError, handle},
};
use serde_json::{Value, json};

use crate::support::{
    FakeClientSecret, FakeVersion, Fault, Session, Stack, assert_is, assert_no_complaints, assert_nothing_left,
    cloudformation::{ROTATION_FUNCTION, config},
    fixtures::{LARGE_CLIENTS, large, large_changed, with},
    in_another_process, new_stack,
};

pub const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// A stack whose consumers never stop asking for tokens.
pub async fn made(properties: &Value) -> (Stack, String) {
    let stack = new_stack();
    stack.world().consumers.at_work = true;
    let created = stack.create(properties).await.good();
    (stack, created.physical_id().to_owned())
}

pub fn name(client: &str) -> SecretId {
    SecretId(format!("machine-to-machine-prod/{client}"))
}

pub fn document(stack: &Stack, client: &str) -> SecretDocument {
    stack.world().document(&name(client)).clone()
}

/// Makes a version without a value, as Secrets Manager does before it calls the function.
pub fn begin(stack: &Stack, client: &str, token: &str) {
    let mut world = stack.world();
    let secret = world.secrets.get_mut(&name(client)).unwrap();
    let version = FakeVersion { stages: [AWSPENDING.to_owned()].into(), ..FakeVersion::default() };
    secret.versions.insert(token.to_owned(), version);
}

pub fn step_event(stack: &Stack, client: &str, step: &str, token: &str) -> Value {
    let arn = stack.world().secrets[&name(client)].arn.clone();
    json!({ "Step": step, "SecretId": arn, "ClientRequestToken": token, "RotationToken": "r" })
}

/// Runs one invocation. Returns `None` if a fault kills its process.
pub async fn step(
    stack: &Stack,
    session: &Session,
    client: &str,
    step: &str,
    token: &str,
) -> Option<Result<(), RotationError>> {
    let event = step_event(stack, client, step, token);
    session.run(handle(&event, Deadline::after(Duration::from_mins(2)), session, &config().endpoints)).await
}

/// Runs steps of the rotation of `web` with the token `token`. All of them must succeed.
pub async fn good_steps(stack: &Stack, session: &Session, steps: &[&str]) {
    for name in steps {
        step(stack, session, "web", name, "token").await.unwrap().unwrap();
    }
}

/// Runs one step of the rotation of `web` with the token `token`. Returns the error, which must contain the text.
pub async fn failed_step(stack: &Stack, session: &Session, name: &str, text: &str) -> String {
    let error = step(stack, session, "web", name, "token").await.unwrap().unwrap_err().report();
    assert!(error.contains(text), "{text:?} is not in: {error}");
    error
}

/// Runs the four steps until one fails or its process is killed.
async fn all_steps(stack: &Stack, session: &Session, client: &str, token: &str) -> bool {
    for name in STEPS {
        if !matches!(step(stack, session, client, name, token).await, Some(Ok(()))) {
            return false;
        }
    }
    true
}

/// Runs a whole rotation and returns the number of its calls before the first failure. After a failure
/// Secrets Manager begins anew with the same version.
async fn rotate_with(
    stack: &Stack,
    client: &str,
    token: &str,
    faults: impl IntoIterator<Item = (usize, Fault)>,
) -> usize {
    begin(stack, client, token);
    let first = Session::with_faults(&stack.aws, faults);
    let mut session = first.clone();
    for _ in 0..4 {
        if all_steps(stack, &session, client, token).await {
            return first.calls_made();
        }
        session = Session::new(&stack.aws);
    }
    panic!("the rotation never came to its end");
}

pub async fn rotate(stack: &Stack, client: &str, token: &str) {
    rotate_with(stack, client, token, []).await;
}

pub fn assert_rotated(stack: &Stack, client: &str, before: &SecretDocument) {
    let after = document(stack, client);
    assert!(after.client_secret != before.client_secret, "a new value");
    assert_eq!((&after.client_id, &after.metadata), (&before.client_id, &before.metadata), "the other keys are kept");
    assert_no_complaints(stack);
    let world = stack.world();
    let pool = &world.pools[&after.metadata.user_pool_id];
    let secrets = &pool.clients[&after.client_id].secrets;
    assert_eq!(secrets.len(), 2);
    assert!(secrets.iter().any(|secret| secret.value == before.client_secret), "the former secret is still good");
    assert!(world.secrets[&name(client)].staged(AWSPENDING).is_none(), "no rotation is under way");
}

#[tokio::test(start_paused = true)]
async fn the_last_step_never_moves_awscurrent_to_a_client_that_is_gone() {
    let prepared = async || {
        let (stack, _) = made(&large()).await;
        stack.world().consumers.at_work = false;
        begin(&stack, "web", "token");
        good_steps(&stack, &Session::new(&stack.aws), &STEPS[..3]).await;
        stack
    };
    let stack = prepared().await;
    let session = Session::new(&stack.aws);
    good_steps(&stack, &session, &STEPS[3..]).await;
    for k in 0..session.calls_made() {
        let stack = prepared().await;
        let aws = stack.aws.clone();
        let has_moved = Arc::new(OnceLock::new());
        let moved = Arc::clone(&has_moved);
        // An Update writes the client that it has made instead.
        let meanwhile = Fault::meanwhile(move || {
            let mut world = aws.world();
            let secret = world.secrets.get_mut(&name("web")).unwrap();
            let (id, current) = secret.staged(AWSCURRENT).map(|(id, current)| (id.clone(), current.clone())).unwrap();
            if id == "token" {
                moved.set(()).unwrap();
                return;
            }
            secret.versions.get_mut(&id).unwrap().stages.remove(AWSCURRENT);
            let mut new = current;
            new.document.as_mut().unwrap().client_id = "another".into();
            secret.versions.insert("new".to_owned(), new);
        });
        let session = Session::with_faults(&stack.aws, [(k, meanwhile)]);
        step(&stack, &session, "web", "finishSecret", "token").await.unwrap().ok();
        if has_moved.get().is_none() {
            assert_eq!(document(&stack, "web").client_id, "another".into(), "call {k}");
        }
    }
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
    stack.update(&id, &large(), &large()).await.good();
    assert_eq!(stack.world().writes().len(), writes, "no plan shows a difference because of it");
}

#[tokio::test(start_paused = true)]
async fn every_step_may_be_repeated() {
    let (stack, _) = made(&large()).await;
    for round in 0..3 {
        let before = document(&stack, "web");
        let token = format!("round-{round}");
        begin(&stack, "web", &token);
        let session = Session::new(&stack.aws);
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
    // The client has one secret, or two, or two and an Update in between.
    for earlier in 0..3 {
        let prepared = || async {
            let (stack, id) = made(&large()).await;
            for round in 0..earlier {
                rotate(&stack, "web", &format!("earlier-{round}")).await;
            }
            if earlier == 2 {
                stack.update(&id, &large_changed_in_scopes(), &large()).await.good();
                assert_no_complaints(&stack);
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
pub fn large_changed_in_scopes() -> Value {
    let mut properties = large();
    properties["Clients"][0]["AllowedOAuthScopes"] = json!(["orders/read"]);
    properties
}

#[tokio::test(start_paused = true)]
async fn an_update_after_a_rotation_never_writes_an_older_value() {
    for hides in [true, false] {
        let (stack, id) = made(&large()).await;
        stack.world().behavior.describe_hides_secrets = hides;
        rotate(&stack, "web", "one").await;
        let rotated = document(&stack, "web");
        for (new, old) in [(large_changed_in_scopes(), large()), (large_changed(), large_changed_in_scopes())] {
            stack.update(&id, &new, &old).await.good();
            assert_is(&stack, &new);
        }
        assert!(stack.world().document(&"shop/secrets/web".into()).client_secret == rotated.client_secret);
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
        let session = Session::new(&stack.aws);
        good_steps(&stack, &session, &STEPS[..done]).await;
        stack.update(&id, &new, &old).await.good();
        // The Update has finished the rotation. Steps that are called late have nothing left to do.
        good_steps(&stack, &session, &["setSecret", "testSecret", "finishSecret", "finishSecret"]).await;
        assert_is(&stack, &new);
        assert!(document(&stack, "web").client_secret != before.client_secret);
        assert!(stack.world().secrets[&name("web")].staged(AWSPENDING).is_none());
        assert_no_complaints(&stack);
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
        let update = stack.update_event(&id, &new, &old);
        (stack, update)
    };
    let (stack, update) = account().await;
    let mut given_up = 0;
    for k in 0..stack.count_calls(&update).await {
        let (stack, update) = account().await;
        let before = document(&stack, "web");
        stack.send_with(&update, [(k, whole_rotation(&stack))]).await.good_at(format_args!("call {k}"));
        let complaints = std::mem::take(&mut stack.world().consumers.complaints);
        assert_is(&stack, &new);
        if !retried(&stack).await {
            // It began between the Update's observation and its write, so Secrets Manager has given it
            // up. Its setSecret had already removed the former secret, but AWSCURRENT is good.
            assert!(complaints.iter().all(|complaint| !complaint.contains("AWSCURRENT")), "call {k}: {complaints:?}");
            given_up += 1;
            continue;
        }
        assert_eq!(complaints, Vec::<String>::new(), "call {k}");
        let after = document(&stack, "web");
        assert!(after.client_secret != before.client_secret, "call {k}: an older value was written back");
        rotate(&stack, "web", "next").await;
        assert_rotated(&stack, "web", &after);
    }
    assert!(given_up <= 2, "{given_up} rotations were given up");
}

/// Without a schedule, the version that an Update writes is prepared before its client changes. AWSCURRENT moves to it
/// only from the version that the Update has seen.
#[tokio::test(start_paused = true)]
async fn a_rotation_without_a_schedule_between_any_two_calls_of_an_update_is_not_written_over() {
    let account = || async {
        let (stack, id) = made(&large()).await;
        rotate(&stack, "web", "earlier").await;
        let update = stack.update_event(&id, &large_changed_in_scopes(), &large());
        (stack, update)
    };
    let (stack, update) = account().await;
    let (calls, mut rotated) = (stack.count_calls(&update).await, 0);
    for k in 0..calls {
        let (stack, update) = account().await;
        let before = document(&stack, "web");
        let between: Arc<OnceLock<SecretDocument>> = Arc::default();
        let (rotate_now, seen) = (stack.clone(), Arc::clone(&between));
        let meanwhile = Fault::meanwhile(move || {
            let (stack, seen) = (rotate_now.clone(), Arc::clone(&seen));
            in_another_process(async move || {
                begin(&stack, "web", "token");
                all_steps(&stack, &Session::new(&stack.aws), "web", "token").await;
                seen.set(document(&stack, "web")).unwrap();
            });
        });
        stack.send_with(&update, [(k, meanwhile)]).await.good_at(format_args!("call {k}"));
        assert_is(&stack, &large_changed_in_scopes());
        let (between, after) = (between.get().unwrap(), document(&stack, "web"));
        // A rotation whose test failed has not moved AWSCURRENT.
        assert!(after.client_secret == between.client_secret, "call {k}: an older value was written back");
        let complaints = std::mem::take(&mut stack.world().consumers.complaints);
        assert!(complaints.iter().all(|complaint| !complaint.contains("AWSCURRENT")), "call {k}: {complaints:?}");
        if after.client_secret != before.client_secret {
            rotated += 1;
            rotate(&stack, "web", "next").await;
            assert_rotated(&stack, "web", &after);
        }
    }
    println!("{calls} interleavings of an Update with a rotation, {rotated} of which moved AWSCURRENT");
    assert!(rotated > calls / 2);
}

/// A fault that runs a whole rotation before the call goes on.
fn whole_rotation(stack: &Stack) -> Fault {
    let stack = stack.clone();
    Fault::meanwhile(move || {
        let stack = stack.clone();
        in_another_process(async move || {
            begin(&stack, "web", "token");
            // Between the client's change and its secret's, a token has other scopes than the secret
            // says. Then testSecret fails, and Secrets Manager calls it again later.
            all_steps(&stack, &Session::new(&stack.aws), "web", "token").await;
        });
    })
}

/// Runs the four steps once more, whether they fail or not, and says whether all have succeeded.
async fn retried(stack: &Stack) -> bool {
    let session = Session::new(&stack.aws);
    let mut all = true;
    for name in STEPS {
        all &= step(stack, &session, "web", name, "token").await.unwrap().is_ok();
    }
    all
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
            stack.update(&id, &large_changed_in_scopes(), &large()).await.good();
        }
        let current = document(&stack, "web");
        begin(&stack, "web", "token");
        let session = Session::new(&stack.aws);
        good_steps(&stack, &session, &["createSecret"]).await;
        failed_step(&stack, &session, "setSecret", "cannot be told for certain").await;
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
            let value = Secret::new("somebody-elses-value-0123456789".to_owned());
            let (created, added_at) = (Duration::from_secs(3), tokio::time::Instant::now());
            client.secrets.push(FakeClientSecret { id: "theirs--9".into(), value, created, added_at });
            world.consumers.at_work = false;
        }
        begin(&stack, "web", "token");
        let session = Session::new(&stack.aws);
        good_steps(&stack, &session, &["createSecret"]).await;
        let clients = stack.world().pools[&before.metadata.user_pool_id].clients.clone();
        let error = failed_step(&stack, &session, "setSecret", "theirs--9").await;
        assert!(error.contains("delete-user-pool-client-secret"), "{error}");
        assert_eq!(stack.world().pools[&before.metadata.user_pool_id].clients, clients, "nothing was changed");
        assert!(document(&stack, "web").client_secret == before.client_secret);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_to_be_rotated_is_refused_and_left_alone() {
    let (stack, _) = made(&large()).await;
    begin(&stack, "web", "token");
    let session = Session::new(&stack.aws);
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
        let result = handle(&event, Deadline::after(Duration::from_mins(1)), &session, &config().endpoints).await;
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
        step(&stack, &Session::new(&stack.aws), "web", "testSecret", "trial").await.unwrap().unwrap();
        assert_eq!(stack.world().writes().len(), writes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_secret_that_gets_no_token_does_not_become_current() {
    let (stack, _) = made(&large()).await;
    let before = document(&stack, "web");
    begin(&stack, "web", "token");
    let session = Session::new(&stack.aws);
    good_steps(&stack, &session, &["createSecret"]).await;
    // Without setSecret.
    let error = failed_step(&stack, &session, "testSecret", "AWSCURRENT was not moved").await;
    assert!(error.contains("web"), "{error}");
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
        stack.world().consumers.at_work = false;
        begin(&stack, "web", "token");
        // The rotation dies at call k, the stack is deleted, and Secrets Manager calls again.
        let session = Session::with_faults(&stack.aws, [(k, Fault::CrashAfter)]);
        for name in STEPS {
            if step(&stack, &session, "web", name, "token").await.is_none() {
                break;
            }
        }
        stack.delete(&id, &large()).await.good();
        for name in STEPS {
            let late = step(&stack, &Session::new(&stack.aws), "web", name, "token").await.unwrap();
            assert!(late.is_err(), "there is nothing to rotate any more");
        }
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_domain_does_not_stand_in_the_way_of_the_next_rotation() {
    let (stack, id) = made(&large()).await;
    rotate(&stack, "web", "one").await;
    stack.world().consumers.at_work = false;
    let moved = with(large(), "DomainPrefix", "moved");
    stack.update(&id, &moved, &large()).await.good();
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
    for k in 0..stack.count_calls(&stack.update_event(&id, &renamed, &large())).await {
        for fault in [Fault::Lost, Fault::CrashBefore, Fault::CrashAfter] {
            let (stack, id) = made(&large()).await;
            rotate(&stack, "web", "one").await;
            let event = stack.update_event(&id, &renamed, &large());
            stack.send_with(&event, [(k, fault)]).await.good();
            assert_is(&stack, &renamed);
            let before = document(&stack, "new/web");
            rotate(&stack, "new/web", "two").await;
            assert_rotated(&stack, "new/web", &before);
        }
    }
    // Back to the old name: its secret is restored from its deletion.
    stack.update(&id, &again, &renamed).await.good();
    assert!(document(&stack, "web").client_secret == rotated.client_secret);
    let before = document(&stack, "web");
    rotate(&stack, "web", "three").await;
    assert_rotated(&stack, "web", &before);
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
        stack.update(&id, &pair[1], &pair[0]).await.good();
        assert_is(&stack, &pair[1]);
    }
    assert!(document(&stack, "web").client_secret == secret.client_secret);
    // A stack can also be created with a schedule.
    let (stack, id) = made(&versions[1]).await;
    assert_is(&stack, &versions[1]);
    let rotation = stack.world().secrets[&name("web")].rotation.clone().unwrap();
    assert_eq!((rotation.function_arn.as_str(), rotation.days), (ROTATION_FUNCTION, 30));
    stack.delete(&id, &versions[1]).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_changed_value_rotates_every_client_once_and_now() {
    let (a, b, c) = (large(), with(large(), "RotateSecrets", "2026-11"), with(large(), "RotateSecrets", "2026-12"));
    let (stack, id) = made(&a).await;
    let secrets = |stack: &Stack| LARGE_CLIENTS.map(|client| document(stack, client).client_secret);
    let first = secrets(&stack);
    let update = async |new: &Value, old: &Value| {
        stack.update(&id, new, old).await.good();
        assert_is(&stack, new);
        assert_no_complaints(&stack);
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
    // After two rotations nobody accepts the first secret.
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
        stack.update(&id, &old, &large()).await.good();
        (stack, id)
    };
    let (stack, id) = prepared().await;
    let calls = stack.count_calls(&stack.update_event(&id, &new, &old)).await;
    let mut combinations = 0;
    for k in 0..calls {
        for fault in [Fault::Before, Fault::Lost, Fault::Throttled, Fault::Hang, Fault::CrashBefore, Fault::CrashAfter]
        {
            let place = format!("{fault:?} at call {k} of {calls}");
            let (stack, id) = prepared().await;
            let before = LARGE_CLIENTS.map(|client| document(&stack, client));
            let updated = stack.send_with(&stack.update_event(&id, &new, &old), [(k, fault)]).await;
            if !updated.succeeded() {
                stack.update(&id, &old, &new).await.good_at(&place);
                assert_is(&stack, &old);
                // The next attempt has a value of its own, as the guide says.
                stack.update(&id, &with(large(), "RotateSecrets", "3"), &old).await.good_at(&place);
            }
            for (client, before) in LARGE_CLIENTS.into_iter().zip(before) {
                assert!(document(&stack, client).client_secret != before.client_secret, "{place}: {client}");
            }
            assert_eq!(stack.world().consumers.complaints, Vec::<String>::new(), "{place}");
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
        let session = Session::new(&stack.aws);
        good_steps(&stack, &session, &STEPS[..done]).await;
        let new = with(large(), "RotateSecrets", "now");
        stack.update(&id, &new, &large()).await.good();
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
    stack.update(&id, &properties, &properties).await.good();
    assert!(document(&stack, "web").client_secret == before.client_secret);
    let described = stack.world().secrets[&name("web")].description.clone();
    assert_eq!(described, RotationRecord::new("1").describe(&ClientName::from("web")));
}
