//! Real sales of the domain with a feed, and the naive reading of their facts: one list of rows,
//! searched from the front.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actors::sale::Bookings;
use async_trait::async_trait;
use domain::Sale;
use domain::change::{Change, Fact};
use domain::command::{Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{
    BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, Revision, SaleId,
};
use domain::rules::SaleRules;
use domain::venue::{SectionPlan, Venue};

use super::super::row::{Row, RowState};
use super::super::{Kind, Query, Source};

pub const START_MS: u64 = 1_700_000_000_000;

/// The sales of a node.
#[derive(Clone, Default)]
pub struct Town(pub Arc<Mutex<BTreeMap<u64, Venture>>>);

/// A sale and what a reader with all the time in the world knows of it.
#[derive(Clone)]
pub struct Venture {
    pub sale: Sale,
    pub rows: Vec<Row>,
    keys: u128,
}

/// What somebody does to a sale. Holds and orders are numbered in the sequence of their placing.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Hold {
        buyer: u8,
        partner: u8,
    },
    Confirm(usize),
    Release(usize),
    Extend(usize),
    Cancel(usize),
    /// So many minutes pass.
    Wait(u8),
    Reopen,
}

impl Venture {
    pub fn new() -> Venture {
        let venue = Venue {
            sections: vec![SectionPlan::General {
                capacity: 10_000,
                category: 0,
            }],
        };
        let rules = SaleRules {
            test_mode: true,
            ..SaleRules::default()
        };
        let mut venture = Venture {
            sale: Sale::new(&venue, rules, 7).expect("a good venue"),
            rows: Vec::new(),
            keys: 0,
        };
        venture.command(SaleId(0), 0, START_MS, Command::OpenSale);
        venture
    }

    fn command(
        &mut self,
        id: SaleId,
        partner: u8,
        at_ms: u64,
        command: Command<'_>,
    ) -> Vec<Change> {
        self.keys += 1;
        let request = Request {
            partner: PartnerId(partner.into()),
            channel: ChannelId(1),
            key: IdempotencyKey(u128::from(at_ms) << 80 | self.keys),
            hash: self.keys as u64,
            command,
        };
        let mut changes = Vec::new();
        let _ = self.sale.apply(at_ms, &request, &mut changes);
        changes.iter().for_each(|change| self.read(id, change));
        changes
    }

    pub fn act(&mut self, id: SaleId, act: Act) -> Vec<Change> {
        let now = self.sale.now_ms();
        let nth = |rows: &[Row], n: usize| {
            let row = rows.get(n % rows.len().max(1));
            row.map_or((HoldId(1), OrderId(1), 0), |row| {
                (
                    row.hold,
                    row.order.unwrap_or(OrderId(1)),
                    row.partner.0 as u8,
                )
            })
        };
        match act {
            Act::Hold { buyer, partner } => {
                let place = PlaceHold {
                    token: None,
                    hold: HoldId(self.keys << 8),
                    buyer: BuyerId(buyer.into()),
                    ttl_ms: 0,
                    lines: &[HoldLine::General {
                        section: 0,
                        quantity: 2,
                    }],
                    seats: &[],
                    sections: &[],
                };
                self.command(id, partner, now + 1_000, Command::PlaceHold(place))
            }
            Act::Confirm(n) => {
                let (hold, _, partner) = nth(&self.rows, n);
                // Some use one id for both.
                let order = OrderId(hold.0 + u128::from(n % 3 == 0));
                let payment = PaymentReference::new(b"paid").expect("short");
                let command = Command::ConfirmHold {
                    hold,
                    order,
                    payment,
                };
                self.command(id, partner, now + 10, command)
            }
            Act::Release(n) => {
                let (hold, _, partner) = nth(&self.rows, n);
                self.command(id, partner, now, Command::ReleaseHold { hold })
            }
            Act::Extend(n) => {
                let (hold, _, partner) = nth(&self.rows, n);
                let ttl_ms = 45 * 60_000;
                self.command(id, partner, now, Command::ExtendHold { hold, ttl_ms })
            }
            Act::Cancel(n) => {
                let (_, order, partner) = nth(&self.rows, n);
                self.command(id, partner, now, Command::CancelOrder { order })
            }
            Act::Wait(minutes) => {
                let later = now + u64::from(minutes) * 60_000;
                self.command(id, 0, later, Command::ExpireHolds)
            }
            Act::Reopen => self.command(id, 0, now, Command::ReopenSale),
        }
    }

