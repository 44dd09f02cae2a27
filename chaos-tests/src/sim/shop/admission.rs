//! Calls of waiting rooms, and at once whether an answer contradicts what was told before.

use cluster::types::NodeId;
use proto::channel::v1 as pb;
use proto::channel::v1::VisitorPhase;
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tonic::Status;
use tonic::transport::Channel;

use super::Shop;
use super::call::{Attempt, judge, reason};
use super::guests::Standing;
use super::ledger::{Admitted, Line, Wish};
use super::request::{Request, id};
use super::wires::Partner;
use crate::sim::world::SHOP;

/// The class of members, who may have a lane of their own.
const MEMBERS: u32 = 1;

/// What became of a visitor who was to come or go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Done,
    Rejected(String),
    Failed,
    Unknown,
}

impl Word {
    fn of(status: &Status) -> Word {
        match judge(status) {
            Attempt::Rejected(reason) => Word::Rejected(reason),
            Attempt::Failed(_) => Word::Failed,
            Attempt::Unknown | Attempt::Done(_) => Word::Unknown,
        }
    }
}

/// The largest party that comes.
pub const PARTY_MAX: u16 = 3;

impl Shop {
    fn admission(&self, node: NodeId) -> AdmissionServiceClient<Channel> {
        AdmissionServiceClient::new(self.inner.wires.to(node))
    }

    fn asks<T>(&self, by: Partner, message: T) -> tonic::Request<T> {
        let limit = self.inner.plan.call_timeout;
        self.inner.wires.request_of(by, message, limit)
    }

    pub(super) async fn join(
        &self,
        rng: &mut StdRng,
        by: Partner,
        event_id: u64,
        visitor: u128,
    ) -> Word {
        let node = self.any_node(rng);
        let asked = pb::JoinRequest {
            event_id,
            visitor: id(visitor),
            priority_class: class_of(visitor),
            party_size: party_of(visitor),
            ..pb::JoinRequest::default()
        };
        let known = self.known(event_id);
        let mut admission = self.admission(node);
        let call = admission.join(self.asks(by, asked));
        let word = match self.bounded("join", node, call).await {
            Ok(_) => Word::Done,
            Err(status) => {
                self.check_refusal(node, event_id, known, &status);
                Word::of(&status)
            }
        };
        self.hear(node, event_id, "join", visitor, &word);
        word
    }

    /// All at once; who comes in is told one by one. They are of one class, their first one's.
    pub(super) async fn join_many(
        &self,
        rng: &mut StdRng,
        by: Partner,
        event_id: u64,
        visitors: &[u128],
    ) -> Vec<Word> {
        let node = self.any_node(rng);
        let asked = pb::JoinManyRequest {
            event_id,
            visitors: visitors.iter().copied().map(id).collect(),
            priority_class: visitors.first().map_or(0, |first| class_of(*first)),
            party_sizes: visitors.iter().copied().map(party_of).collect(),
            ..pb::JoinManyRequest::default()
        };
        let mut admission = self.admission(node);
        let call = admission.join_many(self.asks(by, asked));
        let words = match self.bounded("join_many", node, call).await {
            Ok(told) => {
                let mut words = vec![Word::Done; visitors.len()];
                for refused in told.into_inner().refused {
                    words[refused.at as usize] = match refused.reason.as_str() {
                        "UNKNOWN_OUTCOME" => Word::Unknown,
                        _ if refused.again => Word::Failed,
                        _ => Word::Rejected(refused.reason),
                    };
                }
                words
            }
            Err(status) => vec![Word::of(&status); visitors.len()],
        };
        for (visitor, word) in visitors.iter().zip(&words) {
            self.hear(node, event_id, "join_many", *visitor, word);
        }
        words
    }

