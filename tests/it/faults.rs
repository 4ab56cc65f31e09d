//! Every fault at every call.
//!
//! After each fault the test plays CloudFormation: a Delete after a failed Create, the Update with the
//! properties swapped after a failed one, redelivery after a crash.

use std::{fmt, panic::AssertUnwindSafe, pin::Pin, time::Duration};

use cognito_m2m::{
    model::{ClientId, PoolId, Principal, ResourceType},
    redact::Secret,
};
use futures::FutureExt;
use serde_json::{Value, json};

use crate::{
    bad_input::own,
    support::{
        CfnResponse, FakeAws, Fault, Session, Stack, assert_is, assert_no_complaints, assert_nothing_left,
        cloudformation::assert_pool_is,
        fixtures::{
            ADOPTEE, INVENTED_ID, add_adoptee, add_foreign_things, custom_domain, foreign_things, large, large_by_api,
            large_changed, member_client, member_server, platform, with,
        },
        new_stack,
    },
};

/// A fault, and how many calls in a row it strikes.
struct Strike {
    what: &'static str,
    fault: Fault,
    times: usize,
}

fn strikes() -> Vec<Strike> {
    let strike = |what, fault, times| Strike { what, fault, times };
    vec![
        strike("an error before the effect", Fault::Before, 1),
        strike("the effect, then the answer lost", Fault::Lost, 1),
        strike("the answers lost twice", Fault::Lost, 2),
        strike("throttling three times", Fault::Throttled, 3),
        strike("another modification for a while", Fault::Busy, 4),
        strike("a hang", Fault::Hang, 1),
        strike("a permission that is not known yet", Fault::Denied, 2),
        strike("hanging for good", Fault::Hang, 1000),
        strike("a quota", Fault::Quota, 1),
        strike("a crash before the effect", Fault::CrashBefore, 1),
        strike("a crash after the effect", Fault::CrashAfter, 1),
    ]
}

impl Strike {
    /// Whether it passes by itself, so that no event may fail because of it.
    fn passes(&self) -> bool {
        match self.fault {
            Fault::Throttled | Fault::Busy | Fault::Denied => true,
            Fault::Lost | Fault::Hang => self.times < 3,
            _ => false,
        }
    }
}

#[derive(Clone, Copy)]
enum Request {
    Create,
    Update,
    Delete,
    /// An Update that was carried out once, and was followed by another.
    LateUpdate,
    /// The Update after one that failed because a client's secret no longer works.
    Rollback,
}

/// The RequestId of the event that [`late_update`] has sent before.
const LATE: &str = "late";

/// An account, and the id of the stack's resource if it has one.
type SetUp = Pin<Box<dyn Future<Output = (Stack, Option<String>)>>>;

/// An event, the account that it meets, and what its properties declare.
struct Scenario {
    name: &'static str,
    set_up: fn() -> SetUp,
    request: Request,
    properties: Value,
    /// The properties before an Update.
    old: Value,
}

impl Scenario {
    fn new(name: &'static str, set_up: fn() -> SetUp, request: Request, properties: Value) -> Self {
        Self { name, set_up, request, properties, old: large() }
    }

    fn event(&self, stack: &Stack, id: Option<&str>) -> Value {
        let id = id.unwrap_or_default();
        match self.request {
            Request::Create => stack.create_event(&self.properties),
            Request::Update | Request::Rollback => stack.update_event(id, &self.properties, &self.old),
            Request::LateUpdate => with(stack.update_event(id, &self.properties, &self.old), "RequestId", LATE),
            Request::Delete => stack.delete_event(id, &self.properties),
        }
    }
}

