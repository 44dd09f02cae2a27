//! A waiting room on three real nodes, whose leader is killed while visitors come and again while they
//! are let in: no place is lost, doubled or changed, nobody holds seats without a pass that is theirs,
//! a pass buys once however often it is shown, and the published evidence is true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster::components::{Net, WallClock};
use domain::ids::VisitorId;
use ed25519_dalek::{Signer as _, SigningKey};
use onsale::access::challenge::ProofOfWork;
use onsale::config::Config;
use onsale::evidence::{Evidence, hex};
use onsale::http::bodies::{ArmQueue, QueueLane, TrustPurpose};
use onsale::load::call::Id;
use onsale::load::connect::{self, Bearer, MachineClock, Tcp};
use onsale::load::keys::Keys;
use onsale::load::packed::{Answers, Head, Writer};
use onsale::load::{Answer, Call, Client, Line, Pass, Visitors, venue};
use onsale::local::api::{Api, NewEvent, moment_in};
use onsale::local::{Local, Profile, Settings};
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use proto::channel::v1::session_result::Result as Told;
use proto::channel::v1::session_service_client::SessionServiceClient;
use proto::channel::v1::{
    JoinManyRequest, JoinManyResponse, JoinRequest, LeaveRequest, Place, ProofRequest,
    RejectionReason, SessionCall, SessionRequest, StatusManyRequest, VisitorPhase,
    WatchPlaceRequest, session_call,
};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

const LIMIT: Duration = Duration::from_secs(60);
/// Long enough for all to come while the leader is killed.
const GATHERING: Duration = Duration::from_secs(12);
const CROWD: usize = 3_000;
const MEMBERS: usize = 500;
const PASS_TICKETS: u16 = 4;
/// Welcome from one address, and one more who meets the challenge.
const FLOOD: usize = 21;
const BY_SESSION: usize = 2;
/// Holds that may be let go before it counts.
const LET_GO: u32 = 10;
/// After the lobby.
const BY_TOKEN: usize = 2;

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
        gather(&mut local, &api, event, &crowd, &club).await;
        assert!(
            Instant::now() < opens,
            "the lobby closed before all had come"
        );
        strangers_are_told_nothing(event, &crowd, &club).await;
        a_flood_is_challenged(event, &crowd, &mut keys).await;
        by_session(event, &crowd, &mut keys).await;
        let by_flood = a_flood_by_session_is_challenged(event, &crowd, &mut keys).await;
        let without = crowd.hold(event, keys.make(), crowd.ids[0], "", 1).await;
        assert_eq!(without, Err(RejectionReason::NotOnSale));

        let before = shuffled(event, &crowd).await;
        let leader = leader(&local, &api, event);
        local.kill(leader);
        local.restart(leader).expect("it starts again");
        let admitted = first_admitted(event, &crowd).await;
        same_places(event, &crowd, &before).await;

        let (visitor, pass) = &admitted[0];
        keys.tick(tokio::time::Instant::now());
        only_ones_own_pass(event, &crowd, &club, &mut keys, &admitted).await;
        api.rotate_pass_key().expect("a new key signs");
        a_partners_own_room(&api, event, &club, club_made.partner_id, &mut keys).await;
        only_with_the_clubs_tokens(&api, event, &club, club_made.partner_id, &mut keys).await;
        who_lets_holds_go_is_challenged(event, &crowd, &mut keys, &admitted[2]).await;
        buys_once(event, &crowd, &mut keys, *visitor, pass).await;
        watched_until_the_end(&api, event, &crowd, &before).await;
        by_flood
    });

    let file = api.evidence(event).expect("the evidence is published");
    let verdict = Evidence::verify(&file, None).expect("is true");
    let came = CROWD + MEMBERS + FLOOD + BY_SESSION + by_flood;
    assert_eq!(verdict.lobby as usize, came);
    assert!(verdict.released > 0);
    assert_eq!(verdict.removed, 1, "one left");
    let queue = api.queue(event).expect("is shown");
    assert_eq!(queue.joined as usize, came + BY_TOKEN, "nobody twice");
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

