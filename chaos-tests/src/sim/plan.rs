//! What one seed does: the cluster's size and settings, the load, and a subset of all faults.
//! Everything is drawn before the run begins, so that it can be printed first.

use std::fmt;
use std::time::Duration;

use actors::faults::Faults as LogicFaults;
use cluster::Founder;
use cluster::disk::memory::Faults;
use cluster::types::{GroupId, NodeId};
use onsale::access::risk::RiskLimits;
use onsale::grpc;
use onsale::serve::engine::Settings;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::components::{PARTNER_PORT, PEER_PORT};
use super::computer::name;
use super::deed::Deed;
use super::fault::{DRAWN, DRAWN_APART, Kind, PILL, odd_key};
use super::setup::room;

/// Raft's times, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub heartbeat: u64,
    pub election_min: u64,
    pub election_max: u64,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// Founders: 1 to this.
    pub nodes: u64,
    pub replicas: usize,
    pub sale_groups: u32,
    pub sales: u64,
    pub rows: usize,
    pub standing: u32,
    /// Buyers at work at once.
    pub workers: usize,
    /// Of a hundred calls, so many over session streams, the others one by one.
    pub sessions_percent: u32,
    /// The longest a buyer rests between two calls.
    pub rest_ms: u64,
    pub hold_ttl_s: u32,
    pub call_timeout: Duration,
    pub tick: Duration,
    pub latency: (Duration, Duration),
    pub random_order: bool,
    pub times: Times,
    pub keep_entries: u64,
    pub snapshot_after_bytes: u64,
    pub segment_bytes: u64,
    pub cache_bytes: usize,
    /// What the disks are like without any fault.
    pub disk: Faults,
    /// Enabled, each of which strikes at least once when the run is long enough.
    pub faults: Vec<Kind>,
    /// How long faults strike.
    pub safety: Duration,
    /// From one fault to the next, at most.
    pub between_ms: u64,
    /// Whether a fault may strike before the one before it has ended.
    pub overlaps: bool,
    /// Who only looks, all the time, at what anybody was told.
    pub watchers: usize,
    /// How long after its answer a call may be repeated.
    pub repeats_after_ms: u64,
    /// So many sales, the first ones, have a waiting room: none in most runs.
    pub rooms: u64,
    /// Who come to waiting rooms at once, each with some company.
    pub visitors: usize,
    /// Somebody runs the rooms while faults strike, and visitors look at them in every way there is.
    pub operators: bool,
    /// With operators: passes are signed by another key from some time on.
    pub rotates_key: bool,
    /// With operators: nodes suspect devices and hoarders early, and somebody tries them.
    pub wary: bool,
    /// With rooms: there is so little that parties find too little left.
    pub scarce: bool,
}

/// Set for all nodes of all runs.
const SECRET: &str = "between simulated peers";
const FAULTS_MAX: usize = 7;
/// Each kind that is drawn apart is in one run of so many.
const ONE_IN_APART: u32 = 5;
/// Faults are drawn apart from sizes: a new kind changes no other draw.
const FAULTS_SEED: u64 = 0x6661_756c_7473_0000;
/// And faults of the sales' logic apart from others.
const LOGIC_SEED: u64 = 0x6c6f_6769_6300_0000;
/// So are waiting rooms.
const ROOMS_SEED: u64 = 0x726f_6f6d_7300_0000;
/// And whether they have operators.
const OPERATORS_SEED: u64 = 0x6f70_6572_6174_0000;
/// And what is asked of those who come.
const WARY_SEED: u64 = 0x7761_7279_0000_0000;

/// When a wary node asks for more: soon, because a run is short.
pub const WARY: RiskLimits = RiskLimits {
    address_per_min: 0,
    device_per_min: 4,
    slow_beyond: 3,
    abandoned_least: 3,
    abandoned_per_100: 50,
};
const DIGEST_ENTRIES: u64 = 16;
/// Rows and places of a house before which parties are passed over.
const SCARCE: (usize, u32) = (3, 8);
/// Places that are free for those who try it.
const WARY_STANDING: u32 = 200;

