//! A batch of calls on its way, kept until it is answered so that it can be sent again.
//!
//! What is sent again, with a short pause, until the calls' deadline:
//! - NO_LEADER: certainly without effect, so a new attempt is the first one;
//! - unknown: the first attempt may still happen. A new attempt is safe because every command
//!   carries its idempotency key, and the sale gives the same key the same outcome: whichever
//!   attempt is decided first, the other gets its answer. Two answers to such an attempt are not
//!   passed on, because they speak of the new attempt alone: a failure ("certainly without
//!   effect"), and KEY_EXPIRED (the first one's outcome may have been forgotten). Then, or when
//!   the time is over, the caller is told what is true: unknown.
//!
//! BUSY is not retried: under overload, the caller must be the one to wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::calls::{Answers, CallIds, Calls};
use actors::codec::answer;
use actors::codec::record::{self, Records};
use bytes::{Bytes, BytesMut};
use cluster::types::NodeId;
use domain::ids::{ChannelId, SaleId};
use tokio::time::Instant;

use super::Gateway;
use super::commands::{Command, Commands, Outcome, Tally};
use super::metrics::{Entry, Full};
use super::packed::{BUSY, Ending, Head, NO_LEADER, heads};
use super::slow::Answered;
use crate::bugs::{Bug, planted};
use crate::trace::{CallSpan, Leg};

const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(250);

pub struct Flight {
    gateway: Gateway,
    sale: SaleId,
    records: Kept,
    call_ids: CallIds,
    commands: Commands,
    /// Of the partner; `None` for operators' calls.
    channel: Option<ChannelId>,
    /// The link had no room for this attempt.
    found_link_full: AtomicBool,
    deadline: Instant,
    /// When the calls were taken, before the first attempt.
    taken: Instant,
    answers: Arc<dyn Answers>,
    attempt: u32,
    /// An earlier attempt may still happen.
    uncertain: bool,
    /// The spans of this attempt, where the calls are traced.
    leg: Option<Box<Leg>>,
}

/// Records that count among the bytes under way as long as they are kept.
struct Kept {
    records: Bytes,
    gateway: Gateway,
}

impl Kept {
    fn new(records: Bytes, gateway: &Gateway) -> Kept {
        let under_way = &gateway.inner.bytes_under_way;
        under_way.fetch_add(records.len(), Ordering::Relaxed);
        Kept {
            records,
            gateway: gateway.clone(),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let under_way = &self.gateway.inner.bytes_under_way;
        under_way.fetch_sub(self.records.len(), Ordering::Relaxed);
    }
}

/// What to do with one answer.
enum Verdict {
    Pass,
    /// The answer is about this attempt only; the caller hears "unknown".
    Doubt,
    Again {
        uncertain: bool,
    },
}

impl Flight {
    pub fn first(
        gateway: Gateway,
        sale: SaleId,
        calls: Calls,
        traced: Option<Arc<CallSpan>>,
    ) -> Arc<Flight> {
        let Calls {
            records,
            call_ids,
            deadline,
            answers,
            trace: _,
        } = calls;
        let leg = traced.and_then(|call| call.leg(sale.0, call_ids.len(), 0));
        let channel = match gateway.entry {
            Entry::Operator => None,
            Entry::Unary | Entry::Session => channel(&records),
        };
        Arc::new(Flight {
            commands: Commands::of(&records, call_ids.len()),
            channel,
            found_link_full: AtomicBool::new(false),
            records: Kept::new(records, &gateway),
            gateway,
            sale,
            call_ids,
            deadline,
            taken: Instant::now(),
            answers,
            attempt: 0,
            uncertain: false,
            leg,
        })
    }

    pub fn sale(&self) -> SaleId {
        self.sale
    }

    pub fn count(&self) -> usize {
        self.call_ids.len()
    }

    /// By command, in the sequence of `Command::ALL`.
    pub fn counts(&self) -> [u32; 4] {
        self.commands.counts()
    }

