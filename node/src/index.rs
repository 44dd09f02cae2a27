//! The node's rebuildable index of orders and holds: what operators search in.
//!
//! It is fed by the changes of every sale on this node, never stands in the way of one, and is
//! never read to decide anything. Whatever it may have missed or damaged it throws away and takes
//! again from the sales: sled's flush is not safe against power loss, so nothing lives here alone.
//!
//! ```text
//! sales ─ feed ──► worker (a thread of its own) ──► store (sled, or memory in tests)
//! serve ─ ticks ─►   │ drains, coalesces, paces
//! http ── Index ──►  │ answers searches between writes
//! ```
//!
//! What it can not know: holds that had ended when a sale was last taken in whole are not in the
//! sale's state, so they are searchable only when they ended since. Of a confirmed hold it then
//! knows the time of the order alone.

mod answer;
mod archive;
mod chunk;
mod coalesce;
mod keys;
mod ledger;
mod live;
mod metrics;
mod query;
mod rebuild;
mod row;
mod sled_store;
mod source;
mod store;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

pub use metrics::{Cause, IndexMetrics};
pub use query::{Kind, Page, Query, QueryFault};
pub use row::{Row, RowState};
pub use sled_store::SledOpener;
pub use source::{SaleActors, Source};
pub use store::{Batch, IndexStore, MemoryStore, Opener, StoreFault};
pub use worker::Worker;

/// Time between two drains: what is placed and confirmed between them is written once.
pub const TICK: Duration = Duration::from_millis(50);
pub(crate) const TICKS_PER_S: u64 = 20;
/// Searches that may wait.
const QUERIES_MAX: usize = 64;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Orders and holds written per second at most.
    pub rows_per_s_max: u32,
}

pub(crate) struct Ask {
    pub query: Query,
    pub reply: oneshot::Sender<Result<Page, QueryFault>>,
}

/// The way to search. Cheap to clone; the worker ends when the last one is gone.
#[derive(Clone)]
pub struct Index {
    queries: mpsc::Sender<Ask>,
}

impl Index {
    /// Starts the index: `run` is given the worker, which blocks while it writes and so belongs on a
    /// thread of its own (`Lanes::run`). To be called in a tokio runtime, which only ticks.
    pub fn start(
        config: Config,
        opener: Box<dyn Opener>,
        source: Arc<dyn Source>,
        feed: mpsc::Receiver<actors::feed::Fed>,
        metrics: IndexMetrics,
        run: impl FnOnce(BoxFuture<'static, ()>),
    ) -> Index {
        let (ticker, ticks) = mpsc::channel(1);
        let (index, worker) = Index::with_ticks(config, opener, source, feed, metrics, ticks);
        tokio::spawn(tick(ticker));
        run(Box::pin(worker.run()));
        index
    }

    /// The two halves, for a caller that keeps time itself: each message of `ticks` says how many
    /// have passed since the one before.
    pub fn with_ticks(
        config: Config,
        opener: Box<dyn Opener>,
        source: Arc<dyn Source>,
        feed: mpsc::Receiver<actors::feed::Fed>,
        metrics: IndexMetrics,
        ticks: mpsc::Receiver<u64>,
    ) -> (Index, Worker) {
        let (queries, asked) = mpsc::channel(QUERIES_MAX);
        let worker = Worker::new(config, opener, source, feed, metrics, ticks, asked);
        (Index { queries }, worker)
    }

    /// One page of what matches.
    pub async fn search(&self, query: Query) -> Result<Page, QueryFault> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { query, reply };
        self.queries
            .try_send(ask)
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => QueryFault::Busy,
                mpsc::error::TrySendError::Closed(_) => QueryFault::Stopped,
            })?;
        answer.await.unwrap_or(Err(QueryFault::Stopped))
    }
}

/// Ticks until the worker is gone. One that is busy is told later how many it slept through; it may
/// not write more for them.
async fn tick(to: mpsc::Sender<u64>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut passed = 0;
    loop {
        interval.tick().await;
        passed += 1;
        match to.try_send(passed) {
            Ok(()) => passed = 0,
            Err(mpsc::error::TrySendError::Full(_)) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

#[cfg(test)]
mod tests;
