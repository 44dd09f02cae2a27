//! Layouts that were asked for lately, unpacked: when a sale opens everybody asks for the same one,
//! and everybody gets the same bytes. A sale keeps its layout packed, so one that nobody asks for
//! costs no memory here.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::plan::{LayoutFault, unpack};

/// Unpacked bytes kept in all: the layouts of some ten venues of 20,000 seats.
const KEPT_BYTES: usize = 16 << 20;

#[derive(Default)]
pub struct SeatMaps {
    /// By the print of the packed bytes; asked for last, last.
    recent: Mutex<VecDeque<(u128, Bytes)>>,
}

impl SeatMaps {
    /// The layout whose packed bytes have this print.
    pub fn unpacked(&self, print: u128, packed: &[u8]) -> Result<Bytes, LayoutFault> {
        if let Some(known) = self.known(print) {
            return Ok(known);
        }
        // Unpacked outside of the lock: two that ask at once do it twice, and nobody waits.
        let plain = unpack(packed)?;
        self.keep(print, plain.clone());
        Ok(plain)
    }

    fn known(&self, print: u128) -> Option<Bytes> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|(known, _)| *known == print)?;
        let found = recent.remove(at)?;
        let plain = found.1.clone();
        recent.push_back(found);
        Some(plain)
    }

    fn keep(&self, print: u128, plain: Bytes) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if plain.len() > KEPT_BYTES || recent.iter().any(|(known, _)| *known == print) {
            return;
        }
        recent.push_back((print, plain));
        let mut bytes: usize = recent.iter().map(|(_, plain)| plain.len()).sum();
        while bytes > KEPT_BYTES {
            let oldest = recent.pop_front();
            bytes -= oldest.map_or(bytes, |(_, plain)| plain.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(byte: u8, len: usize) -> Vec<u8> {
        zstd::bulk::compress(&vec![byte; len], 1).expect("in memory")
    }

    #[test]
    fn the_same_layout_is_the_same_bytes() {
        let maps = SeatMaps::default();
        let layout = packed(7, 1000);
        let first = maps.unpacked(1, &layout).expect("unpacks");
        let again = maps.unpacked(1, b"not looked at").expect("is known");
        assert_eq!(first.as_ptr(), again.as_ptr());
        assert_eq!(&first[..], &[7; 1000]);
        assert!(maps.unpacked(2, b"no layout").is_err());
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_longest_unused_goes_first() {
        let maps = SeatMaps::default();
        let layout = packed(1, KEPT_BYTES / 4);
        for print in 0..4 {
            maps.unpacked(print, &layout).expect("unpacks");
        }
        assert!(maps.known(0).is_some());
        maps.unpacked(4, &layout).expect("unpacks");
        assert!(maps.known(0).is_some() && maps.known(4).is_some());
        assert!(maps.known(1).is_none());
        maps.unpacked(5, &packed(2, KEPT_BYTES + 1))
            .expect("unpacks");
        assert!(maps.known(5).is_none());
    }
}
