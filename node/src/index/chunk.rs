//! Rows packed together, and what tells without unpacking whether a search can find anything in
//! them. The bytes are the index's own and change with `keys::FORMAT`; nothing else reads them.

use domain::ids::{BuyerId, ChannelId, HoldId, OrderId, PartnerId, SaleId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::query::{Kind, Query};
use super::row::{Place, Row, RowState};

/// A row with when it was filed: rows whose sale was taken anew since, and orders that were
/// forgotten since, are dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filed {
    pub row: Row,
    pub epoch: u32,
    pub reopened: u32,
}

/// Rows of one chunk are of one family, so that the time a chunk spans is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Orders = 0,
    Released = 1,
    Expired = 2,
}

impl Family {
    pub const ALL: [Family; 3] = [Family::Orders, Family::Released, Family::Expired];

    /// `None` for a live hold, which is in no chunk.
    pub fn of(state: RowState) -> Option<Family> {
        match state {
            RowState::Held => None,
            RowState::Released => Some(Family::Released),
            RowState::Expired => Some(Family::Expired),
            RowState::Paid | RowState::Cancelled => Some(Family::Orders),
        }
    }
}

const ROW_BYTES: usize = 4 + 4 + 1 + 8 + 8 + 16 + 16 + 4 + 2 + 16 + 4 + 8 + 8;

pub(super) fn encode(rows: &[Filed]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.len() * ROW_BYTES);
    rows.iter().for_each(|filed| filed.encode(&mut bytes));
    bytes
}

/// `None` for bytes that are no rows: a damaged store.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Filed>> {
    let rows = bytes.chunks_exact(ROW_BYTES);
    match rows.remainder().is_empty() {
        true => rows.map(Filed::decode).collect(),
        false => None,
    }
}

impl Filed {
    fn encode(&self, bytes: &mut Vec<u8>) {
        let row = &self.row;
        bytes.extend(self.epoch.to_le_bytes());
        bytes.extend(self.reopened.to_le_bytes());
        let state = RowState::ALL.iter().position(|state| *state == row.state);
        // Orders have an id of their own, holds do not: the state tells.
        bytes.push(state.unwrap_or_default() as u8);
        bytes.extend(row.sale.0.to_le_bytes());
        bytes.extend(row.at_ms.to_le_bytes());
        bytes.extend(row.hold.0.to_le_bytes());
        bytes.extend(row.order.unwrap_or_default().0.to_le_bytes());
        bytes.extend(row.partner.0.to_le_bytes());
        bytes.extend(row.channel.0.to_le_bytes());
        bytes.extend(row.buyer.0.to_le_bytes());
        bytes.extend(row.seats.to_le_bytes());
        bytes.extend(row.held_at_ms.to_le_bytes());
        bytes.extend(row.deadline_ms.to_le_bytes());
    }

    fn decode(mut bytes: &[u8]) -> Option<Filed> {
        let bytes = &mut bytes;
        let epoch = u32::from_le_bytes(take(bytes)?);
        let reopened = u32::from_le_bytes(take(bytes)?);
        let [state] = take(bytes)?;
        let state = *RowState::ALL.get(usize::from(state))?;
        let sale = SaleId(u64::from_le_bytes(take(bytes)?));
        let at_ms = u64::from_le_bytes(take(bytes)?);
        let hold = HoldId(u128::from_le_bytes(take(bytes)?));
        let order = OrderId(u128::from_le_bytes(take(bytes)?));
        let row = Row {
            sale,
            at_ms,
            hold,
            order: matches!(state, RowState::Paid | RowState::Cancelled).then_some(order),
            state,
            partner: PartnerId(u32::from_le_bytes(take(bytes)?)),
            channel: ChannelId(u16::from_le_bytes(take(bytes)?)),
            buyer: BuyerId(u128::from_le_bytes(take(bytes)?)),
            seats: u32::from_le_bytes(take(bytes)?),
            held_at_ms: u64::from_le_bytes(take(bytes)?),
            deadline_ms: u64::from_le_bytes(take(bytes)?),
        };
        Some(Filed {
            row,
            epoch,
            reopened,
        })
    }
}

pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

/// What a chunk can be found by.
#[derive(Clone, Copy, Debug)]
enum Tag {
    Sale(u64),
    Partner(u32),
    Buyer(u128),
    Hold(u128),
    Order(u128),
}

impl Tag {
    fn hash(self) -> u64 {
        match self {
            Tag::Sale(sale) => xxh3_64_with_seed(&sale.to_le_bytes(), 1),
            Tag::Partner(partner) => xxh3_64_with_seed(&partner.to_le_bytes(), 2),
            Tag::Buyer(buyer) => xxh3_64_with_seed(&buyer.to_le_bytes(), 3),
            Tag::Hold(hold) => xxh3_64_with_seed(&hold.to_le_bytes(), 4),
            Tag::Order(order) => xxh3_64_with_seed(&order.to_le_bytes(), 5),
        }
    }
}

