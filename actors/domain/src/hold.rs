//! A hold: seats set aside for a buyer until a deadline.

use crate::deadlines::Place;
use crate::ids::{BuyerId, ChannelId, HoldId, PartnerId};
use crate::outcome::SeatRuns;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub id: HoldId,
    pub buyer: BuyerId,
    pub partner: PartnerId,
    pub channel: ChannelId,
    /// Log time, Unix milliseconds.
    pub placed_at_ms: u64,
    /// Log time, Unix milliseconds: from this time on the hold is expired.
    pub deadline_ms: u64,
    /// Sorted by section and seat, neighbours joined.
    pub seats: SeatRuns,
}

/// A hold as the sale keeps it.
#[derive(Clone, Debug)]
pub(crate) struct KeptHold {
    pub(crate) hold: Hold,
    /// Where its deadline waits.
    pub(crate) place: Place,
}
