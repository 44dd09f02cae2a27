//! `ConfirmHold`: the hold becomes an order. In every phase but announced: a hold is a promise, also
//! after the sale was paused or closed.

use crate::change::{Change, Fact, SeatState};
use crate::command::{PaymentReference, Request};
use crate::ended::Ending;
use crate::ids::{HoldId, OrderId};
use crate::order::{Order, OrderState};
use crate::outcome::{Done, SeatRuns};
use crate::rejection::Rejection;
use crate::sale::Sale;

impl Sale {
    pub(super) fn confirm_hold(
        &mut self,
        request: &Request<'_>,
        id: HoldId,
        order: OrderId,
        payment: PaymentReference,
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        self.hold_of(request, id)?;
        if self.orders.contains(order.0) {
            return Err(Rejection::OrderIdInUse);
        }

        self.changing = true;
        let Some(hold) = self.take_hold(id) else {
            return Ok(self.done(0, SeatRuns::default()));
        };
        self.shift_seats(
            hold.seats.as_slice(),
            SeatState::Held,
            SeatState::Sold,
            changes,
        );
        self.ended.record(id, Ending::Confirmed);
        let seats = hold.seats.clone();
        let placed = Order {
            id: order,
            hold: id,
            buyer: hold.buyer,
            partner: hold.partner,
            channel: hold.channel,
            payment,
            placed_at_ms: self.now_ms,
            seats: hold.seats,
            state: OrderState::Paid,
        };
        self.orders.insert(order.0, placed);
        self.emit(
            changes,
            Fact::OrderPlaced {
                order,
                hold: id,
                seats: seats.seats(),
            },
        );
        Ok(self.done(0, seats))
    }
}
