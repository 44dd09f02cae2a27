//! The seats of a sale: which are free, held, sold, blocked.
//!
//! Four bit planes, interleaved word by word so that one stretch is one cache line, and counters by
//! pool. It knows no hold, order, buyer or rule. Called by the commands and by best available.

mod layout;
mod planes;

pub(crate) use layout::{Group, Layout, Pool, Section, Stretch};
pub use planes::SectionPlanes;
pub(crate) use planes::set_bits;

use crate::best_available::Finder;
use crate::change::SeatState;
use crate::ids::SeatRef;
use crate::outcome::SeatRun;
use crate::venue::{Venue, VenueFault};
use crate::warm::warm_first;

/// The planes of up to 64 seats of one stretch, indexed by `SeatState`. A seat's bit is set in
/// exactly one of them; bits past the stretch's end are set in none, so they are never free.
pub(crate) type Word = [u64; 4];

/// Seats by state, indexed by `SeatState`.
pub(crate) type Tally = [u32; 4];

/// Held and sold places of a general-admission section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct General {
    pub(crate) capacity: u32,
    pub(crate) held: u32,
    pub(crate) sold: u32,
}

impl General {
    pub(crate) fn free(&self) -> u32 {
        self.capacity
            .saturating_sub(self.held)
            .saturating_sub(self.sold)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Seats {
    pub(crate) layout: Layout,
    pub(crate) words: Vec<Word>,
    /// By pool.
    pub(crate) tallies: Vec<Tally>,
    /// By group: sums over its pools, so that a choice of any section is counted quickly.
    pub(crate) group_tallies: Vec<Tally>,
    /// By general-admission section, as numbered by the layout.
    pub(crate) generals: Vec<General>,
    /// Over all sections, general admission included.
    pub(crate) totals: Tally,
    pub(crate) finder: Finder,
}

impl Seats {
    /// All seats free.
    pub(crate) fn new(venue: &Venue) -> Result<Seats, VenueFault> {
        let layout = Layout::new(venue)?;
        let mut words = vec![Word::default(); layout.word_count];
        let mut tallies = vec![Tally::default(); layout.pools.len()];
        let mut group_tallies = vec![Tally::default(); layout.groups.len()];
        for stretch in &layout.stretches {
            let len = u32::from(stretch.len);
            for (bit, word) in (0..len)
                .step_by(64)
                .zip(words.iter_mut().skip(stretch.word as usize))
            {
                *word = [low_bits(len.saturating_sub(bit)), 0, 0, 0];
            }
            add(&mut tallies, stretch.pool as usize, SeatState::Free, len);
            add(
                &mut group_tallies,
                stretch.group as usize,
                SeatState::Free,
                len,
            );
        }
        let generals: Vec<General> = layout
            .general_capacities
            .iter()
            .map(|capacity| General {
                capacity: *capacity,
                held: 0,
                sold: 0,
            })
            .collect();
        let finder = Finder::new(layout.stretches.len());
        let totals = [layout.seats_total, 0, 0, 0];
        Ok(Seats {
            layout,
            words,
            tallies,
            group_tallies,
            generals,
            totals,
            finder,
        })
    }

    /// See `Sale::warm`.
    #[inline]
    pub(crate) fn warm(&self) {
        self.layout.warm();
        warm_first(&self.words);
        warm_first(&self.tallies);
        warm_first(&self.group_tallies);
        self.finder.warm();
    }

    /// The state of a seat; `None` if the venue has no such seat.
    #[inline]
    pub(crate) fn state(&self, seat: SeatRef) -> Option<SeatState> {
        let (stretch, offset) = self.layout.locate(seat)?;
        let word = self
            .words
            .get((stretch.word as usize).wrapping_add((offset >> 6) as usize))?;
        let bit = 1_u64.wrapping_shl(offset);
        let [free, held, sold, _] = word;
        Some(if free & bit != 0 {
            SeatState::Free
        } else if held & bit != 0 {
            SeatState::Held
        } else if sold & bit != 0 {
            SeatState::Sold
        } else {
            SeatState::Blocked
        })
    }

    /// Moves every seat of the run from one state to another. The caller has checked that they are
    /// in the first; for general admission, that as many are.
    pub(crate) fn shift(&mut self, run: SeatRun, from: SeatState, to: SeatState) {
        let moved = match self.layout.sections.get(usize::from(run.section)) {
            None => return,
            Some(Section::General { number }) => {
                if let Some(general) = self.generals.get_mut(*number as usize) {
                    shift_general(general, u32::from(run.count), from, to);
                }
                u32::from(run.count)
            }
            Some(Section::Seated { .. }) => self.shift_seats(run, from, to),
        };
        count(&mut self.totals, from, to, moved);
    }

    fn shift_seats(&mut self, run: SeatRun, from: SeatState, to: SeatState) -> u32 {
        let mut seat = run.first;
        let mut left = u32::from(run.count);
        while left > 0 {
            let Some(id) = self.layout.stretch_of(SeatRef {
                section: run.section,
                seat,
            }) else {
                break;
            };
            let Some(stretch) = self.layout.stretches.get(id as usize) else {
                break;
            };
            let offset = seat.saturating_sub(stretch.first_seat);
            let here = left.min(u32::from(stretch.len).saturating_sub(offset));
            if here == 0 {
                break;
            }
            let mut bit = offset;
            let end = offset.saturating_add(here);
            while bit < end {
                let inside = bit & 63;
                let span = end.saturating_sub(bit).min(64_u32.saturating_sub(inside));
                let mask = low_bits(span).wrapping_shl(inside);
                let at = (stretch.word as usize).wrapping_add((bit >> 6) as usize);
                if let Some(word) = self.words.get_mut(at) {
                    set_planes(word, mask, from, to);
                }
                bit = bit.saturating_add(span);
            }
            if let Some(tally) = self.tallies.get_mut(stretch.pool as usize) {
                count(tally, from, to, here);
            }
            if let Some(tally) = self.group_tallies.get_mut(stretch.group as usize) {
                count(tally, from, to, here);
            }
            if from == SeatState::Free || to == SeatState::Free {
                self.finder.mark(id);
            }
            seat = seat.saturating_add(here);
            left = left.saturating_sub(here);
        }
        u32::from(run.count).saturating_sub(left)
    }

    /// The general-admission section with this index in the venue.
    /// Free seats with no free seat beside them, where there are seats beside them: whoever comes in company
    /// cannot use them.
    pub(crate) fn orphans(&self) -> u32 {
        let stretches = self.layout.stretches.iter();
        let in_company = stretches.filter(|stretch| stretch.len > 1);
        in_company
            .map(|stretch| self.orphans_of(stretch))
            .fold(0, u32::saturating_add)
    }

    fn orphans_of(&self, stretch: &Stretch) -> u32 {
        let first = stretch.word as usize;
        let words = usize::from(stretch.len).div_ceil(64);
        let words = self.words.get(first..first.saturating_add(words));
        let mut alone = 0_u32;
        let mut before = 0;
        let mut words = words.unwrap_or_default().iter().peekable();
        while let Some(word) = words.next() {
            let free = free_plane(word);
            let after = words.peek().map_or(0, |word| free_plane(word));
            let beside = (free << 1 | before >> 63) | (free >> 1 | after << 63);
            alone = alone.saturating_add((free & !beside).count_ones());
            before = free;
        }
        alone
    }

    pub(crate) fn general(&self, section: u16) -> Option<&General> {
        match self.layout.sections.get(usize::from(section))? {
            Section::General { number } => self.generals.get(*number as usize),
            Section::Seated { .. } => None,
        }
    }
}

fn free_plane(word: &Word) -> u64 {
    word.get(SeatState::Free as usize).copied().unwrap_or(0)
}

fn shift_general(general: &mut General, moved: u32, from: SeatState, to: SeatState) {
    match from {
        SeatState::Held => general.held = general.held.saturating_sub(moved),
        SeatState::Sold => general.sold = general.sold.saturating_sub(moved),
        SeatState::Free | SeatState::Blocked => {}
    }
    match to {
        SeatState::Held => general.held = general.held.saturating_add(moved),
        SeatState::Sold => general.sold = general.sold.saturating_add(moved),
        SeatState::Free | SeatState::Blocked => {}
    }
}

fn set_planes(word: &mut Word, mask: u64, from: SeatState, to: SeatState) {
    if let Some(plane) = word.get_mut(from as usize) {
        *plane &= !mask;
    }
    if let Some(plane) = word.get_mut(to as usize) {
        *plane |= mask;
    }
}

fn count(tally: &mut Tally, from: SeatState, to: SeatState, moved: u32) {
    if let Some(count) = tally.get_mut(from as usize) {
        *count = count.saturating_sub(moved);
    }
    if let Some(count) = tally.get_mut(to as usize) {
        *count = count.saturating_add(moved);
    }
}

fn add(tallies: &mut [Tally], pool: usize, state: SeatState, more: u32) {
    if let Some(count) = tallies
        .get_mut(pool)
        .and_then(|tally| tally.get_mut(state as usize))
    {
        *count = count.saturating_add(more);
    }
}

/// The lowest `count` bits, all of them from 64 on.
pub(crate) fn low_bits(count: u32) -> u64 {
    u64::MAX
        .checked_shr(64_u32.saturating_sub(count))
        .unwrap_or(0)
}
