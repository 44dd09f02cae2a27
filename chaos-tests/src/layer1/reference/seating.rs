//! Which seats are best, by looking at every window of every run of free seats.
//!
//! A window is better that leaves fewer single seats, then is closer to the focal point, then leaves
//! fewer runs; then by category, section and seat.

use domain::command::CategoryChoice;
use domain::outcome::SeatRun;
use domain::venue::{Attributes, SeatPlan, SectionPlan, Venue};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Free,
    Held,
    Sold,
    Blocked,
}

#[derive(Clone, Debug)]
pub struct Seat {
    pub state: State,
    pub category: u16,
    wheelchair: bool,
    /// A wheelchair place or beside one: not for others.
    accessible: bool,
    weight: u64,
    /// Adjacent to the next seat.
    joined: bool,
}

#[derive(Clone, Debug)]
pub enum Section {
    Seats(Vec<Seat>),
    General { capacity: u32, held: u32, sold: u32 },
}

impl Section {
    pub(super) fn seats(&self) -> u32 {
        match self {
            Section::Seats(seats) => seats.len() as u32,
            Section::General { capacity, .. } => *capacity,
        }
    }

    pub(super) fn in_state(&self, state: State) -> u32 {
        match (self, state) {
            (Section::Seats(seats), _) => {
                seats.iter().filter(|seat| seat.state == state).count() as u32
            }
            (
                Section::General {
                    capacity,
                    held,
                    sold,
                },
                State::Free,
            ) => capacity - held - sold,
            (Section::General { held, .. }, State::Held) => *held,
            (Section::General { sold, .. }, State::Sold) => *sold,
            (Section::General { .. }, State::Blocked) => 0,
        }
    }

    /// # Panics
    ///
    /// When a seat is not in the state that it is moved from.
    pub(super) fn shift(&mut self, run: SeatRun, from: State, to: State) {
        match self {
            Section::Seats(seats) => {
                for seat in &mut seats[run.first as usize..][..usize::from(run.count)] {
                    assert_eq!(seat.state, from, "the reference moves {run:?} to {to:?}");
                    seat.state = to;
                }
            }
            Section::General { held, sold, .. } => {
                for (state, count) in [(State::Held, held), (State::Sold, sold)] {
                    *count -= if from == state {
                        u32::from(run.count)
                    } else {
                        0
                    };
                    *count += if to == state { u32::from(run.count) } else { 0 };
                }
            }
        }
    }

    /// Frees what is sold: how many runs, how many seats.
    pub(super) fn free_the_sold(&mut self) -> (u64, u32) {
        match self {
            Section::General { sold, .. } => {
                let seats = std::mem::take(sold);
                (u64::from(seats > 0), seats)
            }
            Section::Seats(seats) => {
                let (mut runs, mut freed, mut before) = (0, 0, false);
                for seat in seats {
                    let is_sold = seat.state == State::Sold;
                    runs += u64::from(is_sold && !before);
                    before = is_sold;
                    if is_sold {
                        seat.state = State::Free;
                        freed += 1;
                    }
                }
                (runs, freed)
            }
        }
    }
}

pub(super) fn sections(venue: &Venue) -> Vec<Section> {
    let section = |plan: &SectionPlan| match plan {
        SectionPlan::General { capacity, .. } => Section::General {
            capacity: *capacity,
            held: 0,
            sold: 0,
        },
        SectionPlan::Seated {
            focal_x,
            focal_y,
            rows,
        } => {
            let row = |row: &[SeatPlan]| {
                let mut seats: Vec<Seat> = row
                    .iter()
                    .map(|plan| seat(plan, (*focal_x, *focal_y)))
                    .collect();
                for at in 0..seats.len() {
                    seats[at].joined &= seats.get(at + 1).is_some_and(|next| {
                        next.category == seats[at].category
                            && next.accessible == seats[at].accessible
                    });
                }
                seats
            };
            Section::Seats(rows.iter().flat_map(|plan| row(&plan.seats)).collect())
        }
    };
    venue.sections.iter().map(section).collect()
}

fn seat(plan: &SeatPlan, (focal_x, focal_y): (i32, i32)) -> Seat {
    let (dx, dy) = (
        u64::from(plan.x.abs_diff(focal_x)),
        u64::from(plan.y.abs_diff(focal_y)),
    );
    let distance = (dx * dx + dy * dy).isqrt();
    let restricted = plan.attributes.contains(Attributes::RESTRICTED_VIEW);
    let wheelchair = plan.attributes.contains(Attributes::ACCESSIBLE);
    Seat {
        state: State::Free,
        category: plan.category,
        wheelchair,
        accessible: wheelchair || plan.attributes.contains(Attributes::COMPANION),
        // A restricted view is worse than any distance.
        weight: distance + if restricted { 1 << 26 } else { 0 },
        joined: !plan.aisle_after,
    }
}

pub(super) struct Wish<'a> {
    pub accessible: bool,
    pub category: CategoryChoice,
    pub sections: &'a [u16],
}

