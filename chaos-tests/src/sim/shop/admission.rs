//! Calls of waiting rooms, and at once whether an answer contradicts what was told before.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster::types::NodeId;
use proto::channel::v1 as pb;
use proto::channel::v1::admission_service_client::AdmissionServiceClient;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::session_call::Call;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tonic::Status;
use tonic::transport::Channel;

use super::Shop;
use super::call::{Attempt, Way, judge, reason};
use super::ledger::{Admitted, Line, Wish};
use super::request::{Request, id};
use super::wires::Partner;
use crate::sim::deed::Deed;
use crate::sim::setup::room::second_pass_key;
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
    pub(super) fn of(status: &Status) -> Word {
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
    pub(super) fn admission(&self, node: NodeId) -> AdmissionServiceClient<Channel> {
        AdmissionServiceClient::new(self.inner.wires.to(node))
    }

    pub(super) fn asks<T>(&self, by: Partner, message: T) -> tonic::Request<T> {
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
        let asked = pb::JoinRequest {
            event_id,
            visitor: id(visitor),
            priority_class: class_of(visitor),
            party_size: party_of(visitor),
            enqueue_token: self.enqueue_token(by, event_id, visitor),
            ..pb::JoinRequest::default()
        };
        self.join_as(rng, by, visitor, asked).await
    }

    /// The same by a message that may be another than the visitor's.
    pub(super) async fn join_as(
        &self,
        rng: &mut StdRng,
        by: Partner,
        visitor: u128,
        asked: pb::JoinRequest,
    ) -> Word {
        let node = self.any_node(rng);
        let event_id = asked.event_id;
        let known = self.known(event_id);
        // Who only brings visitors has no session open.
        let in_session =
            self.inner.plan.operators && by == Partner::Shop && self.any_way(rng) == Way::Session;
        let came = async {
            match in_session {
                true => self
                    .ask_in_session(node, Call::Join(asked))
                    .await
                    .map(|_| ()),
                false => {
                    let mut admission = self.admission(node);
                    let call = admission.join(self.asks(by, asked));
                    call.await.map(|_| ())
                }
            }
        };
        let word = match self.bounded("join", node, came).await {
            Ok(()) => Word::Done,
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
            enqueue_tokens: self.enqueue_tokens(by, event_id, visitors),
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
                let may_be_away = self.may_be_away(event_id, visitor);
                if why == "QUEUE_REQUIRED" && !may_be_away {
                    self.violation(format!(
                        "sale {event_id}: n{node} denies that visitor {visitor:x} was let in, who was told so"
                    ));
                }
                return None;
            }
        };
        let may_be_away = self.may_be_away(event_id, visitor);
        let is_second = self.is_of_second_key(&pass);
        let mut ledger = self.ledger();
        if is_second {
            ledger.deeds.add(Deed::SecondKey, 1);
        }
        let passes = &mut ledger.guests.passes;
        let first = passes
            .entry((event_id, number))
            .or_insert_with(|| pass.clone());
        // Another key may have signed it, but nothing else may be said.
        let is_same =
            *first == pass || self.inner.plan.rotates_key() && claims_of(first) == claims_of(&pass);
        if !is_same && !may_be_away {
            let found = format!("sale {event_id}: visitor {visitor:x} has two passes");
            ledger.violations.push(found);
        }
        drop(ledger);
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

    /// Whether the key that came second signed a pass.
    pub(super) fn is_of_second_key(&self, pass: &str) -> bool {
        let plan = &self.inner.plan;
        plan.rotates_key() && {
            let header = pass.split('.').next().unwrap_or_default();
            let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
            let id = second_pass_key(plan.seed, 0).key_id;
            header.windows(id.len()).any(|part| part == id.as_bytes())
        }
    }

    pub(super) fn may_be_away(&self, sale: u64, visitor: u128) -> bool {
        let ledger = self.ledger();
        let guest = ledger.guests.guests.get(&(sale, visitor));
        guest.is_some_and(|guest| guest.may_be_away())
    }

    pub fn violation(&self, found: String) {
        self.ledger().violations.push(found);
    }

    /// Writes a word on coming or going into the trace, and into the book who is in.
    pub(super) fn hear(&self, node: NodeId, sale: u64, what: &str, visitor: u128, word: &Word) {
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

/// What a pass says, without the signature.
fn claims_of(pass: &str) -> Option<&str> {
    pass.split('.').nth(1)
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
pub(super) fn class_of(visitor: u128) -> u32 {
    match visitor % 4 {
        0 => MEMBERS,
        _ => 0,
    }
}
