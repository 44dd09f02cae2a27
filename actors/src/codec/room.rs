//! A waiting room, to and from its durable messages (`onsale.log.v1.RoomPlan`, `RoomContents`).

use bytes::Bytes;
use domain::ids::{ChannelId, PartnerId, VisitorId};
use domain::room::pace::Ceilings;
use domain::room::shuffle::Seed;
use domain::room::state::{OutsideState, PassState, RoomState, VisitorList, VisitorState};
use domain::room::{LaneRules, Plan, Reason, Removal, RoomPhase, VisitorPhase};
use proto::log::v1 as log;

use super::Fields;
use super::snapshot::{pack, unpack};

pub fn plan_to_proto(plan: &Plan) -> log::RoomPlan {
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
    let lanes = lanes.iter().map(|lane| {
        let LaneRules {
            channel,
            class,
            weight,
        } = *lane;
        log::RoomLane {
            channel: channel.map(|channel| channel.0.into()),
            class: class.map(u32::from),
            weight: weight.into(),
        }
    });
    log::RoomPlan {
        lobby_at_ms: *lobby_at_ms,
        open_at_ms: *open_at_ms,
        seed: seed.0.to_vec().into(),
        waits_for_beacon: *waits_for_beacon,
        pass_life_ms: *pass_life_ms,
        pass_tickets: u32::from(*pass_tickets),
        lanes: lanes.collect(),
        ceilings: Some(ceilings_to_proto(ceilings)),
    }
}

/// `None` when a number does not fit or the seed is no seed.
pub fn plan_from_proto(plan: &log::RoomPlan) -> Option<Plan> {
    let log::RoomPlan {
        lobby_at_ms,
        open_at_ms,
        seed,
        waits_for_beacon,
        pass_life_ms,
        pass_tickets,
        lanes,
        ceilings,
    } = plan;
    let lane = |lane: &log::RoomLane| {
        let log::RoomLane {
            channel,
            class,
            weight,
        } = *lane;
        Some(LaneRules {
            channel: match channel {
                Some(channel) => Some(ChannelId(channel.try_into().ok()?)),
                None => None,
            },
            class: match class {
                Some(class) => Some(class.try_into().ok()?),
                None => None,
            },
            weight: weight.try_into().ok()?,
        })
    };
    Some(Plan {
        lobby_at_ms: *lobby_at_ms,
        open_at_ms: *open_at_ms,
        seed: Seed(seed.as_ref().try_into().ok()?),
        waits_for_beacon: *waits_for_beacon,
        pass_life_ms: *pass_life_ms,
        pass_tickets: u16::try_from(*pass_tickets).ok()?,
        ceilings: ceilings_from_proto(ceilings.as_ref()?),
        lanes: lanes.iter().map(lane).collect::<Option<_>>()?,
    })
}

fn ceilings_to_proto(ceilings: &Ceilings) -> log::RoomCeilings {
    let Ceilings {
        per_minute,
        at_the_desk,
        hold_ms,
    } = *ceilings;
    log::RoomCeilings {
        per_minute,
        at_the_desk,
        hold_ms,
    }
}

fn ceilings_from_proto(ceilings: &log::RoomCeilings) -> Ceilings {
    let log::RoomCeilings {
        per_minute,
        at_the_desk,
        hold_ms,
    } = *ceilings;
    Ceilings {
        per_minute,
        at_the_desk,
        hold_ms,
    }
}

pub(super) fn to_proto(room: &RoomState) -> log::RoomContents {
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
    log::RoomContents {
        plan: Some(plan_to_proto(plan)),
        phase: match phase {
            RoomPhase::Gathering => 0,
            RoomPhase::AwaitsBeacon => 1,
            RoomPhase::Open => 2,
        },
        paused: *is_paused,
        closed: *is_closed,
        beacon: beacon.map_or_else(Vec::new, Vec::from).into(),
        lobby_len: *lobby_len,
        visitors: pack_visitors(visitors),
        credits: pack(credits, |credit, out| {
            out.extend_from_slice(&credit.to_le_bytes());
        }),
        removals: pack(removals, put_removal),
        released: pack(released, |number, out| {
            out.extend_from_slice(&number.to_le_bytes());
        }),
        passes: pack(passes, put_pass),
        outside: pack(outside, put_outside),
    }
}

