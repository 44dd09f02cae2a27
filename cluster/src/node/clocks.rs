//! What a peer's wall clock shows, from one question and its round trip. Kept with the moment of the
//! answer and not as a distance from this node's wall clock, which may jump in between.

use std::time::Duration;

/// The peer answered about half a round trip before its answer came.
pub(super) fn shown_ms(peer_ms: u64, round_trip: Duration) -> u64 {
    let half_ms = u64::try_from(round_trip.as_millis() / 2).unwrap_or(u64::MAX);
    peer_ms.saturating_add(half_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_round_trip_is_added_to_the_peers_time() {
        assert_eq!(shown_ms(1_000, Duration::from_millis(20)), 1_010);
        assert_eq!(shown_ms(u64::MAX, Duration::from_secs(1)), u64::MAX);
    }
}
