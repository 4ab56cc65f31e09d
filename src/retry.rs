//! Rate limits and retries around the ports.
//!
//! The SDK's own retries are off for three reasons. They take Cognito's hard quota
//! (`LimitExceededException`) for throttling. They do not know that a lost answer to CreateUserPool
//! may have created a pool. And they do not keep within Cognito's rate.

use std::{
    collections::{BTreeSet, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    clock::{Backoff, Deadline, now, wait, wait_until},
    model::{
        ClientId, ClientName, Owner, PoolDomain, PoolId, Region, Replicas, ResourcePolicy, ResourceServer, Rotation,
        SecretId, Tags, UserPool, UserPoolClient,
    },
    ports::{
        AwsError, ClientDescription, ClientSecretDescription, ClientSecrets, DomainDescription, ErrorKind, NewSecret,
        Page, Result, SecretChange, SecretDescription, SecretDocument, SecretVersion, SecretVersions, Secrets,
        Services, UserPoolDescription, UserPools, Version,
    },
    redact::Secret,
};

/// Cognito allows five calls a second of one operation on one pool.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html>
const CALLS_PER_WINDOW: usize = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// A call that was not answered by then is lost. Cognito's slowest call (CreateUserPoolDomain) takes
/// about three seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(4);
/// Fifty stacks may share one pool's five calls a second. If refused calls count against the quota, which nobody has
/// published, callers that retry more often than this refuse each other for good.
const MAX_BACKOFF_IF_THROTTLED: Duration = Duration::from_secs(16);

/// The services with rate limits and retries, until a deadline.
pub struct RetryingServices<'a, S: Services> {
    pub pools: Retrying<'a, S::Pools>,
    pub secrets: Retrying<'a, S::Secrets>,
    /// Callers retry tokens themselves, because they know how long a refusal may be temporary.
    pub tokens: &'a S::Tokens,
    pub deadline: Deadline,
}

impl<'a, S: Services> RetryingServices<'a, S> {
    #[must_use]
    pub fn new(services: &'a S, deadline: Deadline) -> Self {
        Self {
            pools: Retrying::new(services.pools(), deadline),
            secrets: Retrying::new(services.secrets(), deadline),
            tokens: services.tokens(),
            deadline,
        }
    }
}

/// A port whose calls keep within Cognito's rate, time out, and are retried while that is safe and the
/// deadline allows.
pub struct Retrying<'a, T> {
    inner: &'a T,
    deadline: Deadline,
    limiters: Mutex<HashMap<&'static str, Arc<RateLimiter>>>,
}

/// Whether a call whose answer was lost may be made again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Idempotency {
    /// A second call has no further effect, or AWS refuses it.
    Idempotent,
    /// A second call would create a second thing, because Cognito's names are not unique.
    NotIdempotent,
}

impl<'a, T> Retrying<'a, T> {
    #[must_use]
    pub fn new(inner: &'a T, deadline: Deadline) -> Self {
        Self { inner, deadline, limiters: Mutex::default() }
    }

    async fn call<R, F>(
        &self,
        operation: &'static str,
        is_limited: bool,
        idempotency: Idempotency,
        call: impl Fn() -> F,
    ) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        let limiter = is_limited.then(|| self.limiter(operation));
        let mut backoff = Backoff::new(FIRST_BACKOFF, MAX_BACKOFF);
        let mut throttled = Backoff::new(FIRST_BACKOFF, MAX_BACKOFF_IF_THROTTLED);
        loop {
            let within = ANSWER_WITHIN.min(self.deadline.left());
            // Boxed, so that the callers' futures do not contain the SDK's.
            let called: Pin<Box<dyn Future<Output = Result<R>> + '_>> = Box::pin(call());
            let answered = async { timeout(within, called).await };
            let answered = match &limiter {
                Some(limiter) => limiter.keep(answered).await,
                None => answered.await,
            };
            let error = match answered {
                Ok(Ok(result)) => return Ok(result),
                Ok(Err(error)) => error,
                Err(_) => AwsError {
                    operation,
                    // Only the port knows it; the step that made the call names it.
                    subject: String::new(),
                    kind: ErrorKind::Lost,
                    code: "Timeout".to_owned(),
                    message: format!("no answer within {} s", within.as_secs_f32().ceil()),
                },
            };
            let retry = match error.kind {
                ErrorKind::Throttled | ErrorKind::Busy => true,
                ErrorKind::Lost => idempotency == Idempotency::Idempotent,
                ErrorKind::Changed
                | ErrorKind::Quota
                | ErrorKind::Denied
                | ErrorKind::UnknownPrincipal
                | ErrorKind::Refused => false,
            };
            let pause = if error.kind == ErrorKind::Throttled { throttled.pause() } else { backoff.pause() };
            if !retry || pause >= self.deadline.left() {
                return Err(error);
            }
            tracing::info!(operation = error.operation, code = error.code, "retrying after {} ms", pause.as_millis());
            wait(pause).await;
        }
    }

    fn limiter(&self, operation: &'static str) -> Arc<RateLimiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(limiters.entry(operation).or_insert_with(|| Arc::new(RateLimiter::new())))
    }
}

