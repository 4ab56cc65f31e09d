//! Create, Update and Delete as a user sees them.

use std::time::Duration;

use cognito_m2m::{
    model::{Owner, SecretId, Tags},
    redact::Secret,
};
use serde_json::{Value, json};

use crate::support::{
    CfnResponse, Fault, Stack, TokenEndpointState, assert_is, assert_no_complaints, assert_nothing_left,
    fixtures::{DEFAULT_SECRET, INVENTED_ID, LARGE_CLIENTS, large, large_changed},
    new_stack,
};

#[tokio::test(start_paused = true)]
async fn the_defaults_make_a_whole_stack() {
    let stack = new_stack();
    let answer = stack.create(&json!({})).await.good();
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
    assert_eq!(
        answer.attribute("DiscoveryUrl"),
        format!("https://cognito-idp.us-east-1.amazonaws.com/{pool}/.well-known/openid-configuration")
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
    let stack = new_stack();
    let answer = stack.create(&large()).await.good();
    assert_is(&stack, &large());
    let ids = LARGE_CLIENTS.map(|name| answer.attribute(&format!("ClientId.{name}")).to_owned());
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
        let stack = new_stack();
        let created = stack.create(&properties).await;
        let writes = stack.world().writes().len();
        let tokens = stack.world().tokens_granted;
        let updated = stack.update(created.physical_id(), &properties, &properties).await.good();
        assert_eq!(stack.world().writes()[writes..], Vec::<&str>::new());
        assert_eq!(stack.world().tokens_granted, tokens);
        assert_eq!(updated.attribute("TokenVerification"), "skipped");
        let keys = |response: &CfnResponse| response.data().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&updated), keys(&created), "the same attributes");
        for key in ["UserPoolId", "ClientId", "ClientSecretArn", "ClientIds", "Domain"] {
            assert_eq!(updated.attribute(key), created.attribute(key));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_changed_in_place_and_back_again() {
    let stack = new_stack();
    let created = stack.create(&large()).await;
    let web = created.attribute("ClientId.web").to_owned();
    let secret_in = |name: &str| -> Secret<String> { stack.world().document(&name.into()).client_secret.clone() };
    let secret = secret_in("machine-to-machine-prod/web");

    let updated = stack.update(created.physical_id(), &large_changed(), &large()).await.good();
    assert_eq!(updated.physical_id(), created.physical_id());
    assert_eq!(updated.attribute("ClientId.web"), web, "a client is known by its name");
    assert_is(&stack, &large_changed());
    assert!(secret_in("shop/secrets/web") == secret, "the secret with the new name has the same credentials");
    assert_eq!(updated.attribute("TokenVerification"), "verified");

    stack.update(created.physical_id(), &large(), &large_changed()).await.good();
    assert_is(&stack, &large());
    assert!(secret_in("machine-to-machine-prod/web") == secret);
}

#[tokio::test(start_paused = true)]
async fn a_scope_set_is_widened_first_and_narrowed_last() {
    let stack = new_stack();
    let created = stack.create(&large()).await;
    for client in ["web", "batch"] {
        stack.world().consumers.needed_scopes.insert(client.into(), ["orders/read".to_owned()].into());
    }
    stack.update(created.physical_id(), &large_changed(), &large()).await.good();
    assert_no_complaints(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_server_full_of_other_scopes_can_be_refilled() {
    /// As many servers, and as many scopes of one, as Cognito allows. For two letters only the server
    /// `kept` and its scope `shared` are the same.
    fn full(letter: &str) -> Value {
        let scope = |name: String| json!({ "ScopeName": name });
        let scopes: Vec<_> =
            (0..99).map(|n| scope(format!("{letter}{n}"))).chain([scope("shared".to_owned())]).collect();
        let others = (1..25).map(|n| json!({ "Identifier": format!("{letter}{n}"), "Scopes": [{ "ScopeName": "x" }] }));
        let servers: Vec<_> = [json!({ "Identifier": "kept", "Scopes": scopes })].into_iter().chain(others).collect();
        let clients = json!([{ "ClientName": "one", "AllowedOAuthScopes": ["kept/shared"] }]);
        json!({ "ResourceServers": servers, "Clients": clients })
    }
    let (old, new) = (full("a"), full("b"));
    let stack = new_stack();
    let created = stack.create(&old).await.good();
    stack.world().consumers.needed_scopes.insert("one".into(), ["kept/shared".to_owned()].into());
    stack.update(created.physical_id(), &new, &old).await.good();
    assert_is(&stack, &new);
}

#[tokio::test(start_paused = true)]
async fn the_lesser_tier_and_managed_login_change_places_in_the_order_that_works() {
    let plain = json!({});
    let lite = json!({ "UserPoolTier": "LITE", "ManagedLoginVersion": "1" });
    let stack = new_stack();
    let created = stack.create(&plain).await;
    for (new, old) in [(&lite, &plain), (&plain, &lite)] {
        stack.update(created.physical_id(), new, old).await.good();
        assert_is(&stack, new);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_leaves_nothing() {
    let stack = new_stack();
    let created = stack.create(&large()).await;
    let deleted = stack.delete(created.physical_id(), &large()).await.good();
    assert_eq!(deleted.physical_id(), created.physical_id());
    assert_nothing_left(&stack);
    assert!(stack.world().secrets.values().all(|secret| secret.scheduled), "with the recovery window");
    let order: Vec<_> = stack.world().writes().into_iter().filter(|write| write.starts_with("Delete")).collect();
    assert_eq!(order, ["DeleteSecret", "DeleteSecret", "DeleteSecret", "DeleteUserPoolDomain", "DeleteUserPool"]);

    stack.delete(created.physical_id(), &large()).await.good_at("a second time, when all is gone");
}

#[tokio::test(start_paused = true)]
async fn a_window_of_zero_deletes_the_secrets_at_once() {
    let stack = new_stack();
    let properties = json!({ "SecretRecoveryWindowInDays": 0 });
    let created = stack.create(&properties).await;
    stack.delete(created.physical_id(), &properties).await.good();
    assert!(stack.world().secrets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delete_of_what_was_never_made_succeeds() {
    let stack = new_stack();
    for id in [INVENTED_ID, "cognito-m2m-failed-M2M-0", "us-east-1_gone"] {
        let answer = stack.delete(id, &json!({})).await.good_at(id);
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
            let stack = new_stack();
            let created = stack.create(&large()).await;
            let id = if id_known { created.physical_id() } else { INVENTED_ID };
            stack.delete(id, &broken).await.good_at(&broken);
            assert_nothing_left(&stack);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn deletion_protection_goes_on_last_and_keeps_everything() {
    let on = json!({ "DeletionProtection": "ACTIVE" });
    let off = json!({ "DeletionProtection": "INACTIVE" });
    let stack = new_stack();
    let created = stack.create(&on).await.good();
    assert_is(&stack, &on);
    assert_eq!(stack.world().writes().last(), Some(&"UpdateUserPool"));

    let writes = stack.world().writes().len();
    let refused = stack.delete(created.physical_id(), &on).await;
    refused.failed("DeletionProtection");
    refused.failed(created.physical_id());
    assert_eq!(stack.world().writes().len(), writes, "nothing was removed");

    stack.update(created.physical_id(), &off, &on).await.good();
    stack.delete(created.physical_id(), &off).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_fails_its_check_can_still_be_deleted_although_it_asked_for_protection() {
    let properties = json!({ "DeletionProtection": "ACTIVE" });
    let stack = new_stack();
    stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    let failed = stack.create(&properties).await;
    failed.failed("invalid_client");
    failed.failed("machine-to-machine-dev-client");
    stack.delete(failed.physical_id(), &properties).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_reached_for_a_minute_is_no_failure() {
    let stack = new_stack();
    stack.world().behavior.token_endpoint = TokenEndpointState::Unreachable;
    let before = tokio::time::Instant::now();
    let answer = stack.create(&json!({})).await.good();
    assert_eq!(answer.attribute("TokenVerification"), "unreachable");
    // The first look-up waits for 20 seconds.
    let took = before.elapsed().saturating_sub(Duration::from_secs(20));
    assert!((Duration::from_secs(50)..Duration::from_secs(70)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_check_can_be_left_out() {
    let stack = new_stack();
    let answer = stack.create(&json!({ "VerifyToken": "false" })).await;
    assert_eq!(answer.attribute("TokenVerification"), "skipped");
    assert_eq!(stack.world().tokens_granted, 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_stack_deployed_again_takes_its_old_secrets_back() {
    let stack = new_stack();
    let first = stack.create(&large()).await;
    stack.delete(first.physical_id(), &large()).await.good();
    let again = Stack::new(&stack.aws, "one-again");
    again.create(&large()).await.good();
    assert_is(&again, &large());
}

/// Secrets of other owners: what they are, their tags, whether they are scheduled for deletion.
fn foreign_secrets(stack: &Stack) -> Vec<(&'static str, Tags, bool)> {
    let other = Owner { stack_id: "arn:another-stack".to_owned(), ..stack.owner() }.tags();
    let half = Owner { logical_id: "Another".to_owned(), ..stack.owner() }.tags();
    vec![
        ("no tags", Tags::new(), false),
        ("no tags, scheduled for deletion", Tags::new(), true),
        ("another stack's", other, false),
        ("another resource's of the same stack", half, false),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_somebody_else_is_named_and_left_alone() {
    let name = SecretId::from(DEFAULT_SECRET);
    for (what, tags, scheduled) in foreign_secrets(&new_stack()) {
        let stack = new_stack();
        stack.world().add_foreign_secret(DEFAULT_SECRET, tags, scheduled);
        let before = stack.world().secrets[&name].clone();
        let answer = stack.create(&json!({})).await;
        answer.failed(DEFAULT_SECRET);
        assert_eq!(stack.world().writes(), Vec::<&str>::new(), "{what}");
        stack.delete(answer.physical_id(), &json!({})).await.good();
        assert_eq!(stack.world().secrets[&name], before, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_of_somebody_else_is_named_and_left_alone() {
    let stack = new_stack();
    let other = stack.world().add_foreign_pool("machine-to-machine-dev", "m2m-rubicon-dev");
    let before = stack.world().pools[&other].clone();
    let answer = stack.create(&json!({})).await;
    answer.failed("m2m-rubicon-dev");
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
    stack.delete(answer.physical_id(), &json!({})).await.good();
    stack.delete(other.as_str(), &json!({})).await.good_at("the id of somebody else's pool");
    assert_eq!(stack.world().pools[&other], before);
}

#[tokio::test(start_paused = true)]
async fn an_update_never_takes_a_pool_over() {
    let stack = new_stack();
    let other = stack.world().add_foreign_pool("machine-to-machine-dev", "another-domain");
    for id in [other.as_str(), "us-east-1_gone", "cognito-m2m-failed-M2M-0"] {
        let answer = stack.update(id, &json!({}), &json!({})).await;
        answer.failed(id);
        assert_eq!(answer.physical_id(), id);
    }
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_new_domain_that_cannot_be_had_gives_the_old_one_back() {
    let stack = new_stack();
    let (old, new) = (json!({ "DomainPrefix": "first" }), json!({ "DomainPrefix": "second" }));
    let created = stack.create(&old).await;
    let pool = created.physical_id().to_owned();

    // Somebody has the domain already, so the Update changes nothing.
    stack.world().add_foreign_pool("x", "second-dev");
    let writes = stack.world().writes().len();
    let refused = stack.update(&pool, &new, &old).await;
    refused.failed("second-dev");
    assert_eq!(stack.world().writes().len(), writes);
    assert_eq!(refused.physical_id(), pool);
    assert_is(&stack, &old);
}

#[tokio::test(start_paused = true)]
async fn a_new_domain_that_is_lost_at_the_last_moment_gives_the_old_one_back_before_any_rollback() {
    let (old, new) = (json!({ "DomainPrefix": "first" }), json!({ "DomainPrefix": "second" }));
    let account = || async {
        let stack = new_stack();
        let created = stack.create(&old).await;
        let update = stack.update_event(created.physical_id(), &new, &old);
        stack.world().calls.clear();
        (stack, update)
    };
    let (stack, update) = account().await;
    stack.send(&update).await.good();
    let call = stack.world().calls.iter().position(|call| call.operation == "CreateUserPoolDomain").unwrap();

    // AWS refuses it, or somebody else takes it between the observation and the call.
    let (stack, update) = account().await;
    let refused = stack.send_with(&update, [(call, Fault::Before)]).await;
    let (raced, update) = account().await;
    let aws = raced.aws.clone();
    let taken = Fault::meanwhile(move || {
        aws.world().add_foreign_pool("theirs", "second-dev");
    });
    let lost = raced.send_with(&update, [(call, taken)]).await;
    for (stack, answer) in [(stack, refused), (raced, lost)] {
        answer.failed("second-dev");
        answer.failed("first-dev is back");
        let world = stack.world();
        let pool = &world.pools[&answer.physical_id().into()];
        assert_eq!(pool.domain.as_ref().map(|held| held.domain.prefix.as_str()), Some("first-dev"));
    }
}

/// The positions of the calls that create a domain.
fn creations_of_domains(stack: &Stack) -> Vec<usize> {
    let world = stack.world();
    let calls = world.calls.iter().enumerate();
    calls.filter(|(_, call)| call.operation == "CreateUserPoolDomain").map(|(position, _)| position).collect()
}

#[tokio::test(start_paused = true)]
async fn an_old_domain_comes_back_whatever_its_return_meets_unless_somebody_else_has_it() {
    let (old, new) = (json!({ "DomainPrefix": "first" }), json!({ "DomainPrefix": "second" }));
    let account = || async {
        let stack = new_stack();
        let id = stack.create(&old).await.good().physical_id().to_owned();
        let update = stack.update_event(&id, &new, &old);
        stack.world().calls.clear();
        (stack, update)
    };
    let takes = |stack: &Stack, domain: &'static str| {
        let aws = stack.aws.clone();
        Fault::meanwhile(move || {
            aws.world().add_foreign_pool(domain, domain);
        })
    };
    let (stack, update) = account().await;
    stack.send(&update).await.good();
    let to_new = creations_of_domains(&stack)[0];
    let (stack, update) = account().await;
    stack.send_with(&update, [(to_new, Fault::Before)]).await;
    let back = creations_of_domains(&stack)[1];

    for fault in [Fault::Before, Fault::Lost, Fault::Denied, Fault::Quota, Fault::Busy, Fault::Throttled, Fault::Hang] {
        let (stack, update) = account().await;
        let answer = stack.send_with(&update, [(to_new, Fault::Before), (back, fault)]).await;
        answer.failed("the old domain first-dev is back");
        assert_is(&stack, &old);
    }
    for new_is_taken in [true, false] {
        let (stack, update) = account().await;
        let fault = if new_is_taken { takes(&stack, "second-dev") } else { Fault::Before };
        let old_is_taken = takes(&stack, "first-dev");
        let answer = stack.send_with(&update, [(to_new, fault), (to_new + 1, old_is_taken)]).await;
        answer.failed("the old domain first-dev could not be put back: CreateUserPoolDomain");
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_takes_its_time_to_go_is_waited_for() {
    let stack = new_stack();
    stack.world().behavior.domain_lingers = Duration::from_secs(20);
    let (old, new) = (json!({ "DomainPrefix": "first" }), json!({ "DomainPrefix": "second" }));
    let created = stack.create(&old).await;
    stack.update(created.physical_id(), &new, &old).await.good();
    assert_is(&stack, &new);
    stack.delete(created.physical_id(), &new).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_by_hand_is_put_right_and_what_was_added_is_removed() {
    let stack = new_stack();
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
    stack.update(created.physical_id(), &large(), &large()).await.good();
    assert_is(&stack, &large());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_deleted_by_hand_comes_back_with_the_same_credentials() {
    for gone in [true, false] {
        let stack = new_stack();
        let created = stack.create(&json!({})).await;
        let name = SecretId::from(DEFAULT_SECRET);
        if gone {
            stack.world().secrets.remove(&name);
        } else {
            stack.world().secrets.get_mut(&name).unwrap().scheduled = true;
        }
        let updated = stack.update(created.physical_id(), &json!({}), &json!({})).await.good();
        assert_eq!(updated.attribute("ClientId"), created.attribute("ClientId"));
        assert_is(&stack, &json!({}));
    }
}

#[tokio::test(start_paused = true)]
async fn two_stacks_side_by_side_do_not_see_each_other() {
    let one = new_stack();
    let two = Stack::new(&one.aws, "two");
    let (a, b) = (json!({ "EnvironmentName": "a" }), json!({ "EnvironmentName": "b" }));
    let first = one.create(&a).await.good();
    two.create(&b).await.good();
    assert_is(&one, &a);
    assert_is(&two, &b);
    one.delete(first.physical_id(), &a).await.good();
    assert_nothing_left(&one);
    assert_is(&two, &b);
}

#[tokio::test(start_paused = true)]
async fn a_late_second_delivery_of_a_delete_spares_the_resource_that_came_after() {
    let stack = new_stack();
    let first = stack.create(&json!({})).await;
    stack.delete(first.physical_id(), &json!({})).await.good();
    // The resource is added to the same stack again, with the same logical id.
    let second = stack.create(&json!({})).await.good();
    assert_ne!(second.physical_id(), first.physical_id());
    stack.delete(first.physical_id(), &json!({})).await.good();
    assert_is(&stack, &json!({}));
}
