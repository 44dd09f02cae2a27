//! Offered load against goodput: parts and multiples of the capacity, which is measured first.

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::arrivals::Step;
use super::run::{self, Load};
use super::scene::{Cluster, Scene};
use super::tally::Counts;

/// How many times the capacity is offered.
pub const TIMES: [f64; 7] = [0.1, 0.5, 0.8, 1.0, 2.0, 10.0, 100.0];
/// Goodput under the most that is offered, as a part of the best.
pub const KEPT_MIN: f64 = 0.9;
/// A point that put a smaller part on the wire of what it was to offer says so.
const SENT_MIN: f64 = 0.8;
/// A visitor who is told later has gone: as long as a node itself tries a call.
const IN_TIME: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize)]
pub struct Curve {
    pub seed: u64,
    pub capacity_per_s: f64,
    pub seconds_each: f64,
    pub points: Vec<Point>,
    pub peak_per_s: f64,
    /// Goodput at the last point, as a part of the peak.
    pub kept: f64,
    pub kept_min: f64,
    /// Calls a node took in at the last point, as a multiple of the capacity: the load has cores of its
    /// own, and when they or the connections are full, visitors do not reach a node.
    pub times_taken: f64,
    pub accepted: bool,
}

#[derive(Debug, Serialize)]
pub struct Point {
    /// Of the capacity, as meant.
    pub times: f64,
    pub offered_per_s: f64,
    /// Calls that went out.
    pub sent_per_s: f64,
    /// Of a point that could not offer what it was to: the cluster was never asked that much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<String>,
    pub goodput_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    /// Of those who came in the measured time.
    pub visitors: Counts,
    pub resident_mib: Vec<f64>,
}

/// Each point is measured for `seconds`, after a third of it.
pub async fn measure(
    cluster: &Cluster,
    scene: &Rc<Scene>,
    seed: u64,
    seconds: Duration,
    times: &[f64],
    on_point: &mut dyn FnMut(&Point),
) -> anyhow::Result<Curve> {
    let capacity_per_s = run::capacity(scene, seed, seconds).await?;
    let mut points = Vec::new();
    for times in times {
        let point = point(cluster, scene, seed, seconds, *times, capacity_per_s).await?;
        on_point(&point);
        points.push(point);
    }
    let goodput = points.iter().map(|point| point.goodput_per_s);
    let peak_per_s = goodput.fold(0.0, f64::max);
    let last = points.last();
    let kept = last.map_or(0.0, |last| last.goodput_per_s) / peak_per_s.max(1.0);
    Ok(Curve {
        seed,
        capacity_per_s,
        seconds_each: seconds.as_secs_f64(),
        peak_per_s,
        kept,
        kept_min: KEPT_MIN,
        times_taken: last.map_or(0.0, |last| last.sent_per_s) / capacity_per_s.max(1.0),
        accepted: kept >= KEPT_MIN,
        points,
    })
}

async fn point(
    cluster: &Cluster,
    scene: &Rc<Scene>,
    seed: u64,
    seconds: Duration,
    times: f64,
    capacity_per_s: f64,
) -> anyhow::Result<Point> {
    let warmup = seconds / 3;
    let load = Load {
        seed,
        steps: vec![Step {
            time: warmup + seconds,
            per_s: capacity_per_s * times,
        }],
        closed: None,
        in_time: IN_TIME,
        retries: None,
        warmup,
    };
    let at_the_end = async {
        tokio::time::sleep(load.time()).await;
        Ok(cluster.resident_mib())
    };
    let (shared, resident_mib) = run::run(scene, &load, at_the_end).await?;
    let us = |time: Duration| time.as_micros() as u64;
    let measured = us(warmup)..us(load.time());
    let tally = &shared.tally;
    let visitors = tally.sum(measured.clone());
    let per_s = |count: u64| count as f64 / seconds.as_secs_f64();
    Ok(Point {
        times,
        offered_per_s: per_s(visitors.offered),
        sent_per_s: per_s(visitors.sent),
        shortfall: shortfall(times, per_s(visitors.sent), capacity_per_s),
        goodput_per_s: tally.goodput_per_s(measured),
        p50_ms: tally.latency_ms(0.5),
        p99_ms: tally.latency_ms(0.99),
        p999_ms: tally.latency_ms(0.999),
        visitors,
        resident_mib,
    })
}

fn shortfall(times: f64, sent_per_s: f64, capacity_per_s: f64) -> Option<String> {
    let times_sent = sent_per_s / capacity_per_s.max(1.0);
    (times_sent < SENT_MIN * times).then(|| {
        format!(
            "{times_sent:.1} times the capacity was sent and {times} were meant: connections or cores of the load \
             were full"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_could_not_offer_its_load_says_so() {
        assert_eq!(shortfall(2.0, 190.0, 100.0), None);
        let told = shortfall(100.0, 2_310.0, 100.0).expect("a word");
        assert!(
            told.starts_with("23.1 times the capacity was sent and 100 were meant"),
            "{told}"
        );
    }
}
