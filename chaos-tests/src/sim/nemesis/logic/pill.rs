//! A sale that is given a pill, until it is frozen everywhere, released and no copy of the pill is on its
//! way any more.

use std::fmt;
use std::time::Duration;

use actors::sale::Frost;
use cluster::group::Proposed;
use cluster::types::NodeId;
use domain::ids::{IdempotencyKey, SaleId};
use rand::RngExt as _;

use super::{AGAIN, Asked, Decided, Nemesis, PATIENCE, PROBES};
use crate::sim::computer::Hands;
use crate::sim::fault::{Kind, PILL};
use crate::sim::shop::key;
use crate::sim::world::World;

/// Between two looks at a frozen sale's replicas.
const LOOK_EVERY: Duration = Duration::from_millis(150);

pub struct Pill {
    stage: Stage,
    step: Step,
    /// A copy may be on its way for as long as a call is tried.
    last_given: Duration,
    /// Given when all was well, and since then nothing else struck.
    pub(super) is_alone: bool,
    /// Another sale, and whether it answers while this one is frozen.
    probe: Option<(u64, Asked<Option<Decided>>)>,
}

enum Stage {
    Given,
    Frozen { until: Duration },
    Released,
}

enum Step {
    Rest(Duration),
    Give(Asked<Option<Decided>>),
    Release(Asked<Option<Proposed>>),
    Look(Look),
}

/// At all replicas that are up.
struct Look {
    asked: Vec<(NodeId, Asked<Option<Seen>>)>,
    seen: Vec<(NodeId, Seen)>,
}

struct Seen {
    applied_index: u64,
    frost: Option<Frost>,
}

impl fmt::Display for Pill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stage {
            Stage::Given => write!(f, "it was given a pill and is not frozen yet"),
            Stage::Frozen { .. } => write!(f, "it is to be released"),
            Stage::Released => write!(f, "its release is awaited"),
        }
    }
}

impl Nemesis {
    pub(super) fn give_pill(&mut self, world: &World) -> Option<String> {
        let sales: Vec<u64> = self.plan.sale_ids().collect();
        let sale = self.any(&sales)?;
        if self.logic.pills.contains_key(&sale) {
            return None;
        }
        let is_alone = self.is_quiet(world);
        let pill = Pill {
            stage: Stage::Given,
            step: Step::Rest(Duration::ZERO),
            last_given: world.elapsed(),
            is_alone,
            probe: None,
        };
        self.logic.pills.insert(sale, pill);
        self.logic.given.insert(sale);
        Some(format!("to sale {sale}"))
    }

    /// After healing: whoever was cut off with one may have brought it back.
    pub(super) fn look_for_late_pills(&mut self, world: &World) {
        for sale in self.logic.given.clone() {
            let pill = self.logic.pills.entry(sale).or_insert(Pill {
                stage: Stage::Released,
                step: Step::Rest(Duration::ZERO),
                last_given: world.elapsed(),
                is_alone: false,
                probe: None,
            });
            pill.last_given = world.elapsed();
        }
    }

    pub(super) fn tend_pills(&mut self, world: &World) {
        for (sale, pill) in std::mem::take(&mut self.logic.pills) {
            if let Some(pill) = self.tend_pill(world, sale, pill) {
                self.logic.pills.insert(sale, pill);
            }
        }
    }

    fn tend_pill(&mut self, world: &World, sale: u64, mut pill: Pill) -> Option<Pill> {
        self.see_probe(world, sale, &mut pill);
        let now = world.elapsed();
        match &mut pill.step {
            Step::Rest(until) if *until > now => {}
            Step::Rest(_) => pill.step = self.next_step(world, sale, &mut pill),
            Step::Give(asked) => {
                if asked.told(world).is_some() {
                    pill.step = look(world, sale);
                }
            }
            Step::Release(asked) => {
                if let Some(told) = asked.told(world) {
                    // Answered, and be it that there is no such sale: nothing more can come of it.
                    let is_certain = told.is_some_and(|told| told != Some(Proposed::Unknown));
                    self.logic.is_uncertain |= !is_certain;
                    pill.step = Step::Rest(now + AGAIN);
                }
            }
            Step::Look(look) => {
                if look.is_over(world) {
                    let seen = std::mem::take(&mut look.seen);
                    return self.judge(world, sale, pill, &seen);
                }
            }
        }
        Some(pill)
    }

    fn next_step(&mut self, world: &World, sale: u64, pill: &mut Pill) -> Step {
        if !matches!(pill.stage, Stage::Given) {
            return look(world, sale);
        }
        let now = world.elapsed();
        match self.ask_for_nothing(world, sale, PILL) {
            Some(asked) => {
                pill.last_given = now;
                Step::Give(asked)
            }
            None => Step::Rest(now + AGAIN),
        }
    }

