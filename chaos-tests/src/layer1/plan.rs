//! What a seed draws before anything happens: house, rules, habits of the crowd, faults.
//!
//! Swarm testing: each fault is off in about half of the seeds and of another strength in each of the
//! others, so that no fault hides what only comes about without it.

use domain::ids::ChannelId;
use domain::rules::{ChannelRules, SaleRules};
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};
use rand::{RngExt as _, SeedableRng as _};

use crate::layer1::Draw;

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub commands: usize,
    pub replicas: usize,
    pub venue: Venue,
    pub rules: SaleRules,
    pub habits: Habits,
    pub faults: Strengths,
}

/// Shares of arrivals by kind of buyer, in 100.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Two people who take the best seats and pay.
    pub rush: u32,
    /// Large parties, some with wheelchairs, who sit apart if they must.
    pub families: u32,
    /// Hold what they can get, extend, and seldom pay.
    pub hoarders: u32,
    /// Buy in bulk on a channel of their own and give much of it back.
    pub resellers: u32,
    /// Go for chosen seats all at once, try others' holds, send anything.
    pub bots: u32,
    /// The box office: blocks seats, changes rules, pauses.
    pub office: u32,
    /// Most milliseconds between two arrivals.
    pub gap_max_ms: u64,
}

/// How many times in 10,000 chances a fault happens; 0 is never.
#[derive(Clone, Copy, Debug)]
pub struct Strengths {
    pub crash: u32,
    pub snapshot: u32,
    pub install: u32,
    pub lag: u32,
    pub leader_change: u32,
    pub clock_jump: u32,
    pub clock_strobe: u32,
    pub night: u32,
    pub answer_lost: u32,
    pub discarded: u32,
    pub duplicate: u32,
    pub late: u32,
    pub reordered: u32,
    pub old_key: u32,
    pub bad_key: u32,
}

impl Plan {
    pub fn draw(seed: u64, commands: usize) -> Plan {
        let mut draw = Draw::seed_from_u64(seed);
        let venue = venue(&mut draw);
        let rules = rules(&mut draw, &venue);
        Plan {
            seed,
            commands,
            replicas: draw.random_range(2..=4),
            rules,
            habits: habits(&mut draw),
            faults: strengths(&mut draw, commands),
            venue,
        }
    }
}

/// Small enough that seats are fought for and every one of them can be looked at naively.
fn venue(draw: &mut Draw) -> Venue {
    let sections = (0..draw.random_range(1..=3))
        .map(|_| match draw.random_range(0..4) {
            0 => SectionPlan::General {
                capacity: draw.random_range(0..40),
                category: 0,
            },
            _ => SectionPlan::Seated {
                focal_x: draw.random_range(0..120),
                focal_y: -20,
                rows: (0..draw.random_range(1..=5))
                    .map(|y| row(draw, y * 10))
                    .collect(),
            },
        })
        .collect();
    Venue { sections }
}

fn row(draw: &mut Draw, y: i32) -> RowPlan {
    // A long row is a stretch over more than one word of the bit planes.
    let (seats, aisle_in) = match draw.random_range(0..24) {
        0 => (draw.random_range(65..90), 200),
        _ => (draw.random_range(0..14), 9),
    };
    let categories = draw.random_range(1..=2);
    let mut category = draw.random_range(0..categories);
    let seats = (0..seats)
        .map(|x| {
            if draw.random_range(0..8) == 0 {
                category = draw.random_range(0..categories);
            }
            SeatPlan {
                x: x * 10,
                y,
                category,
                attributes: match draw.random_range(0..28) {
                    0 => Attributes::ACCESSIBLE,
                    1 => Attributes::COMPANION,
                    2 => Attributes::RESTRICTED_VIEW,
                    _ => Attributes::default(),
                },
                aisle_after: draw.random_range(0..aisle_in) == 0,
            }
        })
        .collect();
    RowPlan { seats }
}

/// Seats of the venue, capacities included.
pub fn seats_of(venue: &Venue) -> u32 {
    let of = |section: &SectionPlan| match section {
        SectionPlan::Seated { rows, .. } => rows.iter().map(|row| row.seats.len() as u32).sum(),
        SectionPlan::General { capacity, .. } => *capacity,
    };
    venue.sections.iter().map(of).sum()
}

/// Rules that are valid for the venue.
pub fn rules(draw: &mut Draw, venue: &Venue) -> SaleRules {
    let seats = seats_of(venue);
    let limits_channels = draw.random_bool(0.6);
    let channels = (1..=4)
        .filter(|_| limits_channels && draw.random_bool(0.6))
        .collect::<Vec<u16>>();
    let channels = channels
        .into_iter()
        .map(|channel| {
            let floor = draw.random_range(0..=seats / 5);
            ChannelRules {
                channel: ChannelId(channel),
                floor,
                cap: match draw.random_bool(0.5) {
                    true => u32::MAX,
                    false => floor + draw.random_range(seats / 8..=seats),
                },
                hold_ttl_ms: match draw.random_bool(0.3) {
                    true => draw.random_range(20_000..300_000),
                    false => 0,
                },
            }
        })
        .collect();
    let hold_ttl_ms = draw.random_range(30_000..600_000);
    SaleRules {
        hold_ttl_ms,
        hold_life_max_ms: draw.random_range(600_000..1_800_000),
        buyer_limit: match draw.random_bool(0.5) {
            true => draw.random_range(4..12),
            false => 0,
        },
        hold_seats_max: draw.random_range(6..30),
        test_mode: draw.random_bool(0.6),
        channels,
    }
}

fn habits(draw: &mut Draw) -> Habits {
    let [
        mut rush,
        mut families,
        mut hoarders,
        mut resellers,
        mut bots,
    ] = [0; 5].map(|_: u32| match draw.random_bool(0.7) {
        true => draw.random_range(1..100),
        false => 0,
    });
    let sum = (rush + families + hoarders + resellers + bots).max(1);
    for share in [
        &mut rush,
        &mut families,
        &mut hoarders,
        &mut resellers,
        &mut bots,
    ] {
        *share = *share * 100 / sum;
    }
    Habits {
        rush,
        families,
        hoarders,
        resellers,
        bots,
        office: draw.random_range(0..6),
        gap_max_ms: match draw.random_range(0..3) {
            0 => draw.random_range(2..50),
            1 => draw.random_range(50..2_000),
            _ => draw.random_range(2_000..20_000),
        },
    }
}

fn strengths(draw: &mut Draw, commands: usize) -> Strengths {
    // A state holds every key of the run, so that taking or restoring one costs time with its length:
    // long runs do it as often as short ones, not more often.
    let heavy = (1_000_000 / commands.max(100)) as u32;
    let mut some = |most: u32| match draw.random_bool(0.5) {
        true => draw.random_range(1..=most.max(1)),
        false => 0,
    };
    Strengths {
        crash: some(heavy / 40),
        snapshot: some(heavy / 40),
        install: some(heavy / 80),
        lag: some(5_000),
        leader_change: some(200),
        clock_jump: some(100),
        clock_strobe: some(2_000),
        night: some(20),
        answer_lost: some(800),
        discarded: some(800),
        duplicate: some(1_500),
        late: some(2_000),
        reordered: some(1_000),
        old_key: some(400),
        bad_key: some(150),
    }
}
