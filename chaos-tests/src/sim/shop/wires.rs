//! The shop's connections: one channel to each node, given up when a call on it got no answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cluster::components::Net as _;
use cluster::types::NodeId;
use hyper_util::rt::TokioIo;
use tonic::Request;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

use crate::sim::components::Links;
use crate::sim::plan::partner_address;
use crate::sim::trace::Trace;
use crate::sim::world::SHOP;

const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Whose key a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partner {
    /// Sells, and brings most visitors.
    Shop,
    /// Only brings visitors.
    Club,
}

/// The partners' keys.
#[derive(Clone, Debug)]
pub struct Bearers {
    pub shop: String,
    /// Empty where there is no waiting room.
    pub club: String,
}

pub struct Wires {
    links: Arc<Links>,
    bearers: Bearers,
    channels: Mutex<BTreeMap<NodeId, Channel>>,
}

impl Wires {
    pub fn new(trace: &Trace, bearers: Bearers) -> Wires {
        let links = Links {
            trace: trace.clone(),
            host: SHOP.to_owned(),
            computer: None,
        };
        Wires {
            links: Arc::new(links),
            bearers,
            channels: Mutex::default(),
        }
    }

    pub fn to(&self, node: NodeId) -> Channel {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(node).or_insert_with(|| self.connect(node));
        channel.clone()
    }

    /// The next call dials anew: a simulated connection that lost a segment never recovers.
    pub fn give_up(&self, node: NodeId) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.remove(&node);
    }

    pub fn give_all_up(&self) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.clear();
    }

    fn connect(&self, node: NodeId) -> Channel {
        let links = self.links.clone();
        let dial = tower::service_fn(move |_: Uri| {
            let links = links.clone();
            async move { links.dial(&partner_address(node)).await.map(TokioIo::new) }
        });
        Endpoint::from_static("http://shop")
            .connect_timeout(CONNECT_LIMIT)
            .connect_with_connector_lazy(dial)
    }

    /// A request with the shop's key and a deadline.
    pub fn request<T>(&self, message: T, timeout: Duration) -> Request<T> {
        self.request_of(Partner::Shop, message, timeout)
    }

    pub fn request_of<T>(&self, partner: Partner, message: T, timeout: Duration) -> Request<T> {
        let mut request = Request::new(message);
        let key = match partner {
            Partner::Shop => &self.bearers.shop,
            Partner::Club => &self.bearers.club,
        };
        if let Ok(bearer) = format!("Bearer {key}").parse() {
            request.metadata_mut().insert("authorization", bearer);
        }
        request.set_timeout(timeout);
        request
    }
}
