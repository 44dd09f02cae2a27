//! A plan in the file's own terms, and its JSON text. Checks nothing; `parse` reads it.

mod area;

use std::sync::Arc;

use serde::{Serialize, Serializer};

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    pub name: String,
    pub categories: Vec<Category>,
    pub zones: Vec<Zone>,
    pub size: Size,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Category {
    pub name: String,
    pub color: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

impl Point {
    pub fn plus(self, other: Point) -> Point {
        Point {
            x: self.x + other.x,
            y: self.y + other.y,
        }
    }

    pub fn minus(self, other: Point) -> Point {
        Point {
            x: self.x - other.x,
            y: self.y - other.y,
        }
    }

    /// To thousandths of the unit, so that sums of positions have no noise in them.
    pub fn rounded(self) -> Point {
        let round = |value: f64| (value * 1000.0).round() / 1000.0 + 0.0;
        Point {
            x: round(self.x),
            y: round(self.y),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Zone {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    pub position: Point,
    pub rows: Vec<Row>,
    pub areas: Vec<Area>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    pub row_number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_number_position: Option<String>,
    pub position: Point,
    pub seats: Vec<Seat>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Seat {
    pub seat_guid: String,
    pub seat_number: String,
    pub position: Point,
    #[serde(serialize_with = "shared_text")]
    pub category: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_direction: Option<String>,
}

fn shared_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Something drawn: a stage, a wall, a label, a standing area.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Area {
    #[serde(flatten)]
    pub shape: Shape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub border_color: Option<String>,
    /// Degrees, around `position`.
    pub rotation: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    pub position: Point,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
}

/// Positions and sizes are relative to the area's position: the corner of a rectangle, the centre
/// of a circle or ellipse.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "shape", rename_all = "lowercase")]
pub enum Shape {
    #[default]
    Text,
    Rectangle {
        rectangle: Size,
    },
    Circle {
        circle: Circle,
    },
    Ellipse {
        ellipse: Ellipse,
    },
    Polygon {
        polygon: Polygon,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Circle {
    pub radius: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Ellipse {
    pub radius: Point,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Polygon {
    pub points: Vec<Point>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Text {
    pub position: Point,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    pub text: String,
}

impl Plan {
    /// The file, on one line per zone's worth of text: compact.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing plain structs of strings and finite numbers into memory has no way to fail.
        if serde_json::to_writer(&mut bytes, self).is_err() {
            bytes.clear();
        }
        bytes.push(b'\n');
        bytes
    }

    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        let rows = self.zones.iter().flat_map(|zone| &zone.rows);
        rows.flat_map(|row| &row.seats)
    }
}