fn scenarios() -> Vec<Scenario> {
    let protected = with(large(), "DeletionProtection", "ACTIVE");
    vec![
        Scenario::new("the default Create", empty_account, Request::Create, json!({})),
        Scenario::new(
            "a Create with a token service that lags and permissions that are not known yet",
            || Box::pin(async { (late_account(), None) }),
            Request::Create,
            with(json!({}), "RotationDays", 30),
        ),
        Scenario::new(
            "an Update of everything with a token service that lags and permissions that are not known yet",
            || {
                Box::pin(async {
                    let (stack, id) = large_stack().await;
                    make_late(&stack);
                    (stack, id)
                })
            },
            Request::Update,
            large_changed(),
        ),
        Scenario::new(
            "a Create with three clients, two servers and protection",
            empty_account,
            Request::Create,
            protected,
        ),
        Scenario::new(
            "a Create over secrets that a former stack gave up",
            || Box::pin(async { (after_a_delete().await, None) }),
            Request::Create,
            large(),
        ),
        Scenario::new(
            "an Update of scopes, clients, domain and tags at once",
            large_stack,
            Request::Update,
            large_changed(),
        ),
        Scenario::new("an Update that changes nothing", large_stack, Request::Update, large()),
        Scenario::new("a Delete", large_stack, Request::Delete, large()),
        Scenario::new(
            "a Delete of a half-made stack",
            || Box::pin(async { (half_made().await, Some(INVENTED_ID.to_owned())) }),
            Request::Delete,
            large(),
        ),
        Scenario::new("a late Update", late_update, Request::LateUpdate, large_changed()),
        Scenario {
            old: large_changed(),
            ..Scenario::new("a rollback over a broken client", broken_client, Request::Rollback, large())
        },
        Scenario::new("a Create while lists and tags lag", lagging_account, Request::Create, large()),
    ]
}

/// Scenarios without a domain, and the switch between the two ways to get tokens.
fn token_service_scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("a Create by API", by_api_account, Request::Create, large_by_api()),
        Scenario::new(
            "a switch from a domain to the API",
            || Box::pin(async { switching(&large()).await }),
            Request::Update,
            large_by_api(),
        ),
        Scenario {
            old: large_by_api(),
            ..Scenario::new(
                "a switch from the API to a domain",
                || Box::pin(async { switching(&large_by_api()).await }),
                Request::Update,
                large(),
            )
        },
        Scenario::new(
            "a Delete by API",
            || Box::pin(async { switching(&large_by_api()).await }),
            Request::Delete,
            large_by_api(),
        ),
    ]
}

/// An account in which GetClientToken learns of a new client's flow late.
fn by_api_account() -> SetUp {
    Box::pin(async {
        let stack = account();
        stack.world().behavior.flow_lags = Duration::from_secs(3);
        (stack, None)
    })
}

/// Scenarios with a custom domain.
fn custom_domain_scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "a Create with a custom domain that its clients use",
            || Box::pin(async { (custom_account(), None) }),
            Request::Create,
            with_custom_domain("auth.example.com", "CUSTOM"),
        ),
        Scenario::new(
            "an Update that adds a custom domain",
            || custom_stack(large()),
            Request::Update,
            with_custom_domain("auth.example.com", "PREFIX"),
        ),
        Scenario {
            old: with_custom_domain("auth.example.com", "PREFIX"),
            ..Scenario::new(
                "an Update that sends the clients to the custom domain",
                || custom_stack(with_custom_domain("auth.example.com", "PREFIX")),
                Request::Update,
                with_custom_domain("auth.example.com", "CUSTOM"),
            )
        },
        Scenario {
            old: with_custom_domain("auth.example.com", "CUSTOM"),
            ..Scenario::new(
                "an Update that replaces the custom domain of its clients",
                || custom_stack(with_custom_domain("auth.example.com", "CUSTOM")),
                Request::Update,
                with_custom_domain("id.example.com", "CUSTOM"),
            )
        },
        Scenario {
            old: with_custom_domain("auth.example.com", "CUSTOM"),
            ..Scenario::new(
                "an Update that removes the custom domain of its clients",
                || custom_stack(with_custom_domain("auth.example.com", "CUSTOM")),
                Request::Update,
                large(),
            )
        },
        Scenario::new(
            "a Delete with a custom domain",
            || custom_stack(with_custom_domain("auth.example.com", "CUSTOM")),
            Request::Delete,
            with_custom_domain("auth.example.com", "CUSTOM"),
        ),
    ]
}

/// Scenarios with readers and replicas of secrets.
fn sharing_scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("a Create with readers and replicas", sharing_account, Request::Create, shared()),
        Scenario {
            old: shared(),
            ..Scenario::new("an Update of readers and replicas", shared_stack, Request::Update, shared_otherwise())
        },
        Scenario {
            old: shared(),
            ..Scenario::new("an Update that ends readers and replicas", shared_stack, Request::Update, unshared())
        },
        Scenario::new("a Delete of secrets with replicas", shared_stack, Request::Delete, shared()),
    ]
}

