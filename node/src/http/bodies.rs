//! What callers send: JSON bodies and query strings, checked and turned into the words of
//! `api`. Unknown fields are refused, so that a misspelt limit is not silently no limit.

mod event;
mod node;
mod partner;
mod prices;
mod room;
mod rules;
mod search;
mod seats;

pub use event::{CreateEvent, CreateEventQuery};
pub use node::{Join, Transfer};
pub use partner::{AddKey, AddPartner};
pub use prices::{DecidePrices, PricedCategory, ProposePrices};
pub use room::{
    ArmQueue, Beacon, MoveQueue, QueueLane, QueueSettings, RemoveVisitor, Trust, TrustPurpose,
};
pub use rules::{Channel, Rules};
pub use search::SearchQuery;
pub use seats::{SEATS_MAX, SeatList, Span};

use super::problem::Problem;
use super::timestamp;

const TEXT_CHARS_MAX: usize = 200;

/// A 16-byte id: a UUID, with or without hyphens.
pub fn id(field: &str, text: &str) -> Result<u128, Problem> {
    uuid::Uuid::try_parse(text)
        .map(|id| id.as_u128())
        .map_err(|_| Problem::bad_request(format!("{field}: {text:?} is not a UUID")))
}

fn instant(field: &str, text: &str) -> Result<u64, Problem> {
    moment(field, text).map(|ms| u64::try_from(ms).unwrap_or(0))
}

/// RFC 3339 as Unix milliseconds.
pub fn moment(field: &str, text: &str) -> Result<i64, Problem> {
    timestamp::read(text).ok_or_else(|| {
        Problem::bad_request(format!(
            "{field}: {text:?} is not a moment like 2026-09-01T19:30:00Z"
        ))
    })
}

/// A name people read: not longer than a line, without control characters.
pub fn text(field: &str, text: &str, required: bool) -> Result<(), Problem> {
    let why = if required && text.trim().is_empty() {
        "must not be empty"
    } else if text.chars().count() > TEXT_CHARS_MAX {
        "must be 200 characters or fewer"
    } else if text.chars().any(char::is_control) {
        "must not have control characters"
    } else {
        return Ok(());
    };
    Err(Problem::bad_request(format!("{field}: {why}")))
}

fn milliseconds(field: &str, seconds: u32) -> Result<u32, Problem> {
    seconds
        .checked_mul(1000)
        .ok_or_else(|| Problem::bad_request(format!("{field}: {seconds} s is too long")))
}
