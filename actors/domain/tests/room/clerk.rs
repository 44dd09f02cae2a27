//! A naive clerk keeps the same book beside the room, whatever happens in it.

use std::collections::BTreeMap;

use domain::ids::{PartnerId, VisitorId};
use domain::room::shuffle::verify;
use domain::room::{Arrival, Joined, Room, Turn};
use proptest::prelude::*;

use crate::sequence::{
    LOBBY_MS, OPEN_MS, arrival, everybodys, of_class, released, room, spend, turn,
};

/// What may happen in a room.
#[derive(Clone, Debug)]
enum Step {
    Join { visitor: u8, class: u8, party: u8 },
    Leave { visitor: u8 },
    Remove { visitor: u8 },
    Release { more: u8, left: u8 },
    Spend { visitor: u8, tickets: u8 },
    GiveBack { visitor: u8, tickets: u8 },
    Pass { seconds: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let visitor = 0..40_u8;
    prop_oneof![
        6 => (visitor.clone(), 0..3_u8, 1..6_u8)
            .prop_map(|(visitor, class, party)| Step::Join { visitor, class, party }),
        1 => visitor.clone().prop_map(|visitor| Step::Leave { visitor }),
        1 => visitor.clone().prop_map(|visitor| Step::Remove { visitor }),
        2 => (0..6_u8, 0..6_u8).prop_map(|(more, left)| Step::Release { more, left }),
        2 => (visitor.clone(), 0..6_u8)
            .prop_map(|(visitor, tickets)| Step::Spend { visitor, tickets }),
        1 => (visitor, 0..6_u8)
            .prop_map(|(visitor, tickets)| Step::GiveBack { visitor, tickets }),
        1 => (0..400_u16).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// What a naive clerk knows: who waits, and everybody's tickets.
#[derive(Default)]
struct Clerk {
    /// By number: visitor, and whether they still wait.
    waits: Vec<(u128, bool)>,
    /// By number.
    parties: Vec<u8>,
    tickets: BTreeMap<u128, u16>,
}

impl Clerk {
    fn stop_waiting(&mut self, visitor: u128) {
        let of_visitor = self.waits.iter_mut().filter(|(known, _)| *known == visitor);
        of_visitor.for_each(|(_, waits)| *waits = false);
    }
}

/// A room that was exported and restored does what the first one does.
fn goes_on_alike(room: &Room, now_ms: u64) -> Result<(), TestCaseError> {
    let state = room.export();
    let mut restored = Room::restore(9, state.clone()).expect("its own state");
    prop_assert_eq!(&restored.export(), &state);
    prop_assert_eq!(restored.census(), room.census());
    prop_assert_eq!(restored.next_event_ms(), room.next_event_ms());
    prop_assert_eq!(restored.evidence(), room.evidence());
    let mut room = room.clone();
    for visitor in 0..45 {
        let visitor = VisitorId(visitor);
        prop_assert_eq!(restored.status(visitor), room.status(visitor));
    }
    for visitor in [7, 100, 101, 102] {
        let arrival = arrival(visitor, (visitor % 3) as u8);
        prop_assert_eq!(restored.join(&arrival, now_ms), room.join(&arrival, now_ms));
    }
    let later_ms = now_ms + OPEN_MS;
    for room in [&mut restored, &mut room] {
        room.pass_time(later_ms);
    }
    prop_assert_eq!(
        released(&mut restored, 1_000, later_ms),
        released(&mut room, 1_000, later_ms)
    );
    prop_assert_eq!(restored.census(), room.census());
    Ok(())
}

proptest! {
    #[test]
    fn a_clerk_finds_nothing_wrong(steps in proptest::collection::vec(step(), 1..250)) {
        let mut room = room(&[of_class(1, 3), of_class(2, 2), everybodys(1)]);
        let mut now_ms = LOBBY_MS;
        let mut clerk = Clerk::default();
        for step in steps {
            match step {
                Step::Join { visitor, class, party } => {
                    let visitor = u128::from(visitor);
                    let arrival = Arrival { party, ..arrival(visitor, class) };
                    if let Ok(Joined { number, is_new: true }) = room.join(&arrival, now_ms) {
                        clerk.parties.push(party);
                        prop_assert_eq!(number as usize, clerk.waits.len());
                        prop_assert!(clerk.waits.iter().all(|known| *known != (visitor, true)));
                        clerk.waits.push((visitor, true));
                    }
                }
                Step::Leave { visitor } => {
                    if room.leave(VisitorId(visitor.into()), PartnerId(1), now_ms).is_ok() {
                        clerk.stop_waiting(visitor.into());
                    }
                }
                Step::Remove { visitor } => {
                    if room.remove(VisitorId(visitor.into()), 1, now_ms).is_ok() {
                        clerk.stop_waiting(visitor.into());
                    }
                }
                Step::Release { more, left } => {
                    let up_to = room.census().released + u64::from(more);
                    let mut numbers = Vec::new();
                    room.release(up_to, left.into(), now_ms, |number| numbers.push(number));
                    let lines = room.lines();
                    for number in numbers {
                        prop_assert!(clerk.parties[number as usize] <= left);
                        let line = lines[number as usize];
                        let overtaken = (0..lines.len()).find(|at| {
                            let other = lines[*at];
                            let fits = clerk.waits[*at].1 && clerk.parties[*at] <= left;
                            fits && other.lane == line.lane && other.place < line.place
                        });
                        prop_assert_eq!(overtaken, None, "overtaken by {}", number);
                        let (visitor, waits) = &mut clerk.waits[number as usize];
                        prop_assert!(core::mem::replace(waits, false), "{} let in twice", number);
                        clerk.tickets.insert(*visitor, 0);
                    }
                }
                Step::Spend { visitor, tickets } => {
                    let visitor = u128::from(visitor);
                    let spent = spend(&mut room, visitor, tickets.into());
                    if spent.is_ok() {
                        let has = clerk.tickets.get_mut(&visitor).expect("was never let in");
                        *has += u16::from(tickets);
                        prop_assert!(*has <= 4, "{} tickets on one pass", has);
                    }
                }
                Step::GiveBack { visitor, tickets } => {
                    let has = clerk.tickets.get_mut(&u128::from(visitor));
                    if let Some(has) = has.filter(|has| **has >= u16::from(tickets)) {
                        room.give_back(VisitorId(visitor.into()), PartnerId(1), tickets.into());
                        *has -= u16::from(tickets);
                    }
                }
                Step::Pass { seconds } => {
                    now_ms += u64::from(seconds) * 1000;
                    room.pass_time(now_ms);
                }
            }
            let census = room.census();
            let waiting = clerk.waits.iter().filter(|(_, waits)| *waits).count();
            prop_assert_eq!(census.waiting as usize, waiting);
            prop_assert_eq!(census.joined as usize, clerk.waits.len());
        }
        goes_on_alike(&room, now_ms)?;
        if room.is_open() {
            let lines = room.lines();
            prop_assert_eq!(verify(&room.evidence(), &lines), Ok(()));
            for number in 0..room.census().joined as u32 {
                let (visitor, waits) = clerk.waits[number as usize];
                if let Turn::Waiting { place, ahead, before: of_all, .. } = turn(&room, visitor) && waits {
                    let lane = lines[number as usize].lane;
                    let before = lines.iter().zip(&clerk.waits).filter(|(line, (_, waits))| {
                        *waits && line.lane == lane && line.place < place
                    }).count();
                    prop_assert_eq!(ahead as usize, before);
                    prop_assert!(of_all >= ahead && u64::from(of_all) < room.census().waiting);
                }
            }
        }
    }
}
