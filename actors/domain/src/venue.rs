//! The venue as the sale needs it: sections, rows, seats, aisles. Labels live outside.

/// Attributes of a seat, a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub u8);

impl Attributes {
    /// A wheelchair place.
    pub const ACCESSIBLE: Attributes = Attributes(1);
    /// A seat for who comes with somebody in a wheelchair place.
    pub const COMPANION: Attributes = Attributes(2);
    /// The view is restricted.
    pub const RESTRICTED_VIEW: Attributes = Attributes(4);

    pub fn contains(self, other: Attributes) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One seat. Positions are in tenths of the plan's unit, so that the domain needs no floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatPlan {
    pub x: i32,
    pub y: i32,
    /// Index of the price category; 0 is the dearest.
    pub category: u16,
    pub attributes: Attributes,
    /// An aisle (or the row's end) follows: the next seat of the row is not adjacent.
    pub aisle_after: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowPlan {
    /// In physical sequence along the row.
    pub seats: Vec<SeatPlan>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionPlan {
    /// Rows of seats. Seat indices count through the rows in sequence.
    Seated {
        /// The point best seats are close to, in the seats' coordinates.
        focal_x: i32,
        focal_y: i32,
        rows: Vec<RowPlan>,
    },
    /// General admission: a capacity, no seats.
    General { capacity: u32, category: u16 },
}

/// All sections of a sale. At most 65,535 sections, 10,000,000 seats in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Venue {
    pub sections: Vec<SectionPlan>,
}
