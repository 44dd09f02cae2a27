//! A proposal of other prices, made of an outlook: a step up where a sale will have sold out long before it
//! closes, a step down where it will not by then, even at the band's upper edge; none where the band is too wide
//! to say. Pure. Nothing is ever changed by itself, nor by an approval: the engine has no prices, so an
//! operator's decision is written down (`desk`) and the partner's shop is told by people.

mod desk;

pub use desk::{Desk, Proposal, Undecided};

use super::{Band, SOLD_OUT, State};

/// A sale that will have sold out within this share of the time it has is priced too low.
const EARLY: f64 = 0.5;
/// What is sold by the closing must be foreseen within this share of all seats, and the sell-out within
/// this many times its lower edge.
const WIDTH_MAX: f64 = 0.25;
const SELL_OUT_WIDTH_MAX: f64 = 3.0;

/// A category as an operator describes it; amounts in minor units of one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    pub name: String,
    pub price: i64,
    pub floor: i64,
    pub cap: i64,
    pub step: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    pub category: Category,
    pub proposed: i64,
    /// It pays while sales fall by less than this share of them, or once they grow by more.
    pub break_even: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    SellsOutEarly,
    WillNotSellOut,
}

impl Why {
    pub fn text(self) -> &'static str {
        match self {
            Why::SellsOutEarly => {
                "it will have sold out in less than half of the time until it closes"
            }
            Why::WillNotSellOut => "it will not have sold out when it closes, even at best",
        }
    }
}

/// Why nothing is proposed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProposal {
    #[error("nothing is foreseen of the sale")]
    NoOutlook,
    #[error("the sale has no closing time that is in sight: give the event a time when it starts")]
    NoClosing,
    #[error("the band of the forecast is too wide")]
    TooUncertain,
    #[error("the sale is on course")]
    OnCourse,
    #[error("no category has a step left between its floor and its cap")]
    NoStepLeft,
    #[error(
        "category {0}: its price must lie between its floor and its cap, and step and floor above 0"
    )]
    Unusable(String),
}

/// Proposes prices. What it says is shown to an operator and does nothing.
pub trait Pricer: Send + Sync {
    fn propose(
        &self,
        prospect: &Prospect,
        categories: &[Category],
    ) -> Result<(Why, Vec<Suggestion>), NoProposal>;
}

/// What a price is proposed on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prospect {
    pub capacity: f64,
    pub closes_in_s: f64,
    pub sell_out_s: Band<Option<f64>>,
    pub sold_by_close: Band<f64>,
}

impl Prospect {
    pub fn of(state: &State) -> Result<Prospect, NoProposal> {
        let outlook = state.outlook.as_ref().ok_or(NoProposal::NoOutlook)?;
        Ok(Prospect {
            capacity: f64::from(state.now.capacity),
            closes_in_s: state.closes_in_s.ok_or(NoProposal::NoClosing)?,
            sell_out_s: outlook.sell_out_s,
            sold_by_close: state.sold_by_close.ok_or(NoProposal::NoClosing)?,
        })
    }
}

/// One step for all categories alike: the forecast does not tell them apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneStep;

impl Pricer for OneStep {
    fn propose(
        &self,
        prospect: &Prospect,
        categories: &[Category],
    ) -> Result<(Why, Vec<Suggestion>), NoProposal> {
        if let Some(unusable) = categories.iter().find(|category| !category.is_usable()) {
            return Err(NoProposal::Unusable(unusable.name.clone()));
        }
        let why = prospect.judge()?;
        let suggestions: Vec<Suggestion> = categories
            .iter()
            .map(|category| category.moved(why))
            .filter(|suggestion| suggestion.proposed != suggestion.category.price)
            .collect();
        match suggestions.is_empty() {
            true => Err(NoProposal::NoStepLeft),
            false => Ok((why, suggestions)),
        }
    }
}

impl Prospect {
    fn judge(&self) -> Result<Why, NoProposal> {
        let Band { low, high, .. } = self.sell_out_s;
        if let (Some(low), Some(high)) = (low, high)
            && high <= EARLY * self.closes_in_s
        {
            return match high <= SELL_OUT_WIDTH_MAX * low {
                true => Ok(Why::SellsOutEarly),
                false => Err(NoProposal::TooUncertain),
            };
        }
        let width = (self.sold_by_close.high - self.sold_by_close.low) / self.capacity;
        if width.is_nan() || width > WIDTH_MAX {
            return Err(NoProposal::TooUncertain);
        }
        match self.sold_by_close.high < SOLD_OUT * self.capacity {
            true => Ok(Why::WillNotSellOut),
            false => Err(NoProposal::OnCourse),
        }
    }
}

