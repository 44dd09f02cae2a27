//! The table bug → layer → seeds needed: `bugs [--rounds N] [--only NAME] [--json FILE]`.
//!
//! The bugs are compiled only with the feature `bugs`; built without, this program builds itself with
//! it and hands over.

use std::process::ExitCode;

#[cfg(not(feature = "bugs"))]
fn main() -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .args(["run", "--quiet", "--release", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .args(["--features", "bugs", "--bin", "bugs", "--"])
        .args(std::env::args_os().skip(1))
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the bugs are behind a feature, and cargo does not start: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "bugs")]
fn main() -> ExitCode {
    hunt::main()
}

#[cfg(feature = "bugs")]
mod hunt {
    use std::ops::Range;
    use std::path::PathBuf;
    use std::process::ExitCode;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use chaos_tests::bugs::{Case, Found, hunt_in_simulation, layer1_cases, layer2_cases, median};
    use clap::Parser;
    use serde_json::json;

    /// Deliberate bugs, and how many seeds it takes to find each.
    #[derive(Parser)]
    struct Args {
        /// How often each bug of the domain is looked for, every time from other seeds.
        #[arg(long, default_value_t = 9)]
        rounds: u64,
        /// As above, for bugs that whole clusters are needed for.
        #[arg(long, default_value_t = 3)]
        cluster_rounds: u64,
        /// Seeds after which a round gives up.
        #[arg(long, default_value_t = 200)]
        seeds_max: u64,
        /// Only bugs with this in their name.
        #[arg(long)]
        only: Option<String>,
        /// Hunts at once; as many as there are processors unless said.
        #[arg(long)]
        jobs: Option<usize>,
        /// Where to write the report.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Runs one seed of a whole cluster with this bug and says what is wrong.
        #[arg(long, requires = "seed", value_name = "NAME")]
        hunt: Option<String>,
        #[arg(long)]
        seed: Option<u64>,
        /// Where the trace of the one seed goes.
        #[arg(long, requires = "hunt")]
        trace: Option<PathBuf>,
    }

    pub fn main() -> ExitCode {
        let args = Args::parse();
        if let (Some(name), Some(seed)) = (&args.hunt, args.seed) {
            return one(&args, name, seed);
        }
        // A bug may well make the domain panic: that is a finding, not noise.
        std::panic::set_hook(Box::new(|_| {}));
        let hunter = match std::env::current_exe() {
            Ok(hunter) => hunter,
            Err(error) => {
                eprintln!("this program does not know where it is: {error}");
                return ExitCode::FAILURE;
            }
        };
        let domain = layer1_cases().into_iter().map(|case| (case, args.rounds));
        let whole = layer2_cases(&hunter).into_iter();
        let whole = whole.map(|case| (case, args.cluster_rounds));
        let wanted = |case: &Case| {
            args.only
                .as_ref()
                .is_none_or(|only| case.name.contains(only))
        };
        let cases: Vec<_> = domain
            .chain(whole)
            .filter(|(case, _)| wanted(case))
            .collect();
        let found = hunt_all(&args, &cases);
        match report(&args, &cases, &found) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }

    fn one(args: &Args, name: &str, seed: u64) -> ExitCode {
        match hunt_in_simulation(name, seed, args.trace.as_deref()) {
            Ok(wrong) => {
                println!("{}", wrong.unwrap_or_default());
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn hunt_all(args: &Args, cases: &[(Case, u64)]) -> Vec<Option<Found>> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new((0..cases.len()).map(|_| None).collect::<Vec<_>>());
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let work = || {
            while let Some((case, rounds)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let rounds: Vec<Range<u64>> = (1..=*rounds)
                    .map(|round| round * 1_000_000..round * 1_000_000 + args.seeds_max)
                    .collect();
                let what = case.find(&rounds);
                eprintln!("{}: {:?}", case.name, what.seeds_needed);
                let at = cases.iter().position(|(other, _)| other.name == case.name);
                if let (Some(at), Ok(mut found)) = (at, found.lock()) {
                    found[at] = Some(what);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..args.jobs.unwrap_or(processors).max(1) {
                scope.spawn(work);
            }
        });
        found.into_inner().unwrap_or_default()
    }

    fn report(args: &Args, cases: &[(Case, u64)], found: &[Option<Found>]) -> bool {
        let (mut rows, mut medians) = (Vec::new(), Vec::new());
        let mut false_alarms = 0;
        println!("| bug | layer | seeds needed (median of rounds) |");
        println!("|---|---|---|");
        for ((case, rounds), found) in cases.iter().zip(found) {
            let median = found.as_ref().and_then(Found::median);
            medians.extend(median);
            let needed = median.map_or("not found".to_owned(), |seeds| seeds.to_string());
            println!(
                "| {} | {} | {needed} ({rounds} rounds) |",
                case.name, case.layer
            );
            let alarms = found.as_ref().map(|found| &found.false_alarms);
            for (seed, wrong) in alarms.into_iter().flatten() {
                false_alarms += 1;
                eprintln!("seed {seed} without \"{}\": {wrong}", case.name);
            }
            rows.push(json!({
                "bug": case.name,
                "layer": case.layer,
                "seeds_needed": found.as_ref().map(|found| &found.seeds_needed),
                "median_seeds": median,
                "wrong": found.as_ref().and_then(|found| found.wrong.as_ref()),
                "false_alarms": alarms,
            }));
        }
        let (bugs, found) = (cases.len(), medians.len());
        let report = json!({
            "bugs": bugs,
            "found": found,
            "median_seeds": median(medians),
            "false_alarms": false_alarms,
            "table": rows,
        });
        println!(
            "{found} of {bugs} found, median {} seeds, {false_alarms} false alarms",
            report["median_seeds"]
        );
        if let Some(path) = &args.json
            && let Err(error) = std::fs::write(path, format!("{report:#}\n"))
        {
            eprintln!("{}: {error}", path.display());
            return false;
        }
        found == bugs && false_alarms == 0
    }
}
