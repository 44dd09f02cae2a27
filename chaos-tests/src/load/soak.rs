//! Soak: half of the capacity for a long time, and the slope of the nodes' memory once caches and rings
//! have filled.

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::arrivals::Step;
use super::run::{self, Load};
use super::scene::{Cluster, Scene};
use super::tally::Counts;

const PART: f64 = 0.5;

#[derive(Debug, Serialize)]
pub struct Soak {
    pub seed: u64,
    pub seconds: f64,
    pub offered_per_s: f64,
    pub goodput_per_s: f64,
    pub p99_ms: f64,
    pub visitors: Counts,
    /// By node: least squares over the second half.
    pub slope_mib_per_h: Vec<f64>,
    pub resident_mib_first: Vec<f64>,
    pub resident_mib_half: Vec<f64>,
    pub resident_mib_last: Vec<f64>,
}

pub async fn measure(
    cluster: &Cluster,
    scene: &Rc<Scene>,
    seed: u64,
    time: Duration,
    capacity_per_s: f64,
) -> anyhow::Result<Soak> {
    let offered_per_s = capacity_per_s * PART;
    let load = Load {
        seed,
        steps: vec![Step {
            time,
            per_s: offered_per_s,
        }],
        closed: None,
        in_time: Duration::from_secs(5),
        retries: None,
        warmup: time / 10,
    };
    let every = (time / 200).max(Duration::from_millis(250));
    let watch = async {
        let began = Instant::now();
        let mut seen = Vec::new();
        while began.elapsed() < time {
            seen.push((
                began.elapsed().as_secs_f64() / 3600.0,
                cluster.resident_mib(),
            ));
            tokio::time::sleep(every).await;
        }
        Ok(seen)
    };
    let (shared, seen) = run::run(scene, &load, watch).await?;
    let nodes = seen.first().map_or(0, |(_, resident)| resident.len());
    let half = &seen[seen.len() / 2..];
    let slope_of = |node: usize| {
        let points = half
            .iter()
            .map(|(hours, resident)| (*hours, resident[node]));
        slope(&points.collect::<Vec<_>>())
    };
    let at = |index: usize| {
        seen.get(index)
            .map(|(_, resident)| resident.clone())
            .unwrap_or_default()
    };
    let us = |time: Duration| time.as_micros() as u64;
    let tally = &shared.tally;
    Ok(Soak {
        seed,
        seconds: time.as_secs_f64(),
        offered_per_s,
        goodput_per_s: tally.goodput_per_s(us(load.warmup)..us(time)),
        p99_ms: tally.latency_ms(0.99),
        visitors: tally.sum(0..us(time)),
        slope_mib_per_h: (0..nodes).map(slope_of).collect(),
        resident_mib_first: at(0),
        resident_mib_half: at(seen.len() / 2),
        resident_mib_last: at(seen.len().saturating_sub(1)),
    })
}

/// Of the line with the least squares through the points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut both, mut square) = (0.0, 0.0);
    for point in points {
        both += (point.0 - x) * (point.1 - y);
        square += (point.0 - x).powi(2);
    }
    if square > 0.0 { both / square } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_has_its_slope() {
        let points: Vec<(f64, f64)> = (0..9)
            .map(|x| (f64::from(x), 3.0 - f64::from(x) * 0.5))
            .collect();
        assert!((super::slope(&points) + 0.5).abs() < 1e-9);
        assert_eq!(super::slope(&[(1.0, 2.0)]), 0.0);
    }
}
