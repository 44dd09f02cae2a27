//! One run: a cluster that sells, faults that strike it, and what is left to say at its end. Faults
//! come from `nemesis`; the stage counts them, heals them, and sees to it that nothing else went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use onsale::load::venue;
use onsale::local::api::{Api, NewEvent};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::cluster::{Cluster, Plan, READY_WITHIN};
use super::facility::Facilities;
use super::fault::Kind;
use super::nemesis::Active;
use super::shop::Shop;
use super::verdict::{self, Verdict};
use super::{Trouble, trouble, words};
use crate::history::record::{Call, Done, Id, Op, Outcome};

pub struct Stage {
    pub shop: Shop,
    pub cluster: Cluster,
    pub rng: StdRng,
    pub facilities: Facilities,
    pub events: Vec<u64>,
    /// The group of the first event: its leader is "the leader".
    pub group: u32,
    pub counts: BTreeMap<Kind, u64>,
    /// Nodes that a fault has in its hands.
    pub afflicted: BTreeSet<usize>,
    /// Nodes that are gone for good.
    pub retired: BTreeSet<usize>,
    /// What went wrong that must not.
    pub found: Vec<String>,
    /// How long each fault kept the sale from selling, where it was measured.
    pub silences: Vec<(Kind, Duration)>,
    /// Not all that was to happen could.
    was_cut_short: bool,
    deadline: Instant,
}

/// The house: rows, and a floor to stand on.
const SEATS: u32 = 10_000;
const FLOOR: &str = "\"areas\":[{\"shape\":\"rectangle\",\"color\":\"#dddddd\",\
    \"border_color\":\"#444444\",\"rotation\":0,\"position\":{\"x\":0,\"y\":0},\
    \"text\":{\"text\":\"Floor [standing 5000]\",\"color\":\"#333333\",\"position\":{\"x\":0,\"y\":0}},\
    \"rectangle\":{\"width\":100,\"height\":40}}]";

/// Wishes that must be carried out again once everything has ended, and within what time.
const LIVELY: u64 = 100;
const LIVELY_WITHIN: Duration = Duration::from_secs(20);
/// From the last fault's end until every node must be ready.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long calls of before may still be sent again by themselves.
const AFTERMATH: Duration = Duration::from_millis(1_500);

impl Stage {
    /// A cluster with two sales that `buyers` buy from. The whole run may take so long.
    pub fn open(
        plan: Plan,
        facilities: &Facilities,
        buyers: u32,
        seed: u64,
        limit: Duration,
    ) -> Result<Stage, Trouble> {
        let cluster = Cluster::start(plan, facilities)?;
        let api = cluster.api();
        let partner = api.partner("Crowd")?;
        let (mut events, mut groups, mut opened) = (Vec::new(), Vec::new(), Vec::new());
        for name in ["First", "Second"] {
            let (event, group, op) = open_event(&api, name)?;
            events.push(event);
            groups.push(group);
            opened.push(op);
        }
        let addresses = cluster.partner_addresses();
        let shop = Shop::open(&addresses, &partner.key, &events, buyers, seed)?;
        for op in opened {
            shop.chronicle().write(op);
        }
        if buyers > 0 {
            shop.sells(LIVELY, LIVELY_WITHIN)?;
        }
        Ok(Stage {
            shop,
            cluster,
            rng: StdRng::seed_from_u64(seed),
            facilities: facilities.clone(),
            events,
            group: groups[0],
            counts: BTreeMap::new(),
            afflicted: BTreeSet::new(),
            retired: BTreeSet::new(),
            found: Vec::new(),
            silences: Vec::new(),
            was_cut_short: false,
            deadline: Instant::now() + limit,
        })
    }

    pub fn happened(&mut self, kind: Kind, times: u64) {
        *self.counts.entry(kind).or_default() += times;
    }

    /// Lets the sale go on for a while. Trouble when the run's time is over.
    pub fn pass(&self, time: Duration) -> Result<(), Trouble> {
        std::thread::sleep(time);
        match Instant::now() > self.deadline {
            true => Err(trouble("the run takes longer than it may")),
            false => Ok(()),
        }
    }

    /// One fault, for so long.
    pub fn strike(&mut self, kind: Kind, time: Duration) -> Result<(), Trouble> {
        let Some(active) = self.begin(kind)? else {
            return Err(trouble(format!("{} cannot begin", kind.name())));
        };
        let passed = self.pass(time);
        self.end(active)?;
        passed
    }

    /// Waits until the sale sells on.
    pub fn sells_on(&self) -> Result<(), Trouble> {
        self.shop.sells(LIVELY, LIVELY_WITHIN)?;
        Ok(())
    }

    /// Nodes that run and that no fault has in its hands.
    pub fn healthy(&self) -> Vec<usize> {
        let mut healthy = self.cluster.running();
        healthy.retain(|at| !self.afflicted.contains(at));
        healthy
    }

    pub fn any_healthy(&mut self) -> Option<usize> {
        let healthy = self.healthy();
        (!healthy.is_empty()).then(|| healthy[self.rng.random_range(0..healthy.len())])
    }

