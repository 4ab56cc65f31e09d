//! Create, Update and Delete as a user sees them.

use std::time::Duration;

use cognito_m2m::model::{Owner, SecretName, Tags};
use serde_json::{Value, json};

use crate::support::{Fault, Stack, assert_is, assert_nothing_left, create, event, fake_aws::TokenMood};

/// Three clients, two servers.
pub fn large() -> Value {
    json!({
        "ServiceToken": "arn", "ServiceTimeout": "600",
        "EnvironmentName": "prod", "DomainPrefix": "orders", "ProjectTag": "shop", "Tags": { "Team": "orders" },
        "ResourceServers": [
            { "Identifier": "orders", "Name": "Orders", "Scopes": [{ "ScopeName": "read", "ScopeDescription": "See" }, { "ScopeName": "write" }] },
            { "Identifier": "stock", "Scopes": [{ "ScopeName": "read" }] },
        ],
        "Clients": [
            { "ClientName": "web", "AllowedOAuthScopes": ["orders/read", "orders/write"], "AccessTokenValidityMinutes": "5" },
            { "ClientName": "billing", "AllowedOAuthScopes": ["orders/read", "stock/read"] },
            { "ClientName": "batch" },
        ],
    })
}

/// Scopes, clients, the domain and the tags of [`large`], changed at once.
pub fn large_changed() -> Value {
    json!({
        "EnvironmentName": "prod", "DomainPrefix": "shop", "ProjectTag": "shop2", "Tags": { "Owner": "me" },
        "ResourceServers": [
            { "Identifier": "orders", "Name": "Orders", "Scopes": [{ "ScopeName": "read", "ScopeDescription": "Look" }, { "ScopeName": "cancel" }] },
            { "Identifier": "returns", "Scopes": [{ "ScopeName": "read" }] },
        ],
        "Clients": [
            { "ClientName": "web", "AllowedOAuthScopes": ["orders/read", "orders/cancel"], "AccessTokenValidityMinutes": 10 },
            { "ClientName": "batch" },
            { "ClientName": "new", "AllowedOAuthScopes": ["returns/read"] },
        ],
        "SecretNamePrefix": "shop/secrets", "SecretKmsKeyId": "alias/mine",
    })
}

#[tokio::test(start_paused = true)]
async fn the_defaults_make_a_whole_stack() {
    let stack = create();
    let answer = stack.create(&json!({})).await;
    assert!(answer.succeeded(), "{}", answer.reason());
    assert_is(&stack, &json!({}));

    let pool = answer.physical_id().to_owned();
    assert_eq!(answer.attribute("UserPoolId"), pool);
    assert_eq!(answer.attribute("UserPoolArn"), format!("arn:aws:cognito-idp:us-east-1:111122223333:userpool/{pool}"));
    assert_eq!(answer.attribute("UserPoolName"), "machine-to-machine-dev");
    assert_eq!(answer.attribute("Issuer"), format!("https://cognito-idp.us-east-1.amazonaws.com/{pool}"));
    assert_eq!(
        answer.attribute("JwksUri"),
        format!("https://cognito-idp.us-east-1.amazonaws.com/{pool}/.well-known/jwks.json")
    );
    assert_eq!(answer.attribute("Domain"), "m2m-rubicon-dev.auth.us-east-1.amazoncognito.com");
    assert_eq!(
        answer.attribute("TokenEndpoint"),
        "https://m2m-rubicon-dev.auth.us-east-1.amazoncognito.com/oauth2/token"
    );
    assert_eq!(answer.attribute("Scopes"), "m2m-client/read m2m-client/write");
    assert_eq!(answer.attribute("TokenVerification"), "verified");
    let client = answer.attribute("ClientId");
    assert!(!client.is_empty());
    assert_eq!(answer.attribute("ClientIds"), client);
    assert_eq!(answer.attribute("ClientId.machine-to-machine-dev-client"), client);
    let arn = answer.attribute("ClientSecretArn");
    assert!(arn.contains(":secret:machine-to-machine-dev/machine-to-machine-dev-client-"), "{arn}");
    assert_eq!(answer.attribute("ClientSecretArn.machine-to-machine-dev-client"), arn);
}

