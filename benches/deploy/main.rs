//! What a deploy waits for: `make bench` builds the functions, runs this and prints the figures.
//!
//! The real binaries run between a Lambda Runtime API and AWS on this machine, beside two
//! baselines: a function that does nothing (`examples/empty.rs`) and a plain boto3 provider
//! (`benches/boto3_provider.py`). docs/performance.md says how each figure is measured and what it
//! means. A target that is missed is printed, never an error: figures vary with the machine.

#![expect(clippy::print_stdout, reason = "a report is for the terminal")]

mod chains;
mod document;
mod events;
mod functions;
mod growth;
#[path = "../../tests/support/lambda.rs"]
#[expect(clippy::unwrap_used, dead_code, reason = "shared with the tests, which use the rest and fail by panicking")]
mod lambda;
mod measure;
mod plot;
mod report;
#[path = "../../tests/support/signing.rs"]
#[expect(clippy::unwrap_used, reason = "shared with the tests, which fail by panicking")]
mod signing;
#[path = "../../tests/support/world/mod.rs"]
#[expect(clippy::unwrap_used, dead_code, reason = "shared with the tests, which use the rest and fail by panicking")]
mod world;

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Duration,
};

use cognito_m2m::clock::now;
use serde_json::{Value, json};

use crate::{
    document::Results,
    measure::{REGION, Run, measure},
    report::Table,
    world::{Aws, World},
};

/// How long each call takes in the rows that measure calls: about what AWS takes to answer a Lambda
/// function in the same region.
const LATENCY: Duration = Duration::from_millis(50);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").map(PathBuf::from);
    let (Some(functions), Some(python)) = (arguments.next(), arguments.next()) else {
        return Err(
            "usage: deploy <folder of the built functions> <python with boto3> [folder of the documents]".into()
        );
    };
    let documents = arguments.next();
    let bench = Bench::new(&functions, python);

    println!("Measuring for about five minutes; other work on this machine shows in the figures ...");
    let started = now();
    let mut table = Table::default();
    bench.cold_starts(&mut table)?;
    bench.cold_creates(&mut table)?;
    bench.packages(&mut table)?;
    let mut timelines = bench.events(&mut table)?;
    let clients = bench.clients(&mut table)?;
    let stacks = bench.stacks(&mut table)?;
    timelines += &stacks.timeline("Create of a client in another stack's pool");
    let results = Results {
        figures: table.markdown(),
        growth: format!("{}\n{}", clients.markdown(), stacks.markdown()),
        plot: plot::svg(&growth::panels(&clients, &stacks)),
    };
    print!("\n{}\n{}\n{}\n{timelines}\n{NOTES}", results.figures, results.growth, table.details());
    println!("Measured in {} s.", started.elapsed().as_secs());
    results.write_beside(&bench.work)?;
    if let Some(documents) = documents {
        results.write_into(&documents)?;
    }
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
    /// A folder for what the benchmark writes.
    work: PathBuf,
}

impl Bench {
    fn new(functions: &Path, python: PathBuf) -> Self {
        let bootstrap = |name: &str| functions.join(name).join("bootstrap");
        Self {
            world: World::start(REGION),
            empty: bootstrap("empty"),
            provider: bootstrap("provider"),
            rotation: bootstrap("rotation"),
            boto3: Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/boto3_provider.py"),
            python,
            work: functions.join("bench"),
        }
    }

    /// Runs the Create of a resource with this many clients, in an empty account.
    fn create(&self, program: &[&Path], clients: usize, latency: Duration) -> Result<Run> {
        self.empty_account();
        let properties = if clients == 1 {
            json!({})
        } else {
            let client = |number: usize| json!({ "ClientName": format!("client-{number:03}") });
            json!({ "Clients": (0..clients).map(client).collect::<Vec<_>>() })
        };
        let event = self.event("Create", &Value::Null, &properties, None);
        Ok(measure(&self.world, program, vec![event], latency)?)
    }

    fn empty_account(&self) {
        let mut aws = self.world.aws();
        *aws = Aws::new(REGION);
        aws.quota = true;
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
