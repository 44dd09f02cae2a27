//! What is foreseen of all sales a node leads, by the event's size: a sale has one leader, so the nodes of
//! a cluster may be added up.

use std::time::Duration;

use prometheus::{Counter, Gauge, GaugeVec, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use super::book::{AHEAD, State};
use super::{Band, Model};
use crate::observe::Size;

const BOUNDS: [&str; 3] = ["low", "likely", "high"];
const NO_MODEL: &str = "none";

/// Handles, made once from the node's registry.
pub struct ForecastMetrics {
    /// Smoothing, pace, none.
    sales: [IntGauge; 3],
    by_size: [OfSize; 3],
    made: IntCounter,
    seconds: Counter,
}

/// Of events of one size.
struct OfSize {
    size: Size,
    out_of_sight: IntGauge,
    /// In the sequence of `AHEAD`.
    sold: [[Gauge; 3]; 2],
    sold_by_close: [Gauge; 3],
    sell_out: [Gauge; 3],
}

/// What is foreseen of the sales of one size together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Together {
    out_of_sight: i64,
    sold: [Band<f64>; 2],
    sold_by_close: Band<f64>,
    /// Of the sale that takes longest of those that are foreseen; NaN: there is none.
    sell_out: Band<f64>,
}

impl Together {
    fn of(states: &[State], size: Size) -> Together {
        let mut together = Together {
            out_of_sight: 0,
            sold: Default::default(),
            sold_by_close: Band::default(),
            sell_out: Band {
                low: f64::NAN,
                likely: f64::NAN,
                high: f64::NAN,
            },
        };
        for state in states.iter().filter(|state| state.size == size) {
            let now = f64::from(state.now.sold);
            let add = |sum: &mut Band<f64>, foreseen: Option<Band<f64>>| {
                // Of which nothing is foreseen stays as it is.
                let band = foreseen.unwrap_or(Band {
                    low: now,
                    likely: now,
                    high: now,
                });
                sum.low += band.low;
                sum.likely += band.likely;
                sum.high += band.high;
            };
            let outlook = state.outlook.as_ref();
            for (number, sum) in together.sold.iter_mut().enumerate() {
                let foreseen = outlook.and_then(|outlook| *outlook.sold_at.get(number)?);
                add(sum, foreseen);
            }
            add(&mut together.sold_by_close, state.sold_by_close);
            if !state.is_selling() {
                continue;
            }
            let left = |seconds: f64| (seconds - state.age_s).max(0.0);
            let sell_out = outlook.map(|outlook| outlook.sell_out_s);
            match sell_out {
                Some(band) if band.likely.is_some() => {
                    // NaN is no maximum of anything.
                    let longest = |known: &mut f64, seconds: Option<f64>| {
                        *known = known.max(seconds.map_or(f64::NAN, left));
                    };
                    longest(&mut together.sell_out.low, band.low);
                    longest(&mut together.sell_out.likely, band.likely);
                    longest(&mut together.sell_out.high, band.high);
                }
                _ => together.out_of_sight += 1,
            }
        }
        together
    }
}

