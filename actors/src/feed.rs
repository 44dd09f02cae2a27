//! Changes of all sales of a node, for its index. Never in the way of a sale: when the reader
//! falls behind, the sale is marked as gapped and the reader takes its state anew.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use domain::change::Change;
use domain::ids::SaleId;
use tokio::sync::mpsc;

/// One step of the feed.
#[derive(Clone, Debug)]
pub enum Fed {
    Changes {
        sale: SaleId,
        changes: Arc<[Change]>,
    },
    /// Changes of this sale were left out: take its state anew.
    Gap { sale: SaleId },
}

/// Batches that may wait for the reader.
const FEED_MAX: usize = 4096;

/// Sales with a gap that could not yet be told; bounded by the sales of the node.
type Gaps = Arc<Mutex<BTreeSet<SaleId>>>;

#[derive(Clone, Default)]
pub(crate) struct FeedSender {
    to: Arc<std::sync::OnceLock<mpsc::Sender<Fed>>>,
    gaps: Gaps,
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
        // Copied only for a reader that has room.
        match to.try_reserve() {
            Ok(place) => place.send(Fed::Changes {
                sale,
                changes: changes.into(),
            }),
            Err(_) => {
                gaps.insert(sale);
            }
        }
    }
}