    /// What answers BUSY of this attempt then mean.
    pub fn finds_link_full(&self) {
        self.found_link_full.store(true, Ordering::Relaxed);
    }

    /// The calls as the owner gets them: their answers come back here.
    pub fn calls(self: &Arc<Self>) -> Calls {
        Calls {
            records: self.records.records.clone(),
            call_ids: self.call_ids.clone(),
            deadline: self.deadline,
            answers: self.clone(),
            trace: self.leg.as_ref().map(|leg| leg.traced()),
        }
    }

    pub fn goes_to(&self, node: NodeId) {
        if let Some(leg) = &self.leg {
            leg.goes_to(node);
        }
    }

    fn pause(&self) -> Duration {
        (PAUSE_FIRST * (1 << self.attempt.min(8))).min(PAUSE_MAX)
    }

    fn judge(&self, ending: Ending, time_left: bool) -> Verdict {
        match ending {
            Ending::Failed(_) if planted(Bug::DoubtForgotten) && !time_left => Verdict::Pass,
            Ending::Failed(NO_LEADER) if time_left => Verdict::Again {
                uncertain: self.uncertain,
            },
            Ending::Failed(BUSY) if self.uncertain && time_left => {
                Verdict::Again { uncertain: true }
            }
            Ending::Unknown if time_left => Verdict::Again { uncertain: true },
            Ending::Failed(_) | Ending::KeyExpired if self.uncertain => Verdict::Doubt,
            Ending::Done
            | Ending::Rejected
            | Ending::Failed(_)
            | Ending::KeyExpired
            | Ending::Unknown => Verdict::Pass,
        }
    }

    /// The rare way: some answers are not passed on as they are.
    fn sort(&self, packed: &[u8]) {
        let time_left = Instant::now() + self.pause() < self.deadline;
        let mut times: HashMap<u32, u32> = HashMap::with_capacity(self.call_ids.len());
        for call_id in self.call_ids.iter() {
            *times.entry(call_id).or_default() += 1;
        }
        let (mut passed, mut passed_count) = (Vec::new(), 0);
        let mut again: HashMap<u32, bool> = HashMap::new();
        for Head {
            call_id,
            ending,
            bytes,
        } in heads(packed)
        {
            match self.judge(ending, time_left) {
                // A caller that gave two outstanding calls one id cannot be told apart.
                Verdict::Again { uncertain } if times.get(&call_id) == Some(&1) => {
                    again.insert(call_id, uncertain);
                    continue;
                }
                Verdict::Again { .. } if !self.uncertain => passed.extend_from_slice(bytes),
                Verdict::Again { .. } | Verdict::Doubt => {
                    answer::put_unknown(call_id, &mut passed);
                }
                Verdict::Pass => passed.extend_from_slice(bytes),
            }
            passed_count += 1;
        }
        if passed_count > 0 {
            let mut tally = Tally::default();
            for head in heads(&passed) {
                tally.add(self.command(head.call_id), head.ending);
            }
            self.land(passed.into(), passed_count, &tally);
        }
        for uncertain in [false, true] {
            self.send_again(uncertain, |call_id| again.get(&call_id) == Some(&uncertain));
        }
    }

