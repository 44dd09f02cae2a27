//! All sales of a node: who is here, their groups' machines, their supervisor, their ticks.

mod machine;
mod snapshot;
mod supervisor;

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use cluster::group::{Group, ProposeReply, Proposed};
use cluster::machine::Machine;
use cluster::machine::Machines;
use cluster::types::GroupId;
use domain::ids::SaleId;
use domain::rules::SaleRules;
use domain::venue::Venue;
use prost::Message as _;
use proto::log::v1 as log;
use ractor::{ActorCell, SpawnErr};
use tokio::sync::{mpsc, oneshot};

use crate::admission;
use crate::clock::Clock;
use crate::codec::{rules, venue};
use crate::config::Config;
use crate::faults::Faults;
use crate::feed::{Fed, FeedSender};
use crate::metrics::SaleMetrics;
use crate::sale::SaleHandle;
pub use machine::GroupSales;
pub use snapshot::encode_sale;

/// How often alarms are looked at.
const TICK: std::time::Duration = std::time::Duration::from_millis(25);
/// Ticks between two reminders of what was left to sales that follow.
const REMIND_TICKS: u32 = 4;

/// The sales of a node.
pub struct Sales {
    around: crate::sale::Surroundings,
    supervisor: ActorCell,
    /// Only says who is here: the sales' state is in their actors. In sequence, so that ticks come
    /// in the same one in every run of a simulation.
    here: RwLock<BTreeMap<SaleId, SaleHandle>>,
    feed: FeedSender,
    /// Creations this node has proposed and somebody waits for; bounded by the API's calls.
    creating: std::sync::Mutex<BTreeMap<u64, oneshot::Sender<Result<(), CreateFailure>>>>,
    next_creation: std::sync::atomic::AtomicU64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateFailure {
    #[error("the sale cannot be: {0}")]
    Invalid(String),
    #[error("this node does not lead the sale's group")]
    NotLeader,
    #[error("the disk of this node is full")]
    DiskFull,
    #[error("an entry of the log may have {bytes_max} bytes, the sale takes {bytes}")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("the group's queue is full")]
    Busy,
    #[error("it may still be created: look again")]
    Unknown,
}

impl Sales {
    /// `proposer` names this node and incarnation: no two may be alike.
    pub async fn start(
        config: Config,
        clock: Arc<dyn Clock>,
        metrics: SaleMetrics,
        faults: Faults,
        proposer: u64,
    ) -> Result<Arc<Sales>, SpawnErr> {
        let metrics = Arc::new(metrics);
        let supervisor = supervisor::spawn(Arc::clone(&metrics)).await?;
        let feed = FeedSender::default();
        let around = crate::sale::Surroundings {
            config: Arc::new(config),
            clock: Arc::clone(&clock),
            metrics,
            feed: feed.clone(),
            faults,
            proposer,
        };
        let sales = Arc::new(Sales {
            around,
            supervisor,
            here: RwLock::default(),
            feed,
            creating: Default::default(),
            next_creation: Default::default(),
        });
        tokio::spawn(tick(Arc::downgrade(&sales)));
        Ok(sales)
    }

    /// The sale, when a replica of it is on this node.
    pub fn get(&self, sale: SaleId) -> Option<SaleHandle> {
        self.here.read().ok()?.get(&sale).cloned()
    }

    /// All sales of this node.
    pub fn all(&self) -> Vec<SaleHandle> {
        self.here
            .read()
            .map(|here| here.values().cloned().collect())
            .unwrap_or_default()
    }

    /// The changes of all sales, for one reader; `None` when there is one already.
    pub fn feed(&self) -> Option<mpsc::Receiver<Fed>> {
        self.feed.subscribe()
    }

