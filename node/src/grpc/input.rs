//! Partners' messages to command records. Bad input ends here, each bad field named.
//!
//! Checks what needs no knowledge of the sale: lengths, ranges, what must not be empty. Whether a
//! seat exists, or is asked for twice, the sale decides.

use actors::codec::record;
use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{
    BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId, SaleId, SeatRef, VisitorId,
};
use proto::channel::v1::hold_line::Line;
use proto::channel::v1::{
    BestAvailable, CancelOrderRequest, ChosenSeats, ConfirmHoldRequest, ExtendHoldRequest,
    GeneralAdmission, JoinRequest, LeaveRequest, PlaceHoldRequest, ReleaseHoldRequest,
};
use tonic_types::FieldViolation;

use crate::access::Caller;
use crate::access::enqueue::Gate;
use crate::access::pass::{self, Forged, PassKeys, Purpose};

/// Bounds of one request; what a sale allows in one hold is mostly less (`hold_seats_max`).
pub const LINES_MAX: usize = 100;
pub const SEATS_MAX: usize = 1000;
pub const SECTIONS_MAX: usize = 100;
/// Bytes that a packed hold has before its lines.
pub const HOLD_FIXED_LEN: usize = 37;
/// Bytes of a packed hold that asks for as much as one may: a line is at most 7 and its sections.
pub const HOLD_BODY_MAX: usize =
    HOLD_FIXED_LEN + LINES_MAX * (7 + 2 * SECTIONS_MAX) + SEATS_MAX * 6;
pub const PROOF_MAX: usize = 32;

/// Who a record is stamped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub partner: PartnerId,
    pub channel: ChannelId,
}

impl Stamp {
    pub fn of(caller: &Caller) -> Stamp {
        Stamp {
            partner: caller.partner,
            channel: caller.channel,
        }
    }
}

/// The fields of a request that cannot be taken.
#[derive(Default, Debug)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    pub fn add(&mut self, field: &str, description: impl Into<String>) {
        self.0.push(FieldViolation::new(field, description));
    }

    /// Ends a reading: the value, if nothing was wrong.
    pub fn none<T>(self, value: T) -> Result<T, Vec<FieldViolation>> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self.0)
        }
    }

    pub fn uuid(&mut self, field: &str, bytes: &[u8]) -> u128 {
        match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) if bytes != [0; 16] => u128::from_be_bytes(bytes),
            Ok(_) => {
                self.add(field, "must not be all zero");
                0
            }
            Err(_) => {
                self.add(
                    field,
                    format!("must be a UUID of 16 bytes, has {}", bytes.len()),
                );
                0
            }
        }
    }

    /// Any other UUID would be taken for one of a wrong time.
    fn key(&mut self, field: &str, bytes: &[u8]) -> u128 {
        let key = self.uuid(field, bytes);
        let version = key >> 76 & 0xf;
        if key != 0 && version != 7 {
            self.add(field, format!("must be a UUIDv7, is of version {version}"));
        }
        key
    }

    fn uuid_or(&mut self, field: &str, bytes: &[u8], default: u128) -> u128 {
        if bytes.is_empty() {
            default
        } else {
            self.uuid(field, bytes)
        }
    }

    /// An opaque key of up to 16 bytes.
    fn padded(&mut self, field: &str, bytes: &[u8]) -> u128 {
        let mut padded = [0; 16];
        match padded.get_mut(..bytes.len()) {
            Some(front) => front.copy_from_slice(bytes),
            None => self.add(field, "must be at most 16 bytes"),
        }
        u128::from_be_bytes(padded)
    }

    /// As a buyer, but there is no visitor without a key.
    pub fn visitor(&mut self, field: &str, bytes: &[u8]) -> VisitorId {
        let visitor = self.padded(field, bytes);
        if bytes.len() <= 16 && visitor == 0 {
            self.add(field, "must not be empty or all zero");
        }
        VisitorId(visitor)
    }

    fn section(&mut self, field: &str, section: u32) -> u16 {
        u16::try_from(section).unwrap_or_else(|_| {
            self.add(field, "there are at most 65,535 sections");
            0
        })
    }

    fn quantity(&mut self, field: &str, quantity: u32) -> u16 {
        match u16::try_from(quantity) {
            Ok(quantity) if (1..=SEATS_MAX).contains(&usize::from(quantity)) => quantity,
            _ => {
                self.add(field, format!("must be 1 to {SEATS_MAX}, is {quantity}"));
                0
            }
        }
    }
}

