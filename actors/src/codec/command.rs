//! Bodies of command records, one layout per kind.

use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, SetRoom};
use domain::ids::{BuyerId, HoldId, OrderId, SeatRef, VisitorId};
use domain::room::Token;
use domain::room::pace::Ceilings;
use prost::Message as _;

use super::record::kind;
use super::{Fields, room, rules};

/// A record whose bytes are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed command record")]
pub struct Malformed;

/// Lists of the command decoded last; kept to be filled again.
#[derive(Default, Debug)]
pub struct Scratch {
    lines: Vec<HoldLine>,
    seats: Vec<SeatRef>,
    /// Or weights of lanes.
    sections: Vec<u16>,
}

const LINE_SEATS: u8 = 1;
const LINE_BEST: u8 = 2;
const LINE_GENERAL: u8 = 3;

const BEST_ACCESSIBLE: u8 = 1;
const BEST_SPLIT: u8 = 2;
const BEST_OR_CHEAPER: u8 = 4;

/// Seconds that fit in 32 bits as milliseconds.
const TTL_MAX_S: u32 = u32::MAX / 1000;

const ROOM_PAUSED: u8 = 1;
const ROOM_CLOSED: u8 = 2;

const NO_CEILING: u32 = u32::MAX;

const CATEGORY_ANY: u16 = u16::MAX;

pub fn kind_of(command: &Command<'_>) -> u8 {
    match command {
        Command::OpenSale => kind::OPEN_SALE,
        Command::PauseSale => kind::PAUSE_SALE,
        Command::ResumeSale => kind::RESUME_SALE,
        Command::CloseSale => kind::CLOSE_SALE,
        Command::ReopenSale => kind::REOPEN_SALE,
        Command::SetRules(_) => kind::SET_RULES,
        Command::BlockSeats { .. } => kind::BLOCK_SEATS,
        Command::UnblockSeats { .. } => kind::UNBLOCK_SEATS,
        Command::PlaceHold(PlaceHold { token: Some(_), .. }) => kind::PLACE_HOLD_WITH_TOKEN,
        Command::PlaceHold(_) => kind::PLACE_HOLD,
        Command::ExtendHold { .. } => kind::EXTEND_HOLD,
        Command::ReleaseHold { .. } => kind::RELEASE_HOLD,
        Command::ConfirmHold { .. } => kind::CONFIRM_HOLD,
        Command::CancelOrder { .. } => kind::CANCEL_ORDER,
        Command::ExpireHolds => kind::EXPIRE_HOLDS,
        Command::OpenRoom(_) => kind::OPEN_ROOM,
        Command::MoveRoom { .. } => kind::MOVE_ROOM,
        Command::SetRoom(_) => kind::SET_ROOM,
        Command::SetBeacon { .. } => kind::SET_BEACON,
        Command::RemoveVisitor { .. } => kind::REMOVE_VISITOR,
        Command::JoinRoom { .. } => kind::JOIN_ROOM,
        Command::LeaveRoom { .. } => kind::LEAVE_ROOM,
        Command::ReleaseVisitors { .. } => kind::RELEASE_VISITORS,
    }
}

