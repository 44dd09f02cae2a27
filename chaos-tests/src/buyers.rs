//! Commands as life sends them: a rush, families, people who give up, retries, clocks that jump.

use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, SeatRef};
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// One command with its time, owning what `Request` borrows.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at_ms: u64,
    pub partner: PartnerId,
    pub key: IdempotencyKey,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Hold {
        hold: HoldId,
        buyer: BuyerId,
        lines: Vec<HoldLine>,
        seats: Vec<SeatRef>,
    },
    Plain(Command<'static>),
}

impl Asked {
    pub fn request(&self) -> Request<'_> {
        let command = match &self.what {
            What::Plain(command) => command.clone(),
            What::Hold {
                hold,
                buyer,
                lines,
                seats,
            } => Command::PlaceHold(PlaceHold {
                hold: *hold,
                buyer: *buyer,
                ttl_ms: 0,
                lines,
                seats,
                sections: &[],
            }),
        };
        let channel = ChannelId(self.partner.0 as u16);
        Request {
            partner: self.partner,
            channel,
            key: self.key,
            hash: self.key.0 as u64,
            command,
        }
    }
}

/// A house of two seated sections and a standing area, drawn from the seed.
pub fn venue(rng: &mut StdRng) -> Venue {
    let mut sections: Vec<SectionPlan> = (0..2)
        .map(|_| {
            let rows = (0..rng.random_range(4..20))
                .map(|row| RowPlan {
                    seats: (0..rng.random_range(1..14))
                        .map(|at| seat(rng, row, at))
                        .collect(),
                })
                .collect();
            SectionPlan::Seated {
                focal_x: 60,
                focal_y: 0,
                rows,
            }
        })
        .collect();
    sections.push(SectionPlan::General {
        capacity: rng.random_range(0..40),
        category: 1,
    });
    Venue { sections }
}

fn seat(rng: &mut StdRng, row: i32, at: i32) -> SeatPlan {
    let attributes = if rng.random_bool(0.05) {
        Attributes::ACCESSIBLE
    } else {
        Attributes::default()
    };
    let aisle_after = rng.random_bool(0.1);
    SeatPlan {
        x: at * 10,
        y: row * 10,
        category: u16::from(row > 2),
        attributes,
        aisle_after,
    }
}

/// Draws commands without end.
pub struct Buyers {
    rng: StdRng,
    now_ms: u64,
    next_id: u128,
    holds: Vec<(HoldId, PartnerId)>,
    orders: Vec<(OrderId, PartnerId)>,
    sent: Vec<Asked>,
}

impl Buyers {
    pub fn new(seed: u64) -> Buyers {
        Buyers {
            rng: StdRng::seed_from_u64(seed),
            now_ms: 1_795_000_000_000,
            next_id: 1,
            holds: Vec::new(),
            orders: Vec::new(),
            sent: Vec::new(),
        }
    }

    pub fn venue(&mut self) -> Venue {
        venue(&mut self.rng)
    }

    pub fn draw(&mut self) -> Asked {
        // Proposers' stamps jump forward, and at times backwards after a change of leader.
        self.now_ms = match self.rng.random_range(0..100) {
            0 => self.now_ms.saturating_sub(10_000),
            1 => self.now_ms + 20 * 60 * 1000,
            _ => self.now_ms + self.rng.random_range(0..2000),
        };
        if !self.sent.is_empty() && self.rng.random_bool(0.05) {
            // A retry, some time later.
            let again = self.rng.random_range(0..self.sent.len());
            return Asked {
                at_ms: self.now_ms,
                ..self.sent[again].clone()
            };
        }
        let partner = PartnerId(self.rng.random_range(1..4));
        let number = self.id();
        let key = IdempotencyKey(u128::from(self.now_ms) << 80 | 7 << 76 | number);
        let (partner, what) = self.what(partner, number);
        let asked = Asked {
            at_ms: self.now_ms,
            partner,
            key,
            what,
        };
        self.sent.push(asked.clone());
        asked
    }

    fn id(&mut self) -> u128 {
        self.next_id += 1;
        self.next_id
    }

    fn what(&mut self, partner: PartnerId, number: u128) -> (PartnerId, What) {
        let plain = |command| (partner, What::Plain(command));
        match self.rng.random_range(0..100) {
            0 => plain(Command::PauseSale),
            1 => plain(Command::ResumeSale),
            2..=4 => plain(Command::OpenSale),
            5..=29 => match self.pick_hold() {
                Some((hold, partner)) => {
                    let order = OrderId(number);
                    self.orders.push((order, partner));
                    let payment = PaymentReference::new(b"paid").expect("short");
                    (
                        partner,
                        What::Plain(Command::ConfirmHold {
                            hold,
                            order,
                            payment,
                        }),
                    )
                }
                None => plain(Command::ExpireHolds),
            },
            30..=39 => match self.pick_hold() {
                Some((hold, partner)) => (partner, What::Plain(Command::ReleaseHold { hold })),
                None => plain(Command::ExpireHolds),
            },
            40..=44 => match self.pick_hold() {
                Some((hold, partner)) => (
                    partner,
                    What::Plain(Command::ExtendHold {
                        hold,
                        ttl_ms: 600_000,
                    }),
                ),
                None => plain(Command::ExpireHolds),
            },
            45..=52 if !self.orders.is_empty() => {
                let at = self.rng.random_range(0..self.orders.len());
                let (order, partner) = self.orders[at];
                (partner, What::Plain(Command::CancelOrder { order }))
            }
            _ => {
                let hold = HoldId(number);
                self.holds.push((hold, partner));
                let lines = (0..self.rng.random_range(1..3))
                    .map(|_| self.line())
                    .collect::<Vec<_>>();
                let seats = lines
                    .iter()
                    .flat_map(|line| match line {
                        HoldLine::Seats { count } => 0..*count,
                        _ => 0..0,
                    })
                    .map(|_| SeatRef {
                        section: self.rng.random_range(0..3),
                        seat: self.rng.random_range(0..30),
                    })
                    .collect();
                let buyer = BuyerId(u128::from(self.rng.random_range(0..50_u32)));
                (
                    partner,
                    What::Hold {
                        hold,
                        buyer,
                        lines,
                        seats,
                    },
                )
            }
        }
    }

    fn pick_hold(&mut self) -> Option<(HoldId, PartnerId)> {
        if self.holds.is_empty() {
            return None;
        }
        let at = self.rng.random_range(0..self.holds.len());
        Some(self.holds.swap_remove(at))
    }

    fn line(&mut self) -> HoldLine {
        match self.rng.random_range(0..10) {
            0..=1 => HoldLine::Seats {
                count: self.rng.random_range(0..4),
            },
            2 => HoldLine::General {
                section: 2,
                quantity: self.rng.random_range(0..5),
            },
            _ => HoldLine::BestAvailable {
                quantity: self.rng.random_range(1..9),
                category: CategoryChoice::Any,
                section_count: 0,
                accessible: self.rng.random_bool(0.05),
                split: self.rng.random_bool(0.3),
            },
        }
    }
}
