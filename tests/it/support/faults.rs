//! Faults around the AWS in memory.
//!
//! [`FakeAws`] knows the rules of AWS and nothing of faults. A [`Session`] wraps it: it counts the
//! calls of one process, records them, gives each some latency, and makes some of them go wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cognito_m2m::{
    model::{
        ClientId, ClientName, Owner, PoolDomain, PoolId, Region, Replicas, ResourcePolicy, ResourceServer, Rotation,
        SecretId, Tags, UserPool, UserPoolClient,
    },
    ports::{
        ClientDescription, ClientSecretDescription, ClientSecrets, DomainDescription, ErrorKind, ExpectedToken,
        NewSecret, Page, Result, SecretChange, SecretDescription, SecretDocument, SecretVersion, SecretVersions,
        Secrets, Services, TokenEndpoint, TokenError, UserPoolDescription, UserPools, Version,
    },
    redact::Secret,
};
use tokio::{sync::Notify, time::Instant};

use super::fake_aws::{FakeAws, Refusal};

/// What goes wrong with one call.
#[derive(Clone)]
pub enum Fault {
    /// AWS refuses the call. It has no effect.
    Before,
    /// The call has its effect, but its answer is lost.
    Lost,
    /// The call has its effect, then the process is killed.
    CrashAfter,
    /// The process is killed. The call has no effect.
    CrashBefore,
    /// No answer ever comes. The call has no effect.
    Hang,
    /// AWS answers "too many requests". The call has no effect.
    Throttled,
    /// AWS answers "another request is in progress". The call has no effect.
    Busy,
    /// A permission is missing, or not known yet. The call has no effect.
    Denied,
    /// A quota is reached. The call has no effect.
    Quota,
    /// Something else happens first; then the call goes on. Made by [`Fault::meanwhile`].
    Meanwhile(Arc<dyn Fn() + Send + Sync>),
}

impl Fault {
    pub fn meanwhile(other: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Meanwhile(Arc::new(other))
    }

    /// What AWS answers if the fault is an answer.
    fn refusal(&self) -> Option<Refusal> {
        let (kind, code, message) = match self {
            Self::Before => (ErrorKind::Refused, "InvalidParameterException", "a fault before the effect"),
            Self::Lost => (ErrorKind::Lost, "ConnectionLost", "the answer was lost"),
            Self::Throttled => (ErrorKind::Throttled, "TooManyRequestsException", "Rate exceeded"),
            Self::Busy => (ErrorKind::Busy, "ConcurrentModificationException", "Only one request"),
            Self::Denied => (ErrorKind::Denied, "AccessDeniedException", "the role may not do this"),
            Self::Quota => (ErrorKind::Quota, "LimitExceededException", "Too many user pools: the quota is 1000"),
            Self::CrashAfter | Self::CrashBefore | Self::Hang | Self::Meanwhile(_) => return None,
        };
        Some(Refusal::new(kind, code, message))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "an error before the effect",
            Self::Lost => "the answer lost",
            Self::CrashAfter => "a crash after the effect",
            Self::CrashBefore => "a crash before the effect",
            Self::Hang => "a hang",
            Self::Throttled => "throttling",
            Self::Busy => "another modification",
            Self::Denied => "a denial",
            Self::Quota => "a quota",
            Self::Meanwhile(_) => "something meanwhile",
        })
    }
}

/// Runs asynchronous work to its end on a thread and a paused clock of its own, as another process
/// would, while the caller waits.
pub fn in_another_process<F: Future<Output: Send + 'static>>(work: impl FnOnce() -> F + Send + 'static) -> F::Output {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(work())
    };
    std::thread::spawn(run).join().unwrap()
}

/// One call, as CloudTrail would list it.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: &'static str,
    pub at: Instant,
    /// When AWS got it. `None` if it is still on its way.
    pub arrived_at: Option<Instant>,
    /// `None` if no answer has come.
    pub answered_at: Option<Instant>,
}

impl Call {
    pub fn is_write(&self) -> bool {
        !["List", "Describe", "Get", "VerifyToken"].iter().any(|read| self.operation.starts_with(read))
    }
}

/// One process's session with the account. Its clones count together.
#[derive(Clone)]
pub struct Session {
    pub aws: FakeAws,
    calls_made: Arc<AtomicUsize>,
    faults: Arc<BTreeMap<usize, Fault>>,
    killed: Arc<Notify>,
    /// Whose process it is, if the account watches that nobody changes what others own.
    owner: Option<Owner>,
}

impl Session {
    /// Says whose process it is.
    pub fn of(self, owner: Owner) -> Self {
        Self { owner: Some(owner), ..self }
    }

    pub fn new(aws: &FakeAws) -> Self {
        Self::with_faults(aws, [])
    }

