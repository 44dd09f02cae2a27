//! Deliberate bugs, for proving that the tests would find them.
//!
//! Without the feature `bugs`, `planted` is the constant `false` and nothing of this is compiled into a
//! node. With it a thread plants at most one bug at a time. Called where each bug would be made.

macro_rules! bugs {
    ($($group:ident { $($(#[$doc:meta])* $bug:ident => $name:literal,)* })*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(feature = "bugs"), allow(dead_code))] // each is named where it would be made
        pub enum Bug { $($($(#[$doc])* $bug,)*)* }

        #[cfg(feature = "bugs")]
        impl Bug {
            $(pub const $group: &[Bug] = &[$(Bug::$bug,)*];)*

            pub fn name(self) -> &'static str {
                match self { $($(Bug::$bug => $name,)*)* }
            }
        }
    };
}

bugs! {
    OF_SALES {
        /// A success is not remembered: a retry is carried out again.
        KeyForgotten => "a success is not remembered",
        /// The table of keys is the replica's own: a snapshot does not carry it.
        KeysNotInSnapshot => "snapshots forget the keys",
        /// The body is not compared: another request under a used key gets the old answer.
        BodyNotCompared => "another request under a used key is answered",
        /// A forgotten key raises no watermark: a retry a day later is a second order.
        WatermarkForgotten => "a key a day old is carried out again",
        /// A rejected second line leaves the seats of the first taken.
        HalfAHold => "a hold over two sections is not atomic",
        /// The stamp of the leader is taken for the time: it may go back.
        StampIsTime => "a leader's clock is taken for log time",
        /// Only the sweep expires: a late payment still gets the seats.
        OnlySweepsExpire => "a hold not swept yet is confirmed late",
        /// What is due expires in the sequence of the table, which differs after a restore.
        TableOrder => "holds expire in the order of a hash table",
        /// A deadline is one millisecond longer than it was told.
        DeadlineOffByOne => "a hold lives one tick too long",
        /// A released hold still counts for its buyer and channel.
        ReleaseKeepsLimit => "a released hold still counts for the limit",
        /// A cancelled order's seats stay sold.
        CancelForgetsSeats => "a cancelled order keeps its seats",
        /// An order can be cancelled twice: its seats are taken from who has them by then.
        CancelTwice => "an order is cancelled twice",
        /// A hold may be extended for ever.
        ExtensionPastCap => "an extension goes past the longest life",
        /// What other channels are guaranteed is sold to whoever comes.
        FloorIgnored => "a channel's floor is ignored",
        /// One place more than there is.
        StandingOversold => "a standing area is oversold by one",
        /// Whoever knows a hold's id may pay for it.
        HoldOfAnybody => "a hold of another partner is confirmed",
    }
    OF_ROOMS {
        /// The gateway has looked at the pass; what it was used for is kept nowhere.
        PassAtTheEdge => "a pass is checked only at the edge",
        /// As above, of a token of a partner's own room.
        TokenUnspent => "what was bought with a partner's token is not kept",
        /// The next place is the one behind the last who waits, which a restored lane counts anew.
        PlacesRepeated => "places are repeated after a failover",
        /// The lot is drawn where the lobby closes, on each replica for itself.
        SeedOfReplica => "each replica draws the lobby's seed",
        /// Who goes or is taken out leaves no line in the evidence.
        RemovalUntold => "a removal is not in the evidence",
        /// Others are let in before a party, and nothing says why.
        PassedOverUntold => "a party is passed over without a word",
        /// A replica that was restored lets visitors in while the others are paused.
        PauseNotInSnapshot => "snapshots forget that a room is paused",
        /// A party for which exactly enough is left has to wait.
        PassedOverNeedlessly => "a party is passed over without need",
    }
}

#[cfg(feature = "bugs")]
mod switch {
    use core::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
        static DRAWN: Cell<u64> = const { Cell::new(0) };
    }

    /// Plants a bug in this thread, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Another value each time it is asked for in this thread.
    pub(crate) fn draw() -> [u8; 32] {
        let drawn = DRAWN.get().wrapping_add(1);
        DRAWN.set(drawn);
        let mut value = [0; 32];
        value[..8].copy_from_slice(&drawn.to_le_bytes());
        value
    }
}

#[cfg(feature = "bugs")]
pub use switch::plant;
#[cfg(feature = "bugs")]
pub(crate) use switch::{draw, planted};

#[cfg(not(feature = "bugs"))]
#[inline(always)]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}
