//! Hold, confirm and expire with failover and retry: every interleaving of a small scope.
//!
//! Scope: one seat, two buyers, two nodes, one failover, four ticks of time with the second node's
//! clock one tick behind, a hold of two ticks, at most two attempts a call, two proposals under way,
//! five entries. Decisions are made by the real domain, by replaying the log. A leader's end keeps
//! any number of its proposals and discards the rest; whoever waits is not told which.

use std::num::NonZeroUsize;

use chaos_tests::layer1::asked::{Action, Asked, Call, Place};
use domain::Sale;
use domain::command::HoldLine;
use domain::ids::{OrderId, SeatRef};
use domain::invariants;
use domain::outcome::Outcome;
use domain::rejection::Rejection;
use domain::rules::SaleRules;
use domain::venue::{RowPlan, SeatPlan, SectionPlan, Venue};
#[cfg(feature = "bugs")]
use stateright::DiscoveryClassification;
use stateright::{Checker, Model, Property};

const TTL: u8 = 2;
const TICK_MAX: u8 = 3;
const TERM_MAX: u8 = 1;
const ATTEMPTS_MAX: u8 = 2;
const PROPOSED_MAX: usize = 2;
const LOG_MAX: usize = 5;

/// Log time at tick 0.
const START_MS: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ask {
    Place(u8),
    Confirm(u8),
    /// The leader's sweep.
    Expire,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    /// With the deadline of a hold, in ticks.
    Done(u8),
    Rejected,
    /// Refused because the hold ran out.
    TooLate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    at: u8,
    term: u8,
    ask: Ask,
}

/// A buyer holds, then confirms; what was last told stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Buyer {
    waits: bool,
    attempts: u8,
    hold: Option<Answer>,
    order: Option<Answer>,
}

/// The sale after the log, as far as properties ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct View {
    now: u8,
    held_by: Option<u8>,
    deadline: u8,
    orders: [bool; 2],
    sound: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    log: Vec<(Entry, Answer)>,
    proposed: Vec<Entry>,
    term: u8,
    tick: u8,
    buyers: [Buyer; 2],
    view: View,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Move {
    Tick,
    Ask(u8),
    Sweep,
    Commit,
    Tell(u8),
    TimeOut(u8),
    /// Another node leads; so many proposals of the last one were committed all the same.
    FailOver(usize),
}

struct Selling {
    #[cfg(feature = "bugs")]
    bug: Option<domain::bugs::Bug>,
}

impl Selling {
    fn sound() -> Selling {
        Selling {
            #[cfg(feature = "bugs")]
            bug: None,
        }
    }

    /// The sale after these entries, and the answer to the last.
    fn replay(&self, entries: impl Iterator<Item = Entry>) -> (View, Answer) {
        #[cfg(feature = "bugs")]
        domain::bugs::plant(self.bug);
        let venue = Venue {
            sections: vec![SectionPlan::Seated {
                focal_x: 0,
                focal_y: 0,
                rows: vec![RowPlan {
                    seats: vec![SeatPlan::default()],
                }],
            }],
        };
        let rules = SaleRules {
            hold_ttl_ms: u32::from(TTL),
            ..SaleRules::default()
        };
        let mut sale = Sale::new(&venue, rules, 1).expect("a house of one seat");
        apply(&mut sale, 0, 0, Action::Open);
        let mut answer = Answer::Rejected;
        for entry in entries {
            answer = match apply(&mut sale, entry.at, key(entry.ask), action(entry.ask)) {
                Outcome::Done(done) => {
                    Answer::Done(done.deadline_ms.saturating_sub(START_MS) as u8)
                }
                Outcome::Rejected(Rejection::HoldExpired) => Answer::TooLate,
                Outcome::Rejected(_) => Answer::Rejected,
            };
        }
        let hold = sale.holds().next();
        let view = View {
            now: sale.now_ms().saturating_sub(START_MS) as u8,
            held_by: hold.map(|hold| hold.id.0 as u8),
            deadline: hold.map_or(0, |hold| (hold.deadline_ms - START_MS) as u8),
            orders: [0, 1].map(|buyer| sale.order(OrderId(buyer)).is_some()),
            sound: invariants::check(&sale).is_empty(),
        };
        (view, answer)
    }

