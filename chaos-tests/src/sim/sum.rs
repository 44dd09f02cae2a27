//! What many seeds came to: violations, how often each fault happened, how much time was simulated.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::fault::{Counts, Kind};
use super::plan::Plan;
use super::run::Outcome;

#[derive(Clone, Debug, Default)]
pub struct Sum {
    pub seeds: u64,
    pub violations: u64,
    /// Seeds that failed, in sequence.
    pub failed: BTreeSet<u64>,
    pub counts: Counts,
    /// In how many seeds each kind was enabled and did not happen: the run ended before it could.
    missed: Counts,
    /// Kinds that some plan had.
    enabled: BTreeSet<Kind>,
    pub simulated: Duration,
    /// Time of the threads that simulated.
    pub took: Duration,
    pub commands: u64,
}

impl Sum {
    pub fn add(&mut self, plan: &Plan, outcome: &Outcome, took: Duration) {
        self.seeds += 1;
        self.violations += outcome.violations.len() as u64;
        if !outcome.violations.is_empty() {
            self.failed.insert(outcome.seed);
        }
        self.counts.merge(&outcome.counts);
        self.enabled.extend(&plan.faults);
        for kind in &plan.faults {
            self.missed
                .add(*kind, u64::from(outcome.counts.of(*kind) == 0));
        }
        self.simulated += outcome.simulated;
        self.took += took;
        self.commands += outcome.commands;
    }

    pub fn merge(&mut self, other: &Sum) {
        let Sum {
            seeds,
            violations,
            failed,
            counts,
            missed,
            enabled,
            simulated,
            took,
            commands,
        } = other;
        self.seeds += seeds;
        self.violations += violations;
        self.failed.extend(failed);
        self.counts.merge(counts);
        self.missed.merge(missed);
        self.enabled.extend(enabled);
        self.simulated += *simulated;
        self.took += *took;
        self.commands += commands;
    }

    /// On one line, for `read` in another process.
    pub fn figures(&self) -> String {
        let named = |counts: &Counts| -> Vec<_> {
            let counts = counts.iter();
            counts.map(|(kind, times)| (kind.name(), times)).collect()
        };
        let enabled: Vec<_> = self.enabled.iter().map(|kind| kind.name()).collect();
        serde_json::json!([
            self.seeds,
            self.violations,
            self.failed,
            named(&self.counts),
            named(&self.missed),
            enabled,
            self.simulated.as_micros() as u64,
            self.took.as_micros() as u64,
            self.commands,
        ])
        .to_string()
    }

    pub fn read(figures: &str) -> Option<Sum> {
        type Figures = (
            u64,
            u64,
            BTreeSet<u64>,
            Vec<(String, u64)>,
            Vec<(String, u64)>,
            Vec<String>,
            u64,
            u64,
            u64,
        );
        let (seeds, violations, failed, counted, missed, enabled, simulated, took, commands): Figures =
            serde_json::from_str(figures).ok()?;
        Some(Sum {
            seeds,
            violations,
            failed,
            counts: read_counts(counted)?,
            missed: read_counts(missed)?,
            enabled: enabled
                .iter()
                .filter_map(|name| Kind::by_name(name))
                .collect(),
            simulated: Duration::from_micros(simulated),
            took: Duration::from_micros(took),
            commands,
        })
    }

    /// Faults that were enabled and never happened: such a set proves less than it says.
    pub fn never_happened(&self) -> Vec<Kind> {
        let enabled = self.enabled.iter().copied();
        enabled.filter(|kind| self.counts.of(*kind) == 0).collect()
    }

    pub fn is_good(&self) -> bool {
        self.violations == 0 && self.never_happened().is_empty()
    }

    pub fn speedup(&self) -> f64 {
        self.simulated.as_secs_f64() / self.took.as_secs_f64().max(f64::EPSILON)
    }

    fn sim_hours(&self) -> f64 {
        self.simulated.as_secs_f64() / 3_600.0
    }

    pub fn json(&self) -> String {
        let faults: serde_json::Map<String, serde_json::Value> = self
            .counts
            .iter()
            .map(|(kind, times)| (kind.name().to_owned(), times.into()))
            .collect();
        let names: Vec<_> = self
            .never_happened()
            .iter()
            .map(|kind| kind.name())
            .collect();
        let json = serde_json::json!({
            "seeds": self.seeds,
            "violations": self.violations,
            "failed_seeds": self.failed,
            "faults": faults,
            "kinds": faults.len(),
            "never_happened": names,
            "sim_hours": self.sim_hours(),
            "speedup": self.speedup(),
            "commands": self.commands,
        });
        format!("{json:#}\n")
    }
}

fn read_counts(named: Vec<(String, u64)>) -> Option<Counts> {
    let mut counts = Counts::default();
    for (name, times) in named {
        counts.add(Kind::by_name(&name)?, times);
    }
    Some(counts)
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, times) in self.counts.iter() {
            write!(f, "{:>24} {times}", kind.name())?;
            match self.missed.of(kind) {
                0 => writeln!(f)?,
                seeds => writeln!(f, ", not in {seeds} seeds that had it enabled")?,
            }
        }
        for kind in self.never_happened() {
            writeln!(f, "{:>24} was enabled and NEVER HAPPENED", kind.name())?;
        }
        write!(
            f,
            "{} seeds, {} violations, {:.2} h simulated at {:.0} times real time a thread, {} calls",
            self.seeds,
            self.violations,
            self.sim_hours(),
            self.speedup(),
            self.commands
        )?;
        if !self.failed.is_empty() {
            write!(f, "\nfailed: {:?}", self.failed)?;
        }
        Ok(())
    }
}
