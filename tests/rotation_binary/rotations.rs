//! Rotations that succeed.

use std::time::Duration;

use cognito_m2m::{
    clock::now,
    ports::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, FORMER},
};
use serde_json::json;

use crate::{
    case::{Case, FIRST_VALUE, FIRST_VERSION, STEPS, TIMEOUT, rotation_event},
    world::{CLIENT_TOKEN, TOKEN},
};

#[test]
fn three_rotations_in_a_row_cut_nobody_off_and_every_step_may_be_repeated() {
    let mut case = Case::start();
    let cloud = case.cloud.clone();
    for round in 1..=3 {
        cloud.a_month_passes();
        let current = cloud.holder(AWSCURRENT).unwrap();
        let (before, document) = (cloud.values(), cloud.document(&current));
        let token = cloud.begin_rotation();

        assert_eq!(case.does("createSecret", &token), ["PutSecretValue"]);
        let mut pending = cloud.document(&token);
        let value = cloud.value(&token);
        assert!(value.len() == 64 && value.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(!before.contains(&value), "the value is not new");
        pending["client_secret"] = document["client_secret"].clone();
        assert!(pending == document, "another key has changed");
        assert_eq!((cloud.labels(&token), cloud.labels(&current)), (vec![AWSPENDING.into()], vec![AWSCURRENT.into()]));
        case.does_nothing("createSecret", &token);

        let writes = case.does("setSecret", &token);
        let former: &[&str] = if round == 1 { &[] } else { &["DeleteUserPoolClientSecret"] };
        assert_eq!(writes, [former, &["UpdateSecretVersionStage", "AddUserPoolClientSecret"]].concat());
        assert!(cloud.values() == [cloud.value(&current), value.clone()], "Cognito holds other secrets");
        case.does_nothing("setSecret", &token);

        case.does_nothing("testSecret", &token);
        case.does_nothing("testSecret", &token);

        let writes = case.does("finishSecret", &token);
        assert_eq!(writes, ["UpdateSecretVersionStage"; 3]);
        assert_eq!((cloud.labels(&token), cloud.labels(&current)), (vec![AWSCURRENT.into()], vec![AWSPREVIOUS.into()]));
        // A consumer that read the former version is not cut off either.
        assert!(cloud.values() == [cloud.value(&current), value], "Cognito holds other secrets");
        // A step that is repeated after the end has nothing left to do.
        for step in STEPS {
            case.does_nothing(step, &token);
        }
    }
    case.ends();
}

#[test]
fn the_test_of_a_new_schedule_passes_and_changes_nothing() {
    let mut case = Case::start();
    // Secrets Manager runs only testSecret, on a version that it removes again. Its users say that the
    // version holds a copy of AWSCURRENT, and its documentation does not: both cases are tried.
    let token = case.cloud.begin_rotation();
    case.does_nothing("testSecret", &token);
    let copy = case.cloud.document(FIRST_VERSION);
    case.cloud.set_document(&token, &copy);
    for step in ["createSecret", "setSecret", "testSecret"] {
        case.does_nothing(step, &token);
    }
    assert!(case.cloud.take_calls().is_empty() && case.cloud.values() == [FIRST_VALUE]);
    case.ends();
}

#[test]
fn a_secret_that_the_token_endpoint_knows_only_after_some_seconds_passes() {
    let mut case = Case::start();
    let token = case.cloud.begin_rotation();
    case.cloud.world.aws().learns_within = Duration::from_secs(3);
    for step in ["createSecret", "setSecret"] {
        case.does(step, &token);
    }
    let started = now();
    assert_eq!(case.step("testSecret", &token), Ok(()));
    assert!(started.elapsed() >= Duration::from_secs(2), "the endpoint was not waited for");
    let asked = case.cloud.take_calls().iter().filter(|call| *call == TOKEN).count();
    assert!(asked >= 2, "asked {asked} times");
    assert_eq!(case.does("finishSecret", &token).len(), 3);
    case.ends();
}

#[test]
fn what_the_stack_says_beside_the_secret_is_kept_if_it_was_updated_in_between() {
    let mut case = Case::start();
    let cloud = case.cloud.clone();
    cloud.a_month_passes();
    let token = cloud.begin_rotation();
    for step in ["createSecret", "setSecret", "testSecret"] {
        case.does(step, &token);
    }
    let mut updated = cloud.document(FIRST_VERSION);
    updated["scope"] = json!("m2m-client/read");
    cloud.update_document(&updated);

    let writes = case.does("finishSecret", &token);
    let labels = ["UpdateSecretVersionStage"; 3];
    assert_eq!(writes, [&["PutSecretValue"][..], &labels].concat());
    let current = cloud.holder(AWSCURRENT).unwrap();
    updated["client_secret"] = json!(cloud.value(&token));
    assert!(cloud.document(&current) == updated, "AWSCURRENT is not the update with the new secret");
    assert_eq!(cloud.holder(AWSPENDING), None);
    // Its version has no label left, so only the step that took the label may be repeated.
    case.does_nothing("finishSecret", &token);
    let error = case.fails(&rotation_event("setSecret", &token));
    assert!(error.contains("is not staged"), "{error}");
    cloud.allow_reading_only();
    let next = case.rotates();
    assert!(cloud.values() == [cloud.value(&token), cloud.value(&next)], "Cognito holds other secrets");
    case.ends();
}

#[test]
fn the_former_secret_is_found_by_its_label_if_the_stack_was_updated_since() {
    let mut case = Case::start();
    let cloud = case.cloud.clone();
    let first = case.rotates();
    // The provider does the same: AWSPREVIOUS goes to an older text about the present credentials.
    let mut updated = cloud.document(&first);
    updated["scope"] = json!("m2m-client/read");
    cloud.secret(|secret| secret.put_label(FORMER, Some(FIRST_VERSION)));
    cloud.update_document(&updated);
    cloud.allow_reading_only();
    assert_eq!(cloud.labels(&first), [AWSPREVIOUS]);

    let second = case.rotates();
    assert!(cloud.values() == [cloud.value(&first), cloud.value(&second)], "Cognito holds other secrets");
    case.ends();
}

#[test]
fn a_pool_without_a_domain_rotates_by_the_api() {
    let mut case = Case::start();
    let cloud = case.cloud.clone();
    cloud.switch_to_the_api();
    for _ in 0..3 {
        let before = cloud.values();
        let token = case.rotates();
        let current = cloud.document(&token);
        assert_eq!(current["token_service"], "GetClientToken");
        assert!(cloud.values() == [before.last().unwrap().clone(), cloud.value(&token)], "Cognito holds other secrets");
    }
    assert_eq!(cloud.world.bodies(TOKEN), Vec::<String>::new());
    assert!(cloud.world.bodies(CLIENT_TOKEN).len() >= 3);
    case.ends();
}

#[test]
fn no_secret_is_deleted_while_cognito_says_that_the_flow_is_missing() {
    let mut case = Case::start();
    let cloud = case.cloud.clone();
    cloud.switch_to_the_api();
    case.rotates();
    cloud.a_month_passes();
    let token = cloud.begin_rotation();
    case.does("createSecret", &token);
    // It is known within seconds, but not before the step gives up.
    cloud.client(|client| client.flow_known_from = now() + Duration::from_hours(1));
    let error = case.fails_within(&rotation_event("setSecret", &token), TIMEOUT);
    assert!(error.contains("ALLOW_CLIENT_TOKEN_AUTH") && error.contains("Nothing was changed"), "{error}");
    cloud.client(|client| client.flow_known_from = now() + Duration::from_secs(3));
    case.does("setSecret", &token);
    for step in &STEPS[2..] {
        case.does(step, &token);
    }
    case.ends();
}
