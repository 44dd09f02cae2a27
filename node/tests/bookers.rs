//! 160 bookers at once ask for the best seats of a house of 8,000, each by plain gRPC calls to
//! three real nodes: every seat is sold, and nobody is refused while seats were free at the
//! revision of the refusal.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cluster::components::{Net, WallClock};
use onsale::config::Config;
use onsale::load::connect::{self, Bearer, MachineClock, Tcp};
use onsale::load::keys::Keys;
use onsale::load::{Answer, Call, Client, Line, Run, venue};
use onsale::local::api::NewEvent;
use onsale::local::{Local, Profile, Settings};
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use proto::channel::v1::{GetSeatsRequest, RejectionReason, SeatState, WatchSeatsRequest};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

const BOOKERS: u64 = 160;
const SEATS: u64 = 8_000;
const SEED: u64 = 160;
const CALL_LIMIT: Duration = Duration::from_secs(30);

type Seats = SeatsServiceClient<InterceptedService<Channel, Bearer>>;

/// A refusal and the most seats that may have been free at its revision.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    asked: u64,
    revision: u64,
    reason: u16,
}

#[test]
fn everybody_gets_a_seat_while_there_is_one() {
    eprintln!("seed {SEED}; repeat with: cargo test -p onsale --test bookers");
    let local = Local::start(Settings {
        executable: PathBuf::from(env!("CARGO_BIN_EXE_onsale")),
        nodes: 3,
        profile: Profile::Fast,
        data: None,
        base: Config::default(),
    })
    .expect("three nodes start");
    let api = local.api();
    let partner = api.partner("Bookers").expect("a partner is made");
    let plan = venue::plan("Eight thousand", 8, 1000);
    let event = api
        .open_event(&NewEvent {
            name: "Bookers",
            venue: "Eight thousand",
            test_mode: false,
            hold_ttl_s: 1800,
            plan: &plan,
            dedupe: false,
        })
        .expect("an event is opened");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let sale = sell(local.partner_addresses(), &partner.key, event.event_id);
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(120), sale)
            .await
            .expect("the house is sold out in time");
    });
}

async fn sell(nodes: Vec<String>, key: &str, event: u64) {
    let net: Arc<dyn Net> = Arc::new(Tcp);
    let wall: Arc<dyn WallClock> = Arc::new(MachineClock);
    let key = Bearer::new(key).expect("a key is text");
    let client = Client::unary(&net, &nodes, key.clone()).expect("addresses are valid");
    let mut seats = seats_client(&net, &nodes[0], &key).await;
    let before = seats_now(&mut seats, event).await;
    assert_eq!(before.sold, 0);
    let (sold_out, is_sold_out) = watch::channel(false);

    let watcher = tokio::spawn(history(
        seats_client(&net, &nodes[1], &key).await,
        event,
        before.revision,
        sold_out,
    ));
    let mut bookers = JoinSet::new();
    for number in 0..BOOKERS {
        let booker = Booker {
            event,
            client: client.clone(),
            keys: Keys::new(SEED << 16 | number, &wall),
            rng: StdRng::seed_from_u64(SEED << 32 | number),
            sold_out: is_sold_out.clone(),
        };
        bookers.spawn(booker.run());
    }
    let mut owners = BTreeMap::new();
    let mut refusals = Vec::new();
    while let Some(told) = bookers.join_next().await {
        let told = told.expect("a booker does not panic");
        refusals.extend(told.refusals);
        for run in told.seats {
            for seat in (run.first..).take(run.count.into()) {
                let before = owners.insert((run.section, seat), ());
                assert!(before.is_none(), "seat {seat} of {} twice", run.section);
            }
        }
    }
    let free_after = watcher.await.expect("the watcher does not panic");
    assert_eq!(owners.len() as u64, SEATS, "seats told to bookers");
    let after = seats_now(&mut seats, event).await;
    assert_eq!((after.sold, after.held), (SEATS, 0));

    assert!(!refusals.is_empty(), "the last bookers are refused");
    for refusal in refusals {
        assert_eq!(
            refusal.reason,
            RejectionReason::SoldOut as u16,
            "{refusal:?}"
        );
        assert!(refusal.revision > 0, "a refusal names its revision");
        let free = free_after
            .range(..=refusal.revision)
            .next_back()
            .map_or(SEATS, |(_, free)| *free);
        assert!(free < refusal.asked, "{free} seats were free: {refusal:?}");
    }
}

