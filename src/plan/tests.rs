//! Plans as inline snapshots.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::model::{
    AuthFlow, Client, ClientId, ClientName, Desired, Digest, Endpoints, Mark, Owner, Ownership, PolicyChange, PoolId,
    ProviderConfig, Region, ResourcePolicy, ResourceType, RotationRecord,
    observed::{
        DeleteObservation, Foreign, ListedClient, Observed, ObservedClient, ObservedCustomDomain, ObservedDocument,
        ObservedPolicy, ObservedPool, ObservedSecret, RemainingPool,
    },
    sharing::{ObservedReplica, ReplicaStatus},
};

fn desired(properties: &Value) -> Desired {
    let owner = Owner { stack_id: "arn:stack".into(), logical_id: "M2M".into() };
    let endpoints = Endpoints::new("us-east-1", None);
    let config = ProviderConfig { endpoints, rotation_function: Some("arn:rotation".into()) };
    crate::properties::parse(ResourceType::CognitoM2M, properties, owner, &config).unwrap()
}

/// The account as a deployment of `desired` leaves it.
fn observed(desired: &Desired) -> Observed {
    let id = PoolId::from("us-east-1_Pool");
    let own = desired.own_pool().unwrap();
    let client = |client: &Client| ObservedClient {
        id: ClientId(format!("id-of-{}", client.name)),
        name: client.name.clone(),
        mark: client.mark.clone(),
        scopes: client.scopes.clone(),
        access_token_validity_minutes: client.access_token_validity_minutes,
        auth_flow: Some(if own.domain.is_some() { AuthFlow::RefreshToken } else { AuthFlow::ClientToken }),
        m2m_only: true,
    };
    let secret = |client: &Client| ObservedSecret {
        arn: format!("arn:{}", client.secret_name),
        ownership: Ownership::Ours,
        scheduled: false,
        tags: desired.tags_of_secret(client),
        applied: None,
        kms_key_id: desired.secret_kms_key_id.clone(),
        key_change_unfinished: false,
        description: RotationRecord::new(&desired.rotate_secrets).describe(&client.name),
        rotation: desired.rotation.clone(),
        policy: match ResourcePolicy::with_readers(None, &client.secret_readers) {
            PolicyChange::Put(policy) => ObservedPolicy::Read(Some(policy)),
            _ => ObservedPolicy::NotRead,
        },
        replicas: desired.secret_replicas.iter().map(|(region, key)| (region.clone(), in_sync(key.as_ref()))).collect(),
        document: Some(ObservedDocument {
            client_id: ClientId(format!("id-of-{}", client.name)),
            metadata: desired.secret_metadata(client, &id, &desired.token_source(None)),
        }),
    };
    Observed {
        pool: Some(ObservedPool {
            id: id.clone(),
            arn: "arn:pool".into(),
            state: own.state.clone(),
            applied: None,
            m2m_only: true,
            created: std::time::Duration::ZERO,
            domain: own.domain.clone(),
            custom_domain: own.custom_domain.clone().map(|domain| ObservedCustomDomain {
                domain,
                target: Some("d1.cloudfront.net".into()),
                status: "ACTIVE".into(),
            }),
            resource_servers: desired.resource_servers.clone(),
            clients: desired.clients.iter().map(client).collect(),
            foreign: Foreign::default(),
        }),
        secrets: desired.clients.iter().map(|client| (client.secret_name.clone(), secret(client))).collect(),
        ..Observed::default()
    }
}

fn in_sync(key: Option<&String>) -> ObservedReplica {
    ObservedReplica { kms_key_id: key.cloned(), status: ReplicaStatus::InSync }
}

/// An update.
fn occasion(also_verify: &BTreeSet<ClientName>) -> Occasion<'_> {
    Occasion { is_create: false, is_rollback: false, also_verify }
}

fn shown(desired: &Desired, observed: &Observed) -> String {
    let plan = plan(desired, observed, &occasion(&BTreeSet::new())).unwrap();
    let task = |Task { step, then }: &Task| {
        let followers = then.iter().map(|follower| format!("\n  {follower}"));
        format!("{step}{}", followers.collect::<String>())
    };
    let phases = plan.phases.iter().map(|phase| phase.iter().map(task).collect::<Vec<_>>().join("\n"));
    phases.collect::<Vec<_>>().join("\n---\n")
}

