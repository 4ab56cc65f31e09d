//! Token checks: a Create or an Update requests a token for each client that it changed.

use std::{ops::ControlFlow, time::Duration};

use tokio::time::timeout;

use super::{Error, Verification, apply::Applying, phases::StepError};
use crate::{
    clock::{now, poll_until},
    model::ClientName,
    ports::{ExpectedToken, Services, TokenEndpoint, TokenError},
};

/// A new prefix can take a minute to appear in DNS.
const REACHABLE_WITHIN: Duration = Duration::from_mins(1);
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// A reachable endpoint grants a token, and shows its keys, in well under a second.
const TOKEN_WITHIN: Duration = Duration::from_secs(10);
/// An unreachable endpoint is not a failure, so the wait must end before the deadline cuts it off.
const BEFORE_THE_DEADLINE: Duration = Duration::from_secs(1);

impl<S: Services> Applying<'_, S> {
    /// Requests a token until the endpoint can be reached.
    pub(super) async fn verify(&self, name: &ClientName) -> Result<(), StepError> {
        let client = self.declared(name)?;
        let pool = self.pool()?;
        let (id, secret) = {
            let state = self.state();
            let id = state.clients.get(name).cloned();
            let secret = id.as_ref().and_then(|id| state.credentials.get(id)).cloned();
            id.zip(secret).ok_or_else(|| {
                StepError::Other(Error::SecretLost { client: name.clone(), secret: client.secret_name.clone() })
            })?
        };
        let expected = ExpectedToken { client_id: id, metadata: self.desired.secret_metadata(client, &pool) };
        let until = *self.verify_until.get_or_init(|| {
            (now() + REACHABLE_WITHIN).min(self.aws.services.deadline.for_work() - BEFORE_THE_DEADLINE)
        });
        let result = poll_until(until, ASK_AGAIN_AFTER, async || {
            let within = TOKEN_WITHIN.min(until.saturating_duration_since(now()));
            match timeout(within, self.aws.services.tokens.verify(&expected, &secret)).await {
                Ok(Ok(())) => ControlFlow::Break(Ok(Verification::Verified)),
                Ok(Err(TokenError::Refused(reason))) => ControlFlow::Break(Err(TokenError::Refused(reason))),
                Ok(Err(unreachable)) => ControlFlow::Continue(unreachable),
                Err(_) => ControlFlow::Continue(TokenError::Unreachable(format!(
                    "no answer within {} s",
                    within.as_secs_f32().ceil()
                ))),
            }
        })
        .await;
        let verification = match result {
            Ok(verification) => verification,
            Err(TokenError::Refused(reason)) if self.tolerates_refusal => {
                tracing::warn!(client = %name, reason, "the token is not valid; a rollback goes on all the same");
                Verification::Failed
            }
            Err(TokenError::Refused(reason)) => {
                return Err(StepError::Other(Error::Token { client: name.clone(), reason }));
            }
            Err(TokenError::Unreachable(reason)) => {
                tracing::warn!(client = %name, reason, "the token endpoint could not be reached; the token was not checked");
                Verification::Unreachable
            }
        };
        self.state().verified.push(verification);
        Ok(())
    }
}
