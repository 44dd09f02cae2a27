//! Deliberate bugs of replication and storage, for proving that the simulation would find them.
//!
//! Without the feature `bugs`, `planted` is the constant `false` and nothing of this is compiled into a
//! node. With it a thread plants at most one bug at a time: a simulation runs in one thread. Called
//! where each bug would be made. `actors` and the node have their own, by the same macro.

/// An enumeration of bugs, each with the name reports call it by, and the switch that plants one.
#[macro_export]
macro_rules! deliberate_bugs {
    ($($(#[$doc:meta])* $bug:ident => $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(feature = "bugs"), allow(dead_code))] // each is named where it would be made
        pub enum Bug { $($(#[$doc])* $bug,)* }

        #[cfg(feature = "bugs")]
        impl Bug {
            pub const ALL: &[Bug] = &[$(Bug::$bug,)*];

            pub fn name(self) -> &'static str {
                match self { $(Bug::$bug => $name,)* }
            }
        }

        #[cfg(feature = "bugs")]
        mod switch {
            use std::cell::Cell;

            use super::Bug;

            thread_local! {
                static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
            }

            /// Plants a bug in this thread, or none.
            pub fn plant(bug: Option<Bug>) {
                PLANTED.set(bug);
            }

            pub(crate) fn planted(bug: Bug) -> bool {
                // A thread that is ending plants nothing any more.
                PLANTED.try_with(Cell::get).is_ok_and(|planted| planted == Some(bug))
            }
        }

        #[cfg(feature = "bugs")]
        pub use switch::plant;
        #[cfg(feature = "bugs")]
        pub(crate) use switch::planted;

        #[cfg(not(feature = "bugs"))]
        #[inline(always)]
        pub(crate) const fn planted(_: Bug) -> bool {
            false
        }
    };
}

deliberate_bugs! {
    /// A follower accepts what it was sent before it has looked at it.
    AckBeforeQuorum => "an acknowledgement before a quorum has it",
    /// Who waits for a write is answered before the disk has synced it.
    AckBeforeSync => "an acknowledgement before the sync",
    /// The log is written and never synced.
    SyncSkipped => "the log is never synced",
    /// A sync that failed is asked again, and the kernel says yes.
    SyncRetried => "a failed sync is tried again",
    /// Openraft's default: a leader goes on in its term after a restart.
    LeaderRestored => "a restarted leader resumes its term",
    /// Recovery reads entries and no votes.
    VoteForgotten => "a restarted node votes again in the same term",
    /// A leader takes itself for one, and reads, until it is told of another.
    ReadUnproved => "a read without proof of leadership",
    /// A new leader reads before it has applied what the old one acknowledged.
    ReadOvertakes => "a read overtakes a delivery",
    /// A damaged record and all behind it are taken for a torn write.
    TruncatedAtDamage => "the log is cut at a damaged record",
    /// What a torn write left behind the end of the log stays there.
    TornTailKept => "a torn write is not cleared away",
    /// A proposal that was discarded here is told to have failed for certain.
    DiscardedIsFailed => "a discarded proposal is reported as failed",
    /// The state of a snapshot is taken when it is written, not when it was asked for.
    BarrierLate => "a snapshot's barrier is queued too late",
    /// A snapshot counts, and the log before it goes, while its bytes are in the page cache.
    SnapshotUnsynced => "a snapshot is not synced",
    /// As above, of a snapshot that a leader sent.
    InstalledUnsynced => "an installed snapshot is not synced",
    /// A replica whose digest is not the majority's is written down, and goes on.
    DifferenceUnheeded => "a replica that differs goes on",
    /// That a replica was stopped is known to the process alone.
    StopForgotten => "a restart takes a stopped replica up again",
}
