//! Replicas of one log, and the reference beside their leader.
//!
//! `step` carries out one event and checks what must then be true. It draws nothing: the same events
//! give the same result, so that a failure can be made smaller by leaving events out.

mod agree;

use std::collections::HashMap;

use domain::Sale;
use domain::change::Change;
use domain::invariants;
use domain::outcome::Outcome;
use domain::state::SaleState;

use crate::layer1::asked::{Action, Asked};
use crate::layer1::plan::Plan;
use crate::layer1::reference::Reference;

/// What happens on stage. Replicas are numbered from 0.
#[derive(Clone, Debug)]
pub enum Event {
    /// The leader proposes it and it is committed; the leader applies it.
    Commit(Asked),
    /// A replica applies up to so many more entries.
    Advance {
        replica: usize,
        entries: usize,
    },
    Snapshot {
        replica: usize,
    },
    /// Memory is lost: back to the last snapshot, or to nothing.
    Crash {
        replica: usize,
        keeps_snapshot: bool,
    },
    /// The state of one replica replaces that of another that is behind.
    Install {
        from: usize,
        to: usize,
    },
    /// This replica leads from now on; it has applied all first.
    Lead {
        replica: usize,
    },
    /// The slow checks, on this replica.
    Inspect {
        replica: usize,
    },
}

struct Replica {
    sale: Sale,
    applied: usize,
    snapshot: Option<(usize, SaleState)>,
}

/// What the first replica that applied an entry came to; all others must come to the same.
struct Entry {
    /// The event that committed it.
    event: usize,
    digest: u64,
    changes_end: usize,
}

pub struct Stage {
    seed: u64,
    blank: Sale,
    reference: Reference,
    replicas: Vec<Replica>,
    leader: usize,
    pub events: Vec<Event>,
    log: Vec<Entry>,
    changes: Vec<Change>,
    scratch: Vec<Change>,
    /// Orders that somebody was told of, and whether they are paid still.
    acknowledged: HashMap<u128, bool>,
    /// Commands applied, on all replicas together.
    pub applied: u64,
}

/// What is wrong, in a sentence.
pub type Wrong = String;

impl Stage {
    pub fn new(plan: &Plan) -> Result<Stage, Wrong> {
        let blank = Sale::new(&plan.venue, plan.rules.clone(), plan.seed)
            .map_err(|fault| format!("the house is refused: {fault:?}"))?;
        let replica = |_| Replica {
            sale: blank.clone(),
            applied: 0,
            snapshot: None,
        };
        Ok(Stage {
            seed: plan.seed,
            reference: Reference::new(&plan.venue, plan.rules.clone()),
            replicas: (0..plan.replicas).map(replica).collect(),
            leader: 0,
            events: Vec::with_capacity(plan.commands * 2),
            log: Vec::with_capacity(plan.commands),
            changes: Vec::with_capacity(plan.commands * 3),
            scratch: Vec::new(),
            acknowledged: HashMap::new(),
            applied: 0,
            blank,
        })
    }

    /// Entries of the log.
    pub fn len(&self) -> usize {
        self.log.len()
    }

    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    pub fn leader(&self) -> usize {
        self.leader
    }

