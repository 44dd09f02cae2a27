//! A waiting room on three real nodes, whose leader is killed while visitors come and again while they
//! are let in: no place is lost, doubled or changed, nobody holds seats without a pass that is theirs,
//! a pass buys once however often it is shown, and the published evidence is true.
//!
//! One evening in one test, told here; its stories: `crowd` who comes, where they stand and when they are
//! let in; `floods` who comes like a bot; `tokens` passes, and what partners sign themselves; `session`
//! the same by the session stream.

mod crowd;
mod floods;
mod session;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::components::{Net, WallClock};
use onsale::config::Config;
use onsale::evidence::Evidence;
use onsale::http::bodies::{ArmQueue, QueueLane};
use onsale::load::call::Id;
use onsale::load::connect::{self, Bearer, MachineClock, Tcp};
use onsale::load::keys::Keys;
use onsale::load::{Answer, Call, Client, Line, Visitors, venue};
use onsale::local::api::{Api, NewEvent, moment_in};
use onsale::local::{Local, Profile, Settings};
use proto::channel::v1::RejectionReason;
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use proto::channel::v1::session_service_client::SessionServiceClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

const LIMIT: Duration = Duration::from_secs(60);
/// Long enough for all to come while the leader is killed.
const GATHERING: Duration = Duration::from_secs(12);
const CROWD: usize = 3_000;
const MEMBERS: usize = 500;
const PASS_TICKETS: u16 = 4;

type Admission = AdmissionServiceClient<InterceptedService<Channel, Bearer>>;

/// A partner with its clients.
struct Partner {
    client: Client,
    visitors: Visitors,
    /// To each node.
    plain: Vec<Admission>,
    /// To the first.
    session: SessionServiceClient<InterceptedService<Channel, Bearer>>,
    ids: Vec<Id>,
}

impl Partner {
    fn new(local: &Local, key: &str, keys: &mut Keys, count: usize) -> Partner {
        let net: Arc<dyn Net> = Arc::new(Tcp);
        let nodes = local.partner_addresses();
        let bearer = Bearer::new(key).expect("a key is text");
        let plain = |address: &String| {
            let channel = connect::connect_lazily(&net, address).expect("an address");
            AdmissionServiceClient::with_interceptor(channel, bearer.clone())
        };
        Partner {
            client: Client::unary(&net, &nodes, bearer.clone()).expect("addresses"),
            visitors: Visitors::new(&net, &nodes, bearer.clone()).expect("addresses"),
            plain: nodes.iter().map(plain).collect(),
            session: SessionServiceClient::with_interceptor(
                connect::connect_lazily(&net, &nodes[0]).expect("an address"),
                bearer.clone(),
            ),
            ids: (0..count).map(|_| keys.make()).collect(),
        }
    }

    /// A hold of `quantity` seats, as the sale decides it.
    async fn hold(&self, event: u64, key: Id, buyer: Id, pass: &str, quantity: u16) -> Held {
        let place = Call::PlaceHold {
            pass: pass.to_owned(),
            hold: key,
            buyer,
            ttl_s: 0,
            lines: vec![Line::best(quantity)],
        };
        match self.client.call(event, key, place, LIMIT).await {
            Ok(Answer::Done { .. }) => Ok(()),
            Ok(Answer::Rejected { why, .. }) => {
                Err(RejectionReason::try_from(i32::from(why.reason)).expect("is known"))
            }
            Err(gave_up) => panic!("no answer: {gave_up}"),
        }
    }
}

type Held = Result<(), RejectionReason>;

