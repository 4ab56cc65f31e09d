//! Implements the ports with the AWS SDK and `reqwest`. No other module names either.

#[cfg(feature = "cli")]
mod account;
mod cognito;
mod error;
mod http;
mod secrets_manager;
mod token_endpoint;

use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig, retry::RetryConfig};

#[cfg(feature = "cli")]
pub use account::{AwsAccount, cli_config};
pub use cognito::Cognito;
pub use http::{Http, ResponseUrlClient};
pub use secrets_manager::SecretsManager;
pub use token_endpoint::TokenClient;

use crate::{model::Endpoints, ports::Services};

/// Everything that the functions talk to.
pub struct AwsServices {
    pools: Cognito,
    secrets: SecretsManager,
    tokens: TokenClient,
}

impl AwsServices {
    #[must_use]
    pub fn new(config: &SdkConfig, http: &Http) -> Self {
        Self {
            pools: Cognito::new(config),
            secrets: SecretsManager::new(config),
            tokens: TokenClient::new(config, http),
        }
    }
}

impl Services for AwsServices {
    type Pools = Cognito;
    type Secrets = SecretsManager;
    type Tokens = TokenClient;

    fn pools(&self) -> &Cognito {
        &self.pools
    }

    fn secrets(&self) -> &SecretsManager {
        &self.secrets
    }

    fn tokens(&self) -> &TokenClient {
        &self.tokens
    }
}

/// Loads the SDK's settings: region, credentials and endpoints come from the environment or the profile.
pub async fn config(http: &Http) -> SdkConfig {
    loader(http).load().await
}

/// Turns the SDK's retries off: [`retry`](crate::retry) has its own.
fn loader(http: &Http) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest()).retry_config(RetryConfig::disabled()).http_client(http.for_sdk())
}

/// Returns the addresses of the region, or of the endpoint that is configured for Cognito.
#[must_use]
pub fn endpoints(config: &SdkConfig) -> Endpoints {
    let region = config.region().map(AsRef::as_ref).unwrap_or_default();
    Endpoints::new(region, cognito_endpoint(config).as_deref())
}

/// Looks for `AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER`, `AWS_ENDPOINT_URL` and the profile's endpoint
/// in the same order as the SDK's client.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
fn cognito_endpoint(config: &SdkConfig) -> Option<String> {
    let key = aws_types::service_config::ServiceConfigKey::builder()
        .service_id("Cognito Identity Provider")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let of_service = config.service_config().and_then(|service| service.load_config(key));
    of_service.or_else(|| config.endpoint_url().map(ToOwned::to_owned))
}

/// Converts a date to the time since the Unix epoch. A date before it counts as the epoch.
fn since_epoch(date: &aws_smithy_types::DateTime) -> Duration {
    Duration::try_from_secs_f64(date.as_secs_f64()).unwrap_or_default()
}
