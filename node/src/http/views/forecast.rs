//! What is foreseen of a sale, what prices follow from it, and what goes with it.

use serde::{Deserialize, Serialize};

/// One in ten is lower, half are lower, nine in ten are lower.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band<T> {
    pub low: T,
    pub likely: T,
    pub high: T,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    pub event_id: u64,
    /// small, middle or large.
    pub size: String,
    pub phase: String,
    /// Seats that are not blocked.
    pub seats: u32,
    pub sold: u32,
    pub held: u32,
    /// smoothing or pace; absent when nothing is foreseen.
    pub model: Option<String>,
    /// Why nothing is, or since when it is.
    pub note: String,
    /// Until 99 of 100 seats are held or sold; absent parts are out of sight.
    pub sell_out_in_s: Option<Band<Option<u64>>>,
    pub sold_in_1m: Option<Band<u64>>,
    pub sold_in_10m: Option<Band<u64>>,
    /// Until the event begins; absent when nobody said when.
    pub closes_in_s: Option<u64>,
    pub sold_by_close: Option<Band<u64>>,
}

/// A proposal, which is nothing more until an operator decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceProposal {
    pub event_id: u64,
    /// Absent when nothing is proposed.
    pub proposal_id: Option<String>,
    pub why: String,
    pub categories: Vec<PriceSuggestion>,
}

/// Amounts in minor units of the currency that was asked with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceSuggestion {
    pub name: String,
    pub price: i64,
    pub proposed: i64,
    /// A higher price pays while sales fall by less than this share; a lower one once they grow by more.
    pub break_even: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceDecision {
    pub event_id: u64,
    pub proposal_id: String,
    pub approved: bool,
    /// The id of the operator's key.
    pub by: String,
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecommendationList {
    pub event_id: u64,
    /// The best first.
    pub recommendations: Vec<Recommended>,
    /// Orders of this node's index that were looked at.
    pub orders: usize,
    pub age_s: u64,
    /// Events that the index did not cover.
    pub events_missing: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommended {
    pub event_id: u64,
    pub name: String,
    /// From 0 to 1.
    pub likeness: f64,
}
