//! The command line: one subcommand, one module.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(
    name = "onsale",
    version,
    about = "A replicated on-sale engine for tickets"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a node.
    Serve(crate::serve::Args),
    /// Drive a cluster from a shell.
    Ctl(crate::ctl::Args),
    /// Three real nodes sell out a venue while their leader is killed.
    Demo(crate::demo::Args),
    /// Compute the shuffle of a lobby anew from its published evidence.
    VerifyQueue(crate::verify_queue::Args),
    /// Measure three real nodes.
    Bench(crate::bench::Args),
}

impl Cli {
    /// Reads the command line and does what it says. Whatever is wrong, with a flag, a file or the
    /// work itself, ends as one line on standard error and a status that is not zero.
    pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
        let parsed = with_one_line_errors(Cli::command())
            .try_get_matches_from(arguments)
            .and_then(|matches| Cli::from_arg_matches(&matches));
        match parsed {
            Ok(cli) => match cli.command.run() {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("onsale: {}", one_line(&said(&error)));
                    ExitCode::FAILURE
                }
            },
            Err(told) if !told.use_stderr() => {
                // Help or the version; a reader that closed the pipe has seen enough.
                let _ = told.print();
                ExitCode::SUCCESS
            }
            Err(wrong) => {
                eprintln!("onsale: {}", usage_line(&wrong.to_string()));
                ExitCode::from(USAGE)
            }
        }
    }
}

/// The error and its causes; a cause that the words before it end in is not said again.
fn said(error: &anyhow::Error) -> String {
    let mut causes = error.chain().map(|cause| cause.to_string());
    let first = causes.next().unwrap_or_default();
    causes.fold(first, |said, cause| match said.ends_with(&cause) {
        true => said,
        false => format!("{said}: {cause}"),
    })
}

/// The status of a command line that cannot be understood, as most programs have it.
const USAGE: u8 = 2;

/// A missing subcommand is an error like any other, not a page of help.
fn with_one_line_errors(command: clap::Command) -> clap::Command {
    command
        .arg_required_else_help(false)
        .mut_subcommands(with_one_line_errors)
}

/// What is wrong, without the usage and the pointers to the help that come after it.
fn usage_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let end = ["\nUsage:", "\nFor more information"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min();
    let what = one_line(&text[..end.unwrap_or(text.len())]);
    format!("{what} (--help tells more)")
}

/// Messages of libraries may go over lines.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

impl Command {
    fn run(self) -> anyhow::Result<()> {
        match self {
            Command::Serve(args) => crate::serve::run(args),
            Command::Ctl(args) => crate::ctl::run(args),
            Command::Demo(args) => crate::demo::run(args),
            Command::VerifyQueue(args) => crate::verify_queue::run(args),
            Command::Bench(args) => crate::bench::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the log cannot be opened: {0}")]
    struct Repeats(#[source] std::io::Error);

    #[test]
    fn no_cause_is_said_twice() {
        let cause = || std::io::Error::other("the mark is missing");
        let repeats = anyhow::Error::from(Repeats(cause())).context("node 1");
        assert_eq!(
            said(&repeats),
            "node 1: the log cannot be opened: the mark is missing"
        );
        let plain = Err::<(), _>(cause()).context("node 1").unwrap_err();
        assert_eq!(said(&plain), "node 1: the mark is missing");
    }
}
