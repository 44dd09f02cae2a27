//! Sale actors around the pure domain. The only reader of a clock.
//!
//! Who may call whom:
//!
//! ```text
//!   cluster ──(Machine)──► sales::GroupSales ──deliver, barrier, restore──┐
//!                                                                         ▼
//!   node ──► Sales ──► SaleHandle ──submit, read, watch──► mailbox ──► sale::owner ──► domain
//!                          ▲
//!   admission ─────────────┘ look, release: on the leader of a sale with a waiting room
//!                                                                         │
//!   cluster ◄──(Group: propose, read barrier)─────────────────────────────┘
//! ```
//!
//! An actor never waits for the cluster; the cluster may wait for an actor's queue.

pub mod admission;
#[cfg(feature = "bugs")]
pub mod bugs;
#[cfg(not(feature = "bugs"))]
mod bugs;
pub mod calls;
pub mod clock;
pub mod codec;
pub mod config;
pub mod faults;
pub mod feed;
mod mailbox;
pub mod metrics;
pub mod sale;
pub mod sales;
pub mod size;
pub mod trace;

pub use config::Config;
pub use sale::SaleHandle;
pub use sales::{SaleMachines, Sales};
