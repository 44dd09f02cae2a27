//! What a buyer may be offered: class, category, sections; and the stretches that match.
//!
//! Stretches are numbered by class, category and section, so a choice is a few ranges of them.

use crate::command::CategoryChoice;
use crate::seats::{Group, Layout, Pool, Seats, Tally};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) accessible: bool,
    pub(crate) category: CategoryChoice,
    /// Ascending, each once; none is any.
    pub(crate) sections: &'a [u16],
}

impl Choice<'_> {
    fn matches(&self, group: &Group) -> bool {
        group.accessible == self.accessible
            && match self.category {
                CategoryChoice::Any => true,
                CategoryChoice::Exactly(category) => group.category == category,
                CategoryChoice::AtMost(category) => group.category >= category,
            }
    }

    fn groups<'l>(&self, layout: &'l Layout) -> impl Iterator<Item = &'l Group> {
        layout.groups.iter().filter(|group| self.matches(group))
    }

    /// Fills `ranges` with the matching stretches, ascending, neighbours joined.
    #[inline]
    pub(super) fn ranges(&self, layout: &Layout, ranges: &mut Vec<(u32, u32)>) {
        ranges.clear();
        let mut add = |first: u32, end: u32| match ranges.last_mut() {
            Some((_, last)) if *last == first => *last = end,
            _ => ranges.push((first, end)),
        };
        if self.sections.is_empty() {
            for group in self.groups(layout) {
                add(group.stretches.start, group.stretches.end);
            }
            return;
        }
        self.each_pool(layout, |_, pool| {
            add(pool.stretches.start, pool.stretches.end)
        });
    }

    /// Calls `visit` with the number of each matching pool and the pool.
    pub(super) fn each_pool<'l>(&self, layout: &'l Layout, mut visit: impl FnMut(usize, &'l Pool)) {
        for group in self.groups(layout) {
            let numbers = group.pools.start as usize..group.pools.end as usize;
            let Some(pools) = layout.pools.get(numbers.clone()) else {
                continue;
            };
            if self.sections.is_empty() {
                for (number, pool) in numbers.zip(pools) {
                    visit(number, pool);
                }
                continue;
            }
            for section in self.sections {
                if let Ok(at) = pools.binary_search_by_key(section, |pool| pool.section)
                    && let Some(pool) = pools.get(at)
                {
                    visit(numbers.start.saturating_add(at), pool);
                }
            }
        }
    }
}

impl Seats {
    /// Free and held seats of the choice.
    pub(crate) fn free_and_held(&self, choice: &Choice<'_>) -> (u32, u32) {
        let mut sum = (0_u32, 0_u32);
        let mut add = |tally: Option<&Tally>| {
            if let Some([free, held, ..]) = tally {
                sum = (sum.0.saturating_add(*free), sum.1.saturating_add(*held));
            }
        };
        if choice.sections.is_empty() {
            for (group, tally) in self.layout.groups.iter().zip(&self.group_tallies) {
                if choice.matches(group) {
                    add(Some(tally));
                }
            }
        } else {
            choice.each_pool(&self.layout, |number, _| add(self.tallies.get(number)));
        }
        sum
    }
}
