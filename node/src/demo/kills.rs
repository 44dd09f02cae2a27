//! Which node is killed when, and when it comes back. One node is down at a time, and the next
//! kill waits until the last one has caught up.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::ledger::Ledger;
use super::screen::Screen;
use crate::local::Local;
use crate::local::api::{self, Api};

/// What is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The leader, when half is sold.
    LeaderHalfway,
    /// Random nodes, spread over the sale.
    Random(u32),
}

impl Plan {
    pub fn count(self) -> u32 {
        match self {
            Plan::LeaderHalfway => 1,
            Plan::Random(count) => count,
        }
    }

    /// Places sold when the `index`-th kill is due.
    fn due_at(self, index: u32, for_sale: u64) -> u64 {
        for_sale * u64::from(index + 1) / u64::from(self.count() + 1)
    }

    /// Sales beyond this wait for the `index`-th kill to be over.
    fn gate(self, index: u32, for_sale: u64) -> u64 {
        if index >= self.count() {
            return u64::MAX;
        }
        self.due_at(index + 1, for_sale)
            .min(for_sale.saturating_sub(1))
    }
}

pub struct Kills {
    plan: Plan,
    done: u32,
    state: State,
    /// The longest silence after each kill.
    silences: Vec<Duration>,
    rng: StdRng,
}

enum State {
    Waiting,
    Down { node: usize, until: Instant },
    Rising { node: usize, until: Instant },
}

/// The leader stays away so long that one sees the others sell on.
const LEADER_AWAY: Duration = Duration::from_millis(4000);
const READY_WITHIN: Duration = Duration::from_secs(60);

impl Kills {
    pub fn new(plan: Plan, rng: StdRng) -> Kills {
        Kills {
            plan,
            done: 0,
            state: State::Waiting,
            silences: Vec::new(),
            rng,
        }
    }

    pub fn done(&self) -> u32 {
        self.done
    }

    /// Sales beyond this wait.
    pub fn gate(&self, for_sale: u64) -> u64 {
        match self.state {
            State::Waiting => self.plan.gate(self.done, for_sale),
            // The node that is down counts as not yet done.
            State::Down { .. } | State::Rising { .. } => {
                self.plan.gate(self.done.saturating_sub(1), for_sale)
            }
        }
    }

    /// Every node is up and nothing more is planned.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Waiting) && self.done == self.plan.count()
    }

    pub fn longest_silence(&self) -> Duration {
        self.silences.iter().max().copied().unwrap_or_default()
    }

    /// Does what is due. Called some times a second, on the thread that owns the nodes.
    pub async fn step(
        &mut self,
        local: &mut Local,
        api: &Api,
        event: u64,
        (sold, for_sale): (u64, u64),
        ledger: &Ledger,
        screen: &Screen,
    ) -> anyhow::Result<()> {
        let now = Instant::now();
        match self.state {
            State::Waiting => {
                let due =
                    self.done < self.plan.count() && sold >= self.plan.due_at(self.done, for_sale);
                if due {
                    self.kill(local, api, event, ledger, screen).await?;
                }
            }
            State::Down { node, until } if now >= until => {
                local.restart(node)?;
                self.state = State::Rising {
                    node,
                    until: now + READY_WITHIN,
                };
            }
            State::Down { .. } => {}
            State::Rising { node, until } => {
                self.rising(local, node, until, ledger, screen).await?
            }
        }
        Ok(())
    }

    async fn kill(
        &mut self,
        local: &mut Local,
        api: &Api,
        event: u64,
        ledger: &Ledger,
        screen: &Screen,
    ) -> anyhow::Result<()> {
        let asked = api.clone();
        let leader = api::off(move || asked.event_now(event)).await?.leader;
        let leader = leader.and_then(|id| local.index_of(id));
        let node = match self.plan {
            Plan::LeaderHalfway => match leader {
                Some(leader) => leader,
                // An election is under way: the next step asks again.
                None => return Ok(()),
            },
            Plan::Random(_) => self.rng.random_range(0..local.nodes().len()),
        };
        let away = match self.plan {
            Plan::LeaderHalfway => LEADER_AWAY,
            Plan::Random(_) => Duration::from_millis(self.rng.random_range(300..2500)),
        };
        let now = Instant::now();
        ledger.book().listen(now);
        local.kill(node);
        let id = local.nodes()[node].id;
        let what = if Some(node) == leader {
            ", which led the sale"
        } else {
            ""
        };
        screen.tell(&format!("kill -9: node {id}{what}"));
        self.done += 1;
        self.state = State::Down {
            node,
            until: now + away,
        };
        Ok(())
    }

    async fn rising(
        &mut self,
        local: &mut Local,
        node: usize,
        until: Instant,
        ledger: &Ledger,
        screen: &Screen,
    ) -> anyhow::Result<()> {
        let address = local.nodes()[node].http_address.clone();
        let id = local.nodes()[node].id;
        local.check_alive(node)?;
        let ready = api::off(move || Ok(api::is_ready(&address))).await?;
        if !ready {
            if Instant::now() > until {
                anyhow::bail!(
                    "node {id} did not come back within {} s",
                    READY_WITHIN.as_secs()
                );
            }
            return Ok(());
        }
        let silence = ledger.book().silence().unwrap_or_default();
        self.silences.push(silence);
        screen.tell(&format!(
            "node {id} is back and has caught up; the longest silence was {} ms",
            silence.as_millis()
        ));
        self.state = State::Waiting;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_spread_and_sales_wait_for_them() {
        let plan = Plan::Random(4);
        let due: Vec<u64> = (0..4).map(|index| plan.due_at(index, 1000)).collect();
        assert_eq!(due, [200, 400, 600, 800]);
        let gates: Vec<u64> = (0..5).map(|index| plan.gate(index, 1000)).collect();
        assert_eq!(gates, [400, 600, 800, 999, u64::MAX]);
        assert_eq!(Plan::LeaderHalfway.due_at(0, 1000), 500);
        assert_eq!(Plan::Random(0).gate(0, 1000), u64::MAX);
    }
}
