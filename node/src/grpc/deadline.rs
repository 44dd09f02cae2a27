//! How long a caller will wait: the `grpc-timeout` header, or what the node allows when there is
//! none.

use std::time::Duration;

use proto::channel::v1::FailureReason;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic_types::FieldViolation;

use super::status;

/// Taken off a caller's own time, so that the true outcome reaches it before it gives up: an
/// eighth, at most this.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(20);

/// The caller's own time, when it says one. A value that is no timeout is an error rather than
/// none: silently waiting for ever is what the caller wanted to exclude.
pub fn timeout(metadata: &MetadataMap) -> Result<Option<Duration>, Status> {
    let Some(value) = metadata.get("grpc-timeout") else {
        return Ok(None);
    };
    match value.to_str().ok().and_then(parse) {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(status::bad_request(vec![FieldViolation::new(
            "grpc-timeout",
            "must be 1 to 8 digits and a unit of H, M, S, m, u or n",
        )])),
    }
}

/// Until when a unary call is worth trying; a deadline already past is answered so at once.
pub fn of_call(metadata: &MetadataMap, allowed: Duration) -> Result<Instant, Status> {
    let timeout = match timeout(metadata)? {
        Some(timeout) => worth_trying(timeout).min(allowed),
        None => allowed,
    };
    if timeout < Duration::from_millis(1) {
        return Err(status::failed(FailureReason::DeadlinePassed, 0));
    }
    Ok(Instant::now() + timeout)
}

/// Until when calls of a stream that begins now are worth trying, when it says how long it lasts.
pub fn of_stream(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(worth_trying(timeout?))
}

fn worth_trying(timeout: Duration) -> Duration {
    timeout.saturating_sub((timeout / 8).min(ANSWER_TIME_MAX))
}

fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &'static str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", value.parse().unwrap());
        metadata
    }

    #[test]
    fn timeouts_are_read_or_refused() {
        assert_eq!(timeout(&MetadataMap::new()).unwrap(), None);
        assert_eq!(timeout(&with("2S")).unwrap(), Some(Duration::from_secs(2)));
        assert_eq!(
            timeout(&with("99999999H")).unwrap(),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        for wrong in ["", "5", "S", "-1S", "123456789m", "1x", "1.5S", "+1S"] {
            assert!(timeout(&with(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_past_deadline_is_not_tried() {
        let allowed = Duration::from_secs(5);
        for past in ["0S", "0n", "900u"] {
            let status = of_call(&with(past), allowed).unwrap_err();
            assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{past}");
        }
        let now = Instant::now();
        assert_eq!(
            of_call(&MetadataMap::new(), allowed).unwrap(),
            now + allowed
        );
        assert_eq!(of_call(&with("1H"), allowed).unwrap(), now + allowed);
        assert_eq!(
            of_call(&with("1S"), allowed).unwrap(),
            now + Duration::from_millis(980)
        );
        assert_eq!(
            of_call(&with("8m"), allowed).unwrap(),
            now + Duration::from_millis(7)
        );
        assert_eq!(of_stream(None), None);
        let hour = Duration::from_secs(3600);
        assert_eq!(of_stream(Some(hour)), Some(now + hour - ANSWER_TIME_MAX));
    }
}
