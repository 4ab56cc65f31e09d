//! What a deploy waits for: `make bench` builds the functions, runs this and prints the table.
//!
//! The real binaries run between a Lambda Runtime API and AWS on this machine, beside two
//! baselines: a function that does nothing (`examples/empty.rs`) and a plain boto3 provider
//! (`benches/boto3_provider.py`). docs/performance.md says how each figure is measured and what it
//! means. A target that is missed is printed, never an error: figures vary with the machine.

#![expect(clippy::print_stdout, reason = "a report is for the terminal")]

mod chains;
#[path = "../../tests/support/lambda.rs"]
#[expect(clippy::unwrap_used, dead_code, reason = "shared with the tests, which use the rest and fail by panicking")]
mod lambda;
mod measure;
mod report;
#[path = "../../tests/support/signing.rs"]
#[expect(clippy::unwrap_used, reason = "shared with the tests, which fail by panicking")]
mod signing;
#[path = "../../tests/support/world/mod.rs"]
#[expect(clippy::unwrap_used, dead_code, reason = "shared with the tests, which use the rest and fail by panicking")]
mod world;

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
    chains::{floor, pace},
    measure::{REGION, Run, measure},
    report::{Spread, Table, mebibytes, side_by_side, timeline},
    world::{Aws, TOKEN, World},
};

/// How long each call takes in the rows that measure calls: about what AWS takes to answer a Lambda
/// function in the same region.
const LATENCY: Duration = Duration::from_millis(50);
/// The number of runs of one kind. It is odd, so that the median is one of them.
const STARTS: usize = 101;
const CREATES: usize = 15;
const EVENTS: usize = 5;
const EVENTS_WITH_MANY_CLIENTS: usize = 3;
const MANY: usize = 20;
const STACKS: usize = 50;
const GROWTH: [usize; 5] = [1, 5, 10, 50, 100];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").map(PathBuf::from);
    let (Some(functions), Some(python)) = (arguments.next(), arguments.next()) else {
        return Err("usage: deploy <folder of the built functions> <python with boto3>".into());
    };
    let bootstrap = |name: &str| functions.join(name).join("bootstrap");
    let bench = Bench {
        world: World::start(REGION),
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
    bench.many_stacks(&mut table)?;
    print!("{}\n{growth}\n{economy}\n{NOTES}", table.text());
    Ok(())
}

const NOTES: &str = "\
docs/performance.md says what keeps a missed target from being reached, and what each call is for.
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
        let start = |program: &Path| measure(&self.world, &[program], None, Duration::ZERO);
        let (mut empty, mut provider, mut rotation) = (Vec::new(), Vec::new(), Vec::new());
        // They take turns, so that other work on the machine slows all of them alike. The first round only
        // warms its caches.
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

    /// Measures Create, no-op Update, Update and Delete at a latency; returns the list of their calls.
    fn events(&self, table: &mut Table) -> Result<String> {
        let (mut creates, mut no_ops, mut updates, mut deletes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..EVENTS {
            let create = self.create(&[&self.provider], 1, LATENCY)?;
            let pool = create.answer["PhysicalResourceId"].clone();
            let (old, new) = (json!({}), json!({ "ResourceServers": servers(&["read", "write", "admin"]) }));
            let run = |event: Value| measure(&self.world, &[&self.provider], Some(event), LATENCY);
            no_ops.push(run(self.event("Update", &pool, &old, Some(&old)))?);
            updates.push(run(self.event("Update", &pool, &new, Some(&old)))?);
            deletes.push(run(self.event("Delete", &pool, &new, None))?);
            creates.push(create);
        }
        table.ratio("default Create", &creates, chains::CREATE, 1, true);
        let many = (0..EVENTS_WITH_MANY_CLIENTS).map(|_| self.create(&[&self.provider], MANY, LATENCY));
        table.ratio(&format!("{MANY} clients"), &many.collect::<Result<Vec<_>>>()?, chains::CREATE, MANY, true);
        table.ratio("no-op Update", &no_ops, chains::NO_OP_UPDATE, 1, true);
        let writes = |run: &Run| run.calls.iter().filter(|call| call.is_write()).count();
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
            // Other work on the machine shows in a short wall.
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

    /// Measures how long many stacks take to add a client each to one pool at the same time. All of them share the quota,
    /// and none knows of the others.
    fn many_stacks(&self, table: &mut Table) -> Result<()> {
        *self.world.aws() = Aws::new(REGION);
        let owner = json!({ "SharedWithStacks": ["team-"] });
        let event = self.event("Create", &Value::Null, &owner, None);
        let pool = measure(&self.world, &[&self.provider], Some(event), LATENCY)?.answer["PhysicalResourceId"].clone();
        self.world.aws().quota = true;
        let event = |number: usize| {
            let scopes = json!(["m2m-client/read"]);
            let properties = json!({ "UserPoolId": pool, "ClientName": "orders", "AllowedOAuthScopes": scopes, "VerifyToken": false });
            let mut event = self.event("Create", &Value::Null, &properties, None);
            event["ResourceType"] = json!("Custom::CognitoM2MClient");
            event["StackId"] = json!(format!("arn:aws:cloudformation:us-east-1:123456789012:stack/team-{number}/0a1b"));
            event
        };
        let walls = measure::together(&self.world, &self.provider, (0..STACKS).map(event).collect())?;
        let (wall, floor) =
            (walls.into_iter().max().unwrap_or_default(), floor(chains::CLIENT_CREATE, STACKS, LATENCY));
        let ratio = wall.as_secs_f64() / floor.as_secs_f64();
        let measured = format!("{ratio:.2}: {:.1} s to the quota's {:.1} s", wall.as_secs_f64(), floor.as_secs_f64());
        table.row(&format!("{STACKS} stacks in one pool at once"), measured, "at most 1.25", ratio <= 1.25);
        Ok(())
    }

    /// Runs the Create of a resource with this many clients, in an empty account.
    fn create(&self, program: &[&Path], clients: usize, latency: Duration) -> Result<Run> {
        {
            let mut aws = self.world.aws();
            *aws = Aws::new(REGION);
            aws.quota = true;
        }
        let properties = if clients == 1 {
            json!({})
        } else {
            let client = |number: usize| json!({ "ClientName": format!("client-{number:03}") });
            json!({ "Clients": (0..clients).map(client).collect::<Vec<_>>() })
        };
        let event = self.event("Create", &Value::Null, &properties, None);
        Ok(measure(&self.world, program, Some(event), latency)?)
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
