//! One node with a replica of one, its partner services on a free port of loopback, and a real
//! client. Entries commit in memory, in sequence, when the test lets them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use actors::calls::{Answers, Calls};
use actors::clock::Clock;
use actors::codec::answer::{Answer, decode};
use actors::faults::Faults;
use actors::metrics::SaleMetrics;
use actors::{SaleHandle, SaleMachines, Sales};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::components::{Io, WallClock};
use cluster::group::{BarrierFailure, Group, Leadership, ProposeReply, Proposed};
use cluster::machine::{Committed, Machine, Machines};
use cluster::types::{GroupId, NodeId, Term};
use domain::command::Command;
use domain::ids::{ChannelId, PartnerId, SaleId};
use domain::rules::SaleRules;
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};
use futures::StreamExt as _;
use onsale::access::pass::{PassKey, PassKeys, Trust};
use onsale::access::{Door, KeyRecord, Keys, PartnerRecord, key};
use onsale::gateway::{self, Directory, Gateway, GatewayMetrics, PeerChannel, Route};
use onsale::grpc::{self, EventEntry, Keeper, Partners, RpcMetrics, Waits, Whereabouts};
use onsale::trace::{self, Sink, TraceMetrics, TracePart, Tracer};
use prost::Message as _;
use proto::channel::v1 as pb;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

/// 2026-11-21, in Unix milliseconds.
pub const NOW_MS: u64 = 1_795_000_000_000;
pub const EVENT: u64 = 4711;

struct Time;

impl Clock for Time {
    fn now_ms(&self) -> u64 {
        NOW_MS
    }
}

impl WallClock for Time {
    fn now_ms(&self) -> u64 {
        NOW_MS
    }
}

type Proposal = (Term, Bytes, ProposeReply);

/// The group of one replica.
pub struct Solo {
    proposals: mpsc::Sender<Proposal>,
    leads: AtomicBool,
    disk_full: AtomicBool,
    /// Cut off from its peers: it leads as far as it knows, and can prove it to nobody.
    is_cut_off: AtomicBool,
    committing: watch::Sender<bool>,
    entries: AtomicU64,
}

#[async_trait]
impl Group for Solo {
    fn id(&self) -> GroupId {
        1
    }

    fn propose(&self, term: Term, entry: Bytes, reply: ProposeReply) -> Result<(), ProposeReply> {
        self.proposals
            .try_send((term, entry, reply))
            .map_err(|refused| refused.into_inner().2)
    }

    async fn read_barrier(&self) -> Result<u64, BarrierFailure> {
        if self.is_cut_off.load(Ordering::SeqCst) {
            Err(BarrierFailure::Unproved)
        } else if self.leads.load(Ordering::SeqCst) {
            Ok(self.entries.load(Ordering::SeqCst))
        } else {
            Err(BarrierFailure::NotLeader { leader: None })
        }
    }

    fn leadership(&self) -> Leadership {
        let leads = self.leads.load(Ordering::SeqCst);
        Leadership {
            leader: leads.then_some(1),
            term: 1,
        }
    }
}

async fn commit(
    group: Arc<Solo>,
    machine: Arc<dyn Machine>,
    mut queue: mpsc::Receiver<Proposal>,
    mut committing: watch::Receiver<bool>,
) {
    while let Some((term, payload, reply)) = queue.recv().await {
        if committing.wait_for(|on| *on).await.is_err() {
            return;
        }
        if !group.leads.load(Ordering::SeqCst) {
            reply(Proposed::NotLeader { leader: None });
            continue;
        }
        if group.disk_full.load(Ordering::SeqCst) {
            reply(Proposed::DiskFull);
            continue;
        }
        let index = group.entries.fetch_add(1, Ordering::SeqCst) + 1;
        let entry = Committed {
            group: 1,
            term,
            index,
            payload,
        };
        machine.deliver(entry).await.expect("delivers");
        reply(Proposed::Committed { index });
    }
}

/// What the cluster map would say.
struct Town {
    sales: Arc<Sales>,
    group: Arc<Solo>,
    ready: AtomicBool,
}

