//! Who comes like a bot to nodes that are wary: many with one device, and a buyer who gives back whatever
//! was held. Whoever is asked for work brings it, at this node or another; a wrong answer opens
//! nothing. What a node has seen is lost when it restarts, so some of this is certain only once all
//! faults are over.

use std::time::Duration;

use bytes::Bytes;
use cluster::types::NodeId;
use proto::channel::v1 as pb;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::Shop;
use super::admission::{Word, class_of, party_of};
use super::ledger::{Admitted, Line, Told, Wish};
use super::request::id;
use super::wires::Partner;
use crate::sim::computer::BEGIN_MS;
use crate::sim::deed::Deed;
use crate::sim::plan::WARY;
use crate::sim::setup::room::SLOW_LANE;

/// They draw apart from all others.
const SUSPECTS_SEED: u64 = 0x7375_7370_6563_7400;
/// Any challenge is this hard at least, and at most.
const HARDNESS: std::ops::RangeInclusive<u8> = 16..=24;
/// A challenge changes every ten minutes, by the clock of whoever asks.
const SLOT_MS: u64 = 600_000;
/// What clocks may differ by once all are right.
const CLOCKS_DIFFER_MS: u64 = 2_000;
/// After it what became of a hold is known where it is minded.
const LEARNED_AFTER: Duration = Duration::from_millis(800);
/// Not an answer to anything.
const WRONG: &[u8] = b"let me in";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    text: String,
    hardness: u8,
}

/// What became of somebody who came.
enum Came {
    /// The node took the visitor as far as the sale, which may have said no.
    Through(Word),
    Asked(Asked),
    Unclear,
}

/// One after the other until the shop closes, and once more when all is calm.
pub async fn come(shop: &Shop, number: u64, sale: u64) {
    let plan = shop.inner.plan.clone();
    if !plan.is_wary() {
        return;
    }
    let mut rng = StdRng::seed_from_u64(plan.seed ^ SUSPECTS_SEED ^ (number + 1) << 32);
    loop {
        let is_last = shop.is_closing();
        shop.come_in_a_crowd(&mut rng, sale).await;
        shop.hoard(&mut rng, sale).await;
        if is_last {
            return;
        }
        sleep(Duration::from_millis(rng.random_range(500..3_000))).await;
    }
}

impl Shop {
    /// Many with one device, at two nodes, until each asks for something.
    async fn come_in_a_crowd(&self, rng: &mut StdRng, sale: u64) {
        let is_calm = self.is_calm();
        let (device, visitor) = (self.key(), self.key());
        let mut others = self.nodes();
        let first = others.swap_remove(rng.random_range(0..others.len()));
        // Each node counts for itself.
        let Some(second) = others.get(rng.random_range(0..others.len().max(1))) else {
            return;
        };
        let nodes = [first, *second];
        let began_ms = self.now_ms();
        let mut asked: Vec<Asked> = Vec::new();
        for node in nodes {
            match self.crowd_at(node, sale, device, visitor, is_calm).await {
                Some(by_this) => asked.push(by_this),
                None => return,
            }
        }
        let [first, second] = &asked[..] else { return };
        let slot = |ms: u64| (BEGIN_MS + ms) / SLOT_MS;
        let is_one_slot = slot(began_ms.saturating_sub(CLOCKS_DIFFER_MS))
            == slot(self.now_ms() + CLOCKS_DIFFER_MS);
        if first.text != second.text && is_one_slot && is_calm {
            self.violation(format!(
                "sale {sale}: n{} and n{} ask visitor {visitor:x} for {asked:?}",
                nodes[0], nodes[1]
            ));
        }
        let harder = match first.hardness > second.hardness {
            true => first,
            false => second,
        };
        if is_calm {
            let came = self.comes(nodes[1], sale, visitor, Some(device), WRONG);
            if let Came::Through(word) = came.await {
                self.violation(format!(
                    "sale {sale}: n{} takes a wrong answer of visitor {visitor:x}: {word:?}",
                    nodes[1]
                ));
            }
        }
        let answer = solve(harder, visitor);
        self.prove(nodes[1], sale, visitor, Some(device), second, &answer)
            .await;
        if is_calm {
            self.come_slowly(rng, nodes[1], sale, device).await;
        }
    }

