//! Who else may read a secret: the statement of ours in its resource policy.

use std::time::Duration;

use cognito_m2m::model::{PolicyChange, Principal, ResourcePolicy, ResourceType, SecretId, sharing::READERS_TAG};
use serde_json::{Value, json};

use crate::{
    bad_input::own,
    support::{
        CANARY, FakeAws, Fault, Session, Stack, assert_is, assert_nothing_left,
        fixtures::{large, member_client, platform, with},
        new_stack,
    },
};

const NAME: &str = "machine-to-machine-dev/one";

/// One client with these readers.
fn readers(readers: &[String]) -> Value {
    json!({ "Clients": [{ "ClientName": "one", "SecretReaders": readers }] })
}

fn role(name: &str) -> String {
    own(&format!("role/{name}"))
}

/// A statement that somebody else has added.
fn foreign() -> Value {
    json!({
        "Sid": "Theirs", "Effect": "Deny", "Principal": { "AWS": "*" }, "Action": ["secretsmanager:*"], "Resource": "*",
        "Condition": { "StringNotEquals": { "aws:PrincipalOrgID": "o-1" } },
    })
}

fn policy(statements: &Value) -> ResourcePolicy {
    let policy = json!({ "Version": "2012-10-17", "Id": "theirs", "Statement": statements });
    ResourcePolicy::parse(&policy.to_string()).unwrap()
}

/// The policy of a secret, as text.
fn shown(stack: &Stack, name: &str) -> Option<String> {
    stack.world().secrets[&SecretId::from(name)].policy.as_ref().map(ToString::to_string)
}

fn set_policy(stack: &Stack, name: &str, policy: Option<ResourcePolicy>) {
    stack.world().secrets.get_mut(&SecretId::from(name)).unwrap().policy = policy;
}

/// Changes the text of the policy behind the provider's back.
fn rewrite(stack: &Stack, from: &str, to: &str) {
    let text = shown(stack, NAME).unwrap();
    assert!(text.contains(from), "{text}");
    set_policy(stack, NAME, ResourcePolicy::parse(&text.replace(from, to)));
}

/// The operations of an event, in the order of their names.
async fn operations(stack: &Stack, event: &Value) -> Vec<&'static str> {
    stack.world().calls.clear();
    stack.send(event).await.good();
    let mut operations: Vec<_> = stack.world().calls.iter().map(|call| call.operation).collect();
    operations.sort_unstable();
    operations
}

fn count(operations: &[&str], wanted: &str) -> usize {
    operations.iter().filter(|operation| **operation == wanted).count()
}

#[tokio::test(start_paused = true)]
async fn readers_come_change_and_go() {
    let stack = new_stack();
    let (none, one, two) = (readers(&[]), readers(&[role("a")]), readers(&[role("b"), own("root"), role("a")]));
    let created = stack.create(&one).await.good();
    assert_is(&stack, &one);
    let id = created.physical_id();
    let mut old = &one;
    for new in [&two, &one, &none, &two, &none] {
        stack.update(id, new, old).await.good();
        assert_is(&stack, new);
        let writes = stack.world().writes().len();
        stack.update(id, new, new).await.good();
        assert_eq!(stack.world().writes().len(), writes, "nothing is left to do");
        old = new;
    }
    assert_eq!(shown(&stack, NAME), None, "our statement was the only one");
    stack.delete(id, &none).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn the_statement_allows_reading_and_nothing_else() {
    let stack = new_stack();
    stack.create(&readers(&[role("b"), role("a")])).await.good();
    let policy: Value = serde_json::from_str(&shown(&stack, NAME).unwrap()).unwrap();
    let expected = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "CognitoM2MReaders",
            "Effect": "Allow",
            "Principal": { "AWS": [role("a"), role("b")] },
            "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
            "Resource": "*",
        }],
    });
    assert_eq!(policy, expected);
}

