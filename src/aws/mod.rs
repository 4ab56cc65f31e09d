//! Implements the ports with the AWS SDK and `reqwest`. No other module names either.

#[cfg(feature = "cli")]
mod account;
mod cognito;
mod error;
mod http;
mod secrets_manager;
mod token_endpoint;

use std::{ffi::OsString, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider, retry::RetryConfig,
};
use aws_sdk_cognitoidentityprovider::config::SharedCredentialsProvider;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

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

/// Reads a variable of the environment. Only the binaries may do so, and hand it on.
pub type Environment = fn(&str) -> Option<OsString>;

/// Returns the SDK's settings for a Lambda function: region, credentials and endpoints of its environment. The SDK's
/// retries are off: [`retry`](crate::retry) has its own.
///
/// The SDK's loader would also read profiles and ask STS and the metadata services for credentials. Lambda needs none
/// of these, and their code makes every cold start longer.
#[must_use]
pub fn function_config(http: &Http, environment: Environment) -> SdkConfig {
    let region = text(environment, "AWS_REGION").or_else(|| text(environment, "AWS_DEFAULT_REGION"));
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region.map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .use_fips(is_true(environment, "AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_true(environment, "AWS_USE_DUALSTACK_ENDPOINT"))
        .service_config(EndpointUrls(environment))
        .retry_config(RetryConfig::disabled())
        .http_client(http.for_sdk())
        .build()
}

/// The endpoints that the environment configures, for one service or for all.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
#[derive(Debug)]
struct EndpointUrls(Environment);

impl LoadServiceConfig for EndpointUrls {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let Self(environment) = *self;
        if is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            return None;
        }
        let of_service = format!("{}_{}", key.env(), key.service_id().to_uppercase().replace(' ', "_"));
        text(environment, &of_service).or_else(|| text(environment, key.env()))
    }
}

fn text(environment: Environment, name: &str) -> Option<String> {
    environment(name)?.into_string().ok().filter(|value| !value.is_empty())
}

fn is_true(environment: Environment, name: &str) -> bool {
    text(environment, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Returns the addresses of the region, or of the endpoint that is configured for Cognito.
#[must_use]
pub fn endpoints(config: &SdkConfig) -> Endpoints {
    let region = config.region().map(AsRef::as_ref).unwrap_or_default();
    Endpoints::new(region, cognito_endpoint(config).as_deref())
}

/// Looks for `AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER`, `AWS_ENDPOINT_URL` and (in `m2mctl`) the
/// profile's endpoint in the same order as the SDK's client.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
fn cognito_endpoint(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
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
