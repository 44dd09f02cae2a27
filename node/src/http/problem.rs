//! Every "no" of the HTTP API as `application/problem+json` (RFC 9457), mapped in this one file:
//! the sale's rejections, the failures on the way, and what the edge itself refuses. gRPC has its
//! own such file.

use std::collections::BTreeMap;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use domain::ids::SeatRef;
use domain::rejection::{Phase, Rejection, Retry};
use proto::channel::v1::FailureReason;
use serde::{Deserialize, Serialize};

/// A problem as it is answered, and as `onsale ctl` reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URN made of the reason.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// One sentence for a person.
    pub detail: String,
    /// For programs; the same word as in gRPC's ErrorInfo.
    pub reason: String,
    /// What is in the way, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub in_the_way: BTreeMap<String, String>,
    /// never, later or with_other_seats.
    pub retry: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
}

/// What is refused outside the sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    BadRequest,
    Unauthenticated,
    Forbidden,
    UnknownPath,
    UnknownEvent,
    UnknownOrder,
    UnknownHold,
    UnknownPartner,
    UnknownKey,
    UnknownNode,
    UnknownGroup,
    NoReplicaHere,
    MethodNotAllowed,
    AlreadyExists,
    Conflict,
    Compacted,
    TooLarge,
    InvalidPlan,
    Busy,
    DiskFull,
    Internal,
    NodeUnreachable,
    NoLeader,
    NotReady,
    SaleFrozen,
    IndexOff,
    DeadlinePassed,
    UnknownOutcome,
}

impl Reason {
    /// Status, the word, the title, and whether waiting helps.
    fn row(self) -> (u16, &'static str, &'static str, Retry) {
        use Retry::{Later, Never};
        match self {
            Reason::BadRequest => (400, "BAD_REQUEST", "Malformed request", Never),
            Reason::Unauthenticated => (401, "UNAUTHENTICATED", "No valid operator key", Never),
            Reason::Forbidden => (403, "FORBIDDEN", "Not an operator's key", Never),
            Reason::UnknownPath => (404, "UNKNOWN_PATH", "No such path", Never),
            Reason::UnknownEvent => (404, "UNKNOWN_EVENT", "No such event", Never),
            Reason::UnknownOrder => (404, "UNKNOWN_ORDER", "No such order", Never),
            Reason::UnknownHold => (404, "UNKNOWN_HOLD", "No such hold", Never),
            Reason::UnknownPartner => (404, "UNKNOWN_PARTNER", "No such partner", Never),
            Reason::UnknownKey => (404, "UNKNOWN_KEY", "No such key", Never),
            Reason::UnknownNode => (404, "UNKNOWN_NODE", "No such node", Never),
            Reason::UnknownGroup => (404, "UNKNOWN_GROUP", "No such group", Never),
            Reason::NoReplicaHere => (404, "NO_REPLICA_HERE", "No replica on this node", Never),
            Reason::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED", "Wrong method", Never),
            Reason::AlreadyExists => (409, "ALREADY_EXISTS", "It exists already", Never),
            Reason::Conflict => (409, "CONFLICT", "Not possible at the moment", Later),
            Reason::Compacted => (410, "COMPACTED", "Too far behind", Never),
            Reason::TooLarge => (413, "TOO_LARGE", "Too large", Never),
            Reason::InvalidPlan => (422, "INVALID_PLAN", "The seating plan is not usable", Never),
            Reason::Busy => (429, "BUSY", "Busy", Later),
            Reason::Internal => (500, "INTERNAL", "Internal error", Never),
            Reason::NodeUnreachable => (502, "NODE_UNREACHABLE", "A node did not answer", Later),
            Reason::NoLeader => (503, "NO_LEADER", "No leader at the moment", Later),
            Reason::NotReady => (503, "NOT_READY", "The node is not ready", Later),
            Reason::SaleFrozen => (503, "SALE_FROZEN", "The sale is frozen", Later),
            Reason::IndexOff => (503, "INDEX_OFF", "No index on this node", Never),
            Reason::DiskFull => (507, "DISK_FULL", "A disk is full", Later),
            Reason::DeadlinePassed => (504, "DEADLINE_PASSED", "Too late", Later),
            Reason::UnknownOutcome => (504, "UNKNOWN_OUTCOME", "The outcome is not known", Later),
        }
    }
}

