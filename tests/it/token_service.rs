//! `TokenService`: tokens by API, for a pool without a domain, and the switch between the two ways.

use std::{collections::BTreeMap, time::Duration};

use cognito_m2m::{
    model::{AuthFlow, ClientId, ResourceType, SecretId, TokenService},
    ports::{SecretDocument, UNFINISHED, UserPools},
};
use serde_json::{Value, json};

use crate::{
    rotation::{STEPS, assert_rotated, begin, document, name, rotate, step},
    support::{
        Fault, Session, Stack, TokenEndpointState, assert_is, assert_no_complaints, assert_nothing_left,
        fixtures::{DEFAULT_SECRET, LARGE_CLIENTS, custom_domain, domain, large, large_by_api, member_client, with},
        new_stack,
    },
};

const API: &str = "https://cognito-idp.us-east-1.amazonaws.com/";

fn by_api() -> Value {
    json!({ "TokenService": "API" })
}

/// A stack in an account where names and flows are known late. Its consumers never stop asking for tokens, in the
/// way that their secret says.
async fn made(properties: &Value) -> (Stack, String) {
    let stack = new_stack();
    {
        let mut world = stack.world();
        world.behavior.domain_dns = true;
        world.behavior.flow_lags = Duration::from_secs(5);
        world.consumers.at_work = true;
        world.consumers.ask_as_told = true;
    }
    let id = stack.create(properties).await.good().physical_id().to_owned();
    tokio::time::advance(Duration::from_mins(10)).await;
    stack.world().calls.clear();
    (stack, id)
}

/// Both directions of a switch.
fn switches() -> [(Value, Value); 2] {
    [(large(), large_by_api()), (large_by_api(), large())]
}

fn documents(stack: &Stack) -> [SecretDocument; 3] {
    LARGE_CLIENTS.map(|client| document(stack, client))
}

#[tokio::test(start_paused = true)]
async fn a_pool_by_api_has_no_domain_and_nobody_waits_for_dns() {
    let stack = new_stack();
    stack.world().behavior.domain_dns = true;
    let before = tokio::time::Instant::now();
    let created = stack.create(&by_api()).await.good();
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    assert_is(&stack, &by_api());
    assert!(!stack.world().calls.iter().any(|call| call.operation.contains("Domain")), "no call is about a domain");

    assert_eq!(created.attribute("TokenEndpoint"), API);
    assert_eq!(created.attribute("TokenVerification"), "verified");
    assert!(created.data().get("Domain").is_none());
    let world = stack.world();
    let metadata = &world.document(&SecretId::from(DEFAULT_SECRET)).metadata;
    assert_eq!((metadata.token_service, metadata.token_endpoint.as_str()), (TokenService::GetClientToken, API));
}

