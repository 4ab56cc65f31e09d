//! One AWS account in memory: what exists in it, how it behaves, and the rules that all calls share.
//!
//! It keeps the rules that local clouds lack: names are not unique, a pool that has a domain or
//! protection is not deleted, scopes must exist, a deleted secret keeps its name, a version's token
//! takes one value. The modules of the services hold these rules.
//!
//! <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/Welcome.html>
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html>

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use cognito_m2m::{
    model::{ClientId, Owner, PoolId, Principal, Region, ResourcePolicy, SecretId, ids::AWS_MANAGED_KEY},
    ports::{AwsError, ErrorKind, Page, Result},
    redact::Secret,
};
use tokio::time::Instant;

use super::{
    cloudformation::parts, cognito::FakePool, consumers::Consumers, faults::Call, secrets_manager::FakeSecret,
};
use crate::quotas::Quotas;

/// Every client secret that Cognito generates starts with this, so that a test can look for it everywhere.
pub const CANARY: &str = "canary-client-secret-";

pub const ACCOUNT: &str = "111122223333";
pub const REGION: &str = "us-east-1";

/// Entries on one page of a listing. Real pages hold 50 or 60; short ones make several of a few things.
const PAGE: usize = 3;

/// How this AWS behaves where the real one lags, varies, or is not documented.
///
/// The default is an AWS that shows every change at once. To add an option: add a field here, with
/// its source, and one `if` in the call that it changes (or in [`FakeAws::answer`] if it changes
/// every call).
#[expect(clippy::struct_excessive_bools, reason = "each option is independent of the others")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behavior {
    /// How long a deleted domain stays, with the status `DELETING`. Its pool cannot be deleted before.
    /// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_DomainDescriptionType.html>
    pub domain_lingers: Duration,
    /// Whether ListSecrets misses every secret that is younger than five minutes.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
    pub listing_lags: bool,
    /// Whether DescribeUserPoolClient shows no secret of a client that has two. By default it shows
    /// the oldest. Sources disagree; seen on live AWS: it shows none once the first secret is deleted.
    pub describe_hides_secrets: bool,
    /// How long ListUserPools misses a new pool. No page of Cognito's promises that a listing shows at
    /// once what another call has made; Secrets Manager's page says that its own does not:
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
    pub pool_listing_lags: Duration,
    /// How long ListUserPoolClients misses a new client.
    pub client_listing_lags: Duration,
    /// How long DescribeUserPool shows a new pool without its tags. No page promises that they are seen
    /// at once.
    pub tags_lag: Duration,
    /// Whether the role's policy is in force that allows work on the clients and servers of a pool only by the
    /// pool's tags.
    pub iam_reads_tags: bool,
    /// How long calls and their answers travel.
    pub latency: Latency,
    /// Whether Cognito has its [`Quotas`], and makes one change of a client at a time. Its pages are then as long as
    /// the real ones.
    pub quotas: bool,
    pub token_endpoint: TokenEndpointState,
    /// How long the token service does not know a new client, a changed client or a new client secret,
    /// and refuses it. Seen on live AWS: it learns of them seconds late.
    pub token_service_lags: Duration,
    /// How long GetClientToken still says that a client lacks the flow, after the client got it. Seen on live AWS
    /// right after an update.
    pub flow_lags: Duration,
    /// Whether the name of a new domain can be looked up too early. Seen on live AWS: there is no
    /// wildcard DNS record, so a resolver that asks in the first [`DOMAIN_IS_UNKNOWN_FOR`] caches for up
    /// to [`MISSING_IS_CACHED_FOR`] that there is no such name. Such a look-up is a complaint. Pools
    /// then have real creation dates.
    pub domain_dns: bool,
    /// How long AWS denies an operation, counted from its first call. Seen on live AWS: a role's new
    /// policy, a new function's permission and a key's policy take ten seconds and more to be known.
    pub denied_for: BTreeMap<&'static str, Duration>,
    /// Whether the token endpoint still accepts a client's secrets that were deleted. Seen on live AWS:
    /// the token service learns of changes late.
    pub accepts_deleted_secrets: bool,
    /// How long a read misses a version after it was written. Seen on live AWS for AWSPENDING in setSecret.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html>
    pub versions_lag: Duration,
    /// Whether the version stays that RotateSecret makes to test a schedule. It is a copy of AWSCURRENT with
    /// the label AWSPENDING. By default it is gone at once.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>
    pub trial_stays: bool,
    /// The status of a new custom domain. By default it is `ACTIVE`; on AWS it can be `CREATING` for an hour.
    pub new_custom_domain: Option<&'static str>,
    /// Principals that IAM does not know for this long, counted from the first policy that names them. Reported for
    /// live AWS: a role that is as new as the policy is an "unsupported principal" for seconds.
    /// <https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/secretsmanager/secret_policy.go>
    pub unknown_principals: BTreeMap<Principal, Duration>,
    /// How long a replica has the status `InProgress`.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicationStatusType.html>
    pub replication_takes: Duration,
    /// Regions whose replicas stay in progress.
    pub stuck_replicas: BTreeSet<Region>,
    /// Regions whose replicas fail, each with the message.
    pub failing_replicas: BTreeMap<Region, String>,
    /// How long DeleteSecret still counts a replica that was removed. DescribeSecret no longer shows it. No page says
    /// that a removal is complete when it is answered.
    pub removed_replicas_linger: Duration,
    /// Keys that nobody can use. Nothing under them can be read or written.
    pub disabled_keys: BTreeSet<String>,
    /// Keys with which nothing can be encrypted.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html>
    pub encrypt_denied: BTreeSet<String>,
}

