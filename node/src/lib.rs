//! The node: the only reader of files, environment and arguments. Wires the crates below; decides
//! nothing.
//!
//! ```text
//! main ─ cli ─┬─ serve ── grpc ── gateway ─┐   partners
//!             │        ├─ http ── index    ├── actors, cluster
//!             │        │    └─ recommend ── index
//!             │        ├─ forecast         │   operators, Prometheus
//!             │        ├─ observe          │   Prometheus
//!             │        └─ trace            │   spans of single calls
//!             ├─ ctl ───── http            ┘   operators
//!             ├─ verify_queue ── evidence      anybody
//!             ├─ demo ─┬── local ── serve (as processes)
//!             └─ bench ┴── load ─── grpc
//! ```

pub mod access;
pub mod bench;
#[cfg(feature = "bugs")]
pub mod bugs;
#[cfg(not(feature = "bugs"))]
mod bugs;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod demo;
pub mod evidence;
pub mod forecast;
pub mod gateway;
pub mod grpc;
pub mod http;
pub mod index;
pub mod load;
pub mod local;
pub mod observe;
pub mod plan;
pub mod recommend;
pub mod serve;
pub mod trace;
pub mod verify_queue;

/// Commands come in on one thread, are kept by another and freed by a third.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
