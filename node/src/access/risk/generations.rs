//! A table with a bound: when half of it is new since the last time, what was not touched since then
//! is forgotten. Costs two look-ups and no list of who came when.
//!
//! Every hold of a rush passes through such a table on every node, and the standard library's hash was
//! most of what that cost. Keys come from partners, who see no hash and no time of a look-up.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use foldhash::quality::RandomState;

pub struct Generations<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    half: usize,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    /// Keeps `most` entries at most, and at least the half that was touched last.
    pub fn new(most: usize) -> Generations<K, V> {
        Generations {
            young: HashMap::default(),
            old: HashMap::default(),
            half: (most / 2).max(1),
        }
    }

    /// Looks without touching.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// What is known of the key, or what `begin` makes.
    pub fn touch(&mut self, key: K, begin: impl FnOnce() -> V) -> &mut V {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.turn();
        }
        match self.young.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                let known = self.old.remove(vacant.key());
                vacant.insert(known.unwrap_or_else(begin))
            }
        }
    }

    /// Of a key that is not there.
    pub fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half {
            self.turn();
        }
        self.young.insert(key, value);
    }

    /// What is young is old, and what was old is forgotten; its memory is used again.
    fn turn(&mut self) {
        std::mem::swap(&mut self.old, &mut self.young);
        self.young.clear();
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

    #[test]
    fn of_what_is_new_at_least_the_last_half_stays() {
        let mut table = Generations::new(8);
        for new in 0..100 {
            table.insert(new, new);
            assert!(table.kept() <= 8);
            let last = new.min(3);
            assert!((new - last..=new).all(|kept| table.get(&kept) == Some(&kept)));
        }
    }
}
