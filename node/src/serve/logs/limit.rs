//! So many lines a second from each place of the program: a fault that meets every call must not fill
//! the disk, nor hide what other places have to say. What was left out is counted, and told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::http::OPERATORS;
use crate::observe::Ration;
use crate::trace::LOG_TARGET;

pub const TELL_EVERY: Duration = Duration::from_secs(10);

/// Asked of each line that the filter lets through.
pub struct Limit {
    lines_per_s: u32,
    left: Arc<Left>,
}

/// The places that told anything, which are as many as the program has.
#[derive(Default)]
pub struct Left {
    places: Mutex<HashMap<Identifier, Place>>,
}

struct Place {
    what: &'static Metadata<'static>,
    ration: Ration,
}

impl Limit {
    /// Zero is no limit.
    pub fn new(lines_per_s: u32) -> Limit {
        Limit {
            lines_per_s,
            left: Arc::default(),
        }
    }

    pub fn left(&self) -> Arc<Left> {
        Arc::clone(&self.left)
    }
}

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let what = event.metadata();
        // Traced calls are bounded where they are chosen, and what operators did is told.
        let is_free = [LOG_TARGET, OPERATORS].contains(&what.target());
        if self.lines_per_s == 0 || is_free {
            return true;
        }
        let now = Instant::now();
        let mut places = self.left.lock();
        let place = places.entry(what.callsite()).or_insert_with(|| Place {
            what,
            ration: Ration::new(now),
        });
        place.ration.admits(self.lines_per_s, now)
    }
}

impl Left {
    fn lock(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<(&'static Metadata<'static>, u64)> {
        let mut places = self.lock();
        let left = places.values_mut().map(|place| {
            let left_out = place.ration.take_left_out();
            (place.what, left_out)
        });
        left.filter(|(_, left_out)| *left_out > 0).collect()
    }
}

/// One line for each place that was cut short since the last time.
pub async fn tell(left: Arc<Left>) {
    let mut from_time_to_time = tokio::time::interval(TELL_EVERY);
    from_time_to_time.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        from_time_to_time.tick().await;
        // The places are let go before anything is told: telling looks at them.
        for (what, lines_left_out) in left.take() {
            let (target, line) = (what.target(), what.line());
            let level = what.level().as_str();
            tracing::warn!(lines_left_out, target, line, level, "a place told too much");
        }
    }
}
