//! The outline of an area and its centre, relative to the zone.

use super::{Area, Point, Shape};

/// Corners of the polygon that stands for an ellipse.
const ELLIPSE_CORNERS: u32 = 24;

impl Area {
    /// Corners in sequence; empty for a text.
    pub fn outline(&self) -> Vec<Point> {
        let at = |x, y| Point { x, y };
        let corners = match &self.shape {
            Shape::Text => Vec::new(),
            Shape::Rectangle { rectangle } => {
                let (w, h) = (rectangle.width, rectangle.height);
                vec![at(0.0, 0.0), at(w, 0.0), at(w, h), at(0.0, h)]
            }
            Shape::Circle { circle } => ellipse(at(circle.radius, circle.radius)),
            Shape::Ellipse { ellipse: e } => ellipse(e.radius),
            Shape::Polygon { polygon } => polygon.points.clone(),
        };
        let (sin, cos) = self.rotation.to_radians().sin_cos();
        let turn = |p: Point| at(p.x * cos - p.y * sin, p.x * sin + p.y * cos);
        let place = |p: Point| self.position.plus(turn(p));
        corners.into_iter().map(place).collect()
    }

    /// The middle of what the outline spans, or the position of a text.
    pub fn centre(&self) -> Point {
        let outline = self.outline();
        let Some(first) = outline.first() else {
            return self.position;
        };
        let (mut least, mut most) = (*first, *first);
        for corner in &outline {
            least = Point {
                x: least.x.min(corner.x),
                y: least.y.min(corner.y),
            };
            most = Point {
                x: most.x.max(corner.x),
                y: most.y.max(corner.y),
            };
        }
        Point {
            x: (least.x + most.x) / 2.0,
            y: (least.y + most.y) / 2.0,
        }
    }
}

fn ellipse(radius: Point) -> Vec<Point> {
    let corner = |n: u32| {
        let angle = f64::from(n) * std::f64::consts::TAU / f64::from(ELLIPSE_CORNERS);
        Point {
            x: radius.x * angle.cos(),
            y: radius.y * angle.sin(),
        }
    };
    (0..ELLIPSE_CORNERS).map(corner).collect()
}
