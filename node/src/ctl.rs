//! `onsale ctl`: the cluster API from a shell, as tables or as JSON. Knows only the HTTP API; the
//! one thing it does without a node is to check a seating plan.

mod args;
mod client;
mod events;
mod operations;
mod plans;
mod queue;
mod tables;
mod trouble;

#[cfg(test)]
mod tests;

pub use args::Args;

use std::io::Write as _;

use serde::Serialize;

use self::client::Client;

/// What a command has to show, in both forms.
struct Shown {
    json: serde_json::Value,
    table: String,
}

impl Shown {
    fn new<T: Serialize>(value: &T, table: String) -> anyhow::Result<Shown> {
        Ok(Shown {
            json: serde_json::to_value(value)?,
            table,
        })
    }

    /// A command that has nothing to say but that it worked.
    fn done(said: &str) -> Shown {
        Shown {
            json: serde_json::json!({ "done": said }),
            table: said.to_owned(),
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        url,
        key,
        json,
        idempotency_key,
        noun,
    } = args;
    let client = Client::new(&url, &key, idempotency_key.as_deref())?;
    let shown = match noun {
        args::Noun::Events { verb } => events::run(&client, verb)?,
        args::Noun::Plan { verb } => plans::run(verb)?,
        args::Noun::Orders { verb } => operations::orders(&client, verb)?,
        args::Noun::Holds { verb } => operations::holds(&client, verb)?,
        args::Noun::Queue { verb } => queue::run(&client, verb)?,
        args::Noun::Partners { verb } => operations::partners(&client, verb)?,
        args::Noun::Keys { verb } => operations::keys(&client, verb)?,
        args::Noun::Nodes { verb } => operations::nodes(&client, verb)?,
        args::Noun::Groups { verb } => operations::groups(&client, verb)?,
        args::Noun::Observe { sale } => operations::observe(&client, sale)?,
    };
    let text = match json {
        true => serde_json::to_string_pretty(&shown.json)?,
        false => shown.table,
    };
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever read has seen enough: `| head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// The evidence of an event's queue, as any node of a cluster tells it.
pub fn evidence(url: &str, key: &str, event: u64) -> anyhow::Result<Vec<u8>> {
    queue::evidence(&Client::new(url, key, None)?, event)
}
