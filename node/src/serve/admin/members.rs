//! Nodes and groups: the cluster map beside what this node's replicas say of themselves.

use cluster::map::NodeState;
use cluster::types::{GroupId, NodeId, ROOT_GROUP};
use cluster::{GroupStatus, ReplicaState, Standing};
use proto::log::v1::PutNode;

use super::Admin;
use crate::http::api::{Answer, NewNode};
use crate::http::problem::{Problem, Reason};
use crate::http::views::{
    GroupList, GroupView, LogFilter, MemberView, NodeList, NodeView, Sampling,
};

impl Admin {
    /// What the node logs, after it was changed; on another node, that one says.
    pub(super) fn tell(&self, node_id: u64, filter: Option<String>) -> Answer<LogFilter> {
        self.must_be(node_id)?;
        let logs = &self.parts.logs;
        if let Some(filter) = filter {
            logs.set_filter(&filter)
                .map_err(|why| Problem::bad_request(format!("filter: {why}")))?;
            tracing::info!(filter, "what is logged was changed");
        }
        let filter = logs.filter();
        Ok(LogFilter { filter })
    }

    /// Which share of calls the node traces, after it was changed; on another node, that one says.
    pub(super) fn sample(&self, node_id: u64, ratio: Option<f64>) -> Answer<Sampling> {
        self.must_be(node_id)?;
        let tracer = &self.parts.tracer;
        if let Some(ratio) = ratio {
            tracer
                .set_ratio(ratio)
                .map_err(|why| Problem::bad_request(format!("ratio: {why}")))?;
            tracing::info!(ratio, "the share of traced calls was changed");
        }
        let ratio = tracer.ratio();
        Ok(Sampling { ratio })
    }

    /// Only this node can answer; another that there is answers itself.
    fn must_be(&self, node_id: u64) -> Answer<()> {
        if node_id == self.parts.cluster.node_id() {
            return Ok(());
        }
        let map = self.parts.cluster.map();
        Err(match map.nodes.contains_key(&node_id) {
            true => self.elsewhere(node_id),
            false => {
                Problem::new(Reason::UnknownNode, format!("there is no node {node_id}")).into()
            }
        })
    }

    pub(super) fn list_nodes(&self) -> NodeList {
        let cluster = &self.parts.cluster;
        let map = cluster.map();
        let leaders: Vec<Option<NodeId>> = std::iter::once(ROOT_GROUP)
            .chain(map.groups.keys().copied())
            .map(|group| cluster.leader(group))
            .collect();
        let nodes = map.nodes.values().map(|node| NodeView {
            node_id: node.id,
            peer_address: node.peer_address.clone(),
            partner_address: node.partner_address.clone(),
            http_address: node.http_address.clone(),
            state: match node.state {
                NodeState::Learner => "learner",
                NodeState::Active => "active",
                NodeState::Draining => "draining",
            }
            .into(),
            groups: map.carries(node.id).count() as u32,
            leads: leaders
                .iter()
                .filter(|leader| **leader == Some(node.id))
                .count() as u32,
            answering: node.id == cluster.node_id(),
        });
        NodeList {
            nodes: nodes.collect(),
        }
    }

    /// Asking again with the same addresses is a success.
    pub(super) async fn take_in(&self, node: NewNode) -> Answer<()> {
        let cluster = &self.parts.cluster;
        let map = cluster.map();
        if let Some(known) = map.nodes.get(&node.node_id) {
            let same = known.peer_address == node.peer_address
                && known.partner_address == node.partner_address
                && known.http_address == node.http_address;
            return match same {
                true => Ok(()),
                false => Err(Problem::new(
                    Reason::AlreadyExists,
                    "the cluster has a node of this id with other addresses",
                )
                .with("node_id", node.node_id)
                .with("peer_address", &known.peer_address)
                .into()),
            };
        }
        let put = PutNode {
            node_id: node.node_id,
            peer_address: node.peer_address,
            partner_address: node.partner_address,
            http_address: node.http_address,
            state: proto::log::v1::NodeState::Learner.into(),
        };
        let added = cluster.add_node(put).await;
        added.map_err(|failure| self.admin_failed(failure))
    }

