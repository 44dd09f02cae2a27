//! The kinds of faults, by name, and how often each one happened.

use std::collections::BTreeMap;

macro_rules! kinds {
    ($($kind:ident = $name:literal),+ $(,)?) => {
        /// A kind of fault. Its name is what reports and counters say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($kind),+ }

        impl Kind {
            pub const ALL: &[Kind] = &[$(Kind::$kind),+];

            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name),+ }
            }
        }
    };
}

kinds! {
    PartitionHalves = "partition_halves",
    PartitionRing = "partition_ring",
    PartitionBridge = "partition_bridge",
    PartitionOneWay = "partition_one_way",
    LeaderInMinority = "leader_in_minority",
    ClientsCutOff = "clients_cut_off",
    LinksHeld = "links_held",
    SwizzleClog = "swizzle_clog",
    MessageLoss = "message_loss",
    Delay = "delay",
    KillNode = "kill_node",
    KillLeader = "kill_leader",
    KillAll = "kill_all",
    GracefulRestart = "graceful_restart",
    PowerCutOne = "power_cut_one",
    PowerCutAll = "power_cut_all",
    Suspend = "suspend",
    SlowDisk = "slow_disk",
    HungDisk = "hung_disk",
    WriteError = "write_error",
    ReadError = "read_error",
    FailedSync = "failed_sync",
    DiskFull = "disk_full",
    TornWrites = "torn_writes",
    LostWrites = "lost_writes",
    LogBitFlip = "log_bit_flip",
    SnapshotBitFlip = "snapshot_bit_flip",
    MisdirectedWrite = "misdirected_write",
    LostDisk = "lost_disk",
    ClockForward = "clock_forward",
    ClockBack = "clock_back",
    ClockDrift = "clock_drift",
    ClockStrobe = "clock_strobe",
    LeaderTransfer = "leader_transfer",
    MembershipChange = "membership_change",
    SnapshotInterrupted = "snapshot_interrupted",
    DuplicateCall = "duplicate_call",
    LeaderDeposed = "leader_deposed",
}

/// Seeds draw from the kinds before this one. Later ones are asked for by name: one more to draw from
/// would make another run of every seed.
pub const DRAWN: usize = Kind::LeaderDeposed as usize;

impl Kind {
    /// What a plan may draw. The others come with these: torn and lost writes with power cuts.
    pub fn is_drawn(self) -> bool {
        !matches!(self, Kind::TornWrites | Kind::LostWrites)
    }

    pub fn by_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Takes a computer out of the cluster for good: another takes its place.
    pub fn needs_replacement(self) -> bool {
        matches!(
            self,
            Kind::LogBitFlip
                | Kind::SnapshotBitFlip
                | Kind::MisdirectedWrite
                | Kind::LostDisk
                | Kind::MembershipChange
        )
    }
}

/// How often each kind happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Kind, u64>);

impl Counts {
    pub fn add(&mut self, kind: Kind, times: u64) {
        if times > 0 {
            *self.0.entry(kind).or_default() += times;
        }
    }

    pub fn of(&self, kind: Kind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    pub fn merge(&mut self, other: &Counts) {
        for (kind, times) in &other.0 {
            self.add(*kind, *times);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        self.0.iter().map(|(kind, times)| (*kind, *times))
    }
}