struct Booker {
    event: u64,
    client: Client,
    keys: Keys,
    rng: StdRng,
    sold_out: watch::Receiver<bool>,
}

#[derive(Default)]
struct Told {
    seats: Vec<Run>,
    refusals: Vec<Refusal>,
}

impl Booker {
    /// Books for parties of up to four, who sit apart when they must, then for singles, until the
    /// house is sold out.
    async fn run(mut self) -> Told {
        let mut told = Told::default();
        let mut most = 4;
        loop {
            let quantity = self.rng.random_range(1..=most);
            if self.book(quantity, &mut told).await {
                continue;
            }
            most = 1;
            // What is held may only be sold; the watcher sees when all is.
            if quantity == 1 && *self.sold_out.borrow() {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn book(&mut self, quantity: u16, told: &mut Told) -> bool {
        let (hold, order) = (self.keys.make(), self.keys.make());
        let line = Line::Best {
            quantity,
            category: None,
            or_cheaper: false,
            accessible: false,
            split: true,
            sections: Vec::new(),
        };
        let place = Call::PlaceHold {
            pass: String::new(),
            hold,
            buyer: hold,
            ttl_s: 0,
            lines: vec![line],
        };
        if let Answer::Rejected { revision, why } = self.call(hold, place).await {
            told.refusals.push(Refusal {
                asked: quantity.into(),
                revision,
                reason: why.reason,
            });
            return false;
        }
        let payment = "bookers".to_owned();
        let confirm = Call::ConfirmHold {
            hold,
            order,
            payment,
        };
        match self.call(order, confirm).await {
            Answer::Done { seats, .. } => told.seats.extend(seats),
            Answer::Rejected { why, .. } => panic!("a confirmation was refused: {why:?}"),
        }
        true
    }

    async fn call(&self, key: [u8; 16], call: Call) -> Answer {
        self.client
            .call(self.event, key, call, CALL_LIMIT)
            .await
            .expect("an answer")
    }
}

async fn seats_client(net: &Arc<dyn Net>, node: &str, key: &Bearer) -> Seats {
    let channel = connect::connect(net, node).await.expect("a connection");
    SeatsServiceClient::with_interceptor(channel, key.clone())
}

struct Counts {
    revision: u64,
    held: u64,
    sold: u64,
}

async fn seats_now(seats: &mut Seats, event: u64) -> Counts {
    let request = GetSeatsRequest {
        event_id: event,
        linearizable: true,
    };
    let answer = seats.get_seats(request).await.expect("seats").into_inner();
    let ones = |plane: &[u8]| -> u64 { plane.iter().map(|b| u64::from(b.count_ones())).sum() };
    Counts {
        revision: answer.revision,
        held: answer.sections.iter().map(|one| ones(&one.held)).sum(),
        sold: answer.sections.iter().map(|one| ones(&one.sold)).sum(),
    }
}

/// How many seats were free after each revision, from the change feed.
async fn history(
    mut seats: Seats,
    event: u64,
    from_revision: u64,
    sold_out: watch::Sender<bool>,
) -> BTreeMap<u64, u64> {
    let request = WatchSeatsRequest {
        event_id: event,
        from_revision,
    };
    let mut feed = seats
        .watch_seats(request)
        .await
        .expect("a feed")
        .into_inner();
    let (mut free, mut sold) = (SEATS, 0);
    let mut free_after = BTreeMap::new();
    while sold < SEATS {
        let message = feed.message().await.expect("the feed goes on");
        for change in message.expect("the feed goes on").changes {
            let count = u64::from(change.count);
            if change.from == SeatState::Free as i32 {
                free -= count;
            }
            if change.to == SeatState::Free as i32 {
                free += count;
            }
            if change.to == SeatState::Sold as i32 {
                sold += count;
            }
            free_after.insert(change.revision, free);
        }
    }
    sold_out.send_replace(true);
    free_after
}
