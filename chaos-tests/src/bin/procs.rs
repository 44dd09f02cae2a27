//! `procs`: real nodes under real faults. `procs --list` names the scenarios; what this machine cannot
//! do is SKIPPED, with the reason.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chaos_tests::history::record;
use chaos_tests::procs::cluster::{self, Plan};
use chaos_tests::procs::facility::{Facilities, Need};
use chaos_tests::procs::scenario::{self, Scenario, Wishes};
use chaos_tests::procs::sum::{Outcome, Sum};
use chaos_tests::procs::{Trouble, leftovers, words};
use clap::Parser;

/// Real nodes, driven through the public API, under real faults.
#[derive(Parser)]
#[command(
    after_help = "`procs serve --config FILE` is the node itself, the same as `onsale serve`: \
                        what is tested when no `onsale` as new as this program lies beside it."
)]
struct Args {
    /// Scenarios by name, with commas between, or `all`.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    scenario: Vec<String>,
    /// Names them and ends.
    #[arg(long)]
    list: bool,
    /// Takes back what runs left behind that were killed, and ends.
    #[arg(long)]
    cleanup: bool,
    /// Draws what is left to chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Nodes, instead of what the scenario says: 3 or 5.
    #[arg(long, value_parser = clap::value_parser!(u8).range(3..=5))]
    nodes: Option<u8>,
    /// Leaders that each failover scenario loses.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// How often the faults of each scenario strike.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// How long the mix goes on, seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[arg(long, default_value_t = 8)]
    buyers: u32,
    /// The nodes' time-outs: fast, or default.
    #[arg(long, default_value = "fast", value_parser = ["fast", "default"])]
    profile: String,
    /// The node's program.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Another version of it, for the scenario two_versions.
    #[arg(long, value_name = "FILE")]
    second_binary: Option<PathBuf>,
    /// Where the nodes' disks lie, instead of in memory: a disk that others are busy with makes faults
    /// of its own.
    #[arg(long, value_name = "FOLDER")]
    work: Option<PathBuf>,
    /// Where the figures go.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where each scenario's history goes, one JSON value a line, as `judge` reads it.
    #[arg(long, value_name = "FOLDER")]
    histories: Option<PathBuf>,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return onsale::cli::Cli::run(std::env::args_os());
    }
    match act(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("procs: {}", words(&error));
            ExitCode::FAILURE
        }
    }
}

fn act(args: &Args) -> Result<bool, Trouble> {
    if args.list {
        for scenario in scenario::ALL {
            println!("{:22} {}", scenario.name, scenario.about);
        }
        return Ok(true);
    }
    for line in leftovers::sweep()? {
        println!("procs: a run was killed before: {line}");
    }
    if args.cleanup {
        return Ok(true);
    }
    let chosen = choose(&args.scenario)?;
    let wishes = wishes(args)?;
    println!("procs: the node is {}", wishes.plan.binary.display());
    let facilities = Facilities::find(&wishes.plan.work, args.second_binary.is_some())?;
    if let Some(lack) = facilities.lacks(Need::Namespaces) {
        println!("procs: {lack}: nodes stand on loopback, buyers come through a proxy");
    }
    let mut sum = Sum::default();
    for scenario in chosen {
        let mut report = scenario.run(&wishes, &facilities);
        println!("{report}");
        if let Some(folder) = &args.histories
            && !matches!(report.outcome, Outcome::Skipped(_))
        {
            std::fs::create_dir_all(folder)?;
            let file = File::create(folder.join(format!("{}.jsonl", report.name)))?;
            record::write(&report.records, BufWriter::new(file))?;
        }
        report.records = Vec::new();
        sum.reports.push(report);
        if let Some(file) = &args.json {
            std::fs::write(file, sum.json())?;
        }
    }
    println!("{sum}");
    Ok(sum.is_good())
}

fn choose(names: &[String]) -> Result<Vec<&'static Scenario>, Trouble> {
    let mut chosen = Vec::new();
    for name in names {
        match name.as_str() {
            "all" => chosen.extend(scenario::ALL),
            name => chosen.push(scenario::by_name(name).ok_or_else(|| {
                format!("there is no scenario {name}; `procs --list` names them")
            })?),
        }
    }
    Ok(chosen)
}

fn wishes(args: &Args) -> Result<Wishes, Trouble> {
    let plan = Plan {
        nodes: 3,
        binary: match &args.binary {
            Some(file) => file.canonicalize()?,
            None => beside()?,
        },
        second_binary: args
            .second_binary
            .clone()
            .map(|file| file.canonicalize())
            .transpose()?,
        work: args.work.clone().unwrap_or_else(cluster::work),
        disk_mib: 192,
        wrong_clocks: false,
        fast: args.profile == "fast",
        sale_groups: 2,
    };
    Ok(Wishes {
        plan,
        seed: args.seed,
        buyers: args.buyers,
        rounds: args.rounds.max(1),
        kills: args.kills,
        mix: Duration::from_secs(args.seconds),
        nodes: args.nodes.map(usize::from),
    })
}

/// `onsale` beside this program, or this program itself should it be newer: it is a node too.
fn beside() -> Result<PathBuf, Trouble> {
    let this = std::env::current_exe()?;
    let other = this.with_file_name("onsale");
    let made = |file: &PathBuf| std::fs::metadata(file).and_then(|data| data.modified());
    Ok(match (made(&other), made(&this)) {
        (Ok(theirs), Ok(ours)) if theirs >= ours => other,
        _ => this,
    })
}
