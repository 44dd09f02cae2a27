//! Best available by trying everything: plain vectors, no shared code.

use std::collections::BTreeSet;

use domain::command::CategoryChoice;
use domain::venue::{Attributes, SectionPlan, Venue};

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
    pub wheelchair: bool,
    pub accessible_class: bool,
    pub weight: i128,
    /// Adjacent to the next seat.
    pub joined: bool,
}

#[derive(Clone, Debug)]
pub enum Section {
    Seats(Vec<Seat>),
    General { capacity: u32, held: u32, sold: u32 },
}

pub fn sections(venue: &Venue) -> Vec<Section> {
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
            let mut seats: Vec<Seat> = Vec::new();
            for row in rows {
                let first = seats.len();
                for plan in &row.seats {
                    let (dx, dy) = (
                        i128::from(plan.x) - i128::from(*focal_x),
                        i128::from(plan.y) - i128::from(*focal_y),
                    );
                    let square = dx * dx + dy * dy;
                    let mut root = (square as f64).sqrt() as i128;
                    while root * root > square {
                        root -= 1;
                    }
                    while (root + 1) * (root + 1) <= square {
                        root += 1;
                    }
                    let restricted = plan.attributes.contains(Attributes::RESTRICTED_VIEW);
                    let wheelchair = plan.attributes.contains(Attributes::ACCESSIBLE);
                    seats.push(Seat {
                        state: State::Free,
                        category: plan.category,
                        wheelchair,
                        accessible_class: wheelchair
                            || plan.attributes.contains(Attributes::COMPANION),
                        weight: root.min((1 << 22) - 1) + if restricted { 1 << 26 } else { 0 },
                        joined: !plan.aisle_after,
                    });
                }
                let last = seats.len();
                for at in first..last {
                    let same = at + 1 < last
                        && seats[at].category == seats[at + 1].category
                        && seats[at].accessible_class == seats[at + 1].accessible_class;
                    seats[at].joined &= same;
                }
            }
            Section::Seats(seats)
        }
    };
    venue.sections.iter().map(section).collect()
}

pub struct Wish<'a> {
    pub accessible: bool,
    pub category: CategoryChoice,
    pub sections: &'a [u16],
}

impl Wish<'_> {
    fn wants_section(&self, section: usize) -> bool {
        self.sections.is_empty() || self.sections.contains(&(section as u16))
    }

    fn wants(&self, seat: &Seat) -> bool {
        seat.accessible_class == self.accessible
            && match self.category {
                CategoryChoice::Any => true,
                CategoryChoice::Exactly(category) => seat.category == category,
                CategoryChoice::AtMost(category) => seat.category >= category,
            }
    }
}

/// Whether seats `first..first + n` are adjacent.
fn adjacent(seats: &[Seat], first: usize, n: usize) -> bool {
    seats[first..first + n - 1].iter().all(|seat| seat.joined)
}

/// The maximal runs of adjacent free seats.
pub fn free_runs(seats: &[Seat]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for at in 0..seats.len() {
        if seats[at].state != State::Free {
            continue;
        }
        match runs.last_mut() {
            Some((first, n)) if *first + *n == at && seats[at - 1].joined => *n += 1,
            _ => runs.push((at, 1)),
        }
    }
    runs
}

fn orphans(seats: &[Seat]) -> BTreeSet<usize> {
    free_runs(seats)
        .into_iter()
        .filter(|(_, n)| *n == 1)
        .map(|(first, _)| first)
        .collect()
}

/// (orphans, weight, runs left, category, section, seat) of the best window, the lowest wins.
pub type Score = (usize, i128, i64, u16, usize, usize);

pub fn score(seats: &[Seat], section: usize, first: usize, n: usize) -> Score {
    let mut after = seats.to_vec();
    for seat in &mut after[first..first + n] {
        seat.state = State::Held;
    }
    let new = orphans(&after).difference(&orphans(seats)).count();
    let weight = seats[first..first + n].iter().map(|seat| seat.weight).sum();
    let runs = free_runs(&after).len() as i64 - free_runs(seats).len() as i64;
    (new, weight, runs, seats[first].category, section, first)
}

pub fn best(sections: &[Section], wish: &Wish<'_>, n: usize) -> Option<(usize, usize)> {
    let mut best: Option<Score> = None;
    for (number, section) in sections.iter().enumerate() {
        let Section::Seats(seats) = section else {
            continue;
        };
        if !wish.wants_section(number) || n == 0 {
            continue;
        }
        for first in 0..(seats.len() + 1).saturating_sub(n) {
            let window = &seats[first..first + n];
            let fits = window
                .iter()
                .all(|seat| seat.state == State::Free && wish.wants(seat))
                && adjacent(seats, first, n)
                && (!wish.accessible || window.iter().any(|seat| seat.wheelchair));
            if !fits {
                continue;
            }
            let score = score(seats, number, first, n);
            if best.is_none_or(|least| score < least) {
                best = Some(score);
            }
        }
    }
    best.map(|(.., section, first)| (section, first))
}

/// Free, held, and the runs (section, length) a party may use.
pub fn stock(sections: &[Section], wish: &Wish<'_>) -> (u32, u32, Vec<(usize, usize)>) {
    let (mut free, mut held, mut runs) = (0, 0, Vec::new());
    for (number, section) in sections.iter().enumerate() {
        let Section::Seats(seats) = section else {
            continue;
        };
        if !wish.wants_section(number) {
            continue;
        }
        for seat in seats.iter().filter(|seat| wish.wants(seat)) {
            free += u32::from(seat.state == State::Free);
            held += u32::from(seat.state == State::Held);
        }
        for (first, n) in free_runs(seats) {
            let run = &seats[first..first + n];
            if wish.wants(&run[0]) && (!wish.accessible || run.iter().any(|seat| seat.wheelchair)) {
                runs.push((number, n));
            }
        }
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

/// (pieces, over several sections, sizes from the smallest on and negated, section).
type SplitScore = (usize, bool, Vec<i64>, Option<usize>);

/// The pieces of a party: (section or any, sizes descending), by trying all partitions.
pub fn split(runs: &[(usize, usize)], n: usize) -> Option<(Option<usize>, Vec<usize>)> {
    let fits = |sizes: &[usize], section: Option<usize>| {
        let mut lengths: Vec<usize> = runs
            .iter()
            .filter(|(number, _)| section.is_none_or(|section| *number == section))
            .map(|(_, len)| *len)
            .collect();
        lengths.sort_by(|a, b| b.cmp(a));
        sizes.len() <= lengths.len() && sizes.iter().zip(lengths).all(|(size, len)| *size <= len)
    };
    let mut numbers: Vec<Option<usize>> = runs.iter().map(|(number, _)| Some(*number)).collect();
    numbers.sort();
    numbers.dedup();
    numbers.push(None);
    let mut best: Option<(SplitScore, Vec<usize>)> = None;
    for sizes in partitions(n, n) {
        for section in &numbers {
            if fits(&sizes, *section) {
                let evenness = sizes.iter().rev().map(|size| -(*size as i64)).collect();
                let key = (sizes.len(), section.is_none(), evenness, *section);
                if best.as_ref().is_none_or(|(least, _)| key < *least) {
                    best = Some((key, sizes.clone()));
                }
            }
        }
    }
    best.map(|((_, _, _, section), sizes)| (section, sizes))
}
