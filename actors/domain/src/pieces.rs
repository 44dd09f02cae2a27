//! A long list whose copies cost little: they share its pieces until one side changes one.
//!
//! A snapshot needs all of a sale as it is at one moment, and while it is taken nobody is answered. A
//! copy of such a list is a pointer for each piece and what does not fill a piece yet; what is changed
//! later is copied then, a piece at a time. Short lists are one plain array. Called by the tables of
//! holds, orders and keys.

use std::collections::VecDeque;
use std::sync::Arc;

/// Items of a piece, as a power of two: so many are copied by the first change after a copy was taken,
/// some 100 KB.
const PIECE_BITS: usize = 10;
const PIECE: usize = 1 << PIECE_BITS;

#[derive(Clone, Debug)]
pub(crate) struct Pieces<T> {
    full: VecDeque<Arc<[T]>>,
    /// The last items, fewer than a piece.
    tail: Vec<T>,
    /// Items at the front that were taken off, fewer than a piece.
    gone: usize,
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Pieces {
            full: VecDeque::new(),
            tail: Vec::new(),
            gone: 0,
        }
    }
}

fn split(number: usize) -> (usize, usize) {
    (number >> PIECE_BITS, number & (PIECE - 1))
}

impl<T> Pieces<T> {
    pub(crate) fn len(&self) -> usize {
        let all = (self.full.len() << PIECE_BITS).saturating_add(self.tail.len());
        all.saturating_sub(self.gone)
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        let (piece, at) = split(at.checked_add(self.gone)?);
        match self.full.get(piece) {
            Some(full) => full.get(at),
            None if piece == self.full.len() => self.tail.get(at),
            None => None,
        }
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.get(0)
    }

    pub(crate) fn last(&self) -> Option<&T> {
        let in_full = || self.full.back().and_then(|piece| piece.last());
        let last = self.tail.last().or_else(in_full);
        last.filter(|_| self.len() > 0)
    }

    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        self.tail.push(item);
        if self.tail.len() == PIECE {
            self.full.push_back(self.tail.drain(..).collect());
        }
    }

    /// Takes the first off. It may live on for as long as its neighbours.
    pub(crate) fn drop_first(&mut self) {
        if self.len() == 0 {
            return;
        }
        self.gone = self.gone.saturating_add(1);
        if self.gone == PIECE {
            self.full.pop_front();
            self.gone = 0;
        } else if self.full.is_empty() && self.gone == self.tail.len() {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.full.clear();
        self.tail.clear();
        self.gone = 0;
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        // Of two ranges, so that what is gone costs nothing.
        let (first, others) = match self.full.front() {
            Some(first) => (first.get(self.gone..), self.full.range(1..)),
            None => (self.tail.get(self.gone..), self.full.range(..)),
        };
        let tail = match self.full.is_empty() {
            true => &[][..],
            false => &self.tail,
        };
        let others = others.flat_map(|piece| piece.iter());
        first.into_iter().flatten().chain(others).chain(tail)
    }
}

impl<T: Clone> Pieces<T> {
    /// Copies the item's piece first if it is shared.
    #[inline]
    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let (piece, at) = split(at.checked_add(self.gone)?);
        let of_tail = piece == self.full.len();
        match self.full.get_mut(piece) {
            Some(full) => Arc::make_mut(full).get_mut(at),
            None if of_tail => self.tail.get_mut(at),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(pieces: &Pieces<u32>) -> Vec<u32> {
        pieces.iter().copied().collect()
    }

    #[test]
    fn it_is_a_list_whatever_its_length_and_whatever_was_taken_off() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7] {
            for gone in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
                let mut pieces = Pieces::default();
                (0..len as u32).for_each(|number| pieces.push(number));
                (0..gone).for_each(|_| pieces.drop_first());
                let expected: Vec<u32> = (gone.min(len) as u32..len as u32).collect();
                assert_eq!(numbers(&pieces), expected, "{len} less {gone}");
                let reversed: Vec<u32> = pieces.iter().rev().copied().collect();
                assert!(reversed.iter().eq(expected.iter().rev()));
                assert_eq!(pieces.len(), expected.len());
                assert_eq!(pieces.first(), expected.first());
                assert_eq!(pieces.last(), expected.last(), "{len} less {gone}");
                for at in 0..=expected.len() {
                    assert_eq!(pieces.get(at), expected.get(at));
                    assert_eq!(pieces.get_mut(at).copied(), expected.get(at).copied());
                }
                pieces.push(77);
                assert_eq!(pieces.last(), Some(&77));
                assert_eq!(pieces.len(), expected.len() + 1);
            }
        }
    }

    #[test]
    fn a_copy_keeps_what_was_and_shares_what_did_not_change() {
        let mut pieces = Pieces::default();
        (0..3 * PIECE as u32 + 5).for_each(|number| pieces.push(number));
        let before = numbers(&pieces);
        let copy = pieces.clone();
        for (at, number) in [(PIECE + 3, 1), (3 * PIECE, 2)] {
            let item = pieces.get_mut(at);
            assert_eq!(item.map(|item| *item = number), Some(()));
        }
        (0..2 * PIECE as u32).for_each(|number| pieces.push(number));
        pieces.drop_first();
        assert_eq!(numbers(&copy), before);
        let both = pieces.full.iter().zip(&copy.full);
        let shared = both.map(|(one, other)| Arc::ptr_eq(one, other));
        assert!(shared.eq([true, false, true]));
        assert_eq!(
            pieces.get(PIECE + 2),
            Some(&1),
            "one was taken off the front"
        );
        pieces.clear();
        assert_eq!(numbers(&copy), before);
        assert_eq!(pieces.len(), 0);
    }
}
