//! `Custom::CognitoM2MClient` and `Custom::CognitoM2MResourceServer`: a part of somebody else's pool.

use std::time::Duration;

use cognito_m2m::{
    model::{ClientId, Mark, PoolId, ResourceType, SecretId, Tags, ownership::SHARED_WITH_TAG},
    redact::Secret,
};
use serde_json::{Value, json};

use crate::support::{
    FakeAws, FakeClient, Stack, TokenEndpointState, assert_is, assert_nothing_left,
    cloudformation::{RESPONSE_URL, parts},
    fixtures::{member_client, member_server, others_in, platform, with},
};

/// A stack with a client in a platform's pool.
fn client_stack() -> (Stack, PoolId) {
    let aws = FakeAws::default();
    let pool = platform(&aws, "team-");
    aws.world().behavior.iam_reads_tags = true;
    (Stack::of_type(ResourceType::CognitoM2MClient, &aws, "team-a"), pool)
}

/// A stack with a resource server in a platform's pool.
fn server_stack() -> (Stack, PoolId) {
    let (client, pool) = client_stack();
    (Stack { resource_type: ResourceType::CognitoM2MResourceServer, ..client }, pool)
}

/// Sends an event that must be refused before any write.
async fn refused(stack: &Stack, event: &Value, text: &str) -> String {
    stack.world().calls.clear();
    let reason = stack.send(event).await.failed(text);
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
    reason
}

fn share(stack: &Stack, pool: &PoolId, prefixes: Option<&str>) {
    let tags = prefixes.map(|prefixes| (SHARED_WITH_TAG.to_owned(), prefixes.to_owned()));
    stack.world().pools.get_mut(pool).unwrap().state.tags = tags.into_iter().collect::<Tags>();
}

#[tokio::test(start_paused = true)]
async fn a_client_is_created_changed_in_place_and_deleted_and_nothing_else_is_touched() {
    let (stack, pool) = client_stack();
    let before = others_in(&[&stack], &pool);
    let properties = member_client(&pool);
    let event = stack.create_event(&properties);
    let created = stack.send(&event).await.good();
    assert_is(&stack, &properties);
    let id = created.physical_id().to_owned();
    assert_eq!(created.attribute("ClientId"), id, "Ref is the client id");
    assert_eq!(created.attribute("UserPoolId"), pool.as_str());
    assert_eq!(created.attribute("Scopes"), "stock/read");
    assert_eq!(created.attribute("TokenVerification"), "verified");
    assert_eq!(created.attribute("TokenEndpoint"), "https://platform.auth.us-east-1.amazoncognito.com/oauth2/token");
    for name in ["ClientSecretArn", "Issuer", "JwksUri", "DiscoveryUrl"] {
        assert!(!created.attribute(name).is_empty(), "{name}");
    }
    {
        let world = stack.world();
        let client = &world.pools[&pool].clients[&ClientId::from(&*id)].client;
        assert_eq!(client.name.as_str(), format!("orders @{}", Mark::of(&stack.owner())));
        let document = world.document(&SecretId::from("team-a/orders"));
        assert_eq!(document.metadata.client_name.as_str(), "orders", "the plain name");
        let tags = &world.secrets[&SecretId::from("team-a/orders")].tags;
        assert!(!tags.contains_key("Environment") && !tags.contains_key("Project"));
    }
    let again = stack.send(&event).await.good();
    assert_eq!((again.physical_id(), again.data()["ClientId"].as_str()), (&*id, Some(&*id)), "a second delivery");
    assert_is(&stack, &properties);

    let writes = stack.world().writes().len();
    stack.update(&id, &properties, &properties).await.good();
    assert_eq!(stack.world().writes().len(), writes, "nothing changes");

    let changed = json!({
        "UserPoolId": pool.as_str(), "ClientName": "renamed", "AllowedOAuthScopes": ["stock/write"],
        "AccessTokenValidityMinutes": "5", "RotationDays": "30", "Tags": { "Environment": "own" },
    });
    let updated = stack.update(&id, &changed, &properties).await.good();
    assert_eq!((updated.physical_id(), updated.attribute("ClientId")), (&*id, &*id), "renamed in place");
    assert_is(&stack, &changed);
    stack.update(&id, &changed, &changed).await.good();

    stack.delete(&id, &changed).await.good();
    assert_nothing_left(&stack);
    assert_eq!(others_in(&[&stack], &pool), before);
}

