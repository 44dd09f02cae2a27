//! The table bug → layer → seeds needed: `bugs [--rounds N] [--json FILE]`.
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

    use chaos_tests::bugs::{layer1_cases, median};
    use clap::Parser;
    use serde_json::json;

    /// Deliberate bugs, and how many seeds it takes to find each.
    #[derive(Parser)]
    struct Args {
        /// How often each bug is looked for, every time from other seeds.
        #[arg(long, default_value_t = 9)]
        rounds: u64,
        /// Seeds after which a round gives up.
        #[arg(long, default_value_t = 1_000)]
        seeds_max: u64,
        /// Where to write the report.
        #[arg(long)]
        json: Option<PathBuf>,
    }

    pub fn main() -> ExitCode {
        let args = Args::parse();
        // A bug may well make the domain panic: that is a finding, not noise.
        std::panic::set_hook(Box::new(|_| {}));
        let rounds: Vec<Range<u64>> = (1..=args.rounds)
            .map(|round| round * 1_000_000..round * 1_000_000 + args.seeds_max)
            .collect();
        let cases = layer1_cases();
        let (mut rows, mut medians) = (Vec::new(), Vec::new());
        println!("| bug | layer | seeds needed (median of {}) |", args.rounds);
        println!("|---|---|---|");
        for case in &cases {
            let found = case.find(&rounds);
            let median = found.median();
            medians.extend(median);
            let needed = median.map_or("not found".to_owned(), |seeds| seeds.to_string());
            println!("| {} | {} | {needed} |", case.name, case.layer);
            rows.push(json!({
                "bug": case.name,
                "layer": case.layer,
                "seeds_needed": found.seeds_needed,
                "median_seeds": median,
                "wrong": found.wrong,
            }));
        }
        let (bugs, found) = (cases.len(), medians.len());
        let report = json!({
            "bugs": bugs,
            "found": found,
            "median_seeds": median(medians),
            "table": rows,
        });
        println!(
            "{found} of {bugs} found, median {} seeds",
            report["median_seeds"]
        );
        if let Some(path) = &args.json
            && let Err(error) = std::fs::write(path, format!("{report:#}\n"))
        {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
        match found == bugs {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