/// All come, some twice, while the leader is killed.
async fn gather(local: &mut Local, api: &Api, event: u64, crowd: &Partner, club: &Partner) {
    let (first, second) = crowd.ids.split_at(CROWD / 2);
    let alone = |ids: &[Id]| -> Vec<(Id, u8)> { ids.iter().map(|id| (*id, 1)).collect() };
    let (first, second, members) = (alone(first), alone(second), alone(&club.ids));
    crowd.visitors.join(event, &first, 0).await.expect("come");
    let leader = leader(local, api, event);
    local.kill(leader);
    let (crowd_came, club_came) = tokio::join!(
        crowd.visitors.join(event, &second, 0),
        club.visitors.join(event, &members, 1),
    );
    crowd_came.expect("come");
    club_came.expect("come");
    local.restart(leader).expect("it starts again");
    crowd.visitors.join(event, &first, 0).await.expect("again");
    let places = crowd
        .visitors
        .places(event, &crowd.ids)
        .await
        .expect("told");
    let numbers: BTreeSet<u32> = places.iter().map(|place| place.number).collect();
    assert_eq!(numbers.len(), CROWD, "each has a number of their own");
    assert!(
        places
            .iter()
            .all(|place| place.phase() == VisitorPhase::Lobby)
    );
    let leave = LeaveRequest {
        event_id: event,
        visitor: club.ids[0].to_vec().into(),
    };
    let mut left = false;
    for node in club.plain.iter().cycle().take(9) {
        left |= node.clone().leave(leave.clone()).await.is_ok();
        if left {
            break;
        }
    }
    assert!(left, "one of the club leaves");
}

/// Another partner's visitors cannot be asked for, joined or proved.
async fn strangers_are_told_nothing(event_id: u64, crowd: &Partner, club: &Partner) {
    let theirs = crowd.visitors.places(event_id, &club.ids[1..3]).await;
    let unknown = |place: &Place| place.phase() == VisitorPhase::Unknown;
    assert!(theirs.expect("told").iter().all(unknown));
    let visitor: bytes::Bytes = club.ids[1].to_vec().into();
    let join = JoinRequest {
        event_id,
        visitor: visitor.clone(),
        ..JoinRequest::default()
    };
    let mut node = crowd.plain[1].clone();
    let refused = node.join(join).await.expect_err("is the club's");
    let why = refused.get_error_details().error_info().cloned();
    assert_eq!(why.expect("a reason").reason, "VISITOR_OF_ANOTHER_PARTNER");
    let proof = ProofRequest { event_id, visitor };
    assert!(node.proof(proof.clone()).await.is_err());
    let proof = club.plain[1].clone().proof(proof).await.expect("their own");
    assert!(
        proof.into_inner().seed.is_empty(),
        "secret until the shuffle"
    );
}

/// Who comes like a bot is asked for work, and is in once it is done.
async fn a_flood_is_challenged(event_id: u64, crowd: &Partner, keys: &mut Keys) {
    let mut node = crowd.plain[1].clone();
    let mut join = JoinRequest {
        event_id,
        address_hash: b"one address".to_vec().into(),
        ..JoinRequest::default()
    };
    for _ in 0..FLOOD - 1 {
        join.visitor = keys.make().to_vec().into();
        // Not faster than people.
        tokio::time::sleep(Duration::from_millis(25)).await;
        node.join(join.clone()).await.expect("is welcome");
    }
    let visitor = keys.make();
    join.visitor = visitor.to_vec().into();
    let refused = node.join(join.clone()).await.expect_err("too many");
    let details = refused.get_error_details();
    let asked = details.error_info().expect("a reason");
    assert_eq!(asked.reason, "CHALLENGE_REQUIRED");
    let hardness = asked.metadata["hardness"].parse().expect("a number");
    let answer = solve(&asked.metadata["challenge"], visitor, hardness);
    join.proof_of_work = answer.to_vec().into();
    node.join(join).await.expect("the work is done");
}

