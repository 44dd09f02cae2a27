//! Sells a 20,000-seat bowl out to parties of 1 to 8, three ways, and reports how they sit.
//!
//! `cargo run --release -p domain --example sell_through [SEEDS]`
//!
//! Each party asks once for seats side by side; if there are none it is split (best available) or
//! served seat by seat (the baselines), unless too few seats are left, when it goes away. The
//! baselines: *first fit* takes the first adjacent free seats by number; *greedy nearest* the
//! adjacent seats closest to the focal point, whatever they leave behind. An orphan is a free seat
//! with no free neighbour; they are counted when 95 % is sold, because at the end none can be left.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use std::time::Instant;

use domain::command::{CategoryChoice, Command, HoldLine, PaymentReference, PlaceHold, Request};
use domain::ids::{BuyerId, ChannelId, HoldId, IdempotencyKey, OrderId, PartnerId};
use domain::outcome::Outcome;
use domain::rules::SaleRules;
use domain::venue::{RowPlan, SeatPlan, SectionPlan, Venue};
use domain::{Sale, SectionPlanes};

const SECTIONS: usize = 40;
const ROWS: usize = 20;
const SEATS: usize = 25;

/// Forty blocks of 20 rows of 25 seats on an ellipse; an aisle after seat 12 in every other block.
fn bowl() -> Venue {
    let sections = (0..SECTIONS)
        .map(|section| {
            let rows = (0..ROWS)
                .map(|row| {
                    let seats = (0..SEATS)
                        .map(|seat| SeatPlan {
                            x: (seat as i32 - 12) * (50 + row as i32),
                            y: row as i32 * 80 + ((seat as i32 - 12) * (seat as i32 - 12)) / 2,
                            category: if row < 6 { 0 } else { 1 },
                            aisle_after: section % 2 == 1 && seat == 11,
                            ..SeatPlan::default()
                        })
                        .collect();
                    RowPlan { seats }
                })
                .collect();
            SectionPlan::Seated {
                focal_x: 0,
                focal_y: -400 - 10 * (section as i32 % 8),
                rows,
            }
        })
        .collect();
    Venue { sections }
}

struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    /// Parties as box offices see them: mostly two, many fours.
    fn party(&mut self) -> u16 {
        match self.below(100) {
            0..12 => 1,
            12..55 => 2,
            55..68 => 3,
            68..87 => 4,
            87..92 => 5,
            92..96 => 6,
            96..98 => 7,
            _ => 8,
        }
    }
}

#[derive(Default)]
struct Report {
    parties: u32,
    groups: u32,
    split: u32,
    alone: u32,
    refused: u32,
    sold: u32,
    orphans_at_95: u32,
    free_runs_at_95: u32,
    /// Over the first half of the house: at the end every seat is sold, whoever chose.
    distance_of_half: u64,
    half: u32,
    ns_per_party: u128,
}

impl Report {
    fn print(&self, name: &str) {
        let share = |part: u32, whole: u32| f64::from(part) * 100.0 / f64::from(whole.max(1));
        println!(
            "{name:16} sold {:6}  parties {:5}  refused {:4}  groups split {:5.2} %  split groups with somebody alone {:4}  \
             orphans at 95 % {:4}  free runs at 95 % {:4}  mean distance of the first half {:5}  {} ns/party",
            self.sold,
            self.parties,
            self.refused,
            share(self.split, self.groups),
            self.alone,
            self.orphans_at_95,
            self.free_runs_at_95,
            self.distance_of_half / u64::from(self.half.max(1)),
            self.ns_per_party,
        );
    }

    fn far(&mut self, total: u32, distance: u64, seats: u32) {
        if self.sold * 2 < total {
            self.distance_of_half += distance;
            self.half += seats;
        }
    }

    fn count(&mut self, party: u16, pieces: &[u16]) {
        self.parties += 1;
        self.groups += u32::from(party > 1);
        self.split += u32::from(pieces.len() > 1);
        self.alone += u32::from(pieces.len() > 1 && pieces.contains(&1));
        self.sold += u32::from(party);
    }
}

/// Taken seats by number over the venue, stretches, distances: what the baselines see.
struct Plain {
    taken: Vec<bool>,
    stretches: Vec<(usize, usize)>,
    distance: Vec<u64>,
}

impl Plain {
    fn new(venue: &Venue) -> Plain {
        let (mut stretches, mut distance) = (Vec::new(), Vec::new());
        for section in &venue.sections {
            let SectionPlan::Seated {
                focal_x,
                focal_y,
                rows,
            } = section
            else {
                continue;
            };
            for row in rows {
                let mut first = distance.len();
                for (at, seat) in row.seats.iter().enumerate() {
                    let (dx, dy) = (
                        u64::from(seat.x.abs_diff(*focal_x)),
                        u64::from(seat.y.abs_diff(*focal_y)),
                    );
                    distance.push((dx * dx + dy * dy).isqrt());
                    if seat.aisle_after || at + 1 == row.seats.len() {
                        stretches.push((first, distance.len()));
                        first = distance.len();
                    }
                }
            }
        }
        Plain {
            taken: vec![false; distance.len()],
            stretches,
            distance,
        }
    }

    fn runs(&self) -> Vec<usize> {
        let mut runs = Vec::new();
        for (first, end) in &self.stretches {
            let mut run = 0;
            for at in *first..*end {
                if self.taken[at] {
                    runs.push(run);
                    run = 0;
                } else {
                    run += 1;
                }
            }
            runs.push(run);
        }
        runs.retain(|run| *run > 0);
        runs
    }

