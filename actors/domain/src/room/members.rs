//! The visitors of one lane by rank, which is the sequence of coming to it: a bit for each number of
//! the room, counted by blocks, instead of a list. Numbers are added in ascending sequence only.
//!
//! A room of one lane pays an eighth of a byte a visitor for it, one of 64 lanes nine bytes.

/// Words of a block.
const WORDS: usize = 4;
/// Numbers of a block.
const BLOCK_BITS: u32 = 8;

#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    words: Vec<u64>,
    /// By block: how many members are before it.
    before: Vec<u32>,
    len: u32,
}

impl Members {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Adds a number above all that are there.
    pub(super) fn add(&mut self, number: u32) {
        let blocks = block_of(number).saturating_add(1);
        if blocks > self.before.len() {
            self.before.resize(blocks, self.len);
            self.words.resize(blocks.saturating_mul(WORDS), 0);
        }
        if let Some(word) = self.words.get_mut(word_of(number)) {
            *word |= 1_u64.wrapping_shl(number);
        }
        self.len = self.len.saturating_add(1);
    }

    /// How many members have smaller numbers: of a member the rank.
    pub(super) fn rank(&self, number: u32) -> u32 {
        let block = block_of(number);
        let Some(before) = self.before.get(block) else {
            return self.len;
        };
        let word = word_of(number);
        let first = block.saturating_mul(WORDS);
        let whole = self.words.get(first..word).unwrap_or_default();
        let whole: u32 = whole.iter().map(|word| word.count_ones()).sum();
        let bits = self.words.get(word).map_or(0, |word| {
            (word & 1_u64.wrapping_shl(number).wrapping_sub(1)).count_ones()
        });
        before.saturating_add(whole).saturating_add(bits)
    }

    /// The member of a rank.
    pub(super) fn number(&self, rank: u32) -> Option<u32> {
        if rank >= self.len {
            return None;
        }
        let block = self
            .before
            .partition_point(|before| *before <= rank)
            .checked_sub(1)?;
        let mut left = rank.checked_sub(*self.before.get(block)?)?;
        let first = block.saturating_mul(WORDS);
        for (at, word) in self.words.iter().enumerate().skip(first) {
            let ones = word.count_ones();
            if left < ones {
                let base = (at as u32).wrapping_shl(6);
                return Some(base.saturating_add(bit_of(*word, left)));
            }
            left = left.saturating_sub(ones);
        }
        None
    }

    /// Forgets the last so many.
    pub(super) fn forget_last(&mut self, count: u32) {
        for _ in 0..count.min(self.len) {
            self.len = self.len.saturating_sub(1);
            if let Some(word) = self.words.iter_mut().rev().find(|word| **word != 0) {
                *word &= !1_u64.wrapping_shl(word.ilog2());
            }
        }
        for before in &mut self.before {
            *before = (*before).min(self.len);
        }
    }
}

fn block_of(number: u32) -> usize {
    (number >> BLOCK_BITS) as usize
}

fn word_of(number: u32) -> usize {
    (number >> 6) as usize
}

/// Where the bit is that has so many set ones below it; there is one.
fn bit_of(mut word: u64, below: u32) -> u32 {
    for _ in 0..below {
        word &= word.wrapping_sub(1);
    }
    word.trailing_zeros()
}

#[cfg(test)]
// A test may panic, and counts as it likes.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    clippy::float_arithmetic,
    clippy::unwrap_used
)]
mod tests {
    use super::*;

    /// Beside a list, with gaps of many lengths.
    #[test]
    fn ranks_and_numbers_are_those_of_a_list() {
        let mut members = Members::default();
        let mut list: Vec<u32> = Vec::new();
        let mut number = 3_u32;
        for step in 0..5_000_u32 {
            members.add(number);
            list.push(number);
            number += match step % 97 {
                0 => 700,
                1..=20 => 64,
                21..=40 => 1 + step % 5,
                _ => 1,
            };
        }
        assert_eq!(members.len(), 5_000);
        for (rank, number) in (0..).zip(&list) {
            assert_eq!(members.rank(*number), rank);
            assert_eq!(members.number(rank), Some(*number));
            assert_eq!(members.rank(number + 1), rank + 1);
        }
        assert_eq!(members.number(5_000), None);
        assert_eq!(members.rank(u32::MAX), 5_000);
        members.forget_last(600);
        list.truncate(4_400);
        members.add(number);
        list.push(number);
        assert_eq!(members.len(), 4_401);
        for (rank, number) in (0..).zip(&list) {
            assert_eq!(
                (members.rank(*number), members.number(rank)),
                (rank, Some(*number))
            );
        }
    }
}
