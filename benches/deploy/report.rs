//! The report: the table of figures and the timelines of the calls.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Duration,
};

use tokio::time::Instant;

use crate::{chains::Floor, measure::Run, world::Call};

const MIB: f64 = 1024.0 * 1024.0;

/// Returns the most calls that were under way at one time.
pub fn side_by_side(calls: &[Call]) -> usize {
    let under_way = |at: &Call| calls.iter().filter(|call| call.start <= at.start && at.start < call.end).count();
    calls.iter().map(under_way).max().unwrap_or_default()
}

/// Goes back from the last call to the first, each time to the call that ended last before this one began.
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

pub fn timeline(name: &str, calls: &[Call]) -> String {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| call.start);
    let Some(first) = calls.first().map(|call| call.start) else { return String::new() };
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls {
        *by_name.entry(&call.name).or_default() += 1;
    }
    let (reads, writes): (Vec<_>, Vec<_>) = calls.iter().partition(|call| !call.is_write());
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
        let ms = |at: Instant| at.duration_since(first).as_millis();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {:>5} {:>5}  {}", ms(call.start), ms(call.end), call.name);
    }
    text
}

/// The median of some runs, and the least and the most.
pub struct Spread {
    pub median: Duration,
    least: Duration,
    most: Duration,
}

impl Spread {
    pub fn of<T>(runs: &[T], figure: impl Fn(&T) -> Duration) -> Self {
        let mut all: Vec<_> = runs.iter().map(figure).collect();
        all.sort();
        let at = |index: usize| all.get(index).copied().unwrap_or_default();
        Self { median: at(all.len() / 2), least: at(0), most: at(all.len().saturating_sub(1)) }
    }

    /// One figure, which was not measured more than once.
    pub fn only(figure: Duration) -> Self {
        Self { median: figure, least: figure, most: figure }
    }

    pub fn over(&self, other: &Self) -> f64 {
        over(self.median, other.median)
    }
}

pub fn over(time: Duration, floor: Duration) -> f64 {
    time.as_secs_f64() / floor.as_secs_f64()
}

/// In seconds from the first second on, and in milliseconds below it. Shows the least and the most only if they differ.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (per_second, unit) = if self.median < Duration::from_secs(1) { (1e3, "ms") } else { (1.0, "s") };
        let shown = |time: Duration| time.as_secs_f64() * per_second;
        // Three digits.
        let digits = match shown(self.median) {
            ..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        write!(f, "{:.digits$} {unit}", shown(self.median))?;
        if self.least == self.most {
            return Ok(());
        }
        write!(f, " [{:.digits$}-{:.digits$}]", shown(self.least), shown(self.most))
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn mebibytes(bytes: Option<u64>) -> f64 {
    bytes.unwrap_or_default() as f64 / MIB
}

/// What a figure must reach. The text is its unit.
#[derive(Clone, Copy)]
pub enum Target {
    AtMost(f64, &'static str),
    AtLeast(f64, &'static str),
    /// There is no target: the figure is only shown.
    None,
}

impl Target {
    fn is_reached(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtMost(most, _) => Some(figure <= most),
            Self::AtLeast(least, _) => Some(figure >= least),
            Self::None => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most, unit) => write!(f, "at most {most} {unit}"),
            Self::AtLeast(least, unit) => write!(f, "at least {least} {unit}"),
            Self::None => f.write_str("none"),
        }
    }
}

/// The figures, and for some of them what their time goes to.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 4]>,
    details: String,
}

impl Table {
    /// Shows a figure beside its target.
    pub fn limit(&mut self, what: &str, figure: f64, measured: String, target: Target) {
        self.row(what, measured, target.to_string(), target.is_reached(figure));
    }

    /// Shows what was counted beside what is promised.
    pub fn promise(&mut self, what: &str, measured: String, promise: &str, kept: bool) {
        self.row(what, measured, promise.to_owned(), Some(kept));
    }

    fn row(&mut self, what: &str, measured: String, target: String, reached: Option<bool>) {
        let reached = reached.map_or("", |reached| if reached { "yes" } else { "no" });
        self.rows.push([what.to_owned(), measured, target, reached.to_owned()]);
    }

    /// Compares a wall with its floor: latency times the longest chain, and the pace limit.
    pub fn floor(&mut self, what: &str, runs: &[Run], floor: Floor, target: Target) {
        let wall = Spread::of(runs, |run| run.wall);
        let ratio = over(wall.median, floor.time());
        let (least, chain) = (Spread::only(floor.time()), floor.chain.len());
        let measured = format!("{ratio:.3} times its floor ({wall} to {least}, a chain of {chain})");
        self.limit(what, ratio, measured, target);

        let start = Spread::of(runs, |run| run.cold_start).median;
        let surplus = wall.median.saturating_sub(floor.time());
        let chain = runs.first().map_or(0, |run| measured_chain(&run.calls).len());
        self.detail(&format!(
            "{what}: over by {} ms, of which the start takes {} ms; a chain of {chain} calls, {} ms CPU",
            surplus.as_millis(),
            start.as_millis(),
            Spread::of(runs, |run| run.cpu).median.as_millis(),
        ));
    }

    /// Adds a line that only the terminal shows.
    pub fn detail(&mut self, line: &str) {
        self.details.extend(["  ", line, "\n"]);
    }

    pub fn details(&self) -> String {
        format!("Where the time goes\n{}", self.details)
    }

    pub fn markdown(&self) -> String {
        let rows = self.rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
        markdown(&["What", "Measured: median [least-most]", "To reach", "Reached"], &rows)
    }
}

/// Returns a table whose columns are aligned in plain text, too.
pub fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<_> = head.iter().map(|&cell| cell.to_owned()).collect();
    let lines = || std::iter::once(&head).chain(rows);
    let width = |column: usize| lines().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    [&head, &rule].into_iter().chain(rows).map(line).collect()
}
