//! Coming, waiting, being let in, leaving; lanes, passes, evidence.

use domain::ids::{ChannelId, PartnerId, VisitorId};
use domain::room::pace::Ceilings;
use domain::room::shuffle::{Evidence, Line, Misfit, Seed, leaf, verify};
use domain::room::state::{RoomState, VisitorState};
use domain::room::{
    Arrival, LANES_MAX, LaneRules, Plan, Refusal, Room, TOKEN_LIFE_MAX_MS, Token, Turn, merkle,
};

pub(super) const LOBBY_MS: u64 = 1_000_000;
pub(super) const OPEN_MS: u64 = 1_600_000;
const LIFE_MS: u32 = 600_000;

pub(super) fn everybodys(weight: u16) -> LaneRules {
    LaneRules {
        channel: None,
        class: None,
        weight,
    }
}

pub(super) fn of_class(class: u8, weight: u16) -> LaneRules {
    LaneRules {
        class: Some(class),
        ..everybodys(weight)
    }
}

fn plan(lanes: &[LaneRules]) -> Plan {
    Plan {
        lobby_at_ms: LOBBY_MS,
        open_at_ms: OPEN_MS,
        seed: Seed([7; 32]),
        waits_for_beacon: false,
        pass_life_ms: LIFE_MS,
        pass_tickets: 4,
        ceilings: Ceilings::default(),
        lanes: lanes.to_vec(),
    }
}

pub(super) fn room(lanes: &[LaneRules]) -> Room {
    Room::new(9, plan(lanes)).unwrap()
}

pub(super) fn arrival(visitor: u128, class: u8) -> Arrival {
    Arrival {
        visitor: VisitorId(visitor),
        partner: PartnerId(1),
        channel: ChannelId(1),
        class,
        party: 1,
    }
}

fn full_lobby(visitors: u128) -> Room {
    let mut room = room(&[everybodys(1)]);
    for visitor in 0..visitors {
        room.join(&arrival(visitor, 0), LOBBY_MS).unwrap();
    }
    room
}

pub(super) fn released(room: &mut Room, up_to: u64, now_ms: u64) -> Vec<u32> {
    let mut numbers = Vec::new();
    room.release(up_to, u32::MAX, now_ms, |number| numbers.push(number));
    numbers
}

/// As the sale does it.
pub(super) fn spend(room: &mut Room, visitor: u128, tickets: u32) -> Result<(), Refusal> {
    room.may_spend(VisitorId(visitor), PartnerId(1), tickets)?;
    room.spend(VisitorId(visitor), tickets);
    Ok(())
}

pub(super) fn turn(room: &Room, visitor: u128) -> Turn {
    room.status(VisitorId(visitor)).unwrap().turn
}

#[test]
fn the_lobby_opens_gathers_and_is_shuffled_by_log_time_alone() {
    let mut room = full_lobby(1_000);
    let early = room.join(&arrival(5_000, 0), LOBBY_MS - 1);
    let lobby_at_ms = LOBBY_MS;
    assert_eq!(early, Err(Refusal::LobbyNotOpen { lobby_at_ms }));
    assert_eq!(turn(&room, 3), Turn::Lobby);
    assert_eq!(room.next_event_ms(), Some(OPEN_MS));
    room.pass_time(OPEN_MS - 1);
    assert!(released(&mut room, 5, OPEN_MS - 1).is_empty());
    room.pass_time(OPEN_MS);
    let late = room.join(&arrival(5_000, 0), OPEN_MS).unwrap();
    assert_eq!((late.number, late.is_new), (1_000, true));
    let (place, ahead, before) = (1_000, 1_000, 1_000);
    let passed_with = None;
    assert_eq!(
        turn(&room, 5_000),
        Turn::Waiting {
            place,
            ahead,
            before,
            passed_with
        }
    );
    let first = released(&mut room, 1_000, OPEN_MS);
    assert_eq!(first.len(), 1_000);
    assert!(!first.is_sorted(), "the lobby was shuffled");
    assert_eq!(released(&mut room, 2_000, OPEN_MS), [1_000]);
}

