//! A node that passes a command over: until its replica is found out and stopped, its memory is replaced, and
//! the replica is rebuilt and whole again.

use std::fmt;
use std::time::Duration;

use cluster::Standing;
use cluster::types::{GroupId, NodeId};
use domain::ids::SaleId;
use rand::RngExt as _;

use super::{AGAIN, Asked, Decided, Nemesis};
use crate::sim::fault::{Kind, odd_key};
use crate::sim::world::World;

/// A replica that differs is found out within this, beyond an election, where nothing else is wrong:
/// a few turns of the gossip after the next digest.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

pub struct Odd {
    node: NodeId,
    sale: u64,
    group: GroupId,
    stage: Stage,
}

enum Stage {
    /// The command is tried until it is decided.
    Given {
        asked: Option<Asked<Option<Decided>>>,
        again: Duration,
    },
    /// The replica differs, or will as soon as it is as far.
    Hidden { limit: Duration },
    /// It was found out, and is left so until then.
    Stopped { until: Duration },
    /// Asked for until it is so: a process that is started anew has forgotten that it was.
    Rebuilding {
        asked: Option<Asked<bool>>,
        again: Duration,
    },
}

impl Odd {
    pub fn is_hidden(&self) -> bool {
        matches!(self.stage, Stage::Given { .. } | Stage::Hidden { .. })
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Odd {
            node,
            sale,
            group,
            stage,
        } = self;
        let stage = match stage {
            Stage::Given { .. } => "its command is not decided",
            Stage::Hidden { .. } => "it is not found out",
            Stage::Stopped { .. } => "it is to be rebuilt",
            Stage::Rebuilding { .. } => "it is being rebuilt",
        };
        write!(f, "n{node} in group {group}, odd in sale {sale}: {stage}")
    }
}

impl Nemesis {
    /// Only where all is well and every replica is as far as the others: a leader that differs would
    /// hand its state on to who is far behind, and then nobody could tell who is right.
    pub(super) fn give_odd(&mut self, world: &World) -> Option<String> {
        if !self.is_quiet(world) {
            return None;
        }
        let mut nodes = world.up();
        nodes.retain(|node| !self.logic.passed_over.contains(node));
        let node = self.any(&nodes)?;
        let here = world.hands(node)?.sales.all();
        let at = self.rng.random_range(0..here.len().max(1));
        let handle = here.get(at)?;
        let (SaleId(sale), group) = (handle.id(), handle.group());
        self.logic.passed_over.insert(node);
        self.logic.odd = Some(Odd {
            node,
            sale,
            group,
            stage: Stage::Given {
                asked: None,
                again: Duration::ZERO,
            },
        });
        Some(format!("n{node} in sale {sale}"))
    }

    pub(super) fn tend_odd(&mut self, world: &mut World) {
        let Some(mut odd) = self.logic.odd.take() else {
            return;
        };
        let now = world.elapsed();
        let hands = world.hands(odd.node);
        let standing = hands.as_ref().and_then(|hands| {
            let standings = hands.cluster.standings();
            standings.get(&odd.group).copied()
        });
        let is_stopped = standing.is_some_and(Standing::is_stopped);
        let is_running = hands.is_some();
        let is_gone = hands
            .as_ref()
            .is_some_and(|hands| hands.cluster.group(odd.group).is_none());
        let is_whole = hands.is_some_and(|hands| {
            hands.sales.get(SaleId(odd.sale)).is_some() && hands.cluster.ready()
        });
        match &mut odd.stage {
            Stage::Given { asked: None, again } => {
                if *again <= now {
                    let key = odd_key(odd.node);
                    let asked = self.ask_for_nothing(world, odd.sale, key);
                    let again = now + AGAIN;
                    odd.stage = Stage::Given { asked, again };
                }
            }
            Stage::Given {
                asked: Some(asked), ..
            } => match asked.told(world) {
                None => {}
                Some(Some(Some(_))) => {
                    let limit = now + self.plan.election_limit() + NOTICED_WITHIN;
                    odd.stage = Stage::Hidden { limit };
                }
                Some(_) => {
                    let again = now + AGAIN;
                    odd.stage = Stage::Given { asked: None, again };
                }
            },
            Stage::Hidden { .. } if is_stopped && is_gone => {
                self.counts.add(Kind::ReplicaDiffers, 1);
                let ms = self.rng.random_range(300..6_000);
                let until = now + Duration::from_millis(ms);
                odd.stage = Stage::Stopped { until };
                let event = format_args!("{odd}, in {ms} ms");
                world.trace.event("fault", "found out", event);
            }
            Stage::Hidden { limit } if *limit <= now => {
                self.violations
                    .push(format!("a replica differs and nobody says so: {odd}"));
                return;
            }
            Stage::Hidden { .. } => {}
            Stage::Stopped { .. } if is_running && !is_stopped => {
                self.violations
                    .push(format!("a stopped replica was taken up again: {odd}"));
                return;
            }
            Stage::Stopped { until } => {
                if *until <= now || self.logic.is_healing {
                    // With the old memory it would differ again, where it comes to the command again.
                    world.computers[&odd.node].renew_memory();
                    let until = self.soon(world);
                    world.kill(odd.node, Some(until));
                    odd.stage = Stage::Rebuilding {
                        asked: None,
                        again: now,
                    };
                }
            }
            Stage::Rebuilding {
                asked: Some(asked), ..
            } => {
                if asked.told(world).is_some() {
                    let again = now + AGAIN;
                    odd.stage = Stage::Rebuilding { asked: None, again };
                }
            }
            Stage::Rebuilding { .. } if is_whole && !is_stopped => {
                let event = format_args!("{odd}: done");
                world.trace.event("fault", "rebuilt", event);
                return;
            }
            Stage::Rebuilding { asked: None, again } => {
                if *again <= now && standing == Some(Standing::Stopped) {
                    let group = odd.group;
                    let asked = world.ask(odd.node, move |hands| async move {
                        hands.cluster.rebuild(group).await.is_ok()
                    });
                    odd.stage = Stage::Rebuilding {
                        asked: Some(Asked::new(asked, world)),
                        again: now,
                    };
                }
            }
        }
        self.logic.odd = Some(odd);
    }
}
