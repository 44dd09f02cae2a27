//! Who has how many seats: the limit per buyer and the quotas of channels.
//!
//! A quota is a guaranteed floor and a share in the rest. A channel that has `used` seats held and
//! sold may take `q` more if `used + q` is within its cap, and what goes beyond its floor fits into
//! the shared rest: all seats that are not blocked, less all floors, less what all channels have
//! beyond their floors. A channel without rules has floor 0 and no cap.
//!
//! The sums are derived from holds and orders and not part of the state. Buyers are counted only
//! while the rules limit them, because it costs a table access on every hold.

use crate::bugs::{Bug, planted};
use crate::change::SeatState;
use crate::hold::KeptHold;
use crate::id_table::IdTable;
use crate::ids::{BuyerId, ChannelId};
use crate::order::OrderState;
use crate::rejection::Rejection;
use crate::rules::{ChannelRules, SaleRules};
use crate::sale::Sale;
use crate::warm::warm_first;

#[derive(Clone, Debug)]
pub(crate) struct Usage {
    counts_buyers: bool,
    /// Seats held and sold; buyers with none are not there.
    buyers: IdTable<u32>,
    /// Seats held and sold, sorted by channel; a channel once there stays.
    channels: Vec<(ChannelId, u32)>,
    cancelled_orders: usize,
}

/// By buyer and by channel, those with no seats left out.
type SortedUsage = (Vec<(u128, u32)>, Vec<(ChannelId, u32)>);

impl Usage {
    pub(crate) fn new(seed: u64, rules: &SaleRules) -> Usage {
        Usage {
            counts_buyers: rules.buyer_limit > 0,
            buyers: IdTable::new(seed),
            channels: Vec::new(),
            cancelled_orders: 0,
        }
    }

    /// See `Sale::warm`.
    #[inline]
    pub(crate) fn warm(&self) {
        warm_first(&self.channels);
        if self.counts_buyers {
            self.buyers.warm();
        }
    }

    /// As `warm`, for a buyer who is about to be counted.
    #[inline]
    pub(crate) fn warm_buyer(&self, buyer: BuyerId) {
        if self.counts_buyers {
            self.buyers.warm_id(buyer.0);
        }
    }

    pub(crate) fn of_channels(&self) -> &[(ChannelId, u32)] {
        &self.channels
    }

    /// Seats held and sold of all channels.
    pub(crate) fn of_all(&self) -> u64 {
        let seats = self.channels.iter().map(|(_, used)| u64::from(*used));
        seats.fold(0, u64::saturating_add)
    }

    #[inline]
    pub(crate) fn take(&mut self, buyer: BuyerId, channel: ChannelId, seats: u32) {
        match self
            .channels
            .binary_search_by_key(&channel, |(channel, _)| *channel)
        {
            Ok(at) => {
                if let Some((_, used)) = self.channels.get_mut(at) {
                    *used = used.saturating_add(seats);
                }
            }
            Err(at) => self.channels.insert(at, (channel, seats)),
        }
        if !self.counts_buyers {
            return;
        }
        match self.buyers.get_mut(buyer.0) {
            Some(has) => *has = has.saturating_add(seats),
            None => self.buyers.insert(buyer.0, seats),
        }
    }

    #[inline]
    pub(crate) fn give_back(&mut self, buyer: BuyerId, channel: ChannelId, seats: u32) {
        if let Ok(at) = self
            .channels
            .binary_search_by_key(&channel, |(channel, _)| *channel)
            && let Some((_, used)) = self.channels.get_mut(at)
        {
            *used = used.saturating_sub(seats);
        }
        if !self.counts_buyers {
            return;
        }
        if let Some(has) = self.buyers.get_mut(buyer.0) {
            *has = has.saturating_sub(seats);
            if *has == 0 {
                self.buyers.remove(buyer.0);
            }
        }
    }

    pub(crate) fn count_cancelled(&mut self) {
        self.cancelled_orders = self.cancelled_orders.saturating_add(1);
    }

    pub(crate) fn cancelled_orders(&self) -> usize {
        self.cancelled_orders
    }

    pub(crate) fn of_buyer(&self, buyer: BuyerId) -> u32 {
        self.buyers.get(buyer.0).copied().unwrap_or(0)
    }

