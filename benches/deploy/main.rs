//! What a deploy waits for: `make bench` builds the functions, runs this and prints the table.
//!
//! The real binaries run between a Lambda Runtime API and an AWS of this program's own, beside two
//! baselines: a function that does nothing (`examples/empty.rs`) and a plain boto3 provider
//! (`benches/boto3_provider.py`). docs/performance.md says how each figure is measured and what it
//! means. A target that is missed is printed, never an error: figures vary with the machine.

#![expect(clippy::print_stdout, reason = "a report is for the terminal")]

mod chains;
mod cloud;
mod function;
mod http;
#[path = "../../tests/support/signing.rs"]
#[expect(clippy::unwrap_used, reason = "shared with the tests, which fail by panicking")]
mod signing;

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    chains::{Chain, floor, pace},
    cloud::TOKEN,
    function::{Call, Run, World},
    signing::SigningKey,
};

/// How long AWS takes for a call, where that is what is measured: about what it takes from a Lambda
/// function in the same region.
const LATENCY: Duration = Duration::from_millis(50);
/// Runs of one kind, of which the median counts. Odd, so that it is one of them.
const STARTS: usize = 101;
const CREATES: usize = 15;
const EVENTS: usize = 5;
const EVENTS_WITH_MANY_CLIENTS: usize = 3;
const MANY: usize = 20;
const GROWTH: [usize; 5] = [1, 5, 10, 50, 100];

const MIB: f64 = 1024.0 * 1024.0;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").map(PathBuf::from);
    let (Some(functions), Some(python)) = (arguments.next(), arguments.next()) else {
        return Err("usage: deploy <folder of the built functions> <python with boto3>".into());
    };
    let bootstrap = |name: &str| functions.join(name).join("bootstrap");
    let bench = Bench {
        world: World::start(SigningKey::new("bench"))?,
        empty: bootstrap("empty"),
        provider: bootstrap("provider"),
        rotation: bootstrap("rotation"),
        boto3: Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/boto3_provider.py"),
        python,
        work: functions.join("bench"),
    };
    println!("Measuring for about two minutes; other work on this machine shows in the figures ...");
    let mut table = Table::default();
    bench.cold_starts(&mut table)?;
    bench.cold_creates(&mut table)?;
    bench.packages(&mut table)?;
    let economy = bench.events(&mut table)?;
    let growth = bench.growth(&mut table)?;
    print!("{}\n{growth}\n{economy}\n{NOTES}", table.text());
    Ok(())
}

const NOTES: &str = "\
What stands in the way of a target that is missed, and what each call is for: docs/performance.md.
Everything is on this machine: a connection costs next to nothing and there is no TLS, so no handshake is in
any figure; what TLS costs before the first request (certificates, ciphers) is. Latency is added to every call, also
to the token endpoint, its keys and the ResponseURL; calls do not hold each other up. Walls begin with the start of the
process; 'start' is what passes until it asks for an event. Lambda's own part of a cold start is in no figure.
";

struct Bench {
    world: World,
    empty: PathBuf,
    provider: PathBuf,
    rotation: PathBuf,
    boto3: PathBuf,
    python: PathBuf,
    work: PathBuf,
}

impl Bench {
    fn cold_starts(&self, table: &mut Table) -> Result<()> {
        let start = |program: &Path| self.world.run(&[program], None, Duration::ZERO);
        let (mut empty, mut provider, mut rotation) = (Vec::new(), Vec::new(), Vec::new());
        // In turns, so that what else the machine does meets all alike; the first ones warm its caches.
        for round in 0..=STARTS {
            let runs = [start(&self.empty)?, start(&self.provider)?, start(&self.rotation)?];
            if round > 0 {
                for (all, run) in [&mut empty, &mut provider, &mut rotation].into_iter().zip(runs) {
                    all.push(run);
                }
            }
        }
        let wall = |run: &Run| run.cold_start;
        let floor = Spread::of(&empty, wall);
        for (name, runs) in [("provider", &provider), ("rotation", &rotation)] {
            let own = Spread::of(runs, wall);
            let ratio = own.over(&floor);
            table.row(
                &format!("cold start of {name}"),
                format!("{ratio:.2}: {own} to the empty Lambda's {floor}"),
                "at most 1.6",
                ratio <= 1.6,
            );
            let (own, floor) = (Spread::of(runs, |run| run.cpu), Spread::of(&empty, |run| run.cpu));
            table.more(format!("{:.2} in CPU time: {own} to {floor}", own.over(&floor)));
        }
        Ok(())
    }

