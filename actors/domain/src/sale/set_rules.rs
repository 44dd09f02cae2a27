//! `SetRules`: new hold times, limits and quotas from now on. Holds and orders that exist stay, also
//! where they go beyond the new limits.
//!
//! Floors that add up to more than can be sold are refused here. Should blocking make them so
//! later, the shared rest is zero and the floors are served first come, first served.

use crate::change::{Change, Fact};
use crate::outcome::{Done, SeatRuns};
use crate::rejection::Rejection;
use crate::rules::SaleRules;
use crate::sale::Sale;
use crate::seats::Seats;

impl Sale {
    pub(super) fn set_rules(
        &mut self,
        rules: &SaleRules,
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        if !are_valid(rules, &self.seats) {
            return Err(Rejection::RulesInvalid);
        }
        self.changing = true;
        self.rules = rules.clone();
        self.recount_usage();
        self.emit(changes, Fact::RulesSet);
        Ok(self.done(0, SeatRuns::default()))
    }
}

/// Times and sizes are not zero, a hold may live as long as it is given, channels are sorted and
/// each there once, no floor is above its cap, and all floors fit into the venue.
pub(crate) fn are_valid(rules: &SaleRules, seats: &Seats) -> bool {
    let floors = rules
        .channels
        .iter()
        .map(|channel| u64::from(channel.floor))
        .fold(0, u64::saturating_add);
    rules.hold_ttl_ms > 0
        && rules.hold_ttl_ms <= rules.hold_life_max_ms
        && rules.hold_seats_max > 0
        && rules.channels.is_sorted_by(|a, b| a.channel < b.channel)
        && rules.channels.iter().all(|channel| {
            channel.floor <= channel.cap && channel.hold_ttl_ms <= rules.hold_life_max_ms
        })
        && floors <= u64::from(seats.layout.seats_total)
}
