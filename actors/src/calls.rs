//! Calls on their way to a sale, and the way their answers go back.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::trace::{Stage, Traced};

/// Where answers go: a session stream, a waiting unary call, a peer's forward stream.
pub trait Answers: Send + Sync + 'static {
    /// Takes packed answers (`onsale.channel.v1.SessionResponse.packed`), one per call, each
    /// carrying its call id. Called from the sale actor: it never blocks. What it queues is
    /// bounded by the calls its owner lets be outstanding.
    fn answer(&self, packed: Bytes, count: u32);
}

/// The callers' own ids of their calls, in the form they travel in: one u32 little-endian each, so
/// that a batch passes gateway, peer and owner without being unpacked. Clones share the bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CallIds(Bytes);

const ID_LEN: usize = 4;

impl CallIds {
    /// Ids that came packed; `None` when the last one is cut off.
    pub fn packed(bytes: Bytes) -> Option<CallIds> {
        bytes.len().is_multiple_of(ID_LEN).then_some(CallIds(bytes))
    }

    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len() / ID_LEN
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at * ID_LEN..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> {
        let (ids, _) = self.0.as_chunks::<ID_LEN>();
        ids.iter().map(|id| u32::from_le_bytes(*id))
    }

    /// The first `count` ids.
    pub fn first(&self, count: usize) -> CallIds {
        CallIds(self.0.slice(..(count * ID_LEN).min(self.0.len())))
    }

    /// Takes away and returns what stands behind the first `count` ids.
    pub fn split_off(&mut self, count: usize) -> CallIds {
        CallIds(self.0.split_off((count * ID_LEN).min(self.0.len())))
    }
}

impl FromIterator<u32> for CallIds {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        let ids = ids.into_iter();
        let mut bytes = Vec::with_capacity(ids.size_hint().0 * ID_LEN);
        for id in ids {
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        CallIds(bytes.into())
    }
}

impl std::fmt::Debug for CallIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Commands of one caller for one sale, in sequence. Every call is answered exactly once.
pub struct Calls {
    /// Command records, one after the other (`onsale.log.v1.Commands.records`).
    pub records: Bytes,
    /// One per record: put into its answer.
    pub call_ids: CallIds,
    /// After this nobody waits: what is not yet proposed is dropped and answered as failed
    /// (DEADLINE_PASSED).
    pub deadline: Instant,
    pub answers: Arc<dyn Answers>,
    /// Only of calls that are traced.
    pub trace: Option<Arc<Traced>>,
}

impl Calls {
    pub fn reach(&self, stage: Stage) {
        if let Some(traced) = &self.trace {
            traced.reach(stage);
        }
    }
}
