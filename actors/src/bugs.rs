//! Deliberate bugs of sale actors, for proving that the simulation would find them. As in
//! `cluster::bugs`: nothing of it is compiled without the feature `bugs`.

cluster::deliberate_bugs! {
    /// Each replica expires by the clock of its own node.
    ExpiryByOwnClock => "holds expire by each replica's own clock",
    /// A node's clock is its wall clock, whatever the others' show.
    WallClockStamps => "a leader stamps with its own wall clock",
    /// Keys are remembered by the leader's process, not by the sale.
    DedupByNode => "keys are remembered by a node-local map",
    /// A sold-out sale says so without asking whether it still leads.
    RefusedUnproved => "a refusal without proof of leadership",
    /// A call that is under way when its deadline passes is told to have failed.
    OverdueIsFailed => "a call under way at its deadline is reported as failed",
    /// A panic is written down, and the sale goes on with what it left.
    PanicPassesBy => "a sale goes on after its logic panicked",
    /// A frozen sale's last good state is taken for the sale.
    FrostNotInSnapshot => "snapshots forget that a sale is frozen",
    /// A released sale goes on from its last checkpoint, without what followed.
    JournalForgotten => "a released sale forgets its journal",
}

/// Gives every record in `records` another key, the same for the same `salt`.
#[cfg(feature = "bugs")]
pub fn rekey(records: &mut [u8], salt: u32) {
    let mut at = 0;
    while let Some(header) = records.get(at..at + crate::codec::record::HEADER_LEN) {
        let length = usize::from(u16::from_le_bytes([header[0], header[1]]));
        let key_end = at + crate::codec::record::HEADER_LEN;
        for (byte, salt) in records[key_end - 4..key_end]
            .iter_mut()
            .zip(salt.to_le_bytes())
        {
            *byte ^= salt;
        }
        at += length.max(1);
    }
}
