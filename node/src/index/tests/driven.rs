//! The worker as a whole, tick by tick: what makes it take a sale anew or throw its store away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actors::feed::{Fed, Room};
use domain::ids::SaleId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::TICKS_PER_S;
use super::super::store::Each;
use super::super::worker::Rest;
use super::super::{
    Batch, Cause, Config, Index, IndexMetrics, IndexStore, Kind, MemoryStore, Opener, Page, Query,
    QueryFault, SledOpener, StoreFault,
};
use super::town::{Act, Town};

const HOLD: Act = Act::Hold {
    buyer: 1,
    partner: 1,
};

/// An index of a town.
struct Driven {
    town: Town,
    index: Index,
    feed: mpsc::Sender<Fed>,
    ticker: mpsc::Sender<u64>,
    metrics: IndexMetrics,
    worker: JoinHandle<()>,
}

impl Driven {
    fn start(town: &Town, opener: Box<dyn Opener>, rows_per_s_max: u32) -> Driven {
        let (feed, fed) = mpsc::channel(1024);
        let (ticker, ticks) = mpsc::channel(1);
        let metrics = IndexMetrics::new(&prometheus::Registry::new()).expect("new names");
        let config = Config { rows_per_s_max };
        let source = Arc::new(town.clone());
        let (index, worker) =
            Index::with_ticks(config, opener, source, fed, metrics.clone(), ticks);
        Driven {
            town: town.clone(),
            index,
            feed,
            ticker,
            metrics,
            worker: tokio::spawn(worker.run()),
        }
    }

    fn in_memory(town: &Town) -> Driven {
        Driven::start(town, Box::new(MemoryStore::default()), 1_000_000)
    }

    async fn ticks(&self, ticks: u32) {
        for _ in 0..ticks {
            self.ticker.send(1).await.expect("the worker runs");
        }
        // Asked for between ticks, so the last tick is over.
        let _ = self.index.search(Query::default()).await;
    }

    async fn act(&self, sale: u64, act: Act) {
        let changes = self.town.act(sale, act);
        let sale = SaleId(sale);
        let fed = Fed::Changes {
            sale,
            changes,
            room: Room::default(),
        };
        self.feed.send(fed).await.expect("the worker runs");
    }

    async fn holds(&self) -> Page {
        let query = Query {
            kind: Kind::Holds,
            ..Query::default()
        };
        self.index.search(query).await.expect("a sound store")
    }

    /// The index holds what the town holds.
    async fn agrees(&self) {
        let page = self.holds().await;
        let query = Query {
            kind: Kind::Holds,
            ..Query::default()
        };
        assert_eq!(page.rows, self.town.rows(&query));
        assert_eq!(page.sales_missing, 0);
    }

    async fn stop(self) {
        drop(self.index);
        self.worker.await.expect("it ends when nobody can ask");
    }
}

#[tokio::test]
async fn what_was_sold_before_the_index_started_is_found() {
    let town = Town::with(&[1, 2]);
    town.act(1, HOLD);
    town.act(2, HOLD);
    let driven = Driven::in_memory(&town);
    driven.ticks(3).await;
    driven.agrees().await;
    driven.act(1, Act::Release(0)).await;
    driven.act(2, HOLD).await;
    driven.ticks(1).await;
    driven.agrees().await;
    assert_eq!(driven.metrics.rebuilds(Cause::New), 2);
    driven.stop().await;
}

#[tokio::test]
async fn a_gap_is_closed_from_the_sale() {
    let town = Town::with(&[1]);
    let driven = Driven::in_memory(&town);
    driven.ticks(3).await;
    driven.act(1, HOLD).await;
    driven.ticks(1).await;
    town.act(1, HOLD);
    driven
        .feed
        .send(Fed::Gap { sale: SaleId(1) })
        .await
        .expect("the worker runs");
    driven.act(1, HOLD).await;
    driven.ticks(2).await;
    // Between two takings of one sale there is a pause, in which the index says what it lacks.
    assert_eq!(driven.holds().await.sales_missing, 1);
    driven.ticks(25).await;
    driven.agrees().await;
    assert_eq!(driven.metrics.rebuilds(Cause::Gap), 1);
    driven.stop().await;
}

/// While more is sold than the index can read, every sale is in doubt again as soon as it was taken
/// anew: taking it again and again would only keep the processors from selling.
#[tokio::test]
async fn a_sale_that_is_in_doubt_again_and_again_is_left_alone_for_longer() {
    let town = Town::with(&[1]);
    let driven = Driven::in_memory(&town);
    driven.ticks(3).await;
    let gap = || Fed::Gap { sale: SaleId(1) };
    for _ in 0..60 * 20 {
        driven.feed.send(gap()).await.expect("the worker runs");
        driven.ticks(1).await;
    }
    // After 1, 2, 4, … seconds: six times in a minute, where it was sixty.
    assert_eq!(driven.metrics.rebuilds(Cause::Gap), 6);
    // Taken once more, and after a good while trusted again.
    driven.ticks(200 * 20).await;
    driven.agrees().await;
    assert_eq!(driven.metrics.rebuilds(Cause::Gap), 6);
    for _ in 0..4 * 20 {
        driven.feed.send(gap()).await.expect("the worker runs");
        driven.ticks(1).await;
    }
    assert_eq!(driven.metrics.rebuilds(Cause::Gap), 10);
    driven.stop().await;
}

