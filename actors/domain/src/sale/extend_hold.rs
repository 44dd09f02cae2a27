//! `ExtendHold`: a later deadline, counted from now, up to the longest life of a hold.
//!
//! A deadline never moves back: an extension that would end before the present deadline leaves it.

use crate::bugs::{Bug, planted};
use crate::change::{Change, Fact};
use crate::command::Request;
use crate::hold::Hold;
use crate::ids::HoldId;
use crate::outcome::Done;
use crate::rejection::{Phase, Rejection};
use crate::sale::Sale;

impl Sale {
    pub(super) fn extend_hold(
        &mut self,
        request: &Request<'_>,
        id: HoldId,
        ttl_ms: u32,
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        if !matches!(self.phase, Phase::Open | Phase::Paused) {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        let hold = self.hold_of(request, id)?;
        let ttl_ms = match ttl_ms {
            0 => self.default_ttl_ms(hold.channel),
            ttl_ms => ttl_ms,
        };
        let deadline_ms = self
            .now_ms
            .saturating_add(u64::from(ttl_ms))
            .max(hold.deadline_ms);
        let life_max_ms = u64::from(self.rules.hold_life_max_ms);
        let latest_deadline_ms = hold.placed_at_ms.saturating_add(life_max_ms);
        if deadline_ms > latest_deadline_ms.max(hold.deadline_ms) && !planted(Bug::ExtensionPastCap)
        {
            return Err(Rejection::ExtensionTooLong { latest_deadline_ms });
        }
        let before_ms = hold.deadline_ms;
        let seats = hold.seats.clone();

        self.changing = true;
        if let Some(kept) = self.holds.get_mut(id.0) {
            self.deadlines.remove(before_ms, id, kept.place);
            kept.place = self.deadlines.insert(deadline_ms, id, false);
            kept.hold.deadline_ms = deadline_ms;
        }
        self.close_gaps();
        self.emit(
            changes,
            Fact::HoldExtended {
                hold: id,
                deadline_ms,
            },
        );
        Ok(self.done(deadline_ms, seats))
    }

    /// The partner's hold, or why there is none.
    pub(super) fn hold_of(&self, request: &Request<'_>, id: HoldId) -> Result<&Hold, Rejection> {
        match self.hold(id) {
            None => Err(self.ended.explain(id)),
            Some(hold) if hold.partner != request.partner && !planted(Bug::HoldOfAnybody) => {
                Err(Rejection::HoldOfAnotherPartner)
            }
            Some(hold) => Ok(hold),
        }
    }
}
