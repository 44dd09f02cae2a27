//! Every rejection and failure has a code, a reason and, where waiting helps, a delay.

use actors::codec::rejection::{Packed, unpack};

use super::*;

const NOW_MS: u64 = 1_000_000;

/// Every rejection there is, by its durable number.
fn all() -> impl Iterator<Item = Rejection> {
    (0..=u16::MAX).filter_map(|reason| {
        unpack(Packed {
            reason,
            section: 7,
            seat: 99,
            a: 2,
            b: NOW_MS + 5000,
        })
    })
}

#[test]
fn every_rejection_says_its_reason_and_whether_to_retry() {
    let mut reasons = std::collections::HashSet::new();
    for rejection in all() {
        let status = rejected(rejection, NOW_MS);
        let details = status.get_error_details();
        let info = details.error_info().expect("has ErrorInfo");
        assert_eq!(info.domain, "onsale.dev");
        assert!(!info.reason.starts_with("REJECTION"), "{}", info.reason);
        assert_ne!(info.reason, "UNSPECIFIED", "{rejection:?}");
        assert_eq!(info.metadata["retry"], retry_name(rejection.retry()));
        assert_eq!(
            details.retry_info().is_some(),
            rejection.retry() == Retry::Later,
            "{rejection:?}"
        );
        assert!(!status.message().is_empty());
        reasons.insert(info.reason.clone());
    }
    assert_eq!(reasons.len(), 49);
}

#[test]
fn what_is_in_the_way_is_named() {
    let taken = Rejection::SeatTaken {
        seat: domain::ids::SeatRef {
            section: 3,
            seat: 41,
        },
        count: 2,
        which: 0b101,
    };
    let status = rejected(taken, NOW_MS);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(info.reason, "SEAT_TAKEN");
    assert_eq!(info.metadata["section"], "3");
    assert_eq!(info.metadata["seat"], "41");
    assert_eq!(info.metadata["count"], "2");
    assert_eq!(
        info.metadata["offsets"], "0,2",
        "of the asked ones from it on"
    );
    assert_eq!(info.metadata["retry"], "with_other_seats");
}

#[test]
fn sold_out_says_when_the_next_hold_ends() {
    let delay = |next_deadline_ms| {
        let status = rejected(
            Rejection::SoldOut {
                free: 0,
                held: 4,
                next_deadline_ms,
            },
            NOW_MS,
        );
        status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .unwrap()
    };
    assert_eq!(delay(NOW_MS + 5000), Duration::from_secs(5));
    assert_eq!(delay(NOW_MS - 1), LATER_MIN);
    assert_eq!(delay(0), LATER);
    assert_eq!(delay(u64::MAX), LATER_MAX);
}

#[test]
fn every_failure_has_its_code() {
    use FailureReason::*;
    let table = [
        (BadRequest, Code::InvalidArgument, false),
        (UnknownEvent, Code::NotFound, false),
        (Busy, Code::ResourceExhausted, true),
        (NoLeader, Code::Unavailable, true),
        (DeadlinePassed, Code::DeadlineExceeded, false),
        (SaleFrozen, Code::Unavailable, true),
        (DiskFull, Code::ResourceExhausted, true),
        (Forbidden, Code::PermissionDenied, false),
    ];
    for (reason, code, retries) in table {
        let status = failed(reason, 50);
        assert_eq!(status.code(), code, "{reason:?}");
        assert_eq!(
            status.get_details_retry_info().is_some(),
            retries,
            "{reason:?}"
        );
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            format!("FAILURE_REASON_{}", info.reason),
            reason.as_str_name()
        );
    }
    let unknown = unknown();
    assert_eq!(unknown.code(), Code::Unknown);
    assert_eq!(
        unknown.get_details_error_info().unwrap().reason,
        "UNKNOWN_OUTCOME"
    );
}
