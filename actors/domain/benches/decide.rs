//! How long decisions take at 20,000 seats, over whole sell-throughs.
//!
//! `cargo bench -p domain`. Each figure is the mean over a sale that is sold out and reopened, so it
//! holds fresh and nearly empty trees alike. `place` is `PlaceHold` alone, idempotency included.

#![allow(
    missing_docs,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domain::Sale;
use domain::change::Change;
use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, SeatRef};
use domain::outcome::Outcome;
use domain::rules::SaleRules;
use domain::venue::{RowPlan, SeatPlan, SectionPlan, Venue};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// `sections` blocks of rows of 25 seats, 20,000 seats in all.
fn venue(sections: usize) -> Venue {
    let rows = 800 / sections;
    let seat = |row: i32, seat: i32| SeatPlan {
        x: (seat - 12) * (50 + row),
        y: row * 80 + (seat - 12) * (seat - 12) / 2,
        ..SeatPlan::default()
    };
    let section = |_| SectionPlan::Seated {
        focal_x: 0,
        focal_y: -400,
        rows: (0..rows as i32)
            .map(|row| RowPlan {
                seats: (0..25).map(|number| seat(row, number)).collect(),
            })
            .collect(),
    };
    Venue {
        sections: (0..sections).map(section).collect(),
    }
}

struct Office {
    sale: Sale,
    changes: Vec<Change>,
    asked: u64,
}

impl Office {
    fn new(sections: usize) -> Office {
        let rules = SaleRules {
            test_mode: true,
            ..SaleRules::default()
        };
        let sale = Sale::new(&venue(sections), rules, 7).expect("valid");
        let mut office = Office {
            sale,
            changes: Vec::with_capacity(1 << 16),
            asked: 0,
        };
        office.ask(Command::OpenSale);
        office
    }

    fn ask(&mut self, command: Command<'_>) -> Outcome {
        self.asked += 1;
        // Half a microsecond apart, as under full load; the rest of the key as good as random.
        let at_ms = 1_000_000 + self.asked / 2_000;
        let random = self.asked.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let key = IdempotencyKey(u128::from(at_ms) << 80 | u128::from(random));
        let request = Request {
            partner: PartnerId(1),
            channel: ChannelId(1),
            key,
            hash: random,
            command,
        };
        self.changes.clear();
        self.sale.apply(at_ms, &request, &mut self.changes)
    }

    fn id(&self) -> u128 {
        u128::from(self.asked) << 64 | u128::from(self.asked.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn place(&mut self, quantity: u16) -> Option<HoldId> {
        let lines = [HoldLine::BestAvailable {
            quantity,
            category: CategoryChoice::Any,
            section_count: 0,
            accessible: false,
            split: false,
        }];
        let hold = HoldId(self.id());
        let ask = PlaceHold {
            token: None,
            hold,
            buyer: BuyerId(hold.0),
            ttl_ms: 0,
            lines: &lines,
            seats: &[],
            sections: &[],
        };
        match self.ask(Command::PlaceHold(ask)) {
            Outcome::Done(_) => Some(hold),
            Outcome::Rejected(_) => None,
        }
    }

    fn confirm(&mut self, hold: HoldId) {
        let payment = PaymentReference::new(b"pay_0123456789abcdef").expect("short");
        black_box(self.ask(Command::ConfirmHold {
            hold,
            order: OrderId(hold.0),
            payment,
        }));
    }

    /// Sells out and reopens: the time of each sale's commands without the reopening.
    fn sell_through(
        &mut self,
        operations: u64,
        mut size: impl FnMut(u64) -> u16,
        confirm: bool,
    ) -> Duration {
        let mut spent = Duration::ZERO;
        let mut done = 0;
        let mut open: Vec<HoldId> = Vec::new();
        while done < operations {
            let begin = Instant::now();
            let mut is_sold_out = false;
            while done < operations {
                match self.place(size(done)) {
                    Some(hold) if confirm => self.confirm(hold),
                    Some(hold) => open.push(hold),
                    None => {
                        is_sold_out = true;
                        break;
                    }
                }
                done += 1;
            }
            spent += begin.elapsed();
            if is_sold_out {
                for hold in open.drain(..) {
                    self.ask(Command::ReleaseHold { hold });
                }
                self.ask(Command::ReopenSale);
            }
        }
        spent
    }
}

fn decisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("place_hold");
    group
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500));
    for sections in [1, 40] {
        for quantity in [1_u16, 2, 4, 8] {
            group.bench_function(
                format!("best_{quantity}_of_20000_in_{sections}_sections"),
                |b| {
                    let mut office = Office::new(sections);
                    b.iter_custom(|n| office.sell_through(n, |_| quantity, false));
                },
            );
        }
    }
    group.bench_function("best_1_to_8_mixed", |b| {
        let mut office = Office::new(40);
        b.iter_custom(|n| {
            office.sell_through(
                n,
                |at| 1 + (at.wrapping_mul(0x9E37_79B9) >> 8) as u16 % 8,
                false,
            )
        });
    });
    group.finish();
}

