//! How long a place will take: from the flow of the last minute, as this node's own copies of sales
//! show it. Any node can tell, leader or not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::ids::SaleId;
use tokio::time::Instant;

/// Looked at no more often.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Of this time the flow is the mean.
const MEMORY: Duration = Duration::from_secs(60);
/// The slowest of stretches of this length stands for a bad case.
const STRETCH: Duration = Duration::from_secs(10);

/// Visitors let in by the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    pub mean: f64,
    /// In the slowest ten seconds.
    pub slow: f64,
}

impl Flow {
    /// Milliseconds until so many more were let in; `None` while none are.
    pub fn wait_ms(self, ahead: u32) -> Option<(u64, u64)> {
        let wait = |per_s: f64| Some((f64::from(ahead) / per_s * 1000.0) as u64);
        if self.mean <= 0.0 {
            return None;
        }
        let mean = wait(self.mean)?;
        // In a minute that had a standstill the bad case is twice the mean.
        let slow = match self.slow > 0.0 {
            true => wait(self.slow)?,
            false => mean * 2,
        };
        Some((mean, slow.max(mean)))
    }
}

/// The flows of the sales that were asked about on this node.
#[derive(Default)]
pub struct Forecasts(Mutex<BTreeMap<SaleId, Samples>>);

/// (when, how many had been let in)
#[derive(Default)]
struct Samples(VecDeque<(Instant, u64)>);

impl Forecasts {
    /// Notes how many were let in so far, and tells the flow.
    pub fn look(&self, sale: SaleId, now: Instant, released: u64) -> Option<Flow> {
        let mut sales = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = sales.entry(sale).or_default();
        samples.note(now, released);
        let flow = samples.flow();
        // Who is not asked about any more needs no memory.
        if sales.len() > 1 {
            sales.retain(|_, samples| samples.is_fresh(now));
        }
        flow
    }
}

impl Samples {
    fn note(&mut self, now: Instant, released: u64) {
        if let Some((last, _)) = self.0.back()
            && now.duration_since(*last) < SAMPLE_EVERY
        {
            return;
        }
        self.0.push_back((now, released));
        // One older than the memory stays, so that it is spanned.
        while let Some((second, _)) = self.0.get(1)
            && now.duration_since(*second) >= MEMORY
        {
            self.0.pop_front();
        }
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.0
            .back()
            .is_some_and(|(last, _)| now.duration_since(*last) < MEMORY)
    }

    fn flow(&self) -> Option<Flow> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let mean = per_s(first, last)?;
        let mut slow = mean;
        let mut begin = first;
        for sample in &self.0 {
            if sample.0.duration_since(begin.0) >= STRETCH {
                slow = slow.min(per_s(begin, sample)?);
                begin = sample;
            }
        }
        Some(Flow { mean, slow })
    }
}

fn per_s(from: &(Instant, u64), to: &(Instant, u64)) -> Option<f64> {
    let passed = to.0.duration_since(from.0).as_secs_f64();
    (passed > 0.0).then(|| to.1.saturating_sub(from.1) as f64 / passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flow_of_the_last_minute_says_how_long() {
        let forecasts = Forecasts::default();
        let (sale, begun) = (SaleId(1), Instant::now());
        let at = |second| begun + Duration::from_secs(second);
        assert_eq!(
            forecasts.look(sale, at(0), 0),
            None,
            "one look tells nothing"
        );
        let mut flow = None;
        let mut released = 0;
        for second in 1..=300 {
            // 20 a second, 5 in the last ten seconds.
            released += if second > 290 { 5 } else { 20 };
            flow = forecasts.look(sale, at(second), released);
        }
        let flow = flow.unwrap();
        assert!((flow.mean - 17.5).abs() < 0.5, "{flow:?}");
        assert!((flow.slow - 5.0).abs() < 3.0, "{flow:?}");
        let (mean, p90) = flow.wait_ms(1750).unwrap();
        assert!((95_000..105_000).contains(&mean), "{mean}");
        assert!(p90 > 200_000, "{p90}");
    }

    #[test]
    fn nothing_is_told_while_nobody_is_let_in() {
        let forecasts = Forecasts::default();
        let now = Instant::now();
        forecasts.look(SaleId(1), now, 7);
        let flow = forecasts.look(SaleId(1), now + Duration::from_secs(9), 7);
        assert_eq!(flow.unwrap().wait_ms(1), None);
    }
}
