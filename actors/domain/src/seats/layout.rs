//! What never changes about the seats: stretches, pools, groups, weights.
//!
//! A *stretch* is a maximal run of adjacent seats of one row with the same category and class;
//! aisles, category borders and class borders end it. Each stretch starts on a word of its own. A
//! *pool* is all stretches of one class, category and section; a *group* all pools of one class and
//! category. Stretches are numbered by (class, category, section, seat), so a group, a pool and a
//! whole class are ranges of stretches. Built once per sale; called by `Seats` and best available.

use core::hint::black_box;
use core::ops::Range;

use crate::ids::SeatRef;
use crate::venue::{Attributes, RowPlan, SEATS_MAX, SeatPlan, SectionPlan, Venue, VenueFault};
use crate::warm::warm_first;

/// Distances are cut off here (tenths of the plan's unit), so that the penalty stays above them.
pub(crate) const DISTANCE_MAX: u64 = (1 << 22) - 1;

/// Added to the weight of a seat with restricted view: more than the distances of 15 seats
/// together, so that up to that size a group gets such a seat only if nothing else is possible at
/// equal orphans.
pub(crate) const RESTRICTED_VIEW_PENALTY: u64 = 1 << 26;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Its seats are numbered from `base` over the whole venue.
    Seated {
        base: u32,
        seats: u32,
    },
    General {
        number: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    /// Index of its first seat in the section.
    pub(crate) first_seat: u32,
    /// Its first word in the planes.
    pub(crate) word: u32,
    /// Its first entry in the prefix sums, which has `len + 1` entries.
    pub(crate) prefix: u32,
    pub(crate) pool: u32,
    pub(crate) group: u32,
    pub(crate) section: u16,
    pub(crate) len: u16,
    /// The lightest seat.
    pub(crate) lightest: u16,
    /// Weights fall up to the lightest seat and rise after it, so the best window is beside it.
    pub(crate) one_valley: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) accessible: bool,
    pub(crate) category: u16,
    pub(crate) section: u16,
    pub(crate) stretches: Range<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) accessible: bool,
    pub(crate) category: u16,
    pub(crate) pools: Range<u32>,
    pub(crate) stretches: Range<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) sections: Vec<Section>,
    pub(crate) general_capacities: Vec<u32>,
    /// Of the seat, numbered over the whole venue.
    seat_stretches: Vec<u32>,
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) pools: Vec<Pool>,
    pub(crate) groups: Vec<Group>,
    /// Sums of the weights of a stretch's first 0, 1, 2, … seats.
    pub(crate) prefixes: Vec<u64>,
    /// Wheelchair places, by word, from `accessible_word` on.
    wheelchairs: Vec<u64>,
    accessible_word: u32,
    pub(crate) word_count: usize,
    pub(crate) seats_total: u32,
}

/// A stretch before it is numbered.
struct Draft<'a> {
    accessible: bool,
    category: u16,
    section: u16,
    first_seat: u32,
    seats: &'a [SeatPlan],
    focal: (i32, i32),
}

impl Layout {
    /// See `Sale::warm`.
    #[inline]
    pub(crate) fn warm(&self) {
        warm_first(&self.sections);
        warm_first(&self.seat_stretches);
        warm_first(&self.stretches);
        black_box(self.pools.first().map(|pool| pool.category));
        black_box(self.groups.first().map(|group| group.category));
        warm_first(&self.prefixes);
        warm_first(&self.wheelchairs);
    }

