//! Which links are cut or held, and for whose sake: a link works again when the last fault on it has
//! ended.

use std::collections::BTreeMap;

use turmoil::Sim;

/// Names a fault on links.
pub type LinkFault = u64;

/// What a fault does to links.
#[derive(Clone, Debug)]
pub enum Damage {
    /// Nothing gets from the first to the second, and what is on its way is lost.
    Cut(Vec<(String, String)>),
    /// Everything waits until the fault ends.
    Hold(Vec<(String, String)>),
}

/// What one link is in.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct State {
    /// From the name that sorts first to the other.
    cut_there: bool,
    cut_back: bool,
    held: bool,
}

#[derive(Default)]
pub struct Links {
    faults: BTreeMap<LinkFault, Damage>,
    states: BTreeMap<(String, String), State>,
    next: LinkFault,
}

impl Links {
    pub fn damage(&mut self, sim: &mut Sim<'_>, damage: Damage) -> LinkFault {
        self.next += 1;
        self.faults.insert(self.next, damage);
        self.carry_out(sim);
        self.next
    }

    pub fn mend(&mut self, sim: &mut Sim<'_>, fault: LinkFault) {
        self.faults.remove(&fault);
        self.carry_out(sim);
    }

    fn carry_out(&mut self, sim: &mut Sim<'_>) {
        let wanted = self.wanted();
        let known = self.states.keys().chain(wanted.keys());
        let pairs: std::collections::BTreeSet<_> = known.cloned().collect();
        for pair in pairs {
            let old = self.states.get(&pair).copied().unwrap_or_default();
            let new = wanted.get(&pair).copied().unwrap_or_default();
            if old != new {
                change(sim, &pair, old, new);
            }
        }
        self.states = wanted;
    }

    fn wanted(&self) -> BTreeMap<(String, String), State> {
        let mut wanted: BTreeMap<(String, String), State> = BTreeMap::new();
        for damage in self.faults.values() {
            let (Damage::Cut(links) | Damage::Hold(links)) = damage;
            for (from, to) in links {
                let there = from < to;
                let pair = if there { (from, to) } else { (to, from) };
                let state = wanted.entry((pair.0.clone(), pair.1.clone())).or_default();
                match damage {
                    Damage::Hold(_) => state.held = true,
                    Damage::Cut(_) if there => state.cut_there = true,
                    Damage::Cut(_) => state.cut_back = true,
                }
            }
        }
        wanted
    }
}

fn change(sim: &mut Sim<'_>, (a, b): &(String, String), old: State, new: State) {
    let (a, b) = (a.as_str(), b.as_str());
    if old.held {
        sim.release(a, b);
    }
    sim.repair(a, b);
    if new.held && !new.cut_there && !new.cut_back {
        sim.hold(a, b);
    }
    if new.cut_there {
        sim.partition_oneway(a, b);
    }
    if new.cut_back {
        sim.partition_oneway(b, a);
    }
}
