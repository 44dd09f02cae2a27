//! A waiting room's part of the hash.

use super::{Words, hash_all};
use crate::room::pace::Ceilings;
use crate::room::state::{OutsideState, PassState, RoomState, VisitorState};
use crate::room::{LaneRules, Plan, Reason, Removal};

pub(super) fn hash_room(room: &RoomState, words: &mut Words) {
    let RoomState {
        plan,
        phase,
        is_paused,
        is_closed,
        beacon,
        lobby_len,
        visitors,
        credits,
        removals,
        released,
        passes,
        outside,
    } = room;
    hash_plan(plan, words);
    let flags = u64::from(*is_closed) << 1 | u64::from(*is_paused);
    for word in [*phase as u64, flags, u64::from(*lobby_len)] {
        words.add(word);
    }
    hash_bytes(
        beacon.as_ref().map_or(&[], |beacon| beacon.as_slice()),
        words,
    );
    words.add(visitors.len() as u64);
    for visitor in visitors.iter() {
        let VisitorState {
            visitor,
            partner,
            joined_s,
            lane,
            phase,
            party,
            passed_with,
        } = visitor;
        words.add_id(visitor.0);
        words.add(u64::from(partner.0) << 32 | u64::from(joined_s));
        let wish = u64::from(party) << 8 | u64::from(passed_with);
        words.add(wish << 16 | u64::from(lane) << 8 | phase as u64);
    }
    hash_all(credits, words, |credit, words| words.add(*credit as u64));
    hash_all(removals, words, |removal, words| {
        let Removal {
            number,
            at_ms,
            reason,
        } = removal;
        words.add(u64::from(*number));
        words.add(*at_ms);
        words.add(match reason {
            Reason::Left => 0,
            Reason::Rule(rule) => 1 << 32 | u64::from(*rule),
        });
    });
    hash_all(released, words, |number, words| {
        words.add(u64::from(*number))
    });
    hash_all(passes, words, |pass, words| {
        let PassState {
            number,
            ends_ms,
            spent,
        } = pass;
        words.add(u64::from(*number) << 16 | u64::from(*spent));
        words.add(*ends_ms);
    });
    hash_all(outside, words, |taken, words| {
        let OutsideState {
            partner,
            visitor,
            ends_ms,
            taken,
        } = taken;
        words.add(u64::from(partner.0) << 16 | u64::from(*taken));
        words.add_id(visitor.0);
        words.add(*ends_ms);
    });
}

fn hash_plan(plan: &Plan, words: &mut Words) {
    let Plan {
        lobby_at_ms,
        open_at_ms,
        seed,
        waits_for_beacon,
        pass_life_ms,
        pass_tickets,
        ceilings,
        lanes,
    } = plan;
    words.add(*lobby_at_ms);
    words.add(*open_at_ms);
    hash_bytes(&seed.0, words);
    words.add(u64::from(*waits_for_beacon));
    words.add(u64::from(*pass_life_ms) << 16 | u64::from(*pass_tickets));
    let Ceilings {
        per_minute,
        at_the_desk,
        hold_ms,
    } = ceilings;
    for ceiling in [per_minute, at_the_desk, &Some(*hold_ms)] {
        words.add(ceiling.map_or(0, |ceiling| 1 << 32 | u64::from(ceiling)));
    }
    hash_all(lanes, words, |lane, words| {
        let LaneRules {
            channel,
            class,
            weight,
        } = lane;
        words.add(channel.map_or(0, |channel| 1 << 16 | u64::from(channel.0)));
        words.add(class.map_or(0, |class| 1 << 8 | u64::from(class)));
        words.add(u64::from(*weight));
    });
}

fn hash_bytes(bytes: &[u8], words: &mut Words) {
    hash_all(bytes, words, |byte, words| words.add(u64::from(*byte)));
}