#[test]
fn a_create_makes_everything_in_the_order_in_which_it_is_needed() {
    let desired = desired(&json!({ "DeletionProtection": "ACTIVE" }));
    assert_snapshot!(shown(&desired, &Observed::default()), @r"
    CreateUserPool machine-to-machine-dev
    ---
    CreateUserPoolDomain m2m-rubicon-dev (managed login version 2)
    CreateResourceServer m2m-client: read write
    ---
    CreateUserPoolClient machine-to-machine-dev-client: m2m-client/read m2m-client/write (60 minutes)
      CreateSecret machine-to-machine-dev/machine-to-machine-dev-client
      VerifyToken machine-to-machine-dev-client
    ---
    UpdateUserPool machine-to-machine-dev: deletion protection on
    ");
}

#[test]
fn nothing_is_left_to_do_where_all_is_as_desired() {
    let desired = desired(&json!({ "Tags": { "a": "b" }, "DeletionProtection": "ACTIVE" }));
    assert_snapshot!(plan(&desired, &observed(&desired), &occasion(&BTreeSet::new())).unwrap(), @"nothing to do");
}

#[test]
fn an_update_widens_moves_and_narrows() {
    let server = |scopes: &[&str]| {
        let scopes: Vec<_> = scopes.iter().map(|scope| json!({ "ScopeName": scope })).collect();
        json!([{ "Identifier": "api", "Scopes": scopes }])
    };
    let old = desired(
        &json!({ "ResourceServers": server(&["a", "b"]), "Clients": [{ "ClientName": "one" }, { "ClientName": "two" }] }),
    );
    let new = desired(&json!({
        "ResourceServers": server(&["b", "c"]), "DomainPrefix": "other", "UserPoolTier": "PLUS", "Tags": { "t": "1" },
        "Clients": [{ "ClientName": "one", "AccessTokenValidityMinutes": 5 }, { "ClientName": "three", "AllowedOAuthScopes": ["api/b"] }],
    }));
    assert_snapshot!(shown(&new, &observed(&old)), @r"
    UpdateUserPool machine-to-machine-dev: tier ESSENTIALS -> PLUS, tags +t
    ---
    DeleteUserPoolDomain m2m-rubicon-dev, then CreateUserPoolDomain other-dev (managed login version 2)
    UpdateResourceServer api: +c
    ---
    UpdateUserPoolClient one: +api/c, -api/a, access token validity 60 -> 5 minutes
      UpdateSecret machine-to-machine-dev/one: tags +t, token_endpoint, scope
      VerifyToken one
    CreateUserPoolClient three: api/b (60 minutes)
      CreateSecret machine-to-machine-dev/three
      VerifyToken three
    ---
    DeleteSecret machine-to-machine-dev/two (recoverable for 7 days)
    ---
    DeleteUserPoolClient two (id-of-two)
    ---
    UpdateResourceServer api: -a
    ");
}

#[test]
fn the_next_version_of_a_secret_is_prepared_if_nobody_rotates_it_and_its_endpoint_stays() {
    let with = |scopes: &[&str], rotation_days: u16, prefix: &str| {
        let scopes: Vec<_> = scopes.iter().map(|scope| json!({ "ScopeName": scope })).collect();
        desired(&json!({
            "ResourceServers": [{ "Identifier": "api", "Scopes": scopes }], "Clients": [{ "ClientName": "one" }],
            "RotationDays": rotation_days, "DomainPrefix": prefix,
        }))
    };
    let prepares = |new: &Desired, old: &Desired| {
        let plan = plan(new, &observed(old), &occasion(&BTreeSet::new())).unwrap();
        plan.steps().any(|step| matches!(step, Step::PrepareSecret { .. }))
    };
    let old = with(&["a"], 0, "same");
    assert_snapshot!(shown(&with(&["a", "b"], 0, "same"), &observed(&old)), @r"
    UpdateResourceServer api: +b
    PutSecretValue machine-to-machine-dev/one: the next version, which nobody reads yet
    ---
    UpdateUserPoolClient one: +api/b
      UpdateSecret machine-to-machine-dev/one: scope
      VerifyToken one
    ");
    assert!(!prepares(&with(&["a", "b"], 0, "other"), &old), "the version would be older than the new domain");
    assert!(!prepares(&with(&["a", "b"], 30, "same"), &with(&["a"], 30, "same")), "a rotation may be under way");
    assert!(!prepares(&old, &old), "nothing changes");
}

#[test]
fn a_downgrade_gives_managed_login_up_first_also_with_a_new_prefix() {
    let old = desired(&json!({}));
    for prefix in ["m2m-rubicon", "other"] {
        let new = desired(&json!({ "UserPoolTier": "LITE", "ManagedLoginVersion": 1, "DomainPrefix": prefix }));
        let plan = plan(&new, &observed(&old), &occasion(&BTreeSet::new())).unwrap();
        assert!(matches!(plan.phases[1][..], [Task { step: Step::UpdateUserPool { .. }, .. }]), "{plan}");
    }
}

#[test]
fn a_switch_to_the_api_says_so_and_deletes_the_domain_last() {
    let (domain, api) =
        (desired(&json!({})), desired(&json!({ "TokenService": "API", "DeletionProtection": "ACTIVE" })));
    assert_snapshot!(shown(&api, &observed(&domain)), @r"
    UpdateUserPoolClient machine-to-machine-dev-client: GetClientToken on
      UpdateSecret machine-to-machine-dev/machine-to-machine-dev-client: token_service oauth2 -> GetClientToken (running consumers must change how they ask for tokens), token_endpoint
      VerifyToken machine-to-machine-dev-client
    ---
    DeleteUserPoolDomain m2m-rubicon-dev
    ---
    UpdateUserPool machine-to-machine-dev: deletion protection on
    ");
}

#[test]
fn a_switch_to_a_domain_creates_it_first_and_turns_the_api_off_last() {
    let (domain, api) = (desired(&json!({})), desired(&json!({ "TokenService": "API" })));
    assert_snapshot!(shown(&domain, &observed(&api)), @r"
    CreateUserPoolDomain m2m-rubicon-dev (managed login version 2)
    ---
    UpdateSecret machine-to-machine-dev/machine-to-machine-dev-client: token_service GetClientToken -> oauth2 (running consumers must change how they ask for tokens), token_endpoint
    VerifyToken machine-to-machine-dev-client
    ---
    UpdateUserPoolClient machine-to-machine-dev-client: GetClientToken off (consumers that still use it get no more tokens)
    ");
    // What else changes about a client does not wait.
    let shorter =
        json!({ "Clients": [{ "ClientName": "machine-to-machine-dev-client", "AccessTokenValidityMinutes": 5 }] });
    assert_snapshot!(shown(&desired(&shorter), &observed(&api)), @r"
    CreateUserPoolDomain m2m-rubicon-dev (managed login version 2)
    ---
    UpdateUserPoolClient machine-to-machine-dev-client: access token validity 60 -> 5 minutes
      UpdateSecret machine-to-machine-dev/machine-to-machine-dev-client: token_service GetClientToken -> oauth2 (running consumers must change how they ask for tokens), token_endpoint
      VerifyToken machine-to-machine-dev-client
    ---
    UpdateUserPoolClient machine-to-machine-dev-client: GetClientToken off (consumers that still use it get no more tokens)
    ");
}

#[test]
fn a_switch_to_the_api_and_to_the_lesser_tier_gives_managed_login_up_first() {
    let (domain, lite) = (desired(&json!({})), desired(&json!({ "TokenService": "API", "UserPoolTier": "LITE" })));
    assert_snapshot!(shown(&lite, &observed(&domain)), @r"
    UpdateUserPoolDomain m2m-rubicon-dev: managed login version 1
    ---
    UpdateUserPool machine-to-machine-dev: tier ESSENTIALS -> LITE
    ---
    UpdateUserPoolClient machine-to-machine-dev-client: GetClientToken on
      UpdateSecret machine-to-machine-dev/machine-to-machine-dev-client: token_service oauth2 -> GetClientToken (running consumers must change how they ask for tokens), token_endpoint
      VerifyToken machine-to-machine-dev-client
    ---
    DeleteUserPoolDomain m2m-rubicon-dev
    ");
}

#[test]
fn a_switch_to_the_api_deletes_both_domains_last() {
    let custom = json!({
        "DomainName": "auth.example.com",
        "CertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef",
    });
    let with_custom = desired(&json!({ "CustomDomain": custom, "TokenEndpointDomain": "CUSTOM" }));
    let by_api = desired(&json!({ "TokenService": "API" }));
    let shown = shown(&by_api, &observed(&with_custom));
    let last = shown.rsplit("---").next().unwrap();
    for domain in ["auth.example.com", "m2m-rubicon-dev"] {
        assert!(last.contains(&format!("DeleteUserPoolDomain {domain}")), "{shown}");
    }
}

#[test]
fn a_switch_is_refused_while_others_use_the_pool_and_a_missing_domain_is_put_back() {
    let (domain, api) = (desired(&json!({})), desired(&json!({ "TokenService": "API" })));
    let shared = |desired: &Desired| {
        let mut observed = observed(desired);
        let theirs =
            ListedClient { id: "their-id".into(), name: "theirs".into(), mark: Some(Mark::of(&desired.owner)) };
        observed.pool.as_mut().unwrap().foreign.clients.push(theirs);
        observed
    };
    for (to, from) in [(&api, &domain), (&domain, &api)] {
        let refusal = plan(to, &shared(from), &occasion(&BTreeSet::new())).unwrap_err().to_string();
        assert!(refusal.contains("client theirs") && refusal.contains("A change of TokenService"), "{refusal}");
    }
    let mut without = shared(&domain);
    without.pool.as_mut().unwrap().domain = None;
    assert!(shown(&domain, &without).contains("CreateUserPoolDomain"));
    assert_eq!(shown(&api, &shared(&api)), "");
}

#[test]
fn second_clients_and_pools_of_one_name_go_and_the_secret_says_which() {
    let desired = desired(&json!({}));
    let mut observed = observed(&desired);
    let pool = observed.pool.as_mut().unwrap();
    // First by its id, but not the one that the secret speaks of.
    pool.clients.insert(0, ObservedClient { id: "aaa".into(), ..pool.clients[0].clone() });
    observed.surplus_pools.push("us-east-1_Second".into());
    assert_snapshot!(shown(&desired, &observed), @r"
    DeleteUserPoolClient machine-to-machine-dev-client (aaa)
    ---
    DeleteUserPool us-east-1_Second
    ");
}

#[test]
fn a_delete_takes_secrets_domains_and_pools_in_this_order_or_nothing() {
    let secrets =
        [("a/b".into(), BTreeSet::new()), ("a/c".into(), BTreeSet::from(["eu-west-1".into(), "eu-west-2".into()]))];
    let pool = RemainingPool {
        id: "us-east-1_Pool".into(),
        domain: Some("prefix".into()),
        custom_domain: Some("auth.example.com".into()),
        deletion_protection: false,
        foreign: Foreign::default(),
    };
    let observation = DeleteObservation {
        pools: vec![pool.clone()],
        secrets: secrets.into(),
        note: Some("note".into()),
        ..DeleteObservation::default()
    };
    assert_snapshot!(plan_delete(&observation, 0, false).unwrap(), @r"
    DeleteSecret a/b (at once)
    RemoveRegionsFromReplication a/c: eu-west-1, eu-west-2, then DeleteSecret a/c (at once)
    DeleteSecret note (recoverable for 7 days)
    DeleteUserPoolDomain prefix
    DeleteUserPoolDomain auth.example.com
    DeleteUserPool us-east-1_Pool
    ");
    let protected =
        DeleteObservation { pools: vec![RemainingPool { deletion_protection: true, ..pool }], ..observation };
    assert_snapshot!(plan_delete(&protected, 0, false).unwrap_err(), @"Deletion protection is active on user pool us-east-1_Pool. Nothing was deleted. Turn it off on the pool's settings page in the Cognito console, then delete again. While the stack can still be updated, you can set DeletionProtection to INACTIVE and deploy instead");
}

#[test]
fn clients_are_sent_to_a_custom_domain_after_a_token_there_and_leave_it_before_it_goes() {
    let certificate = "arn:aws:acm:us-east-1:111122223333:certificate/1";
    let custom = json!({ "DomainName": "auth.example.com", "CertificateArn": certificate });
    let beside = desired(&json!({ "CustomDomain": custom }));
    let used = desired(&json!({ "CustomDomain": custom, "TokenEndpointDomain": "CUSTOM" }));
    let none = desired(&json!({}));
    assert_snapshot!(shown(&beside, &observed(&none)), @"CreateUserPoolDomain auth.example.com (managed login version 2, arn:aws:acm:us-east-1:111122223333:certificate/1, TLS_V1_2_2021)");
    assert_snapshot!(shown(&used, &observed(&beside)), @r"
    VerifyToken machine-to-machine-dev-client: at auth.example.com, before anything changes
    ---
    UpdateSecret machine-to-machine-dev/machine-to-machine-dev-client: token_endpoint
    ");
    assert_snapshot!(shown(&none, &observed(&used)), @r"
    UpdateSecret machine-to-machine-dev/machine-to-machine-dev-client: token_endpoint
    ---
    DeleteUserPoolDomain auth.example.com
    ");
    let moved = json!({ "DomainName": "id.example.com", "CertificateArn": certificate, "SecurityPolicy": "TLS_V1" });
    let moved = desired(&json!({ "CustomDomain": moved, "TokenEndpointDomain": "CUSTOM" }));
    assert_snapshot!(shown(&moved, &observed(&used)), @r"
    DeleteUserPoolDomain auth.example.com, then CreateUserPoolDomain id.example.com (managed login version 2, arn:aws:acm:us-east-1:111122223333:certificate/1, TLS_V1)
    ---
    UpdateSecret machine-to-machine-dev/machine-to-machine-dev-client: token_endpoint
    ");
    assert_snapshot!(plan(&used, &observed(&none), &occasion(&BTreeSet::new())).unwrap_err(), @"Clients cannot use the custom domain auth.example.com yet: the pool does not have this domain. Nothing was changed. First deploy CustomDomain with TokenEndpointDomain PREFIX, add the DNS record, and wait until the domain gives tokens. Then deploy CUSTOM");
    let taken = Observed { custom_domain_taken_by: Some("us-east-1_Theirs".into()), ..Observed::default() };
    assert_snapshot!(plan(&used, &taken, &occasion(&BTreeSet::new())).unwrap_err(), @"The custom domain auth.example.com already belongs to user pool us-east-1_Theirs, which this resource does not own. Nothing was changed. Remove it there first, or choose another DomainName");
    // A policy that Cognito does not show is not known to differ.
    let mut silent = observed(&used);
    silent.pool.as_mut().unwrap().custom_domain.as_mut().unwrap().domain.security_policy = None;
    assert_snapshot!(shown(&used, &silent), @"");
}

#[test]
fn what_belongs_to_somebody_else_is_named() {
    let desired = desired(&json!({}));
    let taken = Observed { prefix_taken_by: Some("us-east-1_Theirs".into()), ..Observed::default() };
    assert_snapshot!(plan(&desired, &taken, &occasion(&BTreeSet::new())).unwrap_err(), @"The domain prefix m2m-rubicon-dev already belongs to user pool us-east-1_Theirs, which this resource does not own. Nothing was changed. A prefix is unique in a region across all AWS accounts. Choose another DomainPrefix or EnvironmentName");
    let mut taken = observed(&desired);
    for secret in taken.secrets.values_mut() {
        (secret.ownership, secret.scheduled) = (Ownership::NotOwned, true);
    }
    assert_snapshot!(plan(&desired, &taken, &occasion(&BTreeSet::new())).unwrap_err(), @"The secret machine-to-machine-dev/machine-to-machine-dev-client already exists and belongs to another owner (it is scheduled for deletion and keeps its name until then). Nothing was changed. Choose another SecretNamePrefix, or delete the secret if nobody needs it");
}

#[test]
fn a_rotation_with_a_new_name_rotates_the_secret_with_the_old_name_first() {
    let old = desired(&json!({ "RotateSecrets": "1" }));
    let new = desired(&json!({ "RotateSecrets": "2", "SecretNamePrefix": "new" }));
    assert_snapshot!(shown(&new, &observed(&old)), @r"
    RotateSecret machine-to-machine-dev/machine-to-machine-dev-client: now
    ---
    CreateSecret new/machine-to-machine-dev-client
    ---
    DeleteSecret machine-to-machine-dev/machine-to-machine-dev-client (recoverable for 7 days)
    ");
    let record = RotationRecord::new("1").then("2").describe(&new.clients[0].name);
    let plan = plan(&new, &observed(&old), &occasion(&BTreeSet::new())).unwrap();
    for step in plan.steps() {
        let (Step::RotateSecret { description, .. } | Step::CreateSecret { description, .. }) = step else { continue };
        assert_eq!(*description, record);
    }
}

#[test]
fn a_change_of_key_writes_the_secret_anew_until_it_is_finished() {
    let desired = desired(&json!({ "SecretKmsKeyId": "alias/mine" }));
    let mut cut_off = observed(&desired);
    for secret in cut_off.secrets.values_mut() {
        secret.key_change_unfinished = true;
    }
    assert_snapshot!(shown(&desired, &cut_off), @"UpdateSecret machine-to-machine-dev/machine-to-machine-dev-client: key");
    let plan = plan(&desired, &cut_off, &occasion(&BTreeSet::new())).unwrap();
    assert!(
        plan.steps()
            .all(|step| matches!(step, Step::UpdateSecret { update, .. } if update.document == DocumentUpdate::Write))
    );
}

#[test]
fn a_digest_covers_what_aws_stores_in_any_order() {
    let digest = |properties: &Value| Digest::of_desired(&desired(properties));
    let plain = digest(&json!({}));
    for same in [
        json!({ "VerifyToken": "false" }),
        json!({ "SecretRecoveryWindowInDays": 30 }),
        json!({ "SecretKmsKeyId": "alias/aws/secretsmanager" }),
    ] {
        assert_eq!(digest(&same), plain, "{same}");
    }
    for other in [
        json!({ "EnvironmentName": "b" }),
        json!({ "DomainPrefix": "b" }),
        json!({ "TokenService": "API" }),
        json!({ "UserPoolTier": "PLUS" }),
        json!({ "DeletionProtection": "ACTIVE" }),
        json!({ "Tags": { "a": "b" } }),
        json!({ "SecretKmsKeyId": "alias/b" }),
        json!({ "RotationDays": 30 }),
        json!({ "RotateSecrets": "1" }),
        json!({ "Clients": [{ "ClientName": "a" }] }),
        json!({ "SecretReplicas": [{ "Region": "eu-west-1" }] }),
    ] {
        assert_ne!(digest(&other), plain, "{other}");
    }
    let two = |a: &str, b: &str| {
        let servers = [a, b].map(|name| json!({ "Identifier": name, "Scopes": [{ "ScopeName": "x" }] }));
        let clients = [a, b].map(|name| json!({ "ClientName": name, "AllowedOAuthScopes": ["a/x"] }));
        json!({ "ResourceServers": servers, "Clients": clients })
    };
    assert_eq!(digest(&two("a", "b")), digest(&two("b", "a")));
}

const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
const OTHER: &str = "arn:aws:iam::111122223333:role/other";

/// One client with these readers, and replicas in these regions.
fn shared(readers: &[&str], replicas: &Value) -> Value {
    json!({ "Clients": [{ "ClientName": "one", "SecretReaders": readers }], "SecretReplicas": replicas })
}

#[test]
fn readers_and_replicas_follow_the_document_and_leave_at_the_end() {
    let old = desired(&shared(
        &[ROLE],
        &json!([
            { "Region": "eu-west-1" }, { "Region": "eu-west-2", "KmsKeyId": "a" }, { "Region": "eu-west-3" },
        ]),
    ));
    let new = desired(&shared(
        &[OTHER],
        &json!([
            { "Region": "eu-west-2", "KmsKeyId": "b" }, { "Region": "eu-west-3" }, { "Region": "us-west-2" },
        ]),
    ));
    assert_snapshot!(plan(&old, &observed(&old), &occasion(&BTreeSet::new())).unwrap(), @"nothing to do");
    assert_snapshot!(shown(&new, &observed(&old)), @r"
    PutResourcePolicy machine-to-machine-dev/one: +arn:aws:iam::111122223333:role/other, -arn:aws:iam::111122223333:role/reader
    ---
    ReplicateSecretToRegions machine-to-machine-dev/one: eu-west-2 (removed and made again), us-west-2
    ---
    AwaitReplicas machine-to-machine-dev/one: eu-west-2, us-west-2
    ---
    RemoveRegionsFromReplication machine-to-machine-dev/one: eu-west-1
    ");
    let none = desired(&shared(&[], &json!([])));
    assert_snapshot!(shown(&none, &observed(&old)), @r"
    DeleteResourcePolicy machine-to-machine-dev/one
    ---
    RemoveRegionsFromReplication machine-to-machine-dev/one: eu-west-1, eu-west-2, eu-west-3
    ");
    let create = shown(&old, &Observed::default());
    let (before, after) = create.split_once("CreateSecret").unwrap();
    assert!(!before.contains("PutResourcePolicy") && after.contains("PutResourcePolicy"), "{create}");
}

#[test]
fn a_replica_that_failed_is_tried_again_and_one_in_progress_is_waited_for() {
    let desired = desired(&shared(&[], &json!([{ "Region": "eu-west-1" }, { "Region": "eu-west-2" }])));
    let mut observed = observed(&desired);
    for secret in observed.secrets.values_mut() {
        secret.replicas.get_mut(&Region::from("eu-west-1")).unwrap().status = ReplicaStatus::Failed("x".to_owned());
        secret.replicas.get_mut(&Region::from("eu-west-2")).unwrap().status = ReplicaStatus::InProgress;
    }
    assert_snapshot!(shown(&desired, &observed), @r"
    ReplicateSecretToRegions machine-to-machine-dev/one: eu-west-1
    ---
    AwaitReplicas machine-to-machine-dev/one: eu-west-1, eu-west-2
    ");
}

#[test]
fn a_policy_that_would_be_too_long_is_refused() {
    let desired = desired(&shared(&[ROLE], &json!([])));
    let mut observed = observed(&desired);
    let statement = json!({ "Sid": "Theirs", "Resource": "x".repeat(20_300) });
    for secret in observed.secrets.values_mut() {
        let policy = ResourcePolicy::parse(&json!({ "Statement": [statement] }).to_string());
        secret.policy = ObservedPolicy::Read(policy);
    }
    let refusal = plan(&desired, &observed, &occasion(&BTreeSet::new())).unwrap_err().to_string();
    assert!(refusal.contains("machine-to-machine-dev/one would have 20") && refusal.contains("20480"), "{refusal}");
}

#[test]
fn a_secret_that_is_restored_gets_its_readers_and_loses_those_of_its_former_owner() {
    for (readers, expected) in [(&[ROLE][..], "+arn:aws:iam"), (&[], "no readers")] {
        let declared = desired(&shared(readers, &json!([{ "Region": "eu-west-1" }])));
        let mut found = observed(&desired(&shared(&[OTHER], &json!([]))));
        for secret in found.secrets.values_mut() {
            (secret.ownership, secret.scheduled, secret.document) = (Ownership::Reclaimable, true, None);
            secret.policy = ObservedPolicy::Unknown;
        }
        let shown = shown(&declared, &found);
        let (update, put) = (shown.find("UpdateSecret").unwrap(), shown.find("PutResourcePolicy").unwrap());
        assert!(update < put && shown[put..].contains(expected), "{shown}");
        assert!(shown.contains("ReplicateSecretToRegions"), "{shown}");
    }
}