/// Appends a command's body. Fails when a list is too long for its count.
pub fn encode_body(command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match command {
        Command::OpenSale
        | Command::PauseSale
        | Command::ResumeSale
        | Command::CloseSale
        | Command::ReopenSale
        | Command::ExpireHolds => {}
        Command::SetRules(sale_rules) => {
            rules::to_proto(sale_rules)
                .encode(out)
                .map_err(|_| Malformed)?;
        }
        Command::BlockSeats { seats } | Command::UnblockSeats { seats } => {
            let count = u32::try_from(seats.len()).map_err(|_| Malformed)?;
            out.extend_from_slice(&count.to_le_bytes());
            seats.iter().for_each(|seat| put_seat(*seat, out));
        }
        Command::PlaceHold(place_hold) => encode_place_hold(place_hold, out)?,
        Command::ExtendHold { hold, ttl_ms } => {
            out.extend_from_slice(&hold.0.to_be_bytes());
            out.extend_from_slice(&(ttl_ms / 1000).to_le_bytes());
        }
        Command::ReleaseHold { hold } => out.extend_from_slice(&hold.0.to_be_bytes()),
        Command::ConfirmHold {
            hold,
            order,
            payment,
        } => {
            out.extend_from_slice(&hold.0.to_be_bytes());
            out.extend_from_slice(&order.0.to_be_bytes());
            out.push(payment.as_bytes().len() as u8);
            out.extend_from_slice(payment.as_bytes());
        }
        Command::CancelOrder { order } => out.extend_from_slice(&order.0.to_be_bytes()),
        Command::OpenRoom(plan) => {
            room::plan_to_proto(plan)
                .encode(out)
                .map_err(|_| Malformed)?;
        }
        Command::MoveRoom {
            lobby_at_ms,
            open_at_ms,
        } => {
            out.extend_from_slice(&lobby_at_ms.to_le_bytes());
            out.extend_from_slice(&open_at_ms.to_le_bytes());
        }
        Command::SetRoom(SetRoom {
            is_paused,
            is_closed,
            ceilings,
            weights,
        }) => {
            let paused = if *is_paused { ROOM_PAUSED } else { 0 };
            out.push(paused | if *is_closed { ROOM_CLOSED } else { 0 });
            encode_ceilings(ceilings, out);
            weights
                .iter()
                .for_each(|weight| out.extend_from_slice(&weight.to_le_bytes()));
        }
        Command::SetBeacon { beacon } => out.extend_from_slice(beacon),
        Command::RemoveVisitor { visitor, reason } => {
            out.extend_from_slice(&visitor.0.to_be_bytes());
            out.extend_from_slice(&reason.to_le_bytes());
        }
        Command::JoinRoom {
            visitor,
            class,
            party,
        } => {
            out.extend_from_slice(&visitor.0.to_be_bytes());
            out.push(*class);
            // One ticket goes without saying.
            if *party > 1 {
                out.push(*party);
            }
        }
        Command::LeaveRoom { visitor } => out.extend_from_slice(&visitor.0.to_be_bytes()),
        Command::ReleaseVisitors { up_to } => out.extend_from_slice(&up_to.to_le_bytes()),
    }
    Ok(())
}

fn encode_ceilings(ceilings: &Ceilings, out: &mut Vec<u8>) {
    let Ceilings {
        per_minute,
        at_the_desk,
        hold_ms,
    } = *ceilings;
    for ceiling in [per_minute, at_the_desk] {
        out.extend_from_slice(&ceiling.unwrap_or(NO_CEILING).to_le_bytes());
    }
    out.extend_from_slice(&hold_ms.to_le_bytes());
}

fn decode_ceilings(fields: &mut Fields<'_>) -> Option<Ceilings> {
    let ceiling = |value: u32| (value != NO_CEILING).then_some(value);
    Some(Ceilings {
        per_minute: ceiling(fields.u32()?),
        at_the_desk: ceiling(fields.u32()?),
        hold_ms: fields.u32()?,
    })
}

fn encode_place_hold(place_hold: &PlaceHold<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let PlaceHold {
        hold,
        buyer,
        ttl_ms,
        lines,
        mut seats,
        mut sections,
        token,
    } = *place_hold;
    if let Some(Token { ends_ms, tickets }) = token {
        out.extend_from_slice(&ends_ms.to_le_bytes());
        out.extend_from_slice(&tickets.to_le_bytes());
    }
    out.extend_from_slice(&hold.0.to_be_bytes());
    out.extend_from_slice(&buyer.0.to_be_bytes());
    out.extend_from_slice(&(ttl_ms / 1000).to_le_bytes());
    out.push(u8::try_from(lines.len()).map_err(|_| Malformed)?);
    for line in lines {
        match *line {
            HoldLine::Seats { count } => {
                out.push(LINE_SEATS);
                out.extend_from_slice(&count.to_le_bytes());
                let (these, rest) = seats
                    .split_at_checked(usize::from(count))
                    .ok_or(Malformed)?;
                these.iter().for_each(|seat| put_seat(*seat, out));
                seats = rest;
            }
            HoldLine::BestAvailable {
                quantity,
                category,
                section_count,
                accessible,
                split,
            } => {
                let (category, or_cheaper) = match category {
                    CategoryChoice::Any => (CATEGORY_ANY, false),
                    CategoryChoice::Exactly(category) => (category, false),
                    CategoryChoice::AtMost(category) => (category, true),
                };
                let flags = if accessible { BEST_ACCESSIBLE } else { 0 }
                    | if split { BEST_SPLIT } else { 0 }
                    | if or_cheaper { BEST_OR_CHEAPER } else { 0 };
                out.push(LINE_BEST);
                out.extend_from_slice(&quantity.to_le_bytes());
                out.extend_from_slice(&category.to_le_bytes());
                out.push(flags);
                out.push(u8::try_from(section_count).map_err(|_| Malformed)?);
                let (these, rest) = sections
                    .split_at_checked(usize::from(section_count))
                    .ok_or(Malformed)?;
                these
                    .iter()
                    .for_each(|section| out.extend_from_slice(&section.to_le_bytes()));
                sections = rest;
            }
            HoldLine::General { section, quantity } => {
                out.push(LINE_GENERAL);
                out.extend_from_slice(&section.to_le_bytes());
                out.extend_from_slice(&quantity.to_le_bytes());
            }
        }
    }
    Ok(())
}