impl Problem {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Problem {
        let (status, word, title, retry) = reason.row();
        Problem {
            kind: urn(word),
            title: title.into(),
            status,
            detail: detail.into(),
            reason: word.into(),
            in_the_way: BTreeMap::new(),
            retry: retry_text(retry).into(),
            retry_after_ms: matches!(retry, Retry::Later).then_some(RETRY_AFTER_MS),
        }
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Problem {
        self.in_the_way.insert(name.into(), value.to_string());
        self
    }

    pub fn retry_after_ms(mut self, delay_ms: u32) -> Problem {
        self.retry_after_ms = Some(delay_ms);
        self
    }

    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(Reason::BadRequest, detail)
    }

    pub fn unknown_event(event_id: u64) -> Problem {
        Problem::new(
            Reason::UnknownEvent,
            format!("there is no event {event_id}"),
        )
        .with("event_id", event_id)
    }

    /// The command may still happen.
    pub fn unknown_outcome() -> Problem {
        Problem::new(
            Reason::UnknownOutcome,
            "it may still happen: repeat it with the same Idempotency-Key",
        )
    }

    /// The call was not decided by the sale, certainly without effect.
    pub fn failed(reason: FailureReason, retry_after_ms: u32) -> Problem {
        let (reason, detail) = match reason {
            FailureReason::Unspecified => (Reason::Internal, "the sale gave no reason"),
            FailureReason::BadRequest => (Reason::BadRequest, "the command was malformed"),
            FailureReason::UnknownEvent => (Reason::UnknownEvent, "there is no such event"),
            FailureReason::Busy => (Reason::Busy, "the sale's queue is full; nothing was tried"),
            FailureReason::NoLeader => (
                Reason::NoLeader,
                "the event's group has no leader; nothing was tried",
            ),
            FailureReason::DeadlinePassed => (
                Reason::DeadlinePassed,
                "the call's time was over; nothing was tried",
            ),
            FailureReason::SaleFrozen => (
                Reason::SaleFrozen,
                "the sale was frozen after a fault and is being looked at",
            ),
            FailureReason::DiskFull => (
                Reason::DiskFull,
                "the disk of the event's leader is full; nothing was tried",
            ),
            FailureReason::Forbidden => (Reason::Forbidden, "this key may not do that"),
        };
        let problem = Problem::new(reason, detail);
        match retry_after_ms {
            0 => problem,
            delay_ms => problem.retry_after_ms(delay_ms),
        }
    }

    /// The sale said no, replicated and with what is in the way.
    pub fn rejected(rejection: Rejection) -> Problem {
        let Row {
            status,
            word,
            detail,
            in_the_way,
        } = rejection_row(rejection);
        let retry = rejection.retry();
        let after_ms = matches!(retry, Retry::Later).then_some(RETRY_AFTER_MS);
        Problem {
            kind: urn(word),
            title: title(word),
            status,
            detail: detail.into(),
            reason: word.into(),
            in_the_way: in_the_way
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            retry: retry_text(retry).into(),
            retry_after_ms: after_ms,
        }
    }
}

/// How long to wait when nothing better is known: about an election of the fast profile.
const RETRY_AFTER_MS: u32 = 500;

