//! What must be true of waiting rooms in the end: who was told to be in is there, once, where they
//! were told; who was let in still is; no pass was good for more than it said; and anybody can compute
//! the sequence anew.

use std::collections::BTreeMap;

use domain::Sale;
use domain::ids::{PartnerId, VisitorId};
use domain::order::Order;
use domain::room::shuffle::{self, Evidence, Line};
use domain::room::state::VisitorState;
use domain::room::{Census, Reason, VisitorPhase};

use super::Replica;
use crate::sim::setup::CLUB;
use crate::sim::setup::room::{SLOW_CLASS, SLOW_LANE};
use crate::sim::shop::admission::party_of;
use crate::sim::shop::guests::{Guest, GuestBook, LineTold};
use crate::sim::shop::wires::Partner;

/// A waiting room as one replica has it.
#[derive(Clone, Debug)]
pub struct RoomSeen {
    pub is_open: bool,
    pub census: Census,
    /// Seats and places that are free.
    pub free: u32,
    pub pass_tickets: u16,
    /// Where those stand who came like bots, if they have a lane.
    pub slow_lane: Option<u8>,
    /// Whether anybody waits for whom that is enough.
    pub finds_enough: bool,
    pub evidence: Evidence,
    /// By number; nobody before the lobby was shuffled.
    pub lines: Vec<Line>,
    /// By number.
    pub visitors: Vec<VisitorState>,
    /// Tickets that were ever paid for, by buyer.
    pub bought: BTreeMap<u128, u32>,
}

impl RoomSeen {
    pub fn of(sale: &Sale, orders: &[Order]) -> Option<RoomSeen> {
        let room = sale.room()?;
        let mut bought = BTreeMap::new();
        for order in orders {
            *bought.entry(order.buyer.0).or_default() += order.seats.seats();
        }
        Some(RoomSeen {
            is_open: room.is_open(),
            census: room.census(),
            free: sale.counts().free,
            pass_tickets: room.plan().pass_tickets,
            slow_lane: slow_lane(room.plan()),
            finds_enough: room.may_let_in(sale.counts().free),
            evidence: room.evidence(),
            lines: room.lines(),
            visitors: room.export().visitors.iter().collect(),
            bought,
        })
    }

    /// Tickets that all the passes which were given to a visitor were good for.
    pub fn good_for(&self, visitor: VisitorId) -> u32 {
        let lines = self.lines.iter();
        let passes = lines.filter(|line| line.visitor == visitor && line.released_as.is_some());
        passes.count() as u32 * u32::from(self.pass_tickets)
    }

    /// Nobody waits for whom there is enough left.
    pub fn is_drained(&self) -> bool {
        self.census.waiting == 0 || !self.finds_enough
    }
}

pub fn check(replicas: &[Replica], guests: &GuestBook, found: &mut Vec<String>) {
    let mut first: BTreeMap<u64, &Replica> = BTreeMap::new();
    for replica in replicas {
        let Some(room) = &replica.room else { continue };
        let mut wrong = wrong_room(replica.sale, room, guests);
        let known = first.entry(replica.sale).or_insert(replica);
        let known_room = known.room.as_ref();
        let is_same = known_room
            .is_some_and(|known| (&known.evidence, &known.lines) == (&room.evidence, &room.lines));
        if !is_same {
            wrong.push(format!("its evidence is not that of n{}", known.node));
        }
        let Replica { node, sale, .. } = replica;
        let told = wrong.into_iter();
        found.extend(told.map(|wrong| format!("room of sale {sale} on n{node}: {wrong}")));
    }
}

