//! Rotations that were cut off, given up or only a test, and what comes after them: a new name, a new
//! schedule, a new key, a value of `RotateSecrets` that is deployed again.

use std::{collections::BTreeSet, fmt::Display, time::Duration};

use cognito_m2m::{
    ports::{AWSCURRENT, SecretDocument},
    redact::Secret,
};
use serde_json::Value;

use crate::{
    rotation::{STEPS, assert_rotated, begin, document, good_steps, large_changed_in_scopes, made, name, rotate, step},
    support::{
        Fault, Session, Stack, assert_is, assert_no_complaints,
        fixtures::{LARGE_CLIENTS, large, with},
    },
};

const PREFIX: &str = "machine-to-machine-prod";

/// The faults that leave different states behind. (Throttling and a hang leave the state of an error.)
fn faults() -> [Fault; 3] {
    [Fault::Before, Fault::Lost, Fault::CrashAfter]
}

fn rotating(value: &str) -> Value {
    with(large(), "RotateSecrets", value)
}

/// The properties with other secret names.
fn renamed(properties: Value) -> Value {
    with(properties, "SecretNamePrefix", format!("{PREFIX}/new"))
}

/// A stack whose clients were rotated once, by the value `1`.
async fn rotated_once() -> (Stack, String) {
    let (stack, id) = made(&large()).await;
    stack.update(&id, &rotating("1"), &large()).await.good();
    (stack, id)
}

fn documents(stack: &Stack) -> [SecretDocument; 3] {
    LARGE_CLIENTS.map(|client| document(stack, client))
}

/// Asserts that each client was rotated exactly once since `before`, and that nobody was cut off: the
/// client's secrets are the value of before and the present one.
#[track_caller]
fn assert_rotated_once(stack: &Stack, folder: &str, before: &[SecretDocument; 3]) {
    for (client, before) in LARGE_CLIENTS.into_iter().zip(before) {
        assert_rotated(stack, &format!("{folder}{client}"), before);
        let after = document(stack, &format!("{folder}{client}"));
        let world = stack.world();
        let secrets = &world.pools[&after.metadata.user_pool_id].clients[&after.client_id].secrets;
        assert!(secrets.last().unwrap().value == after.client_secret, "the newest secret, not one from before");
    }
}

/// Injects every fault at every call of an Update that rotates each client once. If the Update fails, rolls it
/// back and sends it again with the same value: it has rotated each client already, or it does so now. Returns
/// the number of combinations.
async fn survives_every_fault(
    context: &str,
    prepared: impl AsyncFn() -> (Stack, String),
    (old, new): (&Value, &Value),
    folder: &str,
) -> usize {
    let (stack, id) = prepared().await;
    let calls = stack.count_calls(&stack.update_event(&id, new, old)).await;
    for k in 0..calls {
        for fault in faults() {
            let place = format!("{context}: {fault:?} at call {k} of {calls}");
            let (stack, id) = prepared().await;
            let before = documents(&stack);
            let updated = stack.send_with(&stack.update_event(&id, new, old), [(k, fault)]).await;
            if !updated.succeeded() {
                stack.update(&id, old, new).await.good_at(&place);
                println_on_failure(&place, || assert_is(&stack, old));
                stack.update(&id, new, old).await.good_at(&place);
            }
            println_on_failure(&place, || {
                assert_is(&stack, new);
                assert_rotated_once(&stack, folder, &before);
            });
        }
    }
    calls * faults().len()
}

#[tokio::test(start_paused = true)]
async fn a_new_name_and_a_rotation_in_one_update_rotate_every_client_once() {
    let (stack, id) = rotated_once().await;
    let before = documents(&stack);
    let new = renamed(rotating("2"));
    stack.update(&id, &new, &rotating("1")).await.good();
    assert_is(&stack, &new);
    assert_rotated_once(&stack, "new/", &before);
    // The same value under the old names, and under the new ones again.
    let rotated = LARGE_CLIENTS.map(|client| document(&stack, &format!("new/{client}")));
    stack.update(&id, &rotating("2"), &new).await.good();
    assert_is(&stack, &rotating("2"));
    stack.update(&id, &new, &rotating("2")).await.good();
    assert_rotated_once(&stack, "new/", &before);
    for (client, rotated) in LARGE_CLIENTS.into_iter().zip(&rotated) {
        assert!(document(&stack, &format!("new/{client}")).client_secret == rotated.client_secret);
    }
    // And the next rotation still works.
    stack.update(&id, &renamed(rotating("3")), &new).await.good();
    assert_rotated_once(&stack, "new/", &rotated);
}

