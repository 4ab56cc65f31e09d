//! The Lambda function that Secrets Manager rotates clients' secrets with: composes the parts and runs.

use std::sync::OnceLock;

use cognito_m2m::{
    aws::{self, AwsServices, Http},
    clock::Deadline,
    rotation::handle,
    telemetry,
};
use futures::FutureExt;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "a binary may read its environment")]
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    telemetry::start(level.ok().as_deref());

    #[expect(clippy::disallowed_methods, reason = "a binary may read its environment")]
    let environment: aws::Environment = |name| std::env::var_os(name);
    let http = Http::for_function(environment);
    let config = OnceLock::new();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let deadline = Deadline::at_epoch_ms(event.context.deadline);
        let config = config.get_or_init(|| aws::function_config(&http, environment));
        let services = AwsServices::new(config, &http);
        // Secrets Manager learns of a failure only by the function's error. (The provider does the opposite.)
        let endpoints = aws::endpoints(config);
        // Boxed, because it is large: otherwise every start would touch the pages of a stack that has room for it.
        let handled = handle(&event.payload, deadline, &services, &endpoints).boxed_local();
        handled.await.map_err(|error| Error::from(error.report()))
    }))
    .await
}
