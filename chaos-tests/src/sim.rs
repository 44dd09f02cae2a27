//! The whole cluster in one thread by seed: real nodes (Raft, log, network, sale actors, gateway,
//! the partners' gRPC) on simulated links, disks and clocks, with faults drawn from the seed.
//!
//! ```text
//! run ─┬─ plan        what this seed does: sizes, faults, intensities
//!      ├─ world       hosts, links, time; starts, crashes and restarts nodes
//!      │   ├─ computer    what outlives a process: disks and clock
//!      │   ├─ node        the software of a host: the product's engine
//!      │   └─ components  what is injected into it
//!      ├─ setup       a partner, its key, and sales that are open
//!      ├─ nemesis     carries the faults out and heals them
//!      │   └─ replacement  an operator puts a new computer in the place of an old one
//!      ├─ operator    runs the waiting rooms meanwhile
//!      ├─ shop        the partners' host: buyers and what they were told
//!      ├─ witness     what every replica applied at every index
//!      ├─ retelling   the same once more from the first entry on, and who was let in before whom
//!      └─ verdict     what must be true in the end
//! sum ── run         many seeds
//! ```

pub mod components;
pub mod computer;
pub mod counts;
pub mod deed;
pub mod entropy;
pub mod fault;
pub mod links;
pub mod nemesis;
pub mod node;
pub mod operator;
pub mod plan;
pub mod replacement;
pub mod retelling;
pub mod run;
pub mod setup;
pub mod shop;
pub mod sum;
pub mod trace;
pub mod verdict;
pub mod witness;
pub mod world;
