//! Packed calls of one message to command records, sale by sale, without an allocation per call or
//! sale: all that a message brings shares one buffer. The layout of both is written down at
//! `onsale.channel.v1.SessionRequest` and `onsale.log.v1.Commands`.
//!
//! Checks the frame alone: length, kind, that the kind's fixed fields fit. What a body says is
//! checked where it is decoded, by the owner.

use std::collections::HashMap;
use std::sync::Arc;

use actors::calls::CallIds;
use actors::codec::answer::{At, put_failed, put_rejected};
use actors::codec::record::{self, kind};
use bytes::{Bytes, BytesMut};
use domain::ids::SaleId;
use domain::rejection::Rejection;
use proto::channel::v1::FailureReason;

use crate::access::enqueue::Gate;
use crate::access::pass::PassKeys;
use crate::grpc::input::{self, HOLD_BODY_MAX, HOLD_FIXED_LEN, Stamp};

/// Bytes of a packed call before its body.
pub const CALL_HEADER_LEN: usize = 32;
/// Up to here a slot is found by looking through them; beyond, by a map.
const FEW: usize = 8;

/// Records for one sale and the ids of their calls.
#[derive(Debug)]
pub struct ForSale {
    pub sale: SaleId,
    pub records: Bytes,
    pub call_ids: CallIds,
}

/// How much of a message is for one sale.
struct Slot {
    sale: u64,
    records_len: usize,
    calls: usize,
}

/// One call of a message: its sale's slot, and the length of its record.
struct Item {
    slot: usize,
    call_id: u32,
    len: usize,
}

const ID_LEN: usize = 4;

/// What is cut off before its call id can be read: nobody to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packed calls end in the middle of a call's header")]
pub struct CutOff;

/// Splits messages of one stream; kept between them.
pub struct Splitter {
    stamp: Stamp,
    keys: Arc<dyn PassKeys>,
    /// Whether this message's last join was to an event that asks for a token.
    gated: Option<(SaleId, bool)>,
    slots: Vec<Slot>,
    /// The calls in the sequence they came, and their records one after the other.
    items: Vec<Item>,
    records: Vec<u8>,
    /// Sale to slot, once there are more than a few.
    places: HashMap<u64, usize>,
    /// Answers to calls that go nowhere.
    refused: Vec<u8>,
    refused_count: u32,
}

