//! Answers a query from the store: picks the list that leaves least to look at, walks it in
//! sequence of time, keeps what matches. One page looks at a bounded number of rows.

use super::keys::{self, IdOf, List, Place};
use super::query::{Page, Query, QueryFault};
use super::row::Row;
use super::store::{IndexStore, StoreFault};

/// Rows looked at for one page.
const EXAMINED_MAX: usize = 10_000;

/// Either the asker's fault or the store's.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerFault {
    #[error(transparent)]
    Query(QueryFault),
    #[error(transparent)]
    Store(#[from] StoreFault),
}

pub(super) fn answer(store: &dyn IndexStore, query: &Query) -> Result<Page, AnswerFault> {
    let after = match query.page_token.as_deref() {
        Some(token) => Some(place(token).ok_or(AnswerFault::Query(QueryFault::PageToken))?),
        None => None,
    };
    match query.id {
        Some(id) => by_id(store, query, id),
        None => by_list(store, query, after),
    }
}

/// An id is used by few sales: one page has them all.
fn by_id(store: &dyn IndexStore, query: &Query, id: u128) -> Result<Page, AnswerFault> {
    let mut places = Vec::new();
    for of in [IdOf::Order, IdOf::Hold] {
        let prefix = keys::id_prefix(of, id);
        store.scan(
            &prefix,
            keys::behind(&prefix).as_deref(),
            &mut |key, value| {
                places.extend(keys::id_place(key, value));
                places.len() < query.limit()
            },
        )?;
    }
    places.sort();
    places.dedup();
    let mut page = Page::default();
    for place in places {
        page.rows
            .extend(Some(row(store, &place)?).filter(|row| query.matches(row)));
    }
    Ok(page)
}

fn by_list(
    store: &dyn IndexStore,
    query: &Query,
    after: Option<Place>,
) -> Result<Page, AnswerFault> {
    let list = list(query);
    let from = Place {
        at_ms: query.from_ms.unwrap_or_default(),
        ..Place::default()
    };
    let from = from.max(after.map_or(Place::default(), Place::next));
    let end = match query.to_ms {
        Some(at_ms) => Some(list.key(&Place {
            at_ms,
            ..Place::default()
        })),
        None => keys::behind(&list.prefix()),
    };
    let (mut page, mut examined, mut last, mut more) = (Page::default(), 0, None, false);
    let mut fault = None;
    store.scan(&list.key(&from), end.as_deref(), &mut |key, value| {
        if page.rows.len() == query.limit() || examined == EXAMINED_MAX {
            more = true;
            return false;
        }
        examined += 1;
        let Some(place) = list.place(key) else {
            fault = Some(damaged());
            return false;
        };
        last = Some(place);
        let found = match list {
            List::Event(_) => Row::from_parts(place, value).ok_or_else(damaged),
            List::Time | List::Buyer(_) | List::Partner(_) => row(store, &place),
        };
        match found {
            Ok(row) => page.rows.extend(Some(row).filter(|row| query.matches(row))),
            Err(found) => fault = Some(found),
        }
        fault.is_none()
    })?;
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    page.next_page_token = last.filter(|_| more).map(|place| token(&place));
    Ok(page)
}

fn list(query: &Query) -> List {
    match (query.buyer, query.event, query.partner) {
        (Some(buyer), _, _) => List::Buyer(buyer.0),
        (None, Some(event), _) => List::Event(event.0),
        (None, None, Some(partner)) => List::Partner(partner.0),
        (None, None, None) => List::Time,
    }
}

pub(super) fn row(store: &dyn IndexStore, place: &Place) -> Result<Row, StoreFault> {
    let value = store.get(&keys::row_key(place))?;
    value
        .and_then(|value| Row::from_parts(*place, &value))
        .ok_or_else(damaged)
}

/// A list that leads to no row.
pub(super) fn damaged() -> StoreFault {
    StoreFault("a row is missing or damaged".into())
}

fn token(place: &Place) -> String {
    place
        .tail()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn place(token: &str) -> Option<Place> {
    if token.len() != 64 || !token.is_ascii() {
        return None;
    }
    let digits = |at: usize| u8::from_str_radix(token.get(at..at + 2)?, 16).ok();
    let tail: Option<Vec<u8>> = (0..64).step_by(2).map(digits).collect();
    Place::from_tail(&tail?)
}