/// Two clients, one of them with readers, and replicas.
fn shared() -> Value {
    json!({
        "Clients": [{ "ClientName": "one", "SecretReaders": [own("role/a"), own("role/new")] }, { "ClientName": "two" }],
        "SecretReplicas": [{ "Region": "eu-west-1" }, { "Region": "eu-west-2" }],
    })
}

/// [`shared`] with other readers and replicas.
fn shared_otherwise() -> Value {
    json!({
        "Clients": [
            { "ClientName": "one", "SecretReaders": [own("role/b")] },
            { "ClientName": "two", "SecretReaders": [own("root")] },
        ],
        "SecretReplicas": [{ "Region": "eu-west-1", "KmsKeyId": "alias/there" }, { "Region": "us-west-2" }],
    })
}

fn unshared() -> Value {
    json!({ "Clients": [{ "ClientName": "one" }, { "ClientName": "two" }] })
}

/// An account in which a role is new, and a replica takes its time.
fn sharing_account() -> SetUp {
    Box::pin(async {
        let stack = new_stack();
        {
            let behavior = &mut stack.world().behavior;
            behavior.unknown_principals.insert(Principal(own("role/new")), Duration::from_secs(5));
            behavior.replication_takes = Duration::from_secs(3);
        }
        (stack, None)
    })
}

/// A stack whose consumers ask in the way that their secret says.
async fn switching(properties: &Value) -> (Stack, Option<String>) {
    let (stack, _) = by_api_account().await;
    let id = stack.create(properties).await.good().physical_id().to_owned();
    tokio::time::advance(Duration::from_mins(10)).await;
    stack.world().consumers.at_work = true;
    stack.world().consumers.ask_as_told = true;
    (stack, Some(id))
}

fn shared_stack() -> SetUp {
    Box::pin(async {
        let (stack, _) = sharing_account().await;
        let id = stack.create(&shared()).await.good().physical_id().to_owned();
        (stack, Some(id))
    })
}

/// A stack that an Update has changed and another one has changed back. The first comes again.
fn late_update() -> SetUp {
    Box::pin(async {
        let (stack, id) = large_stack().await;
        let pool = id.clone().unwrap();
        let update = stack.update_event(&pool, &large_changed(), &large());
        stack.send(&with(update, "RequestId", LATE)).await.good();
        stack.update(&pool, &large(), &large_changed()).await.good();
        stack.world().calls.clear();
        (stack, id)
    })
}

/// A stack whose Update has failed, because Cognito does not know the secret that is recorded for a client.
fn broken_client() -> SetUp {
    Box::pin(async {
        let stack = new_stack();
        let id = stack.create(&large()).await.good().physical_id().to_owned();
        for pool in stack.world().pools.values_mut() {
            let web = pool.clients.values_mut().find(|client| client.client.name.as_str() == "web").unwrap();
            web.secrets[0].value = Secret::new("what-nobody-has-recorded".to_owned());
        }
        stack.update(&id, &large_changed(), &large()).await.failed("web");
        (stack, Some(id))
    })
}

fn lagging_account() -> SetUp {
    Box::pin(async {
        let stack = new_stack();
        stack.world().behavior.pool_listing_lags = Duration::from_secs(5);
        stack.world().behavior.tags_lag = Duration::from_secs(5);
        (stack, None)
    })
}

fn empty_account() -> SetUp {
    Box::pin(async { (account(), None) })
}

/// An account in which a new domain can be looked up too early.
fn account() -> Stack {
    let stack = new_stack();
    stack.world().behavior.domain_dns = true;
    stack
}

/// An account that learns of clients and permissions late.
fn late_account() -> Stack {
    let stack = account();
    make_late(&stack);
    stack
}

fn make_late(stack: &Stack) {
    let behavior = &mut stack.world().behavior;
    // Short times, because every retry is one more call to strike.
    behavior.token_service_lags = Duration::from_secs(3);
    for operation in ["CreateSecret", "RotateSecret"] {
        behavior.denied_for.insert(operation, Duration::from_secs(1));
    }
}