#[tokio::test(start_paused = true)]
async fn nobody_can_read_a_secret_before_its_document_is_whole() {
    let stack = new_stack();
    stack.create(&readers(&[role("a")])).await.good();
    let place = |operation: &str| {
        let world = stack.world();
        world.calls.iter().position(|call| call.operation == operation).unwrap()
    };
    assert!(place("CreateSecret") < place("PutResourcePolicy"));
    // With a new key, the document is written anew first.
    let keyed =
        with(readers(&[role("a"), "arn:aws:iam::444455556666:root".to_owned()]), "SecretKmsKeyId", "alias/mine");
    let id = stack.world().pools.keys().next().unwrap().to_string();
    stack.world().calls.clear();
    stack.update(&id, &keyed, &readers(&[role("a")])).await.good();
    assert!(place("PutSecretValue") < place("PutResourcePolicy"));
    assert_is(&stack, &keyed);
}

#[tokio::test(start_paused = true)]
async fn a_resource_without_readers_and_replicas_makes_not_one_call_more() {
    let stack = new_stack();
    let created = stack.create(&large()).await.good();
    let made = stack.world().calls.len();
    assert_eq!(made, 19, "a Create of three clients and two servers");
    let event = stack.update_event(created.physical_id(), &large(), &large());
    let operations = operations(&stack, &event).await;
    let expected = [
        ["DescribeSecret"; 3].as_slice(),
        &["DescribeUserPool", "DescribeUserPoolClient", "DescribeUserPoolClient", "DescribeUserPoolClient"],
        &["DescribeUserPoolDomain"],
        &["GetSecretValue"; 3],
        &["ListResourceServers", "ListSecrets", "ListUserPoolClients"],
    ];
    assert_eq!(operations, expected.concat());
}

