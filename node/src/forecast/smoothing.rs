//! The reference: Holt's exponential smoothing (level and trend, additive errors) of the sold curve, by the
//! `augurs-ets` crate. The band of the time is read off the band of the curve: with one chance in ten the
//! seats are gone where its upper edge reaches the capacity. Where the model has too little to go by, or
//! says what a sale cannot do, `Pace` speaks.

use std::panic::{self, AssertUnwindSafe};

use augurs_core::{Fit as _, Predict as _};
use augurs_ets::AutoETS;

use super::pace::{Pace, REACH};
use super::{Band, Curve, Forecaster, Model, Outlook};

/// Fewer points say too little.
const POINTS_LEAST: usize = 12;
/// Between one in ten and nine in ten.
const LEVEL: f64 = 0.8;
/// How fast level and trend follow what is new: fixed, because fitted to each curve they follow its nights
/// and its noise (`backtest`).
const ALPHA: f64 = 0.3;
const BETA: f64 = 0.01;
/// The band is no narrower than this many times its middle, and one part in as many of it: what becomes of a
/// sale is less certain than its curve is smooth.
const SPREAD: f64 = 1.25;
/// Smoothing is believed when its sell-out is so many times nearer or farther than at the rate of late, at
/// most: a sale's first seconds are explosive.
const APART_MAX: f64 = 4.0;

#[derive(Clone, Copy, Debug)]
pub struct Smoothing {
    simple: Pace,
}

impl Smoothing {
    pub const DEFAULT: Smoothing = Smoothing {
        simple: Pace::DEFAULT,
    };
}

impl Forecaster for Smoothing {
    fn forecast(&self, curve: &Curve, at_s: &[f64]) -> Option<Outlook> {
        let simple = self.simple.forecast(curve, at_s)?;
        // The model works on numbers that others send; whatever it trips over, the simple one is there.
        let smoothed = panic::catch_unwind(AssertUnwindSafe(|| smooth(curve, at_s)));
        let believed = smoothed
            .ok()
            .flatten()
            .filter(|smoothed| is_plausible(smoothed, &simple));
        Some(believed.unwrap_or(simple))
    }
}

fn is_plausible(smoothed: &Outlook, simple: &Outlook) -> bool {
    match (smoothed.sell_out_s.likely, simple.sell_out_s.likely) {
        (Some(smoothed), Some(simple)) => {
            smoothed <= simple * APART_MAX && simple <= smoothed * APART_MAX
        }
        // Nothing has been sold of late: no model knows when that ends.
        (Some(_), None) => false,
        (None, _) => true,
    }
}

fn smooth(curve: &Curve, at_s: &[f64]) -> Option<Outlook> {
    let last = curve.last();
    let taken = Fan::of(curve.taken(), last.taken, curve)?;
    let sold = Fan::of(curve.sold(), last.sold, curve)?;
    let goal = curve.goal();
    let likely = taken.likely.reaches(goal);
    let at_most = |edge: f64| likely.map_or(edge, |likely| edge.min(likely / SPREAD));
    let at_least = |edge: f64| likely.map_or(edge, |likely| edge.max(likely * SPREAD));
    Some(Outlook {
        model: Model::Smoothing,
        sell_out_s: Band {
            low: taken.high.reaches(goal).map(at_most),
            likely,
            high: taken.low.reaches(goal).map(at_least),
        },
        sold_at: at_s.iter().map(|seconds| sold.at(*seconds)).collect(),
    })
}

/// The future of one of a curve's series, with its edges.
struct Fan {
    low: Path,
    likely: Path,
    high: Path,
}

impl Fan {
    fn of(points: &[f64], now: u32, curve: &Curve) -> Option<Fan> {
        let capacity = f64::from(curve.last().capacity);
        if points.len() < POINTS_LEAST || capacity <= 0.0 {
            return None;
        }
        // The same model for a theatre and for a stadium.
        let shares: Vec<f64> = points
            .iter()
            .map(|seats| 100.0 * seats / capacity)
            .collect();
        let model = AutoETS::new(1, "AAN").ok()?.damped(false).ok()?;
        let model = model.alpha(ALPHA).beta(BETA);
        let steps = (REACH * points.len() as f64) as usize;
        let predicted = model.fit(&shares).ok()?.predict(steps, LEVEL).ok()?;
        let edges = predicted.intervals?;
        let path = |shares: &[f64]| Path::new(shares, f64::from(now), capacity, curve);
        if predicted.point.first() > predicted.point.last() {
            return None;
        }
        Some(Fan {
            low: path(&edges.lower)?,
            likely: path(&predicted.point)?,
            high: path(&edges.upper)?,
        })
    }

    fn at(&self, seconds: f64) -> Option<Band<f64>> {
        let likely = self.likely.at(seconds)?;
        let (now, most) = (self.likely.now, self.likely.capacity);
        let more = likely - now;
        // Beyond what the edges tell, no seat that is sold comes back and no more than all are sold.
        let low = self.low.at(seconds).or(self.low.seats.last().copied())?;
        let high = self.high.at(seconds).unwrap_or(most);
        Some(Band {
            low: low.min(now + more / SPREAD),
            likely,
            high: high.max((now + more * SPREAD).min(most)),
        })
    }
}

/// Seats over time, from the last sample on; never falling, never above the capacity.
struct Path {
    seats: Vec<f64>,
    step_s: f64,
    /// From the last sample to the first step.
    first_s: f64,
    now: f64,
    capacity: f64,
}

impl Path {
    fn new(shares: &[f64], now: f64, capacity: f64, curve: &Curve) -> Option<Path> {
        let mut seats = Vec::with_capacity(shares.len());
        let mut most = now;
        for share in shares {
            if !share.is_finite() {
                return None;
            }
            most = most.max((share * capacity / 100.0).min(capacity));
            seats.push(most);
        }
        Some(Path {
            seats,
            step_s: curve.step_s(),
            first_s: curve.step_s() - curve.since_last_point_s(),
            now,
            capacity,
        })
    }

    /// When so many are sold.
    fn reaches(&self, goal: f64) -> Option<f64> {
        let at = self.seats.iter().position(|seats| *seats >= goal)?;
        let before = at.checked_sub(1).and_then(|at| self.seats.get(at));
        let (from, to) = (before.copied().unwrap_or(self.now), self.seats[at]);
        let part = if to > from {
            (goal - from) / (to - from)
        } else {
            1.0
        };
        Some((self.first_s + (at as f64 - 1.0 + part) * self.step_s).max(0.0))
    }

    fn at(&self, seconds: f64) -> Option<f64> {
        let steps = (seconds - self.first_s) / self.step_s;
        if steps < 0.0 {
            let first = self.seats.first()?;
            let part = (seconds / self.first_s).clamp(0.0, 1.0);
            return Some(self.now + part * (first - self.now));
        }
        let (from, to) = (steps.floor() as usize, steps.ceil() as usize);
        match (self.seats.get(from), self.seats.get(to)) {
            (Some(from), Some(to)) => Some(from + steps.fract() * (to - from)),
            // Sold out stays sold out, however far that is.
            _ => self
                .seats
                .last()
                .copied()
                .filter(|seats| *seats >= self.capacity),
        }
    }
}
