//! Seating plans: the JSON format of seats.pretix.eu, read, checked, written, generated.
//!
//! It turns a plan into what a sale is made of (`domain::venue::Venue`) and what partners draw
//! (`SeatMap`), or says where in the file the fault is; nothing is ever half imported. It reads no
//! files and knows no event: the HTTP API, `onsale ctl` and the demo call it with bytes.
//!
//! **Plans without extensions work as they are.** A zone with its rows is one section, however far
//! apart its rows stand; two rows of the same label are two rows. The categories' sequence is from
//! dearest to cheapest. What the format has no words for is said in texts it allows, so that every
//! plan written here is legal for strict readers:
//!
//! - *Attributes* are a bracket at the end of a category's name: `Category I [wheelchair]`,
//!   `[companion]`, `[restricted view]`, `[blocked]`, several with commas. The price category is the
//!   name without it. A category called `blocked` or `not available` blocks its seats.
//! - *A standing area* is an area (of any shape) whose text ends in a bracket:
//!   `Standing West [standing 1650: Category V]`; without a category it has the cheapest. It becomes
//!   a section of its own, after its zone's seats.
//! - *The focal point* that best seats are close to is, unless the caller gives one, the centre of
//!   the first area whose text (or whose zone's name) is a stage, pitch, field, court, rink or
//!   screen; failing that the centre of the plan's size.
//!
//! **Identity.** A seat's id is its `uuid`, else its `seat_guid`. Duplicates of either are named and
//! refused, also when the uuids would tell the seats apart, because guids are what people and other
//! systems look seats up by. With `dedupe` a seat is known by the first of its `uuid` and `seat_guid`
//! that is its alone, or by a made id that depends on the seat's place, not on the file's sequence.

mod adjacency;
mod bowl;
mod convention;
mod convert;
mod export;
mod fault;
mod identity;
mod layout;
mod model;
mod parse;
mod report;
mod theatre;

use std::collections::BTreeMap;

use domain::ids::SeatRef;
use domain::venue::Venue;
use proto::channel::v1::SeatMap;

pub use bowl::{BOWL_SEATS_MAX, bowl};
pub use fault::PlanFault;
pub use layout::{LayoutFault, layout_bytes, layout_from_bytes, unpack};
pub use model::{Area, Category, Plan, Point, Row, Seat, Shape, Size, Zone};
pub use report::{Duplicate, Renamed, Report};
pub use theatre::theatre;

/// Longest file that is read.
pub const BYTES_MAX: usize = 64 << 20;

/// A stadium of 20,000 places; equals `bowl(20_000)`.
pub const BOWL: &[u8] = include_bytes!("../../config/plans/bowl.json");

/// A theatre of some 600 seats; equals `theatre()`.
pub const THEATRE: &[u8] = include_bytes!("../../config/plans/theatre.json");

/// How a plan is taken in.
#[derive(Clone, Debug)]
pub struct Options {
    /// Make ids for seats that share theirs, instead of refusing the plan.
    pub dedupe: bool,
    /// The point best seats are close to, in the plan's unit, for every section not named below.
    pub focal: Option<Point>,
    /// The same by section name.
    pub section_focals: BTreeMap<String, Point>,
    /// Most seats (rows, too) a plan may have; reading stops at one more.
    pub seats_max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            dedupe: false,
            focal: None,
            section_focals: BTreeMap::new(),
            seats_max: 200_000,
        }
    }
}

/// A plan that was taken in whole.
#[derive(Clone, Debug)]
pub struct Imported {
    pub venue: Venue,
    pub seat_map: SeatMap,
    /// Seats the plan says are not for sale: to be blocked before the sale opens.
    pub blocked: Vec<SeatRef>,
    pub report: Report,
}

/// Reads a plan.
pub fn read(bytes: &[u8], options: &Options) -> Result<Imported, PlanFault> {
    let (plan, warnings) = parse::parse(bytes, options.seats_max)?;
    convert::convert(&plan, warnings, options)
}

/// The plan that reads back as this layout.
pub fn write(seat_map: &SeatMap) -> Vec<u8> {
    export::export(seat_map).to_json()
}