#[test]
fn whoever_comes_twice_keeps_the_first_place() {
    let mut room = full_lobby(10);
    let again = room.join(&arrival(3, 0), LOBBY_MS + 5).unwrap();
    assert_eq!((again.number, again.is_new), (3, false));
    let through_another = Arrival {
        partner: PartnerId(2),
        ..arrival(3, 0)
    };
    let refused = room.join(&through_another, LOBBY_MS + 5);
    assert_eq!(refused, Err(Refusal::ElsewhereAlready));
    let left = room.leave(VisitorId(3), PartnerId(2), LOBBY_MS + 5);
    assert_eq!(left, Err(Refusal::ElsewhereAlready));
    assert_eq!(room.census().joined, 10);
}

#[test]
fn whoever_leaves_and_comes_back_stands_at_the_end() {
    let mut room = full_lobby(10);
    room.leave(VisitorId(3), PartnerId(1), LOBBY_MS + 1)
        .unwrap();
    assert_eq!(turn(&room, 3), Turn::Left);
    let again = room.join(&arrival(3, 0), LOBBY_MS + 2).unwrap();
    assert_eq!((again.number, again.is_new), (10, true));
    room.pass_time(OPEN_MS);
    let all = released(&mut room, 100, OPEN_MS);
    assert_eq!(all.len(), 10);
    assert!(!all.contains(&3) && all.contains(&10));
    let nobody = room.leave(VisitorId(77), PartnerId(1), OPEN_MS);
    assert_eq!(nobody, Err(Refusal::UnknownVisitor));
}

#[test]
fn who_is_removed_learns_why_and_does_not_come_back() {
    let mut room = full_lobby(10);
    room.remove(VisitorId(3), 42, LOBBY_MS + 1).unwrap();
    let refused = Err(Refusal::Removed { reason: 42 });
    assert_eq!(turn(&room, 3), Turn::Removed { reason: 42 });
    assert_eq!(room.join(&arrival(3, 0), LOBBY_MS + 2), refused.clone());
    room.pass_time(OPEN_MS);
    released(&mut room, 100, OPEN_MS);
    assert_eq!(spend(&mut room, 3, 1), refused.map(|_| ()));
    spend(&mut room, 4, 1).unwrap();
    room.remove(VisitorId(4), 43, OPEN_MS).unwrap();
    let refused = Err(Refusal::Removed { reason: 43 });
    assert_eq!(spend(&mut room, 4, 1), refused);
    assert_eq!(room.census().removed, 2);
}

#[test]
fn a_pass_is_good_for_its_tickets_and_its_time() {
    let mut room = full_lobby(3);
    assert_eq!(spend(&mut room, 0, 1), Err(Refusal::NotAdmitted));
    room.pass_time(OPEN_MS);
    released(&mut room, 3, OPEN_MS);
    spend(&mut room, 0, 3).unwrap();
    let refused = spend(&mut room, 0, 2);
    assert_eq!(refused, Err(Refusal::PassSpent { left: 1 }));
    room.give_back(VisitorId(0), PartnerId(1), 3);
    assert_eq!(room.census().at_the_desk, 3);
    spend(&mut room, 0, 4).unwrap();
    spend(&mut room, 1, 1).unwrap();
    assert_eq!(room.census().at_the_desk, 1);
    let end_ms = OPEN_MS + u64::from(LIFE_MS);
    assert_eq!(room.next_event_ms(), Some(end_ms));
    room.pass_time(end_ms);
    assert_eq!(spend(&mut room, 1, 1), Err(Refusal::PassExpired));
    let turns = [0, 1, 2].map(|visitor| turn(&room, visitor));
    assert_eq!(turns, [Turn::Served, Turn::Served, Turn::Expired]);
    let census = room.census();
    assert_eq!(
        (census.served, census.expired, census.at_the_desk),
        (2, 1, 0)
    );
}

#[test]
fn lanes_are_served_by_weight_and_none_saves_turns_up() {
    let mut room = room(&[of_class(1, 3), everybodys(1)]);
    for visitor in 0..400 {
        let class = u8::from(visitor % 2 == 0);
        room.join(&arrival(visitor, class), LOBBY_MS).unwrap();
    }
    room.pass_time(OPEN_MS);
    let is_member = |number: &&u32| number.is_multiple_of(2);
    let first = released(&mut room, 100, OPEN_MS);
    assert_eq!(first.iter().filter(is_member).count(), 75);
    // After 200 members and 67 others only others wait; then members come and get no more than 3 of 4.
    released(&mut room, 300, OPEN_MS);
    for visitor in 1_000..1_100 {
        room.join(&arrival(visitor, 1), OPEN_MS).unwrap();
    }
    let next = released(&mut room, 340, OPEN_MS);
    let members = next.iter().filter(|number| **number >= 400).count();
    assert_eq!(members, 30);
    room.set_weights(&[1, 1]).unwrap();
    let next = released(&mut room, 380, OPEN_MS);
    let members = next.iter().filter(|number| **number >= 400).count();
    assert!((19..=21).contains(&members), "{members}");
    assert_eq!(room.set_weights(&[1]), Err(Refusal::PlanInvalid));
}

