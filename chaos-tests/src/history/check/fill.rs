//! What leads from one revision to the next that somebody was told of: holds that run out, and calls
//! whose outcome is unknown.
//!
//! Mostly only holds can have run out, and their sequence is given. Else the ways are searched for, on
//! copies. A hold whose placing is unknown and which nobody names later only has to fit into the
//! revisions: its seats cannot be known.

use crate::history::check::attempts::{Item, Pending, width};
use crate::history::check::state::State;
use crate::history::record::{Call, Done, Id};

/// One thing that happened without anybody being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The hold with the next deadline ran out.
    Expire,
    /// This hold ran out, whose deadline nobody was told.
    RunOut(Id),
    /// This pending call happened.
    Happen(usize),
    /// A hold of so many runs came about that nobody names.
    PlacePhantom(u64),
    ExpirePhantom(u64),
}

/// Ways that are looked for before the search goes on with those found.
const WAYS_MAX: usize = 16;

/// Steps that are tried for one item before the search is given up.
const TRIES_MAX: usize = 1_000;

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// The obvious way where there is one.
    Quick,
    /// All of them, also those with holds that nobody names.
    Thorough,
}

/// Ways to account for the revisions before the item: at least one, the likeliest first. Sets
/// `incomplete` if there may be others.
pub(super) fn fills(
    state: &mut State,
    item: &Item<'_>,
    pending: &[Pending<'_>],
    care: Care,
    incomplete: &mut bool,
) -> Result<Vec<Vec<Step>>, String> {
    let before = item.revision.checked_sub(item.width());
    let gap = before.and_then(|before| before.checked_sub(state.revision));
    let Some(gap) = gap else {
        return Err(format!("revision {} is taken already", state.revision));
    };
    if gap == 0 {
        return Ok(vec![Vec::new()]);
    }
    state.close_impossible(pending);
    let unnamed = unnamed(item, pending);
    if (care == Care::Quick || unnamed == 0)
        && !state.has_untold()
        && steps(state, item, pending, gap).all(|(step, _)| step == Step::Expire)
        && let Some(way) = expiries(state, gap)
    {
        *incomplete |= unnamed > 0;
        return Ok(vec![way]);
    }
    let with_phantoms: &[bool] = match (care, unnamed) {
        (_, 0) => &[false],
        (Care::Quick, _) => &[false, true],
        (Care::Thorough, _) => &[true],
    };
    for (number, phantoms) in with_phantoms.iter().enumerate() {
        let mut search = Search {
            item,
            pending,
            phantoms: *phantoms,
            unnamed,
            tries: 0,
            ways: Vec::new(),
        };
        search.go(state, gap, &mut Vec::new());
        *incomplete |= search.is_cut();
        if !search.ways.is_empty() {
            *incomplete |= number + 1 < with_phantoms.len();
            return Ok(search.ways);
        }
    }
    Err(format!(
        "nothing that is known accounts for {gap} revisions before it"
    ))
}

/// Holds whose placing is unknown and that nobody names later.
fn unnamed(item: &Item<'_>, pending: &[Pending<'_>]) -> usize {
    let made = pending
        .iter()
        .take_while(|call| call.invoke <= item.returned);
    let is_unnamed =
        |call: &&Pending<'_>| matches!(call.call, Call::Place { .. }) && call.runs.is_none();
    made.filter(is_unnamed).count()
}

struct Search<'a, 'h> {
    item: &'a Item<'h>,
    pending: &'a [Pending<'h>],
    phantoms: bool,
    unnamed: usize,
    tries: usize,
    ways: Vec<Vec<Step>>,
}

impl Search<'_, '_> {
    fn is_cut(&self) -> bool {
        self.tries >= TRIES_MAX || self.ways.len() >= WAYS_MAX
    }