#[tokio::test(start_paused = true)]
async fn a_new_name_and_a_rotation_survive_every_fault_at_every_call() {
    let (old, new) = (rotating("1"), renamed(rotating("2")));
    let combinations = survives_every_fault("renamed", rotated_once, (&old, &new), "new/").await;
    println!("{combinations} combinations of an Update that renames and rotates and a fault");
}

/// Runs assertions, and prints where they failed.
#[track_caller]
fn println_on_failure(place: &dyn Display, assertions: impl FnOnce()) {
    if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertions)) {
        println!("{place}");
        std::panic::resume_unwind(panic);
    }
}

/// What comes after a killed process.
#[derive(Clone, Copy, Debug)]
enum Afterwards {
    TheSameEvent,
    ARollback,
    ANewEventWithTheSameValue,
}

#[tokio::test(start_paused = true)]
async fn a_value_rotates_once_wherever_the_update_is_killed_and_whatever_comes_next() {
    let mut combinations = 0;
    for (under_way, new) in
        [(false, rotating("2")), (false, renamed(rotating("2"))), (true, rotating("2")), (true, renamed(rotating("2")))]
    {
        let old = rotating("1");
        let prepared = || async {
            let (stack, id) = rotated_once().await;
            let before = documents(&stack);
            if under_way {
                begin(&stack, "web", "token");
                good_steps(&stack, &Session::new(&stack.aws), &STEPS[..2]).await;
            }
            (stack, id, before)
        };
        let folder = if new.get("SecretNamePrefix").is_some() { "new/" } else { "" };
        let (stack, id, _) = prepared().await;
        let calls = stack.count_calls(&stack.update_event(&id, &new, &old)).await;
        for k in 0..calls {
            for then in [Afterwards::TheSameEvent, Afterwards::ARollback, Afterwards::ANewEventWithTheSameValue] {
                let place =
                    format!("killed after call {k} of {calls}, then {then:?}, under way: {under_way}, {folder}");
                let (stack, id, before) = prepared().await;
                let event = stack.update_event(&id, &new, &old);
                let killed = stack.invoke(&Session::with_faults(&stack.aws, [(k, Fault::CrashAfter)]), &event).await;
                assert!(killed.is_none(), "{place}");
                match then {
                    Afterwards::TheSameEvent => drop(stack.send(&event).await.good_at(&place)),
                    Afterwards::ARollback => {
                        stack.update(&id, &old, &new).await.good_at(&place);
                        assert_is(&stack, &old);
                        stack.update(&id, &new, &old).await.good_at(&place);
                    }
                    Afterwards::ANewEventWithTheSameValue => {
                        stack.update(&id, &new, &old).await.good_at(&place);
                    }
                }
                println_on_failure(&place, || {
                    assert_is(&stack, &new);
                    assert_rotated_once(&stack, folder, &before);
                });
                combinations += 1;
            }
        }
    }
    println!("{combinations} combinations of a call after which an Update that rotates is killed, and the next event");
}

#[tokio::test(start_paused = true)]
async fn values_that_come_back_rotate_again_with_new_secrets() {
    let (stack, id) = rotated_once().await;
    let mut seen = BTreeSet::new();
    for pair in ["1", "2", "3", "1", "2", "3", "1"].windows(2) {
        let before = documents(&stack);
        stack.update(&id, &rotating(pair[1]), &rotating(pair[0])).await.good();
        assert_rotated_once(&stack, "", &before);
        assert!(seen.insert(document(&stack, "web").client_secret.expose().clone()), "a secret came back");
    }
}

