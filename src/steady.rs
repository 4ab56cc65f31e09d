//! Pace and retries for every AWS call: the ports, made steady.
//!
//! The SDK's own retries are off, for three reasons: they take Cognito's hard quota
//! (`LimitExceededException`) for throttling, they do not know that a lost answer to CreateUserPool
//! may have made a pool, and they would not keep Cognito's pace.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    deadline::{Deadline, now, wait, wait_until},
    model::{
        Client, ClientId, ClientName, Domain, Owner, PoolId, ResourceServer, Rotation, SecretName, Tags, UserPool,
    },
    ports::{
        AwsError, ClientDescription, ClientSecretDescription, ClientSecrets, DomainDescription, ErrorKind, NewSecret,
        Page, Result, SecretChange, SecretDescription, SecretDocument, SecretVersion, SecretVersions, Secrets,
        UserPoolDescription, UserPools, Version,
    },
    redact::Secret,
};

/// Cognito allows five calls a second of one operation on the resources of one pool.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html>
const CALLS_AT_A_PACE: usize = 5;
const PACE: Duration = Duration::from_secs(1);

/// A call that has not been answered by then never will be; Cognito's slowest (a domain's creation)
/// take a few seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(4);

/// A port whose calls keep Cognito's pace, give up on silence and are tried again where that is
/// safe, while the deadline allows.
pub struct Steady<'a, T> {
    inner: &'a T,
    deadline: Deadline,
    paces: Mutex<HashMap<&'static str, Arc<Pace>>>,
}

/// Whether a call whose answer was lost may be made again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Its effect is the same once and twice, or the second is refused.
    Safe,
    /// It would make a second thing: Cognito's names are not unique.
    MakesAnother,
}

impl<'a, T> Steady<'a, T> {
    pub fn new(inner: &'a T, deadline: Deadline) -> Self {
        Self { inner, deadline, paces: Mutex::default() }
    }

    async fn call<R, F>(&self, operation: &'static str, paced: bool, again: Again, call: impl Fn() -> F) -> Result<R>
    where
        F: Future<Output = Result<R>> + Send,
    {
        let pace = paced.then(|| self.pace(operation));
        let mut backoff = FIRST_BACKOFF;
        loop {
            let within = ANSWER_WITHIN.min(self.deadline.left());
            // Boxed and unnamed: the futures above would otherwise hold the SDK's whole type.
            let called: Pin<Box<dyn Future<Output = Result<R>> + Send + '_>> = Box::pin(call());
            let answered = async { timeout(within, called).await };
            let answered = match &pace {
                Some(pace) => pace.keep(answered).await,
                None => answered.await,
            };
            let error = match answered {
                Ok(Ok(result)) => return Ok(result),
                Ok(Err(error)) => error,
                Err(_) => AwsError {
                    operation,
                    // Known to the port alone; the step that made the call names it.
                    subject: String::new(),
                    kind: ErrorKind::Lost,
                    code: "Timeout".to_owned(),
                    message: format!("no answer within {} s", within.as_secs_f32().ceil()),
                },
            };
            let retry = match error.kind {
                ErrorKind::Throttled | ErrorKind::Busy => true,
                ErrorKind::Lost => again == Again::Safe,
                ErrorKind::Changed | ErrorKind::Quota | ErrorKind::Denied | ErrorKind::Refused => false,
            };
            let pause = backoff.mul_f32(0.5 + fastrand::f32() / 2.0);
            if !retry || pause >= self.deadline.left() {
                return Err(error);
            }
            tracing::info!(operation = error.operation, code = error.code, "retrying after {} ms", pause.as_millis());
            wait(pause).await;
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    fn pace(&self, operation: &'static str) -> Arc<Pace> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(paces.entry(operation).or_insert_with(|| Arc::new(Pace::new())))
    }
}

/// At most [`CALLS_AT_A_PACE`] calls in any [`PACE`], as the service counts them.
///
/// A place is free again one pace after its call was *answered*, not after it was made: however
/// long the requests travel, two that use the same place arrive at least one pace apart.
struct Pace {
    places: Semaphore,
    free_from: Mutex<Vec<Instant>>,
}

impl Pace {
    fn new() -> Self {
        Self { places: Semaphore::new(CALLS_AT_A_PACE), free_from: Mutex::new(vec![now(); CALLS_AT_A_PACE]) }
    }

    async fn keep<R>(&self, call: impl Future<Output = R>) -> R {
        let _place = self.places.acquire().await;
        // Taken from the list until it is put back: if this call is given up, its place is free
        // one pace from when it was taken out, at the latest.
        let taken = Taken { pace: self, from: self.earliest() };
        wait_until(taken.from).await;
        let result = call.await;
        drop(taken);
        result
    }

    fn earliest(&self) -> Instant {
        let mut free_from = self.free_from.lock().unwrap_or_else(PoisonError::into_inner);
        let index = (0..free_from.len()).min_by_key(|index| free_from[*index]);
        index.map_or_else(now, |index| free_from.swap_remove(index))
    }
}

struct Taken<'a> {
    pace: &'a Pace,
    from: Instant,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.pace.free_from.lock().unwrap_or_else(PoisonError::into_inner).push(now() + PACE);
    }
}

macro_rules! steady {
    ($($pace:ident $again:ident $operation:ident $name:ident($($argument:ident: $type:ty),*) -> $output:ty;)+) => {$(
        async fn $name(&self, $($argument: $type),*) -> Result<$output> {
            self.call(stringify!($operation), steady!(@$pace), Again::$again, || self.inner.$name($($argument),*)).await
        }
    )+};
    (@paced) => { true };
    (@unpaced) => { false };
}

impl<T: UserPools> UserPools for Steady<'_, T> {
    steady! {
        paced Safe ListUserPools list_user_pools(next: Option<&str>) -> Page<(PoolId, String)>;
        paced Safe DescribeUserPool describe_user_pool(id: &PoolId) -> Option<UserPoolDescription>;
        paced MakesAnother CreateUserPool create_user_pool(pool: &UserPool) -> (PoolId, String);
        paced Safe UpdateUserPool update_user_pool(id: &PoolId, pool: &UserPool) -> ();
        paced Safe DeleteUserPool delete_user_pool(id: &PoolId) -> ();
        paced Safe DescribeUserPoolDomain describe_user_pool_domain(prefix: &str) -> Option<DomainDescription>;
        paced Safe CreateUserPoolDomain create_user_pool_domain(pool: &PoolId, domain: &Domain) -> ();
        paced Safe UpdateUserPoolDomain update_user_pool_domain(pool: &PoolId, domain: &Domain) -> ();
        paced Safe DeleteUserPoolDomain delete_user_pool_domain(pool: &PoolId, prefix: &str) -> ();
        paced Safe ListResourceServers list_resource_servers(pool: &PoolId, next: Option<&str>) -> Page<ResourceServer>;
        paced Safe CreateResourceServer create_resource_server(pool: &PoolId, server: &ResourceServer) -> ();
        paced Safe UpdateResourceServer update_resource_server(pool: &PoolId, server: &ResourceServer) -> ();
        paced Safe DeleteResourceServer delete_resource_server(pool: &PoolId, identifier: &str) -> ();
        paced Safe ListUserPoolClients list_user_pool_clients(pool: &PoolId, next: Option<&str>) -> Page<(ClientId, ClientName)>;
        paced Safe DescribeUserPoolClient describe_user_pool_client(pool: &PoolId, id: &ClientId) -> Option<ClientDescription>;
        paced MakesAnother CreateUserPoolClient create_user_pool_client(pool: &PoolId, client: &Client) -> (ClientId, Secret<String>);
        paced Safe UpdateUserPoolClient update_user_pool_client(pool: &PoolId, id: &ClientId, client: &Client) -> ();
        paced Safe DeleteUserPoolClient delete_user_pool_client(pool: &PoolId, id: &ClientId) -> ();
    }
}

