//! Before the load: a partner, the events, who leads them, who connects where.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use cluster::components::{Net, WallClock};

use super::{Args, Workload};
use crate::load::connect::{Bearer, MachineClock, Tcp};
use crate::local::Local;
use crate::local::api::{self, Api, NewEvent};

/// What the load needs to know.
pub struct Scene {
    pub net: Arc<dyn Net>,
    pub wall: Arc<dyn WallClock>,
    pub key: Bearer,
    pub api: Api,
    pub events: Vec<u64>,
    pub connections: Vec<Connection>,
    addresses: Vec<String>,
    /// Of the node that leads each event, by its place among the addresses.
    leaders: Vec<usize>,
}

/// One connection: to whom, for which events (by their place in `Scene::events`), and how many of
/// the outstanding calls are its.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub address: String,
    pub events: Vec<usize>,
    pub calls: usize,
}

pub async fn prepare(local: &Local, args: &Args) -> anyhow::Result<Scene> {
    let api = local.api();
    let workload = args.workload;
    let (key, events) = {
        let api = api.clone();
        api::off(move || Ok((api.partner("bench")?.key, open_events(&api, workload)?))).await?
    };
    let ids: Vec<u64> = events.iter().map(|(id, _)| *id).collect();
    let leaders = events
        .iter()
        .map(|(_, leader)| local.index_of(*leader).context("an unknown node leads"))
        .collect::<anyhow::Result<Vec<usize>>>()?;
    let mut scene = Scene {
        net: Arc::new(Tcp),
        wall: Arc::new(MachineClock),
        key: Bearer::new(&key).context("the node made a key that is no text")?,
        api,
        events: ids,
        connections: Vec::new(),
        addresses: local.partner_addresses(),
        leaders,
    };
    scene.offer(args);
    Ok(scene)
}

impl Scene {
    /// Gives the calls that are to be outstanding to connections.
    pub fn offer(&mut self, args: &Args) {
        let calls = args.concurrency() as usize;
        self.connections = if args.spread {
            spread(&self.addresses, self.leaders.len(), args.sessions(), calls)
        } else {
            to_leaders(&self.addresses, &self.leaders, args.sessions(), calls)
        };
    }
}

/// Ids and the nodes that lead them.
fn open_events(api: &Api, workload: Workload) -> anyhow::Result<Vec<(u64, u64)>> {
    let plan = workload.plan();
    let mut events = Vec::with_capacity(workload.events());
    for number in 0..workload.events() {
        let event = api.open_event(&NewEvent {
            name: &format!("{} {number}", workload.name()),
            venue: "Benchmark",
            test_mode: true,
            // Nothing expires while it is measured.
            hold_ttl_s: 1800,
            plan: &plan,
            dedupe: false,
        })?;
        events.push((event.event_id, event.group));
    }
    let leaders = leaders(api)?;
    events
        .into_iter()
        .map(|(id, group)| {
            let leader = leaders.iter().find(|(led, _)| *led == group);
            Ok((id, leader.context("an event's group is not listed")?.1))
        })
        .collect()
}

/// Groups and who leads them, once leadership is spread and at rest.
fn leaders(api: &Api) -> anyhow::Result<Vec<(u32, u64)>> {
    let until = Instant::now() + Duration::from_secs(20);
    let mut before = Vec::new();
    loop {
        let led: Vec<(u32, u64)> = api
            .groups()?
            .iter()
            .filter_map(|group| Some((group.group_id, group.leader?)))
            .collect();
        if !led.is_empty() && led == before {
            return Ok(led);
        }
        if Instant::now() > until {
            bail!("leadership of the groups does not come to rest");
        }
        before = led;
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Connections to all nodes in turn, each for all events.
fn spread(addresses: &[String], events: usize, sessions: usize, calls: usize) -> Vec<Connection> {
    (0..sessions)
        .map(|session| Connection {
            address: addresses[session % addresses.len()].clone(),
            events: (0..events).collect(),
            calls: share(calls, sessions, session),
        })
        .collect()
}

/// Connections only to nodes that lead, in turn, each for what its node leads; calls by how many
/// events that is.
fn to_leaders(
    addresses: &[String],
    leaders: &[usize],
    sessions: usize,
    calls: usize,
) -> Vec<Connection> {
    let mut nodes: Vec<usize> = leaders.to_vec();
    nodes.sort_unstable();
    nodes.dedup();
    let sessions = sessions.max(nodes.len());
    let mut connections = Vec::new();
    let mut given = 0;
    let mut counted = 0;
    for (turn, node) in nodes.iter().enumerate() {
        let led: Vec<usize> = (0..leaders.len())
            .filter(|event| leaders[*event] == *node)
            .collect();
        counted += led.len();
        // Rounded on the running sum, so that all calls are given out.
        let calls_here = calls * counted / leaders.len() - given;
        given += calls_here;
        let sessions_here = share(sessions, nodes.len(), turn).clamp(1, calls_here.max(1));
        connections.extend((0..sessions_here).map(|session| Connection {
            address: addresses[*node].clone(),
            events: led.clone(),
            calls: share(calls_here, sessions_here, session),
        }));
    }
    connections.retain(|connection| connection.calls > 0);
    connections
}

/// The part of `whole` that is the `index`-th of `parts`.
fn share(whole: usize, parts: usize, index: usize) -> usize {
    whole * (index + 1) / parts - whole * index / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    fn calls(connections: &[Connection]) -> Vec<(&str, usize, usize)> {
        connections
            .iter()
            .map(|one| (one.address.as_str(), one.events.len(), one.calls))
            .collect()
    }

    #[test]
    fn a_hot_event_is_called_at_its_leader() {
        let connections = to_leaders(&addresses(), &[1], 4, 4096);
        assert_eq!(calls(&connections), [("b", 1, 1024); 4]);
        assert_eq!(calls(&to_leaders(&addresses(), &[2], 1, 1)), [("c", 1, 1)]);
    }

    #[test]
    fn many_events_share_the_calls_by_who_leads_how_many() {
        let leaders = [0, 0, 0, 1, 1, 1, 2, 2];
        let connections = to_leaders(&addresses(), &leaders, 4, 1000);
        let total: usize = connections.iter().map(|one| one.calls).sum();
        assert_eq!(total, 1000);
        assert_eq!(
            calls(&connections),
            [("a", 3, 375), ("b", 3, 375), ("c", 2, 125), ("c", 2, 125)]
        );
    }

    #[test]
    fn spread_goes_to_every_node() {
        let connections = spread(&addresses(), 1, 4, 10);
        assert_eq!(
            calls(&connections),
            [("a", 1, 2), ("b", 1, 3), ("c", 1, 2), ("a", 1, 3)]
        );
    }
}
