//! The keys of the one tree. A letter, then big-endian numbers, so that the tree's sequence is the
//! sequence in time of whatever the letter stands for.
//!
//! ```text
//! f                                   format stamp
//! w sale                              revision of the sale the rows cover
//! e sale at id                        the row itself
//! t at sale id                        every row by time
//! b buyer at sale id                  by buyer
//! p partner at sale id                by partner
//! i kind id sale                      by hold id (0) or order id (1) → at, id of the row
//! ```

use super::row::Row;
use super::store::Batch;

/// Changes with the meaning of any key or value: another stamp means rebuild.
pub(super) const FORMAT: &[u8] = b"onsale-index-1";
pub(super) const STAMP: &[u8] = b"f";
pub(super) const WATERMARK: u8 = b'w';
const EVENT: u8 = b'e';
const TIME: u8 = b't';
const BUYER: u8 = b'b';
const PARTNER: u8 = b'p';
const ID: u8 = b'i';

/// Where a row stands: in time, then by sale and id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub at_ms: u64,
    pub sale: u64,
    pub id: u128,
}

impl Place {
    pub fn of(row: &Row) -> Place {
        Place {
            at_ms: row.at_ms,
            sale: row.sale.0,
            id: row.id(),
        }
    }

    /// At the end of the keys of every list.
    pub fn tail(&self) -> [u8; 32] {
        let mut tail = [0; 32];
        tail[..8].copy_from_slice(&self.at_ms.to_be_bytes());
        tail[8..16].copy_from_slice(&self.sale.to_be_bytes());
        tail[16..].copy_from_slice(&self.id.to_be_bytes());
        tail
    }

    pub fn from_tail(tail: &[u8]) -> Option<Place> {
        let (at_ms, rest) = tail.split_first_chunk()?;
        let (sale, rest) = rest.split_first_chunk()?;
        Some(Place {
            at_ms: u64::from_be_bytes(*at_ms),
            sale: u64::from_be_bytes(*sale),
            id: u128::from_be_bytes(rest.try_into().ok()?),
        })
    }

    /// The place right behind this one.
    pub fn next(self) -> Place {
        let (id, over) = self.id.overflowing_add(1);
        let (sale, over) = self.sale.overflowing_add(u64::from(over));
        let at_ms = self.at_ms.saturating_add(u64::from(over));
        Place { at_ms, sale, id }
    }
}

/// What rows can be listed by, each in sequence of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Event(u64),
    Time,
    Buyer(u128),
    Partner(u32),
}

impl List {
    /// All lists a row is in; the first one holds it.
    pub fn of(row: &Row) -> [List; 4] {
        [
            List::Event(row.sale.0),
            List::Time,
            List::Buyer(row.buyer.0),
            List::Partner(row.partner.0),
        ]
    }

    pub fn prefix(self) -> Vec<u8> {
        match self {
            List::Event(sale) => with(EVENT, &sale.to_be_bytes()),
            List::Time => vec![TIME],
            List::Buyer(buyer) => with(BUYER, &buyer.to_be_bytes()),
            List::Partner(partner) => with(PARTNER, &partner.to_be_bytes()),
        }
    }

    pub fn key(self, place: &Place) -> Vec<u8> {
        let mut key = self.prefix();
        match self {
            // The sale is the prefix already.
            List::Event(_) => {
                key.extend(place.at_ms.to_be_bytes());
                key.extend(place.id.to_be_bytes());
            }
            List::Time | List::Buyer(_) | List::Partner(_) => key.extend(place.tail()),
        }
        key
    }

    /// The inverse of `key`.
    pub fn place(self, key: &[u8]) -> Option<Place> {
        let rest = key.get(self.prefix().len()..)?;
        match self {
            List::Event(sale) => {
                let (at_ms, id) = rest.split_first_chunk()?;
                Some(Place {
                    at_ms: u64::from_be_bytes(*at_ms),
                    sale,
                    id: u128::from_be_bytes(id.try_into().ok()?),
                })
            }
            List::Time | List::Buyer(_) | List::Partner(_) => Place::from_tail(rest),
        }
    }
}

/// Where the row itself is.
pub(super) fn row_key(place: &Place) -> Vec<u8> {
    List::Event(place.sale).key(place)
}

/// Whose id it is: callers choose both, and may choose the same one for a hold and its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum IdOf {
    Hold = 0,
    Order = 1,
}

/// All keys that find rows with this id, over all sales.
pub(super) fn id_prefix(of: IdOf, id: u128) -> Vec<u8> {
    let mut key = with(ID, &[of as u8]);
    key.extend(id.to_be_bytes());
    key
}

pub(super) fn id_key(of: IdOf, id: u128, sale: u64) -> Vec<u8> {
    let mut key = id_prefix(of, id);
    key.extend(sale.to_be_bytes());
    key
}

/// What an id key leads to; the sale is in the key.
pub(super) fn id_value(place: &Place) -> Vec<u8> {
    let mut value = place.at_ms.to_be_bytes().to_vec();
    value.extend(place.id.to_be_bytes());
    value
}

pub(super) fn id_place(key: &[u8], value: &[u8]) -> Option<Place> {
    let sale = key.last_chunk()?;
    let (at_ms, id) = value.split_first_chunk()?;
    Some(Place {
        at_ms: u64::from_be_bytes(*at_ms),
        sale: u64::from_be_bytes(*sale),
        id: u128::from_be_bytes(id.try_into().ok()?),
    })
}

/// Everything that finds the row, and the row.
pub(super) fn put_row(batch: &mut Batch, row: &Row) {
    let place = Place::of(row);
    let [holder, others @ ..] = List::of(row);
    batch.put(holder.key(&place), row.value());
    for list in others {
        batch.put(list.key(&place), Vec::new());
    }
    let found = id_value(&place);
    if let Some(order) = row.order {
        batch.put(id_key(IdOf::Order, order.0, place.sale), found.clone());
    }
    batch.put(id_key(IdOf::Hold, row.hold.0, place.sale), found);
}

/// The inverse of `put_row`.
pub(super) fn remove_row(batch: &mut Batch, row: &Row) {
    let place = Place::of(row);
    for list in List::of(row) {
        batch.remove(list.key(&place));
    }
    if let Some(order) = row.order {
        batch.remove(id_key(IdOf::Order, order.0, place.sale));
    }
    batch.remove(id_key(IdOf::Hold, row.hold.0, place.sale));
}

pub(super) fn watermark_key(sale: u64) -> Vec<u8> {
    with(WATERMARK, &sale.to_be_bytes())
}

/// The first key behind all that start with the prefix; `None` when there is no such key.
pub(super) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

fn with(letter: u8, number: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + number.len() + 32);
    key.push(letter);
    key.extend_from_slice(number);
    key
}
