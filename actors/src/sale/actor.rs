//! The ractor shell of a sale: life cycle, supervision, and one round for all that waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use cluster::group::Group;
use domain::Sale;
use domain::ids::SaleId;
use domain::sale::Counts;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::change_log::ChangeLog;
use super::handle::{SaleHandle, Shared};
use super::in_flight::InFlights;
use super::journal::Body;
use super::message::{Creation, Message, Note};
use super::owner::{Owner, State, Surroundings};
use super::time::SaleTime;
use crate::admission::Flow;
use crate::mailbox::{Begin, Inbox, Mailbox};
use crate::size::Size;

/// What a sale actor begins with.
pub(crate) struct Birth {
    pub id: SaleId,
    pub creation: Arc<Creation>,
    pub applied_index: u64,
    pub origin: Origin,
}

pub(crate) enum Origin {
    Created(Box<Sale>),
    Restored(Body),
}

struct SaleActor;

/// What the actor decides with; until it begins.
type ActorState = Option<Desk>;

struct Desk {
    owner: Owner,
    inbox: Inbox<Message, Note>,
    rounds: u32,
}

/// The task in which a sale answers its doorbell: woken for each delivery, it is polled alone,
/// without the ports and the supervision around the actor, which waits for its end.
struct Answering(JoinHandle<()>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Messages handled before other actors get their turn.
const MESSAGES_PER_ROUND: usize = 256;

/// Of so many rounds one is timed: a sale that gets one command at a time has a round for each.
const TIMED_EVERY: u32 = 8;

/// Messages that may wait; commands are counted on their own.
const MESSAGES_MAX: usize = 4096;

/// Each seat held, sold, and as often given back.
const CHANGES_PER_SEAT: usize = 8;
const CHANGES_MIN: usize = 512;

/// Starts the actor of a sale under its supervisor.
pub(crate) async fn spawn(
    birth: Birth,
    around: Surroundings,
    group: Arc<dyn Group>,
    supervisor: ActorCell,
) -> Result<SaleHandle, SpawnErr> {
    let Birth {
        id,
        creation,
        applied_index,
        origin,
    } = birth;
    let state = match origin {
        Origin::Created(sale) => State::live(*sale, around.config.journal_bytes),
        Origin::Restored(body) => State::from_body(body, around.config.journal_bytes),
    };
    let revision = match &state {
        State::Live { sale, .. } => sale.revision(),
        State::Frozen(frozen) => frozen.checkpoint.revision(),
    };
    if state.is_frozen() {
        around.metrics.observe_frozen();
    }
    let kept_max = changes_kept(&state, around.config.changes_kept);
    let (change_log, moved) = ChangeLog::new(revision, kept_max);
    let shared = Arc::new(Shared {
        id,
        group: Arc::clone(&group),
        mailbox: Mailbox::new(MESSAGES_MAX),
        queued: AtomicUsize::new(0),
        queued_max: around.config.queue_commands,
        handed_over: AtomicU64::new(0),
        applied: AtomicU64::new(0),
        alarm_ms: AtomicU64::new(u64::MAX),
        moved,
        watchers: AtomicUsize::new(0),
        leads_a_room: AtomicBool::new(false),
        has_admission: AtomicBool::new(false),
        flow: Flow::default(),
        traced: Arc::default(),
    });
    let now_ms = state.now_ms();
    let owner = Owner {
        id,
        around,
        group,
        shared: Arc::clone(&shared),
        creation,
        size: state.size().unwrap_or(Size::Small),
        state,
        change_log,
        applied_index,
        term: None,
        time: SaleTime::new(now_ms),
        next_proposal: 1,
        waiting: Default::default(),
        in_flight: InFlights::default(),
        stalled: None,
        refusals: Default::default(),
        expiring: false,
        turnstile: Default::default(),
        scratch: Default::default(),
        changes: Vec::new(),
    };
    // No name: ractor's registry is global to the process, where simulated nodes live together.
    let desk = Desk {
        owner,
        inbox: Inbox::default(),
        rounds: 0,
    };
    let (actor, _joined) = Actor::spawn_linked(None, SaleActor, Some(desk), supervisor).await?;
    shared.mailbox.connect(actor);
    Ok(SaleHandle { shared })
}

/// A small sale keeps fewer changes: its seats are soon told anew.
fn changes_kept(state: &State, changes_max: usize) -> usize {
    let counts = match state {
        State::Live { sale, .. } => sale.counts(),
        State::Frozen(_) => Default::default(),
    };
    let Counts {
        free,
        held,
        sold,
        blocked,
        ..
    } = counts;
    ((free + held + sold + blocked) as usize * CHANGES_PER_SEAT)
        .max(CHANGES_MIN)
        .min(changes_max)
}

impl Actor for SaleActor {
    type Msg = Begin;
    type State = ActorState;
    type Arguments = ActorState;

    async fn pre_start(
        &self,
        _: ActorRef<Begin>,
        state: ActorState,
    ) -> Result<ActorState, ActorProcessingErr> {
        Ok(state)
    }

    /// Answers the doorbell for as long as the sale is here.
    async fn handle(
        &self,
        _: ActorRef<Begin>,
        _: Begin,
        state: &mut ActorState,
    ) -> Result<(), ActorProcessingErr> {
        let Some(desk) = state.take() else {
            return Ok(());
        };
        let mut answering = Answering(tokio::spawn(answer(desk)));
        match (&mut answering.0).await {
            Ok(()) => Ok(()),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(cancelled.into()),
            },
        }
    }
}

async fn answer(mut desk: Desk) {
    let shared = Arc::clone(&desk.owner.shared);
    while shared.mailbox.rung().await {
        shared.mailbox.take(&mut desk.inbox);
        while one_round(&mut desk) {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Desk {
    /// However the actor ends: who waits for an answer learns that none comes.
    fn drop(&mut self) {
        let Desk { owner, inbox, .. } = self;
        let left = owner.shared.mailbox.close();
        let messages = std::mem::take(&mut inbox.ring).into_iter().chain(left.ring);
        let has_failed = std::thread::panicking();
        // What failed the actor may strike again; a second panic that gets out ends the process.
        let told = catch_unwind(AssertUnwindSafe(|| {
            if has_failed {
                owner.tell_group();
            }
            owner.end(messages);
        }));
        if told.is_err() {
            tracing::error!(
                sale = owner.id.0,
                "not all who wait for a failed actor are told"
            );
        }
        if owner.state.is_frozen() {
            owner.around.metrics.observe_released();
        }
    }
}

/// Handles what was taken, up to a round's worth; whether there is more of it.
fn one_round(desk: &mut Desk) -> bool {
    let Desk {
        owner,
        inbox,
        rounds,
    } = desk;
    let is_timed = rounds.is_multiple_of(TIMED_EVERY);
    *rounds = rounds.wrapping_add(1);
    let has_room = owner.has_room();
    let begun = (is_timed || has_room).then(Instant::now);
    for _ in 0..MESSAGES_PER_ROUND {
        let Some(message) = inbox.ring.pop_front() else {
            break;
        };
        owner.on(message);
    }
    // After the ring: what became of a proposal is told after its delivery.
    if inbox.ring.is_empty() {
        inbox.notes.drain(..).for_each(|note| owner.note(note));
    }
    owner.settle();
    if let Some(begun) = begun {
        let took = begun.elapsed();
        if is_timed {
            owner.around.metrics.observe_round(took);
        }
        if has_room {
            owner.turnstile.work(took);
        }
    }
    !inbox.ring.is_empty()
}
