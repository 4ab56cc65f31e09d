//! The Lambda function that Secrets Manager rotates clients' secrets with: composes the parts and runs.

use std::sync::Once;

use cognito_m2m::{
    aws::{self, AwsServices, Http},
    clock::Deadline,
    rotation::handle,
    telemetry,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::sync::OnceCell;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "a binary may read its environment")]
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG")).ok();

    #[expect(clippy::disallowed_methods, reason = "a binary may read its environment")]
    let http = Http::new(std::env::var_os("AWS_CA_BUNDLE"));
    let config = OnceCell::new();
    // Nothing is logged before the first event, so the start of the process does not pay for it.
    let logging = Once::new();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        logging.call_once(|| telemetry::start(level.as_deref()));
        let deadline = Deadline::at_epoch_ms(event.context.deadline);
        let config = config.get_or_init(|| aws::config(&http)).await;
        let services = AwsServices::new(config, &http);
        // Secrets Manager learns of a failure only by the function's error. (The provider does the opposite.)
        handle(&event.payload, deadline, &services).await.map_err(|error| Error::from(error.report()))
    }))
    .await
}
