//! Random commands against a naive reference, and other properties of the whole sale.
//!
//! Every random test draws from a seed that proptest chooses, shrinks and prints; to repeat one,
//! pass the seed to the function that the test calls.

// The rules of purity are for the sale: tests print their seeds.
#![allow(clippy::disallowed_macros)]

mod best;
mod draw;
mod eviction;
mod image;
mod reference;
mod seating;
mod steps;
mod total;
mod walk;
