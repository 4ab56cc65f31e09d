//! One function's process, and what it costs.

use std::{fs, io, path::Path, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    lambda::{self, Function},
    world::{ANSWER, Call, World},
};

pub const REGION: &str = "us-east-1";
/// What Lambda would give the function.
const TIMEOUT: Duration = Duration::from_mins(5);

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

/// Starts a process and lets it handle the event; without one, only until it asks for an event.
/// AWS takes `latency` for each call.
pub fn measure(world: &World, program: &[&Path], event: Option<Value>, latency: Duration) -> io::Result<Run> {
    world.aws().latency = latency;
    world.aws().answers.clear();
    world.take_calls();
    let polls = if event.is_some() { 2 } else { 1 };
    let mut function = Function::start(lambda::command(program), world)?;
    let started = function.started;
    if let Some(event) = event
        && let Err(error) = function.invoke(event, TIMEOUT)?
    {
        return Err(io::Error::other(format!("the function failed: {error}")));
    }
    let polled = function.wait_for_polls(polls, TIMEOUT)?;
    // Read while the process waits for the next event: it does nothing, and every thread is still there.
    let (cpu, peak_resident_kib) = (cpu(function.process_id())?, peak_resident_kib(function.process_id())?);
    drop(function);

    let answer = world.aws().answers.pop().unwrap_or_default();
    if !answer.is_null() && answer["Status"] != "SUCCESS" {
        return Err(io::Error::other(format!("the answer is {}: {}", answer["Status"], answer["Reason"])));
    }
    let calls = world.take_calls();
    let answered: Option<Instant> = calls.iter().find(|call| call.name == ANSWER).map(|call| call.end);
    Ok(Run {
        cold_start: polled.duration_since(started),
        wall: answered.map_or(Duration::ZERO, |at| at.duration_since(started)),
        cpu,
        peak_resident_kib,
        calls,
        answer,
    })
}

/// Lets one process for each event handle it, all at the same time. Returns how long after the first event each was
/// answered with success.
pub fn together(world: &World, program: &Path, events: Vec<Value>) -> io::Result<Vec<Duration>> {
    world.aws().answers.clear();
    let functions: io::Result<Vec<_>> =
        events.iter().map(|_| Function::start(lambda::command(&[program]), world)).collect();
    let started = cognito_m2m::clock::now();
    let run = |mut function: Function, event: Value| {
        let result = function.invoke(event, TIMEOUT)?;
        result.map_err(|error| io::Error::other(format!("the function failed: {error}")))?;
        Ok(started.elapsed())
    };
    let walls: io::Result<Vec<_>> = std::thread::scope(|scope| {
        let threads: Vec<_> = functions?
            .into_iter()
            .zip(events)
            .map(|(function, event)| scope.spawn(move || run(function, event)))
            .collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().map_err(|_| io::Error::other("a thread panicked"))?);
        joined.collect()
    });
    let failed = world.aws().answers.iter().find(|answer| answer["Status"] != "SUCCESS").cloned();
    match failed {
        Some(answer) => Err(io::Error::other(format!("the answer is {}: {}", answer["Status"], answer["Reason"]))),
        None => walls,
    }
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
