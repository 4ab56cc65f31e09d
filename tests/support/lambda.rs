//! One function's process, between a Lambda Runtime API and the world.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::{
    collections::VecDeque,
    io::{self, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

use cognito_m2m::clock::{now, wall_clock};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{
    World,
    http::{Reply, Request, Server},
};

/// How often a process that should answer is checked for having ended.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// How long a function may answer after its deadline; Lambda would have killed it.
const GRACE: Duration = Duration::from_secs(10);

pub struct Function {
    process: Child,
    /// When the process was started.
    pub started: Instant,
    printed: Vec<JoinHandle<Vec<u8>>>,
    runtime: Arc<Runtime>,
    _server: Server,
}

#[derive(Default)]
struct Runtime {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The next event, and how long the function may work on it.
    event: Option<(Value, Duration)>,
    /// When the function asked for events.
    polls: Vec<Instant>,
    /// What Lambda was told of the events; an error is its message.
    outcomes: VecDeque<Result<(), String>>,
    stopped: bool,
}

/// Returns a command for a program, with the environment that Lambda sets and nothing else.
pub fn command(program: &[&Path]) -> Command {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).envs([
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "canary0the0functions0own0key"),
        ("AWS_SESSION_TOKEN", "canary0the0functions0own0session"),
        ("AWS_LAMBDA_FUNCTION_NAME", "function"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/function"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
    ]);
    command
}

impl Function {
    /// Starts the process. What it prints is kept if the command pipes it.
    pub fn start(mut command: Command, world: &World) -> io::Result<Self> {
        let runtime = Arc::new(Runtime::default());
        let serving = Arc::clone(&runtime);
        let server = Server::start(move |request| serving.serve(request));
        command.env("AWS_LAMBDA_RUNTIME_API", server.address()).env("AWS_ENDPOINT_URL", world.url());
        let started = now();
        let mut process = command.spawn()?;
        let (out, err) = (process.stdout.take().map(keep), process.stderr.take().map(keep));
        Ok(Self { process, started, printed: out.into_iter().chain(err).collect(), runtime, _server: server })
    }

    /// Runs one event until Lambda is told how it ended. The inner error is what Lambda was told; the
    /// outer one is a process that did not get so far.
    pub fn invoke(&mut self, event: Value, within: Duration) -> io::Result<Result<(), String>> {
        self.runtime.state().event = Some((event, within));
        self.runtime.changed.notify_all();
        self.wait_for(within + GRACE, |state| state.outcomes.pop_front())
    }

    /// Waits until the function has asked for an event so many times; returns when it first did.
    pub fn wait_for_polls(&mut self, polls: usize, within: Duration) -> io::Result<Instant> {
        self.wait_for(within, |state| (state.polls.len() >= polls).then(|| state.polls[0]))
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the process; returns all that it has printed.
    pub fn stop(mut self) -> String {
        self.end();
        let printed = std::mem::take(&mut self.printed);
        let printed: Vec<u8> = printed.into_iter().flat_map(|printed| printed.join().unwrap()).collect();
        String::from_utf8_lossy(&printed).into_owned()
    }

    fn wait_for<T>(&mut self, within: Duration, mut condition: impl FnMut(&mut State) -> Option<T>) -> io::Result<T> {
        let runtime = Arc::clone(&self.runtime);
        let until = now() + within;
        let mut state = runtime.state();
        loop {
            if let Some(met) = condition(&mut state) {
                return Ok(met);
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(io::Error::other(format!("the process ended by itself: {status}")));
            }
            if now() > until {
                return Err(io::Error::other("the process was not done in its time"));
            }
            (state, _) = runtime.changed.wait_timeout(state, CHECK_EVERY).unwrap();
        }
    }

    fn end(&mut self) {
        // A process that has ended already is no error.
        self.process.kill().ok();
        self.process.wait().ok();
        // Afterwards, so that the process never sees its connection break.
        self.runtime.state().stopped = true;
        self.runtime.changed.notify_all();
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.end();
    }
}

impl Runtime {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, request: &Request) -> Option<Reply> {
        let outcome = match request.path.rsplit('/').next().unwrap_or_default() {
            "next" => return self.next_event(),
            "error" => Err(request.json()["errorMessage"].as_str().unwrap_or_default().to_owned()),
            _ => Ok(()),
        };
        self.state().outcomes.push_back(outcome);
        self.changed.notify_all();
        Some(Reply::json(202, &json!({ "status": "OK" })))
    }

    /// Answers when there is an event, as Lambda does.
    fn next_event(&self) -> Option<Reply> {
        let mut state = self.state();
        state.polls.push(now());
        self.changed.notify_all();
        let (event, within) = loop {
            if state.stopped {
                return None;
            }
            if let Some(event) = state.event.take() {
                break event;
            }
            state = self.changed.wait(state).unwrap();
        };
        let mut reply = Reply::json(200, &event);
        reply.headers.extend([
            ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
            ("lambda-runtime-deadline-ms", (wall_clock() + within).as_millis().to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:123456789012:function:function".to_owned(),
            ),
        ]);
        Some(reply)
    }
}

fn keep(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut printed = Vec::new();
        pipe.read_to_end(&mut printed).unwrap();
        printed
    })
}
