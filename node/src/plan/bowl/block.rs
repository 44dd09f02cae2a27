//! One block of one tier: how many seats each row has, where they stand, what is special about them.

use domain::venue::Attributes;

use super::super::model::Point;
use super::oval::Part;
use super::tiers::Tier;

/// From one seat to the next.
pub(super) const SEAT_PITCH: f64 = 5.0;
/// A wheelchair place is wider on either side.
const WHEELCHAIR_PITCH: f64 = 7.0;
/// A stair between blocks or inside a row.
const STAIR: f64 = 12.0;
/// A row with more seats has a stair in its middle.
const SEATS_BETWEEN_STAIRS_MAX: u32 = 28;

pub(super) struct RowSeats {
    pub depth: f64,
    pub count: u32,
    /// Seats before the stair, when there is one.
    stair_after: Option<u32>,
    /// A wheelchair place at either end, each with a companion's seat beside it.
    wheelchairs: bool,
}

pub(super) struct Block {
    pub tier_name: &'static str,
    /// `101` is the first block of the lowest tier.
    pub name: String,
    pub category: usize,
    pub rows: Vec<RowSeats>,
    level: usize,
    number: usize,
    part: Part,
}

impl Block {
    pub fn new(tier: &Tier, number: usize, part: Part) -> Block {
        let row = |index: usize| {
            // The walkway behind the lower tier is level with its last row.
            let wheelchairs = tier.level == 0 && index + 1 == tier.rows && number.is_multiple_of(2);
            RowSeats::fitting(&part, tier.row_depth(index), wheelchairs)
        };
        Block {
            tier_name: tier.name,
            name: format!("{}", (tier.level + 1) * 100 + number + 1),
            category: category(tier.level, &part),
            rows: (0..tier.rows).map(row).collect(),
            level: tier.level,
            number,
            part,
        }
    }

    pub fn seats(&self) -> u32 {
        self.rows.iter().map(|row| row.count).sum()
    }

    pub fn last_row_depth(&self) -> Option<f64> {
        self.rows.last().map(|row| row.depth)
    }

    pub fn last_row_seats(&self) -> u32 {
        self.rows.last().map_or(0, |row| row.count)
    }

    /// How far from the middle of a long side: 0 to 1, more behind the goals.
    pub fn off_middle(&self) -> f64 {
        match self.part.end {
            true => 2.0 - self.part.off_middle,
            false => self.part.off_middle,
        }
    }

    pub fn shorten_last_row(&mut self) {
        let Some(row) = self.rows.last_mut() else {
            return;
        };
        row.count = row.count.saturating_sub(1);
        row.stair_after = row
            .stair_after
            .filter(|_| row.count > SEATS_BETWEEN_STAIRS_MAX);
        if let Some(before) = &mut row.stair_after {
            *before = row.count / 2;
        }
        if row.count == 0 {
            self.rows.pop();
        }
    }

    /// Relative to the middle of the pitch, left to right as seen from the pitch.
    pub fn positions(&self, row: &RowSeats) -> impl Iterator<Item = Point> {
        let steps: Vec<f64> = (0..row.count).map(|seat| row.step_before(seat)).collect();
        let (depth, part) = (row.depth, self.part);
        let mut along = -steps.iter().sum::<f64>() / 2.0;
        steps.into_iter().map(move |step| {
            along += step;
            part.at(depth, part.angle(depth, along))
        })
    }

    pub fn attributes(&self, index: usize, row: &RowSeats, seat: usize) -> Attributes {
        let from_end = seat.min((row.count as usize).saturating_sub(seat + 1));
        if row.wheelchairs && row.count >= 8 {
            match from_end {
                0 => return Attributes::ACCESSIBLE,
                1 => return Attributes::COMPANION,
                _ => {}
            }
        }
        // Pillars carry the tier above at every third block, in the rows under it.
        let under = self.level == 0 && index + 3 >= self.rows.len() && index + 1 < self.rows.len();
        match under && self.number.is_multiple_of(3) && from_end < 2 {
            true => Attributes::RESTRICTED_VIEW,
            false => Attributes::default(),
        }
    }
}

impl RowSeats {
    fn fitting(part: &Part, depth: f64, wheelchairs: bool) -> RowSeats {
        let room = part.length(depth) - STAIR;
        let extra = if wheelchairs {
            2.0 * (WHEELCHAIR_PITCH - SEAT_PITCH)
        } else {
            0.0
        };
        let fits = |room: f64| (room / SEAT_PITCH).floor().max(0.0) as u32;
        let count = fits(room - extra);
        if count <= SEATS_BETWEEN_STAIRS_MAX {
            return RowSeats {
                depth,
                count,
                stair_after: None,
                wheelchairs,
            };
        }
        let count = fits(room - extra - STAIR);
        RowSeats {
            depth,
            count,
            stair_after: Some(count / 2),
            wheelchairs,
        }
    }

    fn step_before(&self, seat: u32) -> f64 {
        let beside_wheelchair = self.wheelchairs && (seat == 1 || seat + 1 == self.count);
        match seat {
            0 => 0.0,
            seat if self.stair_after == Some(seat) => SEAT_PITCH + STAIR,
            _ if beside_wheelchair => WHEELCHAIR_PITCH,
            _ => SEAT_PITCH,
        }
    }
}

/// Index of the price: the middle of the long sides is dearest, low before high.
fn category(level: usize, part: &Part) -> usize {
    let middle = !part.end && part.off_middle < 0.5;
    match (level, part.end, middle) {
        (1, false, _) => 0,
        (0, _, true) => 1,
        (0, false, _) | (1, true, _) => 2,
        (0, true, _) => 3,
        (_, _, true) => 3,
        _ => 4,
    }
}