    /// Sends those of the calls that are to go again, in their sequence.
    fn send_again(&self, uncertain: bool, goes: impl Fn(u32) -> bool) {
        let mut records = BytesMut::new();
        let mut call_ids = Vec::new();
        for (record, call_id) in Records::new(&self.records.records).zip(self.call_ids.iter()) {
            if goes(call_id) {
                records.extend_from_slice(record);
                call_ids.push(call_id);
            }
        }
        if call_ids.is_empty() {
            return;
        }
        #[cfg(feature = "bugs")]
        if planted(Bug::SentAgainUnderNewKey) {
            actors::bugs::rekey(&mut records, self.attempt + 1);
        }
        self.gateway.inner.metrics.observe_repeat(call_ids.len());
        let call = self.leg.as_ref().map(|leg| Arc::clone(leg.call()));
        let mut flight = Flight {
            gateway: self.gateway.clone(),
            sale: self.sale,
            commands: Commands::of(&records, call_ids.len()),
            channel: self.channel,
            found_link_full: AtomicBool::new(false),
            records: Kept::new(records.freeze(), &self.gateway),
            call_ids: call_ids.into_iter().collect(),
            deadline: self.deadline,
            taken: self.taken,
            answers: self.answers.clone(),
            attempt: self.attempt + 1,
            uncertain,
            leg: None,
        };
        let pause = self.pause();
        // As many tasks as flights, which `Config::calls_max` bounds.
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            flight.leg = call.and_then(|call| {
                let (event, calls) = (flight.sale.0, flight.count());
                call.leg(event, calls, flight.attempt)
            });
            flight.gateway.clone().dispatch(Arc::new(flight));
        });
    }

    fn command(&self, call_id: u32) -> Command {
        self.commands.find(&self.call_ids, call_id)
    }

    /// The rare way: why calls were not decided. Mostly all of a batch for one reason.
    fn count_undecided(&self, packed: &[u8]) {
        let mut run: Option<(Command, Option<u16>)> = None;
        let mut calls = 0;
        for head in heads(packed) {
            let failure = match head.ending {
                Ending::Done | Ending::Rejected | Ending::KeyExpired => continue,
                Ending::Failed(reason) => Some(reason),
                Ending::Unknown => None,
            };
            let now = (self.command(head.call_id), failure);
            if let Some(before) = run.replace(now)
                && before != now
            {
                self.tell_undecided(before, calls);
                calls = 0;
            }
            calls += 1;
        }
        if let Some(last) = run {
            self.tell_undecided(last, calls);
        }
    }

    fn tell_undecided(&self, (command, failure): (Command, Option<u16>), calls: u32) {
        let metrics = &self.gateway.inner.metrics;
        metrics.observe_undecided(self.gateway.entry, command, failure, calls);
        // A caller is told so, whoever said it: an owner on another node may be full as well.
        if failure == Some(BUSY) {
            let full = match self.found_link_full.load(Ordering::Relaxed) {
                true => Full::Link,
                false => Full::Owner,
            };
            metrics.observe_busy(full, calls as usize);
        }
    }

    fn land(&self, packed: Bytes, count: u32, tally: &Tally) {
        if tally.with(Outcome::Undecided) > 0 {
            self.count_undecided(&packed);
        }
        let took = self.taken.elapsed();
        self.gateway.landed(self.channel, count, tally, took);
        if self.gateway.entry == Entry::Session && self.gateway.inner.slow.is_slow(took) {
            let leg = self.leg.as_ref();
            self.gateway.inner.slow.tell(Answered {
                event: self.sale.0,
                calls: count,
                attempt: self.attempt,
                took,
                trace_id: leg.map(|leg| leg.call().trace_id()),
            });
        }
        self.answers.answer(packed, count);
    }
}

/// Through which the calls of a batch came.
fn channel(records: &[u8]) -> Option<ChannelId> {
    let (header, _) = record::split(Records::new(records).next()?)?;
    Some(header.channel)
}

impl Answers for Flight {
    fn answer(&self, packed: Bytes, count: u32) {
        if let Some(leg) = &self.leg {
            leg.answered();
        }
        // Whether there is time left matters only for what is rare.
        let (mut plain, mut tally) = (true, Tally::default());
        for head in heads(&packed) {
            plain &= matches!(self.judge(head.ending, true), Verdict::Pass);
            tally.add(self.command(head.call_id), head.ending);
        }
        if plain {
            self.land(packed, count, &tally);
        } else {
            self.sort(&packed);
        }
    }
}