/// An account that can have custom domains.
fn custom_account() -> Stack {
    let stack = account();
    stack.world().allow_custom_domains();
    stack
}

fn with_custom_domain(name: &str, domain_of_clients: &str) -> Value {
    with(with(large(), "CustomDomain", custom_domain(name)), "TokenEndpointDomain", domain_of_clients)
}

/// A whole stack in an account that can have custom domains, with the DNS record of its custom domain if it has one.
fn custom_stack(properties: Value) -> SetUp {
    Box::pin(async move {
        let stack = custom_account();
        let created = stack.create(&properties).await.good();
        tokio::time::advance(Duration::from_mins(10)).await;
        stack.world().add_alias_records();
        (stack, Some(created.physical_id().to_owned()))
    })
}

/// A whole stack, whose consumers need scopes that [`large_changed`] keeps.
fn large_stack() -> SetUp {
    Box::pin(async {
        let stack = account();
        let created = stack.create(&large()).await.good();
        // Nothing of it is new any more.
        tokio::time::advance(Duration::from_mins(10)).await;
        for client in ["web", "batch"] {
            let scopes = ["orders/read".to_owned()].into();
            stack.world().consumers.needed_scopes.insert(client.into(), scopes);
        }
        (stack, Some(created.physical_id().to_owned()))
    })
}

async fn after_a_delete() -> Stack {
    let former = new_stack();
    let created = former.create(&large()).await;
    former.delete(created.physical_id(), &large()).await.good();
    Stack::new(&former.aws, "again")
}

/// A stack whose Create was killed half way and not delivered again.
async fn half_made() -> Stack {
    let stack = new_stack();
    let session = Session::with_faults(&stack.aws, [(14, Fault::CrashAfter)]);
    assert!(stack.invoke(&session, &stack.create_event(&large())).await.is_none(), "killed");
    assert_eq!(stack.world().pools.len(), 1, "something was made");
    stack
}

/// Plays CloudFormation after a response, without further faults, and checks the promised end.
async fn aftermath(stack: &Stack, scenario: &Scenario, id: Option<&str>, response: &CfnResponse) {
    let Scenario { properties, old, .. } = scenario;
    let own_id = response.physical_id();
    match (scenario.request, response.succeeded()) {
        (Request::LateUpdate, _) => {
            assert_eq!(Some(own_id), id, "the id that it was given");
            assert_eq!(stack.world().writes(), Vec::<&str>::new(), "a late event changes nothing");
            assert_is(stack, old);
        }
        (Request::Rollback, succeeded) => {
            if !succeeded {
                // The user continues the rollback.
                stack.update(own_id, properties, old).await.good_at("the second rollback");
            }
            let world = stack.world();
            assert_pool_is(&world.pools[&PoolId::from(own_id)], &stack.desired(properties));
        }
        (Request::Create | Request::Update, true) => {
            assert_is(stack, properties);
            let tags_lag = stack.world().behavior.tags_lag;
            tokio::time::sleep(tags_lag).await;
            stack.update(own_id, properties, properties).await.good_at("the same once more");
        }
        (Request::Create, false) => {
            stack.delete(own_id, properties).await.good_at("the Delete after a failed Create");
            assert_nothing_left(stack);
        }
        (Request::Update, false) => {
            assert_eq!(Some(own_id), id, "the id that it was given");
            stack.update(own_id, old, properties).await.good_at("the rollback");
            assert_is(stack, old);
        }
        (Request::Delete, succeeded) => {
            if !succeeded {
                // CloudFormation, or the user, tries again.
                stack.delete(own_id, properties).await.good_at("the second Delete");
            }
            assert_nothing_left(stack);
        }
    }
    if !matches!(scenario.request, Request::Delete | Request::Rollback) {
        assert_no_complaints(stack);
    }
}

