//! The door of a waiting room: floods for no event, visitors of two partners, who leaves and comes
//! back, an opening that is moved, and tokens without which nobody joins.

use actors::codec::answer::Answer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use domain::command::Command;
use domain::rejection::Rejection;
use domain::room::pace::Ceilings;
use domain::room::shuffle::Seed;
use domain::room::{LaneRules, Plan};
use ed25519_dalek::{Signer as _, SigningKey};
use onsale::access::pass::{Purpose, Trust};
use onsale::load::call::Id;
use onsale::load::packed::{Head, Writer};
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::session_call::Call;
use proto::channel::v1::session_result::Result as Outcome;
use proto::channel::v1::*;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use super::house::{House, NOW_MS};
use super::selling::{best, place};
use super::session::Session;

/// An event with a room.
const NIGHT: u64 = 9;
const OPENS_AT_MS: u64 = NOW_MS + 60_000;

async fn gathering() -> (House, AdmissionServiceClient<Channel>) {
    let house = House::open(4, 5).await;
    house.announce(NIGHT).await;
    let plan = Plan {
        lobby_at_ms: NOW_MS - 60_000,
        open_at_ms: OPENS_AT_MS,
        seed: Seed([1; 32]),
        waits_for_beacon: false,
        pass_life_ms: 600_000,
        pass_tickets: 4,
        ceilings: Ceilings::default(),
        lanes: vec![LaneRules {
            channel: None,
            class: None,
            weight: 1,
        }],
    };
    house
        .tell_of(NIGHT, Command::OpenRoom(Box::new(plan)))
        .await;
    let client = AdmissionServiceClient::new(house.channel.clone());
    (house, client)
}

fn id(visitor: u128) -> Id {
    visitor.to_be_bytes()
}

fn bytes(visitor: u128) -> Bytes {
    Bytes::copy_from_slice(&id(visitor))
}

fn join(event_id: u64, visitor: u128) -> JoinRequest {
    JoinRequest {
        event_id,
        visitor: bytes(visitor),
        ..JoinRequest::default()
    }
}

#[track_caller]
fn reason(refused: Result<tonic::Response<JoinResponse>, Status>) -> String {
    let status = refused.expect_err("is refused");
    let details = status.get_error_details();
    details.error_info().expect("a reason").reason.clone()
}

async fn places(house: &House, partner: usize, visitors: &[u128]) -> Vec<Place> {
    let asked = StatusManyRequest {
        linearizable: false,
        event_id: NIGHT,
        visitors: visitors.iter().copied().map(bytes).collect(),
    };
    let mut client = AdmissionServiceClient::new(house.channel.clone());
    let told = client.status_many(house.ask_as(partner, asked)).await;
    told.expect("told").into_inner().places
}

/// What this process keeps in memory.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.expect("is told").trim().parse().expect("a number")
}

const MESSAGES: usize = 100;
const CALLS: u32 = 10_000;
/// Some 40 bytes for each join behind the first tenth.
const GROWTH_KIB_MAX: u64 = 32 << 10;

/// A million joins for events that are none: to one, and to each another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_joins_for_no_event_leave_nothing_behind() {
    let house = House::open(1, 1).await;
    let mut client = AdmissionServiceClient::new(house.channel.clone());
    let mut session = Session::open(&house).await;
    let before = house.entries();
    let mut resident_before = 0;
    for message in 0..MESSAGES {
        let mut writer = Writer::default();
        for call_id in 0..CALLS {
            let number = message as u64 * u64::from(CALLS) + u64::from(call_id) + 1;
            let event = match message % 2 {
                0 => 1 << 40,
                _ => 1 << 41 | number,
            };
            let head = Head {
                call_id,
                event,
                key: [0; 16],
            };
            writer.join(head, &id(number.into()), 0);
        }
        session.send(vec![], writer.take().to_vec()).await;
        let (answers, _) = session.receive(CALLS as usize, 0).await;
        let unknown = |(_, answer): &(u32, Answer)| {
            let reason = FailureReason::UnknownEvent;
            matches!(answer, Answer::Failed { reason: told, .. } if *told == reason)
        };
        assert!(answers.iter().all(unknown));
        if message == MESSAGES / 10 {
            resident_before = resident_kib();
        }
    }
    let growth = resident_kib().saturating_sub(resident_before);
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB more");
    // Not even how often somebody came is kept: that would end in another refusal.
    for _ in 0..500 {
        let refused = client.join(house.ask(join(1 << 40, 1))).await;
        assert_eq!(reason(refused), "UNKNOWN_EVENT");
    }
    let many = JoinManyRequest {
        event_id: 1 << 40,
        visitors: (1..=1000).map(bytes).collect(),
        ..JoinManyRequest::default()
    };
    let told = client.join_many(house.ask(many)).await.expect("told");
    let JoinManyResponse { joined, refused } = told.into_inner();
    assert_eq!((joined, refused.len()), (0, 1000));
    let unknown = |refused: &JoinRefused| refused.reason == "UNKNOWN_EVENT" && !refused.again;
    assert!(refused.iter().all(unknown));
    assert_eq!(house.entries(), before, "nothing went into the log");
    assert_eq!(house.gateway.calls_under_way(), 0);
}

