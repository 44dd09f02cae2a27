//! The running cluster as the gateway, the door and the services see it: always from this node's
//! memory, never waiting.

use std::sync::{Arc, OnceLock};

use actors::calls::Calls;
use actors::{SaleHandle, Sales};
use cluster::Cluster;
use cluster::map::{SaleEntry, SaleState};
use cluster::types::NodeId;
use domain::ids::{ChannelId, PartnerId, SaleId};

use super::directory::{Directory, PeerChannel, Route, boxed};
use crate::access::{KeyRecord, Keys, PartnerRecord};
use crate::grpc::{EventEntry, Keeper, Whereabouts};

/// Made before the cluster starts, because the cluster's peer listener carries services that look
/// here; until the cluster is attached there are no events, no leaders and no keys.
pub struct ClusterView {
    sales: Arc<Sales>,
    cluster: OnceLock<Cluster>,
}

impl ClusterView {
    pub fn new(sales: Arc<Sales>) -> Arc<ClusterView> {
        Arc::new(ClusterView {
            sales,
            cluster: OnceLock::new(),
        })
    }

    /// Called once, when the cluster has started.
    pub fn attach(&self, cluster: Cluster) {
        // A second cluster on one node would be a mistake of the wiring: the first stays.
        let _ = self.cluster.set(cluster);
    }

    fn route_by(&self, sale: SaleId, calls: Calls, may_name_others: bool) -> Route {
        let Some(cluster) = self.cluster.get() else {
            return Route::NoLeader(calls);
        };
        let map = cluster.map();
        let Some(entry) = map.sales.get(&sale.0) else {
            return Route::UnknownSale(calls);
        };
        match cluster.leader(entry.group) {
            Some(node) if node == cluster.node_id() => match self.sales.get(sale) {
                Some(handle) => match handle.submit(calls) {
                    Ok(()) => Route::Taken,
                    Err(calls) => Route::Full(calls),
                },
                None if entry.state == SaleState::Reserved => Route::UnknownSale(calls),
                // This replica is behind the map for a moment.
                None => Route::NoLeader(calls),
            },
            Some(node) if may_name_others => Route::Node(node, calls),
            Some(_) | None => Route::NoLeader(calls),
        }
    }
}

impl Directory for ClusterView {
    fn route(&self, sale: SaleId, calls: Calls) -> Route {
        self.route_by(sale, calls, true)
    }

    fn route_here(&self, sale: SaleId, calls: Calls) -> Route {
        self.route_by(sale, calls, false)
    }

    fn peer(&self, node: NodeId) -> Option<PeerChannel> {
        self.cluster.get()?.peer(node).map(boxed)
    }
}

impl Whereabouts for ClusterView {
    fn event(&self, sale: SaleId) -> Option<EventEntry> {
        let map = self.cluster.get()?.map();
        map.sales.get(&sale.0).and_then(event)
    }

    fn events_after(&self, after: SaleId, count: usize) -> Vec<EventEntry> {
        let Some(cluster) = self.cluster.get() else {
            return Vec::new();
        };
        let map = cluster.map();
        let later = map.sales.range(after.0.saturating_add(1)..);
        later
            .filter_map(|(_, entry)| event(entry))
            .take(count)
            .collect()
    }

    fn replica(&self, sale: SaleId) -> Option<SaleHandle> {
        self.sales.get(sale)
    }

    fn keeper(&self, sale: SaleId) -> Keeper {
        let leader = self.cluster.get().and_then(|cluster| {
            let group = cluster.map().sales.get(&sale.0)?.group;
            Some((cluster, cluster.leader(group)?))
        });
        match leader {
            Some((cluster, node)) if node == cluster.node_id() => Keeper::Here,
            Some((cluster, node)) => cluster
                .peer(node)
                .map_or(Keeper::Nobody, |channel| Keeper::There(boxed(channel))),
            None => Keeper::Nobody,
        }
    }

    fn is_ready(&self) -> bool {
        self.cluster.get().is_some_and(Cluster::ready)
    }
}

/// `None` while the sale is only reserved: it is not there yet.
fn event(entry: &SaleEntry) -> Option<EventEntry> {
    let SaleEntry {
        sale_id,
        group: _,
        name,
        venue,
        organiser,
        starts_at_ms,
        test_mode,
        state,
    } = entry;
    (*state != SaleState::Reserved).then(|| EventEntry {
        sale: SaleId(*sale_id),
        name: name.clone(),
        venue: venue.clone(),
        organiser: organiser.clone(),
        starts_at_ms: *starts_at_ms,
        test_mode: *test_mode,
    })
}

impl Keys for ClusterView {
    fn find(&self, key_id: &str) -> Option<KeyRecord> {
        let map = self.cluster.get()?.map();
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
        self.cluster
            .get()
            .map_or(0, |cluster| cluster.map().version)
    }
}
