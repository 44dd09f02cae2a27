//! What the scenarios came to, for people and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::fault::Kind;
use super::stage::Ending;
use crate::history::record::Record;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// What is missing here.
    Skipped(String),
    Failed(Vec<String>),
}

/// One scenario's.
pub struct Report {
    pub name: String,
    pub outcome: Outcome,
    pub seconds: f64,
    pub faults: BTreeMap<Kind, u64>,
    /// The end was looked at: `lost` and `oversold` are known.
    pub is_audited: bool,
    pub acknowledged: u64,
    pub lost: u64,
    pub oversold: u64,
    pub operations: usize,
    pub unanswered: usize,
    pub undecided: Option<String>,
    /// Of a failover scenario: from write to write, milliseconds.
    pub silences_ms: Vec<f64>,
    pub records: Vec<Record>,
}

impl Report {
    pub fn new(name: &str) -> Report {
        Report {
            name: name.to_owned(),
            outcome: Outcome::Passed,
            seconds: 0.0,
            faults: BTreeMap::new(),
            is_audited: false,
            acknowledged: 0,
            lost: 0,
            oversold: 0,
            operations: 0,
            unanswered: 0,
            undecided: None,
            silences_ms: Vec::new(),
            records: Vec::new(),
        }
    }

    pub fn fail(&mut self, why: String) {
        match &mut self.outcome {
            Outcome::Failed(all) => all.push(why),
            outcome => *outcome = Outcome::Failed(vec![why]),
        }
    }

    /// What a run came to in which these kinds of fault were enabled.
    pub fn close(&mut self, ending: Ending, enabled: impl Iterator<Item = Kind>) {
        let Ending {
            verdict,
            counts,
            found,
            silences,
            was_cut_short,
        } = ending;
        self.faults = counts;
        self.is_audited = verdict.is_audited;
        (self.acknowledged, self.lost) = (verdict.acknowledged, verdict.lost);
        (self.oversold, self.operations) = (verdict.oversold, verdict.operations);
        self.unanswered = verdict.unanswered;
        if let Some(why) = &verdict.undecided {
            self.fail(format!("the judge is undecided: {why}"));
        }
        self.undecided = verdict.undecided;
        if self.acknowledged == 0 {
            self.fail("no order was acknowledged: nothing could be lost".into());
        }
        self.records = verdict.records;
        let measured = silences
            .iter()
            .map(|(_, silence)| silence.as_secs_f64() * 1e3);
        self.silences_ms.extend(measured);
        for why in found.into_iter().chain(verdict.wrong) {
            self.fail(why);
        }
        let enabled: BTreeSet<Kind> = enabled.collect();
        for kind in enabled {
            match self.faults.get(&kind).copied().unwrap_or(0) {
                0 if was_cut_short => self.fail(format!(
                    "{} had not happened when the run was given up",
                    kind.name()
                )),
                0 => self.fail(format!("{} was enabled and never happened", kind.name())),
                _ => {}
            }
        }
    }