/// Both bring the same hundred at the same moment: each visitor is of one of them.
#[tokio::test]
async fn a_visitor_who_joins_through_two_partners_is_of_the_first() {
    let (house, client) = gathering().await;
    let bring = |partner: usize| {
        let many = JoinManyRequest {
            event_id: NIGHT,
            visitors: (1..=100).map(bytes).collect(),
            ..JoinManyRequest::default()
        };
        let (mut client, asked) = (client.clone(), house.ask_as(partner, many));
        async move { client.join_many(asked).await.expect("told").into_inner() }
    };
    let (one, other) = tokio::join!(bring(0), bring(1));
    assert_eq!(one.joined + other.joined, 100);
    for refused in one.refused.iter().chain(&other.refused) {
        assert_eq!(refused.reason, "VISITOR_OF_ANOTHER_PARTNER");
    }
    let visitors: Vec<u128> = (1..=100).collect();
    let (mine, theirs) = (
        places(&house, 0, &visitors).await,
        places(&house, 1, &visitors).await,
    );
    let mut numbers: Vec<u32> = mine
        .iter()
        .zip(&theirs)
        .map(|(mine, theirs)| match (mine.phase(), theirs.phase()) {
            (VisitorPhase::Lobby, VisitorPhase::Unknown) => mine.number,
            (VisitorPhase::Unknown, VisitorPhase::Lobby) => theirs.number,
            both => panic!("{both:?}"),
        })
        .collect();
    numbers.sort();
    assert_eq!(numbers, (0..100).collect::<Vec<u32>>());
    // One by one it is the same.
    let owner = usize::from(mine[0].phase() == VisitorPhase::Unknown);
    let mut client = client;
    let refused = client.join(house.ask_as(1 - owner, join(NIGHT, 1))).await;
    assert_eq!(reason(refused), "VISITOR_OF_ANOTHER_PARTNER");
    let again = client.join(house.ask_as(owner, join(NIGHT, 1))).await;
    again.expect("is there already");
}

#[tokio::test]
async fn who_leaves_and_joins_again_stands_at_the_end() {
    let (house, mut client) = gathering().await;
    for visitor in 1..=3 {
        let joined = client.join(house.ask(join(NIGHT, visitor))).await;
        joined.expect("comes in");
    }
    for round in 0..5 {
        let leave = LeaveRequest {
            event_id: NIGHT,
            visitor: bytes(1),
        };
        client.leave(house.ask(leave)).await.expect("leaves");
        let left = places(&house, 0, &[1]).await[0].phase();
        assert_eq!(left, VisitorPhase::Left);
        for _ in 0..2 {
            let joined = client.join(house.ask(join(NIGHT, 1))).await;
            joined.expect("comes back");
        }
        let place = places(&house, 0, &[1]).await[0];
        assert_eq!(
            (place.phase(), place.number),
            (VisitorPhase::Lobby, 3 + round)
        );
    }
    let others = places(&house, 0, &[2, 3]).await;
    assert_eq!([others[0].number, others[1].number], [1, 2]);
}