    pub(super) async fn leave(
        &self,
        rng: &mut StdRng,
        by: Partner,
        event_id: u64,
        visitor: u128,
    ) -> Word {
        let node = self.any_node(rng);
        let asked = pb::LeaveRequest {
            event_id,
            visitor: id(visitor),
        };
        let known = self.known(event_id);
        self.ledger().guests.leaves(event_id, visitor);
        let mut admission = self.admission(node);
        let call = admission.leave(self.asks(by, asked));
        let word = match self.bounded("leave", node, call).await {
            Ok(_) => Word::Done,
            Err(status) => {
                self.check_refusal(node, event_id, known, &status);
                Word::of(&status)
            }
        };
        self.hear(node, event_id, "leave", visitor, &word);
        word
    }

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
        let is_in = !matches!(
            place.phase(),
            VisitorPhase::Unknown | VisitorPhase::Unspecified
        );
        if is_in {
            let is_admitted = place.phase() == VisitorPhase::Admitted;
            let standing = Standing {
                number: place.number,
                lane: place.lane,
                place: place.place,
                pass_ends_ms: is_admitted.then_some(place.pass_ends_ms),
            };
            let wrong = self.ledger().guests.told(event_id, visitor, standing);
            if let Some(wrong) = wrong {
                self.violation(format!(
                    "sale {event_id}: n{node} says that visitor {visitor:x} {wrong}"
                ));
            }
        }
        Some(place)
    }

    /// The pass of who was let in; whoever asks for it again gets the same.
    pub(super) async fn claim(
        &self,
        rng: &mut StdRng,
        by: Partner,
        event_id: u64,
        visitor: u128,
        number: u32,
    ) -> Option<Admitted> {
        let node = self.any_node(rng);
        let asked = pb::ClaimRequest {
            event_id,
            visitor: id(visitor),
        };
        let mut admission = self.admission(node);
        let call = admission.claim(self.asks(by, asked));
        let pass = match self.bounded("claim", node, call).await {
            Ok(told) => told.into_inner().pass_token,
            Err(status) => {
                let why = reason(&status).unwrap_or_default();
                let what = format_args!("n{node} claim {event_id} {visitor:x} {why}");
                self.inner.trace.event(SHOP, "answer", what);
                // Nobody claims who was not told so; a copy that is behind must not deny it.
                let has_left = self.ledger().guests.guests[&(event_id, visitor)].has_left;
                if why == "QUEUE_REQUIRED" && !has_left {
                    self.violation(format!(
                        "sale {event_id}: n{node} denies that visitor {visitor:x} was let in, who was told so"
                    ));
                }
                return None;
            }
        };
        let mut ledger = self.ledger();
        let has_left = ledger.guests.guests[&(event_id, visitor)].has_left;
        let passes = &mut ledger.guests.passes;
        let first = passes
            .entry((event_id, number))
            .or_insert_with(|| pass.clone());
        if *first != pass && !has_left {
            let found = format!("sale {event_id}: visitor {visitor:x} has two passes");
            ledger.violations.push(found);
        }
        Some(Admitted { visitor, pass })
    }

    /// A hold for a buyer whom this pass does not let in, or without any: whoever answers refuses.
    pub(super) async fn intrude(
        &self,
        rng: &mut StdRng,
        by: Partner,
        event_id: u64,
        visitor: u128,
        pass: String,
    ) {
        let node = self.any_node(rng);
        // Who shows nothing may as well be told that nothing is left.
        let expected: &[&str] = match pass.is_empty() {
            true => &["QUEUE_REQUIRED", "NOT_ON_SALE", "SOLD_OUT"],
            false => &["PASS_INVALID"],
        };
        let ttl_s = self.inner.plan.hold_ttl_s;
        let wish = Wish::Place {
            lines: vec![Line::Best(1)],
            ttl_s,
            guest: Some(Admitted { visitor, pass }),
        };
        let key = self.key();
        let Request::Place(asked) = Request::of(event_id, key, key, &wish, ttl_s) else {
            return;
        };
        let mut sales = SalesServiceClient::new(self.inner.wires.to(node));
        let call = sales.place_hold(self.asks(by, asked));
        let found = match self.bounded("intrude", node, call).await {
            Ok(told) => format!("{:?}", told.into_inner()),
            Err(status) => match judge(&status) {
                Attempt::Rejected(reason) if !expected.contains(&reason.as_str()) => reason,
                _ => return,
            },
        };
        self.violation(format!(
            "sale {event_id}: n{node} was asked for a hold by somebody who was not let in, \
             expected {expected:?}, and said {found}"
        ));
    }

    pub(super) fn violation(&self, found: String) {
        self.ledger().violations.push(found);
    }

    /// Writes a word on coming or going into the trace, and into the book who is in.
    fn hear(&self, node: NodeId, sale: u64, what: &str, visitor: u128, word: &Word) {
        self.inner.trace.event(
            SHOP,
            what,
            format_args!("n{node} {sale} {visitor:x} {word:?}"),
        );
        if *word == Word::Done && what != "leave" {
            let now_ms = self.now_ms();
            self.ledger().guests.came(sale, visitor, now_ms);
        }
    }

    fn known(&self, sale: u64) -> u64 {
        self.ledger().revisions.get(&sale).copied().unwrap_or(0)
    }

    /// Somebody else's pass of this sale, if any was handed out.
    pub(super) fn pass_of_another(
        &self,
        rng: &mut StdRng,
        sale: u64,
        number: u32,
    ) -> Option<String> {
        let ledger = self.ledger();
        let passes = ledger.guests.passes.range((sale, 0)..=(sale, u32::MAX));
        let others: Vec<&String> = passes
            .filter(|((_, of), _)| *of != number)
            .map(|(_, pass)| pass)
            .collect();
        match others.len() {
            0 => None,
            some => Some(others[rng.random_range(0..some)].clone()),
        }
    }
}

/// How many tickets a visitor wants together.
pub fn party_of(visitor: u128) -> u32 {
    match visitor / 4 % 4 {
        2 => 2,
        3 => PARTY_MAX.into(),
        _ => 1,
    }
}

/// Every fourth is a member.
fn class_of(visitor: u128) -> u32 {
    match visitor % 4 {
        0 => MEMBERS,
        _ => 0,
    }
}