/// Allows at most [`CALLS_PER_WINDOW`] calls in any [`WINDOW`], as the service counts them.
///
/// The service counts arrivals. So a permit is free again one window after its call was *answered*,
/// not after it was sent: however long the requests travel, two calls with the same permit arrive at
/// least one window apart.
struct RateLimiter {
    permits: Semaphore,
    free_from: Mutex<Vec<Instant>>,
}

impl RateLimiter {
    fn new() -> Self {
        Self { permits: Semaphore::new(CALLS_PER_WINDOW), free_from: Mutex::new(vec![now(); CALLS_PER_WINDOW]) }
    }

    async fn keep<R>(&self, call: impl Future<Output = R>) -> R {
        let _permit = self.permits.acquire().await;
        // Its drop returns it, also when this call is canceled.
        let permit = Permit { limiter: self, from: self.earliest() };
        wait_until(permit.from).await;
        let result = call.await;
        drop(permit);
        result
    }

    fn earliest(&self) -> Instant {
        let mut free_from = self.free_from.lock().unwrap_or_else(PoisonError::into_inner);
        let index = (0..free_from.len()).min_by_key(|index| free_from[*index]);
        index.map_or_else(now, |index| free_from.swap_remove(index))
    }
}

struct Permit<'a> {
    limiter: &'a RateLimiter,
    from: Instant,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.limiter.free_from.lock().unwrap_or_else(PoisonError::into_inner).push(now() + WINDOW);
    }
}

macro_rules! retrying {
    ($($limit:ident $idempotency:ident $operation:ident $name:ident($($argument:ident: $type:ty),*) -> $output:ty;)+) => {$(
        async fn $name(&self, $($argument: $type),*) -> Result<$output> {
            self.call(stringify!($operation), retrying!(@$limit), Idempotency::$idempotency, || self.inner.$name($($argument),*)).await
        }
    )+};
    (@limited) => { true };
    (@unlimited) => { false };
}

impl<T: UserPools> UserPools for Retrying<'_, T> {
    retrying! {
        limited Idempotent ListUserPools list_user_pools(next: Option<&str>) -> Page<(PoolId, String)>;
        limited Idempotent DescribeUserPool describe_user_pool(id: &PoolId) -> Option<UserPoolDescription>;
        limited NotIdempotent CreateUserPool create_user_pool(pool: &UserPool) -> (PoolId, String);
        limited Idempotent UpdateUserPool update_user_pool(id: &PoolId, pool: &UserPool) -> ();
        limited Idempotent DeleteUserPool delete_user_pool(id: &PoolId) -> ();
        limited Idempotent DescribeUserPoolDomain describe_user_pool_domain(domain: &str) -> Option<DomainDescription>;
        limited Idempotent CreateUserPoolDomain create_user_pool_domain(pool: &PoolId, domain: &PoolDomain) -> Option<String>;
        limited Idempotent UpdateUserPoolDomain update_user_pool_domain(pool: &PoolId, domain: &PoolDomain) -> ();
        limited Idempotent DeleteUserPoolDomain delete_user_pool_domain(pool: &PoolId, domain: &str) -> ();
        limited Idempotent ListResourceServers list_resource_servers(pool: &PoolId, next: Option<&str>) -> Page<ResourceServer>;
        limited Idempotent CreateResourceServer create_resource_server(pool: &PoolId, server: &ResourceServer) -> ();
        limited Idempotent UpdateResourceServer update_resource_server(pool: &PoolId, server: &ResourceServer) -> ();
        limited Idempotent DeleteResourceServer delete_resource_server(pool: &PoolId, identifier: &str) -> ();
        limited Idempotent ListUserPoolClients list_user_pool_clients(pool: &PoolId, next: Option<&str>) -> Page<(ClientId, ClientName)>;
        limited Idempotent DescribeUserPoolClient describe_user_pool_client(pool: &PoolId, id: &ClientId) -> Option<ClientDescription>;
        limited NotIdempotent CreateUserPoolClient create_user_pool_client(pool: &PoolId, client: &UserPoolClient) -> (ClientId, Secret<String>);
        limited Idempotent UpdateUserPoolClient update_user_pool_client(pool: &PoolId, id: &ClientId, client: &UserPoolClient) -> ();
        limited Idempotent DeleteUserPoolClient delete_user_pool_client(pool: &PoolId, id: &ClientId) -> ();
    }
}

