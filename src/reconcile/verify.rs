//! Token checks: a Create or an Update requests a token for each client that it changed.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Error, Verification, apply::Applying, phases::StepError};
use crate::{
    clock::{now, wait},
    model::{Client, ClientId, ClientName, TokenSource, desired::SecretMetadata},
    ports::{AwsError, ErrorKind, ExpectedToken, Services, TokenEndpoint, TokenError, UserPools},
    redact::Secret,
};

/// A new prefix can take a minute to appear in DNS.
const REACHABLE_WITHIN: Duration = Duration::from_mins(1);
/// The token service learns seconds late of a client that was created or changed, and refuses it until
/// then.
const REFUSAL_PASSES_WITHIN: Duration = Duration::from_secs(15);
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// A reachable endpoint grants a token, and shows its keys, in well under a second.
const TOKEN_WITHIN: Duration = Duration::from_secs(10);
/// An unreachable endpoint is not a failure, so the wait must end before the deadline cuts it off.
const BEFORE_THE_DEADLINE: Duration = Duration::from_secs(2);
/// The last attempt gets at least this long.
const MIN_TOKEN_TIME: Duration = Duration::from_secs(1);

/// How long the provider tries to get a token at a custom domain before it sends clients there. The domain should work
/// already, so this is only for a request that gets lost: one that hangs, and another one. A longer time would not
/// help: a resolver that has heard that there is no such name repeats that for up to 15 minutes. The checks at the
/// prefix domain have a time of their own.
const CUSTOM_DOMAIN_WORKS_WITHIN: Duration = Duration::from_secs(15);

impl<S: Services> Applying<'_, S> {
    /// Requests a token at the custom domain with what a client has now.
    pub(super) async fn try_custom_domain(
        &self,
        name: &ClientName,
        scopes: &[String],
        domain: &str,
    ) -> Result<(), StepError> {
        let client = Client { scopes: scopes.to_vec(), ..self.declared(name)?.clone() };
        let (client_id, secret) = self.credentials_to_verify(&client)?;
        let metadata = self.metadata_at(&client, &self.tokens)?;
        let expected = ExpectedToken { client_id, metadata };
        let until = now() + CUSTOM_DOMAIN_WORKS_WITHIN.min(self.aws.time_left() / 2);
        let reason = loop {
            let (TokenError::Refused(reason) | TokenError::Unreachable(reason)) =
                match self.request_token_once(&expected, &secret, until).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                };
            if now() + ASK_AGAIN_AFTER > until {
                break reason;
            }
            wait(ASK_AGAIN_AFTER).await;
        };
        if self.tolerates_refusal {
            tracing::warn!(client = %name, domain, reason, "no token at the custom domain; a rollback goes on all the same");
            return Ok(());
        }
        let target = self.state().custom_domain_target.clone();
        Err(StepError::Other(Error::CustomDomain { domain: domain.to_owned(), reason, target }))
    }

    /// Returns what a client's secret would contain if its tokens came from there.
    fn metadata_at(&self, client: &Client, tokens: &TokenSource) -> Result<SecretMetadata, StepError> {
        Ok(self.desired.secret_metadata(client, &self.pool()?, tokens))
    }

    /// Requests a token until the endpoint grants one, or until its silence or refusal is believed.
    pub(super) async fn verify(&self, name: &ClientName) -> Result<(), StepError> {
        let client = self.declared(name)?;
        let (client_id, secret) = self.credentials_to_verify(client)?;
        let expected = ExpectedToken { client_id, metadata: self.metadata_at(client, &self.tokens.to_verify_at())? };
        let verification = match self.request_token(&expected, &secret).await {
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

    /// Proves the secret of a client that is to be adopted, with the scopes that it has now.
    pub(super) async fn prove(&self, name: &ClientName, scopes: &[String]) -> Result<(), StepError> {
        let client = Client { scopes: scopes.to_vec(), ..self.declared(name)?.clone() };
        let pool = self.pool()?;
        let (client_id, secret) = self.credentials_to_verify(&client)?;
        let expected = ExpectedToken { client_id, metadata: self.metadata_at(&client, &self.tokens.to_verify_at())? };
        match self.request_token(&expected, &secret).await {
            Ok(_) => Ok(()),
            Err(TokenError::Refused(reason)) => {
                let present = self.aws.services.pools.describe_user_pool_client(&pool, &expected.client_id).await?;
                if present.is_some_and(|present| present.observed.mark.is_some()) {
                    return Err(adopted_meanwhile(name).into());
                }
                Err(StepError::Other(Error::Token { client: name.clone(), reason }))
            }
            Err(TokenError::Unreachable(reason)) => {
                tracing::warn!(client = %name, reason, "the token endpoint could not be reached; the secret was not proved");
                Ok(())
            }
        }
    }

    /// Returns the client's id and its present secret. After a rotation, that is the new one.
    fn credentials_to_verify(&self, client: &Client) -> Result<(ClientId, Secret<String>), StepError> {
        let state = self.state();
        let id = state.clients.get(&client.name).cloned();
        let secret = id.as_ref().and_then(|id| state.credentials.get(id)).cloned();
        id.zip(secret).ok_or_else(|| {
            StepError::Other(Error::SecretLost { client: client.name.clone(), secret: client.secret_name.clone() })
        })
    }

    async fn request_token(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
    ) -> Result<Verification, TokenError> {
        let end = self.aws.services.deadline.for_work() - BEFORE_THE_DEADLINE;
        if !self.aws.first_look_up.wait(end).await {
            return Err(TokenError::Unreachable("too little time is left to wait for the new domain".to_owned()));
        }
        let unreachable_at = *self.verify_until.get_or_init(|| (now() + REACHABLE_WITHIN).min(end));
        let mut until = unreachable_at;
        // When a refusal is believed, once there was one, and the last one.
        let (mut believed_at, mut refusal) = (None, None);
        loop {
            let error = match self.request_token_once(expected, secret, until).await {
                Ok(()) => return Ok(Verification::Verified),
                Err(error) => error,
            };
            if matches!(error, TokenError::Refused(_)) {
                until = *believed_at.get_or_insert_with(|| (now() + REFUSAL_PASSES_WITHIN).min(end));
                refusal = Some(error.clone());
            } else {
                // Silence neither confirms a refusal nor takes it back.
                until = unreachable_at;
            }
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return Err(refusal.unwrap_or(error));
            }
            // The last attempt is at the very end.
            wait(ASK_AGAIN_AFTER.min(left)).await;
        }
    }

    async fn request_token_once(
        &self,
        expected: &ExpectedToken,
        secret: &Secret<String>,
        until: Instant,
    ) -> Result<(), TokenError> {
        let within = TOKEN_WITHIN.min(until.saturating_duration_since(now())).max(MIN_TOKEN_TIME);
        let unanswered = || TokenError::Unreachable(format!("no answer within {} s", within.as_secs_f32().ceil()));
        timeout(within, self.aws.services.tokens.verify(expected, secret)).await.unwrap_or_else(|_| Err(unanswered()))
    }
}

/// Another delivery of the event has adopted the client, so its scopes are no longer those that were observed.
fn adopted_meanwhile(client: &ClientName) -> AwsError {
    AwsError {
        operation: "VerifyToken",
        subject: format!("client {client}"),
        kind: ErrorKind::Changed,
        code: "AlreadyAdopted".to_owned(),
        message: "another delivery of this event has adopted it".to_owned(),
    }
}