#[tokio::test]
async fn who_waits_is_told_when_the_opening_is_moved() {
    let (house, mut client) = gathering().await;
    let visitors: Vec<u128> = (1..=50).collect();
    for visitor in &visitors {
        let joined = client.join(house.ask(join(NIGHT, *visitor))).await;
        joined.expect("comes in");
    }
    let before = places(&house, 0, &visitors).await;
    assert!(before.iter().all(|place| place.opens_at_ms == OPENS_AT_MS));
    for open_at_ms in [OPENS_AT_MS + 600_000, NOW_MS + 10_000] {
        let moved = Command::MoveRoom {
            lobby_at_ms: NOW_MS - 60_000,
            open_at_ms,
        };
        house.tell_of(NIGHT, moved).await;
        let after = places(&house, 0, &visitors).await;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(after.phase(), VisitorPhase::Lobby);
            assert_eq!(after.number, before.number, "nobody's number changes");
            assert_eq!(after.opens_at_ms, open_at_ms);
        }
    }
    // The lobby itself is moved behind those who are in it: they stay, others come when it opens.
    let moved = Command::MoveRoom {
        lobby_at_ms: NOW_MS + 5_000,
        open_at_ms: OPENS_AT_MS,
    };
    house.tell_of(NIGHT, moved).await;
    let after = places(&house, 0, &visitors).await;
    let kept = |(before, after): (&Place, &Place)| after.number == before.number;
    assert!(before.iter().zip(&after).all(kept));
    let early = client.join(house.ask(join(NIGHT, 99))).await;
    assert_eq!(reason(early), "LOBBY_NOT_OPEN");
}

#[tokio::test]
async fn all_who_wait_are_told_when_the_event_is_cancelled() {
    let (house, mut client) = gathering().await;
    let visitors: Vec<u128> = (1..=50).collect();
    let mut streams = Vec::new();
    for visitor in &visitors {
        let joined = client.join(house.ask(join(NIGHT, *visitor))).await;
        joined.expect("comes in");
        let watch = WatchPlaceRequest {
            event_id: NIGHT,
            visitor: bytes(*visitor),
        };
        let told = client.watch_place(house.ask(watch)).await;
        streams.push(told.expect("is watched").into_inner());
    }
    house.tell_of(NIGHT, Command::CloseSale).await;
    for told in &mut streams {
        let mut last = None;
        while let Some(next) = told.message().await.expect("is told") {
            last = next.place;
        }
        assert_eq!(last.expect("a place").phase(), VisitorPhase::Closed);
    }
    let after = places(&house, 0, &visitors).await;
    assert!(
        after
            .iter()
            .all(|place| place.phase() == VisitorPhase::Closed)
    );
    let late = client.join(house.ask(join(NIGHT, 99))).await;
    assert_eq!(reason(late), "NOT_ON_SALE");
}

