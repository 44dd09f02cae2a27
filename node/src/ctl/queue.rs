//! `onsale ctl queue …`.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::args::{Arm, Ceiling, Queue, SetQueue};
use super::{Client, Shown, tables};
use crate::http::bodies::{
    ArmQueue, Beacon, MoveQueue, QueueSettings, RemoveVisitor, Trust, TrustPurpose,
};
use crate::http::views::{self, Applied, PassKeyList};

pub fn run(client: &Client, verb: Queue) -> anyhow::Result<Shown> {
    match verb {
        Queue::Arm(arm) => armed(client, arm),
        Queue::Show { event } => {
            let queue = read(client, event)?;
            Shown::new(&queue, tables::queue(&queue))
        }
        Queue::Pause { event } => change(client, event, |settings| settings.paused = true),
        Queue::Resume { event } => change(client, event, |settings| settings.paused = false),
        Queue::Drain { event, undo } => change(client, event, |settings| settings.closed = !undo),
        Queue::Set(set) => set_queue(client, set),
        Queue::Move {
            event,
            lobby_at,
            opens_at,
        } => put(client, event, "times", &MoveQueue { lobby_at, opens_at }),
        Queue::Beacon { event, beacon } => put(client, event, "beacon", &Beacon { beacon }),
        Queue::Remove {
            event,
            visitor,
            reason,
        } => {
            let path = format!("/v1/events/{event}/queue/removals");
            let applied: Applied = client.post(&path, &RemoveVisitor { visitor, reason })?;
            Shown::new(&applied, tables::applied(&applied))
        }
        Queue::Evidence { event, file } => {
            let bytes = evidence(client, event)?;
            std::fs::write(&file, &bytes)
                .with_context(|| format!("cannot write {}", file.display()))?;
            Ok(Shown::done(&format!(
                "{} bytes; check them with `onsale verify-queue {}`",
                bytes.len(),
                file.display()
            )))
        }
        Queue::Trust {
            event,
            partner,
            public_key,
            purpose,
        } => {
            let said = match (&public_key, purpose) {
                (Some(_), TrustPurpose::Room) => "its tokens are taken as passes",
                (Some(_), TrustPurpose::Enqueue) => "its visitors join with its tokens only",
                (None, _) => "its tokens are not taken any more",
            };
            let body = Trust {
                partner_id: partner,
                public_key,
                purpose,
            };
            client.order("PUT", &format!("/v1/events/{event}/queue/trust"), &body)?;
            Ok(Shown::done(&format!("partner {partner}: {said}")))
        }
        Queue::Keys => {
            let keys: PassKeyList = client.get("/v1/pass-keys")?;
            Shown::new(&keys, tables::pass_keys(&keys))
        }
        Queue::RotateKey => {
            let keys: PassKeyList = client.post("/v1/pass-keys", &json!({}))?;
            Shown::new(&keys, tables::pass_keys(&keys))
        }
    }
}

/// The evidence of an event's queue, as it is to be kept.
pub fn evidence(client: &Client, event: u64) -> anyhow::Result<Vec<u8>> {
    client.get_bytes(&format!("/v1/events/{event}/queue/evidence"))
}

fn read(client: &Client, event: u64) -> anyhow::Result<views::Queue> {
    client.get(&format!("/v1/events/{event}/queue"))
}

fn armed(client: &Client, arm: Arm) -> anyhow::Result<Shown> {
    let Arm {
        event,
        lobby_at,
        opens_at,
        beacon,
        pass_life_s,
        pass_tickets,
        per_minute,
        at_the_desk,
        hold_ms,
        lanes,
    } = arm;
    let body = ArmQueue {
        lobby_at,
        opens_at,
        beacon,
        pass_life_s,
        pass_tickets,
        per_minute,
        at_the_desk,
        hold_ms,
        lanes,
    };
    let applied: Applied = client.post(&format!("/v1/events/{event}/queue"), &body)?;
    Shown::new(&applied, tables::applied(&applied))
}

fn set_queue(client: &Client, set: SetQueue) -> anyhow::Result<Shown> {
    let SetQueue {
        event,
        per_minute,
        at_the_desk,
        hold_ms,
        weights,
    } = set;
    if per_minute.is_none() && at_the_desk.is_none() && hold_ms.is_none() && weights.is_empty() {
        bail!("nothing is to be changed: give a setting (--help tells which there are)");
    }
    change(client, event, |settings| {
        if let Some(Ceiling(ceiling)) = per_minute {
            settings.per_minute = ceiling;
        }
        if let Some(Ceiling(ceiling)) = at_the_desk {
            settings.at_the_desk = ceiling;
        }
        settings.hold_ms = hold_ms.unwrap_or(settings.hold_ms);
        settings.weights = weights;
    })
}

fn change(
    client: &Client,
    event: u64,
    change: impl FnOnce(&mut QueueSettings),
) -> anyhow::Result<Shown> {
    let queue = read(client, event)?;
    let mut settings = QueueSettings {
        paused: queue.paused,
        closed: queue.closed,
        per_minute: queue.per_minute,
        at_the_desk: queue.at_the_desk_max,
        hold_ms: queue.hold_ms,
        weights: Vec::new(),
    };
    change(&mut settings);
    let applied: Applied = client.put(&format!("/v1/events/{event}/queue"), &settings)?;
    Shown::new(&applied, tables::applied(&applied))
}

fn put(
    client: &Client,
    event: u64,
    what: &str,
    body: &impl serde::Serialize,
) -> anyhow::Result<Shown> {
    let applied: Applied = client.put(&format!("/v1/events/{event}/queue/{what}"), body)?;
    Shown::new(&applied, tables::applied(&applied))
}
