//! Who may call: API keys of partners and operators, and how often a partner may.
//!
//! Decides nothing about seats. The gRPC services ask [`Door`] before anything else; the cluster
//! API makes keys with [`key`] and checks operators with [`Door::operator`].

pub mod challenge;
mod door;
pub mod enqueue;
mod joins;
pub mod key;
mod limit;
pub mod pass;
pub mod risk;

pub use door::{Caller, Door, KeyRecord, Keys, PartnerRecord, Refused};
pub use joins::{JoinLimits, Joins};
pub use limit::{OverLimit, RateLimit};
