//! The best window of up to 8 seats in one stretch, by bit arithmetic.
//!
//! All windows of a word are judged at once: a bit stands for the window that starts there. Only
//! those with the fewest orphans are weighed, and where the weights have one valley only the ones
//! around it. Larger windows are in `long`. Called when a tree is refreshed.

use super::tree::{NOTHING, STRETCH_BITS};
use crate::seats::{Layout, Stretch, Word};

/// Bits of the weight in a key: 8 seats of `RESTRICTED_VIEW_PENALTY + DISTANCE_MAX` fit.
const COST_BITS: u32 = 36;

/// The windows of one word.
struct Windows {
    /// All seats of the window are free (and one is a wheelchair place, where that is wanted).
    fits: u64,
    /// The seat before, after the window is free.
    before: u64,
    after: u64,
    /// The seat before, after the window would be an orphan.
    orphan_before: u64,
    orphan_after: u64,
}

/// The key (orphans, cost, runs left, stretch) and the start of the stretch's best window.
pub(super) fn best(
    layout: &Layout,
    words: &[Word],
    id: u32,
    stretch: &Stretch,
    size: u16,
) -> (u64, u16) {
    let first = stretch.word as usize;
    let Some(prefixes) = layout.prefixes.get(stretch.prefix as usize..) else {
        return (NOTHING, 0);
    };
    let weigher = Weigher {
        prefixes,
        size,
        lightest: i32::from(stretch.lightest),
        one_valley: stretch.one_valley,
    };
    let free = |at: usize| {
        words
            .get(first.wrapping_add(at))
            .map_or(0, |[free, ..]| *free)
    };
    let wheelchairs = |at: usize| layout.wheelchair_word(stretch.word.wrapping_add(at as u32));
    let mut best = (NOTHING, 0);
    if stretch.len <= 64 {
        let windows = windows_of_word(free(0), wheelchairs(0), size);
        return weigher.best(&windows, 0, id);
    }
    let count = usize::from(stretch.len).div_ceil(64);
    for at in 0..count {
        let next = at.wrapping_add(1);
        let after = if next < count {
            (free(next), wheelchairs(next))
        } else {
            (0, 0)
        };
        let before = at.checked_sub(1).map_or(0, free);
        let windows = windows_across(before, (free(at), wheelchairs(at)), after, size);
        let found = weigher.best(&windows, (at as u32).wrapping_mul(64), id);
        // Words are in sequence, so on equal keys the earlier window stays.
        if found.0 < best.0 {
            best = found;
        }
    }
    best
}

fn windows_of_word(free: u64, wheelchairs: u64, size: u16) -> Windows {
    let mut fits = free;
    let mut wheelchair = wheelchairs;
    for shift in 1..u32::from(size) {
        fits &= free.wrapping_shr(shift);
        wheelchair |= wheelchairs.wrapping_shr(shift);
    }
    let size = u32::from(size);
    let before = free << 1;
    let after = free.wrapping_shr(size);
    Windows {
        fits: fits & wheelchair,
        before,
        after,
        orphan_before: before & !(free << 2),
        orphan_after: after & !free.wrapping_shr(size.wrapping_add(1)),
    }
}

/// As `windows_of_word`, for a word with neighbours: two bits of the word before and all of the word
/// after are in sight.
fn windows_across(before: u64, word: (u64, u64), after: (u64, u64), size: u16) -> Windows {
    // Bit 2 is the word's first seat. The 62 bits of the next word that remain are more than 9.
    let free = u128::from(before >> 62) | u128::from(word.0) << 2 | u128::from(after.0) << 66;
    let wheelchairs = u128::from(word.1) << 2 | u128::from(after.1) << 66;
    let mut fits = free;
    let mut wheelchair = wheelchairs;
    for shift in 1..u32::from(size) {
        fits &= free.wrapping_shr(shift);
        wheelchair |= wheelchairs.wrapping_shr(shift);
    }
    let size = u32::from(size);
    let cut = |bits: u128| (bits >> 2) as u64;
    let (one_before, one_after) = (free << 1, free.wrapping_shr(size));
    Windows {
        fits: cut(fits & wheelchair),
        before: cut(one_before),
        after: cut(one_after),
        orphan_before: cut(one_before & !(free << 2)),
        orphan_after: cut(one_after & !free.wrapping_shr(size.wrapping_add(1))),
    }
}

