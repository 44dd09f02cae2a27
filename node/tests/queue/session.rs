//! Joining, asking and showing passes over the session stream.

use std::collections::BTreeMap;

use onsale::load::call::Id;
use onsale::load::keys::Keys;
use onsale::load::packed::{Answers, Head, Writer};
use onsale::load::{Call, Line};
use proto::channel::v1::session_result::Result as Told;
use proto::channel::v1::{
    JoinRequest, Place, RejectionReason, SessionCall, SessionRequest, StatusManyRequest,
    VisitorPhase, session_call,
};

use super::Partner;

/// Who join by session.
pub const CAME: usize = 2;

/// Joining, asking and showing passes over the session stream, as messages and packed.
pub async fn by_session(event_id: u64, crowd: &Partner, keys: &mut Keys) {
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

/// The answers to one message of a session, by call.
pub async fn converse(
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
