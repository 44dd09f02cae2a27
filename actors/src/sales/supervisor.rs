//! The supervisor of a node's sale actors.
//!
//! The sales' logic cannot fail an actor: `sale::apply` catches its panics and freezes the sale.
//! What fails an actor is a bug of the actor itself, after which its state cannot be trusted. It is
//! not restarted: its queue closes, whoever waits is told, and a leader proposes an entry with nothing in
//! it, so that a delivery fails and the replica of its group stops, however quiet the group is. The group
//! is led on another node; here its sales are down until the replica is rebuilt
//! (`onsale ctl groups rebuild`) or the node is started again.

use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

use crate::mailbox::Begin;
use crate::metrics::SaleMetrics;

struct Supervisor {
    metrics: Arc<SaleMetrics>,
}

pub(super) async fn spawn(metrics: Arc<SaleMetrics>) -> Result<ActorCell, SpawnErr> {
    let (actor, _joined) = Actor::spawn(None, Supervisor { metrics }, ()).await?;
    Ok(actor.get_cell())
}

impl Actor for Supervisor {
    type Msg = Begin;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Begin>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Begin>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(_, why) = event {
            self.metrics.observe_actor_failed();
            tracing::error!(%why, "an actor failed; a sale's replica will stop");
        }
        Ok(())
    }
}
