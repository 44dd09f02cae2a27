//! The simulated world: computers on links, and time. Starts processes, takes them down, cuts the
//! power, and brings back whatever ended itself. Knows no fault by name and nothing of sales.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cluster::types::NodeId;
use futures::FutureExt as _;
use tokio::sync::oneshot;
use turmoil::Sim;

use super::computer::{BEGIN_MS, Computer, Hands, Now, name};
use super::links::{Damage, LinkFault, Links};
use super::node::Software;
use super::plan::Plan;
use super::trace::Trace;
use super::witness::Witness;

/// The partners' host.
pub const SHOP: &str = "shop";

/// A process that ended itself is started again after this.
const RESTART_AFTER: Duration = Duration::from_millis(700);

pub struct World {
    pub sim: Sim<'static>,
    pub trace: Trace,
    pub witness: Witness,
    pub computers: BTreeMap<NodeId, Arc<Computer>>,
    pub now: Now,
    plan: Arc<Plan>,
    links: Links,
    /// Computers that are switched off, and when they come back; `None` is not by themselves.
    down: BTreeMap<NodeId, Down>,
    /// Processes that ended themselves: who and why.
    pub ends: Vec<(NodeId, String)>,
}

struct Down {
    until: Option<Duration>,
    /// After a power cut the computer's links are cut until it is back.
    unplugged: Option<LinkFault>,
}

