//! The kinds of fault, by name, by what means each is brought about, and what it needs of the machine.

use super::facility::Need;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    KillLeader,
    KillFollower,
    KillMajority,
    KillAll,
    PauseLeaderShort,
    PauseLeader,
    PauseFollower,
    PartitionHalves,
    PartitionRing,
    PartitionBridge,
    PartitionOneWay,
    LeaderIsolated,
    ClientsCutOff,
    ConnectionsReset,
    PacketLoss,
    Delay,
    Duplicate,
    Reorder,
    Bandwidth,
    PowerCutOne,
    PowerCutAll,
    DiskFull,
    DiskSlow,
    DiskHung,
    ClockForward,
    ClockBackward,
    ClockStrobe,
    MemoryLimit,
    CpuQuota,
    RollingRestart,
    LeaderTransfer,
    JoinDrain,
    LostDisk,
    TwoVersions,
}

/// How a fault is begun and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    Kill,
    Pause,
    /// Rules of the nodes' filters: one ends by lifting all of them.
    Filter,
    Relay,
    Shaper,
    PowerCut,
    DiskFull,
    DiskSlow,
    DiskHung,
    Clock,
    Memory,
    Cpu,
    RollingRestart,
    LeaderTransfer,
    JoinDrain,
    LostDisk,
    TwoVersions,
}

impl Kind {
    pub const ALL: [Kind; 34] = [
        Kind::KillLeader,
        Kind::KillFollower,
        Kind::KillMajority,
        Kind::KillAll,
        Kind::PauseLeaderShort,
        Kind::PauseLeader,
        Kind::PauseFollower,
        Kind::PartitionHalves,
        Kind::PartitionRing,
        Kind::PartitionBridge,
        Kind::PartitionOneWay,
        Kind::LeaderIsolated,
        Kind::ClientsCutOff,
        Kind::ConnectionsReset,
        Kind::PacketLoss,
        Kind::Delay,
        Kind::Duplicate,
        Kind::Reorder,
        Kind::Bandwidth,
        Kind::PowerCutOne,
        Kind::PowerCutAll,
        Kind::DiskFull,
        Kind::DiskSlow,
        Kind::DiskHung,
        Kind::ClockForward,
        Kind::ClockBackward,
        Kind::ClockStrobe,
        Kind::MemoryLimit,
        Kind::CpuQuota,
        Kind::RollingRestart,
        Kind::LeaderTransfer,
        Kind::JoinDrain,
        Kind::LostDisk,
        Kind::TwoVersions,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::KillLeader => "kill_leader",
            Kind::KillFollower => "kill_follower",
            Kind::KillMajority => "kill_majority",
            Kind::KillAll => "kill_all",
            Kind::PauseLeaderShort => "pause_leader_short",
            Kind::PauseLeader => "pause_leader",
            Kind::PauseFollower => "pause_follower",
            Kind::PartitionHalves => "partition_halves",
            Kind::PartitionRing => "partition_ring",
            Kind::PartitionBridge => "partition_bridge",
            Kind::PartitionOneWay => "partition_one_way",
            Kind::LeaderIsolated => "leader_isolated",
            Kind::ClientsCutOff => "clients_cut_off",
            Kind::ConnectionsReset => "connections_reset",
            Kind::PacketLoss => "packet_loss",
            Kind::Delay => "delay",
            Kind::Duplicate => "duplicate",
            Kind::Reorder => "reorder",
            Kind::Bandwidth => "bandwidth",
            Kind::PowerCutOne => "power_cut_one",
            Kind::PowerCutAll => "power_cut_all",
            Kind::DiskFull => "disk_full",
            Kind::DiskSlow => "disk_slow",
            Kind::DiskHung => "disk_hung",
            Kind::ClockForward => "clock_forward",
            Kind::ClockBackward => "clock_backward",
            Kind::ClockStrobe => "clock_strobe",
            Kind::MemoryLimit => "memory_limit",
            Kind::CpuQuota => "cpu_quota",
            Kind::RollingRestart => "rolling_restart",
            Kind::LeaderTransfer => "leader_transfer",
            Kind::JoinDrain => "join_drain",
            Kind::LostDisk => "lost_disk",
            Kind::TwoVersions => "two_versions",
        }
    }

    pub fn means(self) -> Means {
        match self {
            Kind::KillLeader | Kind::KillFollower | Kind::KillMajority | Kind::KillAll => {
                Means::Kill
            }
            Kind::PauseLeaderShort | Kind::PauseLeader | Kind::PauseFollower => Means::Pause,
            Kind::PartitionHalves
            | Kind::PartitionRing
            | Kind::PartitionBridge
            | Kind::PartitionOneWay
            | Kind::LeaderIsolated
            | Kind::ClientsCutOff
            | Kind::ConnectionsReset
            | Kind::PacketLoss => Means::Filter,
            Kind::Delay | Kind::Duplicate | Kind::Reorder => Means::Relay,
            Kind::Bandwidth => Means::Shaper,
            Kind::PowerCutOne | Kind::PowerCutAll => Means::PowerCut,
            Kind::DiskFull => Means::DiskFull,
            Kind::DiskSlow => Means::DiskSlow,
            Kind::DiskHung => Means::DiskHung,
            Kind::ClockForward | Kind::ClockBackward | Kind::ClockStrobe => Means::Clock,
            Kind::MemoryLimit => Means::Memory,
            Kind::CpuQuota => Means::Cpu,
            Kind::RollingRestart => Means::RollingRestart,
            Kind::LeaderTransfer => Means::LeaderTransfer,
            Kind::JoinDrain => Means::JoinDrain,
            Kind::LostDisk => Means::LostDisk,
            Kind::TwoVersions => Means::TwoVersions,
        }
    }

    pub fn need(self) -> Need {
        match self {
            Kind::KillLeader
            | Kind::KillFollower
            | Kind::KillMajority
            | Kind::KillAll
            | Kind::PauseLeaderShort
            | Kind::PauseLeader
            | Kind::PauseFollower
            | Kind::RollingRestart
            | Kind::LeaderTransfer
            | Kind::JoinDrain
            | Kind::ClientsCutOff
            | Kind::LostDisk => Need::Nothing,
            Kind::PartitionHalves
            | Kind::PartitionRing
            | Kind::PartitionBridge
            | Kind::PartitionOneWay
            | Kind::LeaderIsolated
            | Kind::ConnectionsReset
            | Kind::PacketLoss
            | Kind::Delay
            | Kind::Duplicate
            | Kind::Reorder => Need::Namespaces,
            Kind::Bandwidth => Need::Shaper,
            Kind::PowerCutOne | Kind::PowerCutAll | Kind::DiskFull | Kind::DiskHung => Need::Disks,
            Kind::DiskSlow => Need::Throttle,
            Kind::ClockForward | Kind::ClockBackward | Kind::ClockStrobe => Need::FakeTime,
            Kind::MemoryLimit => Need::Memory,
            Kind::CpuQuota => Need::Cpu,
            Kind::TwoVersions => Need::SecondBinary,
        }
    }
}
