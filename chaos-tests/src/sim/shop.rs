//! The partners' host: buyers who hold, confirm, release, cancel and look, visitors who wait to be let
//! in, over the public gRPC, and what they were told. They decide nothing about who is right: `verdict`
//! does.

pub mod admission;
pub mod audit;
pub mod buyer;
pub mod call;
pub mod guests;
pub mod ledger;
mod outside;
mod places;
mod request;
mod session;
mod suspects;
mod tokens;
mod unary;
mod visitor;
mod watcher;
pub mod wires;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cluster::types::NodeId;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::computer::{BEGIN_MS, Now};
use super::plan::Plan;
use super::trace::Trace;
use ledger::Ledger;
use wires::{Bearers, Wires};

/// A cheap handle, shared with the world outside of the host.
#[derive(Clone)]
pub struct Shop {
    inner: Arc<Inner>,
}

struct Inner {
    plan: Arc<Plan>,
    trace: Trace,
    now: Now,
    wires: Wires,
    /// Nodes partners know of.
    nodes: Mutex<Vec<NodeId>>,
    ledger: Mutex<Ledger>,
    stop: AtomicBool,
    calm: AtomicBool,
    working: AtomicUsize,
    keys: AtomicU64,
    /// True once duplicates are sent on purpose.
    duplicates: bool,
    errands: Mutex<Errands>,
}

type Errand = BoxFuture<'static, ()>;
type Errands = (
    mpsc::UnboundedSender<Errand>,
    Option<mpsc::UnboundedReceiver<Errand>>,
);

impl Shop {
    pub fn new(plan: &Arc<Plan>, trace: &Trace, now: &Now, bearers: Bearers) -> Shop {
        let duplicates = plan.faults.contains(&super::fault::Kind::DuplicateCall);
        let (errands, queue) = mpsc::unbounded_channel();
        Shop {
            inner: Arc::new(Inner {
                plan: plan.clone(),
                trace: trace.clone(),
                now: now.clone(),
                wires: Wires::new(trace, bearers),
                nodes: Mutex::new((1..=plan.nodes).collect()),
                ledger: Mutex::default(),
                stop: AtomicBool::new(false),
                calm: AtomicBool::new(false),
                working: AtomicUsize::new(0),
                keys: AtomicU64::new(1),
                duplicates,
                errands: Mutex::new((errands, Some(queue))),
            }),
        }
    }

    /// The software of the shop's host.
    pub async fn open(self) -> turmoil::Result {
        for number in 0..self.inner.plan.workers {
            self.inner.working.fetch_add(1, Ordering::Relaxed);
            let shop = self.clone();
            tokio::spawn(async move {
                buyer::buy(&shop, number as u64).await;
                shop.inner.working.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for number in 0..self.inner.plan.watchers {
            self.inner.working.fetch_add(1, Ordering::Relaxed);
            let shop = self.clone();
            tokio::spawn(async move {
                watcher::watch(&shop, number as u64).await;
                shop.inner.working.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for (number, sale) in self.inner.plan.room_ids().enumerate() {
            self.inner.working.fetch_add(1, Ordering::Relaxed);
            let shop = self.clone();
            tokio::spawn(async move {
                outside::come(&shop, number as u64, sale).await;
                shop.inner.working.fetch_sub(1, Ordering::Relaxed);
            });
            self.inner.working.fetch_add(1, Ordering::Relaxed);
            let shop = self.clone();
            tokio::spawn(async move {
                suspects::come(&shop, number as u64, sale).await;
                shop.inner.working.fetch_sub(1, Ordering::Relaxed);
            });
        }
        let visitors = match self.inner.plan.rooms {
            0 => 0,
            _ => self.inner.plan.visitors,
        };
        for number in 0..visitors {
            self.inner.working.fetch_add(1, Ordering::Relaxed);
            let shop = self.clone();
            tokio::spawn(async move {
                visitor::visit(&shop, number as u64).await;
                shop.inner.working.fetch_sub(1, Ordering::Relaxed);
            });
        }
        let mut errands = {
            let mut errands = self
                .inner
                .errands
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            errands.1.take().ok_or("the shop opens once")?
        };
        while let Some(errand) = errands.recv().await {
            tokio::spawn(errand);
        }
        std::future::pending().await
    }

    /// Has something done on the shop's host.
    pub fn run_errand(&self, errand: Errand) {
        let errands = self
            .inner
            .errands
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The shop's host never ends.
        errands.0.send(errand).ok();
    }

    /// Buyers finish what they are at and go home.
    pub fn close(&self) {
        self.inner.stop.store(true, Ordering::Relaxed);
    }

    pub fn is_closing(&self) -> bool {
        self.inner.stop.load(Ordering::Relaxed)
    }

    /// Buyers, visitors and watchers still at work.
    pub fn working(&self) -> usize {
        self.inner.working.load(Ordering::Relaxed)
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        let ledger = &self.inner.ledger;
        ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All faults have ended, these nodes serve: from now on every call is answered in time.
    pub fn calm_down(&self, nodes: Vec<NodeId>) {
        *self.nodes_lock() = nodes;
        // A simulated connection that lost a segment never recovers.
        self.inner.wires.give_all_up();
        self.inner.calm.store(true, Ordering::Relaxed);
    }

    fn is_calm(&self) -> bool {
        self.inner.calm.load(Ordering::Relaxed)
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.nodes_lock().clone()
    }

    fn nodes_lock(&self) -> MutexGuard<'_, Vec<NodeId>> {
        let nodes = &self.inner.nodes;
        nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh UUIDv7 of the true time.
    pub fn key(&self) -> u128 {
        let number = self.inner.keys.fetch_add(1, Ordering::Relaxed);
        key(self.inner.now.ms(), number)
    }

    fn now_ms(&self) -> u64 {
        self.inner.now.ms()
    }
}

/// The key with this number made at this simulated time.
pub const fn key(now_ms: u64, number: u64) -> u128 {
    ((BEGIN_MS + now_ms) as u128) << 80 | 7 << 76 | 2 << 62 | number as u128
}