pub type Refused = Vec<FieldViolation>;

/// Appends the record of a request to `out`, or says what is wrong with it.
pub trait ToRecord {
    fn to_record(&self, stamp: Stamp, out: &mut Vec<u8>) -> Result<(), Refused>;
    fn event_id(&self) -> u64;
    /// What was shown beside the request; empty is none.
    fn pass(&self) -> &[u8] {
        &[]
    }
}

/// Why a request does not become a record.
#[derive(Debug)]
pub enum NotTaken {
    Malformed(Refused),
    /// The pass that came with it is none, or somebody else's.
    PassInvalid,
}

/// Appends the record of a request, with a note of its pass when that is good.
pub fn take<M: ToRecord + ?Sized>(
    request: &M,
    stamp: Stamp,
    keys: &dyn PassKeys,
    out: &mut Vec<u8>,
) -> Result<(), NotTaken> {
    let start = out.len();
    request.to_record(stamp, out).map_err(NotTaken::Malformed)?;
    if request.pass().is_empty() {
        return Ok(());
    }
    let event = SaleId(request.event_id());
    show_pass(out, start, event, request.pass(), keys).map_err(|Forged| {
        out.truncate(start);
        NotTaken::PassInvalid
    })
}

/// Notes in the record of a hold at the end of `out` what its buyer shows: a pass of the room here, or
/// a token of one that the partner runs and is trusted with.
pub fn show_pass(
    out: &mut Vec<u8>,
    start: usize,
    event: SaleId,
    pass: &[u8],
    keys: &dyn PassKeys,
) -> Result<(), Forged> {
    let record = out.get(start..).unwrap_or_default();
    let (header, body) = record::split(record).ok_or(Forged)?;
    let visitor = VisitorId(record::buyer(body).ok_or(Forged)?.0);
    let (partner, channel) = (header.partner, header.channel);
    if pass::check(&keys.pass_keys(), pass, event, visitor, partner, channel).is_ok() {
        record::note_pass(out.get_mut(start..).unwrap_or_default());
        return Ok(());
    }
    let trusted = keys.key_for(Purpose::Room, event, partner);
    let trusted = trusted.ok_or(Forged)?;
    let token = pass::read_token(&trusted, pass, event, visitor)?;
    record::put_token(out, start, token);
    Ok(())
}

/// Looks at what lets a visitor join, and puts the class that it names into the request. Who has no key
/// is left to what makes the record.
pub fn enter(
    join: &mut JoinRequest,
    partner: PartnerId,
    keys: &dyn PassKeys,
    now_ms: u64,
) -> Result<(), Forged> {
    let mut violations = Violations::default();
    let visitor = violations.visitor("visitor", &join.visitor);
    if violations.none(()).is_err() {
        return Ok(());
    }
    let gate = Gate::of(keys, SaleId(join.event_id), partner);
    join.priority_class = gate.enter(visitor, &join.enqueue_token, join.priority_class, now_ms)?;
    Ok(())
}

impl ToRecord for PlaceHoldRequest {
    fn to_record(&self, stamp: Stamp, out: &mut Vec<u8>) -> Result<(), Refused> {
        let PlaceHoldRequest {
            event_id: _,
            idempotency_key,
            hold_id,
            buyer,
            ttl_s,
            lines,
            pass_token: _,
        } = self;
        let mut violations = Violations::default();
        let key = violations.key("idempotency_key", idempotency_key);
        let hold = violations.uuid_or("hold_id", hold_id, key);
        let buyer = violations.padded("buyer", buyer);
        let lines = Lines::read(lines, &mut violations);
        let command = Command::PlaceHold(PlaceHold {
            token: None,
            hold: HoldId(hold),
            buyer: BuyerId(buyer),
            ttl_ms: ttl_s.saturating_mul(1000),
            lines: &lines.lines,
            seats: &lines.seats,
            sections: &lines.sections,
        });
        write(violations, stamp, key, command, out)
    }

    fn event_id(&self) -> u64 {
        self.event_id
    }