    /// With one device as often as is welcome, and once more, as this visitor.
    async fn crowd_at(
        &self,
        node: NodeId,
        sale: u64,
        device: u128,
        visitor: u128,
        is_calm: bool,
    ) -> Option<Asked> {
        for sent in 1..=WARY.device_per_min + 1 {
            let is_last = sent > WARY.device_per_min;
            let comes = if is_last { visitor } else { self.key() };
            match self.comes(node, sale, comes, Some(device), b"").await {
                Came::Through(_) if is_last && is_calm => self.violation(format!(
                    "sale {sale}: n{node} welcomes visitor {visitor:x}, the {sent}th with one device"
                )),
                Came::Through(_) => {}
                Came::Asked(asked) => {
                    // Who comes faster than people do counts twice.
                    if sent * 2 - 1 <= WARY.device_per_min {
                        self.violation(format!(
                            "sale {sale}: n{node} asks the {sent}th with one device for {asked:?}"
                        ));
                    }
                    self.check_hardness(node, sale, &asked);
                    self.ledger().deeds.add(Deed::Suspect, 1);
                    if is_last {
                        return Some(asked);
                    }
                }
                Came::Unclear => return None,
            }
        }
        None
    }

    /// So many come with one device that whoever comes next waits among the slow.
    async fn come_slowly(&self, rng: &mut StdRng, node: NodeId, sale: u64, device: u128) {
        for _ in 0..WARY.device_per_min * WARY.slow_beyond {
            if let Came::Unclear = self.comes(node, sale, self.key(), Some(device), b"").await {
                return;
            }
        }
        let visitor = self.key();
        let came = self.comes(node, sale, visitor, Some(device), b"").await;
        let Came::Asked(asked) = came else { return };
        let answer = solve(&asked, visitor);
        let proved = self
            .prove(node, sale, visitor, Some(device), &asked, &answer)
            .await;
        if proved != Some(Word::Done) {
            return;
        }
        let place = self.places(rng, Partner::Shop, sale, visitor, true).await;
        let Some(place) = place else { return };
        if place.lane != u32::from(SLOW_LANE) {
            self.violation(format!(
                "sale {sale}: visitor {visitor:x} came to n{node} with a device of many and stands at {place:?}"
            ));
        }
        self.ledger().deeds.add(Deed::Slow, 1);
    }

    /// A buyer who holds and gives back comes to the room of the sale.
    async fn hoard(&self, rng: &mut StdRng, sale: u64) {
        let is_calm = self.is_calm();
        let visitor = self.key();
        let ends_ms = self.now_ms() + 20_000;
        let Some(pass) = self.own_token(sale, visitor, 2, ends_ms) else {
            return;
        };
        self.note_token(sale, visitor, 2);
        let guest = Admitted { visitor, pass };
        for _ in 0..=WARY.abandoned_least {
            let hold = self.key();
            let place = Wish::Place {
                lines: vec![Line::Standing(1)],
                ttl_s: self.inner.plan.hold_ttl_s,
                guest: Some(guest.clone()),
            };
            for wish in [place, Wish::Release] {
                if !matches!(self.wish(rng, sale, hold, wish).await, Told::Done(_)) {
                    return;
                }
            }
        }
        sleep(LEARNED_AFTER).await;
        let (mut asked_by, mut is_unclear) = (None, false);
        for node in self.nodes() {
            match self.comes(node, sale, visitor, None, b"").await {
                Came::Asked(asked) => asked_by = Some((node, asked)),
                // It may have no replica of the sale, or have started since.
                Came::Through(_) => {}
                Came::Unclear => is_unclear = true,
            }
        }
        let Some((node, asked)) = asked_by else {
            if is_calm && !is_unclear {
                self.violation(format!(
                    "sale {sale}: visitor {visitor:x} gave back whatever was held, and every node welcomes them"
                ));
            }
            return;
        };
        self.check_hardness(node, sale, &asked);
        self.ledger().deeds.add(Deed::Hoard, 1);
        let answer = solve(&asked, visitor);
        self.prove(node, sale, visitor, None, &asked, &answer).await;
    }