impl<T: ClientSecrets> ClientSecrets for Retrying<'_, T> {
    retrying! {
        limited Idempotent ListUserPoolClientSecrets list_user_pool_client_secrets(pool: &PoolId, client: &ClientId, next: Option<&str>) -> Page<ClientSecretDescription>;
        limited NotIdempotent AddUserPoolClientSecret add_user_pool_client_secret(pool: &PoolId, client: &ClientId, value: &Secret<String>) -> ();
        limited Idempotent DeleteUserPoolClientSecret delete_user_pool_client_secret(pool: &PoolId, client: &ClientId, id: &str) -> ();
    }
}

impl<T: SecretVersions> SecretVersions for Retrying<'_, T> {
    retrying! {
        unlimited Idempotent DescribeSecret describe_secret(name: &SecretId) -> Option<SecretDescription>;
        unlimited Idempotent GetSecretValue get_secret_value(name: &SecretId, version: Version<'_>) -> Option<SecretVersion>;
        unlimited Idempotent PutSecretValue put_secret_value(name: &SecretId, document: &SecretDocument, token: &str, stage: &str) -> ();
        unlimited Idempotent UpdateSecretVersionStage update_secret_version_stage(name: &SecretId, stage: &str, from: Option<&str>, to: Option<&str>) -> ();
    }
}

impl<T: Secrets> Secrets for Retrying<'_, T> {
    retrying! {
        unlimited Idempotent ListSecrets list_secrets(owner: Option<&Owner>, next: Option<&str>) -> Page<(SecretId, Tags)>;
        unlimited Idempotent CreateSecret create_secret(secret: &NewSecret<'_>) -> String;
        unlimited Idempotent UpdateSecret update_secret(name: &SecretId, change: &SecretChange) -> ();
        unlimited Idempotent RotateSecret rotate_secret(name: &SecretId, rotation: &Rotation) -> ();
        unlimited Idempotent CancelRotateSecret cancel_rotate_secret(name: &SecretId) -> ();
        unlimited Idempotent TagResource tag_resource(name: &SecretId, tags: &Tags) -> ();
        unlimited Idempotent UntagResource untag_resource(name: &SecretId, keys: &[String]) -> ();
        unlimited Idempotent RestoreSecret restore_secret(name: &SecretId) -> ();
        unlimited Idempotent GetResourcePolicy get_resource_policy(name: &SecretId) -> Option<ResourcePolicy>;
        unlimited Idempotent PutResourcePolicy put_resource_policy(name: &SecretId, policy: &ResourcePolicy) -> ();
        unlimited Idempotent DeleteResourcePolicy delete_resource_policy(name: &SecretId) -> ();
        unlimited Idempotent ReplicateSecretToRegions replicate_secret_to_regions(name: &SecretId, replicas: &Replicas) -> ();
        unlimited Idempotent RemoveRegionsFromReplication remove_regions_from_replication(name: &SecretId, regions: &BTreeSet<Region>) -> ();
        unlimited Idempotent DeleteSecret delete_secret(name: &SecretId, recovery_window_in_days: u8) -> ();
    }
}