    pub(super) fn list_groups(&self) -> GroupList {
        let cluster = &self.parts.cluster;
        let map = cluster.map();
        let status = cluster.status();
        let standings = cluster.standings();
        let here = |group: GroupId| status.iter().find(|status| status.group == group);
        let root = GroupView {
            group_id: ROOT_GROUP,
            replicas: map.nodes.keys().copied().collect(),
            ..GroupView::default()
        };
        let placed = map.groups.iter().map(|(group, placement)| GroupView {
            group_id: *group,
            replicas: placement.replicas.clone(),
            epoch: placement.epoch,
            sales: map
                .sales
                .values()
                .filter(|sale| sale.group == *group)
                .count() as u64,
            ..GroupView::default()
        });
        let groups = std::iter::once(root).chain(placed).map(|view| {
            let group = view.group_id;
            let standing = standings.get(&group);
            match here(group) {
                Some(status) => with_replica(view, cluster.node_id(), status, standing),
                None => GroupView {
                    leader: cluster.leader(group),
                    members: standing
                        .filter(|standing| standing.is_stopped())
                        .map(|standing| stopped(cluster.node_id(), *standing))
                        .into_iter()
                        .collect(),
                    ..view
                },
            }
        });
        GroupList {
            groups: groups.collect(),
            silent_nodes: Vec::new(),
        }
    }

    pub(super) async fn hand_over(&self, group: GroupId, to: NodeId) -> Answer<()> {
        let cluster = &self.parts.cluster;
        let map = cluster.map();
        self.check_group(group)?;
        if !map.nodes.contains_key(&to) {
            return Err(
                Problem::new(Reason::UnknownNode, format!("there is no node {to}"))
                    .with("node_id", to)
                    .into(),
            );
        }
        let carries = map
            .groups
            .get(&group)
            .is_none_or(|placement| placement.replicas.contains(&to));
        if !carries {
            return Err(Problem::new(
                Reason::Conflict,
                format!("node {to} carries no replica of group {group}"),
            )
            .with("node_id", to)
            .into());
        }
        let transferred = cluster.transfer_leader(group, to).await;
        transferred.map_err(|failure| self.admin_failed(failure))
    }

    pub(super) async fn take_snapshot(&self, group: GroupId) -> Answer<()> {
        self.check_group(group)?;
        let taken = self.parts.cluster.snapshot(group).await;
        taken.map_err(|failure| self.admin_failed(failure))
    }

    pub(super) async fn rebuild_replica(&self, group: GroupId) -> Answer<()> {
        self.check_group(group)?;
        let begun = self.parts.cluster.rebuild(group).await;
        begun.map_err(|failure| self.admin_failed(failure))
    }

    fn check_group(&self, group: GroupId) -> Result<(), Problem> {
        let map = self.parts.cluster.map();
        if group == ROOT_GROUP || map.groups.contains_key(&group) {
            return Ok(());
        }
        Err(
            Problem::new(Reason::UnknownGroup, format!("there is no group {group}"))
                .with("group_id", group),
        )
    }
}

/// A replica that does not run because it differed from the others.
fn stopped(node_id: NodeId, standing: Standing) -> MemberView {
    let (digest, digest_index) = told(standing);
    MemberView {
        node_id,
        state: "stopped".into(),
        digest: digest.into(),
        digest_index,
        ..MemberView::default()
    }
}

fn told(standing: Standing) -> (&'static str, Option<u64>) {
    match standing {
        Standing::Agrees { index } => ("agrees", Some(index)),
        Standing::Disputed { index } => ("disputed", Some(index)),
        Standing::Stopped => ("differs", None),
        Standing::Rebuilding => ("rebuilding", None),
    }
}

/// The replica's own word, and what a leader knows of the others.
fn with_replica(
    view: GroupView,
    node_id: NodeId,
    status: &GroupStatus,
    standing: Option<&Standing>,
) -> GroupView {
    let GroupStatus {
        group: _,
        state,
        leader,
        term,
        last_log,
        committed,
        applied,
        snapshot,
        purged: _,
        voters,
        learners,
        lag,
        pending_voters: _,
        settled: _,
    } = status;
    let (digest, digest_index) = standing.map_or(("", None), |standing| told(*standing));
    let own = MemberView {
        node_id,
        digest: digest.into(),
        digest_index,
        state: match state {
            ReplicaState::Leader => "leader",
            ReplicaState::Follower => "follower",
            ReplicaState::Candidate => "candidate",
            ReplicaState::Learner => "learner",
            ReplicaState::Stopped => "stopped",
        }
        .into(),
        last_log: *last_log,
        committed: *committed,
        applied: *applied,
        snapshot: *snapshot,
        lag: None,
    };
    let others = lag.iter().map(|(node_id, lag)| MemberView {
        node_id: *node_id,
        lag: Some(*lag),
        ..MemberView::default()
    });
    GroupView {
        leader: *leader,
        term: *term,
        voters: voters.iter().copied().collect(),
        learners: learners.iter().copied().collect(),
        members: std::iter::once(own).chain(others).collect(),
        ..view
    }
}
