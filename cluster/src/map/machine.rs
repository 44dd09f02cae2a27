//! The root group's machine: applies changes to the map, publishes each version, tells local
//! proposers what became of theirs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use prost::Message;
use proto::log::v1::MapEntry;
use tokio::sync::{oneshot, watch};

use super::{Map, MapRejection};
use crate::machine::{Committed, Encode, Machine, MachineFault};
use crate::types::Term;

/// What became of a change on this replica.
pub(crate) type Outcome = Result<Arc<Map>, MapRejection>;

/// The published map, shared by the machine and its readers.
pub(crate) struct Published {
    map: ArcSwap<Map>,
    version: watch::Sender<u64>,
    /// By (proposer, proposal): proposers of this node that wait.
    waiting: Mutex<BTreeMap<(u64, u64), oneshot::Sender<Outcome>>>,
}

impl Published {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Published {
            map: ArcSwap::default(),
            version: watch::Sender::new(0),
            waiting: Mutex::default(),
        })
    }

    pub(crate) fn map(&self) -> Arc<Map> {
        self.map.load_full()
    }

    pub(crate) fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(super) fn wait(&self, id: (u64, u64)) -> oneshot::Receiver<Outcome> {
        let (done, outcome) = oneshot::channel();
        self.lock().insert(id, done);
        outcome
    }

    pub(super) fn forget(&self, id: (u64, u64)) {
        self.lock().remove(&id);
    }

    fn publish(&self, map: Map) -> Arc<Map> {
        let map = Arc::new(map);
        self.map.store(map.clone());
        self.version.send_replace(map.version);
        map
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(u64, u64), oneshot::Sender<Outcome>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct RootMachine {
    published: Arc<Published>,
}

impl RootMachine {
    pub(crate) fn new(published: Arc<Published>) -> Self {
        RootMachine { published }
    }
}

#[async_trait]
impl Machine for RootMachine {
    async fn deliver(&self, entry: Committed) -> Result<(), MachineFault> {
        let index = entry.index;
        let changes =
            MapEntry::decode(entry.payload).map_err(|error| MachineFault::Unreadable {
                index,
                why: error.to_string(),
            })?;
        let mut map = Map::clone(&self.published.map());
        let mut outcomes = Vec::with_capacity(changes.changes.len());
        for change in changes.changes {
            let id = (change.proposer, change.proposal);
            let outcome = match &change.change {
                Some(change) => map.apply(change),
                None => Err(MapRejection::Empty),
            };
            outcomes.push((id, outcome));
        }
        let map = self.published.publish(map);
        let mut waiting = self.published.lock();
        for (id, outcome) in outcomes {
            if let Some(proposer) = waiting.remove(&id) {
                // A proposer that went away needs no answer.
                proposer.send(outcome.map(|()| map.clone())).ok();
            }
        }
        Ok(())
    }

    async fn snapshot(
        &self,
    ) -> Result<BoxFuture<'static, Result<Encode, MachineFault>>, MachineFault> {
        let map = self.published.map();
        let encode: Encode = Box::new(move || map.encode());
        Ok(Box::pin(std::future::ready(Ok(encode))))
    }

    async fn restore(&self, snapshot: Bytes) -> Result<(), MachineFault> {
        let map =
            Map::decode(snapshot).map_err(|error| MachineFault::BadSnapshot(error.to_string()))?;
        // Dropped channels tell the proposers that the outcome is unknown.
        self.published.lock().clear();
        self.published.publish(map);
        Ok(())
    }

    async fn digest(&self) -> Result<BoxFuture<'static, Result<u64, MachineFault>>, MachineFault> {
        let digest = xxhash_rust::xxh3::xxh3_64(&self.published.map().encode());
        Ok(Box::pin(std::future::ready(Ok(digest))))
    }

    /// The map has no leader's part: who changes it asks the group.
    async fn lead(&self, _term: Option<Term>) {}
}
