//! The bugs of waiting rooms, replication, storage, actors and gateway, hunted by whole clusters in simulation. Each
//! seed runs in a process of its own, which is given up when it does not end: some bugs make a run go
//! on for ever, or end the process, and either is found out by that.

mod shape;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use actors::bugs::Bug as Actors;
use cluster::bugs::Bug as Replication;
use domain::bugs::Bug as Domain;
use onsale::bugs::Bug as Gateway;

use crate::bugs::{Case, Planted};
use crate::sim::fault::Kind;
use crate::sim::plan::Plan;
use crate::sim::run::run_after;

/// What a run with a bug may take, of real time.
const LIMIT: Duration = Duration::from_secs(90);

/// The layer of hunts in which every sale is behind a waiting room begins so.
pub const ROOMS: &str = "cluster by seed, waiting rooms";

/// Before the name of a bug: its hunt without it.
const CONTROL: &str = "without ";

#[derive(Clone, Copy)]
enum Bug {
    Domain(Domain),
    Replication(Replication),
    Actors(Actors),
    Gateway(Gateway),
}

/// Which faults bring a bug to light.
enum Ground {
    /// As any seed draws them.
    Drawn,
    /// Power cuts of all nodes while syncs are slow.
    PowerCuts,
    /// These alone, one soon after the other.
    Faults(&'static [Kind]),
    /// As above, in a cluster and among partners of this shape.
    Shaped(&'static [Kind], fn(&mut Plan)),
}

impl Bug {
    fn all() -> impl Iterator<Item = Bug> {
        let rooms = Domain::OF_ROOMS.iter().copied().map(Bug::Domain);
        let replication = Replication::ALL.iter().copied().map(Bug::Replication);
        let actors = Actors::ALL.iter().copied().map(Bug::Actors);
        let gateway = Gateway::ALL.iter().copied().map(Bug::Gateway);
        rooms.chain(replication).chain(actors).chain(gateway)
    }

    fn name(self) -> &'static str {
        match self {
            Bug::Domain(bug) => bug.name(),
            Bug::Replication(bug) => bug.name(),
            Bug::Actors(bug) => bug.name(),
            Bug::Gateway(bug) => bug.name(),
        }
    }

    fn plant(self) {
        match self {
            Bug::Domain(bug) => domain::bugs::plant(Some(bug)),
            Bug::Replication(bug) => cluster::bugs::plant(Some(bug)),
            Bug::Actors(bug) => actors::bugs::plant(Some(bug)),
            Bug::Gateway(bug) => onsale::bugs::plant(Some(bug)),
        }
    }

    fn ground(self) -> Ground {
        use Replication::*;
        match self {
            Bug::Domain(bug) => match bug {
                Domain::PlacesRepeated => {
                    Ground::Shaped(&[Kind::KillNode, Kind::KillLeader], shape::queued)
                }
                Domain::PassedOverUntold | Domain::PassedOverNeedlessly => {
                    Ground::Shaped(&[Kind::KillLeader], shape::scarce)
                }
                Domain::PauseNotInSnapshot | Domain::TokenUnspent | Domain::RemovalUntold => {
                    Ground::Shaped(&[Kind::KillLeader], shape::run)
                }
                _ => Ground::Shaped(&[Kind::KillLeader], shape::queued),
            },
            Bug::Replication(bug) => match bug {
                AckBeforeQuorum => Ground::Faults(&[Kind::PartitionHalves, Kind::KillLeader]),
                AckBeforeSync | LeaderRestored => Ground::PowerCuts,
                SyncSkipped | SnapshotUnsynced => Ground::Faults(&[Kind::PowerCutOne]),
                SyncRetried => Ground::Faults(&[Kind::FailedSync, Kind::PowerCutOne]),
                VoteForgotten => Ground::Faults(&[Kind::KillAll, Kind::KillLeader]),
                TornTailKept => {
                    Ground::Shaped(&[Kind::PowerCutAll, Kind::PowerCutOne], shape::torn)
                }
                ReadUnproved => Ground::Shaped(&[Kind::LeaderInMinority], shape::watched),
                ReadOvertakes => Ground::Shaped(&[Kind::KillLeader], shape::watched_closely),
                TruncatedAtDamage => Ground::Faults(&[Kind::LogBitFlip, Kind::KillLeader]),
                DiscardedIsFailed => Ground::Shaped(&[Kind::LeaderDeposed], shape::hurried),
                BarrierLate => Ground::Faults(&[Kind::KillNode]),
                InstalledUnsynced => Ground::Faults(&[Kind::PowerCutOne, Kind::PowerCutAll]),
                DifferenceUnheeded => Ground::Faults(&[Kind::ReplicaDiffers]),
                StopForgotten => Ground::Faults(&[Kind::ReplicaDiffers, Kind::KillNode]),
            },
            Bug::Actors(bug) => match bug {
                Actors::ExpiryByOwnClock => Ground::Drawn,
                Actors::WallClockStamps => Ground::Faults(&[Kind::ClockForward, Kind::KillLeader]),
                Actors::DedupByNode => Ground::Shaped(
                    &[Kind::KillLeader, Kind::LeaderTransfer, Kind::DuplicateCall],
                    shape::repeated,
                ),
                Actors::RefusedUnproved => Ground::Shaped(&[Kind::LeaderDeposed], shape::sold_out),
                Actors::OverdueIsFailed => Ground::Shaped(&[Kind::SlowDisk], shape::impatient),
                Actors::PanicPassesBy | Actors::JournalForgotten => {
                    Ground::Faults(&[Kind::PoisonPill])
                }
                Actors::FrostNotInSnapshot => Ground::Faults(&[Kind::PoisonPill, Kind::KillNode]),
            },
            Bug::Gateway(bug) => match bug {
                Gateway::OrderUnproved => Ground::Shaped(&[Kind::LeaderDeposed], shape::deposed),
                Gateway::PlaceUnproved | Gateway::ClaimUnproved => {
                    Ground::Shaped(&[Kind::LeaderDeposed], shape::claimed)
                }
                Gateway::SentIsNeverSent | Gateway::DoubtForgotten => {
                    Ground::Shaped(&[Kind::KillLeader], shape::cut_short)
                }
                Gateway::AnswerUnchecked
                | Gateway::ChallengeOfNode
                | Gateway::DevicesUncounted
                | Gateway::HoldsUnminded
                | Gateway::SlowIsWelcome => Ground::Shaped(&[Kind::KillLeader], shape::wary),
                Gateway::SentAgainUnderNewKey => Ground::Drawn,
            },
        }
    }
}

impl Ground {
    fn plan(&self, seed: u64) -> Plan {
        match self {
            Ground::Drawn => Plan::draw(seed),
            Ground::PowerCuts => Plan::power_cuts(seed),
            Ground::Faults(faults) => Plan::focused(seed, faults),
            Ground::Shaped(faults, shape) => {
                let mut plan = Plan::focused(seed, faults);
                shape(&mut plan);
                plan
            }
        }
    }