#[test]
fn a_room_on_three_nodes() {
    let mut local = Local::start(Settings {
        executable: PathBuf::from(env!("CARGO_BIN_EXE_onsale")),
        nodes: 3,
        profile: Profile::Fast,
        data: None,
        base: Config::default(),
    })
    .expect("three nodes start");
    let api = local.api();
    let crowd_key = api.partner("Crowd").expect("a partner is made").key;
    let club_made = api.partner("Club").expect("a partner is made");
    let plan = venue::plan("Hall", 10, 500);
    let event = api
        .create_event(&NewEvent {
            name: "Night",
            venue: "Hall",
            test_mode: false,
            hold_ttl_s: 1800,
            plan: &plan,
            dedupe: false,
        })
        .expect("an event is created")
        .event_id;
    let opens = Instant::now() + GATHERING;
    api.arm_queue(event, &queue()).expect("the room is armed");

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let by_flood = runtime.block_on(async {
        let wall: Arc<dyn WallClock> = Arc::new(MachineClock);
        let mut keys = Keys::new(7, &wall);
        let crowd = Partner::new(&local, &crowd_key, &mut keys, CROWD);
        let club = Partner::new(&local, &club_made.key, &mut keys, MEMBERS);
        crowd::gather(&mut local, &api, event, &crowd, &club).await;
        assert!(
            Instant::now() < opens,
            "the lobby closed before all had come"
        );
        crowd::strangers_are_told_nothing(event, &crowd, &club).await;
        floods::a_flood_is_challenged(event, &crowd, &mut keys).await;
        session::by_session(event, &crowd, &mut keys).await;
        let by_flood = floods::a_flood_by_session_is_challenged(event, &crowd, &mut keys).await;
        let without = crowd.hold(event, keys.make(), crowd.ids[0], "", 1).await;
        assert_eq!(without, Err(RejectionReason::NotOnSale));

        let before = crowd::shuffled(event, &crowd).await;
        let leader = leader(&local, &api, event);
        local.kill(leader);
        local.restart(leader).expect("it starts again");
        let admitted = crowd::first_admitted(event, &crowd).await;
        crowd::same_places(event, &crowd, &before).await;

        let (visitor, pass) = &admitted[0];
        keys.tick(tokio::time::Instant::now());
        tokens::only_ones_own_pass(event, &crowd, &club, &mut keys, &admitted).await;
        api.rotate_pass_key().expect("a new key signs");
        tokens::a_partners_own_room(&api, event, &club, club_made.partner_id, &mut keys).await;
        tokens::only_with_the_clubs_tokens(&api, event, &club, club_made.partner_id, &mut keys)
            .await;
        floods::who_lets_holds_go_is_challenged(event, &crowd, &mut keys, &admitted[2]).await;
        tokens::buys_once(event, &crowd, &mut keys, *visitor, pass).await;
        crowd::watched_until_the_end(&api, event, &crowd, &before).await;
        by_flood
    });

    let file = api.evidence(event).expect("the evidence is published");
    let verdict = Evidence::verify(&file, None).expect("is true");
    let came = CROWD + MEMBERS + floods::FLOOD + session::CAME + by_flood;
    assert_eq!(verdict.lobby as usize, came);
    assert!(verdict.released > 0);
    assert_eq!(verdict.removed, 1, "one left");
    let queue = api.queue(event).expect("is shown");
    assert_eq!(queue.joined as usize, came + tokens::JOINED, "nobody twice");
}

/// Members have two turns of three.
fn queue() -> ArmQueue {
    let lane = |class, weight| QueueLane {
        channel: None,
        class,
        weight,
    };
    ArmQueue {
        lobby_at: moment_in(Duration::ZERO),
        opens_at: moment_in(GATHERING),
        beacon: false,
        pass_life_s: 600,
        pass_tickets: PASS_TICKETS,
        per_minute: Some(6_000),
        at_the_desk: None,
        hold_ms: 250,
        lanes: vec![lane(Some(1), 2), lane(None, 1)],
    }
}

fn leader(local: &Local, api: &Api, event: u64) -> usize {
    let until = Instant::now() + LIMIT;
    loop {
        let leader = api.event(event).expect("is there").leader;
        match leader.and_then(|id| local.index_of(id)) {
            Some(index) if local.is_running(index) => return index,
            _ => assert!(Instant::now() < until, "nobody leads"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
