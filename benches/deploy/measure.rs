//! One function's process, and what it costs.

use std::{fs, io, path::Path, thread, time::Duration};

use cognito_m2m::clock::now;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    lambda::{self, Function},
    world::{Call, World},
};

pub const REGION: &str = "us-east-1";
/// What Lambda would give the function.
const TIMEOUT: Duration = Duration::from_mins(5);

/// What one process did and cost.
pub struct Run {
    /// From the start of the process to its first request for an event.
    pub cold_start: Duration,
    /// From the start of the process to the end of its last call, which is the delivered answer if it answers.
    pub wall: Duration,
    /// User and system time of all threads, when the process asks for the next event.
    pub cpu: Duration,
    pub peak_resident_kib: u64,
    pub calls: Vec<Call>,
    /// What came to the ResponseURL, if anything.
    pub answer: Value,
}

/// Starts a process and lets it handle the events, one after the other; without any, only until it asks for one.
/// AWS takes `latency` for each call.
pub fn measure(world: &World, program: &[&Path], events: Vec<Value>, latency: Duration) -> io::Result<Run> {
    forget_calls(world, latency);
    let polls = events.len() + 1;
    let mut function = Function::start(lambda::command(program), world)?;
    let started = function.started;
    for event in events {
        let outcome = function.invoke(event, TIMEOUT)?;
        outcome.map_err(|error| io::Error::other(format!("the function failed: {error}")))?;
    }
    let polled = function.wait_for_polls(polls, TIMEOUT)?;
    // Read while the process waits for the next event: it does nothing, and every thread is still there.
    let (cpu, peak_resident_kib) = (cpu(function.process_id())?, peak_resident_kib(function.process_id())?);
    drop(function);

    let answer = world.aws().answers.pop().unwrap_or_default();
    if let Some(failure) = failure(&answer) {
        return Err(io::Error::other(failure));
    }
    let calls = world.take_calls();
    Ok(Run {
        cold_start: polled.duration_since(started),
        wall: wall(started, &calls),
        cpu,
        peak_resident_kib,
        calls,
        answer,
    })
}

/// What many processes did at the same time.
pub struct Crowd {
    /// From the first event to the end of the last call.
    pub wall: Duration,
    pub calls: Vec<Call>,
    pub failures: Vec<String>,
}

/// Lets a process of its own handle each event, which it gets so long after the first. All processes wait for their
/// events by then: on AWS each would have a machine of its own, and here their starts would delay each other.
pub fn crowd(world: &World, program: &Path, events: Vec<(Duration, Value)>, latency: Duration) -> io::Result<Crowd> {
    forget_calls(world, latency);
    let start = |_: &_| -> io::Result<Function> {
        let mut function = Function::start(lambda::command(&[program]), world)?;
        function.wait_for_polls(1, TIMEOUT)?;
        Ok(function)
    };
    let functions: Vec<_> = events.iter().map(start).collect::<io::Result<_>>()?;
    let started = now();
    let mut failures: Vec<String> = thread::scope(|scope| {
        let handle = |(mut function, (delay, event)): (Function, (Duration, Value))| {
            pause(delay);
            function.invoke(event, TIMEOUT).unwrap_or_else(|error| Err(error.to_string())).err()
        };
        let threads: Vec<_> = functions.into_iter().zip(events).map(|each| scope.spawn(move || handle(each))).collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap_or(Some("a thread panicked".to_owned())));
        ended.flatten().collect()
    });
    failures.extend(world.aws().answers.iter().filter_map(failure));
    let calls = world.take_calls();
    Ok(Crowd { wall: wall(started, &calls), calls, failures })
}

#[expect(clippy::disallowed_methods, reason = "each process has a thread of its own")]
fn pause(time: Duration) {
    thread::sleep(time);
}

fn forget_calls(world: &World, latency: Duration) {
    {
        let mut aws = world.aws();
        aws.latency = latency;
        aws.answers.clear();
    }
    world.take_calls();
}

fn failure(answer: &Value) -> Option<String> {
    let failed = !answer.is_null() && answer["Status"] != "SUCCESS";
    failed.then(|| format!("the answer is {}: {}", answer["Status"], answer["Reason"]))
}

fn wall(started: Instant, calls: &[Call]) -> Duration {
    calls.iter().map(|call| call.end).max().map_or(Duration::ZERO, |end| end.duration_since(started))
}

/// Adds up the time on a processor over the threads. /proc/<pid>/stat would count in hundredths of a
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