    /// The calls are counted from 0; every retry counts.
    pub fn with_faults(aws: &FakeAws, faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        Self {
            aws: aws.clone(),
            calls_made: Arc::default(),
            faults: Arc::new(faults.into_iter().collect()),
            killed: Arc::default(),
            owner: None,
        }
    }

    pub fn calls_made(&self) -> usize {
        self.calls_made.load(Ordering::SeqCst)
    }

    /// Runs the process until it ends; returns `None` if a fault kills it.
    pub async fn run<R>(&self, process: impl Future<Output = R>) -> Option<R> {
        tokio::select! {
            result = process => Some(result),
            () = self.killed.notified() => None,
        }
    }

    /// Makes one call: `effect` happens unless the fault that is due prevents it.
    async fn call<R>(&self, operation: &'static str, effect: impl Future<Output = Result<R>>) -> Result<R> {
        let number = self.calls_made.fetch_add(1, Ordering::SeqCst);
        let (there, back) = self.aws.world().latency();
        let index = self.record(operation);
        tokio::time::sleep(there).await;
        self.aws.world().calls[index].arrived_at = Some(Instant::now());
        let stakes = self.aws.world().stakes(self.owner.as_ref());
        let result = self.suffer(self.faults.get(&number), operation, effect).await;
        if !matches!(self.faults.get(&number), Some(Fault::Meanwhile(_))) {
            let mut world = self.aws.world();
            if world.stakes(self.owner.as_ref()) != stakes {
                let complaint = format!("{operation} of {:?} changed what another stack owns", self.owner);
                world.consumers.complaints.push(complaint);
            }
        }
        tokio::time::sleep(back).await;
        self.aws.world().calls[index].answered_at = Some(Instant::now());
        result
    }

    async fn suffer<R>(
        &self,
        fault: Option<&Fault>,
        operation: &'static str,
        effect: impl Future<Output = Result<R>>,
    ) -> Result<R> {
        let Some(fault) = fault else { return effect.await };
        match fault {
            Fault::Meanwhile(other) => {
                other();
                return effect.await;
            }
            Fault::Hang => return std::future::pending().await,
            Fault::CrashBefore => return self.die().await,
            Fault::CrashAfter => {
                // Nobody is there any more to see whether it succeeded.
                let _ = effect.await;
                return self.die().await;
            }
            Fault::Lost => {
                let _ = effect.await;
            }
            Fault::Before | Fault::Throttled | Fault::Busy | Fault::Denied | Fault::Quota => {}
        }
        Err(fault.refusal().unwrap().to(operation))
    }

    /// Adds the call to the account's list and returns its place there.
    fn record(&self, operation: &'static str) -> usize {
        let calls = &mut self.aws.world().calls;
        calls.push(Call { operation, at: Instant::now(), arrived_at: None, answered_at: None });
        calls.len() - 1
    }

    async fn die<R>(&self) -> R {
        self.killed.notify_one();
        std::future::pending().await
    }

    /// A call of the token endpoint. If it fails on its way, the endpoint is unreachable.
    async fn token_call<R>(&self, effect: impl Future<Output = Result<R, TokenError>>) -> Result<R, TokenError> {
        let answer = self.call("VerifyToken", async { Ok(effect.await) }).await;
        answer.unwrap_or_else(|error| Err(TokenError::Unreachable(error.to_string())))
    }
}

impl Services for Session {
    type Pools = Self;
    type Secrets = Self;
    type Tokens = Self;

    fn pools(&self) -> &Self {
        self
    }

    fn secrets(&self) -> &Self {
        self
    }

    fn tokens(&self) -> &Self {
        self
    }
}

impl UserPools for Session {
    async fn list_user_pools(&self, next: Option<&str>) -> Result<Page<(PoolId, String)>> {
        self.call("ListUserPools", self.aws.list_user_pools(next)).await
    }

    async fn describe_user_pool(&self, id: &PoolId) -> Result<Option<UserPoolDescription>> {
        self.call("DescribeUserPool", self.aws.describe_user_pool(id)).await
    }

    async fn create_user_pool(&self, pool: &UserPool) -> Result<(PoolId, String)> {
        self.call("CreateUserPool", self.aws.create_user_pool(pool)).await
    }

    async fn update_user_pool(&self, id: &PoolId, pool: &UserPool) -> Result<()> {
        self.call("UpdateUserPool", self.aws.update_user_pool(id, pool)).await
    }

    async fn delete_user_pool(&self, id: &PoolId) -> Result<()> {
        self.call("DeleteUserPool", self.aws.delete_user_pool(id)).await
    }

    async fn describe_user_pool_domain(&self, prefix: &str) -> Result<Option<DomainDescription>> {
        self.call("DescribeUserPoolDomain", self.aws.describe_user_pool_domain(prefix)).await
    }

