//! Telling CloudFormation.

use std::time::Duration;

use super::ResponseUrl;
use crate::clock::{Deadline, now, wait};

const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(3);
/// S3 answers a PUT of 4 KiB in well under a second.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// CloudFormation could not be told.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("the answer was refused with HTTP status {0}; the ResponseURL may have expired")]
    Refused(u16),
    #[error("the answer could not be delivered in time; last: {0}")]
    OutOfTime(String),
    #[error("{0}")]
    BadUrl(&'static str),
}

/// One PUT to the ResponseURL.
pub trait Deliver {
    /// The HTTP status, or why there was none.
    fn put(&self, url: &ResponseUrl, body: &str) -> impl Future<Output = Result<u16, String>>;
}

/// Puts the answer, and again on a 5xx, a timeout or a lost connection, until the deadline; never
/// again on any other status, which is final.
///
/// # Errors
/// Where CloudFormation was not told.
pub async fn deliver(
    to: &impl Deliver,
    url: &ResponseUrl,
    body: &str,
    deadline: Deadline,
) -> Result<(), DeliveryError> {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let within = ANSWER_WITHIN.min(deadline.for_answer().saturating_duration_since(now()));
        let failure = match tokio::time::timeout(within, to.put(url, body)).await {
            Ok(Ok(200..300)) => return Ok(()),
            Ok(Ok(status @ 500..)) => format!("HTTP status {status}"),
            Ok(Ok(status)) => return Err(DeliveryError::Refused(status)),
            Ok(Err(lost)) => lost,
            Err(_) => format!("no answer within {} ms", within.as_millis()),
        };
        let pause = backoff.mul_f32(0.5 + fastrand::f32() / 2.0);
        if now() + pause >= deadline.for_answer() {
            return Err(DeliveryError::OutOfTime(failure));
        }
        tracing::warn!(%url, failure, "putting the answer again");
        wait(pause).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}