    fn commit(&self, state: &mut State) {
        let entry = state.proposed.remove(0);
        let entries = state.log.iter().map(|(entry, _)| *entry);
        let (view, answer) = self.replay(entries.chain([entry]));
        state.view = view;
        state.log.push((entry, answer));
    }
}

fn apply(sale: &mut Sale, at: u8, key: u128, action: Action) -> Outcome {
    let asked = Asked {
        at_ms: START_MS + u64::from(at),
        call: Call {
            partner: 1,
            channel: 1,
            key: u128::from(START_MS) << 80 | (key + 1),
            hash: key as u64,
            action,
        },
    };
    sale.apply(asked.at_ms, &asked.call.request(), &mut Vec::new())
}

fn key(ask: Ask) -> u128 {
    match ask {
        Ask::Expire => 0,
        Ask::Place(buyer) => 10 + u128::from(buyer),
        Ask::Confirm(buyer) => 20 + u128::from(buyer),
    }
}

fn action(ask: Ask) -> Action {
    match ask {
        Ask::Expire => Action::Expire,
        Ask::Place(buyer) => Action::Place(Box::new(Place {
            hold: u128::from(buyer),
            buyer: u128::from(buyer),
            ttl_ms: 0,
            lines: vec![HoldLine::Seats { count: 1 }],
            seats: vec![SeatRef {
                section: 0,
                seat: 0,
            }],
            sections: Vec::new(),
        })),
        Ask::Confirm(buyer) => Action::Confirm {
            hold: u128::from(buyer),
            order: u128::from(buyer),
        },
    }
}

impl State {
    /// The leader's clock: that of the second node is behind.
    fn clock(&self) -> u8 {
        self.tick.saturating_sub(self.term % 2)
    }
}

impl Buyer {
    /// What the buyer wants next, the same again if it was not told.
    fn wants(&self, number: u8) -> Option<Ask> {
        match (self.hold, self.order) {
            (None, _) => Some(Ask::Place(number)),
            (Some(Answer::Done(_)), None) => Some(Ask::Confirm(number)),
            _ => None,
        }
    }
}

