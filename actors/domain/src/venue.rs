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

/// Most seats of a venue, capacities included.
pub const SEATS_MAX: u32 = 10_000_000;

/// Why a venue cannot be sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueFault {
    TooManySections {
        sections: usize,
    },
    TooManySeats {
        max: u32,
    },
    /// A row has more than 65,535 seats.
    RowTooLong {
        section: u16,
        row: usize,
        seats: usize,
    },
    /// The sale's rules contradict themselves or the venue.
    RulesInvalid,
}

impl core::fmt::Display for VenueFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            VenueFault::TooManySections { sections } => {
                write!(f, "{sections} sections are more than 65,535")
            }
            VenueFault::TooManySeats { max } => write!(f, "the venue has more than {max} seats"),
            VenueFault::RowTooLong {
                section,
                row,
                seats,
            } => {
                write!(
                    f,
                    "row {row} of section {section} has {seats} seats, more than 65,535"
                )
            }
            VenueFault::RulesInvalid => write!(f, "the rules of the sale are not valid"),
        }
    }
}

impl core::error::Error for VenueFault {}
