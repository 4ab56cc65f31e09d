//! Amazon Cognito user pools.

use std::time::Duration;

use cognito_m2m::{
    model::{AuthFlow, CustomDomain, Domain, Tags, Tier, UserPool},
    ports::{ClientSecrets, DomainDescription, ErrorKind, UserPools},
    redact::Secret,
};
use serde_json::{Value, json};

use crate::{
    signing::with,
    support::{
        Aws, CLIENT_ID, CLIENT_SECRET, SECRET_ID, call, client, client_id, client_secret, domain, pool_id,
        resource_server, resource_server_json, tags_as_map, user_pool,
    },
};

/// The adapter removes the deprecated days, which the SDK always sends.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminCreateUserConfigType.html>
fn admin_only() -> Value {
    json!({ "AllowAdminCreateUserOnly": true })
}

#[tokio::test]
async fn create_user_pool_sends_a_strictly_machine_to_machine_pool_with_its_ownership_tags() {
    let aws = Aws::answering(json!({ "UserPool": { "Id": "us-east-1_AbCdEfGhI", "Arn": "arn:pool" } })).await;
    let made = aws.pools.create_user_pool(&user_pool()).await.unwrap();
    assert_eq!(made, (pool_id(), "arn:pool".to_owned()));
    aws.sent_cognito(
        "CreateUserPool",
        json!({
            "PoolName": "machine-to-machine-dev",
            "UserPoolTags": tags_as_map(),
            "UserPoolTier": "PLUS",
            "DeletionProtection": "ACTIVE",
            "AdminCreateUserConfig": admin_only(),
            "MfaConfiguration": "OFF",
            "AccountRecoverySetting": { "RecoveryMechanisms": [{ "Priority": 1, "Name": "admin_only" }] },
            "IssuerConfiguration": { "Type": "ORIGINAL" },
        }),
    )
    .await;
}

#[tokio::test]
async fn update_user_pool_sends_the_whole_pool_because_cognito_resets_what_is_left_out() {
    let aws = Aws::answering(json!({})).await;
    let pool = UserPool { tier: Tier::Lite, deletion_protection: false, ..user_pool() };
    aws.pools.update_user_pool(&pool_id(), &pool).await.unwrap();
    aws.sent_cognito(
        "UpdateUserPool",
        json!({
            "UserPoolId": "us-east-1_AbCdEfGhI",
            "PoolName": "machine-to-machine-dev",
            "UserPoolTags": tags_as_map(),
            "UserPoolTier": "LITE",
            "DeletionProtection": "INACTIVE",
            "AdminCreateUserConfig": admin_only(),
            "MfaConfiguration": "OFF",
            "AccountRecoverySetting": { "RecoveryMechanisms": [{ "Priority": 1, "Name": "admin_only" }] },
            "IssuerConfiguration": { "Type": "ORIGINAL" },
            "AutoVerifiedAttributes": [],
        }),
    )
    .await;
}

/// The settings that every create and update sends for a client.
fn client_settings() -> Value {
    json!({
        "UserPoolId": "us-east-1_AbCdEfGhI",
        "ClientName": "billing",
        "AllowedOAuthFlows": ["client_credentials"],
        "AllowedOAuthFlowsUserPoolClient": true,
        "AllowedOAuthScopes": ["m2m-client/write", "m2m-client/read"],
        "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"],
        "PreventUserExistenceErrors": "ENABLED",
        "EnableTokenRevocation": true,
        "AccessTokenValidity": 90,
        "TokenValidityUnits": { "AccessToken": "minutes" },
    })
}

#[tokio::test]
async fn create_user_pool_client_sends_a_client_that_can_do_nothing_but_client_credentials() {
    let made = json!({ "ClientId": CLIENT_ID, "ClientSecret": CLIENT_SECRET });
    let aws = Aws::answering(json!({ "UserPoolClient": made })).await;
    let made = aws.pools.create_user_pool_client(&pool_id(), &client()).await.unwrap();
    assert_eq!(made, (client_id(), Secret::new(CLIENT_SECRET.to_owned())));
    assert!(!format!("{made:?}").contains(CLIENT_SECRET));
    aws.sent_cognito("CreateUserPoolClient", with(client_settings(), &json!({ "GenerateSecret": true }))).await;
}

