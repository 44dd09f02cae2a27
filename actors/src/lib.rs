//! Sale actors around the pure domain. The only reader of a clock.

pub mod calls;
pub mod codec;