    /// An answer to what was asked is good at any node that asks for the same.
    async fn prove(
        &self,
        node: NodeId,
        sale: u64,
        visitor: u128,
        device: Option<u128>,
        asked: &Asked,
        answer: &[u8],
    ) -> Option<Word> {
        match self.comes(node, sale, visitor, device, answer).await {
            Came::Through(word) => {
                self.ledger().deeds.add(Deed::Prove, 1);
                Some(word)
            }
            Came::Asked(again)
                if again.text == asked.text
                    && again.hardness <= zero_bits(&again, visitor, answer) =>
            {
                self.violation(format!(
                    "sale {sale}: n{node} asks visitor {visitor:x} for {again:?}, which was brought"
                ));
                None
            }
            Came::Asked(_) | Came::Unclear => None,
        }
    }

    async fn comes(
        &self,
        node: NodeId,
        sale: u64,
        visitor: u128,
        device: Option<u128>,
        answer: &[u8],
    ) -> Came {
        {
            let guests = &mut self.ledger().guests;
            guests.expect(sale, visitor, Partner::Shop);
            if device.is_some() {
                guests.suspects.insert((sale, visitor));
            }
        }
        let asked = pb::JoinRequest {
            event_id: sale,
            visitor: id(visitor),
            priority_class: class_of(visitor),
            party_size: party_of(visitor),
            device_hash: device.map_or_else(Bytes::new, id),
            proof_of_work: Bytes::copy_from_slice(answer),
            ..pb::JoinRequest::default()
        };
        let mut admission = self.admission(node);
        let call = admission.join(self.asks(Partner::Shop, asked));
        let word = match self.bounded("join", node, call).await {
            Ok(_) => Word::Done,
            Err(status) => match challenge(&status) {
                Some(asked) => return Came::Asked(asked),
                None => Word::of(&status),
            },
        };
        self.hear(node, sale, "join", visitor, &word);
        match word {
            Word::Done | Word::Rejected(_) => Came::Through(word),
            Word::Failed | Word::Unknown => Came::Unclear,
        }
    }

    fn check_hardness(&self, node: NodeId, sale: u64, asked: &Asked) {
        if !HARDNESS.contains(&asked.hardness) || asked.text.is_empty() {
            self.violation(format!("sale {sale}: n{node} asks for {asked:?}"));
        }
    }
}

fn challenge(status: &Status) -> Option<Asked> {
    let info = status.get_details_error_info()?;
    (info.reason == "CHALLENGE_REQUIRED").then(|| Asked {
        text: info.metadata.get("challenge").cloned().unwrap_or_default(),
        hardness: info
            .metadata
            .get("hardness")
            .and_then(|hardness| hardness.parse().ok())
            .unwrap_or(0),
    })
}

fn solve(asked: &Asked, visitor: u128) -> Vec<u8> {
    // No node asks for so much, and who is asked for it has no answer.
    let within = asked.hardness <= *HARDNESS.end();
    let answers = (0_u32..).take_while(|_| within).map(u32::to_be_bytes);
    let mut found = answers.skip_while(|answer| zero_bits(asked, visitor, answer) < asked.hardness);
    found.next().map_or_else(Vec::new, Vec::from)
}

/// With how many zero bits the hash of an answer begins.
fn zero_bits(asked: &Asked, visitor: u128, answer: &[u8]) -> u8 {
    let hash = Sha256::new()
        .chain_update(&asked.text)
        .chain_update(visitor.to_be_bytes())
        .chain_update(answer)
        .finalize();
    let head: [u8; 8] = hash.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(head).leading_zeros() as u8
}
