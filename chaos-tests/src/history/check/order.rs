//! Real time and the order of revisions do not contradict each other.

use crate::history::check::attempts::{Item, What};

/// One sweep in the order of revisions. The items are sorted.
pub(super) fn check(items: &[Item<'_>]) -> Result<(), String> {
    // The latest invocation, and the highest log index, of what has a lower revision.
    let (mut invoked, mut index) = (0, 0);
    let mut from = 0;
    while from < items.len() {
        let revision = items[from].revision;
        let len = items[from..]
            .iter()
            .take_while(|item| item.revision == revision)
            .count();
        let here = &items[from..from + len];
        let changes = here.iter().filter(|item| item.width() > 0).count();
        if changes > 1 {
            return Err(format!(
                "{} and {} have the same revision",
                here[0].name(),
                here[1].name()
            ));
        }
        for item in here {
            if item.returned < invoked {
                return Err(format!(
                    "{} returned at {}, before something of a lower revision was invoked at {invoked}",
                    item.name(),
                    item.returned
                ));
            }
            if item.index.is_some_and(|at| at < index) {
                return Err(format!(
                    "{} has a lower log index than what is before it",
                    item.name()
                ));
            }
        }
        // What looked at this revision did so after it came about.
        let change = &here[0];
        if change.width() > 0 {
            let too_early = |item: &&Item<'_>| {
                let before = |(at, changed): (u64, u64)| at < changed;
                item.returned < change.invoke || item.index.zip(change.index).is_some_and(before)
            };
            if let Some(item) = here[1..].iter().find(too_early) {
                return Err(format!("{} is before {}", item.name(), change.name()));
            }
        }
        for item in here {
            // A read that may be stale proves nothing about the time it was made.
            let is_stale = matches!(item.what, What::Read { stale: true, .. });
            if !is_stale {
                invoked = invoked.max(item.invoke);
            }
            if item.width() > 0 {
                index = index.max(item.index.unwrap_or(0));
            }
        }
        from += len;
    }
    Ok(())
}
