//! Who is who: a visitor's number by the hash of the id. The ids stay with the caller, who says
//! whether a number is the one looked for, and tells a number's hash when the table grows.
//!
//! Open addressing by lines of the processor's cache: a bucket has twelve numbers, eight bits of each
//! one's hash, and whether an entry ever had to go on to the next. Nobody is ever taken out, so the
//! search ends at the first bucket that nobody went past. The table is cut by the hash into segments
//! that grow by half, each for itself: a visitor costs 6.4 to 9.6 bytes at any large number, and no
//! join waits for more than a segment to be laid out anew. Blocks are all of one size and never given
//! back, so that growing leaves no holes behind in the allocator. A cache, and no part of the state.

/// Numbers of a bucket.
const SLOTS: usize = 12;
/// Buckets of a block.
const BLOCK_BITS: u32 = 3;
/// Segments of a room where more wait than these; before that one is enough.
const SEGMENTS: usize = 256;
const ONE_SEGMENT_MAX: u32 = 32_768;

/// 64 bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Bucket {
    numbers: [u32; SLOTS],
    tags: [u8; SLOTS],
    len: u8,
    /// Somebody whose home is here or before found no room here.
    is_passed: bool,
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    /// Which of the first `len` numbers have this tag, and perhaps some more: a bit at 8 times the slot.
    fn hits(&self, tag: u8) -> u128 {
        const ONES: u128 = u128::from_le_bytes([1; 16]);
        let mut tags = [0; 16];
        for (to, tag) in tags.iter_mut().zip(self.tags) {
            *to = tag;
        }
        // Zero bytes of the difference; a borrow makes some of those behind one seem so.
        let differs = u128::from_le_bytes(tags) ^ ONES.wrapping_mul(u128::from(tag));
        let zeros = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        let taken = 1_u128.wrapping_shl(u32::from(self.len).wrapping_mul(8));
        zeros & taken.wrapping_sub(1)
    }

    fn find(&self, tag: u8, is_it: &mut impl FnMut(u32) -> bool) -> Option<(usize, u32)> {
        let mut hits = self.hits(tag);
        while hits != 0 {
            let slot = (hits.trailing_zeros() >> 3) as usize;
            let number = *self.numbers.get(slot)?;
            if is_it(number) {
                return Some((slot, number));
            }
            hits &= hits.wrapping_sub(1);
        }
        None
    }

    /// `false` if there is no room.
    fn add(&mut self, tag: u8, number: u32) -> bool {
        let slot = usize::from(self.len);
        let (Some(to), Some(its_tag)) = (self.numbers.get_mut(slot), self.tags.get_mut(slot))
        else {
            self.is_passed = true;
            return false;
        };
        (*to, *its_tag) = (number, tag);
        self.len = self.len.wrapping_add(1);
        true
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        self.numbers.iter().take(usize::from(self.len)).copied()
    }
}

type Block = [Bucket; 1 << BLOCK_BITS];

#[derive(Clone, Debug, Default)]
struct Segment {
    #[expect(
        clippy::vec_box,
        reason = "a vector of blocks would double them, and copy all, when it grows"
    )]
    blocks: Vec<Box<Block>>,
    len: u32,
}

impl Segment {
    /// How many there are.
    fn buckets(&self) -> usize {
        self.blocks.len() << BLOCK_BITS
    }

    fn bucket(&self, at: usize) -> Option<&Bucket> {
        let block = self.blocks.get(at >> BLOCK_BITS)?;
        block.get(at & ((1 << BLOCK_BITS) - 1))
    }

    fn bucket_mut(&mut self, at: usize) -> Option<&mut Bucket> {
        let block = self.blocks.get_mut(at >> BLOCK_BITS)?;
        block.get_mut(at & ((1 << BLOCK_BITS) - 1))
    }

