//! One seed from its first tick to its verdict: faults strike while buyers buy, everything is
//! healed, and then the cluster must live, agree, and have what it told.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cluster::types::NodeId;

use super::deed;
use super::entropy::without_entropy;
use super::fault::{self, Kind};
use super::nemesis::Nemesis;
use super::operator::Operator;
use super::plan::Plan;
use super::retelling;
use super::setup;
use super::shop::Shop;
use super::trace::Trace;
use super::verdict::{self, Replica, inspect};
use super::world::{SHOP, World};

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub violations: Vec<String>,
    pub faults: fault::Counts,
    pub deeds: deed::Counts,
    pub simulated: Duration,
    /// Calls of buyers, retries and reads too.
    pub commands: u64,
    /// Wishes told to be carried out.
    pub done: usize,
    pub hash: u64,
    pub events: u64,
    /// The end of the trace.
    pub last: Vec<String>,
}

/// How long the healed cluster is watched while it sells.
const LIVES_FOR: Duration = Duration::from_secs(4);
/// How long a healed cluster may take to be whole again, beyond an election: moving replicas to a new
/// computer takes the planner several turns.
const RESTORE_LIMIT: Duration = Duration::from_secs(60);
/// How long faults go on beyond the plan when some that are enabled have not struck yet.
const OVERTIME: Duration = Duration::from_secs(40);
/// How long a waiting room may take to let somebody in once it is open: passes of those who do not show
/// up have to end first.
const LETS_IN_FOR: Duration = Duration::from_secs(40);
/// How long an operator may take to leave a room as it shall stay, once it is open.
const OPERATES_FOR: Duration = Duration::from_secs(20);
const SETTLE_LIMIT: Duration = Duration::from_secs(40);
/// Between two looks at all replicas.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Runs a plan, on a thread of its own. With a file, the whole trace goes there.
pub fn run(plan: Plan, file: Option<&Path>) -> std::io::Result<Outcome> {
    run_after(|| {}, plan, file)
}

/// As `run`; before anything else something is done on the run's thread.
pub fn run_after(
    before: impl FnOnce() + Send,
    plan: Plan,
    file: Option<&Path>,
) -> std::io::Result<Outcome> {
    let ran = without_entropy(|| {
        before();
        run_here(plan, file)
    });
    ran.unwrap_or_else(|_| Err(std::io::Error::other("the simulation's thread panicked")))
}

fn run_here(plan: Plan, file: Option<&Path>) -> std::io::Result<Outcome> {
    let trace = Trace::new(file)?;
    let plan = Arc::new(plan);
    let mut course = Course::default();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(&plan, trace.clone());
        let failed = course.run(&mut world, &plan).err();
        course.simulated = world.elapsed();
        course.violations.extend(failed);
        course.violations.extend(world.witness.violations());
    }));
    if let Err(panic) = ran {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let found = format!("panicked: {}", text.unwrap_or("without a word"));
        course.simulated = trace.now();
        course.violations.push(found);
    }
    trace.flush()?;
    Ok(Outcome {
        seed: plan.seed,
        violations: course.violations,
        faults: course.faults,
        deeds: course.deeds,
        simulated: course.simulated,
        commands: course.commands,
        done: course.done,
        hash: trace.hash(),
        events: trace.lines(),
        last: trace.last(),
    })
}

#[derive(Default)]
struct Course {
    violations: Vec<String>,
    faults: fault::Counts,
    deeds: deed::Counts,
    simulated: Duration,
    commands: u64,
    done: usize,
}

impl Course {
    fn run(&mut self, world: &mut World, plan: &Arc<Plan>) -> Result<(), String> {
        let bearers = setup::set_up(world, plan)?;
        let shop = Shop::new(plan, &world.trace, &world.now, bearers);
        let open = shop.clone();
        world.sim.host(SHOP, move || open.clone().open());
        let lived = self.live(world, plan, &shop);
        let ledger = shop.ledger();
        self.commands = ledger.calls;
        self.done = ledger.done_since(0);
        self.faults.add(Kind::DuplicateCall, ledger.duplicates);
        self.deeds.merge(&ledger.deeds);
        lived
    }

    fn live(&mut self, world: &mut World, plan: &Arc<Plan>, shop: &Shop) -> Result<(), String> {
        let mut nemesis = Nemesis::new(plan);
        let mut operator = Operator::new(plan, shop);
        let mut lived = self.struggle(world, plan, shop, &mut nemesis, &mut operator);
        if lived.is_ok() {
            lived = self.conclude(world, plan, shop);
        }
        let (counts, found) = nemesis.report(world);
        self.faults.merge(&counts);
        self.violations.extend(found);
        self.deeds.merge(operator.counts());
        lived
    }

    /// What everybody has in the end, against what everybody was told.
    fn conclude(&mut self, world: &mut World, plan: &Plan, shop: &Shop) -> Result<(), String> {
        let replicas = self.settle(world, plan)?;
        self.audit(world, shop)?;
        let found = verdict::judge(plan, &replicas, &shop.ledger());
        self.violations.extend(found);
        let retold = retelling::retell(&world.witness.entries(), &replicas);
        self.deeds.merge(&retold.deeds);
        self.violations.extend(retold.compare(&replicas));
        Ok(())
    }

