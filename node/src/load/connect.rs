//! How the load tools reach nodes: channels over an injected network, the bearer key on each call.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cluster::components::{Io, Net};
use hyper_util::rt::TokioIo;
use tonic::codegen::http::Uri;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Dials a node for tonic.
#[derive(Clone)]
struct Dial(Arc<dyn Net>);

impl tower::Service<Uri> for Dial {
    type Response = TokioIo<Box<dyn Io>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let net = Arc::clone(&self.0);
        Box::pin(async move {
            let address = uri.authority().map_or("", |authority| authority.as_str());
            net.dial(address).await.map(TokioIo::new)
        })
    }
}

fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(Duration::from_secs(1))
        // Thousands of answers may be on their way on one stream.
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        // A node that is only slow, on a machine that is full, is not taken for dead.
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true))
}

/// Connects to a node's partner address now.
pub async fn connect(
    net: &Arc<dyn Net>,
    address: &str,
) -> Result<Channel, tonic::transport::Error> {
    endpoint(address)?
        .connect_with_connector(Dial(Arc::clone(net)))
        .await
}

/// Connects at the first call, and again whenever the connection was lost.
pub fn connect_lazily(
    net: &Arc<dyn Net>,
    address: &str,
) -> Result<Channel, tonic::transport::Error> {
    Ok(endpoint(address)?.connect_with_connector_lazy(Dial(Arc::clone(net))))
}

/// Puts the partner's key on every call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    /// Keys are ASCII by their form.
    pub fn new(key: &str) -> Result<Bearer, tonic::metadata::errors::InvalidMetadataValue> {
        Ok(Bearer(format!("Bearer {key}").parse()?))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// TCP of this machine.
pub struct Tcp;

#[async_trait::async_trait]
impl Net for Tcp {
    async fn dial(&self, address: &str) -> io::Result<Box<dyn Io>> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    async fn listen(
        &self,
        _: &str,
    ) -> io::Result<futures::stream::BoxStream<'static, io::Result<Box<dyn Io>>>> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a partner's client does not listen",
        ))
    }
}

/// The wall clock of this machine.
pub struct MachineClock;

impl cluster::components::WallClock for MachineClock {
    fn now_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }
}
