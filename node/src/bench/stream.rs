//! Load over one packed session stream: one task, a slot per outstanding call, no allocation per
//! call.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::FutureExt as _;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::Workload;
use super::loadgen::{Seat, Start};
use super::workload::Ask;
use crate::load::call::{Id, Line};
use crate::load::connect::Bearer;
use crate::load::packed::{Answers, Head, Outcome, Packed, Writer};
use crate::load::session::Stream;

/// One operation: the hold, then its confirmation.
struct Slot {
    start: Start,
    began: Instant,
    /// The hold's id and key.
    hold: Id,
    /// The order's id and key.
    order: Id,
    confirming: bool,
    /// Tells the answer of this call from that of an earlier one.
    generation: u16,
}

struct Connection {
    seat: Seat,
    slots: Vec<Slot>,
    idle: Vec<u16>,
    /// Slots whose call had no effect or an unknown outcome, to be repeated at a time.
    again: BinaryHeap<Reverse<(Instant, u16)>>,
    writer: Writer,
    full: Vec<Bytes>,
    now: Instant,
}

const PAYMENT: &[u8] = b"bench";
const RETRY_DELAY: Duration = Duration::from_millis(2);
/// Messages taken in before answers are followed by new calls.
const MESSAGES_AT_ONCE: usize = 32;

pub async fn run(seat: Seat, channel: Channel, key: Bearer) -> anyhow::Result<()> {
    let calls = seat.slots.len();
    let mut stream = Stream::open(channel, key, calls + 1)
        .await
        .context("cannot open a session")?;
    let stock = seat.supply.stock.clone();
    let mut connection = Connection::new(seat);
    loop {
        // Made before the stock is asked: a re-opening in between is not missed.
        let more = stock.more.notified();
        connection.start_more();
        connection.repeat_due();
        for message in connection.messages() {
            stream.send(message).await.context("the session ended")?;
        }
        let due = connection.again.peek().map(|Reverse((at, _))| *at);
        tokio::select! {
            answers = stream.answers() => {
                connection.take_time();
                connection.answered(&answers.context("the session ended")?)?;
                for _ in 0..MESSAGES_AT_ONCE {
                    let Some(answers) = stream.answers().now_or_never() else { break };
                    connection.answered(&answers.context("the session ended")?)?;
                }
            }
            () = more, if !connection.idle.is_empty() => connection.take_time(),
            () = tokio::time::sleep_until(due.unwrap_or(connection.now)), if due.is_some() => {
                connection.take_time();
            }
        }
    }
}

impl Connection {
    fn new(seat: Seat) -> Connection {
        let now = Instant::now();
        let unused = Start {
            number: 0,
            event: 0,
            ask: Ask::Best,
        };
        let slots: Vec<Slot> = seat
            .slots
            .clone()
            .map(|_| Slot {
                start: unused,
                began: now,
                hold: [0; 16],
                order: [0; 16],
                confirming: false,
                generation: 0,
            })
            .collect();
        Connection {
            idle: (0..slots.len() as u16).rev().collect(),
            slots,
            seat,
            again: BinaryHeap::new(),
            writer: Writer::default(),
            full: Vec::new(),
            now,
        }
    }

    fn take_time(&mut self) {
        self.now = Instant::now();
        self.seat.keys.tick(self.now);
    }

    fn start_more(&mut self) {
        while let Some(index) = self.idle.pop() {
            let Some(start) = self.seat.supply.start() else {
                self.idle.push(index);
                return;
            };
            let place = self.seat.slots.start + usize::from(index);
            self.seat.shared.flight.begin(place, start.number);
            let hold = self.seat.keys.make();
            let slot = &mut self.slots[usize::from(index)];
            slot.start = start;
            slot.began = self.now;
            slot.hold = hold;
            slot.confirming = false;
            self.call(index);
        }
    }

    fn repeat_due(&mut self) {
        while let Some(Reverse((at, index))) = self.again.peek().copied()
            && at <= self.now
        {
            self.again.pop();
            self.call(index);
        }
    }

    /// Writes the call a slot is at.
    fn call(&mut self, index: u16) {
        let slot = &mut self.slots[usize::from(index)];
        slot.generation = slot.generation.wrapping_add(1);
        let head = Head {
            call_id: u32::from(slot.generation) << 16 | u32::from(index),
            event: slot.start.event,
            key: if slot.confirming {
                slot.order
            } else {
                slot.hold
            },
        };
        let writer = &mut self.writer;
        // The buyer is as good as new each time: nobody is limited here.
        let (hold, buyer) = (&slot.hold, &slot.hold);
        if slot.confirming {
            writer.confirm_hold(head, hold, &slot.order, PAYMENT);
        } else {
            match slot.start.ask {
                Ask::Best => writer.place_best(head, hold, buyer, 1, &[]),
                Ask::Four { section } => writer.place_best(head, hold, buyer, 4, &[section]),
                Ask::Seat { section, seat } => {
                    writer.place_seat(head, hold, buyer, section, seat);
                }
            }
        }
        if writer.count() >= self.seat.shared.pack {
            self.full.push(writer.take());
        }
    }

    /// What is to be sent now.
    fn messages(&mut self) -> Vec<Bytes> {
        if self.writer.count() > 0 {
            self.full.push(self.writer.take());
        }
        std::mem::take(&mut self.full)
    }

    fn answered(&mut self, answers: &[u8]) -> anyhow::Result<()> {
        for answer in Answers::new(answers) {
            self.answer(&answer.context("the node answers nonsense")?);
        }
        Ok(())
    }

    fn answer(&mut self, answer: &Packed<'_>) {
        let index = answer.call_id as u16;
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return;
        };
        if u32::from(slot.generation) != answer.call_id >> 16 {
            return;
        }
        let tally = &self.seat.shared.tally;
        match answer.outcome {
            Outcome::Done { .. } if slot.confirming => {
                tally.operation(self.now.duration_since(slot.began));
                self.end(index);
            }
            Outcome::Done { .. } => {
                slot.confirming = true;
                slot.order = self.seat.keys.make();
                self.call(index);
            }
            Outcome::Rejected(why) => {
                tally.refusal(why.reason);
                if self.seat.shared.workload == Workload::Soldout && !slot.confirming {
                    tally.operation(self.now.duration_since(slot.began));
                }
                self.end(index);
            }
            Outcome::Failed { retry_after_ms, .. } => {
                tally.failure();
                let told = Duration::from_millis(retry_after_ms.into());
                self.again
                    .push(Reverse((self.now + told.max(RETRY_DELAY), index)));
            }
            Outcome::Unknown => {
                tally.unknown();
                self.again.push(Reverse((self.now + RETRY_DELAY, index)));
            }
        }
    }

    fn end(&mut self, index: u16) {
        let slot = &mut self.slots[usize::from(index)];
        // A second answer to the same call finds nothing.
        slot.generation = slot.generation.wrapping_add(1);
        let place = self.seat.slots.start + usize::from(index);
        self.seat.shared.flight.end(place);
        self.idle.push(index);
    }
}

/// The same question as a line of a plain call.
pub fn line(ask: Ask) -> Line {
    match ask {
        Ask::Best => Line::best(1),
        Ask::Four { section } => Line::Best {
            quantity: 4,
            category: None,
            or_cheaper: false,
            accessible: false,
            split: false,
            sections: vec![section],
        },
        Ask::Seat { section, seat } => Line::Seats(vec![(section, seat)]),
    }
}
