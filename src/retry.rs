//! Rate limits and retries around the ports.
//!
//! The SDK's own retries are off for three reasons. They take Cognito's hard quota
//! (`LimitExceededException`) for throttling. They do not know that a lost answer to CreateUserPool
//! may have created a pool. And they do not keep within Cognito's rate.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
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

/// After a lost answer or a server error.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(4);

/// A caller that is refused waits for a time between zero and this one, because others use up the quota or are changing
/// another client. The quota allows a call every fifth of a second. So of many callers, some should try again within
/// that time.
const WINDOW_OF_PAUSES: Duration = Duration::from_millis(500);
/// If a quota is used up, the window does not grow at first, so that the quota is never idle. Then it must grow, because
/// refused calls may count against the quota. Nobody has published whether they do. If they do, callers that do not slow
/// down refuse each other for good. docs/performance.md compares other times.
const EVEN_FOR: Duration = Duration::from_secs(5);
/// The window grows with the square of the time after that: by 2.5 s in 10 s, by 10 s in 20 s, by this time in this time.
const GROWTH_SCALE: Duration = Duration::from_secs(40);
/// With pauses of ten seconds on average, fifty stacks make five calls a second, which the quota allows.
const MAX_WINDOW_OF_PAUSES: Duration = Duration::from_secs(20);

/// The operation that waits for no other one: while a pool changes its domain, nobody gets a token.
const URGENT: &str = "CreateUserPoolDomain";

/// Draws a pause evenly from the window, so that many callers do not try again in step.
fn draw_pause(waited: Duration) -> Duration {
    let longer = waited.saturating_sub(EVEN_FOR);
    let growth = longer.mul_f32(longer.div_duration_f32(GROWTH_SCALE));
    (WINDOW_OF_PAUSES + growth).min(MAX_WINDOW_OF_PAUSES).mul_f32(fastrand::f32())
}

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
    /// How many calls of each operation are throttled and wait for their next attempt.
    throttled: watch::Sender<BTreeMap<&'static str, usize>>,
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
        Self { inner, deadline, limiters: Mutex::default(), throttled: watch::Sender::default() }
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
        let (mut throttled_since, mut turn) = (None, None);
        loop {
            let error = match self.attempt(operation, limiter.as_deref(), &call).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let pause = match error.kind {
                // Secrets Manager's quotas are so large that many stacks do not use them up.
                ErrorKind::Throttled if !is_limited => backoff.pause(),
                ErrorKind::Throttled => draw_pause(throttled_since.get_or_insert_with(now).elapsed()),
                // The other change is over in a moment, whatever came before. Each attempt counts against the quota.
                ErrorKind::Busy => draw_pause(Duration::ZERO),
                ErrorKind::Lost if idempotency == Idempotency::Idempotent => backoff.pause(),
                ErrorKind::Lost
                | ErrorKind::Changed
                | ErrorKind::Quota
                | ErrorKind::Denied
                | ErrorKind::UnknownPrincipal
                | ErrorKind::Refused => return Err(error),
            };
            if pause >= self.deadline.left() {
                return Err(error);
            }
            tracing::info!(operation = error.operation, code = error.code, "retrying after {} ms", pause.as_millis());
            turn = (error.kind == ErrorKind::Throttled && is_limited && operation != URGENT)
                .then(|| turn.take().unwrap_or_else(|| Turn::new(&self.throttled, operation)));
            wait(pause).await;
            if let Some(turn) = &turn
                && timeout(self.deadline.left(), turn.comes()).await.is_err()
            {
                return Err(error);
            }
        }
    }

    /// Makes one call, as soon as the rate allows it.
    async fn attempt<R, F>(
        &self,
        operation: &'static str,
        limiter: Option<&RateLimiter>,
        call: impl Fn() -> F,
    ) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        let permit = match limiter {
            Some(limiter) => Some(limiter.permit().await),
            None => None,
        };
        let (sent, within) = (now(), ANSWER_WITHIN.min(self.deadline.left()));
        // Boxed, so that the callers' futures do not contain the SDK's.
        let called: Pin<Box<dyn Future<Output = Result<R>> + '_>> = Box::pin(call());
        let answered = timeout(within, called).await.unwrap_or_else(|_| {
            Err(AwsError {
                operation,
                // Only the port knows it; the step that made the call names it.
                subject: String::new(),
                kind: ErrorKind::Lost,
                code: "Timeout".to_owned(),
                message: format!("no answer within {} s", within.as_secs_f32().ceil()),
            })
        });
        if let Some(permit) = permit
            && !answered.as_ref().is_err_and(|error| error.kind == ErrorKind::Lost)
        {
            permit.answered_after(sent.elapsed());
        }
        answered
    }

    fn limiter(&self, operation: &'static str) -> Arc<RateLimiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(limiters.entry(operation).or_insert_with(|| Arc::new(RateLimiter::new())))
    }
}

