//! Runs a target over its corpus and over changed inputs, from a seed. Used by `tests/fuzz.rs` and by
//! the binary.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};

use super::Target;
use super::mutate::mutate;
use crate::layer1::Draw;
use crate::layer1::run::panic_text;

/// An input on which a property does not hold, made as short as could be in a few seconds.
#[derive(Debug)]
pub struct Found {
    pub input: Vec<u8>,
    pub why: String,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Inputs(u64),
    Time(Instant),
}

impl Until {
    fn is_over(self, tried: u64) -> bool {
        match self {
            Until::Inputs(inputs) => tried >= inputs,
            Until::Time(end) => tried.is_multiple_of(64) && Instant::now() >= end,
        }
    }
}

/// Changed inputs that are kept to be changed further.
const KEPT: usize = 64;
const SHRINK_FOR: Duration = Duration::from_secs(5);

/// Tries `kept` and the corpus as they are, then changed inputs; how many it tried.
pub fn drive(target: &Target, kept: &[Vec<u8>], seed: u64, until: Until) -> Result<u64, Found> {
    let mut draw = Draw::seed_from_u64(seed);
    let mut corpus = (target.corpus)();
    corpus.extend_from_slice(kept);
    let mut tried = 0;
    for input in corpus.iter().chain([&Vec::new()]) {
        attempt(target, input)?;
        tried += 1;
    }
    let mut changed: Vec<Vec<u8>> = Vec::new();
    while !until.is_over(tried) {
        let from = match changed.is_empty() || draw.random_bool(0.7) {
            true => &corpus,
            false => &changed,
        };
        let mut input = from[draw.random_range(0..from.len())].clone();
        mutate(&mut input, &mut draw, &corpus, target.words);
        attempt(target, &input)?;
        tried += 1;
        if changed.len() < KEPT {
            changed.push(input);
        } else {
            changed[draw.random_range(0..KEPT)] = input;
        }
    }
    Ok(tried)
}

fn attempt(target: &Target, input: &[u8]) -> Result<(), Found> {
    match fails(target, input) {
        None => Ok(()),
        Some(why) => Err(shrunk(target, input.to_vec(), why)),
    }
}

/// What is wrong with the target on this input, if anything is.
pub fn fails(target: &Target, input: &[u8]) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input)))
        .err()
        .map(|panic| panic_text(panic.as_ref()))
}

/// Leaves out pieces as long as it fails, whatever it fails with.
fn shrunk(target: &Target, mut input: Vec<u8>, mut why: String) -> Found {
    let until = Instant::now() + SHRINK_FOR;
    let mut piece = input.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < input.len() && Instant::now() < until {
            let mut shorter = input.clone();
            shorter.drain(at..(at + piece).min(input.len()));
            match fails(target, &shorter) {
                Some(still) => (input, why) = (shorter, still),
                None => at += piece,
            }
        }
        if piece == 1 || Instant::now() >= until {
            return Found { input, why };
        }
        piece = piece.div_ceil(2);
    }
}

/// Inputs on which a property of this target once did not hold, from the sources this was built of: one
/// file each, digits of its bytes.
pub fn kept(name: &str) -> std::io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus/fuzz")
        .join(name);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let files = folder.read_dir()?.map(|file| Ok(file?.path()));
    let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file)?;
        let no_digits = || std::io::Error::other(format!("{} is no digits", file.display()));
        from_hex(&text).ok_or_else(no_digits)
    };
    files.iter().map(read).collect()
}

/// Bytes as digits, and back.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `None` when it is not pairs of digits.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    match rest.is_empty() {
        true => pairs.iter().map(byte).collect(),
        false => None,
    }
}
