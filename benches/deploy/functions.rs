//! What the functions cost by themselves: cold starts, the first event, and the packages.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::{
    Bench, Result,
    measure::{Run, measure},
    report::{Spread, Table, Target, mebibytes},
};

/// The number of runs of one kind. It is odd, so that the median is one of them.
const STARTS: usize = 101;
const CREATES: usize = 15;

/// The empty Lambda loads the runtime and nothing else. What a function adds to it should be small beside it.
const COLD_START: Target = Target::AtMost(1.3, "times");
/// Python and boto3 set the scale. A function that mostly waits should need next to nothing of what they need.
const CPU: Target = Target::AtLeast(60.0, "times less");
const WALL: Target = Target::AtLeast(10.0, "times less");
/// Lambda's smallest function has 128 MB; the runtime and the system need some of them.
const PEAK: Target = Target::AtMost(24.0, "MiB");
/// Lambda loads the whole package before a cold start.
const PROVIDER_PACKAGE: Target = Target::AtMost(3.5, "MiB");
const ROTATION_PACKAGE: Target = Target::AtMost(2.7, "MiB");

impl Bench {
    pub fn cold_starts(&self, table: &mut Table) -> Result<()> {
        let start = |program: &Path| measure(&self.world, &[program], Vec::new(), Duration::ZERO);
        let [empty, provider, rotation] =
            in_turns(STARTS, || Ok([start(&self.empty)?, start(&self.provider)?, start(&self.rotation)?]))?;
        let (wall, cpu) = (|run: &Run| run.cold_start, |run: &Run| run.cpu);
        for (name, runs) in [("provider", &provider), ("rotation", &rotation)] {
            let (own, floor) = (Spread::of(runs, wall), Spread::of(&empty, wall));
            let (own_cpu, floor_cpu) = (Spread::of(runs, cpu), Spread::of(&empty, cpu));
            let ratio = own.over(&floor);
            let cpu = own_cpu.over(&floor_cpu);
            let measured = format!("{ratio:.2} times ({own} to {floor}; in CPU time {cpu:.2})");
            table.limit(&format!("cold start of `{name}`, over the empty Lambda"), ratio, measured, COLD_START);
        }
        Ok(())
    }

    pub fn cold_creates(&self, table: &mut Table) -> Result<()> {
        let create = |program: &[&Path]| self.create(program, 1, Duration::ZERO);
        let [own, plain] =
            in_turns(CREATES, || Ok([create(&[&self.provider])?, create(&[&self.python, &self.boto3])?]))?;
        let mut compare = |what: &str, figure: fn(&Run) -> Duration, target| {
            let (own, plain) = (Spread::of(&own, figure), Spread::of(&plain, figure));
            let ratio = plain.over(&own);
            table.limit(what, ratio, format!("{ratio:.1} times less than boto3 ({own} to {plain})"), target);
        };
        compare("cold Create, CPU time", |run| run.cpu, CPU);
        compare("cold Create, wall", |run| run.wall, WALL);
        let peak = |runs: &[Run]| mebibytes(runs.iter().map(|run| run.peak_resident_kib * 1024).max());
        let (most, plain) = (peak(&own), peak(&plain));
        table.limit("peak memory after it", most, format!("{most:.1} MiB (boto3: {plain:.0} MiB)"), PEAK);
        Ok(())
    }

    pub fn packages(&self, table: &mut Table) -> Result<()> {
        fs::create_dir_all(&self.work)?;
        let packages = [("provider", &self.provider, PROVIDER_PACKAGE), ("rotation", &self.rotation, ROTATION_PACKAGE)];
        for (name, program, target) in packages {
            let zip = self.work.join(format!("{name}.zip"));
            // The same library with the same settings as `sam deploy` and `sam package`.
            let status = Command::new(&self.python).args(["-m", "zipfile", "-c"]).arg(&zip).arg(program).status()?;
            if !status.success() {
                return Err(format!("zipping {name}: {status}").into());
            }
            let size = mebibytes(Some(fs::metadata(&zip)?.len()));
            let unzipped = mebibytes(Some(fs::metadata(program)?.len()));
            let measured = format!("{size:.2} MiB ({unzipped:.1} MiB unzipped)");
            table.limit(&format!("package of `{name}`"), size, measured, target);
        }
        Ok(())
    }
}

/// Runs so many rounds of programs that take turns, so that other work on the machine slows all of them alike. The
/// first round only warms its caches, and does not count.
fn in_turns<const N: usize>(rounds: usize, round: impl Fn() -> Result<[Run; N]>) -> Result<[Vec<Run>; N]> {
    round()?;
    let mut all = std::array::from_fn(|_| Vec::new());
    for _ in 0..rounds {
        for (runs, run) in all.iter_mut().zip(round()?) {
            runs.push(run);
        }
    }
    Ok(all)
}
