//! The leader of each group brings its members in line with the map, a step at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use super::Inner;
use crate::map::Map;
use crate::placement::{MemberStep, Members, member_step, root_members, sale_members};
use crate::replica::{GroupStatus, HandOverRefused, Replica, ReplicaState};
use crate::types::{NodeId, Peer, ROOT_GROUP};

impl Inner {
    pub(super) async fn members_loop(self: Arc<Self>) {
        let mut tick = interval(self.gossip_period() / 2);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let map = self.published.map();
            for (group, replica) in self.replicas.all() {
                let status = replica.status();
                if status.state != ReplicaState::Leader || self.is_stopping() {
                    continue;
                }
                let rebuilding = self.check.rebuilding(group);
                let step = next_step(&map, self.config.node_id, status, &rebuilding);
                let Some(step) = step else {
                    continue;
                };
                tracing::info!(group, ?step, "members");
                // Refused or unfinished: seen and planned again with the next tick.
                if let Err(why) = self.take(replica.as_ref(), &map, step).await {
                    tracing::info!(group, why, "members are not changed yet");
                }
            }
        }
    }

    async fn take(&self, replica: &dyn Replica, map: &Map, step: MemberStep) -> Result<(), String> {
        match step {
            MemberStep::AddLearner(node) => {
                let entry = map.nodes.get(&node).ok_or("the node left the map")?;
                let peer = Peer {
                    address: entry.peer_address.clone(),
                };
                let added = replica.add_learner(node, peer).await;
                added.map_err(|failure| failure.to_string())
            }
            MemberStep::SetVoters(voters) => {
                let set = replica.set_voters(voters).await;
                set.map_err(|failure| failure.to_string())
            }
            MemberStep::RemoveLearners(nodes) => {
                let removed = replica.remove_learners(nodes).await;
                removed.map_err(|failure| failure.to_string())
            }
            MemberStep::HandOver(to) => {
                let refused = |refused: HandOverRefused| refused.to_string();
                self.check_answers(to).await.map_err(refused)?;
                replica.hand_over(to).await.map_err(refused)
            }
        }
    }
}

fn next_step(
    map: &Map,
    node: NodeId,
    status: GroupStatus,
    rebuilding: &BTreeSet<NodeId>,
) -> Option<MemberStep> {
    let mut wanted = if status.group == ROOT_GROUP {
        root_members(map, &status.voters)?
    } else {
        sale_members(map, status.group)?
    };
    // A replica that is to be rebuilt is let go of first; it comes back as one that is missing.
    wanted.voters.retain(|node| !rebuilding.contains(node));
    let members = Members {
        leader: node,
        voters: status.voters,
        learners: status.learners,
        lag: status.lag,
        settled: status.settled,
        pending_voters: status.pending_voters,
    };
    member_step(&members, &wanted)
}
