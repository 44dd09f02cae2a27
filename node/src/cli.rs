//! The command line: one subcommand, one module.

use clap::{Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(
    name = "onsale",
    version,
    about = "A replicated on-sale engine for tickets"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a node.
    Serve(crate::serve::Args),
    /// Drive a cluster from a shell.
    Ctl(crate::ctl::Args),
    /// Three real nodes sell out a venue while their leader is killed.
    Demo(crate::demo::Args),
    /// Measure three real nodes.
    Bench(crate::bench::Args),
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Command::Serve(args) => crate::serve::run(args),
            Command::Ctl(args) => crate::ctl::run(args),
            Command::Demo(args) => crate::demo::run(args),
            Command::Bench(args) => crate::bench::run(args),
        }
    }
}
