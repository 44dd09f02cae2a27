//! Brings a cluster up to the moment partners may buy: nodes ready, a partner with a key, sales
//! created in their groups and open, or behind a waiting room that opens them.

pub mod room;

pub use room::CLUB;

use std::sync::Arc;
use std::time::Duration;

use actors::calls::{Answers, Calls};
use actors::codec::answer::{Answer, decode};
use actors::codec::record;
use bytes::Bytes;
use cluster::types::GroupId;
use domain::command::{Command, Request};
use domain::ids::{ChannelId, IdempotencyKey, PartnerId, SaleId};
use domain::rejection::Rejection;
use domain::rules::SaleRules;
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};
use onsale::access::key::{self, NewKey};
use proto::log::v1 as log;
use proto::log::v1::map_change::Change;
use tokio::sync::mpsc;

use super::computer::Hands;
use super::plan::Plan;
use super::shop;
use super::shop::wires::Bearers;
use super::world::World;

const LIMIT: Duration = Duration::from_secs(30);
/// One step of it, on one node.
const STEP_LIMIT: Duration = Duration::from_secs(8);
/// Who asks first.
const FIRST: u64 = 1;
/// Keys of the setup, apart from the buyers'.
const KEYS: u64 = 1 << 40;

/// Returns the partners' keys.
pub fn set_up(world: &mut World, plan: &Arc<Plan>) -> Result<Bearers, String> {
    for id in 1..=plan.nodes {
        world.add(id);
    }
    let groups = plan.sale_groups as usize;
    let ready = world.run_until(LIMIT, |world| {
        let ids = world.up();
        ids.iter().all(|id| {
            let hands = world.hands(*id);
            hands.is_some_and(|hands| {
                hands.cluster.ready() && hands.cluster.map().groups.len() == groups
            })
        })
    })?;
    if !ready {
        return Err("the cluster does not come up".into());
    }
    let shop = key::make([7; 36]);
    let mut bearers = Bearers {
        shop: shop.text.clone(),
        club: String::new(),
    };
    for change in partner(room::SHOP, "web shop", shop) {
        change_map(world, change)?;
    }
    if plan.rooms > 0 {
        let club = key::make([9; 36]);
        bearers.club = club.text.clone();
        for change in partner(room::CLUB, "club", club) {
            change_map(world, change)?;
        }
        change_map(world, room::pass_key(plan.seed, world.now.ms()))?;
    }
    for sale in plan.sale_ids() {
        create(world, plan, sale, plan.group_of(sale))?;
    }
    Ok(bearers)
}

/// Each partner has a channel with its own number.
fn partner(number: u16, name: &str, made: NewKey) -> [Change; 2] {
    let partner_id = u32::from(number);
    let partner = Change::PutPartner(log::PutPartner {
        partner_id,
        name: name.into(),
        channel: number.into(),
    });
    let key = Change::PutKey(log::PutKey {
        key_id: made.key_id,
        partner_id,
        salt: made.salt.into(),
        hash: made.hash.into(),
        operator: false,
    });
    [partner, key]
}

/// Has the map changed; tried again until it is.
fn change_map(world: &mut World, change: Change) -> Result<(), String> {
    repeat(world, "the map is changed", |world| {
        let change = change.clone();
        world.answer(FIRST, STEP_LIMIT, |hands| async move {
            hands.cluster.change_map(change).await.is_ok()
        })
    })
}

