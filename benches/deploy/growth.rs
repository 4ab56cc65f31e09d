//! What more clients cost, and more stacks in one pool, beside what Cognito's quota allows.

use std::time::Duration;

use cognito_m2m::clock::now;
use serde_json::{Value, json};

use crate::{
    Bench, LATENCY, Result,
    chains::{self, Chain, Floor, pace},
    measure::{Crowd, REGION, crowd, measure},
    plot::Panel,
    report::{Spread, Table, Target, markdown, over, side_by_side, timeline},
    world::{Aws, Call},
};

/// How many clients one Create makes.
const CLIENTS: [usize; 6] = [1, 5, 10, 20, 50, 100];
/// How many stacks add a client each.
const STACKS: [usize; 5] = [1, 5, 10, 20, 50];
/// The most runs of each. It is odd, so that the median is one of them.
const RUNS: usize = 5;
/// After this time there are runs enough: a long wall varies less, and the whole benchmark should take five minutes.
const ENOUGH: Duration = Duration::from_secs(20);
/// Nobody starts fifty deployments in one moment. Their starts are spread over half of the time that the quota takes.
const SPREAD: Duration = Duration::from_secs(5);

/// The last client should wait for the quota and for nothing else. The rest is the cold start and some round trips.
const PACED: Target = Target::AtMost(1.05, "times");
/// The stacks know nothing of each other, so they learn from refusals that the quota is used up.
const CROWDED: Target = Target::AtMost(1.25, "times");
/// What is over the floor must not grow with the number.
const LINEAR: Target = Target::AtMost(1.15, "times");
/// Up to five clients, the quota keeps nobody waiting.
const FLAT: Target = Target::AtMost(1.15, "times");

/// The time over the number of things, and its floor.
pub struct Curve {
    /// What is counted.
    things: &'static str,
    chain: Chain,
    points: Vec<Point>,
}

struct Point {
    number: usize,
    wall: Spread,
    floor: Duration,
    /// The calls of one run.
    calls: Vec<Call>,
    /// All runs together.
    failures: Vec<String>,
}

impl Bench {
    /// Measures the Create of one resource with more and more clients.
    pub fn clients(&self, table: &mut Table) -> Result<Curve> {
        let create = |clients: usize| {
            let run = self.create(&[&self.provider], clients, LATENCY)?;
            Ok(Crowd { wall: run.wall, calls: run.calls, failures: Vec::new() })
        };
        let curve = Curve::measure("clients", chains::CREATE, &CLIENTS, create)?;
        for clients in [20, 100] {
            let point = curve.at(clients);
            table.limit(&format!("{clients} clients"), point.ratio(), point.measured(), PACED);
        }
        let [one, five, half, all] = [1, 5, 50, 100].map(|clients| curve.at(clients).wall.median);
        let more = |all: Duration, half| Spread::only(all.saturating_sub(half));
        let (slope, paced) = (more(all, half), more(pace(100), pace(50)));
        let ratio = slope.over(&paced);
        let measured = format!("{ratio:.3} times the pace ({slope} to {paced})");
        table.limit("growth at the pace: from 50 to 100 clients", ratio, measured, LINEAR);
        let ratio = over(five, one);
        table.limit("growth below the pace: 5 clients over one", ratio, format!("{ratio:.3} times"), FLAT);
        Ok(curve)
    }

    /// Measures how long more and more stacks take to add a client each to one pool. All of them share the quota, and
    /// none knows of the others.
    pub fn stacks(&self, table: &mut Table) -> Result<Curve> {
        let curve = Curve::measure("stacks", chains::CLIENT_CREATE, &STACKS, |stacks| {
            self.run_stacks(vec![Duration::ZERO; stacks])
        })?;
        let spread = Curve::measure("stacks", chains::CLIENT_CREATE, &[50], |stacks| {
            let mut delays: Vec<_> = (0..stacks).map(|_| SPREAD.mul_f64(fastrand::f64())).collect();
            // The wall begins with the first stack.
            delays[0] = Duration::ZERO;
            self.run_stacks(delays)
        })?;
        for (start, point) in [
            ("started in one moment".to_owned(), curve.at(50)),
            (format!("started within {} s", SPREAD.as_secs()), spread.at(50)),
        ] {
            let what = format!("{} stacks in one pool, {start}", point.number);
            table.limit(&what, point.ratio(), point.measured(), CROWDED);
            table.detail(&format!("{what}: {}", point.throttling()));
        }
        let failures: Vec<_> = curve.points.iter().chain(&spread.points).flat_map(|point| &point.failures).collect();
        table.promise("stacks that failed", failures.len().to_string(), "none", failures.is_empty());
        for failure in failures {
            table.detail(failure);
        }
        Ok(curve)
    }

