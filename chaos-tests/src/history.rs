//! The judge: what clients saw, checked against what may be.
//!
//! `record` is the format of a history. `check` walks one sale's history in the order that its answers
//! claim (revisions) and rejects it if no legal run of a sale gives these answers in real time.
//! `generate` makes legal histories of any length from the real domain. It knows no node and no
//! transport: layers 2 and 3 write the histories that it reads.

pub mod check;
pub mod generate;
pub mod mutate;
pub mod record;
