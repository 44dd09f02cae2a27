//! Waiting rooms as an operator arms them, and the key that signs passes, all drawn from the seed.

use std::sync::Arc;

use cluster::map::PassKey as StoredKey;
use domain::command::Command;
use domain::ids::ChannelId;
use domain::room::pace::Ceilings;
use domain::room::shuffle::Seed;
use domain::room::{LaneRules, Plan as RoomPlan};
use onsale::access::pass::PassKey;
use proto::log::v1 as log;
use proto::log::v1::map_change::Change;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{FIRST, STEP_LIMIT, is_done, repeat};
use crate::sim::computer::BEGIN_MS;
use crate::sim::plan::Plan;
use crate::sim::shop::admission::PARTY_MAX;
use crate::sim::world::World;

/// Where there is a lane of those who come like bots, it is the first.
pub const SLOW_LANE: u8 = 0;
/// The partner that sells, and its channel.
pub const SHOP: u16 = 1;
/// The partner that only brings visitors, and its channel.
pub const CLUB: u16 = 2;
const SEED: u64 = 0x726f_6f6d_7300_0001;

/// The class of those who come like bots.
pub const SLOW_CLASS: u8 = 255;

/// A key of its own for each seed.
pub fn pass_key(seed: u64, now_ms: u64) -> Change {
    let mut rng = StdRng::seed_from_u64(seed ^ SEED);
    put(PassKey::new(rng.random(), BEGIN_MS + now_ms))
}

/// The key that comes after it.
pub fn second_pass_key(seed: u64, made_at_ms: u64) -> PassKey {
    let mut rng = StdRng::seed_from_u64(seed ^ SEED ^ 1);
    PassKey::new(rng.random(), BEGIN_MS + made_at_ms)
}

/// The change that makes a key known.
pub fn put(key: PassKey) -> Change {
    let PassKey {
        key_id,
        secret,
        public,
        made_at_ms,
    } = key;
    let key = StoredKey {
        key_id,
        secret,
        public,
        made_at_ms,
    };
    Change::PutPassKey(key.put())
}

/// Keys with which partners sign what is taken at a sale.
#[derive(Clone, Default)]
pub struct PartnerKeys {
    /// The shop runs a room of its own besides: its tokens are passes.
    pub own_room: Option<PassKey>,
    /// The club's visitors join with tokens only.
    pub enqueue: Option<PassKey>,
}

impl PartnerKeys {
    pub fn draw(plan: &Plan, sale: u64) -> PartnerKeys {
        if !plan.operators || !plan.room_ids().any(|id| id == sale) {
            return PartnerKeys::default();
        }
        let mut rng = StdRng::seed_from_u64(plan.seed ^ SEED ^ sale << 16);
        let mut key = || PassKey::new(rng.random(), BEGIN_MS);
        let keys = [key(), key()];
        let [own_room, enqueue] = keys.map(|key| (rng.random_bool(0.5), key));
        PartnerKeys {
            // Who hoards comes with its tokens.
            own_room: (own_room.0 || plan.is_wary()).then_some(own_room.1),
            enqueue: enqueue.0.then_some(enqueue.1),
        }
    }
}

/// What of it an operator trusts.
pub fn trusts(plan: &Plan, sale: u64) -> impl Iterator<Item = Change> {
    let PartnerKeys { own_room, enqueue } = PartnerKeys::draw(plan, sale);
    let trusts = [
        (own_room, SHOP, log::TrustPurpose::Room),
        (enqueue, CLUB, log::TrustPurpose::Enqueue),
    ];
    trusts
        .into_iter()
        .filter_map(move |(key, partner, purpose)| {
            Some(Change::PutTrust(log::PutTrust {
                sale_id: sale,
                partner_id: partner.into(),
                public_key: key?.public.to_vec().into(),
                purpose: purpose.into(),
            }))
        })
}

/// Visitors may come at once or soon, and are let in while faults strike.
pub fn arm(world: &mut World, plan: &Arc<Plan>, sale: u64) -> Result<(), String> {
    let mut room = draw(plan, sale);
    let now_ms = BEGIN_MS + world.now.ms();
    room.lobby_at_ms += now_ms;
    room.open_at_ms += now_ms;
    repeat(world, "the room is armed", |world| {
        let room = room.clone();
        world.answer(FIRST, STEP_LIMIT, move |hands| async move {
            is_done(&hands, sale, Command::OpenRoom(Box::new(room))).await
        })
    })
}

/// The room of a sale; its times count from when it is armed.
pub fn draw(plan: &Plan, sale: u64) -> RoomPlan {
    let mut rng = StdRng::seed_from_u64(plan.seed ^ SEED ^ sale << 8);
    let lobby_at_ms = rng.random_range(0..2_000);
    let gathers_ms = rng.random_range(2_000..=plan.safety.as_millis() as u64 / 2);
    let mut room = RoomPlan {
        lobby_at_ms,
        open_at_ms: lobby_at_ms + gathers_ms,
        seed: Seed(rng.random()),
        waits_for_beacon: false,
        pass_life_ms: rng.random_range(2_000..=15_000),
        pass_tickets: rng.random_range(PARTY_MAX..=6),
        ceilings: ceilings(&mut rng),
        lanes: lanes(&mut rng),
    };
    // Somebody has to make it known.
    room.waits_for_beacon = plan.operators && rng.random_bool(0.4);
    if plan.is_wary() {
        let slow = LaneRules {
            channel: None,
            class: Some(SLOW_CLASS),
            weight: 1,
        };
        room.lanes.insert(0, slow);
    }
    room
}

fn ceilings(rng: &mut StdRng) -> Ceilings {
    Ceilings {
        per_minute: rng.random_bool(0.3).then(|| rng.random_range(30..=600)),
        at_the_desk: rng.random_bool(0.3).then(|| rng.random_range(1..=10)),
        ..Ceilings::default()
    }
}

/// One for all, one for the club before it, or one for members.
fn lanes(rng: &mut StdRng) -> Vec<LaneRules> {
    let lane = |channel, class, weight| LaneRules {
        channel,
        class,
        weight,
    };
    let first = match rng.random_range(0..3) {
        0 => None,
        1 => Some(lane(Some(ChannelId(CLUB)), None, 2)),
        _ => Some(lane(None, Some(1), 3)),
    };
    first.into_iter().chain([lane(None, None, 1)]).collect()
}
