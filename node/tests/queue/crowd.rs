//! Who comes, where they stand, and when they are let in: whoever is killed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use onsale::load::Pass;
use onsale::load::call::Id;
use onsale::local::Local;
use onsale::local::api::Api;
use proto::channel::v1::{
    JoinRequest, LeaveRequest, Place, ProofRequest, VisitorPhase, WatchPlaceRequest,
};
use tonic_types::StatusExt as _;

use super::{CROWD, LIMIT, Partner, leader};

/// All come, some twice, while the leader is killed.
pub async fn gather(local: &mut Local, api: &Api, event: u64, crowd: &Partner, club: &Partner) {
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
pub async fn strangers_are_told_nothing(event_id: u64, crowd: &Partner, club: &Partner) {
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

/// The places of all, once there are any.
pub async fn shuffled(event: u64, crowd: &Partner) -> BTreeMap<Id, Place> {
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
pub async fn same_places(event: u64, crowd: &Partner, before: &BTreeMap<Id, Place>) {
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

pub async fn first_admitted(event: u64, crowd: &Partner) -> Vec<(Id, Pass)> {
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

/// Somebody who waits is told when the event is closed, and their stream ends.
pub async fn watched_until_the_end(
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
