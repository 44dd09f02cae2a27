//! One node, from its configuration to its last word.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::Sales;
use actors::faults::Faults;
use actors::feed::Fed;
use anyhow::{Context as _, anyhow, bail};
use cluster::Cluster;
use cluster::components::{Components, Net};
use prometheus::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::admin::{Admin, Parts};
use super::departure::{self, Signals};
use super::engine::{Engine, Settings};
use super::logs::Logs;
use super::outcomes::{self, Outcomes};
use super::welcome;
use crate::access::risk::RiskScorer;
use crate::config::{Config, Founder};
use crate::forecast;
use crate::gateway;
use crate::grpc;
use crate::http::forward::Forward;
use crate::http::{self, Http};
use crate::index::{self, Index, IndexMetrics, SaleActors, SledOpener};
use crate::observe;
use crate::trace::{self, Tracer};

/// Partners' streams may take this long to end after leadership has moved.
const DRAIN: Duration = Duration::from_secs(2);
/// The log and the replicas stop within this, or are left as they are: they survive a crash.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What waits to be told to a collector of traces has this long.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Batches of changes that may wait for the index.
const FEED_MAX: usize = 4096;

/// Of what lets the sales have the processors first, takes what is left, and catches up later: the politest
/// a thread can be.
const NICENESS: i32 = 19;

/// Runs until a signal, or until something without which a node is no node has failed.
pub async fn run(config: Config, logs: Logs) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let running = tokio::select! {
        running = Running::start(config, logs) => running?,
        () = signals.next() => return Ok(()),
    };
    let Running {
        cluster,
        http,
        mut partners,
        mut beginning,
        going_down,
        leaving,
        tracer,
    } = running;
    let mut has_begun = false;
    let failure = loop {
        tokio::select! {
            () = signals.next() => break None,
            ended = &mut partners => break Some(match ended {
                Ok(Err(failure)) => failure.into(),
                Ok(Ok(())) | Err(_) => anyhow!("the partners' listener ended"),
            }),
            begun = &mut beginning, if !has_begun => match begun {
                Ok(Err(refused)) => break Some(refused),
                Ok(Ok(())) | Err(_) => has_begun = true,
            },
        }
    };
    if let Some(failure) = failure {
        cluster.shutdown().await;
        return Err(failure);
    }
    let leave = async {
        tracing::info!("leaving: not ready any more");
        leaving.send_replace(true);
        departure::hand_over(&cluster).await;
        tracing::info!("leaving: leads nothing any more");
        going_down.send_replace(true);
        http.stop().await;
        // What is left of partners' calls after this has had its deadline.
        let _drained = timeout(DRAIN + Duration::from_secs(1), &mut partners).await;
        if !tracer.flush(FLUSH_LIMIT).await {
            tracing::warn!("not all spans were told: the collector does not take them in time");
        }
        let _stopped = timeout(STOP_LIMIT, cluster.shutdown()).await;
        tracing::info!("left");
    };
    tokio::select! {
        () = leave => Ok(()),
        () = signals.next() => std::process::exit(130),
    }
}

struct Running {
    cluster: Cluster,
    http: Http,
    partners: JoinHandle<Result<(), grpc::ServeFailure>>,
    /// Joining, or making the first operator's key.
    beginning: JoinHandle<anyhow::Result<()>>,
    /// True ends the partners' streams.
    going_down: watch::Sender<bool>,
    /// True makes the node unready.
    leaving: watch::Sender<bool>,
    tracer: Tracer,
}

impl Running {
    async fn start(config: Config, logs: Logs) -> anyhow::Result<Running> {
        let folder = config.node.data_dir.display();
        let components = open_folder(&config.node.data_dir)
            .await
            .with_context(|| format!("node.data_dir {folder}"))?;
        let registry = Registry::new();
        tokio::spawn(logs.tell_what_was_left_out());
        let Engine {
            sales,
            place,
            cluster,
            gateway,
            door,
            tracer,
            risk,
            waits,
            partners,
            going_down,
        } = Engine::start(
            engine_settings(&config, components.seed),
            &components,
            &registry,
        )
        .await?;
        export(&config, &tracer)?;
        let (leaving, leaves) = watch::channel(false);
        let feed = feed(&config, &sales, risk)?;
        let index = start_index(&config, &components, &cluster, &sales, feed, &registry)?;
        let forecasts = forecast(&components, &cluster, &registry)?;
        observe(
            &config,
            &components,
            observe::Source {
                sales,
                cluster: cluster.clone(),
                book: Arc::clone(&forecasts),
                waits,
            },
            &leaves,
            &registry,
        )?;
        let admin = Admin::new(Parts {
            cluster: cluster.clone(),
            place,
            gateway,
            door,
            index,
            forecasts,
            components: components.clone(),
            config: config.clone(),
            leaving: leaves,
            logs,
            tracer: tracer.clone(),
        });
        let http = Http::start(
            http_settings(&config, &components, tracer.clone()),
            Arc::new(admin),
            Arc::clone(&components.net),
            registry,
        )?;
        say_where(&config);
        let net = Arc::clone(&components.net);
        Ok(Running {
            beginning: tokio::spawn(begin(config, net, cluster.clone())),
            cluster,
            http,
            partners,
            going_down,
            leaving,
            tracer,
        })
    }
}

