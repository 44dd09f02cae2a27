//! The waiting room from outside: `sequence` who stands where, and what proves it; `sale` what it
//! means for the sale; `pace` how fast visitors are let in.

mod pace;
mod sale;
mod sequence;
