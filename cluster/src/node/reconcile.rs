//! Keeps the replicas that run here in line with the map: starts what is placed here, initialises
//! new groups, stops what was moved away.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Inner;
use crate::map::{Map, Placement};
use crate::types::{GroupId, NodeId, Peer, ROOT_GROUP};

impl Inner {
    pub(super) async fn reconcile_loop(self: Arc<Self>) {
        let mut version = self.published.version();
        let mut tick = interval(self.gossip_period());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                changed = version.changed() => if changed.is_err() { return },
                _ = tick.tick() => {}
            }
            self.stop_differing().await;
            self.clear_stopped().await;
            self.start_missing().await;
            self.initialise_new().await;
            self.stop_moved().await;
        }
    }

    pub(super) async fn start_missing(&self) {
        let map = self.published.map();
        for group in map.carries(self.config.node_id) {
            let runs = self.replicas.get(group).is_some();
            if runs || self.check.is_stopped(group) || self.is_stopping() {
                continue;
            }
            match (self.start_sale)(group).await {
                Ok(replica) => self.replicas.insert(group, replica),
                // Tried again with the next tick; the node is not ready meanwhile.
                Err(failure) => tracing::error!(group, %failure, "a replica does not start"),
            }
        }
    }

    /// A group's first replica writes its first membership. Later epochs never do: whoever carries
    /// the group then was brought in by its leader.
    async fn initialise_new(&self) {
        let map = self.published.map();
        for (group, placement) in &map.groups {
            let first = placement.replicas.first() == Some(&self.config.node_id);
            if !first || placement.epoch != 1 {
                continue;
            }
            let Some(replica) = self.replicas.get(*group) else {
                continue;
            };
            if !replica.status().voters.is_empty() {
                continue;
            }
            let Some(members) = members_of(&map, placement) else {
                continue;
            };
            if let Err(failure) = replica.initialize(members).await {
                tracing::warn!(group, %failure, "a group is not initialised");
            }
        }
    }

    /// A replica goes when the map has placed the group elsewhere and its leader has let it go.
    async fn stop_moved(&self) {
        let map = self.published.map();
        let node = self.config.node_id;
        for (group, replica) in self.replicas.all() {
            let placed_here = map
                .groups
                .get(&group)
                .is_some_and(|placement| placement.replicas.contains(&node));
            if group == ROOT_GROUP || placed_here || !self.let_go(group, None) {
                continue;
            }
            tracing::info!(group, "a replica was moved away");
            self.replicas.remove(group);
            replica.shutdown().await;
            self.check.cleared(group);
            self.forget(group).await;
        }
    }

    /// Whether another node leads the group without this one among its members.
    pub(super) fn let_go(&self, group: GroupId, since: Option<Instant>) -> bool {
        let node = self.config.node_id;
        self.gossip.led(group, since).is_some_and(|(leader, led)| {
            leader != node && !led.voters.contains(&node) && !led.learners.contains(&node)
        })
    }

    /// Whether nothing of the group is left on the disks.
    pub(super) async fn forget(&self, group: GroupId) -> bool {
        if let Err(error) = self.log.forget(group).await {
            tracing::warn!(group, %error, "a moved group's log stays behind");
            return false;
        }
        if let Err(error) = self.snapshots.remove(group).await {
            tracing::warn!(group, %error, "a moved group's snapshots stay behind");
            return false;
        }
        true
    }
}

/// The members with their addresses; `None` while the map does not know one of them.
fn members_of(map: &Map, placement: &Placement) -> Option<BTreeMap<NodeId, Peer>> {
    let peer = |id: &NodeId| {
        let address = map.nodes.get(id)?.peer_address.clone();
        Some((*id, Peer { address }))
    };
    placement.replicas.iter().map(peer).collect()
}
