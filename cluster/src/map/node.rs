//! Nodes of the cluster and what they may carry.

use proto::log::v1 as pb;

use super::{Map, MapRejection};
use crate::types::NodeId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Receives the root group's log, carries nothing.
    Learner,
    /// May carry replicas and vote.
    Active,
    /// Gives its replicas away.
    Draining,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    pub id: NodeId,
    pub peer_address: String,
    pub partner_address: String,
    pub http_address: String,
    pub state: NodeState,
}

impl NodeEntry {
    /// The change that writes this entry.
    pub fn put(&self) -> pb::PutNode {
        let NodeEntry {
            id,
            peer_address,
            partner_address,
            http_address,
            state,
        } = self;
        pb::PutNode {
            node_id: *id,
            peer_address: peer_address.clone(),
            partner_address: partner_address.clone(),
            http_address: http_address.clone(),
            state: match state {
                NodeState::Learner => pb::NodeState::Learner,
                NodeState::Active => pb::NodeState::Active,
                NodeState::Draining => pb::NodeState::Draining,
            } as i32,
        }
    }

    pub(super) fn read(put: &pb::PutNode) -> Result<Self, MapRejection> {
        let pb::PutNode {
            node_id,
            peer_address,
            partner_address,
            http_address,
            state: _,
        } = put;
        if *node_id == 0 || peer_address.is_empty() {
            return Err(MapRejection::BadValue);
        }
        Ok(NodeEntry {
            id: *node_id,
            peer_address: peer_address.clone(),
            partner_address: partner_address.clone(),
            http_address: http_address.clone(),
            state: match put.state() {
                pb::NodeState::Learner => NodeState::Learner,
                pb::NodeState::Active => NodeState::Active,
                pb::NodeState::Draining => NodeState::Draining,
                pb::NodeState::Unspecified => return Err(MapRejection::BadValue),
            },
        })
    }
}

impl Map {
    /// The groups a node carries a replica of.
    pub fn carries(&self, node: NodeId) -> impl Iterator<Item = u32> + '_ {
        self.groups
            .iter()
            .filter(move |(_, placement)| placement.replicas.contains(&node))
            .map(|(group, _)| *group)
    }

    pub(super) fn put_node(&mut self, put: &pb::PutNode) -> Result<(), MapRejection> {
        let entry = NodeEntry::read(put)?;
        let in_use = self.carries(entry.id).next().is_some();
        if entry.state == NodeState::Learner && in_use {
            return Err(MapRejection::NodeInUse);
        }
        self.nodes.insert(entry.id, entry);
        Ok(())
    }

    pub(super) fn remove_node(&mut self, remove: &pb::RemoveNode) -> Result<(), MapRejection> {
        if !self.nodes.contains_key(&remove.node_id) {
            return Err(MapRejection::UnknownNode);
        }
        if self.carries(remove.node_id).next().is_some() {
            return Err(MapRejection::NodeInUse);
        }
        self.nodes.remove(&remove.node_id);
        Ok(())
    }
}
