//! Deliberate bugs, and how many seeds it takes to find each.
//!
//! A layer gives its bugs as cases: a name, and a hunt that says what one seed finds, with the bug and
//! without it. What is found without it as well is not counted: then the hunt is wrong, or the machine.
//! `bin/bugs` prints the table.

mod layer1;
mod layer2;

use std::ops::Range;

pub use layer1::cases as layer1_cases;
pub use layer2::{ROOMS, cases as layer2_cases, hunt as hunt_in_simulation};

/// One bug and the way to look for it.
pub struct Case {
    pub name: &'static str,
    pub layer: String,
    /// Runs one seed, with the bug or without it: what was found wrong, if anything.
    pub hunt: Box<dyn Fn(u64, Planted) -> Option<String> + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    Yes,
    No,
}

/// What hunting a bug came to.
pub struct Found {
    /// Seeds needed, in each round; none where the round's seeds did not find it.
    pub seeds_needed: Vec<Option<u64>>,
    /// What the first finding said.
    pub wrong: Option<String>,
    /// Seeds of which something was found without the bug too, and what.
    pub false_alarms: Vec<(u64, String)>,
}

impl Case {
    /// Looks for the bug once in each range of seeds.
    pub fn find(&self, rounds: &[Range<u64>]) -> Found {
        let (mut wrong, mut false_alarms) = (None, Vec::new());
        let seeds_needed = rounds.iter().map(|seeds| {
            seeds.clone().find_map(|seed| {
                let found = (self.hunt)(seed, Planted::Yes)?;
                if let Some(alarm) = (self.hunt)(seed, Planted::No) {
                    false_alarms.push((seed, alarm));
                    return None;
                }
                wrong.get_or_insert(found);
                Some(seed - seeds.start + 1)
            })
        });
        let seeds_needed = seeds_needed.collect();
        Found {
            seeds_needed,
            wrong,
            false_alarms,
        }
    }
}

impl Found {
    /// The middle of the rounds, if every round found the bug.
    pub fn median(&self) -> Option<u64> {
        let all: Option<Vec<u64>> = self.seeds_needed.iter().copied().collect();
        all.and_then(median)
    }
}

/// The middle value, the lower of two.
pub fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something is found at 3 without the bug, and from 5 on only with it.
    #[test]
    fn what_is_found_without_the_bug_too_does_not_count() {
        let case = Case {
            name: "a bug",
            layer: "none".to_owned(),
            hunt: Box::new(|seed, planted| {
                let is_there = seed == 3 || (seed >= 5 && planted == Planted::Yes);
                is_there.then(|| "wrong".to_owned())
            }),
        };
        let found = case.find(std::slice::from_ref(&(0..10)));
        assert_eq!(found.seeds_needed, [Some(6)]);
        assert_eq!(found.false_alarms, [(3, "wrong".to_owned())]);
    }
}
