//! Identifiers. All are chosen before a command is proposed, never while it is applied.

/// A sale: one event on sale, or one section sold by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaleId(pub u64);

/// A hold, chosen by the caller (a UUIDv7 as 128 bits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub u128);

/// An order, chosen by the caller (a UUIDv7 as 128 bits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u128);

/// An opaque key of who buys: never a name or an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuyerId(pub u128);

/// Who waits in a waiting room: an opaque key under which all partners know the same person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VisitorId(pub u128);

/// The partner's idempotency key, a UUIDv7: its first 48 bits are Unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(pub u128);

impl IdempotencyKey {
    /// The time the key claims to have been made, Unix milliseconds.
    pub fn made_at_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

/// A partner, numbered by the root group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartnerId(pub u32);

/// A sales channel of a partner: what quotas are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u16);

/// A seat: the section's index in the venue and the seat's index in the section, row by row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatRef {
    pub section: u16,
    pub seat: u32,
}

/// The sale's own sequence number of changes; survives a move to another group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);
