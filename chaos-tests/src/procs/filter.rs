//! What a node's network refuses, as rules of `nft` in its namespace: everything is refused on its way
//! in, so that each direction between two nodes is a rule of its own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::Trouble;
use super::namespace::Namespace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing from there arrives.
    Drop(Ipv4Addr),
    /// What comes from there is answered with a reset.
    Reset(Ipv4Addr),
    /// So many packets of a hundred are lost, wherever they come from.
    Loss(u32),
}

/// The rules of all nodes, by place.
#[derive(Default)]
pub struct Filter {
    rules: BTreeMap<usize, Vec<Rule>>,
}

const TABLE: &str = "onsale_chaos";

impl Filter {
    pub fn add(&mut self, at: usize, rule: Rule) {
        self.rules.entry(at).or_default().push(rule);
    }

    /// The places that have rules.
    pub fn places(&self) -> Vec<usize> {
        self.rules.keys().copied().collect()
    }

    /// Puts the rules of a place into force, instead of those before.
    pub fn apply(&self, at: usize, space: &Namespace) -> Result<(), Trouble> {
        let rules = self.rules.get(&at).map_or(&[][..], Vec::as_slice);
        space.run("nft", &["-f", "-"], &script(rules))?;
        Ok(())
    }

    /// Takes a place's rules out of force; how many packets they met.
    pub fn lift(&mut self, at: usize, space: &Namespace) -> Result<u64, Trouble> {
        self.rules.remove(&at);
        let met = packets(&space.run("nft", &["list", "table", "inet", TABLE], "")?);
        space.run("nft", &["delete", "table", "inet", TABLE], "")?;
        Ok(met)
    }
}

fn script(rules: &[Rule]) -> String {
    let mut script = format!("add table inet {TABLE}\ndelete table inet {TABLE}\n");
    script.push_str(&format!(
        "table inet {TABLE} {{\nchain in {{\ntype filter hook input priority 0; policy accept;\n"
    ));
    for rule in rules {
        let line = match rule {
            Rule::Drop(from) => format!("ip saddr {from} counter drop\n"),
            Rule::Reset(from) => {
                format!("ip saddr {from} meta l4proto tcp counter reject with tcp reset\n")
            }
            Rule::Loss(percent) => format!("numgen random mod 100 < {percent} counter drop\n"),
        };
        script.push_str(&line);
    }
    script.push_str("}\n}\n");
    script
}

/// The sum of all counters in a listing.
fn packets(listing: &str) -> u64 {
    let counted = listing.split("counter packets ").skip(1);
    counted
        .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added() {
        let listing = "chain in {\n ip saddr 10.0.0.1 counter packets 12 bytes 720 drop\n \
                       numgen random mod 100 < 20 counter packets 30 bytes 1 drop\n }";
        assert_eq!(packets(listing), 42);
        assert_eq!(packets("chain in { }"), 0);
    }
}
