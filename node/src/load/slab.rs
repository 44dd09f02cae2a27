//! Outstanding calls by number, without a map: the call id is the place in the slab and a
//! generation, so that the late answer to an earlier attempt is recognised and dropped.

/// Bits of a call id that are the place; a session allows 16,384 calls outstanding.
const PLACE_BITS: u32 = 16;

#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    /// Room for `capacity` outstanding calls, at most 65,536.
    pub fn new(capacity: usize) -> Slab<T> {
        let capacity = capacity.min(1 << PLACE_BITS);
        Slab {
            slots: (0..capacity)
                .map(|_| Slot {
                    generation: 0,
                    value: None,
                })
                .collect(),
            free: (0..capacity as u32).rev().collect(),
        }
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The call id, or the value back when there is no room.
    pub fn insert(&mut self, value: T) -> Result<u32, T> {
        let Some(place) = self.free.pop() else {
            return Err(value);
        };
        let slot = &mut self.slots[place as usize];
        slot.value = Some(value);
        Ok(slot.generation << PLACE_BITS | place)
    }

    /// `None` when the call was answered before.
    pub fn remove(&mut self, call_id: u32) -> Option<T> {
        let place = call_id & ((1 << PLACE_BITS) - 1);
        let slot = self.slots.get_mut(place as usize)?;
        if slot.generation != call_id >> PLACE_BITS {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = (slot.generation + 1) & 0xffff;
        self.free.push(place);
        Some(value)
    }

    /// Everything outstanding, which is no longer.
    pub fn drain(&mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len());
        for place in 0..self.slots.len() {
            let slot = &mut self.slots[place];
            if let Some(value) = slot.value.take() {
                slot.generation = (slot.generation + 1) & 0xffff;
                self.free.push(place as u32);
                values.push(value);
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_finds_nothing() {
        let mut slab = Slab::new(2);
        let first = slab.insert('a').unwrap();
        let second = slab.insert('b').unwrap();
        assert!(slab.is_full());
        assert_eq!(slab.insert('c'), Err('c'));
        assert_eq!(slab.remove(first), Some('a'));
        assert_eq!(slab.remove(first), None);
        let third = slab.insert('c').unwrap();
        assert_ne!(third, first);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.drain(), ['c', 'b']);
        assert!(slab.is_empty());
        assert_eq!(slab.remove(second), None);
        assert_eq!(slab.remove(third), None);
    }
}