#[tokio::test(start_paused = true)]
async fn a_server_is_created_changed_in_place_and_deleted_and_nothing_else_is_touched() {
    let (stack, pool) = server_stack();
    let before = others_in(&[&stack], &pool);
    let properties = member_server(&pool, &["read"]);
    let event = stack.create_event(&properties);
    let created = stack.send(&event).await.good();
    assert_is(&stack, &properties);
    let id = created.physical_id().to_owned();
    assert_eq!(id, format!("{pool}|billing"));
    assert_eq!(created.attribute("Identifier"), "billing");
    assert_eq!(created.attribute("Scopes"), "billing/read");
    assert_eq!(created.attribute("UserPoolId"), pool.as_str());
    stack.send(&event).await.good_at("a second delivery");
    assert_is(&stack, &properties);

    let writes = stack.world().writes().len();
    stack.update(&id, &properties, &properties).await.good();
    assert_eq!(stack.world().writes().len(), writes, "nothing changes");

    let changed = with(member_server(&pool, &["read", "pay"]), "Name", "Bills");
    let updated = stack.update(&id, &changed, &properties).await.good();
    assert_eq!((updated.physical_id(), updated.attribute("Scopes")), (&*id, "billing/read billing/pay"));
    assert_is(&stack, &changed);

    stack.delete(&id, &changed).await.good();
    assert_nothing_left(&stack);
    assert_eq!(others_in(&[&stack], &pool), before);
}

