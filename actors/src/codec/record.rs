//! Command records: how a command travels from the gateway through the log to every replica.
//!
//! The layout is written down at `onsale.log.v1.Commands`. A record is made once, at the edge;
//! queue, log and network copy its bytes.

use domain::command::Request;
use domain::ids::{BuyerId, ChannelId, IdempotencyKey, PartnerId};
use domain::room::Token;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Fields;
use super::command::{Malformed, Scratch, decode_body, encode_body};

/// Bytes before the body.
pub const HEADER_LEN: usize = 26;

/// The kinds of commands. Durable numbers.
pub mod kind {
    pub const PLACE_HOLD: u8 = 1;
    pub const EXTEND_HOLD: u8 = 2;
    pub const RELEASE_HOLD: u8 = 3;
    pub const CONFIRM_HOLD: u8 = 4;
    pub const CANCEL_ORDER: u8 = 5;
    /// As `PLACE_HOLD`; whoever made the record has checked the buyer's pass.
    pub const PLACE_HOLD_WITH_PASS: u8 = 6;
    /// As `PLACE_HOLD`, behind what a token of the partner's own waiting room says.
    pub const PLACE_HOLD_WITH_TOKEN: u8 = 7;
    pub const OPEN_SALE: u8 = 32;
    pub const PAUSE_SALE: u8 = 33;
    pub const RESUME_SALE: u8 = 34;
    pub const CLOSE_SALE: u8 = 35;
    pub const REOPEN_SALE: u8 = 36;
    pub const BLOCK_SEATS: u8 = 37;
    pub const UNBLOCK_SEATS: u8 = 38;
    pub const SET_RULES: u8 = 39;
    pub const OPEN_ROOM: u8 = 40;
    pub const MOVE_ROOM: u8 = 41;
    pub const SET_ROOM: u8 = 42;
    pub const SET_BEACON: u8 = 43;
    pub const REMOVE_VISITOR: u8 = 44;
    pub const JOIN_ROOM: u8 = 60;
    pub const LEAVE_ROOM: u8 = 61;
    pub const RELEASE_VISITORS: u8 = 62;
    pub const EXPIRE_HOLDS: u8 = 63;

    /// What a partner may ask for; the rest is for operators and the leader itself.
    pub fn is_partners(kind: u8) -> bool {
        (PLACE_HOLD..=PLACE_HOLD_WITH_TOKEN).contains(&kind)
            || kind == JOIN_ROOM
            || kind == LEAVE_ROOM
    }
}

/// What stands before a record's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u8,
    pub partner: PartnerId,
    pub channel: ChannelId,
    pub key: IdempotencyKey,
}

/// Starts a record; the caller appends `body_len` bytes of body. `None` when it would be too long.
pub fn put_header(out: &mut Vec<u8>, header: Header, body_len: usize) -> Option<()> {
    let Header {
        kind,
        partner,
        channel,
        key,
    } = header;
    let len = u16::try_from(HEADER_LEN + body_len).ok()?;
    let mut bytes = [0; HEADER_LEN];
    bytes[0..2].copy_from_slice(&len.to_le_bytes());
    bytes[2] = kind;
    bytes[4..8].copy_from_slice(&partner.0.to_le_bytes());
    bytes[8..10].copy_from_slice(&channel.0.to_le_bytes());
    bytes[10..26].copy_from_slice(&key.0.to_be_bytes());
    out.extend_from_slice(&bytes);
    Some(())
}

/// Appends the record of a request. The request's `hash` is not stored: it follows from the bytes.
pub fn encode(request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let Request {
        partner,
        channel,
        key,
        hash: _,
        command,
    } = request;
    let start = out.len();
    let kind = super::command::kind_of(command);
    let header = Header {
        kind,
        partner: *partner,
        channel: *channel,
        key: *key,
    };
    put_header(out, header, 0).ok_or(Malformed)?;
    encode_body(command, out)?;
    match u16::try_from(out.len() - start) {
        Ok(len) => {
            out[start..start + 2].copy_from_slice(&len.to_le_bytes());
            Ok(())
        }
        Err(_) => {
            out.truncate(start);
            Err(Malformed)
        }
    }
}

/// Splits a record into header and body. The slice is one whole record, as `Records` gives it.
pub fn split(record: &[u8]) -> Option<(Header, &[u8])> {
    let mut fields = Fields(record);
    let _len = fields.u16()?;
    let kind = fields.u8()?;
    let _zero = fields.u8()?;
    let partner = PartnerId(fields.u32()?);
    let channel = ChannelId(fields.u16()?);
    let key = IdempotencyKey(fields.id()?);
    Some((
        Header {
            kind,
            partner,
            channel,
            key,
        },
        fields.0,
    ))
}

/// Notes in a record of `PLACE_HOLD` that the buyer's pass was checked.
pub fn note_pass(record: &mut [u8]) {
    if let Some(at) = record.get_mut(2).filter(|at| **at == kind::PLACE_HOLD) {
        *at = kind::PLACE_HOLD_WITH_PASS;
    }
}

/// Puts what a token says into the record of `PLACE_HOLD` at the end of `out`.
pub fn put_token(out: &mut Vec<u8>, start: usize, token: Token) {
    let Token { ends_ms, tickets } = token;
    let said = ends_ms
        .to_le_bytes()
        .into_iter()
        .chain(tickets.to_le_bytes());
    let body = start + HEADER_LEN;
    if out.len() < body {
        return;
    }
    out.splice(body..body, said);
    let len = (out.len() - start) as u16;
    out[start..start + 2].copy_from_slice(&len.to_le_bytes());
    out[start + 2] = kind::PLACE_HOLD_WITH_TOKEN;
}

/// Whose hold a body of `PLACE_HOLD` asks for, as it came from the partner.
pub fn buyer(body: &[u8]) -> Option<BuyerId> {
    let mut fields = Fields(body);
    let _hold = fields.id()?;
    fields.id().map(BuyerId)
}

/// Reads a record into a request; lists are put into `scratch`.
pub fn decode<'a>(record: &'a [u8], scratch: &'a mut Scratch) -> Result<Request<'a>, Malformed> {
    let (
        Header {
            kind,
            partner,
            channel,
            key,
        },
        body,
    ) = split(record).ok_or(Malformed)?;
    // A retry may come with the pass that the first attempt lacked.
    let asked = match kind {
        kind::PLACE_HOLD_WITH_PASS => kind::PLACE_HOLD,
        kind => kind,
    };
    let hash = xxh3_64_with_seed(body, u64::from(asked));
    let command = decode_body(kind, body, scratch)?;
    Ok(Request {
        partner,
        channel,
        key,
        hash,
        command,
    })
}

/// The records in a run of bytes, one whole record at a time. Stops at the first that is cut off;
/// `rest` then is not empty.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub fn new(bytes: &'a [u8]) -> Records<'a> {
        Records { rest: bytes }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let len = self
            .rest
            .first_chunk()
            .map(|bytes| usize::from(u16::from_le_bytes(*bytes)))?;
        if len < HEADER_LEN {
            return None;
        }
        let (record, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(record)
    }
}

#[cfg(test)]
mod tests;