struct Row {
    status: u16,
    word: &'static str,
    detail: &'static str,
    in_the_way: Vec<(&'static str, String)>,
}

/// 404: no such thing; 409: the world is not so; 422: the request cannot be carried out as it
/// stands.
fn rejection_row(rejection: Rejection) -> Row {
    let row = |status, word, detail, in_the_way| Row {
        status,
        word,
        detail,
        in_the_way,
    };
    let n = |name: &'static str, value: &dyn ToString| (name, value.to_string());
    match rejection {
        Rejection::UnknownSection { section } => row(
            422,
            "UNKNOWN_SECTION",
            "the event has no such section",
            vec![n("section", &section)],
        ),
        Rejection::UnknownSeat { seat } => row(
            422,
            "UNKNOWN_SEAT",
            "the section has no such seat",
            of_seat(seat),
        ),
        Rejection::DuplicateSeat { seat } => row(
            422,
            "DUPLICATE_SEAT",
            "a seat is named twice",
            of_seat(seat),
        ),
        Rejection::EmptyHold => row(422, "EMPTY_HOLD", "nothing is asked for", vec![]),
        Rejection::TooManySeats { asked, max } => row(
            422,
            "TOO_MANY_SEATS",
            "more seats than one request may name",
            vec![n("asked", &asked), n("max", &max)],
        ),
        Rejection::WrongSectionKind { section } => row(
            422,
            "WRONG_SECTION_KIND",
            "seats were asked for in general admission, or a quantity among seats",
            vec![n("section", &section)],
        ),
        Rejection::HoldIdInUse => row(409, "HOLD_ID_IN_USE", "the hold's id is taken", vec![]),
        Rejection::OrderIdInUse => row(409, "ORDER_ID_IN_USE", "the order's id is taken", vec![]),
        Rejection::PhaseForbids { phase } => row(
            409,
            "PHASE_FORBIDS",
            "the event's phase does not allow it",
            vec![n("phase", &phase_text(phase))],
        ),
        Rejection::OnlyInTestMode => row(
            409,
            "ONLY_IN_TEST_MODE",
            "only an event in test mode can be reopened",
            vec![],
        ),
        Rejection::RulesInvalid => row(
            422,
            "RULES_INVALID",
            "the rules contradict each other or the venue",
            vec![],
        ),
        Rejection::NotOnSale { phase } => row(
            409,
            "NOT_ON_SALE",
            "the event is not on sale",
            vec![n("phase", &phase_text(phase))],
        ),
        Rejection::SeatTaken { seat, count, .. } => row(
            409,
            "SEAT_TAKEN",
            "seats are held or sold: the first of them and how many",
            with(of_seat(seat), n("count", &count)),
        ),
        Rejection::SeatBlocked { seat, count, .. } => row(
            409,
            "SEAT_BLOCKED",
            "seats are blocked: the first of them and how many",
            with(of_seat(seat), n("count", &count)),
        ),
        Rejection::SeatNotFree { seat } => {
            row(409, "SEAT_NOT_FREE", "the seat is not free", of_seat(seat))
        }
        Rejection::SeatNotBlocked { seat } => row(
            409,
            "SEAT_NOT_BLOCKED",
            "the seat is not blocked",
            of_seat(seat),
        ),
        Rejection::NotEnoughAdjacent { longest, free } => row(
            409,
            "NOT_ENOUGH_ADJACENT",
            "enough seats are free, but not side by side",
            vec![n("longest", &longest), n("free", &free)],
        ),
        Rejection::SoldOut {
            free,
            held,
            next_deadline_ms,
        } => row(
            409,
            "SOLD_OUT",
            "fewer seats are free than asked for",
            vec![
                n("free", &free),
                n("held", &held),
                n("next_deadline_ms", &next_deadline_ms),
            ],
        ),
        Rejection::LimitPerBuyer { limit, already } => row(
            409,
            "LIMIT_PER_BUYER",
            "the buyer would have more seats than one may",
            vec![n("limit", &limit), n("already", &already)],
        ),
        Rejection::ChannelQuota { left } => row(
            409,
            "CHANNEL_QUOTA",
            "the channel's quota does not allow so many",
            vec![n("left", &left)],
        ),
        Rejection::UnknownHold => row(404, "UNKNOWN_HOLD", "there is no such hold", vec![]),
        Rejection::HoldExpired => row(409, "HOLD_EXPIRED", "the hold's time was over", vec![]),
        Rejection::HoldReleased => row(409, "HOLD_RELEASED", "the hold was released", vec![]),
        Rejection::HoldConfirmed => row(
            409,
            "HOLD_CONFIRMED",
            "the hold is an order already",
            vec![],
        ),
        Rejection::HoldOfAnotherPartner => row(
            403,
            "HOLD_OF_ANOTHER_PARTNER",
            "the hold is another partner's",
            vec![],
        ),
        Rejection::ExtensionTooLong { latest_deadline_ms } => row(
            409,
            "EXTENSION_TOO_LONG",
            "the hold may not live so long",
            vec![n("latest_deadline_ms", &latest_deadline_ms)],
        ),
        Rejection::UnknownOrder => row(404, "UNKNOWN_ORDER", "there is no such order", vec![]),
        Rejection::OrderCancelled => row(
            409,
            "ORDER_CANCELLED",
            "the order is cancelled already",
            vec![],
        ),
        Rejection::OrderOfAnotherPartner => row(
            403,
            "ORDER_OF_ANOTHER_PARTNER",
            "the order is another partner's",
            vec![],
        ),
        Rejection::KeyReused => row(
            422,
            "KEY_REUSED",
            "the Idempotency-Key belongs to another request",
            vec![],
        ),
        Rejection::KeyExpired => row(
            422,
            "KEY_EXPIRED",
            "the Idempotency-Key is older than what the sale remembers",
            vec![],
        ),
        Rejection::KeyFromFuture => row(
            422,
            "KEY_FROM_FUTURE",
            "the Idempotency-Key's time is ahead of the cluster's",
            vec![],
        ),
        Rejection::KeyMissing => row(422, "KEY_MISSING", "an Idempotency-Key is needed", vec![]),
        Rejection::QueueRequired => row(
            409,
            "QUEUE_REQUIRED",
            "the event has a waiting room: show the pass of a visitor who was let in",
            vec![],
        ),
        Rejection::NoRoom => row(409, "NO_ROOM", "the event has no waiting room", vec![]),
        Rejection::RoomExists => row(
            409,
            "ROOM_EXISTS",
            "the event has a waiting room already",
            vec![],
        ),
        Rejection::RoomPlanInvalid => row(
            422,
            "ROOM_PLAN_INVALID",
            "no waiting room works like that",
            vec![],
        ),
        Rejection::LobbyNotOpen { lobby_at_ms } => row(
            409,
            "LOBBY_NOT_OPEN",
            "the lobby is not open yet",
            vec![n("lobby_at_ms", &lobby_at_ms)],
        ),
        Rejection::LobbyClosed => row(409, "LOBBY_CLOSED", "the lobby has closed", vec![]),
        Rejection::NoBeaconAwaited => row(
            409,
            "NO_BEACON_AWAITED",
            "no beacon is waited for, or not yet",
            vec![],
        ),
        Rejection::UnknownVisitor => {
            row(404, "UNKNOWN_VISITOR", "there is no such visitor", vec![])
        }
        Rejection::VisitorOfAnotherPartner => row(
            403,
            "VISITOR_OF_ANOTHER_PARTNER",
            "the visitor came through another partner",
            vec![],
        ),
        Rejection::VisitorRemoved { reason } => row(
            403,
            "VISITOR_REMOVED",
            "the visitor was taken out of the waiting room",
            vec![n("reason", &reason)],
        ),
        Rejection::PassExpired => row(409, "PASS_EXPIRED", "the pass has run out", vec![]),
        Rejection::PassSpent { left } => row(
            409,
            "PASS_SPENT",
            "the pass is not good for so many tickets",
            vec![n("left", &left)],
        ),
        Rejection::RoomFull => row(409, "ROOM_FULL", "the waiting room is full", vec![]),
        Rejection::PassInvalid => row(409, "PASS_INVALID", "the pass is not valid here", vec![]),
        Rejection::RoomClosed => row(
            409,
            "ROOM_CLOSED",
            "the waiting room takes nobody any more",
            vec![],
        ),
        Rejection::Bug => row(
            500,
            "BUG",
            "a fault of ours: the command was not carried out, nothing changed",
            vec![],
        ),
    }
}

fn of_seat(seat: SeatRef) -> Vec<(&'static str, String)> {
    vec![
        ("section", seat.section.to_string()),
        ("seat", seat.seat.to_string()),
    ]
}

fn with(
    mut list: Vec<(&'static str, String)>,
    one: (&'static str, String),
) -> Vec<(&'static str, String)> {
    list.push(one);
    list
}

pub fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Announced => "announced",
        Phase::Open => "open",
        Phase::Paused => "paused",
        Phase::Closed => "closed",
    }
}

fn retry_text(retry: Retry) -> &'static str {
    match retry {
        Retry::Never => "never",
        Retry::Later => "later",
        Retry::WithOtherSeats => "with_other_seats",
    }
}

fn urn(word: &str) -> String {
    format!(
        "urn:onsale:problem:{}",
        word.to_ascii_lowercase().replace('_', "-")
    )
}

/// `SEAT_TAKEN` as "Seat taken".
fn title(word: &str) -> String {
    let lower = word.to_ascii_lowercase().replace('_', " ");
    let (first, rest) = lower.split_at(1);
    first.to_ascii_uppercase() + rest
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)?;
        for (position, (name, value)) in self.in_the_way.iter().enumerate() {
            let before = if position == 0 { " (" } else { ", " };
            write!(f, "{before}{name} {value}")?;
        }
        if !self.in_the_way.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status_code());
        response.content_type("application/problem+json");
        if let Some(delay_ms) = self.retry_after_ms {
            response.insert_header((RETRY_AFTER, delay_ms.div_ceil(1000).to_string()));
        }
        if self.status == 401 {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.body(serde_json::to_string(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
