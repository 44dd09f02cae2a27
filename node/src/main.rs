//! The binary `onsale`.

fn main() -> std::process::ExitCode {
    onsale::cli::Cli::run(std::env::args_os())
}
