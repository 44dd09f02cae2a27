//! The fields of each object of the format: whether each has to be there, and how it is read.

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

fn number<'de, A: MapAccess<'de>>(map: &mut A) -> Result<f64, A::Error> {
    map.next_value_seed(Number)
}

fn length<'de, A: MapAccess<'de>>(map: &mut A) -> Result<f64, A::Error> {
    let length = number(map)?;
    match length < 0.0 {
        true => Err(A::Error::custom("a size is not negative")),
        false => Ok(length),
    }
}

fn object<'de, A: MapAccess<'de>, T: Object>(map: &mut A, place: &Place) -> Result<T, A::Error> {
    map.next_value_seed(ObjectSeed::new(place))
}

fn maybe_object<'de, A: MapAccess<'de>, T: Object>(
    map: &mut A,
    place: &Place,
) -> Result<Option<T>, A::Error> {
    map.next_value_seed(Maybe(ObjectSeed::new(place)))
}

fn list<'de, A: MapAccess<'de>, T: Object>(
    map: &mut A,
    place: &Place,
    counted: Counted,
) -> Result<Vec<T>, A::Error> {
    map.next_value_seed(List::new(place, counted))
}

/// `fields!(Type, "what it is called", |object, map, place| { Need "name" => how it is read, … })`
macro_rules! fields {
    ($type:ty, $what:literal, |$object:ident, $map:ident, $place:ident| {
        $($need:ident $name:literal => $read:expr,)*
    }) => {
        impl Object for $type {
            const WHAT: &'static str = $what;
            const FIELDS: &'static [(&'static str, Need)] = &[$(($name, $need)),*];

            fn empty() -> $type {
                <$type>::default()
            }

            fn field<'de, A: MapAccess<'de>>(
                &mut self,
                name: &'static str,
                $map: &mut A,
                $place: &Place,
            ) -> Result<(), A::Error> {
                let ($object, _) = (self, $place);
                match name {
                    $($name => $read,)*
                    _ => {}
                }
                Ok(())
            }
        }
    };
}

fields!(Plan, "a seating plan", |plan, map, place| {
    Required "name" => plan.name = text(map)?,
    Required "categories" => plan.categories = list(map, place, Counted::Categories)?,
    Required "zones" => plan.zones = list(map, place, Counted::Zones)?,
    Required "size" => plan.size = object(map, place)?,
});

fields!(Category, "a category", |category, map, place| {
    Required "name" => category.name = text(map)?,
    Optional "color" => category.color = maybe_text(map)?.unwrap_or_default(),
});

fields!(Size, "a size", |size, map, place| {
    Required "width" => size.width = length(map)?,
    Required "height" => size.height = length(map)?,
});

fields!(Point, "a position", |point, map, place| {
    Required "x" => point.x = number(map)?,
    Required "y" => point.y = number(map)?,
});

fields!(Zone, "a zone", |zone, map, place| {
    Required "name" => zone.name = text(map)?,
    Optional "zone_id" => zone.zone_id = maybe_text(map)?,
    Optional "uuid" => zone.uuid = maybe_text(map)?,
    Required "position" => zone.position = object(map, place)?,
    Required "rows" => zone.rows = list(map, place, Counted::Rows)?,
    Optional "areas" => zone.areas = areas(map, place)?,
});

fn areas<'de, A: MapAccess<'de>>(map: &mut A, place: &Place) -> Result<Vec<Area>, A::Error> {
    let listed: Option<Vec<AreaFields>> =
        map.next_value_seed(Maybe(List::new(place, Counted::Areas)))?;
    let areas = listed.unwrap_or_default().into_iter().enumerate();
    Ok(areas.map(|(n, area)| area.into_area(n, place)).collect())
}

fields!(Row, "a row", |row, map, place| {
    Required "row_number" => row.row_number = text(map)?,
    Optional "row_label" => row.row_label = maybe_text(map)?,
    Optional "seat_label" => row.seat_label = maybe_text(map)?,
    Optional "uuid" => row.uuid = maybe_text(map)?,
    Optional "row_number_position" => row.row_number_position = maybe_text(map)?,
    Required "position" => row.position = object(map, place)?,
    Required "seats" => row.seats = list(map, place, Counted::Seats)?,
});

fields!(Seat, "a seat", |seat, map, place| {
    Required "seat_guid" => seat.seat_guid = text(map)?,
    Required "seat_number" => seat.seat_number = text(map)?,
    Required "position" => seat.position = object(map, place)?,
    Required "category" => {
        seat.category = map.next_value_seed(Text(|name: &str| place.name(name)))??;
    },
    Optional "uuid" => seat.uuid = maybe_text(map)?,
    Optional "radius" => seat.radius = map.next_value_seed(Maybe(Number))?,
    Optional "start_direction" => seat.start_direction = maybe_text(map)?,
});

fields!(Circle, "a circle", |circle, map, place| {
    Required "radius" => circle.radius = number(map)?,
});

fields!(Ellipse, "an ellipse", |ellipse, map, place| {
    Required "radius" => ellipse.radius = object(map, place)?,
});

fields!(Polygon, "a polygon", |polygon, map, place| {
    Required "points" => polygon.points = list(map, place, Counted::Points)?,
});

fields!(model::Text, "a text of an area", |text, map, place| {
    Optional "position" => text.position = object(map, place)?,
    Optional "color" => text.color = maybe_text(map)?,
    Optional "text" => text.text = maybe_text(map)?.unwrap_or_default(),
});

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

fields!(AreaFields, "an area", |fields, map, place| {
    Required "shape" => fields.shape = text(map)?,
    Optional "color" => fields.area.color = maybe_text(map)?,
    Optional "border_color" => fields.area.border_color = maybe_text(map)?,
    Optional "rotation" => {
        fields.area.rotation = map.next_value_seed(Maybe(Number))?.unwrap_or(0.0);
    },
    Optional "uuid" => fields.area.uuid = maybe_text(map)?,
    Required "position" => fields.area.position = object(map, place)?,
    Optional "text" => fields.area.text = maybe_object(map, place)?,
    Optional "rectangle" => fields.rectangle = maybe_object(map, place)?,
    Optional "circle" => fields.circle = maybe_object(map, place)?,
    Optional "ellipse" => fields.ellipse = maybe_object(map, place)?,
    Optional "polygon" => fields.polygon = maybe_object(map, place)?,
});

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
