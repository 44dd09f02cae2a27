//! Calls and reads one by one: an RPC each.

use cluster::types::NodeId;
use proto::channel::v1 as pb;
use proto::channel::v1::sales_service_client::SalesServiceClient;
use proto::channel::v1::seats_service_client::SeatsServiceClient;
use tonic::Status;

use super::Shop;
use super::call::reason;
use super::ledger::{OrderSeen, Receipt, Run, SEATED, SeatsSeen};
use super::request::{Request, id};

impl Shop {
    pub(super) async fn send_alone(&self, node: NodeId, call: Request) -> Result<Receipt, Status> {
        let wires = &self.inner.wires;
        let mut sales = SalesServiceClient::new(wires.to(node));
        let limit = self.inner.plan.call_timeout;
        Ok(match call {
            Request::Place(asked) => {
                let told = sales
                    .place_hold(wires.request(asked, limit))
                    .await?
                    .into_inner();
                Receipt {
                    seats: runs(&told.seats),
                    deadline_ms: told.deadline_ms,
                    revision: told.revision,
                    log_index: told.log_index,
                }
            }
            Request::Extend(asked) => {
                let told = sales
                    .extend_hold(wires.request(asked, limit))
                    .await?
                    .into_inner();
                Receipt {
                    deadline_ms: told.deadline_ms,
                    revision: told.revision,
                    log_index: told.log_index,
                    ..Receipt::default()
                }
            }
            Request::Release(asked) => {
                let told = sales
                    .release_hold(wires.request(asked, limit))
                    .await?
                    .into_inner();
                receipt(&told.seats, told.revision, told.log_index)
            }
            Request::Confirm(asked) => {
                let told = sales
                    .confirm_hold(wires.request(asked, limit))
                    .await?
                    .into_inner();
                receipt(&told.seats, told.revision, told.log_index)
            }
            Request::Cancel(asked) => {
                let told = sales
                    .cancel_order(wires.request(asked, limit))
                    .await?
                    .into_inner();
                receipt(&told.seats, told.revision, told.log_index)
            }
        })
    }

    /// Reads an order; an inner `None` is the answer that there is none.
    pub async fn read_order(
        &self,
        node: NodeId,
        event_id: u64,
        order: u128,
    ) -> Result<Option<OrderSeen>, Status> {
        let asked = pb::GetOrderRequest {
            event_id,
            order_id: id(order),
        };
        let mut sales = SalesServiceClient::new(self.inner.wires.to(node));
        let request = self
            .inner
            .wires
            .request(asked, self.inner.plan.call_timeout);
        match self
            .bounded("get_order", node, sales.get_order(request))
            .await
        {
            Ok(seen) => {
                let seen = seen.into_inner();
                Ok(Some(OrderSeen {
                    is_paid: seen.state == i32::from(pb::OrderState::Paid),
                    seats: runs(&seen.seats),
                }))
            }
            Err(status) if reason(&status).as_deref() == Some("UNKNOWN_ORDER") => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// Reads all seats, proved current.
    pub async fn read_seats(&self, node: NodeId, event_id: u64) -> Result<SeatsSeen, Status> {
        let asked = pb::GetSeatsRequest {
            event_id,
            linearizable: true,
        };
        let mut seats = SeatsServiceClient::new(self.inner.wires.to(node));
        let request = self
            .inner
            .wires
            .request(asked, self.inner.plan.call_timeout);
        let told = self
            .bounded("get_seats", node, seats.get_seats(request))
            .await?;
        let told = told.into_inner();
        let mut seen = SeatsSeen {
            revision: told.revision,
            ..SeatsSeen::default()
        };
        for section in &told.sections {
            let ones = |plane: &[u8]| plane.iter().map(|byte| byte.count_ones()).sum::<u32>();
            seen.held += ones(&section.held) + section.held_count;
            seen.sold += ones(&section.sold) + section.sold_count;
            let bit = |seat: &u32| section.sold[*seat as usize / 8] >> (seat % 8) & 1 == 1;
            if section.section == SEATED {
                seen.sold_seats = (0..section.seat_count).filter(bit).collect();
            }
        }
        Ok(seen)
    }
}

fn receipt(seats: &[pb::SeatRun], revision: u64, log_index: u64) -> Receipt {
    Receipt {
        seats: runs(seats),
        deadline_ms: 0,
        revision,
        log_index,
    }
}

pub(super) fn runs(seats: &[pb::SeatRun]) -> Vec<Run> {
    let run = |run: &pb::SeatRun| Run {
        section: run.section,
        first: run.first,
        count: run.count,
    };
    seats.iter().map(run).collect()
}
