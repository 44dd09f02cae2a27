//! The seats of a section as bit planes in sequence of seats: what snapshots of seats carry.
//!
//! Inside a sale the planes follow the stretches; here they are put in sequence and back.

use crate::change::SeatState;
use crate::ids::SeatRef;
use crate::seats::{Seats, Section};

/// A section's seats by state. One bit a seat, lowest bit first; a seat in no plane is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionPlanes {
    Seated {
        seats: u32,
        held: Vec<u64>,
        sold: Vec<u64>,
        blocked: Vec<u64>,
    },
    General {
        capacity: u32,
        held: u32,
        sold: u32,
    },
}

impl Seats {
    /// `None` if the venue has no such section.
    pub(crate) fn planes(&self, section: u16) -> Option<SectionPlanes> {
        match self.layout.sections.get(usize::from(section))? {
            Section::General { number } => {
                let general = self.generals.get(*number as usize)?;
                let (capacity, held, sold) = (general.capacity, general.held, general.sold);
                Some(SectionPlanes::General {
                    capacity,
                    held,
                    sold,
                })
            }
            Section::Seated { seats, .. } => Some(SectionPlanes::Seated {
                seats: *seats,
                held: self.plane(section, *seats, SeatState::Held),
                sold: self.plane(section, *seats, SeatState::Sold),
                blocked: self.plane(section, *seats, SeatState::Blocked),
            }),
        }
    }

    fn plane(&self, section: u16, seats: u32, state: SeatState) -> Vec<u64> {
        let mut plane = vec![0_u64; seats.div_ceil(64) as usize];
        for (_, stretch) in self.layout.stretches_of_section(section) {
            let words = (stretch.len as usize).div_ceil(64);
            let source = self.words.iter().skip(stretch.word as usize).take(words);
            for (bit, word) in (u64::from(stretch.first_seat)..).step_by(64).zip(source) {
                let bits = word.get(state as usize).copied().unwrap_or(0);
                let at = (bit >> 6) as usize;
                let inside = (bit & 63) as u32;
                if let Some(low) = plane.get_mut(at) {
                    *low |= bits.wrapping_shl(inside);
                }
                // What was shifted out belongs to the next word.
                let over = bits.checked_shr(64_u32.saturating_sub(inside)).unwrap_or(0);
                if let Some(high) = plane.get_mut(at.saturating_add(1)) {
                    *high |= over;
                }
            }
        }
        plane
    }

    /// The runs of seats of a section that are in a state, as long as possible, in sequence.
    pub(crate) fn runs_in(&self, section: u16, state: SeatState) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        let Some(Section::Seated { seats, .. }) = self.layout.sections.get(usize::from(section))
        else {
            return runs;
        };
        let plane = self.plane(section, *seats, state);
        for seat in set_bits(&plane) {
            match runs.last_mut() {
                Some((first, count)) if first.saturating_add(*count) == seat => {
                    *count = count.saturating_add(1);
                }
                _ => runs.push((seat, 1)),
            }
        }
        runs
    }

    /// Whether all seats from `first` on are there and in this state.
    pub(crate) fn all_in(&self, section: u16, first: u32, count: u32, state: SeatState) -> bool {
        (first..first.saturating_add(count))
            .all(|seat| self.state(SeatRef { section, seat }) == Some(state))
    }
}

/// The numbers of the bits that are set, ascending.
pub(crate) fn set_bits(plane: &[u64]) -> impl Iterator<Item = u32> {
    (0_u32..).step_by(64).zip(plane).flat_map(|(base, word)| {
        let mut left = *word;
        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let bit = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            Some(base.wrapping_add(bit))
        })
    })
}