#[tokio::test]
async fn update_user_pool_client_sends_the_whole_client_and_empties_what_people_sign_in_with() {
    let aws = Aws::answering(json!({})).await;
    aws.pools.update_user_pool_client(&pool_id(), &client_id(), &client()).await.unwrap();
    let more = json!({
        "ClientId": CLIENT_ID, "SupportedIdentityProviders": [], "CallbackURLs": [], "LogoutURLs": [],
    });
    aws.sent_cognito("UpdateUserPoolClient", with(client_settings(), &more)).await;
    // Cognito refuses a flow without a scope.
    let aws = Aws::answering(json!({})).await;
    let without = cognito_m2m::model::UserPoolClient { scopes: Vec::new(), ..client() };
    aws.pools.update_user_pool_client(&pool_id(), &client_id(), &without).await.unwrap();
    let off = json!({
        "AllowedOAuthFlows": [], "AllowedOAuthFlowsUserPoolClient": false, "AllowedOAuthScopes": [],
    });
    aws.sent_cognito("UpdateUserPoolClient", with(with(client_settings(), &more), &off)).await;
}

#[tokio::test]
async fn resource_servers_are_sent_whole() {
    let aws = Aws::answering(json!({})).await;
    aws.pools.create_resource_server(&pool_id(), &resource_server()).await.unwrap();
    aws.sent_cognito("CreateResourceServer", resource_server_json()).await;

    aws.answers(200, &json!({})).await;
    aws.pools.update_resource_server(&pool_id(), &resource_server()).await.unwrap();
    aws.sent_cognito("UpdateResourceServer", resource_server_json()).await;
}

#[tokio::test]
async fn domains_are_sent_with_their_pool_and_managed_login_version() {
    let aws = Aws::answering(json!({})).await;
    let body = |version: u8| {
        json!({
            "UserPoolId": "us-east-1_AbCdEfGhI", "Domain": "m2m-rubicon-dev", "ManagedLoginVersion": version,
        })
    };
    aws.pools.create_user_pool_domain(&pool_id(), &domain().into()).await.unwrap();
    aws.sent_cognito("CreateUserPoolDomain", body(2)).await;

    aws.answers(200, &json!({})).await;
    let first_version = Domain { managed_login_version: 1, ..domain() };
    aws.pools.update_user_pool_domain(&pool_id(), &first_version.into()).await.unwrap();
    aws.sent_cognito("UpdateUserPoolDomain", body(1)).await;
}

/// A custom domain with everything that can be said about it.
fn custom_domain() -> CustomDomain {
    CustomDomain {
        name: "auth.example.com".into(),
        managed_login_version: 2,
        certificate_arn: "arn:aws:acm:us-east-1:123456789012:certificate/1".into(),
        security_policy: Some("TLS_V1_3_2025".into()),
    }
}

#[tokio::test]
async fn a_custom_domain_is_sent_whole_in_every_update_because_cognito_resets_the_rest() {
    let aws = Aws::answering(json!({ "CloudFrontDomain": "d1.cloudfront.net" })).await;
    let body = json!({
        "UserPoolId": "us-east-1_AbCdEfGhI", "Domain": "auth.example.com", "ManagedLoginVersion": 2,
        "CustomDomainConfig": {
            "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1", "SecurityPolicy": "TLS_V1_3_2025",
        },
    });
    let domain = custom_domain().into();
    let target = aws.pools.create_user_pool_domain(&pool_id(), &domain).await.unwrap();
    assert_eq!(target.as_deref(), Some("d1.cloudfront.net"));
    aws.sent_cognito("CreateUserPoolDomain", body.clone()).await;

    aws.answers(200, &json!({})).await;
    aws.pools.update_user_pool_domain(&pool_id(), &domain).await.unwrap();
    aws.sent_cognito("UpdateUserPoolDomain", body.clone()).await;

    // A cloud that does not show a policy, and no target.
    for answer in [json!({}), json!({ "CloudFrontDomain": "" })] {
        aws.answers(200, &answer).await;
        let without = CustomDomain { security_policy: None, ..custom_domain() }.into();
        assert_eq!(aws.pools.create_user_pool_domain(&pool_id(), &without).await.unwrap(), None);
        let config = json!({ "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1" });
        aws.sent_cognito("CreateUserPoolDomain", with(body.clone(), &json!({ "CustomDomainConfig": config }))).await;
    }
}

