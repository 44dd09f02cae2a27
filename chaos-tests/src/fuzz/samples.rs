//! Valid values that several targets start from.

use domain::Sale;
use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, SeatRef};
use domain::rules::{ChannelRules, SaleRules};
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};

/// Log time of the first command, Unix milliseconds.
pub const START_MS: u64 = 1_795_000_000_000;

/// A key made at `START_MS`.
pub fn key(number: u64) -> IdempotencyKey {
    let version_7: u128 = 7 << 76 | 2 << 62;
    IdempotencyKey(u128::from(START_MS) << 80 | version_7 | u128::from(number))
}

/// Two rows with an aisle and a wheelchair place, and room to stand.
pub fn venue() -> Venue {
    let seat = |x: i32, y: i32| SeatPlan {
        x: x * 10,
        y: y * 10,
        category: (y % 2) as u16,
        attributes: if x == 7 {
            Attributes::ACCESSIBLE
        } else {
            Attributes::default()
        },
        aisle_after: x == 3,
    };
    let row = |y| RowPlan {
        seats: (0..8).map(|x| seat(x, y)).collect(),
    };
    Venue {
        sections: vec![
            SectionPlan::Seated {
                focal_x: 40,
                focal_y: -20,
                rows: vec![row(0), row(1)],
            },
            SectionPlan::General {
                capacity: 20,
                category: 1,
            },
        ],
    }
}

pub fn rules() -> SaleRules {
    SaleRules {
        hold_ttl_ms: 600_000,
        buyer_limit: 6,
        test_mode: true,
        channels: vec![ChannelRules {
            channel: ChannelId(2),
            floor: 2,
            cap: 20,
            hold_ttl_ms: 0,
        }],
        ..SaleRules::default()
    }
}

/// A sale of that venue that is announced.
pub fn sale() -> Sale {
    match Sale::new(&venue(), rules(), 7) {
        Ok(sale) => sale,
        Err(fault) => unreachable!("{fault}"),
    }
}

/// Gives every kind of command to `see`, in a sequence in which most are carried out.
pub fn commands(see: &mut dyn FnMut(Request<'_>)) {
    let mut number = 0;
    let mut tell = |command: Command<'_>| {
        number += 1;
        let is_sweep = command == Command::ExpireHolds;
        see(Request {
            partner: PartnerId(1),
            channel: ChannelId(1),
            key: if is_sweep {
                IdempotencyKey(0)
            } else {
                key(number)
            },
            hash: number,
            command,
        });
    };
    let seat = |seat| SeatRef { section: 0, seat };
    let (chosen, blocked) = ([seat(1), seat(2)], [seat(12)]);
    let lines = [
        HoldLine::Seats { count: 2 },
        HoldLine::General {
            section: 1,
            quantity: 2,
        },
    ];
    let best = [HoldLine::BestAvailable {
        quantity: 3,
        category: CategoryChoice::AtMost(0),
        section_count: 1,
        accessible: false,
        split: true,
    }];
    let payment = PaymentReference::new(b"pay-1").unwrap_or_else(|| unreachable!("short"));
    let place = |hold, lines, seats, sections| {
        Command::PlaceHold(PlaceHold {
            token: None,
            hold: HoldId(hold),
            buyer: BuyerId(hold),
            ttl_ms: 60_000,
            lines,
            seats,
            sections,
        })
    };
    tell(Command::OpenSale);
    tell(Command::BlockSeats { seats: &blocked });
    tell(place(1, &lines, &chosen, &[]));
    tell(place(2, &best, &[], &[0]));
    tell(place(3, &best, &[], &[0]));
    tell(Command::ExtendHold {
        hold: HoldId(2),
        ttl_ms: 90_000,
    });
    tell(Command::ConfirmHold {
        hold: HoldId(1),
        order: OrderId(11),
        payment,
    });
    tell(Command::ConfirmHold {
        hold: HoldId(3),
        order: OrderId(13),
        payment,
    });
    tell(Command::ReleaseHold { hold: HoldId(2) });
    tell(Command::CancelOrder { order: OrderId(13) });
    tell(Command::UnblockSeats { seats: &blocked });
    tell(Command::SetRules(Box::new(SaleRules {
        buyer_limit: 0,
        ..rules()
    })));
    tell(Command::ExpireHolds);
    tell(Command::PauseSale);
    tell(Command::ResumeSale);
    tell(Command::ReopenSale);
    tell(place(4, &best, &[], &[0]));
    tell(Command::CloseSale);
}

/// The sample commands as one run of records.
pub fn records() -> Vec<u8> {
    let mut records = Vec::new();
    commands(&mut |request| {
        if actors::codec::record::encode(&request, &mut records).is_err() {
            unreachable!("a short command");
        }
    });
    records
}

/// The sale after all sample commands but the last few, which free it again.
pub fn sold() -> Sale {
    let mut sale = sale();
    let mut left = 12;
    commands(&mut |request| {
        if left > 0 {
            left -= 1;
            sale.apply(START_MS, &request, &mut Vec::new());
        }
    });
    sale
}
