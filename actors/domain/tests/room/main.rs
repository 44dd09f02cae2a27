//! The waiting room from outside: `sequence` who stands where, and what proves it; `parties` who is let
//! in when little is left; `clerk` a naive book beside the room; `sale` what it means for the sale; `pace` how fast visitors are let in.

mod clerk;
mod pace;
mod parties;
mod sale;
mod sequence;
