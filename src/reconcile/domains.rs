//! Creates, changes and deletes domains, which Cognito may still be at work on. Puts a replaced one back if the new one
//! fails.

use std::{ops::ControlFlow, time::Duration};

use super::{Aws, apply::Applying, phases::StepError};
use crate::{
    clock::{now, poll_until},
    model::{PoolDomain, PoolId},
    ports::{AwsError, ErrorKind, Services, UserPools},
};

/// A deleted domain may count as the pool's for this long. Terraform's AWS provider gives it the same time.
const DOMAIN_GONE_WITHIN: Duration = Duration::from_mins(1);
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Turns the refusal of a domain's change into one that passes, if Cognito is still at work on a domain of the pool.
/// AWS does not document what it answers meanwhile. So the status decides, and not the text.
async fn or_under_way<S: Services, T>(
    aws: &Aws<'_, S>,
    pool: &PoolId,
    domain: &str,
    outcome: Result<T, AwsError>,
) -> Result<T, AwsError> {
    let error = match outcome {
        Err(error) if error.kind == ErrorKind::Refused => error,
        outcome => return outcome,
    };
    let pools = &aws.services.pools;
    let shown = pools.describe_user_pool(pool).await.ok().flatten();
    let of_pool = shown.into_iter().flat_map(|shown| [shown.domain, shown.custom_domain]).flatten();
    for name in std::iter::once(domain.to_owned()).chain(of_pool) {
        if let Ok(Some(found)) = pools.describe_user_pool_domain(&name).await
            && found.pool == *pool
            && matches!(found.status.as_str(), "CREATING" | "UPDATING" | "DELETING")
        {
            let message = format!("{}; the status of the domain {name} is {}", error.message, found.status);
            return Err(AwsError { kind: ErrorKind::Changed, message, ..error });
        }
    }
    Err(error)
}

pub(super) async fn delete_domain<S: Services>(aws: &Aws<'_, S>, pool: &PoolId, domain: &str) -> Result<(), AwsError> {
    let deleted = aws.services.pools.delete_user_pool_domain(pool, domain).await;
    or_under_way(aws, pool, domain, deleted).await
}

impl<S: Services> Applying<'_, S> {
    pub(super) async fn create_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<(), AwsError> {
        let pools = &self.aws.services.pools;
        let created = pools.create_user_pool_domain(pool, domain).await;
        let created = or_under_way(self.aws, pool, domain.name(), created).await;
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

    pub(super) async fn update_domain(&self, domain: &PoolDomain) -> Result<(), StepError> {
        let pool = self.pool()?;
        let updated = self.aws.services.pools.update_user_pool_domain(&pool, domain).await;
        Ok(or_under_way(self.aws, &pool, domain.name(), updated).await?)
    }

    /// Deletes the old domain and creates the new one. If that fails, creates the old one again.
    pub(super) async fn replace_domain(&self, from: &PoolDomain, to: &PoolDomain) -> Result<(), StepError> {
        let pool = self.pool()?;
        let old = from.name();
        delete_domain(self.aws, &pool, old).await?;
        let is_final = |error: &AwsError| !matches!(error.kind, ErrorKind::Changed | ErrorKind::Lost);
        let Err(error) = self.create_domain_once_free(&pool, to, is_final).await else { return Ok(()) };
        tracing::warn!(%error, domain = old, "putting the old domain back");
        // Clients depend on it, so no error but its loss to somebody else is final.
        if let Err(lost) = self.create_domain_once_free(&pool, from, |_| false).await {
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
    async fn create_domain_once_free(
        &self,
        pool: &PoolId,
        domain: &PoolDomain,
        is_final: impl Fn(&AwsError) -> bool,
    ) -> Result<(), AwsError> {
        let pools = &self.aws.services.pools;
        let end = (now() + DOMAIN_GONE_WITHIN).min(self.aws.services.deadline.for_work() - ASK_AGAIN_AFTER);
        poll_until(end, ASK_AGAIN_AFTER, async || {
            let error = match self.create_domain(pool, domain).await {
                Err(error) if !is_final(&error) => error,
                result => return ControlFlow::Break(result),
            };
            match pools.describe_user_pool_domain(domain.name()).await {
                Ok(Some(found)) if found.deleting => ControlFlow::Continue(error),
                // A lost answer: the domain exists.
                Ok(Some(found)) if found.pool == *pool => {
                    if matches!(domain, PoolDomain::Custom(_)) {
                        self.state().custom_domain_target = found.target;
                    }
                    ControlFlow::Break(Ok(()))
                }
                // Somebody else has it. Another round would only find that out again.
                Ok(Some(_)) => ControlFlow::Break(Err(AwsError { kind: ErrorKind::Refused, ..error })),
                Ok(None) => ControlFlow::Continue(error),
                Err(error) if is_final(&error) => ControlFlow::Break(Err(error)),
                Err(error) => ControlFlow::Continue(error),
            }
        })
        .await
    }
}
