//! `onsale demo`: three real nodes sell out a venue to a crowd while nodes are killed; then an
//! audit compares what buyers were told with what each replica holds.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::local::{Profile, Settings};
use crate::plan;

/// Also read by the tests with real faults.
pub mod audit;
mod buyers;
mod evening;
mod house;
mod kills;
pub mod ledger;
mod observe;
mod party;
mod queue;
mod report;
mod screen;
mod watcher;

use evening::{Evening, Kept};
use kills::Plan;
use report::Report;

/// Arguments of the subcommand.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Three node processes with durable folders on loopback, two partners, a waiting room that lets some \
hundred visitors in a second. Buyers think before they pay, so that the sale of the default venue \
takes about half a minute and can be watched; `onsale bench` shows how fast it goes without people. \
The exit status is not zero when a seat was sold twice, an acknowledged order or a place in the \
room was lost, somebody was let in out of sequence, the replicas do not agree, or the house is not \
sold out.")]
pub struct Args {
    /// A seating plan in the JSON format of seats.pretix.eu, instead of our own bowl.
    #[arg(long, value_name = "FILE", conflicts_with = "seats")]
    plan: Option<PathBuf>,
    /// Make ids for seats of the plan that share theirs, instead of refusing it.
    #[arg(long, requires = "plan")]
    dedupe: bool,
    /// A bowl of so many seats.
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=i64::from(plan::BOWL_SEATS_MAX)))]
    seats: Option<u32>,
    /// So many visitors come to the waiting room, instead of five for each place.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    visitors: Option<u64>,
    /// Kill random nodes so many times, instead of the leader halfway; 0 kills none.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1000))]
    kills: Option<u32>,
    /// About how long the crowd takes without the kills, seconds.
    #[arg(long, default_value_t = 22, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Seed of the crowd and the kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time-outs of the cluster.
    #[arg(long, value_enum, default_value_t)]
    profile: Profile,
    /// Write the figures here as JSON; `-` is the standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave the cluster up until Ctrl-C, and print its addresses and keys.
    #[arg(long)]
    keep: bool,
    /// Start Prometheus beside the nodes, if it is installed; with --keep it stays up with them.
    #[arg(long)]
    observe: bool,
    /// Keep the nodes' folders here; it must be empty.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// Holds nobody pays for come back after this.
const HOLD_TTL_S: u32 = 8;
const NODES: usize = 3;
const VISITORS_A_PLACE: u64 = 5;

/// A plan that was found good before anything is started.
struct Venue {
    plan: Vec<u8>,
    places: u64,
    name: String,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let venue = venue(&args)?;
    if let Some(file) = &args.json
        && file.as_os_str() != "-"
    {
        std::fs::File::create(file)
            .with_context(|| format!("--json: cannot write {}", file.display()))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let (report, kept) = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            sold = evening(&args, &venue) => sold?,
        };
        tell(&args, &report)?;
        if args.keep {
            // Here Ctrl-C is how one goes home.
            keep(&kept).await?;
        }
        match report.broken_claims() {
            broken if broken.is_empty() => Ok(()),
            broken => bail!("{} (seed {})", broken.join("; "), args.seed),
        }
    })
}

async fn evening(args: &Args, venue: &Venue) -> anyhow::Result<(Report, Kept)> {
    let mut settings = Settings::of_this_program(NODES, args.profile)?;
    settings.data.clone_from(&args.data);
    let evening = Evening::prepare(settings, args, venue).await?;
    evening.sell(args).await
}

fn tell(args: &Args, report: &Report) -> anyhow::Result<()> {
    eprint!("{}", report.text());
    match &args.json {
        Some(file) if file.as_os_str() == "-" => println!("{}", report.json()),
        Some(file) => std::fs::write(file, report.json() + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?,
        None => {}
    }
    Ok(())
}

/// Waits for Ctrl-C with the cluster up.
async fn keep(kept: &Kept) -> anyhow::Result<()> {
    eprintln!(
        "\n  The cluster is up until Ctrl-C; its folder is {}",
        kept.local.folder().display()
    );
    for node in kept.local.nodes() {
        eprintln!(
            "    node {}  gRPC {}  HTTP http://{}/",
            node.id, node.partner_address, node.http_address
        );
    }
    if let Some(observer) = &kept.observer {
        eprintln!("    Prometheus http://{}/", observer.address);
    }
    eprintln!("    operator key {}", kept.local.operator_key());
    for partner in &kept.partners {
        eprintln!("    key of {}: {}", partner.name, partner.key);
    }
    eprintln!("    event {}", kept.event);
    tokio::signal::ctrl_c()
        .await
        .context("cannot wait for Ctrl-C")
}

/// Reads or makes the plan, and says in one line what is wrong with it.
fn venue(args: &Args) -> anyhow::Result<Venue> {
    let (bytes, of) = match (&args.plan, args.seats) {
        (Some(file), _) => {
            let length = std::fs::metadata(file)
                .with_context(|| format!("cannot read the plan {}", file.display()))?
                .len();
            if length > plan::BYTES_MAX as u64 {
                bail!("the plan {} is {length} bytes long", file.display());
            }
            let bytes = std::fs::read(file)
                .with_context(|| format!("cannot read the plan {}", file.display()))?;
            (bytes, file.display().to_string())
        }
        (None, Some(seats)) => (plan::bowl(seats).to_json(), format!("a bowl of {seats}")),
        (None, None) => (plan::BOWL.to_vec(), "our bowl".to_owned()),
    };
    let options = plan::Options {
        dedupe: args.dedupe,
        ..plan::Options::default()
    };
    let imported = plan::read(&bytes, &options)
        .map_err(|fault| anyhow::anyhow!("the plan {of} is not usable: {fault}"))?;
    let seats: u64 = imported
        .seat_map
        .sections
        .iter()
        .map(|section| {
            let rows: usize = section.rows.iter().map(|row| row.seats.len()).sum();
            rows as u64 + u64::from(section.capacity)
        })
        .sum();
    let places = seats.saturating_sub(imported.blocked.len() as u64);
    if places == 0 {
        bail!("the plan {of} has nothing for sale");
    }
    Ok(Venue {
        plan: bytes,
        places,
        name: imported.seat_map.name,
    })
}

/// How long the crowd should take; kills need time between them.
fn pace(args: &Args) -> Duration {
    const PER_KILL: u32 = 3;
    let kills = args.kills.unwrap_or(1);
    Duration::from_secs(u64::from(args.seconds.max(kills * PER_KILL)))
}

/// How many come.
fn visitors(args: &Args, venue: &Venue) -> u64 {
    args.visitors.unwrap_or(venue.places * VISITORS_A_PLACE)
}

fn kill_plan(args: &Args) -> Plan {
    match args.kills {
        None => Plan::LeaderHalfway,
        Some(kills) => Plan::Random(kills),
    }
}

#[cfg(test)]
mod tests;
