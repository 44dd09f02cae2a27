//! Names the events that are in trouble in the log, once a minute each for as long as it lasts: metrics
//! have no label for an event, so an alarm tells the node, and the node's log the event.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::ids::SaleId;
use tokio::time::Instant;

use super::standing::HeldUp;

/// What is over before that is nobody's business.
const LASTS: Duration = Duration::from_secs(10);
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Lines of one round; the others are counted.
const LINES_MAX: usize = 20;

/// What is wrong with a sale, as far as a look at it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    Oversold,
    Frozen,
    /// It did not answer in time.
    Silent,
    /// Its room lets nobody in who should come in.
    Stalled,
    HeldUp(HeldUp),
}

impl Trouble {
    fn name(self) -> &'static str {
        match self {
            Trouble::Oversold => "oversold",
            Trouble::Frozen => "frozen",
            Trouble::Silent => "silent",
            Trouble::Stalled => "room_stalled",
            Trouble::HeldUp(HeldUp::AwaitsBeacon) => "room_awaits_beacon",
            Trouble::HeldUp(HeldUp::Paused) => "room_paused",
            Trouble::HeldUp(HeldUp::SaleNotOpen) => "sale_not_open",
        }
    }
}

#[derive(Clone, Copy)]
struct Lasting {
    since: Instant,
    told: Option<Instant>,
}

/// The troubles of the sales a node leads, from look to look.
#[derive(Default)]
pub struct Troubles {
    lasting: BTreeMap<(SaleId, Trouble), Lasting>,
}

/// Troubled events, and what is wrong with each.
type Found = Vec<(SaleId, Trouble)>;

impl Troubles {
    /// `seen`: all that is wrong at this look.
    pub fn tell(&mut self, seen: &BTreeSet<(SaleId, Trouble)>, now: Instant) {
        let (due, over) = self.look(seen, now);
        for (sale, trouble) in due.iter().take(LINES_MAX) {
            tracing::warn!(
                event = sale.0,
                why = trouble.name(),
                "an event is in trouble"
            );
        }
        if due.len() > LINES_MAX {
            let events = due.len() - LINES_MAX;
            tracing::warn!(events, "more events are in trouble");
        }
        for (sale, trouble) in over.iter().take(LINES_MAX) {
            tracing::info!(
                event = sale.0,
                why = trouble.name(),
                "an event's trouble is over"
            );
        }
    }

    /// What is to be told now, and what was told and is over.
    fn look(&mut self, seen: &BTreeSet<(SaleId, Trouble)>, now: Instant) -> (Found, Found) {
        let gone = self.lasting.iter().filter(|(key, _)| !seen.contains(key));
        let over = gone.filter(|(_, lasting)| lasting.told.is_some());
        let over = over.map(|(key, _)| *key).collect();
        self.lasting.retain(|key, _| seen.contains(key));
        let mut due = Vec::new();
        for key in seen {
            let new = Lasting {
                since: now,
                told: None,
            };
            let lasting = self.lasting.entry(*key).or_insert(new);
            let is_due = match lasting.told {
                Some(told) => now.duration_since(told) >= TOLD_EVERY,
                None => now.duration_since(lasting.since) >= LASTS,
            };
            if is_due {
                lasting.told = Some(now);
                due.push(*key);
            }
        }
        (due, over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_once_a_minute_and_when_it_is_over() {
        let begun = Instant::now();
        let mut troubles = Troubles::default();
        let frozen = BTreeSet::from([(SaleId(7), Trouble::Frozen)]);
        let mut told = Vec::new();
        for seconds in (0..=130).step_by(2) {
            let now = begun + Duration::from_secs(seconds);
            let (due, over) = troubles.look(&frozen, now);
            assert!(over.is_empty());
            told.extend(due.iter().map(|_| seconds));
        }
        assert_eq!(told, [10, 70, 130]);
        let later = begun + Duration::from_secs(132);
        let (due, over) = troubles.look(&BTreeSet::new(), later);
        assert_eq!((due.len(), over), (0, vec![(SaleId(7), Trouble::Frozen)]));
    }

    #[test]
    fn what_passes_is_not_told() {
        let begun = Instant::now();
        let mut troubles = Troubles::default();
        let silent = BTreeSet::from([(SaleId(7), Trouble::Silent)]);
        for seconds in (0..60).step_by(2) {
            let now = begun + Duration::from_secs(seconds);
            let seen = match seconds % 10 {
                0 => BTreeSet::new(),
                _ => silent.clone(),
            };
            let (due, over) = troubles.look(&seen, now);
            assert!(due.is_empty() && over.is_empty());
        }
    }
}