fn create(world: &mut World, plan: &Arc<Plan>, sale: u64, group: GroupId) -> Result<(), String> {
    change_map(
        world,
        Change::ReserveSale(log::ReserveSale {
            sale_id: sale,
            group_id: group,
            name: format!("event {sale}"),
            ..log::ReserveSale::default()
        }),
    )?;
    for trust in room::trusts(plan, sale) {
        change_map(world, trust)?;
    }
    repeat(world, "the sale is created", |world| {
        let hands = world.hands(FIRST);
        let Some(leader) = hands.and_then(|hands| hands.cluster.leader(group)) else {
            return Ok(None);
        };
        let plan = plan.clone();
        world.answer(leader, STEP_LIMIT, move |hands| async move {
            create_here(&hands, &plan, sale, group).await
        })
    })?;
    change_map(
        world,
        Change::SetSaleState(log::SetSaleState {
            sale_id: sale,
            state: log::SaleState::Opened.into(),
        }),
    )?;
    if plan.room_ids().any(|id| id == sale) {
        return room::arm(world, plan, sale);
    }
    repeat(world, "the sale is open", |world| {
        world.answer(FIRST, STEP_LIMIT, move |hands| async move {
            is_done(&hands, sale, Command::OpenSale).await
        })
    })
}

async fn create_here(hands: &Hands, plan: &Plan, sale: u64, group: GroupId) -> bool {
    let Some(group) = hands.cluster.group(group) else {
        return false;
    };
    let venue = venue(plan.rows, plan.standing());
    let rules = SaleRules::default();
    let layout = Bytes::from_static(b"no layout");
    let created = hands.sales.create(
        group.as_ref(),
        SaleId(sale),
        layout,
        &venue,
        &rules,
        plan.seed,
    );
    created.await.is_ok()
}

/// What became of an organiser's command.
#[derive(Clone, Copy, Debug)]
pub enum Decided {
    Done { log_index: u64 },
    Rejected(Rejection),
}

/// An organiser's command, which may be tried again under the same key; `None`: it may have happened.
pub async fn decide(hands: &Hands, sale: u64, key: u128, command: Command<'_>) -> Option<Decided> {
    struct Told(mpsc::Sender<Bytes>);
    impl Answers for Told {
        fn answer(&self, packed: Bytes, _: u32) {
            // Nobody waits any more.
            self.0.try_send(packed).ok();
        }
    }
    let request = Request {
        partner: PartnerId(0),
        channel: ChannelId(0),
        key: IdempotencyKey(key),
        hash: 0,
        command,
    };
    let mut records = Vec::new();
    record::encode(&request, &mut records).ok()?;
    let (told, mut answer) = mpsc::channel(1);
    let calls = Calls {
        records: records.into(),
        call_ids: [0].into_iter().collect(),
        deadline: tokio::time::Instant::now() + Duration::from_secs(5),
        answers: Arc::new(Told(told)),
        trace: None,
    };
    hands.gateway.submit(SaleId(sale), calls);
    let packed = answer.recv().await?;
    match decode(&packed).next()?.1 {
        Answer::Done { log_index, .. } => Some(Decided::Done { log_index }),
        Answer::Rejected { rejection, .. } => Some(Decided::Rejected(rejection)),
        Answer::Failed { .. } | Answer::Unknown => None,
    }
}

/// A command of the setup, of which each sale gets one.
async fn is_done(hands: &Hands, sale: u64, command: Command<'_>) -> bool {
    let decided = decide(hands, sale, shop::key(0, KEYS + sale), command).await;
    matches!(decided, Some(Decided::Done { .. }))
}

fn repeat(
    world: &mut World,
    what: &str,
    mut attempt: impl FnMut(&mut World) -> Result<Option<bool>, String>,
) -> Result<(), String> {
    for _ in 0..20 {
        if attempt(world)? == Some(true) {
            return Ok(());
        }
        world.run_for(Duration::from_millis(200))?;
    }
    Err(format!("not reached: {what}"))
}

fn venue(rows: usize, standing: u32) -> Venue {
    let row = |row: i32| RowPlan {
        seats: (0..10)
            .map(|seat| SeatPlan {
                x: seat * 10,
                y: row * 10,
                category: 0,
                attributes: Attributes::default(),
                aisle_after: seat == 9,
            })
            .collect(),
    };
    Venue {
        sections: vec![
            SectionPlan::Seated {
                focal_x: 45,
                focal_y: 0,
                rows: (0..rows as i32).map(row).collect(),
            },
            SectionPlan::General {
                capacity: standing,
                category: 0,
            },
        ],
    }
}
