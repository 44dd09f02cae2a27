//! From attempts to what happened: retries under one key are one call.

use std::collections::HashMap;

use crate::history::record::{Call, Done, Final, Id, Op, Outcome, Rejected, Run, Seen};

/// Something that has a place in the order.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    pub revision: u64,
    /// None if attempts under one key may name a later entry than the one that counted.
    pub index: Option<u64>,
    /// When its first attempt was made.
    pub invoke: u64,
    /// When it was first answered.
    pub returned: u64,
    pub what: What<'a>,
}

#[derive(Clone, Debug)]
pub(super) enum What<'a> {
    Done { call: Call, done: &'a Done },
    Rejected { call: Call, rejected: &'a Rejected },
    Read { seen: &'a Seen, stale: bool },
    Final(&'a Final),
}

/// A call that may have happened at any time after it was made, or not at all.
#[derive(Clone, Debug)]
pub(super) struct Pending<'a> {
    pub invoke: u64,
    pub call: Call,
    /// The seats, if the caller chose them or a later answer tells them.
    pub runs: Option<&'a [Run]>,
    /// The deadline, if a later answer tells it; else it may be any.
    pub deadline_ms: Option<u64>,
    pub ttl_ms: u64,
}

impl Item<'_> {
    pub fn name(&self) -> String {
        let what = match &self.what {
            What::Done { call, .. } => format!("{call:?}"),
            What::Rejected { call, rejected } => format!("{call:?} {:?}", rejected.reason),
            What::Read { .. } => "read".to_owned(),
            What::Final(end) => format!("end of replica {}", end.replica),
        };
        format!(
            "revision {} ({what}, invoked {})",
            self.revision, self.invoke
        )
    }

    /// How many revisions it took for itself.
    pub fn width(&self) -> u64 {
        match &self.what {
            What::Done { call, done } => width(*call, done.runs.len()),
            _ => 0,
        }
    }

    /// Log time, if it is known.
    pub fn at_ms(&self) -> Option<u64> {
        match &self.what {
            // A retry may be answered at another time than the attempt that counted.
            What::Done { done, .. } => self.index.and(done.at_ms),
            What::Rejected { rejected, .. } => rejected.at_ms,
            What::Read { .. } => None,
            What::Final(end) => Some(end.now_ms),
        }
    }
}

/// Revisions that a call takes that is done on so many runs of seats.
pub(super) fn width(call: Call, runs: usize) -> u64 {
    let runs = runs as u64;
    match call {
        Call::Place { .. } | Call::Release { .. } | Call::Confirm { .. } | Call::Cancel { .. } => {
            runs + 1
        }
        Call::Block | Call::Unblock => runs,
        Call::Extend { .. } | Call::Govern => 1,
        Call::Read { .. } => 0,
    }
}

/// All that is known of one key.
#[derive(Default)]
struct Attempts<'a> {
    all: Vec<&'a Op>,
}

