//! What every shape of load stands on: three nodes as processes, one event with room for all who come,
//! a partner's key, and cores that are kept apart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use cluster::components::{Net, WallClock};
use onsale::load::call::Line;
use onsale::load::connect::{Bearer, MachineClock, Tcp};
use onsale::local::api::{self, Api, NewEvent};
use onsale::local::{Local, Profile, Settings};

/// Places of the event: those who come within a second and a bit hold one each.
const PLACES: u32 = 400_000;

/// The nodes, and the way to them.
pub struct Cluster {
    pub local: Local,
    pub api: Api,
}

/// What a connection needs to know.
pub struct Scene {
    pub net: Arc<dyn Net>,
    pub wall: Arc<dyn WallClock>,
    pub key: Bearer,
    pub event: u64,
    pub lines: Vec<Line>,
    pub addresses: Vec<String>,
    /// Of the node that leads the event, by its place among the addresses.
    pub leader: usize,
}

impl Cluster {
    /// `executable` is one that understands `serve --config FILE`.
    pub async fn start(executable: &Path, nodes: usize) -> anyhow::Result<(Cluster, Scene)> {
        pin(Cores::First);
        let mut settings = Settings::of_this_program(nodes, Profile::Default)?;
        settings.executable = PathBuf::from(executable);
        let local = Local::started(settings).await?;
        pin(Cores::Last);
        let api = local.api();
        let (key, event, group) = {
            let api = api.clone();
            api::off(move || {
                let plan = plan();
                let event = api.open_event(&NewEvent {
                    name: "Load",
                    venue: "Field",
                    test_mode: true,
                    hold_ttl_s: 60,
                    plan: plan.as_bytes(),
                    dedupe: false,
                })?;
                Ok((api.partner("load")?.key, event.event_id, event.group))
            })
            .await?
        };
        let scene = Scene {
            net: Arc::new(Tcp),
            wall: Arc::new(MachineClock),
            key: Bearer::new(&key).context("the node made a key that is no text")?,
            event,
            lines: vec![Line::General {
                section: 0,
                quantity: 1,
            }],
            addresses: local.partner_addresses(),
            leader: leader(&local, &api, group).await?,
        };
        Ok((Cluster { local, api }, scene))
    }

    /// Starts a node that was killed, where the others are.
    pub fn restart(&mut self, index: usize) -> anyhow::Result<()> {
        pin(Cores::First);
        let started = self.local.restart(index);
        pin(Cores::Last);
        started
    }

    pub fn resident_mib(&self) -> Vec<f64> {
        let usage = self.local.usage().into_iter();
        usage
            .map(|usage| usage.resident_bytes as f64 / f64::from(1 << 20))
            .collect()
    }
}

/// A field to stand on.
fn plan() -> String {
    format!(
        "{{\"name\":\"Field\",\"categories\":[{{\"name\":\"Any\",\"color\":\"#336699\"}}],\
         \"size\":{{\"width\":100,\"height\":100}},\"zones\":[{{\"name\":\"Field\",\
         \"position\":{{\"x\":0,\"y\":0}},\"rows\":[],\"areas\":[{{\"shape\":\"rectangle\",\
         \"rectangle\":{{\"width\":100,\"height\":100}},\"rotation\":0,\"position\":{{\"x\":0,\"y\":0}},\
         \"text\":{{\"text\":\"Field [standing {PLACES}: Any]\"}}}}]}}]}}"
    )
}

/// Who leads a group, once leadership is at rest; by its place among the nodes.
pub async fn leader(local: &Local, api: &Api, group: u32) -> anyhow::Result<usize> {
    let until = Instant::now() + Duration::from_secs(30);
    let mut before = None;
    while Instant::now() < until {
        let api = api.clone();
        let groups = api::off(move || api.groups()).await?;
        let led = groups.iter().find(|listed| listed.group_id == group);
        let leader = led.and_then(|led| led.leader);
        if leader.is_some() && leader == before {
            let index = leader.and_then(|leader| local.index_of(leader));
            return index.context("an unknown node leads");
        }
        before = leader;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bail!("nobody leads group {group} for long")
}

/// Which cores the calling thread, and whatever it starts, runs on.
#[derive(Clone, Copy)]
enum Cores {
    First,
    /// All others where there are several, so that the load does not take from the nodes.
    Last,
}

/// On a machine with one core nothing is kept apart.
fn pin(cores: Cores) {
    // As the process found them: a pinned thread sees only its own.
    static ALL: OnceLock<Vec<usize>> = OnceLock::new();
    let all = ALL.get_or_init(allowed);
    if all.len() < 2 {
        return;
    }
    let (first, last) = all.split_at(all.len() / 2);
    let mine = match cores {
        Cores::First => first,
        Cores::Last => last,
    };
    // SAFETY: an all-zero set is an empty one; the macros only set bits of it; the call reads it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        mine.iter().for_each(|core| libc::CPU_SET(*core, &mut set));
        // Not being allowed to is a worse measurement, not a fault.
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// The cores that the calling thread may run on.
fn allowed() -> Vec<usize> {
    // SAFETY: an all-zero set is an empty one; the call writes no more than it; the macro reads it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
        let cores = 0..libc::CPU_SETSIZE as usize;
        cores.filter(|core| libc::CPU_ISSET(*core, &set)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_load_have_cores_of_their_own_however_often_they_are_told_apart() {
        let all = allowed();
        if all.len() < 2 {
            println!("SKIPPED: one core");
            return;
        }
        for _ in 0..2 {
            pin(Cores::First);
            let nodes = allowed();
            pin(Cores::Last);
            let load = allowed();
            assert!(!nodes.is_empty() && !load.is_empty());
            assert_eq!([nodes, load].concat(), all);
        }
    }
}
