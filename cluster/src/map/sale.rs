//! Which sales exist and which group carries each. A sale goes one way: reserved here, opened once
//! its group has it, closed. Every step may be repeated.

use proto::log::v1 as pb;

use super::{Map, MapRejection};
use crate::types::GroupId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaleState {
    Reserved,
    Opened,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleEntry {
    pub sale_id: u64,
    pub group: GroupId,
    pub name: String,
    pub venue: String,
    pub organiser: String,
    pub starts_at_ms: i64,
    pub test_mode: bool,
    pub state: SaleState,
}

impl SaleEntry {
    /// The change that reserves this sale.
    pub fn reserve(&self) -> pb::ReserveSale {
        let SaleEntry {
            sale_id,
            group,
            name,
            venue,
            organiser,
            starts_at_ms,
            test_mode,
            state: _,
        } = self;
        pb::ReserveSale {
            sale_id: *sale_id,
            group_id: *group,
            name: name.clone(),
            venue: venue.clone(),
            organiser: organiser.clone(),
            starts_at_ms: *starts_at_ms,
            test_mode: *test_mode,
        }
    }

    pub(super) fn read(reserve: &pb::ReserveSale, state: SaleState) -> Self {
        let pb::ReserveSale {
            sale_id,
            group_id,
            name,
            venue,
            organiser,
            starts_at_ms,
            test_mode,
        } = reserve;
        SaleEntry {
            sale_id: *sale_id,
            group: *group_id,
            name: name.clone(),
            venue: venue.clone(),
            organiser: organiser.clone(),
            starts_at_ms: *starts_at_ms,
            test_mode: *test_mode,
            state,
        }
    }
}

impl SaleState {
    pub(super) fn write(self) -> pb::SaleState {
        match self {
            SaleState::Reserved => pb::SaleState::Reserved,
            SaleState::Opened => pb::SaleState::Opened,
            SaleState::Closed => pb::SaleState::Closed,
        }
    }

    pub(super) fn read(state: pb::SaleState) -> Result<Self, MapRejection> {
        match state {
            pb::SaleState::Reserved => Ok(SaleState::Reserved),
            pb::SaleState::Opened => Ok(SaleState::Opened),
            pb::SaleState::Closed => Ok(SaleState::Closed),
            pb::SaleState::Unspecified => Err(MapRejection::BadValue),
        }
    }
}

impl Map {
    pub(super) fn reserve_sale(&mut self, reserve: &pb::ReserveSale) -> Result<(), MapRejection> {
        if reserve.sale_id == 0 {
            return Err(MapRejection::BadValue);
        }
        if let Some(known) = self.sales.get(&reserve.sale_id) {
            let same = known.reserve() == *reserve;
            return if same {
                Ok(())
            } else {
                Err(MapRejection::SaleExists)
            };
        }
        if !self.groups.contains_key(&reserve.group_id) {
            return Err(MapRejection::UnknownGroup);
        }
        let sale = SaleEntry::read(reserve, SaleState::Reserved);
        self.sales.insert(sale.sale_id, sale);
        Ok(())
    }

    pub(super) fn set_sale_state(&mut self, set: &pb::SetSaleState) -> Result<(), MapRejection> {
        let state = SaleState::read(set.state())?;
        let sale = self
            .sales
            .get_mut(&set.sale_id)
            .ok_or(MapRejection::UnknownSale)?;
        if state < sale.state {
            return Err(MapRejection::BadSaleState);
        }
        sale.state = state;
        Ok(())
    }
}