/// Sorted by revision, what changes the sale before what only looks at it; and what is unknown.
pub(super) fn grouped<'a>(
    ops: &[&'a Op],
    finals: &[&'a Final],
) -> Result<(Vec<Item<'a>>, Vec<Pending<'a>>), String> {
    let mut by_key: HashMap<Id, Attempts<'a>> = HashMap::new();
    let mut items = Vec::with_capacity(ops.len());
    for op in ops {
        match (&op.call, &op.outcome, op.returned) {
            (Call::Read { stale }, Outcome::Seen(seen), Some(returned)) => items.push(Item {
                revision: seen.revision,
                index: Some(seen.index),
                invoke: op.invoke,
                returned,
                what: What::Read {
                    seen,
                    stale: *stale,
                },
            }),
            (Call::Read { .. }, Outcome::Failed | Outcome::Unknown, _) => {}
            (Call::Read { .. }, ..) | (_, Outcome::Seen(_), _) => {
                return Err(format!("{op:?} is no read and no answer to one"));
            }
            (_, Outcome::Done(_) | Outcome::Rejected(_), None) => {
                return Err(format!("{op:?} was answered but did not return"));
            }
            _ => by_key.entry(op.key).or_default().all.push(op),
        }
    }
    let mut unknown = Vec::new();
    for attempts in by_key.values() {
        match settle(&attempts.all)? {
            Settled::Item(item) => items.push(item),
            Settled::Pending(pending) => unknown.push(pending),
            Settled::Nothing => {}
        }
    }
    let last = ops
        .iter()
        .map(|op| op.returned.unwrap_or(op.invoke))
        .max()
        .unwrap_or(0);
    items.extend(finals.iter().map(|end| Item {
        revision: end.seen.revision,
        index: Some(end.seen.index),
        invoke: last + 1,
        returned: last + 2,
        what: What::Final(end),
    }));
    items.sort_by_key(|item| {
        let last = matches!(item.what, What::Final(_));
        (
            item.revision,
            item.width() == 0,
            last,
            item.index,
            item.invoke,
        )
    });
    tell_seats(&items, finals, &mut unknown);
    unknown.sort_by_key(|pending| pending.invoke);
    Ok((items, unknown))
}

enum Settled<'a> {
    Item(Item<'a>),
    Pending(Pending<'a>),
    Nothing,
}

/// The attempts under one key must agree.
fn settle<'a>(attempts: &[&'a Op]) -> Result<Settled<'a>, String> {
    let first = attempts[0];
    if let Some(other) = attempts.iter().find(|op| op.call != first.call) {
        return Err(format!(
            "key {}: {:?} and {:?}",
            first.key, first.call, other.call
        ));
    }
    let invoke = attempts.iter().map(|op| op.invoke).min().unwrap_or(0);
    let (mut done, mut rejected, mut returned) = (None, None, u64::MAX);
    for op in attempts {
        let answered = match &op.outcome {
            Outcome::Done(this) => {
                let same = done.is_none_or(|other: &Done| {
                    other.revision == this.revision
                        && other.runs == this.runs
                        && other.deadline_ms == this.deadline_ms
                });
                done = Some(this);
                same && rejected.is_none()
            }
            Outcome::Rejected(this) => {
                let same = rejected.is_none_or(|other: &Rejected| other.reason == this.reason);
                rejected = Some(this);
                same && done.is_none()
            }
            _ => continue,
        };
        if !answered {
            return Err(format!("key {}: two answers, {attempts:?}", op.key));
        }
        returned = returned.min(op.returned.unwrap_or(u64::MAX));
    }
    let single = attempts.len() == 1;
    let call = first.call;
    if let Some(done) = done {
        let asked = first.asked.as_ref();
        if asked.is_some_and(|asked| *asked != done.runs) {
            return Err(format!("{call:?} got {:?}, not {asked:?}", done.runs));
        }
        return Ok(Settled::Item(Item {
            revision: done.revision,
            index: (single && done.index > 0).then_some(done.index),
            invoke,
            returned,
            what: What::Done { call, done },
        }));
    }
    match rejected {
        Some(rejected) if single && rejected.index > 0 => Ok(Settled::Item(Item {
            revision: rejected.revision,
            index: Some(rejected.index),
            invoke,
            returned,
            what: What::Rejected { call, rejected },
        })),
        // A remembered rejection names the state it was repeated in, not the one it was true in.
        Some(_) => Ok(Settled::Nothing),
        None if attempts.iter().all(|op| op.outcome == Outcome::Failed) => Ok(Settled::Nothing),
        None => Ok(Settled::Pending(Pending {
            invoke,
            call,
            runs: first.asked.as_deref(),
            deadline_ms: None,
            ttl_ms: first.ttl_ms.unwrap_or(0),
        })),
    }
}

/// What later answers tell of holds and orders whose placing is unknown.
fn tell_seats<'a>(items: &[Item<'a>], finals: &[&'a Final], unknown: &mut [Pending<'a>]) {
    if unknown.is_empty() {
        return;
    }
    let mut of_holds: HashMap<Id, (&'a [Run], Option<u64>)> = HashMap::new();
    for item in items {
        if let What::Done { call, done } = &item.what
            && let Call::Extend { hold } | Call::Release { hold } | Call::Confirm { hold, .. } =
                call
        {
            of_holds.insert(*hold, (&done.runs, None));
        }
    }
    for end in finals {
        for hold in &end.holds {
            of_holds.insert(hold.hold, (&hold.runs, Some(hold.deadline_ms)));
        }
        for pending in unknown.iter() {
            if let Call::Confirm { hold, order } = pending.call
                && let Some(found) = end.orders.iter().find(|found| found.order == order)
            {
                of_holds.insert(hold, (&found.runs, None));
            }
        }
    }
    for pending in unknown {
        if let Call::Place { hold } = pending.call
            && let Some((runs, deadline_ms)) = of_holds.get(&hold)
        {
            (pending.runs, pending.deadline_ms) = (Some(*runs), *deadline_ms);
        }
    }
}
