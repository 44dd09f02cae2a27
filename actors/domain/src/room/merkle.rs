//! The list of who was in the lobby, as one hash that everybody can check their own line against.
//!
//! The Merkle tree of RFC 6962 (section 2.1) over SHA-256: leaves and nodes are hashed with prefixes
//! that differ, so neither passes for the other. It grows with each visitor at the cost of two
//! hashes on average; kept are the roots of complete subtrees only, some 32 bytes a thousand leaves.

use sha2::{Digest as _, Sha256};

pub type Hash = [u8; 32];

/// Subtrees of `1 << BLOCK_BITS` leaves are kept, so that a proof hashes no more than one of them.
const BLOCK_BITS: u32 = 10;

/// The hash of a leaf's bytes.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(leaf)
        .finalize()
        .into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// A tree that only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    len: u64,
    /// The roots of the complete subtrees that make up the list, by their size's bit, lowest first.
    peaks: Vec<Option<Hash>>,
    /// The roots of all complete blocks.
    blocks: Vec<Hash>,
}

impl Tree {
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut level = 0_u32;
        self.len = self.len.saturating_add(1);
        loop {
            if level == BLOCK_BITS {
                self.blocks.push(hash);
            }
            match self.peaks.get_mut(level as usize) {
                None => {
                    self.peaks.push(Some(hash));
                    return;
                }
                Some(peak) => match peak.take() {
                    None => {
                        *peak = Some(hash);
                        return;
                    }
                    Some(left) => hash = node_hash(&left, &hash),
                },
            }
            level = level.saturating_add(1);
        }
    }

    /// The hash over all leaves; of no leaves that of the empty string.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().flatten();
        let Some(first) = peaks.next() else {
            return Sha256::digest([]).into();
        };
        peaks.fold(*first, |right, left| node_hash(left, &right))
    }

    /// The path from a leaf to the root (RFC 6962, 2.1.1); `leaf` tells the hash of any leaf.
    pub fn path(&self, index: u64, leaf: impl Fn(u64) -> Hash) -> Option<Vec<Hash>> {
        if index >= self.len {
            return None;
        }
        let mut path = Vec::new();
        let (mut first, mut end) = (0, self.len);
        while end.saturating_sub(first) > 1 {
            let middle = first.saturating_add(left_len(end.saturating_sub(first)));
            if index < middle {
                path.push(self.subtree(middle, end, &leaf));
                end = middle;
            } else {
                path.push(self.subtree(first, middle, &leaf));
                first = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    fn subtree(&self, first: u64, end: u64, leaf: &impl Fn(u64) -> Hash) -> Hash {
        let len = end.saturating_sub(first);
        if len == 1 {
            return leaf(first);
        }
        if len == 1 << BLOCK_BITS
            && let Some(block) = self.blocks.get((first >> BLOCK_BITS) as usize)
        {
            return *block;
        }
        let middle = first.saturating_add(left_len(len));
        node_hash(
            &self.subtree(first, middle, leaf),
            &self.subtree(middle, end, leaf),
        )
    }
}

/// The largest power of two below `len`, which is at least 2.
fn left_len(len: u64) -> u64 {
    1_u64.wrapping_shl(63_u32.saturating_sub(len.saturating_sub(1).leading_zeros()))
}

/// Whether the leaf at `index` belongs to the tree of `len` leaves with this root (RFC 9162,
/// 2.1.3.2).
pub fn is_included(leaf: Hash, index: u64, len: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= len {
        return false;
    }
    let (mut at, mut last) = (index, len.saturating_sub(1));
    let mut hash = leaf;
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(beside, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
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

    fn leaf(index: u64) -> Hash {
        leaf_hash(&index.to_le_bytes())
    }

    /// RFC 6962's definition, word by word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [only] => *only,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&defined(&leaves[..split]), &defined(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_one_that_the_standard_defines() {
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        for index in 0..200 {
            assert_eq!(tree.root(), defined(&leaves), "{index} leaves");
            tree.push(leaf(index));
            leaves.push(leaf(index));
        }
    }

    /// The first test vectors that certificate transparency logs are checked with.
    #[test]
    fn known_roots() {
        let hex = |hash: Hash| hash.map(|byte| format!("{byte:02x}")).concat();
        let mut tree = Tree::default();
        assert!(hex(tree.root()).starts_with("e3b0c44298fc1c14"));
        tree.push(leaf_hash(b""));
        assert!(hex(tree.root()).starts_with("6e340b9cffb37a98"));
        tree.push(leaf_hash(&[0]));
        assert!(hex(tree.root()).starts_with("fac54203e7cc696c"));
    }

    #[test]
    fn every_leaf_has_a_path_and_no_other_leaf_fits_it() {
        for len in [1, 2, 3, 7, 8, 9, 1023, 1024, 1025, 3000] {
            let mut tree = Tree::default();
            (0..len).for_each(|index| tree.push(leaf(index)));
            let root = tree.root();
            for index in (0..len).step_by((len as usize / 40).max(1)) {
                let path = tree.path(index, leaf).unwrap();
                assert!(is_included(leaf(index), index, len, &path, &root));
                assert!(!is_included(leaf(index + 1), index, len, &path, &root));
                assert!(!is_included(leaf(index), index + 1, len, &path, &root));
                for at in 0..path.len() {
                    let mut other = path.clone();
                    other[at][7] ^= 1;
                    assert!(!is_included(leaf(index), index, len, &other, &root));
                }
                let short = path.get(1..).unwrap_or_default();
                assert_eq!(is_included(leaf(index), index, len, short, &root), len == 1);
            }
            assert_eq!(tree.path(len, leaf), None);
        }
    }
}
