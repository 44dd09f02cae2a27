//! Any sequence of commands, leaders, crashes and snapshots, in a small house: every answer is the one
//! that the naive reference of layer 1 foretells, and replicas never differ.

use domain::command::{CategoryChoice, HoldLine};
use domain::ids::SeatRef;
use domain::venue::{SectionPlan, Venue};
use rand::SeedableRng as _;

use super::feed::Feed;
use super::samples::START_MS;
use crate::layer1::Draw;
use crate::layer1::asked::{Action, Asked, Call, Place};
use crate::layer1::plan::{Plan, rules};
use crate::layer1::stage::{Event, Stage};

/// Events of one input.
const EVENTS_MAX: usize = 400;
/// Ids, buyers and keys are few, so that they meet.
const FEW: u32 = 16;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Eight bytes draw the house and its rules; the rest is what happens.
pub fn run(data: &[u8]) {
    let mut feed = Feed::new(data);
    let plan = Plan::draw(feed.u64(), EVENTS_MAX);
    let mut stage = Stage::new(&plan).expect("a house that is drawn is good");
    let mut story = Story {
        venue: &plan.venue,
        replicas: plan.replicas,
        at_ms: START_MS,
        keys: Vec::new(),
    };
    play(&mut stage, Event::Commit(story.open()));
    while !feed.is_empty() && stage.events.len() < EVENTS_MAX {
        let event = story.event(&mut feed);
        play(&mut stage, event);
    }
    if let Err(wrong) = stage.finish() {
        panic!("in the end: {wrong}");
    }
}

fn play(stage: &mut Stage, event: Event) {
    if let Err(wrong) = stage.step(event) {
        panic!("after {:?}: {wrong}", stage.events.last());
    }
}

struct Story<'a> {
    venue: &'a Venue,
    replicas: usize,
    at_ms: u64,
    /// Of all calls so far.
    keys: Vec<u128>,
}

