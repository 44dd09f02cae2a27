//! What partners sign themselves: tokens to join, and of the shop's own room, for the sales where an
//! operator trusts their keys. A token may say all that a pass says.

use domain::ids::{ChannelId, PartnerId, SaleId, VisitorId};
use onsale::access::pass::{Claims, PassKey, sign};
use proto::channel::v1 as pb;
use rand::rngs::StdRng;

use super::Shop;
use super::admission::Word;
use super::request::id;
use super::wires::Partner;
use crate::sim::computer::BEGIN_MS;
use crate::sim::setup::room::{CLUB, PartnerKeys, SHOP};

/// Longer than any clock of a run is wrong: whether it has ended is asked of nodes' wall clocks.
const JOINS_FOR_MS: u64 = 24 * 3_600_000;

impl Shop {
    /// Whether visitors of this partner need a token to join.
    pub(super) fn asks_for_tokens(&self, by: Partner, sale: u64) -> bool {
        self.enqueue_key(by, sale).is_some()
    }

    /// Empty where none is asked for.
    pub(super) fn enqueue_token(&self, by: Partner, sale: u64, visitor: u128) -> String {
        let key = self.enqueue_key(by, sale);
        let ends_ms = self.now_ms() + JOINS_FOR_MS;
        key.map_or_else(String::new, |key| {
            self.token(key, CLUB, sale, visitor, 1, ends_ms)
        })
    }

    /// Of each in their sequence, or none at all.
    pub(super) fn enqueue_tokens(&self, by: Partner, sale: u64, visitors: &[u128]) -> Vec<String> {
        match self.asks_for_tokens(by, sale) {
            true => {
                let visitors = visitors.iter();
                let token = |visitor: &u128| self.enqueue_token(by, sale, *visitor);
                visitors.map(token).collect()
            }
            false => Vec::new(),
        }
    }

    /// Nobody comes in where tokens are asked for, without one or with another's.
    pub(super) async fn join_without_token(
        &self,
        rng: &mut StdRng,
        by: Partner,
        event_id: u64,
        visitor: u128,
    ) {
        let others = self.enqueue_token(by, event_id, visitor ^ 1 << 64);
        for enqueue_token in [String::new(), others] {
            let asked = pb::JoinRequest {
                event_id,
                visitor: id(visitor),
                enqueue_token,
                ..pb::JoinRequest::default()
            };
            match self.join_as(rng, by, visitor, asked).await {
                Word::Rejected(reason) if reason == "PASS_INVALID" => {}
                Word::Failed | Word::Unknown => {}
                word => self.violation(format!(
                    "sale {event_id}: visitor {visitor:x} joins without a token and is told {word:?}"
                )),
            }
        }
    }

    /// Of the shop's own room, good for so many tickets; `None` where it runs none.
    pub(super) fn own_token(
        &self,
        sale: u64,
        visitor: u128,
        tickets: u16,
        ends_ms: u64,
    ) -> Option<String> {
        let key = PartnerKeys::draw(&self.inner.plan, sale).own_room?;
        Some(self.token(key, SHOP, sale, visitor, tickets, ends_ms))
    }

    /// Before it is shown for the first time.
    pub(super) fn note_token(&self, sale: u64, visitor: u128, tickets: u32) {
        let tokens = &mut self.ledger().guests.tokens;
        tokens.insert((sale, visitor), tickets);
    }

    fn enqueue_key(&self, by: Partner, sale: u64) -> Option<PassKey> {
        let keys = PartnerKeys::draw(&self.inner.plan, sale);
        keys.enqueue.filter(|_| by == Partner::Club)
    }

    /// `ends_ms` is simulated.
    fn token(
        &self,
        key: PassKey,
        partner: u16,
        sale: u64,
        visitor: u128,
        tickets: u16,
        ends_ms: u64,
    ) -> String {
        let now_ms = BEGIN_MS + self.now_ms();
        let claims = Claims {
            event: SaleId(sale),
            visitor: VisitorId(visitor),
            partner: PartnerId(partner.into()),
            channel: ChannelId(partner),
            tickets,
            from_ms: now_ms,
            ends_ms: BEGIN_MS + ends_ms,
            number: 0,
        };
        sign(&[key], &claims, now_ms).unwrap_or_default()
    }
}
