//! Orders and holds, searched in this node's index.

use super::Admin;
use crate::http::api::{Answer, Refusal, Search};
use crate::http::problem::{Problem, Reason};
use crate::http::views::{HoldPage, HoldRow, OrderPage, OrderRow};

impl Admin {
    pub(super) async fn find_orders(&self, _search: Search) -> Answer<OrderPage> {
        Err(off())
    }

    pub(super) async fn find_order(&self, _order_id: u128) -> Answer<OrderRow> {
        Err(off())
    }

    pub(super) async fn find_holds(&self, _search: Search) -> Answer<HoldPage> {
        Err(off())
    }

    pub(super) async fn find_hold(&self, _hold_id: u128) -> Answer<HoldRow> {
        Err(off())
    }
}

fn off() -> Refusal {
    Problem::new(Reason::IndexOff, "this node keeps no index").into()
}
