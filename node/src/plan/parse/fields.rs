//! The fields of each object of the format, one `impl` per object.

use std::sync::Arc;

use serde::de::{Error as _, MapAccess};

use super::object::Need::{Optional, Required};
use super::object::{List, Maybe, Need, Number, Object, ObjectSeed, Text};
use super::place::{Counted, Place, Step};
use crate::plan::model::{
    self, Area, Category, Circle, Ellipse, Plan, Point, Polygon, Row, Seat, Shape, Size, Zone,
};

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    map.next_value_seed(Text(str::to_owned))
}

fn maybe_text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<String>, A::Error> {
    map.next_value_seed(Maybe(Text(str::to_owned)))
}

fn point<'de, A: MapAccess<'de>>(map: &mut A, place: &Place) -> Result<Point, A::Error> {
    map.next_value_seed(ObjectSeed::new(place))
}

impl Object for Plan {
    const WHAT: &'static str = "a seating plan";
    const FIELDS: &'static [(&'static str, Need)] = &[
        ("name", Required),
        ("categories", Required),
        ("zones", Required),
        ("size", Required),
    ];

    fn empty() -> Plan {
        Plan::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        place: &Place,
    ) -> Result<(), A::Error> {
        match name {
            "name" => self.name = text(map)?,
            "categories" => {
                self.categories = map.next_value_seed(List::new(place, Counted::Categories))?;
            }
            "zones" => self.zones = map.next_value_seed(List::new(place, Counted::Zones))?,
            _ => self.size = map.next_value_seed(ObjectSeed::new(place))?,
        }
        Ok(())
    }
}

impl Object for Category {
    const WHAT: &'static str = "a category";
    const FIELDS: &'static [(&'static str, Need)] = &[("name", Required), ("color", Optional)];

    fn empty() -> Category {
        Category::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        _place: &Place,
    ) -> Result<(), A::Error> {
        match name {
            "name" => self.name = text(map)?,
            _ => self.color = maybe_text(map)?.unwrap_or_default(),
        }
        Ok(())
    }
}

impl Object for Size {
    const WHAT: &'static str = "a size";
    const FIELDS: &'static [(&'static str, Need)] = &[("width", Required), ("height", Required)];

    fn empty() -> Size {
        Size::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        _place: &Place,
    ) -> Result<(), A::Error> {
        let value = map.next_value_seed(Number)?;
        if value < 0.0 {
            return Err(A::Error::custom("a size is not negative"));
        }
        match name {
            "width" => self.width = value,
            _ => self.height = value,
        }
        Ok(())
    }
}

impl Object for Point {
    const WHAT: &'static str = "a position";
    const FIELDS: &'static [(&'static str, Need)] = &[("x", Required), ("y", Required)];

    fn empty() -> Point {
        Point::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        _place: &Place,
    ) -> Result<(), A::Error> {
        let value = map.next_value_seed(Number)?;
        match name {
            "x" => self.x = value,
            _ => self.y = value,
        }
        Ok(())
    }
}

impl Object for Zone {
    const WHAT: &'static str = "a zone";
    const FIELDS: &'static [(&'static str, Need)] = &[
        ("name", Required),
        ("zone_id", Optional),
        ("uuid", Optional),
        ("position", Required),
        ("rows", Required),
        ("areas", Optional),
    ];

    fn empty() -> Zone {
        Zone::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        place: &Place,
    ) -> Result<(), A::Error> {
        match name {
            "name" => self.name = text(map)?,
            "zone_id" => self.zone_id = maybe_text(map)?,
            "uuid" => self.uuid = maybe_text(map)?,
            "position" => self.position = point(map, place)?,
            "rows" => self.rows = map.next_value_seed(List::new(place, Counted::Rows))?,
            _ => {
                let areas: Vec<AreaFields> = map
                    .next_value_seed(Maybe(List::new(place, Counted::Areas)))?
                    .unwrap_or_default();
                let areas = areas.into_iter().enumerate();
                self.areas = areas.map(|(n, area)| area.into_area(n, place)).collect();
            }
        }
        Ok(())
    }
}

impl Object for Row {
    const WHAT: &'static str = "a row";
    const FIELDS: &'static [(&'static str, Need)] = &[
        ("row_number", Required),
        ("row_label", Optional),
        ("seat_label", Optional),
        ("uuid", Optional),
        ("row_number_position", Optional),
        ("position", Required),
        ("seats", Required),
    ];

    fn empty() -> Row {
        Row::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        place: &Place,
    ) -> Result<(), A::Error> {
        match name {
            "row_number" => self.row_number = text(map)?,
            "row_label" => self.row_label = maybe_text(map)?,
            "seat_label" => self.seat_label = maybe_text(map)?,
            "uuid" => self.uuid = maybe_text(map)?,
            "row_number_position" => self.row_number_position = maybe_text(map)?,
            "position" => self.position = point(map, place)?,
            _ => self.seats = map.next_value_seed(List::new(place, Counted::Seats))?,
        }
        Ok(())
    }
}