/// The answers to one message of a session, by call.
async fn converse(
    crowd: &Partner,
    message: SessionRequest,
) -> (BTreeMap<u32, Told>, BTreeMap<u32, String>) {
    let (requests, queued) = tokio::sync::mpsc::channel(1);
    requests.send(message).await.expect("is sent");
    let mut session = crowd.session.clone();
    let stream = tokio_stream::wrappers::ReceiverStream::new(queued);
    let mut answers = session.session(stream).await.expect("opens").into_inner();
    drop(requests);
    let (mut nested, mut packed) = (BTreeMap::new(), BTreeMap::new());
    while let Some(response) = answers.message().await.expect("answers") {
        for result in response.results {
            nested.insert(result.call_id, result.result.expect("says"));
        }
        for answer in Answers::new(&response.packed) {
            let answer = answer.expect("is sound");
            packed.insert(answer.call_id, format!("{:?}", answer.outcome));
        }
    }
    (nested, packed)
}

/// Joins with one device in one message of a session; returns how many came in, one of them by
/// meeting what was asked of it.
async fn a_flood_by_session_is_challenged(
    event_id: u64,
    crowd: &Partner,
    keys: &mut Keys,
) -> usize {
    let join = |call_id, visitor: &Id, answer: &[u8]| SessionCall {
        call_id,
        call: Some(session_call::Call::Join(JoinRequest {
            event_id,
            visitor: visitor.to_vec().into(),
            device_hash: b"one device".to_vec().into(),
            proof_of_work: answer.to_vec().into(),
            ..JoinRequest::default()
        })),
    };
    let flood: Vec<Id> = (0..2 * FLOOD).map(|_| keys.make()).collect();
    let calls = (0..)
        .zip(&flood)
        .map(|(at, visitor)| join(at, visitor, &[]));
    let message = SessionRequest {
        calls: calls.collect(),
        ..SessionRequest::default()
    };
    let (told, _) = converse(crowd, message).await;
    let came = told.values().filter(|told| matches!(told, Told::Done(_)));
    let came = came.count();
    let last = flood.len() as u32 - 1;
    let Told::Challenge(asked) = &told[&last] else {
        panic!("{told:?}");
    };
    let visitor = &flood[last as usize];
    let answer = solve(&asked.challenge, *visitor, asked.hardness);
    let message = SessionRequest {
        calls: vec![join(1, visitor, &answer)],
        ..SessionRequest::default()
    };
    let (told, _) = converse(crowd, message).await;
    assert!(matches!(told[&1], Told::Done(_)), "{told:?}");
    came + 1
}

/// The work that a challenge asks for.
fn solve(challenge: &str, visitor: Id, hardness: u32) -> [u8; 8] {
    let visitor = VisitorId(u128::from_be_bytes(visitor));
    (0_u64..)
        .map(u64::to_be_bytes)
        .find(|answer| ProofOfWork::zero_bits(challenge, visitor, answer) >= hardness)
        .expect("there is one")
}

