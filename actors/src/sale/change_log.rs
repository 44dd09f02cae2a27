//! The last changes of a sale, for watchers: gap-free from a revision, or `Compacted`.
//!
//! Chunks are made once per delivered batch and shared by every watcher. The actor never waits for
//! a watcher: a feed asks for what comes after its revision when the revision has moved.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::change::Change;
use domain::ids::Revision;
use tokio::sync::watch;

use super::handle::SaleHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchFailure {
    /// Changes after that revision are no longer all kept: take a snapshot and start from its
    /// revision.
    #[error("the changes after that revision are no longer kept")]
    Compacted,
    /// The revision is ahead of this replica's.
    #[error("the revision lies ahead of this replica")]
    FromTheFuture,
    #[error("the sale has left this node")]
    Stopped,
}

/// The actor's side: a ring of chunks.
pub(crate) struct ChangeLog {
    chunks: VecDeque<Arc<[Change]>>,
    kept: usize,
    kept_max: usize,
    /// Everything after this revision is kept.
    from: Revision,
    to: watch::Sender<Revision>,
}

impl ChangeLog {
    pub fn new(at: Revision, kept_max: usize) -> (ChangeLog, watch::Receiver<Revision>) {
        let (to, moved) = watch::channel(at);
        (
            ChangeLog {
                chunks: VecDeque::new(),
                kept: 0,
                kept_max,
                from: at,
                to,
            },
            moved,
        )
    }

    /// Adds the changes of one batch; returns them shared.
    pub fn push(&mut self, changes: &[Change]) -> Option<Arc<[Change]>> {
        let last = changes.last()?.revision;
        let chunk: Arc<[Change]> = changes.into();
        self.kept += chunk.len();
        self.chunks.push_back(Arc::clone(&chunk));
        while self.kept > self.kept_max
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.kept -= oldest.len();
            self.from = oldest.last().map_or(self.from, |change| change.revision);
        }
        self.tell(last);
        Some(chunk)
    }

    /// Chunks that together hold every change after `after`; the first may begin earlier.
    pub fn after(&self, after: Revision) -> Result<Vec<Arc<[Change]>>, WatchFailure> {
        if after < self.from {
            return Err(WatchFailure::Compacted);
        }
        if after > *self.to.borrow() {
            return Err(WatchFailure::FromTheFuture);
        }
        let is_newer =
            |chunk: &&Arc<[Change]>| chunk.last().is_some_and(|change| change.revision > after);
        Ok(self.chunks.iter().filter(is_newer).cloned().collect())
    }

    /// Forgets everything: a snapshot took the sale to `at`. Feeds end with `Compacted`.
    pub fn restart(&mut self, at: Revision) {
        self.chunks.clear();
        self.kept = 0;
        self.from = at;
        self.tell(at);
    }

    /// Most sales are watched by nobody: then there is nobody to wake.
    fn tell(&self, at: Revision) {
        // One receiver is the handle's, from which watchers clone theirs; who clones it asks for
        // what there is before waiting.
        let is_watched = self.to.receiver_count() > 1;
        self.to.send_if_modified(|to| {
            *to = at;
            is_watched
        });
    }
}

/// A watcher's side.
pub struct ChangeFeed {
    sale: SaleHandle,
    at: Revision,
    moved: watch::Receiver<Revision>,
}

impl ChangeFeed {
    pub(crate) fn new(
        sale: SaleHandle,
        at: Revision,
        moved: watch::Receiver<Revision>,
    ) -> ChangeFeed {
        ChangeFeed { sale, at, moved }
    }

    /// The changes that came next; waits until there are some. Never skips one.
    pub async fn next(&mut self) -> Result<Vec<Change>, WatchFailure> {
        loop {
            self.moved.borrow_and_update();
            let chunks = self.sale.changes_after(self.at).await?;
            let changes: Vec<Change> = chunks
                .iter()
                .flat_map(|chunk| chunk.iter())
                .filter(|change| change.revision > self.at)
                .copied()
                .collect();
            if let Some(last) = changes.last() {
                self.at = last.revision;
                return Ok(changes);
            }
            self.moved
                .changed()
                .await
                .map_err(|_| WatchFailure::Stopped)?;
        }
    }
}
