//! The venue as buyers know it from the public seat map: which seats are side by side, which are
//! wheelchair places, and what was free when they last looked.

use proto::channel::v1::{GetSeatsResponse, SeatMap};
use rand::rngs::StdRng;
use rand::{RngExt as _, seq::IteratorRandom as _};

use crate::load::Run;

#[derive(Debug, Default)]
pub struct House {
    pub name: String,
    pub parts: Vec<Part>,
    pub categories: u16,
}

/// A section.
#[derive(Debug, Default)]
pub struct Part {
    /// Of a standing area; 0 when it has seats.
    pub capacity: u32,
    pub seats: Vec<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Seats of one block are side by side, in sequence, with no aisle between.
    block: u32,
    /// A wheelchair place or its companion's.
    pub special: bool,
    pub accessible: bool,
}

impl House {
    pub fn new(map: &SeatMap) -> House {
        let parts = map.sections.iter().map(|section| {
            let mut block = 0;
            let mut seats = Vec::new();
            for row in &section.rows {
                for seat in &row.seats {
                    seats.push(Place {
                        block,
                        special: seat.accessible || seat.companion,
                        accessible: seat.accessible,
                    });
                    block += u32::from(seat.aisle_after);
                }
                block += 1;
            }
            Part {
                capacity: section.capacity,
                seats,
            }
        });
        House {
            name: map.name.clone(),
            parts: parts.collect(),
            categories: map.categories.len() as u16,
        }
    }

    /// Places of all kinds.
    pub fn capacity(&self) -> u64 {
        self.parts
            .iter()
            .map(|part| u64::from(part.capacity) + part.seats.len() as u64)
            .sum()
    }

    pub fn has_accessible(&self) -> bool {
        self.parts
            .iter()
            .any(|part| part.seats.iter().any(|seat| seat.accessible))
    }

    /// Whether a group sits side by side.
    pub fn together(&self, runs: &[Run]) -> bool {
        let mut seats: Vec<(u16, u32)> = runs
            .iter()
            .flat_map(|run| (0..u32::from(run.count)).map(|n| (run.section, run.first + n)))
            .collect();
        seats.sort_unstable();
        seats.windows(2).all(|two| {
            let [(section, seat), (next_section, next_seat)] = [two[0], two[1]];
            section == next_section
                && seat + 1 == next_seat
                && self.block(section, seat) == self.block(section, next_seat)
        })
    }

    fn block(&self, section: u16, seat: u32) -> Option<u32> {
        let part = self.parts.get(usize::from(section))?;
        Some(part.seats.get(seat as usize)?.block)
    }

    /// Free ordinary seats without a free neighbour.
    pub fn orphans(&self, view: &View) -> u64 {
        let mut orphans = 0;
        for (part, free) in self.parts.iter().zip(&view.sections) {
            let is_free = |seat: usize| free.is_free(seat as u32) && !part.seats[seat].special;
            let beside = |one: usize, other: usize| {
                part.seats[one].block == part.seats[other].block && is_free(other)
            };
            for seat in 0..part.seats.len() {
                let left = seat > 0 && beside(seat, seat - 1);
                let right = seat + 1 < part.seats.len() && beside(seat, seat + 1);
                orphans += u64::from(is_free(seat) && !left && !right);
            }
        }
        orphans
    }

    /// Some `count` free ordinary seats side by side, as a buyer finds them on the map.
    pub fn pick(&self, view: &View, count: u32, rng: &mut StdRng) -> Option<Vec<(u16, u32)>> {
        const LOOKS: usize = 200;
        for _ in 0..LOOKS {
            let section = rng.random_range(0..self.parts.len());
            let (part, free) = (&self.parts[section], &view.sections[section]);
            if part.seats.len() < count as usize {
                continue;
            }
            let first = rng.random_range(0..=part.seats.len() - count as usize);
            let block = part.seats[first].block;
            let fits = (first..first + count as usize).all(|seat| {
                let place = part.seats[seat];
                place.block == block && !place.special && free.is_free(seat as u32)
            });
            if fits {
                let seats = first as u32..first as u32 + count;
                return Some(seats.map(|seat| (section as u16, seat)).collect());
            }
        }
        None
    }

