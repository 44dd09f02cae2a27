//! What operators do while a sale runs: restarts, transfers, new nodes for old ones, upgrades.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Active, Stage};
use crate::procs::cluster::READY_WITHIN;
use crate::procs::fault::Kind;
use crate::procs::{Trouble, trouble};

const STEP_LIMIT: Duration = Duration::from_secs(60);
/// A node in good order ends within this.
const LEAVES_WITHIN: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// More attempts than this for one wish are more than a retry.
const ATTEMPTS_MAX: u32 = 2;
const AFTERMATH: Duration = Duration::from_secs(2);
/// Between two nodes, so that what the first did is over.
const REST: Duration = Duration::from_millis(500);

impl Stage {
    /// SIGTERM to one node after the other. No wish may take more than a retry.
    pub(super) fn restart_rolling(&mut self) -> Result<(), Trouble> {
        // Wishes that met an earlier fault have been told by then.
        self.pass(AFTERMATH)?;
        self.shop.attempts_most();
        for at in self.cluster.running() {
            self.cluster.terminate(at, LEAVES_WITHIN)?;
            self.cluster.launch(at)?;
            self.cluster.wait_one_ready(at, READY_WITHIN)?;
            self.pass(REST)?;
        }
        let attempts = self.shop.attempts_most();
        if attempts > ATTEMPTS_MAX {
            self.found.push(format!(
                "a wish took {attempts} attempts in a rolling restart; the last answer: {}",
                self.shop.chronicle().last_trouble()
            ));
        }
        Ok(())
    }

    pub(super) fn transfer_leader(&mut self, active: &Active) -> Result<(), Trouble> {
        let to = self.a_follower()?;
        let from = self.shop.chronicle().ns_of(active.began);
        let api = self.cluster.api_of(&self.healthy());
        api.transfer(self.group, to as u64 + 1)?;
        self.wait("the transfer", |stage| Ok(stage.leader()? == to))?;
        self.pass(Duration::from_millis(200))?;
        let chronicle = self.shop.chronicle();
        if let Some(silence) = chronicle.longest_silence_ns(from, chronicle.now_ns() - 50_000_000) {
            self.silences
                .push((Kind::LeaderTransfer, Duration::from_nanos(silence)));
        }
        Ok(())
    }

    /// A new node joins, becomes a voter, and an old one leaves.
    pub(super) fn join_and_drain(&mut self, active: &Active) -> Result<(), Trouble> {
        let old = active.nodes[0];
        self.add_voter()?;
        self.send_away(old)?;
        self.cluster.terminate(old, LEAVES_WITHIN)
    }

    /// A node's disk is lost with everything on it; a new node takes its place.
    pub(super) fn lose_disk(&mut self, active: &Active) -> Result<(), Trouble> {
        let old = active.nodes[0];
        self.cluster.kill(old)?;
        self.retired.insert(old);
        if self.cluster.nodes[old].disk.is_some() {
            let mib = self.cluster.plan.disk_mib;
            self.cluster.disk(old)?.replace(mib)?;
        } else {
            std::fs::remove_dir_all(self.cluster.data(old))?;
        }
        self.add_voter()?;
        self.send_away(old)
    }

    fn add_voter(&mut self) -> Result<(), Trouble> {
        let at = self.cluster.join()?;
        let id = at as u64 + 1;
        let api = self.cluster.api_of(&self.healthy());
        self.wait("the new node is known", |_| {
            Ok(api.nodes()?.iter().any(|node| node.node_id == id))
        })?;
        api.promote(id)?;
        self.wait("the new node is known to all as active", |_| {
            let nodes = api.nodes()?;
            Ok(nodes
                .iter()
                .any(|node| node.node_id == id && node.state == "active"))
        })
    }

    fn send_away(&mut self, at: usize) -> Result<(), Trouble> {
        let id = at as u64 + 1;
        let api = self.cluster.api_of(&self.healthy());
        self.retired.insert(at);
        api.drain(id)?;
        self.wait("the old node carries nothing", |_| {
            let groups = api.groups()?;
            Ok(groups
                .iter()
                .filter(|group| group.group_id != 0)
                .all(|group| !group.voters.contains(&id) && !group.learners.contains(&id)))
        })?;
        api.remove(id)?;
        Ok(())
    }

    /// Half of the nodes run the other version.
    pub(super) fn mix_versions(&mut self, active: &Active) -> Result<(), Trouble> {
        let other = self.cluster.plan.second_binary.clone();
        let other = other.ok_or_else(|| trouble("there is no second binary"))?;
        let half = active.nodes.len().div_ceil(2);
        for at in &active.nodes[..half] {
            self.change_version(*at, &other)?;
        }
        Ok(())
    }

    /// All come back to the first version, with what the other has written.
    pub(super) fn unmix_versions(&mut self, active: &Active) -> Result<u64, Trouble> {
        let first = self.cluster.plan.binary.clone();
        for at in &active.nodes {
            if self.cluster.nodes[*at].binary != first {
                self.change_version(*at, &first)?;
            }
        }
        Ok(1)
    }

    fn change_version(&mut self, at: usize, binary: &Path) -> Result<(), Trouble> {
        self.cluster.terminate(at, LEAVES_WITHIN)?;
        self.cluster.nodes[at].binary = binary.to_owned();
        self.cluster.launch(at)?;
        self.cluster.wait_one_ready(at, READY_WITHIN)?;
        self.pass(REST)
    }

    fn wait(
        &self,
        what: &str,
        mut done: impl FnMut(&Stage) -> Result<bool, Trouble>,
    ) -> Result<(), Trouble> {
        let until = Instant::now() + STEP_LIMIT;
        while !done(self)? {
            if Instant::now() > until {
                let limit = STEP_LIMIT.as_secs();
                return Err(trouble(format!("not within {limit} s: {what}")));
            }
            self.pass(LOOK_AGAIN)?;
        }
        Ok(())
    }
}
