//! Any node answers any call: real nodes of one cluster in this process, each with its log on
//! disk, its peers' and its partners' listener on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::clock::DisciplinedClock;
use actors::faults::Faults;
use actors::metrics::SaleMetrics;
use actors::{SaleMachines, Sales};
use bytes::Bytes;
use cluster::components::{Io, WallClock as _};
use cluster::production::{SystemWall, production};
use cluster::{Cluster, Config, Founder};
use domain::ids::SaleId;
use domain::rules::SaleRules;
use futures::StreamExt as _;
use onsale::access::{Door, key};
use onsale::gateway::{self, Forwarding, Gateway, GatewayMetrics};
use onsale::grpc::{self, Partners, RpcMetrics, Waits};
use onsale::serve::place::Place;
use onsale::trace::{self, Tracer};
use proto::channel::v1::catalogue_service_client::CatalogueServiceClient;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use proto::channel::v1::*;
use proto::log::v1 as log;
use proto::log::v1::map_change::Change;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::house::{ToldTraces, venue};
use super::selling::best;

pub const EVENT: u64 = 4711;
const LONG: Duration = Duration::from_secs(30);

pub struct Node {
    cluster: Cluster,
    pub sales: Arc<Sales>,
    gateway: Gateway,
    pub channel: Channel,
    pub told: Arc<ToldTraces>,
    going_down: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Node {
    async fn start(id: u64, founders: &[Founder], replicas: usize) -> Node {
        let folder = tempfile::tempdir().expect("a folder");
        let components = production(folder.path()).expect("components");
        let registry = prometheus::Registry::new();
        let clock = Arc::new(DisciplinedClock::new(SystemWall.now_ms()));
        clock.follow(SystemWall.now_ms());
        let sales = Sales::start(
            actors::Config::default(),
            clock,
            SaleMetrics::new(&registry).expect("registers"),
            Faults::default(),
            components.seed,
        )
        .await
        .expect("starts");
        let view = Arc::new(Place::new(sales.clone()));
        let config = Config {
            node_id: id,
            founders: founders.to_vec(),
            listen_address: founders[id as usize - 1].peer_address.clone(),
            secret: "the nodes of this test".into(),
            sale_groups: 1,
            replicas,
            heartbeat_ms: 40,
            election_min_ms: 200,
            election_max_ms: 300,
            ..Config::default()
        };
        let bounds = gateway::Config::default();
        let settings = trace::Settings::default();
        let tracer = Tracer::new(id, Arc::new(SystemWall), id, &settings, &registry);
        let tracer = tracer.expect("registers");
        let told = Arc::new(ToldTraces::default());
        tracer.send_to(Arc::clone(&told) as _);
        let forwarding = Forwarding::service(view.clone(), &bounds, tracer.clone());
        let waits = Arc::new(Waits::new(&registry).expect("registers"));
        let reads = grpc::for_peers(view.clone(), Arc::clone(&waits));
        let services = reads.add_service(forwarding);
        let machines = Arc::new(SaleMachines(sales.clone()));
        let cluster = Cluster::start(config, components, machines, services, &registry)
            .await
            .expect("starts");
        view.set_cluster(cluster.clone());
        let metrics = GatewayMetrics::new(&registry).expect("registers");
        let gateway = Gateway::new(bounds, view.clone(), metrics);
        let (going_down, down) = watch::channel(false);
        let partners = Partners::new(
            grpc::Config::default(),
            Door::new(view.clone()),
            Arc::clone(&view) as _,
            gateway.clone(),
            view,
            Arc::new(SystemWall),
            down,
            RpcMetrics::new(&registry).expect("registers"),
            tracer,
            waits,
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("binds");
        let address = listener.local_addr().expect("has one");
        let incoming =
            TcpListenerStream::new(listener).map(|io| io.map(|io| Box::new(io) as Box<dyn Io>));
        tokio::spawn(grpc::serve(partners, incoming));
        let channel = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        Node {
            cluster,
            sales,
            gateway,
            channel: channel.connect_lazy(),
            told,
            going_down,
            _folder: folder,
        }
    }

    async fn change(&self, change: Change) {
        until("the map is changed", async || {
            self.cluster.change_map(change.clone()).await.ok()
        })
        .await;
    }
}

/// Tries until there is something, or panics after a long time.
async fn until<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    let tried = async {
        loop {
            if let Some(ready) = ready().await {
                return ready;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, tried)
        .await
        .unwrap_or_else(|_| panic!("in time: {what}"))
}

pub struct Town {
    pub nodes: Vec<Node>,
    bearer: String,
    next_key: AtomicU64,
}

impl Town {
    /// A cluster with one event open for sale.
    pub async fn open(nodes: u64, replicas: usize) -> Town {
        // Ports that were free a moment ago: founders must be known before any of them starts.
        let listeners: Vec<_> = (0..nodes)
            .map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("binds"))
            .collect();
        let founders: Vec<_> = (1..)
            .zip(&listeners)
            .map(|(id, listener)| Founder {
                id,
                peer_address: listener.local_addr().expect("has one").to_string(),
                ..Founder::default()
            })
            .collect();
        drop(listeners);
        let mut started = Vec::new();
        for id in 1..=nodes {
            started.push(Node::start(id, &founders, replicas).await);
        }
        let made = key::make([7; 36]);
        let town = Town {
            nodes: started,
            bearer: format!("Bearer {}", made.text),
            next_key: AtomicU64::new(1),
        };
        town.create(made).await;
        town
    }

    async fn create(&self, made: key::NewKey) {
        let first = &self.nodes[0];
        until("nodes are ready", async || {
            self.nodes
                .iter()
                .all(|node| node.cluster.ready())
                .then_some(())
        })
        .await;
        let group = *first.cluster.map().groups.keys().next().expect("a group");
        first
            .change(Change::PutPartner(log::PutPartner {
                partner_id: 1,
                name: "web shop".into(),
                channel: 1,
            }))
            .await;
        first
            .change(Change::PutKey(log::PutKey {
                key_id: made.key_id,
                partner_id: 1,
                salt: made.salt.into(),
                hash: made.hash.into(),
                operator: false,
            }))
            .await;
        first
            .change(Change::ReserveSale(log::ReserveSale {
                sale_id: EVENT,
                group_id: group,
                name: "Opening night".into(),
                ..log::ReserveSale::default()
            }))
            .await;
        until("the sale is created", async || {
            let leader = first.cluster.leader(group)?;
            let node = &self.nodes[leader as usize - 1];
            let group = node.cluster.group(group)?;
            let layout = Bytes::from(zstd::encode_all(&b""[..], 1).expect("compresses"));
            let venue = venue(20, 5);
            let rules = SaleRules::default();
            let created =
                node.sales
                    .create(group.as_ref(), SaleId(EVENT), layout, &venue, &rules, 1);
            created.await.ok()
        })
        .await;
        first
            .change(Change::SetSaleState(log::SetSaleState {
                sale_id: EVENT,
                state: log::SaleState::Opened.into(),
            }))
            .await;
        until("all nodes know the event", async || {
            let knows = |node: &Node| {
                let map = node.cluster.map();
                map.keys.len() == 1
                    && map
                        .sales
                        .get(&EVENT)
                        .is_some_and(|sale| sale.state == cluster::map::SaleState::Opened)
            };
            self.nodes.iter().all(knows).then_some(())
        })
        .await;
        super::house::tell(
            &self.nodes[0].gateway,
            EVENT,
            self.key_array(),
            domain::command::Command::OpenSale,
        )
        .await;
    }

    fn key_array(&self) -> [u8; 16] {
        let number = self.next_key.fetch_add(1, Ordering::SeqCst);
        let now_ms = u128::from(SystemWall.now_ms());
        (now_ms << 80 | 7 << 76 | 2 << 62 | u128::from(number)).to_be_bytes()
    }

    pub fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = self.bearer.parse().expect("ASCII");
        request.metadata_mut().insert("authorization", bearer);
        request
    }

    pub fn place(&self) -> PlaceHoldRequest {
        PlaceHoldRequest {
            pass_token: String::new(),
            event_id: EVENT,
            idempotency_key: Bytes::copy_from_slice(&self.key_array()),
            hold_id: Bytes::new(),
            buyer: Bytes::from_static(b"buyer"),
            ttl_s: 0,
            lines: best(1),
        }
    }

    pub async fn go_down(self) {
        for node in &self.nodes {
            node.going_down.send_replace(true);
        }
        let down = self.nodes.iter().map(|node| node.cluster.shutdown());
        futures::future::join_all(down).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_sells_and_answers_for_the_one_that_has_the_sale() {
    let town = Town::open(3, 1).await;
    let carriers = town
        .nodes
        .iter()
        .filter(|node| node.sales.get(SaleId(EVENT)).is_some());
    assert_eq!(carriers.count(), 1);
    let mut held = Vec::new();
    for node in &town.nodes {
        let mut sales = SalesServiceClient::new(node.channel.clone());
        let placed = sales
            .place_hold(town.ask(town.place()))
            .await
            .expect("holds");
        held.push(placed.into_inner());
    }
    for (node, held) in town.nodes.iter().zip(held.iter().rev()) {
        let ask = GetHoldRequest {
            event_id: EVENT,
            hold_id: held.hold_id.clone(),
        };
        let mut sales = SalesServiceClient::new(node.channel.clone());
        let seen = sales
            .get_hold(town.ask(ask))
            .await
            .expect("is there")
            .into_inner();
        assert_eq!(seen.seats, held.seats);

        let ask = GetEventRequest { event_id: EVENT };
        let mut catalogue = CatalogueServiceClient::new(node.channel.clone());
        let event = catalogue
            .get_event(town.ask(ask))
            .await
            .expect("is there")
            .into_inner();
        assert_eq!(event.event.expect("has").seats.expect("has").held, 3);

        let mut seats = SeatsServiceClient::new(node.channel.clone());
        let ask = GetSeatsRequest {
            event_id: EVENT,
            linearizable: true,
        };
        let snapshot = seats
            .get_seats(town.ask(ask))
            .await
            .expect("answers")
            .into_inner();
        let ask = WatchSeatsRequest {
            event_id: EVENT,
            from_revision: 0,
        };
        let mut changes = seats
            .watch_seats(town.ask(ask))
            .await
            .expect("watches")
            .into_inner();
        let mut seen = 0;
        loop {
            let next = changes.message().await.expect("well").expect("goes on");
            seen += next.changes.len();
            if next.revision >= snapshot.revision {
                break;
            }
        }
        assert_eq!(seen, 3);
    }
    town.go_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_leaders_fails_no_call() {
    let town = Town::open(3, 3).await;
    let group = *town.nodes[0]
        .cluster
        .map()
        .groups
        .keys()
        .next()
        .expect("a group");
    let buy = async |node: &Node| {
        let mut sales = SalesServiceClient::new(node.channel.clone());
        for _ in 0..30 {
            sales
                .place_hold(town.ask(town.place()))
                .await
                .expect("holds");
        }
    };
    let transfer = async {
        for _ in 0..2 {
            // Refused while another change is under way.
            until("a leader hands over", async || {
                let leader = town.nodes[0].cluster.leader(group)?;
                let node = &town.nodes[leader as usize - 1];
                let next = leader % 3 + 1;
                node.cluster.transfer_leader(group, next).await.ok()
            })
            .await;
        }
    };
    tokio::join!(
        buy(&town.nodes[0]),
        buy(&town.nodes[1]),
        buy(&town.nodes[2]),
        transfer
    );
    town.go_down().await;
}
