//! When visitors come: a Poisson process whose rate changes in steps, from a seed. Knows no network.

use std::time::Duration;

use rand::RngExt as _;

use crate::layer1::Draw;

/// So many visitors a second, for so long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub time: Duration,
    pub per_s: f64,
}

/// Times are microseconds since the start.
pub struct Arrivals {
    draw: Draw,
    steps: Vec<Step>,
    /// The step that `next_us` is in.
    at: usize,
    step_end_us: f64,
    next_us: f64,
}

impl Arrivals {
    /// `share` is the part of all visitors that come here: parts of a Poisson process are one each.
    pub fn new(draw: Draw, steps: &[Step], share: f64) -> Arrivals {
        let steps: Vec<Step> = steps
            .iter()
            .map(|step| Step {
                per_s: step.per_s * share,
                ..*step
            })
            .collect();
        let mut arrivals = Arrivals {
            draw,
            step_end_us: micros(steps.first()),
            steps,
            at: 0,
            next_us: 0.0,
        };
        arrivals.advance();
        arrivals
    }

    /// Who has come by now and was not given yet, by the time at which each came.
    pub fn due(&mut self, now_us: u64) -> impl Iterator<Item = u64> + '_ {
        std::iter::from_fn(move || {
            if self.at >= self.steps.len() || self.next_us > now_us as f64 {
                return None;
            }
            let came_us = self.next_us as u64;
            self.advance();
            Some(came_us)
        })
    }

    /// Counts who else has come by now, without the time of each: for those nobody can take in, of whom
    /// there may be millions a second.
    pub fn skip(&mut self, now_us: u64) -> u64 {
        let mut skipped = 0;
        while let Some(step) = self.steps.get(self.at)
            && self.next_us <= now_us as f64
        {
            let until_us = self.step_end_us.min(now_us as f64);
            let mean = (until_us - self.next_us).max(0.0) * step.per_s / 1e6;
            // The one whose time is known, and a Poisson number of others: near enough to normal.
            skipped += 1 + (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
            self.next_us = until_us;
            self.advance();
        }
        skipped
    }

    /// Irwin and Hall's sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.draw.random::<f64>()).sum::<f64>() - 6.0
    }

    fn advance(&mut self) {
        while let Some(step) = self.steps.get(self.at) {
            let gap_us = match step.per_s > 0.0 {
                true => -(1.0 - self.draw.random::<f64>()).ln() / step.per_s * 1e6,
                false => f64::INFINITY,
            };
            if self.next_us + gap_us < self.step_end_us {
                self.next_us += gap_us;
                return;
            }
            // Without memory: the next step may begin anew where this one ends.
            self.next_us = self.step_end_us;
            self.at += 1;
            self.step_end_us += micros(self.steps.get(self.at));
        }
    }
}

fn micros(step: Option<&Step>) -> f64 {
    step.map_or(0.0, |step| step.time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn step(seconds: u64, per_s: f64) -> Step {
        Step {
            time: Duration::from_secs(seconds),
            per_s,
        }
    }

    fn all(seed: u64, steps: &[Step]) -> Vec<u64> {
        let mut arrivals = Arrivals::new(Draw::seed_from_u64(seed), steps, 1.0);
        arrivals.due(u64::MAX).collect()
    }

    #[test]
    fn each_step_has_its_rate_and_nobody_comes_in_a_pause() {
        let steps = [step(10, 1_000.0), step(5, 0.0), step(10, 4_000.0)];
        let came = all(7, &steps);
        assert!(came.is_sorted());
        let within = |from: u64, to: u64| {
            came.iter()
                .filter(|us| (from * 1_000_000..to * 1_000_000).contains(*us))
                .count()
        };
        let near = |count: usize, expected: f64| {
            // Six standard deviations.
            assert!(
                (count as f64 - expected).abs() < 6.0 * expected.sqrt(),
                "{count}"
            );
        };
        near(within(0, 10), 10_000.0);
        assert_eq!(within(10, 15), 0);
        near(within(15, 25), 40_000.0);
        assert_eq!(within(25, 1_000), 0);
    }

    #[test]
    fn who_is_skipped_is_counted() {
        let steps = [step(10, 200_000.0), step(10, 50_000.0)];
        let mut arrivals = Arrivals::new(Draw::seed_from_u64(5), &steps, 0.5);
        let mut came = 0;
        for now_us in (0..=20_000_000).step_by(1_000) {
            came += arrivals.due(now_us).take(3).count() as u64;
            came += arrivals.skip(now_us);
        }
        let expected = 1_250_000.0;
        assert!((came as f64 - expected).abs() < 0.01 * expected, "{came}");
        assert_eq!(arrivals.skip(u64::MAX), 0);
    }

    #[test]
    fn gaps_vary_as_a_poisson_process_has_them_and_repeat_by_seed() {
        let came = all(3, &[step(20, 1_000.0)]);
        let gaps: Vec<f64> = came
            .windows(2)
            .map(|two| (two[1] - two[0]) as f64)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The standard deviation of an exponential gap is its mean.
        let ratio = variance.sqrt() / mean;
        assert!((0.95..1.05).contains(&ratio), "{ratio}");
        assert_eq!(came, all(3, &[step(20, 1_000.0)]));
        assert_ne!(came, all(4, &[step(20, 1_000.0)]));
    }
}
