//! Takes partners' calls on any node and brings them, in batches, to the sale's owner.
//!
//! ```text
//! session, unary ─ submit ─ Flight ─┬─ here:  the sale's own queue
//!                             ↑     └─ there: Link ── one stream per peer ── Forwarding ─ its queue
//!                             └── answers, passed through as they are; retried where that is safe
//! ```
//!
//! Decides nothing about seats and opens no packed answer beyond its status. Every queue is
//! bounded: what does not fit is answered BUSY. Ownership is looked up for each batch, so a
//! leadership change costs a partner some delay and no failed call, within its deadline.

mod channels;
mod commands;
mod directory;
mod flight;
mod forwarding;
mod link;
mod metrics;
mod packed;
mod seconds;
mod slow;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actors::calls::{Answers as _, CallIds, Calls};
use domain::ids::{ChannelId, SaleId};
use proto::channel::v1::FailureReason;

use crate::trace::CallSpan;

use commands::Tally;
pub use directory::{Directory, PeerChannel, Route, boxed};
use flight::Flight;
pub use forwarding::Forwarding;
use link::Links;
use metrics::Full;
pub use metrics::{Entry, GatewayMetrics};
pub use packed::{BUSY, Ending, failed, heads};
use slow::SlowBatches;

/// Bounds of the gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Calls this node may have under way for all its partners together.
    pub calls_max: usize,
    /// And the bytes of their records: calls are as long as their partners make them.
    pub call_bytes_max: usize,
    /// Calls that may be under way to one other node.
    pub link_calls_max: usize,
    /// Batches queued for one other node.
    pub link_batches_max: usize,
    /// How long a caller that finds no room should wait, milliseconds.
    pub busy_retry_ms: u32,
    /// A session's batch that is answered later is logged; zero is never.
    pub slow_call: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            calls_max: 1 << 18,
            call_bytes_max: 64 << 20,
            link_calls_max: 1 << 16,
            link_batches_max: 4096,
            busy_retry_ms: 50,
            slow_call: Duration::ZERO,
        }
    }
}

/// The part of a node that finds each sale's owner. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
    entry: Entry,
}

struct Inner {
    config: Config,
    directory: Arc<dyn Directory>,
    links: Links,
    under_way: AtomicUsize,
    bytes_under_way: AtomicUsize,
    metrics: GatewayMetrics,
    slow: SlowBatches,
}

impl Gateway {
    /// For calls of operators; see [`Gateway::entered_by`].
    pub fn new(config: Config, directory: Arc<dyn Directory>, metrics: GatewayMetrics) -> Gateway {
        let links = Links::new(&config);
        let slow = SlowBatches::new(config.slow_call);
        Gateway {
            inner: Arc::new(Inner {
                config,
                directory,
                links,
                under_way: AtomicUsize::new(0),
                bytes_under_way: AtomicUsize::new(0),
                metrics,
                slow,
            }),
            entry: Entry::Operator,
        }
    }

    /// The same gateway for calls that come through another door.
    pub fn entered_by(&self, entry: Entry) -> Gateway {
        Gateway {
            inner: self.inner.clone(),
            entry,
        }
    }

    /// Brings the calls to the sale's owner. Each is answered exactly once, by its deadline or
    /// soon after.
    pub fn submit(&self, sale: SaleId, calls: Calls) {
        self.submit_traced(sale, calls, None);
    }

    /// The same for calls that may be traced: `traced` is the span they are part of.
    pub fn submit_traced(&self, sale: SaleId, calls: Calls, traced: Option<Arc<CallSpan>>) {
        let (count, bytes) = (calls.call_ids.len(), calls.records.len());
        let config = &self.inner.config;
        let before = self.inner.under_way.fetch_add(count, Ordering::Relaxed);
        let full = if before + count > config.calls_max {
            Some(Full::Calls)
        } else if self.bytes_under_way() + bytes > config.call_bytes_max {
            Some(Full::Bytes)
        } else {
            None
        };
        if let Some(full) = full {
            self.inner.under_way.fetch_sub(count, Ordering::Relaxed);
            self.inner.metrics.observe_busy(full, count);
            let (packed, count) = self.busy(&calls.call_ids);
            calls.answers.answer(packed, count);
            return;
        }
        self.inner.metrics.observe_taken(count);
        self.dispatch(Flight::first(self.clone(), sale, calls, traced));
    }

    /// Calls that were submitted and are not yet answered.
    pub fn calls_under_way(&self) -> usize {
        self.inner.under_way.load(Ordering::Relaxed)
    }

    fn bytes_under_way(&self) -> usize {
        self.inner.bytes_under_way.load(Ordering::Relaxed)
    }

    /// Half of the room is taken: what can wait should.
    pub fn is_crowded(&self) -> bool {
        let config = &self.inner.config;
        self.calls_under_way() > config.calls_max / 2
            || self.bytes_under_way() > config.call_bytes_max / 2
    }

    /// Looks the owner up and hands the flight over; what goes wrong becomes its answers.
    fn dispatch(&self, flight: Arc<Flight>) {
        let inner = &self.inner;
        let (sale, counts) = (flight.sale(), flight.counts());
        let refused = match inner.directory.route(sale, flight.calls()) {
            Route::Taken => return inner.metrics.observe_here(counts),
            Route::Node(node, calls) => {
                flight.goes_to(node);
                match inner.directory.peer(node) {
                    Some(channel) => match inner.links.send(node, channel, sale, calls) {
                        Ok(()) => return inner.metrics.observe_there(counts),
                        Err(calls) => {
                            flight.finds_link_full();
                            self.busy(&calls.call_ids)
                        }
                    },
                    None => failed(&calls.call_ids, FailureReason::NoLeader, 0),
                }
            }
            Route::Full(calls) => self.busy(&calls.call_ids),
            Route::NoLeader(calls) => failed(&calls.call_ids, FailureReason::NoLeader, 0),
            Route::UnknownSale(calls) => failed(&calls.call_ids, FailureReason::UnknownEvent, 0),
        };
        let (packed, count) = refused;
        flight.answer(packed, count);
    }

    fn busy(&self, call_ids: &CallIds) -> (bytes::Bytes, u32) {
        failed(
            call_ids,
            FailureReason::Busy,
            self.inner.config.busy_retry_ms,
        )
    }

    fn landed(&self, channel: Option<ChannelId>, count: u32, tally: &Tally, took: Duration) {
        let metrics = &self.inner.metrics;
        metrics.observe_answers(self.entry, channel, tally, took);
        self.inner
            .under_way
            .fetch_sub(count as usize, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
