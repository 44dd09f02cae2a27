//! Where sales live, as the gateway needs to know it.

use actors::calls::Calls;
use cluster::types::NodeId;
use domain::ids::SaleId;
use tonic::body::Body;
use tonic::codegen::http;
use tower::util::{BoxCloneSyncService, ServiceExt as _};

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

/// The way to another node's peer listener, whatever it is wrapped in. Called once per stream.
pub type PeerChannel =
    BoxCloneSyncService<http::Request<Body>, http::Response<Body>, tonic::transport::Error>;

/// Hides what a channel is wrapped in.
pub fn boxed<S, B>(channel: S) -> PeerChannel
where
    S: tower::Service<
            http::Request<Body>,
            Response = http::Response<B>,
            Error = tonic::transport::Error,
        > + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: tonic::codegen::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    BoxCloneSyncService::new(channel.map_response(|response| response.map(Body::new)))
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
    fn peer(&self, node: NodeId) -> Option<PeerChannel>;
}
