//! Best available: which `n` seats to offer a party.
//!
//! **The objective**, one after the other:
//! 1. all `n` seats adjacent, in one stretch (one row, no aisle, one category, one class) of the
//!    choice;
//! 2. the fewest new orphans. An orphan is a run of exactly one free seat between seats that are
//!    not free (or the stretch's end); it is new if the placement makes it. So an orphan is left
//!    only if every placement anywhere in the choice leaves one;
//! 3. the least sum of weights. A seat's weight is its distance to the section's focal point, in
//!    tenths of the plan's unit, rounded down and cut off at `DISTANCE_MAX`; a restricted view adds
//!    `RESTRICTED_VIEW_PENALTY`, which outweighs every distance for parties of up to 15;
//! 4. the least fragmentation: the fewest runs of free seats afterwards;
//! 5. the lowest (category, section, seat), so that the answer is one.
//!
//! Parties never sit across a border of category (one price) or of class. Ordinary requests take
//! ordinary seats only; accessible ones take wheelchair and companion places, and the window holds
//! at least one wheelchair place. If the party fits nowhere and may be split, see `split`.
//!
//! **How.** For each party size up to `TREE_SIZE_MAX` that was ever asked for there is a tournament
//! tree over all stretches; a leaf is the packed score of the stretch's best window, so a choice,
//! which is a few ranges of stretches, is answered from its nodes. A stretch whose free seats
//! change is marked; a tree refreshes its marked leaves when it is next asked. Larger parties scan
//! the stretches whose longest free run suffices, known from a tree of its own.
//!
//! The trees are caches: no part of the state, the digest or the export. They decide nothing about
//! limits and change no seat. Called by `place_hold` and `hopeless`.

mod choice;
mod long;
mod split;
mod tree;
mod window;

pub(crate) use choice::Choice;
pub(crate) use split::SplitPlan;

use crate::outcome::SeatRun;
use crate::seats::{Layout, Seats, Stretch, Word};
use crate::warm::warm_first;
use tree::Tree;

/// The largest party with a tree of its own.
pub(crate) const TREE_SIZE_MAX: u16 = 8;

/// Tree 0 keeps the longest free runs, tree `n` the best windows of `n` seats.
const TREES: usize = TREE_SIZE_MAX as usize + 1;

const LONGEST: u16 = 0;

#[derive(Clone, Debug)]
pub(crate) struct Finder {
    trees: [Option<Box<Tree>>; TREES],
    /// By stretch: the trees in which it waits to be refreshed, as bits.
    waits: Vec<u16>,
    /// By tree: the stretches that wait.
    waiting: [Vec<u32>; TREES],
    /// The trees that exist, as bits.
    built: u16,
    ranges: Vec<(u32, u32)>,
}

impl Finder {
    pub(crate) fn new(stretches: usize) -> Finder {
        Finder {
            trees: [const { None }; TREES],
            waits: vec![0; stretches],
            waiting: [const { Vec::new() }; TREES],
            built: 0,
            ranges: Vec::new(),
        }
    }

    /// See `Sale::warm`.
    #[inline]
    pub(crate) fn warm(&self) {
        warm_first(&self.waits);
        warm_first(&self.ranges);
        for waiting in &self.waiting {
            warm_first(waiting);
        }
        for tree in self.trees.iter().flatten() {
            tree.warm();
        }
    }

    /// The free seats of the stretch changed.
    #[inline]
    pub(crate) fn mark(&mut self, stretch: u32) {
        let Some(waits) = self.waits.get_mut(stretch as usize) else {
            return;
        };
        let mut fresh = self.built & !*waits;
        *waits |= fresh;
        while fresh != 0 {
            if let Some(waiting) = self.waiting.get_mut(fresh.trailing_zeros() as usize) {
                waiting.push(stretch);
            }
            fresh &= fresh.wrapping_sub(1);
        }
    }

    /// Brings tree `size` up to date.
    fn refresh(&mut self, layout: &Layout, words: &[Word], size: u16) {
        let bit = 1_u16.wrapping_shl(u32::from(size));
        let Some(place) = self.trees.get_mut(usize::from(size)) else {
            return;
        };
        let Some(waiting) = self.waiting.get_mut(usize::from(size)) else {
            return;
        };
        match place {
            Some(tree) => {
                for id in waiting.iter() {
                    if let Some(waits) = self.waits.get_mut(*id as usize) {
                        *waits &= !bit;
                    }
                    let (key, start) = leaf(layout, words, *id, size);
                    tree.set(*id, key, start);
                }
                waiting.clear();
            }
            None => {
                let leaves =
                    (0..layout.stretches.len() as u32).map(|id| leaf(layout, words, id, size));
                *place = Some(Box::new(Tree::new(leaves)));
                self.built |= bit;
            }
        }
    }
}

