//! A client that existed before is taken over with its id and its secret.

use cognito_m2m::{
    model::{ClientId, Mark, PoolId, ResourceType, SecretId},
    redact::Secret,
};
use serde_json::{Value, json};

use crate::{
    late::at,
    support::{
        FakeAws, FakeClient, FakeClientSecret, Fault, Session, Stack, TokenEndpointState, assert_is,
        fixtures::{add_adoptee, member_client, platform, with},
    },
};

const SECRET: &str = "team-a/orders";

/// A stack, a platform's pool, and a client in it that another tool has made.
fn existing() -> (Stack, PoolId, ClientId) {
    let aws = FakeAws::default();
    let pool = platform(&aws, "team-");
    aws.world().behavior.iam_reads_tags = true;
    let stack = Stack::of_type(ResourceType::CognitoM2MClient, &aws, "team-a");
    let id = add_adoptee(&stack, &pool);
    (stack, pool, id)
}

fn adopting(pool: &PoolId, id: &ClientId) -> Value {
    with(member_client(pool), "AdoptClientId", id.as_str())
}

fn client(stack: &Stack, pool: &PoolId, id: &ClientId) -> FakeClient {
    stack.world().pools[pool].clients[id].clone()
}

#[track_caller]
fn assert_given_back(stack: &Stack, pool: &PoolId, id: &ClientId) {
    let found = client(stack, pool, id);
    assert_eq!(found.client.name.as_str(), "Orders, old");
    assert!(found.takes(&Secret::new("secret-of-Orders, old".to_owned())), "its secret still works");
    assert!(
        !stack.world().secrets.contains_key(&SecretId::from(SECRET))
            || stack.world().secrets[&SecretId::from(SECRET)].scheduled
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_is_adopted_with_its_id_and_secret_and_given_back_with_its_name() {
    let (stack, pool, id) = existing();
    let properties = adopting(&pool, &id);
    let event = stack.create_event(&properties);
    let created = stack.send(&event).await.good();
    assert_eq!(created.physical_id(), id.as_str());
    assert_is(&stack, &properties);
    let adopted = client(&stack, &pool, &id);
    assert_eq!(adopted.client.name.as_str(), format!("orders @{}", Mark::of_adopted(&stack.owner())));
    assert_eq!(adopted.client.scopes, ["stock/read"]);
    let document = stack.world().document(&SecretId::from(SECRET)).clone();
    assert!(document.client_secret == Secret::new("secret-of-Orders, old".to_owned()), "the secret that it had");
    stack.send(&event).await.good_at("a second delivery");

    // Without the property, nothing changes.
    let writes = stack.world().writes().len();
    stack.update(id.as_str(), &member_client(&pool), &properties).await.good();
    assert_eq!(stack.world().writes().len(), writes);
    let renamed = with(member_client(&pool), "ClientName", "renamed");
    stack.update(id.as_str(), &renamed, &member_client(&pool)).await.good();
    assert_eq!(
        client(&stack, &pool, &id).client.name.as_str(),
        format!("renamed @{}", Mark::of_adopted(&stack.owner()))
    );
    stack.update(id.as_str(), &member_client(&pool), &renamed).await.good();

    stack.delete(id.as_str(), &member_client(&pool)).await.good();
    assert_given_back(&stack, &pool, &id);
    assert_eq!(client(&stack, &pool, &id).client.scopes, ["stock/read"], "its scopes stay");
}

#[tokio::test(start_paused = true)]
async fn a_failed_adoption_gives_back_name_scopes_and_validity() {
    let (stack, pool, id) = existing();
    let before = client(&stack, &pool, &id);
    let calls = stack.clone().world().calls.len();
    assert_eq!(calls, 0);
    // The token after the change is refused, not the one that proves the secret.
    let properties = adopting(&pool, &id);
    let probe = {
        let (stack, pool, id) = existing();
        stack.create(&adopting(&pool, &id)).await.good();
        let calls: Vec<_> = stack.world().calls.iter().map(|call| call.operation).collect();
        calls.iter().position(|operation| *operation == "UpdateUserPoolClient").unwrap()
    };
    let refusing = stack.aws.clone();
    let refuse = crate::support::Fault::meanwhile(move || {
        refusing.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    });
    let failed = stack.send_with(&stack.create_event(&properties), [(probe, refuse)]).await;
    failed.failed("invalid_client");
    assert_ne!(client(&stack, &pool, &id).client, before.client, "it was changed");
    stack.delete(failed.physical_id(), &properties).await.good();
    assert_given_back(&stack, &pool, &id);
    let after = client(&stack, &pool, &id);
    assert_eq!(after.client, before.client);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_does_not_work_is_not_adopted() {
    let (stack, pool, id) = existing();
    let before = client(&stack, &pool, &id);
    stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    let failed = stack.create(&adopting(&pool, &id)).await;
    failed.failed("invalid_client");
    assert_eq!(client(&stack, &pool, &id), before, "nothing has changed");
    stack.delete(failed.physical_id(), &adopting(&pool, &id)).await.good();
    assert_eq!(client(&stack, &pool, &id), before);
}

#[tokio::test(start_paused = true)]
async fn each_rule_of_adoption_is_named_before_any_write() {
    type Break = fn(&mut FakeClient);
    let breaks: [(&str, Break); 6] = [
        ("only OAuth flow", |client| client.settings.oauth_flows.push("code".to_owned())),
        ("ALLOW_USER_PASSWORD_AUTH", |client| {
            client.settings.sign_in_flows = vec!["ALLOW_USER_PASSWORD_AUTH".to_owned()];
        }),
        ("Google", |client| client.settings.identity_providers = vec!["Google".to_owned()]),
        ("https://example.com", |client| client.settings.callback_urls = vec!["https://example.com".to_owned()]),
        ("two secrets", |client| {
            let second = FakeClientSecret { id: "second".to_owned(), ..client.secrets[0].clone() };
            client.secrets.push(second);
        }),
        ("no secret", |client| client.secrets.clear()),
    ];
    for (text, spoil) in breaks {
        let (stack, pool, id) = existing();
        spoil(stack.world().pools.get_mut(&pool).unwrap().clients.get_mut(&id).unwrap());
        let before = client(&stack, &pool, &id);
        let failed = stack.create(&adopting(&pool, &id)).await;
        let reason = failed.failed(text);
        assert!(reason.contains(id.as_str()), "{reason}");
        assert_eq!(stack.world().writes(), Vec::<&str>::new(), "{text}");
        stack.delete(failed.physical_id(), &adopting(&pool, &id)).await.good();
        assert_eq!(client(&stack, &pool, &id), before, "{text}");
    }
    let (stack, pool, id) = existing();
    stack.create(&adopting(&pool, &ClientId::from("missing"))).await.failed("does not exist");
    stack.create(&adopting(&pool, &id)).await.good();
    let other = Stack { logical_id: "Other".to_owned(), ..stack.clone() };
    let second = with(adopting(&pool, &id), "SecretName", "other");
    let failed = other.create(&second).await;
    failed.failed("mark");
    other.delete(failed.physical_id(), &second).await.good();
    assert_is(&stack, &adopting(&pool, &id));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_another_stack_declares_in_its_own_pool_is_not_adopted() {
    let aws = FakeAws::default();
    let platform = Stack::new(&aws, "platform");
    let properties = json!({
        "SharedWithStacks": ["team-"], "Clients": [{ "ClientName": "probe" }],
        "ResourceServers": [{ "Identifier": "stock", "Scopes": [{ "ScopeName": "read" }] }],
    });
    let created = platform.create(&properties).await.good();
    let (pool, id) = (PoolId::from(created.physical_id()), ClientId::from(created.attribute("ClientId")));
    let stack = Stack::of_type(ResourceType::CognitoM2MClient, &aws, "team-a");
    let failed = stack.create(&adopting(&pool, &id)).await;
    failed.failed("stack platform, which owns the user pool, declares it");
    stack.delete(failed.physical_id(), &adopting(&pool, &id)).await.good();
    assert_is(&platform, &properties);
    // A client that somebody else has made in this pool is nobody's.
    let stray = add_adoptee(&stack, &pool);
    aws.world().pools.get_mut(&pool).unwrap().clients.get_mut(&stray).unwrap().client.scopes =
        vec!["stock/read".into()];
    stack.create(&adopting(&pool, &stray)).await.good();
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_has_a_client_adopts_no_other() {
    let (stack, pool, id) = existing();
    let own = stack.create(&member_client(&pool)).await.good().physical_id().to_owned();
    stack.update(&own, &adopting(&pool, &id), &member_client(&pool)).await.failed("only when a resource is created");
    assert_is(&stack, &member_client(&pool));
}

#[tokio::test(start_paused = true)]
async fn an_adopted_client_rotates_and_is_given_back_after_that() {
    let (stack, pool, id) = existing();
    stack.world().consumers.at_work = true;
    let properties = adopting(&pool, &id);
    stack.create(&properties).await.good();
    for value in ["one", "two"] {
        let rotated = with(properties.clone(), "RotateSecret", value);
        stack.update(id.as_str(), &rotated, &properties).await.good();
    }
    let renamed = with(member_client(&pool), "SecretName", "elsewhere");
    let renamed = with(renamed, "SecretKmsKeyId", "alias/mine");
    let renamed = with(renamed, "RotateSecret", "two");
    stack.update(id.as_str(), &renamed, &with(properties, "RotateSecret", "two")).await.good();
    assert_eq!(stack.world().consumers.complaints, Vec::<String>::new());
    stack.delete(id.as_str(), &renamed).await.good();
    let found = client(&stack, &pool, &id);
    assert_eq!(found.client.name.as_str(), "Orders, old", "the record follows the secret");
    assert!(!found.secrets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gets_tokens_by_api_goes_on_to_get_them() {
    let (stack, pool, id) = existing();
    stack.world().pools.get_mut(&pool).unwrap().clients.get_mut(&id).unwrap().client.auth_flow =
        cognito_m2m::model::AuthFlow::ClientToken;
    stack.create(&adopting(&pool, &id)).await.good();
    assert_eq!(client(&stack, &pool, &id).client.auth_flow, cognito_m2m::model::AuthFlow::ClientToken);
    let writes = stack.world().writes().len();
    stack.update(id.as_str(), &adopting(&pool, &id), &adopting(&pool, &id)).await.good();
    assert_eq!(stack.world().writes().len(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_delete_without_the_record_still_takes_the_mark_away() {
    let (stack, pool, id) = existing();
    stack.create(&adopting(&pool, &id)).await.good();
    stack.world().secrets.remove(&SecretId::from(SECRET));
    stack.delete(id.as_str(), &json!({ "UserPoolId": pool.as_str() })).await.good();
    assert_eq!(client(&stack, &pool, &id).client.name.as_str(), "orders");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_given_back_is_adopted_again_and_given_back_as_it_was_then() {
    let (stack, pool, id) = existing();
    let mut properties = with(adopting(&pool, &id), "AccessTokenValidityMinutes", 30);
    // The validity stays when the client is given back, so the second time it was another one.
    for (validity, scopes) in [(30, "stock/read"), (20, "stock/write"), (30, "stock/read")] {
        properties["AccessTokenValidityMinutes"] = json!(validity);
        properties["AllowedOAuthScopes"] = json!([scopes]);
        stack.create(&properties).await.good_at(validity);
        assert_is(&stack, &properties);
        stack.delete(id.as_str(), &properties).await.good_at(validity);
        assert_given_back(&stack, &pool, &id);
    }
    // Somebody gives it another name, and the next adoption fails: its Delete gives that name back.
    stack.world().pools.get_mut(&pool).unwrap().clients.get_mut(&id).unwrap().client.name = "Newer".into();
    let before = client(&stack, &pool, &id).client;
    properties["AccessTokenValidityMinutes"] = json!(10);
    let event = stack.create_event(&properties);
    let calls = stack.world().calls.len();
    let session = Session::new(&stack.aws);
    let created = stack.run(&session, &event).await.good();
    let change = stack.world().calls[calls..].iter().position(|call| call.operation == "UpdateUserPoolClient").unwrap();
    stack.delete(created.physical_id(), &properties).await.good();
    assert_eq!(client(&stack, &pool, &id).client.name, before.name);
    let before = client(&stack, &pool, &id).client;
    let aws = stack.aws.clone();
    let refuse = Fault::meanwhile(move || aws.world().behavior.token_endpoint = TokenEndpointState::Refuses);
    properties["AccessTokenValidityMinutes"] = json!(15);
    let failed = stack.send_with(&stack.create_event(&properties), [(change, refuse)]).await;
    failed.failed("invalid_client");
    stack.delete(failed.physical_id(), &properties).await.good();
    assert_eq!(client(&stack, &pool, &id).client, before);
}

#[tokio::test(start_paused = true)]
async fn an_adoption_trusts_what_cognito_shows_and_not_what_an_earlier_one_left() {
    let (stack, pool, id) = existing();
    let properties = adopting(&pool, &id);
    stack.create(&properties).await.good();
    let rotated = with(properties.clone(), "RotateSecret", "now");
    stack.update(id.as_str(), &rotated, &properties).await.good();
    stack.delete(id.as_str(), &rotated).await.good();
    // Its consumers use the first secret, so its owner deletes the one of the rotation.
    stack.world().pools.get_mut(&pool).unwrap().clients.get_mut(&id).unwrap().secrets.truncate(1);
    let created = stack.create(&properties).await.good();
    assert_eq!(created.attribute("TokenVerification"), "verified");
    assert_is(&stack, &properties);
    let shown = stack.world().pools[&pool].clients[&id].secrets[0].value.clone();
    assert!(stack.world().document(&SecretId::from(SECRET)).client_secret == shown);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_comes_again_after_the_client_was_adopted_again_changes_nothing() {
    let (stack, pool, id) = existing();
    let properties = adopting(&pool, &id);
    stack.send(&at(1, stack.create_event(&properties))).await.good();
    let delete = at(2, stack.delete_event(id.as_str(), &properties));
    stack.send(&delete).await.good();
    stack.send(&at(3, stack.create_event(&properties))).await.good();
    stack.world().calls.clear();
    stack.send(&delete).await.good();
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
    assert_is(&stack, &properties);
    stack.send(&at(4, stack.delete_event(id.as_str(), &properties))).await.good();
    assert_given_back(&stack, &pool, &id);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_scopes_are_gone_is_given_back() {
    let (stack, pool, id) = existing();
    stack.create(&adopting(&pool, &id)).await.good();
    stack.world().pools.get_mut(&pool).unwrap().servers.clear();
    stack.delete(id.as_str(), &adopting(&pool, &id)).await.good();
    assert_given_back(&stack, &pool, &id);
}
