//! Legal histories of any length: clients that overlap, and the real domain that answers them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use domain::Sale;
use domain::outcome::{self, SeatRuns};
use domain::rejection::Rejection;
use domain::rules::SaleRules;
use domain::venue::{RowPlan, SeatPlan, SectionPlan, Venue};
use domain::{SectionPlanes, command::CategoryChoice, command::HoldLine, ids::SeatRef};
use rand::{RngExt as _, SeedableRng as _};

use crate::history::record::{
    Call, Done, Final, FinalHold, FinalOrder, House, Id, Op, Outcome, Reason, Record, Rejected,
    Run, SectionSize, Seen,
};
use crate::layer1::Draw;
use crate::layer1::asked::{self, Action, Place};

#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub seed: u64,
    pub ops: usize,
    pub clients: u32,
    pub rows: u32,
    pub seats_in_row: u32,
    pub hold_ttl_ms: u32,
    /// Answers that get lost, in 1,000.
    pub lost: u32,
    /// Of these, retried with the same key, in 100.
    pub retried: u32,
    /// Reads in 1,000 calls.
    pub reads: u32,
    /// Replicas read at the end.
    pub finals: u32,
}

/// Log time at the start, Unix milliseconds.
const START_MS: u64 = 1_795_000_000_000;

enum Moment {
    Invoke {
        again: Option<Op>,
    },
    /// The call reaches the sale, or is lost before, or its answer is lost.
    Decide {
        op: Op,
        reaches: bool,
        told: bool,
    },
}

struct Client {
    number: u32,
    holds: Vec<(Id, Vec<Run>)>,
    orders: Vec<Id>,
}

struct Town {
    wanted: Wanted,
    draw: Draw,
    sale: Sale,
    clients: Vec<Client>,
    moments: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// What happens at a moment, by its number.
    what: Vec<Option<Moment>>,
    next_id: u128,
    index: u64,
    next_client: u32,
    ops: Vec<Op>,
}

/// A legal history: house, ops by the time they were invoked, finals.
pub fn generate(wanted: &Wanted) -> Vec<Record> {
    let rows = (0..wanted.rows as i32)
        .map(|row| RowPlan {
            seats: (0..wanted.seats_in_row as i32)
                .map(|at| SeatPlan {
                    x: at * 10,
                    y: row * 10,
                    ..SeatPlan::default()
                })
                .collect(),
        })
        .collect();
    let venue = Venue {
        sections: vec![SectionPlan::Seated {
            focal_x: 0,
            focal_y: 0,
            rows,
        }],
    };
    let rules = SaleRules {
        hold_ttl_ms: wanted.hold_ttl_ms,
        hold_life_max_ms: wanted.hold_ttl_ms.saturating_mul(4),
        ..SaleRules::default()
    };
    let sale = Sale::new(&venue, rules, wanted.seed)
        .unwrap_or_else(|fault| unreachable!("a plain house is refused: {fault:?}"));
    let mut town = Town {
        wanted: *wanted,
        draw: Draw::seed_from_u64(wanted.seed),
        sale,
        clients: Vec::new(),
        moments: BinaryHeap::new(),
        what: Vec::new(),
        next_id: 0,
        index: 0,
        next_client: wanted.clients,
        ops: Vec::new(),
    };
    town.live();
    let mut records = vec![Record::House(House {
        sale: 1,
        sections: vec![SectionSize::Seats(wanted.rows * wanted.seats_in_row)],
    })];
    let finals = (0..wanted.finals).map(|replica| town.end(replica));
    let finals: Vec<Record> = finals.map(Record::Final).collect();
    let mut ops = town.ops;
    ops.sort_by_key(|op| op.invoke);
    records.extend(ops.into_iter().map(Record::Op));
    records.extend(finals);
    records
}

impl Town {
    fn live(&mut self) {
        let open = Op {
            client: u32::MAX - 2,
            ..self.op(0, Call::Govern, None)
        };
        self.decide(1, 0, open, true, true);
        for number in 0..self.wanted.clients {
            self.clients.push(Client {
                number,
                holds: Vec::new(),
                orders: Vec::new(),
            });
            let at = 20 + self.draw.random_range(0..20);
            self.at(at, number as usize, Moment::Invoke { again: None });
        }
        while let Some(Reverse((now, number, client))) = self.moments.pop() {
            match self.what[number as usize].take() {
                Some(Moment::Invoke { again }) => self.invoke(now, client, again),
                Some(Moment::Decide { op, reaches, told }) => {
                    self.decide(now, client, op, reaches, told);
                }
                None => {}
            }
        }
    }

    fn at(&mut self, time: u64, client: usize, moment: Moment) {
        let number = self.what.len() as u64;
        self.what.push(Some(moment));
        self.moments.push(Reverse((time, number, client)));
    }

    fn id(&mut self) -> Id {
        self.next_id += 1;
        Id(self.next_id)
    }