struct Weigher<'a> {
    prefixes: &'a [u64],
    size: u16,
    lightest: i32,
    one_valley: bool,
}

impl Weigher<'_> {
    fn cost(&self, start: u32) -> u64 {
        let end = (start as usize).wrapping_add(usize::from(self.size));
        match (self.prefixes.get(end), self.prefixes.get(start as usize)) {
            (Some(end), Some(start)) => end.saturating_sub(*start),
            _ => u64::MAX,
        }
    }

    /// The best of the windows of the word whose first seat is `base`.
    fn best(&self, windows: &Windows, base: u32, id: u32) -> (u64, u16) {
        let fits = windows.fits;
        if fits == 0 {
            return (NOTHING, 0);
        }
        let none = fits & !(windows.orphan_before | windows.orphan_after);
        let one = fits & (windows.orphan_before ^ windows.orphan_after);
        let (orphans, candidates) = match (none, one) {
            (0, 0) => (2_u64, fits),
            (0, one) => (1, one),
            (none, _) => (0, none),
        };
        let (score, bit) = match self.one_valley {
            true => self.least_around_valley(windows, candidates, base),
            false => self.least_of_all(windows, candidates, base),
        };
        let key = orphans << 62 | score << STRETCH_BITS | u64::from(id);
        (key, base.wrapping_add(bit) as u16)
    }

    /// Cost and runs left, packed, of the window that starts at this bit.
    fn score(&self, windows: &Windows, base: u32, bit: u32) -> u64 {
        let runs_left = (windows.before.wrapping_shr(bit) & 1)
            .wrapping_add(windows.after.wrapping_shr(bit) & 1);
        let cost = self.cost(base.wrapping_add(bit)).min((1 << COST_BITS) - 1);
        cost << 2 | runs_left
    }

    fn least_of_all(&self, windows: &Windows, mut candidates: u64, base: u32) -> (u64, u32) {
        let mut best = (u64::MAX, 0);
        while candidates != 0 {
            let bit = candidates.trailing_zeros();
            best = best.min((self.score(windows, base, bit), bit));
            candidates &= candidates.wrapping_sub(1);
        }
        best
    }

    /// Windows before the valley only get worse going back, those after it going on: there the
    /// nearest candidate decides, and those that weigh the same.
    fn least_around_valley(&self, windows: &Windows, candidates: u64, base: u32) -> (u64, u32) {
        let last = self.lightest.wrapping_sub(base as i32);
        let first = last.wrapping_sub(i32::from(self.size)).wrapping_add(1);
        let below = bits_below(first);
        let above = !bits_below(last.wrapping_add(1));
        let mut best = self.least_of_all(windows, candidates & !below & !above, base);
        let mut back = candidates & below;
        let mut limit = u64::MAX;
        while back != 0 {
            let bit = 63_u32.wrapping_sub(back.leading_zeros());
            let score = self.score(windows, base, bit);
            if score >> 2 > limit {
                break;
            }
            limit = score >> 2;
            best = best.min((score, bit));
            back &= !1_u64.wrapping_shl(bit);
        }
        let mut on = candidates & above;
        limit = u64::MAX;
        while on != 0 {
            let bit = on.trailing_zeros();
            let score = self.score(windows, base, bit);
            if score >> 2 > limit {
                break;
            }
            limit = score >> 2;
            best = best.min((score, bit));
            on &= on.wrapping_sub(1);
        }
        best
    }
}

/// The bits below a place that may lie outside of the word.
fn bits_below(place: i32) -> u64 {
    match place {
        ..=0 => 0,
        1..=63 => 1_u64.wrapping_shl(place as u32).wrapping_sub(1),
        64.. => u64::MAX,
    }
}