/// What a tree keeps of a stretch.
fn leaf(layout: &Layout, words: &[Word], id: u32, size: u16) -> (u64, u16) {
    let Some(stretch) = layout.stretches.get(id as usize) else {
        return (tree::NOTHING, 0);
    };
    match size {
        LONGEST => (long::longest_key(layout, words, id, stretch), 0),
        _ => window::best(layout, words, id, stretch, size),
    }
}

impl Seats {
    /// The best place for `size` seats side by side in the choice.
    #[inline]
    pub(crate) fn best(&mut self, choice: &Choice<'_>, size: u16) -> Option<SeatRun> {
        if size > TREE_SIZE_MAX {
            return self.best_long(choice, size);
        }
        self.finder.refresh(&self.layout, &self.words, size);
        choice.ranges(&self.layout, &mut self.finder.ranges);
        let tree = self.finder.trees.get(usize::from(size))?.as_ref()?;
        let key = self
            .finder
            .ranges
            .iter()
            .map(|range| tree.least(*range))
            .min()?;
        if key == tree::NOTHING {
            return None;
        }
        let id = tree::stretch_of(key);
        let stretch = self.layout.stretches.get(id as usize)?;
        Some(run_at(stretch, tree.start(id), size))
    }

    fn best_long(&mut self, choice: &Choice<'_>, size: u16) -> Option<SeatRun> {
        self.finder.refresh(&self.layout, &self.words, LONGEST);
        choice.ranges(&self.layout, &mut self.finder.ranges);
        let tree = self.finder.trees.get(usize::from(LONGEST))?.as_ref()?;
        let mut best: Option<(long::Score, u32, u16)> = None;
        for (first, end) in &self.finder.ranges {
            for id in *first..*end {
                if long::longest_of(tree.leaf(id)) < size {
                    continue;
                }
                let Some(stretch) = self.layout.stretches.get(id as usize) else {
                    continue;
                };
                if let Some((score, start)) = long::best(&self.layout, &self.words, stretch, size)
                    && best.as_ref().is_none_or(|(least, _, _)| score < *least)
                {
                    best = Some((score, id, start));
                }
            }
        }
        let (_, id, start) = best?;
        Some(run_at(self.layout.stretches.get(id as usize)?, start, size))
    }

    /// The longest run of free seats in the choice (for accessible ones: of those with a wheelchair
    /// place).
    pub(crate) fn longest(&mut self, choice: &Choice<'_>) -> u16 {
        self.finder.refresh(&self.layout, &self.words, LONGEST);
        choice.ranges(&self.layout, &mut self.finder.ranges);
        let Some(Some(tree)) = self.finder.trees.get(usize::from(LONGEST)) else {
            return 0;
        };
        let key = self
            .finder
            .ranges
            .iter()
            .map(|range| tree.least(*range))
            .min();
        long::longest_of(key.unwrap_or(tree::NOTHING))
    }

    /// Compares every leaf that claims to be fresh with a new evaluation: (tree, stretch) of those
    /// that differ.
    pub(crate) fn stale_leaves(&self) -> Vec<(usize, u32)> {
        let mut stale = Vec::new();
        for (size, tree) in (0_u16..).zip(&self.finder.trees) {
            let Some(tree) = tree else { continue };
            for id in 0..self.layout.stretches.len() as u32 {
                let waits = self.finder.waits.get(id as usize).copied().unwrap_or(0);
                if waits.wrapping_shr(u32::from(size)) & 1 != 0 {
                    continue;
                }
                let (key, start) = leaf(&self.layout, &self.words, id, size);
                if tree.leaf(id) != key || (key != tree::NOTHING && tree.start(id) != start) {
                    stale.push((usize::from(size), id));
                }
            }
            if !tree.is_consistent() {
                stale.push((usize::from(size), u32::MAX));
            }
        }
        stale
    }
}

fn run_at(stretch: &Stretch, start: u16, count: u16) -> SeatRun {
    let first = stretch.first_seat.saturating_add(u32::from(start));
    SeatRun {
        section: stretch.section,
        count,
        first,
    }
}
