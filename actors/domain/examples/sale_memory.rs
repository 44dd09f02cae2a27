//! How much memory sales take: idle ones of 500 seats, and one of 100,000 seats on sale.
//!
//! `cargo run --release -p domain --example sale_memory` counts what the allocator hands out.

// The rules of purity are for the sale: this prints and counts with atomics.
#![allow(clippy::disallowed_macros, clippy::disallowed_types)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::Sale;
use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId};
use domain::outcome::Outcome;
use domain::rules::SaleRules;
use domain::venue::{RowPlan, SeatPlan, SectionPlan, Venue};

struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn venue(rows: i32) -> Venue {
    let seat = |x: i32, y: i32| SeatPlan {
        x: x * 50,
        y: y * 80,
        ..SeatPlan::default()
    };
    let rows = (0..rows)
        .map(|y| RowPlan {
            seats: (0..25).map(|x| seat(x, y)).collect(),
        })
        .collect();
    Venue {
        sections: vec![SectionPlan::Seated {
            focal_x: 600,
            focal_y: -400,
            rows,
        }],
    }
}

fn ask(sale: &mut Sale, n: u64, command: Command<'_>) -> Outcome {
    let key = IdempotencyKey(u128::from(1_000_000 + n / 1_000) << 80 | u128::from(n + 1));
    let request = Request {
        partner: PartnerId(1),
        channel: ChannelId(1),
        key,
        hash: n,
        command,
    };
    sale.apply(1_000_000 + n / 1_000, &request, &mut Vec::new())
}

fn main() {
    let before = TAKEN.load(Ordering::Relaxed);
    let small = venue(20);
    let own = TAKEN.load(Ordering::Relaxed) - before;
    let sales: Vec<Sale> = (0..100)
        .filter_map(|seed| Sale::new(&small, SaleRules::default(), seed).ok())
        .collect();
    let taken = TAKEN.load(Ordering::Relaxed) - before - own;
    println!("idle sale of 500 seats: {} bytes", taken / sales.len());
    drop(sales);

    let before = TAKEN.load(Ordering::Relaxed);
    let Ok(mut sale) = Sale::new(&venue(4_000), SaleRules::default(), 1) else {
        return;
    };
    println!(
        "new sale of 100,000 seats: {} KB",
        (TAKEN.load(Ordering::Relaxed) - before) / 1_000
    );
    ask(&mut sale, 0, Command::OpenSale);
    let mut n = 1_u64;
    loop {
        let quantity = 1 + (n % 4) as u16;
        let category = CategoryChoice::Any;
        let lines = [HoldLine::BestAvailable {
            quantity,
            category,
            section_count: 0,
            accessible: false,
            split: true,
        }];
        let hold = HoldId(u128::from(n) << 64 | 7);
        let place = PlaceHold {
            token: None,
            hold,
            buyer: BuyerId(hold.0),
            ttl_ms: 0,
            lines: &lines,
            seats: &[],
            sections: &[],
        };
        if let Outcome::Rejected(_) = ask(&mut sale, n, Command::PlaceHold(place)) {
            break;
        }
        let Some(payment) = PaymentReference::new(b"pay") else {
            return;
        };
        ask(
            &mut sale,
            n + 1,
            Command::ConfirmHold {
                hold,
                order: OrderId(hold.0),
                payment,
            },
        );
        n += 2;
    }
    println!(
        "the same sold out: {} KB, {:?}",
        (TAKEN.load(Ordering::Relaxed) - before) / 1_000,
        sale.counts()
    );
}