    fn fill_in(&self, report: &mut Report) {
        let runs = self.runs();
        report.orphans_at_95 = runs.iter().filter(|run| **run == 1).count() as u32;
        report.free_runs_at_95 = runs.len() as u32;
    }

    /// The first (first fit) or nearest window of `n`.
    fn window(&self, n: usize, nearest: bool) -> Option<usize> {
        let mut best: Option<(u64, usize)> = None;
        for (first, end) in &self.stretches {
            for start in *first..(*end + 1).saturating_sub(n) {
                if self.taken[start..start + n].iter().any(|taken| *taken) {
                    continue;
                }
                if !nearest {
                    return Some(start);
                }
                let distance = self.distance[start..start + n].iter().sum();
                if best.is_none_or(|(least, _)| distance < least) {
                    best = Some((distance, start));
                }
            }
        }
        best.map(|(_, start)| start)
    }
}

fn baseline(venue: &Venue, seed: u64, nearest: bool) -> Report {
    let mut plain = Plain::new(venue);
    let mut draw = Draw(seed);
    let mut report = Report::default();
    let total = plain.taken.len() as u32;
    let begin = Instant::now();
    while report.sold < total {
        let party = draw.party();
        if u32::from(party) > total - report.sold {
            report.refused += 1;
            if report.refused > 200 {
                break;
            }
            continue;
        }
        // Together, else in the largest pieces that fit.
        let mut pieces = Vec::new();
        let mut left = usize::from(party);
        let mut size = left;
        while left > 0 {
            size = size.min(left);
            match plain.window(size, nearest) {
                Some(start) => {
                    plain.taken[start..start + size].fill(true);
                    report.far(
                        total,
                        plain.distance[start..start + size].iter().sum(),
                        size as u32,
                    );
                    pieces.push(size as u16);
                    left -= size;
                }
                None => size -= 1,
            }
        }
        report.count(party, &pieces);
        if report.orphans_at_95 == 0
            && report.free_runs_at_95 == 0
            && report.sold * 20 >= total * 19
        {
            plain.fill_in(&mut report);
        }
    }
    report.ns_per_party = begin.elapsed().as_nanos() / u128::from(report.parties.max(1));
    report
}

fn ours(venue: &Venue, seed: u64) -> Report {
    let mut sale = Sale::new(venue, SaleRules::default(), seed).expect("the bowl is valid");
    let mut plain = Plain::new(venue);
    let mut draw = Draw(seed);
    let mut report = Report::default();
    let total = plain.taken.len() as u32;
    let mut changes = Vec::new();
    let mut n = 0_u128;
    let mut ask = |sale: &mut Sale, command: Command<'_>| {
        n += 1;
        changes.clear();
        let key = IdempotencyKey(1_000 << 80 | n);
        let request = Request {
            partner: PartnerId(1),
            channel: ChannelId(1),
            key,
            hash: n as u64,
            command,
        };
        sale.apply(1_000, &request, &mut changes)
    };
    ask(&mut sale, Command::OpenSale);
    let mut spent = 0_u128;
    while report.sold < total {
        let party = draw.party();
        let hold = HoldId(u128::from(report.parties) + 1);
        let lines = [HoldLine::BestAvailable {
            quantity: party,
            category: CategoryChoice::Any,
            section_count: 0,
            accessible: false,
            split: true,
        }];
        let place = PlaceHold {
            token: None,
            hold,
            buyer: BuyerId(1),
            ttl_ms: 0,
            lines: &lines,
            seats: &[],
            sections: &[],
        };
        let begin = Instant::now();
        let outcome = ask(&mut sale, Command::PlaceHold(place));
        let Outcome::Done(done) = outcome else {
            report.refused += 1;
            if report.refused > 200 {
                break;
            }
            continue;
        };
        let payment = PaymentReference::new(b"paid").expect("short");
        ask(
            &mut sale,
            Command::ConfirmHold {
                hold,
                order: OrderId(hold.0),
                payment,
            },
        );
        spent += begin.elapsed().as_nanos();
        let mut pieces = Vec::new();
        for run in done.seats.as_slice() {
            let first = usize::from(run.section) * ROWS * SEATS + run.first as usize;
            for at in first..first + usize::from(run.count) {
                plain.taken[at] = true;
                report.far(total, plain.distance[at], 1);
                let joins = at > first && !plain.stretches.iter().any(|(start, _)| *start == at);
                match pieces.last_mut() {
                    Some(piece) if joins => *piece += 1,
                    _ => pieces.push(1),
                }
            }
        }
        report.count(party, &pieces);
        if report.orphans_at_95 == 0
            && report.free_runs_at_95 == 0
            && report.sold * 20 >= total * 19
        {
            plain.fill_in(&mut report);
        }
    }
    report.ns_per_party = spent / u128::from(report.parties.max(1));
    let sold: u32 = (0..SECTIONS as u16)
        .map(|section| match sale.planes(section) {
            Some(SectionPlanes::Seated { sold, .. }) => {
                sold.iter().map(|word| word.count_ones()).sum()
            }
            _ => 0,
        })
        .sum();
    assert_eq!(sold, report.sold);
    report
}

fn main() {
    let seeds: u64 = std::env::args()
        .nth(1)
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(3);
    let venue = bowl();
    for seed in 1..=seeds {
        println!("seed {seed}, {} seats", SECTIONS * ROWS * SEATS);
        ours(&venue, seed).print("best available");
        baseline(&venue, seed, false).print("first fit");
        baseline(&venue, seed, true).print("greedy nearest");
    }
}
