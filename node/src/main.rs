//! The binary `onsale`.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    match onsale::cli::Cli::parse().command.run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("onsale: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
