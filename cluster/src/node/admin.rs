//! What operators ask of the cluster, from any node.

use std::sync::Arc;
use std::time::Duration;

use proto::cluster::v1 as pb;
use proto::log::v1::map_change::Change;
use proto::log::v1::{MapChange, PutGroup, PutNode, RemoveNode};
use tokio::time::{Instant, sleep, timeout};

use super::{Cluster, Inner};
use crate::map::change::Changed;
use crate::map::{Map, MapRejection, NodeState};
use crate::replica::HandOverRefused;
use crate::replica::registry::Led;
use crate::types::{GroupId, NodeId, ROOT_GROUP};

/// A change of the map that did not happen, or not certainly.
#[derive(Debug, thiserror::Error)]
pub enum MapFailure {
    #[error("{0}")]
    Rejected(MapRejection),
    #[error("the root group has no leader that could be reached")]
    NoLeader,
    #[error("the outcome is unknown: it may still happen")]
    Unknown,
}

/// An operator's wish that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminFailure {
    #[error("no replica of group {0} here")]
    UnknownGroup(GroupId),
    #[error("group {0} has no leader that could be reached")]
    NoLeader(GroupId),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Map(#[from] MapFailure),
}

impl Cluster {
    /// Proposes a change and returns a map in which it is, as this node will see it from now on.
    pub async fn change_map(&self, change: Change) -> Result<Arc<Map>, MapFailure> {
        let inner = &self.inner;
        inner.components.enter(inner.change_map(change)).await
    }

    pub async fn transfer_leader(&self, group: GroupId, to: NodeId) -> Result<(), AdminFailure> {
        let inner = &self.inner;
        let transferring = async {
            let leader = inner.leader(group);
            let leader = leader.ok_or(AdminFailure::NoLeader(group))?;
            inner.hand_over_at(leader, group, to).await
        };
        inner.components.enter(transferring).await
    }

    /// Takes a snapshot of the local replica; the log before it is purged when it is done.
    pub async fn snapshot(&self, group: GroupId) -> Result<(), AdminFailure> {
        let inner = &self.inner;
        let replica = inner.replicas.get(group);
        let replica = replica.ok_or(AdminFailure::UnknownGroup(group))?;
        let begun = inner.components.enter(replica.take_snapshot()).await;
        begun.map_err(AdminFailure::Refused)
    }

    /// Has the stopped replica here begin anew: its group's leader lets it go and brings it in
    /// again by snapshot. Of the root group a new node takes the place of this one.
    pub async fn rebuild(&self, group: GroupId) -> Result<(), AdminFailure> {
        let inner = &self.inner;
        if group == ROOT_GROUP {
            let why = "the root group is not rebuilt: join a new node, drain and remove this one";
            return Err(AdminFailure::Refused(why.into()));
        }
        if !inner.check.is_stopped(group) {
            let why = format!("the replica of group {group} here has not stopped");
            return Err(AdminFailure::Refused(why));
        }
        let map = self.map();
        let placement = map.groups.get(&group);
        let placement = placement.ok_or(AdminFailure::UnknownGroup(group))?;
        // A new epoch: a replica that begins anew under the first one would write the group's
        // first membership again.
        let put = PutGroup {
            group_id: group,
            replicas: placement.replicas.clone(),
            expected_epoch: placement.epoch,
        };
        self.change_map(Change::PutGroup(put)).await?;
        inner.check.rebuild(group);
        Ok(())
    }

    /// Makes a node known: it receives the root group's log and carries nothing.
    pub async fn add_node(&self, node: PutNode) -> Result<(), AdminFailure> {
        let known = self.map().nodes.contains_key(&node.node_id);
        if known {
            return Ok(());
        }
        let node = PutNode {
            state: proto::log::v1::NodeState::Learner as i32,
            ..node
        };
        self.change_map(Change::PutNode(node)).await?;
        Ok(())
    }

    /// Lets a node carry replicas and vote.
    pub async fn promote(&self, node: NodeId) -> Result<(), AdminFailure> {
        self.set_node_state(node, NodeState::Active).await
    }

    /// Has a node's replicas and leaderships moved to others, one after the other.
    pub async fn drain(&self, node: NodeId) -> Result<(), AdminFailure> {
        self.set_node_state(node, NodeState::Draining).await
    }

    /// Takes a node that carries nothing out of the cluster, once every group does without it: the
    /// node may be switched off when this has succeeded. Its id is never used again.
    pub async fn remove(&self, node: NodeId) -> Result<(), AdminFailure> {
        let inner = &self.inner;
        inner.let_go_everywhere(node).await?;
        let remove = RemoveNode { node_id: node };
        self.change_map(Change::RemoveNode(remove)).await?;
        Ok(())
    }

    async fn set_node_state(&self, node: NodeId, state: NodeState) -> Result<(), AdminFailure> {
        let map = self.map();
        let entry = map.nodes.get(&node);
        let entry = entry.ok_or(MapFailure::Rejected(MapRejection::UnknownNode))?;
        let mut entry = entry.clone();
        entry.state = state;
        self.change_map(Change::PutNode(entry.put())).await?;
        Ok(())
    }
}

impl Inner {
    /// How long an election may take and a bit: so long a leader is looked for.
    fn patience(&self) -> Duration {
        self.config.election_max() * 4
    }