/// Spans go to a collector, where one is named.
#[cfg(feature = "otlp")]
fn export(config: &Config, tracer: &Tracer) -> anyhow::Result<()> {
    let endpoint = &config.trace.otlp_endpoint;
    if !endpoint.is_empty() {
        let metrics = tracer.metrics().clone();
        let collector = trace::otlp::Collector::start(endpoint, config.node.id, metrics)?;
        tracer.send_to(Arc::new(collector));
    }
    Ok(())
}

/// Without the feature nothing can be named: the configuration was checked.
#[cfg(not(feature = "otlp"))]
fn export(_: &Config, _: &Tracer) -> anyhow::Result<()> {
    Ok(())
}

/// What is told of the node beside what its parts count.
fn observe(
    config: &Config,
    components: &Components,
    source: observe::Source,
    leaves: &watch::Receiver<bool>,
    registry: &Registry,
) -> anyhow::Result<()> {
    observe::Process::register(registry, components.wall.now_ms())?;
    let folder = &config.node.data_dir;
    let cluster = source.cluster.clone();
    observe::Health::register(registry, cluster, leaves.clone(), folder)?;
    let (waits, sales) = (Arc::clone(&source.waits), Arc::clone(&source.sales));
    tokio::spawn(grpc::follow_waits(waits, sales));
    tokio::spawn(observe::look(source, observe::LedMetrics::new(registry)?));
    Ok(())
}

/// Outlooks are made on a thread of their own, which has the processor last.
fn forecast(
    components: &Components,
    cluster: &Cluster,
    registry: &Registry,
) -> anyhow::Result<Arc<forecast::Book>> {
    let book = Arc::new(forecast::Book::default());
    let working = forecast::work(
        Arc::clone(&book),
        Box::new(forecast::Smoothing::DEFAULT),
        forecast::Closing {
            cluster: cluster.clone(),
            wall: Arc::clone(&components.wall),
        },
        forecast::ForecastMetrics::new(registry)?,
    );
    let lanes = &components.lanes;
    lanes.run_behind("forecast", NICENESS, Box::pin(working));
    Ok(book)
}

/// The sales' changes for the index, if there is one; what became of holds is learned on the way.
fn feed(
    config: &Config,
    sales: &Arc<Sales>,
    risk: Arc<dyn RiskScorer>,
) -> anyhow::Result<Option<mpsc::Receiver<Fed>>> {
    let minds_holds = grpc::Config::from(&config.partner).risk.minds_holds();
    if !config.index.enabled && !minds_holds {
        return Ok(None);
    }
    let Some(feed) = sales.feed() else {
        bail!("the sales' changes are read by somebody else");
    };
    if !minds_holds {
        return Ok(Some(feed));
    }
    let (to_index, for_index) = mpsc::channel(FEED_MAX);
    let to_index = config.index.enabled.then_some(to_index);
    tokio::spawn(outcomes::follow(Outcomes::new(risk), feed, to_index));
    Ok(config.index.enabled.then_some(for_index))
}

/// On a thread of its own, because it blocks while it writes.
fn start_index(
    config: &Config,
    components: &Components,
    cluster: &Cluster,
    sales: &Arc<Sales>,
    feed: Option<mpsc::Receiver<Fed>>,
    registry: &Registry,
) -> anyhow::Result<Option<Index>> {
    let Some(feed) = feed else {
        return Ok(None);
    };
    let caught_up = cluster.clone();
    let source = SaleActors {
        sales: Arc::clone(sales),
        ready: move || caught_up.ready(),
    };
    let folder = config.node.data_dir.join("index");
    let index = Index::start(
        index::Config {
            rows_per_s_max: config.index.rows_per_s_max,
        },
        Box::new(SledOpener::new(&folder, config.index.cache_mib)),
        Arc::new(source),
        feed,
        IndexMetrics::new(registry)?,
        |worker| {
            components
                .lanes
                .run_behind("index", NICENESS, Box::pin(worker))
        },
    );
    Ok(Some(index))
}

/// Joining, or the first operator's key.
async fn begin(config: Config, net: Arc<dyn Net>, cluster: Cluster) -> anyhow::Result<()> {
    if !config.cluster.join.is_empty() {
        return welcome::join(&config, &Forward::new(net), &cluster).await;
    }
    let founders = founders(&config);
    let founds = founders.iter().map(|founder| founder.id).min() == Some(config.node.id);
    if founds && config.http.operator_key.is_empty() {
        welcome::first_operator(&cluster).await;
    }
    Ok(())
}