fn signer() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn token(visitor: u128) -> String {
    let exp = NOW_MS / 1000 + 60;
    let body = format!(r#"{{"evt":{NIGHT},"sub":"{visitor:032x}","exp":{exp},"cls":3}}"#);
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", part(r#"{"alg":"EdDSA"}"#), part(&body));
    let signature = signer().sign(signed.as_bytes()).to_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn trust(purpose: Purpose) -> Trust {
    Trust {
        key: signer().verifying_key().to_bytes(),
        purpose,
    }
}

/// One by one, many at once, nested and packed: with a token or not at all, of that partner alone.
#[tokio::test]
async fn where_tokens_are_needed_nobody_joins_without_one() {
    let (house, mut client) = gathering().await;
    house.trust(NIGHT, 1, trust(Purpose::Enqueue));
    let with = |visitor: u128, token: String| JoinRequest {
        enqueue_token: token,
        ..join(NIGHT, visitor)
    };
    let without = client.join(house.ask(join(NIGHT, 1))).await;
    assert_eq!(reason(without), "PASS_INVALID");
    let anothers = client.join(house.ask(with(1, token(2)))).await;
    assert_eq!(reason(anothers), "PASS_INVALID");
    let joined = client.join(house.ask(with(1, token(1)))).await;
    joined.expect("has a token");

    let many = |visitors: &[u128], tokens: Vec<String>| JoinManyRequest {
        event_id: NIGHT,
        visitors: visitors.iter().copied().map(bytes).collect(),
        enqueue_tokens: tokens,
        ..JoinManyRequest::default()
    };
    let some = many(&[2, 3, 4, 5], vec![token(2), token(4), token(4)]);
    let told = client.join_many(house.ask(some)).await.expect("told");
    let JoinManyResponse { joined, refused } = told.into_inner();
    assert_eq!(joined, 2);
    let refused: Vec<(u32, &str)> = refused.iter().map(|r| (r.at, r.reason.as_str())).collect();
    assert_eq!(refused, [(1, "PASS_INVALID"), (3, "PASS_INVALID")]);
    let none = client.join_many(house.ask(many(&[6, 7], vec![]))).await;
    assert_eq!(none.expect("told").into_inner().refused.len(), 2);
    let too_many = many(&[6], vec![token(6), token(7)]);
    let too_many = client.join_many(house.ask(too_many)).await;
    let refused = too_many.expect_err("is malformed");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);

    let mut session = Session::open(&house).await;
    let nested = [with(8, token(8)), with(9, token(8)), join(NIGHT, 10)];
    let nested = (8..).zip(nested).map(|(call_id, join)| SessionCall {
        call_id,
        call: Some(Call::Join(join)),
    });
    let mut writer = Writer::default();
    let head = |event| Head {
        call_id: 11,
        event,
        key: [0; 16],
    };
    writer.join(head(NIGHT), &id(11), 0);
    let packed = writer.take().to_vec();
    session.send(nested.collect(), packed).await;
    let (answers, results) = session.receive(1, 3).await;
    let Answer::Rejected { rejection, .. } = answers[0].1 else {
        panic!("{answers:?}");
    };
    assert_eq!(rejection, Rejection::PassInvalid);
    for result in results {
        match result.result.expect("says") {
            Outcome::Done(_) => assert_eq!(result.call_id, 8),
            Outcome::Rejected(rejected) => {
                assert!([9, 10].contains(&result.call_id));
                assert_eq!(rejected.reason(), RejectionReason::PassInvalid);
            }
            other => panic!("{other:?}"),
        }
    }

    let all: Vec<u128> = (1..=11).collect();
    let came: Vec<u128> = places(&house, 0, &all)
        .await
        .iter()
        .zip(&all)
        .filter(|(place, _)| place.phase() == VisitorPhase::Lobby)
        .map(|(_, visitor)| *visitor)
        .collect();
    assert_eq!(came, [1, 2, 4, 8]);
    let others = client.join(house.ask_as(1, join(NIGHT, 20))).await;
    others.expect("the other partner's visitors need none");
}

/// A token is for what its key is trusted with: to join here, or to hold as after a room elsewhere.
#[tokio::test]
async fn a_token_to_join_is_no_pass_and_a_pass_is_no_token_to_join() {
    let (house, mut client) = gathering().await;
    let mut sales = SalesServiceClient::new(house.channel.clone());
    let asked = PlaceHoldRequest {
        event_id: NIGHT,
        buyer: bytes(1),
        pass_token: token(1),
        ..place(&house, best(1))
    };
    house.trust(NIGHT, 1, trust(Purpose::Enqueue));
    let refused = sales.place_hold(house.ask(asked.clone())).await;
    let status = refused.expect_err("is no pass");
    let told = status.get_error_details().error_info().cloned();
    assert_eq!(told.expect("a reason").reason, "PASS_INVALID");

    house.trust(NIGHT, 1, trust(Purpose::Room));
    let refused = sales.place_hold(house.ask(asked)).await;
    let status = refused.expect_err("nothing is on sale yet");
    let told = status.get_error_details().error_info().cloned();
    assert_eq!(told.expect("a reason").reason, "NOT_ON_SALE");
    let shown = JoinRequest {
        enqueue_token: token(1),
        ..join(NIGHT, 1)
    };
    let refused = client.join(house.ask(shown)).await;
    assert_eq!(reason(refused), "PASS_INVALID");
    let plain = client.join(house.ask(join(NIGHT, 1))).await;
    plain.expect("the room here asks for nothing");
}

/// A node that leads as far as it knows may not have heard yet who was let in: it denies nobody a pass.
#[tokio::test]
async fn a_leader_that_cannot_prove_it_denies_no_pass() {
    let (house, mut client) = gathering().await;
    let joined = client.join(house.ask(join(NIGHT, 1))).await;
    joined.expect("comes in");
    let claim = ClaimRequest {
        event_id: NIGHT,
        visitor: bytes(1),
    };
    let refused = client.claim(house.ask(claim.clone())).await;
    let status = refused.expect_err("is not let in yet");
    let told = status.get_error_details().error_info().cloned();
    assert_eq!(told.expect("a reason").reason, "QUEUE_REQUIRED");
    house.cut_off();
    let refused = client.claim(house.ask(claim)).await;
    let status = refused.expect_err("nobody knows");
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
}