/// In a lane of which one in ten is let in, who has a hundred ahead waits behind a thousand.
#[test]
fn who_waits_is_told_how_many_come_in_before_over_all_lanes() {
    let mut room = room(&[of_class(1, 6), of_class(2, 3), everybodys(1)]);
    for visitor in 0..3_000 {
        // 2,000 of class 1, 200 of class 2, 800 of none.
        let class = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 0, 0, 0, 0][visitor as usize % 15];
        room.join(&arrival(visitor, class), LOBBY_MS).unwrap();
    }
    room.pass_time(OPEN_MS);
    // All lanes, then two of them, then one; and at the last not from the beginning.
    for already in [0, 41, 900, 2_500] {
        released(&mut room, already, OPEN_MS);
        let told: Vec<Turn> = (0..3_000).map(|visitor| turn(&room, visitor)).collect();
        let next = released(&mut room.clone(), 3_000, OPEN_MS);
        assert_eq!(next.len() as u64, 3_000 - already);
        let mut most_overtaken = 0;
        for (comes_in, number) in (0_u32..).zip(next) {
            let waited = match told[number as usize] {
                Turn::Waiting { ahead, before, .. } => Some((ahead, before)),
                _ => None,
            };
            let (ahead, before) = waited.expect("who is let in has waited");
            let off = before.abs_diff(comes_in);
            // A turn of the rarest lane, more or less.
            assert!(off <= 10, "{number}: told {before}, and was {comes_in}");
            most_overtaken = most_overtaken.max(comes_in - ahead);
        }
        if already == 0 {
            assert_eq!(most_overtaken, 2_200, "by all who are of a class");
        }
    }
}

#[test]
fn said_twice_a_release_lets_nobody_in_twice() {
    let mut room = full_lobby(10);
    room.pass_time(OPEN_MS);
    assert_eq!(released(&mut room, 4, OPEN_MS).len(), 4);
    assert!(released(&mut room, 4, OPEN_MS).is_empty());
    room.set_paused(true);
    assert!(released(&mut room, 9, OPEN_MS).is_empty());
    room.set_paused(false);
    assert_eq!(released(&mut room, 6, OPEN_MS).len(), 2);
}

#[test]
fn the_opening_may_be_moved_until_the_lobby_has_closed() {
    let mut room = full_lobby(10);
    room.move_times(LOBBY_MS, OPEN_MS + 1_000).unwrap();
    room.pass_time(OPEN_MS);
    assert!(!room.is_open());
    let backwards = room.move_times(OPEN_MS, LOBBY_MS);
    assert_eq!(backwards, Err(Refusal::PlanInvalid));
    room.pass_time(OPEN_MS + 1_000);
    let late = room.move_times(LOBBY_MS, OPEN_MS + 9_000);
    assert_eq!(late, Err(Refusal::LobbyClosed));
}

/// Replicas that were restored and those that never ended tell the same of who comes after.
#[test]
fn a_restored_room_goes_on_alike_after_its_times_were_moved() {
    let mut room = full_lobby(10);
    room.move_times(LOBBY_MS + 7_000, OPEN_MS + 60_000).unwrap();
    let mut restored = Room::restore(9, room.export()).unwrap();
    for room in [&mut room, &mut restored] {
        for (visitor, after_ms) in [(100, 8_000), (101, 8_500), (102, 30_000), (3, 31_000)] {
            room.join(&arrival(visitor, 0), LOBBY_MS + after_ms)
                .unwrap();
        }
    }
    assert_eq!(restored.export(), room.export());
    let came: Vec<u32> = room.export().visitors.iter().map(|v| v.joined_s).collect();
    assert_eq!(came[10..], [1, 1, 23]);
}

