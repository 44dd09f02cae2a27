//! How to seat a party apart when it fits nowhere together.
//!
//! **The objective**, one after the other:
//! 1. the fewest pieces, each piece adjacent seats of one stretch of the choice (for accessible
//!    requests each piece with a wheelchair place);
//! 2. all pieces in one section, if that needs no more pieces;
//! 3. the most even sizes: the smallest piece as large as possible, then the next smallest, and so
//!    on, so that nobody sits alone without need;
//! 4. among sections that are equal so far, the lowest;
//! 5. the pieces are then placed one after the other, the largest first, each by the objective of
//!    `best_available` given those before it. (5) is greedy: (1) to (4) are optimal, the sum of
//!    weights over the pieces need not be.
//!
//! Why (5) always succeeds: no run of free seats holds two pieces, or they would be one and the
//! pieces not the fewest; and a piece that takes a longer run than it needs leaves the others runs
//! at least as long as those they were planned for. Called by `place_hold`.

use super::{Choice, LONGEST, long};
use crate::seats::Seats;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SplitPlan {
    /// The section all pieces are in; `None`: any of the choice.
    pub(crate) section: Option<u16>,
    /// Largest first.
    pub(crate) sizes: Vec<u16>,
}

impl Seats {
    /// The pieces for a party of `size`; `None` if the choice has not so many seats.
    pub(crate) fn split(&mut self, choice: &Choice<'_>, size: u16) -> Option<SplitPlan> {
        // (section, length) of every run, longest first within a section.
        let mut runs = self.free_runs(choice);
        let mut lengths: Vec<u16> = runs.iter().map(|(_, len)| *len).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let fewest = pieces(&lengths, size)?;
        runs.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut best: Option<SplitPlan> = None;
        for of_section in runs.chunk_by(|a, b| a.0 == b.0) {
            let lengths: Vec<u16> = of_section
                .iter()
                .map(|(_, len)| *len)
                .take(fewest)
                .collect();
            if pieces(&lengths, size) != Some(fewest) {
                continue;
            }
            let sizes = even_sizes(&lengths, size);
            let is_better = best
                .as_ref()
                .is_none_or(|best| sizes.iter().rev().gt(best.sizes.iter().rev()));
            if is_better {
                best = Some(SplitPlan {
                    section: of_section.first().map(|(section, _)| *section),
                    sizes,
                });
            }
        }
        best.or_else(|| {
            let longest = lengths.get(..fewest)?;
            Some(SplitPlan {
                section: None,
                sizes: even_sizes(longest, size),
            })
        })
    }

    fn free_runs(&mut self, choice: &Choice<'_>) -> Vec<(u16, u16)> {
        self.finder.refresh(&self.layout, &self.words, LONGEST);
        let mut found = Vec::new();
        let Some(Some(tree)) = self.finder.trees.get(usize::from(LONGEST)) else {
            return found;
        };
        choice.each_pool(&self.layout, |_, pool| {
            if long::longest_of(tree.least((pool.stretches.start, pool.stretches.end))) == 0 {
                return;
            }
            for id in pool.stretches.clone() {
                if long::longest_of(tree.leaf(id)) == 0 {
                    continue;
                }
                let Some(stretch) = self.layout.stretches.get(id as usize) else {
                    continue;
                };
                found.extend(
                    long::runs(&self.layout, &self.words, stretch)
                        .map(|(_, len)| (pool.section, len)),
                );
            }
        });
        found
    }
}

/// How many of the longest runs it takes; `lengths` descend.
fn pieces(lengths: &[u16], size: u16) -> Option<usize> {
    let mut left = u32::from(size);
    for (taken, len) in (1_usize..).zip(lengths) {
        left = left.saturating_sub(u32::from(*len));
        if left == 0 {
            return Some(taken);
        }
    }
    None
}

/// One piece a run, as even as the runs allow; `lengths` descend, so do the sizes.
fn even_sizes(lengths: &[u16], size: u16) -> Vec<u16> {
    let mut left = size;
    let mut sizes = Vec::with_capacity(lengths.len());
    let runs_left = (1..=lengths.len() as u16).rev();
    for (runs_left, len) in runs_left.zip(lengths.iter().rev()) {
        // The shortest runs are filled first, each up to an even share of what is left.
        let share = left.checked_div(runs_left).unwrap_or(left).min(*len);
        sizes.push(share);
        left = left.saturating_sub(share);
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sits_alone_without_need() {
        assert_eq!(even_sizes(&[5, 5], 6), [3, 3]);
        assert_eq!(even_sizes(&[4, 4], 5), [3, 2]);
        assert_eq!(even_sizes(&[6, 1], 7), [6, 1]);
        assert_eq!(even_sizes(&[5, 3, 2], 9), [4, 3, 2]);
    }

    #[test]
    fn the_longest_runs_make_the_fewest_pieces() {
        assert_eq!(pieces(&[5, 2, 2], 6), Some(2));
        assert_eq!(pieces(&[5, 2, 2], 9), Some(3));
        assert_eq!(pieces(&[5, 2, 2], 10), None);
    }
}
