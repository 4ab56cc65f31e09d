//! One function's process between a Lambda Runtime API and the local AWS, and what it costs.

use std::{
    fs, io,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use cognito_m2m::clock::{now, wall_clock};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    cloud::{self, ANSWER, Cloud},
    http::{Reply, Request, serve},
    signing::SigningKey,
};

/// What Lambda would give the function.
const TIMEOUT: Duration = Duration::from_mins(5);
/// How often a process that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// One call as the local AWS saw it.
#[derive(Clone)]
pub struct Call {
    pub name: String,
    pub refused: bool,
    pub start: Instant,
    pub end: Instant,
}

/// What one process did and cost.
pub struct Run {
    /// From the start of the process to its first request for an event.
    pub cold_start: Duration,
    /// From the start of the process to the delivered answer.
    pub wall: Duration,
    /// User and system time of all threads, when the process asks for the next event.
    pub cpu: Duration,
    pub peak_resident_kib: u64,
    pub calls: Vec<Call>,
    /// What came to the ResponseURL.
    pub answer: Value,
}

/// A Lambda Runtime API and an AWS; one process at a time.
pub struct World {
    shared: Arc<Shared>,
    aws: String,
    runtime: String,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    key: SigningKey,
}

#[derive(Default)]
struct State {
    cloud: Cloud,
    /// How long AWS takes for each call.
    latency: Duration,
    calls: Vec<Call>,
    /// Counts the processes, so that what is left of an earlier one is known.
    generation: usize,
    event: Option<Value>,
    /// When events were asked for.
    polls: Vec<Instant>,
    answered: Option<(Instant, Value)>,
    /// What Lambda was told of a failure.
    error: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub fn start(key: SigningKey) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), key });
        let (for_aws, for_runtime) = (Arc::clone(&shared), Arc::clone(&shared));
        let aws = serve(move |request| Some(call(&for_aws, request)))?;
        let runtime = serve(move |request| runtime_api(&for_runtime, request))?;
        Ok(Self { shared, aws, runtime })
    }

    /// An account with nothing in it.
    pub fn empty(&self) {
        self.shared.state().cloud = Cloud::default();
    }

    pub fn response_url(&self) -> String {
        format!("http://{}/answer", self.aws)
    }

    /// Starts a process and lets it handle the event, or only get as far as asking for one.
    pub fn run(&self, program: &[&Path], event: Option<Value>, latency: Duration) -> io::Result<Run> {
        let polls = if event.is_some() { 2 } else { 1 };
        {
            let mut state = self.shared.state();
            *state = State {
                cloud: std::mem::take(&mut state.cloud),
                generation: state.generation + 1,
                latency,
                event,
                ..State::default()
            };
            self.shared.changed.notify_all();
        }
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).env_clear().envs(self.environment()).stdin(Stdio::null()).stdout(Stdio::null());
        let started = now();
        let mut process = command.spawn()?;
        let waited = self.wait_for(&mut process, polls);
        // Read while the process waits for the next event: it does nothing, and every thread is still there.
        let (cpu, peak_resident_kib) = (cpu(process.id())?, peak_resident_kib(process.id())?);
        process.kill()?;
        process.wait()?;
        waited?;

        let mut state = self.shared.state();
        let since = |from: Instant, to: Option<Instant>| to.map_or(Duration::ZERO, |to| to.duration_since(from));
        let answered = state.answered.as_ref().map(|(at, _)| *at);
        Ok(Run {
            cold_start: since(started, state.polls.first().copied()),
            wall: since(started, answered),
            cpu,
            peak_resident_kib,
            calls: std::mem::take(&mut state.calls),
            answer: state.answered.take().map(|(_, answer)| answer).unwrap_or_default(),
        })
    }

    /// Waits until the process has asked for an event this often.
    fn wait_for(&self, process: &mut Child, polls: usize) -> io::Result<()> {
        let started = now();
        let mut state = self.shared.state();
        while state.polls.len() < polls {
            if let Some(status) = process.try_wait()? {
                return Err(io::Error::other(format!("the process ended by itself: {status}")));
            }
            if started.elapsed() > TIMEOUT {
                return Err(io::Error::other("the process did not end in its time"));
            }
            (state, _) = self.shared.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(error) = &state.error {
            return Err(io::Error::other(format!("the function failed: {error}")));
        }
        if let Some((_, answer)) = &state.answered
            && answer["Status"] != "SUCCESS"
        {
            return Err(io::Error::other(format!("the answer is {}: {}", answer["Status"], answer["Reason"])));
        }
        Ok(())
    }

    /// What Lambda sets, as far as anything reads it, and the addresses of this program's AWS.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let fixed = [
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDBENCH"),
            ("AWS_SECRET_ACCESS_KEY", "benchmark"),
            ("AWS_SESSION_TOKEN", "benchmark"),
            ("AWS_LAMBDA_FUNCTION_NAME", "function"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/function"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
        ];
        let mut all: Vec<_> = fixed.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        all.push(("AWS_LAMBDA_RUNTIME_API", self.runtime.clone()));
        all.push(("AWS_ENDPOINT_URL", format!("http://{}", self.aws)));
        all
    }
}

/// One call to AWS, the token endpoint or the ResponseURL.
fn call(shared: &Shared, request: &Request) -> Reply {
    let start = now();
    let name = cloud::name(request);
    let (reply, latency) = {
        let mut state = shared.state();
        (state.cloud.handle(&name, request, &shared.key), state.latency)
    };
    wait_until(start + latency);
    let end = now();
    let mut state = shared.state();
    if name == ANSWER {
        state.answered = Some((end, serde_json::from_slice(&request.body).unwrap_or_default()));
    }
    state.calls.push(Call { name, refused: reply.status >= 400, start, end });
    reply
}

#[expect(clippy::disallowed_methods, reason = "each connection has a thread of its own")]
fn wait_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(now()));
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
fn runtime_api(shared: &Shared, request: &Request) -> Option<Reply> {
    let mut state = shared.state();
    if !request.path.ends_with("/next") {
        if request.path.ends_with("/error") {
            state.error = Some(String::from_utf8_lossy(&request.body).into_owned());
        }
        return Some(Reply { status: 202, ..Reply::ok(r#"{"status":"OK"}"#) });
    }
    state.polls.push(now());
    shared.changed.notify_all();
    let generation = state.generation;
    let event = loop {
        if state.generation != generation {
            return None;
        }
        if let Some(event) = state.event.take() {
            break event;
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    };
    let headers = vec![
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", (wall_clock() + TIMEOUT).as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:function".to_owned()),
    ];
    Some(Reply { headers, ..Reply::ok(event.to_string()) })
}

/// Nanoseconds on a processor, added up over the threads: /proc/<pid>/stat counts in hundredths of a
/// second, which is as long as a whole cold start.
fn cpu(process: u32) -> io::Result<Duration> {
    let mut all = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanos = schedstat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default();
        all += Duration::from_nanos(nanos);
    }
    Ok(all)
}

fn peak_resident_kib(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default())
}