#[test]
fn a_beacon_is_waited_for_and_changes_the_sequence() {
    let with_beacon = |beacon: u8| {
        let waits_for_beacon = true;
        let plan = Plan {
            waits_for_beacon,
            ..plan(&[everybodys(1)])
        };
        let mut room = Room::new(9, plan).unwrap();
        for visitor in 0..100 {
            room.join(&arrival(visitor, 0), LOBBY_MS).unwrap();
        }
        let early = room.set_beacon([beacon; 32]);
        assert_eq!(early, Err(Refusal::NoBeaconAwaited));
        room.pass_time(OPEN_MS);
        assert!(released(&mut room, 100, OPEN_MS).is_empty());
        // Whoever comes meanwhile stands behind the lobby.
        room.join(&arrival(500, 0), OPEN_MS + 1).unwrap();
        room.set_beacon([beacon; 32]).unwrap();
        assert_eq!(verify(&room.evidence(), &room.lines()), Ok(()));
        released(&mut room, 101, OPEN_MS + 2)
    };
    assert_ne!(with_beacon(1), with_beacon(2));
}

#[test]
fn plans_that_cannot_work_are_refused() {
    let invalid = |plan: Plan| assert_eq!(Room::new(1, plan).err(), Some(Refusal::PlanInvalid));
    invalid(plan(&[]));
    invalid(plan(&[of_class(1, 1)]));
    invalid(plan(&[everybodys(0)]));
    invalid(plan(&[everybodys(1); LANES_MAX + 1]));
    let good = plan(&[everybodys(1)]);
    invalid(Plan {
        pass_tickets: 0,
        ..good.clone()
    });
    invalid(Plan {
        pass_life_ms: 0,
        ..good.clone()
    });
    invalid(Plan {
        open_at_ms: LOBBY_MS - 1,
        ..good
    });
}

/// A room after a while: three lanes, people who left, were removed, let in.
fn busy_room() -> Room {
    let mut room = room(&[of_class(1, 5), of_class(2, 2), everybodys(1)]);
    for visitor in 0..3_000_u128 {
        let class = (visitor % 5) as u8;
        room.join(&arrival(visitor, class), LOBBY_MS).unwrap();
    }
    (0..3_000).step_by(41).for_each(|visitor| {
        room.leave(VisitorId(visitor), PartnerId(1), LOBBY_MS)
            .unwrap();
    });
    room.pass_time(OPEN_MS);
    released(&mut room, 700, OPEN_MS);
    for visitor in 2_900..3_500_u128 {
        let class = (visitor % 5) as u8;
        room.join(&arrival(visitor, class), OPEN_MS + 5).unwrap();
    }
    (5..3_500).step_by(97).for_each(|visitor| {
        // Some have left already.
        let _ = room.remove(VisitorId(visitor), 3, OPEN_MS + 6);
    });
    released(&mut room, 1_500, OPEN_MS + 7);
    room
}

#[test]
fn the_evidence_holds_and_any_change_of_it_does_not() {
    let room = busy_room();
    let (evidence, lines) = (room.evidence(), room.lines());
    assert_eq!(verify(&evidence, &lines), Ok(()));
    let fails = |evidence: &Evidence, lines: &[Line]| assert!(verify(evidence, lines).is_err());
    for byte in 0..32 {
        let mut other = evidence.clone();
        other.commitment[byte] ^= 1;
        fails(&other, &lines);
        let mut other = evidence.clone();
        other.lobby_root[byte] ^= 0x80;
        fails(&other, &lines);
        let mut seed = Seed([7; 32]);
        seed.0[byte] ^= 4;
        fails(
            &Evidence {
                seed: Some(seed),
                ..evidence.clone()
            },
            &lines,
        );
    }
    fails(
        &Evidence {
            beacon: Some([0; 32]),
            ..evidence.clone()
        },
        &lines,
    );
    fails(
        &Evidence {
            lobby_len: evidence.lobby_len - 1,
            ..evidence.clone()
        },
        &lines,
    );
    let hidden = Evidence {
        seed: None,
        ..evidence.clone()
    };
    assert_eq!(verify(&hidden, &lines), Err(Misfit::SeedHidden));
    for at in (0..evidence.removals.len()).step_by(3) {
        let mut other = evidence.clone();
        other.removals.remove(at);
        let number = evidence.removals[at].number as usize;
        // A removal nobody stood behind or who had been let in hides nothing.
        if lines[number].released_as.is_none() && verify(&other, &lines).is_ok() {
            let lane = lines[number].lane;
            let behind = lines
                .iter()
                .filter(|line| line.lane == lane && line.place > lines[number].place);
            assert!(behind.clone().all(|line| line.released_as.is_none()));
        }
        let mut other = evidence.clone();
        other.removals.push(evidence.removals[at]);
        fails(&other, &lines);
    }
    for at in (0..lines.len()).step_by(7) {
        let mut other = lines.clone();
        other[at].visitor.0 ^= 1;
        if (at as u64) < evidence.lobby_len {
            fails(&evidence, &other);
        }
        let mut other = lines.clone();
        other[at].place ^= 1;
        fails(&evidence, &other);
        let mut other = lines.clone();
        other[at].lane ^= 1;
        fails(&evidence, &other);
    }
    let mut other = lines.clone();
    let last = other
        .iter()
        .filter(|line| line.lane == 2)
        .max_by_key(|line| line.place)
        .unwrap()
        .visitor;
    let last = other.iter_mut().rfind(|line| line.visitor == last).unwrap();
    assert_eq!(last.released_as, None);
    last.released_as = Some(9_999);
    assert!(matches!(
        verify(&evidence, &other),
        Err(Misfit::Overtaken { .. })
    ));
}

