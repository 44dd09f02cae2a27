//! Faults of links: partitions of several shapes, links that hold everything, loss and delay.

use std::time::Duration;

use rand::RngExt as _;

use super::{Active, Nemesis, Undo};
use crate::sim::computer::name;
use crate::sim::fault::Kind;
use crate::sim::links::Damage;
use crate::sim::world::{SHOP, World};

type Pairs = Vec<(String, String)>;

impl Nemesis {
    pub(super) fn harm_network(&mut self, world: &mut World, kind: Kind) -> Option<String> {
        let mut nodes: Vec<String> = world.computers.keys().map(|id| name(*id)).collect();
        self.shuffle(&mut nodes);
        let damage = match kind {
            Kind::PartitionHalves => {
                let first = self.rng.random_range(1..nodes.len());
                let (one, other) = nodes.split_at(first);
                Damage::Cut(between(one, other))
            }
            Kind::PartitionRing => {
                // Each sees its two neighbours; with three there is no ring, so a line.
                let count = nodes.len();
                let mut cut = Vec::new();
                for a in 0..count {
                    for b in a + 1..count {
                        let apart = (b - a).min(count - (b - a));
                        if apart > 1 || (count == 3 && (a, b) == (0, 2)) {
                            cut.extend(both(&nodes[a], &nodes[b]));
                        }
                    }
                }
                Damage::Cut(cut)
            }
            Kind::PartitionBridge => {
                let (bridge, rest) = nodes.split_first()?;
                let (one, other) = rest.split_at(rest.len() / 2);
                if bridge.is_empty() || one.is_empty() {
                    return None;
                }
                Damage::Cut(between(one, other))
            }
            Kind::PartitionOneWay => {
                let (deaf, others) = nodes.split_first()?;
                let to = others.iter().map(|other| (other.clone(), deaf.clone()));
                let from = others.iter().map(|other| (deaf.clone(), other.clone()));
                if self.rng.random_bool(0.5) {
                    Damage::Cut(to.collect())
                } else {
                    Damage::Cut(from.collect())
                }
            }
            Kind::LeaderInMinority => {
                let leader = name(self.any_leader(world)?);
                nodes.retain(|node| *node != leader);
                // Partners still reach it.
                Damage::Cut(between(&[leader], &nodes))
            }
            Kind::ClientsCutOff => {
                let first = self.rng.random_range(1..=nodes.len());
                Damage::Cut(between(&[SHOP.to_owned()], &nodes[..first]))
            }
            Kind::LinksHeld => {
                let (held, others) = nodes.split_first()?;
                let mut pairs = between(std::slice::from_ref(held), others);
                pairs.extend(both(held, SHOP));
                Damage::Hold(pairs)
            }
            Kind::SwizzleClog => return self.swizzle(world, &nodes),
            Kind::MessageLoss => {
                let rate = self.rng.random_range(0.0005..0.01);
                world.sim.set_fail_rate(rate);
                self.for_a_while(world, Undo::Loss, 500..6_000);
                return Some(format!("{rate:.4} of messages"));
            }
            Kind::Delay => {
                let times = world.plan().times;
                let most_ms = self.rng.random_range(30..=times.election_max);
                let most = Duration::from_millis(most_ms);
                world.sim.set_max_message_latency(most);
                self.for_a_while(world, Undo::Delay, 500..6_000);
                return Some(format!("up to {most_ms} ms"));
            }
            _ => return None,
        };
        let what = format!("{damage:?}");
        let fault = world.damage(damage);
        self.for_a_while(world, Undo::Links(fault), 300..8_000);
        Some(what)
    }

    /// Links stop one after the other and come back in another sequence.
    fn swizzle(&mut self, world: &mut World, nodes: &[String]) -> Option<String> {
        let (clogged, others) = nodes.split_first()?;
        for other in others {
            let fault = world.damage(Damage::Hold(both(clogged, other)));
            let ends = world.elapsed() + Duration::from_millis(self.rng.random_range(300..6_000));
            let undo = Undo::Links(fault);
            self.active.push(Active { ends, undo });
        }
        Some(clogged.clone())
    }
}

fn both(a: &str, b: &str) -> Pairs {
    vec![(a.into(), b.into()), (b.into(), a.into())]
}

fn between(some: &[String], others: &[String]) -> Pairs {
    let pairs = some.iter().flat_map(|a| others.iter().map(move |b| (a, b)));
    pairs.flat_map(|(a, b)| both(a, b)).collect()
}