impl<T: ClientSecrets> ClientSecrets for Steady<'_, T> {
    steady! {
        paced Safe ListUserPoolClientSecrets list_user_pool_client_secrets(pool: &PoolId, client: &ClientId, next: Option<&str>) -> Page<ClientSecretDescription>;
        paced MakesAnother AddUserPoolClientSecret add_user_pool_client_secret(pool: &PoolId, client: &ClientId, value: &Secret<String>) -> ();
        paced Safe DeleteUserPoolClientSecret delete_user_pool_client_secret(pool: &PoolId, client: &ClientId, id: &str) -> ();
    }
}

impl<T: SecretVersions> SecretVersions for Steady<'_, T> {
    steady! {
        unpaced Safe DescribeSecret describe_secret(name: &SecretName) -> Option<SecretDescription>;
        unpaced Safe GetSecretValue get_secret_value(name: &SecretName, version: Version<'_>) -> Option<SecretVersion>;
        unpaced Safe PutSecretValue put_secret_value(name: &SecretName, document: &SecretDocument, token: &str, stage: &str) -> ();
        unpaced Safe UpdateSecretVersionStage update_secret_version_stage(name: &SecretName, stage: &str, from: Option<&str>, to: Option<&str>) -> ();
    }
}

impl<T: Secrets> Secrets for Steady<'_, T> {
    steady! {
        unpaced Safe ListSecrets list_secrets(owner: &Owner, next: Option<&str>) -> Page<SecretName>;
        unpaced Safe CreateSecret create_secret(secret: &NewSecret<'_>) -> String;
        unpaced Safe UpdateSecret update_secret(name: &SecretName, change: &SecretChange) -> ();
        unpaced Safe RotateSecret rotate_secret(name: &SecretName, rotation: &Rotation) -> ();
        unpaced Safe CancelRotateSecret cancel_rotate_secret(name: &SecretName) -> ();
        unpaced Safe TagResource tag_resource(name: &SecretName, tags: &Tags) -> ();
        unpaced Safe UntagResource untag_resource(name: &SecretName, keys: &[String]) -> ();
        unpaced Safe RestoreSecret restore_secret(name: &SecretName) -> ();
        unpaced Safe DeleteSecret delete_secret(name: &SecretName, recovery_window_in_days: u8) -> ();
    }
}
