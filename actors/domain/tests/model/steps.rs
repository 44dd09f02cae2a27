//! Owned requests, so that a step can be kept, repeated and given to several sales.

use domain::Sale;
use domain::change::Change;
use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, SeatRef};
use domain::invariants;
use domain::outcome::Outcome;
use domain::rules::SaleRules;

#[derive(Clone, Debug)]
pub enum Action {
    Open,
    Pause,
    Resume,
    Close,
    Reopen,
    SetRules(SaleRules),
    Block(Vec<SeatRef>),
    Unblock(Vec<SeatRef>),
    Place {
        hold: u128,
        buyer: u128,
        ttl_ms: u32,
        lines: Vec<HoldLine>,
        seats: Vec<SeatRef>,
        sections: Vec<u16>,
    },
    Extend {
        hold: u128,
        ttl_ms: u32,
    },
    Release {
        hold: u128,
    },
    Confirm {
        hold: u128,
        order: u128,
    },
    Cancel {
        order: u128,
    },
    Expire,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub partner: u32,
    pub channel: u16,
    pub key: u128,
    pub hash: u64,
    pub action: Action,
}

impl Step {
    pub fn request(&self) -> Request<'_> {
        Request {
            partner: PartnerId(self.partner),
            channel: ChannelId(self.channel),
            key: IdempotencyKey(self.key),
            hash: self.hash,
            command: self.action.command(),
        }
    }
}

impl Action {
    fn command(&self) -> Command<'_> {
        match self {
            Action::Open => Command::OpenSale,
            Action::Pause => Command::PauseSale,
            Action::Resume => Command::ResumeSale,
            Action::Close => Command::CloseSale,
            Action::Reopen => Command::ReopenSale,
            Action::SetRules(rules) => Command::SetRules(Box::new(rules.clone())),
            Action::Block(seats) => Command::BlockSeats { seats },
            Action::Unblock(seats) => Command::UnblockSeats { seats },
            Action::Place {
                hold,
                buyer,
                ttl_ms,
                lines,
                seats,
                sections,
            } => Command::PlaceHold(PlaceHold {
                token: None,
                hold: HoldId(*hold),
                buyer: BuyerId(*buyer),
                ttl_ms: *ttl_ms,
                lines,
                seats,
                sections,
            }),
            Action::Extend { hold, ttl_ms } => Command::ExtendHold {
                hold: HoldId(*hold),
                ttl_ms: *ttl_ms,
            },
            Action::Release { hold } => Command::ReleaseHold {
                hold: HoldId(*hold),
            },
            Action::Confirm { hold, order } => Command::ConfirmHold {
                hold: HoldId(*hold),
                order: OrderId(*order),
                payment: PaymentReference::new(b"paid").unwrap(),
            },
            Action::Cancel { order } => Command::CancelOrder {
                order: OrderId(*order),
            },
            Action::Expire => Command::ExpireHolds,
        }
    }
}

pub fn best_line(
    n: u16,
    category: CategoryChoice,
    sections: usize,
    accessible: bool,
    split: bool,
) -> HoldLine {
    HoldLine::BestAvailable {
        quantity: n,
        category,
        section_count: sections as u16,
        accessible,
        split,
    }
}

pub fn key(at_ms: u64, n: u64) -> u128 {
    u128::from(at_ms) << 80 | u128::from(n)
}

/// A sale and somebody who asks it with a fresh key each time.
pub struct Asker {
    pub sale: Sale,
    pub changes: Vec<Change>,
    asked: u64,
}

impl Asker {
    pub fn new(sale: Sale) -> Asker {
        Asker {
            sale,
            changes: Vec::new(),
            asked: 0,
        }
    }

    pub fn ask(&mut self, at_ms: u64, action: Action) -> Outcome {
        self.asked += 1;
        let step = Step {
            partner: 1,
            channel: 1,
            key: key(at_ms, self.asked),
            hash: self.asked,
            action,
        };
        self.sale.apply(at_ms, &step.request(), &mut self.changes)
    }

    pub fn open(&mut self) {
        self.ask(1_000, Action::Open);
    }

    pub fn block(&mut self, seats: &[SeatRef]) {
        let outcome = self.ask(1_000, Action::Block(seats.to_vec()));
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    pub fn place(&mut self, lines: &[HoldLine], seats: &[SeatRef], sections: &[u16]) -> Outcome {
        let hold = u128::from(self.asked) + 1;
        let (lines, seats, sections) = (lines.to_vec(), seats.to_vec(), sections.to_vec());
        self.ask(
            1_000,
            Action::Place {
                hold,
                buyer: 1,
                ttl_ms: 0,
                lines,
                seats,
                sections,
            },
        )
    }

    pub fn held_seats(&self) -> Vec<SeatRef> {
        let mut seats: Vec<SeatRef> = Vec::new();
        for run in self.sale.holds().flat_map(|hold| hold.seats.as_slice()) {
            let section = run.section;
            seats.extend(
                (run.first..run.first + u32::from(run.count)).map(|seat| SeatRef { section, seat }),
            );
        }
        seats.sort();
        seats
    }

    pub fn check(&self) {
        assert_eq!(invariants::check(&self.sale), []);
    }
}