    fn pass(&self) -> &[u8] {
        self.pass_token.as_bytes()
    }
}

impl ToRecord for ExtendHoldRequest {
    fn to_record(&self, stamp: Stamp, out: &mut Vec<u8>) -> Result<(), Refused> {
        let ExtendHoldRequest {
            event_id: _,
            idempotency_key,
            hold_id,
            ttl_s,
        } = self;
        let mut violations = Violations::default();
        let key = violations.key("idempotency_key", idempotency_key);
        let command = Command::ExtendHold {
            hold: HoldId(violations.uuid("hold_id", hold_id)),
            ttl_ms: ttl_s.saturating_mul(1000),
        };
        write(violations, stamp, key, command, out)
    }

    fn event_id(&self) -> u64 {
        self.event_id
    }
}

impl ToRecord for ReleaseHoldRequest {
    fn to_record(&self, stamp: Stamp, out: &mut Vec<u8>) -> Result<(), Refused> {
        let ReleaseHoldRequest {
            event_id: _,
            idempotency_key,
            hold_id,
        } = self;
        let mut violations = Violations::default();
        let key = violations.key("idempotency_key", idempotency_key);
        let command = Command::ReleaseHold {
            hold: HoldId(violations.uuid("hold_id", hold_id)),
        };
        write(violations, stamp, key, command, out)
    }

    fn event_id(&self) -> u64 {
        self.event_id
    }
}

impl ToRecord for ConfirmHoldRequest {
    fn to_record(&self, stamp: Stamp, out: &mut Vec<u8>) -> Result<(), Refused> {
        let ConfirmHoldRequest {
            event_id: _,
            idempotency_key,
            hold_id,
            order_id,
            payment_reference,
        } = self;
        let mut violations = Violations::default();
        let key = violations.key("idempotency_key", idempotency_key);
        let hold = violations.uuid("hold_id", hold_id);
        let order = violations.uuid_or("order_id", order_id, key);
        let payment = PaymentReference::new(payment_reference.as_bytes())
            .filter(|payment| !payment.as_bytes().is_empty());
        let Some(payment) = payment else {
            violations.add("payment_reference", "must be 1 to 40 bytes");
            return violations.none(());
        };
        let command = Command::ConfirmHold {
            hold: HoldId(hold),
            order: OrderId(order),
            payment,
        };
        write(violations, stamp, key, command, out)
    }

    fn event_id(&self) -> u64 {
        self.event_id
    }
}

impl ToRecord for CancelOrderRequest {
    fn to_record(&self, stamp: Stamp, out: &mut Vec<u8>) -> Result<(), Refused> {
        let CancelOrderRequest {
            event_id: _,
            idempotency_key,
            order_id,
        } = self;
        let mut violations = Violations::default();
        let key = violations.key("idempotency_key", idempotency_key);
        let command = Command::CancelOrder {
            order: OrderId(violations.uuid("order_id", order_id)),
        };
        write(violations, stamp, key, command, out)
    }

    fn event_id(&self) -> u64 {
        self.event_id
    }
}

impl ToRecord for JoinRequest {
    fn to_record(&self, stamp: Stamp, out: &mut Vec<u8>) -> Result<(), Refused> {
        let JoinRequest {
            event_id: _,
            visitor,
            priority_class,
            address_hash,
            proof_of_work,
            device_hash,
            enqueue_token: _,
            party_size,
        } = self;
        let mut violations = Violations::default();
        let visitor = violations.visitor("visitor", visitor);
        violations.padded("address_hash", address_hash);
        violations.padded("device_hash", device_hash);
        if proof_of_work.len() > PROOF_MAX {
            violations.add(
                "proof_of_work",
                format!("must be at most {PROOF_MAX} bytes"),
            );
        }
        let class = u8::try_from(*priority_class).unwrap_or_else(|_| {
            violations.add("priority_class", "must be 0 to 255");
            0
        });
        let party = u8::try_from((*party_size).max(1)).unwrap_or_else(|_| {
            violations.add("party_size", "must be 0 to 255");
            1
        });
        let join = Command::JoinRoom {
            visitor,
            class,
            party,
        };
        write(violations, stamp, 0, join, out)
    }

    fn event_id(&self) -> u64 {
        self.event_id
    }
}