/// `None` when something cannot be read; whether it fits together is found out by the sale.
pub(super) fn from_proto(room: &log::RoomContents) -> Option<RoomState> {
    let log::RoomContents {
        plan,
        phase,
        paused,
        beacon,
        lobby_len,
        visitors,
        credits,
        removals,
        released,
        passes,
        closed,
        outside,
    } = room;
    Some(RoomState {
        plan: plan_from_proto(plan.as_ref()?)?,
        phase: match phase {
            0 => RoomPhase::Gathering,
            1 => RoomPhase::AwaitsBeacon,
            2 => RoomPhase::Open,
            _ => return None,
        },
        is_paused: *paused,
        is_closed: *closed,
        beacon: match beacon.is_empty() {
            true => None,
            false => Some(beacon.as_ref().try_into().ok()?),
        },
        lobby_len: *lobby_len,
        visitors: unpack(visitors, visitor)?.into_iter().collect(),
        credits: unpack(credits, |fields| fields.u64().map(|bits| bits as i64))?,
        removals: unpack(removals, removal)?,
        released: unpack(released, |fields| fields.u32())?,
        passes: unpack(passes, pass)?,
        outside: unpack(outside, outside_state)?,
    })
}

fn pack_visitors(visitors: &VisitorList) -> Bytes {
    let mut out = Vec::with_capacity(visitors.len() * VISITOR_LEN);
    for visitor in visitors.iter() {
        put_visitor(&visitor, &mut out);
    }
    out.into()
}

const VISITOR_LEN: usize = 28;

fn put_visitor(visitor: &VisitorState, out: &mut Vec<u8>) {
    let VisitorState {
        visitor,
        partner,
        joined_s,
        lane,
        phase,
        party,
        passed_with,
    } = visitor;
    out.extend_from_slice(&visitor.0.to_be_bytes());
    out.extend_from_slice(&partner.0.to_le_bytes());
    out.extend_from_slice(&joined_s.to_le_bytes());
    out.push(*lane);
    out.push(match phase {
        VisitorPhase::Waiting => 0,
        VisitorPhase::Admitted => 1,
        VisitorPhase::Served => 2,
        VisitorPhase::Expired => 3,
        VisitorPhase::Left => 4,
        VisitorPhase::Removed => 5,
    });
    out.extend_from_slice(&[*party, *passed_with]);
}

fn visitor(fields: &mut Fields<'_>) -> Option<VisitorState> {
    Some(VisitorState {
        visitor: VisitorId(fields.id()?),
        partner: PartnerId(fields.u32()?),
        joined_s: fields.u32()?,
        lane: fields.u8()?,
        phase: match fields.u8()? {
            0 => VisitorPhase::Waiting,
            1 => VisitorPhase::Admitted,
            2 => VisitorPhase::Served,
            3 => VisitorPhase::Expired,
            4 => VisitorPhase::Left,
            5 => VisitorPhase::Removed,
            _ => return None,
        },
        party: fields.u8()?,
        passed_with: fields.u8()?,
    })
}

fn put_removal(removal: &Removal, out: &mut Vec<u8>) {
    let Removal {
        number,
        at_ms,
        reason,
    } = removal;
    let (by_rule, rule) = match reason {
        Reason::Left => (0, 0),
        Reason::Rule(rule) => (1, *rule),
    };
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&at_ms.to_le_bytes());
    out.push(by_rule);
    out.extend_from_slice(&rule.to_le_bytes());
}

fn removal(fields: &mut Fields<'_>) -> Option<Removal> {
    let (number, at_ms) = (fields.u32()?, fields.u64()?);
    let reason = match (fields.u8()?, fields.u32()?) {
        (0, 0) => Reason::Left,
        (1, rule) => Reason::Rule(rule),
        _ => return None,
    };
    Some(Removal {
        number,
        at_ms,
        reason,
    })
}

fn put_pass(pass: &PassState, out: &mut Vec<u8>) {
    let PassState {
        number,
        ends_ms,
        spent,
    } = pass;
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&ends_ms.to_le_bytes());
    out.extend_from_slice(&spent.to_le_bytes());
}

fn put_outside(state: &OutsideState, out: &mut Vec<u8>) {
    let OutsideState {
        partner,
        visitor,
        ends_ms,
        taken,
    } = state;
    out.extend_from_slice(&partner.0.to_le_bytes());
    out.extend_from_slice(&visitor.0.to_be_bytes());
    out.extend_from_slice(&ends_ms.to_le_bytes());
    out.extend_from_slice(&taken.to_le_bytes());
}

