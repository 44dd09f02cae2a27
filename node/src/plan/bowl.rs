//! A believable stadium for any number of places: an oval bowl of curved blocks around a pitch, up
//! to three tiers (the top one a balcony), stairs between blocks and inside long rows, rows of
//! different lengths, wheelchair places with companions, pillars, a standing terrace behind one
//! goal. No randomness: the same number is always the same stadium.
//!
//! A place is a seat or a place on the terrace; `seats` counts both. From 1,000 places on, about a
//! twelfth of them stand (5,000 at most). One unit is a decimetre.

mod block;
mod oval;
mod tiers;

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::venue::Attributes;

use super::convention;
use super::model::{
    Area, Category, Circle, Plan, Point, Polygon, Row, Seat, Shape, Size, Text, Zone,
};
use block::{Block, RowSeats, SEAT_PITCH};
use oval::Oval;
use tiers::{Tier, tiers};

/// Most places the generator is meant for.
pub const BOWL_SEATS_MAX: u32 = 100_000;

const CATEGORIES: [(&str, &str); 6] = [
    ("Club", "#8e3b8a"),
    ("Category 1", "#c8402f"),
    ("Category 2", "#e08a2e"),
    ("Category 3", "#d8be3c"),
    ("Category 4", "#3f8f5f"),
    ("Standing", "#3a78b5"),
];
/// Free space around the outermost row.
const MARGIN: f64 = 60.0;

/// The stadium with `seats` places.
///
/// # Panics
///
/// When `seats` is 0 or more than `BOWL_SEATS_MAX`: whoever asks a person for a number checks it.
pub fn bowl(seats: u32) -> Plan {
    assert!(
        (1..=BOWL_SEATS_MAX).contains(&seats),
        "a bowl of {seats} seats"
    );
    let standing = standing(seats);
    let seated = seats - standing;
    let scale = (f64::from(seats) / 20_000.0).sqrt().clamp(0.12, 1.0);
    let oval = Oval::scaled(scale);
    let mut blocks = Vec::new();
    let mut rows = 0;
    while total(&blocks) < seated {
        rows += 1;
        blocks = lay_out(&oval, &tiers(rows), standing > 0);
    }
    cut(&mut blocks, seated);

    let reach = tiers(rows).iter().map(Tier::depth_end).fold(0.0, f64::max) + MARGIN;
    let centre = Point {
        x: oval.a + reach,
        y: oval.b + reach,
    }
    .ceil();
    let mut zones = vec![pitch(scale, centre)];
    if standing > 0 {
        zones.push(terrace(&oval, &tiers(rows)[0], centre, standing));
    }
    zones.extend(
        blocks
            .iter()
            .filter(|block| block.seats() > 0)
            .map(|block| block.zone(centre)),
    );
    Plan {
        name: format!("Stadium of {seats} places"),
        categories: categories(&zones),
        zones,
        size: Size {
            width: centre.x * 2.0,
            height: centre.y * 2.0,
        },
    }
}

fn standing(seats: u32) -> u32 {
    match seats {
        ..1_000 => 0,
        seats => (seats / 12 / 50 * 50).min(5_000),
    }
}

fn total(blocks: &[Block]) -> u32 {
    blocks.iter().map(Block::seats).sum()
}

fn lay_out(oval: &Oval, tiers: &[Tier], terrace: bool) -> Vec<Block> {
    let mut blocks = Vec::new();
    for tier in tiers {
        for (number, part) in oval.parts().into_iter().enumerate() {
            if !(terrace && tier.level == 0 && part.terrace) {
                blocks.push(Block::new(tier, number, part));
            }
        }
    }
    blocks
}

/// Takes whole rows away from outside, at the ends first, then single seats, one from each block in
/// turn, until `seated` are left: no row is left with a stray seat or two.
fn cut(blocks: &mut [Block], seated: u32) {
    let mut surplus = total(blocks).saturating_sub(seated);
    while surplus > 0 {
        let outermost = blocks
            .iter()
            .filter_map(Block::last_row_depth)
            .fold(0.0, f64::max);
        let mut ring: Vec<&mut Block> = blocks
            .iter_mut()
            .filter(|block| block.last_row_depth() == Some(outermost))
            .collect();
        ring.sort_by(|a, b| b.off_middle().total_cmp(&a.off_middle()));
        let before = surplus;
        for block in &mut ring {
            let row = block.last_row_seats();
            if row <= surplus {
                block.rows.pop();
                surplus -= row;
            }
        }
        if surplus == before {
            for block in ring.iter_mut().take(surplus as usize) {
                block.shorten_last_row();
                surplus -= 1;
            }
        }
    }
}