#[test]
fn a_visitor_of_the_lobby_gets_a_path_and_no_other() {
    let room = busy_room();
    let evidence = room.evidence();
    let lines = room.lines();
    for visitor in [1, 2, 1_500, 2_899] {
        let (number, path) = room.path(VisitorId(visitor)).unwrap();
        let lane = lines[number as usize].lane;
        let line = leaf(number, VisitorId(visitor), lane, 1);
        let (len, root) = (evidence.lobby_len, &evidence.lobby_root);
        assert!(merkle::is_included(
            line,
            u64::from(number),
            len,
            &path,
            root
        ));
        let forged = leaf(number, VisitorId(visitor ^ 1), lane, 1);
        assert!(!merkle::is_included(
            forged,
            u64::from(number),
            len,
            &path,
            root
        ));
    }
    assert_eq!(room.path(VisitorId(3_400)), None, "came after the lobby");
}

/// Changes one visitor of a state.
fn edit(state: &mut RoomState, number: usize, change: impl Fn(&mut VisitorState)) {
    let mut visitors: Vec<VisitorState> = state.visitors.iter().collect();
    change(&mut visitors[number]);
    state.visitors = visitors.into_iter().collect();
}

#[test]
fn a_state_that_cannot_have_been_is_refused() {
    use domain::room::state::RoomFault;
    use domain::room::{RoomPhase, VisitorPhase};
    let state = busy_room().export();
    assert!(Room::restore(9, state.clone()).is_ok());
    let refused = |change: &dyn Fn(&mut RoomState), fault: RoomFault| {
        let mut state = state.clone();
        change(&mut state);
        assert_eq!(Room::restore(9, state).map(|_| ()), Err(fault));
    };
    refused(&|state| state.plan.lanes.clear(), RoomFault::Plan);
    refused(&|state| state.lobby_len = u32::MAX, RoomFault::Lobby);
    refused(
        &|state| state.phase = RoomPhase::Gathering,
        RoomFault::Lobby,
    );
    refused(&|state| _ = state.credits.pop(), RoomFault::Credits);
    let number = 17;
    refused(
        &|state| edit(state, 17, |visitor| visitor.lane = 3),
        RoomFault::Visitor { number },
    );
    let number = state.released[0];
    let fault = RoomFault::Released { number };
    refused(&|state| state.released.push(number), fault);
    refused(&|state| state.phase = RoomPhase::AwaitsBeacon, fault);
    let waits = |visitor: VisitorState| visitor.phase == VisitorPhase::Waiting;
    let number = state.visitors.iter().position(waits).unwrap();
    let set =
        |phase| move |state: &mut RoomState| edit(state, number, |visitor| visitor.phase = phase);
    let fault = RoomFault::Released {
        number: number as u32,
    };
    refused(&set(VisitorPhase::Served), fault);
    let number = state.passes[3].number;
    let fault = RoomFault::Pass { number };
    refused(&|state| _ = state.passes.remove(3), fault);
    let number = state
        .released
        .iter()
        .rfind(|number| state.passes.iter().any(|pass| pass.number == **number));
    let number = *number.unwrap();
    let ends_first = |state: &mut RoomState| {
        let pass = state.passes.iter_mut().find(|pass| pass.number == number);
        pass.unwrap().ends_ms = 1;
    };
    refused(&ends_first, RoomFault::Pass { number });
    let number = state.removals[0].number;
    let fault = RoomFault::Removal { number };
    refused(
        &|state| {
            edit(state, number as usize, |visitor| {
                visitor.phase = VisitorPhase::Waiting
            })
        },
        fault,
    );
}

