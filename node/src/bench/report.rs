//! The figures of a benchmark, for people and as JSON.

use std::fmt::Write as _;

use proto::channel::v1::RejectionReason;
use serde::Serialize;

use super::measure::Figures;
use super::{Args, Workload};

/// One measurement; the JSON object's keys are its fields.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub workload: &'static str,
    pub mode: &'static str,
    pub pack: u32,
    pub concurrency: u32,
    pub ops: u64,
    pub ops_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub refused: u64,
    pub commands_per_entry: f64,
    pub fsyncs: u64,
    pub server_cpu_us_per_op: f64,
    pub client_cpu_us_per_op: f64,
    pub nodes: u32,
    // Beyond what is compared over time.
    pub max_ms: f64,
    pub seconds: f64,
    pub warmup_s: u32,
    pub sessions: u32,
    pub spread: bool,
    pub server_cpu_us_per_op_by_node: Vec<f64>,
    pub server_mib_by_node: Vec<f64>,
    /// Attempts without effect that were repeated.
    pub failed: u64,
    pub unknown: u64,
    pub refusals: std::collections::BTreeMap<String, u64>,
    pub cores: usize,
    /// Of all runs, in sequence.
    pub runs_ops_per_s: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<Overload>,
}

/// The same under a load that is too much.
#[derive(Clone, Debug, Serialize)]
pub struct Overload {
    pub concurrency: u32,
    pub ops_per_s: f64,
    /// As a part of what was done without the overload.
    pub goodput: f64,
    pub p99_ms: f64,
    /// Calls refused and repeated.
    pub failed: u64,
    pub unknown: u64,
    pub server_mib_by_node: Vec<f64>,
}

impl Report {
    pub fn new(args: &Args, figures: Figures) -> Report {
        let seconds = figures.measured.as_secs_f64();
        let per_op = |cpu: std::time::Duration| {
            round(cpu.as_secs_f64() * 1e6 / figures.ops.max(1) as f64, 3)
        };
        let ops_per_s = round(figures.ops as f64 / seconds.max(1e-9), 1);
        Report {
            workload: args.workload.name(),
            mode: args.mode.name(),
            pack: args.pack,
            concurrency: args.concurrency(),
            ops: figures.ops,
            ops_per_s,
            p50_ms: round(figures.p50_ms, 3),
            p99_ms: round(figures.p99_ms, 3),
            refused: figures.refused,
            commands_per_entry: round(figures.commands / figures.entries.max(1.0), 1),
            fsyncs: figures.fsyncs as u64,
            server_cpu_us_per_op: per_op(figures.server_cpu.iter().sum()),
            client_cpu_us_per_op: per_op(figures.client_cpu),
            nodes: args.nodes,
            max_ms: round(figures.max_ms, 3),
            seconds: round(seconds, 3),
            warmup_s: args.warmup,
            sessions: args.sessions() as u32,
            spread: args.spread,
            server_cpu_us_per_op_by_node: figures.server_cpu.iter().map(|c| per_op(*c)).collect(),
            server_mib_by_node: figures
                .resident_bytes
                .iter()
                .map(|bytes| round(*bytes as f64 / f64::from(1 << 20), 1))
                .collect(),
            failed: figures.failed,
            unknown: figures.unknown,
            refusals: figures
                .reasons
                .iter()
                .map(|(reason, count)| (reason_name(*reason), *count))
                .collect(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            runs_ops_per_s: vec![ops_per_s],
            overload: None,
        }
    }

    /// Notes what the same nodes did under more load.
    pub fn compare(&mut self, overloaded: Report) {
        self.overload = Some(Overload {
            concurrency: overloaded.concurrency,
            ops_per_s: overloaded.ops_per_s,
            goodput: round(overloaded.ops_per_s / self.ops_per_s.max(1e-9), 3),
            p99_ms: overloaded.p99_ms,
            failed: overloaded.failed,
            unknown: overloaded.unknown,
            server_mib_by_node: overloaded.server_mib_by_node,
        });
    }

    /// The run in the middle by throughput, a whole run and not a mixture.
    pub fn median(mut runs: Vec<Report>) -> Report {
        let runs_ops_per_s = runs.iter().map(|run| run.ops_per_s).collect();
        runs.sort_by(|a, b| a.ops_per_s.total_cmp(&b.ops_per_s));
        let middle = (runs.len() - 1) / 2;
        Report {
            runs_ops_per_s,
            ..runs.swap_remove(middle)
        }
    }

    pub fn json(&self) -> String {
        // Numbers and texts of our own: nothing that JSON cannot say.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        let operation = match self.workload == Workload::Soldout.name() {
            true => "a refused hold",
            false => "hold and confirm",
        };
        let pack = match self.mode {
            "stream" => format!(", {} a message", self.pack),
            _ => String::new(),
        };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{} by {}{pack}, {} outstanding, {} nodes: {:.0} operations/s ({operation})\n  \
             latency p50 {:.2} ms, p99 {:.2} ms, most {:.1} ms\n  \
             CPU per operation: nodes {:.2} us, load {:.2} us\n  \
             {:.0} commands an entry, {} syncs, {:.1} s measured\n",
            self.workload,
            self.mode,
            self.concurrency,
            self.nodes,
            self.ops_per_s,
            self.p50_ms,
            self.p99_ms,
            self.max_ms,
            self.server_cpu_us_per_op,
            self.client_cpu_us_per_op,
            self.commands_per_entry,
            self.fsyncs,
            self.seconds,
        );
        if self.refused > 0 && self.workload != Workload::Soldout.name() {
            let _ = writeln!(text, "  REFUSED {}: {:?}", self.refused, self.refusals);
        }
        if self.failed + self.unknown > 0 {
            let _ = writeln!(
                text,
                "  repeated: {} without effect, {} unknown",
                self.failed, self.unknown
            );
        }
        if let Some(overload) = &self.overload {
            let _ = writeln!(
                text,
                "  overload, {} outstanding: {:.0} operations/s, goodput {:.0} %; {} calls refused \
                 for now, {} unknown; p99 {:.1} ms; nodes {:.0?} MiB, before {:.0?}",
                overload.concurrency,
                overload.ops_per_s,
                overload.goodput * 100.0,
                overload.failed,
                overload.unknown,
                overload.p99_ms,
                overload.server_mib_by_node,
                self.server_mib_by_node,
            );
        }
        if self.runs_ops_per_s.len() > 1 {
            let _ = writeln!(text, "  runs: {:.0?} operations/s", self.runs_ops_per_s);
        }
        text
    }
}

fn reason_name(reason: u16) -> String {
    match RejectionReason::try_from(i32::from(reason)) {
        Ok(reason) => reason
            .as_str_name()
            .trim_start_matches("REJECTION_REASON_")
            .to_owned(),
        Err(_) => format!("reason {reason}"),
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