    fn go(&mut self, state: &State, gap: u64, way: &mut Vec<Step>) {
        if gap == 0 {
            self.ways.push(way.clone());
            return;
        }
        let known = steps(state, self.item, self.pending, gap);
        let mut steps: Vec<(Step, u64)> = known.collect();
        if self.phantoms {
            for runs in state.phantoms() {
                steps.push((Step::ExpirePhantom(*runs), runs + 1));
            }
            if self.unnamed > state.phantoms_ever() {
                steps.extend((1..gap).map(|runs| (Step::PlacePhantom(runs), runs + 1)));
            }
        }
        for (step, width) in steps {
            if width > gap || self.is_cut() {
                continue;
            }
            self.tries += 1;
            let mut next = state.clone();
            if carry_out(&mut next, &[step], self.pending).is_ok() {
                way.push(step);
                self.go(&next, gap - width, way);
                way.pop();
            }
        }
    }
}

/// What can happen next and takes at most so many revisions.
fn steps<'a>(
    state: &'a State,
    item: &'a Item<'_>,
    pending: &'a [Pending<'_>],
    gap: u64,
) -> impl Iterator<Item = (Step, u64)> {
    let in_time = |deadline_ms: u64| item.at_ms().is_none_or(|at_ms| deadline_ms <= at_ms);
    let expiry = state
        .next_expiry()
        .filter(move |(deadline_ms, _)| in_time(*deadline_ms))
        .map(|(_, width)| (Step::Expire, width));
    let untold = state.untold().map(|(id, width)| (Step::RunOut(id), width));
    let calls = state.open.iter().filter_map(move |at| {
        let call = pending.get(*at)?;
        let width = width_of(state, call)?;
        (call.invoke <= item.returned).then_some((Step::Happen(*at), width))
    });
    let all = expiry.into_iter().chain(untold).chain(calls);
    all.filter(move |(_, width)| *width <= gap)
}

/// So many holds run out that they take just these revisions.
fn expiries(state: &State, gap: u64) -> Option<Vec<Step>> {
    let (mut left, mut way) = (gap, Vec::new());
    for width in state.expiry_widths() {
        if left == 0 {
            break;
        }
        left = left.checked_sub(width)?;
        way.push(Step::Expire);
    }
    (left == 0).then_some(way)
}

/// Revisions that the call takes if it happens now; none if it cannot.
fn width_of(state: &State, call: &Pending<'_>) -> Option<u64> {
    let runs = match call.call {
        Call::Place { .. } => call.runs?,
        Call::Extend { hold } | Call::Release { hold } | Call::Confirm { hold, .. } => {
            state.runs_of(hold)?
        }
        Call::Cancel { order } => state.runs_of_order(order)?,
        Call::Govern => &[],
        // Which seats they would have been nobody was told.
        Call::Block | Call::Unblock | Call::Read { .. } => return None,
    };
    Some(width(call.call, runs.len()))
}

pub(super) fn carry_out(
    state: &mut State,
    way: &[Step],
    pending: &[Pending<'_>],
) -> Result<(), String> {
    way.iter().try_for_each(|step| match step {
        Step::Expire => state.expire_next(),
        Step::RunOut(hold) => state.run_out(*hold),
        Step::Happen(at) => happen(state, *at, pending),
        Step::PlacePhantom(runs) => {
            state.place_phantom(*runs);
            Ok(())
        }
        Step::ExpirePhantom(runs) => {
            state.expire_phantom(*runs);
            Ok(())
        }
    })
}

fn happen(state: &mut State, at: usize, pending: &[Pending<'_>]) -> Result<(), String> {
    let call = &pending[at];
    state.open.retain(|open| *open != at);
    let runs = match call.call {
        Call::Place { .. } => call.runs,
        Call::Extend { hold } => return state.extend_unknown(hold),
        Call::Release { hold } | Call::Confirm { hold, .. } => state.runs_of(hold),
        Call::Cancel { order } => state.runs_of_order(order),
        _ => None,
    };
    let done = Done {
        runs: runs.unwrap_or_default().to_vec(),
        deadline_ms: call.deadline_ms.unwrap_or(State::DEADLINE_UNKNOWN),
        ..Done::default()
    };
    state.carry_out(call.call, &done)?;
    if let Call::Place { hold } = call.call {
        state.lasts(hold, call.ttl_ms);
    }
    Ok(())
}