fn say_where(config: &Config) {
    let node = &config.node;
    println!(
        "onsale: node {}: partners (gRPC) {}, operators http://{}, peers {}, data in {}",
        node.id,
        node.partner_address,
        node.http_address,
        node.peer_address,
        node.data_dir.display()
    );
}

/// Without a list the node founds a cluster of itself, unless it joins one.
fn founders(config: &Config) -> Vec<Founder> {
    if !config.cluster.founders.is_empty() || !config.cluster.join.is_empty() {
        return config.cluster.founders.clone();
    }
    let node = &config.node;
    vec![Founder {
        id: node.id,
        peer_address: node.peer_address.clone(),
        partner_address: node.partner_address.clone(),
        http_address: node.http_address.clone(),
    }]
}

fn engine_settings(config: &Config, seed: u64) -> Settings {
    Settings {
        cluster: cluster_config(config, seed),
        sales: actors_config(config),
        partners: grpc::Config {
            drain: DRAIN,
            ..grpc::Config::from(&config.partner)
        },
        partner_address: config.node.partner_address.clone(),
        tracing: trace::Settings::from(&config.trace),
        faults: Faults::default(),
        gateway: gateway::Config {
            slow_call: Duration::from_millis(config.partner.slow_call_ms),
            ..gateway::Config::default()
        },
    }
}

fn cluster_config(config: &Config, seed: u64) -> cluster::Config {
    let raft = &config.raft;
    cluster::Config {
        node_id: config.node.id,
        founders: founders(config)
            .into_iter()
            .map(|founder| cluster::Founder {
                id: founder.id,
                peer_address: founder.peer_address,
                partner_address: founder.partner_address,
                http_address: founder.http_address,
            })
            .collect(),
        listen_address: config.node.peer_address.clone(),
        secret: secret(config, seed),
        sale_groups: config.cluster.sale_groups,
        replicas: config.cluster.replicas as usize,
        heartbeat_ms: raft.heartbeat_ms,
        election_min_ms: raft.election_min_ms,
        election_max_ms: raft.election_max_ms,
        sync_max_ms: config.log.sync_max_ms,
        keep_entries: raft.keep_entries,
        snapshot_after_bytes: raft.snapshot_after_mib << 20,
        in_flight_entries: raft.in_flight_entries,
        entry_bytes_max: raft.entry_bytes_max,
        digest_entries: raft.digest_entries,
        log: cluster::log::Config {
            segment_bytes: config.log.segment_mib << 20,
            cache_bytes: (config.log.cache_mib as usize) << 20,
            ..Default::default()
        },
    }
}

fn actors_config(config: &Config) -> actors::Config {
    let sale = &config.sale;
    actors::Config {
        queue_commands: sale.queue_commands,
        batch_commands: sale.batch_commands,
        batch_bytes: sale.batch_bytes,
        in_flight: sale.in_flight,
        changes_kept: sale.changes_kept,
        ..Default::default()
    }
}

fn http_settings(config: &Config, components: &Components, tracer: Tracer) -> http::Settings {
    http::Settings {
        address: config.node.http_address.clone(),
        workers: config.http.workers,
        plan_bytes_max: config.http.body_mib << 20,
        seed: components.seed,
        tracer,
    }
}

/// What peers show each other. Without one in the configuration, which is allowed to nodes of one
/// machine and to a node alone: the former know each other by a word, the latter lets nobody in.
fn secret(config: &Config, seed: u64) -> String {
    match config.cluster.secret.as_str() {
        "" if config.is_on_this_machine() => "on this machine".to_owned(),
        "" => format!("{seed:016x}"),
        secret => secret.to_owned(),
    }
}

/// How long a process that had the folder may take to be gone.
const FOLDER_FREE_MAX: Duration = Duration::from_secs(5);

/// A restart may begin while the process before it is still ending.
async fn open_folder(data_dir: &Path) -> anyhow::Result<Components> {
    let until = Instant::now() + FOLDER_FREE_MAX;
    loop {
        match cluster::production::production(data_dir) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() > until {
                    bail!("another process has it");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return Ok(opened?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_secret_nobody_else_is_let_in() {
        let mut config = Config::default();
        let on_this_machine = secret(&config, 7);
        assert!(!on_this_machine.is_empty());
        assert_eq!(on_this_machine, secret(&config, 8), "nodes of one machine");
        config.node.peer_address = "10.1.2.3:7300".into();
        assert_ne!(secret(&config, 7), secret(&config, 8));
        config.cluster.secret = "given".into();
        assert_eq!(secret(&config, 7), "given");
    }

    #[tokio::test]
    async fn a_restart_waits_for_the_process_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let before = open_folder(folder.path()).await.unwrap();
        let restart = tokio::spawn({
            let path = folder.path().to_owned();
            async move { open_folder(&path).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(!restart.is_finished());
        drop(before);
        assert!(restart.await.unwrap());
    }
}
