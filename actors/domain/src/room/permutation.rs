//! The shuffle of a lobby: a seeded permutation of `[0, n)` that needs no list, so that a place is
//! found from a rank, and a rank from a place, at the cost of a few hashes.
//!
//! A format-preserving permutation: a Feistel network over the fewest bits that hold `n` numbers,
//! its halves as equal as can be, ten rounds as in NIST SP 800-38G's FF1, with SipHash-2-4 as round
//! function; a result outside `[0, n)` is permuted again ("cycle walking": Black and Rogaway,
//! *Ciphers with Arbitrary Finite Domains*, 2002), fewer than two times on average. Anybody who knows
//! the seed can compute it; see `Seed::key` for the key.

use core::hash::Hasher as _;

use siphasher::sip::SipHasher24;

const ROUNDS: u8 = 10;

/// A key of SipHash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub u64, pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation {
    key: Key,
    len: u32,
    /// Of the low and the high half.
    low_bits: u32,
    high_bits: u32,
}

impl Permutation {
    /// Of `[0, len)`.
    pub fn new(key: Key, len: u32) -> Permutation {
        let last = len.saturating_sub(1);
        let bits = 32_u32.saturating_sub(last.leading_zeros()).max(2);
        let low_bits = bits >> 1;
        Permutation {
            key,
            len,
            low_bits,
            high_bits: bits.saturating_sub(low_bits),
        }
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where `rank` stands after the shuffle; numbers outside stay where they are.
    pub fn place(&self, rank: u32) -> u32 {
        self.walk(rank, |number| {
            (0..ROUNDS).fold(self.split(number), |halves, round| {
                self.round(halves, round)
            })
        })
    }

    /// Who stands at `place`: the inverse.
    pub fn rank(&self, place: u32) -> u32 {
        self.walk(place, |number| {
            (0..ROUNDS).rev().fold(self.split(number), |halves, round| {
                self.round(halves, round)
            })
        })
    }

    /// A permutation of more numbers, repeated until it leads back among the `len`: it does, because
    /// the number it began with is one of them.
    fn walk(&self, from: u32, permuted: impl Fn(u32) -> (u32, u32)) -> u32 {
        if from >= self.len {
            return from;
        }
        let mut number = from;
        loop {
            let (low, high) = permuted(number);
            number = low | high.wrapping_shl(self.low_bits);
            if number < self.len {
                return number;
            }
        }
    }

    fn split(&self, number: u32) -> (u32, u32) {
        (
            number & mask(self.low_bits),
            number.wrapping_shr(self.low_bits),
        )
    }

    /// One half changed by the other: its own inverse.
    fn round(&self, (low, high): (u32, u32), round: u8) -> (u32, u32) {
        match round & 1 {
            0 => (low ^ self.hash(round, high) & mask(self.low_bits), high),
            _ => (low, high ^ self.hash(round, low) & mask(self.high_bits)),
        }
    }

    /// SipHash-2-4 of five bytes: the round, and the half as a little-endian u32.
    fn hash(&self, round: u8, half: u32) -> u32 {
        let [b0, b1, b2, b3] = half.to_le_bytes();
        let mut hasher = SipHasher24::new_with_keys(self.key.0, self.key.1);
        hasher.write(&[round, b0, b1, b2, b3]);
        hasher.finish() as u32
    }
}

fn mask(bits: u32) -> u32 {
    u32::MAX
        .checked_shr(32_u32.saturating_sub(bits))
        .unwrap_or(0)
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

    #[test]
    fn it_is_a_permutation_of_every_small_size_and_some_large_ones() {
        for len in (0..600).chain([4095, 4096, 4097, 65_537]) {
            let permutation = Permutation::new(Key(1, u64::from(len)), len);
            let mut taken = vec![false; len as usize];
            for rank in 0..len {
                let place = permutation.place(rank);
                assert!(place < len, "{rank} of {len} leads to {place}");
                assert!(!core::mem::replace(&mut taken[place as usize], true));
                assert_eq!(permutation.rank(place), rank);
            }
        }
    }

    #[test]
    fn the_largest_size_is_inverted_too() {
        let permutation = Permutation::new(Key(3, 4), u32::MAX);
        for rank in (0..u32::MAX).step_by(98_765_432) {
            assert_eq!(permutation.rank(permutation.place(rank)), rank);
        }
    }

    /// Each visitor of 24 has the same chance of each place: chi-squared over 48,000 seeds.
    #[test]
    fn every_place_is_equally_likely() {
        const LEN: u32 = 24;
        const SEEDS: u64 = 48_000;
        let mut counts = vec![[0_u32; LEN as usize]; LEN as usize];
        for seed in 0..SEEDS {
            let permutation = Permutation::new(Key(seed, 77), LEN);
            for rank in 0..LEN {
                counts[rank as usize][permutation.place(rank) as usize] += 1;
            }
        }
        let expected = SEEDS as f64 / f64::from(LEN);
        for (rank, counts) in counts.iter().enumerate() {
            let chi_squared: f64 = counts
                .iter()
                .map(|count| (f64::from(*count) - expected).powi(2) / expected)
                .sum();
            // 23 degrees of freedom: above 55 with a chance of 2 in 10,000 for each of 24 ranks.
            assert!(chi_squared < 55.0, "rank {rank}: {chi_squared}");
        }
    }

    /// Neighbours in the line do not stay neighbours.
    #[test]
    fn neighbours_are_parted() {
        let permutation = Permutation::new(Key(5, 6), 100_000);
        let beside = (1..100_000)
            .filter(|rank| {
                permutation
                    .place(*rank)
                    .abs_diff(permutation.place(rank - 1))
                    == 1
            })
            .count();
        // Two in a hundred thousand by chance, for each of as many pairs.
        assert!(beside < 12, "{beside} pairs");
    }
}