/// What a rotation that did not come to its end can leave.
#[derive(Clone, Copy, Debug)]
enum LeftOver {
    Nothing,
    /// A version without a value: createSecret was never called.
    Empty,
    /// A copy of AWSCURRENT: Secrets Manager's test of a schedule.
    Copy,
    /// A value that cannot become AWSCURRENT's.
    Dead,
    /// A new value that Cognito does not have yet.
    Created,
    /// A new value that Cognito has.
    Set,
}

const LEFT_OVERS: [LeftOver; 6] =
    [LeftOver::Nothing, LeftOver::Empty, LeftOver::Copy, LeftOver::Dead, LeftOver::Created, LeftOver::Set];

async fn leave(stack: &Stack, left_over: LeftOver, token: &str) {
    if matches!(left_over, LeftOver::Nothing) || stack.world().secrets[&name("web")].under_way().is_some() {
        return;
    }
    begin(stack, "web", token);
    let mut copy = document(stack, "web");
    let steps = match left_over {
        LeftOver::Nothing | LeftOver::Empty => 0,
        LeftOver::Copy | LeftOver::Dead => {
            if matches!(left_over, LeftOver::Dead) {
                copy.client_id = "another".into();
                copy.client_secret = Secret::new("x".repeat(64));
            }
            let mut world = stack.world();
            world.secrets.get_mut(&name("web")).unwrap().versions.get_mut(token).unwrap().document = Some(copy);
            0
        }
        LeftOver::Created => 1,
        LeftOver::Set => 2,
    };
    for name in &STEPS[..steps] {
        step(stack, &Session::new(&stack.aws), "web", name, token).await.unwrap().unwrap();
    }
}

fn scheduled(days: u32) -> Value {
    with(large(), "RotationDays", days)
}

