//! The waiting list: what comes back is offered in sequence, parties whole or not at all, and who was
//! passed over is told why.

use domain::ids::{PartnerId, VisitorId};
use domain::room::shuffle::{Misfit, verify};
use domain::room::{Arrival, Refusal, Room, Turn};

use crate::sequence::{LOBBY_MS, OPEN_MS, arrival, everybodys, of_class, room, turn};

/// Who come after the lobby, so that visitor `n` stands at place `n`: a party each.
fn line_of(parties: &[u8]) -> Room {
    let mut room = room(&[everybodys(1)]);
    room.pass_time(OPEN_MS);
    for (visitor, party) in (0..).zip(parties) {
        join(&mut room, visitor, 0, *party).unwrap();
    }
    room
}

fn join(room: &mut Room, visitor: u128, class: u8, party: u8) -> Result<u32, Refusal> {
    let arrival = Arrival {
        party,
        ..arrival(visitor, class)
    };
    room.join(&arrival, OPEN_MS).map(|joined| joined.number)
}

/// Lets `more` in while so many tickets are left.
fn let_in(room: &mut Room, more: u64, left: u32) -> Vec<u32> {
    let mut numbers = Vec::new();
    let up_to = room.census().released + more;
    room.release(up_to, left, OPEN_MS, |number| numbers.push(number));
    numbers
}

/// How many are ahead of a visitor who waits, and with how many tickets left they were passed over.
fn waiting(room: &Room, visitor: u128) -> (u32, Option<u8>) {
    let told = match turn(room, visitor) {
        Turn::Waiting {
            ahead, passed_with, ..
        } => Some((ahead, passed_with)),
        _ => None,
    };
    told.expect("waits")
}

#[test]
fn parties_are_let_in_whole_and_whoever_is_passed_over_keeps_the_place() {
    let mut room = line_of(&[4, 2, 3, 1, 4, 1]);
    assert_eq!(let_in(&mut room, 2, 2), [1, 3]);
    assert_eq!(waiting(&room, 0), (0, Some(2)), "passed over with 2 left");
    assert_eq!(waiting(&room, 2), (1, Some(2)));
    assert_eq!(waiting(&room, 4), (2, None), "whose turn has not come");
    assert_eq!(waiting(&room, 5), (3, None));
    // As soon as enough is left the first who was passed over comes first.
    assert_eq!(let_in(&mut room, 1, 4), [0]);
    assert_eq!(let_in(&mut room, 9, 3), [2, 5]);
    assert_eq!(waiting(&room, 4), (0, Some(3)));
    assert_eq!(let_in(&mut room, 9, 0), [], "nothing is left for anybody");
    assert!(!room.may_let_in(0) && !room.may_let_in(3) && room.may_let_in(4));
    assert_eq!(let_in(&mut room, 9, 4), [4]);
    assert!(!room.may_let_in(100));
    assert_eq!(verify(&room.evidence(), &room.lines()), Ok(()));
}

#[test]
fn a_party_no_pass_is_good_for_is_refused_and_nobody_is_no_party() {
    let mut room = line_of(&[]);
    let left = 4;
    let refused = Err(Refusal::PassSpent { left });
    assert_eq!(join(&mut room, 1, 0, 5), refused);
    assert_eq!(join(&mut room, 1, 0, 0), Ok(0));
    assert_eq!(room.status(VisitorId(1)).unwrap().party, 1);
}

#[test]
fn who_was_passed_over_may_leave_be_removed_and_is_restored() {
    let mut room = line_of(&[4, 4, 4, 4, 1, 2]);
    assert_eq!(let_in(&mut room, 1, 1), [4]);
    room.leave(VisitorId(1), PartnerId(1), OPEN_MS).unwrap();
    room.remove(VisitorId(2), 7, OPEN_MS).unwrap();
    assert_eq!(waiting(&room, 3), (1, Some(1)));
    assert_eq!(waiting(&room, 5), (2, None));
    let mut restored = Room::restore(9, room.export()).unwrap();
    assert_eq!(restored.export(), room.export());
    for room in [&mut room, &mut restored] {
        assert_eq!(waiting(room, 5), (2, None));
        assert_eq!(let_in(room, 9, 4), [0, 3, 5]);
        assert_eq!(verify(&room.evidence(), &room.lines()), Ok(()));
    }
}

#[test]
fn a_lane_whose_parties_do_not_fit_takes_no_turns_of_others() {
    let mut room = room(&[of_class(1, 9), everybodys(1)]);
    room.pass_time(OPEN_MS);
    for visitor in 0..20 {
        let (class, party) = if visitor % 2 == 0 { (1, 4) } else { (0, 1) };
        join(&mut room, visitor, class, party).unwrap();
    }
    let others: Vec<u32> = (0..10).map(|at| at * 2 + 1).collect();
    assert_eq!(let_in(&mut room, 99, 3), others);
    let members: Vec<u32> = (0..10).map(|at| at * 2).collect();
    assert_eq!(let_in(&mut room, 99, 4), members);
}

#[test]
fn evidence_that_passes_over_whom_enough_was_left_for_is_false() {
    let mut room = line_of(&[4, 2, 1]);
    assert_eq!(let_in(&mut room, 1, 3), [1]);
    let evidence = room.evidence();
    let lines = room.lines();
    assert_eq!(verify(&evidence, &lines), Ok(()));
    let mut other = lines.clone();
    other[0].passed_with = Some(4);
    let number = 0;
    let passed_over = Err(Misfit::PassedOver { number });
    assert_eq!(verify(&evidence, &other), passed_over);
    let mut other = lines.clone();
    other[0].passed_with = None;
    let overtaken = Err(Misfit::Overtaken { number: 1 });
    assert_eq!(verify(&evidence, &other), overtaken);
}

#[test]
fn a_long_line_of_large_parties_is_passed_over_in_pieces() {
    let mut room = line_of(&vec![4; 10_000]);
    join(&mut room, 20_000, 0, 1).unwrap();
    assert_eq!(let_in(&mut room, 1, 1), []);
    assert_eq!(waiting(&room, 4_095), (4_095, Some(1)));
    assert_eq!(waiting(&room, 4_096), (4_096, None));
    assert!(room.may_let_in(1));
    assert_eq!(let_in(&mut room, 1, 1), []);
    assert_eq!(let_in(&mut room, 1, 1), [10_000]);
    assert!(!room.may_let_in(3));
    assert_eq!(let_in(&mut room, 2, 4), [0, 1]);
}

#[test]
fn the_lobby_has_parties_too_and_its_root_knows_them() {
    let mut room = room(&[everybodys(1)]);
    for visitor in 0..500_u128 {
        let arrival = Arrival {
            party: 1 + (visitor % 4) as u8,
            ..arrival(visitor, 0)
        };
        room.join(&arrival, LOBBY_MS).unwrap();
    }
    room.pass_time(OPEN_MS);
    assert_eq!(let_in(&mut room, 999, 2).len(), 250);
    assert_eq!(let_in(&mut room, 999, 3).len(), 125);
    let (evidence, lines) = (room.evidence(), room.lines());
    assert_eq!(verify(&evidence, &lines), Ok(()));
    let mut other = lines.clone();
    other[3].party = 3;
    assert_eq!(verify(&evidence, &other), Err(Misfit::Root));
}
