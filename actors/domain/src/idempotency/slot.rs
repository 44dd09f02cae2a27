//! The slots of the table, packed: 64 bytes a success, 56 a rejection.

use crate::ids::{IdempotencyKey, PartnerId, Revision};
use crate::outcome::{Done, SeatRuns};
use crate::rejection::Rejection;
use crate::state::{RememberedRejection, RememberedSuccess};

/// Words of 32 bits, so that a key takes 20 bytes and leaves no padding behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    words: [u32; 4],
    pub(super) partner: PartnerId,
}

impl Key {
    pub(super) fn new(partner: PartnerId, key: IdempotencyKey) -> Key {
        let [a, b, c, d] = [key.0 >> 96, key.0 >> 64, key.0 >> 32, key.0];
        Key {
            words: [a as u32, b as u32, c as u32, d as u32],
            partner,
        }
    }

    pub(super) fn id(self) -> u128 {
        let [a, b, c, d] = self.words;
        u128::from(a) << 96 | u128::from(b) << 64 | u128::from(c) << 32 | u128::from(d)
    }
}

#[derive(Clone, Debug)]
pub(super) struct SuccessSlot {
    pub(super) key: Key,
    /// The deadline of the outcome, after `at_ms`; 0 is none.
    ttl_ms: u32,
    pub(super) request_hash: u64,
    pub(super) at_ms: u64,
    revision: Revision,
    seats: SeatRuns,
}

const _: () = assert!(size_of::<SuccessSlot>() == 64);
const _: () = assert!(size_of::<RejectionSlot>() <= 56);

impl SuccessSlot {
    pub(super) fn new(key: Key, request_hash: u64, at_ms: u64, done: &Done) -> SuccessSlot {
        // A hold lives for less than 2^32 ms, so its deadline is never farther away than that.
        let ttl_ms = u32::try_from(done.deadline_ms.saturating_sub(at_ms)).unwrap_or(u32::MAX);
        SuccessSlot {
            key,
            ttl_ms,
            request_hash,
            at_ms,
            revision: done.revision,
            seats: done.seats.clone(),
        }
    }

    pub(super) fn done(&self) -> Done {
        let deadline_ms = match self.ttl_ms {
            0 => 0,
            ttl_ms => self.at_ms.saturating_add(u64::from(ttl_ms)),
        };
        Done {
            revision: self.revision,
            deadline_ms,
            seats: self.seats.clone(),
        }
    }

    pub(super) fn export(&self) -> RememberedSuccess {
        RememberedSuccess {
            partner: self.key.partner,
            key: IdempotencyKey(self.key.id()),
            request_hash: self.request_hash,
            at_ms: self.at_ms,
            done: self.done(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct RejectionSlot {
    pub(super) key: Key,
    pub(super) request_hash: u64,
    pub(super) rejection: Rejection,
}

impl RejectionSlot {
    pub(super) fn export(&self) -> RememberedRejection {
        RememberedRejection {
            partner: self.key.partner,
            key: IdempotencyKey(self.key.id()),
            request_hash: self.request_hash,
            rejection: self.rejection,
        }
    }
}