/// What is in a chunk: the times it spans, and a Bloom filter of its tags. With 12 bits a tag and 6
/// probes about one chunk in 300 is looked into for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub family: Family,
    pub first: Place,
    pub last: Place,
    filter: Vec<u64>,
}

const BITS_PER_TAG: usize = 12;
const PROBES: u64 = 6;

impl Meta {
    /// Of rows in sequence; `None` when there are none.
    pub fn of(family: Family, rows: &[Filed]) -> Option<Meta> {
        let mut tags = Vec::with_capacity(rows.len() * 5);
        for Filed { row, .. } in rows {
            tags.push(Tag::Sale(row.sale.0).hash());
            tags.push(Tag::Partner(row.partner.0).hash());
            tags.push(Tag::Buyer(row.buyer.0).hash());
            tags.push(Tag::Hold(row.hold.0).hash());
            tags.extend(row.order.map(|order| Tag::Order(order.0).hash()));
        }
        tags.sort_unstable();
        tags.dedup();
        let mut meta = Meta {
            family,
            first: rows.first()?.row.place(),
            last: rows.last()?.row.place(),
            filter: vec![0; (tags.len() * BITS_PER_TAG).div_ceil(64)],
        };
        for tag in tags {
            for bit in meta.bits(tag) {
                meta.filter[bit / 64] |= 1 << (bit % 64);
            }
        }
        Some(meta)
    }

    fn bits(&self, tag: u64) -> impl Iterator<Item = usize> + use<> {
        let bits = (self.filter.len() as u64 * 64).max(1);
        let step = (tag >> 32) | 1;
        (0..PROBES).map(move |probe| (tag.wrapping_add(probe.wrapping_mul(step)) % bits) as usize)
    }

    fn may_have(&self, tag: Tag) -> bool {
        self.bits(tag.hash())
            .all(|bit| self.filter[bit / 64] & (1 << (bit % 64)) != 0)
    }

    /// False when no row of the chunk can match.
    pub fn may_match(&self, query: &Query, from: Place) -> bool {
        let of_kind = query.kind == Kind::Holds || self.family == Family::Orders;
        let in_time = self.last >= from && query.to_ms.is_none_or(|to| self.first.at_ms < to);
        of_kind
            && in_time
            && query
                .event
                .is_none_or(|sale| self.may_have(Tag::Sale(sale.0)))
            && query
                .partner
                .is_none_or(|partner| self.may_have(Tag::Partner(partner.0)))
            && query
                .buyer
                .is_none_or(|buyer| self.may_have(Tag::Buyer(buyer.0)))
            && query.id.is_none_or(|id| {
                self.may_have(Tag::Order(id))
                    || query.kind == Kind::Holds && self.may_have(Tag::Hold(id))
            })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(65 + self.filter.len() * 8);
        bytes.push(self.family as u8);
        bytes.extend(self.first.to_bytes());
        bytes.extend(self.last.to_bytes());
        bytes.extend(self.filter.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    pub fn decode(mut bytes: &[u8]) -> Option<Meta> {
        let [family] = take(&mut bytes)?;
        let first: [u8; 32] = take(&mut bytes)?;
        let last: [u8; 32] = take(&mut bytes)?;
        let words = bytes.chunks_exact(8);
        if bytes.is_empty() || !words.remainder().is_empty() {
            return None;
        }
        Some(Meta {
            family: *Family::ALL.get(usize::from(family))?,
            first: Place::from_bytes(&first)?,
            last: Place::from_bytes(&last)?,
            filter: words
                .map(|mut word| take(&mut word).map(u64::from_le_bytes))
                .collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_of_rows_takes_about_four_bytes_a_row_to_find() {
        let row = |n: u64| Filed {
            row: Row {
                sale: SaleId(7),
                at_ms: n,
                hold: HoldId(u128::from(n) << 64),
                order: Some(OrderId(u128::from(n) << 32)),
                state: RowState::Paid,
                partner: PartnerId(3),
                channel: ChannelId(1),
                buyer: BuyerId(n.into()),
                seats: 2,
                held_at_ms: n,
                deadline_ms: n,
            },
            epoch: 1,
            reopened: 2,
        };
        let rows: Vec<Filed> = (0..512).map(row).collect();
        assert_eq!(decode(&encode(&rows)).as_deref(), Some(&rows[..]));
        assert_eq!(decode(&encode(&rows)[1..]), None);
        let meta = Meta::of(Family::Orders, &rows).expect("there are rows");
        assert!(meta.encode().len() < 512 * 5);
        assert_eq!(Meta::decode(&meta.encode()).as_ref(), Some(&meta));
        let by_id = |id| Query {
            id: Some(id),
            ..Query::default()
        };
        let found = (0..512).filter(|n| meta.may_match(&by_id(n << 32), Place::default()));
        assert_eq!(found.count(), 512);
        let wrong = (600..10_600).filter(|n| meta.may_match(&by_id(n << 32), Place::default()));
        let wrong = wrong.count();
        assert!(wrong < 200, "{wrong} of 10,000 found for nothing");
    }
}
