//! The pure sale. `Sale::apply` decides one command at a time, by log time alone.
//!
//! No async, clock, I/O, randomness, floats, maps with random sequence, serde or tracing.

#![forbid(unsafe_code)]

pub mod change;
pub mod command;
pub mod ids;
pub mod outcome;
pub mod rejection;
pub mod rules;
pub mod venue;
