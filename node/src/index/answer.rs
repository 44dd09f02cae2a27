//! Answers a query: the chunks that may have something, in sequence of time, until the page is
//! full; beside them the short chunks and the live holds.

use super::ledger::Ledger;
use super::query::{Kind, Page, Query, QueryFault};
use super::row::{Place, Row};
use super::store::StoreFault;

/// Chunks read for one page; more only when they all begin at one place.
const CHUNKS_MAX: usize = if cfg!(test) { 3 } else { 64 };

/// Either the asker's fault or the store's.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerFault {
    #[error(transparent)]
    Query(QueryFault),
    #[error(transparent)]
    Store(#[from] StoreFault),
}

pub(super) fn answer(ledger: &Ledger, query: &Query) -> Result<Page, AnswerFault> {
    let token = match query.page_token.as_deref() {
        Some(token) => place(token).ok_or(AnswerFault::Query(QueryFault::PageToken))?,
        None => Place::default(),
    };
    let from = token.max(Place {
        at_ms: query.from_ms.unwrap_or_default(),
        ..Place::default()
    });
    let limit = query.limit();
    let mut found = Found {
        ledger,
        query,
        from,
        rows: Vec::new(),
    };
    for filed in ledger.archive.tail() {
        found.consider(filed.row, ledger.lives(filed))?;
    }
    if query.kind == Kind::Holds {
        found.live_holds()?;
    }
    let unread = found.chunks(limit)?;
    let mut rows = found.rows;
    rows.sort_by_key(Row::place);
    // Rows behind the first unread chunk's beginning may have others between them.
    if let Some(unread) = unread {
        rows.retain(|row| row.place() < unread);
    }
    let next = match rows.len() > limit {
        true => rows.get(limit).map(Row::place),
        false => unread,
    };
    rows.truncate(limit);
    Ok(Page {
        rows,
        next_page_token: next.map(|place| token_of(&place)),
        sales_missing: 0,
    })
}

/// What matches so far, in no sequence.
struct Found<'a> {
    ledger: &'a Ledger,
    query: &'a Query,
    from: Place,
    rows: Vec<Row>,
}

impl Found<'_> {
    fn consider(&mut self, mut row: Row, lives: bool) -> Result<(), StoreFault> {
        if lives && row.place() >= self.from && self.query.matches_but_state(&row) {
            row.state = self.ledger.state(&row)?;
            if self.query.matches_state(&row) {
                self.rows.push(row);
            }
        }
        Ok(())
    }

    fn live_holds(&mut self) -> Result<(), StoreFault> {
        let ledger = self.ledger;
        for row in ledger.live.rows(self.query.event) {
            let covered = ledger.cover(row.sale).is_some();
            self.consider(row, covered)?;
        }
        Ok(())
    }

    /// The place from which on chunks were not read: `None` when all were.
    fn chunks(&mut self, limit: usize) -> Result<Option<Place>, StoreFault> {
        let metas = self.ledger.archive.metas.iter();
        let mut chunks: Vec<(Place, u64)> = metas
            .filter(|(_, meta)| meta.may_match(self.query, self.from))
            .map(|(number, meta)| (meta.first, *number))
            .collect();
        chunks.sort_unstable();
        for (read, (first, number)) in chunks.iter().enumerate() {
            let before = |row: &&Row| row.place() < *first;
            let enough = || self.rows.iter().filter(before).count() > limit;
            if *first > self.from && (read >= CHUNKS_MAX || enough()) {
                return Ok(Some(*first));
            }
            for filed in self.ledger.archive.read(&*self.ledger.store, *number)? {
                self.consider(filed.row, self.ledger.lives(&filed))?;
            }
        }
        Ok(None)
    }
}

fn token_of(place: &Place) -> String {
    let bytes = place.to_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn place(token: &str) -> Option<Place> {
    if token.len() != 64 || !token.is_ascii() {
        return None;
    }
    let digits = |at: usize| u8::from_str_radix(token.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..64).step_by(2).map(digits).collect();
    Place::from_bytes(&bytes?)
}
