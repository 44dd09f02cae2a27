//! The admission actor of a sale: on the leader, for as long as it leads, it lets visitors in.
//!
//! Every quarter of a second it looks at the sale, asks `domain::room::pace` how many more are to come
//! in, lets the operator's ceiling bound them (`governor`, on the injected clock) and proposes
//! `ReleaseVisitors`. It keeps nothing that must survive: after a failover the next one goes on at the
//! rate that the room itself shows, with an empty burst.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::command::{Command, Request};
use domain::ids::{ChannelId, IdempotencyKey, PartnerId};
use domain::room::pace::{Look, Pace};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorStatus, SpawnErr};
use tokio::sync::oneshot;
use tokio::time::{Instant, interval, timeout};

use crate::calls::{Answers, Calls};
use crate::clock::Clock;
use crate::codec::record;
use crate::metrics::SaleMetrics;
use crate::sale::{RoomLook, SaleHandle};

/// Between two looks at the sale.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A release that was not decided in this time is given up; the next look says anew how many.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// What an admission actor has told about its pace, for whoever reports it.
#[derive(Debug, Default)]
pub struct Flow {
    /// An admission actor has looked at the sale, and has not ended.
    is_steered: AtomicBool,
    /// Visitors a second, in thousandths: what it aims at; 0 while nobody is let in here, or nobody on
    /// purpose.
    target: AtomicU64,
    /// Passes a second that the sale can serve, in thousandths; 0 while not known.
    capacity: AtomicU64,
    /// Over the last seconds, a second, in thousandths.
    joined: AtomicU64,
    released: AtomicU64,
    sold: AtomicU64,
    /// The count of the actor that is here, see `Flow::looks_due`.
    looks_due: Mutex<Arc<AtomicU64>>,
}

impl Flow {
    /// Whether somebody lets visitors in here.
    pub fn is_steered(&self) -> bool {
        self.is_steered.load(Ordering::Relaxed)
    }

    pub fn target_per_1000_s(&self) -> u64 {
        self.target.load(Ordering::Relaxed)
    }

    pub fn capacity_per_1000_s(&self) -> Option<u64> {
        Some(self.capacity.load(Ordering::Relaxed)).filter(|capacity| *capacity > 0)
    }

    pub fn joined_per_1000_s(&self) -> u64 {
        self.joined.load(Ordering::Relaxed)
    }

    pub fn released_per_1000_s(&self) -> u64 {
        self.released.load(Ordering::Relaxed)
    }

    pub fn sold_per_1000_s(&self) -> u64 {
        self.sold.load(Ordering::Relaxed)
    }

    /// Looks at the sale that have become due since the one under way began: they are made as one when it
    /// has ended.
    pub fn looks_due(&self) -> u64 {
        self.looks().load(Ordering::Relaxed)
    }

    /// The count of an actor that begins. The timer of the one before may still count once.
    fn count_looks(&self) -> Arc<AtomicU64> {
        let mut looks = self.looks();
        *looks = Arc::default();
        Arc::clone(&looks)
    }

    fn looks(&self) -> MutexGuard<'_, Arc<AtomicU64>> {
        self.looks_due
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, pace: &Pace) {
        self.is_steered.store(true, Ordering::Relaxed);
        self.target.store(pace.aim(), Ordering::Relaxed);
        self.capacity
            .store(pace.capacity().unwrap_or(0), Ordering::Relaxed);
    }

    fn tell_rates(&self, rates: &Rates) {
        for (told, rate) in [&self.joined, &self.released, &self.sold]
            .into_iter()
            .zip(rates.smooth)
        {
            told.store(rate, Ordering::Relaxed);
        }
    }

    fn end(&self) {
        self.is_steered.store(false, Ordering::Relaxed);
        for told in [
            &self.target,
            &self.capacity,
            &self.joined,
            &self.released,
            &self.sold,
        ] {
            told.store(0, Ordering::Relaxed);
        }
        self.count_looks();
    }
}

/// How fast three counts rise, smoothed over some seconds.
#[derive(Default)]
struct Rates {
    last: Option<[u64; 3]>,
    /// A second, in thousandths.
    smooth: [u64; 3],
}

/// Of this time a rate forgets two thirds.
const SMOOTH: Duration = Duration::from_secs(3);

