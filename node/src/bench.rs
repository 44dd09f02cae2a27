//! `onsale bench`: measured load on real nodes.
//!
//! The nodes are processes of their own with fsync on; this process is the load. It speaks only
//! the public gRPC, in a closed loop: a fixed number of calls is outstanding, and the next is made
//! when one is answered. One operation is a hold and its confirmation, both acknowledged; after a
//! sell-out it is one refused hold.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::local::{Local, Profile, Settings};

mod loadgen;
mod measure;
mod queue;
mod report;
mod setup;
mod stock;
mod stream;
mod tally;
mod unary;
mod workload;

use report::Report;
pub use workload::Workload;

/// Arguments of the subcommand.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
One operation is a hold and its confirmation, both acknowledged by a quorum that has synced its \
disks; in the workload soldout it is one refused hold. The load is a closed loop in a process of \
its own.

Connections go to the nodes that lead the events, as a partner does that asks where a call is \
answered soonest; --spread connects to all nodes in turn, as a partner behind a load balancer, so \
that most calls cross the gateway.

Workloads that sell more seats than there are re-open their event before it is sold out, under \
load and inside the measured time, so that nothing is refused. The workload many sells its 1,000 \
events in rounds; the clock stands still while they are re-opened.

With --overload each sale's queue holds twice the calls of --concurrency, and calls that are \
refused come back after the delay they are told. Goodput is what is done then, as a part of what was \
done before.

The workload queue fills a lobby over packed streams, opens it, asks for places over --sessions \
streams to all nodes for --seconds, and watches places at one node; it has figures of its own.")]
pub struct Args {
    /// What is sold.
    #[arg(long, value_enum, default_value_t = Workload::Hot)]
    workload: Workload,
    /// A session stream with packed calls, or a plain call each.
    #[arg(long, value_enum, default_value_t = Mode::Stream)]
    mode: Mode,
    /// Calls per stream message at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pack: u32,
    /// Calls outstanding, all connections together [default: 4096 by stream, 1024 with one call a
    /// message, 64 by unary calls]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    concurrency: Option<u32>,
    /// Measured time.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Time before it that is not measured, seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=600))]
    warmup: u32,
    /// Node processes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=7))]
    nodes: u32,
    /// Connections.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    sessions: u32,
    /// Connect to all nodes in turn, whoever leads.
    #[arg(long)]
    spread: bool,
    /// Time-outs of the cluster.
    #[arg(long, value_enum, default_value_t)]
    profile: Profile,
    /// Measure so many times on the same nodes; the run with the median throughput is reported.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    repeat: u32,
    /// Then offer so many times as much, more than the sales' queues hold, and compare what is done.
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(2..=100))]
    overload: Option<u32>,
    /// Visitors of the workload queue.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    visitors: u64,
    /// Watched places of the workload queue.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    watchers: u32,
    /// Write the figures here as JSON; `-` is the standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seed of the load: which seats, which ids.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the nodes' folders here.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// The smallest queue a sale may have.
const QUEUE_COMMANDS_MIN: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    Stream,
    Unary,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Stream => "stream",
            Mode::Unary => "unary",
        }
    }
}

impl Args {
    fn warmup(&self) -> Duration {
        Duration::from_secs(self.warmup.into())
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    fn concurrency(&self) -> u32 {
        self.concurrency.unwrap_or(match self.mode {
            Mode::Unary => 64,
            Mode::Stream if self.pack == 1 => 1024,
            Mode::Stream => 4096,
        })
    }

    /// Connections that have at least one call each.
    fn sessions(&self) -> usize {
        self.sessions.min(self.concurrency()) as usize
    }

    /// The same with so many times the calls.
    fn overloaded(&self) -> Option<Args> {
        let times = self.overload?;
        Some(Args {
            concurrency: Some(self.concurrency().saturating_mul(times)),
            overload: None,
            json: None,
            ..self.clone()
        })
    }

    /// What cannot be measured is said before anything is started.
    fn check(&self) -> anyhow::Result<()> {
        let most = self.workload.concurrency_max();
        if self.concurrency() > most {
            bail!(
                "--concurrency {}: the workload {} has seats for {most} operations under way",
                self.concurrency(),
                self.workload.name(),
            );
        }
        let per_session = self.concurrency().div_ceil(self.sessions() as u32);
        if self.mode == Mode::Stream && per_session > 16_384 {
            bail!(
                "--concurrency {}: a session may have 16,384 calls outstanding, use more --sessions",
                self.concurrency()
            );
        }
        if let Some(overloaded) = self.overloaded() {
            overloaded
                .check()
                .with_context(|| format!("--overload {}", self.overload.unwrap_or_default()))?;
        }
        if let Some(file) = &self.json
            && file.as_os_str() != "-"
        {
            std::fs::File::create(file)
                .with_context(|| format!("--json: cannot write {}", file.display()))?;
        }
        Ok(())
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    args.check()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let (text, json) = runtime.block_on(async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            told = told(&args) => told,
        }
    })?;
    // Where the figures go is where scripts look: people read the standard error.
    eprint!("{text}");
    match &args.json {
        Some(file) if file.as_os_str() == "-" => println!("{json}"),
        Some(file) => std::fs::write(file, json + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?,
        None => {}
    }
    Ok(())
}

/// The figures, for people and as JSON.
async fn told(args: &Args) -> anyhow::Result<(String, String)> {
    if args.workload == Workload::Queue {
        let report = queue::measured(args).await?;
        return Ok((report.text(), report.json()));
    }
    let report = measured(args).await?;
    Ok((report.text(), report.json()))
}

async fn measured(args: &Args) -> anyhow::Result<Report> {
    let mut settings = Settings::of_this_program(args.nodes as usize, args.profile)?;
    settings.data.clone_from(&args.data);
    if args.overload.is_some() {
        let sale = &mut settings.base.sale;
        sale.queue_commands = QUEUE_COMMANDS_MIN.max(2 * args.concurrency() as usize);
        sale.batch_commands = sale.batch_commands.min(sale.queue_commands);
    }
    eprintln!(
        "starting {} nodes, workload {}",
        args.nodes,
        args.workload.name()
    );
    let local = Local::started(settings).await?;
    let mut scene = setup::prepare(&local, args).await?;
    let mut reports = Vec::new();
    for _ in 0..args.repeat {
        let figures = loadgen::run(&local, args, &scene).await?;
        let mut report = Report::new(args, figures);
        if let Some(overloaded) = args.overloaded() {
            scene.offer(&overloaded);
            let figures = loadgen::run(&local, &overloaded, &scene).await?;
            report.compare(Report::new(&overloaded, figures));
            scene.offer(args);
        }
        reports.push(report);
    }
    Ok(Report::median(reports))
}

#[cfg(test)]
mod tests;