#[tokio::test(start_paused = true)]
async fn an_update_by_api_that_changes_nothing_writes_nothing_and_a_delete_leaves_nothing() {
    for properties in [by_api(), large_by_api(), json!({ "TokenService": "API", "UserPoolTier": "LITE" })] {
        let (stack, id) = made(&properties).await;
        let tokens = stack.world().tokens_granted;
        let updated = stack.update(&id, &properties, &properties).await.good();
        assert_eq!(stack.world().writes(), Vec::<&str>::new());
        assert_eq!(stack.world().tokens_granted, tokens);
        assert_eq!(updated.attribute("TokenVerification"), "skipped");
        assert!(updated.data().get("Domain").is_none());
        stack.delete(&id, &properties).await.good();
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_switch_keeps_ids_and_secrets_and_cuts_the_old_way_off_last() {
    let last = [vec!["DeleteUserPoolDomain"], vec!["UpdateUserPoolClient"; 3]];
    for ((old, new), last) in switches().into_iter().zip(last) {
        let (stack, id) = made(&old).await;
        let before = documents(&stack);
        let updated = stack.update(&id, &new, &old).await.good();
        assert_eq!(updated.physical_id(), id);
        assert_eq!(updated.attribute("TokenVerification"), "verified");
        assert_eq!(updated.data().get("Domain").is_some(), new == large());
        assert_is(&stack, &new);
        for (before, after) in before.iter().zip(documents(&stack)) {
            assert_eq!(after.client_id, before.client_id);
            assert!(after.client_secret == before.client_secret);
        }
        let calls: Vec<_> = stack.world().calls.iter().map(|call| call.operation).collect();
        let verified = calls.iter().rposition(|call| *call == "VerifyToken").unwrap();
        let written = calls.iter().rposition(|call| *call == "PutSecretValue").unwrap();
        let cut_off = calls.len() - last.len();
        assert_eq!(calls[cut_off..], last, "the end of {calls:?}");
        assert!(verified < cut_off && written < cut_off);

        let writes = stack.world().writes().len();
        stack.update(&id, &new, &new).await.good();
        assert_eq!(stack.world().writes().len(), writes, "nothing is left to do");
    }
}

#[tokio::test(start_paused = true)]
async fn two_deliveries_of_a_create_by_api_end_with_one_pool_call_by_call() {
    for redeployed in [false, true] {
        // One starts later by this many thirds of a call's time.
        for head_start in 0..60_u64 {
            let former = new_stack();
            if redeployed {
                let created = former.create(&large_by_api()).await.good();
                former.delete(created.physical_id(), &large_by_api()).await.good();
            }
            let stack = Stack::new(&former.aws, "stack");
            if !redeployed {
                stack.world().behavior.pool_listing_lags = Duration::from_secs(1);
            }
            let event = stack.create_event(&large_by_api());
            let later = async {
                tokio::time::sleep(Duration::from_millis(head_start * 3)).await;
                stack.send(&event).await
            };
            let (one, two) = futures::future::join(stack.send(&event), later).await;
            assert_eq!(one.good_at(head_start).data(), two.good_at(head_start).data(), "{redeployed} {head_start}");
            assert_is(&stack, &large_by_api());
        }
    }
}

/// Whether the old way still works for the consumers that have read their secret before.
fn old_way_works(stack: &Stack, before: &[SecretDocument; 3]) -> bool {
    let world = stack.world();
    before.iter().all(|document| {
        let pool = &world.pools[&document.metadata.user_pool_id];
        let client = &pool.clients[&document.client_id];
        client.takes(&document.client_secret)
            && match document.metadata.token_service {
                TokenService::OAuth2 => pool.domain.as_ref().is_some_and(|held| held.gone_at.is_none()),
                TokenService::GetClientToken => client.client.auth_flow == AuthFlow::ClientToken,
            }
    })
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_fails_leaves_the_old_way_working_and_can_be_rolled_back() {
    let mut combinations = 0;
    for (old, new) in switches() {
        let (stack, id) = made(&old).await;
        let calls = stack.count_calls(&stack.update_event(&id, &new, &old)).await;
        for k in 0..calls {
            let (stack, id) = made(&old).await;
            let before = documents(&stack);
            let event = stack.update_event(&id, &new, &old);
            let updated = stack.send_with(&event, [(k, Fault::Quota)]).await;
            let place = format!("call {k}: {}", updated.reason());
            let cut_off_one = place.contains("GetClientToken off");
            if !updated.succeeded() {
                // The clients are cut off side by side. One of them fails; the others have succeeded.
                assert!(cut_off_one || old_way_works(&stack, &before), "{place}");
                stack.update(&id, &old, &new).await.good_at(&place);
                assert_is(&stack, &old);
                assert!(old_way_works(&stack, &before), "{place}");
            }
            assert_no_complaints(&stack);
            combinations += 1;
        }
    }
    println!("{combinations} switches that fail");
}

#[tokio::test(start_paused = true)]
async fn a_switch_whose_check_is_refused_cuts_nobody_off() {
    for (old, new) in switches() {
        let (stack, id) = made(&old).await;
        let before = documents(&stack);
        stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
        stack.update(&id, &new, &old).await.failed("invalid_client");
        assert!(old_way_works(&stack, &before));
        stack.world().behavior.token_endpoint = TokenEndpointState::Works;
        stack.update(&id, &old, &new).await.good();
        assert_is(&stack, &old);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flow_that_is_known_late_is_asked_again_for_fifteen_seconds() {
    for (lag, known) in [(14, true), (20, false)] {
        let stack = new_stack();
        stack.world().behavior.flow_lags = Duration::from_secs(lag);
        let created = stack.create(&by_api()).await;
        if known {
            assert_eq!(created.good().attribute("TokenVerification"), "verified");
        } else {
            created.failed("ALLOW_CLIENT_TOKEN_AUTH");
            stack.delete(created.physical_id(), &by_api()).await.good();
            assert_nothing_left(&stack);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_by_api_gives_a_new_secret_and_cuts_nobody_off() {
    let (stack, id) = made(&large_by_api()).await;
    for round in 0..4 {
        let before = document(&stack, "web");
        rotate(&stack, "web", &format!("token-{round}")).await;
        assert_rotated(&stack, "web", &before);
    }
    let rotating = with(large_by_api(), "RotateSecrets", "1");
    let before = documents(&stack);
    stack.update(&id, &rotating, &large_by_api()).await.good();
    assert_is(&stack, &rotating);
    assert!(before.iter().zip(documents(&stack)).all(|(before, after)| after.client_secret != before.client_secret));
    assert_no_complaints(&stack);
}

/// Cognito says nothing about a secret while it does not know the flow, so no secret may be deleted for it.
#[tokio::test(start_paused = true)]
async fn a_rotation_deletes_no_secret_because_the_flow_is_missing() {
    let (stack, _) = made(&large_by_api()).await;
    rotate(&stack, "web", "first").await;
    let current = document(&stack, "web");
    stack.world().behavior.flow_lags = Duration::from_hours(10_000);
    begin(&stack, "web", "second");
    let session = Session::new(&stack.aws);
    step(&stack, &session, "web", "createSecret", "second").await.unwrap().unwrap();
    let error = step(&stack, &session, "web", "setSecret", "second").await.unwrap().unwrap_err().report();
    assert!(error.contains("ALLOW_CLIENT_TOKEN_AUTH") && error.contains("Nothing was changed"), "{error}");
    let world = stack.world();
    let client = &world.pools[&current.metadata.user_pool_id].clients[&current.client_id];
    assert_eq!((client.secrets.len(), client.deleted.len()), (2, 0));
}

/// Switches while a rotation of `web` is under way that has come to its step `steps`, then rotates to the end twice.
/// `former` says whether the client was rotated before, so that Cognito has no room for a third secret.
async fn switch_meets_a_rotation(
    (old, new): (&Value, &Value),
    (steps, former): (usize, bool),
    prepare: impl Fn(&Stack),
    place: &str,
) {
    let (stack, id) = made(old).await;
    if former {
        rotate(&stack, "web", "former").await;
        tokio::time::advance(Duration::from_hours(24)).await;
    }
    begin(&stack, "web", "token");
    let session = Session::new(&stack.aws);
    for name in &STEPS[..steps] {
        step(&stack, &session, "web", name, "token").await.unwrap().unwrap();
    }
    prepare(&stack);
    let switched = stack.update(&id, new, old).await;
    stack.world().behavior.flow_lags = Duration::ZERO;
    if !switched.succeeded() {
        stack.update(&id, new, old).await.good_at(place);
    }
    assert_is(&stack, new);
    live_secret_works(&stack, place);
    // Secrets Manager goes on with the rotation if it can, and begins the next ones.
    tokio::time::advance(Duration::from_hours(24)).await;
    for name in STEPS {
        step(&stack, &session, "web", name, "token").await.unwrap().ok();
        live_secret_works(&stack, place);
    }
    for next in ["next", "after"] {
        tokio::time::advance(Duration::from_hours(24)).await;
        rotate(&stack, "web", next).await;
        live_secret_works(&stack, place);
    }
    assert_is(&stack, new);
}

#[track_caller]
fn live_secret_works(stack: &Stack, place: &str) {
    let current = document(stack, "web");
    let world = stack.world();
    let client = &world.pools[&current.metadata.user_pool_id].clients[&current.client_id];
    assert!(client.takes(&current.client_secret), "{place}: the live secret is deleted");
    assert_eq!(world.consumers.complaints, Vec::<String>::new(), "{place}");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_under_way_across_a_switch_never_loses_the_live_secret() {
    let mut combinations = 0;
    for (old, new) in switches() {
        for rotation_days in [0, 30] {
            let scheduled = |properties: &Value| with(properties.clone(), "RotationDays", rotation_days);
            let (old, new) = (scheduled(&old), scheduled(&new));
            for steps in 0..=STEPS.len() {
                for former in [false, true] {
                    // The new way works at once, late, or so late that the rotation is given up.
                    for lag in [0, 5, 40] {
                        let place = format!("{steps} steps, former {former}, every {rotation_days} days, {lag} s late");
                        let prepare = |stack: &Stack| {
                            stack.world().behavior.flow_lags = Duration::from_secs(lag);
                        };
                        switch_meets_a_rotation((&old, &new), (steps, former), prepare, &place).await;
                        combinations += 1;
                    }
                }
            }
        }
    }
    println!("{combinations} rotations across a switch");
}

/// PutSecretValue ends a rotation whose secret Cognito has already. That secret is then the client's newest one, and
/// AWSCURRENT's is the older one: a rotation that deletes by age would delete the live secret.
#[tokio::test(start_paused = true)]
async fn a_rotation_that_a_switch_has_ended_leaves_a_label_by_which_the_next_one_finds_its_secret() {
    for (old, new) in switches() {
        let (stack, id) = made(&old).await;
        begin(&stack, "web", "token");
        let session = Session::new(&stack.aws);
        for name in &STEPS[..2] {
            step(&stack, &session, "web", name, "token").await.unwrap().unwrap();
        }
        let live = document(&stack, "web");
        stack.update(&id, &new, &old).await.good();
        let client = |stack: &Stack| stack.world().pools[&live.metadata.user_pool_id].clients[&live.client_id].clone();
        assert_eq!(client(&stack).secrets.len(), 2);
        let current = document(&stack, "web");
        assert!(current.client_secret == live.client_secret, "no schedule: the switch has not finished the rotation");
        let world_secret = stack.world().secrets[&name("web")].clone();
        let unfinished = world_secret.staged(UNFINISHED).expect("the label stays").1.document.clone().unwrap();
        assert!(client(&stack).takes(&unfinished.client_secret));

        tokio::time::advance(Duration::from_hours(24)).await;
        rotate(&stack, "web", "next").await;
        let (after, client) = (document(&stack, "web"), client(&stack));
        assert!(client.takes(&after.client_secret) && client.takes(&live.client_secret), "both live ones");
        assert!(!client.takes(&unfinished.client_secret), "the one that nobody uses is gone");
        assert_no_complaints(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_switch_is_refused_while_other_stacks_use_the_pool() {
    for (old, new) in switches() {
        let shared = |properties: Value| with(properties, "SharedWithStacks", json!(["team-"]));
        let (old, new) = (shared(old), shared(new));
        let (stack, id) = made(&old).await;
        let member = Stack::of_type(ResourceType::CognitoM2MClient, &stack.aws, "team-a");
        let properties = with(member_client(&id.as_str().into()), "AllowedOAuthScopes", json!(["stock/read"]));
        let created = member.create(&properties).await.good();
        assert_is(&member, &properties);
        let by_api = old["TokenService"] == "API";
        assert_eq!(created.attribute("TokenEndpoint") == API, by_api, "a pool without a domain: by API");
        stack.world().calls.clear();
        let reason = stack.update(&id, &new, &old).await.failed("A change of TokenService");
        assert!(reason.contains("client orders") && reason.contains("stack team-a"), "{reason}");
        assert_eq!(stack.world().writes(), Vec::<&str>::new());

        member.delete(created.physical_id(), &properties).await.good();
        stack.update(&id, &new, &old).await.good();
        assert_is(&stack, &new);
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_pool_follows_when_the_pool_gets_a_domain() {
    let shared = with(large_by_api(), "SharedWithStacks", json!(["team-"]));
    let (stack, id) = made(&shared).await;
    let member = Stack::of_type(ResourceType::CognitoM2MClient, &stack.aws, "team-a");
    let properties = with(member_client(&id.as_str().into()), "AllowedOAuthScopes", json!(["stock/read"]));
    let created = member.create(&properties).await.good();
    // Another tool gives the pool a domain.
    stack.aws.create_user_pool_domain(&id.as_str().into(), &domain("by-hand").into()).await.unwrap();
    tokio::time::advance(Duration::from_mins(10)).await;
    stack.world().calls.clear();
    let updated = member.update(created.physical_id(), &properties, &properties).await.good();
    assert_eq!(updated.attribute("TokenEndpoint"), "https://by-hand.auth.us-east-1.amazoncognito.com/oauth2/token");
    assert_is(&member, &properties);
    let flows: BTreeMap<ClientId, AuthFlow> = stack.world().pools[&id.as_str().into()]
        .clients
        .iter()
        .map(|(id, client)| (id.clone(), client.client.auth_flow))
        .collect();
    assert_eq!(flows[&ClientId::from(created.physical_id())], AuthFlow::RefreshToken);
    assert_eq!(stack.world().writes().last(), Some(&"UpdateUserPoolClient"), "cut off last");
}

#[tokio::test(start_paused = true)]
async fn clients_by_api_are_not_sent_to_a_custom_domain_before_it_is_there() {
    let (stack, id) = made(&by_api()).await;
    stack.world().allow_custom_domains();
    let beside = json!({ "CustomDomain": custom_domain("auth.example.com") });
    let in_use = with(beside.clone(), "TokenEndpointDomain", "CUSTOM");
    let at_once = stack.update(&id, &in_use, &by_api()).await;
    at_once.failed("Clients cannot use the custom domain auth.example.com yet: the pool does not have this domain");
    assert_eq!(stack.world().writes(), Vec::<&str>::new());

    stack.update(&id, &beside, &by_api()).await.good();
    stack.world().add_alias_records();
    tokio::time::advance(Duration::from_mins(10)).await;
    stack.update(&id, &in_use, &beside).await.good();
    assert_is(&stack, &in_use);
    assert_no_complaints(&stack);
}
