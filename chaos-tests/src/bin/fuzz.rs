//! Fuzz targets from the shell, on stable Rust: `fuzz [--target NAME] [--seconds N] [--json FILE]`.
//! `cargo fuzz` (see `chaos-tests/fuzz/`) runs the same functions with coverage.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chaos_tests::fuzz::drive::{Until, drive, fails, from_hex, kept, to_hex};
use chaos_tests::fuzz::{TARGETS, Target, target};
use clap::Parser;
use serde_json::json;

/// Feeds whatever comes from outside or off a disk with anything at all.
#[derive(Parser)]
struct Args {
    /// Only this one; all in turn without it.
    #[arg(long, value_parser = named)]
    target: Option<&'static str>,
    /// Names them and ends.
    #[arg(long)]
    list: bool,
    /// Time for each target.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Of the changes to inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run this one input, given as digits of its bytes.
    #[arg(long, requires = "target")]
    hex: Option<String>,
    /// Write the inputs that `cargo fuzz` may start from below this folder, and run nothing.
    #[arg(long, value_name = "FOLDER")]
    corpus: Option<PathBuf>,
    /// Where to write the report.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn named(name: &str) -> Result<&'static str, String> {
    match target(name) {
        Some(target) => Ok(target.name),
        None => {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            Err(format!("the targets are {}", names.join(", ")))
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| args.target.is_none_or(|name| name == target.name))
        .collect();
    if args.list {
        chosen.iter().for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    }
    if let Some(folder) = &args.corpus {
        return match write_corpus(&chosen, folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => told(&format!("{}: {error}", folder.display())),
        };
    }
    if let Some(hex) = &args.hex {
        let Some(input) = from_hex(hex) else {
            return told("--hex: pairs of hexadecimal digits");
        };
        return match fails(chosen[0], &input) {
            None => ExitCode::SUCCESS,
            Some(why) => told(&why),
        };
    }
    // What a target finds is reported with the input that shows it.
    std::panic::set_hook(Box::new(|_| {}));
    let mut reports = Vec::new();
    let (mut executions, mut crashes) = (0, 0);
    for target in chosen {
        let began = Instant::now();
        let until = Until::Time(began + Duration::from_secs(args.seconds));
        let kept = match kept(target.name) {
            Ok(kept) => kept,
            Err(error) => return told(&error.to_string()),
        };
        let found = drive(target, &kept, args.seed, until);
        let tried = found.as_ref().copied().unwrap_or(0);
        let crash = found.err().map(|found| {
            eprintln!("{}: {}", target.name, found.why);
            let hex = to_hex(&found.input);
            eprintln!("repeat it: --target {} --hex {hex}", target.name);
            json!({ "why": found.why, "hex": hex })
        });
        executions += tried;
        crashes += u32::from(crash.is_some());
        eprintln!("{}: {tried} inputs of {}", target.name, target.what);
        reports.push(json!({
            "target": target.name,
            "executions": tried,
            "seconds": began.elapsed().as_secs_f64(),
            "crash": crash,
        }));
    }
    let report = json!({
        "targets": reports.len(),
        "executions": executions,
        "crashes": crashes,
        "each": reports,
    });
    println!("{report:#}");
    if let Some(path) = &args.json
        && let Err(error) = std::fs::write(path, format!("{report:#}\n"))
    {
        return told(&format!("{}: {error}", path.display()));
    }
    match crashes {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn told(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

fn write_corpus(targets: &[&Target], folder: &std::path::Path) -> std::io::Result<()> {
    for target in targets {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        let kept = kept(target.name)?;
        for (number, input) in (target.corpus)().iter().chain(&kept).enumerate() {
            std::fs::write(folder.join(format!("sample-{number}")), input)?;
        }
    }
    Ok(())
}
