//! Replication and placement. The only crate that names openraft; it knows no seat.

#[cfg(not(tokio_unstable))]
compile_error!(
    "build with `--cfg tokio_unstable` (see .cargo/config.toml; RUSTFLAGS overrides it)"
);

pub mod components;
pub mod disk;
pub mod group;
pub mod log;
pub mod machine;
pub mod types;
