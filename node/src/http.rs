//! The cluster API over HTTP: `/v1` for operators, health and metrics for whoever watches the node,
//! one page that draws an event's seats. Runs on actix-web's own workers and hands all work to the
//! main runtime (`door`); knows the node only through `api`. Started by `serve`, called by
//! `onsale ctl`, browsers and Prometheus.

pub mod api;
pub mod bodies;
mod changes;
mod door;
mod events;
mod forecast;
pub mod forward;
mod health;
mod layout;
mod metrics;
mod nodes;
mod partners;
pub mod problem;
mod queue;
mod routes;
mod sales;
pub mod timestamp;
pub mod views;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use cluster::components::Net;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::routes::OPERATORS;

use self::api::AdminApi;
use self::door::Door;
use self::forward::Forward;
use crate::trace::Tracer;

/// Calls still running when the server stops have this long.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// How the server is set up; the rest is `AdminApi`.
pub struct Settings {
    /// `host:port`; port 0 takes a free one.
    pub address: String,
    pub workers: usize,
    /// Largest body of a call that may carry a plan.
    pub plan_bytes_max: usize,
    /// Seeds the keys made for callers who bring none.
    pub seed: u64,
    pub tracer: Tracer,
}

/// The running server.
pub struct Http {
    pub address: SocketAddr,
    handle: ServerHandle,
    stopping: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum HttpFailure {
    #[error("http.address {address}: {source}")]
    Bind { address: String, source: io::Error },
    #[error("the metrics of the HTTP server: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Http {
    /// Binds and serves. Called on the main runtime, where all work will run.
    pub fn start(
        settings: Settings,
        api: Arc<dyn AdminApi>,
        net: Arc<dyn Net>,
        registry: prometheus::Registry,
    ) -> Result<Http, HttpFailure> {
        let bind = |source| HttpFailure::Bind {
            address: settings.address.clone(),
            source,
        };
        let listener = TcpListener::bind(&settings.address).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (stopping, stopped) = watch::channel(false);
        let door = web::Data::new(Door::new(
            api,
            Handle::current(),
            Forward::new(net),
            settings.plan_bytes_max,
            registry,
            stopped,
            settings.tracer,
            settings.seed,
        )?);
        let metrics = door.metrics.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::clone(&door))
                .configure(routes::configure)
        })
        .on_connect(move |_, connection| {
            // Dropped with it.
            connection.insert(metrics.observe_connect());
        })
        .workers(settings.workers)
        .disable_signals()
        .shutdown_timeout(STOP_LIMIT.as_secs())
        .listen(listener)
        .map_err(bind)?
        .run();
        Ok(Http {
            address,
            handle: server.handle(),
            stopping,
            server: tokio::spawn(server),
        })
    }

    /// Ends the feeds, answers the calls in flight, then stops.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        self.handle.stop(true).await;
        // What the server ended with no longer matters to anybody.
        let _ended = self.server.await;
    }
}
