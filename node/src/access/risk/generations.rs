//! A table with a bound: when half of it is new since the last time, what was not touched since then
//! is forgotten. Costs two look-ups and no list of who came when.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

pub struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    /// Keeps `most` entries at most, and at least the half that was touched last.
    pub fn new(most: usize) -> Generations<K, V> {
        Generations {
            young: HashMap::new(),
            old: HashMap::new(),
            half: (most / 2).max(1),
        }
    }

    /// Looks without touching.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// What is known of the key, or what `begin` makes.
    pub fn touch(&mut self, key: K, begin: impl FnOnce() -> V) -> &mut V {
        if !self.young.contains_key(&key) && self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        match self.young.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                let known = self.old.remove(vacant.key());
                vacant.insert(known.unwrap_or_else(begin))
            }
        }
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_stays_and_what_is_not_goes() {
        let mut table = Generations::new(8);
        for other in 1..100 {
            *table.touch(0, || 0) += 1;
            table.touch(other, || 0);
            assert!(table.kept() <= 8);
        }
        assert_eq!(table.get(&0), Some(&99));
        assert_eq!(table.get(&1), None);
        assert_eq!(table.get(&99), Some(&0));
        assert_eq!(table.remove(&0), Some(99));
        assert_eq!(table.remove(&0), None);
    }
}