    async fn create_user_pool_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<Option<String>> {
        self.call("CreateUserPoolDomain", self.aws.create_user_pool_domain(pool, domain)).await
    }

    async fn update_user_pool_domain(&self, pool: &PoolId, domain: &PoolDomain) -> Result<()> {
        self.call("UpdateUserPoolDomain", self.aws.update_user_pool_domain(pool, domain)).await
    }

    async fn delete_user_pool_domain(&self, pool: &PoolId, prefix: &str) -> Result<()> {
        self.call("DeleteUserPoolDomain", self.aws.delete_user_pool_domain(pool, prefix)).await
    }

    async fn list_resource_servers(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<ResourceServer>> {
        self.call("ListResourceServers", self.aws.list_resource_servers(pool, next)).await
    }

    async fn create_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()> {
        self.call("CreateResourceServer", self.aws.create_resource_server(pool, server)).await
    }

    async fn update_resource_server(&self, pool: &PoolId, server: &ResourceServer) -> Result<()> {
        self.call("UpdateResourceServer", self.aws.update_resource_server(pool, server)).await
    }

    async fn delete_resource_server(&self, pool: &PoolId, identifier: &str) -> Result<()> {
        self.call("DeleteResourceServer", self.aws.delete_resource_server(pool, identifier)).await
    }

    async fn list_user_pool_clients(&self, pool: &PoolId, next: Option<&str>) -> Result<Page<(ClientId, ClientName)>> {
        self.call("ListUserPoolClients", self.aws.list_user_pool_clients(pool, next)).await
    }

    async fn describe_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<Option<ClientDescription>> {
        self.call("DescribeUserPoolClient", self.aws.describe_user_pool_client(pool, id)).await
    }

    async fn create_user_pool_client(
        &self,
        pool: &PoolId,
        client: &UserPoolClient,
    ) -> Result<(ClientId, Secret<String>)> {
        self.call("CreateUserPoolClient", self.aws.create_user_pool_client(pool, client)).await
    }

    async fn update_user_pool_client(&self, pool: &PoolId, id: &ClientId, client: &UserPoolClient) -> Result<()> {
        self.call("UpdateUserPoolClient", self.aws.update_user_pool_client(pool, id, client)).await
    }

    async fn delete_user_pool_client(&self, pool: &PoolId, id: &ClientId) -> Result<()> {
        self.call("DeleteUserPoolClient", self.aws.delete_user_pool_client(pool, id)).await
    }
}

impl ClientSecrets for Session {
    async fn list_user_pool_client_secrets(
        &self,
        pool: &PoolId,
        client: &ClientId,
        next: Option<&str>,
    ) -> Result<Page<ClientSecretDescription>> {
        self.call("ListUserPoolClientSecrets", self.aws.list_user_pool_client_secrets(pool, client, next)).await
    }

    async fn add_user_pool_client_secret(
        &self,
        pool: &PoolId,
        client: &ClientId,
        value: &Secret<String>,
    ) -> Result<()> {
        self.call("AddUserPoolClientSecret", self.aws.add_user_pool_client_secret(pool, client, value)).await
    }

    async fn delete_user_pool_client_secret(&self, pool: &PoolId, client: &ClientId, id: &str) -> Result<()> {
        self.call("DeleteUserPoolClientSecret", self.aws.delete_user_pool_client_secret(pool, client, id)).await
    }
}

impl SecretVersions for Session {
    async fn describe_secret(&self, name: &SecretId) -> Result<Option<SecretDescription>> {
        self.call("DescribeSecret", self.aws.describe_secret(name)).await
    }

    async fn get_secret_value(&self, name: &SecretId, version: Version<'_>) -> Result<Option<SecretVersion>> {
        self.call("GetSecretValue", self.aws.get_secret_value(name, version)).await
    }

    async fn put_secret_value(
        &self,
        name: &SecretId,
        document: &SecretDocument,
        token: &str,
        stage: &str,
    ) -> Result<()> {
        self.call("PutSecretValue", self.aws.put_secret_value(name, document, token, stage)).await
    }

    async fn update_secret_version_stage(
        &self,
        name: &SecretId,
        stage: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<()> {
        self.call("UpdateSecretVersionStage", self.aws.update_secret_version_stage(name, stage, from, to)).await
    }
}

impl Secrets for Session {
    async fn list_secrets(&self, owner: Option<&Owner>, next: Option<&str>) -> Result<Page<(SecretId, Tags)>> {
        self.call("ListSecrets", self.aws.list_secrets(owner, next)).await
    }

    async fn create_secret(&self, secret: &NewSecret<'_>) -> Result<String> {
        self.call("CreateSecret", self.aws.create_secret(secret)).await
    }

    async fn update_secret(&self, name: &SecretId, change: &SecretChange) -> Result<()> {
        self.call("UpdateSecret", self.aws.update_secret(name, change)).await
    }

