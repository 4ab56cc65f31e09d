//! AWS Secrets Manager.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cognito_m2m::{
    model::{Region, ResourcePolicy, Rotation, SecretId, Tags, sharing::ReplicaStatus},
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, ErrorKind, NewSecret, SecretChange, SecretVersions, Secrets, Version,
    },
};
use serde_json::{Value, json};

use crate::{
    signing::with,
    support::{
        Aws, CLIENT_SECRET, CURRENT, STACK_ID, call, document, document_json, new_secret, owner, policy, replicas,
        rotation, secret_name, tags_as_list,
    },
};

/// Removes the document from a request and parses it, because the order of its keys does not matter.
fn take_secret_string(body: &mut Value) -> Value {
    let text = body.as_object_mut().unwrap().remove("SecretString").unwrap();
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn create_secret_sends_value_key_tags_and_token_in_one_call() {
    let aws = Aws::answering(json!({ "ARN": "arn:secret", "Name": "machine-to-machine-dev/billing" })).await;
    assert_eq!(aws.secrets.create_secret(&new_secret(&document())).await.unwrap(), "arn:secret");
    let (target, mut body) = aws.sent().await;
    assert_eq!(target, "secretsmanager.CreateSecret");
    assert_eq!(take_secret_string(&mut body), document_json());
    assert_eq!(
        body,
        json!({
            "Name": "machine-to-machine-dev/billing",
            "Description": "Credentials of billing",
            "KmsKeyId": "alias/mine",
            "Tags": tags_as_list(),
            "ClientRequestToken": "0a1b2c3d-0000-5000-8000-0123456789ab",
        })
    );
}

#[tokio::test]
async fn create_secret_without_key_and_value_leaves_both_out() {
    let aws = Aws::answering(json!({ "ARN": "arn:secret" })).await;
    let document = document();
    let bare = NewSecret { kms_key_id: None, document: None, ..new_secret(&document) };
    aws.secrets.create_secret(&bare).await.unwrap();
    aws.sent_secrets(
        "CreateSecret",
        json!({
            "Name": "machine-to-machine-dev/billing",
            "Description": "Credentials of billing",
            "Tags": tags_as_list(),
            "ClientRequestToken": "0a1b2c3d-0000-5000-8000-0123456789ab",
        }),
    )
    .await;
}

/// Removes the token that the SDK generates. It has no effect if the request writes no value.
fn take_made_up_token(body: &mut Value) {
    let token = body.as_object_mut().unwrap().remove("ClientRequestToken").unwrap();
    assert_eq!(token.as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn put_secret_value_sends_the_document_the_callers_token_and_a_stage_other_than_awscurrent() {
    let rest = json!({ "SecretId": "machine-to-machine-dev/billing", "ClientRequestToken": "token-of-the-caller" });
    let aws = Aws::start().await;
    for (stage, more) in [
        // The service sets this stage by default.
        (AWSCURRENT, json!({})),
        (AWSPENDING, json!({ "VersionStages": ["AWSPENDING"] })),
        ("another", json!({ "VersionStages": ["another"] })),
    ] {
        aws.answers(200, &json!({})).await;
        aws.secrets.put_secret_value(&secret_name(), &document(), "token-of-the-caller", stage).await.unwrap();
        let (target, mut body) = aws.sent().await;
        assert_eq!(target, "secretsmanager.PutSecretValue");
        assert_eq!(take_secret_string(&mut body), document_json());
        assert_eq!(body, with(rest.clone(), &more), "{stage}");
    }
}

#[tokio::test]
async fn get_secret_value_asks_for_a_version_by_its_stage_or_its_id() {
    let aws = Aws::start().await;
    for (version, more) in [
        // The service reads this stage by default.
        (Version::Stage(AWSCURRENT), json!({})),
        (Version::Stage(AWSPREVIOUS), json!({ "VersionStage": "AWSPREVIOUS" })),
        (Version::Stage(AWSPENDING), json!({ "VersionStage": "AWSPENDING" })),
        (Version::Id("v1"), json!({ "VersionId": "v1" })),
    ] {
        aws.answers(200, &json!({ "VersionId": "v1" })).await;
        aws.secrets.get_secret_value(&secret_name(), version).await.unwrap().unwrap();
        let body = with(json!({ "SecretId": "machine-to-machine-dev/billing" }), &more);
        aws.sent_secrets("GetSecretValue", body).await;
    }
}

#[tokio::test]
async fn a_staging_label_is_moved_put_or_taken_away() {
    let aws = Aws::start().await;
    for (from, to, more) in [
        (Some("v1"), Some("v2"), json!({ "RemoveFromVersionId": "v1", "MoveToVersionId": "v2" })),
        (None, Some("v2"), json!({ "MoveToVersionId": "v2" })),
        (Some("v1"), None, json!({ "RemoveFromVersionId": "v1" })),
    ] {
        aws.answers(200, &json!({})).await;
        aws.secrets.update_secret_version_stage(&secret_name(), AWSPENDING, from, to).await.unwrap();
        let body = json!({ "SecretId": "machine-to-machine-dev/billing", "VersionStage": "AWSPENDING" });
        aws.sent_secrets("UpdateSecretVersionStage", with(body, &more)).await;
    }
}

#[tokio::test]
async fn rotation_is_turned_on_without_rotating_at_once() {
    let aws = Aws::answering(json!({})).await;
    aws.secrets.rotate_secret(&secret_name(), &rotation()).await.unwrap();
    let (target, mut body) = aws.sent().await;
    take_made_up_token(&mut body);
    assert_eq!(target, "secretsmanager.RotateSecret");
    assert_eq!(
        body,
        json!({
            "SecretId": "machine-to-machine-dev/billing",
            "RotationLambdaARN": "arn:aws:lambda:us-east-1:123456789012:function:rotation",
            "RotationRules": { "AutomaticallyAfterDays": 30 },
            // Secrets Manager rotates at once if this is left out.
            "RotateImmediately": false,
        })
    );
}

#[tokio::test]
async fn update_secret_sends_what_changes_and_never_a_value() {
    let aws = Aws::start().await;
    for (description, kms_key_id, more) in [
        (None, Some("alias/mine"), json!({ "KmsKeyId": "alias/mine" })),
        (Some("Credentials of billing"), None, json!({ "Description": "Credentials of billing" })),
        (Some(""), Some("alias/mine"), json!({ "Description": "", "KmsKeyId": "alias/mine" })),
        (None, None, json!({})),
    ] {
        aws.answers(200, &json!({})).await;
        let change = SecretChange {
            description: description.map(ToOwned::to_owned),
            kms_key_id: kms_key_id.map(ToOwned::to_owned),
        };
        aws.secrets.update_secret(&secret_name(), &change).await.unwrap();
        let (target, mut body) = aws.sent().await;
        take_made_up_token(&mut body);
        assert_eq!(target, "secretsmanager.UpdateSecret");
        assert_eq!(body, with(json!({ "SecretId": "machine-to-machine-dev/billing" }), &more));
    }
}

#[tokio::test]
async fn a_recovery_window_of_no_days_deletes_a_secret_at_once() {
    let aws = Aws::answering(json!({})).await;
    aws.secrets.delete_secret(&secret_name(), 0).await.unwrap();
    let name = "machine-to-machine-dev/billing";
    aws.sent_secrets("DeleteSecret", json!({ "SecretId": name, "ForceDeleteWithoutRecovery": true })).await;

    aws.answers(200, &json!({})).await;
    aws.secrets.delete_secret(&secret_name(), 30).await.unwrap();
    aws.sent_secrets("DeleteSecret", json!({ "SecretId": name, "RecoveryWindowInDays": 30 })).await;
}

#[tokio::test]
async fn the_other_calls_of_secrets_manager_send_the_names_and_nothing_else() {
    let name = "machine-to-machine-dev/billing";
    let expected = [
        ("ListSecrets", json!({ "MaxResults": 100, "Filters": [{ "Key": "tag-value", "Values": [STACK_ID] }] })),
        ("DescribeSecret", json!({ "SecretId": name })),
        ("GetSecretValue", json!({ "SecretId": name })),
        ("CancelRotateSecret", json!({ "SecretId": name })),
        ("TagResource", json!({ "SecretId": name, "Tags": tags_as_list() })),
        ("UntagResource", json!({ "SecretId": name, "TagKeys": ["Team"] })),
        ("RestoreSecret", json!({ "SecretId": name })),
        ("GetResourcePolicy", json!({ "SecretId": name })),
        ("DeleteResourcePolicy", json!({ "SecretId": name })),
        (
            "RemoveRegionsFromReplication",
            json!({ "SecretId": name, "RemoveReplicaRegions": ["eu-west-1", "us-west-2"] }),
        ),
    ];
    let aws = Aws::start().await;
    for (operation, body) in expected {
        aws.answers(200, &json!({})).await;
        call(&aws.pools, &aws.secrets, operation).await.unwrap();
        aws.sent_secrets(operation, body).await;
    }
}

#[tokio::test]
async fn a_listed_secret_is_ours_only_if_both_ownership_tags_say_so() {
    let mark = |stack: &str, logical: &str| {
        json!([
            { "Key": "cognito-m2m:stack-id", "Value": stack }, { "Key": "cognito-m2m:logical-id", "Value": logical },
        ])
    };
    // The service's filter returns all of these: it matches prefixes and ignores case.
    let list = json!([
        { "Name": "ours", "Tags": mark(STACK_ID, "M2M") },
        { "Name": "another stack", "Tags": mark(&format!("{STACK_ID}0"), "M2M") },
        { "Name": "another case", "Tags": mark(&STACK_ID.to_uppercase(), "M2M") },
        { "Name": "another resource", "Tags": mark(STACK_ID, "Other") },
        { "Name": "another tag", "Tags": [{ "Key": "note", "Value": STACK_ID }] },
        { "Name": "no tags" },
        { "Tags": mark(STACK_ID, "M2M") },
    ]);
    let aws = Aws::answering(json!({ "SecretList": list })).await;
    let page = aws.secrets.list_secrets(Some(&owner()), None).await.unwrap();
    let names: Vec<_> = page.items.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [SecretId::from("ours")]);
    // Without an owner, every secret with a tag of the kind is one, and the caller reads whose it is.
    let page = aws.secrets.list_secrets(None, None).await.unwrap();
    assert!(page.items.iter().any(|(name, _)| name.as_str() == "another stack"));
}

fn described_secret() -> Value {
    json!({
        "ARN": "arn:secret", "Name": "machine-to-machine-dev/billing", "KmsKeyId": "alias/mine",
        "Description": "Credentials of billing",
        "Tags": [{ "Key": "Team", "Value": "blue" }, { "Key": "Empty" }, { "Value": "no key" }],
        "RotationEnabled": true, "RotationLambdaARN": rotation().function_arn,
        "RotationRules": { "AutomaticallyAfterDays": 30 }, "NextRotationDate": 1_767_323_045.25,
        "ReplicationStatus": [
            { "Region": "eu-west-1", "Status": "InSync", "KmsKeyId": "alias/aws/secretsmanager", "LastAccessedDate": 1.0 },
            { "Region": "eu-west-2", "Status": "InProgress", "KmsKeyId": "" },
            { "Region": "eu-west-3", "Status": "Failed", "StatusMessage": "Secret with this name already exists in this region" },
            { "Region": "eu-north-1", "Status": "SomethingNew" },
            { "Status": "InSync" },
        ],
        "VersionIdsToStages": { "v1": ["AWSPREVIOUS"], "v2": ["AWSPENDING", "AWSCURRENT"], "v3": [] },
        "SomethingNew": 1,
    })
}

#[tokio::test]
async fn describe_secret_reads_description_tags_key_and_schedule() {
    let aws = Aws::answering(described_secret()).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    assert_eq!((secret.arn.as_str(), secret.description.as_str()), ("arn:secret", "Credentials of billing"));
    assert_eq!(secret.tags, Tags::from([("Team".to_owned(), "blue".to_owned()), ("Empty".to_owned(), String::new())]));
    assert_eq!(secret.kms_key_id.as_deref(), Some("alias/mine"));
    assert!(!secret.scheduled);

    let change = json!({ "DeletedDate": 1_767_323_045.25, "KmsKeyId": "", "Tags": null, "Description": null });
    aws.answers(200, &with(described_secret(), &change)).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    assert_eq!((secret.scheduled, secret.kms_key_id, secret.tags), (true, None, Tags::new()));
    assert_eq!(secret.description, "");
}

#[tokio::test]
async fn describe_secret_reads_the_replicas() {
    let aws = Aws::answering(described_secret()).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    let status = |region: &str| secret.replicas[&Region::from(region)].status.clone();
    assert_eq!(secret.replicas.len(), 4);
    assert_eq!((status("eu-west-1"), status("eu-west-2")), (ReplicaStatus::InSync, ReplicaStatus::InProgress));
    let message = "Secret with this name already exists in this region".to_owned();
    assert_eq!(
        (status("eu-west-3"), status("eu-north-1")),
        (ReplicaStatus::Failed(message), ReplicaStatus::InProgress)
    );
    assert!(secret.replicas.values().all(|replica| replica.has_key(None)), "the AWS managed key");

    aws.answers(200, &with(described_secret(), &json!({ "ReplicationStatus": null }))).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    assert_eq!(secret.replicas, BTreeMap::new());
}

#[tokio::test]
async fn replicas_are_asked_for_with_their_keys_and_overwrite_nothing() {
    let aws = Aws::answering(json!({})).await;
    aws.secrets.replicate_secret_to_regions(&secret_name(), &replicas()).await.unwrap();
    let list = json!([{ "Region": "eu-west-1" }, { "Region": "us-west-2", "KmsKeyId": "alias/there" }]);
    let body = json!({ "SecretId": "machine-to-machine-dev/billing", "AddReplicaRegions": list });
    aws.sent_secrets("ReplicateSecretToRegions", body).await;
}

#[tokio::test]
async fn a_policy_is_written_so_that_aws_refuses_a_public_one() {
    let aws = Aws::answering(json!({})).await;
    aws.secrets.put_resource_policy(&secret_name(), &policy()).await.unwrap();
    let (target, mut body) = aws.sent().await;
    assert_eq!(target, "secretsmanager.PutResourcePolicy");
    let sent = body.as_object_mut().unwrap().remove("ResourcePolicy").unwrap();
    assert_eq!(ResourcePolicy::parse(sent.as_str().unwrap()), Some(policy()));
    assert_eq!(body, json!({ "SecretId": "machine-to-machine-dev/billing", "BlockPublicPolicy": true }));
}

#[tokio::test]
async fn a_policy_is_read_and_one_that_cannot_be_read_is_an_error() {
    let aws = Aws::start().await;
    for (text, expected) in [(json!(policy().to_string()), Some(policy())), (json!(""), None), (Value::Null, None)] {
        aws.answers(200, &json!({ "ResourcePolicy": text })).await;
        assert_eq!(aws.secrets.get_resource_policy(&secret_name()).await.unwrap(), expected, "{text}");
    }
    for text in ["[]", "{", "text"] {
        aws.answers(200, &json!({ "ResourcePolicy": text })).await;
        let error = aws.secrets.get_resource_policy(&secret_name()).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "UnreadablePolicy"), "{text}");
    }
}

