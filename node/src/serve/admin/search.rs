//! Orders and holds, searched in this node's index. It covers the sales that have a replica here;
//! what others there are is told with every answer that they could be missing from.

use std::collections::BTreeSet;

use cluster::map::{Map, SaleState};
use cluster::types::NodeId;
use domain::ids::{BuyerId, PartnerId, SaleId};

use super::Admin;
use crate::http::api::{Answer, Search};
use crate::http::problem::{Problem, Reason};
use crate::http::views::{HoldPage, HoldRow, OrderPage, OrderRow, id_text, moment_text};
use crate::index::{Index, Kind, Page, Query, QueryFault, Row, RowState};

impl Admin {
    pub(super) async fn find_orders(&self, search: Search) -> Answer<OrderPage> {
        let elsewhere = self.elsewhere_of(&search);
        let page = self.search(Kind::Orders, search).await?;
        Ok(OrderPage {
            orders: page.rows.iter().map(order_row).collect(),
            next_page: page.next_page_token,
            events_missing: page.sales_missing,
            events_elsewhere: elsewhere,
        })
    }

    pub(super) async fn find_holds(&self, search: Search) -> Answer<HoldPage> {
        let elsewhere = self.elsewhere_of(&search);
        let page = self.search(Kind::Holds, search).await?;
        Ok(HoldPage {
            holds: page.rows.iter().map(hold_row).collect(),
            next_page: page.next_page_token,
            events_missing: page.sales_missing,
            events_elsewhere: elsewhere,
        })
    }

    pub(super) async fn find_order(&self, order_id: u128) -> Answer<OrderRow> {
        let page = self.find(Kind::Orders, order_id).await?;
        page.rows.first().map(order_row).ok_or_else(|| {
            absent(Reason::UnknownOrder, &page, &self.sales_elsewhere())
                .with("order_id", id_text(order_id))
                .into()
        })
    }

    pub(super) async fn find_hold(&self, hold_id: u128) -> Answer<HoldRow> {
        let page = self.find(Kind::Holds, hold_id).await?;
        page.rows.first().map(hold_row).ok_or_else(|| {
            absent(Reason::UnknownHold, &page, &self.sales_elsewhere())
                .with("hold_id", id_text(hold_id))
                .into()
        })
    }

    /// Sales whose orders are in other nodes' indexes only.
    fn sales_elsewhere(&self) -> Elsewhere {
        let map = self.parts.cluster.map();
        elsewhere(&map, self.parts.cluster.node_id())
    }

    /// A search in one event is answered where that event is.
    fn elsewhere_of(&self, search: &Search) -> usize {
        match search.event {
            Some(_) => 0,
            None => self.sales_elsewhere().sales,
        }
    }

    async fn find(&self, kind: Kind, id: u128) -> Answer<Page> {
        let query = Query {
            kind,
            id: Some(id),
            limit: 1,
            ..Query::default()
        };
        Ok(self.ask(query).await?)
    }

    async fn search(&self, kind: Kind, search: Search) -> Answer<Page> {
        let Search {
            event,
            partner,
            buyer,
            state,
            from_ms,
            to_ms,
            page,
            page_size,
        } = search;
        if let Some(event_id) = event {
            // A sale without a replica here is in another node's index.
            self.replica(event_id)?;
        }
        let query = Query {
            kind,
            event: event.map(SaleId),
            partner: partner.map(PartnerId),
            buyer: buyer.map(BuyerId),
            states: state.as_deref().map(states).unwrap_or_default(),
            id: None,
            from_ms,
            to_ms,
            limit: page_size,
            page_token: page,
        };
        Ok(self.ask(query).await?)
    }

    async fn ask(&self, query: Query) -> Result<Page, Problem> {
        self.index()?.search(query).await.map_err(failed)
    }

    pub(super) fn index(&self) -> Result<&Index, Problem> {
        self.parts.index.as_ref().ok_or_else(|| {
            Problem::new(
                Reason::IndexOff,
                "index.enabled is false on this node: ask another",
            )
        })
    }
}

pub(super) fn failed(fault: QueryFault) -> Problem {
    let reason = match fault {
        QueryFault::Busy => Reason::Busy,
        QueryFault::Stopped | QueryFault::Unavailable => Reason::NotReady,
        QueryFault::PageToken => Reason::BadRequest,
    };
    Problem::new(reason, fault.to_string())
}

/// What this node's index cannot know.
#[derive(Default)]
struct Elsewhere {
    sales: usize,
    /// A node for each group of them.
    nodes: BTreeSet<NodeId>,
}

fn elsewhere(map: &Map, here: NodeId) -> Elsewhere {
    let mut elsewhere = Elsewhere::default();
    for sale in map.sales.values() {
        // What was only reserved has no orders.
        let group = map.groups.get(&sale.group);
        if let Some(group) = group
            && sale.state != SaleState::Reserved
            && !group.replicas.contains(&here)
        {
            elsewhere.sales += 1;
            elsewhere.nodes.extend(group.replicas.first());
        }
    }
    elsewhere
}

