//! When a sale will have sold out, and how many seats it will have sold by a time: estimates for people,
//! which decide nothing. A node forecasts the sales that it leads, from the figures that it looks at anyway.
//!
//! ```text
//! observe ─ figures ─► book ◄─ answers ─ http
//!                       │ ▲
//!               curves  ▼ │ outlooks
//!                     work ── a `Forecaster`
//! ```
//!
//! `price` makes a proposal of an outlook; it changes no price, for the engine has none.

mod book;
mod curve;
mod metrics;
mod pace;
pub mod price;
mod smoothing;
mod work;

#[cfg(test)]
mod backtest;

pub use book::{Book, State};
pub use curve::{Curve, SOLD_OUT, Sample};
pub use metrics::ForecastMetrics;
pub use pace::Pace;
pub use smoothing::Smoothing;
pub use work::{Closing, work};

/// Estimates the future of a sale from its past alone.
pub trait Forecaster: Send + Sync {
    /// `at_s`: times for which the number of seats sold is wanted, in seconds after the last sample.
    /// `None`: the curve says too little.
    fn forecast(&self, curve: &Curve, at_s: &[f64]) -> Option<Outlook>;
}

/// Who made an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    /// Exponential smoothing with a trend.
    Smoothing,
    /// The rate of late, carried on.
    Pace,
}

impl Model {
    pub const ALL: [Model; 2] = [Model::Smoothing, Model::Pace];

    pub fn name(self) -> &'static str {
        match self {
            Model::Smoothing => "smoothing",
            Model::Pace => "pace",
        }
    }
}

/// Of what is estimated: one in ten is lower, half are lower, nine in ten are lower.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Band<T> {
    pub low: T,
    pub likely: T,
    pub high: T,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    pub model: Model,
    /// Seconds from the last sample until the sale counts as sold out (`SOLD_OUT`); `None`: later than the past lets
    /// anybody say, or never.
    pub sell_out_s: Band<Option<f64>>,
    /// For each time that was asked for; `None`: it is farther off than the past lets anybody say.
    pub sold_at: Vec<Option<Band<f64>>>,
}
