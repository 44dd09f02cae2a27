//! The mixing that digests and tables share: one widening multiplication, folded.
//!
//! Not a cryptographic hash. Called by the rolling digest and by the tables' hashes.

const A: u64 = 0x9E37_79B9_7F4A_7C15;
const B: u64 = 0xD6E8_FEB8_6659_FD93;

/// Mixes two words; every bit of both reaches every bit of the result.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ A).wrapping_mul(u128::from(b ^ B));
    (product as u64) ^ ((product >> 64) as u64)
}

/// The hash of a 128-bit id under a sale's seed.
pub(crate) fn hash_id(seed: u64, id: u128) -> u64 {
    // The second round spreads the high bits, which choose the place in a table.
    mix(mix(id as u64 ^ seed, (id >> 64) as u64), seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_differ_widely() {
        let apart = (hash_id(7, 1) ^ hash_id(7, 2)).count_ones();
        assert!(apart > 12, "only {apart} bits differ");
    }
}
