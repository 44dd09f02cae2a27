//! Limits per buyer and quotas per channel, tried one seat after the other.

use std::collections::{BTreeMap, HashMap};

use domain::ids::ChannelId;
use domain::rejection::Rejection;
use domain::rules::{ChannelRules, SaleRules};

use domain::outcome::{Outcome, SeatRuns};

use crate::layer1::reference::{Reference, State};

/// Seats held and bought.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Used {
    buyers: HashMap<u128, u32>,
    channels: BTreeMap<u16, u32>,
}

impl Used {
    pub fn take(&mut self, buyer: u128, channel: u16, seats: u32) {
        *self.buyers.entry(buyer).or_default() += seats;
        *self.channels.entry(channel).or_default() += seats;
    }

    pub fn give_back(&mut self, buyer: u128, channel: u16, seats: u32) {
        *self.buyers.entry(buyer).or_default() -= seats;
        *self.channels.entry(channel).or_default() -= seats;
    }
}

impl Reference {
    fn channel(&self, channel: u16) -> ChannelRules {
        let listed = self
            .rules
            .channels
            .iter()
            .find(|rules| rules.channel.0 == channel);
        listed.copied().unwrap_or(ChannelRules {
            channel: ChannelId(channel),
            floor: 0,
            cap: u32::MAX,
            hold_ttl_ms: 0,
        })
    }

    pub(super) fn ttl_ms(&self, channel: u16, asked_ms: u32) -> u64 {
        let of_channel_ms = self.channel(channel).hold_ttl_ms;
        u64::from(match (asked_ms, of_channel_ms) {
            (0, 0) => self.rules.hold_ttl_ms,
            (0, ttl_ms) => ttl_ms,
            (ttl_ms, _) => ttl_ms,
        })
    }

    pub(super) fn check_limits(
        &self,
        buyer: u128,
        channel: u16,
        asked: u32,
    ) -> Result<(), Rejection> {
        let already = self.used.buyers.get(&buyer).copied().unwrap_or(0);
        let limit = self.rules.buyer_limit;
        if limit > 0 && already + asked > limit {
            return Err(Rejection::LimitPerBuyer { limit, already });
        }
        if self.rules.channels.is_empty() {
            return Ok(());
        }
        let rules = self.channel(channel);
        let used = i64::from(self.used.channels.get(&channel).copied().unwrap_or(0));
        let beyond_floor = |used: i64, floor: u32| (used - i64::from(floor)).max(0);
        let [free, held, sold, _] = self.totals.map(i64::from);
        let floors: i64 = self
            .rules
            .channels
            .iter()
            .map(|rules| i64::from(rules.floor))
            .sum();
        let beyond: i64 = self
            .used
            .channels
            .iter()
            .map(|(channel, used)| beyond_floor(i64::from(*used), self.channel(*channel).floor))
            .sum();
        let rest = ((free + held + sold - floors).max(0) - beyond).max(0);
        let fits = |more: u32| {
            let with = used + i64::from(more);
            let more_beyond = beyond_floor(with, rules.floor) - beyond_floor(used, rules.floor);
            with <= i64::from(rules.cap) && more_beyond <= rest
        };
        // Beyond what was asked it does not matter how many more there would be.
        let left = (1..=asked).take_while(|more| fits(*more)).count() as u32;
        match left == asked {
            true => Ok(()),
            false => Err(Rejection::ChannelQuota { left }),
        }
    }

    /// Seats held and bought, counted anew: what the kept sums must be.
    pub fn recounted(&self) -> bool {
        let mut counted = Used::default();
        for hold in self.holds.values() {
            counted.take(hold.buyer, hold.channel, hold.runs.seats());
        }
        for order in self.orders.values().filter(|order| order.paid) {
            counted.take(order.buyer, order.channel, order.runs.seats());
        }
        let mut used = self.used.clone();
        used.buyers.retain(|_, seats| *seats > 0);
        used.channels.retain(|_, seats| *seats > 0);
        let mut totals = [0; 4];
        for section in &self.sections {
            for state in [State::Free, State::Held, State::Sold, State::Blocked] {
                totals[state as usize] += section.in_state(state);
            }
        }
        counted == used && totals == self.totals
    }

    pub(super) fn set_rules(&mut self, rules: &SaleRules) -> Result<Outcome, Rejection> {
        let seats: u64 = self.totals.iter().map(|seats| u64::from(*seats)).sum();
        let floors: u64 = rules
            .channels
            .iter()
            .map(|channel| u64::from(channel.floor))
            .sum();
        let is_bad = |channel: &ChannelRules| {
            channel.floor > channel.cap || channel.hold_ttl_ms > rules.hold_life_max_ms
        };
        let in_sequence = rules
            .channels
            .windows(2)
            .all(|pair| pair[0].channel < pair[1].channel);
        if rules.hold_ttl_ms == 0
            || rules.hold_ttl_ms > rules.hold_life_max_ms
            || rules.hold_seats_max == 0
            || !in_sequence
            || rules.channels.iter().any(is_bad)
            || floors > seats
        {
            return Err(Rejection::RulesInvalid);
        }
        self.rules = rules.clone();
        self.revision += 1;
        Ok(self.done(0, SeatRuns::default()))
    }
}
