//! A layout back into a plan that strict readers of the format accept and that reads back as the
//! same layout. A seat's id becomes its `seat_guid`; positions are absolute.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::venue::Attributes;
use proto::channel::v1;

use super::convention;
use super::model::{Area, Category, Plan, Point, Polygon, Row, Seat, Shape, Size, Text, Zone};

pub(super) fn export(seat_map: &v1::SeatMap) -> Plan {
    let mut names = Names::new(&seat_map.categories);
    let zones = seat_map
        .sections
        .iter()
        .map(|section| zone(section, &mut names));
    let zones = zones.collect();
    Plan {
        name: seat_map.name.clone(),
        categories: names.declared,
        zones,
        size: Size {
            width: seat_map.width,
            height: seat_map.height,
        },
    }
}

/// Names of categories with attributes, declared when they are first used.
struct Names<'s> {
    prices: &'s [v1::Category],
    declared: Vec<Category>,
    known: BTreeMap<(u32, u8), Arc<str>>,
}

impl<'s> Names<'s> {
    fn new(prices: &'s [v1::Category]) -> Names<'s> {
        let declare = |category: &v1::Category| Category {
            name: category.name.clone(),
            color: category.color.clone(),
        };
        let name = |(index, category): (usize, &v1::Category)| {
            ((index as u32, 0), Arc::from(category.name.as_str()))
        };
        Names {
            prices,
            declared: prices.iter().map(declare).collect(),
            known: prices.iter().enumerate().map(name).collect(),
        }
    }

    fn of(&mut self, category: u32, attributes: Attributes) -> Arc<str> {
        if let Some(name) = self.known.get(&(category, attributes.0)) {
            return name.clone();
        }
        // A category the layout does not have is left to the reader to refuse.
        let price = self.prices.get(category as usize);
        let base = price.map_or("", |price| price.name.as_str());
        let name = convention::category_with(base, attributes);
        if let Some(price) = price {
            self.declared.push(Category {
                name: name.clone(),
                color: price.color.clone(),
            });
        }
        let name: Arc<str> = name.into();
        self.known.insert((category, attributes.0), name.clone());
        name
    }
}

fn zone(section: &v1::Section, names: &mut Names<'_>) -> Zone {
    let v1::Section {
        name,
        rows,
        capacity,
        category,
        outline,
    } = section;
    Zone {
        name: name.clone(),
        rows: rows.iter().map(|r| row(r, names)).collect(),
        areas: match rows.is_empty() {
            true => vec![standing(
                name,
                *capacity,
                &names.of(*category, Attributes(0)),
                outline,
            )],
            false => Vec::new(),
        },
        ..Zone::default()
    }
}

fn row(row: &v1::Row, names: &mut Names<'_>) -> Row {
    Row {
        row_number: row.label.clone(),
        seats: row.seats.iter().map(|s| seat(s, names)).collect(),
        ..Row::default()
    }
}

fn seat(seat: &v1::Seat, names: &mut Names<'_>) -> Seat {
    let v1::Seat {
        guid,
        number,
        x,
        y,
        category,
        accessible,
        companion,
        restricted_view,
        // Follows from the positions.
        aisle_after: _,
    } = seat;
    let bits = [
        (*accessible, Attributes::ACCESSIBLE),
        (*companion, Attributes::COMPANION),
        (*restricted_view, Attributes::RESTRICTED_VIEW),
    ];
    let bit = |(has, attribute): (bool, Attributes)| if has { attribute.0 } else { 0 };
    let attributes = Attributes(bits.into_iter().map(bit).sum());
    Seat {
        seat_guid: guid.clone(),
        seat_number: number.clone(),
        position: Point { x: *x, y: *y },
        category: names.of(*category, attributes),
        uuid: None,
        radius: None,
        start_direction: None,
    }
}

fn standing(name: &str, capacity: u32, category: &str, outline: &[f64]) -> Area {
    let points: Vec<Point> = outline
        .chunks_exact(2)
        .map(|pair| Point {
            x: pair[0],
            y: pair[1],
        })
        .collect();
    Area {
        shape: match points.is_empty() {
            true => Shape::Text,
            false => Shape::Polygon {
                polygon: Polygon { points },
            },
        },
        text: Some(Text {
            text: convention::standing_text(name, capacity, category),
            ..Text::default()
        }),
        ..Area::default()
    }
}
