//! Load shapes from the shell: `load [--shape curve|storm|soak|all] [--seconds N] [--json FILE]`.
//!
//! The nodes are this program too, started with `serve`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use chaos_tests::load::curve::{self, Curve, TIMES};
use chaos_tests::load::run::capacity;
use chaos_tests::load::scene::{Cluster, Scene};
use chaos_tests::load::soak::{self, Soak};
use chaos_tests::load::storm::{self, Storm, Times, Trigger};
use clap::{Parser, ValueEnum};
use serde::Serialize;

/// What three real nodes do when more is offered than they can do.
#[derive(Parser)]
struct Args {
    #[arg(long, value_enum, default_value_t = Shape::All)]
    shape: Shape,
    /// Measured time of each point of the curve, and of each part of a storm.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Only the storm that this starts.
    #[arg(long, value_enum)]
    trigger: Option<Trigger>,
    /// The part of the capacity that comes before and after a storm.
    #[arg(long, default_value_t = storm::CALM)]
    calm: f64,
    /// Time of the soak.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(2..=86_400))]
    soak_seconds: u64,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=7))]
    nodes: u64,
    /// Of who comes when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The nodes' executable, instead of this one.
    #[arg(long)]
    onsale: Option<PathBuf>,
    /// Where to write the report.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    Curve,
    Storm,
    Soak,
    All,
}

#[derive(Default, Serialize)]
struct Report {
    cores: usize,
    curve: Option<Curve>,
    storms: Vec<Storm>,
    soak: Option<Soak>,
    accepted: bool,
}

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == "serve")
    {
        return onsale::cli::Cli::run(std::env::args_os());
    }
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let measured = runtime
        .context("cannot start a runtime")
        .and_then(|runtime| runtime.block_on(measure(&args)));
    let report = match measured {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let text = serde_json::to_string_pretty(&report).unwrap_or_default();
    println!("{text}");
    if let Some(file) = &args.json
        && let Err(error) = std::fs::write(file, text + "\n")
    {
        eprintln!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    match report.accepted {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

async fn measure(args: &Args) -> anyhow::Result<Report> {
    let seconds = Duration::from_secs(args.seconds);
    let mut report = Report {
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        ..Report::default()
    };
    let asked = |shape| args.shape == shape || args.shape == Shape::All;
    if asked(Shape::Curve) {
        let (cluster, scene) = start(args).await?;
        let mut tell = |point: &curve::Point| {
            eprintln!(
                "{:>6} x: {:>9.0}/s offered, {:>9.0}/s sent, {:>8.0}/s served; p50 {:.1} ms, p99 {:.1} ms, \
                 p99.9 {:.1} ms; {} refused, {} not taken, {} late",
                point.times,
                point.offered_per_s,
                point.sent_per_s,
                point.goodput_per_s,
                point.p50_ms,
                point.p99_ms,
                point.p999_ms,
                point.visitors.refused,
                point.visitors.not_taken,
                point.visitors.late,
            );
            if let Some(shortfall) = &point.shortfall {
                eprintln!("          {shortfall}");
            }
        };
        report.curve =
            Some(curve::measure(&cluster, &scene, args.seed, seconds, &TIMES, &mut tell).await?);
    }
    if asked(Shape::Storm) {
        let all = [Trigger::Nothing, Trigger::LeaderKilled, Trigger::Overload];
        let triggers = args.trigger.as_ref().map_or(&all[..], std::slice::from_ref);
        for &trigger in triggers {
            let (mut cluster, scene) = start(args).await?;
            let per_s = capacity(&scene, args.seed, seconds / 2).await?;
            let times = Times {
                calm: args.calm,
                before: seconds,
                trigger: seconds / 2,
                after: 3 * seconds,
            };
            let storm =
                storm::measure(&mut cluster, &scene, args.seed, trigger, times, per_s).await?;
            eprintln!("{storm:?}");
            report.storms.push(storm);
        }
    }
    if asked(Shape::Soak) {
        let (cluster, scene) = start(args).await?;
        let per_s = capacity(&scene, args.seed, seconds / 2).await?;
        let time = Duration::from_secs(args.soak_seconds);
        let soak = soak::measure(&cluster, &scene, args.seed, time, per_s).await?;
        eprintln!("{soak:?}");
        report.soak = Some(soak);
    }
    report.accepted = report.curve.as_ref().is_none_or(|curve| curve.accepted)
        && report.storms.iter().all(|storm| storm.accepted);
    Ok(report)
}

async fn start(args: &Args) -> anyhow::Result<(Cluster, Rc<Scene>)> {
    let this = std::env::current_exe().context("cannot tell where this program's file is")?;
    let executable = args.onsale.clone().unwrap_or(this);
    let (cluster, scene) = Cluster::start(&executable, args.nodes as usize).await?;
    Ok((cluster, Rc::new(scene)))
}
