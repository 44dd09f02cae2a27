//! Real processes: clusters of the real node, driven through the public gRPC, under real faults.
//!
//! ```text
//!   bin/procs ─ scenario ─┬─ stage ─┬─ cluster ─ process, disk, network, limits   the nodes' ground
//!               mix       │         ├─ shop ──── wires, buyer, chronicle          who buys, and what is written
//!               failover ─┘         └─ nemesis ─ kill, pause, partition, …        one fault each
//!                                   verdict ─── history, onsale::demo::audit      what must be true
//!   leftovers: what was made of the machine, on disk, so that another process can take it back
//! ```
//!
//! It knows the nodes' command line, configuration and public APIs, and nothing of their inside.

pub mod cluster;
pub mod disk;
pub mod facility;
pub mod failover;
pub mod fault;
pub mod filter;
pub mod leftovers;
pub mod limits;
pub mod mix;
pub mod namespace;
pub mod nemesis;
pub mod network;
pub mod process;
pub mod proxy;
pub mod relay;
pub mod scenario;
pub mod shell;
pub mod shop;
pub mod stage;
pub mod sum;
pub mod verdict;

/// Whose the harness is: 0 is root.
pub fn user() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Why the harness cannot go on; not what it found.
pub type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// The trouble that words describe.
pub fn trouble(words: impl Into<String>) -> Trouble {
    words.into().into()
}

/// A trouble and what is behind it, on one line.
pub fn words(trouble: &Trouble) -> String {
    let mut words = trouble.to_string();
    let mut behind = trouble.source();
    while let Some(cause) = behind {
        words.push_str(&format!(": {cause}"));
        behind = cause.source();
    }
    words
}
