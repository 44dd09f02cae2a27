//! Who of those let in will use the pass, and how soon: learned from all of them, those included of
//! whom nothing is known yet.
//!
//! The estimate of Kaplan and Meier (*Nonparametric Estimation from Incomplete Observations*, 1958):
//! for each second of waiting, of those who had not used their pass so long, how many did in it. The
//! product over all seconds tells how many never do, however fast the flow grows meanwhile.

use std::collections::VecDeque;

use super::ratio;

/// Shares are counted in millionths.
pub(super) const ONE: u64 = 1_000_000;

/// Longer waits are not told apart.
const SECONDS_MAX: usize = 1_800;

/// Uses after which there is an estimate, and by how many uses it is too high, for safety: twice as
/// high as what was seen after ten, a tenth higher after a hundred.
const USES_LEAST: u64 = 3;
const USES_MORE: u64 = 10;

/// After so many of the usual delays who comes has come.
const DELAYS_ENOUGH: u64 = 3;

/// Thirds of the time that the last third goes on for.
const GOES_ON: u32 = 5;

/// Seconds that fewer have waited through say nothing.
const REACHED_LEAST: u64 = 30;

/// Let in within the same second.
#[derive(Clone, Copy, Debug)]
struct Cohort {
    second: u64,
    released: u64,
    /// Before this second, and in it.
    used: u64,
    used_now: u64,
}

impl Cohort {
    fn unused(&self) -> u64 {
        self.released
            .saturating_sub(self.used)
            .saturating_sub(self.used_now)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Presence {
    now_second: u64,
    cohorts: VecDeque<Cohort>,
    /// By seconds of waiting: visitors who came so far without using their pass.
    reached: Vec<u64>,
    /// By seconds of waiting: those who used it then.
    used: Vec<u64>,
    uses: u64,
    /// By seconds of waiting, and one more: the share who wait so long or stay away.
    remaining: Vec<u64>,
}

impl Presence {
    pub(super) fn pass_time(&mut self, now_ms: u64) {
        let now = second(now_ms);
        if self.cohorts.is_empty() {
            self.now_second = self.now_second.max(now);
        }
        let behind = now.saturating_sub(self.now_second);
        if behind == 0 {
            return;
        }
        for _ in 0..behind.min(SECONDS_MAX as u64) {
            self.end_second();
        }
        self.now_second = now;
        self.estimate();
    }

    /// What happened in it counts once it is over: then all of it is known.
    fn end_second(&mut self) {
        for cohort in &mut self.cohorts {
            let waited = self.now_second.saturating_sub(cohort.second);
            let unused = cohort.released.saturating_sub(cohort.used);
            add(&mut self.reached, waited, unused);
            add(&mut self.used, waited, cohort.used_now);
            cohort.used = cohort.used.saturating_add(cohort.used_now);
            cohort.used_now = 0;
        }
        self.now_second = self.now_second.saturating_add(1);
        while let Some(oldest) = self.cohorts.front()
            && self.now_second.saturating_sub(oldest.second) >= SECONDS_MAX as u64
        {
            self.cohorts.pop_front();
        }
    }

    pub(super) fn release(&mut self, visitors: u64) {
        match self.cohorts.back_mut() {
            Some(cohort) if cohort.second == self.now_second => {
                cohort.released = cohort.released.saturating_add(visitors);
            }
            _ => self.cohorts.push_back(Cohort {
                second: self.now_second,
                released: visitors,
                used: 0,
                used_now: 0,
            }),
        }
    }

    /// A visitor who was let in at that time used the pass.
    pub(super) fn use_pass(&mut self, released_ms: u64) {
        let released = second(released_ms);
        self.uses = self.uses.saturating_add(1);
        let at = self
            .cohorts
            .partition_point(|cohort| cohort.second < released);
        if let Some(cohort) = self.cohorts.get_mut(at)
            && cohort.second == released
        {
            cohort.used_now = cohort.used_now.saturating_add(1);
        }
    }

    fn estimate(&mut self) {
        self.remaining.clear();
        let mut remaining = ONE;
        self.remaining.push(remaining);
        for (second, reached) in self.reached.iter().enumerate() {
            if *reached < REACHED_LEAST {
                break;
            }
            let used = self.used.get(second).copied().unwrap_or(0);
            remaining = ratio(remaining, reached.saturating_sub(used), *reached);
            self.remaining.push(remaining);
        }
    }

    /// The share of visitors who use their pass, as far as anybody has waited; `None` while it is not known.
    pub(super) fn share(&self) -> Option<u64> {
        let seen = ONE.saturating_sub(self.away());
        let share = ratio(seen, self.uses.saturating_add(USES_MORE), self.uses);
        (self.uses >= USES_LEAST).then_some(share.clamp(1, ONE))
    }

    /// The share who never use their pass. As long as nobody has waited for several times the usual
    /// delay, those of the last third of the seconds are taken to go on for as long again.
    fn away(&self) -> u64 {
        let seconds = self.remaining.len().saturating_sub(1);
        let Some(last) = self.remaining.get(seconds) else {
            return ONE;
        };
        if seconds as u64 >= self.delay().saturating_mul(DELAYS_ENOUGH) {
            return *last;
        }
        let third = seconds.saturating_sub(seconds.checked_div(3).unwrap_or(0));
        let before = self.remaining.get(third).copied().unwrap_or(ONE).max(1);
        (0..GOES_ON).fold(*last, |away, _| ratio(away, *last, before))
    }

    /// The usual delay of those who used their pass, in seconds.
    fn delay(&self) -> u64 {
        let (mut uses, mut seconds) = (0_u64, 0_u64);
        for (second, used) in (0_u64..).zip(&self.used) {
            uses = uses.saturating_add(*used);
            seconds = seconds.saturating_add(used.saturating_mul(second));
        }
        seconds.checked_div(uses).unwrap_or(0).saturating_add(1)
    }

    /// How many of those at the desk will still use their pass; all while it is not known.
    pub(super) fn expected(&self) -> u64 {
        let away = self.away();
        let expected: u64 = self
            .cohorts
            .iter()
            .map(|cohort| {
                let unused = cohort.unused();
                let waited = self.now_second.saturating_sub(cohort.second) as usize;
                let remaining = self.remaining.get(waited).copied().unwrap_or(away).max(1);
                match self.uses >= USES_LEAST {
                    true => unused.saturating_mul(ONE.saturating_sub(ratio(away, ONE, remaining))),
                    false => unused.saturating_mul(ONE),
                }
            })
            .sum();
        ratio(expected, 1, ONE)
    }
}

fn second(at_ms: u64) -> u64 {
    at_ms.checked_div(1000).unwrap_or(0)
}

fn add(counts: &mut Vec<u64>, second: u64, more: u64) {
    let second = second as usize;
    if second >= SECONDS_MAX {
        return;
    }
    if second >= counts.len() {
        counts.resize(second.saturating_add(1), 0);
    }
    if let Some(count) = counts.get_mut(second) {
        *count = count.saturating_add(more);
    }
}

#[cfg(test)]
// A test may panic, and counts as it likes.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    clippy::float_arithmetic,
    clippy::unwrap_used
)]
mod tests {
    use super::*;

