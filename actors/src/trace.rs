//! What a traced call carries through a sale: whose trace it is part of, and when it came to which
//! stage on this node. A call that is not traced carries none of it, which costs a branch.
//!
//! Makes no spans and knows no sampling: the node does, which also begins one of these. Nothing of it is
//! in an entry of the log or in a sale's state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::time::Instant;

/// Whose trace something is part of (W3C Trace Context).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    pub trace_id: u128,
    /// The span that what happens next is a child of; 0: the trace begins here.
    pub span_id: u64,
    /// The caller's `tracestate`, passed on as it came; empty when there was none.
    pub state: Arc<str>,
}

/// What calls come to, in this sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Sent to the node that owns the sale.
    Sent,
    /// Taken from the sale's queue.
    Taken,
    /// Found hopeless: leadership is to be proved.
    SetAside,
    /// Proposed to the group as part of a batch.
    Proposed,
    /// Committed: on the disks of a majority, and in the sale's queue again.
    Committed,
    /// Answered. Noted by whoever waits for the answers.
    Answered,
}

impl Stage {
    pub const ALL: [Stage; 6] = [
        Stage::Sent,
        Stage::Taken,
        Stage::SetAside,
        Stage::Proposed,
        Stage::Committed,
        Stage::Answered,
    ];
}

/// Calls of one caller on their way through this node.
#[derive(Debug)]
pub struct Traced {
    context: Context,
    began: Instant,
    /// Nanoseconds since it began, at least one; zero: not reached. Calls that were split come to a
    /// stage more than once; the last counts.
    reached: [AtomicU64; Stage::ALL.len()],
    log_index: AtomicU64,
    /// Commands in the batch.
    commands: AtomicU64,
}

impl Traced {
    pub fn begin(context: Context) -> Traced {
        Traced {
            context,
            began: Instant::now(),
            reached: Default::default(),
            log_index: AtomicU64::new(0),
            commands: AtomicU64::new(0),
        }
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    pub fn began(&self) -> Instant {
        self.began
    }

    pub fn reach(&self, stage: Stage) {
        self.reach_at(stage, Instant::now());
    }

    pub fn reach_at(&self, stage: Stage, at: Instant) {
        let since = at.saturating_duration_since(self.began).as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        self.reached[stage as usize].fetch_max(since, Ordering::Relaxed);
    }

    pub fn reached(&self, stage: Stage) -> Option<Instant> {
        match self.reached[stage as usize].load(Ordering::Relaxed) {
            0 => None,
            since => Some(self.began + std::time::Duration::from_nanos(since)),
        }
    }

    pub(crate) fn commit(&self, at: Option<Instant>, log_index: u64, commands: u32) {
        if let Some(at) = at {
            self.reach_at(Stage::Committed, at);
        }
        self.log_index.fetch_max(log_index, Ordering::Relaxed);
        self.commands.fetch_max(commands.into(), Ordering::Relaxed);
    }

    /// The entry that decided, if it was one.
    pub fn log_index(&self) -> Option<u64> {
        Some(self.log_index.load(Ordering::Relaxed)).filter(|index| *index > 0)
    }

    /// How many commands travelled in one batch.
    pub fn batch_commands(&self) -> Option<u64> {
        Some(self.commands.load(Ordering::Relaxed)).filter(|commands| *commands > 0)
    }
}

/// Traced calls of one proposal. While there is one, its sale's deliveries are stamped.
pub(crate) struct TracedBatch {
    calls: Vec<Arc<Traced>>,
    under_way: Arc<AtomicUsize>,
}

impl TracedBatch {
    /// `None` when none of the batch's calls is traced.
    pub fn new(calls: Vec<Arc<Traced>>, under_way: &Arc<AtomicUsize>) -> Option<Box<TracedBatch>> {
        if calls.is_empty() {
            return None;
        }
        under_way.fetch_add(1, Ordering::Relaxed);
        Some(Box::new(TracedBatch {
            calls,
            under_way: Arc::clone(under_way),
        }))
    }

    pub fn reach(&self, stage: Stage) {
        let now = Instant::now();
        self.calls.iter().for_each(|call| call.reach_at(stage, now));
    }

    pub fn commit(&self, at: Option<Instant>, log_index: u64, commands: u32) {
        self.calls
            .iter()
            .for_each(|call| call.commit(at, log_index, commands));
    }
}

impl Drop for TracedBatch {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