#[tokio::test]
async fn watermarks_of_many_sales_are_written_less_often() {
    let town = Town::with(&(1..=200).collect::<Vec<u64>>());
    let driven = Driven::in_memory(&town);
    driven.ticks(6).await;
    let last = || async {
        let query = Query {
            kind: Kind::Holds,
            event: Some(SaleId(200)),
            ..Query::default()
        };
        let page = driven.index.search(query).await;
        page.expect("a sound store").rows.len()
    };
    let all_are_busy = || async {
        for sale in 1..=200 {
            let changes = town.act(sale, HOLD);
            let sale = SaleId(sale);
            let room = Room::default();
            let fed = Fed::Changes {
                sale,
                changes,
                room,
            };
            driven.feed.send(fed).await.expect("the worker runs");
        }
    };
    all_are_busy().await;
    driven.ticks(1).await;
    assert_eq!(last().await, 1);
    all_are_busy().await;
    driven.ticks(1).await;
    assert_eq!(last().await, 1, "a tick's pause");
    driven.ticks(1).await;
    assert_eq!(last().await, 2);
    driven.stop().await;
}

#[tokio::test]
async fn changes_lost_without_a_word_are_noticed_while_others_are_busy() {
    let town = Town::with(&(1..=201).collect::<Vec<u64>>());
    let driven = Driven::in_memory(&town);
    driven.ticks(6).await;
    town.act(1, HOLD);
    for _ in 0..8 * 20 {
        for sale in 2..=201 {
            driven.act(sale, HOLD).await;
        }
        driven.ticks(1).await;
    }
    assert_eq!(driven.metrics.rebuilds(Cause::Behind), 1);
    driven.stop().await;
}

/// A thousand sales that are in doubt wait for their turn: each is left alone for longer all the same.
#[test]
fn a_sale_that_waited_for_its_turn_is_left_alone_for_longer() {
    let second = TICKS_PER_S;
    let mut rest = Rest::after(None, 1, 0);
    assert_eq!(rest.until, second);
    let mut now = 0;
    for seconds in [2, 4, 8] {
        rest.doubt(now + 1);
        now += 40 * second;
        rest = Rest::after(Some(&rest), 1, now);
        assert_eq!(rest.until - now, seconds * second);
    }
    rest.doubt(now + 60 * second);
    assert_eq!(Rest::after(Some(&rest), 1, now).until - now, second);
}

#[tokio::test]
async fn changes_lost_without_a_word_are_noticed_by_comparing() {
    let town = Town::with(&[1]);
    let driven = Driven::in_memory(&town);
    driven.ticks(3).await;
    town.act(1, HOLD);
    driven.ticks(120).await;
    driven.agrees().await;
    assert_eq!(driven.metrics.rebuilds(Cause::Behind), 1);
    driven.stop().await;
}

#[tokio::test]
async fn a_sale_that_went_back_in_time_is_taken_anew() {
    let town = Town::with(&[1]);
    let driven = Driven::in_memory(&town);
    driven.ticks(3).await;
    driven.act(1, HOLD).await;
    driven.ticks(1).await;
    *town.0.lock().expect("nobody panicked") = Town::with(&[1]).0.lock().expect("new").clone();
    driven.ticks(100).await;
    driven.agrees().await;
    assert_eq!(driven.metrics.rebuilds(Cause::Ahead), 1);
    driven.stop().await;
}

#[tokio::test]
async fn the_rows_of_a_sale_that_left_go() {
    let town = Town::with(&[1, 2]);
    let driven = Driven::in_memory(&town);
    driven.ticks(3).await;
    driven.act(1, HOLD).await;
    driven.act(2, HOLD).await;
    driven.ticks(1).await;
    town.0.lock().expect("nobody panicked").remove(&1);
    driven.ticks(100).await;
    driven.agrees().await;
    assert_eq!(driven.holds().await.rows.len(), 1);
    driven.stop().await;
}

