//! Looks at waiting rooms: one place, many, watched, and proved; and at once whether what is told
//! contradicts what was told before.

use bytes::Bytes;
use cluster::types::NodeId;
use domain::ids::VisitorId;
use domain::room::merkle::{Hash, is_included};
use domain::room::shuffle::{Seed, leaf};
use proto::channel::v1 as pb;
use proto::channel::v1::VisitorPhase;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::timeout;

use super::Shop;
use super::admission::party_of;
use super::guests::{LobbyTold, Notice, Progress, Stage, Standing};
use super::request::id;
use super::wires::Partner;

/// Others who are asked about together with a visitor.
const BESIDE_MAX: usize = 6;

impl Shop {
    /// Where a visitor stands, as one node has it, if it answers.
    pub(super) async fn place(
        &self,
        rng: &mut StdRng,
        by: Partner,
        event_id: u64,
        visitor: u128,
    ) -> Option<pb::Place> {
        let node = self.any_node(rng);
        let asked = pb::StatusRequest {
            event_id,
            visitor: id(visitor),
        };
        let mut admission = self.admission(node);
        let call = admission.status(self.asks(by, asked));
        let told = self.bounded("status", node, call).await.ok()?;
        let place = told.into_inner().place?;
        self.hear_place(node, by, event_id, visitor, &place, None);
        Some(place)
    }

    /// Where a visitor and some others stand; proved, nothing that anybody was told is taken back.
    pub(super) async fn places(
        &self,
        rng: &mut StdRng,
        by: Partner,
        event_id: u64,
        visitor: u128,
        linearizable: bool,
    ) -> Option<pb::Place> {
        let node = self.any_node(rng);
        let mut visitors = vec![visitor];
        visitors.extend(self.some_guests(rng, event_id));
        let known: Vec<Option<Progress>> = {
            let ledger = self.ledger();
            let known = visitors.iter();
            known
                .map(|visitor| ledger.guests.progress(event_id, *visitor))
                .collect()
        };
        let asked = pb::StatusManyRequest {
            event_id,
            visitors: visitors.iter().copied().map(id).collect(),
            linearizable,
        };
        let mut admission = self.admission(node);
        let call = admission.status_many(self.asks(by, asked));
        let told = self.bounded("status_many", node, call).await.ok()?;
        let places = told.into_inner().places;
        if places.len() != visitors.len() {
            let (asked, told) = (visitors.len(), places.len());
            self.violation(format!(
                "sale {event_id}: n{node} was asked for {asked} places and tells {told}"
            ));
            return None;
        }
        for ((visitor, place), known) in visitors.iter().zip(&places).zip(known) {
            let known = known.filter(|_| linearizable);
            self.hear_place(node, by, event_id, *visitor, place, known);
        }
        places.into_iter().next()
    }

    /// Watches a visitor's place until they are let in, it is over, or the call's time is.
    pub(super) async fn watch_place(
        &self,
        rng: &mut StdRng,
        by: Partner,
        event_id: u64,
        visitor: u128,
    ) -> Option<pb::Place> {
        let node = self.any_node(rng);
        let asked = pb::WatchPlaceRequest {
            event_id,
            visitor: id(visitor),
        };
        let mut admission = self.admission(node);
        let begun = async {
            let call = admission.watch_place(self.asks(by, asked));
            let mut stream = call.await?.into_inner();
            // Where they stand now is told at once.
            let first = stream.message().await?;
            Ok((stream, first))
        };
        let (mut stream, mut next) = self.bounded("watch_place", node, begun).await.ok()?;
        let mut last = None;
        while let Some(place) = next.and_then(|told| told.place) {
            self.hear_place(node, by, event_id, visitor, &place, None);
            let is_last = stage_of(&place) >= Stage::Admitted;
            last = Some(place);
            if is_last || self.is_closing() {
                break;
            }
            // It ends with its deadline, or with the node that tells it.
            let told = timeout(self.inner.plan.call_timeout, stream.message()).await;
            next = told.ok()?.ok()?;
        }
        last
    }

    /// A visitor's own line and its path to the root of the lobby.
    pub(super) async fn proof(&self, rng: &mut StdRng, by: Partner, event_id: u64, visitor: u128) {
        let node = self.any_node(rng);
        let asked = pb::ProofRequest {
            event_id,
            visitor: id(visitor),
        };
        let mut admission = self.admission(node);
        let call = admission.proof(self.asks(by, asked));
        let Ok(told) = self.bounded("proof", node, call).await else {
            return;
        };
        let proof = told.into_inner();
        let wrong = wrong_proof(visitor, &proof).or_else(|| {
            let notice = notice_of(&proof);
            let mut ledger = self.ledger();
            let guest = &ledger.guests.guests[&(event_id, visitor)];
            let number = guest.number.filter(|_| !guest.may_be_away());
            match number {
                Some(number) if number != proof.number => {
                    Some(format!("number {number} is proved as {}", proof.number))
                }
                _ => ledger.guests.publish(event_id, notice),
            }
        });
        if let Some(wrong) = wrong {
            self.violation(format!(
                "sale {event_id}: what n{node} proves to visitor {visitor:x} is wrong: {wrong}"
            ));
        }
    }