    pub(crate) fn new(venue: &Venue) -> Result<Layout, VenueFault> {
        let mut drafts = Vec::new();
        let mut sections = Vec::with_capacity(venue.sections.len());
        let mut general_capacities = Vec::new();
        let mut seats_total = 0_u32;
        let mut seated_total = 0_u32;
        if venue.sections.len() > usize::from(u16::MAX) {
            return Err(VenueFault::TooManySections {
                sections: venue.sections.len(),
            });
        }
        for (section, plan) in (0_u16..).zip(&venue.sections) {
            let seats = match plan {
                SectionPlan::General { capacity, .. } => {
                    sections.push(Section::General {
                        number: general_capacities.len() as u32,
                    });
                    general_capacities.push(*capacity);
                    *capacity
                }
                SectionPlan::Seated {
                    focal_x,
                    focal_y,
                    rows,
                } => {
                    let seats = draft(section, rows, (*focal_x, *focal_y), &mut drafts)?;
                    sections.push(Section::Seated {
                        base: seated_total,
                        seats,
                    });
                    seated_total = seated_total.saturating_add(seats);
                    seats
                }
            };
            seats_total = seats_total.saturating_add(seats);
            if seats_total > SEATS_MAX {
                return Err(VenueFault::TooManySeats { max: SEATS_MAX });
            }
        }
        // Stable: seats stay in sequence within a pool.
        drafts.sort_by_key(|draft| (draft.accessible, draft.category, draft.section));
        let mut layout = Layout {
            sections,
            general_capacities,
            seat_stretches: vec![0; seated_total as usize],
            stretches: Vec::with_capacity(drafts.len()),
            pools: Vec::new(),
            groups: Vec::new(),
            prefixes: Vec::with_capacity((seated_total as usize).saturating_add(drafts.len())),
            wheelchairs: Vec::new(),
            accessible_word: u32::MAX,
            word_count: 0,
            seats_total,
        };
        for draft in &drafts {
            layout.number(draft);
        }
        Ok(layout)
    }

    fn number(&mut self, draft: &Draft<'_>) {
        let id = self.stretches.len() as u32;
        let word = self.word_count as u32;
        if draft.accessible {
            self.accessible_word = self.accessible_word.min(word);
            for seats in draft.seats.chunks(64) {
                let bits = seats.iter().rev().fold(0_u64, |bits, seat| {
                    bits << 1 | u64::from(seat.attributes.contains(Attributes::ACCESSIBLE))
                });
                self.wheelchairs.push(bits);
            }
        }
        let prefix = self.prefixes.len() as u32;
        let weights: Vec<u64> = draft
            .seats
            .iter()
            .map(|seat| weight(seat, draft.focal))
            .collect();
        let mut sum = 0_u64;
        self.prefixes.push(sum);
        for weight in &weights {
            sum = sum.saturating_add(*weight);
            self.prefixes.push(sum);
        }
        let (lightest, one_valley) = valley(&weights);
        let pool = self.pool_of(draft, id);
        if let Some(Section::Seated { base, .. }) = self.sections.get(usize::from(draft.section)) {
            let first = base.saturating_add(draft.first_seat) as usize;
            for place in self
                .seat_stretches
                .iter_mut()
                .skip(first)
                .take(draft.seats.len())
            {
                *place = id;
            }
        }
        self.word_count = self
            .word_count
            .saturating_add(draft.seats.len().div_ceil(64));
        self.stretches.push(Stretch {
            first_seat: draft.first_seat,
            word,
            prefix,
            pool,
            group: self.groups.len().saturating_sub(1) as u32,
            section: draft.section,
            len: draft.seats.len() as u16,
            lightest,
            one_valley,
        });
    }

    /// The pool of the stretch with the number `id`, which is the last so far; extends pool and
    /// group over it.
    fn pool_of(&mut self, draft: &Draft<'_>, id: u32) -> u32 {
        let end = id.saturating_add(1);
        let same_group = matches!(self.groups.last(), Some(group)
            if group.accessible == draft.accessible && group.category == draft.category);
        let same_pool =
            same_group && matches!(self.pools.last(), Some(pool) if pool.section == draft.section);
        if !same_pool {
            self.pools.push(Pool {
                accessible: draft.accessible,
                category: draft.category,
                section: draft.section,
                stretches: id..end,
            });
        }
        let pools_end = self.pools.len() as u32;
        let pool = pools_end.saturating_sub(1);
        if !same_group {
            self.groups.push(Group {
                accessible: draft.accessible,
                category: draft.category,
                pools: pool..pools_end,
                stretches: id..end,
            });
        }
        if let Some(pool) = self.pools.last_mut() {
            pool.stretches.end = end;
        }
        if let Some(group) = self.groups.last_mut() {
            group.pools.end = pools_end;
            group.stretches.end = end;
        }
        pool
    }

    #[inline]
    pub(crate) fn stretch_of(&self, seat: SeatRef) -> Option<u32> {
        match self.sections.get(usize::from(seat.section))? {
            Section::Seated { base, seats } if seat.seat < *seats => self
                .seat_stretches
                .get(base.saturating_add(seat.seat) as usize)
                .copied(),
            Section::Seated { .. } | Section::General { .. } => None,
        }
    }