#[tokio::test]
async fn describe_secret_reads_the_labels_of_every_version() {
    let labels = |list: &[&str]| list.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
    let aws = Aws::answering(described_secret()).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    let expected = BTreeMap::from([
        ("v1".to_owned(), labels(&[AWSPREVIOUS])),
        ("v2".to_owned(), labels(&[AWSCURRENT, AWSPENDING])),
        ("v3".to_owned(), labels(&[])),
    ]);
    assert_eq!(secret.versions, expected);

    aws.answers(200, &with(described_secret(), &json!({ "VersionIdsToStages": null }))).await;
    let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
    assert_eq!(secret.versions, BTreeMap::new());
}

#[tokio::test]
async fn describe_secret_reads_the_rotation_if_it_is_on() {
    let aws = Aws::start().await;
    for (change, expected) in [
        (json!({}), Some(rotation())),
        // The answer still shows the function and the days after the rotation is turned off.
        (json!({ "RotationEnabled": false }), None),
        (json!({ "RotationEnabled": null }), None),
        // A schedule that somebody has set by hand must differ from ours.
        (
            json!({ "RotationRules": { "ScheduleExpression": "rate(4 hours)" } }),
            Some(Rotation { days: 0, ..rotation() }),
        ),
        (json!({ "RotationRules": null }), Some(Rotation { days: 0, ..rotation() })),
        (json!({ "RotationLambdaARN": null }), Some(Rotation { function_arn: String::new(), ..rotation() })),
    ] {
        aws.answers(200, &with(described_secret(), &change)).await;
        let secret = aws.secrets.describe_secret(&secret_name()).await.unwrap().unwrap();
        assert_eq!(secret.rotation, expected, "{change}");
    }
}

