//! The placement controller: runs on the root group's leader, writes the first map, then takes the
//! planner's steps. Stateless but for what it watches: a new leader plans on from the same map.

use std::sync::Arc;

use proto::log::v1::PutGroup;
use proto::log::v1::map_change::Change;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Inner;
use crate::map::change::Changed;
use crate::map::{NodeEntry, NodeState};
use crate::placement::{Step, plan};
use crate::types::{GroupId, NodeId};

/// A leadership on its way is waited for so many periods before it is tried again.
const MOVE_PERIODS: u32 = 8;

#[derive(Default)]
struct Moving {
    what: Option<(GroupId, NodeId, Instant)>,
}

impl Inner {
    pub(super) async fn controller_loop(self: Arc<Self>) {
        let mut tick = interval(self.gossip_period());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut moving = Moving::default();
        loop {
            tick.tick().await;
            if !self.leads_root() || self.is_stopping() {
                moving = Moving::default();
                continue;
            }
            if self.published.map().nodes.is_empty() {
                self.write_founders().await;
                continue;
            }
            self.take_steps(&mut moving).await;
        }
    }

    async fn write_founders(&self) {
        for founder in &self.config.founders {
            let node = NodeEntry {
                id: founder.id,
                peer_address: founder.peer_address.clone(),
                partner_address: founder.partner_address.clone(),
                http_address: founder.http_address.clone(),
                state: NodeState::Active,
            };
            if !self.write(Change::PutNode(node.put())).await {
                return;
            }
        }
    }

    async fn take_steps(&self, moving: &mut Moving) {
        let map = self.published.map();
        // All founders come first, or the first placement would miss one.
        let founders = self.config.founders.iter();
        let unwritten = map.groups.is_empty()
            && founders
                .clone()
                .any(|founder| !map.nodes.contains_key(&founder.id));
        if unwritten {
            return self.write_founders().await;
        }
        let observed = self.observe();
        if let Some((group, to, since)) = moving.what {
            let arrived = observed
                .groups
                .get(&group)
                .is_some_and(|seen| seen.leader == to);
            if !arrived && since.elapsed() < self.gossip_period() * MOVE_PERIODS {
                return;
            }
            moving.what = None;
        }
        let steps = plan(
            &map,
            &observed,
            self.config.sale_groups,
            self.config.replicas,
        );
        for step in steps {
            tracing::info!(?step, "placement");
            match step {
                Step::Place {
                    group,
                    replicas,
                    expected_epoch,
                } => {
                    let put = PutGroup {
                        group_id: group,
                        replicas,
                        expected_epoch,
                    };
                    if !self.write(Change::PutGroup(put)).await {
                        return;
                    }
                }
                Step::MoveLeader { group, from, to } => {
                    moving.what = Some((group, to, Instant::now()));
                    if let Err(failure) = self.hand_over_at(from, group, to).await {
                        tracing::info!(group, %failure, "a leadership stays");
                    }
                }
            }
        }
    }

    async fn write(&self, change: Change) -> bool {
        match self.changer.propose(change).await {
            Changed::Applied(_) => true,
            Changed::Rejected(rejection) => {
                tracing::warn!(%rejection, "a planned change was refused");
                false
            }
            // Planned again by whoever leads next.
            Changed::NotLeader { .. } | Changed::Unknown => false,
        }
    }
}
