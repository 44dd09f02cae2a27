//! Packets that do not arrive, or arrive late, twice, slowly or out of sequence.

use std::time::Duration;

use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use super::{Active, Stage};
use crate::procs::Trouble;
use crate::procs::fault::Kind;
use crate::procs::relay::Twist;

const KBIT: u32 = 400;
const QUEUE: Duration = Duration::from_millis(400);

impl Stage {
    pub(super) fn filter(&mut self, active: &Active) -> Result<(), Trouble> {
        let nodes = &active.nodes;
        if active.kind == Kind::ClientsCutOff {
            return self.cut_clients(nodes[0]);
        }
        let cuts = self.cuts(active)?;
        let percent = self.rng.random_range(5..=20);
        let network = self.cluster.network()?;
        match active.kind {
            Kind::ConnectionsReset => return network.reset(nodes[0]),
            Kind::PacketLoss => {
                return nodes.iter().try_for_each(|at| network.lose(*at, percent));
            }
            _ => {}
        }
        cuts.into_iter()
            .try_for_each(|(from, to)| network.cut(from, to))
    }

    /// The directions in which nothing passes.
    fn cuts(&mut self, active: &Active) -> Result<Vec<(usize, usize)>, Trouble> {
        let mut nodes = active.nodes.clone();
        nodes.shuffle(&mut self.rng);
        let count = nodes.len();
        let reaches: Box<dyn Fn(usize, usize) -> bool> = match active.kind {
            // The leader is with the few as often as with the many.
            Kind::PartitionHalves => Box::new(move |a, b| (a < count / 2) == (b < count / 2)),
            Kind::PartitionRing => {
                Box::new(move |a, b| (a + 1) % count == b || (b + 1) % count == a)
            }
            // One node reaches all, and is the only way from one side to the other.
            Kind::PartitionBridge => {
                Box::new(move |a, b| a == 0 || b == 0 || (a <= count / 2) == (b <= count / 2))
            }
            Kind::LeaderIsolated | Kind::PartitionOneWay => {
                return Ok(self.cuts_of_one(active));
            }
            _ => return Ok(Vec::new()),
        };
        let mut cuts = Vec::new();
        for (a, from) in nodes.iter().enumerate() {
            for (b, to) in nodes.iter().enumerate() {
                if a != b && !reaches(a, b) {
                    cuts.push((*from, *to));
                }
            }
        }
        Ok(cuts)
    }

    fn cuts_of_one(&mut self, active: &Active) -> Vec<(usize, usize)> {
        let one = active.nodes[0];
        let others: Vec<usize> = self.cluster.running();
        let others = others.into_iter().filter(|at| *at != one);
        let (mute, deaf) = match active.kind {
            Kind::LeaderIsolated => (true, true),
            _ if self.rng.random_bool(0.5) => (true, false),
            _ => (false, true),
        };
        let mut cuts = Vec::new();
        for other in others {
            if mute {
                cuts.push((one, other));
            }
            if deaf {
                cuts.push((other, one));
            }
        }
        cuts
    }

    fn cut_clients(&mut self, at: usize) -> Result<(), Trouble> {
        match (&mut self.cluster.network, &self.cluster.nodes[at].proxy) {
            (Some(network), _) => network.cut_clients(at),
            (None, Some(proxy)) => {
                proxy.shut();
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// It happened if packets met a rule.
    pub(super) fn unfilter(&mut self, active: &Active) -> Result<u64, Trouble> {
        if let Some(proxy) = &self.cluster.nodes[active.nodes[0]].proxy {
            return Ok(proxy.open().min(1));
        }
        let all: Vec<usize> = (0..self.cluster.nodes.len()).collect();
        let met = self.cluster.network()?.open(&all)?;
        Ok(met.min(1))
    }

    pub(super) fn twist(&mut self, active: &Active) -> Result<(), Trouble> {
        let seed = self.rng.random();
        let late = Duration::from_millis(self.rng.random_range(5..=20));
        let twist = match active.kind {
            Kind::Delay => Twist {
                delay: late,
                jitter: late / 2,
                ..Twist::default()
            },
            Kind::Duplicate => Twist {
                duplicated: 30,
                ..Twist::default()
            },
            _ => Twist {
                delay: late / 4,
                overtaking: 20,
                ..Twist::default()
            },
        };
        self.cluster.network()?.twist(active.nodes[0], twist, seed)
    }

    pub(super) fn untwist(&mut self, active: &Active) -> Result<u64, Trouble> {
        let tally = self.cluster.network()?.untwist(active.nodes[0])?;
        let frames = match active.kind {
            Kind::Delay => tally.delayed,
            Kind::Duplicate => tally.duplicated,
            _ => tally.overtook,
        };
        Ok(frames.min(1))
    }

    pub(super) fn shape(&mut self, active: &Active) -> Result<(), Trouble> {
        self.cluster.network()?.shape(active.nodes[0], KBIT, QUEUE)
    }

    pub(super) fn unshape(&mut self, active: &Active) -> Result<u64, Trouble> {
        let met = self.cluster.network()?.unshape(active.nodes[0])?;
        Ok(met.min(1))
    }
}
