//! One case: a world with one client and its secret, and a function that works in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Stdio,
    time::Duration,
};

use cognito_m2m::{clock::wall_clock, model::Owner, ports::AWSCURRENT};
use serde_json::{Value, json};

pub use crate::world::secrets_manager::STEPS;
use crate::{
    lambda::{self, Function},
    world::{
        Aws, Call, TOKEN, World,
        cognito::{Client, ClientSecret, Pool},
        secrets_manager::{self, Secret, Version},
        seed::Seed,
    },
};

pub const POOL: &str = "us-east-1_AbCdEfGhI";
pub const CLIENT_ID: &str = "7h1s1s4t3stcl13nt1d";
pub const CLIENT: &str = "machine-to-machine-dev-client";
const SECRET: &str = "machine-to-machine-dev/machine-to-machine-dev-client";
pub const SECRET_ARN: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:machine-to-machine-dev/machine-to-machine-dev-client-AbCdEf";
pub const STACK_ID: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/m2m/0a1b";

/// What Cognito made for the client when it was created.
pub const FIRST_VALUE: &str = "canary0firstvalue0123456789abcdefghijklmnopqrstuvwxyz";
pub const FIRST_VERSION: &str = "00000000-0000-4000-8000-000000000000";
/// A client secret that somebody else has added by hand.
const FOREIGN_VALUE: &str = "canary0foreignvalue0123456789abcdefghijklmnopqrstuv";

/// The template's timeout is longer; no step here needs as much.
pub const TIMEOUT: Duration = Duration::from_mins(1);
/// Enough for an event that must fail.
const SHORT_TIMEOUT: Duration = Duration::from_secs(8);

/// What a step could have changed.
type Snapshot = (Vec<ClientSecret>, BTreeMap<String, Version>);

/// The world with one client and its secret. Its helpers speak of these two.
#[derive(Clone)]
pub struct Cloud {
    pub world: World,
}

impl Cloud {
    /// Starts a world with a client that has the secret it was created with.
    fn start() -> Self {
        let world = World::start("us-east-1");
        world.seed(&Seed {
            pool: POOL,
            pool_name: "machine-to-machine-dev",
            domain: "m2m-rubicon-dev",
            owner: Owner { stack_id: STACK_ID.to_owned(), logical_id: "M2M".to_owned() },
            tags: &[("Environment", "dev"), ("Project", "m2m-auth")],
            server: ("m2m-client", &["read", "write"]),
            client_id: CLIENT_ID,
            client_name: CLIENT,
            client_secret: FIRST_VALUE,
            secret_name: SECRET,
            version: FIRST_VERSION,
        });
        {
            let mut aws = world.aws();
            // A reader that stops after the first page misses the second secret.
            aws.page_size = 1;
            aws.promise = Some(awscurrent_is_accepted);
        }
        Self { world }
    }

    pub fn pool<R>(&self, of: impl FnOnce(&mut Pool) -> R) -> R {
        of(self.world.aws().pools.get_mut(POOL).unwrap())
    }

    pub fn client<R>(&self, of: impl FnOnce(&mut Client) -> R) -> R {
        self.pool(|pool| of(pool.clients.get_mut(CLIENT_ID).unwrap()))
    }

    pub fn secret<R>(&self, of: impl FnOnce(&mut Secret) -> R) -> R {
        of(self.world.aws().secrets.get_mut(SECRET).unwrap())
    }

    /// Begins a rotation as Secrets Manager does; returns its token.
    pub fn begin_rotation(&self) -> String {
        self.secret(|secret| {
            let token = format!("00000000-0000-4000-8000-{:012}", secret.versions.len());
            secret.begin_rotation(&token);
            token
        })
    }

    /// Makes everything older.
    pub fn a_month_passes(&self) {
        let month = Duration::from_hours(30 * 24);
        self.client(|client| client.secrets.iter_mut().for_each(|secret| secret.created -= month));
        self.secret(|secret| secret.versions.values_mut().for_each(|version| version.created -= month));
    }

    pub fn snapshot(&self) -> Snapshot {
        (self.client(|client| client.secrets.clone()), self.secret(|secret| secret.versions.clone()))
    }

    /// Returns the values that Cognito has, oldest first.
    pub fn values(&self) -> Vec<String> {
        self.client(|client| client.secrets.iter().map(|secret| secret.value.clone()).collect())
    }

    pub fn labels(&self, version: &str) -> Vec<String> {
        self.secret(|secret| secret.versions[version].labels.iter().cloned().collect())
    }

    pub fn document(&self, version: &str) -> Value {
        let value = self.secret(|secret| secret.versions[version].value.clone());
        serde_json::from_str(&value.unwrap()).unwrap()
    }

    /// Puts a text in a version's place.
    pub fn set_document(&self, version: &str, document: &Value) {
        self.secret(|secret| secret.versions.get_mut(version).unwrap().value = Some(document.to_string()));
    }

    /// Returns the client secret in a version.
    pub fn value(&self, version: &str) -> String {
        self.document(version)["client_secret"].as_str().unwrap().to_owned()
    }

    pub fn holder(&self, label: &str) -> Option<String> {
        self.secret(|secret| secret.holder(label).map(ToOwned::to_owned))
    }

    /// Returns the names of the calls since they were last asked for.
    pub fn take_calls(&self) -> Vec<String> {
        self.world.take_calls().into_iter().map(|call| call.name).collect()
    }

    /// Returns the calls that change something, since calls were last asked for.
    pub fn take_writes(&self) -> Vec<String> {
        let calls = self.world.take_calls();
        calls.into_iter().filter(Call::is_write).map(|call| call.name).collect()
    }

