//! Makes a failure small: leaves out events as long as something is still wrong.
//!
//! Not always the same thing is wrong with fewer events; whatever remains is a failure of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::layer1::plan::Plan;
use crate::layer1::run::{Failure, panic_text};
use crate::layer1::stage::{Event, Stage, Wrong};

/// The fewest events that still fail, as found within the time, and what is then wrong.
pub fn shrink(failure: &Failure, within: Duration) -> (Vec<Event>, Wrong) {
    let started = Instant::now();
    let mut wrong = failure.wrong.clone();
    let mut events = failure.events.clone();
    let mut chunk = events.len().div_ceil(2).max(1);
    while started.elapsed() < within {
        let mut shrunk = false;
        let mut from = 0;
        while from < events.len() && started.elapsed() < within {
            let end = (from + chunk).min(events.len());
            let fewer: Vec<Event> = events[..from]
                .iter()
                .chain(&events[end..])
                .cloned()
                .collect();
            match fails(&failure.plan, fewer) {
                Some((shorter, now_wrong)) => {
                    (events, wrong, shrunk) = (shorter, now_wrong, true);
                }
                None => from = end,
            }
        }
        match (chunk, shrunk) {
            (1, false) => break,
            (1, true) => {}
            _ => chunk = chunk.div_ceil(2),
        }
    }
    (events, wrong)
}

/// The events up to where they fail, if they do, the final checks included.
fn fails(plan: &Plan, events: Vec<Event>) -> Option<(Vec<Event>, Wrong)> {
    let mut stage = Stage::new(plan).ok()?;
    let given = events.len();
    let played = catch_unwind(AssertUnwindSafe(|| {
        events
            .into_iter()
            .try_for_each(|event| stage.step(event).map(|_| ()))
            .and_then(|()| stage.finish())
    }));
    let wrong = match played {
        Ok(Ok(())) => return None,
        Ok(Err(wrong)) => wrong,
        Err(panic) => panic_text(panic.as_ref()),
    };
    // What `finish` added it adds again.
    let mut events = stage.events;
    events.truncate(given);
    Some((events, wrong))
}

/// One line an event.
pub fn describe(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| match event {
        Event::Commit(asked) => asked.to_string(),
        other => format!("{other:?}"),
    };
    events.iter().map(line).collect()
}