    fn read(&mut self, sale: SaleId, change: &Change) {
        let rows = &mut self.rows;
        match change.fact {
            Fact::HoldPlaced {
                hold,
                buyer,
                partner,
                channel,
                seats,
                deadline_ms,
            } => {
                rows.push(Row {
                    sale,
                    at_ms: change.at_ms,
                    hold,
                    order: None,
                    state: RowState::Held,
                    partner,
                    channel,
                    buyer,
                    seats,
                    held_at_ms: change.at_ms,
                    deadline_ms,
                });
            }
            Fact::HoldExtended { hold, deadline_ms } => {
                live(rows, hold).deadline_ms = deadline_ms;
            }
            Fact::HoldReleased { hold } => {
                live(rows, hold).state = RowState::Released;
            }
            Fact::HoldExpired { hold } => {
                live(rows, hold).state = RowState::Expired;
            }
            Fact::OrderPlaced { order, hold, seats } => {
                let row = live(rows, hold);
                row.order = Some(order);
                row.state = RowState::Paid;
                row.at_ms = change.at_ms;
                row.seats = seats;
            }
            Fact::OrderCancelled { order } => {
                let row = rows.iter_mut().find(|row| row.order == Some(order));
                row.expect("an order").state = RowState::Cancelled;
            }
            Fact::SaleReopened { .. } => rows.retain(|row| row.order.is_none()),
            Fact::SeatsChanged { .. } | Fact::PhaseChanged { .. } | Fact::RulesSet => {}
        }
    }

    pub fn bookings(&self) -> Bookings {
        Bookings {
            revision: self.sale.revision(),
            holds: self.sale.holds().cloned().collect(),
            orders: self.sale.orders().cloned().collect(),
        }
    }
}

/// The active hold with this id.
fn live(rows: &mut [Row], hold: HoldId) -> &mut Row {
    let held = |row: &&mut Row| row.state == RowState::Held && row.hold == hold;
    rows.iter_mut().find(held).expect("a hold")
}

impl Town {
    pub fn with(sales: &[u64]) -> Town {
        let ventures = sales.iter().map(|sale| (*sale, Venture::new()));
        Town(Arc::new(Mutex::new(ventures.collect())))
    }

    pub fn act(&self, sale: u64, act: Act) -> Arc<[Change]> {
        let mut town = self.0.lock().expect("no test panics with it");
        let venture = town.get_mut(&sale).expect("a sale of the town");
        venture.act(SaleId(sale), act).into()
    }

    /// What the index should answer, without paging.
    pub fn rows(&self, query: &Query) -> Vec<Row> {
        let town = self.0.lock().expect("no test panics with it");
        let rows = town
            .values()
            .flat_map(|venture| venture.rows.iter().copied());
        let mut rows: Vec<Row> = rows.filter(|row| fits(query, row)).collect();
        rows.sort_by_key(|row| (row.at_ms, row.sale, row.id()));
        rows
    }
}

/// Written again, so that it is not the index's own opinion.
fn fits(query: &Query, row: &Row) -> bool {
    let Query {
        kind,
        event,
        partner,
        buyer,
        states,
        id,
        from_ms,
        to_ms,
        limit: _,
        page_token: _,
    } = query;
    if *kind == Kind::Orders && row.order.is_none() {
        return false;
    }
    if let Some(id) = *id {
        let by_hold = *kind == Kind::Holds && row.hold == HoldId(id);
        if row.order != Some(OrderId(id)) && !by_hold {
            return false;
        }
    }
    let not = |wanted: Option<u128>, is: u128| wanted.is_some_and(|wanted| wanted != is);
    !(not(event.map(|event| event.0.into()), row.sale.0.into())
        || not(
            partner.map(|partner| partner.0.into()),
            row.partner.0.into(),
        )
        || not(buyer.map(|buyer| buyer.0), row.buyer.0)
        || !states.is_empty() && !states.contains(&row.state)
        || from_ms.is_some_and(|from| row.at_ms < from)
        || to_ms.is_some_and(|to| row.at_ms >= to))
}

#[async_trait]
impl Source for Town {
    fn sales(&self) -> Option<Vec<SaleId>> {
        let town = self.0.lock().expect("no test panics with it");
        Some(town.keys().map(|sale| SaleId(*sale)).collect())
    }

    async fn revision(&self, sale: SaleId) -> Option<Revision> {
        let town = self.0.lock().expect("no test panics with it");
        town.get(&sale.0).map(|venture| venture.sale.revision())
    }

    async fn bookings(&self, sale: SaleId) -> Option<Bookings> {
        let town = self.0.lock().expect("no test panics with it");
        town.get(&sale.0).map(Venture::bookings)
    }
}
