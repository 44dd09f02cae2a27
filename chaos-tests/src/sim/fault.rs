//! The kinds of faults, by name, and how often each one happened.

use super::counts::{self, kinds};

/// How often each kind happened.
pub type Counts = counts::Counts<Kind>;

kinds! {
    /// A kind of fault. Its name is what reports and counters say.
    Kind:
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
