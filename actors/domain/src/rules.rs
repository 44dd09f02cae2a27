//! What the organiser sets for a sale: hold times, limits, quotas.

use crate::ids::ChannelId;

/// What a channel may sell, and how long its holds live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelRules {
    pub channel: ChannelId,
    /// Seats kept for this channel alone.
    pub floor: u32,
    /// Most seats this channel may have held and sold together; `u32::MAX` is no cap.
    pub cap: u32,
    /// Hold time of this channel; 0 takes the sale's.
    pub hold_ttl_ms: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleRules {
    /// Hold time when the caller asks for none, milliseconds.
    pub hold_ttl_ms: u32,
    /// Longest life of a hold from its placing, extensions included, milliseconds.
    pub hold_life_max_ms: u32,
    /// Most seats one buyer may have held and bought together; 0 is no limit.
    pub buyer_limit: u32,
    /// Most seats in one hold.
    pub hold_seats_max: u32,
    /// A sale for trials: `ReopenSale` is allowed.
    pub test_mode: bool,
    /// Sorted by channel, each at most once. The seats that are no channel's floor are the
    /// shared rest; a channel that is not listed has floor 0 and no cap.
    pub channels: Vec<ChannelRules>,
}

impl Default for SaleRules {
    fn default() -> Self {
        SaleRules {
            hold_ttl_ms: 30 * 60 * 1000,
            hold_life_max_ms: 2 * 60 * 60 * 1000,
            buyer_limit: 0,
            hold_seats_max: 100,
            test_mode: false,
            channels: Vec::new(),
        }
    }
}
