//! The custom domain beside the prefix domain, and which of them the clients use.

use std::time::Duration;

use cognito_m2m::model::{CustomDomain, PoolId, ResourceType, SecretId};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    rotation::{STEPS, begin, step},
    support::{
        FakeCustomDomain, Fault, Session, Stack, TokenEndpointState, assert_is, assert_no_complaints,
        assert_nothing_left,
        cloudformation::assert_pool_is,
        fixtures::{CERTIFICATE, DEFAULT_SECRET, custom_domain, large, member_client, platform, with},
        new_stack,
    },
};

const HOST: &str = "auth.example.com";
const PREFIX_ENDPOINT: &str = "https://m2m-rubicon-dev.auth.us-east-1.amazoncognito.com/oauth2/token";
const CUSTOM_ENDPOINT: &str = "https://auth.example.com/oauth2/token";
const OTHER_CERTIFICATE: &str = "arn:aws:acm:us-east-1:111122223333:certificate/99999999-2222-3333-4444-555555555555";

/// The default properties with a custom domain.
fn beside() -> Value {
    json!({ "CustomDomain": custom_domain(HOST) })
}

/// [`beside`], and the clients use the custom domain.
fn in_use() -> Value {
    with(beside(), "TokenEndpointDomain", "CUSTOM")
}

/// A stack in an account that can have custom domains. Its consumers ask for tokens all the time.
fn account() -> Stack {
    let stack = new_stack();
    let mut world = stack.world();
    world.allow_custom_domains();
    world.behavior.domain_dns = true;
    world.consumers.at_work = true;
    world.consumers.ask_for_tokens = true;
    drop(world);
    stack
}

/// A stack with these properties and its DNS record. Nothing of it is new any more.
async fn made(properties: &Value) -> (Stack, String) {
    let stack = account();
    stack.world().consumers.ask_for_tokens = false;
    let created = stack.create(properties).await.good();
    tokio::time::advance(Duration::from_mins(10)).await;
    let mut world = stack.world();
    world.add_alias_records();
    world.consumers.ask_for_tokens = true;
    world.calls.clear();
    world.custom_hosts_looked_up.clear();
    drop(world);
    (stack, created.physical_id().to_owned())
}

fn endpoint_in_secret(stack: &Stack) -> String {
    stack.world().document(&DEFAULT_SECRET.into()).metadata.token_endpoint.clone()
}

/// Sends an event that must fail before any write.
async fn refused(stack: &Stack, event: &Value, text: &str) -> String {
    stack.world().calls.clear();
    let reason = stack.send(event).await.failed(text);
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
    reason
}

fn looked_up(stack: &Stack) -> usize {
    stack.world().custom_hosts_looked_up.len()
}

fn status(stack: &Stack, pool: &str, status: &'static str) {
    let mut world = stack.world();
    world.pools.get_mut(&PoolId::from(pool)).unwrap().custom_domain.as_mut().unwrap().status = status;
}

#[tokio::test(start_paused = true)]
async fn a_custom_domain_is_made_beside_the_prefix_domain_and_clients_stay_where_they_are() {
    let stack = account();
    let start = Instant::now();
    let created = stack.create(&beside()).await.good();
    assert!(start.elapsed() < Duration::from_secs(25), "nothing waits for DNS: {:?}", start.elapsed());
    assert_is(&stack, &beside());
    let target = stack.world().pools.values().next().unwrap().custom_domain.as_ref().unwrap().target.clone();
    assert_eq!(created.attribute("CustomDomain"), HOST);
    assert_eq!(created.attribute("CustomDomainTarget"), target);
    assert_eq!(created.attribute("Domain"), "m2m-rubicon-dev.auth.us-east-1.amazoncognito.com");
    assert_eq!(created.attribute("TokenEndpoint"), PREFIX_ENDPOINT);
    assert_eq!(endpoint_in_secret(&stack), PREFIX_ENDPOINT);
    assert_eq!(created.attribute("TokenVerification"), "verified");
    assert_eq!(looked_up(&stack), 0, "its name does not exist yet");

    let writes = stack.world().writes().len();
    let again = stack.update(created.physical_id(), &beside(), &beside()).await.good();
    assert_eq!(stack.world().writes().len(), writes, "nothing changes");
    assert_eq!(again.attribute("CustomDomainTarget"), target);
}