    fn cold_creates(&self, table: &mut Table) -> Result<()> {
        let (mut own, mut plain) = (Vec::new(), Vec::new());
        for round in 0..=CREATES {
            let runs = [
                self.create(&[&self.provider], 1, Duration::ZERO)?,
                self.create(&[&self.python, &self.boto3], 1, Duration::ZERO)?,
            ];
            if round > 0 {
                for (all, run) in [&mut own, &mut plain].into_iter().zip(runs) {
                    all.push(run);
                }
            }
        }
        for (what, figure) in [("CPU time", (|run| run.cpu) as fn(&Run) -> Duration), ("wall", |run: &Run| run.wall)] {
            let (own, plain) = (Spread::of(&own, figure), Spread::of(&plain, figure));
            let ratio = plain.over(&own);
            table.row(
                &format!("cold Create, {what}"),
                format!("{ratio:.1} times less: {own} to boto3's {plain}"),
                "at least 10",
                ratio >= 10.0,
            );
        }
        let peak = |runs: &[Run]| mebibytes(runs.iter().map(|run| run.peak_resident_kib * 1024).max());
        let most = peak(&own);
        let measured = format!("{most:.1} MiB; boto3 {:.1} MiB", peak(&plain));
        table.row("peak memory after it", measured, "under 24 MiB", most < 24.0);
        Ok(())
    }

    fn packages(&self, table: &mut Table) -> Result<()> {
        fs::create_dir_all(&self.work)?;
        for (name, program) in [("provider", &self.provider), ("rotation", &self.rotation)] {
            let zip = self.work.join(format!("{name}.zip"));
            // The same library with the same settings as `sam deploy` and `sam package`.
            let status = Command::new(&self.python).args(["-m", "zipfile", "-c"]).arg(&zip).arg(program).status()?;
            if !status.success() {
                return Err(format!("zipping {name}: {status}").into());
            }
            let size = mebibytes(Some(fs::metadata(&zip)?.len()));
            let unzipped = mebibytes(Some(fs::metadata(program)?.len()));
            let measured = format!("{size:.2} MiB; {unzipped:.1} MiB unzipped");
            table.row(&format!("package of {name}"), measured, "under 3.5 MiB", size < 3.5);
        }
        Ok(())
    }

