//! Which nodes carry a sale group. Each change names the epoch it was planned on.

use std::collections::BTreeSet;

use proto::log::v1 as pb;

use super::{Map, MapRejection, NodeState};
use crate::types::{NodeId, ROOT_GROUP};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The first one initialises the group when it is new.
    pub replicas: Vec<NodeId>,
    pub epoch: u64,
}

impl Map {
    pub(super) fn put_group(&mut self, put: &pb::PutGroup) -> Result<(), MapRejection> {
        if put.group_id == ROOT_GROUP {
            return Err(MapRejection::BadValue);
        }
        let known = self.groups.get(&put.group_id);
        let epoch = known.map_or(0, |placement| placement.epoch);
        if put.expected_epoch != epoch {
            return Err(MapRejection::EpochMoved);
        }
        let distinct: BTreeSet<NodeId> = put.replicas.iter().copied().collect();
        if distinct.is_empty() || distinct.len() != put.replicas.len() {
            return Err(MapRejection::BadPlacement);
        }
        for node in &distinct {
            let entry = self.nodes.get(node).ok_or(MapRejection::UnknownNode)?;
            let stays = known.is_some_and(|placement| placement.replicas.contains(node));
            if entry.state != NodeState::Active && !stays {
                return Err(MapRejection::BadPlacement);
            }
        }
        let placement = Placement {
            replicas: put.replicas.clone(),
            epoch: epoch.checked_add(1).ok_or(MapRejection::BadValue)?,
        };
        self.groups.insert(put.group_id, placement);
        Ok(())
    }
}
