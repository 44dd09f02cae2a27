//! While a sale runs on three real nodes, a fourth joins, catches up and becomes a voter, and one
//! of the first three is drained and removed, all through the cluster API. The sale never stops
//! and loses nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster::components::{Net, WallClock};
use cluster::types::ROOT_GROUP;
use onsale::config::Config;
use onsale::load::connect::{self, Bearer, MachineClock, Tcp};
use onsale::load::keys::Keys;
use onsale::load::{Answer, Call, Client, Line, venue};
use onsale::local::api::{Api, NewEvent};
use onsale::local::{Local, Profile, Settings};
use proto::channel::v1::GetSeatsRequest;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use tokio::task::JoinSet;

const BUYERS: u64 = 8;
const CALL_LIMIT: Duration = Duration::from_secs(60);
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// The fourth node's id; the first node is the one that leaves.
const NEW: u64 = 4;
const OLD: u64 = 1;

/// Seats buyers were told are theirs.
type Sold = Arc<Mutex<BTreeSet<(u16, u32)>>>;

#[test]
fn a_node_joins_and_another_leaves_while_the_sale_runs() {
    let mut local = Local::start(Settings {
        executable: PathBuf::from(env!("CARGO_BIN_EXE_onsale")),
        nodes: 3,
        profile: Profile::Fast,
        data: None,
        base: Config::default(),
    })
    .expect("three nodes start");
    // The node that leaves is not asked: it is not told any more.
    let staying = local.nodes()[1..]
        .iter()
        .map(|node| node.http_address.clone())
        .collect();
    let api = Api::new(staying, local.operator_key());
    let partner = api.partner("Crowd").expect("a partner is made");
    let plan = venue::plan("Large", 50, 2000);
    let event = api
        .open_event(&NewEvent {
            name: "Membership",
            venue: "Large",
            test_mode: false,
            hold_ttl_s: 1800,
            plan: &plan,
            dedupe: false,
        })
        .expect("an event is opened")
        .event_id;
    let crowd = Crowd::start(local.partner_addresses(), &partner.key, event);
    crowd.sells_on("before anything happens");

    let index = local
        .join_one()
        .expect("the fourth node starts and is taken in");
    assert_eq!(local.nodes()[index].id, NEW);
    wait("the new node is known", || {
        state(&api, NEW).as_deref() == Some("learner")
    });
    crowd.sells_on("beside a learner");
    api.promote(NEW).expect("the node is promoted");
    wait("the new node votes", || votes(&api, NEW));
    crowd.sells_on("with a fourth voter");

    api.drain(OLD).expect("the node is drained");
    wait("the old node carries nothing", || !carries(&api, OLD));
    crowd.sells_on("with a drained node");
    api.remove(OLD).expect("the node is removed");
    wait("the old node is forgotten", || state(&api, OLD).is_none());
    let old = local.index_of(OLD).expect("it was started here");
    local
        .terminate(old, STEP_LIMIT)
        .expect("a removed node stops in good order");
    crowd.sells_on("without the old node");

    let sold = crowd.stop();
    let newest = local.nodes()[index].partner_address.clone();
    let held_here = sold_seats(&newest, &partner.key, event);
    assert_eq!(held_here, sold, "what the new node says is sold");
}

/// Buyers on a runtime of their own, for as long as the test moves nodes about.
struct Crowd {
    sold: Sold,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Crowd {
    fn start(nodes: Vec<String>, key: &str, event: u64) -> Crowd {
        let sold = Sold::default();
        let stop = Arc::new(AtomicBool::new(false));
        let key = Bearer::new(key).expect("a key is text");
        let thread = {
            let (sold, stop) = (Arc::clone(&sold), Arc::clone(&stop));
            std::thread::spawn(move || {
                runtime().block_on(async {
                    let net: Arc<dyn Net> = Arc::new(Tcp);
                    let client = Client::session(net, nodes, key);
                    let mut buyers = JoinSet::new();
                    for number in 0..BUYERS {
                        let (sold, stop) = (Arc::clone(&sold), Arc::clone(&stop));
                        buyers.spawn(buy(client.clone(), event, number, sold, stop));
                    }
                    while let Some(buyer) = buyers.join_next().await {
                        buyer.expect("a buyer does not panic");
                    }
                });
            })
        };
        Crowd { sold, stop, thread }
    }

    /// Waits until more is sold than now.
    fn sells_on(&self, when: &str) {
        let count = || self.sold.lock().expect("no buyer panicked").len();
        let before = count();
        wait(when, || count() > before + 100);
    }

    fn stop(self) -> BTreeSet<(u16, u32)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the crowd does not panic");
        self.sold.lock().expect("no buyer panicked").clone()
    }
}

/// One seat after the other; every call ends with a certain answer.
async fn buy(client: Client, event: u64, number: u64, sold: Sold, stop: Arc<AtomicBool>) {
    let wall: Arc<dyn WallClock> = Arc::new(MachineClock);
    let mut keys = Keys::new(number, &wall);
    while !stop.load(Ordering::Relaxed) {
        keys.tick(tokio::time::Instant::now());
        let (hold, order) = (keys.make(), keys.make());
        let place = Call::PlaceHold {
            pass: String::new(),
            hold,
            buyer: hold,
            ttl_s: 0,
            lines: vec![Line::best(1)],
        };
        let confirm = Call::ConfirmHold {
            hold,
            order,
            payment: "crowd".to_owned(),
        };
        for (key, call) in [(hold, place), (order, confirm)] {
            let answer = client.call(event, key, call, CALL_LIMIT).await;
            let Answer::Done { seats, .. } = answer.expect("an answer") else {
                panic!("a house that is not full refuses");
            };
            if key == order {
                let mut sold = sold.lock().expect("no buyer panicked");
                for run in seats {
                    assert!(sold.insert((run.section, run.first)), "{run:?} twice");
                }
            }
        }
        // Slow enough that the house outlasts the changes.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

fn sold_seats(node: &str, key: &str, event: u64) -> BTreeSet<(u16, u32)> {
    let key = Bearer::new(key).expect("a key is text");
    let answer = runtime().block_on(async {
        let net: Arc<dyn Net> = Arc::new(Tcp);
        let channel = connect::connect(&net, node).await.expect("a connection");
        let request = GetSeatsRequest {
            event_id: event,
            linearizable: true,
        };
        SeatsServiceClient::with_interceptor(channel, key)
            .get_seats(request)
            .await
            .expect("the new node answers")
            .into_inner()
    });
    let mut seats = BTreeSet::new();
    for section in answer.sections {
        for seat in 0..section.seat_count {
            if section.sold[seat as usize / 8] >> (seat % 8) & 1 == 1 {
                seats.insert((section.section as u16, seat));
            }
        }
    }
    seats
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + STEP_LIMIT;
    while !done() {
        assert!(Instant::now() < until, "not within {STEP_LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn state(api: &Api, node: u64) -> Option<String> {
    let nodes = api.nodes().expect("nodes are listed");
    let found = nodes.into_iter().find(|one| one.node_id == node)?;
    Some(found.state)
}

fn votes(api: &Api, node: u64) -> bool {
    let groups = api.groups().expect("groups are listed");
    groups.iter().any(|group| group.voters.contains(&node))
}

/// Whether any sale group still has a replica on the node. The root group is on every node until
/// it is removed.
fn carries(api: &Api, node: u64) -> bool {
    let groups = api.groups().expect("groups are listed");
    groups
        .iter()
        .filter(|group| group.group_id != ROOT_GROUP)
        .any(|group| group.voters.contains(&node) || group.learners.contains(&node))
}
