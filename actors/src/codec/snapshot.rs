//! A sale's whole state, to and from its durable message (`onsale.log.v1.SaleContents`).

use bytes::Bytes;
use domain::Sale;
use domain::SectionPlanes;
use domain::command::PaymentReference;
use domain::hold::Hold;
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, Revision};
use domain::order::{Order, OrderState};
use domain::outcome::{Done, SeatRun, SeatRuns};
use domain::state::{
    EndedHold, Ending, RememberedRejection, RememberedSuccess, SaleState, Watermark,
};
use proto::log::v1 as log;

use super::{Fields, rejection, room, rules, venue};

/// Why durable bytes are not a sale.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the field {0} cannot be read")]
    Field(&'static str),
    #[error("the parts do not fit together: {0}")]
    Inconsistent(String),
    #[error(
        "the hash over the whole state differs: stored {stored:016x}, restored {restored:016x}"
    )]
    Hash { stored: u64, restored: u64 },
}

/// The durable message of a state, with the hash over all of it.
pub fn to_proto(state: &SaleState) -> log::SaleContents {
    let SaleState {
        venue,
        rules,
        hash_seed,
        phase,
        now_ms,
        revision,
        digest,
        planes,
        holds,
        orders,
        ended,
        successes,
        rejections,
        watermarks,
        room,
    } = state;
    log::SaleContents {
        venue: Some(venue::to_proto(venue)),
        rules: Some(rules::to_proto(rules)),
        hash_seed: *hash_seed,
        phase: rejection::phase_number(*phase) as u32,
        now_ms: *now_ms,
        revision: revision.0,
        digest: *digest,
        planes: planes.iter().map(planes_to_proto).collect(),
        holds: pack(holds, put_hold),
        orders: pack(orders, put_order),
        ended: pack(ended, put_ended),
        successes: pack(successes, put_success),
        rejections: pack(rejections, put_rejection),
        watermarks: pack(watermarks, put_watermark),
        full_hash: state.hash(),
        room: room.as_ref().map(room::to_proto),
    }
}

/// Restores a sale and proves by its hash that nothing was lost on the way.
pub fn restore(contents: &log::SaleContents) -> Result<Sale, Unreadable> {
    let log::SaleContents {
        venue: stored_venue,
        rules: stored_rules,
        hash_seed,
        phase,
        now_ms,
        revision,
        digest,
        planes,
        holds,
        orders,
        ended,
        successes,
        rejections,
        watermarks,
        full_hash,
        room: stored_room,
    } = contents;
    let state = SaleState {
        venue: stored_venue
            .as_ref()
            .and_then(venue::from_proto)
            .ok_or(Unreadable::Field("venue"))?,
        rules: stored_rules
            .as_ref()
            .and_then(rules::from_proto)
            .ok_or(Unreadable::Field("rules"))?,
        hash_seed: *hash_seed,
        phase: rejection::phase_from_number(u64::from(*phase)).ok_or(Unreadable::Field("phase"))?,
        now_ms: *now_ms,
        revision: Revision(*revision),
        digest: *digest,
        planes: planes
            .iter()
            .map(planes_from_proto)
            .collect::<Option<_>>()
            .ok_or(Unreadable::Field("planes"))?,
        holds: unpack(holds, hold).ok_or(Unreadable::Field("holds"))?,
        orders: unpack(orders, order).ok_or(Unreadable::Field("orders"))?,
        ended: unpack(ended, ended_hold).ok_or(Unreadable::Field("ended"))?,
        successes: unpack(successes, success).ok_or(Unreadable::Field("successes"))?,
        rejections: unpack(rejections, remembered_rejection)
            .ok_or(Unreadable::Field("rejections"))?,
        watermarks: unpack(watermarks, watermark).ok_or(Unreadable::Field("watermarks"))?,
        room: match stored_room {
            Some(room) => Some(room::from_proto(room).ok_or(Unreadable::Field("room"))?),
            None => None,
        },
    };
    let sale =
        Sale::restore(state).map_err(|fault| Unreadable::Inconsistent(format!("{fault:?}")))?;
    match sale.full_hash() {
        restored if restored == *full_hash => Ok(sale),
        restored => Err(Unreadable::Hash {
            stored: *full_hash,
            restored,
        }),
    }
}

pub(super) fn pack<T>(items: &[T], put: fn(&T, &mut Vec<u8>)) -> Bytes {
    let mut out = Vec::with_capacity(items.len() * 64);
    items.iter().for_each(|item| put(item, &mut out));
    out.into()
}

