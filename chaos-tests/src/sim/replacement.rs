//! An operator puts a new computer in the place of another: the new one joins and is promoted, the
//! old one is drained and, when it carries nothing any more, removed. Each step is tried until it
//! is done, through whichever node answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cluster::Cluster;
use cluster::types::NodeId;
use proto::log::v1::PutNode;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use super::plan::{Plan, partner_address, peer_address};
use super::world::World;

pub struct Replacement {
    pub old: NodeId,
    new: NodeId,
    stage: Stage,
    asked: Option<Receiver<Result<(), String>>>,
    /// When to ask again, and when to stop waiting for an answer.
    again: Duration,
    patience: Duration,
    last: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Add,
    Promote,
    Drain,
    Remove,
    SwitchOff,
}

const PAUSE: Duration = Duration::from_millis(500);

impl Replacement {
    pub fn new(old: NodeId, new: NodeId, plan: &Arc<Plan>) -> Replacement {
        Replacement {
            old,
            new,
            stage: Stage::Add,
            asked: None,
            again: Duration::ZERO,
            patience: plan.election_limit() * 2,
            last: "not asked yet".into(),
        }
    }

    /// Goes on; says whether the old one is out.
    pub fn advance(&mut self, world: &mut World, rng: &mut StdRng) -> bool {
        let now = world.elapsed();
        if let Some(asked) = &mut self.asked {
            match asked.try_recv() {
                Ok(Ok(())) => {
                    self.stage = self.stage.next();
                    self.asked = None;
                }
                Ok(Err(why)) => self.wait(now, why),
                Err(TryRecvError::Closed) => self.wait(now, "the node went away".into()),
                Err(TryRecvError::Empty) if self.again + self.patience < now => {
                    self.wait(now, "no answer".into());
                }
                Err(TryRecvError::Empty) => {}
            }
        }
        if self.stage == Stage::SwitchOff {
            // What was removed may go at once.
            world.leave_down(self.old);
            return true;
        }
        if self.asked.is_none() && self.again <= now {
            let (old, new) = (self.old, self.new);
            let others = world.up().into_iter().filter(|id| *id != old && *id != new);
            let others: Vec<NodeId> = others.collect();
            if others.is_empty() {
                return false;
            }
            let at = others[rng.random_range(0..others.len())];
            let stage = self.stage;
            self.again = now;
            self.asked = Some(world.ask(at, move |hands| async move {
                take(&hands.cluster, stage, old, new).await
            }));
        }
        false
    }

    fn wait(&mut self, now: Duration, why: String) {
        self.asked = None;
        self.again = now + PAUSE;
        self.last = why;
    }
}

impl fmt::Display for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Replacement {
            old,
            new,
            stage,
            last,
            ..
        } = self;
        write!(f, "n{new} for n{old}: {stage:?}: {last}")
    }
}

impl Stage {
    fn next(self) -> Stage {
        match self {
            Stage::Add => Stage::Promote,
            Stage::Promote => Stage::Drain,
            Stage::Drain => Stage::Remove,
            Stage::Remove | Stage::SwitchOff => Stage::SwitchOff,
        }
    }
}

async fn take(cluster: &Cluster, stage: Stage, old: NodeId, new: NodeId) -> Result<(), String> {
    let taken = match stage {
        Stage::Add => {
            let node = PutNode {
                node_id: new,
                peer_address: peer_address(new),
                partner_address: partner_address(new),
                ..PutNode::default()
            };
            cluster.add_node(node).await
        }
        Stage::Promote => cluster.promote(new).await,
        Stage::Drain => cluster.drain(old).await,
        // Removed already, by an attempt whose answer was lost.
        Stage::Remove if !cluster.map().nodes.contains_key(&old) => Ok(()),
        Stage::Remove => cluster.remove(old).await,
        Stage::SwitchOff => Ok(()),
    };
    taken.map_err(|failure| failure.to_string())
}