/// An index that does not cover all events cannot say that there is no such thing.
fn absent(unknown: Reason, page: &Page, elsewhere: &Elsewhere) -> Problem {
    let missing = page.sales_missing;
    if missing > 0 {
        return Problem::new(
            Reason::NotReady,
            format!(
                "the index of this node does not have it, but takes {missing} events anew: ask again"
            ),
        );
    }
    let Elsewhere { sales, nodes } = elsewhere;
    if *sales > 0 {
        let nodes: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
        return Problem::new(
            Reason::NotReady,
            format!(
                "the index of this node does not have it, but {sales} events are on other nodes: \
                 ask those, too"
            ),
        )
        .with("nodes", nodes.join(", "));
    }
    Problem::new(unknown, "the index of this node does not have it")
}

/// The index has one row for a hold and the order it became.
fn states(text: &str) -> Vec<RowState> {
    match text {
        "held" => vec![RowState::Held],
        "released" => vec![RowState::Released],
        "expired" => vec![RowState::Expired],
        "confirmed" => vec![RowState::Paid, RowState::Cancelled],
        "paid" => vec![RowState::Paid],
        "cancelled" => vec![RowState::Cancelled],
        _ => Vec::new(),
    }
}

fn order_row(row: &Row) -> OrderRow {
    OrderRow {
        order_id: id_text(row.order.map_or(0, |order| order.0)),
        event_id: row.sale.0,
        hold_id: id_text(row.hold.0),
        partner_id: row.partner.0,
        channel: row.channel.0,
        buyer: id_text(row.buyer.0),
        state: match row.state {
            RowState::Cancelled => "cancelled",
            _ => "paid",
        }
        .into(),
        seats: row.seats,
        placed_at: moment_text(row.at_ms),
    }
}

fn hold_row(row: &Row) -> HoldRow {
    HoldRow {
        hold_id: id_text(row.hold.0),
        event_id: row.sale.0,
        partner_id: row.partner.0,
        channel: row.channel.0,
        buyer: id_text(row.buyer.0),
        state: match row.state {
            RowState::Held => "held",
            RowState::Released => "released",
            RowState::Expired => "expired",
            RowState::Paid | RowState::Cancelled => "confirmed",
        }
        .into(),
        seats: row.seats,
        placed_at: moment_text(row.held_at_ms),
        deadline: match row.deadline_ms {
            0 => String::new(),
            deadline_ms => moment_text(deadline_ms),
        },
    }
}

#[cfg(test)]
mod tests {
    use cluster::map::{Placement, SaleEntry};

    use super::*;

    #[test]
    fn an_index_with_gaps_does_not_deny_an_order() {
        let mut page = Page::default();
        let mut elsewhere = Elsewhere::default();
        let denied = absent(Reason::UnknownOrder, &page, &elsewhere);
        assert_eq!(denied.status, 404);
        elsewhere.sales = 3;
        elsewhere.nodes = BTreeSet::from([4, 5]);
        let others = absent(Reason::UnknownOrder, &page, &elsewhere);
        assert_eq!((others.status, &*others.in_the_way["nodes"]), (503, "4, 5"));
        assert!(others.to_string().contains("3 events are on other nodes"));
        page.sales_missing = 2;
        let later = absent(Reason::UnknownOrder, &page, &elsewhere);
        assert_eq!(later.status, 503);
        assert!(later.to_string().contains("2 events"), "{later}");
    }

    #[test]
    fn sales_without_a_replica_here_are_elsewhere() {
        let group = |replicas: &[NodeId]| Placement {
            replicas: replicas.to_vec(),
            epoch: 1,
        };
        let sale = |sale_id, group, state| SaleEntry {
            sale_id,
            group,
            name: String::new(),
            venue: String::new(),
            organiser: String::new(),
            starts_at_ms: 0,
            test_mode: false,
            state,
        };
        let mut map = Map::default();
        map.groups.insert(1, group(&[1, 2, 3]));
        map.groups.insert(2, group(&[4, 5, 2]));
        for (sale_id, group, state) in [
            (10, 1, SaleState::Opened),
            (11, 2, SaleState::Opened),
            (12, 2, SaleState::Closed),
            (13, 2, SaleState::Reserved),
        ] {
            map.sales.insert(sale_id, sale(sale_id, group, state));
        }
        let of = |node| {
            let Elsewhere { sales, nodes } = elsewhere(&map, node);
            (sales, Vec::from_iter(nodes))
        };
        assert_eq!(of(1), (2, vec![4]));
        assert_eq!(of(2), (0, vec![]));
        assert_eq!(of(4), (1, vec![1]));
    }
}