impl Plan {
    pub fn draw(seed: u64) -> Plan {
        let mut rng = StdRng::seed_from_u64(seed);
        let usual = [3, 3, 3, 4, 5][rng.random_range(0..5)];
        // Seven nodes of which five vote in the root group are slow to simulate: one run in eight.
        let nodes = match seed % 8 {
            5 => 6 + seed / 8 % 2,
            _ => usual,
        };
        let times = [(40, 150, 250), (100, 400, 600), (250, 1_000, 1_500)];
        let (heartbeat, election_min, election_max) = times[rng.random_range(0..3)];
        let latency_max = rng.random_range(1..=if heartbeat == 40 { 8 } else { 30 });
        let sync_ms = [0..1, 0..4, 2..20][rng.random_range(0..3)].clone();
        let mut rooms_rng = StdRng::seed_from_u64(seed ^ ROOMS_SEED);
        let has_rooms = rooms_rng.random_range(0..4) == 0;
        let visitors = rooms_rng.random_range(3..=10);
        let mut wary_rng = StdRng::seed_from_u64(seed ^ WARY_SEED);
        let drawn = Plan {
            seed,
            nodes,
            replicas: if nodes >= 5 && rng.random_bool(0.5) {
                5
            } else {
                3
            },
            sale_groups: rng.random_range(1..=3),
            sales: rng.random_range(1..=3),
            rows: rng.random_range(3..=20),
            standing: rng.random_range(10..=100),
            workers: rng.random_range(3..=16),
            sessions_percent: [0, 30, 100][rng.random_range(0..3)],
            rest_ms: rng.random_range(20..=400),
            hold_ttl_s: rng.random_range(2..=8),
            call_timeout: Duration::from_millis(rng.random_range(800..=5_000)),
            tick: Duration::from_millis(2),
            latency: (
                Duration::from_millis(rng.random_range(0..=1)),
                Duration::from_millis(latency_max),
            ),
            random_order: rng.random_bool(0.5),
            times: Times {
                heartbeat,
                election_min,
                election_max,
            },
            keep_entries: rng.random_range(5..=200),
            snapshot_after_bytes: rng.random_range(4..=64) << 10,
            segment_bytes: rng.random_range(96..=512) << 10,
            cache_bytes: rng.random_range(16..=512) << 10,
            disk: Faults {
                sync_ms: Some(sync_ms),
                ..Faults::default()
            },
            faults: draw_faults(seed),
            safety: Duration::from_secs(rng.random_range(15..=40)),
            between_ms: rng.random_range(1_000..=6_000),
            overlaps: true,
            watchers: 0,
            repeats_after_ms: 0,
            rooms: 0,
            visitors,
            operators: StdRng::seed_from_u64(seed ^ OPERATORS_SEED).random_bool(0.7),
            rotates_key: wary_rng.random_bool(0.5),
            wary: wary_rng.random_bool(0.5),
            scarce: wary_rng.random_bool(0.5),
        };
        let rooms = match has_rooms {
            true => rooms_rng.random_range(1..=drawn.sales),
            false => 0,
        };
        Plan { rooms, ..drawn }.in_its_house()
    }

    /// The same with a waiting room before every sale.
    pub fn with_rooms(self) -> Plan {
        Plan {
            rooms: self.sales,
            ..self
        }
        .in_its_house()
    }

    /// Power cuts of all nodes at once under load, again and again, while syncs are slow: the plan
    /// that found acknowledged writes lost in openraft's default configuration. It stays.
    pub fn power_cuts(seed: u64) -> Plan {
        Plan {
            nodes: 3,
            replicas: 3,
            sale_groups: 3,
            sales: 3,
            rows: 20,
            standing: 200,
            workers: 24,
            rest_ms: 20,
            disk: Faults {
                sync_ms: Some(10..25),
                ..Faults::default()
            },
            faults: vec![Kind::PowerCutAll],
            safety: Duration::from_secs(40),
            between_ms: 6_000,
            ..Plan::draw(seed)
        }
    }

