//! A computer: what outlives the processes that run on it. Its disks and its clock are here, and
//! what the world must know of the process that runs now.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::Sales;
use cluster::Cluster;
use cluster::disk::memory::MemoryDisk;
use cluster::types::NodeId;
use futures::future::BoxFuture;
use onsale::gateway::Gateway;
use tokio::sync::mpsc;

/// 2026-11-18, in Unix milliseconds: when every run begins.
pub const BEGIN_MS: u64 = 1_795_000_000_000;

/// Simulated milliseconds since the run began, as the world tells them.
#[derive(Clone, Default)]
pub struct Now(Arc<AtomicU64>);

impl Now {
    pub fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::Relaxed);
    }

    pub fn ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A running node, for those who may ask it.
#[derive(Clone)]
pub struct Hands {
    pub cluster: Cluster,
    pub sales: Arc<Sales>,
    pub gateway: Gateway,
}

/// Something to be done inside of the host.
pub type Order = Box<dyn FnOnce(Hands) -> BoxFuture<'static, ()> + Send>;

pub struct Computer {
    pub id: NodeId,
    pub name: String,
    pub log_disk: MemoryDisk,
    pub snapshot_disk: MemoryDisk,
    now: Now,
    /// Its memory is a new one: processes that start from now on pass nothing over.
    has_new_memory: AtomicBool,
    /// The process has ended itself: nothing it still does may be seen by anybody.
    mute: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clock: WallState,
    incarnation: u64,
    process: Process,
}

#[derive(Default)]
enum Process {
    #[default]
    Off,
    Starting,
    Running {
        hands: Hands,
        orders: mpsc::UnboundedSender<Order>,
    },
    /// It ended itself, or did not come up; why.
    Ended(String),
}

/// How wrong the wall clock is.
#[derive(Clone, Copy, Default)]
struct WallState {
    offset_us: i64,
    drift_ppm: i64,
    /// Offset and drift count from here.
    since_ms: u64,
}

impl Computer {
    pub fn new(id: NodeId, seed: u64, now: Now) -> Arc<Computer> {
        Arc::new(Computer {
            id,
            name: name(id),
            log_disk: MemoryDisk::new(seed ^ id << 8),
            snapshot_disk: MemoryDisk::new(seed ^ id << 8 ^ 1),
            now,
            has_new_memory: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    /// What the wall clock shows, Unix milliseconds.
    pub fn wall_ms(&self) -> u64 {
        let now_ms = self.now.ms();
        let offset_us = self.lock().clock.offset_us(now_ms);
        (BEGIN_MS + now_ms).saturating_add_signed(offset_us / 1_000)
    }

    /// Sets the clock wrong by so much from now on.
    pub fn jump_clock(&self, by_ms: i64) {
        let now_ms = self.now.ms();
        let clock = &mut self.lock().clock;
        clock.offset_us = clock.offset_us(now_ms) + by_ms * 1_000;
        clock.since_ms = now_ms;
    }

    /// Lets the clock run too fast or too slow from now on.
    pub fn drift_clock(&self, ppm: i64) {
        let now_ms = self.now.ms();
        let clock = &mut self.lock().clock;
        clock.offset_us = clock.offset_us(now_ms);
        clock.since_ms = now_ms;
        clock.drift_ppm = ppm;
    }

    /// The clock is right again.
    pub fn mend_clock(&self) {
        self.lock().clock = WallState::default();
    }

    pub fn renew_memory(&self) {
        self.has_new_memory.store(true, Ordering::Relaxed);
    }

    pub fn has_new_memory(&self) -> bool {
        self.has_new_memory.load(Ordering::Relaxed)
    }

    /// A process starts; its number tells it from all before.
    pub fn begin(&self) -> u64 {
        let mut state = self.lock();
        state.incarnation += 1;
        self.mute.store(false, Ordering::Relaxed);
        state.process = Process::Starting;
        state.incarnation
    }

    pub fn started(&self, hands: Hands, orders: mpsc::UnboundedSender<Order>) {
        self.set(Process::Running { hands, orders });
    }

    /// The process ends itself. What it does until the world takes it down reaches no disk.
    pub fn halt(&self, why: &str) {
        self.mute.store(true, Ordering::Relaxed);
        self.log_disk.kill();
        self.snapshot_disk.kill();
        let mut state = self.lock();
        if !matches!(state.process, Process::Ended(_)) {
            state.process = Process::Ended(why.to_owned());
        }
    }

    /// Whether the process has ended itself and only waits to be taken down.
    pub fn is_mute(&self) -> bool {
        self.mute.load(Ordering::Relaxed)
    }

    /// The host is no more.
    pub fn switched_off(&self) {
        self.set(Process::Off);
    }

    /// Why the process ended itself.
    pub fn ended(&self) -> Option<String> {
        match &self.lock().process {
            Process::Ended(why) => Some(why.clone()),
            _ => None,
        }
    }

    pub fn hands(&self) -> Option<Hands> {
        match &self.lock().process {
            Process::Running { hands, .. } => Some(hands.clone()),
            _ => None,
        }
    }

    /// Has it done on the host; `false` when no process runs.
    pub fn order(&self, order: Order) -> bool {
        match &self.lock().process {
            Process::Running { orders, .. } => orders.send(order).is_ok(),
            _ => false,
        }
    }

    /// Dropped outside of the lock: what a process held may call back.
    fn set(&self, process: Process) {
        let old = std::mem::replace(&mut self.lock().process, process);
        drop(old);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WallState {
    fn offset_us(&self, now_ms: u64) -> i64 {
        let passed_ms = now_ms.saturating_sub(self.since_ms) as i64;
        self.offset_us + passed_ms * self.drift_ppm / 1_000
    }
}

/// The host's name on the simulated network.
pub fn name(id: NodeId) -> String {
    format!("n{id}")
}
