//! The sale: one event's seats, holds, orders and limits, and the way in.
//!
//! `apply` is the only way to change it. Each command has its file, in two halves: the first checks
//! and may refuse, the second changes and cannot fail. It knows no batches, nodes or bytes. The
//! sale actor calls it with what the log committed.

mod apply;
mod block_seats;
mod cancel_order;
mod close_sale;
mod confirm_hold;
mod expire_holds;
mod extend_hold;
mod hopeless;
mod limits;
mod open_sale;
mod pause_sale;
mod place_hold;
mod release_hold;
mod reopen_sale;
mod resume_sale;
mod room;
mod set_rules;
mod unblock_seats;
mod views;

pub use apply::TIME_MAX_MS;
pub use views::{Counts, HoldNow};

use crate::change::{Change, Fact, SeatState};
use crate::deadlines::Deadlines;
use crate::ended::Ended;
use crate::hold::{Hold, KeptHold};
use crate::id_table::IdTable;
use crate::idempotency::Idempotency;
use crate::ids::{HoldId, Revision};
use crate::order::Order;
use crate::outcome::SeatRun;
use crate::rejection::Phase;
use crate::room::Room;
use crate::rules::SaleRules;
use crate::seats::Seats;
use crate::venue::{Venue, VenueFault};
use limits::Usage;
use place_hold::Scratch;

#[derive(Clone, Debug)]
pub struct Sale {
    pub(crate) venue: Venue,
    pub(crate) rules: SaleRules,
    pub(crate) hash_seed: u64,
    pub(crate) phase: Phase,
    pub(crate) now_ms: u64,
    pub(crate) revision: Revision,
    pub(crate) digest: u64,
    pub(crate) seats: Seats,
    pub(crate) holds: IdTable<KeptHold>,
    pub(crate) deadlines: Deadlines,
    /// Nothing is ever removed singly, so its sequence is the sequence of placing.
    pub(crate) orders: IdTable<Order>,
    /// Sums over holds and orders: derived, not exported.
    pub(crate) usage: Usage,
    pub(crate) ended: Ended,
    pub(crate) memory: Idempotency,
    pub(crate) room: Option<Box<Room>>,
    /// See `is_changing`.
    pub(crate) changing: bool,
    /// Room that `place_hold` uses again; empty between commands as far as anybody can tell.
    pub(crate) scratch: Scratch,
}

impl Sale {
    /// A sale that is announced, with all seats free. The seed is logged with its creation.
    pub fn new(venue: &Venue, rules: SaleRules, hash_seed: u64) -> Result<Sale, VenueFault> {
        let seats = Seats::new(venue)?;
        if !set_rules::are_valid(&rules, &seats) {
            return Err(VenueFault::RulesInvalid);
        }
        Ok(Sale {
            venue: venue.clone(),
            usage: Usage::new(hash_seed, &rules),
            memory: Idempotency::new(hash_seed, seats.layout.seats_total),
            room: None,
            rules,
            hash_seed,
            phase: Phase::Announced,
            now_ms: 0,
            revision: Revision(0),
            digest: hash_seed,
            seats,
            holds: IdTable::new(hash_seed),
            deadlines: Deadlines::default(),
            orders: IdTable::new(hash_seed),
            ended: Ended::default(),
            changing: false,
            scratch: Scratch::default(),
        })
    }

    /// Emits a fact under the next revision.
    #[inline]
    pub(crate) fn emit(&mut self, changes: &mut Vec<Change>, fact: Fact) {
        self.revision = Revision(self.revision.0.wrapping_add(1));
        changes.push(Change {
            revision: self.revision,
            at_ms: self.now_ms,
            fact,
        });
    }

    /// Moves seats from one state to another and says so.
    pub(crate) fn shift_seats(
        &mut self,
        runs: &[SeatRun],
        from: SeatState,
        to: SeatState,
        changes: &mut Vec<Change>,
    ) {
        for run in runs {
            self.seats.shift(*run, from, to);
            self.emit(
                changes,
                Fact::SeatsChanged {
                    run: *run,
                    from,
                    to,
                },
            );
        }
    }

    /// Adds a hold and its deadline.
    #[inline]
    pub(crate) fn keep_hold(&mut self, hold: Hold) {
        let life_ms = hold.deadline_ms.saturating_sub(hold.placed_at_ms);
        let is_usual = life_ms == u64::from(self.rules.hold_ttl_ms);
        let place = self.deadlines.insert(hold.deadline_ms, hold.id, is_usual);
        self.holds.insert(hold.id.0, KeptHold { hold, place });
    }

    /// Removes a hold and its deadline.
    #[inline]
    pub(crate) fn take_hold(&mut self, id: HoldId) -> Option<Hold> {
        let KeptHold { hold, place } = self.holds.remove(id.0)?;
        self.deadlines.remove(hold.deadline_ms, id, place);
        self.close_gaps();
        Some(hold)
    }

    pub(crate) fn close_gaps(&mut self) {
        if self.deadlines.is_sparse() {
            let holds = &mut self.holds;
            self.deadlines.close_gaps(|id, place| {
                if let Some(kept) = holds.get_mut(id.0) {
                    kept.place = place;
                }
            });
        }
    }

    fn set_phase(&mut self, phase: Phase, changes: &mut Vec<Change>) {
        self.phase = phase;
        self.emit(changes, Fact::PhaseChanged { phase });
    }
}
