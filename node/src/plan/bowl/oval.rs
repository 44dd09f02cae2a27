//! The oval that the rows follow: four arcs that meet with one tangent, so that rows further out
//! are arcs about the same centres. Angles in radians, clockwise on screen (y points down), from
//! the east; positions relative to the middle of the pitch.

use std::f64::consts::{PI, TAU};

use super::super::model::Point;

pub(super) struct Oval {
    /// Half the length and half the width of the inner edge.
    pub a: f64,
    pub b: f64,
    end_radius: f64,
    side_radius: f64,
    /// Half the angle of an end's arc.
    end_angle: f64,
    end_parts: u32,
    side_parts: u32,
}

/// The piece of an arc that a block stands on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    centre: Point,
    radius: f64,
    pub from: f64,
    pub to: f64,
    /// Behind a goal.
    pub end: bool,
    /// How far from the middle of its arc: 0 in the middle to 1 at its ends.
    pub off_middle: f64,
    /// One of the middle parts of the west end.
    pub terrace: bool,
}

impl Oval {
    /// Around a pitch of 105 by 68 metres times `scale`.
    pub fn scaled(scale: f64) -> Oval {
        let (a, b, r) = (750.0 * scale, 560.0 * scale, 420.0 * scale);
        // The side's circle touches the end's from inside: the centres are R − r apart.
        let side_radius = (a * a - 2.0 * a * r + b * b) / (2.0 * (b - r));
        let parts = |whole: f64| (whole * scale).round().max(1.0) as u32;
        Oval {
            a,
            b,
            end_radius: r,
            side_radius,
            end_angle: (side_radius - b).atan2(a - r),
            end_parts: parts(6.0),
            side_parts: parts(12.0),
        }
    }

    /// All the way round, from the north-east corner over the east, clockwise.
    pub fn parts(&self) -> Vec<Part> {
        let end = self.a - self.end_radius;
        let side = self.side_radius - self.b;
        let arcs = [
            (Point { x: end, y: 0.0 }, 0.0, true),
            (Point { x: 0.0, y: -side }, PI / 2.0, false),
            (Point { x: -end, y: 0.0 }, PI, true),
            (Point { x: 0.0, y: side }, TAU * 0.75, false),
        ];
        let mut parts = Vec::new();
        for (index, (centre, middle, end)) in arcs.into_iter().enumerate() {
            let (radius, half, count) = match end {
                true => (self.end_radius, self.end_angle, self.end_parts),
                false => (self.side_radius, PI / 2.0 - self.end_angle, self.side_parts),
            };
            let width = 2.0 * half / f64::from(count);
            for n in 0..count {
                let from = middle - half + width * f64::from(n);
                let off_middle = ((f64::from(n) + 0.5) * 2.0 / f64::from(count) - 1.0).abs();
                parts.push(Part {
                    centre,
                    radius,
                    from,
                    to: from + width,
                    end,
                    off_middle,
                    terrace: index == 2 && off_middle < 0.67,
                });
            }
        }
        parts
    }
}

impl Part {
    /// The point `depth` outside the inner edge.
    pub fn at(&self, depth: f64, angle: f64) -> Point {
        let radius = self.radius + depth;
        let arm = Point {
            x: radius * angle.cos(),
            y: radius * angle.sin(),
        };
        self.centre.plus(arm)
    }

    /// Length of the row `depth` outside the inner edge.
    pub fn length(&self, depth: f64) -> f64 {
        (self.radius + depth) * (self.to - self.from)
    }

    /// The angle of the point `along` the row from its middle.
    pub fn angle(&self, depth: f64, along: f64) -> f64 {
        (self.from + self.to) / 2.0 + along / (self.radius + depth)
    }
}

impl Point {
    /// To tenths: centimetres in a stadium.
    pub(super) fn tenths(self) -> Point {
        let round = |value: f64| (value * 10.0).round() / 10.0 + 0.0;
        Point {
            x: round(self.x),
            y: round(self.y),
        }
    }

    pub(super) fn ceil(self) -> Point {
        Point {
            x: self.x.ceil(),
            y: self.y.ceil(),
        }
    }
}