impl ToRecord for LeaveRequest {
    fn to_record(&self, stamp: Stamp, out: &mut Vec<u8>) -> Result<(), Refused> {
        let LeaveRequest {
            event_id: _,
            visitor,
        } = self;
        let mut violations = Violations::default();
        let visitor = violations.visitor("visitor", visitor);
        write(violations, stamp, 0, Command::LeaveRoom { visitor }, out)
    }

    fn event_id(&self) -> u64 {
        self.event_id
    }
}

fn write(
    mut violations: Violations,
    stamp: Stamp,
    key: u128,
    command: Command<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    let request = Request {
        partner: stamp.partner,
        channel: stamp.channel,
        key: IdempotencyKey(key),
        hash: 0, // Follows from the record.
        command,
    };
    let start = out.len();
    if violations.0.is_empty() && record::encode(&request, out).is_err() {
        out.truncate(start);
        violations.add("lines", "too long");
    }
    violations.none(())
}

/// The lines of a hold in the domain's form.
#[derive(Default)]
struct Lines {
    lines: Vec<HoldLine>,
    seats: Vec<SeatRef>,
    sections: Vec<u16>,
}

impl Lines {
    fn read(lines: &[proto::channel::v1::HoldLine], violations: &mut Violations) -> Lines {
        let mut read = Lines::default();
        if lines.is_empty() || lines.len() > LINES_MAX {
            violations.add(
                "lines",
                format!("must be 1 to {LINES_MAX}, are {}", lines.len()),
            );
            return read;
        }
        for (index, line) in lines.iter().enumerate() {
            let field = format!("lines[{index}]");
            match &line.line {
                Some(Line::Seats(seats)) => read.chosen(&field, seats, violations),
                Some(Line::BestAvailable(best)) => read.best(&field, best, violations),
                Some(Line::GeneralAdmission(general)) => {
                    read.general(&field, *general, violations);
                }
                None => violations.add(&field, "says no seats"),
            }
        }
        read
    }

    fn chosen(&mut self, field: &str, chosen: &ChosenSeats, violations: &mut Violations) {
        let ChosenSeats { seats } = chosen;
        let field = format!("{field}.seats");
        if seats.is_empty() || self.seats.len() + seats.len() > SEATS_MAX {
            violations.add(&field, format!("must be 1 to {SEATS_MAX} in all lines"));
            return;
        }
        for seat in seats {
            let proto::channel::v1::SeatRef { section, seat } = *seat;
            let section = violations.section(&field, section);
            self.seats.push(SeatRef { section, seat });
        }
        self.lines.push(HoldLine::Seats {
            count: seats.len() as u16,
        });
    }

    fn best(&mut self, field: &str, best: &BestAvailable, violations: &mut Violations) {
        let BestAvailable {
            quantity,
            category,
            or_cheaper,
            sections,
            accessible,
            allow_split,
        } = best;
        let quantity = violations.quantity(&format!("{field}.quantity"), *quantity);
        let category = match category.map(u16::try_from) {
            None => CategoryChoice::Any,
            // 65,535 means "any" in the packed form.
            Some(Ok(category)) if category < u16::MAX && *or_cheaper => {
                CategoryChoice::AtMost(category)
            }
            Some(Ok(category)) if category < u16::MAX => CategoryChoice::Exactly(category),
            Some(_) => {
                violations.add(&format!("{field}.category"), "must be below 65,535");
                CategoryChoice::Any
            }
        };
        if sections.len() > SECTIONS_MAX {
            violations.add(
                &format!("{field}.sections"),
                format!("must be at most {SECTIONS_MAX}"),
            );
            return;
        }
        for section in sections {
            let section = violations.section(&format!("{field}.sections"), *section);
            self.sections.push(section);
        }
        self.lines.push(HoldLine::BestAvailable {
            quantity,
            category,
            section_count: sections.len() as u16,
            accessible: *accessible,
            split: *allow_split,
        });
    }

    fn general(&mut self, field: &str, general: GeneralAdmission, violations: &mut Violations) {
        let GeneralAdmission { section, quantity } = general;
        let section = violations.section(&format!("{field}.section"), section);
        let quantity = violations.quantity(&format!("{field}.quantity"), quantity);
        self.lines.push(HoldLine::General { section, quantity });
    }
}

#[cfg(test)]
mod tests;
