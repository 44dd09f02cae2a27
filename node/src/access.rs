//! Who may call: API keys of partners and operators, and how often a partner may.
//!
//! Decides nothing about seats. The gRPC services ask [`Door`] before anything else; the cluster
//! API makes keys with [`key`] and checks operators with [`Door::operator`].

mod door;
pub mod key;
mod limit;

pub use door::{Caller, Door, KeyRecord, Keys, PartnerRecord, Refused};
pub use limit::{OverLimit, PartnerLimit};
