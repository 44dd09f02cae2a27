//! `onsale demo`: three real nodes sell out a plan while leaders are killed.

/// Arguments of the subcommand.
#[derive(clap::Args, Debug)]
pub struct Args {}

pub fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
