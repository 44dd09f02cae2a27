//! Who comes to buy: how many they are, what they want, whether they pay.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::load::call::Id;

/// In a thousand parties, by size from 1 to 8: couples first, then families; clubs are rare.
const SIZES: [u32; 8] = [130, 430, 120, 190, 45, 50, 10, 25];
const ABANDON_PER_MILLE: u32 = 150;
/// Of those who abandon, who say so; the others just close the page.
const RELEASE_PER_MILLE: u32 = 400;
const CHOOSE_PER_MILLE: u32 = 120;
const CATEGORY_PER_MILLE: u32 = 300;
const SPLIT_PER_MILLE: u32 = 600;
const ACCESSIBLE_PER_MILLE: u32 = 12;
/// Who presses the button twice.
const TWICE_PER_MILLE: u32 = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    pub size: u16,
    pub wish: Wish,
    /// Would rather sit apart than go home.
    pub would_split: bool,
    pub end: End,
    pub presses_twice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Good seats, wherever.
    Best,
    /// This price or a cheaper one.
    Category(u16),
    /// Picks seats on the map.
    Chosen,
    /// A place in this standing section.
    Standing(u16),
    /// A wheelchair place and seats beside it.
    Accessible,
}

/// What becomes of the hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Pays,
    Releases,
    /// Closes the page: the hold runs out.
    Vanishes,
}

/// What there is to wish for.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    pub categories: u16,
    /// Standing sections and their capacity.
    pub standing: Vec<(u16, u32)>,
    pub capacity: u64,
    pub accessible: bool,
}

impl Party {
    /// The party of a visitor: the same when it joins and when its turn has come.
    pub fn of(offer: &Offer, visitor: &Id) -> Party {
        let seed = u128::from_be_bytes(*visitor) as u64;
        Party::draw(offer, &mut StdRng::seed_from_u64(seed))
    }

    /// How many tickets it asks for together when it joins.
    pub fn tickets(&self) -> u8 {
        u8::try_from(self.size).unwrap_or(u8::MAX)
    }

    fn draw(offer: &Offer, rng: &mut StdRng) -> Party {
        let size = size(rng);
        let wish = wish(offer, rng);
        let chance = |rng: &mut StdRng, per_mille: u32| rng.random_range(0..1000) < per_mille;
        let abandons = chance(rng, ABANDON_PER_MILLE);
        let releases = chance(rng, RELEASE_PER_MILLE);
        Party {
            // One in a wheelchair and at most one who comes along.
            size: if wish == Wish::Accessible {
                size.min(2)
            } else {
                size
            },
            wish,
            would_split: chance(rng, SPLIT_PER_MILLE),
            end: match (abandons, releases) {
                (false, _) => End::Pays,
                (true, true) => End::Releases,
                (true, false) => End::Vanishes,
            },
            presses_twice: chance(rng, TWICE_PER_MILLE),
        }
    }
}

fn size(rng: &mut StdRng) -> u16 {
    let mut ticket = rng.random_range(0..SIZES.iter().sum::<u32>());
    for (size, share) in (1..).zip(SIZES) {
        if ticket < share {
            return size;
        }
        ticket -= share;
    }
    1
}

fn wish(offer: &Offer, rng: &mut StdRng) -> Wish {
    // As many want to stand as there is room for.
    let mut ticket = rng.random_range(0..offer.capacity.max(1));
    for (section, capacity) in &offer.standing {
        if ticket < u64::from(*capacity) {
            return Wish::Standing(*section);
        }
        ticket -= u64::from(*capacity);
    }
    let mut ticket = rng.random_range(0..1000);
    let mut falls_on = |share: u32| {
        let hit = ticket < share;
        ticket = ticket.saturating_sub(share);
        hit
    };
    if offer.accessible && falls_on(ACCESSIBLE_PER_MILLE) {
        Wish::Accessible
    } else if falls_on(CHOOSE_PER_MILLE) {
        Wish::Chosen
    } else if offer.categories > 1 && falls_on(CATEGORY_PER_MILLE) {
        Wish::Category(rng.random_range(0..offer.categories))
    } else {
        Wish::Best
    }
}

/// Seats an average party asks for.
pub fn mean_size() -> f64 {
    let people: u32 = (1..)
        .zip(SIZES)
        .map(|(size, share): (u32, u32)| size * share)
        .sum();
    f64::from(people) / f64::from(SIZES.iter().sum::<u32>())
}

/// Of all parties, who pay.
pub fn paying_share() -> f64 {
    1.0 - f64::from(ABANDON_PER_MILLE) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_as_they_are_at_a_box_office() {
        let offer = Offer {
            categories: 5,
            standing: vec![(7, 2000)],
            capacity: 20_000,
            accessible: true,
        };
        let mut rng = StdRng::seed_from_u64(5);
        let parties: Vec<Party> = (0..20_000).map(|_| Party::draw(&offer, &mut rng)).collect();
        let share = |of: &dyn Fn(&Party) -> bool| {
            parties.iter().filter(|party| of(party)).count() as f64 / parties.len() as f64
        };
        let near = |value: f64, expected: f64| (value - expected).abs() < 0.015;
        assert!(parties.iter().all(|party| (1..=8).contains(&party.size)));
        assert!(
            near(share(&|p| p.size == 2), 0.43),
            "{}",
            share(&|p| p.size == 2)
        );
        assert!(share(&|p| p.size == 8) > 0.01);
        assert!(near(share(&|p| p.end == End::Pays), paying_share()));
        assert!(near(share(&|p| p.wish == Wish::Standing(7)), 0.1));
        assert!(near(share(&|p| p.wish == Wish::Chosen), 0.11));
        let accessible = share(&|p| p.wish == Wish::Accessible);
        assert!((0.005..0.02).contains(&accessible), "{accessible}");
        assert!(
            parties
                .iter()
                .all(|p| p.wish != Wish::Accessible || p.size <= 2)
        );
        assert!((2.0..3.5).contains(&mean_size()));
        let visitor: Id = rng.random();
        assert_eq!(Party::of(&offer, &visitor), Party::of(&offer, &visitor));
    }

    #[test]
    fn a_plain_house_has_plain_wishes() {
        let offer = Offer {
            categories: 1,
            capacity: 100,
            ..Offer::default()
        };
        let mut rng = StdRng::seed_from_u64(6);
        for _ in 0..1000 {
            let wish = Party::draw(&offer, &mut rng).wish;
            assert!(matches!(wish, Wish::Best | Wish::Chosen), "{wish:?}");
        }
    }
}
