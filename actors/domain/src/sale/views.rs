//! What can be read of a sale without changing it.

use crate::change::SeatState;
use crate::ended::ENDED_MAX;
use crate::hold::Hold;
use crate::ids::{ChannelId, HoldId, OrderId, Revision};
use crate::order::Order;
use crate::rejection::{Phase, Rejection};
use crate::room::Room;
use crate::rules::SaleRules;
use crate::sale::Sale;
use crate::seats::SectionPlanes;
use crate::venue::Venue;

/// How many there are of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Seats by state, general admission included.
    pub free: u32,
    pub held: u32,
    pub sold: u32,
    pub blocked: u32,
    pub holds: usize,
    /// Cancelled ones included.
    pub orders: usize,
    pub orders_cancelled: usize,
    /// Outcomes in the idempotency table.
    pub remembered: usize,
}

/// A hold as it is, or what became of it as far as that is remembered: see `ended`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldNow {
    Held(Hold),
    /// It has become this order.
    Ordered(Order),
    /// Why it is not there.
    Gone(Rejection),
}

impl Sale {
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Log time of the last command, Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn rules(&self) -> &SaleRules {
        &self.rules
    }

    pub fn venue(&self) -> &Venue {
        &self.venue
    }

    pub fn counts(&self) -> Counts {
        Counts {
            free: self.seats_in(SeatState::Free),
            held: self.seats_in(SeatState::Held),
            sold: self.seats_in(SeatState::Sold),
            blocked: self.seats_in(SeatState::Blocked),
            holds: self.holds.len(),
            orders: self.orders.len(),
            orders_cancelled: self.usage.cancelled_orders(),
            remembered: self.memory.len(),
        }
    }

    /// Seats held and sold by channel, sorted; a channel once there stays.
    pub fn channel_seats(&self) -> &[(ChannelId, u32)] {
        self.usage.of_channels()
    }

    /// Seats given to buyers beyond those that are taken: what channels have by their usage, which is
    /// counted by hold, less what the seats' planes say is held and sold; and standing places beyond
    /// their capacity. Always 0.
    pub fn oversold_seats(&self) -> u64 {
        let taken = |state| u64::from(self.seats_in(state));
        let taken = taken(SeatState::Held).saturating_add(taken(SeatState::Sold));
        let twice = self.usage.of_all().saturating_sub(taken);
        let beyond = self.seats.generals.iter().map(|general| {
            let taken = u64::from(general.held).saturating_add(general.sold.into());
            taken.saturating_sub(general.capacity.into())
        });
        beyond.fold(twice, u64::saturating_add)
    }

    /// Free seats with no free seat beside them, where there are seats beside them.
    pub fn orphan_seats(&self) -> u32 {
        self.seats.orphans()
    }

    /// When log time alone changes something next, Unix milliseconds: a hold expires, the room opens,
    /// a pass runs out.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let in_room = self.room.as_ref().and_then(|room| room.next_event_ms());
        match (self.deadlines.next_ms(), in_room) {
            (Some(hold_ms), Some(room_ms)) => Some(hold_ms.min(room_ms)),
            (hold_ms, room_ms) => hold_ms.or(room_ms),
        }
    }

    pub fn room(&self) -> Option<&Room> {
        self.room.as_deref()
    }

    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(id.0).map(|kept| &kept.hold)
    }

    /// The hold at the sale's time.
    pub fn hold_now(&self, id: HoldId) -> HoldNow {
        match self.hold(id) {
            Some(hold) if hold.deadline_ms > self.now_ms => return HoldNow::Held(hold.clone()),
            Some(_) => return HoldNow::Gone(Rejection::HoldExpired),
            None => {}
        }
        match self.ended.explain(id) {
            Rejection::HoldConfirmed => match self.order_of(id) {
                Some(order) => HoldNow::Ordered(order.clone()),
                None => HoldNow::Gone(Rejection::HoldConfirmed),
            },
            why => HoldNow::Gone(why),
        }
    }

    /// The last order that a hold became which is remembered as confirmed: each such hold added one, so
    /// it is among as many as are remembered.
    fn order_of(&self, hold: HoldId) -> Option<&Order> {
        let mut latest = self.orders.latest().take(ENDED_MAX);
        latest.find(|order| order.hold == hold)
    }

    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(id.0)
    }

    /// In the sequence in which they expire: by (deadline, id).
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.deadlines
            .sequence()
            .into_iter()
            .filter_map(|(_, id)| self.hold(id))
    }

    /// In the sequence in which they were placed.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter()
    }

    /// The planes of a section: one bit a seat in sequence of seats, lowest bit first, a seat in
    /// none of them is free; or the counts of a general-admission section.
    pub fn planes(&self, section: u16) -> Option<SectionPlanes> {
        self.seats.planes(section)
    }

    /// Seats a channel has held and sold.
    pub fn channel_used(&self, channel: ChannelId) -> u32 {
        self.usage.of_channel(channel)
    }

    /// Seats a channel's quota still lets it take, whether they are free or not.
    pub fn channel_left(&self, channel: ChannelId) -> u32 {
        self.quota_left(channel)
    }
}

#[cfg(test)]
// The lint is for what decides sales: a test ends where something is not as it says.
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::ids::BuyerId;
    use crate::outcome::SeatRun;
    use crate::venue::{RowPlan, SeatPlan, SectionPlan};

    #[test]
    fn seats_left_alone_are_counted() {
        let row = |seats: usize| RowPlan {
            seats: vec![SeatPlan::default(); seats],
        };
        let venue = Venue {
            sections: vec![SectionPlan::Seated {
                focal_x: 0,
                focal_y: 0,
                // The first of 130 spans words; a row of one seat is nobody's company.
                rows: vec![row(130), row(3), row(1)],
            }],
        };
        let mut sale = Sale::new(&venue, SaleRules::default(), 1).expect("a valid venue");
        assert_eq!(sale.orphan_seats(), 0);
        let mut take = |first, count| {
            let run = SeatRun {
                section: 0,
                first,
                count,
            };
            sale.seats.shift(run, SeatState::Free, SeatState::Held);
            sale.orphan_seats()
        };
        assert_eq!(take(1, 1), 1, "the first");
        assert_eq!(take(62, 1), 1);
        assert_eq!(take(64, 1), 2, "the last of a word");
        assert_eq!(take(66, 1), 3, "the second of a word");
        assert_eq!(take(128, 1), 4, "the last of the row");
        assert_eq!(take(131, 1), 6, "both beside it");
    }

    #[test]
    fn seats_given_twice_are_seen() {
        let venue = Venue {
            sections: vec![SectionPlan::General {
                capacity: 10,
                category: 0,
            }],
        };
        let mut sale = Sale::new(&venue, SaleRules::default(), 1).expect("a valid venue");
        assert_eq!(sale.oversold_seats(), 0);
        sale.usage.take(BuyerId(1), ChannelId(1), 2);
        assert_eq!(sale.oversold_seats(), 2, "no seat is held for them");
        for general in &mut sale.seats.generals {
            general.sold = 13;
        }
        assert_eq!(sale.oversold_seats(), 5, "three stand where nobody may");
    }
}
