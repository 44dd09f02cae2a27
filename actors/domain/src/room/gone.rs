//! Places whose visitors do not wait any more, and how many of them lie between two places: a bit
//! each, counted by blocks.

use crate::seats::set_bits;

/// Places of a block.
const BLOCK_BITS: u32 = 12;
const WORDS_OF_BLOCK: usize = 1 << (BLOCK_BITS - 6);

#[derive(Clone, Debug, Default)]
pub(super) struct Gone {
    words: Vec<u64>,
    /// How many in each block.
    blocks: Vec<u32>,
}

impl Gone {
    pub(super) fn set(&mut self, place: u32) {
        let block = (place >> BLOCK_BITS) as usize;
        if block >= self.blocks.len() {
            let blocks = block.saturating_add(1);
            self.blocks.resize(blocks, 0);
            self.words.resize(blocks.saturating_mul(WORDS_OF_BLOCK), 0);
        }
        let bit = 1_u64.wrapping_shl(place);
        if let Some(word) = self.words.get_mut((place >> 6) as usize)
            && *word & bit == 0
        {
            *word |= bit;
            if let Some(count) = self.blocks.get_mut(block) {
                *count = count.saturating_add(1);
            }
        }
    }

    pub(super) fn contains(&self, place: u32) -> bool {
        self.words
            .get((place >> 6) as usize)
            .is_some_and(|word| word & 1_u64.wrapping_shl(place) != 0)
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        set_bits(&self.words)
    }

    /// From `first` up to, not including, `end`.
    pub(super) fn between(&self, first: u32, end: u32) -> u32 {
        self.below(end).saturating_sub(self.below(first))
    }

    fn below(&self, place: u32) -> u32 {
        let block = (place >> BLOCK_BITS) as usize;
        let word = (place >> 6) as usize;
        let first_word = block.saturating_mul(WORDS_OF_BLOCK);
        let blocks: u32 = self.blocks.iter().take(block).sum();
        let words: u32 = self
            .words
            .iter()
            .take(word)
            .skip(first_word)
            .map(|word| word.count_ones())
            .sum();
        let bits = self.words.get(word).map_or(0, |word| {
            (word & 1_u64.wrapping_shl(place).wrapping_sub(1)).count_ones()
        });
        blocks.saturating_add(words).saturating_add(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_between_are_counted() {
        let mut gone = Gone::default();
        let is_gone = |place: u32| place.is_multiple_of(7) || (5000..9000).contains(&place);
        (0..20_000)
            .filter(|place| is_gone(*place))
            .for_each(|place| {
                gone.set(place);
                gone.set(place);
            });
        for (first, end) in [
            (0, 0),
            (0, 1),
            (1, 7),
            (63, 65),
            (4095, 4097),
            (0, 20_000),
            (100, 8191),
        ] {
            let expected = (first..end).filter(|place| is_gone(*place)).count();
            assert_eq!(gone.between(first, end), expected as u32, "{first}..{end}");
        }
        assert!(gone.contains(7) && !gone.contains(8) && !gone.contains(1 << 20));
        assert_eq!(gone.iter().count(), gone.between(0, u32::MAX) as usize);
    }
}