    /// Three nodes under load, small snapshots, and nothing but these faults in quick succession.
    pub fn focused(seed: u64, faults: &[Kind]) -> Plan {
        let drawn = Plan::draw(seed);
        // Every other house is sold out most of the time.
        let (rows, standing) = match seed % 2 {
            0 => (20, 200),
            _ => (3, 12),
        };
        Plan {
            nodes: 3,
            replicas: 3,
            rows,
            standing,
            call_timeout: drawn.call_timeout.min(Duration::from_millis(1_500)),
            workers: drawn.workers.max(10),
            rest_ms: drawn.rest_ms.min(120),
            keep_entries: drawn.keep_entries.min(20),
            snapshot_after_bytes: drawn.snapshot_after_bytes.min(16 << 10),
            faults: faults.to_vec(),
            safety: Duration::from_secs(30),
            between_ms: 2_000,
            rooms: 0,
            scarce: false,
            ..drawn
        }
    }

    /// Nobody runs the rooms, and what only comes with an operator is not there either.
    pub fn without_operators(self) -> Plan {
        Plan {
            operators: false,
            ..self
        }
    }

    fn has_operators(&self) -> bool {
        self.operators && self.rooms > 0
    }

    /// Whether the key that signs passes changes while they are good.
    pub fn rotates_key(&self) -> bool {
        self.has_operators() && self.rotates_key
    }

    pub fn is_wary(&self) -> bool {
        self.has_operators() && self.wary
    }

    /// What has to come to pass besides the faults.
    pub fn deeds(&self) -> Vec<Deed> {
        use Deed::*;
        let mut deeds = Vec::new();
        if self.has_operators() {
            deeds.extend([Pause, Resume, Close, Reopen, Move, Remove]);
            let mut rooms = self.room_ids();
            if rooms.any(|sale| room::draw(self, sale).waits_for_beacon) {
                deeds.push(Beacon);
            }
        }
        if self.rotates_key() {
            deeds.extend([RotateKey, SecondKey]);
        }
        if self.is_wary() {
            deeds.extend([Suspect, Prove, Slow, Hoard]);
        }
        if self.is_scarce() {
            deeds.extend([PassOver, ComeFirst]);
        }
        deeds
    }

    /// Whether parties at a waiting room come to find too little left.
    fn is_scarce(&self) -> bool {
        self.rooms > 0 && self.scarce && !self.is_wary()
    }

    fn in_its_house(self) -> Plan {
        let (rows, standing) = match self.is_scarce() {
            true => SCARCE,
            false => (self.rows, self.standing),
        };
        Plan {
            rows,
            standing,
            ..self
        }
    }

    pub fn standing(&self) -> u32 {
        match self.is_wary() {
            true => self.standing + WARY_STANDING,
            false => self.standing,
        }
    }

    /// Event ids.
    pub fn sale_ids(&self) -> impl Iterator<Item = u64> {
        (1..=self.sales).map(|sale| 4_700 + sale)
    }

    /// The group that carries this event's sale.
    pub fn group_of(&self, sale: u64) -> GroupId {
        let mut sales = self.sale_ids();
        let number = sales.position(|id| id == sale).unwrap_or(0);
        1 + number as GroupId % self.sale_groups
    }

    /// Events with a waiting room.
    pub fn room_ids(&self) -> impl Iterator<Item = u64> {
        self.sale_ids().take(self.rooms as usize)
    }

