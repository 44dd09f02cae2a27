//! Who comes like a bot is asked for work: by address, by device, and by what became of their holds.

use std::time::{Duration, Instant};

use domain::ids::VisitorId;
use onsale::access::challenge::ProofOfWork;
use onsale::load::call::Id;
use onsale::load::keys::Keys;
use onsale::load::{Answer, Call, Pass};
use proto::channel::v1::session_result::Result as Told;
use proto::channel::v1::{JoinRequest, SessionCall, SessionRequest, session_call};
use tonic_types::StatusExt as _;

use super::session::converse;
use super::{LIMIT, Partner};

/// Welcome from one address, and one more who meets the challenge.
pub const FLOOD: usize = 21;
/// Holds that may be let go before it counts.
const LET_GO: u32 = 10;

/// Who comes like a bot is asked for work, and is in once it is done.
pub async fn a_flood_is_challenged(event_id: u64, crowd: &Partner, keys: &mut Keys) {
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

/// Joins with one device in one message of a session; returns how many came in, one of them by
/// meeting what was asked of it.
pub async fn a_flood_by_session_is_challenged(
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

/// Who takes seats and lets them go again and again is asked for work as a visitor, by every node.
pub async fn who_lets_holds_go_is_challenged(
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

/// The work that a challenge asks for.
fn solve(challenge: &str, visitor: Id, hardness: u32) -> [u8; 8] {
    let visitor = VisitorId(u128::from_be_bytes(visitor));
    (0_u64..)
        .map(u64::to_be_bytes)
        .find(|answer| ProofOfWork::zero_bits(challenge, visitor, answer) >= hardness)
        .expect("there is one")
}
