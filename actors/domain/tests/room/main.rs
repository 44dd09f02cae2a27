//! The waiting room from outside: `sequence` who stands where, and what proves it; `pace` how fast
//! they are let in.

mod pace;
mod sequence;