fn pitch(scale: f64, centre: Point) -> Zone {
    let size = Size {
        width: (1050.0 * scale).round(),
        height: (680.0 * scale).round(),
    };
    let half = Point {
        x: size.width / 2.0,
        y: size.height / 2.0,
    };
    let grass = Area {
        shape: Shape::Rectangle { rectangle: size },
        color: Some("#5f9f57".into()),
        border_color: Some("#ffffff".into()),
        position: centre.minus(half),
        text: Some(Text {
            position: half,
            color: Some("#ffffff".into()),
            text: "Pitch".into(),
        }),
        ..Area::default()
    };
    let spot = Area {
        shape: Shape::Circle {
            circle: Circle {
                radius: (91.5 * scale).round(),
            },
        },
        border_color: Some("#ffffff".into()),
        position: centre,
        ..Area::default()
    };
    Zone {
        name: "Pitch".into(),
        areas: vec![grass, spot],
        ..Zone::default()
    }
}

/// The standing terrace: the middle blocks behind the west goal, from the first row to the last.
fn terrace(oval: &Oval, tier: &Tier, centre: Point, capacity: u32) -> Zone {
    let parts: Vec<_> = oval
        .parts()
        .into_iter()
        .filter(|part| part.terrace)
        .collect();
    let mut outer = Vec::new();
    let mut points = Vec::new();
    for part in &parts {
        for step in 0..=4 {
            let angle = part.from + (part.to - part.from) * f64::from(step) / 4.0;
            points.push(
                part.at(tier.depth - SEAT_PITCH, angle)
                    .plus(centre)
                    .tenths(),
            );
            outer.push(part.at(tier.depth_end(), angle).plus(centre).tenths());
        }
    }
    points.extend(outer.into_iter().rev());
    points.dedup();
    let (name, color) = CATEGORIES[CATEGORIES.len() - 1];
    Zone {
        name: "West Terrace".into(),
        zone_id: Some("T".into()),
        areas: vec![Area {
            shape: Shape::Polygon {
                polygon: Polygon { points },
            },
            color: Some(color.into()),
            text: Some(Text {
                text: convention::standing_text("West Terrace", capacity, name),
                ..Text::default()
            }),
            ..Area::default()
        }],
        ..Zone::default()
    }
}

/// The prices from dearest to cheapest, then the names with attributes that seats use.
fn categories(zones: &[Zone]) -> Vec<Category> {
    let seats = zones
        .iter()
        .flat_map(|zone| &zone.rows)
        .flat_map(|row| &row.seats);
    let used: BTreeSet<&str> = seats.map(|seat| &*seat.category).collect();
    let plain = CATEGORIES.map(|(name, color)| Category {
        name: name.into(),
        color: color.into(),
    });
    let with_attributes = used.into_iter().filter_map(|name| {
        let base = convention::category_name(name).base;
        let (_, color) = CATEGORIES.iter().find(|(known, _)| *known == base)?;
        (base != name).then(|| Category {
            name: name.into(),
            color: (*color).into(),
        })
    });
    plain.iter().cloned().chain(with_attributes).collect()
}

impl Block {
    fn zone(&self, centre: Point) -> Zone {
        let rows = self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.count > 0);
        Zone {
            name: format!("{} {}", self.tier_name, self.name),
            zone_id: Some(self.name.clone()),
            rows: rows
                .map(|(index, row)| self.row(index, row, centre))
                .collect(),
            ..Zone::default()
        }
    }

    fn row(&self, index: usize, row: &RowSeats, centre: Point) -> Row {
        let at: Vec<Point> = self
            .positions(row)
            .map(|p| p.plus(centre).tenths())
            .collect();
        let first = at.first().copied().unwrap_or_default();
        let number = index + 1;
        let seats = at.iter().enumerate().map(|(seat, at)| {
            let attributes = self.attributes(index, row, seat);
            Seat {
                seat_guid: format!("{}-{number}-{}", self.name, seat + 1),
                seat_number: (seat + 1).to_string(),
                position: at.minus(first).tenths(),
                category: self.category_name(attributes),
                uuid: None,
                radius: None,
                start_direction: None,
            }
        });
        Row {
            row_number: number.to_string(),
            position: first,
            seats: seats.collect(),
            ..Row::default()
        }
    }

    fn category_name(&self, attributes: Attributes) -> Arc<str> {
        let (base, _) = CATEGORIES[self.category];
        convention::category_with(base, attributes).into()
    }
}

#[cfg(test)]
mod tests;
