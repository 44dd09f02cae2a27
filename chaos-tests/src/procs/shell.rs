//! Programs of the system (`ip`, `nft`, `tc`, `mount`, …), run to their end. What a program said is
//! in the trouble it ends with.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::{Trouble, trouble};

/// Runs a program; its standard output.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, Trouble> {
    feed(Command::new(program).args(arguments), "")
}

/// Runs a command that reads `input`; its standard output.
pub fn feed(command: &mut Command, input: &str) -> Result<String, Trouble> {
    let name = format!("{command:?}").replace('"', "");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| trouble(format!("{name}: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that needs no input may have ended already.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(trouble(format!("{name}: {}", last_line(&output)))),
    }
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    match text.lines().last() {
        Some(line) => line.to_owned(),
        None => output.status.to_string(),
    }
}
