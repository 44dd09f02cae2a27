//! Changes of all sales of a node, for its index. Never in the way of a sale: when the reader
//! falls behind, the sale is marked as gapped and the reader takes its state anew.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use domain::change::Change;
use domain::ids::SaleId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// One step of the feed.
#[derive(Clone, Debug)]
pub enum Fed {
    Changes {
        sale: SaleId,
        changes: Arc<[Change]>,
        room: Room,
    },
    /// Changes of this sale were left out: take its state anew.
    Gap { sale: SaleId },
}

/// The room that changes take while they wait: given back when they are read. Changes that did not
/// come through a sale's feed take none.
#[derive(Clone, Debug, Default)]
pub struct Room {
    _taken: Option<Arc<OwnedSemaphorePermit>>,
}

/// Batches that may wait for the reader: those of a thousand busy sales in a second.
const FEED_MAX: usize = 65_536;
/// Changes that may wait: some 40 MB.
const CHANGES_MAX: usize = 500_000;

/// Sales with a gap that could not yet be told; bounded by the sales of the node.
type Gaps = Arc<Mutex<BTreeSet<SaleId>>>;

#[derive(Clone)]
pub(crate) struct FeedSender {
    to: Arc<std::sync::OnceLock<mpsc::Sender<Fed>>>,
    room: Arc<Semaphore>,
    gaps: Gaps,
}

impl Default for FeedSender {
    fn default() -> FeedSender {
        FeedSender {
            to: Arc::default(),
            room: Arc::new(Semaphore::new(CHANGES_MAX)),
            gaps: Gaps::default(),
        }
    }
}

impl FeedSender {
    /// Starts feeding; `None` when somebody reads already.
    pub fn subscribe(&self) -> Option<mpsc::Receiver<Fed>> {
        let (sender, receiver) = mpsc::channel(FEED_MAX);
        self.to.set(sender).ok().map(|()| receiver)
    }

    pub fn offer(&self, sale: SaleId, changes: &[Change]) {
        let Some(to) = self.to.get() else { return };
        let Ok(mut gaps) = self.gaps.lock() else {
            return;
        };
        // Up to the first that finds no room: a reader that lags costs its writers nothing.
        while let Some(gapped) = gaps.first().copied()
            && to.try_send(Fed::Gap { sale: gapped }).is_ok()
        {
            gaps.pop_first();
        }
        if gaps.contains(&sale) {
            return;
        }
        if !self.send(to, sale, changes) {
            gaps.insert(sale);
        }
    }

    /// Copies them for a reader that has room; false when it has none.
    fn send(&self, to: &mpsc::Sender<Fed>, sale: SaleId, changes: &[Change]) -> bool {
        let takes = changes.len().min(CHANGES_MAX) as u32;
        let Ok(place) = to.try_reserve() else {
            return false;
        };
        let Ok(taken) = Arc::clone(&self.room).try_acquire_many_owned(takes) else {
            return false;
        };
        place.send(Fed::Changes {
            sale,
            changes: changes.into(),
            room: Room {
                _taken: Some(Arc::new(taken)),
            },
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use domain::change::Fact;
    use domain::ids::Revision;

    use super::*;

    #[test]
    fn changes_that_nobody_reads_are_bounded_however_large_the_batches_are() {
        let sender = FeedSender::default();
        let mut reader = sender.subscribe().expect("the first reader");
        let change = Change {
            revision: Revision(1),
            at_ms: 1,
            fact: Fact::RulesSet,
        };
        let half: Arc<[Change]> = vec![change; CHANGES_MAX / 2].into();
        for _ in 0..3 {
            sender.offer(SaleId(1), &half);
        }
        sender.offer(SaleId(2), &half);
        for _ in 0..2 {
            let fed = reader.try_recv().expect("there was room for two");
            assert!(matches!(
                fed,
                Fed::Changes {
                    sale: SaleId(1),
                    ..
                }
            ));
        }
        let fed = reader.try_recv().expect("a gap takes no room");
        assert!(matches!(fed, Fed::Gap { sale: SaleId(1) }));
        assert!(reader.try_recv().is_err());
        // What was read gave its room back.
        sender.offer(SaleId(3), &half);
        let fed = reader.try_recv().expect("the other gap is told first");
        assert!(matches!(fed, Fed::Gap { sale: SaleId(2) }));
        let fed = reader.try_recv().expect("there is room again");
        assert!(matches!(
            fed,
            Fed::Changes {
                sale: SaleId(3),
                ..
            }
        ));
    }
}
