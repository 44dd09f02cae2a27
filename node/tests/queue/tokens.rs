//! Passes buy once and for whom they are; and what partners sign themselves, once it is trusted.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster::components::WallClock as _;
use ed25519_dalek::{Signer as _, SigningKey};
use onsale::evidence::hex;
use onsale::http::bodies::TrustPurpose;
use onsale::load::Pass;
use onsale::load::call::Id;
use onsale::load::connect::MachineClock;
use onsale::load::keys::Keys;
use onsale::local::api::Api;
use proto::channel::v1::{
    JoinManyRequest, JoinManyResponse, JoinRequest, RejectionReason, VisitorPhase,
};
use tonic_types::StatusExt as _;

use super::{Held, LIMIT, PASS_TICKETS, Partner};

/// Who join with a token, after the lobby.
pub const JOINED: usize = 2;

pub async fn only_ones_own_pass(
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

/// The same pass, shown on all nodes at once.
pub async fn buys_once(event: u64, crowd: &Partner, keys: &mut Keys, visitor: Id, pass: &Pass) {
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

/// The club lets visitors in by itself: its token buys what it says, once it is trusted.
pub async fn a_partners_own_room(
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

/// The club sends its visitors with tokens: then none of them joins without one, on any node, and what
/// is signed with that key buys nothing.
pub async fn only_with_the_clubs_tokens(
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
    let ids: Vec<Id> = (0..JOINED + 1).map(|_| keys.make()).collect();
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
    assert_eq!(places[JOINED].phase(), VisitorPhase::Unknown);
    let shown = member(&ids[0]);
    let held = club.hold(event_id, keys.make(), ids[0], &shown, 1).await;
    assert_eq!(held, Err(RejectionReason::PassInvalid));
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