    /// Faults, healing, and life after it.
    fn struggle(
        &mut self,
        world: &mut World,
        plan: &Plan,
        shop: &Shop,
        nemesis: &mut Nemesis,
        operator: &mut Operator,
    ) -> Result<(), String> {
        let safety = world.elapsed() + plan.safety;
        nemesis.plays_until(safety);
        operator.plays_until(safety);
        let is_owed = |nemesis: &Nemesis, operator: &Operator, world: &World| {
            !nemesis.missing(world).is_empty() || operator.owes()
        };
        while world.elapsed() < safety
            || (world.elapsed() < safety + OVERTIME && is_owed(nemesis, operator, world))
        {
            nemesis.strike(world);
            operator.tend(world);
            world.step()?;
        }
        nemesis.heal(world);
        operator.end();
        let restored = world.run_until(plan.election_limit() + RESTORE_LIMIT, |world| {
            nemesis.tend(world);
            operator.tend(world);
            nemesis.is_done() && all_ready(world)
        })?;
        if !restored {
            let why = nemesis.unfinished();
            let why = why.unwrap_or_else(|| "nothing takes its course".into());
            let lagging = not_ready(world);
            return Err(format!(
                "not restored: {why}; nodes that are not ready: {lagging:?}"
            ));
        }
        nemesis.trust(world);
        shop.calm_down(world.up());
        let healed_ms = world.now.ms();
        // Where every sale is behind a room, all may wait for passes of those who do not show up.
        let lives_for = match plan.rooms < plan.sales {
            true => LIVES_FOR,
            false => LETS_IN_FOR,
        };
        let lives = world.run_until(plan.election_limit() + lives_for, |world| {
            operator.tend(world);
            shop.ledger().done_since(healed_ms) > 0 && world.now.ms() > healed_ms + 4_000
        })?;
        if !lives {
            return Err("the healed cluster carries nothing out".into());
        }
        let limit = plan.safety + plan.election_limit() + OPERATES_FOR;
        let is_left = world.run_until(limit, |world| {
            operator.tend(world);
            operator.unfinished().is_none()
        })?;
        if let (false, Some(sale)) = (is_left, operator.unfinished()) {
            return Err(format!("the operator of sale {sale} has no answer"));
        }
        self.let_in(world, plan)?;
        shop.close();
        let patience = (plan.call_timeout + Duration::from_secs(3)) * 24;
        if !world.run_until(patience, |_| shop.working() == 0)? {
            let working = shop.working();
            return Err(format!("{working} buyers never came to an end"));
        }
        // Deadlines of holds that nobody comes back to.
        world.run_for(Duration::from_secs(u64::from(plan.hold_ttl_s)))?;
        Ok(())
    }

    /// Every waiting room opens, and lets somebody in who waits for what is left.
    fn let_in(&mut self, world: &mut World, plan: &Plan) -> Result<(), String> {
        let mut first: BTreeMap<u64, u64> = BTreeMap::new();
        let limit = world.elapsed() + plan.safety + plan.election_limit() + LETS_IN_FOR;
        loop {
            let mut idle: BTreeMap<u64, String> = plan
                .room_ids()
                .map(|sale| (sale, "is not open".into()))
                .collect();
            for id in world.up() {
                let told = world.answer(id, ASK_LIMIT, inspect)?.unwrap_or_default();
                for Replica { sale, room, .. } in told {
                    let Some(room) = room.filter(|room| room.is_open) else {
                        continue;
                    };
                    let released = room.census.released;
                    let before = *first.entry(sale).or_insert(released);
                    if released > before || room.is_drained() {
                        idle.remove(&sale);
                    } else if let Some(why) = idle.get_mut(&sale) {
                        *why = format!("has {} free for {:?}", room.free, room.census);
                    }
                }
            }
            if idle.is_empty() {
                return Ok(());
            }
            if world.elapsed() > limit {
                return Err(format!("waiting rooms let nobody in: {idle:?}"));
            }
            world.run_for(LOOK_EVERY)?;
        }
    }

    /// Waits until all replicas are alike and at rest.
    fn settle(&mut self, world: &mut World, plan: &Plan) -> Result<Vec<Replica>, String> {
        let limit = world.elapsed() + SETTLE_LIMIT;
        loop {
            let mut replicas = Vec::new();
            for id in world.up() {
                let told = world.answer(id, ASK_LIMIT, inspect)?;
                let told = told.ok_or_else(|| format!("n{id} does not say what it has"))?;
                replicas.extend(told);
            }
            match verdict::unsettled(plan, &replicas) {
                None => return Ok(replicas),
                Some(why) if world.elapsed() > limit => {
                    return Err(format!("not settled: {why}"));
                }
                Some(_) => world.run_for(LOOK_EVERY)?,
            }
        }
    }

    fn audit(&mut self, world: &mut World, shop: &Shop) -> Result<(), String> {
        let auditor = shop.clone();
        let (done, mut audited) = tokio::sync::oneshot::channel();
        shop.run_errand(Box::pin(async move {
            // The world may have given up.
            done.send(auditor.audit().await).ok();
        }));
        let mut result = None;
        world.run_until(Duration::from_secs(120), |_| match audited.try_recv() {
            Ok(audit) => {
                result = Some(audit);
                true
            }
            Err(_) => false,
        })?;
        result.unwrap_or_else(|| {
            let up = world.up();
            let hands = up.iter().filter_map(|id| world.hands(*id));
            let told: Vec<_> = hands.map(|hands| hands.cluster.status()).collect();
            Err(format!("the audit does not come to an end: {told:?}"))
        })
    }
}

fn all_ready(world: &World) -> bool {
    not_ready(world).is_empty()
}

fn not_ready(world: &World) -> Vec<NodeId> {
    let mut up = world.up();
    up.retain(|id| {
        let hands = world.hands(*id);
        !hands.is_some_and(|hands| hands.cluster.ready())
    });
    up
}
