//! Nodes that get too little memory or processor time.

use std::time::{Duration, Instant};

use onsale::local::api;

use super::{Active, Stage};
use crate::procs::cluster::READY_WITHIN;
use crate::procs::limits::Controller;
use crate::procs::process::was_killed;
use crate::procs::{Trouble, trouble};

const LIMIT: &str = "memory.limit_in_bytes";
const USAGE: &str = "memory.usage_in_bytes";
const QUOTA: &str = "cpu.cfs_quota_us";
const CPU_STAT: &str = "cpu.stat";
/// Of every 100 ms.
const QUOTA_US: &str = "8000";
const SQUEEZE_MAX: Duration = Duration::from_secs(10);

impl Stage {
    /// Takes memory away until the kernel ends the process.
    pub(super) fn limit_memory(&mut self, active: &Active) -> Result<(), Trouble> {
        let at = active.nodes[0];
        let until = Instant::now() + SQUEEZE_MAX;
        loop {
            if let Some(status) = self.cluster.ended(at)? {
                if !was_killed(status) {
                    let text = format!("node {} ended with {status} for want of memory", at + 1);
                    self.found.push(text);
                }
                return Ok(());
            }
            if Instant::now() > until {
                return Ok(());
            }
            let limits = &self.cluster.nodes[at].limits;
            let usage = limits.get(Controller::Memory, USAGE)?;
            let usage: u64 = usage.trim().parse()?;
            // The kernel refuses a limit that it cannot keep by giving pages back.
            let _ = limits.set(
                Controller::Memory,
                LIMIT,
                &usage.saturating_sub(256 << 10).to_string(),
            );
            let _ = limits.set(Controller::Memory, LIMIT, &usage.to_string());
            // An answer wants memory; none may come.
            let _ = api::metrics(&self.cluster.nodes[at].http_address);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// It happened if the process is gone.
    pub(super) fn unlimit_memory(&mut self, active: &Active) -> Result<u64, Trouble> {
        let at = active.nodes[0];
        self.cluster.ended(at)?;
        let gone = !self.cluster.is_running(at);
        let limits = &self.cluster.nodes[at].limits;
        limits.set(Controller::Memory, LIMIT, "-1")?;
        self.revive(at)?;
        self.cluster.wait_one_ready(at, READY_WITHIN)?;
        Ok(gone.into())
    }

    /// How often it had to wait before.
    pub(super) fn limit_cpu(&mut self, active: &Active) -> Result<u64, Trouble> {
        let at = active.nodes[0];
        let limits = &self.cluster.nodes[at].limits;
        limits.set(Controller::Cpu, QUOTA, QUOTA_US)?;
        self.throttled(at)
    }

    pub(super) fn unlimit_cpu(&mut self, active: &Active) -> Result<u64, Trouble> {
        let at = active.nodes[0];
        let throttled = self.throttled(at)?;
        self.cluster.nodes[at]
            .limits
            .set(Controller::Cpu, QUOTA, "-1")?;
        // The node may have held its disk for hung.
        self.revive(at)?;
        self.cluster.wait_one_ready(at, READY_WITHIN)?;
        Ok((throttled > active.before).into())
    }

    fn throttled(&self, at: usize) -> Result<u64, Trouble> {
        let text = self.cluster.nodes[at]
            .limits
            .get(Controller::Cpu, CPU_STAT)?;
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix("nr_throttled "));
        let count = line.ok_or_else(|| trouble("cpu.stat has no nr_throttled"))?;
        Ok(count.parse()?)
    }
}