/// How long a call takes to reach AWS, and its answer to come back. Each time is multiplied by a random number between 1
/// and this factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    pub there: Duration,
    pub back: Duration,
    pub factor: u32,
}

impl Default for Latency {
    fn default() -> Self {
        Self { there: Duration::from_millis(5), back: Duration::from_millis(5), factor: 1 }
    }
}

/// See [`Behavior::domain_dns`].
pub const DOMAIN_IS_UNKNOWN_FOR: Duration = Duration::from_secs(20);
pub const MISSING_IS_CACHED_FOR: Duration = Duration::from_mins(15);

impl Behavior {
    /// Tells whether the key can decrypt nothing. `None` is the AWS managed key.
    pub fn is_disabled(&self, key: Option<&str>) -> bool {
        self.disabled_keys.contains(key.unwrap_or(AWS_MANAGED_KEY))
    }

    pub fn may_not_encrypt(&self, key: Option<&str>) -> bool {
        self.is_disabled(key) || self.encrypt_denied.contains(key.unwrap_or(AWS_MANAGED_KEY))
    }
}

/// What the token endpoint says to a client with the right secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenEndpointState {
    /// A token.
    #[default]
    Works,
    /// Nothing. Seen on live AWS: the name of a new domain does not resolve at first.
    Unreachable,
    /// `invalid_client`.
    Refuses,
}

/// Everything in the account, and all that happened to it.
#[derive(Debug, Default)]
pub struct World {
    pub pools: BTreeMap<PoolId, FakePool>,
    pub secrets: BTreeMap<SecretId, FakeSecret>,
    pub tokens_granted: usize,
    pub behavior: Behavior,
    pub consumers: Consumers,
    /// Every call of every session, in the order in which they were made.
    pub calls: Vec<Call>,
    /// The certificates in us-east-1.
    pub certificates: BTreeSet<String>,
    /// The users' own DNS: names with an A record, an alias or a CNAME, each with what it points to.
    pub dns: BTreeMap<String, String>,
    /// The secret with which each client got its last token.
    pub last_good_secrets: BTreeMap<ClientId, Secret<String>>,
    /// When each principal in [`Behavior::unknown_principals`] was named first.
    unknown_since: BTreeMap<Principal, Instant>,
    /// When each operation in [`Behavior::denied_for`] was called first.
    denied_since: BTreeMap<&'static str, Instant>,
    /// Until when the resolver believes that a host of a token endpoint does not exist.
    pub(super) missing_until: BTreeMap<String, Instant>,
    /// The hosts of custom domains that were looked up.
    pub custom_hosts_looked_up: Vec<String>,
    last_number: u64,
    pub quotas: Quotas,
    pub refused_for_quota: usize,
    /// Where the random part of the latencies comes from.
    pub random: fastrand::Rng,
    /// Until when a change of a client keeps others from changing one.
    client_is_changing_until: Option<Instant>,
    /// The owners whose things nobody else may change; see [`Session`](super::Session).
    pub watched: Vec<Owner>,
}

