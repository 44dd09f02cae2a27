//! The listeners: which services stand where, and with which limits.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cluster::DateLayer;
use cluster::components::Io;
use futures::{Stream, StreamExt as _};
use proto::channel::v1::admission_service_server::AdmissionServiceServer;
use proto::channel::v1::catalogue_service_server::CatalogueServiceServer;
use proto::channel::v1::sales_service_server::SalesServiceServer;
use proto::channel::v1::seats_service_server::SeatsServiceServer;
use proto::channel::v1::session_service_server::SessionServiceServer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::admission::{Admission, Rooms, Waits};
use super::catalogue::Catalogue;
use super::meter::Meter;
use super::metrics::RpcMetrics;
use super::place::Whereabouts;
use super::reasons::Reasons;
use super::sales::Sales;
use super::seats::Seats;
use super::session::Sessions;
use super::slow_calls::SlowCalls;
use super::{Entrance, Partners};

const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const READINESS_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum ServeFailure {
    #[error("the partner listener failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("the reflection service cannot read the descriptors: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves partners on the connections of `incoming` until the node goes down (the `going_down` of
/// `partners`): then no connection is taken, streams end, calls under way are answered, and what
/// is left after `Config::drain` is let go.
pub async fn serve(
    partners: Partners,
    incoming: impl Stream<Item = std::io::Result<Box<dyn Io>>> + Send,
) -> Result<(), ServeFailure> {
    let config = partners.config.clone();
    let whereabouts = partners.whereabouts.clone();
    let (health, health_service) = tonic_health::server::health_reporter();
    // Before the first connection is taken: no service is ever unknown.
    tell_health(&health, ServingStatus::NotServing).await;
    let mut services = RoutesBuilder::default();
    services.add_service(health_service);
    services.add_service(descriptors().build_v1()?);
    // Older clients, Python's among them, know no other.
    services.add_service(descriptors().build_v1alpha()?);
    let entrance = Entrance::Partners(partners.clone());
    let admission = Admission::new(Rooms::new(entrance.clone(), partners.waits.clone()));
    let bytes_max = config.message_bytes_max;
    services
        .add_service(
            CatalogueServiceServer::new(Catalogue::new(entrance.clone()))
                .max_decoding_message_size(bytes_max),
        )
        .add_service(
            SeatsServiceServer::new(Seats(entrance.clone())).max_decoding_message_size(bytes_max),
        )
        .add_service(SalesServiceServer::new(Sales(entrance)).max_decoding_message_size(bytes_max))
        .add_service(
            AdmissionServiceServer::new(admission.clone()).max_decoding_message_size(bytes_max),
        )
        .add_service(
            SessionServiceServer::new(Sessions {
                partners: partners.clone(),
                admission,
            })
            .max_decoding_message_size(bytes_max),
        );
    let down = |mut going_down: tokio::sync::watch::Receiver<bool>| async move {
        // An error means that the node's owner is gone: down as well.
        let _ = going_down.wait_for(|down| *down).await;
    };
    let served = Server::builder()
        .layer(Meter::new(
            partners.metrics.clone(),
            partners.tracer.clone(),
            partners.door.clone(),
            SlowCalls::new(config.slow_call),
        ))
        .layer(DateLayer::new(partners.wall.clone()))
        .layer(Reasons { bytes_max })
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(config.streams_max)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(services.routes())
        .serve_with_incoming_shutdown(
            incoming.map(|io| io.map(|io| Connection::open(io, &partners.metrics))),
            down(partners.going_down.clone()),
        );
    let drained = async {
        down(partners.going_down.clone()).await;
        tokio::time::sleep(config.drain).await;
    };
    tokio::select! {
        served = served => Ok(served?),
        () = drained => Ok(()),
        never = follow_readiness(health, whereabouts, partners.going_down.clone()) => match never {},
    }
}

/// What reflection lists; messages of other packages may be looked up, their services not.
const SERVICES: [&str; 8] = [
    "onsale.channel.v1.AdmissionService",
    "onsale.channel.v1.CatalogueService",
    "onsale.channel.v1.SeatsService",
    "onsale.channel.v1.SalesService",
    "onsale.channel.v1.SessionService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

fn descriptors() -> tonic_reflection::server::Builder<'static> {
    let all = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS);
    SERVICES
        .into_iter()
        .fold(all, |all, service| all.with_service_name(service))
}

/// The reads that other nodes pass on, for the peer listener. Whoever reaches that listener is
/// trusted to name the partner it reads for.
pub fn for_peers(whereabouts: Arc<dyn Whereabouts>, waits: Arc<Waits>) -> Routes {
    let entrance = Entrance::Peers(whereabouts);
    let mut services = RoutesBuilder::default();
    services
        .add_service(CatalogueServiceServer::new(Catalogue::new(
            entrance.clone(),
        )))
        .add_service(SeatsServiceServer::new(Seats(entrance.clone())))
        .add_service(SalesServiceServer::new(Sales(entrance.clone())))
        .add_service(AdmissionServiceServer::new(Admission::new(Rooms::new(
            entrance, waits,
        ))));
    services.routes()
}

/// Serving while the node is ready and not going down.
async fn follow_readiness(
    health: HealthReporter,
    whereabouts: Arc<dyn Whereabouts>,
    going_down: tokio::sync::watch::Receiver<bool>,
) -> Infallible {
    let mut told = ServingStatus::NotServing;
    let mut look = tokio::time::interval(READINESS_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let status = match whereabouts.is_ready() && !*going_down.borrow() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        if told != status {
            tell_health(&health, status).await;
            told = status;
        }
    }
}

async fn tell_health(health: &HealthReporter, status: ServingStatus) {
    for service in std::iter::once("").chain(SERVICES) {
        health.set_service_status(service, status).await;
    }
}

/// A connection from the injected listener, counted while it is open.
struct Connection {
    io: Box<dyn Io>,
    metrics: Arc<RpcMetrics>,
}

impl Connection {
    fn open(io: Box<dyn Io>, metrics: &Arc<RpcMetrics>) -> Connection {
        metrics.observe_connect();
        Connection {
            io,
            metrics: Arc::clone(metrics),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.observe_disconnect();
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