    /// Waits until the leader of every group has said, since now, that its committed members do not
    /// count on a node. The map moves a group's replicas at once, the group itself follows step by
    /// step: a node switched off in between would be missed from a majority.
    async fn let_go_everywhere(&self, node: NodeId) -> Result<(), AdminFailure> {
        let begun = Instant::now();
        loop {
            let map = self.published.map();
            if !map.nodes.contains_key(&node) {
                // The map says so.
                return Ok(());
            }
            if map.carries(node).next().is_some() {
                return Err(MapFailure::Rejected(MapRejection::NodeInUse).into());
            }
            let groups = map.groups.keys().copied().chain([ROOT_GROUP]);
            let Some(waits) = groups.into_iter().find(|group| {
                let led = self.led(*group, begun);
                !led.is_some_and(|led| led.does_without(node))
            }) else {
                return Ok(());
            };
            if begun.elapsed() > self.patience() {
                let why = format!("group {waits} may still count on the node: try again later");
                return Err(AdminFailure::Refused(why));
            }
            sleep(self.config.heartbeat()).await;
        }
    }

    /// What a group's leader says of its members: this node now, or another since then.
    fn led(&self, group: GroupId, since: Instant) -> Option<Led> {
        let here = self.replicas.led().into_iter();
        let here = here.filter(|led| led.group == group);
        let there = self.gossip.led(group, Some(since)).map(|(_, led)| led);
        here.chain(there).max_by_key(|led| led.term)
    }

    async fn change_map(&self, change: Change) -> Result<Arc<Map>, MapFailure> {
        let deadline = Instant::now() + self.patience();
        let mut told: Option<NodeId> = None;
        while Instant::now() < deadline {
            let leader = self.leader(ROOT_GROUP).or(told.take());
            let changed = match leader {
                Some(leader) if leader == self.config.node_id => {
                    self.changer.propose(change.clone()).await
                }
                Some(leader) => self.change_at(leader, change.clone()).await?,
                None => Changed::NotLeader { leader: None },
            };
            match changed {
                Changed::Applied(map) => return Ok(map),
                Changed::Rejected(rejection) => return Err(MapFailure::Rejected(rejection)),
                Changed::Unknown => return Err(MapFailure::Unknown),
                Changed::NotLeader { leader } => told = leader,
            }
            sleep(self.config.heartbeat() / 2).await;
        }
        Err(MapFailure::NoLeader)
    }

    /// Has the root leader propose it, then waits until this node's map has it too.
    async fn change_at(&self, leader: NodeId, change: Change) -> Result<Changed, MapFailure> {
        use pb::change_map_response::Outcome;
        let Some(link) = self.link(leader) else {
            return Ok(Changed::NotLeader { leader: None });
        };
        let request = pb::ChangeMapRequest {
            change: Some(MapChange {
                change: Some(change),
                ..MapChange::default()
            }),
        };
        let mut client = link.client();
        let asking = client.change_map(request);
        let response = match timeout(self.config.proposal_limit(), asking).await {
            Ok(Ok(response)) => response.into_inner(),
            // Sent, perhaps: whether it arrived nobody knows.
            Ok(Err(_)) | Err(_) => return Err(MapFailure::Unknown),
        };
        Ok(match response.outcome {
            Some(Outcome::Version(version)) => {
                let mut versions = self.published.version();
                let seen = versions.wait_for(|seen| *seen >= version);
                match timeout(self.patience(), seen).await {
                    Ok(Ok(_)) => Changed::Applied(self.published.map()),
                    // Done, but not to be seen here.
                    Ok(Err(_)) | Err(_) => Changed::Unknown,
                }
            }
            Some(Outcome::Rejection(rejection)) => {
                let rejection =
                    pb::MapRejection::try_from(rejection).unwrap_or(pb::MapRejection::Unspecified);
                Changed::Rejected(rejection.into())
            }
            Some(Outcome::NotLeader(to)) => Changed::NotLeader {
                leader: (to.leader != 0).then_some(to.leader),
            },
            Some(Outcome::Unknown(_)) | None => Changed::Unknown,
        })
    }

    /// Whether a peer answers at this moment. A leader that hands over to one that is gone leads no
    /// more, and nobody does until the others elect: so this is asked before.
    pub(super) async fn check_answers(&self, node: NodeId) -> Result<(), HandOverRefused> {
        if node == self.config.node_id {
            return Ok(());
        }
        let link = self.link(node).ok_or(HandOverRefused::NotAVoter(node))?;
        let mut client = link.client();
        let asking = client.get_clock(pb::GetClockRequest {});
        match timeout(self.config.election_min(), asking).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(HandOverRefused::Silent(node)),
        }
    }

    /// Asks `leader` to hand a group over.
    pub(super) async fn hand_over_at(
        &self,
        leader: NodeId,
        group: GroupId,
        to: NodeId,
    ) -> Result<(), AdminFailure> {
        use pb::hand_over_response::Outcome;
        let refused = |refused: HandOverRefused| AdminFailure::Refused(refused.to_string());
        self.check_answers(to).await.map_err(refused)?;
        if leader == self.config.node_id {
            let replica = self.replicas.get(group);
            let replica = replica.ok_or(AdminFailure::UnknownGroup(group))?;
            return replica
                .hand_over(to)
                .await
                .map_err(|failure| match failure {
                    HandOverRefused::NotLeader { .. } => AdminFailure::NoLeader(group),
                    failure => refused(failure),
                });
        }
        let link = self.link(leader).ok_or(AdminFailure::NoLeader(group))?;
        let mut client = link.client();
        let asking = client.hand_over(pb::HandOverRequest {
            group_id: group,
            to,
        });
        let response = match timeout(self.config.request_limit(), asking).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(AdminFailure::Refused(status.message().into())),
            Err(_) => return Err(AdminFailure::NoLeader(group)),
        };
        match response.outcome {
            Some(Outcome::Begun(_)) => Ok(()),
            Some(Outcome::NotLeader(_)) | None => Err(AdminFailure::NoLeader(group)),
            Some(Outcome::Refused(why)) => Err(AdminFailure::Refused(why)),
        }
    }
}
