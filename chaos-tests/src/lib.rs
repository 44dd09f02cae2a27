//! Faults injected into public surfaces; nothing depends on it.
//!
//! ```text
//!   bin/domain   layer1   the pure domain by seed: replicas of one log beside a naive reference
//!   bin/sim      sim      the whole cluster in one thread by seed
//!   bin/procs    procs    real nodes under real faults
//!   bin/judge    history  what clients saw, checked: nothing sold twice, nothing acknowledged lost
//!   bin/bugs     bugs     deliberate bugs, and which layer finds them in how many seeds
//! ```

#[cfg(feature = "bugs")]
pub mod bugs;
pub mod history;
pub mod layer1;
pub mod procs;
pub mod sim;
