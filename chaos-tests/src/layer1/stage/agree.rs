//! Whether the sale and the reference say the same, quickly after each command and slowly at times.

use std::collections::HashMap;

use domain::change::Change;
use domain::invariants;
use domain::order::OrderState;
use domain::{Sale, SectionPlanes};

use crate::layer1::reference::{Reference, Section, State};
use crate::layer1::stage::Wrong;

/// After every command: what costs nothing to compare.
pub(super) fn quickly(sale: &Sale, reference: &Reference) -> Result<(), Wrong> {
    if let Some(violation) = invariants::check_cheap(sale) {
        return Err(format!("{violation:?}"));
    }
    let counts = sale.counts();
    let has = (
        sale.revision().0,
        sale.now_ms(),
        sale.next_deadline_ms(),
        [counts.free, counts.held, counts.sold, counts.blocked],
        counts.holds,
        counts.orders,
    );
    let must = (
        reference.revision,
        reference.now_ms,
        reference
            .deadlines
            .first()
            .map(|(deadline_ms, _)| *deadline_ms),
        reference.totals,
        reference.holds.len(),
        reference.orders.len(),
    );
    match has == must && !sale.is_changing() {
        true => Ok(()),
        false => Err(format!(
            "revision, now, next deadline, free/held/sold/blocked, holds, orders are {has:?}, must be {must:?}"
        )),
    }
}

/// Changes are numbered one by one and change something.
pub(super) fn follows(revision: u64, changes: &[Change]) -> Result<(), Wrong> {
    let expected = (revision + 1..).zip(changes);
    for (number, change) in expected {
        if change.revision.0 != number {
            return Err(format!("{change:?} must have revision {number}"));
        }
    }
    Ok(())
}

/// Seat by seat, hold by hold, order by order.
pub(super) fn slowly(sale: &Sale, reference: &Reference) -> Result<(), Wrong> {
    if !reference.recounted() {
        return Err("the reference's own sums are wrong".to_owned());
    }
    for (number, section) in (0..).zip(&reference.sections) {
        same_seats(sale.planes(number).as_ref(), section)
            .map_err(|wrong| format!("section {number}: {wrong}"))?;
    }
    let holds = sale.holds().map(|hold| (hold.deadline_ms, hold.id.0));
    if !holds.eq(reference.deadlines.iter().copied()) {
        return Err("the holds differ".to_owned());
    }
    for hold in sale.holds() {
        let must = reference.holds.get(&hold.id.0);
        if must.map(|hold| &hold.runs) != Some(&hold.seats) {
            return Err(format!("{hold:?} must be {must:?}"));
        }
    }
    let orders = sale.orders().map(|order| order.id.0);
    if !orders.eq(reference.order_ids.iter().copied()) {
        return Err("the orders differ".to_owned());
    }
    for order in sale.orders() {
        let has = (&order.seats, order.state == OrderState::Paid);
        let must = reference.orders.get(&order.id.0);
        if must.map(|order| (&order.runs, order.paid)) != Some(has) {
            return Err(format!("{order:?} must be {must:?}"));
        }
    }
    Ok(())
}

fn same_seats(planes: Option<&SectionPlanes>, section: &Section) -> Result<(), Wrong> {
    match (planes, section) {
        (
            Some(SectionPlanes::General {
                capacity,
                held,
                sold,
            }),
            Section::General {
                capacity: places,
                held: must_be_held,
                sold: must_be_sold,
            },
        ) if (capacity, held, sold) == (places, must_be_held, must_be_sold) => Ok(()),
        (
            Some(SectionPlanes::Seated {
                seats: count,
                held,
                sold,
                blocked,
            }),
            Section::Seats(seats),
        ) if seats.len() == *count as usize => {
            for (at, seat) in seats.iter().enumerate() {
                let bit = |plane: &[u64]| plane[at / 64] >> (at % 64) & 1 == 1;
                let has = [bit(held), bit(sold), bit(blocked)];
                let must = [State::Held, State::Sold, State::Blocked].map(|s| s == seat.state);
                if has != must {
                    return Err(format!("seat {at} must be {:?}", seat.state));
                }
            }
            Ok(())
        }
        (planes, section) => Err(format!("{planes:?} must be {section:?}")),
    }
}

/// Every order that somebody was told of is there, in the state that was told last.
pub(super) fn keeps(sale: &Sale, acknowledged: &HashMap<u128, bool>) -> Result<(), Wrong> {
    if sale.counts().orders != acknowledged.len() {
        return Err("orders that nobody was told of".to_owned());
    }
    for order in sale.orders() {
        let told = acknowledged.get(&order.id.0);
        if told != Some(&(order.state == OrderState::Paid)) {
            return Err(format!("{order:?} was told to be paid: {told:?}"));
        }
    }
    Ok(())
}