impl Object for Seat {
    const WHAT: &'static str = "a seat";
    const FIELDS: &'static [(&'static str, Need)] = &[
        ("seat_guid", Required),
        ("seat_number", Required),
        ("position", Required),
        ("category", Required),
        ("uuid", Optional),
        ("radius", Optional),
        ("start_direction", Optional),
    ];

    fn empty() -> Seat {
        Seat {
            seat_guid: String::new(),
            seat_number: String::new(),
            position: Point::default(),
            category: Arc::default(),
            uuid: None,
            radius: None,
            start_direction: None,
        }
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        place: &Place,
    ) -> Result<(), A::Error> {
        match name {
            "seat_guid" => self.seat_guid = text(map)?,
            "seat_number" => self.seat_number = text(map)?,
            "position" => self.position = point(map, place)?,
            "category" => {
                self.category = map.next_value_seed(Text(|name: &str| place.name(name)))??;
            }
            "uuid" => self.uuid = maybe_text(map)?,
            "radius" => self.radius = map.next_value_seed(Maybe(Number))?,
            _ => self.start_direction = maybe_text(map)?,
        }
        Ok(())
    }
}

impl Object for Circle {
    const WHAT: &'static str = "a circle";
    const FIELDS: &'static [(&'static str, Need)] = &[("radius", Required)];

    fn empty() -> Circle {
        Circle::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        _name: &'static str,
        map: &mut A,
        _place: &Place,
    ) -> Result<(), A::Error> {
        self.radius = map.next_value_seed(Number)?;
        Ok(())
    }
}

impl Object for Ellipse {
    const WHAT: &'static str = "an ellipse";
    const FIELDS: &'static [(&'static str, Need)] = &[("radius", Required)];

    fn empty() -> Ellipse {
        Ellipse::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        _name: &'static str,
        map: &mut A,
        place: &Place,
    ) -> Result<(), A::Error> {
        self.radius = point(map, place)?;
        Ok(())
    }
}

impl Object for Polygon {
    const WHAT: &'static str = "a polygon";
    const FIELDS: &'static [(&'static str, Need)] = &[("points", Required)];

    fn empty() -> Polygon {
        Polygon::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        _name: &'static str,
        map: &mut A,
        place: &Place,
    ) -> Result<(), A::Error> {
        self.points = map.next_value_seed(List::new(place, Counted::Points))?;
        Ok(())
    }
}

impl Object for model::Text {
    const WHAT: &'static str = "a text of an area";
    const FIELDS: &'static [(&'static str, Need)] = &[
        ("position", Optional),
        ("color", Optional),
        ("text", Optional),
    ];

    fn empty() -> model::Text {
        model::Text::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        place: &Place,
    ) -> Result<(), A::Error> {
        match name {
            "position" => self.position = point(map, place)?,
            "color" => self.color = maybe_text(map)?,
            _ => self.text = maybe_text(map)?.unwrap_or_default(),
        }
        Ok(())
    }
}

/// An area while its fields come in: the shape's name and its sizes may stand in any sequence.
#[derive(Default)]
struct AreaFields {
    area: Area,
    shape: String,
    rectangle: Option<Size>,
    circle: Option<Circle>,
    ellipse: Option<Ellipse>,
    polygon: Option<Polygon>,
}

impl Object for AreaFields {
    const WHAT: &'static str = "an area";
    const FIELDS: &'static [(&'static str, Need)] = &[
        ("shape", Required),
        ("color", Optional),
        ("border_color", Optional),
        ("rotation", Optional),
        ("uuid", Optional),
        ("position", Required),
        ("text", Optional),
        ("rectangle", Optional),
        ("circle", Optional),
        ("ellipse", Optional),
        ("polygon", Optional),
    ];

    fn empty() -> AreaFields {
        AreaFields::default()
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        place: &Place,
    ) -> Result<(), A::Error> {
        let area = &mut self.area;
        match name {
            "shape" => self.shape = text(map)?,
            "color" => area.color = maybe_text(map)?,
            "border_color" => area.border_color = maybe_text(map)?,
            "rotation" => area.rotation = map.next_value_seed(Maybe(Number))?.unwrap_or(0.0),
            "uuid" => area.uuid = maybe_text(map)?,
            "position" => area.position = point(map, place)?,
            "text" => area.text = map.next_value_seed(Maybe(ObjectSeed::new(place)))?,
            "rectangle" => self.rectangle = map.next_value_seed(Maybe(ObjectSeed::new(place)))?,
            "circle" => self.circle = map.next_value_seed(Maybe(ObjectSeed::new(place)))?,
            "ellipse" => self.ellipse = map.next_value_seed(Maybe(ObjectSeed::new(place)))?,
            _ => self.polygon = map.next_value_seed(Maybe(ObjectSeed::new(place)))?,
        }
        Ok(())
    }
}

/// An area is drawing, except for its text: a shape we cannot draw is a warning.
impl AreaFields {
    fn into_area(self, index: usize, place: &Place) -> Area {
        let shape = match self.shape.as_str() {
            "rectangle" => self
                .rectangle
                .map(|rectangle| Shape::Rectangle { rectangle }),
            "circle" => self.circle.map(|circle| Shape::Circle { circle }),
            "ellipse" => self.ellipse.map(|ellipse| Shape::Ellipse { ellipse }),
            "polygon" => self.polygon.map(|polygon| Shape::Polygon { polygon }),
            "text" => Some(Shape::Text),
            _ => None,
        };
        if shape.is_none() {
            place.enter(Step::Index(index));
            place.warn(|| {
                format!(
                    "an area of shape {:?} without its size is not drawn",
                    self.shape
                )
            });
            place.leave();
        }
        Area {
            shape: shape.unwrap_or_default(),
            ..self.area
        }
    }
}
