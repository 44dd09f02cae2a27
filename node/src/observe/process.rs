//! The process as the system sees it, under the names that Prometheus' own clients give; read when
//! somebody asks. Where `/proc` is not there, nothing is told. Beside it what was built, and the
//! processors that it may use.

use std::{fs, thread};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge, IntGaugeVec, Opts, Registry};

use crate::local::process::{cpu_of_stat, resident_of_statm};

/// Reads `/proc/self` at each scrape.
pub struct Process {
    cpu: Counter,
    resident: Gauge,
    open_files: Gauge,
    open_files_max: Gauge,
    threads: Gauge,
    started: Gauge,
}

impl Process {
    pub fn register(registry: &Registry, started_ms: u64) -> prometheus::Result<()> {
        let process = Process {
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "CPU time of the process, in seconds.",
            )?,
            resident: Gauge::new(
                "process_resident_memory_bytes",
                "Memory of the process that is in RAM, in bytes.",
            )?,
            open_files: Gauge::new("process_open_fds", "Open file descriptors.")?,
            open_files_max: Gauge::new(
                "process_max_fds",
                "File descriptors that may be open at most.",
            )?,
            threads: Gauge::new("process_threads", "Threads of the process.")?,
            started: Gauge::new(
                "process_start_time_seconds",
                "When the process started, Unix seconds.",
            )?,
        };
        process.started.set(started_ms as f64 / 1000.0);
        registry.register(Box::new(process))?;
        let build = IntGaugeVec::new(
            Opts::new(
                "onsale_build_info",
                "1; the version that runs is its label.",
            ),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        let cpus = IntGauge::new("onsale_node_cpus", "Processors that the process may use.")?;
        // As a container's limits leave it; where they cannot be read nothing is known.
        if let Ok(allowed) = thread::available_parallelism() {
            cpus.set(i64::try_from(allowed.get()).unwrap_or(i64::MAX));
        }
        registry.register(Box::new(cpus))
    }

    fn look(&self) {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        if let Some(cpu) = read("stat").as_deref().and_then(cpu_of_stat) {
            self.cpu.reset();
            self.cpu.inc_by(cpu.as_secs_f64());
        }
        if let Some(bytes) = read("statm").as_deref().and_then(resident_of_statm) {
            self.resident.set(bytes as f64);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.open_files.set(files.count() as f64);
        }
        if let Some(max) = read("limits").as_deref().and_then(files_of_limits) {
            self.open_files_max.set(max);
        }
        if let Some(threads) = read("status").as_deref().and_then(threads_of_status) {
            self.threads.set(threads);
        }
    }

    fn parts(&self) -> [&dyn Collector; 6] {
        [
            &self.cpu,
            &self.resident,
            &self.open_files,
            &self.open_files_max,
            &self.threads,
            &self.started,
        ]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.look();
        self.parts()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

/// `Max open files            1024                 524288               files`
fn files_of_limits(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn threads_of_status(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_threads_are_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(files_of_limits(limits), Some(1024.0));
        assert_eq!(
            threads_of_status("Name:\tonsale\nThreads:\t17\n"),
            Some(17.0)
        );
    }

    #[test]
    fn cpu_never_goes_back() {
        let registry = Registry::new();
        Process::register(&registry, 1_700_000_000_000).expect("registers");
        let cpu = || {
            let families = registry.gather();
            let cpu = families
                .iter()
                .find(|family| family.name() == "process_cpu_seconds_total");
            cpu.expect("is told").get_metric()[0]
                .get_counter()
                .get_value()
        };
        let before = cpu();
        assert!(cpu() >= before);
    }
}