    /// Create, no-op Update, Update and Delete at a latency; gives the list of their calls.
    fn events(&self, table: &mut Table) -> Result<String> {
        let (mut creates, mut no_ops, mut updates, mut deletes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..EVENTS {
            let create = self.create(&[&self.provider], 1, LATENCY)?;
            let pool = create.answer["PhysicalResourceId"].clone();
            let (old, new) = (json!({}), json!({ "ResourceServers": servers(&["read", "write", "admin"]) }));
            let run = |event: Value| self.world.run(&[&self.provider], Some(event), LATENCY);
            no_ops.push(run(self.event("Update", &pool, &old, Some(&old)))?);
            updates.push(run(self.event("Update", &pool, &new, Some(&old)))?);
            deletes.push(run(self.event("Delete", &pool, &new, None))?);
            creates.push(create);
        }
        table.ratio("default Create", &creates, chains::CREATE, 1, true);
        let many = (0..EVENTS_WITH_MANY_CLIENTS).map(|_| self.create(&[&self.provider], MANY, LATENCY));
        table.ratio(&format!("{MANY} clients"), &many.collect::<Result<Vec<_>>>()?, chains::CREATE, MANY, true);
        table.ratio("no-op Update", &no_ops, chains::NO_OP_UPDATE, 1, true);
        let writes = |run: &Run| run.calls.iter().filter(|call| is_write(call)).count();
        let tokens = |run: &Run| run.calls.iter().filter(|call| call.name == TOKEN).count();
        let (writes, tokens): (usize, usize) = (no_ops.iter().map(writes).sum(), no_ops.iter().map(tokens).sum());
        let measured = format!("{writes} writes, {tokens} tokens");
        table.row("what it changes", measured, "zero writes, zero tokens", writes + tokens == 0);
        table.ratio("Delete", &deletes, chains::DELETE, 1, false);

        let mut text = String::from("Calls, with when each began and ended in ms after the first (one run at 50 ms)\n");
        for (name, runs) in [
            ("default Create", creates),
            ("no-op Update", no_ops),
            ("Update, one scope more", updates),
            ("Delete", deletes),
        ] {
            text += &timeline(name, &runs[0].calls);
        }
        Ok(text)
    }

    fn growth(&self, table: &mut Table) -> Result<String> {
        let mut text =
            String::from("Growth: a Create at 50 ms a call, against its floor (the chain and the pace limit)\n");
        let mut walls = BTreeMap::new();
        for clients in GROWTH {
            // Where the wall is short, what else the machine does shows in it.
            let runs = if pace(clients).is_zero() { EVENTS } else { 1 };
            let runs: Vec<_> =
                (0..runs).map(|_| self.create(&[&self.provider], clients, LATENCY)).collect::<Result<_>>()?;
            let (wall, floor) = (Spread::of(&runs, |run| run.wall).median, floor(chains::CREATE, clients, LATENCY));
            let calls = &runs[0].calls;
            writeln!(
                text,
                "  {clients:>3} clients: {:>6.2} s, {:.2} times {:>5.2} s, of which the pace is {:>2} s; {} calls, {} at once",
                wall.as_secs_f64(),
                wall.as_secs_f64() / floor.as_secs_f64(),
                floor.as_secs_f64(),
                pace(clients).as_secs(),
                calls.len(),
                side_by_side(calls),
            )?;
            walls.insert(clients, wall.as_secs_f64());
        }
        let [one, flat, .., half, all] = GROWTH;
        let (flat, slope) = (walls[&flat] / walls[&one], walls[&all] - walls[&half]);
        let pace = pace(all).saturating_sub(pace(half)).as_secs_f64();
        let ratio = slope / pace;
        let measured = format!("{ratio:.2}: {slope:.1} s for {half} clients more, to the pace's {pace:.0} s");
        table.row("growth at the pace limit", measured, "linear: at most 1.15", ratio <= 1.15);
        table.row("growth below it", format!("{flat:.2}: 5 clients to one"), "flat: at most 1.15", flat <= 1.15);
        Ok(text)
    }

    /// The Create of a resource with this many clients, in an empty account.
    fn create(&self, program: &[&Path], clients: usize, latency: Duration) -> Result<Run> {
        self.world.empty();
        let properties = if clients == 1 {
            json!({})
        } else {
            let client = |number: usize| json!({ "ClientName": format!("client-{number:03}") });
            json!({ "Clients": (0..clients).map(client).collect::<Vec<_>>() })
        };
        let event = self.event("Create", &Value::Null, &properties, None);
        Ok(self.world.run(program, Some(event), latency)?)
    }

    fn event(&self, kind: &str, pool: &Value, properties: &Value, old: Option<&Value>) -> Value {
        let mut event = json!({
            "RequestType": kind,
            "ResponseURL": self.world.response_url(),
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/m2m/0a1b",
            "RequestId": format!("request-of-the-{kind}"),
            "ResourceType": "Custom::CognitoM2M",
            "LogicalResourceId": "M2M",
            "ResourceProperties": properties,
        });
        if !pool.is_null() {
            event["PhysicalResourceId"] = pool.clone();
        }
        if let Some(old) = old {
            event["OldResourceProperties"] = old.clone();
        }
        event
    }
}

fn servers(scopes: &[&str]) -> Value {
    let scopes: Vec<_> = scopes.iter().map(|scope| json!({ "ScopeName": scope })).collect();
    json!([{ "Identifier": "m2m-client", "Scopes": scopes }])
}

fn is_write(call: &Call) -> bool {
    let reads = ["List", "Describe", "Get", "GET", "PUT", "POST"];
    !reads.iter().any(|read| call.name.starts_with(read))
}

/// The most calls that were under way at one time.
fn side_by_side(calls: &[Call]) -> usize {
    let under_way = |at: &Call| calls.iter().filter(|call| call.start <= at.start && at.start < call.end).count();
    calls.iter().map(under_way).max().unwrap_or_default()
}

/// Back from the last call to the first: each time to the one that ended last before it began.
fn measured_chain(calls: &[Call]) -> Vec<&Call> {
    let mut chain: Vec<&Call> = calls.iter().max_by_key(|call| call.end).into_iter().collect();
    while let Some(earliest) = chain.last()
        && let Some(before) = calls.iter().filter(|call| call.end <= earliest.start).max_by_key(|call| call.end)
    {
        chain.push(before);
    }
    chain.reverse();
    chain
}

fn timeline(name: &str, calls: &[Call]) -> String {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| call.start);
    let Some(first) = calls.first().map(|call| call.start) else { return String::new() };
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls {
        *by_name.entry(&call.name).or_default() += 1;
    }
    let (reads, writes): (Vec<_>, Vec<_>) = calls.iter().partition(|call| !is_write(call));
    let chain: Vec<_> = measured_chain(&calls).iter().map(|call| call.name.as_str()).collect();
    let mut text = format!(
        "  {name}: {} calls ({} writes, {} others), at most {} side by side; measured chain of {}: {}\n",
        calls.len(),
        writes.len(),
        reads.len(),
        side_by_side(&calls),
        chain.len(),
        chain.join(" > ")
    );
    for call in &calls {
        let ms = |at: tokio::time::Instant| at.duration_since(first).as_millis();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {:>5} {:>5}  {}", ms(call.start), ms(call.end), call.name);
    }
    text
}

