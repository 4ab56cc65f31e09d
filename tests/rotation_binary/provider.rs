//! The provider, which rotates every client's secret when `RotateSecrets` changes.

use std::{collections::BTreeSet, time::Duration};

use cognito_m2m::ports::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use serde_json::{Value, json};

use crate::{
    case::{Case, Cloud, FIRST_VALUE, FIRST_VERSION, POOL, STACK_ID, TIMEOUT},
    world::{ANSWER, Call},
};

fn update_event(cloud: &Cloud, request_id: &str, rotate_secrets: &str, old: &str) -> Value {
    json!({
        "RequestType": "Update", "ResourceType": "Custom::CognitoM2M", "StackId": STACK_ID, "RequestId": request_id,
        "LogicalResourceId": "M2M", "PhysicalResourceId": POOL,
        "ResponseURL": cloud.world.response_url(),
        "ResourceProperties": { "ServiceToken": "arn", "RotateSecrets": rotate_secrets },
        "OldResourceProperties": { "ServiceToken": "arn", "RotateSecrets": old },
    })
}

#[test]
fn the_provider_rotates_once_for_a_new_value_and_not_for_a_redelivery_or_a_rollback() {
    let mut case = Case::of(env!("CARGO_BIN_EXE_provider"));
    let cloud = case.cloud.clone();
    cloud.a_month_passes();
    let update = |case: &mut Case, request_id: &str, value: &str, old: &str| {
        cloud.take_calls();
        assert_eq!(case.invoke(update_event(&cloud, request_id, value, old), TIMEOUT), Ok(()));
        let calls = cloud.world.take_calls();
        assert_eq!(calls.iter().filter(|call| call.name == ANSWER).count(), 1);
        let answer = cloud.world.aws().answers.last().cloned().unwrap();
        assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!(POOL)), "{answer}");
        calls.into_iter().filter(Call::is_write).map(|call| call.name).collect::<Vec<_>>()
    };

    // A former version wrote no `token_service`. It is not written only to add it.
    let mut former = cloud.document(FIRST_VERSION);
    former.as_object_mut().unwrap().remove("token_service").unwrap();
    cloud.set_document(FIRST_VERSION, &former);
    assert_eq!(update(&mut case, "r0", "", ""), Vec::<String>::new());
    let rotation = [
        "UpdateUserPool",
        "PutSecretValue",
        "UpdateSecretVersionStage",
        "AddUserPoolClientSecret",
        "UpdateSecretVersionStage",
        "UpdateSecretVersionStage",
        "UpdateSecretVersionStage",
        "UpdateSecret",
    ];
    assert_eq!(update(&mut case, "r1", "2026-06", ""), rotation);
    let current = cloud.holder(AWSCURRENT).unwrap();
    assert_eq!((cloud.holder(AWSPREVIOUS).as_deref(), cloud.holder(AWSPENDING)), (Some(FIRST_VERSION), None));
    assert!(cloud.values() == [FIRST_VALUE.to_owned(), cloud.value(&current)], "Cognito holds other secrets");

    assert_eq!(update(&mut case, "r1", "2026-06", ""), Vec::<String>::new(), "a redelivery");
    // Only the notes change: the pool's and the secret's.
    let mut notes = update(&mut case, "r2", "", "2026-06");
    notes.sort();
    assert_eq!(notes, ["UpdateSecret", "UpdateUserPool"], "a rollback");
    assert_eq!(cloud.holder(AWSCURRENT), Some(current));
    case.ends();
}

