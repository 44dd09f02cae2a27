//! Which seats each kind of buyer asks for.

use domain::command::{CategoryChoice, HoldLine};
use domain::ids::SeatRef;
use rand::RngExt as _;

use crate::layer1::asked::Place;
use crate::layer1::crowd::{BOTS, Crowd, FAMILIES, HOARDERS, RESELLERS};

impl Crowd {
    pub(super) fn wish(&mut self, partner: u32, hold: u128) -> Place {
        let mut place = Place {
            hold,
            buyer: self.buyer(partner),
            ttl_ms: match self.draw.random_range(0..12) {
                0 => self.draw.random_range(1..700_000),
                1 if partner == HOARDERS => u32::MAX,
                _ => 0,
            },
            lines: Vec::with_capacity(1),
            seats: Vec::new(),
            sections: Vec::new(),
        };
        match partner {
            FAMILIES => {
                let quantity = self.draw.random_range(3..=8);
                self.best(&mut place, quantity, 12, 60);
                if self.draw.random_range(0..4) == 0 {
                    let quantity = self.draw.random_range(1..=3);
                    self.best(&mut place, quantity, 0, 50);
                }
            }
            HOARDERS => {
                let quantity = self.draw.random_range(1..=8);
                self.best(&mut place, quantity, 3, 40);
            }
            RESELLERS => {
                for _ in 0..self.draw.random_range(1..=3) {
                    match self.draw.random_range(0..3) {
                        0 => self.standing(&mut place),
                        1 => self.chosen(&mut place),
                        _ => {
                            let quantity = self.draw.random_range(1..=6);
                            self.best(&mut place, quantity, 0, 70);
                        }
                    }
                }
            }
            BOTS => self.chosen(&mut place),
            _ => {
                let drawn = self.draw.random_range(0..10);
                let quantity = self.draw.random_range(1..=4);
                match drawn {
                    0 => self.standing(&mut place),
                    1 => self.chosen(&mut place),
                    _ => self.best(&mut place, quantity, 2, 10),
                }
            }
        }
        if self.draw.random_range(0..60) == 0 {
            self.spoil(&mut place);
        }
        place
    }

    /// Few enough that limits are met.
    fn buyer(&mut self, partner: u32) -> u128 {
        let names = match partner {
            HOARDERS => 3,
            RESELLERS => 12,
            _ => 60,
        };
        u128::from(partner) << 100 | u128::from(self.draw.random_range(0..names as u32))
    }

    fn best(&mut self, place: &mut Place, quantity: u16, accessible: u32, split: u32) {
        let category = match self.draw.random_range(0..6) {
            0 => CategoryChoice::Exactly(self.draw.random_range(0..3)),
            1 => CategoryChoice::AtMost(self.draw.random_range(0..2)),
            _ => CategoryChoice::Any,
        };
        let section_count = match self.draw.random_range(0..5) {
            0 => self.draw.random_range(1..=2),
            _ => 0,
        };
        for _ in 0..section_count {
            let section = self.section(true);
            place.sections.push(section);
        }
        place.lines.push(HoldLine::BestAvailable {
            quantity,
            category,
            section_count,
            accessible: self.draw.random_range(0..100) < accessible,
            split: self.draw.random_range(0..100) < split,
        });
    }

    fn standing(&mut self, place: &mut Place) {
        if self.sections.iter().all(Option::is_some) {
            return self.best(place, 2, 0, 50);
        }
        let section = self.section(false);
        place.lines.push(HoldLine::General {
            section,
            quantity: self.draw.random_range(1..=5),
        });
    }

    fn chosen(&mut self, place: &mut Place) {
        if self.sections.iter().all(Option::is_none) {
            return self.standing(place);
        }
        let chosen = self.chosen_seats(4);
        place.lines.push(HoldLine::Seats {
            count: chosen.len() as u16,
        });
        place.seats.extend(chosen);
    }

    /// Up to so many seats side by side by number, most of them real.
    pub(super) fn chosen_seats(&mut self, most: u32) -> Vec<SeatRef> {
        let section = self.section(true);
        let seats = self
            .sections
            .get(usize::from(section))
            .copied()
            .flatten()
            .unwrap_or(3);
        // The front is what everybody wants.
        let within = match self.draw.random_range(0..3) {
            0 => seats.min(8),
            _ => seats,
        };
        let first = self.draw.random_range(0..within.max(1));
        let count = self.draw.random_range(1..=most);
        let mut chosen: Vec<SeatRef> = (first..first + count)
            .filter(|seat| *seat < seats.max(1))
            .map(|seat| SeatRef { section, seat })
            .collect();
        match self.draw.random_range(0..60) {
            0 => chosen.push(SeatRef {
                section,
                seat: first,
            }),
            1 => chosen.push(SeatRef {
                section: self.draw.random_range(0..5),
                seat: self.draw.random_range(0..80),
            }),
            _ => {}
        }
        chosen
    }

    /// A section of the wanted kind, if there is one, mostly.
    fn section(&mut self, seated: bool) -> u16 {
        let drawn = self.draw.random_range(0..self.sections.len());
        if self.draw.random_range(0..50) == 0 {
            return drawn as u16 + self.draw.random_range(0..2);
        }
        let from_drawn = (drawn..self.sections.len()).chain(0..drawn);
        let fits = |at: &usize| self.sections[*at].is_some() == seated;
        from_drawn.clone().find(fits).unwrap_or(drawn) as u16
    }

    /// A request that does not add up.
    fn spoil(&mut self, place: &mut Place) {
        match self.draw.random_range(0..4) {
            0 => place.lines.clear(),
            1 => place.lines.push(HoldLine::Seats { count: 2 }),
            2 => place.lines.push(HoldLine::General {
                section: 0,
                quantity: 0,
            }),
            _ => place.sections.push(0),
        }
    }
}
