//! The reference: events that the same buyers bought, ranked by the log-likelihood ratio (Dunning 1993), which
//! does not take what everybody buys for a likeness. Pairs are counted when they are asked for, so memory
//! grows by buyers and their events alone, up to a bound.

use std::collections::HashMap;

use domain::ids::SaleId;

use super::{Pseudonym, Recommendation, Recommender};

/// Buyers who are learned of; later ones are not.
const BUYERS_MAX: usize = 200_000;
/// Events of one buyer; who buys more is hardly one person.
const EVENTS_MAX: usize = 32;
/// An event is named only when so many bought both: what is said must not tell of anybody.
const SUPPORT_LEAST: u64 = 5;
/// Below this ratio it is chance (1 in 100, chi square with one degree of freedom).
const RATIO_LEAST: f64 = 6.63;

#[derive(Debug, Default)]
pub struct CoPurchases {
    buyers: HashMap<Pseudonym, Vec<SaleId>>,
}

impl Recommender for CoPurchases {
    fn learn(&mut self, buyer: Pseudonym, event: SaleId) {
        if self.buyers.len() >= BUYERS_MAX && !self.buyers.contains_key(&buyer) {
            return;
        }
        let events = self.buyers.entry(buyer).or_default();
        if events.len() < EVENTS_MAX && !events.contains(&event) {
            events.push(event);
        }
    }

    fn recommend(&self, event: SaleId, most: usize) -> Vec<Recommendation> {
        // By event: buyers of it, and buyers of both.
        let mut counts: HashMap<SaleId, (u64, u64)> = HashMap::new();
        let mut of_event = 0;
        for events in self.buyers.values() {
            let bought = events.contains(&event);
            of_event += u64::from(bought);
            for other in events.iter().filter(|other| **other != event) {
                let (all, both) = counts.entry(*other).or_default();
                *all += 1;
                *both += u64::from(bought);
            }
        }
        let everybody = self.buyers.len() as u64;
        let mut found: Vec<(f64, Recommendation)> = counts
            .into_iter()
            .filter(|(_, (_, both))| *both >= SUPPORT_LEAST)
            // More than if one had nothing to do with the other.
            .filter(|(_, (all, both))| both * everybody > all * of_event)
            .map(|(other, (all, both))| {
                let likeness = both as f64 / ((all * of_event) as f64).sqrt();
                let recommendation = Recommendation {
                    event: other,
                    likeness: (likeness * 100.0).round() / 100.0,
                };
                (ratio(everybody, of_event, all, both), recommendation)
            })
            .filter(|(ratio, _)| *ratio >= RATIO_LEAST)
            .collect();
        found.sort_by(|(one, of_one), (other, of_other)| {
            let by_ratio = other.total_cmp(one);
            by_ratio.then(of_one.event.cmp(&of_other.event))
        });
        let found = found.into_iter().take(most);
        found.map(|(_, recommendation)| recommendation).collect()
    }
}

/// Twice the log-likelihood ratio of a two by two table.
fn ratio(everybody: u64, one: u64, other: u64, both: u64) -> f64 {
    let neither = (everybody + both).saturating_sub(one + other);
    let cells = [both, one - both, other - both, neither];
    let rows = [one, everybody - one];
    let columns = [other, everybody - other];
    let entropy = |counts: &[u64]| -> f64 {
        let all: u64 = counts.iter().sum();
        let parts = counts.iter().filter(|count| **count > 0);
        parts
            .map(|count| *count as f64 * (*count as f64 / all as f64).ln())
            .sum()
    };
    2.0 * (entropy(&cells) - entropy(&rows) - entropy(&columns))
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    fn events(found: &[Recommendation]) -> Vec<u64> {
        found.iter().map(|found| found.event.0).collect()
    }

    /// Two tastes, one event that everybody goes to, one that a few buyers of the first bought too.
    fn town() -> CoPurchases {
        let mut chance = StdRng::seed_from_u64(7);
        let mut town = CoPurchases::default();
        for buyer in 0..4_000_u64 {
            let taste = if buyer % 2 == 0 { [1, 2, 3] } else { [4, 5, 6] };
            for event in taste {
                if chance.random_bool(0.3) {
                    town.learn(Pseudonym(buyer), SaleId(event));
                }
            }
            if chance.random_bool(0.7) {
                town.learn(Pseudonym(buyer), SaleId(7));
            }
        }
        for buyer in 10_000..10_004 {
            town.learn(Pseudonym(buyer), SaleId(1));
            town.learn(Pseudonym(buyer), SaleId(8));
        }
        town
    }

    #[test]
    fn what_goes_together_is_found_and_what_everybody_buys_is_not() {
        let town = town();
        let mut of_first = events(&town.recommend(SaleId(1), 9));
        of_first.sort_unstable();
        assert_eq!(of_first, [2, 3]);
        let of_fifth = town.recommend(SaleId(5), 1);
        assert_eq!(of_fifth.len(), 1);
        assert!([4, 6].contains(&of_fifth[0].event.0));
        assert!((0.2..0.5).contains(&of_fifth[0].likeness), "{of_fifth:?}");
        assert!(town.recommend(SaleId(99), 9).is_empty());
    }

    #[test]
    fn a_few_buyers_are_not_told_of() {
        let mut town = town();
        assert!(
            !events(&town.recommend(SaleId(8), 9)).contains(&1),
            "four bought both"
        );
        town.learn(Pseudonym(10_004), SaleId(1));
        town.learn(Pseudonym(10_004), SaleId(8));
        assert!(
            events(&town.recommend(SaleId(8), 9)).contains(&1),
            "five did"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut purchases = CoPurchases::default();
        for event in 0..1_000 {
            purchases.learn(Pseudonym(1), SaleId(event));
        }
        assert_eq!(purchases.buyers[&Pseudonym(1)].len(), EVENTS_MAX);
        for buyer in 0..BUYERS_MAX as u64 + 10 {
            purchases.learn(Pseudonym(buyer), SaleId(1));
        }
        assert_eq!(purchases.buyers.len(), BUYERS_MAX);
    }

    #[test]
    fn the_ratio_is_that_of_the_book() {
        // Independent: 20 of 100 in both rows.
        assert!(ratio(200, 100, 40, 20).abs() < 1e-9);
        // A table worked by hand: 10 both, 10 and 10 of one, 70 of neither.
        let by_hand = 2.0
            * (10.0 * f64::ln(10.0 * 100.0 / 400.0)
                + 20.0 * f64::ln(10.0 * 100.0 / 1_600.0)
                + 70.0 * f64::ln(70.0 * 100.0 / 6_400.0));
        assert!((ratio(100, 20, 20, 10) - by_hand).abs() < 1e-9);
    }
}