/// Joining, asking and showing passes over the session stream, as messages and packed.
async fn by_session(event_id: u64, crowd: &Partner, keys: &mut Keys) {
    let (one, other) = (keys.make(), keys.make());
    let mut writer = Writer::default();
    let head = |call_id, key| Head {
        call_id,
        event: event_id,
        key,
    };
    writer.join(head(1, [0; 16]), &one, 0);
    let key = keys.make();
    let hold = Call::PlaceHold {
        pass: "of.no.key".into(),
        hold: key,
        buyer: one,
        ttl_s: 0,
        lines: vec![Line::best(1)],
    };
    writer.call(head(2, key), &hold);
    let bytes = |id: &Id| bytes::Bytes::copy_from_slice(id);
    let join = session_call::Call::Join(JoinRequest {
        event_id,
        visitor: bytes(&other),
        party_size: 3,
        ..JoinRequest::default()
    });
    let status = |visitors: Vec<bytes::Bytes>| {
        session_call::Call::Status(StatusManyRequest {
            event_id,
            visitors,
            linearizable: true,
        })
    };
    let call = |call_id, call| SessionCall {
        call_id,
        call: Some(call),
    };
    let first = SessionRequest {
        calls: vec![
            call(3, join),
            call(4, status(vec![bytes(&crowd.ids[0]), bytes(&[9; 16])])),
            call(5, status(Vec::new())),
        ],
        packed: writer.take(),
    };
    let (nested, packed) = converse(crowd, first).await;
    assert!(packed[&1].starts_with("Done"), "{packed:?}");
    let invalid = format!("reason: {}", RejectionReason::PassInvalid as i32);
    assert!(packed[&2].contains(&invalid), "{packed:?}");
    assert!(matches!(nested[&3], Told::Done(_)), "{nested:?}");
    let Told::Status(status) = &nested[&4] else {
        panic!("{nested:?}");
    };
    let phases: Vec<VisitorPhase> = status.places.iter().map(Place::phase).collect();
    assert_eq!(phases, [VisitorPhase::Lobby, VisitorPhase::Unknown]);
    assert!(matches!(nested[&5], Told::Failed(_)), "{nested:?}");
    let places = crowd.visitors.places(event_id, &[one, other]).await;
    let parties: Vec<u32> = places.expect("told").iter().map(|p| p.party_size).collect();
    assert_eq!(parties, [1, 3]);
}