impl World {
    pub fn new(plan: &Arc<Plan>, trace: Trace) -> World {
        let mut builder = turmoil::Builder::new();
        builder
            .rng_seed(plan.seed)
            .epoch(std::time::UNIX_EPOCH + Duration::from_millis(BEGIN_MS))
            .tick_duration(plan.tick)
            .min_message_latency(plan.latency.0)
            .max_message_latency(plan.latency.1)
            .repair_rate(0.05)
            .tcp_capacity(1 << 16)
            .simulation_duration(Duration::from_secs(24 * 3600));
        if plan.random_order {
            builder.enable_random_order();
        }
        World {
            sim: builder.build(),
            trace,
            witness: Witness::default(),
            computers: BTreeMap::new(),
            now: Now::default(),
            plan: plan.clone(),
            links: Links::default(),
            down: BTreeMap::new(),
            ends: Vec::new(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }

    /// Puts a computer there and starts its process. One that is no founder waits to be added.
    pub fn add(&mut self, id: NodeId) {
        let computer = Computer::new(id, self.plan.seed, self.now.clone());
        computer.log_disk.set_faults(self.plan.disk.clone());
        computer.snapshot_disk.set_faults(self.plan.disk.clone());
        self.computers.insert(id, computer.clone());
        let software = Software {
            computer,
            settings: self.plan.settings(id),
            is_wary: self.plan.is_wary(),
            seed: self.plan.seed,
            trace: self.trace.clone(),
            witness: self.witness.clone(),
        };
        self.sim.host(name(id), move || software.clone().run());
    }

    /// One tick, then whatever must happen to processes.
    pub fn step(&mut self) -> Result<(), String> {
        self.trace.set_now(self.sim.elapsed());
        self.now.set(self.sim.elapsed().as_millis() as u64);
        self.sim.step().map_err(|error| error.to_string())?;
        let ended = self.computers.values().find_map(|computer| {
            let is_up = !self.down.contains_key(&computer.id);
            let why = if is_up { computer.ended() } else { None };
            Some((computer.id, why?))
        });
        if let Some((id, why)) = ended {
            self.ends.push((id, why));
            let until = self.sim.elapsed() + RESTART_AFTER;
            self.take_down(id, Some(until));
        }
        let back: Vec<NodeId> = self
            .down
            .iter()
            .filter(|(_, down)| down.until.is_some_and(|until| until <= self.sim.elapsed()))
            .map(|(id, _)| *id)
            .collect();
        for id in back {
            self.bring_back(id);
        }
        Ok(())
    }

    pub fn run_for(&mut self, duration: Duration) -> Result<(), String> {
        let until = self.sim.elapsed() + duration;
        while self.sim.elapsed() < until {
            self.step()?;
        }
        Ok(())
    }

    /// Steps until it is so; says whether it came to be in time.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut reached: impl FnMut(&mut World) -> bool,
    ) -> Result<bool, String> {
        let until = self.sim.elapsed() + limit;
        while self.sim.elapsed() < until {
            if reached(self) {
                return Ok(true);
            }
            self.step()?;
        }
        Ok(false)
    }

    pub fn is_up(&self, id: NodeId) -> bool {
        self.computers.contains_key(&id) && !self.down.contains_key(&id)
    }

    pub fn up(&self) -> Vec<NodeId> {
        let ids = self.computers.keys().copied();
        ids.filter(|id| self.is_up(*id)).collect()
    }

    pub fn hands(&self, id: NodeId) -> Option<Hands> {
        self.computers.get(&id)?.hands()
    }

    /// The process ends at once, the machine stays up: what was written is in its page cache.
    pub fn kill(&mut self, id: NodeId, until: Option<Duration>) {
        let computer = &self.computers[&id];
        computer.log_disk.kill();
        computer.snapshot_disk.kill();
        self.take_down(id, until);
    }

    /// No word leaves the computer any more, and what was not synced is lost or torn.
    pub fn cut_power(&mut self, id: NodeId, until: Option<Duration>) {
        let unplugged = self.isolate(id);
        self.take_down(id, until);
        let computer = &self.computers[&id];
        computer.log_disk.crash();
        computer.snapshot_disk.crash();
        if let Some(down) = self.down.get_mut(&id) {
            down.unplugged = Some(unplugged);
        }
    }

    fn take_down(&mut self, id: NodeId, until: Option<Duration>) {
        if let Some(down) = self.down.get_mut(&id) {
            // It is down already: it stays so for as long as the later one says.
            down.until = until.zip(down.until).map(|(a, b)| a.max(b));
            return;
        }
        // The world's own handles go first: what they hold belongs to the host.
        self.computers[&id].switched_off();
        self.sim.crash(name(id));
        self.trace.event(&name(id), "down", format_args!(""));
        let down = Down {
            until,
            unplugged: None,
        };
        self.down.insert(id, down);
    }

    /// Starts a process on a computer that is switched off.
    pub fn bring_back(&mut self, id: NodeId) {
        let Some(down) = self.down.remove(&id) else {
            return;
        };
        if let Some(unplugged) = down.unplugged {
            self.links.mend(&mut self.sim, unplugged);
        }
        self.sim.bounce(name(id));
    }

    /// The computer is switched off for good.
    pub fn leave_down(&mut self, id: NodeId) {
        self.take_down(id, None);
    }

    /// All that is down and may come back does so now.
    pub fn bring_all_back(&mut self) {
        let back: Vec<NodeId> = self
            .down
            .iter()
            .filter(|(_, down)| down.until.is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in back {
            self.bring_back(id);
        }
    }

    /// Names of all hosts, the shop's too.
    pub fn hosts(&self) -> Vec<String> {
        let ids = self.computers.keys().map(|id| name(*id));
        ids.chain([SHOP.to_owned()]).collect()
    }

    pub fn damage(&mut self, damage: Damage) -> LinkFault {
        self.links.damage(&mut self.sim, damage)
    }

    pub fn mend(&mut self, fault: LinkFault) {
        self.links.mend(&mut self.sim, fault);
    }

    fn isolate(&mut self, id: NodeId) -> LinkFault {
        let here = name(id);
        let others = self.hosts().into_iter().filter(|host| *host != here);
        let cut = others.flat_map(|host| [(here.clone(), host.clone()), (host, here.clone())]);
        let cut = Damage::Cut(cut.collect());
        self.damage(cut)
    }

    /// Has something done on a host. The receiver resolves when it is; it fails when the host ends
    /// first or no process runs.
    pub fn ask<T, F, Fut>(&self, id: NodeId, what: F) -> oneshot::Receiver<T>
    where
        T: Send + 'static,
        F: FnOnce(Hands) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let (done, answer) = oneshot::channel();
        if let Some(computer) = self.computers.get(&id) {
            computer.order(Box::new(move |hands| {
                async move {
                    // Who asked may have given up.
                    done.send(what(hands).await).ok();
                }
                .boxed()
            }));
        }
        answer
    }

    /// Asks and steps until the answer is there.
    pub fn answer<T, F, Fut>(
        &mut self,
        id: NodeId,
        limit: Duration,
        what: F,
    ) -> Result<Option<T>, String>
    where
        T: Send + 'static,
        F: FnOnce(Hands) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let mut answer = self.ask(id, what);
        let mut told = None;
        self.run_until(limit, |_| match answer.try_recv() {
            Ok(answered) => {
                told = Some(answered);
                true
            }
            Err(oneshot::error::TryRecvError::Closed) => true,
            Err(oneshot::error::TryRecvError::Empty) => false,
        })?;
        Ok(told)
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}