impl Story<'_> {
    fn open(&mut self) -> Asked {
        self.asked(1, Action::Open, None)
    }

    fn event(&mut self, feed: &mut Feed<'_>) -> Event {
        let replica = |feed: &mut Feed<'_>| feed.u8() as usize % self.replicas;
        match feed.u8() {
            0..8 => Event::Advance {
                replica: replica(feed),
                entries: usize::from(feed.u8()),
            },
            8..12 => Event::Snapshot {
                replica: replica(feed),
            },
            12..18 => Event::Crash {
                replica: replica(feed),
                keeps_snapshot: feed.u8().is_multiple_of(2),
            },
            18..20 => Event::Install {
                from: replica(feed),
                to: replica(feed),
            },
            20..24 => Event::Lead {
                replica: replica(feed),
            },
            24..26 => Event::Inspect {
                replica: replica(feed),
            },
            _ => Event::Commit(self.commit(feed)),
        }
    }

    fn commit(&mut self, feed: &mut Feed<'_>) -> Asked {
        self.at_ms = match feed.u8() {
            0 => self.at_ms + DAY_MS,
            1 => self.at_ms.saturating_sub(60_000),
            2..8 => self.at_ms + 60_000,
            some => self.at_ms + u64::from(some),
        };
        let partner = 1 + u32::from(feed.u8().is_multiple_of(8));
        let action = self.action(feed);
        // Mostly a key of its own; sometimes an earlier one, mostly of another call then.
        let again = match feed.u8() {
            0..16 => Some(usize::from(feed.u8())),
            _ => None,
        };
        self.asked(partner, action, again)
    }

    /// `again` is how many calls ago the key was made.
    fn asked(&mut self, partner: u32, action: Action, again: Option<usize>) -> Asked {
        let number = self.keys.len();
        let own = u128::from(self.at_ms) << 80 | 7 << 76 | 2 << 62 | number as u128;
        let earlier = again.and_then(|ago| self.keys.iter().rev().nth(ago).copied());
        let key = earlier.unwrap_or(own);
        self.keys.push(own);
        Asked {
            at_ms: self.at_ms,
            call: Call {
                partner,
                channel: (number % 4) as u16,
                key: if action == Action::Expire { 0 } else { key },
                hash: xxhash_rust::xxh3::xxh3_64(format!("{action:?}").as_bytes()),
                action,
            },
        }
    }

    fn action(&self, feed: &mut Feed<'_>) -> Action {
        let id = |feed: &mut Feed<'_>| 1 + u128::from(feed.below(FEW));
        match feed.u8() {
            0 => Action::Open,
            1 => Action::Pause,
            2..5 => Action::Resume,
            5 => Action::Close,
            6..8 => Action::Reopen,
            8..10 => {
                let mut draw = Draw::seed_from_u64(feed.u64());
                Action::SetRules(Box::new(rules(&mut draw, self.venue)))
            }
            10..18 => Action::Block(self.seats(feed)),
            18..26 => Action::Unblock(self.seats(feed)),
            26..60 => Action::Confirm {
                hold: id(feed),
                order: id(feed),
            },
            60..76 => Action::Release { hold: id(feed) },
            76..92 => Action::Extend {
                hold: id(feed),
                ttl_ms: feed.below(1_000_000),
            },
            92..108 => Action::Cancel { order: id(feed) },
            108..116 => Action::Expire,
            _ => Action::Place(Box::new(self.place(feed))),
        }
    }

    fn place(&self, feed: &mut Feed<'_>) -> Place {
        let mut place = Place {
            hold: 1 + u128::from(feed.below(FEW)),
            buyer: 1 + u128::from(feed.below(FEW / 2)),
            ttl_ms: match feed.u8() {
                0..64 => feed.below(1_000_000),
                _ => 0,
            },
            lines: Vec::new(),
            seats: Vec::new(),
            sections: Vec::new(),
        };
        for _ in 0..=feed.u8() % 3 {
            let line = self.line(feed, &mut place);
            place.lines.push(line);
        }
        if feed.u8() == 0 {
            // The lists do not match the lines.
            place.seats.pop();
        }
        place
    }

    fn line(&self, feed: &mut Feed<'_>, place: &mut Place) -> HoldLine {
        match feed.u8() % 4 {
            0 => {
                let chosen = self.seats(feed);
                let count = chosen.len() as u16;
                place.seats.extend(chosen);
                HoldLine::Seats { count }
            }
            1 => HoldLine::General {
                section: self.section(feed),
                quantity: feed.below(6) as u16,
            },
            _ => {
                let wanted = feed.u8() % 3;
                let sections = (0..wanted).map(|_| self.section(feed));
                place.sections.extend(sections);
                HoldLine::BestAvailable {
                    quantity: feed.below(9) as u16,
                    category: match feed.u8() % 3 {
                        0 => CategoryChoice::Any,
                        1 => CategoryChoice::Exactly(feed.below(3) as u16),
                        _ => CategoryChoice::AtMost(feed.below(3) as u16),
                    },
                    section_count: u16::from(wanted),
                    accessible: feed.u8().is_multiple_of(6),
                    split: feed.u8().is_multiple_of(2),
                }
            }
        }
    }

    /// One more than there are.
    fn section(&self, feed: &mut Feed<'_>) -> u16 {
        feed.below(self.venue.sections.len() as u32 + 1) as u16
    }

    fn seats(&self, feed: &mut Feed<'_>) -> Vec<SeatRef> {
        let section = self.section(feed);
        let seats: u32 = match self.venue.sections.get(usize::from(section)) {
            Some(SectionPlan::Seated { rows, .. }) => {
                rows.iter().map(|row| row.seats.len() as u32).sum()
            }
            _ => 3,
        };
        let first = feed.below(seats + 1);
        let side_by_side = feed.u8().is_multiple_of(2);
        (0..u32::from(feed.u8() % 6))
            .map(|at| match side_by_side {
                true => SeatRef {
                    section,
                    seat: first + at,
                },
                false => SeatRef {
                    section: self.section(feed),
                    seat: feed.below(seats + 1),
                },
            })
            .collect()
    }
}

pub fn corpus() -> Vec<Vec<u8>> {
    (0..6_u64)
        .map(|house| {
            let mut draw = Draw::seed_from_u64(house);
            let mut input = house.to_le_bytes().to_vec();
            input.extend((0..600).map(|_| rand::RngExt::random::<u8>(&mut draw)));
            input
        })
        .collect()
}
