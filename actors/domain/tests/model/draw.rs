//! Random numbers from a seed (SplitMix64), and random venues and rules.

use domain::ids::ChannelId;
use domain::rules::{ChannelRules, SaleRules};
use domain::venue::{Attributes, RowPlan, SeatPlan, SectionPlan, Venue};

pub struct Draw(pub u64);

impl Draw {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

pub fn row(draw: &mut Draw, y: i32, seats_max: u64) -> RowPlan {
    let wild = draw.one_in(6);
    let categories = 1 + draw.below(2);
    let mut category = draw.below(categories) as u16;
    let seats = (0..draw.below(seats_max + 1))
        .map(|x| {
            if draw.one_in(8) {
                category = draw.below(categories) as u16;
            }
            let attributes = match draw.below(14) {
                0 => Attributes::ACCESSIBLE,
                1 => Attributes::COMPANION,
                2 => Attributes::RESTRICTED_VIEW,
                _ => Attributes::default(),
            };
            SeatPlan {
                x: if wild {
                    draw.below(300) as i32 - 50
                } else {
                    x as i32 * 10
                },
                y,
                category,
                attributes,
                aisle_after: draw.one_in(9),
            }
        })
        .collect();
    RowPlan { seats }
}

pub fn venue(draw: &mut Draw) -> Venue {
    let sections = (0..1 + draw.below(4))
        .map(|_| {
            if draw.one_in(4) {
                return SectionPlan::General {
                    capacity: draw.below(20) as u32,
                    category: 0,
                };
            }
            let rows = match draw.one_in(8) {
                true => vec![long_row(draw)],
                false => (0..1 + draw.below(3))
                    .map(|y| row(draw, y as i32 * 10, 14))
                    .collect(),
            };
            SectionPlan::Seated {
                focal_x: draw.below(120) as i32,
                focal_y: -20,
                rows,
            }
        })
        .collect();
    Venue { sections }
}

/// One stretch over several words.
pub fn long_row(draw: &mut Draw) -> RowPlan {
    let accessible = draw.one_in(4);
    let seats = (0..65 + draw.below(80) as i32)
        .map(|x| {
            let attributes = match (accessible, draw.below(7)) {
                (true, 0) => Attributes::ACCESSIBLE,
                (true, _) => Attributes::COMPANION,
                (false, _) => Attributes::default(),
            };
            SeatPlan {
                x: x * 10,
                attributes,
                ..SeatPlan::default()
            }
        })
        .collect();
    RowPlan { seats }
}

pub fn rules(draw: &mut Draw, venue: &Venue) -> SaleRules {
    let seats: usize = venue
        .sections
        .iter()
        .map(|section| match section {
            SectionPlan::Seated { rows, .. } => rows.iter().map(|row| row.seats.len()).sum(),
            SectionPlan::General { capacity, .. } => *capacity as usize,
        })
        .sum();
    let channels = (0..draw.below(4))
        .map(|channel| {
            let floor = draw.below(1 + seats as u64 / 4) as u32;
            ChannelRules {
                channel: ChannelId(channel as u16),
                floor,
                cap: if draw.one_in(2) {
                    u32::MAX
                } else {
                    floor + draw.below(12) as u32
                },
                hold_ttl_ms: if draw.one_in(3) { 700 } else { 0 },
            }
        })
        .collect();
    SaleRules {
        hold_ttl_ms: 1 + draw.below(2_000) as u32,
        hold_life_max_ms: 2_000 + draw.below(4_000) as u32,
        buyer_limit: if draw.one_in(2) {
            0
        } else {
            4 + draw.below(10) as u32
        },
        hold_seats_max: 6 + draw.below(30) as u32,
        test_mode: draw.one_in(2),
        channels,
    }
}
