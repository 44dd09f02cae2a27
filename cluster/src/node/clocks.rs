//! How far a peer's wall clock is from this node's, from one question and its round trip.

use std::time::Duration;

/// The peer answered about half a round trip before its answer came.
pub(super) fn offset_ms(peer_ms: u64, here_ms: u64, round_trip: Duration) -> i64 {
    let half_ms = i128::try_from(round_trip.as_millis() / 2).unwrap_or(0);
    let offset = i128::from(peer_ms) + half_ms - i128::from(here_ms);
    let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
    i64::try_from(offset.clamp(least, most)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_round_trip_is_added_to_the_peers_time() {
        assert_eq!(offset_ms(1_000, 1_010, Duration::from_millis(20)), 0);
        assert_eq!(offset_ms(5_000, 1_000, Duration::ZERO), 4_000);
        assert_eq!(offset_ms(0, u64::MAX, Duration::ZERO), i64::MIN);
    }
}
