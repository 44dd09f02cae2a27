//! Where sales live and who may call, from this node's copy of the cluster map: what the gateway,
//! the partners' services and the door of the node look up. Answers from memory, never waits.

use std::sync::{Arc, OnceLock};

use actors::calls::Calls;
use actors::{SaleHandle, Sales};
use cluster::Cluster;
use cluster::map::{Map, SaleEntry, SaleState, TrustPurpose};
use cluster::types::NodeId;
use domain::ids::{ChannelId, PartnerId, SaleId};
use tokio::sync::watch;

use crate::access::pass::{PassKey, PassKeys, Purpose, Trust};
use crate::access::{KeyRecord, Keys, PartnerRecord};
use crate::gateway::{Directory, PeerChannel, Route, boxed};
use crate::grpc::{EventEntry, Keeper, Whereabouts};

/// Made before the cluster starts, because the cluster's peer listener already serves from it.
pub struct Place {
    pub sales: Arc<Sales>,
    cluster: OnceLock<Cluster>,
}

/// Who should answer for a sale.
pub enum Leader {
    Here,
    There(NodeId),
    Nobody,
}

impl Place {
    pub fn new(sales: Arc<Sales>) -> Place {
        Place {
            sales,
            cluster: OnceLock::new(),
        }
    }

    /// Before this, nothing is anywhere.
    pub fn set_cluster(&self, cluster: Cluster) {
        // Set once, at start.
        let _again = self.cluster.set(cluster);
    }

    /// The leader of the sale's group; `None`: there is no such sale.
    fn leader(&self, sale: SaleId) -> Option<Leader> {
        let Some(cluster) = self.cluster.get() else {
            return Some(Leader::Nobody);
        };
        let listed = cluster.map().sales.get(&sale.0).map(|entry| entry.group);
        // A replica may know of a sale before this node's map does.
        let group = listed.or_else(|| Some(self.sales.get(sale)?.group()))?;
        Some(match cluster.leader(group) {
            Some(node) if node == cluster.node_id() => Leader::Here,
            Some(node) => Leader::There(node),
            None => Leader::Nobody,
        })
    }

    fn map(&self) -> Option<Arc<Map>> {
        self.cluster.get().map(Cluster::map)
    }

    /// Reserved and never opened: its creation has not come to its end.
    fn is_unfinished(&self, sale: SaleId) -> bool {
        let state = self
            .map()
            .and_then(|map| Some(map.sales.get(&sale.0)?.state));
        state == Some(SaleState::Reserved)
    }
}

impl Directory for Place {
    fn route(&self, sale: SaleId, calls: Calls) -> Route {
        match self.leader(sale) {
            None => Route::UnknownSale(calls),
            Some(Leader::Nobody) => Route::NoLeader(calls),
            Some(Leader::There(node)) => Route::Node(node, calls),
            Some(Leader::Here) => match self.sales.get(sale) {
                Some(handle) => match handle.submit(calls) {
                    Ok(()) => Route::Taken,
                    Err(calls) => Route::Full(calls),
                },
                None if self.is_unfinished(sale) => Route::UnknownSale(calls),
                None => Route::NoLeader(calls),
            },
        }
    }

    fn peer(&self, node: NodeId) -> Option<PeerChannel> {
        self.cluster.get()?.peer(node).map(boxed)
    }
}

impl Whereabouts for Place {
    fn event(&self, sale: SaleId) -> Option<EventEntry> {
        self.map()?.sales.get(&sale.0).map(entry)
    }

    fn events_after(&self, after: SaleId, count: usize) -> Vec<EventEntry> {
        let Some(map) = self.map() else {
            return Vec::new();
        };
        let Some(first) = after.0.checked_add(1) else {
            return Vec::new();
        };
        let created = map
            .sales
            .range(first..)
            .filter(|(_, entry)| entry.state != SaleState::Reserved);
        created.take(count).map(|(_, sale)| entry(sale)).collect()
    }

    fn replica(&self, sale: SaleId) -> Option<SaleHandle> {
        self.sales.get(sale)
    }

    fn keeper(&self, sale: SaleId) -> Keeper {
        match self.leader(sale) {
            Some(Leader::Here) => Keeper::Here,
            Some(Leader::There(node)) => match Directory::peer(self, node) {
                Some(channel) => Keeper::There(channel),
                None => Keeper::Nobody,
            },
            Some(Leader::Nobody) | None => Keeper::Nobody,
        }
    }

    fn is_ready(&self) -> bool {
        self.cluster.get().is_some_and(Cluster::ready)
    }
}

fn entry(entry: &SaleEntry) -> EventEntry {
    let SaleEntry {
        sale_id,
        group: _,
        name,
        venue,
        organiser,
        starts_at_ms,
        test_mode,
        state: _,
    } = entry;
    EventEntry {
        sale: SaleId(*sale_id),
        name: name.clone(),
        venue: venue.clone(),
        organiser: organiser.clone(),
        starts_at_ms: *starts_at_ms,
        test_mode: *test_mode,
    }
}

impl Keys for Place {
    fn find(&self, key_id: &str) -> Option<KeyRecord> {
        let map = self.map()?;
        let key = map.keys.get(key_id)?;
        let partner = map.partners.get(&key.partner).map(|partner| PartnerRecord {
            id: PartnerId(partner.id),
            channel: ChannelId(partner.channel),
            name: partner.name.clone(),
        });
        Some(KeyRecord {
            partner,
            operator: key.operator,
            salt: key.salt.clone(),
            hash: key.hash.clone(),
        })
    }

    fn version(&self) -> u64 {
        self.map().map_or(0, |map| map.version)
    }

    fn versions(&self) -> Option<watch::Receiver<u64>> {
        Some(self.cluster.get()?.map_version())
    }
}

impl PassKeys for Place {
    fn pass_keys(&self) -> Vec<PassKey> {
        let Some(map) = self.map() else {
            return Vec::new();
        };
        let keys = map.pass_keys.iter().cloned();
        keys.map(|key| {
            let cluster::map::PassKey {
                key_id,
                secret,
                public,
                made_at_ms,
            } = key;
            PassKey {
                key_id,
                secret,
                public,
                made_at_ms,
            }
        })
        .collect()
    }

    fn trust(&self, event: SaleId, partner: PartnerId) -> Option<Trust> {
        let cluster::map::Trust { key, purpose } =
            *self.map()?.trusts.get(&(event.0, partner.0))?;
        let purpose = match purpose {
            TrustPurpose::Room => Purpose::Room,
            TrustPurpose::Enqueue => Purpose::Enqueue,
        };
        Some(Trust { key, purpose })
    }
}