    pub(crate) fn of_channel(&self, channel: ChannelId) -> u32 {
        let at = self
            .channels
            .binary_search_by_key(&channel, |(channel, _)| *channel);
        at.ok()
            .and_then(|at| self.channels.get(at))
            .map_or(0, |(_, used)| *used)
    }

    /// Buyers and channels that have seats, sorted.
    pub(crate) fn sorted(&self) -> SortedUsage {
        let mut buyers: Vec<(u128, u32)> =
            self.buyers.entries().map(|(id, has)| (id, *has)).collect();
        buyers.sort_unstable();
        let channels = self
            .channels
            .iter()
            .copied()
            .filter(|(_, used)| *used > 0)
            .collect();
        (buyers, channels)
    }
}

impl Sale {
    /// Counts anew from holds and orders.
    pub(crate) fn counted_usage(&self) -> Usage {
        let mut usage = Usage::new(self.hash_seed, &self.rules);
        for KeptHold { hold, .. } in self.holds.iter() {
            usage.take(hold.buyer, hold.channel, hold.seats.seats());
        }
        for order in self.orders.iter() {
            match order.state {
                OrderState::Paid => usage.take(order.buyer, order.channel, order.seats.seats()),
                OrderState::Cancelled => usage.count_cancelled(),
            }
        }
        usage
    }

    pub(crate) fn recount_usage(&mut self) {
        self.usage = self.counted_usage();
    }

    /// Whether the buyer and the channel may have so many seats more.
    #[inline]
    pub(super) fn check_limits(
        &self,
        buyer: BuyerId,
        channel: ChannelId,
        seats: u32,
    ) -> Result<(), Rejection> {
        let limit = self.rules.buyer_limit;
        if limit > 0 {
            let already = self.usage.of_buyer(buyer);
            if already.saturating_add(seats) > limit {
                return Err(Rejection::LimitPerBuyer { limit, already });
            }
        }
        if self.rules.channels.is_empty() {
            return Ok(());
        }
        let left = self.quota_left(channel);
        match seats > left {
            true => Err(Rejection::ChannelQuota { left }),
            false => Ok(()),
        }
    }

    /// Seats the channel may still take, whether they are free or not.
    pub(crate) fn quota_left(&self, channel: ChannelId) -> u32 {
        let [free, held, sold, _] = self.seats.totals;
        let mut rest = u64::from(free)
            .saturating_add(u64::from(held))
            .saturating_add(u64::from(sold));
        let mut beyond = 0_u64;
        for ChannelRules { floor, .. } in &self.rules.channels {
            if !planted(Bug::FloorIgnored) {
                rest = rest.saturating_sub(u64::from(*floor));
            }
        }
        for (channel, used) in &self.usage.channels {
            beyond = beyond.saturating_add(u64::from(
                used.saturating_sub(self.terms_of(*channel).floor),
            ));
        }
        let ChannelRules { floor, cap, .. } = self.terms_of(channel);
        let used = self.usage.of_channel(channel);
        let within_floor = u64::from(floor.saturating_sub(used));
        let within_quota = within_floor.saturating_add(rest.saturating_sub(beyond));
        let within_cap = cap.saturating_sub(used);
        u32::try_from(within_quota)
            .unwrap_or(u32::MAX)
            .min(within_cap)
    }

    /// The rules of a channel.
    fn terms_of(&self, channel: ChannelId) -> ChannelRules {
        let at = self
            .rules
            .channels
            .binary_search_by_key(&channel, |rules| rules.channel);
        let unlisted = ChannelRules {
            channel,
            floor: 0,
            cap: u32::MAX,
            hold_ttl_ms: 0,
        };
        at.ok()
            .and_then(|at| self.rules.channels.get(at))
            .copied()
            .unwrap_or(unlisted)
    }

    /// How long a hold of the channel lives if the caller asks for nothing else.
    pub(super) fn default_ttl_ms(&self, channel: ChannelId) -> u32 {
        match self.terms_of(channel).hold_ttl_ms {
            0 => self.rules.hold_ttl_ms,
            ttl_ms => ttl_ms,
        }
    }

    /// Seats in this state over the whole venue.
    pub(crate) fn seats_in(&self, state: SeatState) -> u32 {
        self.seats.totals.get(state as usize).copied().unwrap_or(0)
    }
}
