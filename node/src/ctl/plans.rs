//! `onsale ctl plan check`: what a seating plan has, or where its fault is. Also how `ctl` reads a
//! plan's file.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};

use super::args::Plan;
use super::{Shown, tables};
use crate::plan::{self, Options};

pub fn run(verb: Plan) -> anyhow::Result<Shown> {
    match verb {
        Plan::Check { file, dedupe } => check(&file, dedupe),
    }
}

fn check(file: &Path, dedupe: bool) -> anyhow::Result<Shown> {
    let name = file.display();
    let bytes = read(file)?;
    let options = Options {
        dedupe,
        ..Options::default()
    };
    let imported = plan::read(&bytes, &options).map_err(|fault| anyhow!("{name}: {fault}"))?;
    Shown::new(&imported.report, tables::plan(&imported.report))
}

/// The file, or that it is longer than a plan may be: no more of it is read.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let name = file.display();
    let unread = || format!("cannot read {name}");
    let max = plan::BYTES_MAX;
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(max as u64 + 1).read_to_end(&mut bytes))
        .with_context(unread)?;
    if bytes.len() > max {
        bail!("{name} is longer than {max} bytes, the most a plan may have");
    }
    Ok(bytes)
}
