//! Which events are bought by those who bought this one: for partners' pages, from the orders in this node's
//! index. It knows buyers by a keyed hash whose key is made anew with each look and kept nowhere, and says
//! nothing that rests on a few of them. Decides nothing; asked by operators over HTTP.

mod co_purchase;

use std::time::Duration;

use domain::ids::{BuyerId, PartnerId, SaleId};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use co_purchase::CoPurchases;

use crate::index::{Index, Kind, Query, QueryFault, RowState};

/// Learned anew when it is so old.
const FRESH: Duration = Duration::from_secs(300);
/// Orders of the index that are looked at, at most; the oldest first.
const ORDERS_MAX: usize = 200_000;
const PAGE: usize = 1_000;

/// A buyer of one partner, whom nobody finds again without the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pseudonym(pub u64);

impl Pseudonym {
    pub fn of(key: &[u8; 32], partner: PartnerId, buyer: BuyerId) -> Pseudonym {
        let hash = Sha256::new()
            .chain_update(key)
            .chain_update(partner.0.to_be_bytes())
            .chain_update(buyer.0.to_be_bytes())
            .finalize();
        let mut first = [0; 8];
        first.iter_mut().zip(hash).for_each(|(to, byte)| *to = byte);
        Pseudonym(u64::from_be_bytes(first))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommendation {
    pub event: SaleId,
    /// From 0 to 1: how much of both events' buyers are the same.
    pub likeness: f64,
}

/// Learns who bought what, and says what goes with an event.
pub trait Recommender: Send {
    fn learn(&mut self, buyer: Pseudonym, event: SaleId);
    /// The best first, `most` at most.
    fn recommend(&self, event: SaleId, most: usize) -> Vec<Recommendation>;
}

/// What one look at the index taught.
struct Learned {
    at: Instant,
    from: Box<dyn Recommender>,
    orders: usize,
    sales_missing: usize,
}

/// Recommendations of a node.
#[derive(Default)]
pub struct Recommendations {
    learned: Mutex<Option<Learned>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub recommendations: Vec<Recommendation>,
    /// Orders that were looked at.
    pub orders: usize,
    /// Sales of this node that the index did not cover.
    pub sales_missing: usize,
    pub age: Duration,
}

impl Recommendations {
    /// Looks at the index when the last look is long ago; others who ask wait for the same look.
    pub async fn of(
        &self,
        event: SaleId,
        most: usize,
        index: &Index,
        key: &[u8; 32],
    ) -> Result<Answer, QueryFault> {
        let mut learned = self.learned.lock().await;
        let fresh = learned.take().filter(|of| of.at.elapsed() < FRESH);
        let of = match fresh {
            Some(of) => of,
            None => learn(index, key).await?,
        };
        let answer = Answer {
            recommendations: of.from.recommend(event, most),
            orders: of.orders,
            sales_missing: of.sales_missing,
            age: of.at.elapsed(),
        };
        *learned = Some(of);
        Ok(answer)
    }
}

/// Page after page, so that searches of others come between.
async fn learn(index: &Index, key: &[u8; 32]) -> Result<Learned, QueryFault> {
    let mut learned = Learned {
        at: Instant::now(),
        from: Box::new(CoPurchases::default()),
        orders: 0,
        sales_missing: 0,
    };
    let mut token = None;
    while learned.orders < ORDERS_MAX {
        let page = index
            .search(Query {
                kind: Kind::Orders,
                states: vec![RowState::Paid],
                limit: PAGE,
                page_token: token,
                ..Query::default()
            })
            .await?;
        for row in &page.rows {
            let buyer = Pseudonym::of(key, row.partner, row.buyer);
            learned.from.learn(buyer, row.sale);
        }
        learned.orders += page.rows.len();
        learned.sales_missing = page.sales_missing;
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    Ok(learned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buyer_is_another_under_another_key_and_at_another_partner() {
        let of = |key, partner| Pseudonym::of(&[key; 32], PartnerId(partner), BuyerId(7));
        assert_eq!(of(1, 1), of(1, 1));
        assert_ne!(of(1, 1), of(2, 1));
        assert_ne!(of(1, 1), of(1, 2));
    }
}
