//! A map from a 128-bit id to a record: a slab of records and a seeded index over it.
//!
//! Records keep their place until removed; places are used again. Nothing may depend on the
//! sequence of places, because a restored sale fills them in another sequence. Called by the sale
//! for its holds, orders and buyers.

use core::hint::black_box;

use crate::digest::hash_id;
use crate::pieces::Pieces;
use crate::tag_index::TagIndex;

/// The records by place, with their ids; a vacant place has none.
pub(crate) type Slab<V> = Pieces<Option<(u128, V)>>;

#[derive(Clone, Debug)]
pub(crate) struct IdTable<V> {
    seed: u64,
    index: TagIndex,
    slab: Slab<V>,
    vacant: Vec<u32>,
}

impl<V: Clone> IdTable<V> {
    pub(crate) fn new(seed: u64) -> IdTable<V> {
        IdTable {
            seed,
            index: TagIndex::default(),
            slab: Slab::default(),
            vacant: Vec::new(),
        }
    }

    /// See `Sale::warm`.
    #[inline]
    pub(crate) fn warm(&self) {
        self.index.warm(0);
        black_box(self.slab.last().map(Option::is_some));
        black_box(self.vacant.last().copied());
    }

    /// As `warm`, for a record that is about to be asked for.
    #[inline]
    pub(crate) fn warm_id(&self, id: u128) {
        self.index.warm(hash_id(self.seed, id));
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    #[inline]
    fn find(&self, id: u128) -> Option<u32> {
        self.index.find(hash_id(self.seed, id), |reference| {
            matches!(self.slab.get(reference as usize), Some(Some((taken, _))) if *taken == id)
        })
    }

    pub(crate) fn contains(&self, id: u128) -> bool {
        self.find(id).is_some()
    }

    #[inline]
    pub(crate) fn get(&self, id: u128) -> Option<&V> {
        let reference = self.find(id)?;
        self.slab
            .get(reference as usize)?
            .as_ref()
            .map(|(_, value)| value)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u128) -> Option<&mut V> {
        let reference = self.find(id)?;
        self.slab
            .get_mut(reference as usize)?
            .as_mut()
            .map(|(_, value)| value)
    }

    /// All records as they are now.
    pub(crate) fn slab(&self) -> Slab<V> {
        self.slab.clone()
    }

    /// Adds a record under an id that is not in use.
    #[inline]
    pub(crate) fn insert(&mut self, id: u128, value: V) {
        let reference = match self.vacant.pop() {
            Some(reference) => {
                if let Some(place) = self.slab.get_mut(reference as usize) {
                    *place = Some((id, value));
                }
                reference
            }
            None => {
                let reference = self.slab.len() as u32;
                self.slab.push(Some((id, value)));
                reference
            }
        };
        self.index.insert(hash_id(self.seed, id), reference);
    }

    #[inline]
    pub(crate) fn remove(&mut self, id: u128) -> Option<V> {
        let reference = self.find(id)?;
        self.index.remove(hash_id(self.seed, id), reference);
        self.vacant.push(reference);
        let (_, value) = self.slab.get_mut(reference as usize)?.take()?;
        Some(value)
    }

    /// Forgets all records and keeps the room for as many.
    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.slab.clear();
        self.vacant.clear();
    }

    /// In the sequence of places: sort what you take from it, unless nothing is ever removed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &V> {
        self.slab.iter().flatten().map(|(_, value)| value)
    }

    /// The last that was added first, if nothing is ever removed singly.
    pub(crate) fn latest(&self) -> impl Iterator<Item = &V> {
        self.slab.iter().rev().flatten().map(|(_, value)| value)
    }

    /// As `iter`, with the ids.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u128, &V)> {
        self.slab.iter().flatten().map(|(id, value)| (*id, value))
    }
}
