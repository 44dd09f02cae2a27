//! The pure sale. `Sale::apply` decides one command at a time, by log time alone.
//!
//! No async, clock, I/O, randomness, floats, maps with random sequence, serde or tracing.
//! The sale actor calls it; it calls nobody.
//!
//! ```text
//!   command ──► sale (one file per command) ──► outcome + changes
//!                 │          │         │
//!       idempotency     holds, orders  seats (bit planes by stretch)
//!                                      │
//!                            best_available (one tournament tree per party size)
//!   room (who waits, who was let in, how fast): asked before a hold, if the sale has one
//!   image: as it is now ──► state: restore, full hash        invariants: what must always be true
//! ```

#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

mod best_available;
#[cfg(feature = "bugs")]
pub mod bugs;
#[cfg(not(feature = "bugs"))]
mod bugs;
pub mod change;
pub mod command;
mod deadlines;
mod digest;
mod digest_words;
mod ended;
pub mod hold;
mod id_table;
mod idempotency;
pub mod ids;
mod image;
pub mod invariants;
pub mod order;
pub mod outcome;
mod pieces;
pub mod rejection;
pub mod room;
pub mod rules;
pub mod sale;
mod seats;
pub mod state;
mod tag_index;
pub mod venue;
mod warm;

pub use image::SaleImage;
pub use sale::Sale;
pub use seats::SectionPlanes;