    fn json(&self) -> Value {
        let (outcome, why) = match &self.outcome {
            Outcome::Passed => ("passed", Vec::new()),
            Outcome::Skipped(lack) => ("skipped", vec![lack.clone()]),
            Outcome::Failed(why) => ("failed", why.clone()),
        };
        json!({
            "scenario": self.name,
            "outcome": outcome,
            "why": why,
            "faults": named(&self.faults),
            "seconds": self.seconds,
            "operations": self.operations,
            "unanswered": self.unanswered,
            "undecided": self.undecided,
            "audited": self.is_audited,
            "acknowledged": self.acknowledged,
            "silences": quantiles(&self.silences_ms),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed => write!(f, "passed   {:22}", self.name)?,
            Outcome::Skipped(lack) => return write!(f, "SKIPPED  {:22} {lack}", self.name),
            Outcome::Failed(_) => write!(f, "FAILED   {:22}", self.name)?,
        }
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(kind, count)| format!("{} {count}", kind.name()))
            .collect();
        write!(
            f,
            " {:5.1} s, {} operations, {} orders; {}",
            self.seconds,
            self.operations,
            self.acknowledged,
            faults.join(", ")
        )?;
        if !self.silences_ms.is_empty() {
            write!(f, "; silence {}", quantiles(&self.silences_ms))?;
        }
        if let Outcome::Failed(all) = &self.outcome {
            for why in all.iter().take(SHOWN) {
                write!(f, "\n           {why}")?;
            }
            if all.len() > SHOWN {
                write!(f, "\n           and {} more", all.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

fn named(faults: &BTreeMap<Kind, u64>) -> BTreeMap<&'static str, u64> {
    let faults = faults.iter();
    faults.map(|(kind, count)| (kind.name(), *count)).collect()
}

/// Of what went wrong, in words; all of it is in the JSON.
const SHOWN: usize = 12;

/// All scenarios'.
#[derive(Default)]
pub struct Sum {
    pub reports: Vec<Report>,
}

impl Sum {
    pub fn is_good(&self) -> bool {
        let failed = |report: &Report| matches!(report.outcome, Outcome::Failed(_));
        !self.reports.iter().any(failed)
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        let reports = self.reports.iter();
        reports.filter(|report| is(&report.outcome)).count()
    }

    fn faults(&self) -> BTreeMap<&'static str, u64> {
        let mut faults = BTreeMap::new();
        for report in &self.reports {
            for (kind, count) in &report.faults {
                *faults.entry(kind.name()).or_default() += count;
            }
        }
        faults
    }

    /// Scenarios that ran and whose end nobody could look at: what was lost there is not known.
    fn unaudited(&self) -> usize {
        let ran = |report: &&Report| !matches!(report.outcome, Outcome::Skipped(_));
        let ran = self.reports.iter().filter(ran);
        ran.filter(|report| !report.is_audited).count()
    }

    fn total(&self, of: impl Fn(&Report) -> u64) -> u64 {
        self.reports.iter().map(of).sum()
    }

    fn silences(&self, name: &str) -> Vec<f64> {
        let of_name = self.reports.iter().filter(|report| report.name == name);
        of_name
            .flat_map(|report| report.silences_ms.clone())
            .collect()
    }

    pub fn json(&self) -> String {
        let passed = self.count(|outcome| *outcome == Outcome::Passed);
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        let kills = self.silences("failover");
        let report = json!({
            "scenarios": self.reports.len(),
            "passed": passed,
            "skipped": skipped,
            "failed": self.reports.len() - passed - skipped,
            "acked": self.total(|report| report.acknowledged),
            "unaudited": self.unaudited(),
            "acked_lost": self.total(|report| report.lost),
            "oversold": self.total(|report| report.oversold),
            "operations": self.total(|report| report.operations as u64),
            "failover_p50_ms": quantile(&kills, 0.5),
            "failover_p99_ms": quantile(&kills, 0.99),
            "fault_kinds": self.faults().len(),
            "faults": self.faults(),
            "results": self.reports.iter().map(Report::json).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.count(|outcome| *outcome == Outcome::Passed);
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        write!(
            f,
            "{} scenarios: {passed} passed, {skipped} SKIPPED, {} failed; {} kinds of fault; \
             {} orders acknowledged, {} lost, {} places oversold",
            self.reports.len(),
            self.reports.len() - passed - skipped,
            self.faults().len(),
            self.total(|report| report.acknowledged),
            self.total(|report| report.lost),
            self.total(|report| report.oversold),
        )
    }
}

/// By nearest rank; `None` of nothing.
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(rank.max(1) - 1)
        .map(|ms| (ms * 10.0).round() / 10.0)
}

fn quantiles(values: &[f64]) -> Value {
    json!({
        "count": values.len(),
        "p50_ms": quantile(values, 0.5),
        "p99_ms": quantile(values, 0.99),
        "max_ms": quantile(values, 1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procs::verdict::Verdict;

    #[test]
    fn a_run_that_was_given_up_tells_what_had_happened_and_why_it_ended() {
        let ending = |was_cut_short| Ending {
            verdict: Verdict {
                acknowledged: 1,
                ..Verdict::default()
            },
            counts: BTreeMap::from([(Kind::KillLeader, 3)]),
            found: vec!["node 2 does not start".into()],
            silences: Vec::new(),
            was_cut_short,
        };
        let told = |was_cut_short| {
            let mut report = Report::new("a scenario");
            let enabled = [Kind::KillLeader, Kind::PowerCutAll];
            report.close(ending(was_cut_short), enabled.into_iter());
            assert_eq!(report.json()["faults"]["kill_leader"], 3);
            match report.outcome {
                Outcome::Failed(why) => why,
                outcome => panic!("{outcome:?}"),
            }
        };
        let given_up = "power_cut_all had not happened when the run was given up";
        assert_eq!(told(true), ["node 2 does not start", given_up]);
        let whole = "power_cut_all was enabled and never happened";
        assert_eq!(told(false), ["node 2 does not start", whole]);
    }

    #[test]
    fn a_run_that_proves_nothing_does_not_pass() {
        let close = |verdict| {
            let mut report = Report::new("a scenario");
            let ending = Ending {
                verdict,
                counts: BTreeMap::new(),
                found: Vec::new(),
                silences: Vec::new(),
                was_cut_short: false,
            };
            report.close(ending, [].into_iter());
            report.outcome
        };
        let good = || Verdict {
            is_audited: true,
            acknowledged: 1,
            ..Verdict::default()
        };
        assert_eq!(close(good()), Outcome::Passed);
        let undecided = Some("too many".to_owned());
        for nothing in [
            Verdict {
                acknowledged: 0,
                ..good()
            },
            Verdict {
                undecided,
                ..good()
            },
        ] {
            assert!(matches!(close(nothing), Outcome::Failed(_)));
        }
    }

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), Some(100.0));
        assert_eq!(quantile(&values, 0.99), Some(198.0));
        assert_eq!(quantile(&values, 1.0), Some(200.0));
        assert_eq!(quantile(&[7.0], 0.5), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
