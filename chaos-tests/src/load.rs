//! Load shapes: what three real nodes do when more is offered than they can do.
//!
//! Open loop: visitors come when they come (Poisson, in steps), whether or not anybody is served, and
//! each waits from the moment it meant to call. One visitor is one call: a hold of one place that its
//! buyer never confirms, so that it ends by itself a second later and the house never sells out.
//!
//! The nodes are processes with fsync on, on the first core; the load has the last one. `curve` offers
//! parts and multiples of the capacity, `storm` lets clients retry through a fault, `soak` watches
//! memory. `onsale bench` measures how fast the nodes are; this measures what is left of that.

pub mod arrivals;
pub mod curve;
pub mod line;
pub mod run;
pub mod scene;
pub mod soak;
pub mod storm;
pub mod tally;
