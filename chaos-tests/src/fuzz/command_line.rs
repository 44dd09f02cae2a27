//! Command lines of the binary: understood, or refused with something to say.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use clap::Parser as _;
use onsale::cli::Cli;

/// Words, each ended by a zero.
pub fn run(data: &[u8]) {
    let words = data.split(|byte| *byte == 0);
    let words = words.map(|word| OsString::from_vec(word.to_vec()));
    if let Err(refused) = Cli::try_parse_from(std::iter::once("onsale".into()).chain(words)) {
        assert!(!refused.to_string().is_empty());
    }
}

pub const WORDS: &[&str] = &[
    "serve",
    "ctl",
    "demo",
    "bench",
    "--config",
    "--json",
    "--url",
    "--key",
    "events",
    "block",
    "1:2-9",
    "1:9-2",
    "4294967295:4294967295-4294967295",
    "65535:0",
    "--seconds",
    "--nodes",
    "-1",
    "99999999999999999999",
    "--",
    "-",
    "--idempotency-key",
    "\0",
];

pub fn corpus() -> Vec<Vec<u8>> {
    [
        "serve --config config/default.toml",
        "ctl --url http://a:1 --key k --json events list",
        "ctl events block 7 0:3 1:4-9",
        "ctl events create --name N --plan plan.json",
        "ctl orders list --event 7 --state paid",
        "ctl nodes join 4 a:1 a:2 a:3",
        "ctl groups rebuild 2 3",
        "demo --seats 100 --kills 2 --keep",
        "bench --workload hot --mode unary --seconds 3 --overload 10",
    ]
    .map(|line| line.replace(' ', "\0").into_bytes())
    .to_vec()
}