impl Directory for Town {
    fn route(&self, sale: SaleId, calls: Calls) -> Route {
        match self.sales.get(sale) {
            None => Route::UnknownSale(calls),
            Some(_) if !self.group.leads.load(Ordering::SeqCst) => Route::NoLeader(calls),
            Some(handle) => match handle.submit(calls) {
                Ok(()) => Route::Taken,
                Err(calls) => Route::Full(calls),
            },
        }
    }

    fn peer(&self, _: NodeId) -> Option<PeerChannel> {
        None
    }
}

impl Whereabouts for Town {
    fn event(&self, sale: SaleId) -> Option<EventEntry> {
        self.sales.get(sale).map(|_| EventEntry {
            sale,
            name: "Opening night".into(),
            venue: "The Bowl".into(),
            organiser: "us".into(),
            starts_at_ms: 0,
            test_mode: false,
        })
    }

    fn events_after(&self, after: SaleId, count: usize) -> Vec<EventEntry> {
        let mut sales: Vec<_> = self.sales.all().iter().map(SaleHandle::id).collect();
        sales.sort();
        sales
            .into_iter()
            .filter(|sale| *sale > after)
            .take(count)
            .filter_map(|sale| self.event(sale))
            .collect()
    }

    fn replica(&self, sale: SaleId) -> Option<SaleHandle> {
        self.sales.get(sale)
    }

