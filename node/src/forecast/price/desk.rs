//! Proposals that wait for an operator's decision, the latest of each sale, in the memory of the node that made
//! them. A decision is written to the node's log and does nothing else; a proposal that is old, or was made
//! before another or on another node, can not be decided on any more.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use domain::ids::SaleId;

use super::{Suggestion, Why};

/// A proposal is good for so long, milliseconds.
const GOOD_MS: u64 = 15 * 60_000;
/// Sales with a proposal at most; the oldest goes.
const SALES_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// A UUIDv7: when it was made is part of it.
    pub id: u128,
    pub made_at_ms: u64,
    pub why: Why,
    pub suggestions: Vec<Suggestion>,
}

#[derive(Debug, Default)]
pub struct Desk {
    waiting: Mutex<BTreeMap<SaleId, Proposal>>,
}

/// There is no such proposal to decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such proposal waits for a decision on this node: it was decided, is old, or there is a newer one"
)]
pub struct Undecided;

impl Desk {
    pub fn put(&self, sale: SaleId, proposal: Proposal) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= SALES_MAX && !waiting.contains_key(&sale) {
            let oldest = waiting.iter().min_by_key(|(_, of)| of.made_at_ms);
            if let Some(oldest) = oldest.map(|(sale, _)| *sale) {
                waiting.remove(&oldest);
            }
        }
        waiting.insert(sale, proposal);
    }

    /// Once.
    pub fn decide(&self, sale: SaleId, id: u128, now_ms: u64) -> Result<Proposal, Undecided> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |of: &Proposal| of.id == id && now_ms <= of.made_at_ms + GOOD_MS;
        match waiting.get(&sale).is_some_and(is_good) {
            true => waiting.remove(&sale).ok_or(Undecided),
            false => Err(Undecided),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_proposal_is_decided_once_while_it_is_fresh() {
        let desk = Desk::default();
        let proposal = |id, made_at_ms| Proposal {
            id,
            made_at_ms,
            why: Why::SellsOutEarly,
            suggestions: Vec::new(),
        };
        let sale = SaleId(1);
        desk.put(sale, proposal(7, 1_000));
        desk.put(sale, proposal(8, 2_000));
        assert_eq!(desk.decide(sale, 7, 3_000), Err(Undecided));
        assert_eq!(desk.decide(SaleId(2), 8, 3_000), Err(Undecided));
        assert_eq!(desk.decide(sale, 8, 2_001 + GOOD_MS), Err(Undecided));
        assert!(desk.decide(sale, 8, 3_000).is_ok());
        assert_eq!(desk.decide(sale, 8, 3_000), Err(Undecided));
        for other in 0..2_000 {
            desk.put(SaleId(other), proposal(9, other));
        }
        assert_eq!(desk.waiting.lock().unwrap().len(), SALES_MAX);
    }
}
