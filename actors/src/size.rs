//! How large an event is: the class by which figures of sales are told apart, where a series for each
//! event would be too many. It stays the same for as long as the event is there.

use domain::sale::Counts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Fewer than 2,000 seats: a theatre.
    Small,
    /// Fewer than 20,000: an arena.
    Middle,
    /// A stadium.
    Large,
}

impl Size {
    pub const ALL: [Size; 3] = [Size::Small, Size::Middle, Size::Large];

    pub fn of(counts: &Counts) -> Size {
        let seats = [counts.free, counts.held, counts.sold, counts.blocked];
        match seats.into_iter().map(u64::from).sum::<u64>() {
            ..2_000 => Size::Small,
            2_000..20_000 => Size::Middle,
            _ => Size::Large,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Size::Small => "small",
            Size::Middle => "middle",
            Size::Large => "large",
        }
    }
}
