//! The last changes of a sale, for watchers: gap-free from a revision, or `Compacted`.
//!
//! A ring of changes, so that a sale that nobody watches costs nothing but the copy into it. What a
//! watcher asks for is copied out once and shared with all who ask the same, as watchers that keep
//! up do. The actor never waits for a watcher: a feed asks for what comes after its revision when
//! the revision has moved.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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

/// The actor's side.
pub(crate) struct ChangeLog {
    ring: VecDeque<Change>,
    kept_max: usize,
    /// Everything after this revision is kept.
    from: Revision,
    to: watch::Sender<Revision>,
    /// What was asked for last, since the last change.
    asked: Option<Asked>,
}

struct Asked {
    after: Revision,
    changes: Arc<[Change]>,
}

/// Changes told at once; a reader far behind asks again.
const CHANGES_AT_ONCE: usize = 4096;

impl ChangeLog {
    pub fn new(at: Revision, kept_max: usize) -> (ChangeLog, watch::Receiver<Revision>) {
        let (to, moved) = watch::channel(at);
        (
            ChangeLog {
                ring: VecDeque::new(),
                kept_max,
                from: at,
                to,
                asked: None,
            },
            moved,
        )
    }

    /// See `Sale::warm`.
    pub fn warm(&self) {
        black_box(self.ring.back().map(|change| change.revision));
    }

    /// Adds the changes of one batch.
    pub fn push(&mut self, changes: &[Change]) {
        let Some(last) = changes.last() else { return };
        self.asked = None;
        let over = (self.ring.len() + changes.len()).saturating_sub(self.kept_max);
        let (old, new) = (over.min(self.ring.len()), changes);
        if let Some(gone) = self.ring.drain(..old).next_back() {
            self.from = gone.revision;
        }
        // A batch longer than what is kept.
        let (left_out, kept) = new.split_at(over - old);
        if let Some(gone) = left_out.last() {
            self.from = gone.revision;
        }
        self.ring.extend(kept);
        self.tell(last.revision);
    }

    /// The changes that came first after `after`.
    pub fn after(&mut self, after: Revision) -> Result<Arc<[Change]>, WatchFailure> {
        if after < self.from {
            return Err(WatchFailure::Compacted);
        }
        if after > *self.to.borrow() {
            return Err(WatchFailure::FromTheFuture);
        }
        if let Some(asked) = &self.asked
            && asked.after == after
        {
            return Ok(Arc::clone(&asked.changes));
        }
        let start = self.ring.partition_point(|change| change.revision <= after);
        let end = self.ring.len().min(start + CHANGES_AT_ONCE);
        let changes: Arc<[Change]> = self.ring.range(start..end).copied().collect();
        self.asked = Some(Asked {
            after,
            changes: Arc::clone(&changes),
        });
        Ok(changes)
    }

    /// Forgets everything: a snapshot took the sale to `at`. Feeds end with `Compacted`.
    pub fn restart(&mut self, at: Revision) {
        self.ring.clear();
        self.asked = None;
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
        sale.shared.watchers.fetch_add(1, Ordering::Relaxed);
        ChangeFeed { sale, at, moved }
    }

    /// The changes that came next; waits until there are some. Never skips one.
    pub async fn next(&mut self) -> Result<Arc<[Change]>, WatchFailure> {
        loop {
            self.moved.borrow_and_update();
            let changes = self.sale.changes_after(self.at).await?;
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

impl Drop for ChangeFeed {
    fn drop(&mut self) {
        self.sale.shared.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use domain::change::Fact;

    use super::*;

    fn changes(revisions: std::ops::RangeInclusive<u64>) -> Vec<Change> {
        revisions
            .map(|revision| Change {
                revision: Revision(revision),
                at_ms: 0,
                fact: Fact::RulesSet,
            })
            .collect()
    }

    fn revisions(log: &mut ChangeLog, after: u64) -> Result<Vec<u64>, WatchFailure> {
        let told = log.after(Revision(after))?;
        Ok(told.iter().map(|change| change.revision.0).collect())
    }

    #[test]
    fn the_last_changes_are_kept_and_older_ones_are_compacted() {
        let (mut log, _moved) = ChangeLog::new(Revision(10), 5);
        log.push(&changes(11..=13));
        assert_eq!(revisions(&mut log, 10), Ok(vec![11, 12, 13]));
        assert_eq!(revisions(&mut log, 13), Ok(vec![]));
        assert_eq!(revisions(&mut log, 14), Err(WatchFailure::FromTheFuture));
        log.push(&changes(14..=17));
        assert_eq!(revisions(&mut log, 12), Ok(vec![13, 14, 15, 16, 17]));
        assert_eq!(revisions(&mut log, 11), Err(WatchFailure::Compacted));
    }

    #[test]
    fn of_a_batch_longer_than_what_is_kept_the_end_is_kept() {
        let (mut log, _moved) = ChangeLog::new(Revision(0), 5);
        log.push(&changes(1..=2));
        log.push(&changes(3..=11));
        assert_eq!(revisions(&mut log, 6), Ok(vec![7, 8, 9, 10, 11]));
        assert_eq!(revisions(&mut log, 5), Err(WatchFailure::Compacted));
    }

    #[test]
    fn a_snapshot_forgets_everything_before_it() {
        let (mut log, moved) = ChangeLog::new(Revision(0), 5);
        log.push(&changes(1..=2));
        log.restart(Revision(40));
        assert_eq!(revisions(&mut log, 2), Err(WatchFailure::Compacted));
        assert_eq!(revisions(&mut log, 40), Ok(vec![]));
        assert_eq!(*moved.borrow(), Revision(40));
    }
}