#[test]
fn the_provider_switches_to_the_api_and_back_and_keeps_the_credentials() {
    let mut case = Case::of(env!("CARGO_BIN_EXE_provider"));
    let cloud = case.cloud.clone();
    // Cognito learns of the flow late.
    cloud.world.aws().learns_within = Duration::from_secs(3);
    let properties = |service: &str| json!({ "ServiceToken": "arn", "TokenService": service });
    let mut switch = |request_id: &str, old: &str, new: &str| {
        let mut event = update_event(&cloud, request_id, "", "");
        event["ResourceProperties"] = properties(new);
        event["OldResourceProperties"] = properties(old);
        cloud.take_calls();
        assert_eq!(case.invoke(event, TIMEOUT), Ok(()));
        let calls = cloud.world.take_calls();
        let answer = cloud.world.aws().answers.last().cloned().unwrap();
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        let writes = calls.into_iter().filter(Call::is_write).map(|call| call.name);
        // The note of the event is written beside the first step: either may arrive first.
        let (notes, writes): (Vec<_>, Vec<_>) = writes.partition(|name| name == "UpdateUserPool");
        assert_eq!(notes.len(), 1);
        (answer["Data"].clone(), writes)
    };

    let (data, writes) = switch("r1", "DOMAIN", "API");
    assert_eq!(writes, ["UpdateUserPoolClient", "PutSecretValue", "DeleteUserPoolDomain"]);
    assert_eq!((&data["TokenVerification"], &data["Domain"]), (&json!("verified"), &Value::Null));
    let url = format!("{}/", cloud.world.url());
    assert_eq!(data["TokenEndpoint"], url.as_str());
    let current = cloud.document(&cloud.holder(AWSCURRENT).unwrap());
    assert_eq!((&current["token_service"], &current["token_endpoint"]), (&json!("GetClientToken"), &json!(url)));
    assert!(current["client_secret"] == FIRST_VALUE);

    let (data, writes) = switch("r2", "API", "DOMAIN");
    assert_eq!(writes, ["CreateUserPoolDomain", "PutSecretValue", "UpdateUserPoolClient"]);
    assert_eq!(data["TokenVerification"], "verified");
    let current = cloud.document(&cloud.holder(AWSCURRENT).unwrap());
    assert_eq!(current["token_service"], "oauth2");
    assert!(current["client_secret"] == FIRST_VALUE);
    case.ends();
}

#[test]
fn the_provider_shares_a_secret_and_takes_everything_back() {
    let mut case = Case::of(env!("CARGO_BIN_EXE_provider"));
    let cloud = case.cloud.clone();
    let mut update = |request_id: &str, new: &Value, old: &Value| {
        let mut event = update_event(&cloud, request_id, "", "");
        event["ResourceProperties"].as_object_mut().unwrap().extend(new.as_object().unwrap().clone());
        event["OldResourceProperties"].as_object_mut().unwrap().extend(old.as_object().unwrap().clone());
        cloud.take_calls();
        assert_eq!(case.invoke(event, TIMEOUT), Ok(()));
        let answer = cloud.world.aws().answers.last().cloned().unwrap();
        assert_eq!(answer["Status"], json!("SUCCESS"), "{answer}");
        // Steps of one phase run side by side.
        let writes = cloud.world.take_calls().into_iter().filter(Call::is_write).map(|call| call.name);
        writes.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let client = "machine-to-machine-dev-client";
    let shared = json!({
        "Clients": [{ "ClientName": client, "SecretReaders": ["arn:aws:iam::123456789012:role/reader"] }],
        "SecretReplicas": [{ "Region": "eu-west-1", "KmsKeyId": "alias/there" }],
    });
    let none = json!({ "Clients": [{ "ClientName": client }] });
    let share = ["PutResourcePolicy", "ReplicateSecretToRegions", "TagResource", "UpdateUserPool"];
    assert_eq!(update("r1", &shared, &none), share);
    assert_eq!(update("r2", &shared, &shared), Vec::<String>::new(), "nothing is left to do");
    let unshare = ["DeleteResourcePolicy", "RemoveRegionsFromReplication", "UntagResource", "UpdateUserPool"];
    assert_eq!(update("r3", &none, &shared), unshare);
    let aws = cloud.world.aws();
    assert!(aws.secrets.values().all(|secret| secret.policy.is_none() && secret.replicas.is_empty()));
    drop(aws);
    case.ends();
}
