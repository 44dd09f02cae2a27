//! Layer 1: the pure domain by seed.
//!
//! One seed draws a house, its rules, a crowd and a set of faults (`plan`). The crowd asks and calls
//! back (`crowd`), leaders stamp and propose (`proposers`), replicas apply the log at their own pace,
//! crash, replay and restore (`stage`), and a naive sale beside them says what the answer must be
//! (`reference`). `run` drives it; `shrink` makes a failure small. It knows no network, disk or
//! thread: those are the layers above.

pub mod asked;
pub mod crowd;
mod errands;
pub mod faults;
pub mod plan;
pub mod proposers;
pub mod reference;
pub mod run;
pub mod shrink;
pub mod stage;

/// The generator of all that a seed draws.
pub type Draw = rand::rngs::Xoshiro256PlusPlus;
