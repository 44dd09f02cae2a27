//! The mapping as a table: nothing is answered with a wrong status, word or hint.

use actix_web::ResponseError as _;
use domain::ids::SeatRef;
use domain::rejection::{Phase, Rejection};
use proto::channel::v1::{FailureReason, RejectionReason};

use super::{Problem, Reason};

const SEAT: SeatRef = SeatRef {
    section: 2,
    seat: 17,
};

fn every_rejection() -> Vec<Rejection> {
    vec![
        Rejection::UnknownSection { section: 9 },
        Rejection::UnknownSeat { seat: SEAT },
        Rejection::DuplicateSeat { seat: SEAT },
        Rejection::EmptyHold,
        Rejection::TooManySeats {
            asked: 101,
            max: 100,
        },
        Rejection::WrongSectionKind { section: 9 },
        Rejection::HoldIdInUse,
        Rejection::OrderIdInUse,
        Rejection::PhaseForbids {
            phase: Phase::Closed,
        },
        Rejection::OnlyInTestMode,
        Rejection::RulesInvalid,
        Rejection::NotOnSale {
            phase: Phase::Paused,
        },
        Rejection::SeatTaken {
            seat: SEAT,
            count: 2,
            which: 0b101,
        },
        Rejection::SeatBlocked {
            seat: SEAT,
            count: 1,
            which: 1,
        },
        Rejection::SeatNotFree { seat: SEAT },
        Rejection::SeatNotBlocked { seat: SEAT },
        Rejection::NotEnoughAdjacent {
            longest: 3,
            free: 40,
        },
        Rejection::SoldOut {
            free: 1,
            held: 5,
            next_deadline_ms: 1_000,
        },
        Rejection::LimitPerBuyer {
            limit: 4,
            already: 3,
        },
        Rejection::ChannelQuota { left: 0 },
        Rejection::UnknownHold,
        Rejection::HoldExpired,
        Rejection::HoldReleased,
        Rejection::HoldConfirmed,
        Rejection::HoldOfAnotherPartner,
        Rejection::ExtensionTooLong {
            latest_deadline_ms: 5,
        },
        Rejection::UnknownOrder,
        Rejection::OrderCancelled,
        Rejection::OrderOfAnotherPartner,
        Rejection::KeyReused,
        Rejection::KeyExpired,
        Rejection::KeyFromFuture,
        Rejection::KeyMissing,
        Rejection::Bug,
        Rejection::QueueRequired,
        Rejection::NoRoom,
        Rejection::RoomExists,
        Rejection::RoomPlanInvalid,
        Rejection::LobbyNotOpen { lobby_at_ms: 1_000 },
        Rejection::LobbyClosed,
        Rejection::NoBeaconAwaited,
        Rejection::UnknownVisitor,
        Rejection::VisitorOfAnotherPartner,
        Rejection::VisitorRemoved { reason: 3 },
        Rejection::PassExpired,
        Rejection::PassSpent { left: 1 },
        Rejection::RoomFull,
        Rejection::PassInvalid,
        Rejection::RoomClosed,
    ]
}

#[test]
fn every_rejection_has_the_word_partners_see_and_a_status_of_a_refusal() {
    // The list above is in the sequence of the numbers partners see, from 1 on.
    for (position, rejection) in every_rejection().into_iter().enumerate() {
        let problem = Problem::rejected(rejection);
        let reason = RejectionReason::try_from(position as i32 + 1).unwrap();
        assert_eq!(
            format!("REJECTION_REASON_{}", problem.reason),
            reason.as_str_name()
        );
        let bug = rejection == Rejection::Bug;
        assert_eq!(problem.status >= 500, bug, "{problem}");
        assert!((400..=599).contains(&problem.status));
        assert_eq!(problem.retry == "later", problem.retry_after_ms.is_some());
    }
    assert!(RejectionReason::try_from(every_rejection().len() as i32 + 1).is_err());
}

#[test]
fn a_rejection_says_what_is_in_the_way() {
    let problem = Problem::rejected(Rejection::SeatTaken {
        seat: SEAT,
        count: 2,
        which: 0b101,
    });
    assert_eq!(problem.status, 409);
    assert_eq!(problem.retry, "with_other_seats");
    assert_eq!(problem.kind, "urn:onsale:problem:seat-taken");
    assert_eq!(
        problem.to_string(),
        "Seat taken: seats are held or sold: the first of them and how many \
         (count 2, seat 17, section 2)"
    );
}

#[test]
fn every_failure_is_mapped() {
    let table = [
        (FailureReason::BadRequest, 400, "BAD_REQUEST"),
        (FailureReason::UnknownEvent, 404, "UNKNOWN_EVENT"),
        (FailureReason::Busy, 429, "BUSY"),
        (FailureReason::NoLeader, 503, "NO_LEADER"),
        (FailureReason::DeadlinePassed, 504, "DEADLINE_PASSED"),
        (FailureReason::SaleFrozen, 503, "SALE_FROZEN"),
        (FailureReason::DiskFull, 507, "DISK_FULL"),
        (FailureReason::Forbidden, 403, "FORBIDDEN"),
        (FailureReason::Unspecified, 500, "INTERNAL"),
    ];
    for (failure, status, word) in table {
        let problem = Problem::failed(failure, 0);
        assert_eq!((problem.status, problem.reason.as_str()), (status, word));
    }
    let busy = Problem::failed(FailureReason::Busy, 1_200);
    assert_eq!(busy.retry_after_ms, Some(1_200));
    let response = busy.error_response();
    assert_eq!(response.headers().get("retry-after").unwrap(), "2");
    assert_eq!(
        response.headers().get("content-type").unwrap(),
        "application/problem+json"
    );
}

#[test]
fn a_problem_survives_being_written_and_read() {
    let problem = Problem::new(Reason::NoLeader, "group 3 has no leader").with("group_id", 3);
    let text = serde_json::to_string(&problem).unwrap();
    assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    assert!(text.contains("\"type\":\"urn:onsale:problem:no-leader\""));
}