#[tokio::test]
async fn no_more_rows_are_written_than_may_be() {
    let town = Town::with(&[1]);
    let driven = Driven::start(&town, Box::new(MemoryStore::default()), 20);
    driven.ticks(3).await;
    for _ in 0..60 {
        driven.act(1, HOLD).await;
    }
    driven.ticks(1).await;
    assert_eq!(
        driven.holds().await.rows.len(),
        60,
        "one drain is written whole"
    );
    driven.act(1, HOLD).await;
    // 40 rows over the budget: 40 ticks at one row a tick.
    driven.ticks(30).await;
    assert_eq!(driven.holds().await.rows.len(), 60);
    driven.ticks(12).await;
    driven.agrees().await;
    driven.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let opener = || Box::new(SledOpener::new(folder.path(), 4));
    let town = Town::with(&[1]);
    let driven = Driven::start(&town, opener(), 1_000);
    driven.ticks(3).await;
    driven.act(1, HOLD).await;
    driven.act(1, Act::Release(0)).await;
    driven.ticks(1).await;
    driven.stop().await;

    let driven = Driven::start(&town, opener(), 1_000);
    driven.act(1, HOLD).await;
    driven.ticks(3).await;
    // The ended hold is still there: nothing was taken anew.
    driven.agrees().await;
    assert_eq!(driven.metrics.rebuilds(Cause::New), 0);
    driven.stop().await;
}

#[tokio::test]
async fn a_store_of_another_version_or_damaged_is_thrown_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let town = Town::with(&[1]);
    town.act(1, HOLD);

    let mut store = SledOpener::new(&path, 4).open().expect("it opens");
    let mut batch = Batch::default();
    batch.put(b"f".to_vec(), b"another".to_vec());
    store.apply(batch).expect("it writes");
    drop(store);
    let driven = Driven::start(&town, Box::new(SledOpener::new(&path, 4)), 1_000);
    driven.ticks(50).await;
    driven.agrees().await;
    assert_eq!(driven.metrics.rebuilds(Cause::Format), 1);
    driven.stop().await;

    std::fs::write(path.join("conf"), "nonsense".repeat(9)).expect("the folder is there");
    let driven = Driven::start(&town, Box::new(SledOpener::new(&path, 4)), 1_000);
    driven.ticks(50).await;
    driven.agrees().await;
    assert_eq!(driven.metrics.rebuilds(Cause::Store), 1);
    driven.stop().await;

    // Whether sled notices or takes it for an empty store is its own affair.
    let length = std::fs::metadata(path.join("db"))
        .expect("sled's file")
        .len();
    for (damage, at) in [(0xff, 0), (0, length / 2), (0xaa, 64)] {
        let mut bytes = std::fs::read(path.join("db")).expect("sled's file");
        let from = bytes.len().min(at as usize);
        bytes[from..].fill(damage);
        std::fs::write(path.join("db"), bytes).expect("sled's file");
        let driven = Driven::start(&town, Box::new(SledOpener::new(&path, 4)), 1_000);
        driven.ticks(50).await;
        driven.agrees().await;
        driven.stop().await;
    }
}

/// A store in memory whose n-th write fails.
struct Failing {
    store: MemoryStore,
    writes_left: Arc<AtomicU32>,
}

impl IndexStore for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        self.store.get(key)
    }

    fn apply(&mut self, batch: Batch) -> Result<(), StoreFault> {
        if self.writes_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            return Err(StoreFault("injected".into()));
        }
        self.store.apply(batch)
    }

    fn scan(&self, from: &[u8], end: Option<&[u8]>, each: Each<'_>) -> Result<(), StoreFault> {
        self.store.scan(from, end, each)
    }
}

struct FailingOpener(Arc<AtomicU32>);

impl Opener for FailingOpener {
    fn open(&mut self) -> Result<Box<dyn IndexStore>, StoreFault> {
        Ok(Box::new(Failing {
            store: MemoryStore::default(),
            writes_left: Arc::clone(&self.0),
        }))
    }

    fn renew(&mut self) -> Result<Box<dyn IndexStore>, StoreFault> {
        self.open()
    }
}

#[tokio::test]
async fn whichever_write_fails_the_index_comes_back_whole() {
    for nth in 1..12 {
        let town = Town::with(&[1, 2]);
        town.act(1, HOLD);
        let opener = FailingOpener(Arc::new(AtomicU32::new(nth)));
        let driven = Driven::start(&town, Box::new(opener), 1_000);
        driven.ticks(3).await;
        for act in [HOLD, Act::Confirm(0), HOLD, HOLD] {
            driven.act(1, act).await;
            driven.act(2, act).await;
            driven.ticks(1).await;
        }
        driven.ticks(100).await;
        let page = driven.holds().await;
        assert_eq!(page.sales_missing, 0, "write {nth}");
        let query = Query {
            kind: Kind::Holds,
            ..Query::default()
        };
        let ids = |rows: &[super::super::Row]| rows.iter().map(|row| row.id()).collect::<Vec<_>>();
        assert_eq!(ids(&page.rows), ids(&town.rows(&query)), "write {nth}");
        driven.stop().await;
    }
}

#[tokio::test]
async fn a_token_that_is_not_ours_is_refused() {
    let driven = Driven::in_memory(&Town::with(&[1]));
    for token in ["", "x", &"é".repeat(32), &"g".repeat(64)] {
        let query = Query {
            page_token: Some(token.to_owned()),
            ..Query::default()
        };
        let fault = driven.index.search(query).await.expect_err("no token");
        assert!(matches!(fault, QueryFault::PageToken), "{token}");
    }
    driven.stop().await;
}