#[tokio::test]
async fn a_custom_domain_is_read_with_its_certificate_policy_target_and_status() {
    let aws = Aws::answering(json!({ "DomainDescription": {
        "UserPoolId": "us-east-1_AbCdEfGhI", "AWSAccountId": "123456789012", "Domain": "auth.example.com",
        "Status": "UPDATING", "ManagedLoginVersion": 1, "CloudFrontDistribution": "d1.cloudfront.net",
        "CustomDomainConfig": { "CertificateArn": "arn:cert", "SecurityPolicy": "TLS_V1_2_2021" },
    } }))
    .await;
    let found = aws.pools.describe_user_pool_domain("auth.example.com").await.unwrap();
    let expected = DomainDescription {
        pool: pool_id(),
        account: Some("123456789012".into()),
        managed_login_version: 1,
        deleting: false,
        status: "UPDATING".into(),
        certificate_arn: Some("arn:cert".into()),
        security_policy: Some("TLS_V1_2_2021".into()),
        target: Some("d1.cloudfront.net".into()),
    };
    assert_eq!(found, Some(expected));
}

#[tokio::test]
async fn cognitos_reads_and_deletes_send_the_names_and_nothing_else() {
    let pool = "us-east-1_AbCdEfGhI";
    let expected = [
        ("ListUserPools", json!({ "MaxResults": 60 })),
        ("DescribeUserPool", json!({ "UserPoolId": pool })),
        ("DeleteUserPool", json!({ "UserPoolId": pool })),
        ("DescribeUserPoolDomain", json!({ "Domain": "m2m-rubicon-dev" })),
        ("DeleteUserPoolDomain", json!({ "Domain": "m2m-rubicon-dev", "UserPoolId": pool })),
        ("ListResourceServers", json!({ "UserPoolId": pool, "MaxResults": 50 })),
        ("DeleteResourceServer", json!({ "UserPoolId": pool, "Identifier": "m2m-client" })),
        ("ListUserPoolClients", json!({ "UserPoolId": pool, "MaxResults": 60 })),
        ("DescribeUserPoolClient", json!({ "UserPoolId": pool, "ClientId": CLIENT_ID })),
        ("DeleteUserPoolClient", json!({ "UserPoolId": pool, "ClientId": CLIENT_ID })),
        ("ListUserPoolClientSecrets", json!({ "UserPoolId": pool, "ClientId": CLIENT_ID })),
        (
            "DeleteUserPoolClientSecret",
            json!({ "UserPoolId": pool, "ClientId": CLIENT_ID, "ClientSecretId": SECRET_ID }),
        ),
    ];
    let aws = Aws::start().await;
    for (operation, body) in expected {
        aws.answers(200, &json!({})).await;
        call(&aws.pools, &aws.secrets, operation).await.unwrap();
        aws.sent_cognito(operation, body).await;
    }
}

#[tokio::test]
async fn a_client_secret_is_added_with_the_callers_value() {
    // The answer repeats the new value. The adapter does not keep it.
    let added = json!({
        "ClientSecretId": SECRET_ID, "ClientSecretValue": CLIENT_SECRET, "ClientSecretCreateDate": 1_767_323_045.25,
    });
    let aws = Aws::answering(json!({ "ClientSecretDescriptor": added })).await;
    aws.pools.add_user_pool_client_secret(&pool_id(), &client_id(), &client_secret()).await.unwrap();
    aws.sent_cognito(
        "AddUserPoolClientSecret",
        json!({ "UserPoolId": "us-east-1_AbCdEfGhI", "ClientId": CLIENT_ID, "ClientSecret": CLIENT_SECRET }),
    )
    .await;
}