pub(super) fn unpack<T>(bytes: &[u8], read: fn(&mut Fields<'_>) -> Option<T>) -> Option<Vec<T>> {
    let mut fields = Fields(bytes);
    let mut items = Vec::new();
    while !fields.is_empty() {
        items.push(read(&mut fields)?);
    }
    Some(items)
}

fn put_runs(seats: &SeatRuns, out: &mut Vec<u8>) {
    let runs = seats.as_slice();
    out.extend_from_slice(&(runs.len() as u16).to_le_bytes());
    for SeatRun {
        section,
        count,
        first,
    } in runs
    {
        out.extend_from_slice(&section.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&first.to_le_bytes());
    }
}

fn runs(fields: &mut Fields<'_>) -> Option<SeatRuns> {
    match fields.u16()? {
        1 => Some(SeatRuns::One(run(fields)?)),
        count => {
            let runs = (0..count)
                .map(|_| run(fields))
                .collect::<Option<Vec<_>>>()?;
            Some(SeatRuns::from_slice(&runs))
        }
    }
}

fn run(fields: &mut Fields<'_>) -> Option<SeatRun> {
    Some(SeatRun {
        section: fields.u16()?,
        count: fields.u16()?,
        first: fields.u32()?,
    })
}

fn put_hold(item: &Hold, out: &mut Vec<u8>) {
    let Hold {
        id,
        buyer,
        partner,
        channel,
        placed_at_ms,
        deadline_ms,
        seats,
    } = item;
    out.extend_from_slice(&id.0.to_be_bytes());
    out.extend_from_slice(&buyer.0.to_be_bytes());
    out.extend_from_slice(&partner.0.to_le_bytes());
    out.extend_from_slice(&channel.0.to_le_bytes());
    out.extend_from_slice(&placed_at_ms.to_le_bytes());
    out.extend_from_slice(&deadline_ms.to_le_bytes());
    put_runs(seats, out);
}

fn hold(fields: &mut Fields<'_>) -> Option<Hold> {
    Some(Hold {
        id: HoldId(fields.id()?),
        buyer: BuyerId(fields.id()?),
        partner: PartnerId(fields.u32()?),
        channel: ChannelId(fields.u16()?),
        placed_at_ms: fields.u64()?,
        deadline_ms: fields.u64()?,
        seats: runs(fields)?,
    })
}

fn put_order(item: &Order, out: &mut Vec<u8>) {
    let Order {
        id,
        hold,
        buyer,
        partner,
        channel,
        payment,
        placed_at_ms,
        seats,
        state,
    } = item;
    out.extend_from_slice(&id.0.to_be_bytes());
    out.extend_from_slice(&hold.0.to_be_bytes());
    out.extend_from_slice(&buyer.0.to_be_bytes());
    out.extend_from_slice(&partner.0.to_le_bytes());
    out.extend_from_slice(&channel.0.to_le_bytes());
    out.extend_from_slice(&placed_at_ms.to_le_bytes());
    out.push(match state {
        OrderState::Paid => 1,
        OrderState::Cancelled => 2,
    });
    out.push(payment.as_bytes().len() as u8);
    out.extend_from_slice(payment.as_bytes());
    put_runs(seats, out);
}

fn order(fields: &mut Fields<'_>) -> Option<Order> {
    let id = OrderId(fields.id()?);
    let hold = HoldId(fields.id()?);
    let buyer = BuyerId(fields.id()?);
    let partner = PartnerId(fields.u32()?);
    let channel = ChannelId(fields.u16()?);
    let placed_at_ms = fields.u64()?;
    let state = match fields.u8()? {
        1 => OrderState::Paid,
        2 => OrderState::Cancelled,
        _ => return None,
    };
    let payment_len = usize::from(fields.u8()?);
    let payment = PaymentReference::new(fields.take(payment_len)?)?;
    Some(Order {
        id,
        hold,
        buyer,
        partner,
        channel,
        payment,
        placed_at_ms,
        seats: runs(fields)?,
        state,
    })
}

fn put_ended(item: &EndedHold, out: &mut Vec<u8>) {
    let EndedHold { hold, ending } = item;
    out.extend_from_slice(&hold.0.to_be_bytes());
    out.push(match ending {
        Ending::Confirmed => 1,
        Ending::Released => 2,
        Ending::Expired => 3,
    });
}

fn ended_hold(fields: &mut Fields<'_>) -> Option<EndedHold> {
    let hold = HoldId(fields.id()?);
    let ending = match fields.u8()? {
        1 => Ending::Confirmed,
        2 => Ending::Released,
        3 => Ending::Expired,
        _ => return None,
    };
    Some(EndedHold { hold, ending })
}

fn put_success(item: &RememberedSuccess, out: &mut Vec<u8>) {
    let RememberedSuccess {
        partner,
        key,
        request_hash,
        at_ms,
        done,
    } = item;
    let Done {
        revision,
        deadline_ms,
        seats,
    } = done;
    out.extend_from_slice(&partner.0.to_le_bytes());
    out.extend_from_slice(&key.0.to_be_bytes());
    out.extend_from_slice(&request_hash.to_le_bytes());
    out.extend_from_slice(&at_ms.to_le_bytes());
    out.extend_from_slice(&revision.0.to_le_bytes());
    out.extend_from_slice(&deadline_ms.to_le_bytes());
    put_runs(seats, out);
}

fn success(fields: &mut Fields<'_>) -> Option<RememberedSuccess> {
    Some(RememberedSuccess {
        partner: PartnerId(fields.u32()?),
        key: IdempotencyKey(fields.id()?),
        request_hash: fields.u64()?,
        at_ms: fields.u64()?,
        done: Done {
            revision: Revision(fields.u64()?),
            deadline_ms: fields.u64()?,
            seats: runs(fields)?,
        },
    })
}

fn put_rejection(item: &RememberedRejection, out: &mut Vec<u8>) {
    let RememberedRejection {
        partner,
        key,
        request_hash,
        rejection,
    } = item;
    let rejection::Packed {
        reason,
        section,
        seat,
        a,
        b,
    } = rejection::pack(*rejection);
    out.extend_from_slice(&partner.0.to_le_bytes());
    out.extend_from_slice(&key.0.to_be_bytes());
    out.extend_from_slice(&request_hash.to_le_bytes());
    out.extend_from_slice(&reason.to_le_bytes());
    out.extend_from_slice(&section.to_le_bytes());
    out.extend_from_slice(&seat.to_le_bytes());
    out.extend_from_slice(&a.to_le_bytes());
    out.extend_from_slice(&b.to_le_bytes());
}

fn remembered_rejection(fields: &mut Fields<'_>) -> Option<RememberedRejection> {
    let partner = PartnerId(fields.u32()?);
    let key = IdempotencyKey(fields.id()?);
    let request_hash = fields.u64()?;
    let packed = rejection::Packed {
        reason: fields.u16()?,
        section: fields.u16()?,
        seat: fields.u32()?,
        a: fields.u64()?,
        b: fields.u64()?,
    };
    Some(RememberedRejection {
        partner,
        key,
        request_hash,
        rejection: rejection::unpack(packed)?,
    })
}

fn put_watermark(item: &Watermark, out: &mut Vec<u8>) {
    let Watermark {
        partner,
        made_at_ms,
    } = item;
    out.extend_from_slice(&partner.0.to_le_bytes());
    out.extend_from_slice(&made_at_ms.to_le_bytes());
}

fn watermark(fields: &mut Fields<'_>) -> Option<Watermark> {
    Some(Watermark {
        partner: PartnerId(fields.u32()?),
        made_at_ms: fields.u64()?,
    })
}

fn planes_to_proto(planes: &SectionPlanes) -> log::SectionPlanes {
    match planes {
        SectionPlanes::Seated {
            seats,
            held,
            sold,
            blocked,
        } => log::SectionPlanes {
            seats: *seats,
            held: words_to_bytes(held),
            sold: words_to_bytes(sold),
            blocked: words_to_bytes(blocked),
            ..Default::default()
        },
        SectionPlanes::General {
            capacity,
            held,
            sold,
        } => log::SectionPlanes {
            capacity: *capacity,
            held_count: *held,
            sold_count: *sold,
            ..Default::default()
        },
    }
}

fn planes_from_proto(planes: &log::SectionPlanes) -> Option<SectionPlanes> {
    let log::SectionPlanes {
        seats,
        held,
        sold,
        blocked,
        capacity,
        held_count,
        sold_count,
    } = planes;
    if *seats == 0 {
        return Some(SectionPlanes::General {
            capacity: *capacity,
            held: *held_count,
            sold: *sold_count,
        });
    }
    Some(SectionPlanes::Seated {
        seats: *seats,
        held: bytes_to_words(held)?,
        sold: bytes_to_words(sold)?,
        blocked: bytes_to_words(blocked)?,
    })
}

/// Words as little-endian bytes.
pub fn words_to_bytes(words: &[u64]) -> Bytes {
    words
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect::<Vec<u8>>()
        .into()
}

fn bytes_to_words(bytes: &[u8]) -> Option<Vec<u64>> {
    let (words, rest) = bytes.as_chunks::<8>();
    rest.is_empty()
        .then(|| words.iter().map(|word| u64::from_le_bytes(*word)).collect())
}
