//! The one place where what went wrong becomes a gRPC status.
//!
//! Every status carries `google.rpc.ErrorInfo` (domain `onsale.dev`, a reason that is stable,
//! metadata that says what is in the way) and, where waiting helps, `google.rpc.RetryInfo`.

use std::collections::HashMap;
use std::time::Duration;

use actors::codec::answer::Answer;
use actors::codec::rejection::pack;
use domain::ids::OrderId;
use domain::outcome::Done;
use domain::rejection::{Phase, Rejection, Retry};
use proto::channel::v1::{FailureReason, RejectionReason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::input::NotTaken;
use crate::access::{OverLimit, Refused};

const DOMAIN: &str = "onsale.dev";

/// Told with `Retry::Later` when nothing says when: long enough that waiting is not hammering.
const LATER: Duration = Duration::from_secs(2);
const LATER_MIN: Duration = Duration::from_millis(100);
const LATER_MAX: Duration = Duration::from_secs(3600);
/// An election takes this long or a few times so.
const ELECTION: Duration = Duration::from_millis(500);

/// A disk does not become empty sooner.
const DISK_FULL_WAIT: Duration = Duration::from_secs(1);

/// What is in the way, by name.
pub type Metadata = Vec<(&'static str, String)>;

/// Takes an answer apart: what was done and at which log index, or the status.
pub fn of_answer(answer: Answer, now_ms: u64) -> Result<(u64, Done), Status> {
    match answer {
        Answer::Done { log_index, done } => Ok((log_index, done)),
        Answer::Rejected { at, rejection } => {
            let at = [
                ("revision", at.revision.0.to_string()),
                ("log_index", at.log_index.to_string()),
            ];
            Err(rejected_at(at.into(), rejection, now_ms))
        }
        Answer::Failed {
            reason,
            retry_after_ms,
        } => Err(failed(reason, retry_after_ms)),
        Answer::Unknown => Err(unknown()),
    }
}

/// A read found no such thing. `now_ms` is the wall clock, Unix milliseconds.
pub fn rejected(rejection: Rejection, now_ms: u64) -> Status {
    rejected_at(Metadata::new(), rejection, now_ms)
}

/// A hold that was asked for has become this order.
pub fn ordered(order: OrderId) -> Status {
    let order = uuid::Uuid::from_u128(order.0).to_string();
    rejected_at(vec![("order_id", order)], Rejection::HoldConfirmed, 0)
}

/// The sale said no; `at` names where in its sequence.
fn rejected_at(at: Metadata, rejection: Rejection, now_ms: u64) -> Status {
    let (code, message, metadata) = describe(rejection);
    let mut metadata: HashMap<String, String> = metadata
        .into_iter()
        .chain(at)
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    metadata.insert("retry".into(), retry_name(rejection.retry()).into());
    let mut details = ErrorDetails::with_error_info(reason_name(rejection), DOMAIN, metadata);
    if rejection.retry() == Retry::Later {
        details.set_retry_info(Some(later(rejection, now_ms)));
    }
    Status::with_error_details(code, message, details)
}

/// Certainly without effect.
pub fn failed(reason: FailureReason, retry_after_ms: u32) -> Status {
    let asked = Duration::from_millis(retry_after_ms.into());
    let (code, message, retry) = match reason {
        FailureReason::Unspecified => (Code::Internal, "the call failed", None),
        FailureReason::BadRequest => (Code::InvalidArgument, "the call is malformed", None),
        FailureReason::UnknownEvent => (Code::NotFound, "there is no such event", None),
        FailureReason::Busy => (
            Code::ResourceExhausted,
            "too many calls are waiting",
            Some(asked.max(Duration::from_millis(1))),
        ),
        FailureReason::NoLeader => (
            Code::Unavailable,
            "nobody leads the sale at the moment",
            Some(asked.max(ELECTION)),
        ),
        FailureReason::DeadlinePassed => (Code::DeadlineExceeded, "the deadline is past", None),
        FailureReason::SaleFrozen => (
            Code::Unavailable,
            "the sale was frozen after a fault and is being looked at",
            Some(Duration::from_secs(30)),
        ),
        FailureReason::DiskFull => (
            Code::ResourceExhausted,
            "the disk of the sale's leader is full",
            Some(asked.max(DISK_FULL_WAIT)),
        ),
        FailureReason::Forbidden => (Code::PermissionDenied, "partners may not call this", None),
    };
    status(code, failure_name(reason), message, retry)
}

/// The command may still happen.
pub fn unknown() -> Status {
    status(
        Code::Unknown,
        "UNKNOWN_OUTCOME",
        "the command may still happen: retry with the same idempotency key",
        Some(LATER_MIN),
    )
}

/// A join is not tried before the challenge is met.
pub fn challenge_required(challenge: &str, hardness: u8) -> Status {
    let metadata = HashMap::from([
        ("challenge".to_owned(), challenge.to_owned()),
        ("hardness".to_owned(), hardness.to_string()),
    ]);
    let details = ErrorDetails::with_error_info("CHALLENGE_REQUIRED", DOMAIN, metadata);
    Status::with_error_details(
        Code::FailedPrecondition,
        "too many come like this: meet the challenge and join again",
        details,
    )
}

pub fn unauthenticated(refused: Refused) -> Status {
    let reason = match refused {
        Refused::Missing => "API_KEY_MISSING",
        Refused::Invalid => "API_KEY_INVALID",
    };
    status(Code::Unauthenticated, reason, &refused.to_string(), None)
}

pub fn over_limit(over: OverLimit) -> Status {
    status(
        Code::ResourceExhausted,
        "RATE_LIMITED",
        "too many calls per second",
        Some(over.retry_after),
    )
}

pub fn not_taken(why: NotTaken) -> Status {
    match why {
        NotTaken::Malformed(violations) => bad_request(violations),
        NotTaken::PassInvalid => rejected(Rejection::PassInvalid, 0),
    }
}

/// Fields that cannot be taken, for a person to read.
pub fn said(violations: &[FieldViolation]) -> String {
    violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect::<Vec<_>>()
        .join("; ")
}

pub fn bad_request(violations: Vec<FieldViolation>) -> Status {
    let message = said(&violations);
    let mut details = ErrorDetails::with_bad_request(violations);
    details.set_error_info(
        failure_name(FailureReason::BadRequest),
        DOMAIN,
        HashMap::new(),
    );
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// A watcher is further behind than changes are kept.
pub fn compacted() -> Status {
    status(
        Code::OutOfRange,
        "COMPACTED",
        "changes after that revision are no longer kept: take a snapshot and watch from its revision",
        None,
    )
}

/// A watcher names a revision that this replica has not reached in time.
pub fn revision_ahead() -> Status {
    status(
        Code::OutOfRange,
        "REVISION_AHEAD",
        "this replica has not reached that revision",
        Some(LATER_MIN),
    )
}

/// What tonic refused by itself; `None`: that has a reason, or is not tonic's. Behind these codes there is
/// nothing else: whatever a service answers says why.
pub fn of_transport(told: &Status, bytes_max: usize) -> Option<Status> {
    if !told.details().is_empty() {
        return None;
    }
    Some(match told.code() {
        Code::OutOfRange => too_large(bytes_max),
        // The caller's bytes, not a fault of the node.
        Code::Internal => status(
            Code::InvalidArgument,
            failure_name(FailureReason::BadRequest),
            &format!("the message cannot be read: {}", told.message()),
            None,
        ),
        Code::Unimplemented if told.message().is_empty() => status(
            Code::Unimplemented,
            "UNKNOWN_METHOD",
            "there is no such method",
            None,
        ),
        Code::Unimplemented => status(
            Code::Unimplemented,
            "ENCODING_UNKNOWN",
            told.message(),
            None,
        ),
        _ => return None,
    })
}

fn too_large(bytes_max: usize) -> Status {
    let metadata = HashMap::from([("bytes_max".to_owned(), bytes_max.to_string())]);
    let details = ErrorDetails::with_error_info("TOO_LARGE", DOMAIN, metadata);
    let message = format!("a message may have {bytes_max} bytes");
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// A fault of the node that it names for whoever looks at it.
pub fn internal(fault: &str) -> Status {
    status(Code::Internal, "INTERNAL", fault, None)
}

pub fn shutting_down() -> Status {
    status(
        Code::Unavailable,
        "SHUTTING_DOWN",
        "this node is going down: connect to another",
        Some(LATER_MIN),
    )
}

fn status(code: Code, reason: &str, message: &str, retry: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    if retry.is_some() {
        details.set_retry_info(retry);
    }
    Status::with_error_details(code, message, details)
}

/// How long to wait: until the next hold ends, when that is known.
fn later(rejection: Rejection, now_ms: u64) -> Duration {
    match rejection {
        Rejection::SoldOut {
            next_deadline_ms, ..
        } if next_deadline_ms > 0 => Duration::from_millis(next_deadline_ms.saturating_sub(now_ms))
            .clamp(LATER_MIN, LATER_MAX),
        _ => LATER,
    }
}

pub fn retry_name(retry: Retry) -> &'static str {
    match retry {
        Retry::Never => "never",
        Retry::Later => "later",
        Retry::WithOtherSeats => "with_other_seats",
    }
}

pub fn reason(rejection: Rejection) -> RejectionReason {
    RejectionReason::try_from(i32::from(pack(rejection).reason)).unwrap_or_default()
}

pub fn reason_name(rejection: Rejection) -> &'static str {
    let name = reason(rejection).as_str_name();
    name.strip_prefix("REJECTION_REASON_").unwrap_or(name)
}

pub fn failure_name(reason: FailureReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("FAILURE_REASON_").unwrap_or(name)
}

fn phase_name(phase: Phase) -> String {
    match phase {
        Phase::Announced => "announced",
        Phase::Open => "open",
        Phase::Paused => "paused",
        Phase::Closed => "closed",
    }
    .into()
}

/// Code, sentence and what is in the way, for each rejection.
pub fn describe(rejection: Rejection) -> (Code, &'static str, Metadata) {
    use Code::{
        AlreadyExists, FailedPrecondition, Internal, InvalidArgument, NotFound, PermissionDenied,
        ResourceExhausted,
    };
    use Rejection::*;
    let seat = |seat: domain::ids::SeatRef| {
        vec![
            ("section", seat.section.to_string()),
            ("seat", seat.seat.to_string()),
        ]
    };
    let seats = |first: domain::ids::SeatRef, count: u16, which: u64| {
        let offsets = (0..64).filter(|at| which >> at & 1 == 1);
        let offsets: Vec<String> = offsets.map(|at: u32| at.to_string()).collect();
        let mut metadata = seat(first);
        metadata.push(("count", count.to_string()));
        metadata.push(("offsets", offsets.join(",")));
        metadata
    };
    match rejection {
        UnknownSection { section } => (
            InvalidArgument,
            "the venue has no such section",
            vec![("section", section.to_string())],
        ),
        UnknownSeat { seat: unknown } => (
            InvalidArgument,
            "the section has no such seat",
            seat(unknown),
        ),
        DuplicateSeat { seat: twice } => {
            (InvalidArgument, "a seat was asked for twice", seat(twice))
        }
        EmptyHold => (InvalidArgument, "the hold asks for nothing", vec![]),
        TooManySeats { asked, max } => (
            InvalidArgument,
            "more seats than one hold may have",
            vec![("asked", asked.to_string()), ("max", max.to_string())],
        ),
        WrongSectionKind { section } => (
            InvalidArgument,
            "seats of a general-admission section, or a quantity of a seated one",
            vec![("section", section.to_string())],
        ),
        HoldIdInUse => (AlreadyExists, "another hold has this id", vec![]),
        OrderIdInUse => (AlreadyExists, "another order has this id", vec![]),
        PhaseForbids { phase } => (
            FailedPrecondition,
            "the sale's phase forbids this",
            vec![("phase", phase_name(phase))],
        ),
        OnlyInTestMode => (
            FailedPrecondition,
            "only a sale in test mode allows this",
            vec![],
        ),
        RulesInvalid => (InvalidArgument, "the rules contradict each other", vec![]),
        NotOnSale { phase } => (
            FailedPrecondition,
            "the event is not on sale",
            vec![("phase", phase_name(phase))],
        ),
        SeatTaken { seat, count, which } => (
            FailedPrecondition,
            "seats are held or sold",
            seats(seat, count, which),
        ),
        SeatBlocked { seat, count, which } => (
            FailedPrecondition,
            "seats are blocked",
            seats(seat, count, which),
        ),
        SeatNotFree { seat: taken } => (FailedPrecondition, "the seat is not free", seat(taken)),
        SeatNotBlocked { seat: open } => {
            (FailedPrecondition, "the seat is not blocked", seat(open))
        }
        NotEnoughAdjacent { longest, free } => (
            FailedPrecondition,
            "not so many free seats side by side",
            vec![
                ("longest_adjacent", longest.to_string()),
                ("free", free.to_string()),
            ],
        ),
        SoldOut {
            free,
            held,
            next_deadline_ms,
        } => (
            FailedPrecondition,
            "fewer seats are free than asked for",
            vec![
                ("free", free.to_string()),
                ("held", held.to_string()),
                ("next_deadline_ms", next_deadline_ms.to_string()),
            ],
        ),
        LimitPerBuyer { limit, already } => (
            FailedPrecondition,
            "more seats than one buyer may have",
            vec![
                ("limit", limit.to_string()),
                ("already", already.to_string()),
            ],
        ),
        ChannelQuota { left } => (
            ResourceExhausted,
            "the channel's quota is used up",
            vec![("left", left.to_string())],
        ),
        UnknownHold => (NotFound, "there is no such hold", vec![]),
        HoldExpired => (FailedPrecondition, "the hold has expired", vec![]),
        HoldReleased => (FailedPrecondition, "the hold was released", vec![]),
        HoldConfirmed => (FailedPrecondition, "the hold is an order already", vec![]),
        HoldOfAnotherPartner => (PermissionDenied, "the hold is another partner's", vec![]),
        ExtensionTooLong { latest_deadline_ms } => (
            FailedPrecondition,
            "a hold may not live so long",
            vec![("latest_deadline_ms", latest_deadline_ms.to_string())],
        ),
        UnknownOrder => (NotFound, "there is no such order", vec![]),
        OrderCancelled => (FailedPrecondition, "the order was cancelled", vec![]),
        OrderOfAnotherPartner => (PermissionDenied, "the order is another partner's", vec![]),
        KeyReused => (
            InvalidArgument,
            "the idempotency key was used for another request",
            vec![],
        ),
        KeyExpired => (
            FailedPrecondition,
            "the idempotency key is older than what is remembered",
            vec![],
        ),
        KeyFromFuture => (
            InvalidArgument,
            "the idempotency key's time is ahead of the sale's",
            vec![],
        ),
        KeyMissing => (InvalidArgument, "the idempotency key is missing", vec![]),
        QueueRequired => (
            FailedPrecondition,
            "the event has a waiting room: show the pass of a visitor who was let in",
            vec![],
        ),
        NoRoom => (FailedPrecondition, "the event has no waiting room", vec![]),
        RoomExists => (FailedPrecondition, "the event has a waiting room", vec![]),
        RoomPlanInvalid => (InvalidArgument, "no waiting room works like that", vec![]),
        LobbyNotOpen { lobby_at_ms } => (
            FailedPrecondition,
            "the lobby is not open yet",
            vec![("lobby_at_ms", lobby_at_ms.to_string())],
        ),
        LobbyClosed => (FailedPrecondition, "the lobby has closed", vec![]),
        NoBeaconAwaited => (FailedPrecondition, "no beacon is waited for", vec![]),
        UnknownVisitor => (NotFound, "there is no such visitor", vec![]),
        VisitorOfAnotherPartner => (
            PermissionDenied,
            "the visitor came through another partner",
            vec![],
        ),
        VisitorRemoved { reason } => (
            PermissionDenied,
            "the visitor was taken out of the waiting room",
            vec![("reason", reason.to_string())],
        ),
        PassExpired => (FailedPrecondition, "the pass has run out", vec![]),
        PassSpent { left } => (
            FailedPrecondition,
            "the pass is not good for so many tickets",
            vec![("left", left.to_string())],
        ),
        RoomFull => (ResourceExhausted, "the waiting room is full", vec![]),
        PassInvalid => (PermissionDenied, "the pass is not valid here", vec![]),
        RoomClosed => (
            FailedPrecondition,
            "the waiting room takes nobody any more",
            vec![],
        ),
        Bug => (
            Internal,
            "the command could not be decided; nothing changed",
            vec![],
        ),
    }
}

#[cfg(test)]
mod tests;