#[tokio::test(start_paused = true)]
async fn only_the_policies_of_clients_with_readers_are_read() {
    let stack = new_stack();
    let mut properties = large();
    properties["Clients"][1]["SecretReaders"] = json!([role("a")]);
    let created = stack.create(&properties).await.good();
    let event = stack.update_event(created.physical_id(), &properties, &properties);
    assert_eq!(count(&operations(&stack, &event).await, "GetResourcePolicy"), 1);
    // The mark on the secret leads to the statement; the properties of the event do not.
    let event = stack.update_event(created.physical_id(), &large(), &large());
    operations(&stack, &event).await;
    assert_is(&stack, &large());
    let event = stack.update_event(created.physical_id(), &large(), &large());
    assert_eq!(count(&operations(&stack, &event).await, "GetResourcePolicy"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_secret_with_as_many_tags_as_aws_allows_loses_its_readers_all_the_same() {
    let tags = |count: usize| -> Value { (0..count).map(|n| json!(format!("t{n}=v"))).collect() };
    let full = |arns: &[String], count: usize| with(readers(arns), "Tags", tags(count));
    let stack = new_stack();
    let created = stack.create(&full(&[role("a")], 44)).await.good();
    let mut old = full(&[role("a")], 44);
    for new in [full(&[role("a")], 45), full(&[], 45), full(&[role("a")], 45), full(&[role("b")], 44), full(&[], 45)] {
        stack.update(created.physical_id(), &new, &old).await.good();
        assert_is(&stack, &new);
        old = new;
    }
}

#[tokio::test(start_paused = true)]
async fn the_statements_of_others_stay() {
    let stack = new_stack();
    let (none, one) = (readers(&[]), readers(&[role("a")]));
    let created = stack.create(&none).await.good();
    let id = created.physical_id();
    set_policy(&stack, NAME, Some(policy(&json!([foreign()]))));
    let theirs = shown(&stack, NAME);

    stack.update(id, &with(none.clone(), "ProjectTag", "x"), &none).await.good();
    assert_eq!(shown(&stack, NAME), theirs, "a policy without our statement is not touched");
    stack.update(id, &one, &none).await.good();
    assert_is(&stack, &one);
    let both: Value = serde_json::from_str(&shown(&stack, NAME).unwrap()).unwrap();
    assert_eq!((&both["Id"], &both["Statement"][0]), (&json!("theirs"), &foreign()));
    assert_eq!(both["Statement"].as_array().unwrap().len(), 2);
    stack.update(id, &none, &one).await.good();
    assert_eq!(shown(&stack, NAME), theirs);
    assert_is(&stack, &none);
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_somebody_adds_meanwhile_stays() {
    let stack = new_stack();
    let (none, one) = (readers(&[]), readers(&[role("a")]));
    let created = stack.create(&none).await.good();
    let event = stack.update_event(created.physical_id(), &one, &none);
    let put = {
        let copy = new_stack();
        let id = copy.create(&none).await.good().physical_id().to_owned();
        copy.world().calls.clear();
        copy.send(&copy.update_event(&id, &one, &none)).await.good();
        let place = |operation: &str| copy.world().calls.iter().rposition(|call| call.operation == operation).unwrap();
        place("GetResourcePolicy")
    };
    let behind = stack.clone();
    let added = Fault::meanwhile(move || set_policy(&behind, NAME, Some(policy(&json!([foreign()])))));
    stack.send_with(&event, [(put, added)]).await.good();
    assert!(shown(&stack, NAME).unwrap().contains("Theirs"), "{:?}", shown(&stack, NAME));
    assert_is(&stack, &one);
}

#[tokio::test(start_paused = true)]
async fn another_spelling_by_aws_is_no_change() {
    let stack = new_stack();
    let one = with(readers(&["arn:aws:iam::444455556666:root".to_owned()]), "SecretKmsKeyId", "alias/mine");
    let created = stack.create(&one).await.good();
    assert!(shown(&stack, NAME).unwrap().contains("\"AWS\":\"arn"), "a list of one comes back as a text");
    rewrite(&stack, "arn:aws:iam::444455556666:root", "444455556666");
    let writes = stack.world().writes().len();
    stack.update(created.physical_id(), &one, &one).await.good();
    assert_eq!(stack.world().writes().len(), writes);
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_by_hand_is_written_anew() {
    let stack = new_stack();
    let two = readers(&[role("a"), role("b")]);
    let created = stack.create(&two).await.good();
    let deleted_role = ("arn:aws:iam::111122223333:role/a", "AROAEXAMPLEID");
    let more_rights = ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue");
    for (from, to) in [deleted_role, more_rights, ("\"Allow\"", "\"Deny\""), ("role/b", "role/c")] {
        rewrite(&stack, from, to);
        stack.update(created.physical_id(), &two, &two).await.good();
        assert_is(&stack, &two);
        assert!(!shown(&stack, NAME).unwrap().contains(to), "{to}");
    }
    set_policy(&stack, NAME, None);
    stack.update(created.physical_id(), &two, &two).await.good();
    assert_is(&stack, &two);
}

#[tokio::test(start_paused = true)]
async fn a_secret_with_a_new_name_has_the_readers() {
    let stack = new_stack();
    let one = readers(&[role("a")]);
    let created = stack.create(&one).await.good();
    let renamed = with(one.clone(), "SecretNamePrefix", "new");
    stack.update(created.physical_id(), &renamed, &one).await.good();
    assert_is(&stack, &renamed);
    stack.update(created.physical_id(), &one, &renamed).await.good();
    assert_is(&stack, &one);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_restored_has_the_declared_readers_and_no_others() {
    for (former, now) in [(vec![role("a")], vec![role("b")]), (vec![role("a")], vec![]), (vec![], vec![role("b")])] {
        let stack = new_stack();
        let created = stack.create(&readers(&former)).await.good();
        stack.delete(created.physical_id(), &readers(&former)).await.good();
        let again = Stack::new(&stack.aws, "again");
        again.create(&readers(&now)).await.good();
        assert_is(&again, &readers(&now));
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_as_new_as_the_stack_is_waited_for() {
    let stack = new_stack();
    let one = readers(&[role("new")]);
    stack.world().behavior.unknown_principals.insert(Principal(role("new")), Duration::from_secs(25));
    stack.create(&one).await.good();
    assert_is(&stack, &one);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_does_not_exist_fails_the_update_which_is_then_rolled_back() {
    let stack = new_stack();
    let (old, new) = (readers(&[role("a")]), readers(&[role("a"), role("missing")]));
    let created = stack.create(&old).await.good();
    stack.world().behavior.unknown_principals.insert(Principal(role("missing")), Duration::from_hours(1));
    let before = tokio::time::Instant::now();
    let failed = stack.update(created.physical_id(), &new, &old).await;
    let took = before.elapsed();
    assert!((Duration::from_secs(25)..Duration::from_secs(35)).contains(&took), "{took:?}");
    for text in [&role("missing"), NAME, "unsupported principal", "MalformedPolicyDocumentException", "Create the role"]
    {
        failed.failed(text);
    }
    assert!(!failed.reason().contains(&role("a")), "only the new one can be unknown: {}", failed.reason());
    stack.update(created.physical_id(), &old, &new).await.good();
    assert_is(&stack, &old);
}

#[tokio::test(start_paused = true)]
async fn many_unknown_readers_leave_room_for_what_to_do() {
    let stack = new_stack();
    let arns: Vec<_> = (0..20).map(|n| role(&format!("{}/r{n}", "p".repeat(500)))).collect();
    stack.world().behavior.unknown_principals.insert(Principal(arns[7].clone()), Duration::from_hours(1));
    let failed = stack.create(&readers(&arns)).await;
    failed.failed("and 15 more");
    failed.failed("Create the role");
}

/// A rollback must not fail because a reader was deleted since it was declared.
#[tokio::test(start_paused = true)]
async fn a_rollback_goes_on_without_a_reader_that_is_gone() {
    let stack = new_stack();
    let old = readers(&[role("gone"), role("stays")]);
    let created = stack.create(&old).await.good();
    let new = with(readers(&[role("stays"), role("other")]), "RotationDays", 30);
    stack.world().behavior.unknown_principals.insert(Principal(role("gone")), Duration::from_hours(1));
    // The Update has taken the role out of the policy, and then fails for another reason.
    let mut event = stack.update_event(created.physical_id(), &new, &old);
    event["ResourceProperties"]["Clients"][0]["SecretReaders"] = json!([role("stays"), role("other"), role("gone")]);
    rewrite(&stack, "arn:aws:iam::111122223333:role/gone", "AROAEXAMPLEID");
    stack.send(&event).await.failed("role/gone");
    stack.update(created.physical_id(), &old, &event["ResourceProperties"]).await.good();
    let found = stack.world().secrets[&SecretId::from(NAME)].policy.clone();
    let kept = [Principal(role("stays"))].into();
    assert_eq!(ResourcePolicy::with_readers(found.as_ref(), &kept), PolicyChange::Keep, "{found:?}");
    // Any later Update says what is wrong.
    stack.update(created.physical_id(), &with(old.clone(), "ProjectTag", "x"), &old).await.failed("role/gone");
}

#[tokio::test(start_paused = true)]
async fn a_principal_that_is_gone_from_a_statement_of_others_fails_no_rollback() {
    let stack = new_stack();
    let (old, new) = (readers(&[role("a")]), readers(&[role("a"), role("b")]));
    let created = stack.create(&old).await.good();
    stack.update(created.physical_id(), &new, &old).await.good();
    // AWS shows the id of a role that was deleted, and takes no policy with it.
    let gone = "AROAEXAMPLEID";
    let ours: Value = serde_json::from_str(&shown(&stack, NAME).unwrap()).unwrap();
    let theirs = with(with(foreign(), "Effect", "Allow"), "Principal", json!({ "AWS": gone }));
    set_policy(&stack, NAME, Some(policy(&json!([theirs, ours["Statement"][0]]))));
    stack.world().behavior.unknown_principals.insert(Principal(gone.to_owned()), Duration::from_hours(1));
    stack.update(created.physical_id(), &old, &new).await.good_at("the rollback");
    assert!(shown(&stack, NAME).unwrap().contains(&role("b")), "the policy stays as it is");
    stack.update(created.physical_id(), &with(old.clone(), "ProjectTag", "x"), &old).await.failed(NAME);
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_call_converges_and_the_mark_outlives_the_statement() {
    let (old, new) = (readers(&[role("a")]), readers(&[]));
    for k in 0..40 {
        for (from, to) in [(&old, &new), (&new, &old)] {
            let stack = new_stack();
            let created = stack.create(from).await.good();
            let session = Session::with_faults(&stack.aws, [(k, Fault::CrashAfter)]);
            let event = stack.update_event(created.physical_id(), to, from);
            let killed = stack.invoke(&session, &event).await.is_none();
            {
                let world = stack.world();
                let secret = &world.secrets[&SecretId::from(NAME)];
                let is_marked = secret.tags.contains_key(READERS_TAG);
                assert!(secret.policy.is_none() || is_marked, "call {k}: a statement without a mark");
            }
            // What CloudFormation sends next does not say that there were readers.
            stack.update(created.physical_id(), &new, &new).await.good_at(format_args!("killed {killed} at {k}"));
            assert_is(&stack, &new);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_holds_no_secret() {
    let stack = new_stack();
    let mut properties = large();
    for client in properties["Clients"].as_array_mut().unwrap() {
        client["SecretReaders"] = json!([role("a"), own("root")]);
    }
    stack.create(&properties).await.good();
    let world = stack.world();
    assert_eq!(world.secrets.values().filter(|secret| secret.policy.is_some()).count(), 3);
    for secret in world.secrets.values() {
        let shown = format!("{:?}{:?}", secret.policy, secret.tags);
        assert!(!shown.contains(CANARY));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_in_somebody_elses_pool_has_readers_and_replicas() {
    let aws = FakeAws::default();
    let pool = platform(&aws, "team-");
    let stack = Stack::of_type(ResourceType::CognitoM2MClient, &aws, "team-a");
    // With the note about the events and the mark, as many tags as AWS allows; and one more.
    for tags in [2, 45, 46] {
        let tags: Value = (0..tags).map(|n| json!(format!("t{n}=v"))).collect();
        let plain = with(member_client(&pool), "Tags", tags);
        let mut shared = with(plain.clone(), "SecretReaders", json!([role("a"), own("root")]));
        shared["SecretReplicas"] = json!([{ "Region": "eu-west-1", "KmsKeyId": "alias/there" }]);
        let mut old = &shared;
        let created = stack.create(old).await.good();
        for new in [&shared, &plain, &shared] {
            stack.update(created.physical_id(), new, old).await.good();
            assert_is(&stack, new);
            let writes = stack.world().writes().len();
            stack.update(created.physical_id(), new, new).await.good();
            assert_eq!(stack.world().writes().len(), writes, "nothing is left to do");
            old = new;
        }
        stack.delete(created.physical_id(), &shared).await.good();
        assert_nothing_left(&stack);
    }
    let foreign = with(member_client(&pool), "SecretReaders", json!(["arn:aws:iam::444455556666:root"]));
    stack.create(&foreign).await.failed("SecretReaders[0]: needs SecretKmsKeyId");
    let own_region = with(member_client(&pool), "SecretReplicas", json!([{ "Region": "us-east-1" }]));
    stack.create(&own_region).await.failed("SecretReplicas[0].Region: must be another region");
}
