//! The Lambda function behind `Custom::CognitoM2M`: composes the parts and runs.

use std::sync::OnceLock;

use cognito_m2m::{
    aws::{self, AwsServices, Http, ResponseUrlClient},
    cfn::Event,
    clock::Deadline,
    model::ProviderConfig,
    provider::{Provider, handle},
    telemetry,
};
use futures::FutureExt;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "a binary may read its environment")]
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    telemetry::start(level.ok().as_deref());

    #[expect(clippy::disallowed_methods, reason = "a binary may read its environment")]
    let rotation_function = std::env::var("ROTATION_FUNCTION_ARN").ok().filter(|arn| !arn.is_empty());

    #[expect(clippy::disallowed_methods, reason = "a binary may read its environment")]
    let environment: aws::Environment = |name| std::env::var_os(name);
    let http = Http::for_function(environment);
    let response_url = ResponseUrlClient(http.clone());
    // Made by the first event, inside what is guarded and answered, and kept for the next.
    let config = OnceLock::new();
    let provider = async || {
        let config = config.get_or_init(|| aws::function_config(&http, environment));
        Provider {
            services: AwsServices::new(config, &http),
            config: ProviderConfig { endpoints: aws::endpoints(config), rotation_function: rotation_function.clone() },
        }
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        let deadline = Deadline::at_epoch_ms(event.context.deadline);
        // Boxed, because it is large: otherwise every start would touch the pages of a stack that has room for it.
        let handled = handle(event.payload, deadline, &provider, &response_url).boxed_local();
        handled.await.map_err(|error| Error::from(error.report()))
    }))
    .await
}
