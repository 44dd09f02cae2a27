//! Opens HTTP/2 connections to peers over the injected network, with keepalive and a deadline.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::codegen::http;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::components::Net;

/// Frames carry up to a batch of entries; the log reader cuts them far below this.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 20;

#[derive(Clone)]
pub(crate) struct Dialer {
    net: Arc<dyn Net>,
    /// Of connecting, and of a keepalive ping.
    limit: Duration,
}

impl Dialer {
    pub(crate) fn new(net: Arc<dyn Net>, limit: Duration) -> Self {
        Dialer { net, limit }
    }

    /// One connection, now.
    pub(crate) async fn connect(&self, address: &str) -> Result<Channel, String> {
        let endpoint = self.endpoint();
        let connecting = endpoint.connect_with_connector(self.connector(address));
        match tokio::time::timeout(self.limit, connecting).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err("no connection in time".into()),
        }
    }

    /// A channel that connects when first used and again whenever it must.
    pub(crate) fn lazy(&self, address: &str) -> Channel {
        self.endpoint()
            .connect_with_connector_lazy(self.connector(address))
    }

    fn endpoint(&self) -> Endpoint {
        // The address is the connector's business; this one is only the requests' authority.
        Endpoint::from_static("http://peer")
            .connect_timeout(self.limit)
            .http2_keep_alive_interval(self.limit)
            .keep_alive_timeout(self.limit)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
    }

    fn connector(
        &self,
        address: &str,
    ) -> impl tower::Service<
        http::Uri,
        Response = TokioIo<Box<dyn crate::components::Io>>,
        Error = std::io::Error,
        Future: Send,
    > + Send
    + 'static {
        let net = self.net.clone();
        let address: Arc<str> = address.into();
        service_fn(move |_: http::Uri| {
            let net = net.clone();
            let address = address.clone();
            async move { net.dial(&address).await.map(TokioIo::new) }
        })
    }
}

/// An error with its causes: tonic's own text is only "transport error".
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
