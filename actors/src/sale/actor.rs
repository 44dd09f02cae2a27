//! The ractor shell of a sale: life cycle, supervision, and one round for all that waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use cluster::group::Group;
use domain::Sale;
use domain::ids::SaleId;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};

use super::change_log::ChangeLog;
use super::handle::{SaleHandle, Shared};
use super::in_flight::InFlights;
use super::journal::Body;
use super::message::{Creation, Message, Note};
use super::owner::{Owner, State, Surroundings};
use super::time::SaleTime;
use crate::mailbox::{Begin, Inbox, Mailbox};

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

struct ActorState {
    owner: Owner,
    inbox: Inbox<Message, Note>,
}

/// Messages handled before other actors get their turn.
const MESSAGES_PER_ROUND: usize = 256;

/// Messages that may wait; commands are counted on their own.
const MESSAGES_MAX: usize = 4096;

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
        State::Frozen(frozen) => frozen.checkpoint.revision,
    };
    let (change_log, moved) = ChangeLog::new(revision, around.config.changes_kept);
    let (mailbox, inbox) = Mailbox::new(MESSAGES_MAX);
    let shared = Arc::new(Shared {
        id,
        group: Arc::clone(&group),
        mailbox,
        queued: AtomicUsize::new(0),
        queued_max: around.config.queue_commands,
        alarm_ms: AtomicU64::new(u64::MAX),
        moved,
    });
    let now_ms = state.now_ms();
    let owner = Owner {
        id,
        around,
        group,
        shared: Arc::clone(&shared),
        creation,
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
        scratch: Default::default(),
        changes: Vec::new(),
    };
    // No name: ractor's registry is global to the process, where simulated nodes live together.
    let (actor, _joined) =
        Actor::spawn_linked(None, SaleActor, ActorState { owner, inbox }, supervisor).await?;
    shared.mailbox.connect(actor);
    Ok(SaleHandle { shared })
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
        ActorState { owner, inbox }: &mut ActorState,
    ) -> Result<(), ActorProcessingErr> {
        let shared = Arc::clone(&owner.shared);
        while shared.mailbox.rung().await {
            while one_round(owner, inbox) == MESSAGES_PER_ROUND {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

/// Handles what waits; how many messages that were.
fn one_round(owner: &mut Owner, inbox: &mut Inbox<Message, Note>) -> usize {
    let mut handled = 0;
    while handled < MESSAGES_PER_ROUND
        && let Ok(message) = inbox.ring.try_recv()
    {
        owner.on(message);
        handled += 1;
    }
    // After the ring: what became of a proposal is told after its delivery.
    while let Ok(note) = inbox.notes.try_recv() {
        owner.note(note);
    }
    owner.settle();
    handled
}
