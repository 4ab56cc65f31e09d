//! Events that must fail and change nothing.

use std::time::Duration;

use cognito_m2m::{
    clock::wall_clock,
    ports::{AWSCURRENT, AWSPREVIOUS},
};
use serde_json::json;

use crate::case::{CLIENT, CLIENT_ID, Case, FIRST_VALUE, FIRST_VERSION, POOL, SECRET_ARN, STEPS, rotation_event};

#[test]
fn a_version_that_is_not_staged_is_an_error_and_nothing_is_written() {
    let mut case = Case::start();
    let first = case.rotates();
    let second = case.rotates();
    let unknown = "99999999-0000-4000-8000-000000000000";
    // A version that does not exist; AWSPREVIOUS's; one without any label.
    assert_eq!(case.cloud.labels(&first), [AWSPREVIOUS]);
    assert_eq!(case.cloud.labels(FIRST_VERSION), Vec::<String>::new());
    for version in [unknown, &first, FIRST_VERSION] {
        for step in STEPS {
            let error = case.fails(&rotation_event(step, version));
            assert!(error.contains(version) && error.contains("not staged AWSPENDING"), "{error}");
        }
    }
    assert_eq!(case.cloud.labels(&second), [AWSCURRENT]);
    case.ends();
}

#[test]
fn a_secret_without_the_ownership_tags_is_an_error_and_nothing_is_written() {
    let mut case = Case::start();
    let token = case.cloud.begin_rotation();
    let good = case.cloud.secret(|secret| secret.tags.clone());
    for lacking in ["ManagedBy", "cognito-m2m:stack-id", "cognito-m2m:logical-id"] {
        case.cloud.secret(|secret| (secret.tags = good.clone(), secret.tags.remove(lacking)));
        for step in STEPS {
            let error = case.fails(&rotation_event(step, &token));
            assert!(error.contains(SECRET_ARN) && error.contains("ownership tags"), "without {lacking}: {error}");
        }
    }
    case.cloud.secret(|secret| {
        secret.tags = good;
        secret.tags.insert("ManagedBy".into(), "somebody else".into());
    });
    let error = case.fails(&rotation_event("createSecret", &token));
    assert!(error.contains("ownership tags"), "{error}");
    case.ends();
}

#[test]
fn what_is_no_step_of_a_rotation_is_an_error_and_asks_aws_nothing() {
    let mut case = Case::start();
    let token = case.cloud.begin_rotation();
    for step in ["", "createsecret", "deleteSecret", "createSecret "] {
        let error = case.fails(&rotation_event(step, &token));
        assert!(error.contains(&format!("{step:?}")) && error.contains("finishSecret"), "{error}");
    }
    for event in
        [json!({}), json!([]), json!({ "Step": "createSecret", "SecretId": SECRET_ARN }), json!("createSecret")]
    {
        let error = case.fails(&event);
        assert!(error.contains("cannot be read"), "{error}");
    }
    assert_eq!(case.cloud.take_calls(), Vec::<String>::new());
    case.ends();
}

#[test]
fn a_secret_that_is_gone_or_going_is_an_error_and_nothing_is_written() {
    let mut case = Case::start();
    let token = case.cloud.begin_rotation();
    let gone =
        json!({ "Step": "createSecret", "SecretId": "arn:aws:secretsmanager:gone", "ClientRequestToken": token });
    let error = case.fails(&gone);
    assert!(error.contains("arn:aws:secretsmanager:gone does not exist"), "{error}");
    case.cloud.secret(|secret| secret.deleted = Some(wall_clock()));
    for step in STEPS {
        let error = case.fails(&rotation_event(step, &token));
        assert!(error.contains("scheduled for deletion"), "{error}");
    }
    case.ends();
}

#[test]
fn a_second_client_secret_of_somebody_elses_is_named_and_not_deleted() {
    let mut case = Case::start();
    let cloud = case.cloud.clone();
    cloud.a_month_passes();
    let foreign = cloud.add_foreign();
    let token = cloud.begin_rotation();
    case.does("createSecret", &token);
    // It is older than ours or younger: its age is not enough to take it for the former one.
    for _ in 0..2 {
        let error = case.fails(&rotation_event("setSecret", &token));
        assert!(error.contains(&foreign) && error.contains(CLIENT_ID) && error.contains(POOL), "{error}");
        assert!(error.contains("delete-user-pool-client-secret"), "{error}");
        cloud.client(|client| client.secrets[0].created += Duration::from_hours(2000 * 24));
    }
    // Once it is removed, the rotation goes on from where it stopped.
    cloud.client(|client| client.secrets.pop());
    for step in &STEPS[1..] {
        case.does(step, &token);
    }
    assert_eq!(cloud.labels(&token), [AWSCURRENT]);

    // The same after a rotation, if somebody has replaced the former secret with another one.
    cloud.a_month_passes();
    let former = cloud.client(|client| client.secrets.remove(0));
    let foreign = cloud.add_foreign();
    let token = cloud.begin_rotation();
    case.does("createSecret", &token);
    let error = case.fails(&rotation_event("setSecret", &token));
    assert!(error.contains(&foreign) && !error.contains(&former.id), "{error}");
    case.ends();
}

#[test]
fn awscurrent_is_not_moved_to_a_secret_that_gets_no_good_token() {
    let mut case = Case::start();
    let token = case.cloud.begin_rotation();
    // setSecret has not given it to Cognito.
    case.does("createSecret", &token);
    let error = case.fails(&rotation_event("testSecret", &token));
    assert!(error.contains("invalid_client") && error.contains(CLIENT), "{error}");
    assert!(error.contains("AWSCURRENT was not moved"), "{error}");

    case.does("setSecret", &token);
    case.cloud.allow_reading_only();
    let error = case.fails(&rotation_event("testSecret", &token));
    assert!(error.contains("scopes"), "{error}");
    assert_eq!(case.cloud.labels(FIRST_VERSION), [AWSCURRENT]);
    case.ends();
}

#[test]
fn a_secret_that_is_no_document_is_an_error_and_is_not_quoted() {
    let mut case = Case::start();
    let token = case.cloud.begin_rotation();
    // Before createSecret there is nothing to set and nothing to move to.
    for step in ["setSecret", "finishSecret"] {
        let error = case.fails(&rotation_event(step, &token));
        assert!(error.contains("AWSPENDING holds no client's document"), "{error}");
    }
    case.cloud.set_document(FIRST_VERSION, &json!({ "password": FIRST_VALUE }));
    let error = case.fails(&rotation_event("createSecret", &token));
    assert!(error.contains("AWSCURRENT holds no client's document"), "{error}");
    // This test itself took the good credentials away.
    case.cloud.world.aws().broken_by = None;
    case.ends();
}
