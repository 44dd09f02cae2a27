//! What many seeds came to: violations, how often each fault and deed happened, how much time was
//! simulated.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::counts::{Counts, Named};
use super::deed::Deed;
use super::fault::Kind;
use super::plan::Plan;
use super::run::Outcome;

#[derive(Clone, Debug, Default)]
pub struct Sum {
    pub seeds: u64,
    pub violations: u64,
    /// Seeds that failed, in sequence.
    pub failed: BTreeSet<u64>,
    pub faults: Tally<Kind>,
    pub deeds: Tally<Deed>,
    pub simulated: Duration,
    /// Time of the threads that simulated.
    pub took: Duration,
    pub commands: u64,
    /// Seeds that were run in two processes; a process of one seed knows of none.
    pub twins: u64,
}

/// What happened of what might have.
#[derive(Clone, Debug)]
pub struct Tally<K: Ord> {
    pub counts: Counts<K>,
    /// In how many seeds each kind was enabled and did not happen: the run ended before it could.
    missed: Counts<K>,
    /// Kinds that some plan had.
    enabled: BTreeSet<K>,
}

impl<K: Ord> Default for Tally<K> {
    fn default() -> Tally<K> {
        Tally {
            counts: Counts::default(),
            missed: Counts::default(),
            enabled: BTreeSet::new(),
        }
    }
}

/// As one process tells it to another.
type TallyFigures = (Vec<(String, u64)>, Vec<(String, u64)>, Vec<String>);

impl<K: Named> Tally<K> {
    fn add(&mut self, enabled: &[K], counts: &Counts<K>) {
        self.counts.merge(counts);
        self.enabled.extend(enabled);
        for kind in enabled {
            self.missed.add(*kind, u64::from(counts.of(*kind) == 0));
        }
    }

    fn merge(&mut self, other: &Tally<K>) {
        let Tally {
            counts,
            missed,
            enabled,
        } = other;
        self.counts.merge(counts);
        self.missed.merge(missed);
        self.enabled.extend(enabled);
    }

    fn figures(&self) -> TallyFigures {
        let named = |counts: &Counts<K>| -> Vec<_> {
            let counts = counts.iter();
            counts
                .map(|(kind, times)| (kind.name().to_owned(), times))
                .collect()
        };
        let enabled = self.enabled.iter().map(|kind| kind.name().to_owned());
        (named(&self.counts), named(&self.missed), enabled.collect())
    }

    fn read(figures: TallyFigures) -> Option<Tally<K>> {
        let counts = |named: Vec<(String, u64)>| -> Option<Counts<K>> {
            let mut counts = Counts::default();
            for (name, times) in named {
                counts.add(K::by_name(&name)?, times);
            }
            Some(counts)
        };
        let (counted, missed, enabled) = figures;
        let enabled = enabled.iter().map(|name| K::by_name(name));
        Some(Tally {
            counts: counts(counted)?,
            missed: counts(missed)?,
            enabled: enabled.collect::<Option<_>>()?,
        })
    }

    /// What was enabled and never happened: such a set proves less than it says.
    pub fn never_happened(&self) -> Vec<K> {
        let enabled = self.enabled.iter().copied();
        enabled.filter(|kind| self.counts.of(*kind) == 0).collect()
    }

    fn json(&self) -> Map<String, Value> {
        let counts = self.counts.iter();
        let named = counts.map(|(kind, times)| (kind.name().to_owned(), times.into()));
        named.collect()
    }
}

impl<K: Named> fmt::Display for Tally<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, times) in self.counts.iter() {
            write!(f, "{:>25} {times}", kind.name())?;
            match self.missed.of(kind) {
                0 => writeln!(f)?,
                seeds => writeln!(f, ", not in {seeds} seeds that had it enabled")?,
            }
        }
        for kind in self.never_happened() {
            writeln!(f, "{:>25} was enabled and NEVER HAPPENED", kind.name())?;
        }
        Ok(())
    }
}

