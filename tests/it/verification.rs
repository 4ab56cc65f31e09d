//! When a token is asked for and what its refusal means; the first look-up of a new domain; calls that are
//! denied at first.

use std::time::Duration;

use cognito_m2m::{
    clock::Deadline,
    model::{Endpoints, ProviderConfig},
    provider::{Provider, handle},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    Fault, Session, Stack, TokenEndpointState, assert_is, assert_nothing_left,
    cloudformation::{Bucket, ROTATION_FUNCTION},
    fake_aws::REGION,
    fixtures::{DEFAULT_SECRET, large, with},
    new_stack,
};

/// A stack in an account in which a new domain can be looked up too early.
fn with_dns() -> Stack {
    let stack = new_stack();
    stack.world().behavior.domain_dns = true;
    stack
}

/// Returns when an operation was called, since the start.
fn calls_since(stack: &Stack, start: Instant, operation: &str) -> Vec<Duration> {
    let world = stack.world();
    let calls = world.calls.iter().filter(|call| call.operation == operation && call.at >= start);
    calls.map(|call| call.at - start).collect()
}

/// Returns the number of the call of an operation in a run for the event in an account like this one.
async fn number_of_call(stack: &Stack, event: &Value, operation: &str) -> usize {
    let session = Session::new(&stack.aws);
    let before = stack.world().calls.len();
    stack.run(&session, event).await.good();
    stack.world().calls[before..].iter().position(|call| call.operation == operation).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_the_token_service_learns_of_late_is_no_failure() {
    for lag in [1, 8, 14] {
        let stack = new_stack();
        stack.world().behavior.token_service_lags = Duration::from_secs(lag);
        // The wait for the domain would hide the lag.
        let created = stack.create(&with(json!({}), "VerifyToken", false)).await.good();
        let wider = json!({ "Clients": [{ "ClientName": "new" }] });
        let updated = stack.update(created.physical_id(), &wider, &json!({})).await.good_at(lag);
        assert_eq!(updated.attribute("TokenVerification"), "verified");
        assert_is(&stack, &wider);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_delivery_checks_what_the_first_one_changed_and_did_not_check() {
    let client = "machine-to-machine-dev-client";
    let two = json!({ "Clients": [{ "ClientName": client }, { "ClientName": "new" }] });
    let narrow = json!({ "Clients": [{ "ClientName": client, "AllowedOAuthScopes": ["m2m-client/read"] }] });
    let moved = json!({ "DomainPrefix": "moved" });
    for (new, tokens) in [(two, 1), (narrow, 1), (moved, 1), (json!({ "Tags": { "a": "b" } }), 0)] {
        let made = async || {
            let stack = new_stack();
            let id = stack.create(&json!({})).await.good().physical_id().to_owned();
            tokio::time::advance(Duration::from_mins(10)).await;
            (stack.update_event(&id, &new, &json!({})), stack)
        };
        let (event, stack) = made().await;
        let calls = stack.count_calls(&event).await;
        for k in 0..calls {
            let (event, stack) = made().await;
            let granted = stack.world().tokens_granted;
            stack.send_with(&event, [(k, Fault::CrashAfter)]).await.good_at(&new);
            assert_is(&stack, &new);
            assert!((stack.world().tokens_granted - granted).div_ceil(2) == tokens, "call {k} of {new}");

            let (event, stack) = made().await;
            stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
            let answer = stack.send_with(&event, [(k, Fault::CrashAfter)]).await;
            assert_eq!(answer.succeeded(), tokens == 0, "call {k} of {new}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_lasts_is_believed_after_a_quarter_of_a_minute() {
    let stack = new_stack();
    let created = stack.create(&json!({})).await.good();
    stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    let wider = json!({ "Clients": [{ "ClientName": "new" }] });
    let start = Instant::now();
    stack.update(created.physical_id(), &wider, &json!({})).await.failed("invalid_client");
    assert!((15..18).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(calls_since(&stack, start, "VerifyToken").len() > 4);
}

#[tokio::test(start_paused = true)]
async fn silence_after_a_refusal_does_not_take_it_back() {
    for (then, succeeds) in [(TokenEndpointState::Unreachable, false), (TokenEndpointState::Works, true)] {
        let stack = new_stack();
        let created = stack.create(&json!({})).await.good();
        stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
        let aws = stack.aws.clone();
        let changes = async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            aws.world().behavior.token_endpoint = TokenEndpointState::Unreachable;
            tokio::time::sleep(Duration::from_secs(40)).await;
            aws.world().behavior.token_endpoint = then;
        };
        let wider = json!({ "Clients": [{ "ClientName": "new" }] });
        let event = stack.update_event(created.physical_id(), &wider, &json!({}));
        let start = Instant::now();
        let (updated, ()) = tokio::join!(stack.send(&event), changes);
        if succeeds {
            assert_eq!(updated.good().attribute("TokenVerification"), "verified");
        } else {
            updated.failed("invalid_client");
            assert!((60..65).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_minute_without_an_answer_is_still_asked_again() {
    let stack = new_stack();
    let created = stack.create(&json!({})).await.good();
    stack.world().behavior.token_endpoint = TokenEndpointState::Unreachable;
    let aws = stack.aws.clone();
    let (lost, found) = (Duration::from_secs(58), Duration::from_secs(65));
    let start = Instant::now();
    let changes = async move {
        tokio::time::sleep(lost).await;
        aws.world().behavior.token_endpoint = TokenEndpointState::Refuses;
        tokio::time::sleep(found.saturating_sub(lost)).await;
        aws.world().behavior.token_endpoint = TokenEndpointState::Works;
    };
    let wider = json!({ "Clients": [{ "ClientName": "new" }] });
    let event = stack.update_event(created.physical_id(), &wider, &json!({}));
    let (updated, ()) = tokio::join!(stack.send(&event), changes);
    assert_eq!(updated.good().attribute("TokenVerification"), "verified");
    assert!(start.elapsed() < Duration::from_secs(70), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_new_domain_is_not_looked_up_in_its_first_twenty_seconds() {
    let scheduled = with(json!({}), "RotationDays", 30);
    for properties in [json!({}), scheduled.clone(), with(scheduled, "VerifyToken", false)] {
        let stack = with_dns();
        let start = Instant::now();
        let created = stack.create(&properties).await.good();
        assert_is(&stack, &properties);
        assert!((20..22).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        let secrets = calls_since(&stack, start, "CreateSecret");
        assert!(secrets[0] < Duration::from_secs(1), "the secrets do not wait: {secrets:?}");
        let verified = if properties.get("VerifyToken").is_some() { "skipped" } else { "verified" };
        assert_eq!(created.attribute("TokenVerification"), verified);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_look_up_nothing_waits_for_the_domain() {
    let stack = with_dns();
    let start = Instant::now();
    stack.create(&json!({ "VerifyToken": false })).await.good();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_replaced_domain_is_waited_for_by_every_look_up_and_an_unchanged_one_by_none() {
    let (old, new) = (with(large(), "RotationDays", 30), with(large(), "RotationDays", 30));
    let moved = with(new, "DomainPrefix", "moved");
    let rotated = with(moved.clone(), "RotateSecrets", "now");
    let quiet = with(rotated.clone(), "VerifyToken", false);
    for new in [moved, rotated, quiet] {
        let stack = with_dns();
        let created = stack.create(&old).await.good();
        tokio::time::advance(Duration::from_mins(10)).await;
        let start = Instant::now();
        stack.update(created.physical_id(), &new, &old).await.good();
        assert_is(&stack, &new);
        assert!(start.elapsed() >= Duration::from_secs(20), "{:?}", start.elapsed());

        let start = Instant::now();
        let wider = with(new.clone(), "Clients", json!([{ "ClientName": "web" }]));
        stack.update(created.physical_id(), &wider, &new).await.good();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_under_way_that_an_update_of_the_domain_ends_waits_too() {
    let old = with(large(), "RotationDays", 30);
    let stack = with_dns();
    let created = stack.create(&old).await.good();
    tokio::time::advance(Duration::from_mins(10)).await;
    {
        use cognito_m2m::ports::{AWSCURRENT, AWSPENDING};
        let mut world = stack.world();
        let secret = world.secrets.get_mut(&"machine-to-machine-prod/web".into()).unwrap();
        let (_, version) = secret.staged(AWSCURRENT).unwrap();
        let mut pending = version.clone();
        pending.stages = [AWSPENDING.to_owned()].into();
        if let Some(document) = &mut pending.document {
            document.client_secret = cognito_m2m::redact::Secret::new("p".repeat(64));
        }
        secret.versions.insert("pending".to_owned(), pending);
    }
    let new = with(old.clone(), "DomainPrefix", "moved");
    stack.update(created.physical_id(), &new, &old).await.good();
    assert_is(&stack, &new);
}

#[tokio::test(start_paused = true)]
async fn a_second_delivery_right_after_the_domain_was_made_waits_as_well() {
    for properties in [json!({}), with(json!({}), "RotationDays", 30)] {
        let event = new_stack().create_event(&properties);
        let made = number_of_call(&with_dns(), &event, "CreateUserPoolDomain").await;
        for k in made..made + 6 {
            let stack = with_dns();
            let start = Instant::now();
            stack.send_with(&stack.create_event(&properties), [(k, Fault::CrashAfter)]).await.good_at(k);
            assert_is(&stack, &properties);
            // Lambda delivers the event again after a minute. The second delivery does not know how old the
            // domain is: it may wait once more.
            assert!(start.elapsed() < Duration::from_secs(60 + 45), "{:?}", start.elapsed());
        }
    }
    // A replaced domain.
    let (old, new) = (large(), with(large(), "DomainPrefix", "moved"));
    let prepared = async || {
        let stack = with_dns();
        let created = stack.create(&old).await.good();
        tokio::time::advance(Duration::from_mins(10)).await;
        let event = stack.update_event(created.physical_id(), &new, &old);
        (stack, event)
    };
    let (stack, event) = prepared().await;
    let made = number_of_call(&stack, &event, "CreateUserPoolDomain").await;
    for k in made..made + 4 {
        let (stack, event) = prepared().await;
        stack.send_with(&event, [(k, Fault::CrashAfter)]).await.good_at(k);
        assert_is(&stack, &new);
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_whose_creation_lost_its_answer_is_waited_for() {
    let event = new_stack().create_event(&json!({}));
    let made = number_of_call(&with_dns(), &event, "CreateUserPoolDomain").await;
    for fault in [Fault::Lost, Fault::Hang, Fault::Busy] {
        let stack = with_dns();
        stack.send_with(&stack.create_event(&json!({})), [(made, fault)]).await.good();
        assert_is(&stack, &json!({}));
    }
}

#[tokio::test(start_paused = true)]
async fn too_little_time_for_the_first_look_up_makes_the_endpoint_unreachable() {
    let mut stack = with_dns();
    stack.timeout = Duration::from_secs(20);
    let start = Instant::now();
    let created = stack.create(&json!({})).await.good();
    assert_eq!(created.attribute("TokenVerification"), "unreachable");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(calls_since(&stack, start, "VerifyToken").is_empty());

    // A schedule cannot be turned on without Secrets Manager's look-up.
    let mut stack = with_dns();
    stack.timeout = Duration::from_secs(20);
    stack.create(&json!({ "RotationDays": 30 })).await.failed("Time ran out");
    assert_eq!(stack.world().writes().iter().filter(|write| **write == "RotateSecret").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_custom_endpoint_needs_no_wait() {
    let stack = new_stack();
    stack.world().behavior.token_endpoint = TokenEndpointState::Unreachable;
    let session = Session::new(&stack.aws);
    let provider = async || Provider {
        services: session.clone(),
        config: ProviderConfig {
            endpoints: Endpoints::new(REGION, Some("http://localhost:4566")),
            rotation_function: Some(ROTATION_FUNCTION.to_owned()),
        },
    };
    let bucket = Bucket::default();
    let start = Instant::now();
    Box::pin(handle(&stack.create_event(&json!({})), Deadline::after(stack.timeout), provider, &bucket)).await.unwrap();
    assert_eq!(bucket.0.lock().unwrap()[0]["Status"], "SUCCESS");
    let first = calls_since(&stack, start, "VerifyToken")[0];
    assert!(first < Duration::from_secs(1), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn the_check_after_a_rotation_uses_the_secret_that_it_made() {
    let (old, new) = (large(), with(large(), "RotateSecrets", "now"));
    let mut new = new;
    new["Clients"][0]["AccessTokenValidityMinutes"] = json!(7);
    let stack = new_stack();
    let created = stack.create(&old).await.good();
    stack.update(created.physical_id(), &new, &old).await.good();
    assert_is(&stack, &new);
    let world = stack.world();
    let current = world.document(&"machine-to-machine-prod/web".into());
    assert!(world.last_good_secrets[&current.client_id] == current.client_secret);
}

/// Operations of a Create that writes everything, and of an Update that changes everything.
const OPERATIONS: [&str; 9] = [
    "ListUserPools",
    "CreateUserPool",
    "CreateUserPoolDomain",
    "CreateResourceServer",
    "CreateUserPoolClient",
    "CreateSecret",
    "DescribeSecret",
    "GetSecretValue",
    "RotateSecret",
];

#[tokio::test(start_paused = true)]
async fn a_permission_that_takes_half_a_minute_to_be_known_is_no_failure() {
    let properties = with(json!({}), "RotationDays", 30);
    for operation in OPERATIONS {
        for denied_for in [3, 12, 29] {
            let stack = with_dns();
            stack.world().behavior.denied_for.insert(operation, Duration::from_secs(denied_for));
            let place = format!("{operation}, {denied_for} s");
            stack.create(&properties).await.good_at(&place);
            assert_is(&stack, &properties);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_that_lasts_fails_after_half_a_minute_with_what_to_do_and_is_rolled_back() {
    const LONG: Duration = Duration::from_hours(1);
    let stack = new_stack();
    stack.world().behavior.denied_for.insert("CreateSecret", LONG);
    let start = Instant::now();
    let failed = stack.create(&json!({ "VerifyToken": false })).await;
    failed.failed("AccessDeniedException");
    failed.failed("provider's role");
    assert!((30..33).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    stack.delete(failed.physical_id(), &json!({})).await.good();
    assert_nothing_left(&stack);

    let stack = new_stack();
    let (old, new) = (json!({}), json!({ "RotationDays": 30 }));
    let created = stack.create(&old).await.good();
    stack.world().behavior.denied_for.insert("RotateSecret", LONG);
    let start = Instant::now();
    let failed = stack.update(created.physical_id(), &new, &old).await;
    failed.failed("cannot invoke the specified Lambda function");
    failed.failed("AWS::Lambda::Permission");
    failed.failed("secretsmanager.amazonaws.com");
    assert!(!failed.reason().contains("provider's role"), "{}", failed.reason());
    assert!((30..33).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    stack.update(created.physical_id(), &old, &new).await.good();
    assert_is(&stack, &old);
    assert!(stack.world().document(&DEFAULT_SECRET.into()).client_secret.expose().len() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_denied_delete_is_answered_soon() {
    let stack = new_stack();
    let created = stack.create(&json!({})).await.good();
    stack.world().behavior.denied_for.insert("DeleteUserPool", Duration::from_hours(1));
    let start = Instant::now();
    stack.delete(created.physical_id(), &json!({})).await.failed("AccessDeniedException");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
