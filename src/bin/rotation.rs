//! The Lambda function that Secrets Manager rotates clients' secrets with: composes the parts and runs.

use cognito_m2m::{
    aws::{self, Cognito, Http, SecretsManager, TokenClient},
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
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    telemetry::start(level.ok().as_deref());

    #[expect(clippy::disallowed_methods, reason = "a binary may read its environment")]
    let http = Http::new(std::env::var_os("AWS_CA_BUNDLE"));
    let tokens = TokenClient::new(http.clone());
    let config = OnceCell::new();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let deadline = Deadline::at_epoch_ms(event.context.deadline);
        let config = config.get_or_init(|| aws::config(&http)).await;
        let (clients, secrets) = (Cognito::new(config), SecretsManager::new(config));
        // An error is what Secrets Manager goes by, so it is returned: the opposite of the provider.
        handle(&event.payload, deadline, &clients, &secrets, &tokens).await.map_err(Error::from)
    }))
    .await
}
