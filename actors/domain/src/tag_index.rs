//! Open addressing over 32-bit references: the index of every table in the sale.
//!
//! It stores a 32-bit tag of the hash and a reference beside it; keys stay with the caller, who
//! says whether a reference is the one looked for. Its layout is a cache and no part of the state:
//! nothing may depend on the sequence of its entries.

/// References are at most this, because zero means an empty place.
const REFERENCE_MAX: u32 = u32::MAX - 1;

const PLACES_MIN: usize = 16;

#[derive(Clone, Debug, Default)]
pub(crate) struct TagIndex {
    /// Tag in the high half, reference + 1 in the low half; 0 is empty. A power of two of them.
    places: Vec<u64>,
    len: usize,
    /// Shift that turns a tag into its home place.
    shift: u32,
}

impl TagIndex {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn clear(&mut self) {
        self.places.fill(0);
        self.len = 0;
    }

    /// The reference with this hash that `is_it` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.mask();
        let tag = hash >> 32;
        let mut at = self.home(tag);
        loop {
            let entry = *self.places.get(at)?;
            if entry == 0 {
                return None;
            }
            let reference = (entry as u32).wrapping_sub(1);
            if entry >> 32 == tag && is_it(reference) {
                return Some(reference);
            }
            at = at.wrapping_add(1) & mask;
        }
    }

    /// Reads the home place of a hash and drops it, so that it is near when it is needed: many such
    /// reads overlap, while searches wait for one another.
    #[inline]
    pub(crate) fn warm(&self, hash: u64) {
        core::hint::black_box(self.places.get(self.home(hash >> 32)).copied());
    }

    /// Adds a reference that is not there yet.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, reference: u32) {
        // At most three quarters full, so that probing ends.
        if self.len.wrapping_add(1).saturating_mul(4) > self.places.len().saturating_mul(3) {
            self.grow();
        }
        self.put(((hash >> 32) << 32) | u64::from(reference.min(REFERENCE_MAX).wrapping_add(1)));
        self.len = self.len.wrapping_add(1);
    }

    /// Removes the reference; later entries of the chain move up, so that no tombstones remain.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, reference: u32) -> bool {
        let mask = self.mask();
        let wanted = ((hash >> 32) << 32) | u64::from(reference.wrapping_add(1));
        let mut hole = self.home(hash >> 32);
        loop {
            match self.places.get(hole) {
                None | Some(0) => return false,
                Some(entry) if *entry == wanted => break,
                Some(_) => hole = hole.wrapping_add(1) & mask,
            }
        }
        let mut at = hole;
        loop {
            at = at.wrapping_add(1) & mask;
            let entry = self.places.get(at).copied().unwrap_or(0);
            if entry == 0 {
                break;
            }
            let home = self.home(entry >> 32);
            // An entry may move to the hole only if the hole is not before its home.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.set(hole, entry);
                hole = at;
            }
        }
        self.set(hole, 0);
        self.len = self.len.saturating_sub(1);
        true
    }

    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    fn home(&self, tag: u64) -> usize {
        (tag as u32).checked_shr(self.shift).unwrap_or(0) as usize
    }

    fn set(&mut self, at: usize, entry: u64) {
        if let Some(place) = self.places.get_mut(at) {
            *place = entry;
        }
    }

    fn put(&mut self, entry: u64) {
        let mask = self.mask();
        let mut at = self.home(entry >> 32);
        // Bounded by the number of places: an empty one exists.
        for _ in 0..self.places.len() {
            if let Some(place) = self.places.get_mut(at)
                && *place == 0
            {
                *place = entry;
                return;
            }
            at = at.wrapping_add(1) & mask;
        }
    }

    fn grow(&mut self) {
        let places = self.places.len().saturating_mul(2).max(PLACES_MIN);
        let old = core::mem::replace(&mut self.places, vec![0; places]);
        self.shift = 32_u32.saturating_sub(places.trailing_zeros());
        for entry in old {
            if entry != 0 {
                self.put(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::mix;

    #[test]
    fn what_was_inserted_is_found_until_removed() {
        let mut index = TagIndex::default();
        let hash = |n: u32| mix(u64::from(n), 3);
        for n in 0..5_000_u32 {
            index.insert(hash(n), n);
        }
        for n in (0..5_000_u32).step_by(3) {
            assert!(index.remove(hash(n), n));
        }
        for n in 0..5_000_u32 {
            let found = index.find(hash(n), |reference| reference == n);
            assert_eq!(found.is_some(), n % 3 != 0, "{n}");
        }
    }

    #[test]
    fn equal_hashes_are_told_apart() {
        let mut index = TagIndex::default();
        for n in 0..100 {
            index.insert(u64::MAX, n);
        }
        for n in 0..100 {
            assert_eq!(index.find(u64::MAX, |reference| reference == n), Some(n));
            assert!(index.remove(u64::MAX, n));
        }
        assert_eq!(index.len(), 0);
    }
}