fn put_seat(seat: SeatRef, out: &mut Vec<u8>) {
    let SeatRef { section, seat } = seat;
    out.extend_from_slice(&section.to_le_bytes());
    out.extend_from_slice(&seat.to_le_bytes());
}

/// Reads a body. Anything left over is malformed too.
pub fn decode_body<'a>(
    kind: u8,
    body: &[u8],
    scratch: &'a mut Scratch,
) -> Result<Command<'a>, Malformed> {
    let mut fields = Fields(body);
    let command = decode_fields(kind, &mut fields, scratch).ok_or(Malformed)?;
    if fields.is_empty() {
        Ok(command)
    } else {
        Err(Malformed)
    }
}

fn decode_fields<'a>(
    kind: u8,
    fields: &mut Fields<'_>,
    scratch: &'a mut Scratch,
) -> Option<Command<'a>> {
    Some(match kind {
        kind::OPEN_SALE => Command::OpenSale,
        kind::PAUSE_SALE => Command::PauseSale,
        kind::RESUME_SALE => Command::ResumeSale,
        kind::CLOSE_SALE => Command::CloseSale,
        kind::REOPEN_SALE => Command::ReopenSale,
        kind::EXPIRE_HOLDS => Command::ExpireHolds,
        kind::SET_RULES => {
            let message = proto::log::v1::SaleRules::decode(std::mem::take(&mut fields.0)).ok()?;
            Command::SetRules(Box::new(rules::from_proto(&message)?))
        }
        kind::BLOCK_SEATS => Command::BlockSeats {
            seats: decode_seats(fields, scratch)?,
        },
        kind::UNBLOCK_SEATS => Command::UnblockSeats {
            seats: decode_seats(fields, scratch)?,
        },
        kind::PLACE_HOLD | kind::PLACE_HOLD_WITH_PASS => {
            Command::PlaceHold(decode_place_hold(fields, scratch)?)
        }
        kind::EXTEND_HOLD => Command::ExtendHold {
            hold: HoldId(fields.id()?),
            ttl_ms: decode_ttl(fields)?,
        },
        kind::RELEASE_HOLD => Command::ReleaseHold {
            hold: HoldId(fields.id()?),
        },
        kind::CONFIRM_HOLD => {
            let hold = HoldId(fields.id()?);
            let order = OrderId(fields.id()?);
            let len = usize::from(fields.u8()?);
            let payment = PaymentReference::new(fields.take(len)?)?;
            Command::ConfirmHold {
                hold,
                order,
                payment,
            }
        }
        kind::PLACE_HOLD_WITH_TOKEN => {
            let token = Token {
                ends_ms: fields.u64()?,
                tickets: fields.u16()?,
            };
            let place_hold = decode_place_hold(fields, scratch)?;
            Command::PlaceHold(PlaceHold {
                token: Some(token),
                ..place_hold
            })
        }
        kind::CANCEL_ORDER => Command::CancelOrder {
            order: OrderId(fields.id()?),
        },
        kind::OPEN_ROOM => {
            let message = proto::log::v1::RoomPlan::decode(std::mem::take(&mut fields.0)).ok()?;
            Command::OpenRoom(Box::new(room::plan_from_proto(&message)?))
        }
        kind::MOVE_ROOM => Command::MoveRoom {
            lobby_at_ms: fields.u64()?,
            open_at_ms: fields.u64()?,
        },
        kind::SET_ROOM => {
            let flags = fields.u8()?;
            if flags & !(ROOM_PAUSED | ROOM_CLOSED) != 0 {
                return None;
            }
            let ceilings = decode_ceilings(fields)?;
            scratch.sections.clear();
            while !fields.is_empty() {
                scratch.sections.push(fields.u16()?);
            }
            Command::SetRoom(SetRoom {
                is_paused: flags & ROOM_PAUSED != 0,
                is_closed: flags & ROOM_CLOSED != 0,
                ceilings,
                weights: &scratch.sections,
            })
        }
        kind::SET_BEACON => Command::SetBeacon {
            beacon: fields.take(32)?.try_into().ok()?,
        },
        kind::REMOVE_VISITOR => Command::RemoveVisitor {
            visitor: VisitorId(fields.id()?),
            reason: fields.u32()?,
        },
        kind::JOIN_ROOM => Command::JoinRoom {
            visitor: VisitorId(fields.id()?),
            class: fields.u8()?,
            party: match fields.is_empty() {
                true => 1,
                // What says less than it could is not written as it is read.
                false => fields.u8().filter(|party| *party > 1)?,
            },
        },
        kind::LEAVE_ROOM => Command::LeaveRoom {
            visitor: VisitorId(fields.id()?),
        },
        kind::RELEASE_VISITORS => Command::ReleaseVisitors {
            up_to: fields.u64()?,
        },
        _ => return None,
    })
}