/// The answer of DescribeUserPool for a pool of this program, with the fields that AWS adds.
fn described_pool() -> Value {
    json!({
        "Id": "us-east-1_AbCdEfGhI",
        "Arn": "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEfGhI",
        "Name": "machine-to-machine-dev",
        "UserPoolTags": tags_as_map(),
        "UserPoolTier": "PLUS",
        "DeletionProtection": "ACTIVE",
        "Domain": "m2m-rubicon-dev",
        "CreationDate": 1_767_323_045.25,
        "LastModifiedDate": 1_767_323_046.5,
        "EstimatedNumberOfUsers": 0,
        "AdminCreateUserConfig": { "AllowAdminCreateUserOnly": true, "UnusedAccountValidityDays": 7 },
        "MfaConfiguration": "OFF",
        "AccountRecoverySetting": { "RecoveryMechanisms": [{ "Priority": 1, "Name": "admin_only" }] },
        "EmailConfiguration": { "EmailSendingAccount": "COGNITO_DEFAULT" },
        "VerificationMessageTemplate": { "DefaultEmailOption": "CONFIRM_WITH_CODE" },
        "UserAttributeUpdateSettings": { "AttributesRequireVerificationBeforeUpdate": [] },
        "LambdaConfig": {},
        "SomethingNew": { "AddedByAWS": true },
    })
}

#[tokio::test]
async fn describe_user_pool_reads_the_whole_state() {
    let described = with(described_pool(), &json!({ "CustomDomain": "auth.example.com" }));
    let aws = Aws::answering(json!({ "UserPool": described })).await;
    let pool = aws.pools.describe_user_pool(&pool_id()).await.unwrap().unwrap();
    assert_eq!(pool.id, pool_id());
    assert_eq!(pool.arn, "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEfGhI");
    assert_eq!(pool.state, user_pool());
    assert!(pool.m2m_only);
    assert_eq!(pool.domain.as_deref(), Some("m2m-rubicon-dev"));
    assert_eq!(pool.custom_domain.as_deref(), Some("auth.example.com"));
    assert_eq!(pool.created, Duration::from_millis(1_767_323_045_250));
}

#[tokio::test]
async fn describe_user_pool_reads_an_answer_that_says_almost_nothing() {
    let aws = Aws::answering(json!({ "UserPool": { "Domain": "", "CustomDomain": "" } })).await;
    let pool = aws.pools.describe_user_pool(&pool_id()).await.unwrap().unwrap();
    assert_eq!((pool.id, pool.arn.as_str(), pool.domain, pool.custom_domain), (pool_id(), "", None, None));
    let state = UserPool { name: String::new(), tier: Tier::Essentials, deletion_protection: false, tags: Tags::new() };
    assert_eq!(pool.state, state);
    assert_eq!(pool.created, Duration::ZERO);
    // An answer without the settings does not count as strict.
    assert!(!pool.m2m_only);

    aws.answers(200, &json!({})).await;
    assert_eq!(aws.pools.describe_user_pool(&pool_id()).await.unwrap(), None);
}

#[tokio::test]
async fn a_pool_that_has_drifted_from_machine_to_machine_is_not_strict() {
    let aws = Aws::start().await;
    let recovery = |mechanisms: Value| json!({ "AccountRecoverySetting": { "RecoveryMechanisms": mechanisms } });
    for (drift, m2m_only) in [
        (json!({ "AdminCreateUserConfig": { "AllowAdminCreateUserOnly": false } }), false),
        (json!({ "AdminCreateUserConfig": null }), false),
        (json!({ "MfaConfiguration": "ON" }), false),
        (json!({ "MfaConfiguration": "OPTIONAL" }), false),
        (json!({ "MfaConfiguration": null }), true),
        (json!({ "AccountRecoverySetting": null }), false),
        (recovery(json!([{ "Priority": 1, "Name": "verified_email" }])), false),
        (
            recovery(json!([{ "Priority": 1, "Name": "admin_only" }, { "Priority": 2, "Name": "verified_email" }])),
            false,
        ),
        (json!({ "AutoVerifiedAttributes": ["email"] }), false),
        (json!({ "AutoVerifiedAttributes": [] }), true),
        (json!({ "IssuerConfiguration": { "Type": "ORIGINAL" } }), true),
        (json!({ "IssuerConfiguration": { "Type": "UPDATED" } }), false),
        (json!({ "IssuerConfiguration": {} }), true),
    ] {
        aws.answers(200, &json!({ "UserPool": with(described_pool(), &drift) })).await;
        let pool = aws.pools.describe_user_pool(&pool_id()).await.unwrap().unwrap();
        assert_eq!(pool.m2m_only, m2m_only, "{drift}");
    }
}

