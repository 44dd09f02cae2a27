//! `onsale verify-queue`: computes the shuffle of a lobby anew from its published evidence.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args as ClapArgs;

use crate::ctl;
use crate::evidence::Evidence;

/// Checks a queue from its published evidence; fails when anything in it is not as it was.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The evidence, as `onsale ctl queue evidence` wrote it.
    #[arg(required_unless_present = "event", conflicts_with = "event")]
    pub file: Option<PathBuf>,
    /// Takes the evidence of this event from a running cluster.
    #[arg(long)]
    pub event: Option<u64>,
    /// HTTP address of any node.
    #[arg(long, env = "ONSALE_URL", default_value = "http://127.0.0.1:7200")]
    pub url: String,
    /// An operator's key.
    #[arg(long, env = "ONSALE_KEY", hide_env_values = true, default_value = "")]
    pub key: String,
    /// The key that must have signed the evidence.
    #[arg(long, value_name = "KEY_ID")]
    pub signed_by: Option<String>,
    /// JSON instead of a sentence.
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        file,
        event,
        url,
        key,
        signed_by,
        json,
    } = args;
    let bytes = match (&file, event) {
        (Some(file), _) => {
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        (None, Some(event)) => ctl::evidence(&url, &key, event)?,
        (None, None) => anyhow::bail!("a file or --event is needed"),
    };
    let verdict = Evidence::verify(&bytes, signed_by.as_deref())?;
    let text = match json {
        true => serde_json::to_string_pretty(&verdict)?,
        false => format!(
            "true: event {}, {} visitors, {} of them in the lobby, {} let in, in sequence; {} gone, \
             each with a reason; shuffled {}; signed by key {}",
            verdict.event_id,
            verdict.visitors,
            verdict.lobby,
            verdict.released,
            verdict.removed,
            match verdict.has_beacon {
                true => "with an outside beacon",
                false => "by the seed alone",
            },
            verdict.key_id,
        ),
    };
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever read has seen enough: `| head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