impl Rates {
    fn look(&mut self, counts: [u64; 3], since: Duration) {
        let Some(last) = self.last.replace(counts) else {
            return;
        };
        let us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX).max(1);
        let share = thousandths(since, SMOOTH);
        for ((smooth, count), last) in self.smooth.iter_mut().zip(counts).zip(last) {
            let rate = count.saturating_sub(last).saturating_mul(1_000_000_000) / us;
            *smooth = (*smooth * (1000 - share) + rate * share) / 1000;
        }
    }
}

struct Admission;

struct State {
    sale: SaleHandle,
    clock: Arc<dyn Clock>,
    metrics: Arc<SaleMetrics>,
    pace: Option<Pace>,
    gate: Gate,
    rates: Rates,
    looked: Instant,
    looks_due: Arc<AtomicU64>,
}

/// Look at the sale.
struct Tick;

/// Starts the admission actor of a sale that leads; it stops by itself when the sale does not any
/// more.
pub(crate) async fn spawn(
    sale: SaleHandle,
    clock: Arc<dyn Clock>,
    metrics: Arc<SaleMetrics>,
    supervisor: ActorCell,
) -> Result<(), SpawnErr> {
    let state = State {
        gate: Gate::new(None, &clock),
        looks_due: sale.flow().count_looks(),
        sale,
        clock,
        metrics,
        pace: None,
        rates: Rates::default(),
        looked: Instant::now(),
    };
    Actor::spawn_linked(None, Admission, state, supervisor).await?;
    Ok(())
}

impl Actor for Admission {
    type Msg = Tick;
    type State = State;
    type Arguments = State;

    async fn pre_start(
        &self,
        this: ActorRef<Tick>,
        state: State,
    ) -> Result<State, ActorProcessingErr> {
        tokio::spawn(tick(this, Arc::clone(&state.looks_due)));
        Ok(state)
    }

    async fn handle(
        &self,
        this: ActorRef<Tick>,
        _: Tick,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.looks_due.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        match state.sale.room_look().await {
            Ok(Some(look)) => {
                state.let_in(look).await;
                state.metrics.observe_look(begun.elapsed());
            }
            // Leads no more, is frozen, or has left the node.
            Ok(None) | Err(_) => this.stop(None),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Tick>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.sale.flow().end();
        state.sale.admission_ended();
        Ok(())
    }
}

/// Until the actor stops. Its mailbox has no bound of its own: while a look waits there, those that become
/// due are only counted.
async fn tick(admission: ActorRef<Tick>, looks_due: Arc<AtomicU64>) {
    let mut looks = interval(LOOK_EVERY);
    // The first comes at once.
    looks.tick().await;
    loop {
        looks.tick().await;
        let is_first = looks_due.fetch_add(1, Ordering::Relaxed) == 0;
        if !is_alive(&admission) || (is_first && admission.send_message(Tick).is_err()) {
            return;
        }
    }
}

fn is_alive(admission: &ActorRef<Tick>) -> bool {
    let status = admission.get_status();
    !matches!(status, ActorStatus::Stopping | ActorStatus::Stopped)
}

impl State {
    async fn let_in(&mut self, look: RoomLook) {
        let RoomLook {
            room,
            recent_rate,
            plan,
            passed,
        } = look;
        let ceilings = plan.ceilings;
        let pace = self
            .pace
            .get_or_insert_with(|| Pace::new(ceilings).resume(recent_rate));
        pace.set_ceilings(ceilings);
        self.gate.set(ceilings.per_minute, &self.clock);
        let census = room.census;
        let since = self.looked.elapsed();
        self.looked = Instant::now();
        let up_to = pace.look(&Look {
            at_ms: room.now_ms.max(self.clock.now_ms()),
            waiting: census.waiting,
            released: census.released,
            at_the_desk: census.at_the_desk,
            used: &passed.used,
            uses: passed.uses,
            tickets: passed.tickets,
            // Seats that are too few for the party of anybody let nobody in.
            free: if room.finds_enough {
                room.free.into()
            } else {
                0
            },
            busy: thousandths(passed.busy, since),
            hold_p99_ms: passed.hold_p99_ms,
        });
        self.sale.flow().tell(pace);
        let counts = [census.joined, census.released, room.sold.into()];
        self.rates.look(counts, since);
        self.sale.flow().tell_rates(&self.rates);
        if room.is_paused || !room.lets_in() {
            return;
        }
        let may = self.gate.pass(up_to.saturating_sub(census.released));
        if may > 0 {
            self.release(census.released + may).await;
        }
    }