/// The places of all, once there are any.
async fn shuffled(event: u64, crowd: &Partner) -> BTreeMap<Id, Place> {
    let until = Instant::now() + LIMIT;
    loop {
        let places = crowd
            .visitors
            .places(event, &crowd.ids)
            .await
            .expect("told");
        if places
            .iter()
            .all(|place| place.place.is_some() || is_admitted(place))
        {
            return crowd.ids.iter().copied().zip(places).collect();
        }
        assert!(Instant::now() < until, "the lobby is not shuffled");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn is_admitted(place: &Place) -> bool {
    place.phase() == VisitorPhase::Admitted
}

/// A failover has changed nobody's place; who had been let in still is.
async fn same_places(event: u64, crowd: &Partner, before: &BTreeMap<Id, Place>) {
    let after = crowd
        .visitors
        .places(event, &crowd.ids)
        .await
        .expect("told");
    for (id, now) in crowd.ids.iter().zip(after) {
        let then = before[id];
        assert_eq!(then.number, now.number);
        if let (Some(then), Some(now)) = (then.place, now.place) {
            assert_eq!(then, now);
        }
        if is_admitted(&then) {
            assert_eq!(then.pass_ends_ms, now.pass_ends_ms);
        }
    }
}

async fn first_admitted(event: u64, crowd: &Partner) -> Vec<(Id, Pass)> {
    let until = Instant::now() + LIMIT;
    loop {
        let places = crowd
            .visitors
            .places(event, &crowd.ids)
            .await
            .expect("told");
        let admitted = crowd.ids.iter().zip(&places);
        let admitted: Vec<Id> = admitted
            .filter(|(_, place)| is_admitted(place))
            .map(|(id, _)| *id)
            .take(3)
            .collect();
        if admitted.len() == 3 {
            let mut passes = Vec::new();
            for id in admitted {
                let pass = crowd.visitors.claim(event, &id).await.expect("answered");
                passes.push((id, pass.expect("was let in")));
            }
            return passes;
        }
        assert!(Instant::now() < until, "nobody is let in");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn only_ones_own_pass(
    event: u64,
    crowd: &Partner,
    club: &Partner,
    keys: &mut Keys,
    admitted: &[(Id, Pass)],
) {
    let invalid = Err(RejectionReason::PassInvalid);
    let [(one, pass), (other, other_pass), ..] = admitted else {
        panic!("three were let in");
    };
    let mut forged = pass.text.clone();
    let flipped = if forged.ends_with('A') { "B" } else { "A" };
    forged.replace_range(forged.len() - 1.., flipped);
    let forged = crowd.hold(event, keys.make(), *one, &forged, 1).await;
    assert_eq!(forged, invalid);
    let others = crowd
        .hold(event, keys.make(), *one, &other_pass.text, 1)
        .await;
    assert_eq!(others, invalid);
    let elsewhere = club.hold(event, keys.make(), *one, &pass.text, 1).await;
    assert_eq!(elsewhere, invalid, "another partner shows it");
    let without = crowd.hold(event, keys.make(), *other, "", 1).await;
    assert_eq!(without, Err(RejectionReason::QueueRequired));
    let again = crowd.visitors.claim(event, one).await.expect("answered");
    assert_eq!(
        again.expect("was let in").text,
        pass.text,
        "the same each time"
    );
}

/// The club lets visitors in by itself: its token buys what it says, once it is trusted.
async fn a_partners_own_room(
    api: &Api,
    event: u64,
    club: &Partner,
    partner_id: u32,
    keys: &mut Keys,
) {
    let key = SigningKey::from_bytes(&[5; 32]);
    let buyer = keys.make();
    let token = token(&key, event, &buyer, r#""max":3"#);
    let before = club.hold(event, keys.make(), buyer, &token, 1).await;
    assert_eq!(
        before,
        Err(RejectionReason::PassInvalid),
        "nobody trusts it"
    );
    let public = key.verifying_key().to_bytes();
    api.trust(event, partner_id, &public, TrustPurpose::Room)
        .expect("is trusted");
    let until = Instant::now() + LIMIT;
    // A node may hear of it a moment later.
    while club
        .hold(event, keys.make(), buyer, &token, 2)
        .await
        .is_err()
    {
        assert!(Instant::now() < until, "the token is not taken");
    }
    let more = club.hold(event, keys.make(), buyer, &token, 2).await;
    assert_eq!(more, Err(RejectionReason::PassSpent));
    let last = club.hold(event, keys.make(), buyer, &token, 1).await;
    assert_eq!(last, Ok(()));
}

/// Who takes seats and lets them go again and again is asked for work as a visitor, by every node.
async fn who_lets_holds_go_is_challenged(
    event_id: u64,
    crowd: &Partner,
    keys: &mut Keys,
    (visitor, pass): &(Id, Pass),
) {
    for _ in 0..LET_GO {
        let hold = keys.make();
        let held = crowd.hold(event_id, hold, *visitor, &pass.text, 1).await;
        assert_eq!(held, Ok(()));
        let release = Call::ReleaseHold { hold };
        let released = crowd.client.call(event_id, keys.make(), release, LIMIT);
        let released = released.await.expect("is answered");
        assert!(matches!(released, Answer::Done { .. }));
    }
    let join = JoinRequest {
        event_id,
        visitor: visitor.to_vec().into(),
        ..JoinRequest::default()
    };
    let until = Instant::now() + LIMIT;
    for node in &crowd.plain {
        let mut node = node.clone();
        // What became of holds is learned a moment later.
        while node.join(join.clone()).await.is_ok() {
            assert!(Instant::now() < until, "nothing is asked for");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let refused = node
            .join(join.clone())
            .await
            .expect_err("work is asked for");
        let why = refused.get_error_details().error_info().cloned();
        assert_eq!(why.expect("a reason").reason, "CHALLENGE_REQUIRED");
    }
}

/// What a partner signs for a visitor, with one claim more.
fn token(key: &SigningKey, event: u64, visitor: &Id, more: &str) -> String {
    let ends = MachineClock.now_ms() / 1000 + 600;
    let sub = hex(visitor);
    let body = format!(r#"{{"evt":{event},"sub":"{sub}","exp":{ends},{more}}}"#);
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", part(r#"{"alg":"EdDSA","typ":"JWT"}"#), part(&body));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

/// The club sends its visitors with tokens: then none of them joins without one, on any node, and what
/// is signed with that key buys nothing.
async fn only_with_the_clubs_tokens(
    api: &Api,
    event_id: u64,
    club: &Partner,
    partner_id: u32,
    keys: &mut Keys,
) {
    let key = SigningKey::from_bytes(&[6; 32]);
    let public = key.verifying_key().to_bytes();
    api.trust(event_id, partner_id, &public, TrustPurpose::Enqueue)
        .expect("is trusted");
    let ids: Vec<Id> = (0..BY_TOKEN + 1).map(|_| keys.make()).collect();
    let bytes = |id: &Id| bytes::Bytes::copy_from_slice(id);
    let member = |id: &Id| token(&key, event_id, id, r#""cls":1"#);
    let good = JoinRequest {
        event_id,
        visitor: bytes(&ids[0]),
        enqueue_token: member(&ids[0]),
        ..JoinRequest::default()
    };
    let wrong = ["", "no.good.token", &member(&ids[1])].map(|token| JoinRequest {
        enqueue_token: token.to_owned(),
        ..good.clone()
    });
    let until = Instant::now() + LIMIT;
    for node in &club.plain {
        let mut node = node.clone();
        // A node may hear of it a moment later, and refuses until then what it cannot check.
        while node.join(good.clone()).await.is_err() {
            assert!(Instant::now() < until, "the token is not taken");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for wrong in wrong.clone() {
            let refused = node.join(wrong).await.expect_err("has no token");
            let why = refused.get_error_details().error_info().cloned();
            assert_eq!(why.expect("a reason").reason, "PASS_INVALID");
        }
    }
    let many = JoinManyRequest {
        event_id,
        visitors: ids[1..].iter().map(bytes).collect(),
        enqueue_tokens: vec![member(&ids[1])],
        ..JoinManyRequest::default()
    };
    let told = club.plain[2].clone().join_many(many).await.expect("told");
    let JoinManyResponse { joined, refused } = told.into_inner();
    let reasons: Vec<&str> = refused.iter().map(|told| told.reason.as_str()).collect();
    assert_eq!((joined, reasons), (1, vec!["PASS_INVALID"]));
    let places = club.visitors.places(event_id, &ids).await.expect("told");
    assert_eq!([places[0].lane, places[1].lane], [0, 0], "as members");
    assert_eq!(places[BY_TOKEN].phase(), VisitorPhase::Unknown);
    let shown = member(&ids[0]);
    let held = club.hold(event_id, keys.make(), ids[0], &shown, 1).await;
    assert_eq!(held, Err(RejectionReason::PassInvalid));
}

/// The same pass, shown on all nodes at once.
async fn buys_once(event: u64, crowd: &Partner, keys: &mut Keys, visitor: Id, pass: &Pass) {
    let shown: Vec<Id> = (0..6).map(|_| keys.make()).collect();
    let holds = shown
        .iter()
        .map(|key| crowd.hold(event, *key, visitor, &pass.text, 2));
    let held = futures::future::join_all(holds).await;
    let done = held.iter().filter(|held| held.is_ok()).count();
    assert_eq!(done, usize::from(PASS_TICKETS / 2), "{held:?}");
    let spent = |held: &&Held| **held == Err(RejectionReason::PassSpent);
    assert_eq!(held.iter().filter(spent).count(), 6 - done, "{held:?}");
}

/// Somebody who waits is told when the event is closed, and their stream ends.
async fn watched_until_the_end(
    api: &Api,
    event_id: u64,
    crowd: &Partner,
    before: &BTreeMap<Id, Place>,
) {
    let last = before.iter().max_by_key(|(_, place)| place.place);
    let (visitor, _) = last.expect("somebody waits");
    let watch = WatchPlaceRequest {
        event_id,
        visitor: visitor.to_vec().into(),
    };
    let mut node = crowd.plain[2].clone();
    let mut told = node.watch_place(watch).await.expect("watched").into_inner();
    let place = told.message().await.expect("told").expect("now");
    let place = place.place.expect("a place");
    assert!(
        matches!(
            place.phase(),
            VisitorPhase::Waiting | VisitorPhase::Shuffled
        ),
        "{place:?}"
    );
    api.command(event_id, "close").expect("is closed");
    let ends = async {
        let mut last = place;
        while let Some(next) = told.message().await.expect("told") {
            last = next.place.expect("a place");
        }
        last
    };
    let last = tokio::time::timeout(LIMIT, ends).await.expect("it ends");
    assert_eq!(last.phase(), VisitorPhase::Closed);
}
