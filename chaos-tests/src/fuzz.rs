//! Fuzz targets: whatever comes in from outside or off a disk, fed with anything at all.
//!
//! A target is a function of bytes that panics when a property does not hold. `drive` runs it as a
//! bounded test on stable Rust, over small valid inputs made in code and changed by `mutate`;
//! `chaos-tests/fuzz/` gives the same functions to libFuzzer. Ticket codes and pricing rules
//! come with what they belong to.

pub mod admin_bodies;
mod answers;
mod command_line;
mod commands;
mod config;
pub mod drive;
mod entries;
mod feed;
mod layouts;
mod log_recovery;
mod mutate;
pub mod partner_requests;
mod passes;
pub mod peer_frames;
mod plans;
mod sale_snapshot;
mod samples;
mod sequences;
mod session_packed;
mod snapshot_file;

/// One target.
pub struct Target {
    pub name: &'static str,
    /// What is fed, in a few words.
    pub what: &'static str,
    /// Panics on a property that does not hold.
    pub run: fn(&[u8]),
    /// Small valid inputs, to be changed.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Texts that mean something to the reader.
    pub words: &'static [&'static str],
    /// Inputs that `cargo test` tries.
    pub cases: u64,
}

pub static TARGETS: [Target; 16] = [
    Target {
        name: "partner_requests",
        what: "every request message of onsale.channel.v1, up to the command record",
        run: partner_requests::run,
        corpus: partner_requests::corpus,
        words: &[],
        cases: 60_000,
    },
    Target {
        name: "session_packed",
        what: "packed calls of a session",
        run: session_packed::run,
        corpus: session_packed::corpus,
        words: &[],
        cases: 60_000,
    },
    Target {
        name: "peer_frames",
        what: "every request message of onsale.cluster.v1, up to Raft's own types",
        run: peer_frames::run,
        corpus: peer_frames::corpus,
        words: &[],
        cases: 60_000,
    },
    Target {
        name: "commands",
        what: "command records: the codec, and applying them to a sale",
        run: commands::run,
        corpus: commands::corpus,
        words: &[],
        cases: 18_000,
    },
    Target {
        name: "answers",
        what: "packed answers, by all three that read them",
        run: answers::run,
        corpus: answers::corpus,
        words: &[],
        cases: 60_000,
    },
    Target {
        name: "entries",
        what: "entries of the log and of the cluster map, and what they make",
        run: entries::run,
        corpus: entries::corpus,
        words: &[],
        cases: 18_000,
    },
    Target {
        name: "log_recovery",
        what: "the files of a log, checksums put right or not",
        run: log_recovery::run,
        corpus: log_recovery::corpus,
        words: &[],
        cases: 7_500,
    },
    Target {
        name: "snapshot_file",
        what: "a snapshot's file, checksums put right or not",
        run: snapshot_file::run,
        corpus: snapshot_file::corpus,
        words: &[],
        cases: 18_000,
    },
    Target {
        name: "sale_snapshot",
        what: "a sale's state in a snapshot, restored, and commands applied to it",
        run: sale_snapshot::run,
        corpus: sale_snapshot::corpus,
        words: &[],
        cases: 18_000,
    },
    Target {
        name: "plans",
        what: "seating plans in JSON",
        run: plans::run,
        corpus: plans::corpus,
        words: plans::WORDS,
        cases: 9_000,
    },
    Target {
        name: "layouts",
        what: "stored layouts, packed or not",
        run: layouts::run,
        corpus: layouts::corpus,
        words: &[],
        cases: 9_000,
    },
    Target {
        name: "config",
        what: "a node's configuration in TOML",
        run: config::run,
        corpus: config::corpus,
        words: config::WORDS,
        cases: 4_500,
    },
    Target {
        name: "admin_bodies",
        what: "JSON bodies and queries of the cluster API",
        run: admin_bodies::run,
        corpus: admin_bodies::corpus,
        words: admin_bodies::WORDS,
        cases: 30_000,
    },
    Target {
        name: "passes",
        what: "passes and tokens of waiting rooms, forged or with any claims",
        run: passes::run,
        corpus: passes::corpus,
        words: passes::WORDS,
        cases: 6_000,
    },
    Target {
        name: "command_line",
        what: "command lines of the binary",
        run: command_line::run,
        corpus: command_line::corpus,
        words: command_line::WORDS,
        cases: 3_000,
    },
    Target {
        name: "sequences",
        what: "sequences of commands and faults of replicas, beside the naive reference",
        run: sequences::run,
        corpus: sequences::corpus,
        words: &[],
        cases: 4_500,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs the target of this name on one input.
///
/// # Panics
///
/// When a property does not hold, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    match target(name) {
        Some(target) => (target.run)(data),
        None => panic!("there is no target {name}"),
    }
}
