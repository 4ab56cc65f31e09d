//! Random properties over any state that other properties left, with random faults in between, end in
//! what the properties declare. After that nothing is left to do, and a Delete leaves nothing. There are
//! few names to choose from, so that things collide.

use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde_json::{Value, json};

use crate::{
    bad_input::own,
    support::{Fault, Stack, assert_is, assert_nothing_left, new_stack},
};

/// A resource server's identifier and its scopes.
type Server = (&'static str, Vec<&'static str>);

fn servers() -> impl Strategy<Value = Vec<Server>> {
    let scopes = || subsequence(vec!["r", "w"], 1..=2);
    prop_oneof![
        scopes().prop_map(|a| vec![("a", a)]),
        scopes().prop_map(|b| vec![("b", b)]),
        (scopes(), scopes()).prop_map(|(a, b)| vec![("a", a), ("b", b)]),
    ]
}

/// All properties but the servers and clients.
fn settings() -> impl Strategy<Value = Value> {
    let regions = subsequence(vec!["eu-west-1", "eu-west-2"], 0..=2);
    (0..3_usize, any::<bool>(), any::<bool>(), any::<bool>(), 0..3_usize, any::<bool>(), regions).prop_map(
        |(domain, prefix, key, tag, tier, zero, regions)| {
            let mut properties = match domain {
                0 => json!({ "TokenService": "API" }),
                1 => json!({ "DomainPrefix": "one" }),
                _ => json!({ "DomainPrefix": "two" }),
            };
            let mut set = |name: &str, value: Value| properties[name] = value;
            if prefix {
                set("SecretNamePrefix", json!("other"));
            }
            if key {
                set("SecretKmsKeyId", json!("alias/key"));
            }
            if tag {
                set("Tags", json!({ "T": "1" }));
            }
            match tier {
                1 => set("UserPoolTier", json!("PLUS")),
                2 => {
                    set("UserPoolTier", json!("LITE"));
                    set("ManagedLoginVersion", json!(1));
                }
                _ => {}
            }
            if zero {
                set("SecretRecoveryWindowInDays", json!(0));
            }
            let replica =
                |region| if tag { json!({ "Region": region }) } else { json!({ "Region": region, "KmsKeyId": "a" }) };
            set("SecretReplicas", regions.into_iter().map(replica).collect());
            properties
        },
    )
}

/// A client that has all scopes or one of them; each bit of `pick` chooses for another client.
fn client(index: usize, name: &str, pick: u8, declared: &[String]) -> Value {
    let allowed = if (pick >> index) & 1 == 0 {
        declared
    } else {
        std::slice::from_ref(&declared[usize::from(pick) % declared.len()])
    };
    json!({
        "ClientName": name,
        "AllowedOAuthScopes": allowed,
        "AccessTokenValidityMinutes": 5 + (pick >> index) % 3,
        "SecretReaders": (0..(pick >> index) % 3).map(|n| own(&format!("role/r{n}"))).collect::<Vec<_>>(),
    })
}

/// Valid properties over two servers, two scopes, three clients.
fn properties() -> impl Strategy<Value = Value> {
    let clients = subsequence(vec!["x", "y", "z"], 1..=3);
    (servers(), clients, settings(), any::<u8>()).prop_map(|(servers, clients, mut properties, pick)| {
        let declared: Vec<String> =
            servers.iter().flat_map(|(id, scopes)| scopes.iter().map(move |scope| format!("{id}/{scope}"))).collect();
        let clients = clients.iter().enumerate().map(|(index, name)| client(index, name, pick, &declared));
        let scopes = |names: &[&str]| names.iter().map(|name| json!({ "ScopeName": name })).collect::<Vec<_>>();
        let servers = servers.iter().map(|(id, names)| json!({ "Identifier": id, "Scopes": scopes(names) }));
        properties["Clients"] = clients.collect();
        properties["ResourceServers"] = servers.collect();
        properties
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Before),
        Just(Fault::Lost),
        Just(Fault::Throttled),
        Just(Fault::Busy),
        Just(Fault::Hang),
        Just(Fault::CrashBefore),
        Just(Fault::CrashAfter),
    ]
}

/// The clients of the properties, each with its scopes.
fn clients(properties: &Value) -> Vec<(&str, Vec<&str>)> {
    fn text(value: &Value) -> &str {
        value.as_str().unwrap()
    }
    fn scopes(client: &Value) -> Vec<&str> {
        client["AllowedOAuthScopes"].as_array().unwrap().iter().map(text).collect()
    }
    let clients = properties["Clients"].as_array().unwrap();
    clients.iter().map(|client| (text(&client["ClientName"]), scopes(client))).collect()
}

/// Makes the consumers need every scope that both versions grant a client of the same name.
fn need_shared_scopes(stack: &Stack, old: &Value, new: &Value) {
    let new = clients(new);
    let shared = clients(old).into_iter().filter_map(|(name, scopes)| {
        let (_, kept) = new.iter().find(|(other, _)| *other == name)?;
        let scopes = scopes.into_iter().filter(|scope| kept.contains(scope)).map(ToOwned::to_owned);
        Some((name.into(), scopes.collect()))
    });
    stack.world().consumers.needed_scopes = shared.collect();
}

/// An Update with faults. If it fails, CloudFormation rolls it back, and the user tries it again.
async fn update_with_faults(stack: &Stack, id: &str, old: &Value, new: &Value, faults: &[(usize, Fault)]) {
    let first = stack.send_with(&stack.update_event(id, new, old), faults.iter().cloned()).await;
    if !first.succeeded() {
        stack.update(id, old, new).await.good_at("the rollback");
        assert_is(stack, old);
        stack.update(id, new, old).await.good_at("the second attempt");
    }
    assert_is(stack, new);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_desired_over_any_observed_converges(
        versions in vec(properties(), 2..5),
        faults in vec((0..45_usize, fault()), 0..4),
        lags in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let stack = new_stack();
            stack.world().behavior.listing_lags = lags;
            let created = stack.create(&versions[0]).await.good();
            let id = created.physical_id();
            for pair in versions.windows(2) {
                let (old, new) = (&pair[0], &pair[1]);
                need_shared_scopes(&stack, old, new);
                update_with_faults(&stack, id, old, new, &faults).await;
                let writes = stack.world().writes().len();
                stack.update(id, new, new).await.good();
                assert_eq!(stack.world().writes().len(), writes, "the plan is empty");
                stack.world().consumers.needed_scopes.clear();
            }
            stack.delete(id, versions.last().unwrap()).await.good();
            assert_nothing_left(&stack);
        });
    }
}
