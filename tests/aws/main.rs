//! Tests the adapters against a local HTTP server: what they send, byte for byte if it matters, and how
//! they read every answer. No test calls AWS. Tests that concern both services are here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod client_token;
mod cognito;
mod errors;
mod response_url;
mod secrets_manager;
mod settings;
#[path = "../support/signing.rs"]
mod signing;
mod support;
mod token_endpoint;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cognito_m2m::{
    model::{ClientId, ClientName, PoolId, ResourceServer},
    ports::{ClientSecretDescription, ClientSecrets, Page, Secrets, UserPools},
};
use serde_json::{Value, json};

use crate::support::{
    Aws, CLIENT_ID, OPERATIONS, STACK_ID, client_id, owner, pool_id, resource_server, resource_server_json,
    secret_name, tags_as_list,
};

#[test]
fn every_operation_of_the_ports_is_called_here() {
    // Other tests loop over `OPERATIONS`, so it must be complete.
    let mut traits: BTreeMap<&str, Vec<&str>> = include_str!("../../src/ports.rs")
        .split("\npub trait ")
        .skip(1)
        .map(|rest| {
            let (head, body) = rest.split_once('{').unwrap();
            let (body, _) = body.split_once("\n}").unwrap();
            let methods =
                body.lines().filter_map(|line| line.trim_start().strip_prefix("async fn ")?.split('(').next());
            (head.split(':').next().unwrap().trim(), methods.collect())
        })
        .collect();
    // `token_endpoint.rs` and the tests of `m2mctl` cover these; the SDK has no part in them.
    assert_eq!(traits.remove("TokenEndpoint").unwrap(), ["accepts", "verify"]);
    assert_eq!(traits.remove("Tokens").unwrap(), ["request", "claims"]);
    // It groups ports and has no operation.
    assert!(traits.remove("Services").is_some());
    // Only `m2mctl` uses it, so the tests of `m2mctl` cover it.
    assert!(traits.remove("Account").is_some());
    assert_eq!(traits.keys().copied().collect::<Vec<_>>(), ["ClientSecrets", "SecretVersions", "Secrets", "UserPools"]);
    let declared: BTreeSet<_> = traits.into_values().flatten().map(pascal).collect();
    assert_eq!(declared, OPERATIONS.map(ToOwned::to_owned).into());
}

