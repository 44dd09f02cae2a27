//! Calls on their way to a sale, and the way their answers go back.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

/// Where answers go: a session stream, a waiting unary call, a peer's forward stream.
pub trait Answers: Send + Sync + 'static {
    /// Takes packed answers (`onsale.channel.v1.SessionResponse.packed`), one per call, each
    /// carrying its call id. Called from the sale actor: it never blocks. What it queues is
    /// bounded by the calls its owner lets be outstanding.
    fn answer(&self, packed: Bytes, count: u32);
}

/// Commands of one caller for one sale, in sequence. Every call is answered exactly once.
pub struct Calls {
    /// Command records, one after the other (`onsale.log.v1.Commands.records`).
    pub records: Bytes,
    /// One per record: put into its answer.
    pub call_ids: Vec<u32>,
    /// After this nobody waits: what is not yet proposed is dropped and answered as failed
    /// (DEADLINE_PASSED).
    pub deadline: Instant,
    pub answers: Arc<dyn Answers>,
}
