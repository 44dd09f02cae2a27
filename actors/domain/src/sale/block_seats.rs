//! `BlockSeats`: free seats are taken off sale. All of them or none.

use crate::change::{Change, SeatState};
use crate::ids::SeatRef;
use crate::outcome::{Done, SeatRun, SeatRuns};
use crate::rejection::Rejection;
use crate::sale::Sale;
use crate::seats::Section;

impl Sale {
    pub(super) fn block_seats(
        &mut self,
        seats: &[SeatRef],
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        let runs = self.runs_all_in(seats, SeatState::Free, |seat| Rejection::SeatNotFree {
            seat,
        })?;
        self.changing = true;
        self.shift_seats(&runs, SeatState::Free, SeatState::Blocked, changes);
        Ok(self.done(0, SeatRuns::from_slice(&runs)))
    }

    /// The seats as sorted runs, if they exist, each is named once and all are in the state.
    pub(super) fn runs_all_in(
        &self,
        seats: &[SeatRef],
        state: SeatState,
        otherwise: impl Fn(SeatRef) -> Rejection,
    ) -> Result<Vec<SeatRun>, Rejection> {
        if seats.is_empty() {
            return Err(Rejection::EmptyHold);
        }
        for seat in seats {
            self.check_seat(*seat)?;
        }
        let mut sorted = seats.to_vec();
        sorted.sort_unstable();
        check_distinct(&sorted)?;
        for seat in seats {
            if self.seats.state(*seat) != Some(state) {
                return Err(otherwise(*seat));
            }
        }
        let mut runs = Vec::new();
        push_seats(&sorted, &mut runs);
        Ok(runs)
    }

    /// Whether the venue has this seat.
    pub(super) fn check_seat(&self, seat: SeatRef) -> Result<(), Rejection> {
        match self.seats.layout.sections.get(usize::from(seat.section)) {
            None => Err(Rejection::UnknownSection {
                section: seat.section,
            }),
            Some(Section::General { .. }) => Err(Rejection::WrongSectionKind {
                section: seat.section,
            }),
            Some(Section::Seated { seats, .. }) if seat.seat >= *seats => {
                Err(Rejection::UnknownSeat { seat })
            }
            Some(Section::Seated { .. }) => Ok(()),
        }
    }
}

/// Names the lowest seat that is there twice.
pub(super) fn check_distinct(sorted: &[SeatRef]) -> Result<(), Rejection> {
    let twice = sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .find(|(a, b)| a == b);
    match twice {
        Some((seat, _)) => Err(Rejection::DuplicateSeat { seat: *seat }),
        None => Ok(()),
    }
}

/// Appends sorted seats as runs, neighbours by number joined. Runs that were there already are left
/// alone: those of an earlier line are reserved, and must not grow.
pub(super) fn push_seats(sorted: &[SeatRef], runs: &mut Vec<SeatRun>) {
    let follows =
        |a: &SeatRef, b: &SeatRef| a.section == b.section && a.seat.checked_add(1) == Some(b.seat);
    for neighbours in sorted.chunk_by(follows) {
        // A run counts in 16 bits, so a longer one is cut.
        for part in neighbours.chunks(usize::from(u16::MAX)) {
            if let Some(SeatRef { section, seat }) = part.first().copied() {
                let count = part.len() as u16;
                runs.push(SeatRun {
                    section,
                    count,
                    first: seat,
                });
            }
        }
    }
}