    pub fn settings(&self, id: NodeId) -> Settings {
        let founders = (1..=self.nodes).map(|id| Founder {
            id,
            peer_address: peer_address(id),
            partner_address: partner_address(id),
            http_address: String::new(),
        });
        let is_founder = id <= self.nodes;
        let Times {
            heartbeat,
            election_min,
            election_max,
        } = self.times;
        Settings {
            cluster: cluster::Config {
                node_id: id,
                founders: founders.take_while(|_| is_founder).collect(),
                listen_address: peer_address(id),
                secret: SECRET.into(),
                sale_groups: self.sale_groups,
                replicas: self.replicas,
                heartbeat_ms: heartbeat,
                election_min_ms: election_min,
                election_max_ms: election_max,
                // Runs are short: a disk that hangs is to be found out in them.
                sync_max_ms: election_max,
                keep_entries: self.keep_entries,
                snapshot_after_bytes: self.snapshot_after_bytes,
                entry_bytes_max: 32 << 10,
                digest_entries: self.digest_entries(),
                log: cluster::log::Config {
                    segment_bytes: self.segment_bytes,
                    cache_bytes: self.cache_bytes,
                    ..cluster::log::Config::default()
                },
                ..cluster::Config::default()
            },
            partners: grpc::Config {
                risk: match self.is_wary() {
                    true => WARY,
                    false => grpc::Config::default().risk,
                },
                ..grpc::Config::default()
            },
            partner_address: partner_address(id),
            faults: LogicFaults {
                panic_in_change: Some(PILL),
                passed_over: Some(odd_key(id)),
                ..LogicFaults::default()
            },
            ..Settings::default()
        }
    }

    /// Runs are short: where a replica is to be found out, replicas compare more often.
    fn digest_entries(&self) -> u64 {
        match self.faults.contains(&Kind::ReplicaDiffers) {
            true => DIGEST_ENTRIES,
            false => cluster::Config::default().digest_entries,
        }
    }

    /// The longest an undisturbed cluster may take to have leaders.
    pub fn election_limit(&self) -> Duration {
        Duration::from_millis(self.times.election_max * 6) + Duration::from_secs(2)
    }
}

fn draw_faults(seed: u64) -> Vec<Kind> {
    let mut rng = StdRng::seed_from_u64(seed ^ FAULTS_SEED);
    let mut drawn: Vec<Kind> = Vec::new();
    // One run in eight goes without any fault.
    if rng.random_range(0..8) == 0 {
        return drawn;
    }
    let enabled = rng.random_range(1..=FAULTS_MAX);
    while drawn.len() < enabled {
        let kind = Kind::ALL[rng.random_range(0..DRAWN)];
        // A run replaces one computer at most: three nodes can spare one.
        let replaced = drawn.iter().any(|kind| kind.needs_replacement());
        if kind.is_drawn() && !drawn.contains(&kind) && !(replaced && kind.needs_replacement()) {
            drawn.push(kind);
        }
    }
    let mut apart = StdRng::seed_from_u64(seed ^ LOGIC_SEED);
    for kind in DRAWN_APART {
        let takes_another = kind.takes_a_voter() && drawn.iter().any(|kind| kind.takes_a_voter());
        if apart.random_range(0..ONE_IN_APART) == 0 && !takes_another {
            drawn.push(kind);
        }
    }
    drawn
}

pub fn peer_address(id: NodeId) -> String {
    format!("{}:{PEER_PORT}", name(id))
}

pub fn partner_address(id: NodeId) -> String {
    format!("{}:{PARTNER_PORT}", name(id))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.faults.iter().map(|kind| kind.name()).collect();
        write!(
            f,
            "seed {}: {} nodes, {} replicas, {} sale groups, {} sales of {} seats, {} buyers, {} % of calls in sessions, \
             {}election {}-{} ms, latency {}-{} ms, sync {:?} ms, snapshot after {} KiB, \
             {} s of faults: {}",
            self.seed,
            self.nodes,
            self.replicas,
            self.sale_groups,
            self.sales,
            self.rows * 10 + self.standing() as usize,
            self.workers,
            self.sessions_percent,
            match self.rooms {
                0 => String::new(),
                rooms => format!(
                    "{rooms} waiting rooms{}{}{} for {} and company, ",
                    if self.operators {
                        " with an operator"
                    } else {
                        ""
                    },
                    if self.rotates_key() { ", two keys" } else { "" },
                    if self.is_wary() { ", wary" } else { "" },
                    self.visitors
                ),
            },
            self.times.election_min,
            self.times.election_max,
            self.latency.0.as_millis(),
            self.latency.1.as_millis(),
            self.disk.sync_ms.clone().unwrap_or_default(),
            self.snapshot_after_bytes >> 10,
            self.safety.as_secs(),
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            },
        )
    }
}