    async fn release(&self, up_to: u64) {
        let request = Request {
            partner: PartnerId(0),
            channel: ChannelId(0),
            key: IdempotencyKey(0),
            hash: 0,
            command: Command::ReleaseVisitors { up_to },
        };
        let mut records = Vec::new();
        if record::encode(&request, &mut records).is_err() {
            return;
        }
        let (told, decided) = oneshot::channel();
        let calls = Calls {
            records: records.into(),
            call_ids: [0].into_iter().collect(),
            deadline: Instant::now() + RELEASE_LIMIT,
            answers: Arc::new(Decided(Mutex::new(Some(told)))),
            trace: None,
        };
        if self.sale.submit(calls).is_ok() {
            // However it went, the next look counts who was let in.
            let _decided = timeout(RELEASE_LIMIT, decided).await;
        }
    }
}

struct Decided(Mutex<Option<oneshot::Sender<()>>>);

impl Answers for Decided {
    fn answer(&self, _: Bytes, _: u32) {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(told) = told {
            // Nobody waits any more.
            let _gone = told.send(());
        }
    }
}

fn thousandths(part: Duration, whole: Duration) -> u64 {
    let of = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    (of(part).saturating_mul(1000) / of(whole).max(1)).min(1000)
}

/// The operator's ceiling as a token bucket, on the node's disciplined clock.
struct Gate {
    per_minute: Option<u32>,
    limiter: Option<Limiter>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Disciplined, NoOpMiddleware<Duration>>;

#[derive(Clone)]
struct Disciplined(Arc<dyn Clock>);

impl governor::clock::Clock for Disciplined {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now_ms())
    }
}

/// Looks in a minute: as much as one look may let in is what may come at once.
const LOOKS_PER_MINUTE: u32 = 240;

impl Gate {
    fn new(per_minute: Option<u32>, clock: &Arc<dyn Clock>) -> Gate {
        let limiter = per_minute.and_then(NonZeroU32::new).map(|rate| {
            let burst = NonZeroU32::MIN.saturating_add(rate.get() / LOOKS_PER_MINUTE);
            let quota = Quota::per_minute(rate).allow_burst(burst);
            let limiter = RateLimiter::direct_with_clock(quota, Disciplined(Arc::clone(clock)));
            // Begins empty: a new leader lets nobody in whom the one before has let in already.
            while limiter.check().is_ok() {}
            limiter
        });
        Gate {
            per_minute,
            limiter,
        }
    }

    fn set(&mut self, per_minute: Option<u32>, clock: &Arc<dyn Clock>) {
        if self.per_minute != per_minute {
            *self = Gate::new(per_minute, clock);
        }
    }

    /// How many of `wanted` may come in now.
    fn pass(&self, wanted: u64) -> u64 {
        match (&self.limiter, self.per_minute) {
            (Some(limiter), _) => {
                (0..wanted).take_while(|_| limiter.check().is_ok()).count() as u64
            }
            (None, Some(_)) => 0,
            (None, None) => wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now_ms(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn the_gate_holds_the_ceiling_and_begins_empty() {
        let hand = Arc::new(Hand(AtomicU64::new(1_700_000_000_000)));
        let clock: Arc<dyn Clock> = Arc::clone(&hand) as _;
        let mut gate = Gate::new(Some(600), &clock);
        assert_eq!(gate.pass(100), 0);
        let mut let_in = 0;
        for _ in 0..240 {
            hand.0.fetch_add(250, Ordering::Relaxed);
            let_in += gate.pass(1_000);
        }
        assert!((598..=603).contains(&let_in), "{let_in} in a minute");
        gate.set(Some(0), &clock);
        assert_eq!(gate.pass(5), 0, "a ceiling of none lets nobody in");
        gate.set(None, &clock);
        assert_eq!(gate.pass(5), 5);
    }
}