impl Sum {
    pub fn add(&mut self, plan: &Plan, outcome: &Outcome, took: Duration) {
        self.seeds += 1;
        self.violations += outcome.violations.len() as u64;
        if !outcome.violations.is_empty() {
            self.failed.insert(outcome.seed);
        }
        self.faults.add(&plan.faults, &outcome.faults);
        self.deeds.add(&plan.deeds(), &outcome.deeds);
        self.simulated += outcome.simulated;
        self.took += took;
        self.commands += outcome.commands;
    }

    /// A seed that tells no figures: its process ended before it could.
    pub fn add_lost(&mut self, seed: u64) {
        self.seeds += 1;
        self.violations += 1;
        self.failed.insert(seed);
    }

    /// A seed that was run in two processes.
    pub fn add_twin(&mut self, seed: u64, is_same: bool) {
        self.twins += 1;
        if !is_same {
            self.violations += 1;
            self.failed.insert(seed);
        }
    }

    pub fn merge(&mut self, other: &Sum) {
        let Sum {
            seeds,
            violations,
            failed,
            faults,
            deeds,
            simulated,
            took,
            commands,
            twins,
        } = other;
        self.seeds += seeds;
        self.violations += violations;
        self.failed.extend(failed);
        self.faults.merge(faults);
        self.deeds.merge(deeds);
        self.simulated += *simulated;
        self.took += *took;
        self.commands += commands;
        self.twins += twins;
    }

    /// On one line, for `read` in another process.
    pub fn figures(&self) -> String {
        json!([
            self.seeds,
            self.violations,
            self.failed,
            self.faults.figures(),
            self.deeds.figures(),
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
            TallyFigures,
            TallyFigures,
            u64,
            u64,
            u64,
        );
        let (seeds, violations, failed, faults, deeds, simulated, took, commands): Figures =
            serde_json::from_str(figures).ok()?;
        Some(Sum {
            seeds,
            violations,
            failed,
            faults: Tally::read(faults)?,
            deeds: Tally::read(deeds)?,
            simulated: Duration::from_micros(simulated),
            took: Duration::from_micros(took),
            commands,
            twins: 0,
        })
    }

    /// Names of the faults and the deeds that were enabled and never happened.
    pub fn never_happened(&self) -> Vec<&'static str> {
        let faults = self.faults.never_happened().into_iter().map(Kind::name);
        let deeds = self.deeds.never_happened().into_iter().map(Deed::name);
        faults.chain(deeds).collect()
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
        let faults = self.faults.json();
        let json = json!({
            "seeds": self.seeds,
            "seeds_run_twice": self.twins,
            "violations": self.violations,
            "failed_seeds": self.failed,
            "kinds": faults.len(),
            "faults": faults,
            "deeds": self.deeds.json(),
            "never_happened": self.never_happened(),
            "sim_hours": self.sim_hours(),
            "speedup": self.speedup(),
            "commands": self.commands,
        });
        format!("{json:#}\n")
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{} seeds, {} violations, {:.2} h simulated at {:.0} times real time a thread, {} calls",
            self.faults,
            self.deeds,
            self.seeds,
            self.violations,
            self.sim_hours(),
            self.speedup(),
            self.commands
        )?;
        if self.twins > 0 {
            write!(f, ", {} seeds in two processes", self.twins)?;
        }
        if !self.failed.is_empty() {
            write!(f, "\nfailed: {:?}", self.failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that happened, one that did not, and one that was not enabled.
    #[test]
    fn a_deed_that_never_happened_fails_the_set_as_a_fault_does() {
        let mut counts = Counts::default();
        counts.add(Deed::Pause, 2);
        let mut sum = Sum::default();
        sum.deeds.add(&[Deed::Pause], &counts);
        assert!(sum.is_good());
        let mut told = Sum::read(&sum.figures()).expect("its own figures");
        sum.deeds.add(&[Deed::Pause, Deed::Resume], &counts);
        assert!(!sum.is_good(), "nobody resumed");
        assert_eq!(sum.never_happened(), ["resume_room"]);
        assert!(sum.to_string().contains("NEVER HAPPENED"));
        told.merge(&Sum::read(&sum.figures()).expect("its own figures"));
        assert_eq!(told.never_happened(), ["resume_room"]);
        assert_eq!(told.deeds.counts.of(Deed::Pause), 6);
    }
}