    fn keeper(&self, _: SaleId) -> Keeper {
        if self.group.leads.load(Ordering::SeqCst) {
            Keeper::Here
        } else {
            Keeper::Nobody
        }
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct KeyTable {
    keys: Mutex<BTreeMap<String, KeyRecord>>,
    version: watch::Sender<u64>,
}

impl Keys for KeyTable {
    fn find(&self, key_id: &str) -> Option<KeyRecord> {
        self.keys.lock().unwrap().get(key_id).cloned()
    }

    fn version(&self) -> u64 {
        *self.version.borrow()
    }

    fn versions(&self) -> Option<watch::Receiver<u64>> {
        Some(self.version.subscribe())
    }
}

/// Keys of partners that are trusted; there are none that sign passes.
#[derive(Default)]
struct Trusts(Mutex<BTreeMap<(u64, u32), Trust>>);

impl PassKeys for Trusts {
    fn pass_keys(&self) -> Vec<PassKey> {
        Vec::new()
    }

    fn trust(&self, event: SaleId, partner: PartnerId) -> Option<Trust> {
        let trusts = self.0.lock().unwrap();
        trusts.get(&(event.0, partner.0)).copied()
    }
}

/// What nodes told of traced calls.
#[derive(Default)]
pub struct ToldTraces(Mutex<Vec<TracePart>>);

impl Sink for ToldTraces {
    fn tell(&self, part: TracePart, metrics: &TraceMetrics) {
        metrics.observe_told(part.spans.len());
        self.0.lock().unwrap().push(part);
    }
}

impl ToldTraces {
    /// A node tells its part when the last who worked for the call has let it go: a moment after the
    /// answer.
    pub async fn parts(&self, count: usize) -> Vec<TracePart> {
        let all = async {
            loop {
                let told = self.0.lock().unwrap().clone();
                if told.len() >= count {
                    return told;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let limit = std::time::Duration::from_secs(10);
        tokio::time::timeout(limit, all).await.expect("is told")
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A running node.
pub struct House {
    pub channel: Channel,
    endpoint: Endpoint,
    sales: Arc<Sales>,
    group: Arc<Solo>,
    machine: Arc<dyn Machine>,
    town: Arc<Town>,
    keys: Arc<KeyTable>,
    trusts: Arc<Trusts>,
    key_texts: [String; 2],
    next_key: AtomicU64,
    pub gateway: Gateway,
    pub tracer: Tracer,
    pub told: Arc<ToldTraces>,
    registry: prometheus::Registry,
    going_down: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<Result<(), grpc::ServeFailure>>,
}

impl House {
    /// Open for sale: one section of `rows` rows of ten seats, and one of `standing` places.
    pub async fn open(rows: usize, standing: u32) -> House {
        House::open_with(
            grpc::Config::default(),
            actors::Config::default(),
            rows,
            standing,
        )
        .await
    }

    pub async fn open_with(
        config: grpc::Config,
        actors_config: actors::Config,
        rows: usize,
        standing: u32,
    ) -> House {
        let metrics = SaleMetrics::new(&prometheus::Registry::new()).expect("registers");
        let faults = Faults::default();
        let sales = Sales::start(actors_config, Arc::new(Time), metrics, faults, 77)
            .await
            .expect("starts");
        let (proposals, queue) = mpsc::channel(64);
        let (committing, committing_seen) = watch::channel(true);
        let group = Arc::new(Solo {
            proposals,
            leads: AtomicBool::new(true),
            disk_full: AtomicBool::new(false),
            is_cut_off: AtomicBool::new(false),
            committing,
            entries: AtomicU64::new(0),
        });
        let machine = SaleMachines(sales.clone()).machine(1, group.clone());
        machine.lead(Some(1)).await;
        tokio::spawn(commit(
            group.clone(),
            machine.clone(),
            queue,
            committing_seen,
        ));
        let town = Arc::new(Town {
            sales: sales.clone(),
            group: group.clone(),
            ready: AtomicBool::new(false),
        });
        let keys = Arc::new(KeyTable::default());
        let key_texts = [1, 2].map(|partner: u8| {
            let made = key::make([partner; 36]);
            let record = KeyRecord {
                partner: Some(PartnerRecord {
                    id: PartnerId(partner.into()),
                    channel: ChannelId(partner.into()),
                    name: format!("partner {partner}"),
                }),
                operator: false,
                salt: made.salt,
                hash: made.hash,
            };
            keys.keys.lock().unwrap().insert(made.key_id, record);
            made.text
        });
        let trusts = Arc::new(Trusts::default());
        let registry = prometheus::Registry::new();
        let metrics = GatewayMetrics::new(&registry).expect("registers");
        let gateway = Gateway::new(gateway::Config::default(), town.clone(), metrics);
        let settings = trace::Settings::default();
        let tracer = Tracer::new(1, Arc::new(Time), 7, &settings, &registry).expect("registers");
        let told = Arc::new(ToldTraces::default());
        tracer.send_to(Arc::clone(&told) as _);
        let (going_down, down) = watch::channel(false);
        let partners = Partners::new(
            config,
            Door::new(keys.clone()),
            trusts.clone(),
            gateway.clone(),
            town.clone(),
            Arc::new(Time),
            down,
            RpcMetrics::new(&registry).expect("registers"),
            tracer.clone(),
            Arc::new(Waits::new(&registry).expect("registers")),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("binds");
        let address = listener.local_addr().expect("has one");
        let incoming =
            TcpListenerStream::new(listener).map(|io| io.map(|io| Box::new(io) as Box<dyn Io>));
        let serving = tokio::spawn(grpc::serve(partners, incoming));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let house = House {
            channel: endpoint.connect().await.expect("connects"),
            endpoint,
            sales,
            group,
            machine,
            town,
            keys,
            trusts,
            key_texts,
            next_key: AtomicU64::new(1),
            gateway,
            tracer,
            told,
            registry,
            going_down,
            serving,
        };
        house.create(EVENT, rows, standing).await;
        house.tell(Command::OpenSale).await;
        house
    }

    /// One more connection.
    pub async fn connect(&self) -> Channel {
        self.endpoint.connect().await.expect("connects")
    }

    /// Another event, that is not on sale yet.
    pub async fn announce(&self, event: u64) {
        self.create(event, 4, 5).await;
    }

    async fn create(&self, event: u64, rows: usize, standing: u32) {
        let layout = pb::SeatMap {
            name: "The Bowl".into(),
            ..pb::SeatMap::default()
        };
        let layout = zstd::encode_all(&layout.encode_to_vec()[..], 1).expect("compresses");
        let (venue, rules) = (venue(rows, standing), SaleRules::default());
        let created = self.sales.create(
            self.group.as_ref(),
            SaleId(event),
            layout.into(),
            &venue,
            &rules,
            42,
        );
        created.await.expect("creates");
    }

    /// A command of the organiser's, through the gateway as any other.
    pub async fn tell(&self, command: Command<'_>) {
        self.tell_of(EVENT, command).await;
    }

    /// The same of another event.
    pub async fn tell_of(&self, event: u64, command: Command<'_>) {
        tell(&self.gateway, event, self.key_array(), command).await;
    }

    /// Takes tokens of a partner's key for an event.
    pub fn trust(&self, event: u64, partner: u32, trust: Trust) {
        let mut trusts = self.trusts.0.lock().unwrap();
        trusts.insert((event, partner), trust);
    }

    /// Entries in the log.
    pub fn entries(&self) -> u64 {
        self.group.entries.load(Ordering::SeqCst)
    }

    /// A fresh UUIDv7 at the sale's time.
    fn key_array(&self) -> [u8; 16] {
        let number = self.next_key.fetch_add(1, Ordering::SeqCst);
        (u128::from(NOW_MS) << 80 | 7 << 76 | 2 << 62 | u128::from(number)).to_be_bytes()
    }

    pub fn key(&self) -> Bytes {
        Bytes::copy_from_slice(&self.key_array())
    }

    /// A request of the first partner.
    pub fn ask<T>(&self, message: T) -> Request<T> {
        self.ask_as(0, message)
    }

    pub fn ask_as<T>(&self, partner: usize, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.key_texts[partner]);
        request
            .metadata_mut()
            .insert("authorization", bearer.parse().expect("ASCII"));
        request
    }

    pub fn commit(&self, on: bool) {
        self.group.committing.send_replace(on);
    }

    pub fn fill_disk(&self, full: bool) {
        self.group.disk_full.store(full, Ordering::SeqCst);
    }

    /// The node's metrics as they are scraped.
    pub fn scrape(&self) -> String {
        let encoder = prometheus::TextEncoder::new();
        encoder
            .encode_to_string(&self.registry.gather())
            .expect("encodes")
    }

    pub async fn lead(&self, leads: bool) {
        self.group.leads.store(leads, Ordering::SeqCst);
        self.machine.lead(leads.then_some(1)).await;
    }

    pub fn cut_off(&self) {
        self.group.is_cut_off.store(true, Ordering::SeqCst);
    }

    pub fn set_ready(&self) {
        self.town.ready.store(true, Ordering::SeqCst);
    }

    /// Takes the first partner's keys away.
    pub fn revoke(&self) {
        let first = key::parse(&self.key_texts[0]).expect("a key").key_id;
        self.keys.keys.lock().unwrap().remove(first);
        self.keys.version.send_modify(|version| *version += 1);
    }

    pub async fn go_down(self) {
        self.going_down.send_replace(true);
        drop(self.channel);
        self.serving.await.expect("ends").expect("ends well");
    }

    pub fn start_going_down(&self) {
        self.going_down.send_replace(true);
    }
}

/// Brings a command of the organiser's through a gateway; it must be done.
pub async fn tell(gateway: &Gateway, event: u64, key: [u8; 16], command: Command<'_>) {
    struct Told(mpsc::Sender<Bytes>);
    impl Answers for Told {
        fn answer(&self, packed: Bytes, _: u32) {
            self.0.try_send(packed).expect("one answer");
        }
    }
    let request = domain::command::Request {
        partner: PartnerId(0),
        channel: ChannelId(0),
        key: domain::ids::IdempotencyKey(u128::from_be_bytes(key)),
        hash: 0,
        command,
    };
    let mut record = Vec::new();
    actors::codec::record::encode(&request, &mut record).expect("fits");
    let (told, mut answer) = mpsc::channel(1);
    let calls = Calls {
        records: record.into(),
        call_ids: [0].into_iter().collect(),
        deadline: tokio::time::Instant::now() + std::time::Duration::from_secs(5),
        answers: Arc::new(Told(told)),
        trace: None,
    };
    gateway.submit(SaleId(event), calls);
    let packed = answer.recv().await.expect("is answered");
    let answer = decode(&packed).next().expect("reads").1;
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
}

pub fn venue(rows: usize, standing: u32) -> Venue {
    let row = |row: i32| RowPlan {
        seats: (0..10)
            .map(|seat| SeatPlan {
                x: seat * 10,
                y: row * 10,
                category: 0,
                attributes: Attributes::default(),
                aisle_after: seat == 9,
            })
            .collect(),
    };
    Venue {
        sections: vec![
            SectionPlan::Seated {
                focal_x: 45,
                focal_y: 0,
                rows: (0..rows as i32).map(row).collect(),
            },
            SectionPlan::General {
                capacity: standing,
                category: 0,
            },
        ],
    }
}