#[tokio::test(start_paused = true)]
async fn every_property_finds_its_place() {
    let stack = create();
    let answer = stack.create(&large()).await;
    assert!(answer.succeeded(), "{}", answer.reason());
    assert_is(&stack, &large());
    let ids: Vec<_> = ["web", "billing", "batch"]
        .iter()
        .map(|name| answer.attribute(&format!("ClientId.{name}")).to_owned())
        .collect();
    assert_eq!(answer.attribute("ClientIds"), ids.join(","), "in the order of the list");
    let tags = &stack.world().pools.values().next().unwrap().state.tags.clone();
    assert_eq!(
        (tags["Environment"].as_str(), tags["Project"].as_str(), tags["Team"].as_str()),
        ("prod", "shop", "orders")
    );
    assert_eq!((tags["ManagedBy"].as_str(), tags["cognito-m2m:logical-id"].as_str()), ("cognito-m2m", "M2M"));
    assert_eq!(tags["cognito-m2m:stack-id"], stack.id);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_writes_nothing_and_asks_for_no_token() {
    for properties in [json!({}), large(), json!({ "DeletionProtection": "ACTIVE" })] {
        let stack = create();
        let created = stack.create(&properties).await;
        let writes = stack.world().writes().len();
        let tokens = stack.world().tokens_granted;
        let updated = stack.update(created.physical_id(), &properties, &properties).await;
        assert!(updated.succeeded(), "{}", updated.reason());
        assert_eq!(stack.world().writes()[writes..], Vec::<&str>::new());
        assert_eq!(stack.world().tokens_granted, tokens);
        assert_eq!(updated.attribute("TokenVerification"), "skipped");
        let keys =
            |answer: &crate::support::Answer| answer.0["Data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&updated), keys(&created), "the same attributes");
        for key in ["UserPoolId", "ClientId", "ClientSecretArn", "ClientIds", "Domain"] {
            assert_eq!(updated.attribute(key), created.attribute(key));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_changed_in_place_and_back_again() {
    let stack = create();
    let created = stack.create(&large()).await;
    let web = created.attribute("ClientId.web").to_owned();
    let secret = stack.world().document("machine-to-machine-prod/web").client_secret.clone();

    let updated = stack.update(created.physical_id(), &large_changed(), &large()).await;
    assert!(updated.succeeded(), "{}", updated.reason());
    assert_eq!(updated.physical_id(), created.physical_id());
    assert_eq!(updated.attribute("ClientId.web"), web, "a client is known by its name");
    assert_is(&stack, &large_changed());
    assert!(
        stack.world().document("shop/secrets/web").client_secret == secret,
        "a new secret name carries the same credentials"
    );
    assert_eq!(updated.attribute("TokenVerification"), "verified");

    let back = stack.update(created.physical_id(), &large(), &large_changed()).await;
    assert!(back.succeeded(), "{}", back.reason());
    assert_is(&stack, &large());
    assert!(stack.world().document("machine-to-machine-prod/web").client_secret == secret);
}

#[tokio::test(start_paused = true)]
async fn a_scope_set_is_widened_first_and_narrowed_last() {
    let stack = create();
    let created = stack.create(&large()).await;
    let shared = [("web", vec!["orders/read"]), ("batch", vec!["orders/read"])];
    for (client, scopes) in shared {
        stack.world().granted_for_good.insert(client.into(), scopes.into_iter().map(ToOwned::to_owned).collect());
    }
    let updated = stack.update(created.physical_id(), &large_changed(), &large()).await;
    assert!(updated.succeeded(), "{}", updated.reason());
    assert_eq!(stack.world().broken_promises, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_server_full_of_other_scopes_can_be_refilled() {
    let full = |letter: &str, shared: bool| {
        let mut scopes: Vec<_> = (0..99).map(|n| json!({ "ScopeName": format!("{letter}{n}") })).collect();
        scopes.push(json!({ "ScopeName": if shared { "shared" } else { "own" } }));
        let servers: Vec<_> = (0..25)
            .map(|n| json!({ "Identifier": if n == 0 { "kept".to_owned() } else { format!("{letter}{n}") }, "Scopes": if n == 0 { json!(scopes) } else { json!([{ "ScopeName": "x" }]) } }))
            .collect();
        json!({ "ResourceServers": servers, "Clients": [{ "ClientName": "one", "AllowedOAuthScopes": ["kept/shared"] }] })
    };
    let (old, new) = (full("a", true), full("b", true));
    let stack = create();
    let created = stack.create(&old).await;
    assert!(created.succeeded(), "{}", created.reason());
    stack.world().granted_for_good.insert("one".into(), ["kept/shared".to_owned()].into());
    let updated = stack.update(created.physical_id(), &new, &old).await;
    assert!(updated.succeeded(), "{}", updated.reason());
    assert_is(&stack, &new);
}

#[tokio::test(start_paused = true)]
async fn the_lesser_tier_and_managed_login_change_places_in_the_order_that_works() {
    let plain = json!({});
    let lite = json!({ "UserPoolTier": "LITE", "ManagedLoginVersion": "1" });
    let stack = create();
    let created = stack.create(&plain).await;
    for (new, old) in [(&lite, &plain), (&plain, &lite)] {
        let answer = stack.update(created.physical_id(), new, old).await;
        assert!(answer.succeeded(), "{}", answer.reason());
        assert_is(&stack, new);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_leaves_nothing() {
    let stack = create();
    let created = stack.create(&large()).await;
    let deleted = stack.delete(created.physical_id(), &large()).await;
    assert!(deleted.succeeded(), "{}", deleted.reason());
    assert_eq!(deleted.physical_id(), created.physical_id());
    assert_nothing_left(&stack);
    assert!(stack.world().secrets.values().all(|secret| secret.scheduled), "with the recovery window");
    let order: Vec<_> = stack.world().writes().into_iter().filter(|write| write.starts_with("Delete")).collect();
    assert_eq!(order, ["DeleteSecret", "DeleteSecret", "DeleteSecret", "DeleteUserPoolDomain", "DeleteUserPool"]);

    let again = stack.delete(created.physical_id(), &large()).await;
    assert!(again.succeeded(), "what is gone is no error: {}", again.reason());
}

#[tokio::test(start_paused = true)]
async fn a_window_of_zero_deletes_the_secrets_at_once() {
    let stack = create();
    let properties = json!({ "SecretRecoveryWindowInDays": 0 });
    let created = stack.create(&properties).await;
    assert!(stack.delete(created.physical_id(), &properties).await.succeeded());
    assert!(stack.world().secrets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delete_of_what_was_never_made_succeeds() {
    let stack = create();
    for id in ["one-M2M-1A2B3C4D5E6F", "cognito-m2m-failed-M2M-0", "us-east-1_gone"] {
        let answer = stack.delete(id, &json!({})).await;
        assert!(answer.succeeded(), "{id}: {}", answer.reason());
        assert_eq!(answer.physical_id(), id);
    }
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_delete_works_with_properties_that_no_longer_parse() {
    for broken in [
        json!({ "Clients": "x", "SecretRecoveryWindowInDays": "0" }),
        json!("text"),
        Value::Null,
        json!({ "EnvironmentName": "UPPER" }),
    ] {
        for id_known in [true, false] {
            let stack = create();
            let created = stack.create(&large()).await;
            let id = if id_known { created.physical_id() } else { "one-M2M-1A2B3C4D5E6F" };
            let answer = stack.delete(id, &broken).await;
            assert!(answer.succeeded(), "{broken}: {}", answer.reason());
            assert_nothing_left(&stack);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn deletion_protection_goes_on_last_and_keeps_everything() {
    let on = json!({ "DeletionProtection": "ACTIVE" });
    let off = json!({ "DeletionProtection": "INACTIVE" });
    let stack = create();
    let created = stack.create(&on).await;
    assert!(created.succeeded(), "{}", created.reason());
    assert_is(&stack, &on);
    assert_eq!(stack.world().writes().last(), Some(&"UpdateUserPool"));

    let writes = stack.world().writes().len();
    let refused = stack.delete(created.physical_id(), &on).await;
    assert!(!refused.succeeded());
    assert!(
        refused.reason().contains("DeletionProtection") && refused.reason().contains(created.physical_id()),
        "{}",
        refused.reason()
    );
    assert_eq!(stack.world().writes().len(), writes, "nothing was removed");

    assert!(stack.update(created.physical_id(), &off, &on).await.succeeded());
    assert!(stack.delete(created.physical_id(), &off).await.succeeded());
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_fails_its_check_can_still_be_deleted_although_it_asked_for_protection() {
    let properties = json!({ "DeletionProtection": "ACTIVE" });
    let stack = create();
    stack.world().token_endpoint = TokenMood::Refuses;
    let failed = stack.create(&properties).await;
    assert!(!failed.succeeded());
    assert!(
        failed.reason().contains("invalid_client") && failed.reason().contains("machine-to-machine-dev-client"),
        "{}",
        failed.reason()
    );
    assert!(stack.delete(failed.physical_id(), &properties).await.succeeded());
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_reached_for_a_minute_is_no_failure() {
    let stack = create();
    stack.world().token_endpoint = TokenMood::Unreachable;
    let before = tokio::time::Instant::now();
    let answer = stack.create(&json!({})).await;
    assert!(answer.succeeded(), "{}", answer.reason());
    assert_eq!(answer.attribute("TokenVerification"), "unreachable");
    let took = before.elapsed();
    assert!((Duration::from_secs(50)..Duration::from_secs(70)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_check_can_be_left_out() {
    let stack = create();
    let answer = stack.create(&json!({ "VerifyToken": "false" })).await;
    assert_eq!(answer.attribute("TokenVerification"), "skipped");
    assert_eq!(stack.world().tokens_granted, 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_stack_deployed_again_takes_its_old_secrets_back() {
    let stack = create();
    let first = stack.create(&large()).await;
    assert!(stack.delete(first.physical_id(), &large()).await.succeeded());
    let again = Stack::new(&stack.world, "one-again");
    let second = again.create(&large()).await;
    assert!(second.succeeded(), "{}", second.reason());
    assert_is(&again, &large());
}

fn foreign(stack: &Stack) -> Vec<(&'static str, Tags, bool)> {
    let other = Owner { stack_id: "arn:another-stack".into(), logical_id: "M2M".into() }.tags();
    let half = Owner { stack_id: stack.id.clone(), logical_id: "Another".into() }.tags();
    vec![
        ("no tags", Tags::new(), false),
        ("no tags, scheduled for deletion", Tags::new(), true),
        ("another stack's", other, false),
        ("another resource's of the same stack", half, false),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_somebody_else_is_named_and_left_alone() {
    const NAME: &str = "machine-to-machine-dev/machine-to-machine-dev-client";
    for (what, tags, scheduled) in foreign(&create()) {
        let stack = create();
        stack.world().add_foreign_secret(NAME, tags, scheduled);
        let before = stack.world().secrets[&SecretName::from(NAME)].clone();
        let answer = stack.create(&json!({})).await;
        assert!(!answer.succeeded() && answer.reason().contains(NAME), "{what}: {}", answer.reason());
        assert_eq!(stack.world().writes(), Vec::<&str>::new(), "{what}");
        assert!(stack.delete(answer.physical_id(), &json!({})).await.succeeded());
        assert_eq!(stack.world().secrets[&SecretName::from(NAME)], before, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_of_somebody_else_is_named_and_left_alone() {
    let stack = create();
    let other = stack.world().add_foreign_pool("machine-to-machine-dev", "m2m-rubicon-dev");
    let before = stack.world().pools[&other].clone();
    let answer = stack.create(&json!({})).await;
    assert!(!answer.succeeded() && answer.reason().contains("m2m-rubicon-dev"), "{}", answer.reason());
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
    assert!(stack.delete(answer.physical_id(), &json!({})).await.succeeded());
    assert!(stack.delete(other.as_str(), &json!({})).await.succeeded(), "somebody else's pool is none of ours");
    assert_eq!(stack.world().pools[&other], before);
}

#[tokio::test(start_paused = true)]
async fn an_update_never_takes_a_pool_over() {
    let stack = create();
    let other = stack.world().add_foreign_pool("machine-to-machine-dev", "another-domain");
    for id in [other.as_str(), "us-east-1_gone", "cognito-m2m-failed-M2M-0"] {
        let answer = stack.update(id, &json!({}), &json!({})).await;
        assert!(!answer.succeeded() && answer.reason().contains(id), "{}", answer.reason());
        assert_eq!(answer.physical_id(), id);
    }
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_new_domain_that_cannot_be_had_gives_the_old_one_back() {
    let stack = create();
    let (old, new) = (json!({ "DomainPrefix": "first" }), json!({ "DomainPrefix": "second" }));
    let created = stack.create(&old).await;
    let pool = created.physical_id().to_owned();

    // Taken already: refused before anything is touched.
    stack.world().add_foreign_pool("x", "second-dev");
    let writes = stack.world().writes().len();
    let refused = stack.update(&pool, &new, &old).await;
    assert!(!refused.succeeded() && refused.reason().contains("second-dev"), "{}", refused.reason());
    assert_eq!(stack.world().writes().len(), writes);
    assert_eq!(refused.physical_id(), pool);
    assert_is(&stack, &old);
}

#[tokio::test(start_paused = true)]
async fn a_new_domain_that_is_lost_at_the_last_moment_gives_the_old_one_back_before_any_rollback() {
    let (old, new) = (json!({ "DomainPrefix": "first" }), json!({ "DomainPrefix": "second" }));
    let account = || async {
        let stack = create();
        let created = stack.create(&old).await;
        let update = event("Update", &stack, Some(created.physical_id()), &new, Some(&old));
        stack.world().calls.clear();
        (stack, update)
    };
    let (stack, update) = account().await;
    assert!(stack.send(&update).await.succeeded());
    let call = stack.world().calls.iter().position(|call| call.operation == "CreateUserPoolDomain").unwrap();

    // Refused outright, and taken by somebody else between the look and the call.
    let (stack, update) = account().await;
    let refused = stack.send_with(&update, [(call, Fault::Before)]).await;
    let (raced, update) = account().await;
    let world = std::sync::Arc::clone(&raced.world);
    let taken = Fault::Meanwhile(std::sync::Arc::new(move || {
        world.lock().unwrap().add_foreign_pool("theirs", "second-dev");
        Box::pin(async {})
    }));
    let lost = raced.send_with(&update, [(call, taken)]).await;
    for (stack, answer) in [(stack, refused), (raced, lost)] {
        assert!(!answer.succeeded());
        assert!(
            answer.reason().contains("second-dev") && answer.reason().contains("first-dev is back"),
            "{}",
            answer.reason()
        );
        let world = stack.world();
        let pool = &world.pools[&answer.physical_id().into()];
        assert_eq!(pool.domain.as_ref().map(|held| held.domain.prefix.as_str()), Some("first-dev"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_takes_its_time_to_go_is_waited_for() {
    let stack = create();
    stack.world().domain_lingers = Duration::from_secs(20);
    let (old, new) = (json!({ "DomainPrefix": "first" }), json!({ "DomainPrefix": "second" }));
    let created = stack.create(&old).await;
    let updated = stack.update(created.physical_id(), &new, &old).await;
    assert!(updated.succeeded(), "{}", updated.reason());
    assert_is(&stack, &new);
    let deleted = stack.delete(created.physical_id(), &new).await;
    assert!(deleted.succeeded(), "{}", deleted.reason());
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_by_hand_is_put_right_and_what_was_added_is_removed() {
    let stack = create();
    let created = stack.create(&large()).await;
    {
        let mut world = stack.world();
        let pool = world.pools.values_mut().next().unwrap();
        pool.m2m_only = false;
        pool.state.tags.remove("Team");
        let first = pool.clients.keys().next().unwrap().clone();
        let mut by_hand = pool.clients[&first].clone();
        by_hand.client.name = "by-hand".into();
        pool.clients.insert("by-hand-id".into(), by_hand);
        pool.clients.get_mut(&first).unwrap().m2m_only = false;
        pool.servers.remove("stock");
    }
    let updated = stack.update(created.physical_id(), &large(), &large()).await;
    assert!(updated.succeeded(), "{}", updated.reason());
    assert_is(&stack, &large());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_deleted_by_hand_comes_back_with_the_same_credentials() {
    for gone in [true, false] {
        let stack = create();
        let created = stack.create(&json!({})).await;
        let name = SecretName::from("machine-to-machine-dev/machine-to-machine-dev-client");
        if gone {
            stack.world().secrets.remove(&name);
        } else {
            stack.world().secrets.get_mut(&name).unwrap().scheduled = true;
        }
        let updated = stack.update(created.physical_id(), &json!({}), &json!({})).await;
        assert!(updated.succeeded(), "{}", updated.reason());
        assert_eq!(updated.attribute("ClientId"), created.attribute("ClientId"));
        assert_is(&stack, &json!({}));
    }
}

#[tokio::test(start_paused = true)]
async fn two_stacks_side_by_side_do_not_see_each_other() {
    let one = create();
    let two = Stack::new(&one.world, "two");
    let (a, b) = (json!({ "EnvironmentName": "a" }), json!({ "EnvironmentName": "b" }));
    let (first, second) = (one.create(&a).await, two.create(&b).await);
    assert!(first.succeeded() && second.succeeded());
    assert_is(&one, &a);
    assert_is(&two, &b);
    assert!(one.delete(first.physical_id(), &a).await.succeeded());
    assert_nothing_left(&one);
    assert_is(&two, &b);
}

#[tokio::test(start_paused = true)]
async fn a_late_second_delivery_of_a_delete_spares_the_resource_that_came_after() {
    let stack = create();
    let first = stack.create(&json!({})).await;
    assert!(stack.delete(first.physical_id(), &json!({})).await.succeeded());
    // The same logical id, added to the same stack again.
    let second = stack.create(&json!({})).await;
    assert!(second.succeeded(), "{}", second.reason());
    assert_ne!(second.physical_id(), first.physical_id());
    assert!(stack.delete(first.physical_id(), &json!({})).await.succeeded());
    assert_is(&stack, &json!({}));
}