/// Old and new properties, each with a change that a left-over rotation can block.
fn blocked_changes() -> Vec<(Value, Value)> {
    vec![
        (large(), scheduled(30)),
        (scheduled(30), scheduled(90)),
        (scheduled(30), large()),
        (scheduled(30), with(scheduled(30), "RotateSecrets", "now")),
        (scheduled(30), with(scheduled(90), "RotateSecrets", "now")),
        (scheduled(30), with(large_changed_in_scopes(), "RotationDays", 90)),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_left_over_rotation_blocks_neither_an_update_nor_its_rollback_nor_a_rotation() {
    for (left_over, trial_stays) in LEFT_OVERS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        for (old, new) in blocked_changes() {
            let place = format!(
                "{left_over:?}, trials stay: {trial_stays}, {} to {}",
                old["RotationDays"], new["RotationDays"]
            );
            let (stack, id) = made(&old).await;
            rotate(&stack, "web", "earlier").await;
            stack.world().behavior.trial_stays = trial_stays;
            leave(&stack, left_over, "left-over").await;
            stack.update(&id, &new, &old).await.good_at(&place);
            println_on_failure(&place, || assert_is(&stack, &new));
            leave(&stack, left_over, "left-over-again").await;
            stack.update(&id, &old, &new).await.good_at(&place);
            println_on_failure(&place, || assert_is(&stack, &old));
            let before = document(&stack, "web");
            let next = with(old.clone(), "RotateSecrets", "next");
            stack.update(&id, &next, &old).await.good_at(&place);
            println_on_failure(&place, || {
                assert_is(&stack, &next);
                if old["RotationDays"] == new["RotationDays"] || !trial_stays {
                    assert_rotated(&stack, "web", &before);
                }
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_the_role_may_not_finish_blocks_neither_an_update_nor_its_rollback() {
    for left_over in LEFT_OVERS {
        for (old, new) in blocked_changes().into_iter().filter(|(_, new)| new.get("RotateSecrets").is_none()) {
            let context = format!("{left_over:?}, {} to {}", old["RotationDays"], new["RotationDays"]);
            let (stack, id) = made(&old).await;
            leave(&stack, left_over, "left-over").await;
            stack.world().behavior.denied_for.insert("ListUserPoolClientSecrets", Duration::MAX);
            stack.update(&id, &new, &old).await.good_at(&context);
            println_on_failure(&context, || assert_is(&stack, &new));
            stack.update(&id, &old, &new).await.good_at(&context);
            println_on_failure(&context, || assert_is(&stack, &old));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_not_given_up_for_a_permission_that_is_only_new() {
    let (old, new) = (scheduled(30), large());
    for left_over in [LeftOver::Created, LeftOver::Set] {
        let (stack, id) = made(&old).await;
        leave(&stack, left_over, "left-over").await;
        let before = document(&stack, "web");
        stack.world().behavior.denied_for.insert("ListUserPoolClientSecrets", Duration::from_secs(20));
        stack.update(&id, &new, &old).await.good_at(format!("{left_over:?}"));
        assert_rotated(&stack, "web", &before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_left_over_rotation_does_not_keep_a_stack_from_being_deployed_again() {
    for left_over in LEFT_OVERS {
        for properties in [scheduled(30), with(large(), "RotateSecrets", "now")] {
            let (stack, id) = made(&properties).await;
            leave(&stack, left_over, "left-over").await;
            stack.world().consumers.at_work = false;
            stack.delete(&id, &properties).await.good();
            let again = Stack::new(&stack.aws, "one-again");
            let context = format!("{left_over:?}");
            again.create(&properties).await.good_at(&context);
            println_on_failure(&context, || assert_is(&again, &properties));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_over_a_left_over_rotation_survives_every_fault_at_every_call() {
    let mut combinations = 0;
    let (old, new) = (scheduled(30), with(scheduled(90), "RotateSecrets", "now"));
    for left_over in LEFT_OVERS {
        let prepared = || async {
            let (stack, id) = made(&old).await;
            rotate(&stack, "web", "earlier").await;
            leave(&stack, left_over, "left-over").await;
            (stack, id)
        };
        let context = format!("{left_over:?}");
        combinations += survives_every_fault(&context, prepared, (&old, &new), "").await;
    }
    println!("{combinations} combinations of an Update over a left-over rotation and a fault");
}

#[tokio::test(start_paused = true)]
async fn the_test_of_a_schedule_is_never_taken_for_a_rotation() {
    let old = scheduled(30);
    let (stack, id) = made(&large()).await;
    stack.world().behavior.trial_stays = true;
    stack.update(&id, &old, &large()).await.good();
    let trial = stack.world().secrets[&name("web")].under_way().unwrap().0.clone();
    let session = Session::new(&stack.aws);
    for name in ["testSecret", "setSecret"] {
        step(&stack, &session, "web", name, &trial).await.unwrap().unwrap();
    }
    // An Update that writes the secret.
    let before = document(&stack, "web");
    let new = with(large_changed_in_scopes(), "RotationDays", 30);
    stack.update(&id, &new, &old).await.good();
    assert_is(&stack, &new);
    assert!(document(&stack, "web").client_secret == before.client_secret);
    // Secrets Manager's call may come late.
    step(&stack, &session, "web", "testSecret", &trial).await.unwrap().unwrap();
    // An Update that rotates.
    let before = document(&stack, "billing");
    stack.update(&id, &with(new.clone(), "RotateSecrets", "now"), &new).await.good();
    assert_rotated(&stack, "billing", &before);
    assert_ne!(stack.world().secrets[&name("billing")].staged(AWSCURRENT).unwrap().0, &trial);
}

#[tokio::test(start_paused = true)]
async fn the_pending_secret_of_a_rotation_that_was_given_up_is_taken_for_neither_of_the_others() {
    // Where the token endpoint still accepts a deleted secret, AWSCURRENT's is not deleted in its place.
    for (earlier, stale) in [(0, false), (1, false), (0, true), (1, true)] {
        let (stack, id) = made(&large()).await;
        for round in 0..earlier {
            rotate(&stack, "web", &format!("earlier-{round}")).await;
        }
        begin(&stack, "web", "token");
        let session = Session::new(&stack.aws);
        good_steps(&stack, &session, &STEPS[..2]).await;
        // A new AWSCURRENT ends the rotation.
        stack.update(&id, &large_changed_in_scopes(), &large()).await.good();
        assert!(stack.world().secrets[&name("web")].under_way().is_none());
        let before = document(&stack, "web");
        stack.world().behavior.accepts_deleted_secrets = stale;
        begin(&stack, "web", "next");
        step(&stack, &session, "web", "createSecret", "next").await.unwrap().unwrap();
        if stale && earlier > 0 {
            let error = step(&stack, &session, "web", "setSecret", "next").await.unwrap().unwrap_err().report();
            assert!(error.contains("cannot be told for certain"), "{error}");
            stack.world().behavior.accepts_deleted_secrets = false;
        }
        for name in &STEPS[1..] {
            step(&stack, &session, "web", name, "next").await.unwrap().unwrap();
        }
        assert_rotated(&stack, "web", &before);
        let before = document(&stack, "web");
        rotate(&stack, "web", "after").await;
        assert_rotated(&stack, "web", &before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_that_was_deleted_by_hand_is_restored_with_its_present_value() {
    for rotations in 0..=3 {
        let (stack, id) = made(&rotating("0")).await;
        for rotation in 1..=rotations {
            let [old, new] = [rotation - 1, rotation].map(|value: u8| rotating(&value.to_string()));
            stack.update(&id, &new, &old).await.good();
        }
        let present = rotating(&rotations.to_string());
        let before = documents(&stack);
        let delete_by_hand = || stack.world().secrets.get_mut(&name("web")).unwrap().scheduled = true;
        delete_by_hand();
        stack.update(&id, &present, &present).await.good_at(rotations);
        assert_is(&stack, &present);
        assert_eq!(documents(&stack), before, "{rotations} rotations");
        // A rotation keeps the value, too. The second one is of a secret that the same Update restores.
        stack.update(&id, &rotating("next"), &present).await.good_at(rotations);
        assert_rotated_once(&stack, "", &before);
        let before = documents(&stack);
        delete_by_hand();
        stack.update(&id, &rotating("last"), &rotating("next")).await.good_at(rotations);
        assert_rotated_once(&stack, "", &before);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_change_of_key_no_rotation_needs_the_old_one() {
    let key = |key: &str| with(large(), "SecretKmsKeyId", key);
    for (earlier, updated) in [(0, false), (1, false), (2, false), (1, true), (2, true)] {
        let base = |key_id: &str| {
            let base = if updated { large_changed_in_scopes() } else { large() };
            with(base, "SecretKmsKeyId", key_id)
        };
        let (stack, id) = made(&key("alias/old")).await;
        for round in 0..earlier {
            rotate(&stack, "web", &format!("earlier-{round}")).await;
        }
        if updated {
            stack.update(&id, &base("alias/old"), &key("alias/old")).await.good();
        }
        let value = document(&stack, "web").client_secret;
        stack.update(&id, &base("alias/new"), &base("alias/old")).await.good();
        assert_is(&stack, &base("alias/new"));
        assert!(document(&stack, "web").client_secret == value);
        let writes = stack.world().writes().len();
        stack.update(&id, &base("alias/new"), &base("alias/old")).await.good();
        assert_eq!(stack.world().writes().len(), writes, "a redelivery writes nothing");
        stack.world().behavior.disabled_keys.insert("alias/old".to_owned());
        for round in ["one", "two"] {
            let before = document(&stack, "web");
            rotate(&stack, "web", round).await;
            assert_rotated(&stack, "web", &before);
        }
        stack.update(&id, &with(base("alias/new"), "RotateSecrets", "1"), &base("alias/new")).await.good();
        assert_no_complaints(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_key_survives_every_fault_at_every_call() {
    let properties = |key: &str| with(large(), "SecretKmsKeyId", key);
    let (old, new) = (properties("alias/old"), properties("alias/new"));
    let prepared = || async {
        let (stack, id) = made(&old).await;
        let scopes = with(large_changed_in_scopes(), "SecretKmsKeyId", "alias/old");
        rotate(&stack, "web", "earlier").await;
        stack.update(&id, &scopes, &old).await.good();
        stack.update(&id, &old, &scopes).await.good();
        (stack, id)
    };
    let (stack, id) = prepared().await;
    let calls = stack.count_calls(&stack.update_event(&id, &new, &old)).await;
    let mut combinations = 0;
    for k in 0..calls {
        for fault in faults() {
            let place = format!("{fault:?} at call {k} of {calls}");
            let (stack, id) = prepared().await;
            let updated = stack.send_with(&stack.update_event(&id, &new, &old), [(k, fault)]).await;
            let (now, unused) = if updated.succeeded() { (&new, "alias/old") } else { (&old, "alias/new") };
            if !updated.succeeded() {
                stack.update(&id, &old, &new).await.good_at(&place);
            }
            println_on_failure(&place, || assert_is(&stack, now));
            stack.world().behavior.disabled_keys.insert(unused.to_owned());
            for round in ["one", "two"] {
                let before = document(&stack, "web");
                rotate(&stack, "web", round).await;
                println_on_failure(&place, || assert_rotated(&stack, "web", &before));
            }
            combinations += 1;
        }
    }
    println!("{combinations} combinations of an Update with a new key and a fault");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_encrypt_fails_the_update_and_not_its_rollback() {
    let (old, new) = (large(), with(large(), "SecretKmsKeyId", "alias/denied"));
    let (stack, id) = made(&old).await;
    rotate(&stack, "web", "earlier").await;
    stack.world().behavior.encrypt_denied.insert("alias/denied".to_owned());
    stack.update(&id, &new, &old).await.failed("encrypt");
    stack.update(&id, &old, &new).await.good();
    assert_is(&stack, &old);
    let before = document(&stack, "web");
    rotate(&stack, "web", "next").await;
    assert_rotated(&stack, "web", &before);
}

/// Longer than the pauses between two steps, shorter than what the provider waits for.
const LAG: Duration = Duration::from_secs(4);

#[tokio::test(start_paused = true)]
async fn a_version_that_a_read_misses_is_waited_for() {
    // Secrets Manager's four steps.
    let (stack, id) = made(&large()).await;
    stack.world().behavior.versions_lag = LAG;
    for round in ["one", "two", "three"] {
        let before = document(&stack, "web");
        begin(&stack, "web", round);
        for name in STEPS {
            step(&stack, &Session::new(&stack.aws), "web", name, round).await.unwrap().unwrap();
        }
        assert_rotated(&stack, "web", &before);
    }
    // Updates that write and rotate, one right after the other.
    let mut old = large();
    for new in [
        large_changed_in_scopes(),
        with(large_changed_in_scopes(), "RotateSecrets", "1"),
        rotating("2"),
        renamed(rotating("3")),
        with(renamed(rotating("4")), "SecretKmsKeyId", "alias/mine"),
        with(rotating("4"), "RotationDays", 30),
    ] {
        stack.update(&id, &new, &old).await.good();
        assert_is(&stack, &new);
        assert_no_complaints(&stack);
        old = new;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lag_under_an_update_that_renames_and_rotates_survives_every_fault_at_every_call() {
    let (old, new) = (rotating("1"), renamed(rotating("2")));
    let prepared = || async {
        let (stack, id) = rotated_once().await;
        stack.world().behavior.versions_lag = LAG;
        (stack, id)
    };
    let combinations = survives_every_fault("lagging", prepared, (&old, &new), "new/").await;
    println!("{combinations} combinations of a call and a fault while reads lag");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_stays_missing_is_never_written_over_or_deleted() {
    let (stack, id) = rotated_once().await;
    let before = documents(&stack);
    for new in [with(large_changed_in_scopes(), "RotateSecrets", "1"), renamed(rotating("1")), rotating("2")] {
        stack.world().behavior.versions_lag = Duration::from_hours(1);
        stack.update(&id, &new, &rotating("1")).await.failed("VersionMissing");
        stack.world().behavior.versions_lag = Duration::ZERO;
        assert!(documents(&stack) == before);
        stack.update(&id, &rotating("1"), &new).await.good();
        assert_is(&stack, &rotating("1"));
    }
}
