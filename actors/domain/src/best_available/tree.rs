//! A tournament tree of packed scores over stretches: the least of any range in a few loads.
//!
//! It knows nothing of seats. A key ends in the stretch's number, so equal scores go to the lowest
//! stretch and no two keys are equal.

use crate::warm::warm_first;

/// No window fits.
pub(super) const NOTHING: u64 = u64::MAX;

/// Bits of the stretch's number at the low end of a key: more stretches than `SEATS_MAX`.
pub(super) const STRETCH_BITS: u32 = 24;

#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// Node 1 is the root, node `i` the lesser of `2i` and `2i + 1`; the leaves are the upper half.
    nodes: Vec<u64>,
    /// Where the window starts in its stretch, by stretch.
    starts: Vec<u16>,
}

impl Tree {
    pub(super) fn new(leaves: impl ExactSizeIterator<Item = (u64, u16)>) -> Tree {
        let width = leaves.len().next_power_of_two();
        let mut nodes = vec![NOTHING; width.saturating_mul(2)];
        let mut starts = Vec::with_capacity(leaves.len());
        for (node, (key, start)) in nodes.iter_mut().skip(width).zip(leaves) {
            *node = key;
            starts.push(start);
        }
        let mut tree = Tree { nodes, starts };
        for node in (1..width).rev() {
            let least = tree.lesser_child(node);
            tree.put(node, least);
        }
        tree
    }

    /// See `Sale::warm`.
    #[inline]
    pub(super) fn warm(&self) {
        warm_first(&self.nodes);
        warm_first(&self.starts);
    }

    fn width(&self) -> usize {
        self.nodes.len() >> 1
    }

    fn at(&self, node: usize) -> u64 {
        self.nodes.get(node).copied().unwrap_or(NOTHING)
    }

    fn put(&mut self, node: usize, key: u64) {
        if let Some(place) = self.nodes.get_mut(node) {
            *place = key;
        }
    }

    fn lesser_child(&self, node: usize) -> u64 {
        self.at(node.wrapping_mul(2))
            .min(self.at(node.wrapping_mul(2) | 1))
    }

    pub(super) fn leaf(&self, stretch: u32) -> u64 {
        self.at(self.width().wrapping_add(stretch as usize))
    }

    pub(super) fn start(&self, stretch: u32) -> u16 {
        self.starts.get(stretch as usize).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn set(&mut self, stretch: u32, key: u64, start: u16) {
        if let Some(place) = self.starts.get_mut(stretch as usize) {
            *place = start;
        }
        let mut node = self.width().wrapping_add(stretch as usize);
        if self.at(node) == key {
            return;
        }
        self.put(node, key);
        let mut least = key;
        while node > 1 {
            least = least.min(self.at(node ^ 1));
            node >>= 1;
            // Above a node that keeps its key nothing changes.
            if self.at(node) == least {
                return;
            }
            self.put(node, least);
        }
    }

    /// The least key of the stretches from `first` up to, not including, `end`.
    #[inline]
    pub(super) fn least(&self, (first, end): (u32, u32)) -> u64 {
        let mut low = self.width().wrapping_add(first as usize);
        let mut high = self.width().wrapping_add(end as usize);
        let mut least = NOTHING;
        while low < high {
            if low & 1 == 1 {
                least = least.min(self.at(low));
                low = low.wrapping_add(1);
            }
            if high & 1 == 1 {
                high = high.wrapping_sub(1);
                least = least.min(self.at(high));
            }
            low >>= 1;
            high >>= 1;
        }
        least
    }

    pub(super) fn is_consistent(&self) -> bool {
        (1..self.width()).all(|node| self.at(node) == self.lesser_child(node))
    }
}

pub(super) fn stretch_of(key: u64) -> u32 {
    (key & ((1 << STRETCH_BITS) - 1)) as u32
}
