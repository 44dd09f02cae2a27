//! `onsale serve`: wires one node together out of production components, runs it, and takes it down
//! in good order. Decides nothing about sales.
//!
//! ```text
//! serve ── node ──┬── engine     the part that sells, on injected components
//!                 ├── place      where sales live: for gateway, partners' services, access
//!                 ├── admin      the node behind the HTTP API
//!                 ├── time       the disciplined clock follows the peers' wall clocks
//!                 ├── welcome    joining a cluster; the first operator's key
//!                 └── departure  signals, and the sequence of leaving
//! ```

mod admin;
mod departure;
pub mod engine;
mod node;
pub mod place;
mod time;
mod welcome;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, NodeConfig};

/// Arguments of the subcommand.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Configuration in TOML; without it a cluster of one node in ./data.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(file) => Config::read(file)?,
        None => Config::default(),
    };
    start_logs(&config.node)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.node.threads)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(node::run(config))
}

/// To standard error, so that standard output stays the node's few lines.
fn start_logs(config: &NodeConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_filter).context("node.log_filter")?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match config.log_format.as_str() {
        "json" => logs.json().try_init(),
        _ => logs.try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the logs: {error}"))
}
