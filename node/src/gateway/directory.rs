//! Where sales live, as the gateway needs to know it.

use actors::calls::Calls;
use cluster::types::NodeId;
use domain::ids::SaleId;
use tonic::transport::Channel;

/// What became of calls handed to the directory; it gives back what it did not take.
pub enum Route {
    /// The sale's owner is here and has queued them.
    Taken,
    /// The sale's owner is here and its queue is full.
    Full(Calls),
    /// The owner is, to the best of this node's knowledge, another node.
    Node(NodeId, Calls),
    /// Nobody leads at the moment, or nobody is known to.
    NoLeader(Calls),
    /// There is no such sale.
    UnknownSale(Calls),
}

/// The cluster as the gateway sees it. Answers from memory, without waiting.
pub trait Directory: Send + Sync + 'static {
    /// Hands calls to the sale's queue when this node leads its group, else says who does.
    fn route(&self, sale: SaleId, calls: Calls) -> Route;

    /// Hands calls to the sale's queue when this node leads its group; never names another node.
    /// What peers forward comes this way, so that calls cannot travel in circles.
    fn route_here(&self, sale: SaleId, calls: Calls) -> Route {
        match self.route(sale, calls) {
            Route::Node(_, calls) => Route::NoLeader(calls),
            route => route,
        }
    }

    /// The connection to another node; it connects when it is first used.
    fn peer(&self, node: NodeId) -> Option<Channel>;
}