fn wrong_room(sale: u64, room: &RoomSeen, guests: &GuestBook) -> Vec<String> {
    let mut wrong = Vec::new();
    if !room.is_open {
        wrong.push("it never opened".into());
        return wrong;
    }
    if let Err(misfit) = shuffle::verify(&room.evidence, &room.lines) {
        wrong.push(format!("its evidence is not true: {misfit:?}"));
    }
    let mut numbers: BTreeMap<VisitorId, Vec<usize>> = BTreeMap::new();
    for (number, line) in room.lines.iter().enumerate() {
        numbers.entry(line.visitor).or_default().push(number);
    }
    let mut is_gone = vec![false; room.lines.len()];
    for removal in &room.evidence.removals {
        let line = room.lines.get(removal.number as usize);
        let guest = line.and_then(|line| guests.guests.get(&(sale, line.visitor.0)));
        let is_asked = guest.is_some_and(|guest| match removal.reason {
            Reason::Left => guest.has_left,
            Reason::Rule(rule) => guest.removal == Some(rule),
        });
        if !is_asked {
            wrong.push(format!("{removal:?} of {guest:?}, which nobody asked for"));
        }
        if let Some(is_gone) = is_gone.get_mut(removal.number as usize) {
            *is_gone = true;
        }
    }
    for (visitor, numbers) in &numbers {
        let there = numbers.iter().filter(|number| !is_gone[**number]).count();
        if there > 1 {
            wrong.push(format!("visitor {:x} is there as {numbers:?}", visitor.0));
        }
    }
    for ((_, visitor), guest) in guests.guests.range((sale, 0)..=(sale, u128::MAX)) {
        let there = numbers.get(&VisitorId(*visitor));
        let there = there.map_or(&[][..], Vec::as_slice);
        if let Some(why) = wrong_guest(room, guest, there) {
            wrong.push(format!("visitor {visitor:x} {why}: {guest:?}, {there:?}"));
        }
    }
    for ((_, number), told) in guests.lines.range((sale, 0)..=(sale, u32::MAX)) {
        let line = room.lines.get(*number as usize);
        if let Some(why) = wrong_line(told, line) {
            wrong.push(format!("number {number} {why}: {told:?}, {line:?}"));
        }
    }
    let is_slow = |line: &&Line| room.slow_lane == Some(line.lane);
    let is_suspect = |line: &&Line| guests.suspects.contains(&(sale, line.visitor.0));
    let slow = room.lines.iter().filter(is_slow);
    wrong.extend(
        slow.filter(|line| !is_suspect(line))
            .map(|line| format!("{line:?} waits among the slow, and came like anybody")),
    );
    wrong.extend(wrong_notice(&room.evidence, sale, guests));
    for (buyer, bought) in &room.bought {
        let token = guests.tokens.get(&(sale, *buyer)).copied();
        let good_for = room.good_for(VisitorId(*buyer)) + token.unwrap_or(0);
        if *bought > good_for {
            wrong.push(format!(
                "buyer {buyer:x} has paid for {bought} tickets on passes good for {good_for}"
            ));
        }
    }
    wrong
}

fn slow_lane(plan: &domain::room::Plan) -> Option<u8> {
    let first = plan.lanes.get(usize::from(SLOW_LANE))?;
    (first.class == Some(SLOW_CLASS)).then_some(SLOW_LANE)
}

fn wrong_guest(room: &RoomSeen, guest: &Guest, there: &[usize]) -> Option<&'static str> {
    let Guest {
        partner,
        is_in,
        has_left,
        number: _,
        removal,
        removed_ms,
        told: _,
    } = *guest;
    if is_in && there.is_empty() {
        return Some("was told to be in and is not");
    }
    let home = match partner {
        Partner::Shop => PartnerId(1),
        Partner::Club => PartnerId(CLUB.into()),
    };
    if there.iter().any(|at| room.visitors[*at].partner != home) {
        return Some("came through another partner");
    }
    if has_left {
        return None;
    }
    let phase = |at: &usize| room.visitors[*at].phase;
    let is_here = |at| matches!(phase(at), VisitorPhase::Waiting | VisitorPhase::Admitted);
    if removed_ms.is_some() && there.iter().any(is_here) {
        return Some("was told to be removed and is not");
    }
    if there.len() > 1 {
        return Some("stands there more than once");
    }
    let is_away = |at: &usize| match phase(at) {
        VisitorPhase::Left => true,
        VisitorPhase::Removed => removal.is_none(),
        _ => false,
    };
    there
        .iter()
        .any(is_away)
        .then_some("is away, which nobody asked for")
}

/// What was published with proofs, and the beacon that was made known, are in the evidence.
fn wrong_notice(evidence: &Evidence, sale: u64, guests: &GuestBook) -> Option<String> {
    let beacon = guests.beacons.get(&sale);
    if beacon.is_some() && beacon != evidence.beacon.as_ref() {
        return Some(format!("the beacon {beacon:?} is not in {evidence:?}"));
    }
    let notice = guests.notices.get(&sale)?;
    let seed = evidence.seed.map(|seed| seed.0);
    let lobby = notice.closed.as_ref().is_none_or(|told| {
        told.root[..] == evidence.lobby_root[..]
            && told.len == evidence.lobby_len
            && seed.is_some_and(|seed| told.seed[..] == seed[..])
            && told.beacon[..] == evidence.beacon.as_ref().map_or(&[][..], |hash| &hash[..])[..]
    });
    let is_same = lobby && notice.commitment[..] == evidence.commitment[..];
    (!is_same).then(|| format!("was published as {notice:?}, and its evidence is {evidence:?}"))
}

fn wrong_line(told: &LineTold, line: Option<&Line>) -> Option<&'static str> {
    let LineTold {
        visitor,
        lane,
        place,
        pass_ends_ms,
    } = told;
    let Some(line) = line else {
        return Some("was told and is not there");
    };
    if (line.visitor.0, u32::from(line.lane)) != (*visitor, *lane) {
        return Some("is somebody else, or elsewhere");
    }
    if u32::from(line.party) != party_of(*visitor) {
        return Some("is another party");
    }
    if place.is_some_and(|place| place != line.place) {
        return Some("was told another place");
    }
    let was_let_in = line.released_as.is_some();
    (pass_ends_ms.is_some() && !was_let_in).then_some("was let in and is not any more")
}
