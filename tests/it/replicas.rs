//! Replicas of the secrets in other regions.

use std::time::Duration;

use cognito_m2m::model::{Region, SecretId};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    Fault, Session, Stack, assert_is, assert_nothing_left,
    fixtures::{INVENTED_ID, LARGE_CLIENTS, large, with},
    new_stack,
};

const NAME: &str = "machine-to-machine-dev/one";

/// One client whose secret has these replicas, each a region or a region and a key.
fn replicas(replicas: &Value) -> Value {
    let replica = |entry: &Value| match entry {
        Value::Array(pair) => json!({ "Region": pair[0], "KmsKeyId": pair[1] }),
        region => json!({ "Region": region }),
    };
    let list: Vec<_> = replicas.as_array().unwrap().iter().map(replica).collect();
    json!({ "Clients": [{ "ClientName": "one" }], "SecretReplicas": list })
}

fn regions(stack: &Stack) -> Vec<String> {
    stack.world().secrets[&SecretId::from(NAME)].replicas.keys().map(ToString::to_string).collect()
}

/// The writes since the last event.
fn take_writes(stack: &Stack) -> Vec<&'static str> {
    let writes = stack.world().writes();
    stack.world().calls.clear();
    writes
}

#[tokio::test(start_paused = true)]
async fn replicas_come_change_and_go() {
    let stack = new_stack();
    let versions = [
        replicas(&json!(["eu-west-1"])),
        replicas(&json!(["eu-west-1", "us-west-2"])),
        replicas(&json!([["eu-west-1", "alias/there"], "us-west-2"])),
        replicas(&json!(["us-west-2"])),
        replicas(&json!([])),
        replicas(&json!([["us-west-2", "a"], ["eu-west-1", "b"]])),
    ];
    let created = stack.create(&versions[0]).await.good();
    assert_is(&stack, &versions[0]);
    for pair in versions.windows(2) {
        stack.update(created.physical_id(), &pair[1], &pair[0]).await.good();
        assert_is(&stack, &pair[1]);
        take_writes(&stack);
        stack.update(created.physical_id(), &pair[1], &pair[1]).await.good();
        assert_eq!(take_writes(&stack), Vec::<&str>::new(), "nothing is left to do");
    }
    stack.delete(created.physical_id(), &versions[5]).await.good();
    assert_nothing_left(&stack);
    assert_eq!(take_writes(&stack)[..2], ["RemoveRegionsFromReplication", "DeleteSecret"]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_somebody_added_by_hand_is_removed_and_one_that_was_removed_comes_back() {
    let stack = new_stack();
    let declared = replicas(&json!(["eu-west-1"]));
    let created = stack.create(&declared).await.good();
    {
        let mut world = stack.world();
        let secret = world.secrets.get_mut(&SecretId::from(NAME)).unwrap();
        let replica = secret.replicas.remove(&Region::from("eu-west-1")).unwrap();
        secret.replicas.insert(Region::from("us-west-1"), replica);
    }
    stack.update(created.physical_id(), &declared, &declared).await.good();
    assert_eq!(regions(&stack), ["eu-west-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_not_declared_leaves_after_the_token_was_checked() {
    let stack = new_stack();
    let old = replicas(&json!(["eu-west-1", "us-west-2"]));
    let created = stack.create(&old).await.good();
    let mut new = replicas(&json!(["us-west-2"]));
    new["Clients"][0]["AccessTokenValidityMinutes"] = json!(5);
    stack.world().behavior.token_endpoint = crate::support::TokenEndpointState::Refuses;
    stack.update(created.physical_id(), &new, &old).await.failed("token");
    assert_eq!(regions(&stack), ["eu-west-1", "us-west-2"], "nobody there was cut off");
}

#[tokio::test(start_paused = true)]
async fn a_slow_replica_is_waited_for_for_a_minute_and_then_left_to_finish() {
    for (takes, at_least, at_most) in [(20, 20, 25), (3600, 55, 65)] {
        let stack = new_stack();
        stack.world().behavior.replication_takes = Duration::from_secs(takes);
        let before = Instant::now();
        // A token would wait for the new domain.
        let declared = with(replicas(&json!(["eu-west-1"])), "VerifyToken", false);
        let created = stack.create(&declared).await.good();
        let took = before.elapsed().as_secs();
        assert!((at_least..=at_most).contains(&took), "{took} s");
        assert_is(&stack, &declared);
        take_writes(&stack);
        stack.update(created.physical_id(), &declared, &declared).await.good();
        assert_eq!(take_writes(&stack), Vec::<&str>::new(), "waiting is no write");
    }
}

#[tokio::test(start_paused = true)]
async fn many_slow_replicas_share_the_minute_and_a_short_deadline_is_kept() {
    let stack = new_stack();
    stack.world().behavior.stuck_replicas.insert(Region::from("eu-west-1"));
    let clients: Vec<_> = (0..40).map(|n| json!({ "ClientName": format!("c{n}") })).collect();
    let many = with(replicas(&json!(["eu-west-1"])), "Clients", clients);
    let before = Instant::now();
    stack.create(&many).await.good();
    assert!(before.elapsed() < Duration::from_secs(110), "{:?}", before.elapsed());

    let mut short = new_stack();
    short.timeout = Duration::from_secs(30);
    short.world().behavior.stuck_replicas.insert(Region::from("eu-west-1"));
    short.create(&replicas(&json!(["eu-west-1"]))).await.good();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_fails_is_reported_in_the_words_of_secrets_manager_and_rolled_back() {
    let words = "Secret with this name already exists in this region";
    let stack = new_stack();
    let (old, new) = (replicas(&json!([])), replicas(&json!(["eu-west-1", "us-west-2"])));
    let created = stack.create(&old).await.good();
    stack.world().behavior.failing_replicas.insert(Region::from("us-west-2"), words.to_owned());
    let failed = stack.update(created.physical_id(), &new, &old).await;
    for text in [words, NAME, "us-west-2", "SecretReplicas"] {
        failed.failed(text);
    }
    stack.update(created.physical_id(), &old, &new).await.good();
    assert_is(&stack, &old);

    // Once the cause is gone, the same Update succeeds, also from the replica that failed.
    stack.update(created.physical_id(), &new, &old).await.failed(words);
    stack.world().behavior.failing_replicas.clear();
    stack.update(created.physical_id(), &new, &old).await.good();
    assert_is(&stack, &new);
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_with_a_replica_that_fails_leaves_nothing() {
    let stack = new_stack();
    let declared = replicas(&json!(["eu-west-1", "us-west-2"]));
    stack.world().behavior.failing_replicas.insert(Region::from("us-west-2"), "no such key".to_owned());
    let failed = stack.create(&declared).await;
    failed.failed("no such key");
    stack.delete(failed.physical_id(), &declared).await.good();
    assert_nothing_left(&stack);
}

/// A rollback must not fail because a replica that it returns to has failed since.
#[tokio::test(start_paused = true)]
async fn a_rollback_goes_on_with_a_replica_that_fails() {
    let stack = new_stack();
    let old = replicas(&json!(["eu-west-1"]));
    let created = stack.create(&old).await.good();
    stack.world().behavior.failing_replicas.insert(Region::from("eu-west-1"), "the key is disabled".to_owned());
    let new = with(old.clone(), "ProjectTag", "x");
    stack.update(created.physical_id(), &new, &old).await.failed("the key is disabled");
    stack.update(created.physical_id(), &old, &new).await.good();
    assert_is(&stack, &old);
}

#[tokio::test(start_paused = true)]
async fn replicas_in_every_state_do_not_keep_a_secret_from_being_deleted() {
    for days in [0, 7] {
        for way in ["delete", "invented id", "no properties", "rename", "undeclare"] {
            let stack = new_stack();
            let declared =
                with(replicas(&json!(["eu-west-1", "eu-west-2", "eu-west-3"])), "SecretRecoveryWindowInDays", days);
            let created = stack.create(&declared).await.good();
            {
                let behavior = &mut stack.world().behavior;
                behavior.stuck_replicas.insert(Region::from("eu-west-2"));
                behavior.failing_replicas.insert(Region::from("eu-west-3"), "no such key".to_owned());
            }
            let id = created.physical_id();
            let none = with(replicas(&json!([])), "SecretRecoveryWindowInDays", days);
            match way {
                "delete" => drop(stack.delete(id, &declared).await.good()),
                "invented id" => drop(stack.delete(INVENTED_ID, &declared).await.good()),
                "no properties" => drop(stack.delete(id, &json!({ "Nonsense": 1 })).await.good()),
                "rename" => drop(stack.update(id, &with(none, "SecretNamePrefix", "new"), &declared).await.good()),
                _ => {
                    let other = with(none, "Clients", json!([{ "ClientName": "two" }]));
                    stack.update(id, &other, &declared).await.good();
                }
            }
            let world = stack.world();
            let gone = world.secrets.get(&SecretId::from(NAME));
            assert!(gone.is_none_or(|secret| secret.scheduled && secret.replicas.is_empty()), "{way}, {days} days");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_appears_while_a_secret_is_deleted_is_removed_too() {
    let stack = new_stack();
    let created = stack.create(&replicas(&json!([]))).await.good();
    let delete = stack.delete_event(created.physical_id(), &replicas(&json!([])));
    let place = {
        let copy = new_stack();
        let id = copy.create(&replicas(&json!([]))).await.good().physical_id().to_owned();
        copy.world().calls.clear();
        copy.delete(&id, &replicas(&json!([]))).await.good();
        copy.world().calls.iter().position(|call| call.operation == "DeleteSecret").unwrap()
    };
    let behind = stack.clone();
    let replicated = Fault::meanwhile(move || {
        let replica = crate::support::FakeReplica { kms_key_id: None, begun: None };
        let mut world = behind.world();
        world.secrets.get_mut(&SecretId::from(NAME)).unwrap().replicas.insert(Region::from("eu-west-1"), replica);
    });
    stack.send_with(&delete, [(place, replicated)]).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_renamed_and_a_restored_secret_have_the_replicas() {
    let stack = new_stack();
    let declared = replicas(&json!(["eu-west-1", ["us-west-2", "a"]]));
    let created = stack.create(&declared).await.good();
    let renamed = with(declared.clone(), "SecretNamePrefix", "new");
    stack.update(created.physical_id(), &renamed, &declared).await.good();
    assert_is(&stack, &renamed);
    // The first name is scheduled for deletion, and is restored.
    stack.update(created.physical_id(), &declared, &renamed).await.good();
    assert_is(&stack, &declared);
    stack.delete(created.physical_id(), &declared).await.good();
    let again = Stack::new(&stack.aws, "again");
    again.create(&declared).await.good();
    assert_is(&again, &declared);
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_call_of_a_delete_converges() {
    let declared = with(large(), "SecretReplicas", json!([{ "Region": "eu-west-1" }, { "Region": "us-west-2" }]));
    for k in 0..40 {
        let stack = new_stack();
        stack.world().behavior.replication_takes = Duration::from_secs(5);
        let created = stack.create(&declared).await.good();
        let session = Session::with_faults(&stack.aws, [(k, Fault::CrashAfter)]);
        let event = stack.delete_event(created.physical_id(), &declared);
        stack.invoke(&session, &event).await;
        stack.send(&event).await.good_at(format_args!("killed after call {k}"));
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn every_client_has_its_replicas_without_a_call_more_for_an_update_that_changes_nothing() {
    let stack = new_stack();
    let declared = with(large(), "SecretReplicas", json!([{ "Region": "eu-west-1" }]));
    let created = stack.create(&declared).await.good();
    for name in LARGE_CLIENTS {
        let name = SecretId(format!("machine-to-machine-prod/{name}"));
        assert_eq!(stack.world().secrets[&name].replicas.len(), 1);
    }
    let event = stack.update_event(created.physical_id(), &declared, &declared);
    assert_eq!(stack.count_calls(&event).await, 14, "as without replicas");
}

#[tokio::test(start_paused = true)]
async fn a_second_delivery_reports_the_replica_that_the_first_one_asked_for() {
    let stack = new_stack();
    let declared = replicas(&json!(["eu-west-1"]));
    {
        let behavior = &mut stack.world().behavior;
        behavior.replication_takes = Duration::from_secs(90);
        behavior.failing_replicas.insert(Region::from("eu-west-1"), "no such key".to_owned());
    }
    let place = {
        let copy = new_stack();
        copy.create(&declared).await.good();
        let world = copy.world();
        world.calls.iter().position(|call| call.operation == "ReplicateSecretToRegions").unwrap()
    };
    // Lambda sends the event again a minute later; the replica is still in progress then.
    let event = stack.create_event(&declared);
    stack.send_with(&event, [(place, Fault::CrashAfter)]).await.failed("no such key");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_for_replicas_that_are_still_being_removed() {
    for (lingers, removals) in [(20, 1), (50, 1)] {
        let stack = new_stack();
        let declared = replicas(&json!(["eu-west-1"]));
        let created = stack.create(&declared).await.good();
        stack.world().behavior.removed_replicas_linger = Duration::from_secs(lingers);
        take_writes(&stack);
        stack.delete(created.physical_id(), &declared).await.good_at(lingers);
        assert_nothing_left(&stack);
        let writes = take_writes(&stack);
        assert_eq!(writes.iter().filter(|write| **write == "RemoveRegionsFromReplication").count(), removals);
    }
}