fn operations(c: &mut Criterion) {
    let mut group = c.benchmark_group("place_and_confirm");
    group
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500));
    for quantity in [1_u16, 4] {
        group.bench_function(format!("best_{quantity}"), |b| {
            let mut office = Office::new(1);
            b.iter_custom(|n| office.sell_through(n, |_| quantity, true));
        });
    }
    group.bench_function("with_2000_abandoned_holds", |b| {
        let mut office = Office::new(1);
        for _ in 0..2_000 {
            office.place(1);
        }
        b.iter_custom(|n| office.sell_through(n, |_| 1, true));
    });
    group.bench_function("chosen_seat", |b| {
        let mut office = Office::new(1);
        let mut seat = 0_u32;
        b.iter(|| {
            if seat == 20_000 {
                office.ask(Command::ReopenSale);
                seat = 0;
            }
            let seats = [SeatRef { section: 0, seat }];
            seat += 1;
            let hold = HoldId(office.id());
            let lines = [HoldLine::Seats { count: 1 }];
            let ask = PlaceHold {
                token: None,
                hold,
                buyer: BuyerId(1),
                ttl_ms: 0,
                lines: &lines,
                seats: &seats,
                sections: &[],
            };
            black_box(office.ask(Command::PlaceHold(ask)));
            office.confirm(hold);
        });
    });
    group.finish();
}

fn refusals(c: &mut Criterion) {
    let mut group = c.benchmark_group("sold_out");
    group
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500));
    let mut office = Office::new(40);
    while let Some(hold) = office.place(8) {
        office.confirm(hold);
    }
    while let Some(hold) = office.place(1) {
        office.confirm(hold);
    }
    group.bench_function("through_apply", |b| b.iter(|| black_box(office.place(2))));
    group.bench_function("hopeless", |b| {
        let lines = [HoldLine::BestAvailable {
            quantity: 2,
            category: CategoryChoice::Any,
            section_count: 0,
            accessible: false,
            split: false,
        }];
        let ask = PlaceHold {
            token: None,
            hold: HoldId(1),
            buyer: BuyerId(1),
            ttl_ms: 0,
            lines: &lines,
            seats: &[],
            sections: &[],
        };
        let mut n = 0_u128;
        b.iter(|| {
            n += 1;
            let now_ms = office.sale.now_ms();
            let key = IdempotencyKey(u128::from(now_ms + 1_000) << 80 | n);
            let command = Command::PlaceHold(ask);
            let request = Request {
                partner: PartnerId(1),
                channel: ChannelId(1),
                key,
                hash: 1,
                command,
            };
            black_box(office.sale.hopeless(&request, now_ms))
        });
    });
    group.finish();
}

criterion_group!(benches, decisions, operations, refusals);
criterion_main!(benches);
