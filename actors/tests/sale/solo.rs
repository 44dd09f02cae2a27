//! A replica of one: commits in memory what is proposed, in sequence, when the test lets it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actors::calls::{Answers, Calls};
use actors::clock::Clock;
use actors::codec::answer::{Answer, decode};
use actors::codec::record;
use actors::faults::Faults;
use actors::metrics::SaleMetrics;
use actors::{Config, SaleHandle, SaleMachines, Sales};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::group::{BarrierFailure, Group, Leadership, ProposeReply, Proposed};
use cluster::machine::{Committed, Machine, Machines};
use cluster::types::{GroupId, Term};
use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, SaleId};
use domain::rules::SaleRules;
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// 2026-11-21, in Unix milliseconds; keys are made at the same time.
pub const NOW_MS: u64 = 1_795_000_000_000;

pub struct ManualClock(pub AtomicU64);

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

struct Proposal {
    term: Term,
    entry: Bytes,
    reply: ProposeReply,
}

/// The group of one replica.
pub struct SoloGroup {
    id: GroupId,
    proposals: mpsc::Sender<Proposal>,
    term: AtomicU64,
    pub leads: AtomicBool,
    committing: watch::Sender<bool>,
    /// What is queued now is lost, and its callers are told that its fate is unknown.
    pub lose_next: AtomicUsize,
    pub entries: AtomicU64,
    pub barriers: AtomicU64,
    /// What was committed, for whoever builds the replica anew.
    log: Mutex<Vec<Committed>>,
    /// The machine could not take an entry: the replica is no more.
    pub stopped: watch::Sender<bool>,
}

#[async_trait]
impl Group for SoloGroup {
    fn id(&self) -> GroupId {
        self.id
    }

    fn propose(&self, term: Term, entry: Bytes, reply: ProposeReply) -> Result<(), ProposeReply> {
        let proposal = Proposal { term, entry, reply };
        self.proposals
            .try_send(proposal)
            .map_err(|refused| refused.into_inner().reply)
    }

    async fn read_barrier(&self) -> Result<u64, BarrierFailure> {
        self.barriers.fetch_add(1, Ordering::SeqCst);
        if !self.leads.load(Ordering::SeqCst) {
            return Err(BarrierFailure::NotLeader { leader: None });
        }
        Ok(self.entries.load(Ordering::SeqCst))
    }

    fn leadership(&self) -> Leadership {
        let leads = self.leads.load(Ordering::SeqCst);
        Leadership {
            leader: leads.then_some(1),
            term: self.term.load(Ordering::SeqCst),
        }
    }
}

impl SoloGroup {
    pub fn log(&self) -> MutexGuard<'_, Vec<Committed>> {
        self.log.lock().expect("unpoisoned")
    }
}

async fn commit(
    group: Arc<SoloGroup>,
    machine: Arc<dyn Machine>,
    mut queue: mpsc::Receiver<Proposal>,
    mut committing: watch::Receiver<bool>,
) {
    while let Some(Proposal { term, entry, reply }) = queue.recv().await {
        if committing.wait_for(|on| *on).await.is_err() {
            return;
        }
        if group.lose_next.load(Ordering::SeqCst) > 0 {
            group.lose_next.fetch_sub(1, Ordering::SeqCst);
            reply(Proposed::Unknown);
            continue;
        }
        if term != group.term.load(Ordering::SeqCst) || !group.leads.load(Ordering::SeqCst) {
            reply(Proposed::NotLeader { leader: None });
            continue;
        }
        let index = group.entries.fetch_add(1, Ordering::SeqCst) + 1;
        let committed = Committed {
            group: group.id,
            term,
            index,
            payload: entry,
        };
        group.log().push(committed.clone());
        if machine.deliver(committed).await.is_err() {
            group.leads.store(false, Ordering::SeqCst);
            group.stopped.send_replace(true);
        }
        reply(Proposed::Committed { index });
    }
}

/// A node of one replica with a clock moved by hand.
pub struct Solo {
    pub sales: Arc<Sales>,
    pub group: Arc<SoloGroup>,
    pub machine: Arc<dyn Machine>,
    pub clock: Arc<ManualClock>,
    registry: prometheus::Registry,
    next_id: AtomicU64,
}

impl Solo {
    pub async fn start(config: Config, faults: Faults) -> Solo {
        let clock = Arc::new(ManualClock(AtomicU64::new(NOW_MS)));
        let registry = prometheus::Registry::new();
        let metrics = SaleMetrics::new(&registry).expect("registers");
        let sales = Sales::start(config, clock.clone(), metrics, faults, 77)
            .await
            .expect("starts");
        Solo::lead_group(1, sales, clock, registry).await
    }

    /// The same node leads another group.
    pub async fn beside(&self) -> Solo {
        let (sales, clock) = (self.sales.clone(), self.clock.clone());
        Solo::lead_group(self.group.id + 1, sales, clock, self.registry.clone()).await
    }

    async fn lead_group(
        id: GroupId,
        sales: Arc<Sales>,
        clock: Arc<ManualClock>,
        registry: prometheus::Registry,
    ) -> Solo {
        let (proposals, queue) = mpsc::channel(64);
        let (committing, committing_seen) = watch::channel(true);
        let group = Arc::new(SoloGroup {
            id,
            proposals,
            term: AtomicU64::new(1),
            leads: AtomicBool::new(true),
            committing,
            lose_next: AtomicUsize::new(0),
            entries: AtomicU64::new(0),
            barriers: AtomicU64::new(0),
            log: Mutex::default(),
            stopped: watch::Sender::new(false),
        });
        let machine = SaleMachines(Arc::clone(&sales)).machine(id, group.clone());
        machine.lead(Some(1)).await;
        tokio::spawn(commit(
            group.clone(),
            machine.clone(),
            queue,
            committing_seen,
        ));
        Solo {
            sales,
            group,
            machine,
            clock,
            registry,
            next_id: AtomicU64::new(1),
        }
    }