/// Sends the scenario's event with a strike from call `k` on and checks all that must hold then.
async fn survive(scenario: &Scenario, k: usize, strike: &Strike, place: &dyn fmt::Display) {
    let (stack, id) = (scenario.set_up)().await;
    let foreign = add_foreign_things(&stack);
    let due = (k..k + strike.times).map(|call| (call, strike.fault.clone()));
    let response = stack.send_with(&scenario.event(&stack, id.as_deref()), due).await;
    let end = AssertUnwindSafe(aftermath(&stack, scenario, id.as_deref(), &response)).catch_unwind().await;
    assert!(end.is_ok(), "{place}; the response was {:?}", response.body());
    let succeeded = response.succeeded();
    // A rotation fails without a token that proves the new secret.
    let needs_a_token =
        scenario.properties.get("RotateSecret").is_some() && matches!(strike.fault, Fault::Hang | Fault::Lost);
    if strike.passes() && !needs_a_token {
        response.good_at(place);
    }
    assert_eq!(foreign, foreign_things(&stack), "{place} touched what is not ours");
    if scenario.properties.get("AdoptClientId").is_some() {
        let was_deleted = matches!(scenario.request, Request::Delete) || !succeeded;
        assert_adoptee_lives(&stack, was_deleted, place);
    }
}

/// A stack in an account with a platform's pool, and the pool.
fn member_account(resource_type: ResourceType) -> (Stack, PoolId) {
    let aws = FakeAws::default();
    let pool = platform(&aws, "team-");
    aws.world().behavior.iam_reads_tags = true;
    (Stack::of_type(resource_type, &aws, "team-a"), pool)
}

/// The platform's pool has the same id in every account.
fn platform_pool() -> PoolId {
    member_account(ResourceType::CognitoM2MClient).1
}

fn client_account() -> SetUp {
    Box::pin(async { (member_account(ResourceType::CognitoM2MClient).0, None) })
}

fn server_account() -> SetUp {
    Box::pin(async { (member_account(ResourceType::CognitoM2MResourceServer).0, None) })
}

fn adoptee_account() -> SetUp {
    Box::pin(async {
        let (stack, pool) = member_account(ResourceType::CognitoM2MClient);
        add_adoptee(&stack, &pool);
        (stack, None)
    })
}

async fn created(set_up: SetUp, properties: &Value) -> (Stack, Option<String>) {
    let (stack, _) = set_up.await;
    let id = stack.create(properties).await.good().physical_id().to_owned();
    (stack, Some(id))
}

fn client_properties() -> Value {
    with(member_client(&platform_pool()), "RotationDays", 30)
}

fn adopting_properties() -> Value {
    with(client_properties(), "AdoptClientId", ADOPTEE)
}

fn server_properties() -> Value {
    member_server(&platform_pool(), &["read", "write"])
}

/// What the resources in somebody else's pool go through.
fn member_scenarios() -> Vec<Scenario> {
    let pool = platform_pool();
    let changed_client = json!({
        "UserPoolId": pool.as_str(), "ClientName": "renamed", "AllowedOAuthScopes": ["stock/write"],
        "AccessTokenValidityMinutes": 5, "Tags": { "a": "b" }, "SecretKmsKeyId": "alias/mine",
        "SecretReaders": [own("role/a")], "SecretReplicas": [{ "Region": "eu-west-1" }],
    });
    let changed_server = with(member_server(&pool, &["read", "pay"]), "Name", "Bills");
    let from = |old: fn() -> Value, scenario| Scenario { old: old(), ..scenario };
    vec![
        Scenario::new("a client's Create", client_account, Request::Create, client_properties()),
        from(
            client_properties,
            Scenario::new(
                "an Update of everything of a client",
                || Box::pin(async { created(client_account(), &client_properties()).await }),
                Request::Update,
                changed_client.clone(),
            ),
        ),
        from(
            client_properties,
            Scenario::new(
                "an Update that rotates and renames a client",
                || Box::pin(async { created(client_account(), &client_properties()).await }),
                Request::Update,
                with(changed_client, "RotateSecret", "now"),
            ),
        ),
        Scenario::new(
            "a client's Delete",
            || Box::pin(async { created(client_account(), &client_properties()).await }),
            Request::Delete,
            client_properties(),
        ),
        Scenario::new("an adoption", adoptee_account, Request::Create, adopting_properties()),
        Scenario::new(
            "the Delete of an adopted client",
            || Box::pin(async { created(adoptee_account(), &adopting_properties()).await }),
            Request::Delete,
            adopting_properties(),
        ),
        Scenario::new("a server's Create", server_account, Request::Create, server_properties()),
        from(
            server_properties,
            Scenario::new(
                "an Update of everything of a server",
                || Box::pin(async { created(server_account(), &server_properties()).await }),
                Request::Update,
                changed_server,
            ),
        ),
        Scenario::new(
            "a server's Delete",
            || Box::pin(async { created(server_account(), &server_properties()).await }),
            Request::Delete,
            server_properties(),
        ),
    ]
}