impl Category {
    fn is_usable(&self) -> bool {
        let Category {
            name: _,
            price,
            floor,
            cap,
            step,
        } = *self;
        floor > 0 && step > 0 && (floor..=cap).contains(&price)
    }

    fn moved(&self, why: Why) -> Suggestion {
        let proposed = match why {
            Why::SellsOutEarly => self.price.saturating_add(self.step),
            Why::WillNotSellOut => self.price.saturating_sub(self.step),
        };
        let proposed = proposed.clamp(self.floor, self.cap);
        Suggestion {
            category: self.clone(),
            proposed,
            break_even: proposed.abs_diff(self.price) as f64 / proposed as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn category(price: i64) -> Category {
        Category {
            name: "stalls".into(),
            price,
            floor: 4_000,
            cap: 12_000,
            step: 500,
        }
    }

    fn prospect(sell_out_s: [Option<f64>; 3], sold_by_close: [f64; 3]) -> Prospect {
        fn band<T: Copy>([low, likely, high]: [T; 3]) -> Band<T> {
            Band { low, likely, high }
        }
        Prospect {
            capacity: 1_000.0,
            closes_in_s: 86_400.0,
            sell_out_s: band(sell_out_s),
            sold_by_close: band(sold_by_close),
        }
    }

    #[test]
    fn a_sale_that_sells_out_early_costs_a_step_more() {
        let early = prospect([Some(500.0), Some(800.0), Some(1_200.0)], [1_000.0; 3]);
        let (why, suggestions) = OneStep
            .propose(&early, &[category(6_000), category(12_000)])
            .unwrap();
        assert_eq!((why, suggestions.len()), (Why::SellsOutEarly, 1));
        assert_eq!(suggestions[0].proposed, 6_500);
        assert!((suggestions[0].break_even - 500.0 / 6_500.0).abs() < 1e-9);
        let capped = OneStep.propose(&early, &[category(12_000)]);
        assert_eq!(capped.unwrap_err(), NoProposal::NoStepLeft);
    }

    #[test]
    fn a_sale_that_will_not_sell_out_costs_a_step_less() {
        let slow = prospect([None; 3], [500.0, 550.0, 600.0]);
        let (why, suggestions) = OneStep.propose(&slow, &[category(4_200)]).unwrap();
        assert_eq!((why, suggestions[0].proposed), (Why::WillNotSellOut, 4_000));
    }

    #[test]
    fn where_the_band_is_wide_nothing_is_proposed() {
        let wide = prospect([Some(500.0), Some(900.0), Some(9_000.0)], [1_000.0; 3]);
        let answer =
            |prospect: &Prospect| OneStep.propose(prospect, &[category(6_000)]).unwrap_err();
        assert_eq!(answer(&wide), NoProposal::TooUncertain);
        assert_eq!(
            answer(&prospect([None; 3], [300.0, 500.0, 900.0])),
            NoProposal::TooUncertain
        );
        let on_course = prospect([Some(7e4), Some(8e4), Some(9e4)], [950.0, 990.0, 1_000.0]);
        assert_eq!(answer(&on_course), NoProposal::OnCourse);
    }

    proptest! {
        /// Whatever is foreseen and whatever the rules are.
        #[test]
        fn a_price_keeps_its_bounds_and_moves_one_step(
            times in prop::array::uniform3(prop::option::of(0.0..1e6_f64)),
            sold in prop::array::uniform3(0.0..1_000.0_f64),
            price in any::<i64>(),
            floor in any::<i64>(),
            cap in any::<i64>(),
            step in any::<i64>(),
        ) {
            let category = Category { name: "any".into(), price, floor, cap, step };
            match OneStep.propose(&prospect(times, sold), &[category]) {
                Ok((_, suggestions)) => for Suggestion { category, proposed, .. } in suggestions {
                    prop_assert!((floor..=cap).contains(&proposed));
                    prop_assert!(proposed != category.price);
                    prop_assert!(proposed.abs_diff(category.price) <= category.step.unsigned_abs());
                },
                Err(NoProposal::Unusable(_)) => {
                    prop_assert!(floor <= 0 || step <= 0 || price < floor || price > cap);
                }
                Err(_) => {}
            }
        }

        #[test]
        fn a_wide_band_never_makes_a_proposal(
            low in 0.0..600.0_f64,
            more in 300.0..400.0_f64,
            price in 4_000..12_000_i64,
        ) {
            let wide = prospect([Some(10.0), Some(40.0), None], [low, low, low + more]);
            let answer = OneStep.propose(&wide, &[category(price)]);
            prop_assert_eq!(answer.unwrap_err(), NoProposal::TooUncertain);
        }
    }
}