impl ForecastMetrics {
    pub fn new(registry: &Registry) -> prometheus::Result<ForecastMetrics> {
        let counts = |name: &str, help: &str, label: &str| {
            let counts = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counts.clone()))?;
            prometheus::Result::Ok(counts)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            prometheus::Result::Ok(gauges)
        };
        let sales = counts(
            "onsale_forecast_sales",
            "Sales this node leads that are selling, by the model that foresees them.",
            "model",
        )?;
        let out_of_sight = counts(
            "onsale_forecast_out_of_sight_sales",
            "Sales this node leads that are selling and whose sell-out cannot be foreseen, or is far off.",
            "size",
        )?;
        let sold = gauges(
            "onsale_forecast_sold_seats",
            "Seats that sales this node leads will have sold so much later, as is foreseen now.",
            &["size", "ahead", "bound"],
        )?;
        let sold_by_close = gauges(
            "onsale_forecast_sold_by_close_seats",
            "Seats that sales this node leads will have sold when they close, as is foreseen now; of those that are foreseen not so far, what is sold.",
            &["size", "bound"],
        )?;
        let sell_out = gauges(
            "onsale_forecast_sell_out_seconds",
            "Time until the last of the sales this node leads has sold out, of those that are foreseen; NaN: none.",
            &["size", "bound"],
        )?;
        let made = IntCounter::new("onsale_forecast_made_total", "Forecasts that were made.")?;
        registry.register(Box::new(made.clone()))?;
        let seconds = Counter::new(
            "onsale_forecast_seconds_total",
            "Time that making forecasts took, in seconds.",
        )?;
        registry.register(Box::new(seconds.clone()))?;
        let models = [Model::Smoothing.name(), Model::Pace.name(), NO_MODEL];
        Ok(ForecastMetrics {
            sales: models.map(|model| sales.with_label_values(&[model])),
            by_size: Size::ALL.map(|size| OfSize {
                size,
                out_of_sight: out_of_sight.with_label_values(&[size.name()]),
                sold: AHEAD.map(|(_, ahead)| {
                    BOUNDS.map(|bound| sold.with_label_values(&[size.name(), ahead, bound]))
                }),
                sold_by_close: BOUNDS
                    .map(|bound| sold_by_close.with_label_values(&[size.name(), bound])),
                sell_out: BOUNDS.map(|bound| sell_out.with_label_values(&[size.name(), bound])),
            }),
            made,
            seconds,
        })
    }

    pub(super) fn count(&self, took: Duration) {
        self.made.inc();
        self.seconds.inc_by(took.as_secs_f64());
    }

    pub(super) fn tell(&self, states: &[State]) {
        let mut by_model = [0; 3];
        for state in states.iter().filter(|state| state.is_selling()) {
            let model = match state.outlook.as_ref().map(|outlook| outlook.model) {
                Some(Model::Smoothing) => 0,
                Some(Model::Pace) => 1,
                None => 2,
            };
            by_model[model] += 1;
        }
        for (gauge, sales) in self.sales.iter().zip(by_model) {
            gauge.set(sales);
        }
        for of_size in &self.by_size {
            let together = Together::of(states, of_size.size);
            of_size.out_of_sight.set(together.out_of_sight);
            for (gauges, band) in of_size.sold.iter().zip(together.sold) {
                set(gauges, band);
            }
            set(&of_size.sold_by_close, together.sold_by_close);
            set(&of_size.sell_out, together.sell_out);
        }
    }
}

fn set(gauges: &[Gauge; 3], band: Band<f64>) {
    for (gauge, value) in gauges.iter().zip([band.low, band.likely, band.high]) {
        gauge.set(value);
    }
}

#[cfg(test)]
mod tests {
    use domain::rejection::Phase;

    use super::*;
    use crate::forecast::{Outlook, Sample};

    fn state(sold: u32, sell_out_s: Option<f64>) -> State {
        let band = Band {
            low: 90.0,
            likely: 95.0,
            high: 100.0,
        };
        State {
            size: Size::Small,
            phase: Phase::Open,
            now: Sample {
                at_ms: 0,
                sold,
                taken: sold,
                capacity: 100,
            },
            outlook: sell_out_s.map(|likely| Outlook {
                model: Model::Pace,
                sell_out_s: Band {
                    low: Some(likely / 2.0),
                    likely: Some(likely),
                    high: None,
                },
                sold_at: vec![Some(band), None],
            }),
            age_s: 4.0,
            closes_in_s: None,
            sold_by_close: sell_out_s.map(|_| band),
        }
    }

    #[test]
    fn sales_are_foreseen_together() {
        let states = [state(50, Some(30.0)), state(40, Some(20.0)), state(7, None)];
        let small = Together::of(&states, Size::Small);
        assert_eq!(small.out_of_sight, 1);
        assert_eq!(small.sold[0].low, 90.0 + 90.0 + 7.0);
        assert_eq!(small.sold[1].high, 50.0 + 40.0 + 7.0, "too far off");
        assert_eq!(small.sold_by_close.likely, 95.0 + 95.0 + 7.0);
        assert_eq!((small.sell_out.low, small.sell_out.likely), (11.0, 26.0));
        assert!(small.sell_out.high.is_nan());
        let large = Together::of(&states, Size::Large);
        assert!(large.sell_out.likely.is_nan() && large.sold[0].likely == 0.0);
    }
}
