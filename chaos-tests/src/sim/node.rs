//! The software of a host: the product's engine on simulated components. It never returns, because
//! a host whose software returned is not ticked any more.

use std::sync::Arc;

use cluster::components::Components;
use cluster::seeded::{SeededRuntime, SeededScope};
use onsale::serve::engine::{Engine, Settings};
use onsale::serve::outcomes::{Outcomes, follow};
use prometheus::Registry;
use tokio::sync::mpsc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::components::{End, Links, Tasks, Wall};
use super::computer::{Computer, Hands, Order};
use super::trace::Trace;
use super::witness::Witness;

/// All a process is started with.
#[derive(Clone)]
pub struct Software {
    pub computer: Arc<Computer>,
    pub settings: Settings,
    /// Minds what becomes of holds.
    pub is_wary: bool,
    pub seed: u64,
    pub trace: Trace,
    pub witness: Witness,
}

impl Software {
    pub async fn run(self) -> turmoil::Result {
        let Software {
            computer,
            mut settings,
            is_wary,
            seed,
            trace,
            witness,
        } = self;
        let incarnation = computer.begin();
        let host = computer.name.clone();
        if computer.has_new_memory() {
            settings.faults.passed_over = None;
        }
        trace.event(&host, "start", format_args!("incarnation {incarnation}"));
        let name = [computer.id.to_le_bytes(), incarnation.to_le_bytes()].concat();
        let seed = xxh3_64_with_seed(&name, seed);
        let components = Components {
            log_disk: computer.log_disk.attach(),
            snapshot_disk: computer.snapshot_disk.attach(),
            net: Arc::new(Links {
                trace: trace.clone(),
                host: host.clone(),
                computer: Some(computer.clone()),
            }),
            wall: Arc::new(Wall(computer.clone())),
            halt: Arc::new(End {
                computer: computer.clone(),
                trace: trace.clone(),
            }),
            lanes: Arc::new(Tasks),
            scope: Arc::new(SeededScope::new(seed)),
            seed,
        };
        let machines = |sales| witness.machines(sales, &host, &trace);
        let registry = Registry::new();
        let starting =
            Engine::start_on::<SeededRuntime>(settings, &components, &registry, machines);
        match starting.await {
            Ok(engine) => {
                trace.event(&host, "started", format_args!(""));
                if is_wary {
                    learn(&engine);
                }
                serve(&computer, engine).await;
            }
            Err(failure) => {
                let why = format!("it does not start: {failure:#}");
                trace.event(&host, "failed", format_args!("{why}"));
                computer.halt(&why);
            }
        }
        std::future::pending().await
    }
}

/// Whoever judges those that join is told of holds, as in a whole node.
fn learn(engine: &Engine) {
    if let Some(feed) = engine.sales.feed() {
        let outcomes = Outcomes::new(Arc::clone(&engine.risk));
        tokio::spawn(follow(outcomes, feed, None));
    }
}

async fn serve(computer: &Computer, engine: Engine) {
    let (orders, mut queue) = mpsc::unbounded_channel::<Order>();
    let hands = Hands {
        cluster: engine.cluster.clone(),
        sales: Arc::clone(&engine.sales),
        gateway: engine.gateway.clone(),
    };
    computer.started(hands.clone(), orders);
    while let Some(order) = queue.recv().await {
        tokio::spawn(order(hands.clone()));
    }
}