#[tokio::test(start_paused = true)]
async fn without_a_custom_domain_there_are_no_attributes_of_one() {
    let stack = new_stack();
    let created = stack.create(&json!({})).await.good();
    let keys: Vec<_> = created.data().as_object().unwrap().keys().filter(|key| key.starts_with("Custom")).collect();
    assert_eq!(keys, Vec::<&String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_create_may_use_the_custom_domain_at_once_and_is_verified_at_the_prefix_domain() {
    let (stack, id) = made(&in_use()).await;
    assert_is(&stack, &in_use());
    assert_eq!(endpoint_in_secret(&stack), CUSTOM_ENDPOINT);
    let same = stack.update(&id, &in_use(), &in_use()).await.good();
    assert_eq!(same.attribute("Domain"), HOST);
    assert_eq!(same.attribute("TokenEndpoint"), CUSTOM_ENDPOINT);
    let wider = with(in_use(), "Clients", json!([{ "ClientName": "new" }]));
    let updated = stack.update(&id, &wider, &in_use()).await.good();
    assert_eq!(updated.attribute("TokenVerification"), "verified");
    assert_is(&stack, &wider);
    assert_eq!(looked_up(&stack), 0);
}

#[tokio::test(start_paused = true)]
async fn certificate_policy_and_login_version_change_in_place_and_one_keeps_the_others() {
    let (stack, id) = made(&in_use()).await;
    stack.world().certificates.insert(OTHER_CERTIFICATE.to_owned());
    let target = stack.world().pools[&PoolId::from(&*id)].custom_domain.clone().unwrap().target;
    let with_custom = |key: &str, value: &str| {
        let mut properties = in_use();
        properties["CustomDomain"][key] = json!(value);
        properties
    };
    let strict = with_custom("SecurityPolicy", "TLS_V1_3_2025");
    let mut renewed = strict.clone();
    renewed["CustomDomain"]["CertificateArn"] = json!(OTHER_CERTIFICATE);
    let classic = with(renewed.clone(), "ManagedLoginVersion", 1);
    let mut old = in_use();
    for new in [strict, renewed, classic, in_use()] {
        stack.world().calls.clear();
        let updated = stack.update(&id, &new, &old).await.good();
        assert_is(&stack, &new);
        let domains = stack.world().writes();
        let domains: Vec<_> = domains.into_iter().filter(|write| write.contains("Domain")).collect();
        assert!(!domains.is_empty() && domains.iter().all(|write| *write == "UpdateUserPoolDomain"), "{domains:?}");
        assert_eq!(updated.attribute("CustomDomainTarget"), target, "DNS need not change");
        old = new;
    }
    assert_no_complaints(&stack);
}

#[tokio::test(start_paused = true)]
async fn the_lesser_tier_works_with_two_domains_and_while_one_of_them_comes_goes_or_moves() {
    let lite = |properties: Value| with(with(properties, "UserPoolTier", "LITE"), "ManagedLoginVersion", 1);
    let moved = json!({ "CustomDomain": custom_domain("id.example.com") });
    for (one, other) in [
        (beside(), lite(beside())),
        (beside(), lite(json!({}))),
        (beside(), lite(moved.clone())),
        (json!({}), lite(beside())),
        (lite(beside()), json!({})),
        (lite(moved), beside()),
    ] {
        let (stack, id) = made(&one).await;
        stack.update(&id, &other, &one).await.good_at(&other);
        assert_is(&stack, &other);
        stack.update(&id, &one, &other).await.good_at(&one);
        assert_is(&stack, &one);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_name_replaces_the_domain_without_a_check_because_dns_cannot_know_it() {
    let moved = with(in_use(), "CustomDomain", custom_domain("id.example.com"));
    let (stack, id) = made(&in_use()).await;
    stack.world().consumers.ask_for_tokens = false;
    let updated = stack.update(&id, &moved, &in_use()).await.good();
    assert_is(&stack, &moved);
    assert_eq!(updated.attribute("Domain"), "id.example.com");
    let target = stack.world().pools[&PoolId::from(&*id)].custom_domain.clone().unwrap().target;
    assert_eq!(updated.attribute("CustomDomainTarget"), target, "the new distribution");
    assert_eq!(looked_up(&stack), 0);
}

#[tokio::test(start_paused = true)]
async fn the_old_domain_comes_back_if_the_new_one_cannot_be_made() {
    for lingers in [0, 20] {
        for old in [beside(), in_use()] {
            let moved = with(old.clone(), "CustomDomain", custom_domain("auth.without-a-record.org"));
            let (stack, id) = made(&old).await;
            stack.world().behavior.domain_lingers = Duration::from_secs(lingers);
            stack.world().consumers.ask_for_tokens = false;
            let failed = stack.update(&id, &moved, &old).await;
            failed.failed("Was not able to resolve a DNS A record for the parent domain");
            failed.failed("the old domain auth.example.com is back");
            let present = stack.world().pools[&PoolId::from(&*id)].custom_domain.clone();
            assert_eq!(present.map(|held| held.domain.name).as_deref(), Some(HOST));
            stack.update(&id, &old, &moved).await.good();
            assert_is(&stack, &old);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_cognito_is_still_updating_is_waited_for() {
    let mut renewed = beside();
    renewed["CustomDomain"]["CertificateArn"] = json!(OTHER_CERTIFICATE);
    let moved = json!({ "CustomDomain": custom_domain("id.example.com") });
    for new in [renewed, moved, json!({})] {
        for (seconds, ends) in [(20, true), (300, false)] {
            let (stack, id) = made(&beside()).await;
            stack.world().certificates.insert(OTHER_CERTIFICATE.to_owned());
            stack.world().consumers.ask_for_tokens = false;
            status(&stack, &id, "UPDATING");
            let end_of_update = async {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                status(&stack, &id, "ACTIVE");
            };
            let event = stack.update_event(&id, &new, &beside());
            let (answer, ()) = tokio::join!(stack.send(&event), end_of_update);
            if ends {
                answer.good();
                assert_is(&stack, &new);
            } else {
                answer.failed("the status of the domain auth.example.com is UPDATING");
                assert_is(&stack, &beside());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_is_no_longer_declared_goes_after_everything_else() {
    let client = "machine-to-machine-dev-client";
    for old in [beside(), in_use()] {
        let old = with(old, "Clients", json!([{ "ClientName": client }, { "ClientName": "stale" }]));
        let (stack, id) = made(&old).await;
        let updated = stack.update(&id, &json!({}), &old).await.good();
        assert_is(&stack, &json!({}));
        // If it went before a step that fails, it would come back under another CloudFront name.
        assert_eq!(stack.world().writes().last(), Some(&"DeleteUserPoolDomain"));
        assert!(updated.data().get("CustomDomain").is_none());
        assert_eq!(updated.attribute("TokenEndpoint"), PREFIX_ENDPOINT);
        assert_no_complaints(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn clients_move_to_the_custom_domain_in_two_deployments_and_back_while_they_get_tokens() {
    let (stack, id) = made(&large()).await;
    let step_one = with(large(), "CustomDomain", custom_domain(HOST));
    let step_two = with(step_one.clone(), "TokenEndpointDomain", "CUSTOM");
    stack.update(&id, &step_one, &large()).await.good();
    assert_is(&stack, &step_one);
    stack.world().add_alias_records();
    let tokens = stack.world().tokens_granted;
    let switched = stack.update(&id, &step_two, &step_one).await.good();
    assert_is(&stack, &step_two);
    assert_eq!(switched.attribute("TokenEndpoint"), CUSTOM_ENDPOINT);
    assert_eq!(stack.world().tokens_granted, tokens + 1, "one token for the check");
    assert_eq!(looked_up(&stack), 1);
    stack.update(&id, &step_one, &step_two).await.good();
    stack.update(&id, &large(), &step_one).await.good();
    assert_is(&stack, &large());
    assert_no_complaints(&stack);
}

#[tokio::test(start_paused = true)]
async fn clients_are_not_sent_to_a_domain_that_gives_no_token() {
    let (stack, id) = made(&beside()).await;
    let target = stack.world().dns.remove(HOST).unwrap();
    let event = stack.update_event(&id, &in_use(), &beside());
    let start = Instant::now();
    let reason = refused(&stack, &event, "The custom domain auth.example.com gives no token yet").await;
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    for part in ["no such host", target.as_str(), "DNS record", "certificate", "Nothing was changed"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert_eq!(endpoint_in_secret(&stack), PREFIX_ENDPOINT);

    // The record leads somewhere else.
    stack.world().dns.insert(HOST.to_owned(), "d0.cloudfront.net".to_owned());
    refused(&stack, &event, "gives no token yet").await;
    stack.world().dns.insert(HOST.to_owned(), target);
    stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    refused(&stack, &event, "invalid_client").await;
    stack.world().behavior.token_endpoint = TokenEndpointState::Works;
    // CloudFormation rolls the failed update back.
    stack.update(&id, &beside(), &in_use()).await.good();
    stack.update(&id, &in_use(), &beside()).await.good();
    assert_is(&stack, &in_use());
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_does_not_stop_the_check_and_the_next_verification_has_its_whole_time() {
    let wider =
        with(in_use(), "Clients", json!([{ "ClientName": "machine-to-machine-dev-client" }, { "ClientName": "b" }]));
    let (prepared, id) = made(&beside()).await;
    let event = prepared.update_event(&id, &wider, &beside());
    let session = Session::new(&prepared.aws);
    prepared.run(&session, &event).await.good();
    let first = prepared.world().calls.iter().position(|call| call.operation == "VerifyToken").unwrap();
    for fault in [Fault::Lost, Fault::Hang] {
        let (stack, id) = made(&beside()).await;
        let event = stack.update_event(&id, &wider, &beside());
        stack.send_with(&event, [(first, fault.clone())]).await.good_at(format!("{fault:?}"));
        assert_is(&stack, &wider);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_work_yet_is_not_even_looked_up() {
    // The domain and the switch in one deployment.
    let (stack, id) = made(&json!({})).await;
    let event = stack.update_event(&id, &in_use(), &json!({}));
    refused(&stack, &event, "Clients cannot use the custom domain auth.example.com yet: the pool does not have").await;
    let (stack, id) = made(&beside()).await;
    let moved = with(in_use(), "CustomDomain", custom_domain("id.example.com"));
    let event = stack.update_event(&id, &moved, &beside());
    refused(&stack, &event, "Clients cannot use the custom domain id.example.com yet").await;
    for unfit in ["CREATING", "FAILED"] {
        status(&stack, &id, unfit);
        let event = stack.update_event(&id, &in_use(), &beside());
        refused(&stack, &event, &format!("its status is {unfit}")).await;
    }
    assert_eq!(looked_up(&stack), 0);
    status(&stack, &id, "UPDATING");
    stack.update(&id, &in_use(), &beside()).await.good();
    assert_is(&stack, &in_use());
}

#[tokio::test(start_paused = true)]
async fn without_verification_clients_are_sent_there_unchecked() {
    let unchecked = |properties: Value| with(properties, "VerifyToken", false);
    let (stack, id) = made(&unchecked(beside())).await;
    stack.world().dns.remove(HOST);
    stack.world().consumers.ask_for_tokens = false;
    stack.update(&id, &unchecked(in_use()), &unchecked(beside())).await.good();
    assert_is(&stack, &unchecked(in_use()));
    assert_eq!(looked_up(&stack), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_sends_clients_back_to_a_custom_domain_that_has_ceased_to_work() {
    let taken = with(beside(), "SecretNamePrefix", "taken");
    for new in [taken, json!({ "SecretNamePrefix": "taken" })] {
        let (stack, id) = made(&in_use()).await;
        stack.world().consumers.ask_for_tokens = false;
        // The update sends the clients to the prefix domain, and then something in its stack fails.
        stack.update(&id, &new, &in_use()).await.good();
        stack.world().dns.remove(HOST);
        stack.update(&id, &in_use(), &new).await.good();
        assert_is(&stack, &in_use());
    }
}

#[tokio::test(start_paused = true)]
async fn every_redelivery_of_a_move_ends_the_same() {
    let moved = with(in_use(), "CustomDomain", custom_domain("id.example.com"));
    let gone = json!({});
    for (old, new) in
        [(json!({}), beside()), (beside(), in_use()), (in_use(), moved), (in_use(), gone), (json!({}), in_use())]
    {
        let is_create = new == in_use() && old == json!({});
        let mut k = 0;
        loop {
            let (stack, event) = if is_create {
                let stack = account();
                stack.world().consumers.ask_for_tokens = false;
                let event = stack.create_event(&new);
                (stack, event)
            } else {
                let (stack, id) = made(&old).await;
                stack.world().consumers.ask_for_tokens = false;
                let event = stack.update_event(&id, &new, &old);
                (stack, event)
            };
            let session = Session::with_faults(&stack.aws, [(k, Fault::CrashAfter)]);
            let Some(response) = stack.invoke(&session, &event).await else {
                tokio::time::advance(Duration::from_mins(1)).await;
                stack.send(&event).await.good_at(format!("{new}: killed after call {k}"));
                assert_is(&stack, &new);
                k += 1;
                continue;
            };
            response.good();
            break;
        }
        assert!(k > 8, "{k} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_removes_both_domains_and_waits_for_one_that_lingers() {
    for lingers in [0, 30] {
        let (stack, id) = made(&in_use()).await;
        stack.world().behavior.domain_lingers = Duration::from_secs(lingers);
        stack.world().consumers.ask_for_tokens = false;
        stack.delete(&id, &in_use()).await.good();
        assert_nothing_left(&stack);
        let domains = stack.world().writes().iter().filter(|write| **write == "DeleteUserPoolDomain").count();
        assert!(domains >= 2, "{domains}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_leaves_no_custom_domain() {
    let stack = account();
    let wrong = json!({ "CustomDomain": { "DomainName": HOST, "CertificateArn": OTHER_CERTIFICATE } });
    let failed = stack.create(&wrong).await;
    failed.failed("The specified SSL certificate doesn't exist");
    stack.delete(failed.physical_id(), &wrong).await.good();
    assert_nothing_left(&stack);
    stack.create(&beside()).await.good();
    assert_is(&stack, &beside());
}

#[tokio::test(start_paused = true)]
async fn a_custom_domain_of_another_pool_is_refused_and_a_fifth_one_is_over_the_quota() {
    let (stack, id) = made(&beside()).await;
    let other = Stack::new(&stack.aws, "other");
    let taken = with(beside(), "EnvironmentName", "other");
    let reason =
        refused(&other, &other.create_event(&taken), "The custom domain auth.example.com already belongs").await;
    assert!(reason.contains(&id), "{reason}");
    for (number, ok) in [(1, true), (2, true), (3, true), (4, false)] {
        let other = Stack::new(&stack.aws, &format!("other-{number}"));
        let custom = with(
            json!({ "CustomDomain": custom_domain(&format!("auth{number}.example.com")) }),
            "EnvironmentName",
            format!("other-{number}"),
        );
        let created = other.create(&custom).await;
        if ok { drop(created.good()) } else { drop(created.failed("LimitExceededException")) }
    }
}

/// [`made`] with a pool that the stack of a team has added a client to. Returns the team's stack and client too.
async fn shared(properties: &Value) -> (Stack, String, Stack, String) {
    let (stack, id) = made(&with(properties.clone(), "SharedWithStacks", json!(["team-"]))).await;
    let team = Stack::of_type(ResourceType::CognitoM2MClient, &stack.aws, "team-a");
    let client = team.create(&member(&id, "PREFIX")).await.good().physical_id().to_owned();
    (stack, id, team, client)
}

/// A client that a team adds to the stack's pool.
fn member(pool: &str, domain: &str) -> Value {
    json!({
        "UserPoolId": pool, "ClientName": "orders", "AllowedOAuthScopes": ["m2m-client/read"],
        "TokenEndpointDomain": domain,
    })
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_others_use_may_get_a_custom_domain_and_keeps_it() {
    let share = |properties: Value| with(properties, "SharedWithStacks", json!(["team-"]));
    let (stack, id, team, client) = shared(&json!({})).await;
    let (without, with_domain) = (share(json!({})), share(beside()));
    stack.update(&id, &with_domain, &without).await.good();
    let moved = share(json!({ "CustomDomain": custom_domain("id.example.com") }));
    for other in [&without, &moved] {
        let event = stack.update_event(&id, &with(other.clone(), "ProjectTag", "x"), &with_domain);
        let reason = refused(&stack, &event, "A change of the domain would break it").await;
        assert!(reason.contains("client orders") && reason.contains("team-a"), "{reason}");
    }
    // A new certificate moves nothing.
    stack.world().certificates.insert(OTHER_CERTIFICATE.to_owned());
    let mut renewed = with_domain.clone();
    renewed["CustomDomain"]["CertificateArn"] = json!(OTHER_CERTIFICATE);
    stack.update(&id, &renewed, &with_domain).await.good();
    team.delete(&client, &member(&id, "PREFIX")).await.good();
    stack.update(&id, &without, &renewed).await.good();
    assert_is(&stack, &without);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_keeps_a_custom_domain_that_others_may_have_begun_to_use() {
    let share = |properties: Value| with(properties, "SharedWithStacks", json!(["team-"]));
    let (stack, id, ..) = shared(&json!({})).await;
    let (old, new) = (share(json!({})), share(beside()));
    stack.update(&id, &new, &old).await.good();
    stack.update(&id, &old, &new).await.good();
    let kept = stack.world().pools[&PoolId::from(&*id)].custom_domain.is_some();
    assert!(kept);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_another_stack_chooses_the_domain_and_is_checked_before_the_switch() {
    let (stack, id, team, client) = shared(&beside()).await;
    let secret = SecretId::from("team-a/orders");
    let endpoint = || team.world().document(&secret).metadata.token_endpoint.clone();
    assert_eq!(endpoint(), PREFIX_ENDPOINT);
    let (prefix, custom) = (member(&id, "PREFIX"), member(&id, "CUSTOM"));
    let target = team.world().dns.remove(HOST).unwrap();
    refused(&team, &team.update_event(&client, &custom, &prefix), "gives no token yet").await;
    assert_eq!(endpoint(), PREFIX_ENDPOINT);
    team.world().dns.insert(HOST.to_owned(), target);
    let updated = team.update(&client, &custom, &prefix).await.good();
    assert_eq!(updated.attribute("TokenEndpoint"), CUSTOM_ENDPOINT);
    assert_eq!(endpoint(), CUSTOM_ENDPOINT);
    assert_is(&team, &custom);
    assert_no_complaints(&stack);
}

#[tokio::test(start_paused = true)]
async fn a_client_uses_the_only_domain_of_its_pool_whatever_it_chooses() {
    for choice in ["PREFIX", "CUSTOM"] {
        let aws = account().aws;
        let pool = platform(&aws, "team-");
        let stack = Stack::of_type(ResourceType::CognitoM2MClient, &aws, "team-a");
        let properties = with(member_client(&pool), "TokenEndpointDomain", choice);
        let created = stack.create(&properties).await.good();
        let prefix = "https://platform.auth.us-east-1.amazoncognito.com/oauth2/token";
        assert_eq!(created.attribute("TokenEndpoint"), prefix, "a prefix domain only");

        // Another tool replaces it by a custom domain.
        replace_the_domain_of(&stack, &pool);
        let changed = with(properties.clone(), "AccessTokenValidityMinutes", 5);
        let updated = stack.update(created.physical_id(), &changed, &properties).await.good();
        assert_eq!(updated.attribute("TokenEndpoint"), CUSTOM_ENDPOINT, "a custom domain only");
        assert_eq!(updated.attribute("TokenVerification"), "verified", "there is no other place");
        assert_is(&stack, &changed);
    }
}

/// Gives somebody else's pool a custom domain instead of its prefix domain.
fn replace_the_domain_of(stack: &Stack, pool: &PoolId) {
    let mut world = stack.world();
    world.consumers.ask_for_tokens = false;
    let held = world.pools.get_mut(pool).unwrap();
    held.domain = None;
    held.custom_domain = Some(FakeCustomDomain {
        domain: CustomDomain {
            name: HOST.to_owned(),
            managed_login_version: 1,
            certificate_arn: CERTIFICATE.to_owned(),
            security_policy: None,
        },
        target: "d9.cloudfront.net".to_owned(),
        status: "ACTIVE",
        gone_at: None,
    });
    world.add_alias_records();
}

#[tokio::test(start_paused = true)]
async fn a_rotation_gets_its_tokens_at_the_prefix_domain_and_asks_for_it_only_then() {
    for (properties, asks) in
        [(large(), 0), (with(with(large(), "CustomDomain", custom_domain(HOST)), "TokenEndpointDomain", "CUSTOM"), 2)]
    {
        let (stack, _) = made(&properties).await;
        stack.world().dns.remove(HOST);
        stack.world().consumers.ask_for_tokens = false;
        begin(&stack, "web", "token");
        let session = Session::new(&stack.aws);
        for name in STEPS {
            step(&stack, &session, "web", name, "token").await.unwrap().unwrap();
        }
        let world = stack.world();
        let asked = world.calls.iter().filter(|call| call.operation == "DescribeUserPool").count();
        assert_eq!(asked, asks, "in setSecret and in testSecret");
        assert_eq!(world.custom_hosts_looked_up, Vec::<String>::new());
        let current = world.document(&SecretId::from("machine-to-machine-prod/web"));
        let expected = if asks == 0 {
            "https://orders-prod.auth.us-east-1.amazoncognito.com/oauth2/token"
        } else {
            CUSTOM_ENDPOINT
        };
        assert_eq!(current.metadata.token_endpoint, expected, "the secret goes on naming what consumers use");
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_under_the_custom_domain_rotates_without_it() {
    let properties = with(in_use(), "RotationDays", 30);
    let (stack, id) = made(&properties).await;
    stack.world().dns.remove(HOST);
    stack.world().consumers.ask_for_tokens = false;
    let rotated = with(properties.clone(), "RotateSecrets", "now");
    stack.update(&id, &rotated, &properties).await.good();
    assert_is(&stack, &rotated);
    assert_eq!(endpoint_in_secret(&stack), CUSTOM_ENDPOINT);
    assert_eq!(looked_up(&stack), 0);
}

#[tokio::test(start_paused = true)]
async fn a_late_event_answers_with_the_domain_that_is_there_and_that_clients_use() {
    let (stack, id) = made(&beside()).await;
    let late = stack.update_event(&id, &with(beside(), "ProjectTag", "x"), &beside());
    stack.send(&late).await.good();
    stack.update(&id, &in_use(), &with(beside(), "ProjectTag", "x")).await.good();
    stack.world().calls.clear();
    let answer = stack.send(&late).await.good();
    assert_eq!(stack.world().writes(), Vec::<&str>::new());
    assert_eq!(answer.attribute("TokenEndpoint"), CUSTOM_ENDPOINT);
    assert_eq!(answer.attribute("Domain"), HOST);
    assert!(answer.attribute("CustomDomainTarget").ends_with(".cloudfront.net"));
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_was_removed_by_hand_comes_back_with_the_next_update() {
    let (stack, id) = made(&beside()).await;
    stack.world().pools.get_mut(&PoolId::from(&*id)).unwrap().custom_domain = None;
    stack.update(&id, &beside(), &beside()).await.good();
    let world = stack.world();
    assert_pool_is(&world.pools[&PoolId::from(&*id)], &stack.desired(&beside()));
}
