//! The nodes of a cluster in memory.

use std::collections::BTreeMap;

use crate::http::api::{Answer, NewNode};
use crate::http::problem::{Problem, Reason};
use crate::http::views;

#[derive(Default)]
pub struct Nodes(BTreeMap<u64, views::NodeView>);

impl Nodes {
    pub fn all(&self) -> Vec<views::NodeView> {
        self.0.values().cloned().collect()
    }

    pub fn join(&mut self, node: NewNode) {
        let view = views::NodeView {
            node_id: node.node_id,
            peer_address: node.peer_address,
            partner_address: node.partner_address,
            http_address: node.http_address,
            state: "learner".into(),
            groups: 0,
            leads: 0,
            answering: false,
        };
        self.0.insert(node.node_id, view);
    }

    pub fn remove(&mut self, node_id: u64) -> Answer<()> {
        match self.0.remove(&node_id) {
            Some(_) => Ok(()),
            None => Err(Problem::new(Reason::UnknownNode, format!("node {node_id}")).into()),
        }
    }

    pub fn set_state(&mut self, node_id: u64, to: &str) -> Answer<()> {
        match self.0.get_mut(&node_id) {
            Some(node) => {
                node.state = to.into();
                Ok(())
            }
            None => Err(Problem::new(Reason::UnknownNode, format!("node {node_id}")).into()),
        }
    }
}