    fn home(&self, hash: u64) -> usize {
        let share = (hash >> 24) & u64::from(u32::MAX);
        (share.wrapping_mul(self.buckets() as u64) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        let next = at.saturating_add(1);
        if next < self.buckets() { next } else { 0 }
    }

    /// The bucket and slot where a number is that `is_it` accepts.
    #[inline]
    fn find(&self, hash: u64, is_it: &mut impl FnMut(u32) -> bool) -> Option<(usize, usize, u32)> {
        let mut at = self.home(hash);
        for _ in 0..self.buckets() {
            let bucket = self.bucket(at)?;
            if let Some((slot, number)) = bucket.find(hash as u8, is_it) {
                return Some((at, slot, number));
            }
            if !bucket.is_passed {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    fn insert(
        &mut self,
        hash: u64,
        number: u32,
        lay: &mut Vec<(u64, u32)>,
        hash_of: &impl Fn(u32) -> u64,
    ) {
        // At most 85 of a hundred, so that few go past their home.
        let slots = (self.buckets() as u64).wrapping_mul(SLOTS as u64);
        if u64::from(self.len).wrapping_mul(100) >= slots.wrapping_mul(85) {
            self.grow(lay, hash_of);
        }
        self.put(hash, number);
        self.len = self.len.saturating_add(1);
    }

    fn put(&mut self, hash: u64, number: u32) {
        let mut at = self.home(hash);
        // Bounded by the number of buckets: one has room.
        for _ in 0..self.buckets() {
            if let Some(bucket) = self.bucket_mut(at)
                && bucket.add(hash as u8, number)
            {
                return;
            }
            at = self.after(at);
        }
    }

    /// Takes all out into `lay`, adds blocks, and puts them in again.
    fn grow(&mut self, lay: &mut Vec<(u64, u32)>, hash_of: &impl Fn(u32) -> u64) {
        lay.clear();
        for bucket in self.blocks.iter_mut().flat_map(|block| block.iter_mut()) {
            // Far reads that need not wait for one another, before anything waits for them.
            lay.extend(bucket.numbers().map(|number| (hash_of(number), number)));
            *bucket = Bucket::default();
        }
        let more = (self.blocks.len() >> 1).max(1);
        self.blocks
            .extend(core::iter::repeat_with(Box::default).take(more));
        for (hash, number) in lay.drain(..) {
            self.put(hash, number);
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Index {
    segments: Vec<Segment>,
    /// Room that every growing segment uses again.
    lay: Vec<(u64, u32)>,
}

impl Default for Index {
    fn default() -> Index {
        Index {
            segments: vec![Segment::default()],
            lay: Vec::new(),
        }
    }
}

impl Index {
    /// The number with this hash that `is_it` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let segment = self.segments.get(self.segment_of(hash))?;
        let (_, _, number) = segment.find(hash, &mut is_it)?;
        Some(number)
    }

    /// Adds a number that is not there; `hash_of` tells the hash of any that is.
    pub(super) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if let [only] = self.segments.as_slice()
            && only.len >= ONE_SEGMENT_MAX
        {
            self.cut(&hash_of);
        }
        let at = self.segment_of(hash);
        if let Some(segment) = self.segments.get_mut(at) {
            segment.insert(hash, number, &mut self.lay, &hash_of);
        }
    }

    /// Puts a number in the place of another of the same hash.
    pub(super) fn replace(&mut self, hash: u64, before: u32, number: u32) {
        let at = self.segment_of(hash);
        let Some(segment) = self.segments.get_mut(at) else {
            return;
        };
        let found = segment.find(hash, &mut |known| known == before);
        if let Some((bucket, slot, _)) = found
            && let Some(bucket) = segment.bucket_mut(bucket)
            && let Some(known) = bucket.numbers.get_mut(slot)
        {
            *known = number;
        }
    }

    fn segment_of(&self, hash: u64) -> usize {
        ((hash >> 56).wrapping_mul(self.segments.len() as u64) >> 8) as usize
    }

    fn cut(&mut self, hash_of: &impl Fn(u32) -> u64) {
        let old = core::mem::replace(&mut self.segments, vec![Segment::default(); SEGMENTS]);
        let blocks = old.iter().flat_map(|segment| &segment.blocks);
        let buckets = blocks.flat_map(|block| block.iter());
        for number in buckets.flat_map(Bucket::numbers) {
            let hash = hash_of(number);
            let at = self.segment_of(hash);
            if let Some(segment) = self.segments.get_mut(at) {
                segment.insert(hash, number, &mut self.lay, hash_of);
            }
        }
    }
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
    use crate::digest::mix;

    fn hash(number: u32) -> u64 {
        mix(mix(u64::from(number), 3), 5)
    }

    fn filled(numbers: u32) -> Index {
        let mut index = Index::default();
        for number in 0..numbers {
            assert_eq!(index.find(hash(number), |known| known == number), None);
            index.insert(hash(number), number, hash);
        }
        index
    }

    #[test]
    fn whoever_was_put_in_is_found_and_nobody_else() {
        let mut index = filled(100_000);
        for number in 0..100_000 {
            assert_eq!(
                index.find(hash(number), |known| known == number),
                Some(number)
            );
        }
        for number in 100_000..200_000 {
            assert_eq!(index.find(hash(number), |known| known == number), None);
        }
        for number in (0..100_000).step_by(3) {
            index.replace(hash(number), number, number + 500_000);
        }
        for number in 0..100_000 {
            let wanted = if number % 3 == 0 {
                number + 500_000
            } else {
                number
            };
            assert_eq!(
                index.find(hash(number), |known| known == wanted),
                Some(wanted)
            );
        }
    }

    /// Ids that somebody has chosen so that all hashes are one.
    #[test]
    fn equal_hashes_are_told_apart() {
        let mut index = Index::default();
        for number in 0..1_000 {
            index.insert(u64::MAX, number, |_| u64::MAX);
        }
        for number in 0..1_000 {
            assert_eq!(index.find(u64::MAX, |known| known == number), Some(number));
        }
        assert_eq!(index.find(u64::MAX, |_| false), None);
    }

    /// What the room's promise of memory rests on, at numbers between two growths and right behind one.
    #[test]
    fn a_number_costs_no_more_than_ten_bytes() {
        let mut index = Index::default();
        for number in 0..300_000_u32 {
            index.insert(hash(number), number, hash);
            if number >= 100_000 && number % 1_000 == 0 {
                let buckets: usize = index.segments.iter().map(Segment::buckets).sum();
                let bytes = buckets * size_of::<Bucket>();
                assert!(bytes <= 10 * number as usize, "{bytes} bytes for {number}");
            }
        }
    }
}
