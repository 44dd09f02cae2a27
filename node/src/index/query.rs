//! What can be asked, and what comes back.

use domain::ids::{BuyerId, PartnerId, SaleId};

use super::row::{Row, RowState};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Orders,
    /// Also those that became orders.
    Holds,
}

/// All that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub kind: Kind,
    pub event: Option<SaleId>,
    pub partner: Option<PartnerId>,
    pub buyer: Option<BuyerId>,
    /// Empty: any.
    pub states: Vec<RowState>,
    /// Of the order or the hold.
    pub id: Option<u128>,
    /// Order placed (for a hold without one: hold placed) at or after, Unix milliseconds.
    pub from_ms: Option<u64>,
    /// Before.
    pub to_ms: Option<u64>,
    /// Rows of a page: at most 1,000; 0 is 100.
    pub limit: usize,
    /// From the page before.
    pub page_token: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In sequence of time.
    pub rows: Vec<Row>,
    /// There may be more behind it. A page may have few rows or none and still have one, when
    /// much had to be looked at.
    pub next_page_token: Option<String>,
    /// Sales of this node that the index does not cover at the moment.
    pub sales_missing: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum QueryFault {
    #[error("too many searches are waiting; try again")]
    Busy,
    #[error("the index of this node has stopped")]
    Stopped,
    #[error("the index of this node is out of order; it is tried again every half minute")]
    Unavailable,
    #[error("the page token is not one of ours")]
    PageToken,
}

pub(super) const LIMIT_DEFAULT: usize = 100;
pub(super) const LIMIT_MAX: usize = 1_000;

impl Query {
    pub(super) fn matches_but_state(&self, row: &Row) -> bool {
        (self.kind == Kind::Holds || row.order.is_some())
            && self.event.is_none_or(|event| event == row.sale)
            && self.partner.is_none_or(|partner| partner == row.partner)
            && self.buyer.is_none_or(|buyer| buyer == row.buyer)
            && self.from_ms.is_none_or(|from| from <= row.at_ms)
            && self.to_ms.is_none_or(|to| row.at_ms < to)
            && self.id.is_none_or(|id| {
                row.order.is_some_and(|order| order.0 == id)
                    || self.kind == Kind::Holds && row.hold.0 == id
            })
    }

    pub(super) fn matches_state(&self, row: &Row) -> bool {
        self.states.is_empty() || self.states.contains(&row.state)
    }

    pub(super) fn limit(&self) -> usize {
        match self.limit {
            0 => LIMIT_DEFAULT,
            limit => limit.min(LIMIT_MAX),
        }
    }
}
