//! `onsale serve`: wires one node together out of production components, runs it, and takes it down
//! in good order. Decides nothing about sales.
//!
//! ```text
//! serve ── node ──┬── engine     the part that sells, on injected components
//!                 ├── place      where sales live: for gateway, partners' services, access
//!                 ├── admin      the node behind the HTTP API
//!                 ├── logs       what is told, changed while it runs
//!                 ├── outcomes   what became of holds, for who judges those that join
//!                 ├── time       the disciplined clock follows the peers' wall clocks
//!                 ├── welcome    joining a cluster; the first operator's key
//!                 └── departure  signals, and the sequence of leaving
//! ```

mod admin;
mod departure;
pub mod engine;
mod logs;
mod node;
pub mod outcomes;
pub mod place;
mod time;
mod welcome;

use std::path::PathBuf;

use anyhow::Context as _;

use crate::config::Config;
use logs::Logs;

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
    let logs = Logs::start(&config.node)?;
    keep_memory_small();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.node.threads)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(node::run(config, logs));
    // The lanes' threads sleep by its timers, and would panic once they are gone. The process ends now.
    std::mem::forget(runtime);
    served
}

/// mimalloc's `mi_option_purge_delay`, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const PURGE_DELAY_MS: std::ffi::c_long = 100;

/// Of a thousand sales' small blocks, spread over pages of 2 MiB, little is on each; and what idle
/// threads freed would be kept for seconds.
fn keep_memory_small() {
    // SAFETY: takes integers only. Where it is refused the node merely takes more memory.
    let _refused = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    // SAFETY: sets an integer of the allocator's before there is a second thread.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bindings do not say which number the option has; its default, in milliseconds, does.
    #[test]
    fn the_allocators_option_is_the_one_that_is_meant() {
        let before = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(before, 1000);
    }
}