/// What a new leader reads of the one before: the last half minute, whatever was before it.
#[test]
fn the_recent_rate_is_that_of_the_last_half_minute() {
    let mut room = room(&[everybodys(1)]);
    for visitor in 0..400 {
        room.join(&arrival(visitor, 0), LOBBY_MS).unwrap();
    }
    room.pass_time(OPEN_MS);
    assert_eq!(room.recent_rate(OPEN_MS), 0);
    room.release(200, u32::MAX, OPEN_MS, |_| {});
    assert_eq!(room.recent_rate(OPEN_MS), 6_666);
    for second in 1..=60 {
        room.release(200 + second, u32::MAX, OPEN_MS + 1000 * second, |_| {});
    }
    assert_eq!(room.recent_rate(OPEN_MS + 60_000), 1_000);
    assert_eq!(room.recent_rate(OPEN_MS + 120_000), 0);
}

/// A token of a partner's own room buys what it says, however often it is shown, until its time is
/// over; a restored room knows what was taken.
#[test]
fn a_token_of_another_room_is_spent_once() {
    let mut room = room(&[everybodys(1)]);
    room.pass_time(OPEN_MS);
    let (visitor, partner) = (VisitorId(77), PartnerId(5));
    let token = Token {
        ends_ms: OPEN_MS + 60_000,
        tickets: 4,
    };
    let may = |room: &Room, tickets, now_ms| {
        room.may_take_outside(visitor, partner, token, tickets, now_ms)
    };
    assert_eq!(may(&room, 4, OPEN_MS), Ok(()));
    room.take_outside(visitor, partner, token, 3);
    let spent = Err(Refusal::PassSpent { left: 1 });
    assert_eq!(may(&room, 2, OPEN_MS), spent);
    let room_again = Room::restore(9, room.export()).unwrap();
    assert_eq!(may(&room_again, 2, OPEN_MS), spent);
    assert_eq!(room_again.export(), room.export());
    let other = room.may_take_outside(visitor, PartnerId(6), token, 4, OPEN_MS);
    assert_eq!(other, Ok(()), "another partner's visitor of the same key");
    room.give_back(visitor, partner, 2);
    assert_eq!(may(&room, 3, OPEN_MS), Ok(()));
    let never = Token {
        ends_ms: OPEN_MS + TOKEN_LIFE_MAX_MS + 1,
        ..token
    };
    let refused = room.may_take_outside(visitor, partner, never, 1, OPEN_MS);
    assert_eq!(refused, Err(Refusal::PassInvalid), "lives too long");
    assert_eq!(room.next_event_ms(), Some(token.ends_ms));
    room.pass_time(token.ends_ms);
    assert_eq!(may(&room, 1, token.ends_ms), Err(Refusal::PassExpired));
    assert!(room.export().outside.is_empty(), "and it is forgotten");
    let mut twice = room_again.export();
    twice.outside.push(twice.outside[0]);
    let fault = Room::restore(9, twice).map(|_| ());
    assert_eq!(fault, Err(domain::room::state::RoomFault::Outside));
}

/// Seats that come back must find what they were taken on: nobody has a pass and a token at once.
#[test]
fn nobody_buys_on_a_pass_and_a_token_at_once() {
    let mut room = room(&[everybodys(1)]);
    let (partner, token) = (
        PartnerId(1),
        Token {
            ends_ms: OPEN_MS + 60_000,
            tickets: 4,
        },
    );
    for visitor in [1, 2] {
        room.join(&arrival(visitor, 0), LOBBY_MS).unwrap();
    }
    room.pass_time(OPEN_MS);
    let by_token = |room: &Room, visitor| {
        room.may_take_outside(VisitorId(visitor), partner, token, 1, OPEN_MS)
    };
    assert_eq!(by_token(&room, 1), Ok(()), "who waits may come another way");
    room.take_outside(VisitorId(1), partner, token, 4);
    room.release(2, u32::MAX, OPEN_MS, |_| {});
    let by_pass = room.may_spend(VisitorId(1), partner, 4);
    assert_eq!(by_pass, Err(Refusal::PassInvalid));
    assert_eq!(by_token(&room, 2), Err(Refusal::PassInvalid));
    assert_eq!(room.may_spend(VisitorId(2), partner, 4), Ok(()));
}
