//! How many orders a second the index takes in: `cargo run --release -p onsale --example
//! index_rate [orders]`. Every order is a hold placed and confirmed, by 50,000 buyers of two
//! partners, over 100 sales; half of the holds are confirmed in a later drain than they were placed
//! in. The worker runs as fast as it can; sled writes to a temporary folder.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actors::feed::{Fed, Room};
use actors::sale::Bookings;
use async_trait::async_trait;
use domain::change::{Change, Fact};
use domain::ids::{BuyerId, ChannelId, HoldId, OrderId, PartnerId, Revision, SaleId};
use onsale::index::{Config, Index, IndexMetrics, Query, SledOpener, Source};
use tokio::sync::mpsc;

const SALES: u64 = 100;
const BATCH: u64 = 500;

/// Sales that had nothing when the index first looked, and the revisions they have reached.
struct Revisions(Vec<AtomicU64>);

#[async_trait]
impl Source for Revisions {
    fn sales(&self) -> Option<Vec<SaleId>> {
        Some((0..SALES).map(SaleId).collect())
    }

    async fn revision(&self, sale: SaleId) -> Option<Revision> {
        let revision = self.0.get(sale.0 as usize)?;
        Some(Revision(revision.load(Ordering::Acquire)))
    }

    async fn bookings(&self, _: SaleId) -> Option<Bookings> {
        Some(Bookings {
            revision: Revision(0),
            holds: Vec::new(),
            orders: Vec::new(),
        })
    }
}

/// The changes of one sale, round after round.
#[derive(Default)]
struct Sale {
    revision: u64,
    unconfirmed: Vec<u128>,
}

impl Sale {
    fn batch(&mut self, sale: u64, round: u64) -> Arc<[Change]> {
        let mut changes = Vec::new();
        let at_ms = 1_700_000_000_000 + round * 20;
        let mut add = |fact| {
            self.revision += 1;
            changes.push(Change {
                revision: Revision(self.revision),
                at_ms,
                fact,
            });
        };
        let order = |hold: u128| Fact::OrderPlaced {
            order: OrderId(hold ^ 1 << 100),
            hold: HoldId(hold),
            seats: 2,
        };
        for hold in std::mem::take(&mut self.unconfirmed) {
            add(order(hold));
        }
        for n in 0..BATCH {
            // Like a UUIDv7: the time, then what looks random.
            let mixed = (round << 20 | sale << 10 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let hold = u128::from(at_ms) << 80 | u128::from(mixed);
            add(Fact::HoldPlaced {
                hold: HoldId(hold),
                buyer: BuyerId(u128::from(mixed % 50_000) << 64),
                partner: PartnerId((mixed % 2) as u32),
                channel: ChannelId(1),
                seats: 2,
                deadline_ms: at_ms + 1_800_000,
            });
            match n % 2 {
                0 => add(order(hold)),
                _ => self.unconfirmed.push(hold),
            }
        }
        changes.into()
    }
}

async fn run(orders: u64, folder: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let (feed, fed) = mpsc::channel(4096);
    let (ticker, ticks) = mpsc::channel(1);
    let metrics = IndexMetrics::new(&prometheus::Registry::new())?;
    let config = Config {
        rows_per_s_max: u32::MAX,
    };
    let opener = Box::new(SledOpener::new(folder, 64));
    let source = Arc::new(Revisions((0..SALES).map(|_| AtomicU64::new(0)).collect()));
    let (index, worker) =
        Index::with_ticks(config, opener, source.clone(), fed, metrics.clone(), ticks);
    std::thread::spawn(move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() {
            runtime.block_on(worker.run());
        }
    });
    // The sales are taken in, empty, before the clock starts.
    for _ in 0..10 {
        ticker.send(1).await?;
    }
    let mut sales: Vec<Sale> = (0..SALES).map(|_| Sale::default()).collect();
    let started = Instant::now();
    let mut sent = 0;
    for round in 0.. {
        let number = round % SALES;
        let changes = sales[number as usize].batch(number, round);
        sent += BATCH;
        let revision = sales[number as usize].revision;
        source.0[number as usize].store(revision, Ordering::Release);
        let sale = SaleId(number);
        feed.send(Fed::Changes {
            sale,
            changes,
            room: Room::default(),
        })
        .await?;
        // About as much as comes together in one tick at 40,000 orders a second.
        if round % 4 == 3 {
            ticker.send(1).await?;
        }
        if sent >= orders {
            break;
        }
    }
    for _ in 0..3 {
        ticker.send(1).await?;
    }
    let page = index.search(Query::default()).await?;
    assert_eq!((page.rows.len(), page.sales_missing), (100, 0));
    Ok(sent as f64 / started.elapsed().as_secs_f64())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let orders = match std::env::args().nth(1) {
        Some(orders) => orders.parse()?,
        None => 500_000,
    };
    let mut rates = Vec::new();
    for _ in 0..3 {
        let folder = tempfile::tempdir()?;
        let rate = run(orders, folder.path()).await?;
        println!("{orders} orders: {rate:.0} orders/s");
        rates.push(rate);
    }
    rates.sort_by(f64::total_cmp);
    println!("median {:.0} orders/s", rates[1]);
    Ok(())
}
