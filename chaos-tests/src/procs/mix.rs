//! Faults drawn from a seed: which, when, for how long, two at a time. A seed repeats the plan, not the
//! run: real processes and a real kernel are never twice the same.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::Trouble;
use super::cluster::Plan;
use super::facility::{Facilities, Need};
use super::fault::{Kind, Means};
use super::nemesis::Active;
use super::scenario::Wishes;
use super::stage::{Ending, Stage};

/// Faults at once.
const AT_ONCE: usize = 2;
/// Nodes of a ring in which some do not reach each other.
const LEAST_RING: usize = 4;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(240);

/// Kinds that leave no node to another fault, or that need all nodes to go well.
fn is_alone(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::KillMajority
            | Kind::KillAll
            | Kind::PowerCutAll
            | Kind::PartitionHalves
            | Kind::PartitionRing
            | Kind::PartitionBridge
            | Kind::PacketLoss
            | Kind::RollingRestart
            | Kind::LeaderTransfer
            | Kind::TwoVersions
            | Kind::MemoryLimit
            | Kind::DiskFull
    )
}

/// Whether two faults may be there at once.
fn goes_with(one: Kind, other: Kind) -> bool {
    let is_either_alone = is_alone(one) || is_alone(other);
    let lift_each_other = [one, other]
        .iter()
        .all(|kind| kind.means() == Means::Filter);
    !is_either_alone && !lift_each_other
}

/// What may be drawn here. A cluster whose nodes come and go is a scenario of its own.
fn kinds(facilities: &Facilities, nodes: usize) -> Vec<Kind> {
    let mut kinds = Kind::ALL.to_vec();
    kinds.retain(|kind| {
        facilities.lacks(kind.need()).is_none()
            && (*kind != Kind::PartitionRing || nodes >= LEAST_RING)
            && kind.need() != Need::FakeTime
            && !matches!(kind, Kind::JoinDrain | Kind::LostDisk)
    });
    kinds
}

/// The faults of a seed in their sequence; each kind comes before any comes again.
fn draw(kinds: &[Kind], rng: &mut StdRng) -> Vec<Kind> {
    let mut drawn = kinds.to_vec();
    drawn.shuffle(rng);
    drawn
}

pub fn play(plan: Plan, wishes: &Wishes, facilities: &Facilities) -> Result<Ending, Trouble> {
    let kinds = kinds(facilities, plan.nodes);
    let mut rng = StdRng::seed_from_u64(wishes.seed);
    let mut queue = draw(&kinds, &mut rng);
    let limit = LIMIT + wishes.mix;
    let mut stage = Stage::open(plan, facilities, wishes.buyers, wishes.seed, limit)?;
    let (mut active, mut drawn) = (Vec::new(), BTreeSet::new());
    let until = Instant::now() + wishes.mix;
    while Instant::now() < until {
        if queue.is_empty() {
            queue = draw(&kinds, &mut rng);
        }
        if let Err(error) = go_on(&mut stage, &mut rng, &mut queue, &mut active, &mut drawn) {
            stage.give_up(&error);
            break;
        }
    }
    let active = active.into_iter().map(|(fault, _)| fault).collect();
    let mut ending = stage.finish(active);
    for kind in drawn {
        // A disk that was full for a moment need not have been noticed.
        let may_pass = kind == Kind::DiskFull || ending.was_cut_short;
        if ending.counts.get(&kind).copied().unwrap_or(0) == 0 && !may_pass {
            let text = format!("{} was drawn and never happened", kind.name());
            ending.found.push(text);
        }
    }
    Ok(ending)
}

/// Ends what is due, begins the next fault of the queue when it may, and lets some time pass.
fn go_on(
    stage: &mut Stage,
    rng: &mut StdRng,
    queue: &mut Vec<Kind>,
    active: &mut Vec<(Active, Duration)>,
    drawn: &mut BTreeSet<Kind>,
) -> Result<(), Trouble> {
    let is_over = |(fault, time): &(Active, Duration)| fault.began.elapsed() >= *time;
    while let Some(over) = active.iter().position(is_over) {
        let (fault, _) = active.swap_remove(over);
        stage.end(fault)?;
    }
    let fits = |next: Kind| active.iter().all(|(fault, _)| goes_with(fault.kind, next));
    if active.len() < AT_ONCE
        && let Some(kind) = queue.pop_if(|next| fits(*next))
    {
        drawn.insert(kind);
        let time = Duration::from_millis(rng.random_range(200..3_000));
        match stage.begin(kind)? {
            Some(fault) => {
                println!("      {} for {} ms", kind.name(), time.as_millis());
                active.push((fault, time));
            }
            // There is no node for it now: later.
            None => queue.insert(0, kind),
        }
    }
    stage.pass(LOOK_EVERY * rng.random_range(1..20))
}
