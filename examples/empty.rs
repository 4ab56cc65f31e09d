//! A Lambda function that does nothing: what the runtime alone costs. `make bench` measures the
//! cold starts of the other two against it.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

// As in src/bin/: a runtime with threads would start them here too.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| Ok::<_, Error>(Value::Null))).await
}