    /// Any place that is still free.
    pub fn leftover(&self, view: &View, rng: &mut StdRng) -> Option<Leftover> {
        let standing = self.parts.iter().zip(&view.sections).enumerate();
        let standing = standing.filter_map(|(section, (part, seen))| {
            let free = part.capacity.checked_sub(seen.standing_taken)?;
            (free > 0).then_some(Leftover::Standing {
                section: section as u16,
                free,
            })
        });
        if let Some(found) = standing.choose(rng) {
            return Some(found);
        }
        let section = (0..self.parts.len())
            .filter(|section| view.sections[*section].free > 0)
            .choose(rng)?;
        let part = &self.parts[section];
        let seat = (0..part.seats.len() as u32)
            .filter(|seat| view.sections[section].is_free(*seat))
            .choose(rng)?;
        Some(Leftover::Seat {
            section: section as u16,
            seat,
            accessible: part.seats[seat as usize].accessible,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    Seat {
        section: u16,
        seat: u32,
        accessible: bool,
    },
    Standing {
        section: u16,
        free: u32,
    },
}

/// The seats as they were a moment ago.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub sections: Vec<SectionView>,
    pub free: u64,
    pub held: u64,
    pub sold: u64,
    pub blocked: u64,
}

#[derive(Clone, Debug, Default)]
pub struct SectionView {
    seats: u32,
    /// Held, sold or blocked, a bit a seat.
    taken: Vec<u8>,
    pub free: u32,
    standing_taken: u32,
}

impl SectionView {
    pub fn is_free(&self, seat: u32) -> bool {
        let byte = self.taken.get(seat as usize / 8).copied().unwrap_or(0);
        seat < self.seats && byte >> (seat % 8) & 1 == 0
    }
}

impl View {
    pub fn new(seats: &GetSeatsResponse) -> View {
        let mut view = View::default();
        for section in &seats.sections {
            let bits = |plane: &[u8]| -> u64 {
                plane.iter().map(|byte| u64::from(byte.count_ones())).sum()
            };
            let held = bits(&section.held) + u64::from(section.held_count);
            let sold = bits(&section.sold) + u64::from(section.sold_count);
            let blocked = bits(&section.blocked) + u64::from(section.blocked_count);
            let all = u64::from(section.seat_count) + u64::from(section.capacity);
            let free = all.saturating_sub(held + sold + blocked);
            view.free += free;
            view.held += held;
            view.sold += sold;
            view.blocked += blocked;
            let at = |plane: &[u8], byte: usize| plane.get(byte).copied().unwrap_or(0);
            let taken = (0..section.seat_count.div_ceil(8) as usize).map(|byte| {
                at(&section.held, byte) | at(&section.sold, byte) | at(&section.blocked, byte)
            });
            view.sections.push(SectionView {
                seats: section.seat_count,
                taken: taken.collect(),
                free: if section.capacity == 0 {
                    free as u32
                } else {
                    0
                },
                standing_taken: section.held_count + section.sold_count + section.blocked_count,
            });
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proto::channel::v1::{Row, Seat, Section, SectionSeats};
    use rand::SeedableRng as _;

    use super::*;

    /// Two rows of six, an aisle after the third seat of each, and a standing area.
    fn house() -> House {
        let seat = |number: usize| Seat {
            aisle_after: number == 2,
            accessible: number == 5,
            ..Seat::default()
        };
        let row = Row {
            label: String::new(),
            seats: (0..6).map(seat).collect(),
        };
        let seated = Section {
            rows: vec![row.clone(), row],
            ..Section::default()
        };
        let standing = Section {
            capacity: 10,
            ..Section::default()
        };
        House::new(&SeatMap {
            sections: vec![seated, standing],
            ..SeatMap::default()
        })
    }

    fn view(sold: [u8; 2], standing: u32) -> View {
        let seated = SectionSeats {
            seat_count: 12,
            sold: Bytes::copy_from_slice(&sold),
            ..SectionSeats::default()
        };
        let standing = SectionSeats {
            section: 1,
            capacity: 10,
            sold_count: standing,
            ..SectionSeats::default()
        };
        View::new(&GetSeatsResponse {
            sections: vec![seated, standing],
            ..GetSeatsResponse::default()
        })
    }

    fn run(first: u32, count: u16) -> Run {
        Run {
            section: 0,
            count,
            first,
        }
    }

    #[test]
    fn aisles_and_rows_part_a_group() {
        let house = house();
        assert_eq!(house.capacity(), 22);
        assert!(house.together(&[run(0, 3)]));
        assert!(house.together(&[run(1, 1), run(0, 1)]));
        assert!(!house.together(&[run(1, 3)]), "across the aisle");
        assert!(!house.together(&[run(5, 2)]), "across rows");
        assert!(!house.together(&[run(0, 1), run(2, 1)]), "a gap");
    }

    #[test]
    fn orphans_and_leftovers_are_found() {
        let house = house();
        let mut rng = StdRng::seed_from_u64(1);
        // Free: 0; 3 and 4; 6 and 8; 11, which is a wheelchair place.
        let seen = view([0b1010_0110, 0b0000_0110], 10);
        assert_eq!((seen.free, seen.sold), (6, 16));
        assert_eq!(house.orphans(&seen), 3);
        assert_eq!(house.pick(&seen, 2, &mut rng), Some(vec![(0, 3), (0, 4)]));
        assert_eq!(house.pick(&seen, 3, &mut rng), None);
        let only = view([0xff, 0b0000_0111], 10);
        assert_eq!(
            house.leftover(&only, &mut rng),
            Some(Leftover::Seat {
                section: 0,
                seat: 11,
                accessible: true
            })
        );
        let only = view([0xff, 0x0f], 7);
        assert_eq!(
            house.leftover(&only, &mut rng),
            Some(Leftover::Standing {
                section: 1,
                free: 3
            })
        );
        assert_eq!(house.leftover(&view([0xff, 0x0f], 10), &mut rng), None);
    }
}
