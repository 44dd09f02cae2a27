//! The simple estimate: seats go on selling at the rate of late. It speaks where smoothing cannot, and is
//! what smoothing is compared with.

use super::{Band, Curve, Forecaster, Model, Outlook};

/// Times the length of the past that is looked into the future.
pub(super) const REACH: f64 = 20.0;
/// The band: this many times the rate, and one part in as many of it.
const SPREAD: f64 = 2.0;

/// The rate over the last part of the curve.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// One part in so many of the curve, one step at least.
    pub part: usize,
}

impl Pace {
    pub const DEFAULT: Pace = Pace { part: 3 };

    /// Seats a second.
    fn rate(&self, points: &[f64], step_s: f64) -> Option<f64> {
        let steps = (points.len() / self.part).max(1);
        let from = points.len().checked_sub(steps + 1)?;
        let (first, last) = (points.get(from)?, points.last()?);
        Some((last - first).max(0.0) / (steps as f64 * step_s))
    }
}

impl Forecaster for Pace {
    fn forecast(&self, curve: &Curve, at_s: &[f64]) -> Option<Outlook> {
        let step_s = curve.step_s();
        let (taking, selling) = (
            self.rate(curve.taken(), step_s)?,
            self.rate(curve.sold(), step_s)?,
        );
        let last = curve.last();
        let (sold, capacity) = (f64::from(last.sold), f64::from(last.capacity));
        let left = (curve.goal() - f64::from(last.taken)).max(0.0);
        let reach_s = REACH * curve.taken().len() as f64 * step_s;
        let sell_out = |rate: f64| {
            let seconds = left / rate;
            (seconds.is_finite() && seconds <= reach_s).then_some(seconds)
        };
        let sold_at = |seconds: f64| {
            let at = |rate: f64| (sold + rate * seconds.min(reach_s)).min(capacity);
            let is_far = seconds > reach_s;
            let likely = at(selling);
            // Sold out stays sold out, however far off that is.
            (!is_far || likely >= capacity).then(|| Band {
                low: at(selling / SPREAD),
                likely,
                high: if is_far {
                    capacity
                } else {
                    at(selling * SPREAD)
                },
            })
        };
        Some(Outlook {
            model: Model::Pace,
            sell_out_s: Band {
                low: sell_out(taking * SPREAD),
                likely: sell_out(taking),
                high: sell_out(taking / SPREAD),
            },
            sold_at: at_s.iter().map(|seconds| sold_at(*seconds)).collect(),
        })
    }
}