impl Wish<'_> {
    fn wants(&self, seat: &Seat) -> bool {
        seat.accessible == self.accessible
            && match self.category {
                CategoryChoice::Any => true,
                CategoryChoice::Exactly(category) => seat.category == category,
                CategoryChoice::AtMost(category) => seat.category >= category,
            }
    }

    /// The seats of every section that is wanted.
    fn seats<'s>(&self, sections: &'s [Section]) -> impl Iterator<Item = (usize, &'s [Seat])> {
        let wanted = |at: usize| self.sections.is_empty() || self.sections.contains(&(at as u16));
        let seats = move |(at, section): (usize, &'s Section)| match section {
            Section::Seats(seats) if wanted(at) => Some((at, seats.as_slice())),
            _ => None,
        };
        sections.iter().enumerate().filter_map(seats)
    }
}

/// Calls back for each run of adjacent free seats that is as long as it can be. Adjacent seats are of
/// one category and of one kind.
fn each_free_run<'s>(seats: &'s [Seat], mut found: impl FnMut(usize, &'s [Seat])) {
    let mut first = 0;
    while first < seats.len() {
        if seats[first].state != State::Free {
            first += 1;
            continue;
        }
        let mut end = first + 1;
        while end < seats.len() && seats[end].state == State::Free && seats[end - 1].joined {
            end += 1;
        }
        found(first, &seats[first..end]);
        first = end;
    }
}

/// The best window for so many: its section and first seat.
pub(super) fn best(sections: &[Section], wish: &Wish<'_>, count: usize) -> Option<(usize, usize)> {
    let mut best: Option<(u32, u64, u32, u16, usize, usize)> = None;
    for (section, seats) in wish.seats(sections) {
        each_free_run(seats, |run_first, run| {
            if run.len() < count || !wish.wants(&run[0]) {
                return;
            }
            for (at, window) in run.windows(count).enumerate() {
                if wish.accessible && !window.iter().any(|seat| seat.wheelchair) {
                    continue;
                }
                let (left, right) = (at, run.len() - count - at);
                let singles = u32::from(left == 1) + u32::from(right == 1);
                let runs_left = u32::from(left > 0) + u32::from(right > 0);
                let weight = window.iter().map(|seat| seat.weight).sum();
                let score = (
                    singles,
                    weight,
                    runs_left,
                    run[0].category,
                    section,
                    run_first + at,
                );
                if best.is_none_or(|least| score < least) {
                    best = Some(score);
                }
            }
        });
    }
    best.map(|(.., section, first)| (section, first))
}

/// Free and held seats that are wanted, and the runs (section, length) that a party may use.
pub(super) fn stock(sections: &[Section], wish: &Wish<'_>) -> (u32, u32, Vec<(usize, usize)>) {
    let (mut free, mut held, mut runs) = (0, 0, Vec::new());
    for (section, seats) in wish.seats(sections) {
        for seat in seats.iter().filter(|seat| wish.wants(seat)) {
            free += u32::from(seat.state == State::Free);
            held += u32::from(seat.state == State::Held);
        }
        each_free_run(seats, |_, run| {
            let usable = !wish.accessible || run.iter().any(|seat| seat.wheelchair);
            if usable && wish.wants(&run[0]) {
                runs.push((section, run.len()));
            }
        });
    }
    (free, held, runs)
}

/// All ways to write `n` as a sum, each in descending sequence.
fn partitions(n: usize, most: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in (1..=n.min(most)).rev() {
        for mut rest in partitions(n - first, first) {
            rest.insert(0, first);
            all.push(rest);
        }
    }
    all
}

/// The pieces of a party: in which section if in one, and the sizes descending. The fewest pieces
/// win, then one section, then the most even sizes, then the first section.
pub(super) fn split(runs: &[(usize, usize)], count: usize) -> Option<(Option<usize>, Vec<usize>)> {
    let mut of_all: Vec<usize> = runs.iter().map(|(_, len)| *len).collect();
    of_all.sort_by(|a, b| b.cmp(a));
    let mut halls: Vec<(Option<usize>, Vec<usize>)> = Vec::new();
    for (section, _) in runs {
        if halls.iter().all(|(hall, _)| *hall != Some(*section)) {
            let mut lens: Vec<usize> = runs
                .iter()
                .filter(|(other, _)| other == section)
                .map(|(_, len)| *len)
                .collect();
            lens.sort_by(|a, b| b.cmp(a));
            halls.push((Some(*section), lens));
        }
    }
    halls.push((None, of_all));
    let fits = |sizes: &[usize], lens: &[usize]| {
        sizes.len() <= lens.len() && sizes.iter().zip(lens).all(|(size, len)| size <= len)
    };
    let mut best = None;
    for sizes in partitions(count, count) {
        for (hall, lens) in &halls {
            if fits(&sizes, lens) {
                let evenness: Vec<i64> = sizes.iter().rev().map(|size| -(*size as i64)).collect();
                let key = (sizes.len(), hall.is_none(), evenness, *hall);
                if best.as_ref().is_none_or(|(least, _)| key < *least) {
                    best = Some((key, sizes.clone()));
                }
            }
        }
    }
    best.map(|((_, _, _, hall), sizes)| (hall, sizes))
}