    /// Four of ten use their pass, one after each of 2, 4, 6 and 8 seconds, while ever more are let
    /// in: the share is right although most have not had the time.
    #[test]
    fn the_share_is_right_while_the_flow_grows() {
        let mut presence = Presence::default();
        let mut flow = 10_u64;
        let mut released: Vec<(u64, u64)> = Vec::new();
        for second in 0..20_u64 {
            presence.pass_time(second * 1000);
            for (then, visitors) in &released {
                if [2, 4, 6, 8].contains(&(second - then)) {
                    (0..visitors / 10).for_each(|_| presence.use_pass(then * 1000));
                }
            }
            presence.release(flow);
            released.push((second, flow));
            flow = flow * 3 / 2 / 10 * 10;
        }
        presence.pass_time(20_000);
        let share = presence.share().unwrap();
        let uses = presence.uses;
        let safe = 400_000 * (uses + USES_MORE) / uses;
        assert!(share.abs_diff(safe) < 5_000, "{share} after {uses} uses");
        let expected: u64 = released
            .iter()
            .map(|(then, visitors)| {
                let to_come = [2, 4, 6, 8].iter().filter(|delay| then + **delay >= 20);
                visitors / 10 * to_come.count() as u64
            })
            .sum();
        let told = presence.expected();
        assert!(
            told.abs_diff(expected) * 50 < expected,
            "{told} of {expected}"
        );
    }

    #[test]
    fn nobody_is_given_up_before_anything_is_known() {
        let mut presence = Presence::default();
        presence.release(10);
        presence.pass_time(60_000);
        assert_eq!((presence.share(), presence.expected()), (None, 10));
    }
}