    /// What comes after all were looked at.
    fn judge(
        &mut self,
        world: &World,
        sale: u64,
        mut pill: Pill,
        seen: &[(NodeId, Seen)],
    ) -> Option<Pill> {
        let now = world.elapsed();
        let is_healing = self.logic.is_healing;
        let frozen = seen.iter().any(|(_, seen)| seen.frost.is_some());
        pill.step = Step::Rest(now + LOOK_EVERY);
        match pill.stage {
            Stage::Given if frozen => {
                self.counts.add(Kind::PoisonPill, 1);
                let ms = self.rng.random_range(500..4_000);
                let until = now + Duration::from_millis(ms);
                pill.stage = Stage::Frozen { until };
                self.probe(world, sale, &mut pill);
                let event = format_args!("sale {sale} for {ms} ms");
                world.trace.event("fault", "frozen", event);
            }
            Stage::Given if is_healing => pill.stage = Stage::Released,
            Stage::Given => pill.step = Step::Rest(now + AGAIN),
            Stage::Frozen { until } => {
                if let Some(unlike) = unlike(seen).filter(|_| !self.logic.is_uncertain) {
                    self.violations
                        .push(format!("sale {sale} is not frozen alike: {unlike}"));
                }
                if is_healing || until <= now && pill.probe.is_none() {
                    pill.is_alone = false;
                    pill.stage = Stage::Released;
                    pill.step = self.release(world, sale);
                }
            }
            Stage::Released if frozen => pill.step = self.release(world, sale),
            // Who comes back, or comes to lead, may bring one that nobody had heard of.
            Stage::Released if is_healing && !self.are_all_well(world) => pill.last_given = now,
            Stage::Released if pill.last_given + PATIENCE <= now => return None,
            Stage::Released => {}
        }
        Some(pill)
    }

    /// As an operator does: at the replica that leads.
    fn release(&mut self, world: &World, sale: u64) -> Step {
        let rest = Step::Rest(world.elapsed() + AGAIN);
        let leader = self.any_up(world).and_then(|node| {
            let hands = world.hands(node)?;
            hands.cluster.leader(self.plan.group_of(sale))
        });
        let Some(leader) = leader.filter(|leader| world.is_up(*leader)) else {
            return rest;
        };
        let event = format_args!("sale {sale} at n{leader}");
        world.trace.event("fault", "released", event);
        let asked = world.ask(leader, move |hands| async move {
            let handle = hands.sales.get(SaleId(sale))?;
            Some(hands.sales.release(&handle).await)
        });
        Step::Release(Asked::new(asked, world))
    }

    /// Where nothing else is wrong, another sale answers.
    fn probe(&mut self, world: &World, sale: u64, pill: &mut Pill) {
        let others = self.plan.sale_ids();
        let others: Vec<u64> = others.filter(|other| *other != sale).collect();
        if !std::mem::take(&mut pill.is_alone) {
            return;
        }
        let Some(other) = self.any(&others) else {
            return;
        };
        self.logic.probes += 1;
        let key = key(world.now.ms(), PROBES + self.logic.probes);
        let asked = self.ask_for_nothing(world, other, IdempotencyKey(key));
        pill.is_alone = asked.is_some();
        pill.probe = asked.map(|asked| (other, asked));
    }

    fn see_probe(&mut self, world: &World, sale: u64, pill: &mut Pill) {
        let Some((other, asked)) = &mut pill.probe else {
            return;
        };
        let Some(told) = asked.told(world) else {
            return;
        };
        if told.flatten().is_none() && !self.logic.is_healing {
            self.violations.push(format!(
                "sale {other} does not answer while sale {sale} is frozen and nothing else is wrong"
            ));
        }
        pill.probe = None;
        pill.is_alone = false;
    }
}

impl Look {
    fn is_over(&mut self, world: &World) -> bool {
        let seen = &mut self.seen;
        self.asked
            .retain_mut(|(node, asked)| match asked.told(world) {
                None => true,
                Some(told) => {
                    seen.extend(told.flatten().map(|replica| (*node, replica)));
                    false
                }
            });
        self.asked.is_empty()
    }
}

fn look(world: &World, sale: u64) -> Step {
    let asked = world.up().into_iter().map(|node| {
        let seen = world.ask(node, move |hands| see(hands, SaleId(sale)));
        (node, Asked::new(seen, world))
    });
    Step::Look(Look {
        asked: asked.collect(),
        seen: Vec::new(),
    })
}

async fn see(hands: Hands, sale: SaleId) -> Option<Seen> {
    let summary = hands.sales.get(sale)?.summary().await.ok()?;
    Some(Seen {
        applied_index: summary.applied_index,
        frost: summary.frozen,
    })
}

/// Which replica is as far as the one that froze last, and is not frozen as it is.
fn unlike(seen: &[(NodeId, Seen)]) -> Option<String> {
    let frosts = seen.iter().filter_map(|(_, seen)| seen.frost.as_ref());
    let last = frosts.max_by_key(|frost| frost.log_index)?;
    let mut as_far = seen
        .iter()
        .filter(|(_, seen)| seen.applied_index >= last.log_index);
    let (node, other) = as_far.find(|(_, seen)| seen.frost.as_ref() != Some(last))?;
    let (index, frost) = (other.applied_index, &other.frost);
    Some(format!(
        "n{node} is at {index} and says {frost:?}, another says {last:?}"
    ))
}
