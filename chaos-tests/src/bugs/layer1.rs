//! The bugs of the domain, hunted by layer 1.

use domain::bugs::{Bug, plant};

use crate::bugs::Case;
use crate::layer1::run::run;

/// Commands a seed: short runs find a bug in more seeds and in less time.
const COMMANDS: usize = 1_000;

pub fn cases() -> Vec<Case> {
    let case = |bug: &Bug| {
        let bug = *bug;
        Case {
            name: bug.name(),
            layer: "domain by seed".to_owned(),
            hunt: Box::new(move |seed| {
                plant(Some(bug));
                let found = run(seed, COMMANDS).err().map(|failure| failure.wrong);
                plant(None);
                found
            }),
        }
    };
    Bug::ALL.iter().map(case).collect()
}
