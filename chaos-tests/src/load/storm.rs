//! Retry storm: clients that call again with a budget, a trigger, its release, and how soon the nodes do
//! again what they did before, while everybody is still calling again.

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::arrivals::Step;
use super::line::Retries;
use super::run::{self, Load};
use super::scene::{Cluster, Scene};
use super::tally::{Counts, SLOT_US};

/// What starts the storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The leader is killed, and started again when the trigger ends.
    LeaderKilled,
    /// Ten times as many come.
    Overload,
    /// The same load and the same time with nothing to recover from: what the others are to be read beside.
    Nothing,
}

/// How much of the capacity comes when nothing is wrong, unless said.
pub const CALM: f64 = 0.5;
const OVERLOAD: f64 = 10.0;
/// Goodput counts as back when this part of who comes is served within a second of coming.
pub const BACK: f64 = 0.95;
pub const WITHIN: Duration = Duration::from_secs(10);
/// Before the trigger, goodput must be this part of what is offered.
const WELL: f64 = 0.5;
/// Goodput is looked at over so long.
const WINDOW_US: u64 = 10 * SLOT_US;

#[derive(Debug, Serialize)]
pub struct Storm {
    pub trigger: Trigger,
    pub seed: u64,
    pub offered_per_s: f64,
    pub before_per_s: f64,
    /// The worst second after the trigger began.
    pub worst_per_s: f64,
    /// From the release until who came was served at once again, for good; absent when it never was so.
    pub recovered_s: Option<f64>,
    /// Each second after the release, and how many of a hundred who came in it were served at once.
    pub at_once_percent: Vec<u64>,
    /// From the release until the last second with too few answers. Not judged: a pause that is made up
    /// for within a second, as when a disk is slow for a moment, puts answers from one second into the
    /// next, before a storm as after it.
    pub even_s: Option<f64>,
    pub within_s: f64,
    /// Goodput of each second, from the first that comes.
    pub each_s: Vec<u64>,
    pub visitors: Counts,
    pub accepted: bool,
}

/// How long each part lasts, and how much of the capacity comes.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub calm: f64,
    pub before: Duration,
    pub trigger: Duration,
    pub after: Duration,
}

pub async fn measure(
    cluster: &mut Cluster,
    scene: &Rc<Scene>,
    seed: u64,
    trigger: Trigger,
    times: Times,
    capacity_per_s: f64,
) -> anyhow::Result<Storm> {
    let offered_per_s = capacity_per_s * times.calm;
    let step = |time, factor: f64| Step {
        time,
        per_s: offered_per_s * factor,
    };
    let during = match trigger {
        Trigger::LeaderKilled | Trigger::Nothing => 1.0,
        Trigger::Overload => OVERLOAD / times.calm,
    };
    let load = Load {
        seed,
        steps: vec![
            step(times.before, 1.0),
            step(times.trigger, during),
            step(times.after, 1.0),
        ],
        closed: None,
        in_time: Duration::from_secs(10),
        retries: Some(Retries {
            budget: 1.0,
            patience: Duration::from_secs(5),
        }),
        warmup: times.before / 3,
    };
    let leader = scene.leader;
    let pull = async {
        sleep(times.before).await;
        if trigger == Trigger::LeaderKilled {
            cluster.local.kill(leader);
        }
        sleep(times.trigger).await;
        if trigger == Trigger::LeaderKilled {
            cluster.restart(leader)?;
        }
        Ok(())
    };
    let (shared, ()) = run::run(scene, &load, pull).await?;
    let us = |time: Duration| time.as_micros() as u64;
    let tally = &shared.tally;
    let (pulled, released) = (us(times.before), us(times.before + times.trigger));
    let end = us(load.time());
    let before_per_s = tally.goodput_per_s(us(load.warmup)..pulled);
    let windows = |from: u64| (from..end - WINDOW_US).step_by(SLOT_US as usize);
    let goodput = |from: u64| tally.goodput_per_s(from..from + WINDOW_US);
    let worst_per_s = windows(pulled).map(goodput).fold(f64::INFINITY, f64::min);
    let who_came = |from: u64| tally.sum(from..from + WINDOW_US);
    let waits = |from: &u64| {
        let came = who_came(*from);
        (came.at_once as f64) < BACK * came.offered as f64
    };
    // Fewer come in one second than in another: who came and was served is enough.
    let is_uneven = |from: &u64| {
        let came_per_s = who_came(*from).offered as f64 * 1e6 / WINDOW_US as f64;
        goodput(*from) < BACK * before_per_s.min(came_per_s)
    };
    // Nothing came back that was not there, or was never gone.
    let was_well = before_per_s >= WELL * offered_per_s;
    let was_hurt = trigger != Trigger::LeaderKilled || worst_per_s < before_per_s / 2.0;
    // For good: after the last second that was worse.
    let behind = |last: Option<u64>| match last {
        None => Some(0.0),
        Some(from) if from + 2 * WINDOW_US >= end => None,
        Some(from) => Some((from + WINDOW_US - released) as f64 / 1e6),
    };
    let recovered_s = behind(windows(released).filter(waits).last());
    let even_s = behind(windows(released).filter(is_uneven).last());
    Ok(Storm {
        trigger,
        seed,
        offered_per_s,
        before_per_s,
        worst_per_s,
        recovered_s,
        even_s,
        at_once_percent: (released..end)
            .step_by(WINDOW_US as usize)
            .map(|from| {
                let came = who_came(from);
                came.at_once * 100 / came.offered.max(1)
            })
            .collect(),
        within_s: WITHIN.as_secs_f64(),
        each_s: (0..end)
            .step_by(WINDOW_US as usize)
            .map(|from| goodput(from) as u64)
            .collect(),
        visitors: tally.sum(0..end),
        accepted: was_well
            && was_hurt
            && recovered_s.is_some_and(|seconds| seconds <= WITHIN.as_secs_f64()),
    })
}
