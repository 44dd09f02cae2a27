//! What can be set for the sale actors of a node. Values only.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Commands that may wait in a sale's queue; one more is refused as busy.
    pub queue_commands: usize,
    /// Commands closed into one proposal.
    pub batch_commands: usize,
    pub batch_bytes: usize,
    /// Proposals of one sale under way.
    pub in_flight: usize,
    /// Changes kept for watchers at most; a small sale keeps eight a seat, 4,096 at least.
    pub changes_kept: usize,
    /// Applied bytes a sale keeps beside the image of its last good state at most before it takes
    /// another; a small sale does it at twice its state, 64 KiB at least.
    pub journal_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            queue_commands: 65_536,
            batch_commands: 1000,
            batch_bytes: 64 << 10,
            in_flight: 4,
            changes_kept: 65_536,
            journal_bytes: 64 << 20,
        }
    }
}
