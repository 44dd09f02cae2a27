//! The bugs of sales in the domain, hunted by layer 1. It has no waiting rooms: theirs are layer 2's.

use domain::bugs::{Bug, plant};

use crate::bugs::{Case, Planted};
use crate::layer1::run::run;

/// Commands a seed: short runs find a bug in more seeds and in less time.
const COMMANDS: usize = 1_000;

pub fn cases() -> Vec<Case> {
    let case = |bug: &Bug| {
        let bug = *bug;
        Case {
            name: bug.name(),
            layer: "domain by seed".to_owned(),
            hunt: Box::new(move |seed, planted| {
                plant((planted == Planted::Yes).then_some(bug));
                let found = run(seed, COMMANDS).err().map(|failure| failure.wrong);
                plant(None);
                found
            }),
        }
    };
    Bug::OF_SALES.iter().map(case).collect()
}
