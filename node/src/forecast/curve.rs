//! How many seats of one sale were taken and sold when: a bounded history. Points are evenly spaced; when
//! there is no room for another, every second one is dropped and the space between them doubles, so that a
//! curve covers all of its sale, be that minutes or weeks. Kept by `book`, read by forecasters.

/// Points kept at most; an even number.
pub const POINTS_MAX: usize = 64;

/// A sale counts as sold out with this share of its seats taken: the very last are single ones.
pub const SOLD_OUT: f64 = 0.99;

/// Between two points at first, milliseconds: figures are no denser than that.
const STEP_FIRST_MS: u64 = 2_000;

/// Seats of a sale at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub at_ms: u64,
    pub sold: u32,
    /// Sold or held: nobody else can have them.
    pub taken: u32,
    /// Those that are not blocked.
    pub capacity: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// When the first point was, milliseconds of whoever takes samples.
    began_ms: u64,
    step_ms: u64,
    sold: Vec<f64>,
    taken: Vec<f64>,
    last: Option<Sample>,
}

impl Curve {
    /// Samples come in sequence of time. A curve begins with the last one before the first seat was taken.
    pub fn note(&mut self, now: Sample) {
        let last = self.last.replace(now);
        if self.taken.is_empty() {
            if now.taken == 0 {
                return;
            }
            let first = last.unwrap_or(now);
            (self.began_ms, self.step_ms) = (first.at_ms, STEP_FIRST_MS);
            self.sold.push(f64::from(first.sold));
            self.taken.push(f64::from(first.taken));
        }
        let Some(before) = last.filter(|before| before.at_ms < now.at_ms) else {
            return;
        };
        let passed_ms = (now.at_ms - before.at_ms) as f64;
        while self.next_ms() <= now.at_ms {
            if self.taken.len() == POINTS_MAX {
                self.halve();
                continue;
            }
            let part = self.next_ms().saturating_sub(before.at_ms) as f64 / passed_ms;
            let between = |from: u32, to: u32| {
                let (from, to) = (f64::from(from), f64::from(to));
                from + part * (to - from)
            };
            self.sold.push(between(before.sold, now.sold));
            self.taken.push(between(before.taken, now.taken));
        }
    }

    fn next_ms(&self) -> u64 {
        self.began_ms + self.step_ms * self.taken.len() as u64
    }

    fn halve(&mut self) {
        for points in [&mut self.sold, &mut self.taken] {
            let mut even = false;
            points.retain(|_| {
                even = !even;
                even
            });
        }
        self.step_ms *= 2;
    }

    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Seats sold, a step apart.
    pub fn sold(&self) -> &[f64] {
        &self.sold
    }

    /// Seats sold or held, a step apart.
    pub fn taken(&self) -> &[f64] {
        &self.taken
    }

    pub fn step_s(&self) -> f64 {
        self.step_ms as f64 / 1000.0
    }

    pub fn last(&self) -> Sample {
        self.last.unwrap_or_default()
    }

    /// Seats taken when the sale counts as sold out.
    pub fn goal(&self) -> f64 {
        f64::from(self.last().capacity) * SOLD_OUT
    }

    /// From the last point to the last sample, in seconds.
    pub fn since_last_point_s(&self) -> f64 {
        let points = self.taken.len() as u64;
        let last_ms = self.began_ms + self.step_ms * points.saturating_sub(1);
        self.last().at_ms.saturating_sub(last_ms) as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, taken: u32) -> Sample {
        Sample {
            at_ms,
            sold: taken / 2,
            taken,
            capacity: 2_000_000,
        }
    }

    #[test]
    fn a_curve_begins_before_the_first_seat_is_taken() {
        let mut curve = Curve::default();
        for second in 0..100 {
            curve.note(sample(second * 1000, 0));
        }
        assert!(curve.is_empty());
        curve.note(sample(100_000, 4));
        curve.note(sample(102_000, 8));
        assert_eq!(curve.taken(), [0.0, 6.0], "from second 99 on, every other");
        assert_eq!(curve.sold(), [0.0, 3.0]);
        assert_eq!(curve.since_last_point_s(), 1.0);
    }

    #[test]
    fn a_long_sale_is_kept_in_few_points() {
        let mut curve = Curve::default();
        for second in 0..1_000_000_u32 {
            curve.note(sample(u64::from(second) * 1000, second));
        }
        assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&curve.taken().len()));
        let step_s = curve.step_s();
        for (number, taken) in curve.taken().iter().enumerate() {
            assert!(
                (number as f64 * step_s - taken).abs() < 1.0,
                "{number}: {taken}"
            );
        }
    }

    #[test]
    fn a_gap_is_bridged() {
        let mut curve = Curve::default();
        curve.note(sample(0, 1));
        curve.note(sample(1_000_000_000, 1_000_001));
        assert!(curve.taken().len() <= POINTS_MAX && curve.taken().is_sorted());
        assert!(curve.since_last_point_s() < curve.step_s());
    }
}
