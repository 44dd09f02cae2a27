//! One connection of the load: sends the calls of who comes here, reads the answers, calls again for
//! those who may, connects anew when it breaks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use onsale::load::connect::{self, Bearer};
use onsale::load::keys::Keys;
use onsale::load::packed::{Answers, Head, Outcome, Packed, Writer};
use onsale::load::session::Stream;
use onsale::load::slab::Slab;
use rand::RngExt as _;
use tokio::time::Instant;

use super::arrivals::Arrivals;
use super::scene::Scene;
use super::tally::Tally;
use crate::layer1::Draw;

/// Calls in one message at most: about 90 KiB.
const PACK: usize = 1_000;
/// Messages that may wait for the socket; what does not fit is not taken.
const ROOM: usize = 64;
/// Calls that may be without an answer on one connection; a node allows a quarter of it.
const OUTSTANDING: usize = 1 << 16;
const TICK: Duration = Duration::from_millis(1);
/// Messages read before calls are made again.
const READ_AT_ONCE: usize = 64;
const RECONNECT: Duration = Duration::from_millis(50);
/// How long a place is held: the seats of a second must suffice for a second.
const HOLD_S: u32 = 1;

/// Who comes next.
pub enum Pace {
    /// Whenever they come.
    Open(Arrivals),
    /// As soon as one of so many has an answer.
    Closed(usize),
}

/// Who may call again.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Calls made again for each visitor who comes, on average, at most.
    pub budget: f64,
    /// From when a visitor came.
    pub patience: Duration,
}

/// What all connections of a run share.
pub struct Shared {
    pub tally: Tally,
    pub began: Instant,
    /// Being told later is not being served.
    pub in_time: Duration,
    pub retries: Option<Retries>,
    /// When the last visitor has come and all who wait are to be told.
    pub end: Instant,
}

impl Shared {
    fn us(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_micros() as u64
    }
}

struct Visitor {
    came_us: u64,
    attempts: u32,
    key: [u8; 16],
}

/// Sorted by when it is due; the rest keeps equal times apart.
type Due = Reverse<(Instant, u64)>;

pub struct Line {
    scene: Rc<Scene>,
    shared: Rc<Shared>,
    pace: Pace,
    keys: Keys,
    draw: Draw,
    waiting: Slab<Visitor>,
    again: BinaryHeap<Due>,
    /// By the number in `again`.
    resting: HashMap<u64, Visitor>,
    rested: u64,
    /// Calls that may be made again now.
    allowance: f64,
    writer: Writer,
    /// Calls in `writer`, and when their visitors came.
    written: Vec<(u32, u64)>,
    /// Which node is connected to.
    node: usize,
    now: Instant,
}

/// Tokens for retries that may be saved up.
const ALLOWANCE_MAX: f64 = 1_000.0;
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(1);

impl Line {
    pub fn new(scene: Rc<Scene>, shared: Rc<Shared>, pace: Pace, keys: Keys, draw: Draw) -> Line {
        Line {
            node: scene.leader,
            scene,
            pace,
            keys,
            draw,
            waiting: Slab::new(OUTSTANDING),
            again: BinaryHeap::new(),
            resting: HashMap::new(),
            rested: 0,
            allowance: ALLOWANCE_MAX,
            writer: Writer::default(),
            written: Vec::with_capacity(PACK),
            now: shared.began,
            shared,
        }
    }

