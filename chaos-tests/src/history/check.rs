//! Whether a history could have come from one sale that does one thing at a time.
//!
//! Every answer names the sale's revision, so the order of what was done is *given* and need not be
//! searched for: the time is that of sorting. In that order
//!
//! - real time must not be contradicted: what returned before another was invoked is not behind it;
//! - every step must be legal, and every read and rejection true at the revision it names;
//! - every revision must be accounted for, by what was acknowledged, by holds that ran out in the
//!   sequence of their deadlines, or by calls whose outcome is unknown, each of them once at most.
//!
//! So nothing acknowledged can be left out of a history or put into it. Only where unknown calls leave
//! a choice is there a search, and it is bounded.

mod attempts;
mod fill;
mod order;
mod state;

use std::collections::{BTreeMap, VecDeque};

use crate::history::record::{Final, House, Op, Record};
use attempts::{Item, Pending};
use fill::{Care, Step};
use state::State;

/// What the judge says of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Legal,
    /// Why no sale can have answered like this.
    Illegal(String),
    /// Too many calls with unknown outcome: the search was given up. The first thing that did not fit.
    Undecided(String),
}

/// What the history was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sales: usize,
    pub ops: usize,
    pub unknown: usize,
    pub finals: usize,
}

/// Choices that are kept for later, and how often they are taken up, before the search is given up.
const CHOICES_MAX: usize = 64;
const RETURNS_MAX: usize = 200;

/// Checks every sale of the history by itself.
pub fn check(records: &[Record]) -> (Verdict, Tally) {
    #[derive(Default)]
    struct OfSale<'a> {
        house: Option<&'a House>,
        ops: Vec<&'a Op>,
        finals: Vec<&'a Final>,
    }
    let mut sales: BTreeMap<u64, OfSale<'_>> = BTreeMap::new();
    for record in records {
        match record {
            Record::House(house) => sales.entry(house.sale).or_default().house = Some(house),
            Record::Op(op) => sales.entry(op.sale).or_default().ops.push(op),
            Record::Final(end) => sales.entry(end.sale).or_default().finals.push(end),
        }
    }
    let mut tally = Tally {
        sales: sales.len(),
        ..Tally::default()
    };
    let mut verdict = Verdict::Legal;
    for (sale, OfSale { house, ops, finals }) in sales {
        tally.ops += ops.len();
        tally.unknown += ops.iter().filter(|op| op.returned.is_none()).count();
        tally.finals += finals.len();
        let of_sale = match house {
            Some(house) => check_sale(house, &ops, &finals),
            None => Verdict::Illegal("there is no house".to_owned()),
        };
        match (&verdict, of_sale) {
            (Verdict::Illegal(_), _) | (_, Verdict::Legal) => {}
            (_, Verdict::Illegal(why)) => verdict = Verdict::Illegal(format!("sale {sale}: {why}")),
            (_, Verdict::Undecided(why)) => {
                verdict = Verdict::Undecided(format!("sale {sale}: {why}"));
            }
        }
    }
    (verdict, tally)
}

fn check_sale(house: &House, ops: &[&Op], finals: &[&Final]) -> Verdict {
    let (items, pending) = match attempts::grouped(ops, finals) {
        Ok(grouped) => grouped,
        Err(why) => return Verdict::Illegal(why),
    };
    match order::check(&items) {
        Ok(()) => {
            let walk = |care| walk(State::new(house, pending.len()), &items, &pending, care);
            match walk(Care::Quick) {
                Verdict::Undecided(_) => walk(Care::Thorough),
                verdict => verdict,
            }
        }
        Err(why) => Verdict::Illegal(why),
    }
}

/// A place where there was more than one way on.
struct Choice {
    at: usize,
    state: State,
    others: Vec<Vec<Step>>,
}

/// Goes through the items in sequence; where unknown calls leave a choice, comes back to the other
/// ways when the first leads nowhere.
fn walk(mut state: State, items: &[Item<'_>], pending: &[Pending<'_>], care: Care) -> Verdict {
    let mut choices: VecDeque<Choice> = VecDeque::new();
    let (mut dropped, mut returns) = (false, 0);
    let mut first_wrong = None;
    let mut at = 0;
    let mut given: Option<Vec<Step>> = None;
    while at < items.len() {
        let item = &items[at];
        let result = match given.take() {
            Some(fill) => fill::carry_out(&mut state, &fill, pending),
            None => {
                fill::fills(&mut state, item, pending, care, &mut dropped).and_then(|mut ways| {
                    let first = ways.remove(0);
                    if !ways.is_empty() {
                        choices.push_back(Choice {
                            at,
                            state: state.clone(),
                            others: ways,
                        });
                        if choices.len() > CHOICES_MAX {
                            choices.pop_front();
                            dropped = true;
                        }
                    }
                    fill::carry_out(&mut state, &first, pending)
                })
            }
        };
        match result.and_then(|()| state.follow(item)) {
            Ok(()) => at += 1,
            Err(why) => {
                let why = format!("{}: {why}", item.name());
                first_wrong.get_or_insert(why);
                returns += 1;
                let Some(mut choice) = choices.pop_back() else {
                    break;
                };
                if returns > RETURNS_MAX {
                    dropped = true;
                    break;
                }
                at = choice.at;
                state = choice.state.clone();
                given = choice.others.pop();
                if !choice.others.is_empty() {
                    choices.push_back(choice);
                }
            }
        }
    }
    match (at == items.len(), first_wrong, dropped) {
        (true, ..) => Verdict::Legal,
        (false, Some(why), false) => Verdict::Illegal(why),
        (false, why, _) => Verdict::Undecided(why.unwrap_or_default()),
    }
}
