//! The digests of one replica's machine, by the log index they stand at: taken at every n-th entry
//! while entries are applied and, once a group is at rest, at its last one. Kept for a while, so
//! that a slower peer can still be compared. It compares nothing: `node::cross_check` does.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use crate::machine::{Machine, MachineFault};

/// Digests kept: with 256 entries from one to the next, a replica 65,000 entries behind can still
/// be compared.
pub(crate) const KEPT: usize = 256;
/// Digests under way; one more is left out, the next covers what it would have told.
const UNDER_WAY: usize = 16;

type Digest = BoxFuture<'static, Result<u64, MachineFault>>;

/// A digest that the machine's owners are asked for.
pub(crate) struct Asked {
    index: u64,
    digest: Digest,
}

pub(crate) struct Digests {
    /// Of this replica since it was started: what it said in an earlier life is forgotten with it.
    incarnation: u64,
    /// Entries from one digest to the next.
    every: u64,
    asked: mpsc::Sender<Asked>,
    known: Mutex<BTreeMap<u64, u64>>,
}

impl Digests {
    pub(crate) fn new(incarnation: u64, every: u64) -> (Self, mpsc::Receiver<Asked>) {
        let (asked, queue) = mpsc::channel(UNDER_WAY);
        let digests = Digests {
            incarnation,
            every: every.max(1),
            asked,
            known: Mutex::default(),
        };
        (digests, queue)
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Whether a digest is due after the entry at `index`: the same on every replica.
    pub(crate) fn is_due(&self, index: u64) -> bool {
        index.is_multiple_of(self.every)
    }

    /// Queues the machine's barriers, behind what was delivered up to `index`.
    pub(crate) async fn ask(&self, machine: &dyn Machine, index: u64) -> Result<(), MachineFault> {
        let Ok(permit) = self.asked.try_reserve() else {
            return Ok(());
        };
        let digest = machine.digest().await?;
        permit.send(Asked { index, digest });
        Ok(())
    }

    /// Waits for the owners' answers, one digest after the other, until the replica is gone.
    pub(crate) async fn collect(&self, queue: &mut mpsc::Receiver<Asked>) -> Option<()> {
        let Asked { index, digest } = queue.recv().await?;
        // An owner that went away meanwhile has nothing to compare; later digests will.
        let Ok(digest) = digest.await else {
            return Some(());
        };
        let mut known = self.lock();
        known.insert(index, digest);
        while known.len() > KEPT {
            known.pop_first();
        }
        Some(())
    }

    /// After a snapshot was installed: what stood here before is no word on what stands here now.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    pub(crate) fn all(&self) -> BTreeMap<u64, u64> {
        self.lock().clone()
    }

    pub(crate) fn after(&self, index: u64) -> BTreeMap<u64, u64> {
        let known = self.lock();
        let later = known.range(index.saturating_add(1)..);
        later.map(|(index, digest)| (*index, *digest)).collect()
    }

    pub(crate) fn has(&self, index: u64) -> bool {
        self.lock().contains_key(&index)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