    /// Until the end, and until all who wait are told or have waited long enough.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let over = self.shared.end + self.shared.in_time + Duration::from_secs(1);
        while Instant::now() < over {
            match self.connect().await {
                Some(stream) => {
                    if self.serve(stream, over).await? {
                        return Ok(());
                    }
                    for visitor in self.waiting.drain() {
                        self.shared
                            .tally
                            .count(visitor.came_us, |counts| counts.unknown += 1);
                        self.rest(visitor, Duration::ZERO);
                    }
                }
                None => {
                    self.now = Instant::now();
                    self.turn_away();
                    tokio::time::sleep(RECONNECT).await;
                }
            }
            if self.shared.retries.is_some() {
                self.node += 1;
            }
        }
        Ok(())
    }

    async fn connect(&self) -> Option<Stream> {
        let addresses = &self.scene.addresses;
        let address = &addresses[self.node % addresses.len()];
        let opened = async {
            let channel = connect::connect(&self.scene.net, address).await.ok()?;
            let key: Bearer = self.scene.key.clone();
            Stream::open(channel, key, ROOM).await.ok()
        };
        let within = Duration::from_secs(1);
        tokio::time::timeout(within, opened).await.ok().flatten()
    }

    /// Whether all is over; else the connection broke.
    async fn serve(&mut self, mut stream: Stream, over: Instant) -> anyhow::Result<bool> {
        loop {
            self.now = Instant::now();
            self.keys.tick(self.now);
            self.call_due(&stream);
            let is_over = self.now >= self.shared.end;
            if is_over && (self.waiting.is_empty() || self.now >= over) {
                return Ok(true);
            }
            tokio::select! {
                answers = stream.answers() => {
                    let Ok(mut answers) = answers else { return Ok(false) };
                    self.now = Instant::now();
                    for _ in 0..READ_AT_ONCE {
                        for answer in Answers::new(&answers) {
                            self.told(&answer.context("a node answers nonsense")?);
                        }
                        match stream.answers().now_or_never() {
                            Some(Ok(more)) => answers = more,
                            Some(Err(_)) => return Ok(false),
                            None => break,
                        }
                    }
                }
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Calls for everybody whose time has come.
    fn call_due(&mut self, stream: &Stream) {
        while let Some(Reverse((at, number))) = self.again.peek().copied()
            && at <= self.now
        {
            self.again.pop();
            if let Some(visitor) = self.resting.remove(&number) {
                let came_us = visitor.came_us;
                self.shared
                    .tally
                    .count(came_us, |counts| counts.retried += 1);
                self.call(visitor, stream);
            }
        }
        if self.now < self.shared.end {
            for came_us in self.newcomers() {
                self.shared
                    .tally
                    .count(came_us, |counts| counts.offered += 1);
                let visitor = Visitor {
                    came_us,
                    attempts: 0,
                    key: self.keys.make(),
                };
                self.call(visitor, stream);
            }
        }
        self.flush(stream);
    }

    fn newcomers(&mut self) -> Vec<u64> {
        let now_us = self.shared.us(self.now);
        match &mut self.pace {
            Pace::Open(arrivals) => {
                // Where each would call again they are taken one by one: there are fewer of them.
                let room = match self.shared.retries {
                    None => OUTSTANDING - self.waiting.len(),
                    Some(_) => usize::MAX,
                };
                let came: Vec<u64> = arrivals.due(now_us).take(room).collect();
                if came.len() == room {
                    let others = arrivals.skip(now_us);
                    self.shared.tally.count(now_us, |counts| {
                        counts.offered += others;
                        counts.not_taken += others;
                    });
                }
                let budget = self.shared.retries.map_or(0.0, |retries| retries.budget);
                self.allowance = (self.allowance + budget * came.len() as f64).min(ALLOWANCE_MAX);
                came
            }
            Pace::Closed(most) => {
                let waiting = self.waiting.len() + self.resting.len();
                vec![now_us; most.saturating_sub(waiting)]
            }
        }
    }

    /// Nobody can be reached.
    fn turn_away(&mut self) {
        for came_us in self.newcomers() {
            self.shared
                .tally
                .count(came_us, |counts| counts.offered += 1);
            let visitor = Visitor {
                came_us,
                attempts: 0,
                key: self.keys.make(),
            };
            self.not_taken(visitor);
        }
    }

    fn call(&mut self, visitor: Visitor, stream: &Stream) {
        let (key, came_us) = (visitor.key, visitor.came_us);
        match self.waiting.insert(visitor) {
            Err(visitor) => self.not_taken(visitor),
            Ok(call_id) => {
                let head = Head {
                    call_id,
                    event: self.scene.event,
                    key,
                };
                let lines = &self.scene.lines;
                self.writer.place_hold(head, &key, &key, HOLD_S, lines);
                self.written.push((call_id, came_us));
                if self.written.len() == PACK {
                    self.flush(stream);
                }
            }
        }
    }

    /// Puts what is written on the wire, unless what was written before is still on this side of it.
    fn flush(&mut self, stream: &Stream) {
        if self.written.is_empty() {
            return;
        }
        let is_taken = matches!(stream.send(self.writer.take()).now_or_never(), Some(Ok(())));
        for (call_id, came_us) in std::mem::take(&mut self.written) {
            if is_taken {
                self.shared.tally.count(came_us, |counts| counts.sent += 1);
            } else if let Some(visitor) = self.waiting.remove(call_id) {
                self.not_taken(visitor);
            }
        }
    }

    fn not_taken(&mut self, visitor: Visitor) {
        let came_us = visitor.came_us;
        self.shared
            .tally
            .count(came_us, |counts| counts.not_taken += 1);
        self.rest(visitor, Duration::ZERO);
    }

    fn told(&mut self, answer: &Packed<'_>) {
        let Some(visitor) = self.waiting.remove(answer.call_id) else {
            return;
        };
        let now_us = self.shared.us(self.now);
        let tally = &self.shared.tally;
        match answer.outcome {
            Outcome::Done { .. } => {
                let waited_us = now_us.saturating_sub(visitor.came_us);
                match Duration::from_micros(waited_us) <= self.shared.in_time {
                    true => tally.served(visitor.came_us, now_us),
                    false => tally.count(visitor.came_us, |counts| counts.late += 1),
                }
            }
            Outcome::Rejected(_) => tally.count(visitor.came_us, |counts| counts.sold_out += 1),
            Outcome::Failed { retry_after_ms, .. } => {
                tally.count(visitor.came_us, |counts| counts.refused += 1);
                self.rest(visitor, Duration::from_millis(retry_after_ms.into()));
            }
            Outcome::Unknown => {
                tally.count(visitor.came_us, |counts| counts.unknown += 1);
                self.rest(visitor, Duration::ZERO);
            }
        }
    }

    /// The visitor calls again later, if it may: after what it was told, and longer each time, spread so
    /// that not all come back at once.
    fn rest(&mut self, mut visitor: Visitor, told: Duration) {
        let Some(Retries { patience, .. }) = self.shared.retries else {
            return;
        };
        visitor.attempts += 1;
        let doubled = RETRY_MIN * 2_u32.pow(visitor.attempts.min(6));
        let delay = told
            .max(doubled.min(RETRY_MAX))
            .mul_f64(self.draw.random_range(0.5..1.5));
        let due = self.now + delay;
        let until_us = visitor.came_us + patience.as_micros() as u64;
        if self.allowance < 1.0 || self.shared.us(due) > until_us {
            let came_us = visitor.came_us;
            self.shared
                .tally
                .count(came_us, |counts| counts.gave_up += 1);
            return;
        }
        self.allowance -= 1.0;
        self.rested += 1;
        self.again.push(Reverse((due, self.rested)));
        self.resting.insert(self.rested, visitor);
    }
}
