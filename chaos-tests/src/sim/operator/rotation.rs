//! The change of the key that signs passes, once in a run, under whatever faults there are.

use std::time::Duration;

use onsale::access::pass::PassKey;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use super::{AGAIN, Kind, Operator, PATIENCE};
use crate::sim::plan::Plan;
use crate::sim::setup::room::{put, second_pass_key};
use crate::sim::world::World;

/// Drawn apart from all deeds.
const SEED: u64 = 0x726f_7461_7465_0000;

/// Tried until it is done.
pub(super) struct Rotation {
    at: Duration,
    /// Made when it is first tried.
    key: Option<PassKey>,
    asked: Option<Receiver<bool>>,
    patience: Duration,
    pub(super) is_done: bool,
}

impl Rotation {
    pub(super) fn of(plan: &Plan) -> Rotation {
        let mut rng = StdRng::seed_from_u64(plan.seed ^ SEED);
        let half_ms = plan.safety.as_millis() as u64 / 2;
        Rotation {
            at: Duration::from_millis(rng.random_range(1_000..half_ms)),
            key: None,
            asked: None,
            patience: Duration::ZERO,
            is_done: false,
        }
    }
}

impl Operator {
    /// The key that signs passes is followed by another, once, under whatever faults there are.
    pub(super) fn rotate(&mut self, world: &World) {
        let now = world.elapsed();
        let rotation = self.rotation.as_mut();
        let Some(rotation) = rotation.filter(|rotation| !rotation.is_done && rotation.at <= now)
        else {
            return;
        };
        if let Some(asked) = &mut rotation.asked {
            match asked.try_recv() {
                Ok(true) => {
                    rotation.is_done = true;
                    self.counts.add(Kind::RotateKey, 1);
                    let what = format_args!("the second key");
                    world.trace.event("desk", "is told", what);
                }
                Err(TryRecvError::Empty) if rotation.patience > now => {}
                Ok(false) | Err(_) => {
                    rotation.asked = None;
                    rotation.at = now + AGAIN;
                }
            }
            return;
        }
        let Some(node) = self.any_up(world) else {
            return;
        };
        let Some(rotation) = &mut self.rotation else {
            return;
        };
        let seed = world.plan().seed;
        let made = || second_pass_key(seed, world.now.ms());
        let change = put(rotation.key.get_or_insert_with(made).clone());
        rotation.patience = now + PATIENCE;
        rotation.asked = Some(world.ask(node, move |hands| async move {
            hands.cluster.change_map(change).await.is_ok()
        }));
    }
}
