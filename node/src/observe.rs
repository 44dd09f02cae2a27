//! What the node tells of itself for Prometheus beside what each part counts as it works: the sales
//! and waiting rooms it leads, its process, its health and its disk.
//!
//! Nothing here but `ration`, which bounds what is told of single calls, is on a call's way. Sales are asked at leisure (`rounds`), the process and the
//! disk when somebody reads `/metrics` (`process`, `health`).

mod channels;
#[cfg(test)]
pub mod example;
mod health;
mod metrics;
mod process;
mod ration;
mod rounds;
mod standing;
mod trouble;

pub use actors::size::Size;
pub use channels::{CHANNELS_MAX, OTHER_CHANNELS};
pub use health::Health;
pub use metrics::LedMetrics;
pub use process::Process;
pub use ration::Ration;
pub use rounds::{Source, look};