impl Model for Selling {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            log: Vec::new(),
            proposed: Vec::new(),
            term: 0,
            tick: 0,
            buyers: [Buyer::default(); 2],
            view: View {
                sound: true,
                ..View::default()
            },
        }]
    }

    fn actions(&self, state: &State, moves: &mut Vec<Move>) {
        if state.tick < TICK_MAX {
            moves.push(Move::Tick);
        }
        let room =
            state.proposed.len() < PROPOSED_MAX && state.log.len() + state.proposed.len() < LOG_MAX;
        for number in 0..2 {
            let buyer = &state.buyers[usize::from(number)];
            if !buyer.waits {
                let asks = buyer.attempts < ATTEMPTS_MAX && buyer.wants(number).is_some();
                if asks && room {
                    moves.push(Move::Ask(number));
                }
                continue;
            }
            moves.push(Move::TimeOut(number));
            let told = |(entry, _): &(Entry, Answer)| {
                entry.term == state.term && Some(entry.ask) == buyer.wants(number)
            };
            if state.log.iter().any(told) {
                moves.push(Move::Tell(number));
            }
        }
        let sweeps = state.proposed.iter().all(|entry| entry.ask != Ask::Expire);
        let due = state.view.held_by.is_some() && state.view.deadline <= state.clock();
        if due && sweeps && room {
            moves.push(Move::Sweep);
        }
        if !state.proposed.is_empty() {
            moves.push(Move::Commit);
        }
        if state.term < TERM_MAX {
            moves.extend((0..=state.proposed.len()).map(Move::FailOver));
        }
    }

    fn next_state(&self, state: &State, chosen: Move) -> Option<State> {
        let mut next = state.clone();
        let mut propose = |ask: Ask| {
            // A leader's stamps do not go back within its term; the next leader's may.
            let last = state.proposed.last().map_or(0, |entry| entry.at);
            next.proposed.push(Entry {
                at: state.clock().max(last),
                term: state.term,
                ask,
            });
        };
        match chosen {
            Move::Tick => next.tick += 1,
            Move::Ask(number) => {
                propose(state.buyers[usize::from(number)].wants(number)?);
                let buyer = &mut next.buyers[usize::from(number)];
                buyer.waits = true;
                buyer.attempts += 1;
            }
            Move::Sweep => propose(Ask::Expire),
            Move::Commit => self.commit(&mut next),
            Move::Tell(number) => {
                let buyer = &mut next.buyers[usize::from(number)];
                let wanted = buyer.wants(number)?;
                let told = state
                    .log
                    .iter()
                    .rev()
                    .find(|(entry, _)| entry.ask == wanted);
                let answer = told.map(|(_, answer)| *answer);
                match wanted {
                    Ask::Place(_) => buyer.hold = answer,
                    _ => buyer.order = answer,
                }
                buyer.waits = false;
                buyer.attempts = 0;
            }
            Move::TimeOut(number) => next.buyers[usize::from(number)].waits = false,
            Move::FailOver(kept) => {
                for _ in 0..kept {
                    self.commit(&mut next);
                }
                next.proposed.clear();
                next.term += 1;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Selling>> {
        vec![
            Property::always("the seat has one owner", |_, state: &State| {
                let view = &state.view;
                let owners = usize::from(view.held_by.is_some())
                    + view.orders.iter().filter(|order| **order).count();
                view.sound && owners <= 1
            }),
            Property::always("an order that was told of is there", |_, state: &State| {
                let told =
                    |buyer: usize| matches!(state.buyers[buyer].order, Some(Answer::Done(_)));
                (0..2).all(|buyer| !told(buyer) || state.view.orders[buyer])
            }),
            Property::always(
                "a hold that was told of lasts as told",
                |_, state: &State| {
                    (0..2).all(|buyer| match state.buyers[buyer].hold {
                        Some(Answer::Done(deadline)) if state.view.now < deadline => {
                            state.view.orders[buyer] || state.view.held_by == Some(buyer as u8)
                        }
                        _ => true,
                    })
                },
            ),
            Property::always("no hold outlives its deadline", |_, state: &State| {
                state.view.held_by.is_none() || state.view.deadline > state.view.now
            }),
            Property::always("log time never goes back", |_, state: &State| {
                state
                    .log
                    .iter()
                    .all(|(entry, _)| entry.at <= state.view.now)
            }),
            Property::always("one key, one answer", |_, state: &State| {
                state.log.iter().all(|(entry, answer)| {
                    let same = |(other, told): &(Entry, Answer)| {
                        other.ask != entry.ask || told == answer || entry.ask == Ask::Expire
                    };
                    state.log.iter().all(same)
                })
            }),
            Property::sometimes(
                "a retry after a failover is answered as the first",
                |_, state: &State| {
                    let twice = |(entry, answer): &(Entry, Answer)| {
                        let before = |(other, _): &(Entry, Answer)| {
                            other.ask == entry.ask && other.term < entry.term
                        };
                        matches!(entry.ask, Ask::Confirm(_))
                            && matches!(answer, Answer::Done(_))
                            && state.log.iter().any(before)
                    };
                    state.log.iter().any(twice)
                },
            ),
            Property::sometimes("a confirmation comes too late", |_, state: &State| {
                state
                    .buyers
                    .iter()
                    .any(|buyer| buyer.order == Some(Answer::TooLate))
            }),
            Property::sometimes(
                "the second buyer gets what the first let go",
                |_, state: &State| {
                    let let_go = matches!(state.buyers[0].hold, Some(Answer::Done(_)));
                    let_go && state.view.orders[1]
                },
            ),
            Property::sometimes(
                "an order is there that nobody was told of",
                |_, state: &State| {
                    state.term > 0 && state.view.orders[0] && state.buyers[0].order.is_none()
                },
            ),
        ]
    }
}

#[test]
fn every_interleaving_is_safe() {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let checker = Selling::sound()
        .checker()
        .threads(threads)
        .spawn_bfs()
        .join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

/// The model would show what it is for.
#[cfg(feature = "bugs")]
#[test]
fn the_model_finds_what_is_planted() {
    use domain::bugs::Bug;

    for bug in [
        Bug::KeyForgotten,
        Bug::StampIsTime,
        Bug::OnlySweepsExpire,
        Bug::DeadlineOffByOne,
    ] {
        let selling = Selling { bug: Some(bug) };
        let checker = selling
            .checker()
            .finish_when(stateright::HasDiscoveries::AnyFailures)
            .threads(1)
            .spawn_bfs()
            .join();
        let broken = checker.discoveries();
        let broken = broken.keys().filter(|name| {
            let kind = checker.discovery_classification(name);
            matches!(kind, DiscoveryClassification::Counterexample)
        });
        assert!(broken.count() > 0, "{}", bug.name());
    }
}
