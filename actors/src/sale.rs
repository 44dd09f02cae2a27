//! A sale actor: the handle outside, the actor inside.
//!
//! The handle is cheap to clone and all anybody sees. Inside, `owner` is the state and what it
//! does with each message; `actor` is the ractor shell around it.

mod actor;
mod answering;
mod apply;
mod change_log;
mod collect;
mod handle;
mod in_flight;
mod journal;
mod message;
mod owner;
mod refuse;
mod room;
mod time;
mod turnstile;
mod view;

pub(crate) use actor::{Birth, Origin, spawn};
pub use change_log::{ChangeFeed, WatchFailure};
pub use handle::{ReadFailure, SaleHandle};
pub(crate) use journal::{Body, Frozen, JournalEntry};
pub(crate) use message::{Creation, Delivery, DeliveryBody, SalePart};
pub(crate) use owner::Surroundings;
pub use room::{Places, Proof, Published, RoomLook, RoomReport, RoomView};
pub use turnstile::Passed;
pub use view::{Bookings, Exported, Figures, Frost, SeatsView, SectionSeats, Summary};
