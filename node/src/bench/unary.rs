//! Load by plain calls: as many workers as calls are outstanding, each a loop of two calls, all of
//! a connection on one HTTP/2 connection.

use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use std::cell::RefCell;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use super::Workload;
use super::loadgen::{Seat, Shared, Supply};
use super::stream::line;
use crate::load::call::{Answer, Call, Id};
use crate::load::connect::Bearer;
use crate::load::keys::Keys;
use crate::load::unary::{self, Sales, Verdict};

const RETRY_DELAY: Duration = Duration::from_millis(2);

pub async fn run(seat: Seat, channel: Channel, key: Bearer) -> anyhow::Result<()> {
    let sales = Sales::new(InterceptedService::new(channel, key));
    let keys = Rc::new(RefCell::new(seat.keys));
    let mut workers = JoinSet::new();
    for slot in seat.slots {
        let worker = Worker {
            shared: Rc::clone(&seat.shared),
            supply: seat.supply.clone(),
            sales: sales.clone(),
            keys: Rc::clone(&keys),
            slot,
        };
        workers.spawn_local(worker.run());
    }
    match workers.join_next().await {
        Some(Ok(Err(error))) => Err(error),
        Some(Err(panic)) => bail!("a worker failed: {panic}"),
        Some(Ok(Ok(()))) | None => bail!("a worker ended"),
    }
}

struct Worker {
    shared: Rc<Shared>,
    supply: Supply,
    sales: Sales,
    keys: Rc<RefCell<Keys>>,
    slot: usize,
}

impl Worker {
    /// Ends only with an error.
    async fn run(self) -> anyhow::Result<()> {
        loop {
            let more = self.supply.stock.more.notified();
            let Some(start) = self.supply.start() else {
                more.await;
                continue;
            };
            self.shared.flight.begin(self.slot, start.number);
            let began = Instant::now();
            let (hold, order) = self.ids(began);
            let place = Call::PlaceHold {
                pass: String::new(),
                hold,
                buyer: hold,
                ttl_s: 0,
                lines: vec![line(start.ask)],
            };
            let confirm = Call::ConfirmHold {
                hold,
                order,
                payment: "bench".to_owned(),
            };
            let held = self.call(start.event, hold, &place).await?;
            let sold = held && self.call(start.event, order, &confirm).await?;
            if sold || (!held && self.shared.workload == Workload::Soldout) {
                self.shared.tally.operation(began.elapsed());
            }
            self.shared.flight.end(self.slot);
        }
    }

    fn ids(&self, now: Instant) -> (Id, Id) {
        let mut keys = self.keys.borrow_mut();
        keys.tick(now);
        (keys.make(), keys.make())
    }

    /// Repeats the call until it is decided: whether it was done.
    async fn call(&self, event: u64, key: Id, call: &Call) -> anyhow::Result<bool> {
        loop {
            let status = match unary::send(self.sales.clone(), event, key, call).await {
                Ok(Answer::Done { .. }) => return Ok(true),
                Ok(Answer::Rejected { why, .. }) => {
                    self.shared.tally.refusal(why.reason);
                    return Ok(false);
                }
                Err(status) => status,
            };
            let mut delay = RETRY_DELAY;
            match unary::judge(&status) {
                Verdict::Rejected { why, .. } => {
                    self.shared.tally.refusal(why.reason);
                    return Ok(false);
                }
                Verdict::Final => bail!("a call failed: {status}"),
                Verdict::Unknown => self.shared.tally.unknown(),
                Verdict::Later(told) => {
                    self.shared.tally.failure();
                    delay = told.max(RETRY_DELAY);
                }
                Verdict::Elsewhere => self.shared.tally.failure(),
            }
            tokio::time::sleep(delay).await;
        }
    }
}