    /// When the leader's next hold ends.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.replicas[self.leader].sale.next_deadline_ms()
    }

    pub fn digest(&self) -> u64 {
        self.log.last().map_or(0, |entry| entry.digest)
    }

    /// Carries out the event; the outcome if it was a commit.
    pub fn step(&mut self, event: Event) -> Result<Option<Outcome>, Wrong> {
        self.events.push(event);
        match self.events[self.events.len() - 1] {
            Event::Commit(_) => self.commit().map(Some),
            Event::Advance { replica, entries } => self.advance(replica, entries).map(|()| None),
            Event::Snapshot { replica } => {
                let Replica { sale, applied, .. } = &self.replicas[replica];
                self.replicas[replica].snapshot = Some((*applied, sale.export()));
                Ok(None)
            }
            Event::Crash {
                replica,
                keeps_snapshot,
            } => self.crash(replica, keeps_snapshot).map(|()| None),
            Event::Install { from, to } => self.install(from, to).map(|()| None),
            Event::Lead { replica } => {
                self.leader = replica;
                self.catch_up(replica).map(|()| None)
            }
            Event::Inspect { replica } => self.inspect(replica).map(|()| None),
        }
    }

    /// Everybody catches up and is looked at slowly.
    pub fn finish(&mut self) -> Result<(), Wrong> {
        for replica in 0..self.replicas.len() {
            self.step(Event::Advance {
                replica,
                entries: usize::MAX,
            })?;
            self.step(Event::Inspect { replica })?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<Outcome, Wrong> {
        self.catch_up(self.leader)?;
        let event = self.events.len() - 1;
        let Event::Commit(asked) = &self.events[event] else {
            return Err("not a commit".to_owned());
        };
        let Replica { sale, applied, .. } = &mut self.replicas[self.leader];
        let before = (sale.revision().0, self.changes.len());
        let request = asked.call.request();
        let outcome = sale.apply(asked.at_ms, &request, &mut self.changes);
        *applied += 1;
        self.applied += 1;
        let expected = self.reference.apply(asked);
        if outcome != expected {
            return Err(format!("answers {outcome:?}, must be {expected:?}"));
        }
        agree::quickly(sale, &self.reference)?;
        agree::follows(before.0, &self.changes[before.1..])?;
        // A retry's answer is that of the first attempt, and old.
        if let Outcome::Done(done) = &outcome
            && done.revision.0 > before.0
        {
            match asked.call.action {
                Action::Confirm { order, .. } => _ = self.acknowledged.insert(order, true),
                Action::Cancel { order } => _ = self.acknowledged.insert(order, false),
                Action::Reopen => self.acknowledged.clear(),
                _ => {}
            }
        }
        self.log.push(Entry {
            event,
            digest: sale.digest(),
            changes_end: self.changes.len(),
        });
        Ok(outcome)
    }

    fn catch_up(&mut self, replica: usize) -> Result<(), Wrong> {
        match self.replicas[replica].applied < self.log.len() {
            true => self.advance(replica, usize::MAX),
            false => Ok(()),
        }
    }

    fn advance(&mut self, number: usize, entries: usize) -> Result<(), Wrong> {
        let replica = &mut self.replicas[number];
        let end = replica.applied.saturating_add(entries).min(self.log.len());
        let mut from = match replica.applied {
            0 => 0,
            applied => self.log[applied - 1].changes_end,
        };
        for entry in &self.log[replica.applied..end] {
            let Event::Commit(asked) = &self.events[entry.event] else {
                return Err("an entry that was not committed".to_owned());
            };
            self.scratch.clear();
            let request = asked.call.request();
            replica.sale.apply(asked.at_ms, &request, &mut self.scratch);
            replica.applied += 1;
            self.applied += 1;
            if replica.sale.digest() != entry.digest {
                return Err(format!(
                    "replica {number}: the digest differs after entry {} ({asked})",
                    replica.applied
                ));
            }
            let expected = &self.changes[from..entry.changes_end];
            if self.scratch != expected {
                return Err(format!(
                    "replica {number}: entry {} changes {:?}, on the first replica {expected:?}",
                    replica.applied, self.scratch
                ));
            }
            from = entry.changes_end;
            if let Some(violation) = invariants::check_cheap(&replica.sale) {
                return Err(format!("replica {number}: {violation:?}"));
            }
        }
        Ok(())
    }

    fn crash(&mut self, number: usize, keeps_snapshot: bool) -> Result<(), Wrong> {
        let replica = &mut self.replicas[number];
        if !keeps_snapshot {
            replica.snapshot = None;
        }
        (replica.applied, replica.sale) = match &replica.snapshot {
            None => (0, self.blank.clone()),
            Some((applied, state)) => (*applied, restored(state.clone(), number)?),
        };
        Ok(())
    }

    fn install(&mut self, from: usize, to: usize) -> Result<(), Wrong> {
        if from == to || self.replicas[from].applied < self.replicas[to].applied {
            return Ok(());
        }
        let state = self.replicas[from].sale.export();
        let applied = self.replicas[from].applied;
        let sale = restored(state.clone(), to)?;
        self.replicas[to] = Replica {
            sale,
            applied,
            snapshot: Some((applied, state)),
        };
        Ok(())
    }

    fn inspect(&mut self, number: usize) -> Result<(), Wrong> {
        let violations = invariants::check(&self.replicas[number].sale);
        if let Some(violation) = violations.first() {
            return Err(format!("replica {number}: {violation:?}"));
        }
        let applied = self.replicas[number].applied;
        let leader = &self.replicas[self.leader];
        if leader.applied == self.log.len() {
            agree::slowly(&leader.sale, &self.reference)?;
            agree::keeps(&leader.sale, &self.acknowledged)?;
        }
        let state = self.replicas[number].sale.export();
        let hash = state.hash();
        for (other, replica) in self.replicas.iter().enumerate() {
            if other != number && replica.applied == applied && replica.sale.full_hash() != hash {
                return Err(format!(
                    "replicas {number} and {other} differ after {applied} entries (seed {})",
                    self.seed
                ));
            }
        }
        if restored(state, number)?.full_hash() != hash {
            return Err(format!("replica {number}: restored, it is another sale"));
        }
        Ok(())
    }
}

fn restored(state: SaleState, replica: usize) -> Result<Sale, Wrong> {
    Sale::restore(state).map_err(|fault| format!("replica {replica}: not restored: {fault}"))
}