impl Splitter {
    pub fn new(stamp: Stamp, keys: Arc<dyn PassKeys>) -> Splitter {
        Splitter {
            stamp,
            keys,
            gated: None,
            slots: Vec::new(),
            items: Vec::new(),
            records: Vec::new(),
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
        self.gated = None;
        // A record is no longer than its call.
        self.records.reserve(packed.len());
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
            } else if self.put(call_id, call) {
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Adds one record made elsewhere.
    pub fn record(&mut self, sale: SaleId, call_id: u32, record: &[u8]) {
        self.records.extend_from_slice(record);
        self.note(sale.0, call_id, record.len());
    }

    /// Notes an answer to a call that goes nowhere.
    pub fn refuse(&mut self, call_id: u32, reason: FailureReason, retry_after_ms: u32) {
        put_failed(call_id, reason, retry_after_ms, &mut self.refused);
        self.refused_count += 1;
    }

    /// What was collected, sale by sale.
    pub fn take_sales(&mut self) -> Vec<ForSale> {
        self.places.clear();
        let sales = match self.slots.as_slice() {
            [slot] => vec![ForSale {
                sale: SaleId(slot.sale),
                records: std::mem::take(&mut self.records).into(),
                call_ids: self.items.iter().map(|item| item.call_id).collect(),
            }],
            _ => self.sort(),
        };
        self.slots.clear();
        self.items.clear();
        self.records.clear();
        sales
    }

    /// Puts the records and ids of each sale side by side into one buffer that they share.
    fn sort(&self) -> Vec<ForSale> {
        let mut sorted = BytesMut::zeroed(self.records.len() + self.items.len() * ID_LEN);
        let mut places = Vec::with_capacity(self.slots.len());
        let mut end = 0;
        for slot in &self.slots {
            let (records_at, ids_at) = (end, end + slot.records_len);
            end = ids_at + slot.calls * ID_LEN;
            places.push((records_at, ids_at));
        }
        let mut rest = self.records.as_slice();
        for item in &self.items {
            let (record, after) = rest.split_at(item.len);
            rest = after;
            let (records_at, ids_at) = &mut places[item.slot];
            sorted[*records_at..][..item.len].copy_from_slice(record);
            sorted[*ids_at..][..ID_LEN].copy_from_slice(&item.call_id.to_le_bytes());
            *records_at += item.len;
            *ids_at += ID_LEN;
        }
        let mut sorted = sorted.freeze();
        let for_sale = |slot: &Slot| ForSale {
            sale: SaleId(slot.sale),
            records: sorted.split_to(slot.records_len),
            call_ids: CallIds::packed(sorted.split_to(slot.calls * ID_LEN)).unwrap_or_default(),
        };
        self.slots.iter().map(for_sale).collect()
    }

    /// Answers to what goes nowhere, and how many they are.
    pub fn take_refused(&mut self) -> Option<(Bytes, u32)> {
        let count = std::mem::take(&mut self.refused_count);
        (count > 0).then(|| (std::mem::take(&mut self.refused).into(), count))
    }

    /// Notes a rejection of a call that goes nowhere.
    pub fn reject(&mut self, call_id: u32, rejection: Rejection) {
        put_rejected(call_id, At::default(), rejection, &mut self.refused);
        self.refused_count += 1;
    }

    /// Whether joins of this partner need a token, which packed ones do not have.
    fn is_gated(&mut self, sale: SaleId) -> bool {
        match self.gated {
            Some((known, is_gated)) if known == sale => is_gated,
            _ => {
                let gate = Gate::of(self.keys.as_ref(), sale, self.stamp.partner);
                self.gated = Some((sale, gate.asks()));
                gate.asks()
            }
        }
    }

    /// Adds a sound call; `false` when its pass is refused, or there is none that it needs to join.
    fn put(&mut self, call_id: u32, call: &[u8]) -> bool {
        let Stamp { partner, channel } = self.stamp;
        let mut event_id = [0; 8];
        event_id.copy_from_slice(&call[8..16]);
        let sale = SaleId(u64::from_le_bytes(event_id));
        if call[2] == kind::JOIN_ROOM && self.is_gated(sale) {
            self.reject(call_id, Rejection::PassInvalid);
            return false;
        }
        let mut header = [0; record::HEADER_LEN];
        let (pass, body) = match call[2] {
            kind::PLACE_HOLD_WITH_PASS => split_pass(&call[CALL_HEADER_LEN..]),
            _ => (None, &call[CALL_HEADER_LEN..]),
        };
        let len = (body.len() + record::HEADER_LEN) as u16;
        header[0..2].copy_from_slice(&len.to_le_bytes());
        header[2] = match pass {
            Some(_) => kind::PLACE_HOLD,
            None => call[2],
        };
        header[4..8].copy_from_slice(&partner.0.to_le_bytes());
        header[8..10].copy_from_slice(&channel.0.to_le_bytes());
        header[10..26].copy_from_slice(&call[16..32]);
        let start = self.records.len();
        self.records.extend_from_slice(&header);
        self.records.extend_from_slice(body);
        if let Some(pass) = pass {
            let keys = self.keys.as_ref();
            if input::show_pass(&mut self.records, start, sale, pass, keys).is_err() {
                self.records.truncate(start);
                self.reject(call_id, Rejection::PassInvalid);
                return false;
            }
        }
        self.note(sale.0, call_id, self.records.len() - start);
        true
    }

    /// Notes a call whose record was just added.
    fn note(&mut self, sale: u64, call_id: u32, len: usize) {
        let place = self.place(sale);
        let slot = &mut self.slots[place];
        slot.records_len += len;
        slot.calls += 1;
        self.items.push(Item {
            slot: place,
            call_id,
            len,
        });
    }

    /// The sale's slot. Most messages are for one sale, and a call's sale mostly that of the call
    /// before.
    fn place(&mut self, sale: u64) -> usize {
        let found = if self.slots.len() <= FEW {
            self.slots.iter().rposition(|slot| slot.sale == sale)
        } else {
            self.places.get(&sale).copied()
        };
        found.unwrap_or_else(|| {
            let place = self.slots.len();
            self.slots.push(Slot {
                sale,
                records_len: 0,
                calls: 0,
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
        })
    }
}

/// The pass before a hold's body, which is there when the call is sound.
fn split_pass(body: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let (len, rest) = body.split_at(2);
    let (pass, body) = rest.split_at(usize::from(u16::from_le_bytes([len[0], len[1]])));
    (Some(pass), body)
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
            kind::PLACE_HOLD => (HOLD_FIXED_LEN..=HOLD_BODY_MAX).contains(&body_len),
            kind::PLACE_HOLD_WITH_PASS => call[CALL_HEADER_LEN..]
                .first_chunk()
                .and_then(|len| body_len.checked_sub(2 + usize::from(u16::from_le_bytes(*len))))
                .is_some_and(|hold| (HOLD_FIXED_LEN..=HOLD_BODY_MAX).contains(&hold)),
            kind::JOIN_ROOM => body_len == 17,
            kind::LEAVE_ROOM => body_len == 16,
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