    /// Has somebody add a secret to the client by hand; returns its id.
    pub fn add_foreign(&self) -> String {
        self.world.aws().confidential.insert(FOREIGN_VALUE.to_owned());
        self.client(|client| client.add_secret(FOREIGN_VALUE, Duration::ZERO).id.clone())
    }

    /// Has the stack put another text about the same credentials into the secret.
    pub fn update_document(&self, updated: &Value) {
        let version = Version { value: Some(updated.to_string()), created: wall_clock(), labels: BTreeSet::new() };
        self.secret(|secret| {
            secret.versions.insert("of-the-update".to_owned(), version);
            secret.put_label(AWSCURRENT, Some("of-the-update"));
        });
    }

    /// Leaves the account as a switch to the API does: no domain, the client's flow, and a secret that says so.
    pub fn switch_to_the_api(&self) {
        self.pool(|pool| pool.domain = None);
        self.client(|client| client.description["ExplicitAuthFlows"] = json!(["ALLOW_CLIENT_TOKEN_AUTH"]));
        let mut document = self.document(FIRST_VERSION);
        document["token_service"] = json!("GetClientToken");
        document["token_endpoint"] = json!(format!("{}/", self.world.url()));
        self.set_document(FIRST_VERSION, &document);
    }

    /// Lets the client's tokens have the scope `m2m-client/read` only.
    pub fn allow_reading_only(&self) {
        self.client(|client| client.description["AllowedOAuthScopes"] = json!(["m2m-client/read"]));
    }
}

/// Whether Cognito has the secret that consumers read.
fn awscurrent_is_accepted(aws: &Aws) -> bool {
    let secret = &aws.secrets[SECRET];
    let current = secret.holder(AWSCURRENT).and_then(|id| secret.versions[id].value.as_deref());
    let document: Value = current.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let held = &aws.pools[POOL].clients[CLIENT_ID].secrets;
    held.iter().any(|secret| document["client_secret"] == secret.value.as_str())
}

pub struct Case {
    pub cloud: Cloud,
    function: Function,
    /// What Lambda was told of failures.
    errors: Vec<String>,
}

impl Case {
    pub fn start() -> Self {
        Self::of(env!("CARGO_BIN_EXE_rotation"))
    }

    pub fn of(program: &str) -> Self {
        let cloud = Cloud::start();
        let mut command = lambda::command(&[Path::new(program)]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).envs([
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
            // It must have no effect beside the other.
            ("RUST_LOG", "trace"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        let function = Function::start(command, &cloud.world).unwrap();
        Self { cloud, function, errors: Vec::new() }
    }

    pub fn invoke(&mut self, event: Value, within: Duration) -> Result<(), String> {
        let outcome = self.function.invoke(event, within).unwrap();
        self.errors.extend(outcome.clone().err());
        outcome
    }

    pub fn step(&mut self, step: &str, token: &str) -> Result<(), String> {
        self.invoke(rotation_event(step, token), TIMEOUT)
    }

    /// Runs a step that must succeed; returns its writes.
    pub fn does(&mut self, step: &str, token: &str) -> Vec<String> {
        self.cloud.take_calls();
        self.step(step, token).unwrap_or_else(|error| panic!("{step}: {error}"));
        self.cloud.take_writes()
    }

    /// Runs a step that must succeed and change nothing.
    pub fn does_nothing(&mut self, step: &str, token: &str) {
        let before = self.cloud.snapshot();
        assert_eq!(self.does(step, token), Vec::<String>::new(), "{step} again");
        assert!(self.cloud.snapshot() == before, "{step} again has changed something");
    }

    /// Runs an event that must fail and change nothing; returns the error.
    pub fn fails(&mut self, event: &Value) -> String {
        self.fails_within(event, SHORT_TIMEOUT)
    }

    /// Does the same as [`Self::fails`] with another timeout of the function.
    pub fn fails_within(&mut self, event: &Value, timeout: Duration) -> String {
        let before = self.cloud.snapshot();
        self.cloud.take_calls();
        let error = self.invoke(event.clone(), timeout).expect_err(&event.to_string());
        assert_eq!(self.cloud.take_writes(), Vec::<String>::new(), "{event}: {error}");
        assert!(self.cloud.snapshot() == before, "{event} has changed something");
        error
    }

    /// Runs a whole rotation; returns its token.
    pub fn rotates(&mut self) -> String {
        self.cloud.a_month_passes();
        let token = self.cloud.begin_rotation();
        for step in STEPS {
            self.does(step, &token);
        }
        token
    }

    /// Checks that AWSCURRENT was good all the time, and that nothing printed gives anything away.
    pub fn ends(self) {
        let printed = self.function.stop();
        let bodies = self.cloud.world.bodies(TOKEN);
        assert!(bodies.iter().all(|body| body == "grant_type=client_credentials"), "{bodies:?}");
        let aws = self.cloud.world.aws();
        assert_eq!(aws.broken_by, None, "AWSCURRENT's credentials were no good after this call");
        assert!(printed.contains("event received"), "nothing was logged");
        let answers: Vec<_> = aws.answers.iter().map(ToString::to_string).collect();
        // The text itself is not shown: it may hold the secret.
        for (place, text) in [("log", printed), ("errors", self.errors.join("\n")), ("answers", answers.join("\n"))] {
            let shown = aws.confidential.iter().filter(|secret| text.contains(secret.as_str())).count();
            assert_eq!(shown, 0, "the {place} shows secrets");
            let lower = text.to_ascii_lowercase();
            for word in ["authorization", "access_token", "basic ", "aws4-hmac-sha256", "canary", "eyj"] {
                assert!(!lower.contains(word), "the {place} holds {word:?}");
            }
        }
    }
}

pub fn rotation_event(step: &str, token: &str) -> Value {
    secrets_manager::rotation_event(SECRET_ARN, step, token)
}
