//! The buyers' connections: one to each node, given up and made anew when the node is silent.

use std::time::Duration;

use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::procs::Trouble;

pub struct Wires {
    channels: Vec<Channel>,
    bearer: MetadataValue<Ascii>,
}

/// A connection on which nothing comes back for so long is dead: that of a node whose power was cut
/// never says so.
const SILENCE_MAX: Duration = Duration::from_millis(400);

impl Wires {
    pub fn new(addresses: &[String], key: &str) -> Result<Wires, Trouble> {
        let channel = |address: &String| -> Result<Channel, Trouble> {
            let endpoint = Endpoint::from_shared(format!("http://{address}"))?
                .connect_timeout(SILENCE_MAX)
                .http2_keep_alive_interval(SILENCE_MAX)
                .keep_alive_timeout(SILENCE_MAX)
                .keep_alive_while_idle(true);
            Ok(endpoint.connect_lazy())
        };
        Ok(Wires {
            channels: addresses.iter().map(channel).collect::<Result<_, _>>()?,
            bearer: format!("Bearer {key}").parse()?,
        })
    }

    pub fn count(&self) -> usize {
        self.channels.len()
    }

    pub fn to(&self, at: usize) -> Channel {
        self.channels[at % self.channels.len()].clone()
    }

    /// A request with the partner's key and a deadline.
    pub fn request<T>(&self, message: T, limit: Duration) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = self.bearer.clone();
        request.metadata_mut().insert("authorization", bearer);
        request.set_timeout(limit);
        request
    }
}
