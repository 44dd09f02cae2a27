//! `onsale ctl events list --trouble`: every event that is open is asked after, and those are shown that
//! are frozen, have no leader, do not answer, or whose waiting room is shut though visitors wait and
//! seats are free. What an alarm does not say, because no metric has a label for an event.

use std::thread;

use serde::Serialize;

use super::client::Client;
use crate::http::views::{EventEntry, EventList, EventSummary, Queue};

/// Asked at once: a node that is gone makes those wait that it led.
const ASKED_AT_ONCE: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TroubleList {
    /// By their ids.
    pub events: Vec<Troubled>,
    /// Of all that are open.
    pub asked: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Troubled {
    pub event_id: u64,
    pub name: String,
    pub leader: Option<u64>,
    pub why: Vec<String>,
}

pub fn look(client: &Client) -> anyhow::Result<TroubleList> {
    let EventList { events } = client.get("/v1/events")?;
    let open: Vec<EventEntry> = events
        .into_iter()
        .filter(|entry| entry.state == "opened")
        .collect();
    let asked = open.len();
    let part = asked.div_ceil(ASKED_AT_ONCE).max(1);
    let mut events: Vec<Troubled> = thread::scope(|scope| {
        let asking: Vec<_> = open
            .chunks(part)
            .map(|entries| {
                let asking = move || entries.iter().filter_map(|of| ask(client, of));
                scope.spawn(move || asking().collect::<Vec<_>>())
            })
            .collect();
        let found = asking.into_iter().filter_map(|part| part.join().ok());
        found.flatten().collect()
    });
    events.sort_by_key(|troubled| troubled.event_id);
    Ok(TroubleList { events, asked })
}

fn ask(client: &Client, entry: &EventEntry) -> Option<Troubled> {
    let path = format!("/v1/events/{}", entry.event_id);
    let summary = client.get(&path);
    let queue = client.get_unless("NO_ROOM", &format!("{path}/queue"));
    let why = why(entry, summary, queue);
    (!why.is_empty()).then(|| Troubled {
        event_id: entry.event_id,
        name: entry.name.clone(),
        leader: entry.leader,
        why,
    })
}

/// `queue`: `None` of an event without a waiting room.
pub fn why(
    entry: &EventEntry,
    summary: anyhow::Result<EventSummary>,
    queue: anyhow::Result<Option<Queue>>,
) -> Vec<String> {
    let mut why = Vec::new();
    if entry.leader.is_none() {
        why.push(format!("group {} has no leader", entry.group));
    }
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => {
            why.push(format!("it does not answer: {error}"));
            return why;
        }
    };
    if let Some(frost) = &summary.frozen {
        why.push(format!("frozen: {frost}"));
        return why;
    }
    match queue {
        Ok(Some(queue)) => why.extend(shut(&summary.phase, &queue)),
        Ok(None) => {}
        Err(error) => why.push(format!("its waiting room does not answer: {error}")),
    }
    why
}

/// Why nobody comes in who could.
fn shut(sale_phase: &str, queue: &Queue) -> Option<String> {
    if queue.waiting == 0 || queue.free == 0 || sale_phase == "closed" {
        return None;
    }
    let waiting = queue.waiting;
    match queue.phase.as_str() {
        "awaits_beacon" => Some(format!("its room awaits the beacon, {waiting} wait")),
        "open" if queue.paused => Some(format!("its room is paused, {waiting} wait")),
        "open" if sale_phase != "open" => Some(format!("its sale is {sale_phase}, {waiting} wait")),
        "open" if queue.outflow_per_s == 0.0 => Some(format!(
            "nobody was let in over the last seconds: {waiting} wait, {} at the desk, aims at {:.2} a second",
            queue.at_the_desk, queue.outflow_target_per_s
        )),
        _ => None,
    }
}