fn outside_state(fields: &mut Fields<'_>) -> Option<OutsideState> {
    Some(OutsideState {
        partner: PartnerId(fields.u32()?),
        visitor: VisitorId(fields.id()?),
        ends_ms: fields.u64()?,
        taken: fields.u16()?,
    })
}

fn pass(fields: &mut Fields<'_>) -> Option<PassState> {
    Some(PassState {
        number: fields.u32()?,
        ends_ms: fields.u64()?,
        spent: fields.u16()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> RoomState {
        let visitor = |number: u32, phase| VisitorState {
            visitor: VisitorId(1 << 100 | u128::from(number)),
            partner: PartnerId(7),
            joined_s: 60 + number,
            lane: 1,
            phase,
            party: 4,
            passed_with: number as u8 % 4,
        };
        let phases = [
            VisitorPhase::Waiting,
            VisitorPhase::Admitted,
            VisitorPhase::Served,
            VisitorPhase::Expired,
            VisitorPhase::Left,
            VisitorPhase::Removed,
        ];
        let removal = |number, reason| Removal {
            number,
            at_ms: 5,
            reason,
        };
        RoomState {
            plan: Plan {
                lobby_at_ms: 1,
                open_at_ms: 2,
                seed: Seed([8; 32]),
                waits_for_beacon: true,
                pass_life_ms: 3,
                pass_tickets: 4,
                ceilings: Ceilings {
                    per_minute: Some(0),
                    at_the_desk: None,
                    hold_ms: 250,
                },
                lanes: vec![
                    LaneRules {
                        channel: Some(ChannelId(9)),
                        class: Some(2),
                        weight: 5,
                    },
                    LaneRules {
                        channel: None,
                        class: None,
                        weight: 1,
                    },
                ],
            },
            phase: RoomPhase::Open,
            is_paused: true,
            is_closed: false,
            beacon: Some([6; 32]),
            lobby_len: 4,
            visitors: (0..)
                .zip(phases)
                .map(|(n, phase)| visitor(n, phase))
                .collect(),
            credits: vec![-7, i64::MAX],
            removals: vec![removal(4, Reason::Left), removal(5, Reason::Rule(u32::MAX))],
            released: vec![3, 1, 2],
            passes: vec![PassState {
                number: 1,
                ends_ms: u64::MAX,
                spent: 3,
            }],
            outside: vec![OutsideState {
                partner: PartnerId(1),
                visitor: VisitorId(1 << 90),
                ends_ms: 9,
                taken: 2,
            }],
        }
    }

    #[test]
    fn a_room_comes_back_as_it_went() {
        let state = state();
        assert_eq!(from_proto(&to_proto(&state)), Some(state.clone()));
        let other = RoomState {
            phase: RoomPhase::AwaitsBeacon,
            is_paused: false,
            is_closed: true,
            beacon: None,
            ..state
        };
        assert_eq!(from_proto(&to_proto(&other)), Some(other));
    }

    #[test]
    fn what_is_no_room_is_refused() {
        let good = to_proto(&state());
        let refused = |change: &dyn Fn(&mut log::RoomContents)| {
            let mut room = good.clone();
            change(&mut room);
            assert_eq!(from_proto(&room), None);
        };
        refused(&|room| room.plan = None);
        refused(&|room| room.phase = 3);
        refused(&|room| room.beacon = vec![1; 31].into());
        refused(&|room| room.visitors.truncate(room.visitors.len() - 1));
        refused(&|room| room.released.truncate(3));
        refused(&|room| room.passes.truncate(1));
        refused(&|room| room.outside.truncate(1));
        let plan = |change: &dyn Fn(&mut log::RoomPlan)| {
            refused(&|room| change(room.plan.as_mut().expect("a plan")));
        };
        plan(&|plan| plan.seed.truncate(31));
        plan(&|plan| plan.pass_tickets = 65_536);
        plan(&|plan| plan.lanes[0].channel = Some(65_536));
        plan(&|plan| plan.lanes[0].class = Some(256));
        plan(&|plan| plan.ceilings = None);
        plan(&|plan| plan.lanes[0].weight = 65_536);
    }
}
