//! Packed calls of one message to command records, one buffer per sale, without a copy or an
//! allocation per call beyond the record's own bytes. The layout of both is written down at
//! `onsale.channel.v1.SessionRequest` and `onsale.log.v1.Commands`.
//!
//! Checks the frame alone: length, kind, that the kind's fixed fields fit. What a body says is
//! checked where it is decoded, by the owner.

use std::collections::HashMap;

use actors::codec::answer::put_failed;
use actors::codec::record::{self, kind};
use bytes::{Bytes, BytesMut};
use domain::ids::SaleId;
use proto::channel::v1::FailureReason;

use crate::grpc::input::Stamp;

/// Bytes of a packed call before its body.
pub const CALL_HEADER_LEN: usize = 32;
/// Up to here a slot is found by looking through them; beyond, by a map.
const FEW: usize = 8;

/// Records for one sale and the ids of their calls.
#[derive(Debug)]
pub struct ForSale {
    pub sale: SaleId,
    pub records: Bytes,
    pub call_ids: Vec<u32>,
}

struct Slot {
    sale: u64,
    records: BytesMut,
    call_ids: Vec<u32>,
}

/// What is cut off before its call id can be read: nobody to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packed calls end in the middle of a call's header")]
pub struct CutOff;

/// Splits messages of one stream; kept between them.
pub struct Splitter {
    stamp: Stamp,
    slots: Vec<Slot>,
    /// Sale to slot, once there are more than a few.
    places: HashMap<u64, usize>,
    /// Answers to calls that go nowhere.
    refused: Vec<u8>,
    refused_count: u32,
}

impl Splitter {
    pub fn new(stamp: Stamp) -> Splitter {
        Splitter {
            stamp,
            slots: Vec::new(),
            places: HashMap::new(),
            refused: Vec::new(),
            refused_count: 0,
        }
    }

    /// Takes the packed calls of a message; `room` is how many more may be outstanding, a call
    /// beyond is answered BUSY. Returns how many were taken.
    ///
    /// A call with a wrong length is answered BAD_REQUEST and ends its message, because where the
    /// next begins is not known.
    pub fn packed(&mut self, packed: &[u8], room: usize, busy_ms: u32) -> Result<usize, CutOff> {
        let mut rest = packed;
        let mut taken = 0;
        while !rest.is_empty() {
            let head: &[u8; 8] = rest.first_chunk().ok_or(CutOff)?;
            let call_id = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            let len = usize::from(u16::from_le_bytes([head[0], head[1]]));
            let whole = (len >= CALL_HEADER_LEN)
                .then(|| rest.split_at_checked(len))
                .flatten();
            let Some((call, after)) = whole else {
                self.refuse(call_id, FailureReason::BadRequest, 0);
                break;
            };
            rest = after;
            if !is_sound(call) {
                self.refuse(call_id, FailureReason::BadRequest, 0);
            } else if taken == room {
                self.refuse(call_id, FailureReason::Busy, busy_ms);
            } else {
                self.put(call_id, call, packed.len());
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Adds one record made elsewhere.
    pub fn record(&mut self, sale: SaleId, call_id: u32, record: &[u8]) {
        let slot = self.slot(sale.0, record.len());
        slot.records.extend_from_slice(record);
        slot.call_ids.push(call_id);
    }

    /// Notes an answer to a call that goes nowhere.
    pub fn refuse(&mut self, call_id: u32, reason: FailureReason, retry_after_ms: u32) {
        put_failed(call_id, reason, retry_after_ms, &mut self.refused);
        self.refused_count += 1;
    }

    /// What was collected, sale by sale.
    pub fn take_sales(&mut self) -> impl Iterator<Item = ForSale> {
        self.places.clear();
        self.slots.drain(..).map(|slot| ForSale {
            sale: SaleId(slot.sale),
            records: slot.records.freeze(),
            call_ids: slot.call_ids,
        })
    }

    /// Answers to what goes nowhere, and how many they are.
    pub fn take_refused(&mut self) -> Option<(Bytes, u32)> {
        let count = std::mem::take(&mut self.refused_count);
        (count > 0).then(|| (std::mem::take(&mut self.refused).into(), count))
    }

    fn put(&mut self, call_id: u32, call: &[u8], hint: usize) {
        let Stamp { partner, channel } = self.stamp;
        let mut event_id = [0; 8];
        event_id.copy_from_slice(&call[8..16]);
        let mut header = [0; record::HEADER_LEN];
        let len = (call.len() - CALL_HEADER_LEN + record::HEADER_LEN) as u16;
        header[0..2].copy_from_slice(&len.to_le_bytes());
        header[2] = call[2];
        header[4..8].copy_from_slice(&partner.0.to_le_bytes());
        header[8..10].copy_from_slice(&channel.0.to_le_bytes());
        header[10..26].copy_from_slice(&call[16..32]);
        let slot = self.slot(u64::from_le_bytes(event_id), hint);
        slot.records.extend_from_slice(&header);
        slot.records.extend_from_slice(&call[CALL_HEADER_LEN..]);
        slot.call_ids.push(call_id);
    }

    /// The sale's slot. Most messages are for one sale, and a call's sale mostly that of the call
    /// before; `hint` is how much a message for this sale alone would need.
    fn slot(&mut self, sale: u64, hint: usize) -> &mut Slot {
        let found = if self.slots.len() <= FEW {
            self.slots.iter().rposition(|slot| slot.sale == sale)
        } else {
            self.places.get(&sale).copied()
        };
        let place = found.unwrap_or_else(|| {
            let place = self.slots.len();
            let (bytes, calls) = if place == 0 {
                (hint, hint / 80)
            } else {
                (256, 4)
            };
            self.slots.push(Slot {
                sale,
                records: BytesMut::with_capacity(bytes),
                call_ids: Vec::with_capacity(calls),
            });
            if place == FEW {
                self.places = (0..)
                    .zip(&self.slots)
                    .map(|(at, slot)| (slot.sale, at))
                    .collect();
            } else if place > FEW {
                self.places.insert(sale, place);
            }
            place
        });
        &mut self.slots[place]
    }
}

/// How many calls a message has, as far as their lengths tell.
pub fn count(packed: &[u8]) -> usize {
    let mut rest = packed;
    let mut calls = 0;
    while let Some(len) = rest.first_chunk() {
        calls += 1;
        let len = usize::from(u16::from_le_bytes(*len)).max(CALL_HEADER_LEN);
        rest = rest.get(len..).unwrap_or(&[]);
    }
    calls
}

/// Whether a whole call may become a record: a partner's kind, the reserved byte zero, its fixed
/// fields there.
fn is_sound(call: &[u8]) -> bool {
    let body_len = call.len() - CALL_HEADER_LEN;
    call[3] == 0
        && match call[2] {
            kind::PLACE_HOLD => body_len >= 37,
            kind::EXTEND_HOLD => body_len == 20,
            kind::RELEASE_HOLD | kind::CANCEL_ORDER => body_len == 16,
            kind::CONFIRM_HOLD => {
                body_len > 33 && body_len == 33 + usize::from(call[CALL_HEADER_LEN + 32])
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests;
