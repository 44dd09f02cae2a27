//! The peers this node talks to: two lanes and one ordinary channel each, made when first asked
//! for and made anew when a peer's address changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::cluster::v1::peer_service_client::PeerServiceClient;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use super::dialer::{Dialer, MESSAGE_BYTES_MAX};
use super::lane::Lane;
use super::secret::PeerSecret;
use crate::types::NodeId;

/// A channel to a peer's listener that shows the secret with every request.
pub type PeerChannel = InterceptedService<Channel, PeerSecret>;

/// What a lane needs to open connections.
pub(crate) struct Dialing {
    pub(crate) dialer: Dialer,
    pub(crate) secret: PeerSecret,
    pub(crate) limit: Duration,
    rng: Mutex<StdRng>,
}

impl Dialing {
    /// How long to wait after so many failed attempts: 50 ms doubled up to 800 ms, half of it by
    /// chance so that nodes do not knock in step.
    pub(crate) fn backoff(&self, failed: u32) -> Duration {
        let whole_ms = 50u64 << failed.saturating_sub(1).min(4);
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_millis(whole_ms / 2 + rng.random_range(0..=whole_ms / 2))
    }
}

pub(crate) struct PeerLink {
    pub(crate) address: String,
    pub(crate) log: Lane,
    pub(crate) control: Lane,
    channel: PeerChannel,
}

impl PeerLink {
    pub(crate) fn channel(&self) -> PeerChannel {
        self.channel.clone()
    }

    pub(crate) fn client(&self) -> PeerServiceClient<PeerChannel> {
        PeerServiceClient::new(self.channel())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

pub(crate) struct Peers {
    pub(crate) dialing: Arc<Dialing>,
    links: Mutex<BTreeMap<NodeId, Arc<PeerLink>>>,
}

impl Peers {
    pub(crate) fn new(dialer: Dialer, secret: PeerSecret, limit: Duration, seed: u64) -> Self {
        Peers {
            dialing: Arc::new(Dialing {
                dialer,
                secret,
                limit,
                rng: Mutex::new(StdRng::seed_from_u64(seed)),
            }),
            links: Mutex::default(),
        }
    }

    pub(crate) fn backoff(&self, failed: u32) -> Duration {
        self.dialing.backoff(failed)
    }

    pub(crate) fn link(&self, node: NodeId, address: &str) -> Arc<PeerLink> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(&node) {
            if link.address == address {
                return link.clone();
            }
            link.log.close();
            link.control.close();
        }
        let dialing = &self.dialing;
        let channel = dialing.dialer.lazy(address);
        let link = Arc::new(PeerLink {
            address: address.into(),
            log: Lane::new(address.into(), dialing.clone()),
            control: Lane::new(address.into(), dialing.clone()),
            channel: InterceptedService::new(channel, dialing.secret.clone()),
        });
        links.insert(node, link.clone());
        link
    }

    /// Closes every lane: the node stops.
    pub(crate) fn close(&self) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        for link in links.values() {
            link.log.close();
            link.control.close();
        }
        links.clear();
    }
}