#[tokio::test(start_paused = true)]
async fn a_server_needs_no_permission_for_its_notes() {
    let (stack, pool) = server_stack();
    let operations = ["DescribeSecret", "CreateSecret", "DeleteSecret"];
    stack.world().behavior.denied_for.extend(operations.map(|operation| (operation, Duration::MAX)));
    let (old, new) = (member_server(&pool, &["read"]), member_server(&pool, &["read", "pay"]));
    let id = stack.create(&old).await.good().physical_id().to_owned();
    stack.update(&id, &new, &old).await.good();
    assert_is(&stack, &new);
    stack.delete(&id, &new).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn without_consent_nothing_is_written_and_a_delete_still_works() {
    for resource_type in [ResourceType::CognitoM2MClient, ResourceType::CognitoM2MResourceServer] {
        let (stack, pool) = client_stack();
        let stack = Stack { resource_type, ..stack };
        let is_client = resource_type == ResourceType::CognitoM2MClient;
        let (old, new) = if is_client {
            (member_client(&pool), with(member_client(&pool), "AccessTokenValidityMinutes", 10))
        } else {
            (member_server(&pool, &["read"]), member_server(&pool, &["read", "write"]))
        };
        for prefixes in [None, Some(""), Some("other-"), Some("team-ab team-b")] {
            share(&stack, &pool, prefixes);
            let reason = refused(&stack, &stack.create_event(&old), SHARED_WITH_TAG).await;
            assert!(reason.contains("team-a"), "the stack is named: {reason}");
        }
        share(&stack, &pool, Some("billing team-a"));
        let id = stack.create(&old).await.good().physical_id().to_owned();
        share(&stack, &pool, Some("other-"));
        refused(&stack, &stack.update_event(&id, &new, &old), "names only other-").await;
        stack.update(&id, &old, &old).await.good_at("an Update that writes nothing needs no consent");

        share(&stack, &pool, None);
        let reason = refused(&stack, &stack.delete_event(&id, &old), "Put the tag back").await;
        assert!(reason.contains(SHARED_WITH_TAG), "{reason}");
        share(&stack, &pool, Some("other-"));
        stack.delete(&id, &old).await.good_at("a Delete needs no matching prefix");
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn scopes_that_the_pool_does_not_have_are_named_before_any_write() {
    let (stack, pool) = client_stack();
    let properties = with(member_client(&pool), "AllowedOAuthScopes", json!(["stock/read", "stock/no", "x/y"]));
    let reason = refused(&stack, &stack.create_event(&properties), "stock/no, x/y").await;
    assert!(!reason.contains("stock/read"), "{reason}");
    let id = stack.create(&member_client(&pool)).await.good().physical_id().to_owned();
    refused(&stack, &stack.update_event(&id, &properties, &member_client(&pool)), "stock/no").await;
    assert_is(&stack, &member_client(&pool));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_somebody_deleted_or_renamed_is_not_made_again() {
    for deleted in [true, false] {
        let (stack, pool) = client_stack();
        let properties = member_client(&pool);
        let id = stack.create(&properties).await.good().physical_id().to_owned();
        {
            let mut world = stack.world();
            let clients = &mut world.pools.get_mut(&pool).unwrap().clients;
            if deleted {
                clients.remove(&ClientId::from(&*id));
            } else {
                clients.get_mut(&ClientId::from(&*id)).unwrap().client.name = "orders".into();
            }
        }
        let reason = refused(&stack, &stack.update_event(&id, &properties, &properties), "another logical id").await;
        assert!(reason.contains(&*id), "{reason}");
        stack.delete(&id, &properties).await.good();
        assert_nothing_left(&stack);
        let left = stack.world().pools[&pool].clients.len();
        assert_eq!(left, if deleted { 1 } else { 2 }, "what has no mark is not ours");
    }
}

#[tokio::test(start_paused = true)]
async fn pool_and_identifier_cannot_change_and_the_rollback_succeeds() {
    let (stack, pool) = client_stack();
    let other = platform(&stack.aws, "team-");
    let old = member_client(&pool);
    let new = member_client(&other);
    let id = stack.create(&old).await.good().physical_id().to_owned();
    let reason = refused(&stack, &stack.update_event(&id, &new, &old), "another logical id").await;
    assert!(reason.contains("UserPoolId cannot change"), "{reason}");
    stack.update(&id, &old, &new).await.good_at("the rollback");
    assert_is(&stack, &old);

    let (stack, pool) = server_stack();
    let other = platform(&stack.aws, "team-");
    let old = member_server(&pool, &["read"]);
    let id = stack.create(&old).await.good().physical_id().to_owned();
    for (new, property) in
        [(member_server(&other, &["read"]), "UserPoolId"), (with(old.clone(), "Identifier", "bills"), "Identifier")]
    {
        refused(&stack, &stack.update_event(&id, &new, &old), property).await;
        stack.update(&id, &old, &new).await.good_at("the rollback");
    }
    assert_is(&stack, &old);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_does_not_exist_is_named_and_its_resources_can_be_deleted() {
    for resource_type in [ResourceType::CognitoM2MClient, ResourceType::CognitoM2MResourceServer] {
        let (stack, pool) = client_stack();
        let stack = Stack { resource_type, ..stack };
        let properties = |pool: &PoolId| match resource_type {
            ResourceType::CognitoM2MClient => member_client(pool),
            _ => member_server(pool, &["read"]),
        };
        let gone = PoolId::from("us-east-1_Gone");
        let failed = stack.create(&properties(&gone)).await;
        failed.failed("us-east-1_Gone");
        stack.delete(failed.physical_id(), &properties(&gone)).await.good();

        let id = stack.create(&properties(&pool)).await.good().physical_id().to_owned();
        stack.world().pools.remove(&pool);
        stack.delete(&id, &properties(&pool)).await.good();
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_type_is_refused_with_the_known_ones_and_its_delete_succeeds() {
    let (stack, pool) = client_stack();
    for event in [stack.create_event(&member_client(&pool)), stack.update_event("a", &json!({}), &json!({}))] {
        let reason =
            stack.send(&with(event, "ResourceType", "Custom::CognitoM2MServer")).await.failed("Custom::CognitoM2M,");
        assert!(reason.contains("Custom::CognitoM2MClient") && reason.contains("Custom::CognitoM2MResourceServer"));
    }
    let delete = stack.delete_event("a", &json!({}));
    stack.send(&with(delete, "ResourceType", "Custom::Other")).await.good();
    assert_eq!(stack.world().calls.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_delete_finds_its_client_and_server_without_properties_that_parse() {
    for (resource_type, id_is_real) in [
        (ResourceType::CognitoM2MClient, true),
        (ResourceType::CognitoM2MClient, false),
        (ResourceType::CognitoM2MResourceServer, true),
        (ResourceType::CognitoM2MResourceServer, false),
    ] {
        let (stack, pool) = client_stack();
        let stack = Stack { resource_type, ..stack };
        let properties = match resource_type {
            ResourceType::CognitoM2MClient => member_client(&pool),
            _ => member_server(&pool, &["read"]),
        };
        let before = others_in(&[&stack], &pool);
        let created = stack.create(&properties).await.good();
        let id = if id_is_real { created.physical_id() } else { "team-a-Thing-1A2B3C4D5E6F" };
        let mut event = stack.delete_event(id, &json!({}));
        event.as_object_mut().unwrap().remove("ResourceProperties");
        // Sent after the Create.
        std::thread::sleep(std::time::Duration::from_millis(3));
        stack.send(&event).await.good();
        assert_nothing_left(&stack);
        assert_eq!(others_in(&[&stack], &pool), before);
    }
}

/// Adds somebody else's client, and returns its id.
fn add_holder(stack: &Stack, pool: &PoolId, name: &str, scope: &str) -> ClientId {
    let id = ClientId(format!("holder{}", stack.world().next_number()));
    let client = FakeClient::existing(name, &[scope]);
    stack.world().pools.get_mut(pool).unwrap().clients.insert(id.clone(), client);
    id
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_somebody_elses_client_holds_is_not_removed() {
    let (stack, pool) = server_stack();
    let (wide, narrow) = (member_server(&pool, &["read", "pay"]), member_server(&pool, &["read"]));
    let id = stack.create(&wide).await.good().physical_id().to_owned();
    let holder = add_holder(&stack, &pool, "reporting", "billing/pay");
    let member = Stack::of_type(ResourceType::CognitoM2MClient, &stack.aws, "team-consumer");
    let with_pay = with(member_client(&pool), "AllowedOAuthScopes", json!(["billing/pay"]));
    let member_id = member.create(&with_pay).await.good().physical_id().to_owned();

    for event in [stack.update_event(&id, &narrow, &wide), stack.delete_event(&id, &wide)] {
        let reason = refused(&stack, &event, "billing/pay").await;
        assert!(reason.contains("reporting"), "a client without an owner: {reason}");
        assert!(reason.contains("stack team-consumer"), "a client with one: {reason}");
        assert!(!reason.contains("website"), "a client that does not hold it: {reason}");
    }
    assert_is(&stack, &wide);
    stack.world().pools.get_mut(&pool).unwrap().clients.remove(&holder);
    member.delete(&member_id, &with_pay).await.good();
    stack.update(&id, &narrow, &wide).await.good();
    assert_is(&stack, &narrow);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_keeps_a_scope_that_somebody_took_meanwhile() {
    let (stack, pool) = server_stack();
    let (old, new) = (member_server(&pool, &["read"]), member_server(&pool, &["read", "pay"]));
    let id = stack.create(&old).await.good().physical_id().to_owned();
    stack.update(&id, &new, &old).await.good();
    let holder = add_holder(&stack, &pool, "reporting", "billing/pay");
    let rollback = stack.update_event(&id, &old, &new);
    stack.send(&rollback).await.good_at("the rollback");
    stack.send(&rollback).await.good_at("the rollback, delivered again");
    assert_is(&stack, &new);
    refused(&stack, &stack.update_event(&id, &with(old.clone(), "Name", "Other"), &old), "billing/pay").await;
    stack.world().pools.get_mut(&pool).unwrap().clients.remove(&holder);
    stack.update(&id, &old, &old).await.good();
    assert_is(&stack, &old);
}

#[tokio::test(start_paused = true)]
async fn names_of_others_are_never_taken_over() {
    let (stack, pool) = server_stack();
    let taken = with(member_server(&pool, &["read"]), "Identifier", "stock");
    refused(&stack, &stack.create_event(&taken), "belongs to another owner").await;
    let neighbor = Stack { id: stack.id.replace("team-a", "team-b"), ..stack.clone() };
    neighbor.create(&member_server(&pool, &["read"])).await.good();
    let failed = stack.create(&member_server(&pool, &["other"])).await;
    failed.failed("billing");
    stack.delete(failed.physical_id(), &member_server(&pool, &["other"])).await.good();
    assert_is(&neighbor, &member_server(&pool, &["read"]));

    let (stack, pool) = client_stack();
    stack.world().add_foreign_secret("team-a/orders", Tags::new(), false);
    let failed = stack.create(&member_client(&pool)).await;
    failed.failed("SecretName");
    stack.delete(failed.physical_id(), &member_client(&pool)).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_of_a_client_succeeds_although_its_secret_no_longer_works() {
    let (stack, pool) = client_stack();
    let (old, new) = (member_client(&pool), with(member_client(&pool), "AccessTokenValidityMinutes", 10));
    let id = stack.create(&old).await.good().physical_id().to_owned();
    stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    stack.update(&id, &new, &old).await.failed("invalid_client");
    let rolled_back = stack.update(&id, &old, &new).await.good();
    assert_eq!(rolled_back.attribute("TokenVerification"), "failed");
    assert_is(&stack, &old);
}

/// The event as CloudFormation sends it in this minute of a day.
fn at(minute: u32, event: Value) -> Value {
    with(event, "ResponseURL", format!("{RESPONSE_URL}&X-Amz-Date=20260102T03{minute:02}00Z"))
}

#[tokio::test(start_paused = true)]
async fn late_events_change_nothing() {
    let (stack, pool) = client_stack();
    let minutes = |minutes: u64| with(member_client(&pool), "AccessTokenValidityMinutes", minutes);
    let create = at(1, stack.create_event(&minutes(5)));
    let id = stack.send(&create).await.good().physical_id().to_owned();
    let update = at(2, stack.update_event(&id, &minutes(6), &minutes(5)));
    let overtaken = at(3, stack.update_event(&id, &minutes(7), &minutes(6)));
    stack.send(&update).await.good();
    stack.send(&at(4, stack.update_event(&id, &minutes(8), &minutes(6)))).await.good();
    for late in [&create, &update, &overtaken] {
        stack.world().calls.clear();
        let answer = stack.send(late).await.good();
        assert_eq!((answer.physical_id(), answer.attribute("ClientId")), (&*id, &*id));
        assert_eq!(stack.world().writes(), Vec::<&str>::new());
        assert_is(&stack, &minutes(8));
    }
}

#[tokio::test(start_paused = true)]
async fn the_delete_of_a_failed_create_spares_a_later_one_when_it_is_delivered_again() {
    for resource_type in [ResourceType::CognitoM2MClient, ResourceType::CognitoM2MResourceServer] {
        let (stack, pool) = client_stack();
        let stack = Stack { resource_type, ..stack };
        let good = match resource_type {
            ResourceType::CognitoM2MClient => member_client(&pool),
            _ => member_server(&pool, &["read"]),
        };
        share(&stack, &pool, Some("other"));
        let failed = stack.create(&good).await;
        failed.failed("team-a");
        let delete = stack.delete_event(failed.physical_id(), &good);
        stack.send(&delete).await.good();
        share(&stack, &pool, Some("team-"));
        let id = stack.create(&good).await.good().physical_id().to_owned();
        stack.send(&delete).await.good_at("delivered again");
        assert_is(&stack, &good);
        // A Delete of the resource itself, delivered again after it was declared again.
        let delete = stack.delete_event(&id, &good);
        stack.send(&delete).await.good();
        assert_nothing_left(&stack);
        stack.create(&good).await.good();
        stack.send(&delete).await.good_at("delivered again");
        assert_is(&stack, &good);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_rotated_once_for_a_value_also_when_it_is_renamed() {
    let (stack, pool) = client_stack();
    stack.world().consumers.at_work = true;
    let old = member_client(&pool);
    let id = stack.create(&old).await.good().physical_id().to_owned();
    let first = stack.world().document(&SecretId::from("team-a/orders")).client_secret.clone();
    let new = with(with(old.clone(), "RotateSecret", "2026"), "ClientName", "renamed");
    let update = stack.update_event(&id, &new, &old);
    stack.send(&update).await.good();
    let rotated = stack.world().document(&SecretId::from("team-a/renamed")).client_secret.clone();
    assert!(rotated != first, "rotated");
    stack.send(&update).await.good();
    stack.update(&id, &new, &new).await.good();
    assert!(stack.world().document(&SecretId::from("team-a/renamed")).client_secret == rotated, "once");
    assert_is(&stack, &new);
    assert_eq!(stack.world().consumers.complaints, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_same_stack_deployed_again_takes_its_secret_back() {
    let (stack, pool) = client_stack();
    let id = stack.create(&member_client(&pool)).await.good().physical_id().to_owned();
    stack.delete(&id, &member_client(&pool)).await.good();
    let again = Stack { id: stack.id.replace("0000", "1111"), ..stack.clone() };
    let created = again.create(&member_client(&pool)).await.good();
    assert_ne!(created.physical_id(), id);
    assert_is(&again, &member_client(&pool));
}

// What Custom::CognitoM2M does with a pool that it shares.

fn shared(extra: &Value) -> Value {
    let mut properties = json!({
        "DomainPrefix": "platform", "SharedWithStacks": ["team-"],
        "ResourceServers": [{ "Identifier": "stock", "Scopes": [{ "ScopeName": "read" }, { "ScopeName": "write" }] }],
    });
    properties.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    properties
}

/// A platform's stack, and two teams that have joined its pool.
async fn shared_platform() -> (Stack, Stack, Stack, PoolId) {
    let aws = FakeAws::default();
    let owner = Stack::new(&aws, "platform");
    let pool = PoolId::from(owner.create(&shared(&json!({}))).await.good().physical_id());
    let client = Stack::of_type(ResourceType::CognitoM2MClient, &aws, "team-client");
    let server = Stack::of_type(ResourceType::CognitoM2MResourceServer, &aws, "team-server");
    client.create(&member_client(&pool)).await.good();
    server.create(&member_server(&pool, &["read"])).await.good();
    (owner, client, server, pool)
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_a_pool_keeps_what_others_have_added_and_removes_what_has_no_mark() {
    let (owner, client, server, pool) = shared_platform().await;
    let stray = add_holder(&owner, &pool, "stray", "stock/read");
    let mut old = shared(&json!({}));
    for new in [shared(&json!({ "Tags": { "a": "b" } })), shared(&json!({ "SharedWithStacks": [""] }))] {
        owner.update(pool.as_str(), &new, &old).await.good();
        assert_is(&client, &member_client(&pool));
        assert_is(&server, &member_server(&pool, &["read"]));
        assert!(!owner.world().pools[&pool].clients.contains_key(&stray), "it has no mark");
        old = new;
    }
    assert!(!owner.world().pools[&pool].state.tags.contains_key(SHARED_WITH_TAG));
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_a_pool_neither_deletes_it_nor_moves_its_domain_nor_takes_scopes_from_others() {
    let (owner, client, server, pool) = shared_platform().await;
    let old = shared(&json!({}));
    let narrow =
        shared(&json!({ "ResourceServers": [{ "Identifier": "stock", "Scopes": [{ "ScopeName": "write" }] }] }));
    for (event, text) in [
        (owner.delete_event(pool.as_str(), &old), "Deleting the pool"),
        (owner.update_event(pool.as_str(), &shared(&json!({ "DomainPrefix": "other" })), &old), "domain"),
        (owner.update_event(pool.as_str(), &narrow, &old), "stock/read"),
    ] {
        let reason = refused(&owner, &event, text).await;
        assert!(reason.contains("stack team-client"), "{reason}");
    }
    for (stack, properties) in [(&client, member_client(&pool)), (&server, member_server(&pool, &["read"]))] {
        assert_is(stack, &properties);
        let id = {
            let world = owner.world();
            let (servers, clients) = parts(&world.pools[&pool], &stack.owner());
            let server = servers.first().map(|server| format!("{pool}|{}", server.identifier));
            server.or(clients.first().map(|(id, _)| id.to_string())).unwrap()
        };
        stack.delete(&id, &properties).await.good();
    }
    owner.update(pool.as_str(), &narrow, &old).await.good();
    owner.delete(pool.as_str(), &narrow).await.good();
    assert_nothing_left(&owner);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_of_the_owner_keeps_a_scope_that_somebody_took_meanwhile() {
    let (owner, client, _, pool) = shared_platform().await;
    let (old, new) = (
        shared(&json!({})),
        shared(&json!({
            "ResourceServers": [{ "Identifier": "stock", "Scopes": [{ "ScopeName": "read" }, { "ScopeName": "write" }, { "ScopeName": "count" }] }],
        })),
    );
    owner.update(pool.as_str(), &new, &old).await.good();
    let other = Stack { logical_id: "Other".to_owned(), ..client.clone() };
    let with_count =
        with(with(member_client(&pool), "AllowedOAuthScopes", json!(["stock/count"])), "ClientName", "counter");
    other.create(&with_count).await.good();
    owner.update(pool.as_str(), &old, &new).await.good_at("the rollback");
    assert!(owner.world().pools[&pool].servers["stock"].scopes.iter().any(|scope| scope.name == "count"));
    assert_is(&other, &with_count);
}

#[tokio::test(start_paused = true)]
async fn no_client_secret_is_shown() {
    let (stack, pool) = client_stack();
    let created = stack.create(&member_client(&pool)).await.good();
    let secret: Secret<String> = stack.world().document(&SecretId::from("team-a/orders")).client_secret.clone();
    assert!(!created.body().to_string().contains(secret.expose()));
}