impl World {
    /// Returns a number that nothing else in the account has. Younger things have larger ones.
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Denies an operation that is still to be denied.
    fn check_permission(&mut self, operation: &'static str) -> Result<(), Refusal> {
        let Some(denied_for) = self.behavior.denied_for.get(operation) else { return Ok(()) };
        let since = self.denied_since.entry(operation).or_insert_with(Instant::now);
        if since.elapsed() >= *denied_for {
            return Ok(());
        }
        // What Secrets Manager says if the function's permission is missing, or not known yet.
        let message = if operation == "RotateSecret" {
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access \
             to the principal secretsmanager.amazonaws.com."
                .to_owned()
        } else {
            format!("User: provider is not authorized to perform: {operation}")
        };
        Err(Refusal::new(ErrorKind::Denied, "AccessDeniedException", message))
    }

    /// Refuses a policy that names a principal which is still unknown.
    pub(super) fn check_principals(&mut self, policy: &ResourcePolicy) -> Result<(), Refusal> {
        let text = policy.to_string();
        for (principal, unknown_for) in &self.behavior.unknown_principals {
            if !text.contains(&format!("\"{principal}\"")) {
                continue;
            }
            let since = self.unknown_since.entry(principal.clone()).or_insert_with(Instant::now);
            if since.elapsed() < *unknown_for {
                let message = "This resource policy contains an unsupported principal";
                return Err(Refusal::new(ErrorKind::UnknownPrincipal, "MalformedPolicyDocumentException", message));
            }
        }
        Ok(())
    }

    /// Returns how long a call that begins now travels, and its answer.
    pub fn latency(&mut self) -> (Duration, Duration) {
        let Latency { there, back, factor } = self.behavior.latency;
        let mut varied = |time: Duration| {
            let extra = time * (factor - 1);
            time + extra.mul_f64(self.random.f64())
        };
        (varied(there), varied(back))
    }

    /// Refuses a call that exceeds a quota of requests, whatever pool it is about, or that meets another change.
    fn check_quotas(&mut self, operation: &'static str) -> Result<(), Refusal> {
        if !self.behavior.quotas {
            return Ok(());
        }
        if !self.quotas.allow(operation, "", Instant::now()) {
            self.refused_for_quota += 1;
            return Err(Refusal::new(ErrorKind::Throttled, "TooManyRequestsException", "Rate exceeded"));
        }
        self.check_other_changes(operation)
    }

    /// Refuses to change a client while another one is being changed. The API has this error for these two operations.
    /// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPoolClient.html>
    fn check_other_changes(&mut self, operation: &'static str) -> Result<(), Refusal> {
        const CLIENT_CHANGES_FOR: Duration = Duration::from_millis(30);
        let now = Instant::now();
        if ["UpdateUserPoolClient", "DeleteUserPoolClient"].contains(&operation) {
            if self.client_is_changing_until.is_some_and(|until| now < until) {
                let message = "Only one request to update user pool client can be processed at a time.";
                return Err(Refusal::new(ErrorKind::Busy, "ConcurrentModificationException", message));
            }
            self.client_is_changing_until = Some(now + CLIENT_CHANGES_FOR);
        }
        Ok(())
    }

    /// How many entries a page of clients has.
    pub fn clients_per_page(&self) -> usize {
        const REAL: usize = 60;
        if self.behavior.quotas { REAL } else { PAGE }
    }