/// The median of some runs, and the least and the most.
struct Spread {
    median: Duration,
    least: Duration,
    most: Duration,
}

impl Spread {
    fn of(runs: &[Run], figure: impl Fn(&Run) -> Duration) -> Self {
        let mut all: Vec<_> = runs.iter().map(figure).collect();
        all.sort();
        let at = |index: usize| all.get(index).copied().unwrap_or_default();
        Self { median: at(all.len() / 2), least: at(0), most: at(all.len().saturating_sub(1)) }
    }

    fn over(&self, other: &Self) -> f64 {
        self.median.as_secs_f64() / other.median.as_secs_f64()
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let digits = usize::from(ms(self.median) < 100.0);
        write!(f, "{:.digits$} ms [{:.digits$}-{:.digits$}]", ms(self.median), ms(self.least), ms(self.most))
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: Option<u64>) -> f64 {
    bytes.unwrap_or_default() as f64 / MIB
}

/// The table; a line without a name goes on with the one above it.
#[derive(Default)]
struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    fn row(&mut self, what: &str, measured: String, target: &str, reached: bool) {
        let reached = if reached { "yes" } else { "no" };
        self.rows.push([what.to_owned(), measured, target.to_owned(), reached.to_owned()]);
    }

    fn more(&mut self, measured: String) {
        self.rows.push([String::new(), measured, String::new(), String::new()]);
    }

    /// A wall against the floor: latency times the longest chain, and the pace limit.
    fn ratio(&mut self, what: &str, runs: &[Run], chain: Chain, clients: usize, targeted: bool) {
        let floor = floor(chain, clients, LATENCY);
        let wall = Spread::of(runs, |run| run.wall);
        let ratio = wall.median.as_secs_f64() / floor.as_secs_f64();
        let measured = format!("{ratio:.2}: {wall} to {} ms, a chain of {}", floor.as_millis(), chain.len());
        if targeted {
            self.row(what, measured, "at most 1.15", ratio <= 1.15);
        } else {
            self.rows.push([what.to_owned(), measured, "none".to_owned(), String::new()]);
        }
        // What stands between the wall and the floor.
        let start = Spread::of(runs, |run| run.cold_start).median;
        let over = wall.median.saturating_sub(floor);
        let refused = |run: &Run| run.calls.iter().filter(|call| call.refused && is_write(call)).count();
        self.more(format!(
            "over by {} ms: {} ms start, {} ms else; chain of {} calls, {} ms CPU, {} refused",
            over.as_millis(),
            start.as_millis(),
            over.saturating_sub(start).as_millis(),
            runs.first().map_or(0, |run| measured_chain(&run.calls).len()),
            Spread::of(runs, |run| run.cpu).median.as_millis(),
            runs.iter().map(refused).sum::<usize>(),
        ));
    }

    fn text(&self) -> String {
        let head = ["what", "measured: median [least-most], as a ratio", "to reach", "reached"].map(ToOwned::to_owned);
        let rows: Vec<_> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (0..head.len()).map(width).collect();
        let mut text = String::from("\n");
        for (number, row) in rows.iter().enumerate() {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            text += cells.join("  ").trim_end();
            text.push('\n');
            if number == 0 {
                text += &widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ");
                text.push('\n');
            }
        }
        text
    }
}
