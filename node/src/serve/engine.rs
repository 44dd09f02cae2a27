//! The part of a node that sells: clock, sales, cluster, gateway and the partners' listener, all on
//! injected components. The binary puts signals, index and the HTTP API around it; the simulation
//! runs many of it in one thread.

use std::sync::Arc;

use actors::clock::DisciplinedClock;
use actors::faults::Faults;
use actors::metrics::SaleMetrics;
use actors::{SaleMachines, Sales};
use anyhow::Context as _;
use cluster::components::Components;
use cluster::machine::Machines;
use cluster::{Cluster, Runtime};
use prometheus::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::place::Place;
use super::time;
use crate::access::Door;
use crate::access::risk::RiskScorer;
use crate::gateway::{self, Forwarding, Gateway, GatewayMetrics};
use crate::grpc::{self, Partners, RpcMetrics, Waits};
use crate::trace::{self, Tracer};

/// The values an engine is started with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub cluster: cluster::Config,
    pub sales: actors::Config,
    pub gateway: gateway::Config,
    pub partners: grpc::Config,
    pub tracing: trace::Settings,
    /// None but in tests and the simulation: no configuration reaches them.
    pub faults: Faults,
    /// `host:port` partners call.
    pub partner_address: String,
}

/// A running engine. It stops in two steps: `going_down` ends the partners' streams, and
/// `Cluster::shutdown` the replicas.
pub struct Engine {
    pub sales: Arc<Sales>,
    pub place: Arc<Place>,
    pub cluster: Cluster,
    pub gateway: Gateway,
    pub door: Door,
    pub tracer: Tracer,
    /// To be told what becomes of holds.
    pub risk: Arc<dyn RiskScorer>,
    /// What visitors are told of their wait; somebody has to look whether it was true.
    pub waits: Arc<Waits>,
    /// Ends when the partners' listener does.
    pub partners: JoinHandle<Result<(), grpc::ServeFailure>>,
    /// True ends the partners' streams.
    pub going_down: watch::Sender<bool>,
}

impl Engine {
    /// Starts on tokio's runtime.
    pub async fn start(
        settings: Settings,
        components: &Components,
        registry: &Registry,
    ) -> anyhow::Result<Engine> {
        let machines = |sales| Arc::new(SaleMachines(sales)) as _;
        Self::start_on::<cluster::TokioRuntime>(settings, components, registry, machines).await
    }

    /// Starts on any runtime of Raft's, with the groups' machines as `machines` makes them.
    pub async fn start_on<R: Runtime>(
        settings: Settings,
        components: &Components,
        registry: &Registry,
        machines: impl FnOnce(Arc<Sales>) -> Arc<dyn Machines>,
    ) -> anyhow::Result<Engine> {
        let Settings {
            cluster: cluster_config,
            sales: sales_config,
            gateway: gateway_config,
            partners: bounds,
            tracing,
            faults,
            partner_address,
        } = settings;
        let clock = Arc::new(DisciplinedClock::new(components.wall.now_ms()));
        let sales = Sales::start(
            sales_config,
            Arc::clone(&clock) as _,
            SaleMetrics::new(registry)?,
            faults,
            components.seed,
        )
        .await
        .context("the sale actors do not start")?;
        let place = Arc::new(Place::new(Arc::clone(&sales)));
        let node_id = cluster_config.node_id;
        let wall = Arc::clone(&components.wall);
        let tracer = Tracer::new(node_id, wall, components.seed, &tracing, registry)?;
        let waits = Arc::new(Waits::new(registry)?);
        let reads = grpc::for_peers(Arc::clone(&place) as _, Arc::clone(&waits));
        let peers = reads.add_service(Forwarding::service(
            Arc::clone(&place) as _,
            &gateway_config,
            tracer.clone(),
        ));
        let cluster = Cluster::start_on::<R>(
            cluster_config,
            components.clone(),
            machines(Arc::clone(&sales)),
            peers,
            registry,
        )
        .await?;
        place.set_cluster(cluster.clone());
        tokio::spawn(time::follow(
            clock,
            Arc::clone(&components.wall),
            cluster.clone(),
        ));
        let metrics = GatewayMetrics::new(registry)?;
        let gateway = Gateway::new(gateway_config, Arc::clone(&place) as _, metrics);
        let door = Door::new(Arc::clone(&place) as _);
        let (going_down, goes_down) = watch::channel(false);
        let incoming = components
            .net
            .listen(&partner_address)
            .await
            .with_context(|| format!("node.partner_address {partner_address}"))?;
        let partners = Partners::new(
            bounds,
            door.clone(),
            Arc::clone(&place) as _,
            gateway.clone(),
            Arc::clone(&place) as _,
            Arc::clone(&components.wall),
            goes_down,
            RpcMetrics::new(registry)?,
            tracer.clone(),
            Arc::clone(&waits),
        );
        Ok(Engine {
            sales,
            place,
            cluster,
            gateway,
            door,
            tracer,
            risk: partners.risk(),
            waits,
            partners: tokio::spawn(grpc::serve(partners, incoming)),
            going_down,
        })
    }
}