    fn op(&mut self, invoke: u64, call: Call, asked: Option<Vec<Run>>) -> Op {
        let key = match call {
            Call::Read { .. } => Id(0),
            _ => Id(u128::from(START_MS) << 80 | self.id().0),
        };
        Op {
            sale: 1,
            client: 0,
            key,
            call,
            asked,
            ttl_ms: matches!(call, Call::Place { .. })
                .then_some(u64::from(self.wanted.hold_ttl_ms)),
            invoke,
            returned: None,
            outcome: Outcome::Unknown,
        }
    }

    fn invoke(&mut self, now: u64, client: usize, again: Option<Op>) {
        if self.ops.len() >= self.wanted.ops {
            return;
        }
        let mut op = match again {
            Some(op) => Op { invoke: now, ..op },
            None => self.choose(now, client),
        };
        op.client = self.clients[client].number;
        let lost = self.draw.random_range(0..1_000) < self.wanted.lost;
        let reaches = !lost || self.draw.random_bool(0.5);
        let at = now + self.draw.random_range(1..30);
        let told = !lost;
        self.at(at, client, Moment::Decide { op, reaches, told });
    }

    fn choose(&mut self, now: u64, client: usize) -> Op {
        if self.draw.random_range(0..1_000) < self.wanted.reads {
            return self.op(now, Call::Read { stale: false }, None);
        }
        // Mostly the client's own, at times what another client knows.
        let from = match self.draw.random_range(0..8) {
            0 => self.draw.random_range(0..self.clients.len()),
            _ => client,
        };
        let Client { holds, orders, .. } = &self.clients[from];
        let hold = holds.get(self.draw.random_range(0..holds.len().max(1)));
        let order = orders.get(self.draw.random_range(0..orders.len().max(1)));
        let (hold, order) = (hold.map(|(hold, _)| *hold), order.copied());
        let call = match (self.draw.random_range(0..100), hold, order) {
            (0..30, Some(hold), _) => Call::Confirm {
                hold,
                order: self.id(),
            },
            (30..38, Some(hold), _) => Call::Release { hold },
            (38..44, Some(hold), _) => Call::Extend { hold },
            (44..58, _, Some(order)) => Call::Cancel { order },
            _ => return self.place(now),
        };
        self.op(now, call, None)
    }

    fn place(&mut self, now: u64) -> Op {
        let hold = self.id();
        let seats = self.wanted.rows * self.wanted.seats_in_row;
        let first = self.draw.random_range(0..seats);
        let count = self.draw.random_range(1..=3).min(seats - first);
        let asked = match self.wanted.retried < 100 || self.draw.random_bool(0.3) {
            true => Some(vec![Run(0, first, count as u16)]),
            false => None,
        };
        self.op(now, Call::Place { hold }, asked)
    }

    fn action(&self, op: &Op) -> Action {
        match op.call {
            Call::Place { hold } => {
                let chosen = op.asked.as_deref().and_then(|runs| runs.first());
                let (line, seats) = match chosen {
                    Some(Run(section, first, count)) => (
                        HoldLine::Seats { count: *count },
                        (*first..*first + u32::from(*count))
                            .map(|seat| SeatRef {
                                section: *section,
                                seat,
                            })
                            .collect(),
                    ),
                    None => (
                        HoldLine::BestAvailable {
                            quantity: 2,
                            category: CategoryChoice::Any,
                            section_count: 0,
                            accessible: false,
                            split: true,
                        },
                        Vec::new(),
                    ),
                };
                Action::Place(Box::new(Place {
                    hold: hold.0,
                    buyer: 1,
                    ttl_ms: 0,
                    lines: vec![line],
                    seats,
                    sections: Vec::new(),
                }))
            }
            Call::Extend { hold } => Action::Extend {
                hold: hold.0,
                ttl_ms: 0,
            },
            Call::Release { hold } => Action::Release { hold: hold.0 },
            Call::Confirm { hold, order } => Action::Confirm {
                hold: hold.0,
                order: order.0,
            },
            Call::Cancel { order } => Action::Cancel { order: order.0 },
            Call::Block | Call::Unblock | Call::Govern | Call::Read { .. } => Action::Open,
        }
    }

