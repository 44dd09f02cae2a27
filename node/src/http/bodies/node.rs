//! Bodies of the calls about nodes and who leads.

use serde::{Deserialize, Serialize};

use crate::http::api::NewNode;
use crate::http::problem::Problem;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    pub node_id: u64,
    pub peer_address: String,
    pub partner_address: String,
    pub http_address: String,
}

impl Join {
    pub fn into_node(self) -> Result<NewNode, Problem> {
        let Join {
            node_id,
            peer_address,
            partner_address,
            http_address,
        } = self;
        if node_id == 0 || node_id > u64::from(u32::MAX) {
            return Err(Problem::bad_request("node_id: must be 1 to 4294967295"));
        }
        for (field, address) in [
            ("peer_address", &peer_address),
            ("partner_address", &partner_address),
            ("http_address", &http_address),
        ] {
            crate::config::check::check_address(field, address)
                .map_err(|fault| Problem::bad_request(fault.to_string()))?;
        }
        Ok(NewNode {
            node_id,
            peer_address,
            partner_address,
            http_address,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    pub to: u64,
}