    fn layer(&self) -> String {
        match self {
            Ground::Drawn => "cluster by seed".to_owned(),
            Ground::PowerCuts => "cluster by seed, power cuts of all nodes".to_owned(),
            Ground::Faults(faults) | Ground::Shaped(faults, _) => {
                let names: Vec<_> = faults.iter().map(|kind| kind.name()).collect();
                let names = names.join(" and ").replace('_', " ");
                match self.plan(0).rooms {
                    0 => format!("cluster by seed, {names}"),
                    _ => format!("{ROOMS}, {names}"),
                }
            }
        }
    }
}

/// `hunter` is the program that runs `hunt` when it is called with `--hunt NAME --seed N`.
pub fn cases(hunter: &Path) -> Vec<Case> {
    let case = |bug: Bug| {
        let hunter = hunter.to_owned();
        Case {
            name: bug.name(),
            layer: bug.ground().layer(),
            hunt: Box::new(move |seed, planted| match planted {
                Planted::Yes => hunt_apart(&hunter, bug.name(), seed),
                Planted::No => hunt_apart(&hunter, &[CONTROL, bug.name()].concat(), seed),
            }),
        }
    };
    Bug::all().map(case).collect()
}

/// One seed with the bug of this name, in this process: what is wrong.
pub fn hunt(name: &str, seed: u64, trace: Option<&Path>) -> std::io::Result<Option<String>> {
    let (name, is_control) = match name.strip_prefix(CONTROL) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let bug = Bug::all().find(|bug| bug.name() == name);
    let bug = bug.ok_or_else(|| std::io::Error::other("there is no such bug"))?;
    let plant = move || {
        if !is_control {
            bug.plant();
        }
    };
    let outcome = run_after(plant, bug.ground().plan(seed), trace)?;
    Ok(outcome.violations.into_iter().next())
}

fn hunt_apart(hunter: &Path, name: &str, seed: u64) -> Option<String> {
    let mut command = Command::new(hunter);
    command.args(["--hunt", name, "--seed", &seed.to_string()]);
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => panic!("{}: {error}", hunter.display()),
    };
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        match child.try_wait() {
            Ok(Some(_)) => break,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    if matches!(child.try_wait(), Ok(None)) {
        // It may have ended in between: that is found below.
        child.kill().ok();
        child.wait().ok();
        return Some("the run does not come to an end".to_owned());
    }
    let output = child.wait_with_output().ok()?;
    if !output.status.success() {
        return Some("the run's process ended itself".to_owned());
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let told = told.trim();
    (!told.is_empty()).then(|| told.to_owned())
}