#[tokio::test]
async fn a_pool_is_created_only_if_the_answer_names_it() {
    let aws = Aws::start().await;
    for answer in [json!({}), json!({ "UserPool": {} })] {
        aws.answers(200, &answer).await;
        let error = aws.pools.create_user_pool(&user_pool()).await.unwrap_err();
        // Nobody can tell whether it was created.
        assert_eq!((error.kind, error.operation), (ErrorKind::Lost, "CreateUserPool"), "{error}");
    }
    for answer in [json!({ "UserPoolClient": { "ClientId": CLIENT_ID } }), json!({})] {
        aws.answers(200, &answer).await;
        let error = aws.pools.create_user_pool_client(&pool_id(), &client()).await.unwrap_err();
        assert_eq!((error.kind, error.operation), (ErrorKind::Lost, "CreateUserPoolClient"), "{error}");
    }
}

#[tokio::test]
async fn a_domain_that_nobody_has_is_answered_with_an_empty_description() {
    let aws = Aws::start().await;
    for answer in [
        json!({ "DomainDescription": {} }),
        json!({}),
        json!({ "DomainDescription": null }),
        json!({ "DomainDescription": { "UserPoolId": "" } }),
    ] {
        aws.answers(200, &answer).await;
        assert_eq!(aws.pools.describe_user_pool_domain("m2m-rubicon-dev").await.unwrap(), None, "{answer}");
    }
}

#[tokio::test]
async fn a_domain_is_read_with_its_pool_account_and_state() {
    let aws = Aws::start().await;
    let described = json!({
        "UserPoolId": "us-east-1_AbCdEfGhI", "AWSAccountId": "123456789012", "Domain": "m2m-rubicon-dev",
        "Status": "ACTIVE", "ManagedLoginVersion": 2, "S3Bucket": "aws-cognito-prod", "CustomDomainConfig": {},
    });
    let expected = DomainDescription {
        pool: pool_id(),
        account: Some("123456789012".into()),
        managed_login_version: 2,
        deleting: false,
        status: "ACTIVE".into(),
        certificate_arn: None,
        security_policy: None,
        target: None,
    };
    let in_status = |status: &str| DomainDescription { status: status.into(), ..expected.clone() };
    for (change, expected) in [
        (json!({}), expected.clone()),
        (json!({ "Status": "CREATING" }), in_status("CREATING")),
        (json!({ "Status": null }), in_status("")),
        (json!({ "Status": "DELETING" }), DomainDescription { deleting: true, ..in_status("DELETING") }),
        (json!({ "ManagedLoginVersion": null }), DomainDescription { managed_login_version: 1, ..expected.clone() }),
        (json!({ "AWSAccountId": null }), DomainDescription { account: None, ..expected.clone() }),
    ] {
        aws.answers(200, &json!({ "DomainDescription": with(described.clone(), &change) })).await;
        let domain = aws.pools.describe_user_pool_domain("m2m-rubicon-dev").await.unwrap();
        assert_eq!(domain, Some(expected), "{change}");
    }
}

/// The answer of DescribeUserPoolClient for a client of this program, with the fields that AWS adds.
fn described_client() -> Value {
    let more = json!({
        "ClientId": CLIENT_ID, "ClientSecret": CLIENT_SECRET, "RefreshTokenValidity": 30, "AuthSessionValidity": 3,
        "EnablePropagateAdditionalUserContextData": false,
        "CreationDate": 1_767_323_045.25, "LastModifiedDate": 1_767_323_045.25, "SomethingNew": [1],
    });
    with(client_settings(), &more)
}

#[tokio::test]
async fn describe_user_pool_client_reads_the_client_and_keeps_its_secret_to_itself() {
    let aws = Aws::answering(json!({ "UserPoolClient": described_client() })).await;
    let described = aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap().unwrap();
    assert!(!format!("{described:?}").contains(CLIENT_SECRET));
    let observed = described.observed;
    assert_eq!((&observed.id, &observed.name), (&client_id(), &client().name));
    assert_eq!(observed.scopes, client().scopes);
    assert_eq!(observed.access_token_validity_minutes, 90);
    assert!(observed.m2m_only);
    assert_eq!(described.secret, Some(Secret::new(CLIENT_SECRET.to_owned())));

    aws.answers(200, &json!({})).await;
    assert_eq!(aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap(), None);
}

