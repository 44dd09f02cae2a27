//! `onsale ctl plan check`: what a seating plan has, or where its fault is.

use std::path::Path;

use anyhow::{Context as _, anyhow};

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
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let options = Options {
        dedupe,
        ..Options::default()
    };
    let imported = plan::read(&bytes, &options).map_err(|fault| anyhow!("{name}: {fault}"))?;
    Shown::new(&imported.report, tables::plan(&imported.report))
}