    /// The seat's stretch and its place there.
    #[inline]
    pub(crate) fn locate(&self, seat: SeatRef) -> Option<(&Stretch, u32)> {
        let stretch = self.stretches.get(self.stretch_of(seat)? as usize)?;
        Some((stretch, seat.seat.saturating_sub(stretch.first_seat)))
    }

    /// The stretches of a section's seats in sequence of seats.
    pub(crate) fn stretches_of_section(
        &self,
        section: u16,
    ) -> impl Iterator<Item = (u32, &Stretch)> {
        let mut seat = 0_u32;
        core::iter::from_fn(move || {
            let id = self.stretch_of(SeatRef { section, seat })?;
            let stretch = self.stretches.get(id as usize)?;
            seat = stretch.first_seat.saturating_add(u32::from(stretch.len));
            Some((id, stretch))
        })
    }

    /// Whether these are wheelchair and companion places.
    pub(crate) fn is_accessible(&self, stretch: &Stretch) -> bool {
        stretch.word >= self.accessible_word
    }

    /// The wheelchair places of a word; all seats of ordinary stretches count, so that a window
    /// needs nothing more there.
    #[inline]
    pub(crate) fn wheelchair_word(&self, word: u32) -> u64 {
        match word.checked_sub(self.accessible_word) {
            None => u64::MAX,
            Some(at) => self.wheelchairs.get(at as usize).copied().unwrap_or(0),
        }
    }
}

fn draft<'a>(
    section: u16,
    rows: &'a [RowPlan],
    focal: (i32, i32),
    drafts: &mut Vec<Draft<'a>>,
) -> Result<u32, VenueFault> {
    let mut first_seat = 0_u32;
    for (row, plan) in rows.iter().enumerate() {
        if plan.seats.len() > usize::from(u16::MAX) {
            return Err(VenueFault::RowTooLong {
                section,
                row,
                seats: plan.seats.len(),
            });
        }
        let together = |a: &SeatPlan, b: &SeatPlan| {
            !a.aisle_after && a.category == b.category && is_accessible(a) == is_accessible(b)
        };
        for seats in plan.seats.chunk_by(together) {
            if let Some(seat) = seats.first() {
                let accessible = is_accessible(seat);
                let category = seat.category;
                drafts.push(Draft {
                    accessible,
                    category,
                    section,
                    first_seat,
                    seats,
                    focal,
                });
            }
            first_seat = first_seat.saturating_add(seats.len() as u32);
        }
        if first_seat > SEATS_MAX {
            return Err(VenueFault::TooManySeats { max: SEATS_MAX });
        }
    }
    Ok(first_seat)
}

fn is_accessible(seat: &SeatPlan) -> bool {
    seat.attributes.contains(Attributes::ACCESSIBLE)
        || seat.attributes.contains(Attributes::COMPANION)
}

/// Distance to the focal point, rounded down, and the penalty.
fn weight(seat: &SeatPlan, (focal_x, focal_y): (i32, i32)) -> u64 {
    let dx = u128::from(seat.x.abs_diff(focal_x));
    let dy = u128::from(seat.y.abs_diff(focal_y));
    let square = dx.saturating_mul(dx).saturating_add(dy.saturating_mul(dy));
    let distance = (square.isqrt() as u64).min(DISTANCE_MAX);
    let penalty = match seat.attributes.contains(Attributes::RESTRICTED_VIEW) {
        true => RESTRICTED_VIEW_PENALTY,
        false => 0,
    };
    distance.saturating_add(penalty)
}

/// The lightest seat (the first of equals), and whether weights never rise before it nor fall after.
fn valley(weights: &[u64]) -> (u16, bool) {
    let mut lightest = 0_usize;
    let mut least = u64::MAX;
    for (at, weight) in weights.iter().enumerate() {
        if *weight < least {
            least = *weight;
            lightest = at;
        }
    }
    let falls = weights
        .iter()
        .take(lightest.saturating_add(1))
        .is_sorted_by(|a, b| a >= b);
    let rises = weights.iter().skip(lightest).is_sorted();
    (lightest as u16, falls && rises)
}
