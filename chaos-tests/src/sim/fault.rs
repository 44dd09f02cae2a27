//! The kinds of faults, by name, how often each one happened, and the keys of commands that bring some out.

use cluster::types::NodeId;
use domain::ids::IdempotencyKey;

use super::counts::{self, kinds};
use super::shop::key;

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
    PoisonPill = "poison_pill",
    ReplicaDiffers = "replica_differs",
}

/// Seeds draw from the kinds before this one: one more to draw from would make another run of every
/// seed. Later ones are asked for by name or drawn apart.
pub const DRAWN: usize = Kind::LeaderDeposed as usize;

/// Drawn apart, each by itself, of a run that has any fault.
pub const DRAWN_APART: [Kind; 2] = [Kind::PoisonPill, Kind::ReplicaDiffers];

/// On a command under this key the logic of every replica panics.
pub const PILL: IdempotencyKey = IdempotencyKey(key(0, 1 << 42));

/// A command under this key is passed over by this node, and by no other.
pub const fn odd_key(node: NodeId) -> IdempotencyKey {
    IdempotencyKey(key(0, (1 << 43) + node))
}

impl Kind {
    /// What a plan may draw. The others come with these: torn and lost writes with power cuts.
    pub fn is_drawn(self) -> bool {
        !matches!(self, Kind::TornWrites | Kind::LostWrites)
    }

    /// Leaves a group without one of its voters until an operator has seen to it: no two may do so at once.
    pub fn takes_a_voter(self) -> bool {
        self.needs_replacement() || self == Kind::ReplicaDiffers
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