    fn decide(&mut self, now: u64, client: usize, mut op: Op, reaches: bool, told: bool) {
        let at_ms = START_MS + now;
        self.index += 1;
        let outcome = match (op.call, reaches) {
            (Call::Read { .. }, _) => Outcome::Seen(self.seen()),
            (_, false) => Outcome::Unknown,
            (_, true) => {
                let call = asked::Call {
                    partner: 1,
                    channel: 1,
                    key: op.key.0,
                    hash: op.key.0 as u64,
                    action: self.action(&op),
                };
                let decided = self.sale.apply(at_ms, &call.request(), &mut Vec::new());
                self.told(at_ms, decided)
            }
        };
        // So many are never told; some learn that nothing can have happened.
        if told {
            op.outcome = outcome;
            let returned = now + self.draw.random_range(1..30);
            op.returned = Some(returned);
            if let Some(client) = self.clients.get_mut(client) {
                client.learn(&op);
            }
            self.ops.push(op);
            let next = returned + self.draw.random_range(1..20);
            if now > 1 {
                self.at(next, client, Moment::Invoke { again: None });
            }
            return;
        }
        let fails = !reaches && self.draw.random_range(0..4) == 0;
        let later = now + self.draw.random_range(20..200);
        if fails {
            op.outcome = Outcome::Failed;
            op.returned = Some(later);
        }
        self.ops.push(op.clone());
        let is_read = matches!(op.call, Call::Read { .. });
        let again = !is_read && self.draw.random_range(0..100) < self.wanted.retried;
        if !again && !fails {
            // As far as order goes, who was not answered is gone and another comes.
            self.clients[client].number = self.next_client;
            self.next_client += 1;
        }
        let again = again.then_some(Op {
            outcome: Outcome::Unknown,
            returned: None,
            ..op
        });
        self.at(later + 1, client, Moment::Invoke { again });
    }

    fn told(&self, at_ms: u64, decided: outcome::Outcome) -> Outcome {
        let (index, at_ms) = (self.index, Some(at_ms));
        match decided {
            outcome::Outcome::Done(done) => Outcome::Done(Done {
                index,
                revision: done.revision.0,
                // A retry's answer is that of the first attempt: it tells no time.
                at_ms: (done.revision == self.sale.revision())
                    .then_some(at_ms)
                    .flatten(),
                deadline_ms: done.deadline_ms,
                runs: runs(&done.seats),
            }),
            outcome::Outcome::Rejected(rejection) => Outcome::Rejected(Rejected {
                index,
                revision: self.sale.revision().0,
                at_ms,
                reason: reason(rejection),
            }),
        }
    }

    fn seen(&self) -> Seen {
        let (mut held, mut sold) = (Vec::new(), Vec::new());
        if let Some(SectionPlanes::Seated {
            held: held_plane,
            sold: sold_plane,
            ..
        }) = self.sale.planes(0)
        {
            held = plane_runs(&held_plane);
            sold = plane_runs(&sold_plane);
        }
        Seen {
            index: self.index,
            revision: self.sale.revision().0,
            held,
            sold,
            blocked: Vec::new(),
        }
    }

    fn end(&self, replica: u32) -> Final {
        let holds = self.sale.holds().map(|hold| FinalHold {
            hold: Id(hold.id.0),
            deadline_ms: hold.deadline_ms,
            runs: runs(&hold.seats),
        });
        let orders = self.sale.orders().map(|order| FinalOrder {
            order: Id(order.id.0),
            paid: order.state == domain::order::OrderState::Paid,
            runs: runs(&order.seats),
        });
        Final {
            sale: 1,
            replica,
            now_ms: self.sale.now_ms(),
            seen: self.seen(),
            holds: holds.collect(),
            orders: orders.collect(),
        }
    }
}

impl Client {
    fn learn(&mut self, op: &Op) {
        let Outcome::Done(done) = &op.outcome else {
            return;
        };
        match op.call {
            Call::Place { hold } => self.holds.push((hold, done.runs.clone())),
            Call::Confirm { order, .. } => self.orders.push(order),
            _ => {}
        }
        // The old ones are tried long after they have ended, but not for ever.
        if self.holds.len() > 6 {
            self.holds.remove(0);
        }
        if self.orders.len() > 6 {
            self.orders.remove(0);
        }
    }
}

fn runs(seats: &SeatRuns) -> Vec<Run> {
    let runs = seats.as_slice().iter();
    runs.map(|run| Run(run.section, run.first, run.count))
        .collect()
}

fn plane_runs(plane: &[u64]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, word) in plane.iter().enumerate() {
        for bit in (0..64).filter(|bit| word >> bit & 1 == 1) {
            let seat = (at * 64 + bit) as u32;
            match runs.last_mut() {
                Some(Run(_, first, count)) if *first + u32::from(*count) == seat => *count += 1,
                _ => runs.push(Run(0, seat, 1)),
            }
        }
    }
    runs
}

fn reason(rejection: Rejection) -> Reason {
    match rejection {
        Rejection::SeatTaken { seat, .. } => Reason::SeatTaken {
            section: seat.section,
            seat: seat.seat,
        },
        Rejection::HoldIdInUse => Reason::HoldInUse,
        Rejection::HoldReleased => Reason::HoldReleased,
        Rejection::HoldExpired => Reason::HoldExpired,
        Rejection::HoldConfirmed => Reason::HoldConfirmed,
        Rejection::UnknownHold => Reason::UnknownHold,
        Rejection::OrderIdInUse => Reason::OrderInUse,
        Rejection::UnknownOrder => Reason::UnknownOrder,
        Rejection::OrderCancelled => Reason::OrderCancelled,
        other => Reason::Other {
            name: format!("{other:?}"),
        },
    }
}
