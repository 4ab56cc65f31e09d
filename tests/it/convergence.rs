//! Any Desired over any state that another Desired left, with random faults in between, ends in
//! Desired; after that nothing is left to do; a Delete leaves nothing. The alphabet is tiny, so that
//! things collide.

use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde_json::{Value, json};

use crate::support::{Fault, assert_is, assert_nothing_left, create, event};

/// Valid properties over two servers, two scopes, three clients.
fn properties() -> impl Strategy<Value = Value> {
    let scopes = || subsequence(vec!["r", "w"], 1..=2);
    let servers = prop_oneof![
        scopes().prop_map(|a| vec![("a", a)]),
        scopes().prop_map(|b| vec![("b", b)]),
        (scopes(), scopes()).prop_map(|(a, b)| vec![("a", a), ("b", b)]),
    ];
    let clients = subsequence(vec!["x", "y", "z"], 1..=3);
    let settings = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0..3_usize, any::<bool>());
    (servers, clients, settings, any::<u8>()).prop_map(|(servers, clients, (domain, prefix, key, tag, tier, zero), pick)| {
        let declared: Vec<String> =
            servers.iter().flat_map(|(id, scopes)| scopes.iter().map(move |scope| format!("{id}/{scope}"))).collect();
        let clients: Vec<_> = clients
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let allowed = if (pick >> index) & 1 == 0 { declared.clone() } else { vec![declared[usize::from(pick) % declared.len()].clone()] };
                json!({ "ClientName": name, "AllowedOAuthScopes": allowed, "AccessTokenValidityMinutes": 5 + (pick >> index) % 3 })
            })
            .collect();
        let servers: Vec<_> = servers
            .iter()
            .map(|(id, scopes)| json!({ "Identifier": id, "Scopes": scopes.iter().map(|scope| json!({ "ScopeName": scope })).collect::<Vec<_>>() }))
            .collect();
        let mut properties = json!({ "ResourceServers": servers, "Clients": clients, "DomainPrefix": if domain { "one" } else { "two" } });
        if prefix {
            properties["SecretNamePrefix"] = json!("other");
        }
        if key {
            properties["SecretKmsKeyId"] = json!("alias/key");
        }
        if tag {
            properties["Tags"] = json!({ "T": "1" });
        }
        match tier {
            1 => properties["UserPoolTier"] = json!("PLUS"),
            2 => {
                properties["UserPoolTier"] = json!("LITE");
                properties["ManagedLoginVersion"] = json!(1);
            }
            _ => {}
        }
        if zero {
            properties["SecretRecoveryWindowInDays"] = json!(0);
        }
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

/// Scopes that both versions grant a client of the same name.
fn shared(old: &Value, new: &Value) -> Vec<(String, Vec<String>)> {
    let scopes = |client: &Value| {
        client["AllowedOAuthScopes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let of = |properties: &Value| {
        properties["Clients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["ClientName"].as_str().unwrap().to_owned(), scopes(c)))
            .collect::<Vec<_>>()
    };
    let new = of(new);
    of(old)
        .into_iter()
        .filter_map(|(name, scopes)| {
            let (_, kept) = new.iter().find(|(other, _)| *other == name)?;
            Some((name, scopes.into_iter().filter(|scope| kept.contains(scope)).collect()))
        })
        .collect()
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
            let stack = create();
            stack.world().listing_lags = lags;
            let created = stack.create(&versions[0]).await;
            prop_assert!(created.succeeded(), "{}", created.reason());
            let id = created.physical_id().to_owned();
            for pair in versions.windows(2) {
                let (old, new) = (&pair[0], &pair[1]);
                stack.world().granted_for_good = shared(old, new).into_iter().map(|(name, scopes)| (name.as_str().into(), scopes.into_iter().collect())).collect();
                let first = stack.send_with(&event("Update", &stack, Some(&id), new, Some(old)), faults.iter().cloned()).await;
                if !first.succeeded() {
                    let back = stack.update(&id, old, new).await;
                    prop_assert!(back.succeeded(), "rollback: {}", back.reason());
                    assert_is(&stack, old);
                    let again = stack.update(&id, new, old).await;
                    prop_assert!(again.succeeded(), "{}", again.reason());
                }
                assert_is(&stack, new);
                let writes = stack.world().writes().len();
                let nothing = stack.update(&id, new, new).await;
                prop_assert!(nothing.succeeded());
                prop_assert_eq!(stack.world().writes().len(), writes, "the plan is empty");
                stack.world().granted_for_good.clear();
            }
            let deleted = stack.delete(&id, versions.last().unwrap()).await;
            prop_assert!(deleted.succeeded(), "{}", deleted.reason());
            assert_nothing_left(&stack);
            Ok(())
        })?;
    }
}
