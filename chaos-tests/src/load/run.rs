//! One run of the load: its connections, for as long as visitors come.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use onsale::load::keys::Keys;
use rand::SeedableRng as _;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::arrivals::{Arrivals, Step};
use super::line::{Line, Pace, Retries, Shared};
use super::scene::Scene;
use super::tally::Tally;
use crate::layer1::Draw;

/// Connections of a run.
pub const LINES: usize = 4;

/// Who comes, and what they put up with.
#[derive(Clone, Debug)]
pub struct Load {
    pub seed: u64,
    pub steps: Vec<Step>,
    /// Instead of the steps' rates: so many at a time, each followed by the next.
    pub closed: Option<usize>,
    /// Being told later is not being served.
    pub in_time: Duration,
    pub retries: Option<Retries>,
    /// Visitors who come before do not count for the latency.
    pub warmup: Duration,
}

impl Load {
    pub fn time(&self) -> Duration {
        self.steps.iter().map(|step| step.time).sum()
    }
}

/// Runs the load beside `meanwhile`, which may do something to the nodes; ends when both have ended.
pub async fn run<T>(
    scene: &Rc<Scene>,
    load: &Load,
    meanwhile: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(Rc<Shared>, T)> {
    let began = Instant::now();
    let us = |time: Duration| time.as_micros() as u64;
    let shared = Rc::new(Shared {
        tally: Tally::new(us(load.warmup)..us(load.time()))?,
        began,
        in_time: load.in_time,
        retries: load.retries,
        end: began + load.time(),
    });
    let set = LocalSet::new();
    let mut lines = JoinSet::new();
    for number in 0..LINES {
        let seed = load
            .seed
            .wrapping_mul(LINES as u64)
            .wrapping_add(number as u64);
        let draw = Draw::seed_from_u64(seed);
        let pace = match load.closed {
            Some(most) => Pace::Closed(most / LINES),
            None => Pace::Open(Arrivals::new(draw.clone(), &load.steps, 1.0 / LINES as f64)),
        };
        // Keys of different runs and connections differ.
        let keys = Keys::new(seed ^ scene.wall.now_ms() << 16, &scene.wall);
        let line = Line::new(Rc::clone(scene), Rc::clone(&shared), pace, keys, draw);
        lines.spawn_local_on(line.run(), &set);
    }
    let all = async {
        while let Some(ended) = lines.join_next().await {
            match ended {
                Ok(ended) => ended.context("a connection of the load failed")?,
                Err(panic) => bail!("a connection of the load failed: {panic}"),
            }
        }
        anyhow::Ok(())
    };
    let (ended, did) = set.run_until(async { tokio::join!(all, meanwhile) }).await;
    ended?;
    Ok((shared, did?))
}

/// Visitors a second that the nodes serve when as many wait as they like, after they have done so for
/// twice the time: a young sale remembers little, and a node that was just started takes no snapshot yet.
pub async fn capacity(scene: &Rc<Scene>, seed: u64, time: Duration) -> anyhow::Result<f64> {
    let warmup = 2 * time;
    let load = Load {
        seed,
        steps: vec![Step {
            time: warmup + time,
            per_s: 0.0,
        }],
        closed: Some(OUTSTANDING),
        in_time: Duration::from_secs(60),
        retries: None,
        warmup,
    };
    let (shared, ()) = run(scene, &load, async { Ok(()) }).await?;
    let us = |time: Duration| time.as_micros() as u64;
    Ok(shared.tally.goodput_per_s(us(warmup)..us(load.time())))
}

/// Calls without an answer at a time that keep three nodes busy.
const OUTSTANDING: usize = 8_192;
