//! Faults injected into public surfaces; nothing depends on it.
//!
//! ```text
//!   bin/domain   layer1   the pure domain by seed: replicas of one log beside a naive reference
//!   bin/sim      sim      the whole cluster in one thread by seed
//!   bin/procs    procs    real nodes under real faults
//!   bin/judge    history  what clients saw, checked: nothing sold twice, nothing acknowledged lost
//!   bin/fuzz     fuzz     whatever comes in, fed with anything; cargo fuzz runs the same
//!   bin/load     load     more than three real nodes can do, and memory over time
//!   bin/bugs     bugs     deliberate bugs, and which layer finds them in how many seeds
//! ```

#[cfg(feature = "bugs")]
pub mod bugs;
pub mod fuzz;
pub mod history;
pub mod layer1;
pub mod load;
pub mod procs;
pub mod sim;
