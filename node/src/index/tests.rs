//! The index against real sales, against a naive reading of the same facts, and against sled.
//! Everything is driven by ticks; random tests print what repeats them.

mod driven;
mod model;
mod stores;
mod town;