    /// The value of a metric without labels; of a histogram, how much was observed.
    pub fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metric = &family.expect("is registered").get_metric()[0];
        let observed = metric.get_histogram().get_sample_count() as f64;
        metric.get_gauge().get_value() + metric.get_counter().get_value() + observed
    }

    pub fn commit(&self, on: bool) {
        self.group.committing.send_replace(on);
    }

    pub async fn lead(&self, term: Option<Term>) {
        self.group.leads.store(term.is_some(), Ordering::SeqCst);
        if let Some(term) = term {
            self.group.term.store(term, Ordering::SeqCst);
        }
        self.machine.lead(term).await;
    }

    /// A sale of `rows` rows of ten seats, open.
    pub async fn open_sale(&self, id: u64, rows: usize, rules: &SaleRules) -> SaleHandle {
        let sale = self.announce_sale(id, rows, rules).await;
        assert!(matches!(
            self.ask(&sale, Command::OpenSale).await,
            Answer::Done { .. }
        ));
        sale
    }

    /// The same, not open yet.
    pub async fn announce_sale(&self, id: u64, rows: usize, rules: &SaleRules) -> SaleHandle {
        let layout = Bytes::from_static(b"layout");
        let id = SaleId(id);
        self.sales
            .create(self.group.as_ref(), id, layout, &venue(rows), rules, 42)
            .await
            .expect("creates");
        self.sales.get(id).expect("is here")
    }

    pub fn key(&self) -> IdempotencyKey {
        let number = self.next_id.fetch_add(1, Ordering::SeqCst);
        IdempotencyKey(u128::from(self.clock.now_ms()) << 80 | 7 << 76 | u128::from(number))
    }

    pub async fn ask(&self, sale: &SaleHandle, command: Command<'_>) -> Answer {
        self.ask_with_key(sale, self.key(), command).await
    }

    pub async fn ask_with_key(
        &self,
        sale: &SaleHandle,
        key: IdempotencyKey,
        command: Command<'_>,
    ) -> Answer {
        let mut records = Vec::new();
        put_record(key, command, &mut records);
        let mut answers = self.submit(sale, records, Duration::from_secs(5));
        answers.next().await.1
    }

    /// Submits records with call ids from 0 on.
    pub fn submit(&self, sale: &SaleHandle, records: Vec<u8>, timeout: Duration) -> Collected {
        let count = record::Records::new(&records).count() as u32;
        let (collector, collected) = Collected::new();
        let calls = Calls {
            records: records.into(),
            call_ids: (0..count).collect(),
            deadline: Instant::now() + timeout,
            answers: collector,
            trace: None,
        };
        assert!(sale.submit(calls).is_ok(), "queue full");
        collected
    }
}

pub fn put_record(key: IdempotencyKey, command: Command<'_>, records: &mut Vec<u8>) {
    let request = Request {
        partner: PartnerId(1),
        channel: ChannelId(1),
        key,
        hash: 0,
        command,
    };
    record::encode(&request, records).expect("encodes");
}

pub struct Collector(Mutex<mpsc::UnboundedSender<(u32, Answer)>>);

impl Answers for Collector {
    fn answer(&self, packed: Bytes, count: u32) {
        let answers: Vec<_> = decode(&packed).collect();
        assert_eq!(answers.len(), count as usize, "the count tells the answers");
        let sender = self.0.lock().expect("unpoisoned");
        for answer in answers {
            // A test that is over listens no more.
            let _over = sender.send(answer);
        }
    }
}

/// Answers as they came.
pub struct Collected(mpsc::UnboundedReceiver<(u32, Answer)>);

impl Collected {
    pub fn new() -> (Arc<Collector>, Collected) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arc::new(Collector(Mutex::new(sender))), Collected(receiver))
    }

    pub async fn next(&mut self) -> (u32, Answer) {
        let waited = tokio::time::timeout(Duration::from_secs(20), self.0.recv()).await;
        waited.expect("an answer comes").expect("the sale answers")
    }

    pub fn try_next(&mut self) -> Option<(u32, Answer)> {
        self.0.try_recv().ok()
    }
}

pub fn venue(rows: usize) -> Venue {
    let rows = (0..rows as i32)
        .map(|row| RowPlan {
            seats: (0..10)
                .map(|seat| SeatPlan {
                    x: seat * 10,
                    y: row * 10,
                    category: 0,
                    attributes: Attributes::default(),
                    aisle_after: seat == 9,
                })
                .collect(),
        })
        .collect();
    Venue {
        sections: vec![SectionPlan::Seated {
            focal_x: 45,
            focal_y: 0,
            rows,
        }],
    }
}

const ONE_BEST: [HoldLine; 1] = [best(1)];

pub const fn best(quantity: u16) -> HoldLine {
    HoldLine::BestAvailable {
        quantity,
        category: CategoryChoice::Any,
        section_count: 0,
        accessible: false,
        split: false,
    }
}

pub fn hold_one(hold: u128) -> Command<'static> {
    hold_lines(hold, &ONE_BEST)
}

pub fn hold_lines(hold: u128, lines: &[HoldLine]) -> Command<'_> {
    Command::PlaceHold(PlaceHold {
        token: None,
        hold: HoldId(hold),
        buyer: BuyerId(hold),
        ttl_ms: 0,
        lines,
        seats: &[],
        sections: &[],
    })
}

pub fn confirm(hold: u128) -> Command<'static> {
    let payment = PaymentReference::new(b"paid").expect("short");
    Command::ConfirmHold {
        hold: HoldId(hold),
        order: OrderId(hold),
        payment,
    }
}