/// Asserts that the client that is to be adopted is there and works, and after a Delete also has its name back.
#[track_caller]
fn assert_adoptee_lives(stack: &Stack, was_deleted: bool, place: &dyn fmt::Display) {
    let world = stack.world();
    let Some(pool) = world.pools.values().find(|pool| pool.clients.contains_key(&ClientId::from(ADOPTEE))) else {
        panic!("{place}: the adopted client is gone");
    };
    let client = &pool.clients[&ClientId::from(ADOPTEE)];
    assert!(client.takes(&Secret::new("secret-of-Orders, old".to_owned())), "{place}: its secret no longer works");
    if was_deleted {
        assert_eq!(client.client.name.as_str(), "Orders, old", "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_resource_in_somebody_elses_pool_survives_every_fault() {
    strike_all(member_scenarios(), 1000).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_survives_every_fault() {
    strike_all(scenarios(), 1000).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_by_api_and_of_a_switch_survives_every_fault() {
    strike_all(token_service_scenarios(), 1000).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_about_readers_and_replicas_survives_every_fault() {
    strike_all(sharing_scenarios(), 500).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_about_a_custom_domain_survives_every_fault() {
    strike_all(custom_domain_scenarios(), 1000).await;
}

async fn strike_all(scenarios: Vec<Scenario>, at_least: usize) {
    let mut combinations = 0;
    for scenario in scenarios {
        let (stack, id) = (scenario.set_up)().await;
        let calls = stack.count_calls(&scenario.event(&stack, id.as_deref())).await;
        for k in 0..calls {
            for strike in strikes() {
                let place = format_args!("{}: {} at call {k} of {calls}", scenario.name, strike.what).to_string();
                survive(&scenario, k, &strike, &place).await;
                combinations += 1;
            }
        }
        println!("{}: {calls} calls", scenario.name);
    }
    println!("{combinations} combinations of a call and a fault");
    assert!(combinations > at_least);
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_is_cleaned_up_also_by_an_id_that_cloudformation_invented() {
    for k in 0..40 {
        let stack = new_stack();
        let session = Session::with_faults(&stack.aws, [(k, Fault::CrashAfter)]);
        stack.invoke(&session, &stack.create_event(&large())).await;
        stack.delete(INVENTED_ID, &large()).await.good_at(format_args!("killed after call {k}"));
        assert_nothing_left(&stack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_is_answered_before_the_deadline_and_names_the_step() {
    for (timeout, k) in [(Duration::from_mins(5), 3), (Duration::from_secs(20), 3), (Duration::from_secs(3), 0)] {
        let mut stack = new_stack();
        stack.timeout = timeout;
        let before = tokio::time::Instant::now();
        let hang = (k..1000).map(|call| (call, Fault::Hang));
        let response = stack.send_with(&stack.create_event(&json!({})), hang).await;
        assert!(before.elapsed() < timeout, "{:?}", before.elapsed());
        assert!(!response.succeeded());
        let reason = response.reason();
        assert!(reason.contains("CreateUserPool") || reason.contains("eading the present state"), "{reason}");
        assert!(reason.contains("no answer") || reason.contains("Time ran out"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_reported_at_once_and_never_tried_again() {
    let stack = new_stack();
    let response = stack.send_with(&stack.create_event(&json!({})), [(3, Fault::Quota)]).await;
    for word in ["LimitExceededException", "CreateUserPool", "quota"] {
        response.failed(word);
    }
    assert_eq!(creates(&stack), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_create_user_pool_does_not_make_a_second_pool() {
    let stack = new_stack();
    stack.send_with(&stack.create_event(&json!({})), [(3, Fault::Lost)]).await.good();
    assert_eq!(creates(&stack), 1);
    assert_is(&stack, &json!({}));
}

/// How often CreateUserPool was called.
fn creates(stack: &Stack) -> usize {
    stack.world().writes().iter().filter(|write| **write == "CreateUserPool").count()
}
