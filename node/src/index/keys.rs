//! The keys of the one tree: a letter, then big-endian numbers.
//!
//! ```text
//! f              format stamp
//! n              the next sale to be taken in whole gets this epoch
//! w sale         how far the sale is covered (`Cover`)
//! l number       live holds that came and went (`Live`)
//! s sale order   the order was cancelled after it was filed
//! c number       a full chunk of orders or ended holds   } rows are filed in chunks, because a key
//! d number       what is in it (`Meta`)                  } for each row and each way to find it
//! m number       a short chunk, until there is a full one  costs sled 100 µs an order, measured
//! ```

/// Changes with the meaning of any key or value: another stamp means rebuild.
pub(super) const FORMAT: &[u8] = b"onsale-index-3";
pub(super) const STAMP: &[u8] = b"f";
pub(super) const NEXT_EPOCH: &[u8] = b"n";
pub(super) const COVERS: &[u8] = b"w";
pub(super) const LIVE: &[u8] = b"l";
pub(super) const METAS: &[u8] = b"d";
pub(super) const SHORT_CHUNKS: &[u8] = b"m";

pub(super) fn cover(sale: u64) -> Vec<u8> {
    with(b'w', &sale.to_be_bytes())
}

pub(super) fn live(number: u64) -> Vec<u8> {
    with(b'l', &number.to_be_bytes())
}

/// All cancellations of a sale.
pub(super) fn cancellations(sale: u64) -> Vec<u8> {
    with(b's', &sale.to_be_bytes())
}

pub(super) fn cancellation(sale: u64, order: u128) -> Vec<u8> {
    let mut key = cancellations(sale);
    key.extend(order.to_be_bytes());
    key
}

pub(super) fn chunk(number: u64) -> Vec<u8> {
    with(b'c', &number.to_be_bytes())
}

pub(super) fn meta(number: u64) -> Vec<u8> {
    with(b'd', &number.to_be_bytes())
}

pub(super) fn short_chunk(number: u64) -> Vec<u8> {
    with(b'm', &number.to_be_bytes())
}

/// The number at the end of a key of a sale or chunk.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|number| u64::from_be_bytes(*number))
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
    let mut key = Vec::with_capacity(1 + number.len() + 16);
    key.push(letter);
    key.extend_from_slice(number);
    key
}
