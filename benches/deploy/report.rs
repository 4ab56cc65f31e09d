//! The report: the table of figures and the timelines of the calls.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use tokio::time::Instant;

use crate::{
    LATENCY,
    chains::{Chain, floor},
    measure::Run,
    world::Call,
};

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
    pub fn of(runs: &[Run], figure: impl Fn(&Run) -> Duration) -> Self {
        let mut all: Vec<_> = runs.iter().map(figure).collect();
        all.sort();
        let at = |index: usize| all.get(index).copied().unwrap_or_default();
        Self { median: at(all.len() / 2), least: at(0), most: at(all.len().saturating_sub(1)) }
    }

    pub fn over(&self, other: &Self) -> f64 {
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
pub fn mebibytes(bytes: Option<u64>) -> f64 {
    bytes.unwrap_or_default() as f64 / MIB
}

/// The table. A row without a name continues the one above it.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    pub fn row(&mut self, what: &str, measured: String, target: &str, reached: bool) {
        let reached = if reached { "yes" } else { "no" };
        self.rows.push([what.to_owned(), measured, target.to_owned(), reached.to_owned()]);
    }

    pub fn more(&mut self, measured: String) {
        self.rows.push([String::new(), measured, String::new(), String::new()]);
    }

    /// Compares a wall with its floor: latency times the longest chain, and the pace limit.
    pub fn ratio(&mut self, what: &str, runs: &[Run], chain: Chain, clients: usize, targeted: bool) {
        let floor = floor(chain, clients, LATENCY);
        let wall = Spread::of(runs, |run| run.wall);
        let ratio = wall.median.as_secs_f64() / floor.as_secs_f64();
        let measured = format!("{ratio:.2}: {wall} to {} ms, a chain of {}", floor.as_millis(), chain.len());
        if targeted {
            self.row(what, measured, "at most 1.15", ratio <= 1.15);
        } else {
            self.rows.push([what.to_owned(), measured, "none".to_owned(), String::new()]);
        }
        // What the time between the floor and the wall goes to.
        let start = Spread::of(runs, |run| run.cold_start).median;
        let over = wall.median.saturating_sub(floor);
        let refused = |run: &Run| run.calls.iter().filter(|call| call.refused && call.is_write()).count();
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

    pub fn text(&self) -> String {
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
