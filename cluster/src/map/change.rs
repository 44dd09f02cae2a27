//! Changes the map, from any node: proposed here when this node leads the root group, else sent to
//! who does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use prost::Message;
use proto::log::v1::map_change::Change;
use proto::log::v1::{MapChange, MapEntry};
use tokio::sync::oneshot;

use super::machine::Published;
use super::{Map, MapRejection};
use crate::components::WallClock;
use crate::group::{Group, Proposed};
use crate::types::NodeId;

/// What became of a change proposed here.
pub(crate) enum Changed {
    Applied(Arc<Map>),
    Rejected(MapRejection),
    /// Certainly without effect.
    NotLeader {
        leader: Option<NodeId>,
    },
    Unknown,
}

pub(crate) struct MapChanger {
    published: Arc<Published>,
    /// Set once the root replica has started.
    root: OnceLock<Arc<dyn Group>>,
    wall: Arc<dyn WallClock>,
    /// This incarnation of this node.
    proposer: u64,
    next: AtomicU64,
}

impl MapChanger {
    pub(crate) fn new(published: Arc<Published>, wall: Arc<dyn WallClock>, proposer: u64) -> Self {
        MapChanger {
            published,
            root: OnceLock::new(),
            wall,
            proposer,
            next: AtomicU64::new(0),
        }
    }

    pub(crate) fn set_root(&self, root: Arc<dyn Group>) {
        // A second root would be a mistake of the caller; the first one stays.
        self.root.set(root).ok();
    }

    /// Proposes at this node's root replica.
    pub(crate) async fn propose(&self, change: Change) -> Changed {
        let Some(root) = self.root.get() else {
            return Changed::NotLeader { leader: None };
        };
        let term = root.leadership().term;
        let proposal = self.next.fetch_add(1, Ordering::Relaxed);
        let id = (self.proposer, proposal);
        let entry = MapEntry {
            changes: vec![MapChange {
                proposer: self.proposer,
                proposal,
                at_ms: self.wall.now_ms(),
                change: Some(change),
            }],
        };
        let outcome = self.published.wait(id);
        let _forget = Forget(&self.published, id);
        let (reply, replied) = oneshot::channel();
        let queued = root.propose(
            term,
            entry.encode_to_vec().into(),
            Box::new(move |proposed| {
                // A proposer that went away needs no answer.
                reply.send(proposed).ok();
            }),
        );
        if queued.is_err() {
            // The queue is full: nothing was proposed.
            return Changed::NotLeader { leader: None };
        }
        match replied.await {
            // The delivery came first, so the outcome is there.
            Ok(Proposed::Committed { .. }) => match outcome.await {
                Ok(Ok(map)) => Changed::Applied(map),
                Ok(Err(rejection)) => Changed::Rejected(rejection),
                Err(_) => Changed::Unknown,
            },
            Ok(Proposed::NotLeader { leader }) => Changed::NotLeader { leader },
            // The root group's changes are small and not refused for want of room; it would be
            // certain all the same.
            Ok(Proposed::DiskFull | Proposed::TooLarge { .. }) => {
                Changed::NotLeader { leader: None }
            }
            Ok(Proposed::Unknown) | Err(_) => Changed::Unknown,
        }
    }
}

/// A proposer that goes away waits no more.
struct Forget<'a>(&'a Published, (u64, u64));

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.forget(self.1);
    }
}
