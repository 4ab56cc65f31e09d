//! What each event waits for, beside the least that it could wait.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Bench, LATENCY, Result,
    chains::{self, Floor},
    measure::{Run, measure},
    report::{Table, Target, timeline},
    world::{
        Call, TOKEN,
        secrets_manager::{STEPS, rotation_event},
    },
};

/// The number of runs of each event. It is odd, so that the median is one of them.
const RUNS: usize = 5;

/// A cold start and the computing between the calls are a twentieth of this chain; the rest is for a busier machine.
const CREATE: Target = Target::AtMost(1.15, "times");
/// The start and the computing are those of a Create.
const UPDATE: Target = Target::AtMost(1.15, "times");
/// Nothing is computed, so only the start is left.
const NO_OP: Target = Target::AtMost(1.06, "times");
/// As many as the no-op Update had when it was the fastest: a faster one must not ask more.
const NO_OP_CALLS: usize = 9;

/// A schedule's first rotation comes days after the Create.
const DAYS_LATER: Duration = Duration::from_hours(30 * 24);
/// The id of the version that the rotation makes.
const PENDING: &str = "00000000-0000-4000-8000-000000000001";

/// All events, with a list of runs each.
#[derive(Default)]
struct Events {
    creates: Vec<Run>,
    no_ops: Vec<Run>,
    updates: Vec<Run>,
    deletes: Vec<Run>,
    rotations: Vec<Run>,
}

impl Bench {
    /// Measures each event at a latency; returns the list of their calls.
    pub fn events(&self, table: &mut Table) -> Result<String> {
        let mut events = Events::default();
        for _ in 0..RUNS {
            self.life(&mut events)?;
            events.rotations.push(self.first_rotation()?);
        }
        let Events { creates, no_ops, updates, deletes, rotations } = &events;
        table.floor("default Create", creates, Floor::of(chains::CREATE), CREATE);
        table.floor("Update, one scope more", updates, Floor::of(chains::UPDATE), UPDATE);
        table.floor("no-op Update", no_ops, Floor::of(chains::NO_OP_UPDATE), NO_OP);
        no_op_calls(table, no_ops);
        table.floor("Delete", deletes, Floor::of(chains::DELETE), Target::None);
        table.floor("first rotation, all four steps", rotations, Floor::of(chains::ROTATION), Target::None);

        let mut text = String::from("Calls, with when each began and ended in ms after the first (one run at 50 ms)\n");
        for (name, runs) in [
            ("default Create", creates),
            ("no-op Update", no_ops),
            ("Update, one scope more", updates),
            ("Delete", deletes),
            ("first rotation", rotations),
        ] {
            text += &timeline(name, &runs[0].calls);
        }
        Ok(text)
    }

    /// Creates a resource, updates it twice and deletes it.
    fn life(&self, events: &mut Events) -> Result<()> {
        let create = self.create(&[&self.provider], 1, LATENCY)?;
        let pool = create.answer["PhysicalResourceId"].clone();
        let (old, new) = (json!({}), json!({ "ResourceServers": servers(&["read", "write", "admin"]) }));
        let run = |event: Value| measure(&self.world, &[&self.provider], vec![event], LATENCY);
        events.creates.push(create);
        events.no_ops.push(run(self.event("Update", &pool, &old, Some(&old)))?);
        events.updates.push(run(self.event("Update", &pool, &new, Some(&old)))?);
        events.deletes.push(run(self.event("Delete", &pool, &new, None))?);
        Ok(())
    }

    /// Rotates the secret of a new client. Secrets Manager invokes the function for one step after the other, so Lambda
    /// starts one process: createSecret is a cold invocation, and the other steps are warm.
    fn first_rotation(&self) -> Result<Run> {
        self.create(&[&self.provider], 1, LATENCY)?;
        let secret = {
            let mut aws = self.world.aws();
            let secret = aws.secrets.values_mut().next().ok_or("the Create made no secret")?;
            secret.versions.values_mut().for_each(|version| version.created -= DAYS_LATER);
            secret.begin_rotation(PENDING);
            secret.arn.clone()
        };
        let events = STEPS.iter().map(|step| rotation_event(&secret, step, PENDING)).collect();
        Ok(measure(&self.world, &[&self.rotation], events, LATENCY)?)
    }
}

/// Counts what an Update does that has nothing to do.
fn no_op_calls(table: &mut Table, runs: &[Run]) {
    let count = |of: fn(&Call) -> bool| {
        let counts = runs.iter().map(|run| run.calls.iter().filter(|call| of(call)).count());
        counts.max().unwrap_or_default()
    };
    let (calls, writes, tokens) = (count(|_| true), count(Call::is_write), count(|call| call.name == TOKEN));
    table.promise(
        "its calls",
        format!("{calls}: {writes} writes, {tokens} tokens"),
        &format!("at most {NO_OP_CALLS}: no write, no token"),
        calls <= NO_OP_CALLS && writes + tokens == 0,
    );
}

fn servers(scopes: &[&str]) -> Value {
    let scopes: Vec<_> = scopes.iter().map(|scope| json!({ "ScopeName": scope })).collect();
    json!([{ "Identifier": "m2m-client", "Scopes": scopes }])
}
