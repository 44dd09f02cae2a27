//! One seed from its first call to its last check.

use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::outcome::Outcome;
use rand::{RngExt as _, SeedableRng as _};

use crate::layer1::Draw;
use crate::layer1::asked::{Action, Asked, Call};
use crate::layer1::crowd::Crowd;
use crate::layer1::faults::{Counts, Fault};
use crate::layer1::plan::Plan;
use crate::layer1::proposers::{Fate, Proposers};
use crate::layer1::reference::COMMANDS_MAX;
use crate::layer1::stage::{Event, Stage, Wrong};

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries of the log.
    pub commands: u64,
    /// Of these, carried out.
    pub done: u64,
    /// Commands applied, on all replicas and in replays.
    pub applied: u64,
    pub faults: Counts,
    pub carried_out: CarriedOut,
    pub digest: u64,
}

/// How often a command of each kind was carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarriedOut([u64; Action::KINDS.len()]);

impl CarriedOut {
    fn count(&mut self, action: &Action) {
        self.0[action.kind()] += 1;
    }

    pub fn add(&mut self, other: &CarriedOut) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Action::KINDS.into_iter().zip(self.0)
    }

    /// Kinds of which none was.
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = self.iter().filter(|(_, times)| *times == 0);
        missing.map(|(kind, _)| kind).collect()
    }
}

/// A run in which something was wrong.
#[derive(Debug)]
pub struct Failure {
    pub plan: Plan,
    pub wrong: Wrong,
    /// All that happened, the last event being the one that showed it.
    pub events: Vec<Event>,
}

/// Every so many commits the followers that are awake catch up.
const CATCH_UP_EVERY: usize = 16;

/// A replica is sent back to nothing only while the log is this short.
const REPLAY_MAX: usize = 4_000;

/// Runs a seed over so many commands, at most `COMMANDS_MAX`.
pub fn run(seed: u64, commands: usize) -> Result<Report, Box<Failure>> {
    let plan = Plan::draw(seed, commands.min(COMMANDS_MAX));
    let mut stage = match Stage::new(&plan) {
        Ok(stage) => stage,
        Err(wrong) => {
            let events = Vec::new();
            return Err(Box::new(Failure {
                plan,
                wrong,
                events,
            }));
        }
    };
    // A panic of the domain is a finding like any other.
    let played = catch_unwind(AssertUnwindSafe(|| play(&plan, &mut stage)));
    let wrong = match played {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(wrong)) => wrong,
        Err(panic) => panic_text(panic.as_ref()),
    };
    Err(Box::new(Failure {
        plan,
        wrong,
        events: stage.events,
    }))
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without words"))
}

fn play(plan: &Plan, stage: &mut Stage) -> Result<Report, Wrong> {
    let stream = |number: u64| Draw::seed_from_u64(plan.seed.wrapping_mul(8).wrapping_add(number));
    let mut crowd = Crowd::new(plan, stream(1));
    let mut proposers = Proposers::new(plan, stream(2));
    let mut misfortune = Misfortune {
        draw: stream(3),
        awake_from: vec![0; plan.replicas],
    };
    let mut happened = Counts::default();
    let mut report = Report::default();
    while stage.len() < plan.commands {
        let mut at_ms = proposers.stamp(crowd.now_ms, &mut happened);
        if proposers.leader != stage.leader() {
            stage.step(Event::Lead {
                replica: proposers.leader,
            })?;
        }
        let due_ms = stage.next_deadline_ms().filter(|due_ms| *due_ms <= at_ms);
        if let Some(due_ms) = due_ms
            && misfortune.draw.random_range(0..4) == 0
        {
            // The clock read just the deadline, or the last moment before: where off by one shows.
            at_ms = due_ms - misfortune.draw.random_range(0..2);
        }
        let sweeps = due_ms.is_some() && misfortune.draw.random_range(0..3) == 0;
        let call = match sweeps {
            true => expiry(),
            false => crowd.next_call(),
        };
        let fate = match sweeps {
            true => Fate::Answered,
            false => proposers.fate(&mut happened),
        };
        if fate == Fate::Discarded {
            crowd.ask_again(&call);
            continue;
        }
        let event = stage.events.len();
        let outcome = stage.step(Event::Commit(Asked { at_ms, call }))?;
        let (Some(outcome), Event::Commit(asked)) = (outcome, &stage.events[event]) else {
            continue;
        };
        if matches!(outcome, Outcome::Done(_)) {
            report.done += 1;
            report.carried_out.count(&asked.call.action);
        }
        match fate {
            Fate::AnswerLost => crowd.ask_again(&asked.call),
            _ => crowd.learn(&asked.call, &outcome),
        }
        misfortune.strike(plan, stage, &mut happened)?;
    }
    stage.finish()?;
    happened.add(&crowd.happened);
    Ok(Report {
        commands: stage.len() as u64,
        applied: stage.applied,
        faults: happened,
        digest: stage.digest(),
        ..report
    })
}

/// What a leader proposes when something is due.
fn expiry() -> Call {
    Call {
        partner: 0,
        channel: 0,
        key: 0,
        hash: 0,
        action: Action::Expire,
    }
}

/// What happens to replicas.
struct Misfortune {
    draw: Draw,
    /// By replica: the length of the log from which it applies again.
    awake_from: Vec<usize>,
}

impl Misfortune {
    fn hits(&mut self, in_10_000: u32) -> bool {
        in_10_000 > 0 && self.draw.random_range(0..10_000) < in_10_000
    }

    fn strike(
        &mut self,
        plan: &Plan,
        stage: &mut Stage,
        happened: &mut Counts,
    ) -> Result<(), Wrong> {
        let strengths = plan.faults;
        let at = self.draw.random_range(0..plan.replicas);
        if self.hits(strengths.snapshot) {
            happened.count(Fault::Snapshot);
            stage.step(Event::Snapshot { replica: at })?;
        }
        if self.hits(strengths.crash) {
            let keeps_snapshot = stage.len() > REPLAY_MAX || self.draw.random_range(0..4) > 0;
            happened.count(match keeps_snapshot {
                true => Fault::CrashToSnapshot,
                false => Fault::CrashToNothing,
            });
            stage.step(Event::Crash {
                replica: at,
                keeps_snapshot,
            })?;
        }
        if self.hits(strengths.install) && at != stage.leader() {
            happened.count(Fault::SnapshotInstalled);
            let from = stage.leader();
            stage.step(Event::Install { from, to: at })?;
        }
        if stage.len().is_multiple_of(CATCH_UP_EVERY) {
            if self.hits(strengths.lag) {
                happened.count(Fault::Lag);
                self.awake_from[at] = stage.len() + self.draw.random_range(1..400);
            }
            for replica in 0..plan.replicas {
                if self.awake_from[replica] <= stage.len() {
                    let entries = usize::MAX;
                    stage.step(Event::Advance { replica, entries })?;
                }
            }
        }
        if self.draw.random_range(0..INSPECTED_ONCE_IN) == 0 {
            stage.step(Event::Inspect { replica: at })?;
        }
        Ok(())
    }
}

/// The slow checks look at the whole state, so that they come once in so many commands.
const INSPECTED_ONCE_IN: u32 = 1_000;
