//! Seats as bodies list them, and how many one call may name.

use domain::ids::SeatRef;
use serde::{Deserialize, Serialize};

use crate::http::problem::{Problem, Reason};

/// Seats one block or unblock may name: what fits one command record.
pub const SEATS_MAX: usize = 10_000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatList {
    pub seats: Vec<Span>,
}

/// A seat, or `count` seats from it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    pub section: u16,
    pub seat: u32,
    #[serde(default = "one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

impl SeatList {
    pub fn into_domain(self) -> Result<Vec<SeatRef>, Problem> {
        let asked: u64 = self.seats.iter().map(|span| u64::from(span.count)).sum();
        if asked == 0 {
            return Err(Problem::bad_request("seats: names no seat"));
        }
        if asked > SEATS_MAX as u64 {
            return Err(Problem::new(
                Reason::TooLarge,
                "one call may name 10,000 seats: make several",
            )
            .with("asked", asked)
            .with("max", SEATS_MAX));
        }
        let mut seats = Vec::with_capacity(asked as usize);
        for span in &self.seats {
            let end = span.seat.checked_add(span.count).ok_or_else(|| {
                Problem::bad_request(format!("seats: no section has a seat {}", span.seat))
            })?;
            seats.extend((span.seat..end).map(|seat| SeatRef {
                section: span.section,
                seat,
            }));
        }
        Ok(seats)
    }
}