fn pascal(snake: &str) -> String {
    snake.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

#[tokio::test]
async fn the_next_page_is_asked_for_by_its_token() {
    let aws = Aws::answering(json!({})).await;
    let pool = "us-east-1_AbCdEfGhI";
    aws.pools.list_user_pools(Some("page2")).await.unwrap();
    aws.sent_cognito("ListUserPools", json!({ "MaxResults": 60, "NextToken": "page2" })).await;

    aws.answers(200, &json!({})).await;
    aws.pools.list_resource_servers(&pool_id(), Some("page2")).await.unwrap();
    let body = json!({ "UserPoolId": pool, "MaxResults": 50, "NextToken": "page2" });
    aws.sent_cognito("ListResourceServers", body).await;

    aws.answers(200, &json!({})).await;
    aws.pools.list_user_pool_clients(&pool_id(), Some("page2")).await.unwrap();
    let body = json!({ "UserPoolId": pool, "MaxResults": 60, "NextToken": "page2" });
    aws.sent_cognito("ListUserPoolClients", body).await;

    aws.answers(200, &json!({})).await;
    aws.pools.list_user_pool_client_secrets(&pool_id(), &client_id(), Some("page2")).await.unwrap();
    let body = json!({ "UserPoolId": pool, "ClientId": CLIENT_ID, "NextToken": "page2" });
    aws.sent_cognito("ListUserPoolClientSecrets", body).await;

    aws.answers(200, &json!({})).await;
    aws.secrets.list_secrets(Some(&owner()), Some("page2")).await.unwrap();
    let filters = json!([{ "Key": "tag-value", "Values": [STACK_ID] }]);
    let body = json!({ "Filters": filters, "MaxResults": 100, "NextToken": "page2" });
    aws.sent_secrets("ListSecrets", body).await;
}

#[tokio::test]
async fn a_page_is_read_with_its_token_and_an_empty_token_ends_the_listing() {
    let aws = Aws::start().await;
    for (token, next) in [(json!("page2"), Some("page2".to_owned())), (json!(""), None), (Value::Null, None)] {
        let pools = json!([{ "Id": "us-east-1_A", "Name": "a" }, { "Name": "no id" }, { "Id": "us-east-1_B" }]);
        aws.answers(200, &json!({ "UserPools": pools, "NextToken": token })).await;
        let items = vec![(PoolId::from("us-east-1_A"), "a".to_owned()), (PoolId::from("us-east-1_B"), String::new())];
        assert_eq!(aws.pools.list_user_pools(None).await.unwrap(), Page { items, next: next.clone() });

        let clients = json!([{ "ClientId": "1", "ClientName": "a" }, { "ClientName": "no id" }, { "ClientId": "2" }]);
        aws.answers(200, &json!({ "UserPoolClients": clients, "NextToken": token })).await;
        let items = vec![
            (ClientId::from("1"), ClientName::from("a")),
            // A client whose name is not shown is still a client.
            (ClientId::from("2"), ClientName::from("")),
        ];
        assert_eq!(
            aws.pools.list_user_pool_clients(&pool_id(), None).await.unwrap(),
            Page { items, next: next.clone() }
        );

        let server = resource_server_json();
        aws.answers(200, &json!({ "ResourceServers": [server, { "Identifier": "bare" }], "NextToken": token })).await;
        let bare = ResourceServer { identifier: "bare".into(), name: String::new(), mark: None, scopes: Vec::new() };
        let items = vec![resource_server(), bare];
        assert_eq!(
            aws.pools.list_resource_servers(&pool_id(), None).await.unwrap(),
            Page { items, next: next.clone() }
        );

        let client_secrets = json!([
            { "ClientSecretId": "1", "ClientSecretCreateDate": 1_767_323_045.25 },
            { "ClientSecretCreateDate": 1_767_323_045 }, { "ClientSecretId": "2" },
        ]);
        aws.answers(200, &json!({ "ClientSecrets": client_secrets, "NextToken": token })).await;
        let items = vec![
            ClientSecretDescription { id: "1".to_owned(), created: Duration::from_millis(1_767_323_045_250) },
            // One whose age is not shown is still a secret.
            ClientSecretDescription { id: "2".to_owned(), created: Duration::ZERO },
        ];
        assert_eq!(
            aws.pools.list_user_pool_client_secrets(&pool_id(), &client_id(), None).await.unwrap(),
            Page { items, next: next.clone() }
        );

        let secrets = json!([{ "Name": "machine-to-machine-dev/billing", "Tags": tags_as_list() }]);
        aws.answers(200, &json!({ "SecretList": secrets, "NextToken": token })).await;
        let items = vec![(secret_name(), crate::support::tags())];
        assert_eq!(aws.secrets.list_secrets(Some(&owner()), None).await.unwrap(), Page { items, next });
    }
}

#[tokio::test]
async fn a_listing_without_its_list_is_an_empty_page() {
    let aws = Aws::answering(json!({})).await;
    assert_eq!(aws.pools.list_user_pools(None).await.unwrap(), Page { items: Vec::new(), next: None });
    let page = aws.pools.list_resource_servers(&pool_id(), None).await.unwrap();
    assert_eq!(page, Page { items: Vec::new(), next: None });
    let page = aws.pools.list_user_pool_clients(&pool_id(), None).await.unwrap();
    assert_eq!(page, Page { items: Vec::new(), next: None });
    let page = aws.pools.list_user_pool_client_secrets(&pool_id(), &client_id(), None).await.unwrap();
    assert_eq!(page, Page { items: Vec::new(), next: None });
    assert_eq!(aws.secrets.list_secrets(Some(&owner()), None).await.unwrap(), Page { items: Vec::new(), next: None });
}
