//! Snapshot files of all groups: written on a lane of their own (the disk's calls block), checked
//! when read, the newest one kept. Who decides when a snapshot is taken is the replica; what is in
//! it is the machine's.

pub(crate) mod format;
mod receiving;
mod store;

pub(crate) use receiving::Receiving;
pub(crate) use store::{SnapshotFile, SnapshotStore};

#[cfg(test)]
mod tests;
