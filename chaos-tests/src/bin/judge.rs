//! The judge from the shell: `judge FILE [--json FILE]`, or `judge --generate N FILE` to write one.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use chaos_tests::history::check::{Verdict, check};
use chaos_tests::history::generate::{Wanted, generate};
use chaos_tests::history::record::{read, write};
use clap::Parser;
use serde_json::json;

/// Whether what clients saw could have come from a sale that does one thing at a time.
#[derive(Parser)]
struct Args {
    /// The history, one JSON value a line.
    history: PathBuf,
    /// Writes a legal history of so many operations instead of judging one.
    #[arg(long)]
    generate: Option<usize>,
    /// Draws the history that is written.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to write the report.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.generate {
        Some(ops) => write_history(&args.history, ops, args.seed),
        None => judge(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("{}: {error}", args.history.display());
        ExitCode::FAILURE
    })
}

fn write_history(path: &Path, ops: usize, seed: u64) -> std::io::Result<ExitCode> {
    let records = generate(&Wanted {
        seed,
        ops,
        clients: 64,
        rows: 100,
        seats_in_row: 50,
        hold_ttl_ms: 60_000,
        lost: 20,
        retried: 100,
        reads: 5,
        finals: 3,
    });
    write(&records, BufWriter::new(File::create(path)?))?;
    Ok(ExitCode::SUCCESS)
}

fn judge(args: &Args) -> std::io::Result<ExitCode> {
    let started = Instant::now();
    let records = read(BufReader::new(File::open(&args.history)?))?;
    let read_s = started.elapsed().as_secs_f64();
    let (verdict, tally) = check(&records);
    if tally.ops == 0 {
        return Err(std::io::Error::other("there is no call to judge"));
    }
    let (name, why) = match &verdict {
        Verdict::Legal => ("legal", None),
        Verdict::Illegal(why) => ("illegal", Some(why)),
        Verdict::Undecided(why) => ("undecided", Some(why)),
    };
    let report = json!({
        "verdict": name,
        "why": why,
        "sales": tally.sales,
        "operations": tally.ops,
        "unanswered": tally.unknown,
        "finals": tally.finals,
        "read_s": read_s,
        "seconds": started.elapsed().as_secs_f64(),
    });
    println!("{report:#}");
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{report:#}\n"))?;
    }
    Ok(match verdict {
        Verdict::Legal => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