    /// What of a pool each watched owner but one has, with all that can be seen of it.
    pub fn stakes(&self, but: Option<&Owner>) -> Vec<String> {
        let others = self.watched.iter().filter(|owner| Some(*owner) != but);
        let parts = |owner: &Owner| {
            let parts: Vec<_> = self.pools.values().map(|pool| format!("{:?}", parts(pool, owner))).collect();
            let secrets = self.secrets.iter().filter(|(_, secret)| owner.owns(&secret.tags));
            let secrets: Vec<_> = secrets.map(|(name, secret)| format!("{name} {secret:?}")).collect();
            format!("{}: {parts:?} {secrets:?}", owner.stack_id)
        };
        others.map(parts).collect()
    }

    /// The operations that changed something, or tried to.
    pub fn writes(&self) -> Vec<&'static str> {
        self.calls.iter().filter(|call| call.is_write()).map(|call| call.operation).collect()
    }
}

/// A handle on the account. Its clones share the account. It implements the ports with the rules of
/// AWS and never fails by itself; [`Session`](super::Session) adds the faults.
#[derive(Clone, Debug, Default)]
pub struct FakeAws {
    world: Arc<Mutex<World>>,
}

impl FakeAws {
    /// Locks the account, to look at it or to change it behind the provider's back.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Carries one call out. What holds for every operation belongs here.
    pub fn answer<R>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut World) -> Result<R, Refusal>,
    ) -> Result<R> {
        let world = &mut *self.world();
        let result =
            world.check_quotas(operation).and_then(|()| world.check_permission(operation)).and_then(|()| effect(world));
        world.consumers.look(operation, &world.pools, &world.secrets);
        world.look_at_token_endpoints(operation);
        result.map_err(|refusal| refusal.to(operation))
    }
}

/// Why AWS did not do what it was asked to do.
#[derive(Debug)]
pub struct Refusal {
    kind: ErrorKind,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into() }
    }

    /// The error of the call that was refused.
    pub fn to(self, operation: &'static str) -> AwsError {
        let Self { kind, code, message } = self;
        AwsError { operation, subject: "a thing".to_owned(), kind, code: code.to_owned(), message }
    }
}

/// The request can never succeed.
pub fn refused(code: &'static str, message: &str) -> Refusal {
    Refusal::new(ErrorKind::Refused, code, message)
}

/// The request does not fit what exists now.
pub fn changed(code: &'static str, message: &str) -> Refusal {
    Refusal::new(ErrorKind::Changed, code, message)
}

pub fn over_quota(message: &str) -> Refusal {
    Refusal::new(ErrorKind::Quota, "LimitExceededException", message)
}

pub fn not_found() -> Refusal {
    changed("ResourceNotFoundException", "no such thing")
}

/// Returns the page that starts at `next`, which is the number of an entry.
pub fn page<T>(all: impl IntoIterator<Item = T>, next: Option<&str>) -> Page<T> {
    page_of(PAGE, all, next)
}

/// Returns the page with at most `size` entries that starts at `next`, which is the number of an entry.
pub fn page_of<T>(size: usize, all: impl IntoIterator<Item = T>, next: Option<&str>) -> Page<T> {
    let start: usize = next.map_or(0, |next| next.parse().unwrap());
    let mut rest = all.into_iter().skip(start);
    let items = rest.by_ref().take(size).collect();
    let next = rest.next().map(|_| (start + size).to_string());
    Page { items, next }
}

#[test]
fn a_listing_of_four_has_two_pages() {
    let first = page(1..=4, None);
    assert_eq!((first.items, first.next.as_deref()), (vec![1, 2, 3], Some("3")));
    assert_eq!(page(1..=4, Some("3")), Page { items: vec![4], next: None });
    assert_eq!(page(1..=3, None).next, None);
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_denied_from_its_first_call_on() {
    use cognito_m2m::ports::UserPools;
    let aws = FakeAws::default();
    aws.world().behavior.denied_for.insert("ListUserPools", Duration::from_secs(10));
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(aws.list_user_pools(None).await.unwrap_err().kind, ErrorKind::Denied);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(aws.list_user_pools(None).await.is_ok());
}