#[tokio::test]
async fn a_secret_value_is_read_with_the_date_of_its_version() {
    let aws = Aws::start().await;
    for (date, created) in
        [(json!(1_767_323_045.25), Some(Duration::from_millis(1_767_323_045_250))), (Value::Null, None)]
    {
        let answer = json!({ "VersionId": "v1", "SecretString": document_json().to_string(), "CreatedDate": date });
        aws.answers(200, &answer).await;
        let version = aws.secrets.get_secret_value(&secret_name(), Version::Id("v1")).await.unwrap().unwrap();
        assert_eq!((version.id.as_str(), version.created), ("v1", created));
        assert_eq!(version.document, Some(document()));
    }
}

#[tokio::test]
async fn a_secret_value_is_read_if_its_document_has_more_keys() {
    let aws = Aws::start().await;
    for text in [document_json(), with(document_json(), &json!({ "note": { "by": "a person" } }))] {
        aws.answers(200, &json!({ "VersionId": "v1", "SecretString": text.to_string() })).await;
        let version = aws.secrets.get_secret_value(&secret_name(), CURRENT).await.unwrap().unwrap();
        assert!(!format!("{version:?}").contains(CLIENT_SECRET));
        assert_eq!(version.id, "v1");
        assert_eq!(version.document, Some(document()));
    }
}

#[tokio::test]
async fn a_secret_value_that_is_no_document_counts_as_none() {
    let aws = Aws::start().await;
    let mut lacking = document_json();
    lacking.as_object_mut().unwrap().remove("issuer");
    let mistyped = with(document_json(), &json!({ "scope": ["m2m-client/read"] }));
    for text in [CLIENT_SECRET, "", "null", "[]", "\"text\"", "{}", &lacking.to_string(), &mistyped.to_string()] {
        aws.answers(200, &json!({ "VersionId": "v1", "SecretString": text })).await;
        let version = aws.secrets.get_secret_value(&secret_name(), CURRENT).await.unwrap().unwrap();
        assert_eq!((version.id.as_str(), version.document), ("v1", None), "{} bytes", text.len());
    }
    // A binary value has no string.
    aws.answers(200, &json!({ "SecretBinary": "AAEC" })).await;
    let version = aws.secrets.get_secret_value(&secret_name(), CURRENT).await.unwrap().unwrap();
    assert_eq!((version.id.as_str(), version.document), ("", None));
}