    /// Proposes a sale on its group's leader and waits until it is there. Creating a sale that is
    /// there already is a success: the step can be repeated.
    pub async fn create(
        &self,
        group: &dyn Group,
        sale: SaleId,
        layout: Bytes,
        plan: &Venue,
        sale_rules: &SaleRules,
        hash_seed: u64,
    ) -> Result<(), CreateFailure> {
        if self.get(sale).is_some() {
            return Ok(());
        }
        let proposal = self
            .next_creation
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let create = log::CreateSale {
            layout,
            venue: Some(venue::to_proto(plan)),
            rules: Some(rules::to_proto(sale_rules)),
            hash_seed,
        };
        let entry = self.entry(sale, proposal, log::part::Body::CreateSale(create));
        let bytes = entry.len();
        let (done, created) = oneshot::channel();
        if let Ok(mut creating) = self.creating.lock() {
            creating.insert(proposal, done);
        }
        let became = propose(group, entry).await;
        let failure = match became {
            // The delivery came first and told what came of it.
            Proposed::Committed { .. } => {
                return created.await.unwrap_or(Err(CreateFailure::Unknown));
            }
            Proposed::NotLeader { .. } => CreateFailure::NotLeader,
            Proposed::DiskFull => CreateFailure::DiskFull,
            Proposed::TooLarge { bytes_max } => CreateFailure::TooLarge { bytes, bytes_max },
            Proposed::Unknown => CreateFailure::Unknown,
        };
        if let Ok(mut creating) = self.creating.lock() {
            creating.remove(&proposal);
        }
        Err(failure)
    }

    /// Proposes that a frozen sale is taken up again.
    pub async fn release(&self, sale: &SaleHandle) -> Proposed {
        let entry = self.entry(
            sale.id(),
            0,
            log::part::Body::ReleaseSale(log::ReleaseSale {}),
        );
        propose(sale.shared.group.as_ref(), entry).await
    }

    /// Starts the admission actors of sales that have come to lead a waiting room.
    async fn start_admissions(&self) {
        let led: Vec<SaleHandle> = match self.here.read() {
            Ok(here) => here
                .values()
                .filter(|sale| sale.wants_admission())
                .cloned()
                .collect(),
            Err(_) => return,
        };
        for sale in led {
            let clock = Arc::clone(&self.around.clock);
            let metrics = Arc::clone(&self.around.metrics);
            let supervisor = self.supervisor.clone();
            let begun = admission::spawn(sale.clone(), clock, metrics, supervisor).await;
            if let Err(error) = begun {
                tracing::error!(sale = sale.id().0, %error, "its admission does not start");
                sale.admission_ended();
            }
        }
    }

    fn entry(&self, sale: SaleId, proposal: u64, body: log::part::Body) -> Bytes {
        let part = log::Part {
            sale_id: sale.0,
            at_ms: self.around.clock.now_ms(),
            proposer: self.around.proposer,
            proposal,
            body: Some(body),
        };
        log::Entry { parts: vec![part] }.encode_to_vec().into()
    }

    fn created(&self, proposer: u64, proposal: u64, result: Result<(), CreateFailure>) {
        if proposer != self.around.proposer {
            return;
        }
        let waiting = self
            .creating
            .lock()
            .ok()
            .and_then(|mut creating| creating.remove(&proposal));
        if let Some(done) = waiting {
            // Who asked may have given up.
            let _ = done.send(result);
        }
    }

    fn arrive(&self, handle: SaleHandle) {
        if let Ok(mut here) = self.here.write() {
            here.insert(handle.id(), handle);
        }
    }

    fn leave(&self, sale: SaleId) {
        let left = self
            .here
            .write()
            .ok()
            .and_then(|mut here| here.remove(&sale));
        if let Some(handle) = left {
            handle.stop();
        }
    }
}

/// The cluster's way to the sales: makes the machine of each group that starts here.
pub struct SaleMachines(pub Arc<Sales>);

impl Machines for SaleMachines {
    fn machine(&self, group: GroupId, handle: Arc<dyn Group>) -> Arc<dyn Machine> {
        Arc::new(GroupSales::new(group, handle, Arc::clone(&self.0)))
    }
}

/// Proposes in the term this node believes to lead in.
async fn propose(group: &dyn Group, entry: Bytes) -> Proposed {
    let (became, told) = oneshot::channel();
    let reply: ProposeReply = Box::new(move |result| {
        let _ = became.send(result);
    });
    match group.propose(group.leadership().term, entry, reply) {
        Ok(()) => told.await.unwrap_or(Proposed::Unknown),
        Err(_) => Proposed::NotLeader { leader: None },
    }
}

/// Looks at the alarms of all sales until the node ends.
async fn tick(sales: std::sync::Weak<Sales>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for number in (0..REMIND_TICKS).cycle() {
        interval.tick().await;
        let Some(sales) = sales.upgrade() else { return };
        let now_ms = sales.around.clock.now_ms();
        if let Ok(here) = sales.here.read() {
            here.values().for_each(|sale| sale.tick(now_ms));
            if number == 0 {
                here.values().for_each(SaleHandle::remind);
            }
        }
        sales.start_admissions().await;
    }
}
