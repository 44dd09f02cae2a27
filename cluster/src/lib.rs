//! Replication and placement. The only crate that names openraft; it knows no seat.
//!
//! ```text
//!   node  Cluster: the handle; starts, watches, reconciles, shuts down
//!    ├── map        the root group's state (pure)      ── placement  who carries what (pure)
//!    ├── replica    one group's replica: openraft, batcher, barriers, leadership
//!    │     ├── network   lanes between peers, snapshots on their way
//!    │     ├── snapshot  files of state
//!    │     └── log       one write-ahead log for all groups
//!    └── components, production, seeded   what is injected
//!  machine, group   the two seams to the application
//! ```

#[cfg(not(tokio_unstable))]
compile_error!(
    "build with `--cfg tokio_unstable` (see .cargo/config.toml; RUSTFLAGS overrides it)"
);

#[cfg(feature = "bugs")]
pub mod bugs;
#[cfg(not(feature = "bugs"))]
mod bugs;
pub mod components;
mod config;
pub mod disk;
pub mod group;
pub mod intake;
pub mod log;
pub mod machine;
pub mod map;
mod metrics;
mod network;
pub mod node;
mod placement;
pub mod production;
mod replica;
mod responder;
pub mod seeded;
mod snapshot;
pub mod types;
mod wire;

pub use config::{Config, Founder};
pub use metrics::ClusterMetrics;
pub use network::date::DateLayer;
pub use network::peers::PeerChannel;
pub use node::{Cluster, Standing};
/// What Raft's tasks and timers run on: a parameter, so that only this crate names openraft.
pub use openraft::{AsyncRuntime as Runtime, TokioRuntime};
pub use replica::{GroupStatus, HandOverRefused, ReplicaStartFailure, ReplicaState};
