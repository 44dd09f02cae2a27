//! Whatever sales do, in whatever pieces it is drained and whenever a sale is taken anew: searches
//! find what a naive reading of the facts finds.

use domain::ids::{BuyerId, PartnerId, SaleId};
use proptest::prelude::*;

use super::super::answer::answer;
use super::super::coalesce::{Drain, Step};
use super::super::rebuild::{Progress, Rebuild};
use super::super::row::{Row, RowState};
use super::super::store::{IndexStore, MemoryStore};
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
fn search(store: &dyn IndexStore, query: &Query) -> Vec<Row> {
    let (mut rows, mut query) = (Vec::new(), query.clone());
    loop {
        let page = answer(store, &query).expect("a sound store");
        assert!(page.rows.len() <= query.limit || query.id.is_some());
        rows.extend(page.rows);
        query.page_token = page.next_page_token;
        if query.page_token.is_none() {
            return rows;
        }
    }
}

fn rebuild(store: &mut MemoryStore, sale: u64, venture: &Venture) {
    let mut rebuild = Rebuild::new(SaleId(sale), Some(venture.export()), 0);
    while let Progress::More(_) = rebuild.step(store).expect("memory") {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn searches_find_what_a_naive_reading_finds(
        story in story(),
        queries in prop::collection::vec(query(), 8),
    ) {
        let town = Town::with(&SALES);
        let mut store = MemoryStore::default();
        let mut covered = [1, 1];
        let mut waiting = Vec::new();
        for (index, (sale, act, end)) in story.iter().enumerate() {
            waiting.push((*sale, town.act(SALES[*sale], *act)));
            if !end && index + 1 < story.len() {
                continue;
            }
            let mut drain = Drain::new(&store);
            for (sale, changes) in waiting.drain(..) {
                let step = drain.take(SaleId(SALES[sale]), covered[sale], &changes);
                prop_assert_eq!(step.expect("memory"), Step::Folded);
            }
            let (batch, _, watermarks) = drain.finish().expect("memory");
            store.apply(batch).expect("memory");
            for (sale, revision) in watermarks {
                let at = SALES.iter().position(|known| *known == sale);
                covered[at.expect("one of the sales")] = revision;
            }
        }
        for query in &queries {
            prop_assert_eq!(search(&store, query), town.rows(query));
        }

        // Taken anew, the living rows are the same, but for what only the changes told.
        let town = town.0.lock().expect("nobody else has it");
        for (sale, venture) in &*town {
            rebuild(&mut store, *sale, venture);
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
            prop_assert_eq!(search(&store, &query), living);
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
    let store = MemoryStore::default();
    let mut drain = Drain::new(&store);
    let take = |drain: &mut Drain<'_>, changes| drain.take(SaleId(3), 1, changes).expect("memory");
    assert_eq!(take(&mut drain, &first), Step::Folded);
    assert_eq!(take(&mut drain, &first), Step::Folded);
    assert_eq!(take(&mut drain, &third), Step::Doubt);
    let (batch, rows, watermarks) = drain.finish().expect("memory");
    assert_eq!((rows, watermarks.len()), (1, 0));
    let mut store = store;
    store.apply(batch).expect("memory");
    assert_eq!(
        search(
            &store,
            &Query {
                kind: Kind::Holds,
                limit: 9,
                ..Query::default()
            }
        ),
        []
    );

    let mut drain = Drain::new(&store);
    for changes in [&first, &second, &third] {
        assert_eq!(take(&mut drain, changes), Step::Folded);
    }
}
