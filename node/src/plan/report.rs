//! What an import found, for a person to read. Lists are bounded and say how much they leave out.

use std::fmt;

use serde::Serialize;

/// Most seats listed by their ids: all that a person would ever repair by hand, and no flood from a
/// broken file of a million.
pub(super) const LISTED_MAX: usize = 1_000;
/// Most warnings in words.
const WARNINGS_MAX: usize = 20;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub name: String,
    pub sections: u32,
    pub rows: u32,
    /// Seats in rows.
    pub seats: u32,
    /// Places in standing areas.
    pub standing: u32,
    pub categories: u32,
    /// Gaps inside rows that part neighbours.
    pub aisles: u32,
    /// Rows whose seats were not listed in the sequence they stand in.
    pub rows_put_in_sequence: u32,
    pub accessible: u32,
    pub companion: u32,
    pub restricted_view: u32,
    pub blocked: u32,
    /// Ids on more than one seat, and the seats they stand on (only with `dedupe`, else a fault).
    pub duplicate_ids: u32,
    pub duplicate_seats: u32,
    pub duplicates: Vec<Duplicate>,
    /// Seats that are known by another id than their `seat_guid`, because it was not theirs alone.
    pub renamed_seats: u32,
    pub renamed: Vec<Renamed>,
    /// What was odd and is not in the way.
    pub warnings: Vec<String>,
    pub warnings_left_out: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Duplicate {
    /// `seat_guid` or `uuid`.
    pub field: &'static str,
    pub id: String,
    pub seats: u32,
    /// Of the first two seats that have it.
    pub places: Vec<String>,
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, id) = (self.field, &self.id);
        let (seats, places) = (self.seats, self.places.join(", "));
        write!(f, "{field} {id:?} on {seats} seats ({places}")?;
        f.write_str(if self.seats as usize > self.places.len() {
            ", …)"
        } else {
            ")"
        })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Renamed {
    pub place: String,
    pub from: String,
    pub to: String,
}

/// Warnings while a plan is read: the first ones in words, the rest as a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Warnings {
    pub listed: Vec<String>,
    pub left_out: u32,
}

impl Warnings {
    /// `warning` is only put into words while there is room.
    pub fn add(&mut self, warning: impl FnOnce() -> String) {
        if self.listed.len() < WARNINGS_MAX {
            self.listed.push(warning());
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }
}
