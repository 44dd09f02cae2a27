//! Layer 1 from the shell: `domain --seed N | --seeds A..B [--commands N] [--json FILE]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chaos_tests::layer1::faults::Counts;
use chaos_tests::layer1::run::{CarriedOut, Failure, run};
use chaos_tests::layer1::shrink::{describe, shrink};
use clap::Parser;
use serde_json::json;

/// The pure domain by seed: replicas of one log beside a naive reference.
#[derive(Parser)]
struct Args {
    /// One seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Seeds from A up to B, B not included.
    #[arg(long, value_parser = range, default_value = "0..1000")]
    seeds: Range<u64>,
    /// Commands a seed.
    #[arg(long, default_value_t = 2_000)]
    commands: usize,
    /// Where to write the report.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parsed = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed
        .filter(|range: &Range<u64>| !range.is_empty())
        .ok_or_else(|| format!("{text} is not a range like 0..1000"))
}

/// Events of a failure that are shown.
const TAIL: usize = 40;

/// From so many commands on, a fault that never happened, and a command that was never carried out, means that nothing was proved about it.
const COVERAGE_FROM: u64 = 200_000;

fn main() -> ExitCode {
    let args = Args::parse();
    let seeds = match args.seed {
        Some(seed) => seed..seed + 1,
        None => args.seeds.clone(),
    };
    // A panic of the domain is reported with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let (mut commands, mut applied, mut done) = (0, 0, 0);
    let mut faults = Counts::default();
    let mut carried_out = CarriedOut::default();
    let mut failures = Vec::new();
    for seed in seeds.clone() {
        match run(seed, args.commands) {
            Ok(report) => {
                commands += report.commands;
                applied += report.applied;
                done += report.done;
                faults.add(&report.faults);
                carried_out.add(&report.carried_out);
            }
            Err(failure) => {
                explain(&failure);
                failures.push(seed);
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = cpu_seconds();
    let commands_per_s = (commands as f64 / cpu_seconds) as u64;
    let (missing, never) = match commands >= COVERAGE_FROM {
        true => (faults.missing(), carried_out.missing()),
        false => (Vec::new(), Vec::new()),
    };
    let by_kind = carried_out.iter().collect::<BTreeMap<_, _>>();
    let report = json!({
        "seeds": seeds.end - seeds.start,
        "violations": failures.len(),
        "failed_seeds": failures,
        "commands": commands,
        "done": done,
        "applied": applied,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "commands_per_s": commands_per_s,
        "faults": faults.to_json(),
        "faults_that_never_happened": missing,
        "carried_out": by_kind,
        "commands_never_carried_out": never,
    });
    println!("{report:#}");
    if let Some(path) = &args.json
        && let Err(error) = std::fs::write(path, format!("{report:#}\n"))
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    match failures.is_empty() && missing.is_empty() && never.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// What this process has used of its one core: others may share it.
fn cpu_seconds() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

fn explain(failure: &Failure) {
    let (seed, commands) = (failure.plan.seed, failure.plan.commands);
    let command = format!("cargo run -p chaos-tests --release --bin domain -- --seed {seed}");
    eprintln!("seed {seed}: {}", failure.wrong);
    eprintln!("repeat it: {command} --commands {commands}");
    let (events, wrong) = shrink(failure, Duration::from_secs(5));
    eprintln!(
        "{} events, shrunk to {}, after which: {wrong}",
        failure.events.len(),
        events.len()
    );
    eprintln!("{:?}", failure.plan.rules);
    let lines = describe(&events);
    for line in &lines[lines.len().saturating_sub(TAIL)..] {
        eprintln!("  {line}");
    }
}
