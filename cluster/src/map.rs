//! The cluster map: nodes, placement, sales, partners and keys, replicated by the root group.
//! Pure: `apply` is total and the same on every replica. Who changes it is [`change`]; who carries
//! it in the root group is [`machine`].

pub(crate) mod change;
mod group;
mod key;
pub(crate) mod machine;
mod node;
mod partner;
mod pass_key;
mod rejection;
mod sale;
mod snapshot;
mod trust;

use std::collections::BTreeMap;

use proto::log::v1::map_change::Change;

use crate::types::{GroupId, NodeId};

pub use group::Placement;
pub use key::ApiKey;
pub use node::{NodeEntry, NodeState};
pub use partner::Partner;
pub use pass_key::PassKey;
pub use rejection::MapRejection;
pub use sale::{SaleEntry, SaleState};
pub use snapshot::BadMapSnapshot;
pub use trust::{Trust, TrustPurpose};

/// One version of the map. Readers hold it as long as they like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    pub nodes: BTreeMap<NodeId, NodeEntry>,
    pub groups: BTreeMap<GroupId, Placement>,
    pub sales: BTreeMap<u64, SaleEntry>,
    pub partners: BTreeMap<u32, Partner>,
    pub keys: BTreeMap<String, ApiKey>,
    /// In the sequence of being made.
    pub pass_keys: Vec<PassKey>,
    /// By event and partner: the key whose tokens are taken.
    pub trusts: BTreeMap<(u64, u32), Trust>,
    /// Rises by one with each change that was not rejected.
    pub version: u64,
}

impl Map {
    /// Carries a change out, or says why not and changes nothing.
    pub fn apply(&mut self, change: &Change) -> Result<(), MapRejection> {
        match change {
            Change::PutNode(put) => self.put_node(put),
            Change::RemoveNode(remove) => self.remove_node(remove),
            Change::PutGroup(put) => self.put_group(put),
            Change::ReserveSale(reserve) => self.reserve_sale(reserve),
            Change::SetSaleState(set) => self.set_sale_state(set),
            Change::PutPartner(put) => self.put_partner(put),
            Change::PutKey(put) => self.put_key(put),
            Change::RevokeKey(revoke) => self.revoke_key(revoke),
            Change::PutPassKey(put) => self.put_pass_key(put),
            Change::PutTrust(put) => self.put_trust(put),
        }?;
        // A map from a snapshot may say anything; it must not stop the root group.
        self.version = self.version.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
