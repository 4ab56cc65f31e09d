//! Creates a domain where another one was, and puts the other one back if that fails.

use std::{ops::ControlFlow, time::Duration};

use super::{apply::Applying, phases::StepError};
use crate::{
    clock::{now, poll_until},
    model::{PoolDomain, PoolId},
    ports::{AwsError, ErrorKind, Services, UserPools},
};

/// A deleted domain may count as the pool's for this long.
const DOMAIN_GONE_WITHIN: Duration = Duration::from_mins(1);
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);

impl<S: Services> Applying<'_, S> {
    pub(super) async fn create_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<(), AwsError> {
        let pools = &self.aws.services.pools;
        let created = pools.create_user_pool_domain(pool, domain).await;
        let PoolDomain::Custom(_) = domain else {
            if self.desired.endpoints.are_under_the_domain() {
                self.aws.first_look_up.domain_was_created();
            }
            return created.map(drop);
        };
        let target = match created? {
            Some(target) => Some(target),
            None => pools.describe_user_pool_domain(domain.name()).await?.and_then(|found| found.target),
        };
        self.state().custom_domain_target = target;
        Ok(())
    }

    /// Deletes the old domain and creates the new one. If that fails, creates the old one again.
    pub(super) async fn replace_domain(&self, from: &PoolDomain, to: &PoolDomain) -> Result<(), StepError> {
        let pools = &self.aws.services.pools;
        let pool = self.pool()?;
        let old = from.name();
        pools.delete_user_pool_domain(&pool, old).await?;
        let Err(error) = self.create_domain_once_free(&pool, to).await else { return Ok(()) };
        tracing::warn!(%error, domain = old, "putting the old domain back");
        if let Err(lost) = self.create_domain_once_free(&pool, from).await {
            let message = format!("{}; and the old domain {old} could not be put back: {lost}", error.message);
            return Err(AwsError { message, ..error }.into());
        }
        // The old domain is back, so a new observation would only try the same again: the name was free when it was
        // observed, and it cannot be had.
        let kind = if error.kind == ErrorKind::Changed { ErrorKind::Refused } else { error.kind };
        let note = match from {
            PoolDomain::Prefix(_) => "",
            // Cognito may give it another distribution.
            PoolDomain::Custom(_) => " (compare its DNS record with the CloudFront name that Cognito shows now)",
        };
        let message = format!("{}; the old domain {old} is back{note}", error.message);
        Err(AwsError { kind, message, ..error }.into())
    }

    /// Creates a domain on a pool whose former domain Cognito may still be deleting.
    async fn create_domain_once_free(&self, pool: &PoolId, domain: &PoolDomain) -> Result<(), AwsError> {
        let pools = &self.aws.services.pools;
        let end = (now() + DOMAIN_GONE_WITHIN).min(self.aws.services.deadline.for_work() - ASK_AGAIN_AFTER);
        poll_until(end, ASK_AGAIN_AFTER, async || {
            let error = match self.create_domain(pool, domain).await {
                Err(error) if error.kind == ErrorKind::Changed => error,
                result => return ControlFlow::Break(result),
            };
            match pools.describe_user_pool_domain(domain.name()).await {
                // A lost answer: the domain exists.
                Ok(Some(found)) if found.pool == *pool && !found.deleting => {
                    if matches!(domain, PoolDomain::Custom(_)) {
                        self.state().custom_domain_target = found.target;
                    }
                    ControlFlow::Break(Ok(()))
                }
                Ok(Some(found)) if found.pool != *pool => ControlFlow::Break(Err(error)),
                Ok(_) => ControlFlow::Continue(error),
                Err(error) => ControlFlow::Break(Err(error)),
            }
        })
        .await
    }
}
