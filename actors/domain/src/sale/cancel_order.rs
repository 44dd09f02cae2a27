//! `CancelOrder`: its seats are free at once. The order stays, cancelled. In every phase.

use crate::bugs::{Bug, planted};
use crate::change::{Change, Fact, SeatState};
use crate::command::Request;
use crate::ids::OrderId;
use crate::order::OrderState;
use crate::outcome::Done;
use crate::rejection::Rejection;
use crate::sale::Sale;

impl Sale {
    pub(super) fn cancel_order(
        &mut self,
        request: &Request<'_>,
        id: OrderId,
        changes: &mut Vec<Change>,
    ) -> Result<Done, Rejection> {
        let (seats, buyer, channel) = match self.orders.get(id.0) {
            None => return Err(Rejection::UnknownOrder),
            Some(order) if order.partner != request.partner => {
                return Err(Rejection::OrderOfAnotherPartner);
            }
            Some(order) if order.state == OrderState::Cancelled && !planted(Bug::CancelTwice) => {
                return Err(Rejection::OrderCancelled);
            }
            Some(order) => (order.seats.clone(), order.buyer, order.channel),
        };

        self.changing = true;
        if let Some(order) = self.orders.get_mut(id.0) {
            order.state = OrderState::Cancelled;
        }
        if !planted(Bug::CancelForgetsSeats) {
            self.shift_seats(seats.as_slice(), SeatState::Sold, SeatState::Free, changes);
        }
        self.usage.give_back(buyer, channel, seats.seats());
        self.usage.count_cancelled();
        self.emit(changes, Fact::OrderCancelled { order: id });
        Ok(self.done(0, seats))
    }
}