    /// Judges a word on a place. `known` is what had been told before a word that is proved was asked
    /// for.
    fn hear_place(
        &self,
        node: NodeId,
        by: Partner,
        event_id: u64,
        visitor: u128,
        place: &pb::Place,
        known: Option<Progress>,
    ) {
        let mut ledger = self.ledger();
        let guests = &mut ledger.guests;
        let Some(guest) = guests.guests.get(&(event_id, visitor)) else {
            return;
        };
        let stage = stage_of(place);
        let is_home = guest.partner == by;
        let mut wrong = Vec::new();
        if !is_home && stage != Stage::Unknown {
            wrong.push(format!("is told to another partner: {place:?}"));
        }
        let removed_by =
            Some(place.removal_reason).filter(|_| place.phase() == VisitorPhase::Removed);
        if removed_by.is_some() && removed_by != guest.removal {
            wrong.push(format!("is removed, which nobody asked for: {place:?}"));
        }
        if is_home {
            let now = Progress {
                stage,
                ahead: place.ahead,
            };
            wrong.extend(guests.goes(event_id, visitor, now, known));
        }
        if stage != Stage::Unknown {
            let is_admitted = place.phase() == VisitorPhase::Admitted;
            let standing = Standing {
                number: place.number,
                lane: place.lane,
                place: place.place,
                pass_ends_ms: is_admitted.then_some(place.pass_ends_ms),
            };
            wrong.extend(guests.told(event_id, visitor, standing));
        }
        let found = wrong
            .into_iter()
            .map(|wrong| format!("sale {event_id}: n{node} says that visitor {visitor:x} {wrong}"));
        ledger.violations.extend(found);
    }

    fn some_guests(&self, rng: &mut StdRng, sale: u64) -> Vec<u128> {
        let ledger = self.ledger();
        let guests = ledger.guests.guests.range((sale, 0)..=(sale, u128::MAX));
        let guests: Vec<u128> = guests.map(|((_, visitor), _)| *visitor).collect();
        let some = rng.random_range(0..=BESIDE_MAX.min(guests.len()));
        let mut chosen: Vec<u128> = (0..some)
            .map(|_| guests[rng.random_range(0..guests.len())])
            .collect();
        chosen.dedup();
        chosen
    }
}

fn stage_of(place: &pb::Place) -> Stage {
    match place.phase() {
        VisitorPhase::Unknown | VisitorPhase::Unspecified => Stage::Unknown,
        VisitorPhase::Lobby => Stage::Lobby,
        VisitorPhase::Shuffled | VisitorPhase::Waiting | VisitorPhase::SoldOut => Stage::Waiting,
        VisitorPhase::Admitted => Stage::Admitted,
        VisitorPhase::Served
        | VisitorPhase::Expired
        | VisitorPhase::Left
        | VisitorPhase::Removed
        | VisitorPhase::Closed => Stage::Over,
    }
}

fn wrong_proof(visitor: u128, proof: &pb::ProofResponse) -> Option<String> {
    let (Ok(lane), Ok(party)) = (u8::try_from(proof.lane), u8::try_from(proof.party_size)) else {
        return Some("there is no such lane or party".into());
    };
    if proof.party_size != party_of(visitor) {
        return Some(format!("a party of {party}"));
    }
    let path: Option<Vec<Hash>> = proof.path.iter().map(hash).collect();
    let (Some(path), Some(root)) = (path, hash(&proof.lobby_root)) else {
        return Some("hashes of other lengths".into());
    };
    let line = leaf(proof.number, VisitorId(visitor), lane, party);
    let (number, len) = (u64::from(proof.number), proof.lobby_len);
    // Whoever came after the lobby had closed is in no list.
    if number < len && !is_included(line, number, len, &path, &root) {
        return Some(format!("line {number} of {len} does not lead to the root"));
    }
    if number >= len && !path.is_empty() {
        return Some(format!("line {number} has a path in a list of {len}"));
    }
    let seed = hash(&proof.seed)?;
    (Seed(seed).commitment()[..] != proof.commitment[..])
        .then(|| "the seed is not the one that was promised".into())
}

fn hash(bytes: &Bytes) -> Option<Hash> {
    Hash::try_from(&bytes[..]).ok()
}

fn notice_of(proof: &pb::ProofResponse) -> Notice {
    let closed = (!proof.seed.is_empty()).then(|| LobbyTold {
        root: proof.lobby_root.clone(),
        len: proof.lobby_len,
        seed: proof.seed.clone(),
        beacon: proof.beacon.clone(),
    });
    Notice {
        commitment: proof.commitment.clone(),
        closed,
    }
}