fn decode_ttl(fields: &mut Fields<'_>) -> Option<u32> {
    // One too long for milliseconds counts as the longest that is not, which is written as it is read:
    // no hold may live so long.
    fields.u32().map(|ttl_s| ttl_s.min(TTL_MAX_S) * 1000)
}

fn decode_seat(fields: &mut Fields<'_>) -> Option<SeatRef> {
    Some(SeatRef {
        section: fields.u16()?,
        seat: fields.u32()?,
    })
}

fn decode_seats<'a>(fields: &mut Fields<'_>, scratch: &'a mut Scratch) -> Option<&'a [SeatRef]> {
    let count = fields.u32()?;
    scratch.seats.clear();
    for _ in 0..count {
        scratch.seats.push(decode_seat(fields)?);
    }
    Some(&scratch.seats)
}

fn decode_place_hold<'a>(
    fields: &mut Fields<'_>,
    scratch: &'a mut Scratch,
) -> Option<PlaceHold<'a>> {
    let Scratch {
        lines,
        seats,
        sections,
    } = scratch;
    lines.clear();
    seats.clear();
    sections.clear();
    let hold = HoldId(fields.id()?);
    let buyer = BuyerId(fields.id()?);
    let ttl_ms = decode_ttl(fields)?;
    for _ in 0..fields.u8()? {
        lines.push(match fields.u8()? {
            LINE_SEATS => {
                let count = fields.u16()?;
                for _ in 0..count {
                    seats.push(decode_seat(fields)?);
                }
                HoldLine::Seats { count }
            }
            LINE_BEST => {
                let quantity = fields.u16()?;
                let category = fields.u16()?;
                let flags = fields.u8()?;
                if flags & !(BEST_ACCESSIBLE | BEST_SPLIT | BEST_OR_CHEAPER) != 0 {
                    return None;
                }
                let section_count = u16::from(fields.u8()?);
                for _ in 0..section_count {
                    sections.push(fields.u16()?);
                }
                let category = match (category, flags & BEST_OR_CHEAPER != 0) {
                    (CATEGORY_ANY, _) => CategoryChoice::Any,
                    (category, true) => CategoryChoice::AtMost(category),
                    (category, false) => CategoryChoice::Exactly(category),
                };
                HoldLine::BestAvailable {
                    quantity,
                    category,
                    section_count,
                    accessible: flags & BEST_ACCESSIBLE != 0,
                    split: flags & BEST_SPLIT != 0,
                }
            }
            LINE_GENERAL => HoldLine::General {
                section: fields.u16()?,
                quantity: fields.u16()?,
            },
            _ => return None,
        });
    }
    Some(PlaceHold {
        hold,
        buyer,
        ttl_ms,
        lines,
        seats,
        sections,
        token: None,
    })
}