    /// Lets stacks add a client each to a new pool, each so long after the first.
    fn run_stacks(&self, delays: Vec<Duration>) -> Result<Crowd> {
        *self.world.aws() = Aws::new(REGION);
        let owner = self.event("Create", &Value::Null, &json!({ "SharedWithStacks": ["team-"] }), None);
        let owner = measure(&self.world, &[&self.provider], vec![owner], Duration::ZERO)?;
        let pool = &owner.answer["PhysicalResourceId"];
        // Only now, so that the owner's calls do not count.
        self.world.aws().quota = true;
        let client = |(number, delay)| (delay, self.client_event(number, pool));
        let events = delays.into_iter().enumerate().map(client).collect();
        Ok(crowd(&self.world, &self.provider, events, LATENCY)?)
    }

    fn client_event(&self, number: usize, pool: &Value) -> Value {
        let properties = json!({
            "UserPoolId": pool, "ClientName": "orders", "AllowedOAuthScopes": ["m2m-client/read"], "VerifyToken": false,
        });
        let mut event = self.event("Create", &Value::Null, &properties, None);
        event["ResourceType"] = json!("Custom::CognitoM2MClient");
        event["StackId"] = json!(format!("arn:aws:cloudformation:us-east-1:123456789012:stack/team-{number}/0a1b"));
        event
    }
}

impl Curve {
    /// Runs each number, until there are runs enough.
    fn measure(
        things: &'static str,
        chain: Chain,
        numbers: &[usize],
        run: impl Fn(usize) -> Result<Crowd>,
    ) -> Result<Self> {
        let point = |&number: &usize| {
            let started = now();
            let mut runs = Vec::new();
            while runs.len() < RUNS && (runs.len().is_multiple_of(2) || started.elapsed() < ENOUGH) {
                runs.push(run(number)?);
            }
            Ok(Point {
                number,
                wall: Spread::of(&runs, |run| run.wall),
                floor: Floor { chain, things: number }.time(),
                calls: runs[0].calls.clone(),
                failures: runs.into_iter().flat_map(|run| run.failures).collect(),
            })
        };
        Ok(Self { things, chain, points: numbers.iter().map(point).collect::<Result<_>>()? })
    }

    /// Returns the point of a number.
    #[expect(clippy::panic, reason = "a number that is not measured is a mistake in this file")]
    fn at(&self, number: usize) -> &Point {
        let found = self.points.iter().find(|point| point.number == number);
        found.unwrap_or_else(|| panic!("{number} {} are not measured", self.things))
    }

    /// Returns the list of the calls for the first number.
    pub fn timeline(&self, name: &str) -> String {
        self.points.first().map(|point| timeline(name, &point.calls)).unwrap_or_default()
    }

    pub fn markdown(&self) -> String {
        let head = [self.things, "measured", "floor", "times", "calls of one run", "side by side", "throttled"];
        let row = |point: &Point| {
            vec![
                point.number.to_string(),
                point.wall.to_string(),
                Spread::only(point.floor).to_string(),
                format!("{:.3}", point.ratio()),
                point.calls.len().to_string(),
                side_by_side(&point.calls).to_string(),
                point.throttled().count().to_string(),
            ]
        };
        markdown(&head, &self.points.iter().map(row).collect::<Vec<_>>())
    }

    /// Returns the floor of every number up to the last.
    fn floor(&self) -> Vec<(f64, f64)> {
        let last = self.points.last().map_or(0, |point| point.number);
        let at = |things| (count(things), Floor { chain: self.chain, things }.time().as_secs_f64());
        (1..=last).map(at).collect()
    }

    fn measured(&self) -> Vec<(f64, f64)> {
        self.points.iter().map(|point| (count(point.number), point.wall.median.as_secs_f64())).collect()
    }
}

impl Point {
    fn ratio(&self) -> f64 {
        over(self.wall.median, self.floor)
    }

    fn measured(&self) -> String {
        let Self { wall, floor, number, .. } = self;
        let (floor, pace) = (Spread::only(*floor), pace(*number).as_secs());
        format!("{:.3} times its floor ({wall} to {floor}, of which the pace is {pace} s)", self.ratio())
    }

    /// Returns the names of the calls that were over the quota, in one run.
    fn throttled(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().filter(|call| call.throttled).map(|call| call.name.as_str())
    }

    /// Says which calls were throttled, and how often.
    fn throttling(&self) -> String {
        let mut names: Vec<_> = self.throttled().collect();
        names.sort_unstable();
        let counts = names.chunk_by(|one, other| one == other).map(|same| format!("{} {}", same.len(), same[0]));
        format!("throttled in one run: {}", counts.collect::<Vec<_>>().join(", "))
    }
}

/// Returns the panels of the plot.
pub fn panels(clients: &Curve, stacks: &Curve) -> [Panel; 2] {
    let panel = |title: &'static str, curve: &Curve| Panel {
        title,
        things: curve.things,
        measured: curve.measured(),
        floor: curve.floor(),
    };
    [panel("A Create with many clients", clients), panel("Many stacks add a client to one pool at once", stacks)]
}

fn count(things: usize) -> f64 {
    f64::from(u32::try_from(things).unwrap_or(u32::MAX))
}
