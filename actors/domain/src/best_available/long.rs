//! Parties of more than 8: runs of free seats, and the best window in them by trying each.
//!
//! Slower than `window` and rare. Also the longest free run of a stretch, which rejections name.

use super::tree::{NOTHING, STRETCH_BITS};
use crate::seats::{Layout, Stretch, Word};

/// Orphans, cost, runs left.
pub(super) type Score = (u8, u64, u8);

/// The key of the tree of longest runs: the longest is the least.
pub(super) fn longest_key(layout: &Layout, words: &[Word], id: u32, stretch: &Stretch) -> u64 {
    let longest = runs(layout, words, stretch)
        .map(|(_, len)| len)
        .max()
        .unwrap_or(0);
    match longest {
        0 => NOTHING,
        longest => u64::from(u16::MAX.wrapping_sub(longest)) << STRETCH_BITS | u64::from(id),
    }
}

pub(super) fn longest_of(key: u64) -> u16 {
    match key {
        NOTHING => 0,
        key => u16::MAX.wrapping_sub((key >> STRETCH_BITS) as u16),
    }
}

/// The best window of `size` seats in the stretch and where it starts.
pub(super) fn best(
    layout: &Layout,
    words: &[Word],
    stretch: &Stretch,
    size: u16,
) -> Option<(Score, u16)> {
    let prefixes = layout.prefixes.get(stretch.prefix as usize..)?;
    let mut best: Option<(Score, u16)> = None;
    for (first, len) in runs(layout, words, stretch) {
        let Some(room) = len.checked_sub(size) else {
            continue;
        };
        for before in 0..=room {
            let start = first.saturating_add(before);
            let end = start.saturating_add(size);
            if !has_wheelchair(layout, stretch, start, end) {
                continue;
            }
            let after = room.saturating_sub(before);
            let orphans = u8::from(before == 1).saturating_add(u8::from(after == 1));
            let runs_left = u8::from(before > 0).saturating_add(u8::from(after > 0));
            let (Some(low), Some(high)) = (
                prefixes.get(usize::from(start)),
                prefixes.get(usize::from(end)),
            ) else {
                continue;
            };
            let score = (orphans, high.saturating_sub(*low), runs_left);
            if best.as_ref().is_none_or(|(least, _)| score < *least) {
                best = Some((score, start));
            }
        }
    }
    best
}

/// The runs of free seats of a stretch, as (first seat in the stretch, length); in accessible
/// stretches only those with a wheelchair place.
pub(super) fn runs(
    layout: &Layout,
    words: &[Word],
    stretch: &Stretch,
) -> impl Iterator<Item = (u16, u16)> {
    let count = usize::from(stretch.len).div_ceil(64);
    let free = move |at: u32| {
        words
            .get((stretch.word as usize).wrapping_add(at as usize))
            .map_or(0, |[free, ..]| *free)
    };
    let len = (count as u32).wrapping_mul(64);
    let mut from = 0_u32;
    core::iter::from_fn(move || {
        loop {
            let first = next_bit(from, len, free)?;
            let end = next_bit(first, len, |at| !free(at)).unwrap_or(len);
            from = end;
            let (first, end) = (first as u16, end.min(u32::from(stretch.len)) as u16);
            if has_wheelchair(layout, stretch, first, end) {
                return Some((first, end.saturating_sub(first)));
            }
        }
    })
}

/// The first bit from `from` on that is set, over the words that `word` gives.
fn next_bit(from: u32, len: u32, word: impl Fn(u32) -> u64) -> Option<u32> {
    let mut at = from >> 6;
    let mut bits = word(at) & u64::MAX.wrapping_shl(from);
    while at.wrapping_mul(64) < len {
        if bits != 0 {
            return Some(at.wrapping_mul(64).wrapping_add(bits.trailing_zeros()));
        }
        at = at.wrapping_add(1);
        bits = word(at);
    }
    None
}

/// Whether one of the seats is a wheelchair place; in ordinary stretches always.
fn has_wheelchair(layout: &Layout, stretch: &Stretch, start: u16, end: u16) -> bool {
    if !layout.is_accessible(stretch) {
        return true;
    }
    (u32::from(start)..u32::from(end)).any(|seat| {
        let word = layout.wheelchair_word(stretch.word.wrapping_add(seat >> 6));
        word.wrapping_shr(seat) & 1 != 0
    })
}