    /// The node that leads the first sale, as healthy nodes say it.
    pub fn leader(&self) -> Result<usize, Trouble> {
        let until = Instant::now() + RECOVERY * 2;
        let api = self.cluster.api_of(&self.healthy());
        loop {
            let leader = api
                .event_now(self.events[0])
                .ok()
                .and_then(|event| event.leader);
            if let Some(id) = leader {
                return Ok(id as usize - 1);
            }
            if Instant::now() > until {
                return Err(trouble("nobody leads the sale"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn a_follower(&mut self) -> Result<usize, Trouble> {
        let leader = self.leader()?;
        let mut others = self.healthy();
        others.retain(|at| *at != leader);
        match others.is_empty() {
            true => Err(trouble("there is no other node")),
            false => Ok(others[self.rng.random_range(0..others.len())]),
        }
    }

    /// Brings a node back that was stopped or has ended.
    pub fn revive(&mut self, at: usize) -> Result<(), Trouble> {
        self.cluster.ended(at)?;
        if !self.cluster.is_running(at) && !self.retired.contains(&at) {
            self.cluster.launch(at)?;
        }
        Ok(())
    }

    /// A process that has ended although nothing gave it a reason.
    pub fn watch(&mut self, may_end: &[usize]) -> Result<(), Trouble> {
        for at in 0..self.cluster.nodes.len() {
            if may_end.contains(&at) || self.afflicted.contains(&at) {
                continue;
            }
            if let Some(status) = self.cluster.ended(at)? {
                let log = self.cluster.log_of(at);
                let last = log.lines().last().unwrap_or("").to_owned();
                self.found
                    .push(format!("node {} ended with {status}: {last}", at + 1));
                self.revive(at)?;
            }
        }
        Ok(())
    }

    /// The run cannot go on: what is left is to heal it and to look at what it came to.
    pub fn give_up(&mut self, why: &Trouble) {
        self.found.push(words(why));
        self.was_cut_short = true;
    }

    /// Everything has ended: the cluster must recover, sell, come to rest, and be right. Whatever keeps
    /// it from that, the faults that happened until then have happened.
    pub fn finish(mut self, active: Vec<Active>) -> Ending {
        for fault in active {
            if let Err(error) = self.end(fault) {
                self.give_up(&error);
            }
        }
        let verdict = match self.conclude() {
            Ok(verdict) => verdict,
            Err(error) => {
                self.give_up(&error);
                Verdict {
                    acknowledged: self.shop.chronicle().orders().len() as u64,
                    records: self.shop.chronicle().records(),
                    ..Verdict::default()
                }
            }
        };
        Ending {
            verdict,
            counts: std::mem::take(&mut self.counts),
            found: std::mem::take(&mut self.found),
            silences: std::mem::take(&mut self.silences),
            was_cut_short: self.was_cut_short,
        }
    }

    fn conclude(&mut self) -> Result<Verdict, Trouble> {
        self.heal()?;
        self.watch(&[])?;
        for at in 0..self.cluster.nodes.len() {
            self.revive(at)?;
        }
        let healed = Instant::now();
        self.cluster.wait_ready(READY_WITHIN)?;
        if healed.elapsed() > RECOVERY {
            let took = healed.elapsed().as_secs_f64();
            self.found
                .push(format!("not ready until {took:.1} s after the last fault"));
        }
        std::thread::sleep(AFTERMATH);
        self.shop.set_stormy(false);
        if let Err(error) = self.sells_on() {
            self.found.push(words(&error));
        }
        self.shop.close()?;
        let verdict = verdict::pass(self)?;
        self.watch(&[])?;
        Ok(verdict)
    }
}

/// What a run came to.
pub struct Ending {
    pub verdict: Verdict,
    pub counts: BTreeMap<Kind, u64>,
    pub found: Vec<String>,
    pub silences: Vec<(Kind, Duration)>,
    /// The run was given up before its end, as `found` says.
    pub was_cut_short: bool,
}

/// Creates and opens a sale; its id, its group, and the opening as the judge reads it.
fn open_event(api: &Api, name: &str) -> Result<(u64, u32, Op), Trouble> {
    let plan = String::from_utf8(venue::plan(name, 1, SEATS))?;
    let plan = plan.replace("\"areas\":[]", FLOOR);
    let event = api.open_event(&NewEvent {
        name,
        venue: "House",
        test_mode: false,
        hold_ttl_s: 20,
        plan: plan.as_bytes(),
        dedupe: false,
    })?;
    let op = Op {
        sale: event.event_id,
        client: u32::MAX,
        key: Id(u128::from(event.event_id)),
        call: Call::Govern,
        asked: None,
        ttl_ms: None,
        invoke: 0,
        returned: Some(1),
        // Opening is the first thing that changes a sale.
        outcome: Outcome::Done(Done {
            revision: 1,
            ..Done::default()
        }),
    };
    Ok((event.event_id, event.group, op))
}