    async fn rotate_secret(&self, name: &SecretId, rotation: &Rotation) -> Result<()> {
        self.call("RotateSecret", self.aws.rotate_secret(name, rotation)).await
    }

    async fn cancel_rotate_secret(&self, name: &SecretId) -> Result<()> {
        self.call("CancelRotateSecret", self.aws.cancel_rotate_secret(name)).await
    }

    async fn tag_resource(&self, name: &SecretId, tags: &Tags) -> Result<()> {
        self.call("TagResource", self.aws.tag_resource(name, tags)).await
    }

    async fn untag_resource(&self, name: &SecretId, keys: &[String]) -> Result<()> {
        self.call("UntagResource", self.aws.untag_resource(name, keys)).await
    }

    async fn restore_secret(&self, name: &SecretId) -> Result<()> {
        self.call("RestoreSecret", self.aws.restore_secret(name)).await
    }

    async fn get_resource_policy(&self, name: &SecretId) -> Result<Option<ResourcePolicy>> {
        self.call("GetResourcePolicy", self.aws.get_resource_policy(name)).await
    }

    async fn put_resource_policy(&self, name: &SecretId, policy: &ResourcePolicy) -> Result<()> {
        self.call("PutResourcePolicy", self.aws.put_resource_policy(name, policy)).await
    }

    async fn delete_resource_policy(&self, name: &SecretId) -> Result<()> {
        self.call("DeleteResourcePolicy", self.aws.delete_resource_policy(name)).await
    }

    async fn replicate_secret_to_regions(&self, name: &SecretId, replicas: &Replicas) -> Result<()> {
        self.call("ReplicateSecretToRegions", self.aws.replicate_secret_to_regions(name, replicas)).await
    }

    async fn remove_regions_from_replication(&self, name: &SecretId, regions: &BTreeSet<Region>) -> Result<()> {
        self.call("RemoveRegionsFromReplication", self.aws.remove_regions_from_replication(name, regions)).await
    }

    async fn delete_secret(&self, name: &SecretId, recovery_window_in_days: u8) -> Result<()> {
        self.call("DeleteSecret", self.aws.delete_secret(name, recovery_window_in_days)).await
    }
}

impl TokenEndpoint for Session {
    async fn accepts(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<bool, TokenError> {
        self.token_call(self.aws.accepts(expected, secret)).await
    }

    async fn verify(&self, expected: &ExpectedToken, secret: &Secret<String>) -> Result<(), TokenError> {
        self.token_call(self.aws.verify(expected, secret)).await
    }
}

mod tests {
    use super::*;
    use crate::support::fixtures::user_pool;

    /// Makes one call with the fault: what the process sees, and how many pools there are then.
    /// `None` if no answer comes within an hour.
    async fn suffer(fault: Fault) -> (Option<Result<(), ErrorKind>>, usize) {
        let aws = FakeAws::default();
        let session = Session::with_faults(&aws, [(0, fault)]);
        let pool = user_pool("a");
        let call = tokio::time::timeout(Duration::from_hours(1), session.create_user_pool(&pool));
        let answer = session.run(call).await.and_then(Result::ok);
        assert_eq!(session.calls_made(), 1);
        assert_eq!(aws.world().writes(), ["CreateUserPool"], "recorded");
        assert_eq!(aws.world().calls[0].answered_at.is_some(), answer.is_some());
        let pools = aws.world().pools.len();
        (answer.map(|answer| answer.map(drop).map_err(|error| error.kind)), pools)
    }

    #[tokio::test(start_paused = true)]
    async fn every_fault_has_its_answer_and_its_effect() {
        for (fault, answer, pools) in [
            (Fault::Before, Some(Err(ErrorKind::Refused)), 0),
            (Fault::Lost, Some(Err(ErrorKind::Lost)), 1),
            (Fault::CrashAfter, None, 1),
            (Fault::CrashBefore, None, 0),
            (Fault::Hang, None, 0),
            (Fault::Throttled, Some(Err(ErrorKind::Throttled)), 0),
            (Fault::Busy, Some(Err(ErrorKind::Busy)), 0),
            (Fault::Denied, Some(Err(ErrorKind::Denied)), 0),
            (Fault::Quota, Some(Err(ErrorKind::Quota)), 0),
            (Fault::meanwhile(|| ()), Some(Ok(())), 1),
        ] {
            assert_eq!(suffer(fault.clone()).await, (answer, pools), "{fault:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_strikes_the_call_with_its_number_and_no_other() {
        let aws = FakeAws::default();
        let session = Session::with_faults(&aws, [(1, Fault::Throttled)]);
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(session.list_user_pools(None).await.is_ok());
        }
        assert_eq!(answers, [true, false, true]);
        assert!(Session::new(&aws).run(std::future::ready(())).await.is_some(), "another session lives on");
    }
}
