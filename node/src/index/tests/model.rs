//! Whatever sales do, in whatever pieces it is drained and whenever a sale is taken anew: searches
//! find what a naive reading of the facts finds.

use domain::ids::{BuyerId, PartnerId, SaleId};
use proptest::prelude::*;

use super::super::answer::answer;
use super::super::coalesce::{Drain, Step};
use super::super::ledger::{Cover, Ledger};
use super::super::rebuild::{Progress, Rebuild};
use super::super::row::{Row, RowState};
use super::super::store::MemoryStore;
use super::super::{Kind, Query};
use super::town::{Act, START_MS, Town, Venture};

const SALES: [u64; 2] = [3, 500];

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..4_u8, 0..3_u8).prop_map(|(buyer, partner)| Act::Hold { buyer, partner }),
        8 => any::<usize>().prop_map(Act::Confirm),
        2 => any::<usize>().prop_map(Act::Release),
        2 => any::<usize>().prop_map(Act::Extend),
        2 => any::<usize>().prop_map(Act::Cancel),
        1 => (1..40_u8).prop_map(Act::Wait),
        1 => Just(Act::Reopen),
    ]
}

/// Acts on one of the sales; true where a drain ends.
fn story() -> impl Strategy<Value = Vec<(usize, Act, bool)>> {
    let end = prop::bool::weighted(0.3);
    prop::collection::vec((0..SALES.len(), act(), end), 1..80)
}

fn query() -> impl Strategy<Value = Query> {
    let kind = prop::sample::select(vec![Kind::Orders, Kind::Holds]);
    let states = prop::sample::subsequence(RowState::ALL.to_vec(), 0..4);
    let time = || prop::option::weighted(0.3, START_MS..START_MS + 3_600_000);
    let who = (
        prop::option::weighted(0.3, prop::sample::select(SALES.to_vec())),
        prop::option::weighted(0.3, 0..3_u32),
        prop::option::weighted(0.3, 0..4_u128),
        prop::option::weighted(0.2, (0..40_u128, 0..2_u128)),
    );
    (kind, states, who, time(), time(), 1..5_usize).prop_map(
        |(kind, states, (event, partner, buyer, id), from_ms, to_ms, limit)| Query {
            kind,
            event: event.map(SaleId),
            partner: partner.map(PartnerId),
            buyer: buyer.map(BuyerId),
            states,
            id: id.map(|(hold, order)| (hold << 8) + order),
            from_ms,
            to_ms,
            limit,
            page_token: None,
        },
    )
}

/// All pages, one after the other.
fn search(ledger: &Ledger, query: &Query) -> Vec<Row> {
    let (mut rows, mut query) = (Vec::new(), query.clone());
    loop {
        let page = answer(ledger, &query).expect("a sound store");
        assert!(page.rows.len() <= query.limit || query.id.is_some());
        rows.extend(page.rows);
        query.page_token = page.next_page_token;
        if query.page_token.is_none() {
            return rows;
        }
    }
}

/// An empty index that covers the sales of a town from their opening on.
fn ledger(sales: &[u64]) -> Ledger {
    let store = Box::new(MemoryStore::default());
    let ledger = Ledger::open(store).expect("memory");
    let mut ledger = ledger.expect("a new store");
    for sale in sales {
        let epoch = ledger.begin(SaleId(*sale)).expect("memory");
        let cover = Cover {
            revision: 1,
            epoch,
            ..Cover::default()
        };
        ledger.finish(SaleId(*sale), cover).expect("memory");
    }
    ledger
}

fn rebuild(ledger: &mut Ledger, sale: u64, venture: &Venture) {
    let bookings = Some(venture.bookings());
    let mut rebuild = Rebuild::begin(ledger, SaleId(sale), bookings, 0).expect("memory");
    while let Progress::More(_) = rebuild.step(ledger).expect("memory") {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn searches_find_what_a_naive_reading_finds(
        story in story(),
        queries in prop::collection::vec(query(), 8),
    ) {
        let town = Town::with(&SALES);
        let mut ledger = ledger(&SALES);
        let mut waiting = Vec::new();
        for (index, (sale, act, end)) in story.iter().enumerate() {
            let sale = SALES[*sale];
            waiting.push((SaleId(sale), town.act(sale, *act)));
            if !end && index + 1 < story.len() {
                continue;
            }
            let mut drain = Drain::new(&ledger);
            for (sale, changes) in waiting.drain(..) {
                prop_assert_eq!(drain.take(sale, &changes), Step::Folded);
            }
            let folded = drain.finish().expect("memory");
            ledger.write(folded).expect("memory");
            ledger.sweep().expect("memory");
        }
        for query in &queries {
            prop_assert_eq!(search(&ledger, query), town.rows(query));
        }

        // Taken anew, the living rows are the same, but for what only the changes told.
        let town = town.0.lock().expect("nobody else has it");
        for (sale, venture) in &*town {
            rebuild(&mut ledger, *sale, venture);
            while ledger.sweep().expect("memory") {}
            let query = Query {
                kind: Kind::Holds,
                event: Some(SaleId(*sale)),
                limit: 7,
                ..Query::default()
            };
            let mut living = venture.rows.clone();
            living.retain(|row| row.order.is_some() || row.state == RowState::Held);
            living.sort_by_key(|row| (row.at_ms, row.id()));
            for row in living.iter_mut().filter(|row| row.order.is_some()) {
                row.held_at_ms = row.at_ms;
                row.deadline_ms = 0;
            }
            prop_assert_eq!(search(&ledger, &query), living);
        }
    }
}

#[test]
fn changes_that_were_seen_are_skipped_and_missing_ones_are_noticed() {
    let town = Town::with(&[3]);
    let hold = Act::Hold {
        buyer: 1,
        partner: 1,
    };
    let (first, second, third) = (town.act(3, hold), town.act(3, hold), town.act(3, hold));
    let mut ledger = ledger(&[3]);
    let take = |drain: &mut Drain<'_>, changes| drain.take(SaleId(3), changes);
    let mut drain = Drain::new(&ledger);
    assert_eq!(take(&mut drain, &first), Step::Folded);
    assert_eq!(take(&mut drain, &first), Step::Folded);
    assert_eq!(take(&mut drain, &third), Step::Doubt);
    let folded = drain.finish().expect("memory");
    assert_eq!((folded.rows, folded.covers.len()), (0, 0));
    let query = Query {
        kind: Kind::Holds,
        limit: 9,
        ..Query::default()
    };
    assert_eq!(search(&ledger, &query), []);

    let mut drain = Drain::new(&ledger);
    for changes in [&first, &second, &third] {
        assert_eq!(take(&mut drain, changes), Step::Folded);
    }
    let folded = drain.finish().expect("memory");
    ledger.write(folded).expect("memory");
    assert_eq!(search(&ledger, &query), town.rows(&query));
}