#[tokio::test]
async fn a_client_without_a_visible_secret_is_read_without_one() {
    let aws = Aws::answering(json!({ "UserPoolClient": { "ClientId": CLIENT_ID } })).await;
    let described = aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap().unwrap();
    assert_eq!(described.secret, None);
    assert_eq!(described.observed.name.as_str(), "");
    assert_eq!(described.observed.scopes, Vec::<String>::new());
    assert_eq!(described.observed.access_token_validity_minutes, 60);
    assert!(!described.observed.m2m_only);
}

#[tokio::test]
async fn access_token_validity_is_read_in_every_unit() {
    let aws = Aws::start().await;
    for (validity, units, minutes) in [
        (json!(2), json!({ "AccessToken": "hours" }), 120),
        (json!(300), json!({ "AccessToken": "seconds" }), 5),
        (json!(1), json!({ "AccessToken": "days" }), 1440),
        (json!(30), json!({ "AccessToken": "minutes", "RefreshToken": "days" }), 30),
        // Hours are Cognito's default.
        (json!(3), json!({ "RefreshToken": "days" }), 180),
        (json!(3), Value::Null, 180),
        (Value::Null, json!({ "AccessToken": "minutes" }), 60),
        (json!(0), Value::Null, 60),
    ] {
        let change = json!({ "AccessTokenValidity": validity, "TokenValidityUnits": units });
        aws.answers(200, &json!({ "UserPoolClient": with(described_client(), &change) })).await;
        let described = aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap().unwrap();
        assert_eq!(described.observed.access_token_validity_minutes, minutes, "{change}");
    }
}

#[tokio::test]
async fn a_client_that_has_drifted_from_machine_to_machine_is_not_strict() {
    let aws = Aws::start().await;
    for (drift, m2m_only) in [
        (json!({ "AllowedOAuthFlows": ["client_credentials", "code"] }), false),
        (json!({ "AllowedOAuthFlows": ["code"] }), false),
        (json!({ "AllowedOAuthFlows": [] }), false),
        (json!({ "AllowedOAuthFlowsUserPoolClient": false }), false),
        (json!({ "AllowedOAuthFlowsUserPoolClient": null }), false),
        (json!({ "PreventUserExistenceErrors": "LEGACY" }), false),
        (json!({ "EnableTokenRevocation": false }), false),
        (json!({ "SupportedIdentityProviders": ["COGNITO"] }), false),
        (json!({ "CallbackURLs": ["https://example.com"] }), false),
        (json!({ "LogoutURLs": ["https://example.com"] }), false),
        (json!({ "SupportedIdentityProviders": [], "CallbackURLs": [], "LogoutURLs": [] }), true),
    ] {
        aws.answers(200, &json!({ "UserPoolClient": with(described_client(), &drift) })).await;
        let described = aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap().unwrap();
        assert_eq!(described.observed.m2m_only, m2m_only, "{drift}");
    }
}

#[tokio::test]
async fn the_only_sign_in_flow_of_a_client_is_read() {
    let aws = Aws::start().await;
    for (flows, auth_flow) in [
        (json!(["ALLOW_REFRESH_TOKEN_AUTH"]), Some(AuthFlow::RefreshToken)),
        (json!(["ALLOW_CLIENT_TOKEN_AUTH"]), Some(AuthFlow::ClientToken)),
        (json!(["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]), None),
        (json!(["ALLOW_USER_PASSWORD_AUTH"]), None),
        // Cognito shows no flows for its default, which lets users sign in.
        (Value::Null, None),
    ] {
        let drift = json!({ "ExplicitAuthFlows": flows });
        aws.answers(200, &json!({ "UserPoolClient": with(described_client(), &drift) })).await;
        let described = aws.pools.describe_user_pool_client(&pool_id(), &client_id()).await.unwrap().unwrap();
        assert_eq!(described.observed.auth_flow, auth_flow, "{drift}");
    }
}

#[tokio::test]
async fn a_cloud_that_does_not_know_second_secrets_lists_none() {
    let aws = Aws::start().await;
    for code in ["UnknownOperationException", "InvalidAction"] {
        aws.answers(400, &json!({ "__type": code, "message": "Unknown action" })).await;
        let page = aws.pools.list_user_pool_client_secrets(&pool_id(), &client_id(), None).await.unwrap();
        assert_eq!(page.items, Vec::new());
    }
}
