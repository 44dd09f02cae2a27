//! A wish as the message that asks for it, whichever way it travels.

use bytes::Bytes;
use proto::channel::v1 as pb;

use super::ledger::{Line, SEATED, STANDING, Wish};

pub(super) enum Request {
    Place(pb::PlaceHoldRequest),
    Extend(pb::ExtendHoldRequest),
    Release(pb::ReleaseHoldRequest),
    Confirm(pb::ConfirmHoldRequest),
    Cancel(pb::CancelOrderRequest),
}

impl Request {
    pub(super) fn of(event_id: u64, key: u128, hold: u128, wish: &Wish, ttl_s: u32) -> Request {
        let idempotency_key = id(key);
        let hold_id = id(hold);
        match wish {
            Wish::Place {
                lines,
                ttl_s,
                guest,
            } => Request::Place(pb::PlaceHoldRequest {
                pass_token: guest
                    .as_ref()
                    .map_or_else(String::new, |guest| guest.pass.clone()),
                event_id,
                idempotency_key,
                hold_id,
                buyer: match guest {
                    Some(guest) => id(guest.visitor),
                    None => Bytes::from_static(b"buyer"),
                },
                ttl_s: *ttl_s,
                lines: lines.iter().map(line).collect(),
            }),
            Wish::Extend => Request::Extend(pb::ExtendHoldRequest {
                event_id,
                idempotency_key,
                hold_id,
                ttl_s,
            }),
            Wish::Release => Request::Release(pb::ReleaseHoldRequest {
                event_id,
                idempotency_key,
                hold_id,
            }),
            Wish::Confirm { order } => Request::Confirm(pb::ConfirmHoldRequest {
                event_id,
                idempotency_key,
                hold_id,
                order_id: id(*order),
                payment_reference: "paid".into(),
            }),
            Wish::Cancel { order } => Request::Cancel(pb::CancelOrderRequest {
                event_id,
                idempotency_key,
                order_id: id(*order),
            }),
        }
    }
}

pub(super) fn id(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

fn line(line: &Line) -> pb::HoldLine {
    use pb::hold_line::Line as To;
    let to = match line {
        Line::Best(quantity) => To::BestAvailable(pb::BestAvailable {
            quantity: *quantity,
            allow_split: true,
            sections: vec![SEATED],
            ..pb::BestAvailable::default()
        }),
        Line::Seat(seat) => To::Seats(pb::ChosenSeats {
            seats: vec![pb::SeatRef {
                section: SEATED,
                seat: *seat,
            }],
        }),
        Line::Standing(quantity) => To::GeneralAdmission(pb::GeneralAdmission {
            section: STANDING,
            quantity: *quantity,
        }),
    };
    pb::HoldLine { line: Some(to) }
}
