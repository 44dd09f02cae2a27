//! The network of a cluster: a namespace for each node and one for the buyers, joined by a bridge in
//! a namespace of its own. Nothing of it touches the machine's own network.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::filter::{Filter, Rule};
use super::leftovers::Ledger;
use super::namespace::{Namespace, Visit};
use super::relay::{Relay, Tally, Twist};
use super::{Trouble, trouble};

pub struct Network {
    ledger: Arc<Ledger>,
    bridge: Namespace,
    /// Where the buyers and the harness are.
    clients: Namespace,
    nodes: Vec<Namespace>,
    filter: Filter,
    relays: Vec<(usize, Relay)>,
    shaped: Vec<usize>,
}

const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

impl Network {
    pub fn make(ledger: &Arc<Ledger>) -> Result<Network, Trouble> {
        let bridge = Namespace::make(ledger, "bridge")?;
        bridge.ip("link add br0 type bridge forward_delay 0 stp_state 0\nlink set br0 up")?;
        let clients = Namespace::make(ledger, "clients")?;
        let network = Network {
            ledger: Arc::clone(ledger),
            bridge,
            clients,
            nodes: Vec::new(),
            filter: Filter::default(),
            relays: Vec::new(),
            shaped: Vec::new(),
        };
        network.join(&network.clients, "clients", CLIENTS)?;
        Ok(network)
    }

    /// One more node's place; its address.
    pub fn add(&mut self) -> Result<Ipv4Addr, Trouble> {
        let at = self.nodes.len();
        let space = Namespace::make(&self.ledger, &format!("n{}", at + 1))?;
        let address = Self::address(at);
        self.join(&space, &port(at), address)?;
        self.nodes.push(space);
        Ok(address)
    }

    fn join(&self, space: &Namespace, port: &str, address: Ipv4Addr) -> Result<(), Trouble> {
        self.bridge.ip(&format!(
            "link add {port} type veth peer name eth0 netns {}\nlink set {port} master br0 up",
            space.name()
        ))?;
        space.ip(&format!("addr add {address}/24 dev eth0\nlink set eth0 up"))
    }

    pub fn address(at: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, at as u8 + 1)
    }

    pub fn node(&self, at: usize) -> &Namespace {
        &self.nodes[at]
    }

    /// This thread goes where the buyers are.
    pub fn visit(&self) -> Result<Visit, Trouble> {
        Ok(self.clients.visit()?)
    }

    /// Nothing goes from one to the other; the way back stays.
    pub fn cut(&mut self, from: usize, to: usize) -> Result<(), Trouble> {
        self.refuse(to, Rule::Drop(Self::address(from)))
    }

    pub fn cut_clients(&mut self, to: usize) -> Result<(), Trouble> {
        self.refuse(to, Rule::Drop(CLIENTS))
    }

    /// Everybody else's packets are answered with resets.
    pub fn reset(&mut self, at: usize) -> Result<(), Trouble> {
        let others = (0..self.nodes.len()).filter(|other| *other != at);
        for from in others.map(Self::address).chain([CLIENTS]) {
            self.filter.add(at, Rule::Reset(from));
        }
        self.filter.apply(at, &self.nodes[at])
    }

    pub fn lose(&mut self, at: usize, percent: u32) -> Result<(), Trouble> {
        self.refuse(at, Rule::Loss(percent))
    }

    fn refuse(&mut self, at: usize, rule: Rule) -> Result<(), Trouble> {
        self.filter.add(at, rule);
        self.filter.apply(at, &self.nodes[at])
    }

    /// Ends what was refused at these places; how many packets it met.
    pub fn open(&mut self, places: &[usize]) -> Result<u64, Trouble> {
        let mut met = 0;
        for at in self.filter.places() {
            if places.contains(&at) {
                met += self.filter.lift(at, &self.nodes[at])?;
            }
        }
        Ok(met)
    }

    /// All of a node's frames go over a wire with faults.
    pub fn twist(&mut self, at: usize, twist: Twist, seed: u64) -> Result<(), Trouble> {
        let (port, near, far) = (port(at), format!("near{at}"), format!("far{at}"));
        self.bridge.ip(&format!(
            "link add {near} type veth peer name {far}\nlink set {near} master br0 up\n\
             link set {far} up"
        ))?;
        let relay = {
            let _visit = self.bridge.visit()?;
            Relay::start(&port, &far, twist, seed)?
        };
        self.relays.push((at, relay));
        self.bridge.ip(&format!("link set {port} nomaster"))
    }

    pub fn untwist(&mut self, at: usize) -> Result<Tally, Trouble> {
        let found = self.relays.iter().position(|(place, _)| *place == at);
        let found = found.ok_or_else(|| trouble("there is no relay"))?;
        self.bridge
            .ip(&format!("link set {} master br0", port(at)))?;
        let tally = self.relays.swap_remove(found).1.stop()?;
        self.bridge.ip(&format!("link delete near{at}"))?;
        Ok(tally)
    }

    /// So many kilobits a second each way, with a queue of so long.
    pub fn shape(&mut self, at: usize, kbit: u32, queue: Duration) -> Result<(), Trouble> {
        let (rate, latency) = (format!("{kbit}kbit"), format!("{}ms", queue.as_millis()));
        let port = port(at);
        self.shaped.push(at);
        for (space, device) in [(&self.nodes[at], "eth0"), (&self.bridge, port.as_str())] {
            let add = ["qdisc", "replace", "dev", device, "root", "tbf", "rate"];
            let rest = [rate.as_str(), "burst", "16kb", "latency", latency.as_str()];
            space.run("tc", &[&add[..], &rest[..]].concat(), "")?;
        }
        Ok(())
    }

    /// Ends it; how many packets had to wait or were lost.
    pub fn unshape(&mut self, at: usize) -> Result<u64, Trouble> {
        self.shaped.retain(|shaped| *shaped != at);
        let port = port(at);
        let mut met = 0;
        for (space, device) in [(&self.nodes[at], "eth0"), (&self.bridge, port.as_str())] {
            met += overlimits(&space.run("tc", &["-s", "qdisc", "show", "dev", device], "")?);
            space.run("tc", &["qdisc", "delete", "dev", device, "root"], "")?;
        }
        Ok(met)
    }

    /// Ends whatever there is.
    pub fn heal(&mut self) -> Result<(), Trouble> {
        self.open(&self.filter.places())?;
        for at in 0..self.nodes.len() {
            if self.relays.iter().any(|(place, _)| *place == at) {
                self.untwist(at)?;
            }
            if self.shaped.contains(&at) {
                self.unshape(at)?;
            }
        }
        Ok(())
    }
}

fn port(at: usize) -> String {
    format!("node{at}")
}

/// From `tc -s`: `… (dropped 3, overlimits 40 requeues 0)`.
fn overlimits(text: &str) -> u64 {
    let counted = text.split("overlimits ").skip(1);
    counted
        .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok())
        .sum()
}
