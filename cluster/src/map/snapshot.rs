//! The whole map as a message: the root group's snapshot.

use bytes::Bytes;
use prost::Message;
use proto::log::v1 as pb;

use super::{ApiKey, Map, NodeEntry, Partner, PassKey, Placement, SaleEntry, SaleState};

#[derive(Debug, thiserror::Error)]
#[error("the map's snapshot cannot be read: {0}")]
pub struct BadMapSnapshot(String);

impl Map {
    pub fn encode(&self) -> Bytes {
        let Map {
            nodes,
            groups,
            sales,
            partners,
            keys,
            pass_keys,
            trusts,
            version,
        } = self;
        let snapshot = pb::MapSnapshot {
            nodes: nodes.values().map(NodeEntry::put).collect(),
            groups: groups
                .iter()
                .map(|(group, placement)| pb::PlacedGroup {
                    group_id: *group,
                    replicas: placement.replicas.clone(),
                    epoch: placement.epoch,
                })
                .collect(),
            sales: sales
                .values()
                .map(|sale| pb::PlacedSale {
                    sale: Some(sale.reserve()),
                    state: sale.state.write() as i32,
                })
                .collect(),
            partners: partners.values().map(Partner::put).collect(),
            keys: keys.values().map(ApiKey::put).collect(),
            pass_keys: pass_keys.iter().map(PassKey::put).collect(),
            trusts: trusts
                .iter()
                .map(|((sale_id, partner_id), trust)| trust.put(*sale_id, *partner_id))
                .collect(),
            version: *version,
        };
        snapshot.encode_to_vec().into()
    }

    pub fn decode(bytes: Bytes) -> Result<Self, BadMapSnapshot> {
        let rejected = |rejection: super::MapRejection| BadMapSnapshot(rejection.to_string());
        let snapshot =
            pb::MapSnapshot::decode(bytes).map_err(|error| BadMapSnapshot(error.to_string()))?;
        let pb::MapSnapshot {
            nodes,
            groups,
            sales,
            partners,
            keys,
            version,
            pass_keys,
            trusts,
        } = snapshot;
        let mut map = Map {
            version,
            ..Map::default()
        };
        for put in &nodes {
            let node = NodeEntry::read(put).map_err(rejected)?;
            map.nodes.insert(node.id, node);
        }
        for placed in groups {
            let placement = Placement {
                replicas: placed.replicas,
                epoch: placed.epoch,
            };
            map.groups.insert(placed.group_id, placement);
        }
        for placed in &sales {
            let state = SaleState::read(placed.state()).map_err(rejected)?;
            let sale = placed.sale.as_ref();
            let sale = sale.ok_or_else(|| BadMapSnapshot("a state without a sale".into()))?;
            let sale = SaleEntry::read(sale, state);
            map.sales.insert(sale.sale_id, sale);
        }
        for put in &partners {
            let partner = Partner::read(put).map_err(rejected)?;
            map.partners.insert(partner.id, partner);
        }
        for put in &keys {
            let key = ApiKey::read(put).map_err(rejected)?;
            map.keys.insert(key.key_id.clone(), key);
        }
        for put in &pass_keys {
            map.pass_keys.push(PassKey::read(put).map_err(rejected)?);
        }
        for put in &trusts {
            map.put_trust(put).map_err(rejected)?;
        }
        Ok(map)
    }
}
