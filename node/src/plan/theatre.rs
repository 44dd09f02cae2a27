//! A small theatre: curved stalls before a stage with a stair in the middle, odd numbers on one
//! side and even ones on the other, two boxes and a balcony. One unit is a decimetre.

use std::f64::consts::PI;
use std::sync::Arc;

use domain::venue::Attributes;

use super::convention;
use super::model::{Area, Category, Plan, Point, Row, Seat, Shape, Size, Text, Zone};

const SEAT_PITCH: f64 = 5.5;
const ROW_PITCH: f64 = 9.0;
const STAIR: f64 = 12.0;
/// Rows are arcs about this point, behind the stage.
const CENTRE: Point = Point { x: 160.0, y: -60.0 };
const PRICES: [(&str, &str); 4] = [
    ("Stalls front", "#a3262a"),
    ("Stalls", "#d1843b"),
    ("Boxes", "#7a5195"),
    ("Balcony", "#4c8f8b"),
];

pub fn theatre() -> Plan {
    let mut stalls = Vec::new();
    for index in 0..14 {
        let price = if index < 5 { 0 } else { 1 };
        let half = (10 + index / 2) as u32;
        stalls.push(row("S", index, 150.0, half, price));
    }
    let mut balcony = Vec::new();
    for index in 0..7 {
        balcony.push(row("B", index, 330.0, 16 + index as u32, 3));
    }
    let zones = vec![
        stage(),
        zone("Stalls", "S", stalls),
        zone("Box left", "L", boxes("L", 22.0)),
        zone("Box right", "R", boxes("R", 290.0)),
        zone("Balcony", "B", balcony),
    ];
    Plan {
        name: "Theatre".into(),
        categories: categories(),
        zones,
        size: Size {
            width: 320.0,
            height: 350.0,
        },
    }
}

fn categories() -> Vec<Category> {
    let special = [
        (1, Attributes::ACCESSIBLE),
        (1, Attributes::COMPANION),
        (3, Attributes::RESTRICTED_VIEW),
    ];
    let declare = |price: usize, attributes| Category {
        name: convention::category_with(PRICES[price].0, attributes),
        color: PRICES[price].1.into(),
    };
    let plain = (0..PRICES.len()).map(|price| declare(price, Attributes::default()));
    let special = special
        .into_iter()
        .map(|(price, attributes)| declare(price, attributes));
    plain.chain(special).collect()
}

fn stage() -> Zone {
    Zone {
        name: "Stage".into(),
        areas: vec![Area {
            shape: Shape::Rectangle {
                rectangle: Size {
                    width: 160.0,
                    height: 50.0,
                },
            },
            color: Some("#d9d2c5".into()),
            border_color: Some("#8a8272".into()),
            position: Point { x: 80.0, y: 15.0 },
            text: Some(Text {
                position: Point { x: 80.0, y: 25.0 },
                color: Some("#333333".into()),
                text: "Stage".into(),
            }),
            ..Area::default()
        }],
        ..Zone::default()
    }
}

fn zone(name: &str, id: &str, rows: Vec<Row>) -> Zone {
    Zone {
        name: name.into(),
        zone_id: Some(id.into()),
        rows,
        ..Zone::default()
    }
}

/// `half` seats on either side of the stair: ... 5 3 1 | 2 4 6 ...
fn row(zone: &str, index: usize, radius: f64, half: u32, price: usize) -> Row {
    let label = char::from(b'A' + index as u8);
    let radius = radius + index as f64 * ROW_PITCH;
    let mut seats = Vec::new();
    for n in 0..2 * half {
        let (number, side) = match n < half {
            true => (2 * (half - n) - 1, -1.0),
            false => (2 * (n - half + 1), 1.0),
        };
        let from_stair = f64::from((number - 1) / 2);
        let along = side * (STAIR / 2.0 + SEAT_PITCH / 2.0 + from_stair * SEAT_PITCH);
        let angle = PI / 2.0 - along / radius;
        let arm = Point {
            x: radius * angle.cos(),
            y: radius * angle.sin(),
        };
        let from_end = n.min(2 * half - 1 - n);
        let attributes = match (zone, index, from_end) {
            ("S", 13, 0) => Attributes::ACCESSIBLE,
            ("S", 13, 1) => Attributes::COMPANION,
            ("B", 0 | 1, 0) => Attributes::RESTRICTED_VIEW,
            _ => Attributes::default(),
        };
        let place = format!("{zone}-{label}-{number}");
        seats.push(seat(place, number, CENTRE.plus(arm), price, attributes));
    }
    Row {
        row_number: label.into(),
        seats,
        ..Row::default()
    }
}

/// Three rows of two chairs, one box above the other.
fn boxes(zone: &str, x: f64) -> Vec<Row> {
    let chair = |row: u32, number: u32| {
        let at = Point {
            x: x + f64::from(number - 1) * 6.0,
            y: 90.0 + f64::from(row) * 14.0,
        };
        let place = format!("{zone}-{row}-{number}");
        seat(place, number, at, 2, Attributes::default())
    };
    let row = |row: u32| Row {
        row_number: row.to_string(),
        seats: vec![chair(row, 1), chair(row, 2)],
        ..Row::default()
    };
    (1..=3).map(row).collect()
}

fn seat(guid: String, number: u32, at: Point, price: usize, attributes: Attributes) -> Seat {
    let category: Arc<str> = convention::category_with(PRICES[price].0, attributes).into();
    let round = |value: f64| (value * 10.0).round() / 10.0;
    Seat {
        seat_guid: guid,
        seat_number: number.to_string(),
        position: Point {
            x: round(at.x),
            y: round(at.y),
        },
        category,
        uuid: None,
        radius: None,
        start_direction: None,
    }
}
