//! Delivering the response to CloudFormation.

use std::time::Duration;

use super::ResponseUrl;
use crate::clock::{Backoff, Deadline, now, wait};

const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(3);
/// S3 answers a PUT of 4 KiB in well under a second, so a longer silence is a lost request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Why the response did not reach CloudFormation.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("the ResponseURL refused the response with HTTP status {0}; the URL may have expired")]
    Refused(u16),
    #[error("the response could not be delivered in time; the last attempt failed: {0}")]
    OutOfTime(String),
    #[error("{0}")]
    BadUrl(&'static str),
}

/// Sends one PUT to the ResponseURL.
#[expect(async_fn_in_trait, reason = "the Lambda runtime is single-threaded: no future needs to be Send")]
pub trait Deliver {
    /// Returns the HTTP status, or the reason why there is none.
    async fn put(&self, url: &ResponseUrl, body: &str) -> Result<u16, String>;
}

/// Puts the response, and retries a 5xx, a timeout or a lost connection until the deadline. Any other
/// status is final.
///
/// # Errors
/// The response was refused, or could not be delivered in time.
pub async fn deliver(
    to: &impl Deliver,
    url: &ResponseUrl,
    body: &str,
    deadline: Deadline,
) -> Result<(), DeliveryError> {
    let mut backoff = Backoff::new(FIRST_BACKOFF, MAX_BACKOFF);
    loop {
        let within = ANSWER_WITHIN.min(deadline.for_answer().saturating_duration_since(now()));
        let failure = match tokio::time::timeout(within, to.put(url, body)).await {
            Ok(Ok(200..300)) => return Ok(()),
            Ok(Ok(status @ 500..)) => format!("HTTP status {status}"),
            Ok(Ok(status)) => return Err(DeliveryError::Refused(status)),
            Ok(Err(lost)) => lost,
            Err(_) => format!("no answer within {} ms", within.as_millis()),
        };
        let pause = backoff.pause();
        if now() + pause >= deadline.for_answer() {
            return Err(DeliveryError::OutOfTime(failure));
        }
        tracing::warn!(%url, failure, "putting the response again");
        wait(pause).await;
    }
}
