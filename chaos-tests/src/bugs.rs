//! Deliberate bugs, and how many seeds it takes to find each.
//!
//! A layer gives its bugs as cases: a name, and a hunt that says what one seed finds. The hunt plants
//! the bug, runs the seed and takes the bug away again. `bin/bugs` prints the table.

mod layer1;
mod layer2;

use std::ops::Range;

pub use layer1::cases as layer1_cases;
pub use layer2::{ROOMS, cases as layer2_cases, controls, hunt as hunt_in_simulation};

/// One bug and the way to look for it.
pub struct Case {
    pub name: &'static str,
    pub layer: String,
    /// Runs one seed with the bug planted: what was found wrong, if anything.
    pub hunt: Box<dyn Fn(u64) -> Option<String> + Send + Sync>,
}

/// What hunting a bug came to.
pub struct Found {
    /// Seeds needed, in each round; none where the round's seeds did not find it.
    pub seeds_needed: Vec<Option<u64>>,
    /// What the first finding said.
    pub wrong: Option<String>,
}

impl Case {
    /// Looks for the bug once in each range of seeds.
    pub fn find(&self, rounds: &[Range<u64>]) -> Found {
        let mut wrong = None;
        let seeds_needed = rounds.iter().map(|seeds| {
            seeds.clone().find_map(|seed| {
                let found = (self.hunt)(seed)?;
                wrong.get_or_insert(found);
                Some(seed - seeds.start + 1)
            })
        });
        let seeds_needed = seeds_needed.collect();
        Found {
            seeds_needed,
            wrong,
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