/// Allows at most [`CALLS_PER_WINDOW`] calls in any [`WINDOW`], as the service counts them.
///
/// The service counts arrivals, and nobody here sees them. A call that is answered has arrived before its answer, by at
/// least the time that the service and the way back take. The next call with the same permit arrives after it is sent,
/// by at least the time that the way there takes. These two times together are at least half of the shortest round trip
/// so far, unless calls become more than twice as fast. So a permit is free again a window after its call was answered,
/// less half of the shortest round trip. If calls do become faster, a call may arrive that much too early. The service
/// then refuses it, and it is made again.
///
/// Nothing is known of a call without an answer. Its permit is free a window after the run gave it up.
struct RateLimiter {
    permits: Semaphore,
    state: Mutex<LimiterState>,
}

struct LimiterState {
    free_from: Vec<Instant>,
    shortest_round_trip: Duration,
}

impl RateLimiter {
    fn new() -> Self {
        let state = LimiterState { free_from: vec![now(); CALLS_PER_WINDOW], shortest_round_trip: Duration::MAX };
        Self { permits: Semaphore::new(CALLS_PER_WINDOW), state: Mutex::new(state) }
    }

    /// Waits until a call may be sent.
    async fn permit(&self) -> Permit<'_> {
        let semaphore = self.permits.acquire().await;
        let from = self.earliest();
        // Its drop returns it, also when this call is canceled.
        let permit = Permit { limiter: self, free_early_by: Duration::ZERO, _semaphore: semaphore.ok() };
        wait_until(from).await;
        permit
    }

    fn earliest(&self) -> Instant {
        let free_from = &mut self.state().free_from;
        let index = (0..free_from.len()).min_by_key(|index| free_from[*index]);
        index.map_or_else(now, |index| free_from.swap_remove(index))
    }

    fn state(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Permit<'a> {
    limiter: &'a RateLimiter,
    free_early_by: Duration,
    _semaphore: Option<SemaphorePermit<'a>>,
}

impl Permit<'_> {
    /// Returns the permit of a call that was answered just now.
    fn answered_after(mut self, round_trip: Duration) {
        let shortest = &mut self.limiter.state().shortest_round_trip;
        *shortest = round_trip.min(*shortest);
        self.free_early_by = *shortest / 2;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.limiter.state().free_from.push(now() + WINDOW - self.free_early_by);
    }
}

/// A throttled call's place among the throttled calls of its run.
///
/// Only the throttled calls of the first operation by name are made again, so every run has the same order. Without
/// turns, of many stacks in one pool one would get its resource servers and another its clients, and neither could go
/// on.
struct Turn<'a> {
    throttled: &'a watch::Sender<BTreeMap<&'static str, usize>>,
    operation: &'static str,
}

impl<'a> Turn<'a> {
    fn new(throttled: &'a watch::Sender<BTreeMap<&'static str, usize>>, operation: &'static str) -> Self {
        throttled.send_modify(|throttled| *throttled.entry(operation).or_default() += 1);
        Self { throttled, operation }
    }

    /// Waits until no call of an operation with an earlier name is throttled.
    async fn comes(&self) {
        let is_first = |throttled: &BTreeMap<_, _>| throttled.keys().next() == Some(&self.operation);
        // Fails only if the sender is gone, which `self` borrows.
        let _ = self.throttled.subscribe().wait_for(is_first).await;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.throttled.send_modify(|throttled| {
            if let Some(calls) = throttled.get_mut(self.operation) {
                *calls -= 1;
            }
            throttled.retain(|_, calls| *calls > 0);
        });
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
