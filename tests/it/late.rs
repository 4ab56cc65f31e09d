//! Events that Lambda delivers late or again, rollbacks, and lists that lag.

use std::time::Duration;

use cognito_m2m::{
    cfn::Event,
    clock::Deadline,
    model::{PoolId, Principal, ResourceType},
    provider::handle,
    redact::Secret,
};
use futures::future;
use serde_json::{Value, json};

use crate::support::{
    FakeAws, Fault, Session, Stack, TokenEndpointState, assert_is, assert_nothing_left,
    cloudformation::{Bucket, RESPONSE_URL, assert_pool_is, provider},
    fixtures::{DEFAULT_SECRET, INVENTED_ID, LARGE_CLIENTS, large, large_changed, member_server, platform, with},
    new_stack,
};

/// The event as CloudFormation sends it in this minute of a day.
pub fn at(minute: u32, mut event: Value) -> Value {
    event["ResponseURL"] = json!(format!("{RESPONSE_URL}&X-Amz-Date=20260102T03{minute:02}00Z"));
    event
}

fn prefix(prefix: &str) -> Value {
    json!({ "DomainPrefix": prefix })
}

/// Sends an event that must change nothing, and returns its answer's domain.
async fn changes_nothing(stack: &Stack, event: &Value, id: &str) -> String {
    stack.world().calls.clear();
    let tokens = stack.world().tokens_granted;
    let answer = stack.send(event).await.good();
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
    assert_eq!(stack.world().tokens_granted, tokens);
    assert_eq!(answer.physical_id(), id);
    assert_eq!(answer.attribute("TokenVerification"), "skipped");
    let domain = answer.attribute("Domain").to_owned();
    assert_eq!(answer.attribute("TokenEndpoint"), format!("https://{domain}/oauth2/token"));
    domain
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_delivered_again_after_a_newer_update_changes_nothing() {
    let stack = new_stack();
    let create = stack.create_event(&prefix("a"));
    let id = stack.send(&create).await.good().physical_id().to_owned();
    let update = stack.update_event(&id, &prefix("b"), &prefix("a"));
    stack.send(&update).await.good();
    stack.update(&id, &prefix("c"), &prefix("b")).await.good();
    for late in [&create, &update] {
        let domain = changes_nothing(&stack, late, &id).await;
        assert!(domain.starts_with("c-dev."), "what is there: {domain}");
        assert_is(&stack, &prefix("c"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_first_delivered_after_a_newer_one_changes_nothing() {
    let stack = new_stack();
    let id = stack.send(&at(1, stack.create_event(&prefix("a")))).await.good().physical_id().to_owned();
    let overtaken = at(2, stack.update_event(&id, &prefix("b"), &prefix("a")));
    stack.send(&at(3, stack.update_event(&id, &prefix("c"), &prefix("b")))).await.good();
    changes_nothing(&stack, &overtaken, &id).await;
    assert_is(&stack, &prefix("c"));
    // CloudFormation's clock has whole seconds.
    stack.send(&at(3, stack.update_event(&id, &prefix("d"), &prefix("c")))).await.good();
    assert_is(&stack, &prefix("d"));
}

#[tokio::test(start_paused = true)]
async fn an_update_of_a_resource_server_that_comes_again_after_a_newer_one_changes_nothing() {
    let aws = FakeAws::default();
    let pool = platform(&aws, "team-");
    let stack = Stack::of_type(ResourceType::CognitoM2MResourceServer, &aws, "team-a");
    let [first, second, third] = [&["a"][..], &["a", "b"], &["a", "b", "c"]].map(|scopes| member_server(&pool, scopes));
    let created = stack.send(&at(1, stack.create_event(&first))).await.good();
    let id = created.physical_id();
    let overtaken = at(2, stack.update_event(id, &second, &first));
    stack.send(&overtaken).await.good();
    stack.send(&at(3, stack.update_event(id, &third, &second))).await.good();
    stack.world().calls.clear();
    stack.send(&overtaken).await.good();
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
    assert_is(&stack, &third);
}

#[tokio::test(start_paused = true)]
async fn a_failed_update_that_is_delivered_again_after_its_rollback_changes_nothing() {
    let stack = new_stack();
    let id = stack.create(&large()).await.good().physical_id().to_owned();
    let update = stack.update_event(&id, &large_changed(), &large());
    stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    stack.send(&update).await.failed("invalid_client");
    stack.world().behavior.token_endpoint = TokenEndpointState::Works;
    let rollback = stack.update_event(&id, &large(), &large_changed());
    stack.send(&rollback).await.good();
    assert_is(&stack, &large());
    for again in [&update, &rollback] {
        changes_nothing(&stack, again, &id).await;
        assert_is(&stack, &large());
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_failed_and_is_tried_again_instead_of_rolled_back_fails_again() {
    let stack = new_stack();
    let id = stack.create(&large()).await.good().physical_id().to_owned();
    stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    for _ in 0..2 {
        stack.update(&id, &large_changed(), &large()).await.failed("invalid_client");
    }
    stack.world().behavior.token_endpoint = TokenEndpointState::Works;
    let updated = stack.update(&id, &large_changed(), &large()).await.good();
    assert_eq!(updated.attribute("TokenVerification"), "verified");
    assert_is(&stack, &large_changed());

    let role = "arn:aws:iam::444455556666:role/missing";
    stack.world().behavior.unknown_principals.insert(Principal(role.to_owned()), Duration::from_hours(1));
    // A reader in another account needs a key of one's own, as these properties have.
    let mut read = large_changed();
    read["Clients"][0]["SecretReaders"] = json!([role]);
    for _ in 0..2 {
        stack.update(&id, &read, &large_changed()).await.failed(role);
    }
    stack.update(&id, &large_changed(), &read).await.good_at("the rollback in the end");
    assert_is(&stack, &large_changed());
}

#[tokio::test(start_paused = true)]
async fn the_rollback_of_an_update_that_wrote_only_its_note_writes_only_a_note() {
    let stack = new_stack();
    let id = stack.create(&large()).await.good().physical_id().to_owned();
    // The first write of this update is the note, beside the new server's.
    let more = with(large(), "Clients", json!([{ "ClientName": "web" }, { "ClientName": "more" }]));
    let update = stack.update_event(&id, &more, &large());
    stack.world().calls.clear();
    let probe = stack.count_calls(&update).await;
    let first = stack.world().calls.iter().position(|call| call.operation == "UpdateUserPool").unwrap();
    assert!(first < probe);
    stack.update(&id, &large(), &more).await.good();

    let update = stack.update_event(&id, &more, &large());
    let faults = (first + 1..first + 100).map(|call| (call, Fault::Before));
    assert!(!stack.send_with(&update, faults).await.succeeded());
    stack.update(&id, &large(), &more).await.good();
    assert_is(&stack, &large());
    stack.world().calls.clear();
    stack.update(&id, &large(), &large()).await.good();
    assert_eq!(stack.world().writes(), Vec::<&str>::new(), "the note is right again");
}

#[tokio::test(start_paused = true)]
async fn a_delete_of_a_failed_create_that_comes_again_spares_the_resource_that_came_after() {
    let stack = new_stack();
    let failing = at(1, stack.create_event(&large()));
    stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    let failed = stack.send(&failing).await;
    failed.failed("invalid_client");
    stack.world().behavior.token_endpoint = TokenEndpointState::Works;
    let id = failed.physical_id();
    assert!(id.starts_with("cognito-m2m-failed-M2M-"), "{id}");

    let by_id = at(2, stack.delete_event(id, &large()));
    let invented = at(2, stack.delete_event(INVENTED_ID, &large()));
    for delete in [&by_id, &invented] {
        stack.send(delete).await.good();
        assert_nothing_left(&stack);
    }
    let created = stack.send(&at(3, stack.create_event(&large()))).await.good();
    for late in [&by_id, &invented] {
        stack.send(late).await.good();
        assert_is(&stack, &large());
    }
    stack.send(&failing).await.good_at("the failed Create again, after all");
    assert_is(&stack, &large());
    stack.send(&at(4, stack.delete_event(created.physical_id(), &large()))).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_that_comes_again_after_its_delete_leaves_nothing() {
    for number_of_failures in [1, 2] {
        let stack = new_stack();
        let create = at(1, stack.create_event(&large()));
        stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
        let failed = stack.send(&create).await;
        failed.failed("invalid_client");
        if number_of_failures == 1 {
            stack.world().behavior.token_endpoint = TokenEndpointState::Works;
        }
        stack.send(&at(2, stack.delete_event(failed.physical_id(), &large()))).await.good();
        let again = stack.send(&create).await;
        assert!(!again.succeeded());
        assert_nothing_left(&stack);
        stack.world().behavior.token_endpoint = TokenEndpointState::Works;
        stack.send(&at(3, stack.create_event(&large()))).await.good_at("the next attempt");
        assert_is(&stack, &large());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_succeeds_although_a_client_was_broken_before() {
    let stack = new_stack();
    let id = stack.create(&prefix("a")).await.good().physical_id().to_owned();
    for client in stack.world().pools.get_mut(&PoolId::from(id.as_str())).unwrap().clients.values_mut() {
        client.secrets[0].value = Secret::new("what-nobody-has-recorded".to_owned());
    }
    let update = stack.update_event(&id, &prefix("b"), &prefix("a"));
    stack.send(&update).await.failed("not as expected");

    let rollback = stack.update_event(&id, &prefix("a"), &prefix("b"));
    let rolled_back = stack.send(&rollback).await.good();
    assert_eq!(rolled_back.attribute("TokenVerification"), "failed");
    assert_pool_is(&stack.world().pools[&PoolId::from(id.as_str())], &stack.desired(&prefix("a")));
    let metadata = stack.world().document(&DEFAULT_SECRET.into()).metadata.clone();
    assert!(metadata.token_endpoint.starts_with("https://a-dev."), "{}", metadata.token_endpoint);

    stack.update(&id, &prefix("b"), &prefix("a")).await.failed("not as expected");
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_pool_shows_up_late_goes_on_with_it() {
    let lagging = || {
        let stack = new_stack();
        stack.world().behavior.pool_listing_lags = Duration::from_secs(10);
        stack.world().behavior.tags_lag = Duration::from_secs(10);
        stack
    };
    let stack = lagging();
    let calls = stack.count_calls(&stack.create_event(&large())).await;
    for k in 0..calls {
        for times in [1, 2, 5] {
            let stack = lagging();
            let lost = (k..k + times).map(|call| (call, Fault::Lost));
            stack.send_with(&stack.create_event(&large()), lost).await.good_at(format_args!("call {k}, {times} times"));
            assert_is(&stack, &large());
        }
    }
    println!("{calls} calls of a Create whose pool shows up late");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_a_list_shows_late_is_created_once() {
    let stack = new_stack();
    stack.world().behavior.client_listing_lags = Duration::from_mins(1);
    // What the run creates after its clients meets a permission that is not known yet, so it observes again.
    stack.world().behavior.denied_for.insert("CreateSecret", Duration::from_secs(2));
    stack.create(&large()).await.good();
    assert_is(&stack, &large());
    let creations = stack.world().writes().into_iter().filter(|write| *write == "CreateUserPoolClient").count();
    assert_eq!(creations, LARGE_CLIENTS.len());
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_whose_pool_shows_up_late_is_cleaned_up() {
    let stack = new_stack();
    stack.world().behavior.pool_listing_lags = Duration::from_mins(10);
    stack.world().behavior.tags_lag = Duration::from_secs(5);
    let failed = stack.send_with(&stack.create_event(&large()), [(6, Fault::Before)]).await;
    assert!(!failed.succeeded());
    assert_eq!(stack.world().pools.len(), 1, "something was made");
    stack.delete(failed.physical_id(), &large()).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_delete_by_the_pools_id_costs_the_same_few_calls_beside_a_thousand_pools() {
    let mut counts = Vec::new();
    for others in [0, 1000] {
        let stack = new_stack();
        let created = stack.create(&large()).await.good();
        for number in 0..others {
            stack.world().add_foreign_pool("machine-to-machine-prod", &format!("other{number}"));
        }
        stack.world().calls.clear();
        counts.push(stack.count_calls(&stack.delete_event(created.physical_id(), &large())).await);
        assert!(stack.world().calls.iter().all(|call| call.operation != "ListUserPools"));
        assert_nothing_left(&stack);
    }
    println!("calls of a Delete beside 0 and 1000 pools: {counts:?}");
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test(start_paused = true)]
async fn a_delete_without_the_pools_id_finds_it_by_its_tags_whatever_its_name() {
    for properties in [json!({ "EnvironmentName": "another" }), large(), json!({}), json!("text")] {
        for id in [Some(INVENTED_ID), Some(""), None] {
            let stack = new_stack();
            stack.create(&large()).await.good();
            let mut event = stack.delete_event(id.unwrap_or_default(), &properties);
            if id.is_none() {
                event.as_object_mut().unwrap().remove("PhysicalResourceId");
            }
            stack.send(&event).await.good_at(&properties);
            assert_nothing_left(&stack);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_meets_a_protected_create_waits_for_it_to_remove_everything() {
    // Without a token check, the Create does not wait for the domain, and ends while the Delete runs.
    let protected = with(with(large(), "DeletionProtection", "ACTIVE"), "VerifyToken", false);
    let mut met = 0;
    // Both at once. The Delete starts later by this many thirds of a call's time.
    for head_start in 0..80_u64 {
        let stack = new_stack();
        let create = stack.create_event(&protected);
        let delete = stack.delete_event(INVENTED_ID, &protected);
        let later = async {
            tokio::time::sleep(Duration::from_millis(head_start * 3)).await;
            stack.send(&delete).await
        };
        let (created, deleted) = future::join(stack.send(&create), later).await;
        if created.succeeded() {
            deleted.failed("protection");
            assert_is(&stack, &protected);
        } else {
            deleted.good_at(head_start);
            assert_nothing_left(&stack);
            met += 1;
        }
    }
    println!("{met} meetings of a Delete with a protected Create");
    assert!((10..80).contains(&met), "{met}");
}

/// Sends the event with properties that are nested this deep.
async fn send_nested(stack: &Stack, event: &Value, levels: usize) -> Value {
    let mut event = event.clone();
    event["ResourceProperties"] = json!("here");
    let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let event = Event::from_json(&event.to_string().replace("\"here\"", &deep));
    let bucket = Bucket::default();
    let session = Session::new(&stack.aws);
    let deadline = Deadline::after(stack.timeout);
    handle(event, deadline, async || provider(&session), &bucket).await.unwrap();
    let answers = bucket.0.lock().unwrap().clone();
    assert_eq!(answers.len(), 1);
    answers[0].clone()
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_nested_too_deep_is_answered() {
    let stack = new_stack();
    let refused = send_nested(&stack, &stack.create_event(&json!({})), 200).await;
    assert_eq!(refused["Status"], "FAILED");
    assert!(refused["Reason"].as_str().unwrap().contains("nested too deep"), "{refused}");
    assert_eq!(stack.world().calls.len(), 0);

    let created = stack.create(&large()).await.good();
    let id = created.physical_id();
    let refused = send_nested(&stack, &stack.update_event(id, &json!({}), &large()), 200).await;
    assert!(refused["Reason"].as_str().unwrap().contains("nested too deep"), "{refused}");
    assert_is(&stack, &large());
    let deleted = send_nested(&stack, &stack.delete_event(id, &json!({})), 200).await;
    assert_eq!(deleted["Status"], "SUCCESS");
    assert_nothing_left(&stack);
}
