//! Amazon Cognito user pools.

use aws_config::SdkConfig;
use aws_sdk_cognitoidentityprovider::{
    Client as Sdk,
    types::{
        AccountRecoverySettingType, AdminCreateUserConfigType, CustomDomainConfigType, DeletionProtectionType,
        DomainDescriptionType, DomainStatusType, ExplicitAuthFlowsType, IssuerConfigurationType, IssuerType,
        OAuthFlowType, PreventUserExistenceErrorTypes, RecoveryOptionNameType, RecoveryOptionType,
        ResourceServerScopeType, ResourceServerType, SecurityPolicyType, TimeUnitsType, TokenValidityUnitsType,
        UserPoolClientType, UserPoolMfaType, UserPoolTierType, UserPoolType,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;

use super::{
    error::{failed, found},
    since_epoch,
};
use crate::{
    model::{
        AuthFlow, ClientId, ClientName, CustomDomain, Mark, PoolDomain, PoolId, ResourceServer, Scope, Tier, UserPool,
        UserPoolClient, adoption::ClientSettings, observed::ObservedClient,
    },
    ports::{
        AwsError, ClientDescription, ClientSecretDescription, ClientSecrets, DomainDescription, ErrorKind, Page,
        Result, UserPoolDescription, UserPools,
    },
    redact::{self, Secret},
};

/// The largest page that Cognito allows for each listing.
const POOLS_PER_PAGE: i32 = 60;
const CLIENTS_PER_PAGE: i32 = 60;
const SERVERS_PER_PAGE: i32 = 50;

/// What AWS and a local cloud answer to an operation that they do not have.
const UNKNOWN_OPERATION: [&str; 2] = ["UnknownOperationException", "InvalidAction"];

/// Calls Cognito with the SDK.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_Operations.html>
#[derive(Clone, Debug)]
pub struct Cognito {
    sdk: Sdk,
}

impl Cognito {
    /// Creates a client for the region, the credentials and the endpoint in `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { sdk: Sdk::new(config) }
    }
}

impl UserPools for Cognito {
    async fn list_user_pools(&self, next: Option<&str>) -> Result<Page<(PoolId, String)>> {
        let request =
            self.sdk.list_user_pools().max_results(POOLS_PER_PAGE).set_next_token(next.map(ToOwned::to_owned));
        let page = request.send().await.map_err(|error| failed("ListUserPools", "the account", &error))?;
        let items = page
            .user_pools
            .unwrap_or_default()
            .into_iter()
            .filter_map(|pool| Some((PoolId(pool.id?), pool.name.unwrap_or_default())))
            .collect();
        Ok(Page { items, next: page.next_token.filter(|token| !token.is_empty()) })
    }

    async fn describe_user_pool(&self, id: &PoolId) -> Result<Option<UserPoolDescription>> {
        let outcome = self.sdk.describe_user_pool().user_pool_id(id.as_str()).send().await;
        let answer = found("DescribeUserPool", format!("user pool {id}"), outcome)?;
        Ok(answer.and_then(|answer| answer.user_pool).map(|pool| described_pool(id, pool)))
    }

    async fn create_user_pool(&self, pool: &UserPool) -> Result<(PoolId, String)> {
        let UserPool { name, tier, deletion_protection, tags } = pool;
        let request = self
            .sdk
            .create_user_pool()
            .pool_name(name)
            .set_user_pool_tags(Some(tags.clone().into_iter().collect()))
            .user_pool_tier(tier_type(*tier))
            .deletion_protection(protection_type(*deletion_protection))
            .admin_create_user_config(admin_only())
            .mfa_configuration(UserPoolMfaType::Off)
            .account_recovery_setting(recovery_by_admin())
            .issuer_configuration(original_issuer());
        let subject = || format!("user pool {name}");
        let request = request.customize().mutate_request(without_unused_account_validity);
        let answer = request.send().await.map_err(|error| failed("CreateUserPool", subject(), &error))?;
        let pool = answer.user_pool;
        match pool.and_then(|pool| Some((PoolId(pool.id?), pool.arn.unwrap_or_default()))) {
            Some(made) => Ok(made),
            None => Err(lacking("CreateUserPool", subject(), "the pool's id")),
        }
    }

    async fn update_user_pool(&self, id: &PoolId, pool: &UserPool) -> Result<()> {
        let UserPool { name, tier, deletion_protection, tags } = pool;
        let request = self
            .sdk
            .update_user_pool()
            .user_pool_id(id.as_str())
            .pool_name(name)
            .set_user_pool_tags(Some(tags.clone().into_iter().collect()))
            .user_pool_tier(tier_type(*tier))
            .deletion_protection(protection_type(*deletion_protection))
            .admin_create_user_config(admin_only())
            .mfa_configuration(UserPoolMfaType::Off)
            .account_recovery_setting(recovery_by_admin())
            .issuer_configuration(original_issuer())
            // Cognito resets what is left out. A local AWS may merge instead, so the empty lists are sent.
            .set_auto_verified_attributes(Some(Vec::new()));
        let request = request.customize().mutate_request(without_unused_account_validity);
        request.send().await.map_err(|error| failed("UpdateUserPool", format!("user pool {id}"), &error))?;
        Ok(())
    }

    async fn delete_user_pool(&self, id: &PoolId) -> Result<()> {
        let outcome = self.sdk.delete_user_pool().user_pool_id(id.as_str()).send().await;
        found("DeleteUserPool", format!("user pool {id}"), outcome)?;
        Ok(())
    }

    async fn describe_user_pool_domain(&self, domain: &str) -> Result<Option<DomainDescription>> {
        let outcome = self.sdk.describe_user_pool_domain().domain(domain).send().await;
        let answer = found("DescribeUserPoolDomain", format!("domain {domain}"), outcome)?;
        Ok(answer.and_then(|answer| answer.domain_description).and_then(described_domain))
    }

    async fn create_user_pool_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<Option<String>> {
        let request = self
            .sdk
            .create_user_pool_domain()
            .user_pool_id(pool.as_str())
            .domain(domain.name())
            .managed_login_version(domain.managed_login_version().into())
            .set_custom_domain_config(custom_domain_config(domain));
        let subject = || format!("domain {} of user pool {pool}", domain.name());
        let answer = request.send().await.map_err(|error| failed("CreateUserPoolDomain", subject(), &error))?;
        Ok(answer.cloud_front_domain.filter(|target| !target.is_empty()))
    }

    async fn update_user_pool_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<()> {
        let request = self
            .sdk
            .update_user_pool_domain()
            .user_pool_id(pool.as_str())
            .domain(domain.name())
            .managed_login_version(domain.managed_login_version().into())
            .set_custom_domain_config(custom_domain_config(domain));
        let subject = || format!("domain {} of user pool {pool}", domain.name());
        request.send().await.map_err(|error| failed("UpdateUserPoolDomain", subject(), &error))?;
        Ok(())
    }

    async fn delete_user_pool_domain(&self, pool: &PoolId, domain: &str) -> Result<()> {
        let outcome = self.sdk.delete_user_pool_domain().user_pool_id(pool.as_str()).domain(domain).send().await;
        match found("DeleteUserPoolDomain", format!("domain {domain} of user pool {pool}"), outcome) {
            // Cognito has no code of its own for this.
            Err(error) if error.message.to_ascii_lowercase().contains("no such domain") => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    async fn list_resource_servers(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<ResourceServer>> {
        let request = self
            .sdk
            .list_resource_servers()
            .user_pool_id(pool.as_str())
            .max_results(SERVERS_PER_PAGE)
            .set_next_token(next.map(ToOwned::to_owned));
        let page =
            request.send().await.map_err(|error| failed("ListResourceServers", format!("user pool {pool}"), &error))?;
        let items = page.resource_servers.into_iter().map(described_server).collect();
        Ok(Page { items, next: page.next_token.filter(|token| !token.is_empty()) })
    }

    async fn create_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()> {
        let ResourceServer { identifier, name, mark, scopes } = server;
        let request = self
            .sdk
            .create_resource_server()
            .user_pool_id(pool.as_str())
            .identifier(identifier)
            .name(Mark::join(name, mark.as_ref()))
            .set_scopes(Some(scope_types("CreateResourceServer", scopes)?));
        request
            .send()
            .await
            .map_err(|error| failed("CreateResourceServer", format!("resource server {identifier}"), &error))?;
        Ok(())
    }

    async fn update_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()> {
        let ResourceServer { identifier, name, mark, scopes } = server;
        let request = self
            .sdk
            .update_resource_server()
            .user_pool_id(pool.as_str())
            .identifier(identifier)
            .name(Mark::join(name, mark.as_ref()))
            .set_scopes(Some(scope_types("UpdateResourceServer", scopes)?));
        request
            .send()
            .await
            .map_err(|error| failed("UpdateResourceServer", format!("resource server {identifier}"), &error))?;
        Ok(())
    }

    async fn delete_resource_server(&self, pool: &PoolId, identifier: &str) -> Result<()> {
        let outcome = self.sdk.delete_resource_server().user_pool_id(pool.as_str()).identifier(identifier).send().await;
        found("DeleteResourceServer", format!("resource server {identifier}"), outcome)?;
        Ok(())
    }

    async fn list_user_pool_clients(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<(ClientId, ClientName)>> {
        let request = self
            .sdk
            .list_user_pool_clients()
            .user_pool_id(pool.as_str())
            .max_results(CLIENTS_PER_PAGE)
            .set_next_token(next.map(ToOwned::to_owned));
        let page =
            request.send().await.map_err(|error| failed("ListUserPoolClients", format!("user pool {pool}"), &error))?;
        let items = page
            .user_pool_clients
            .unwrap_or_default()
            .into_iter()
            .filter_map(|client| {
                Some((ClientId(client.client_id?), ClientName(client.client_name.unwrap_or_default())))
            })
            .collect();
        Ok(Page { items, next: page.next_token.filter(|token| !token.is_empty()) })
    }

    async fn describe_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<Option<ClientDescription>> {
        let request = self.sdk.describe_user_pool_client().user_pool_id(pool.as_str()).client_id(id.as_str());
        let subject = format!("client {id} of user pool {pool}");
        let answer = found("DescribeUserPoolClient", subject, request.send().await)?;
        Ok(answer.and_then(|answer| answer.user_pool_client).map(|client| described_client(id, client)))
    }

    async fn create_user_pool_client(
        &self,
        pool: &PoolId,
        client: &UserPoolClient,
    ) -> Result<(ClientId, Secret<String>)> {
        let UserPoolClient { name, scopes, access_token_validity_minutes, auth_flow } = client;
        let request = self
            .sdk
            .create_user_pool_client()
            .user_pool_id(pool.as_str())
            .client_name(name.as_str())
            .generate_secret(true)
            .allowed_o_auth_flows(OAuthFlowType::ClientCredentials)
            .allowed_o_auth_flows_user_pool_client(true)
            .set_allowed_o_auth_scopes(Some(scopes.clone()))
            .explicit_auth_flows(explicit_auth_flow(*auth_flow))
            .prevent_user_existence_errors(PreventUserExistenceErrorTypes::Enabled)
            .enable_token_revocation(true)
            .access_token_validity(minutes(*access_token_validity_minutes))
            .token_validity_units(in_minutes());
        let subject = || format!("client {name}");
        let answer = request.send().await.map_err(|error| failed("CreateUserPoolClient", subject(), &error))?;
        let made = answer.user_pool_client;
        match made.and_then(|made| Some((ClientId(made.client_id?), Secret::new(made.client_secret?)))) {
            Some(made) => Ok(made),
            None => Err(lacking("CreateUserPoolClient", subject(), "the client's id and secret")),
        }
    }

    async fn update_user_pool_client(&self, pool: &PoolId, id: &ClientId, client: &UserPoolClient) -> Result<()> {
        let UserPoolClient { name, scopes, access_token_validity_minutes, auth_flow } = client;
        // Cognito refuses the flow without a scope. A client whose scopes are all gone gets no token anyway.
        let has_scopes = !scopes.is_empty();
        let request = self
            .sdk
            .update_user_pool_client()
            .user_pool_id(pool.as_str())
            .client_id(id.as_str())
            .client_name(name.as_str())
            .set_allowed_o_auth_flows(Some(
                has_scopes.then_some(OAuthFlowType::ClientCredentials).into_iter().collect(),
            ))
            .allowed_o_auth_flows_user_pool_client(has_scopes)
            .set_allowed_o_auth_scopes(Some(scopes.clone()))
            .explicit_auth_flows(explicit_auth_flow(*auth_flow))
            .prevent_user_existence_errors(PreventUserExistenceErrorTypes::Enabled)
            .enable_token_revocation(true)
            .access_token_validity(minutes(*access_token_validity_minutes))
            .token_validity_units(in_minutes())
            // Sent for the same reason as the empty list of the pool.
            .set_supported_identity_providers(Some(Vec::new()))
            .set_callback_urls(Some(Vec::new()))
            .set_logout_urls(Some(Vec::new()));
        request.send().await.map_err(|error| failed("UpdateUserPoolClient", format!("client {name}"), &error))?;
        Ok(())
    }

    async fn delete_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<()> {
        let request = self.sdk.delete_user_pool_client().user_pool_id(pool.as_str()).client_id(id.as_str());
        found("DeleteUserPoolClient", format!("client {id} of user pool {pool}"), request.send().await)?;
        Ok(())
    }
}

impl ClientSecrets for Cognito {
    async fn list_user_pool_client_secrets(
        &self,
        pool: &PoolId,
        client: &ClientId,
        next: Option<&str>,
    ) -> Result<Page<ClientSecretDescription>> {
        let request = self
            .sdk
            .list_user_pool_client_secrets()
            .user_pool_id(pool.as_str())
            .client_id(client.as_str())
            .set_next_token(next.map(ToOwned::to_owned));
        let answer = request.send().await.map_err(|error| {
            failed("ListUserPoolClientSecrets", format!("client {client} of user pool {pool}"), &error)
        });
        let page = match answer {
            // A region or a local cloud without the operation has clients with one secret, which
            // DescribeUserPoolClient shows.
            Err(error) if UNKNOWN_OPERATION.contains(&error.code.as_str()) => {
                return Ok(Page { items: Vec::new(), next: None });
            }
            answer => answer?,
        };
        let items = page
            .client_secrets
            .unwrap_or_default()
            .into_iter()
            .filter_map(|secret| {
                let created = secret.client_secret_create_date.map(|date| since_epoch(&date)).unwrap_or_default();
                Some(ClientSecretDescription { id: secret.client_secret_id?, created })
            })
            .collect();
        Ok(Page { items, next: page.next_token.filter(|token| !token.is_empty()) })
    }

    async fn add_user_pool_client_secret(
        &self,
        pool: &PoolId,
        client: &ClientId,
        value: &Secret<String>,
    ) -> Result<()> {
        let request = self
            .sdk
            .add_user_pool_client_secret()
            .user_pool_id(pool.as_str())
            .client_id(client.as_str())
            .client_secret(value.expose());
        request.send().await.map_err(|error| {
            let error = failed("AddUserPoolClientSecret", format!("client {client} of user pool {pool}"), &error);
            // The service may quote the value that it refuses.
            AwsError { message: redact::without(&error.message, value.expose()), ..error }
        })?;
        Ok(())
    }

    async fn delete_user_pool_client_secret(&self, pool: &PoolId, client: &ClientId, id: &str) -> Result<()> {
        let request = self
            .sdk
            .delete_user_pool_client_secret()
            .user_pool_id(pool.as_str())
            .client_id(client.as_str())
            .client_secret_id(id);
        let subject = format!("secret {id} of client {client} of user pool {pool}");
        found("DeleteUserPoolClientSecret", subject, request.send().await)?;
        Ok(())
    }
}

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolType.html>
fn described_pool(id: &PoolId, pool: UserPoolType) -> UserPoolDescription {
    let m2m_only = pool.admin_create_user_config.as_ref().is_some_and(|config| config.allow_admin_create_user_only)
        && matches!(pool.mfa_configuration, None | Some(UserPoolMfaType::Off))
        && pool.account_recovery_setting.as_ref() == Some(&recovery_by_admin())
        && pool.auto_verified_attributes.as_ref().is_none_or(Vec::is_empty)
        // A cloud that does not know the setting has the original issuer.
        && pool
            .issuer_configuration
            .and_then(|issuer| issuer.r#type)
            .is_none_or(|issuer| issuer == IssuerType::Original);
    UserPoolDescription {
        id: id.clone(),
        arn: pool.arn.unwrap_or_default(),
        state: UserPool {
            name: pool.name.unwrap_or_default(),
            tier: match pool.user_pool_tier {
                Some(UserPoolTierType::Lite) => Tier::Lite,
                Some(UserPoolTierType::Plus) => Tier::Plus,
                _ => Tier::Essentials,
            },
            deletion_protection: pool.deletion_protection == Some(DeletionProtectionType::Active),
            tags: pool.user_pool_tags.unwrap_or_default().into_iter().collect(),
        },
        m2m_only,
        domain: pool.domain.filter(|domain| !domain.is_empty()),
        custom_domain: pool.custom_domain.filter(|domain| !domain.is_empty()),
        created: pool.creation_date.map(|date| since_epoch(&date)).unwrap_or_default(),
    }
}

/// Reads a domain. Cognito answers for an unknown domain with an empty description.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_DomainDescriptionType.html>
fn described_domain(domain: DomainDescriptionType) -> Option<DomainDescription> {
    let config = domain.custom_domain_config;
    Some(DomainDescription {
        pool: PoolId(domain.user_pool_id.filter(|id| !id.is_empty())?),
        account: domain.aws_account_id,
        managed_login_version: domain.managed_login_version.and_then(|version| u8::try_from(version).ok()).unwrap_or(1),
        deleting: domain.status == Some(DomainStatusType::Deleting),
        status: domain.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        // A prefix domain may show an empty configuration.
        certificate_arn: config.as_ref().map(|config| config.certificate_arn.clone()).filter(|arn| !arn.is_empty()),
        security_policy: config.and_then(|config| config.security_policy).map(|policy| policy.as_str().to_owned()),
        target: domain.cloud_front_distribution.filter(|target| !target.is_empty()),
    })
}

/// Returns what a request says about a custom domain, and nothing of a prefix domain.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CustomDomainConfigType.html>
fn custom_domain_config(domain: &PoolDomain) -> Option<CustomDomainConfigType> {
    let PoolDomain::Custom(CustomDomain { name: _, managed_login_version: _, certificate_arn, security_policy }) =
        domain
    else {
        return None;
    };
    let config = CustomDomainConfigType::builder()
        .certificate_arn(certificate_arn)
        .set_security_policy(security_policy.as_deref().map(SecurityPolicyType::from));
    // The builder refuses only a configuration without a certificate.
    config.build().ok()
}

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ResourceServerType.html>
fn described_server(server: ResourceServerType) -> ResourceServer {
    let scopes = server.scopes.unwrap_or_default().into_iter();
    let full_name = server.name.unwrap_or_default();
    let (name, mark) = Mark::split(&full_name);
    ResourceServer {
        identifier: server.identifier.unwrap_or_default(),
        name: name.to_owned(),
        mark,
        scopes: scopes.map(|scope| Scope { name: scope.scope_name, description: scope.scope_description }).collect(),
    }
}

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolClientType.html>
fn described_client(id: &ClientId, client: UserPoolClientType) -> ClientDescription {
    let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    let m2m_only = client.allowed_o_auth_flows.as_deref() == Some(&[OAuthFlowType::ClientCredentials])
        && client.allowed_o_auth_flows_user_pool_client == Some(true)
        && client.prevent_user_existence_errors == Some(PreventUserExistenceErrorTypes::Enabled)
        && client.enable_token_revocation == Some(true)
        && empty(&client.supported_identity_providers)
        && empty(&client.callback_urls)
        && empty(&client.logout_urls);
    let flows_are_on = client.allowed_o_auth_flows_user_pool_client == Some(true);
    let settings = ClientSettings {
        oauth_flows: names(client.allowed_o_auth_flows.as_deref().filter(|_| flows_are_on)),
        sign_in_flows: names(client.explicit_auth_flows.as_deref()),
        identity_providers: client.supported_identity_providers.clone().unwrap_or_default(),
        callback_urls: client.callback_urls.clone().unwrap_or_default(),
    };
    let unit = client.token_validity_units.and_then(|units| units.access_token);
    let validity = client.access_token_validity.and_then(|validity| u32::try_from(validity).ok());
    // Cognito's default is one hour, and its default unit is hours.
    let access_token_validity_minutes = match (validity, unit) {
        (None | Some(0), _) => 60,
        (Some(validity), Some(TimeUnitsType::Seconds)) => validity / 60,
        (Some(validity), Some(TimeUnitsType::Minutes)) => validity,
        (Some(validity), Some(TimeUnitsType::Days)) => validity.saturating_mul(24 * 60),
        (Some(validity), _) => validity.saturating_mul(60),
    };
    let auth_flow = match client.explicit_auth_flows.as_deref() {
        Some([flow]) => AUTH_FLOWS.into_iter().find(|known| explicit_auth_flow(*known) == *flow),
        _ => None,
    };
    let full_name = client.client_name.unwrap_or_default();
    let (name, mark) = Mark::split(&full_name);
    ClientDescription {
        observed: ObservedClient {
            id: id.clone(),
            name: ClientName::from(name),
            mark,
            scopes: client.allowed_o_auth_scopes.unwrap_or_default(),
            access_token_validity_minutes,
            auth_flow,
            m2m_only,
        },
        secret: client.client_secret.map(Secret::new),
        settings,
    }
}

/// Returns the API's names of some values.
fn names<T: AsRef<str>>(values: Option<&[T]>) -> Vec<String> {
    values.unwrap_or_default().iter().map(|value| value.as_ref().to_owned()).collect()
}

const AUTH_FLOWS: [AuthFlow; 2] = [AuthFlow::RefreshToken, AuthFlow::ClientToken];

fn explicit_auth_flow(flow: AuthFlow) -> ExplicitAuthFlowsType {
    match flow {
        AuthFlow::RefreshToken => ExplicitAuthFlowsType::AllowRefreshTokenAuth,
        // The SDK has no variant for it.
        AuthFlow::ClientToken => ExplicitAuthFlowsType::from("ALLOW_CLIENT_TOKEN_AUTH"),
    }
}

fn tier_type(tier: Tier) -> UserPoolTierType {
    match tier {
        Tier::Lite => UserPoolTierType::Lite,
        Tier::Essentials => UserPoolTierType::Essentials,
        Tier::Plus => UserPoolTierType::Plus,
    }
}

fn protection_type(active: bool) -> DeletionProtectionType {
    if active { DeletionProtectionType::Active } else { DeletionProtectionType::Inactive }
}

/// Removes the zero that the SDK always writes into a deprecated field. Cognito refuses the field next to a
/// password policy: "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of
/// UnusedAccountValidityDays".
fn without_unused_account_validity(request: &mut HttpRequest) {
    let Some(Ok(mut body)) = request.body().bytes().map(serde_json::from_slice::<serde_json::Value>) else { return };
    if let Some(config) = body.get_mut("AdminCreateUserConfig").and_then(serde_json::Value::as_object_mut) {
        config.remove("UnusedAccountValidityDays");
    }
    let body = body.to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
}

fn admin_only() -> AdminCreateUserConfigType {
    AdminCreateUserConfigType::builder().allow_admin_create_user_only(true).build()
}

/// The issuer that the attribute `Issuer` names. The other type has another host.
fn original_issuer() -> IssuerConfigurationType {
    IssuerConfigurationType::builder().r#type(IssuerType::Original).build()
}

fn recovery_by_admin() -> AccountRecoverySettingType {
    // Both fields are given, so the builder cannot refuse.
    let option = RecoveryOptionType::builder().priority(1).name(RecoveryOptionNameType::AdminOnly).build().ok();
    AccountRecoverySettingType::builder().set_recovery_mechanisms(Some(option.into_iter().collect())).build()
}

fn in_minutes() -> TokenValidityUnitsType {
    TokenValidityUnitsType::builder().access_token(TimeUnitsType::Minutes).build()
}

fn minutes(validity: u32) -> i32 {
    i32::try_from(validity).unwrap_or(i32::MAX)
}

fn scope_types(operation: &'static str, scopes: &[Scope]) -> Result<Vec<ResourceServerScopeType>> {
    let build = |Scope { name, description }: &Scope| {
        ResourceServerScopeType::builder().scope_name(name).scope_description(description).build()
    };
    scopes.iter().map(build).collect::<std::result::Result<_, _>>().map_err(|error| AwsError {
        operation,
        subject: "its scopes".to_owned(),
        kind: ErrorKind::Refused,
        code: "NotSent".to_owned(),
        message: error.to_string(),
    })
}

/// Reports a success that lacks what the call created, so nobody can tell whether it exists.
fn lacking(operation: &'static str, subject: String, what: &str) -> AwsError {
    AwsError {
        operation,
        subject,
        kind: ErrorKind::Lost,
        code: "UnreadableResponse".to_owned(),
        message: format!("the answer lacks {what}"),
    }
}
