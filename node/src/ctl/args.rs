//! The nouns and verbs of `onsale ctl` and their arguments.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use crate::http::bodies::{Span, TrustPurpose};

/// Drives a cluster through any of its nodes.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// HTTP address of any node.
    #[arg(
        long,
        global = true,
        env = "ONSALE_URL",
        default_value = "http://127.0.0.1:7200"
    )]
    pub url: String,
    /// An operator's key.
    #[arg(
        long,
        global = true,
        env = "ONSALE_KEY",
        hide_env_values = true,
        default_value = ""
    )]
    pub key: String,
    /// JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// Repeat a call whose outcome is not known under the key it ran with (a UUIDv7).
    #[arg(long, global = true, value_name = "UUID")]
    pub idempotency_key: Option<String>,
    #[command(subcommand)]
    pub noun: Noun,
}

#[derive(Subcommand, Debug)]
pub enum Noun {
    /// Events and their sales.
    Events {
        #[command(subcommand)]
        verb: Events,
    },
    /// Seating plans, without a node.
    Plan {
        #[command(subcommand)]
        verb: Plan,
    },
    /// Orders, from the index of the node that is asked.
    Orders {
        #[command(subcommand)]
        verb: Orders,
    },
    /// Holds, from the index of the node that is asked.
    Holds {
        #[command(subcommand)]
        verb: Holds,
    },
    /// Waiting rooms of events, and the keys that sign their passes.
    Queue {
        #[command(subcommand)]
        verb: Queue,
    },
    /// Channel partners.
    Partners {
        #[command(subcommand)]
        verb: Partners,
    },
    /// API keys of partners and operators.
    Keys {
        #[command(subcommand)]
        verb: Keys,
    },
    /// Nodes of the cluster.
    Nodes {
        #[command(subcommand)]
        verb: Nodes,
    },
    /// Raft groups: the root group (0) and the sale groups.
    Groups {
        #[command(subcommand)]
        verb: Groups,
    },
    /// What a sale's actor believes.
    Observe { sale: u64 },
}

#[derive(Subcommand, Debug)]
pub enum Events {
    List {
        /// Only those that are frozen, silent, without a leader, or whose waiting room is shut though
        /// visitors wait and seats are free; each is asked.
        #[arg(long)]
        trouble: bool,
    },
    Create(Create),
    Show {
        event: u64,
    },
    Open {
        event: u64,
    },
    Pause {
        event: u64,
    },
    Resume {
        event: u64,
    },
    Close {
        event: u64,
    },
    /// Takes a sale up again that was frozen after a fault, without the command that broke it.
    Release {
        event: u64,
    },
    /// Only in test mode: everything sold is free again.
    Reopen {
        event: u64,
    },
    /// Takes free seats off sale.
    Block {
        event: u64,
        /// SECTION:SEAT or SECTION:FIRST-LAST.
        #[arg(required = true, value_parser = span)]
        seats: Vec<Span>,
    },
    /// Puts blocked seats back on sale.
    Unblock {
        event: u64,
        /// SECTION:SEAT or SECTION:FIRST-LAST.
        #[arg(required = true, value_parser = span)]
        seats: Vec<Span>,
    },
    /// Changes what is given, keeps the rest.
    Rules(SetRules),
    /// When the sale will have sold out, and how many seats it will have sold.
    Forecast {
        event: u64,
    },
    /// What else the event's buyers buy, from the index of the node that is asked.
    Recommendations {
        event: u64,
    },
    /// Proposes other prices from the forecast; changes nothing.
    ProposePrices {
        event: u64,
        /// NAME:PRICE:FLOOR:CAP:STEP, amounts in minor units.
        #[arg(long = "category", required = true, value_parser = priced)]
        categories: Vec<crate::http::bodies::PricedCategory>,
    },
    /// Writes down what was decided on a proposal; changes nothing else.
    DecidePrices {
        event: u64,
        proposal: String,
        #[arg(long, required_unless_present = "refuse")]
        approve: bool,
        #[arg(long, conflicts_with = "approve")]
        refuse: bool,
    },
}

#[derive(Subcommand, Debug)]
pub enum Queue {
    /// Gives an announced event a waiting room, which opens it.
    Arm(Arm),
    Show {
        event: u64,
    },
    /// Nobody is let in until it is resumed.
    Pause {
        event: u64,
    },
    Resume {
        event: u64,
    },
    /// Changes what is given while visitors wait, keeps the rest.
    Set(SetQueue),
    /// Takes nobody new; who waits is let in. --undo takes newcomers again.
    Drain {
        event: u64,
        #[arg(long)]
        undo: bool,
    },
    /// Moves the lobby's and the event's opening, until the lobby has closed.
    Move {
        event: u64,
        #[arg(long)]
        lobby_at: String,
        #[arg(long)]
        opens_at: String,
    },
    /// Gives the outside value that the shuffle waits for: 32 bytes in hexadecimal.
    Beacon {
        event: u64,
        beacon: String,
    },
    /// Takes a visitor out by a rule, whose number the visitor is told and the evidence names.
    Remove {
        event: u64,
        visitor: String,
        #[arg(long)]
        reason: u32,
    },
    /// Writes the evidence of the shuffle, for `onsale verify-queue`.
    Evidence {
        event: u64,
        file: PathBuf,
    },
    /// Takes tokens that a partner signs for the event: as passes of a waiting room of its own, or to
    /// join the one here, which its visitors then need; without a key no more.
    Trust {
        event: u64,
        #[arg(long)]
        partner: u32,
        /// Ed25519, 32 bytes in hexadecimal.
        #[arg(long)]
        public_key: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        purpose: TrustPurpose,
    },
    /// The keys that sign passes.
    Keys,
    /// Makes a new key to sign passes; the one before stays good.
    RotateKey,
}

#[derive(ClapArgs, Debug)]
pub struct Arm {
    pub event: u64,
    /// From when on visitors may come, like 2026-09-01T19:30:00Z.
    #[arg(long)]
    pub lobby_at: String,
    /// When the lobby closes and the first are let in.
    #[arg(long)]
    pub opens_at: String,
    /// Nobody is let in before an outside value is given once the lobby has closed.
    #[arg(long)]
    pub beacon: bool,
    /// A pass is good for so long, and for so many tickets.
    #[arg(long, default_value_t = 600)]
    pub pass_life_s: u32,
    #[arg(long, default_value_t = 8)]
    pub pass_tickets: u16,
    /// Visitors a minute at most.
    #[arg(long)]
    pub per_minute: Option<u32>,
    /// Visitors with an unused pass at most.
    #[arg(long)]
    pub at_the_desk: Option<u32>,
    /// When 99 of 100 holds take longer, fewer are let in.
    #[arg(long, default_value_t = 250)]
    pub hold_ms: u32,
    /// CHANNEL:CLASS:WEIGHT, with * for any; a visitor takes the first that is theirs.
    #[arg(long = "lane", value_parser = lane)]
    pub lanes: Vec<crate::http::bodies::QueueLane>,
}

#[derive(ClapArgs, Debug)]
pub struct SetQueue {
    pub event: u64,
    /// Visitors a minute at most; "none" lifts the ceiling.
    #[arg(long, value_parser = ceiling)]
    pub per_minute: Option<Ceiling>,
    /// Visitors with an unused pass at most; "none" lifts the ceiling.
    #[arg(long, value_parser = ceiling)]
    pub at_the_desk: Option<Ceiling>,
    #[arg(long)]
    pub hold_ms: Option<u32>,
    /// One for each lane.
    #[arg(long, value_delimiter = ',')]
    pub weights: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling(pub Option<u32>);

fn ceiling(text: &str) -> Result<Ceiling, String> {
    match text {
        "none" => Ok(Ceiling(None)),
        number => number
            .parse()
            .map(|number| Ceiling(Some(number)))
            .map_err(|_| format!("{text:?} is neither a number nor none")),
    }
}

fn lane(text: &str) -> Result<crate::http::bodies::QueueLane, String> {
    let wrong = || format!("{text:?} is not CHANNEL:CLASS:WEIGHT, like *:1:3");
    let parts: Vec<&str> = text.split(':').collect();
    let [channel, class, weight] = parts.as_slice() else {
        return Err(wrong());
    };
    let any = |part: &str| part == "*";
    Ok(crate::http::bodies::QueueLane {
        channel: match any(channel) {
            true => None,
            false => Some(channel.parse().map_err(|_| wrong())?),
        },
        class: match any(class) {
            true => None,
            false => Some(class.parse().map_err(|_| wrong())?),
        },
        weight: weight.parse().map_err(|_| wrong())?,
    })
}

#[derive(ClapArgs, Debug)]
pub struct Create {
    #[arg(long)]
    pub name: String,
    /// A seating plan in the JSON format of seats.pretix.eu.
    #[arg(long)]
    pub plan: PathBuf,
    #[arg(long, default_value = "")]
    pub venue: String,
    #[arg(long, default_value = "")]
    pub organiser: String,
    /// Like 2026-09-01T19:30:00+02:00.
    #[arg(long)]
    pub starts_at: Option<String>,
    /// A sale for trials; it can be reopened.
    #[arg(long)]
    pub test_mode: bool,
    /// Make ids for seats that share theirs.
    #[arg(long)]
    pub dedupe: bool,
    #[command(flatten)]
    pub rules: RuleChanges,
}

#[derive(ClapArgs, Debug)]
pub struct SetRules {
    pub event: u64,
    #[command(flatten)]
    pub rules: RuleChanges,
}

#[derive(ClapArgs, Debug, Default, PartialEq)]
pub struct RuleChanges {
    /// Time a hold lives when the caller asks for none.
    #[arg(long, value_name = "SECONDS")]
    pub hold_ttl_s: Option<u32>,
    /// Longest life of a hold, extensions included.
    #[arg(long, value_name = "SECONDS")]
    pub hold_life_max_s: Option<u32>,
    /// Most seats one buyer may have; 0 is no limit.
    #[arg(long)]
    pub buyer_limit: Option<u32>,
    /// Most seats in one hold.
    #[arg(long)]
    pub hold_seats_max: Option<u32>,
    /// A channel's quota and hold time, CHANNEL:FLOOR[:CAP[:TTL_S]]; all of them together replace
    /// those there were. An empty cap is none; a channel's hold time stays when it is not given,
    /// and 0 takes the sale's.
    #[arg(long = "channel", value_parser = channel)]
    pub channels: Vec<ChannelChange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelChange {
    pub channel: u16,
    pub floor: u32,
    pub cap: Option<u32>,
    pub hold_ttl_s: Option<u32>,
}

#[derive(Subcommand, Debug)]
pub enum Plan {
    /// Says what a plan has, or where its fault is.
    Check {
        file: PathBuf,
        /// Make ids for seats that share theirs, and name them.
        #[arg(long)]
        dedupe: bool,
    },
}

#[derive(ClapArgs, Debug, Default)]
pub struct Search {
    #[arg(long)]
    pub event: Option<u64>,
    #[arg(long)]
    pub partner: Option<u32>,
    /// UUID.
    #[arg(long)]
    pub buyer: Option<String>,
    #[arg(long)]
    pub state: Option<String>,
    /// Placed at or after, like 2026-09-01T19:30.
    #[arg(long)]
    pub from: Option<String>,
    /// Placed before.
    #[arg(long)]
    pub to: Option<String>,
    /// The `next_page` of the answer before.
    #[arg(long)]
    pub page: Option<String>,
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub page_size: Option<u32>,
}

#[derive(Subcommand, Debug)]
pub enum Orders {
    List(Search),
    Show { order: String },
}

#[derive(Subcommand, Debug)]
pub enum Holds {
    List(Search),
    Show { hold: String },
}

#[derive(Subcommand, Debug)]
pub enum Partners {
    List,
    Add {
        name: String,
        /// The next free one when not given.
        #[arg(long)]
        id: Option<u32>,
        /// The sales channel quotas count by; the partner's id when not given.
        #[arg(long)]
        channel: Option<u16>,
    },
}

#[derive(Subcommand, Debug)]
pub enum Keys {
    List,
    /// Makes a key and shows it, this once.
    Add {
        /// A key of this partner.
        #[arg(long, required_unless_present = "operator")]
        partner: Option<u32>,
        /// A key of an operator.
        #[arg(long, conflicts_with = "partner")]
        operator: bool,
    },
    Revoke {
        key_id: String,
    },
}

#[derive(Subcommand, Debug)]
pub enum Nodes {
    List,
    /// Makes a node known; it receives the cluster map and carries nothing yet.
    Join {
        node: u64,
        #[arg(long)]
        peer_address: String,
        #[arg(long)]
        partner_address: String,
        #[arg(long)]
        http_address: String,
    },
    /// Lets a node carry replicas and vote.
    Promote {
        node: u64,
    },
    /// Has a node's replicas moved to others.
    Drain {
        node: u64,
    },
    /// Takes a drained node out for good.
    Remove {
        node: u64,
    },
    /// Shows what a node logs, or changes it until its next start.
    LogFilter {
        node: u64,
        /// Level, then target=level: `info,onsale::grpc=debug`.
        filter: Option<String>,
    },
    /// Shows which share of calls a node traces beside those whose caller asks, or changes it until its
    /// next start.
    Sampling {
        node: u64,
        /// From 0 to 1: `0.01` is one in a hundred.
        ratio: Option<f64>,
    },
}

#[derive(Subcommand, Debug)]
pub enum Groups {
    List,
    /// Hands a group's leadership to another of its nodes.
    Transfer {
        group: u32,
        to: u64,
    },
    /// Takes a snapshot of a group on the node that is asked.
    Snapshot {
        group: u32,
    },
    /// Has the replica on the node that is asked begin anew after it differed from the others and
    /// was stopped.
    Rebuild {
        group: u32,
    },
}

/// `2:15` or `2:15-29`.
fn span(text: &str) -> Result<Span, String> {
    let wrong = || format!("{text:?} is not SECTION:SEAT or SECTION:FIRST-LAST");
    let (section, seats) = text.split_once(':').ok_or_else(wrong)?;
    let (first, last) = seats.split_once('-').unwrap_or((seats, seats));
    let section = section.parse().map_err(|_| wrong())?;
    let first: u32 = first.parse().map_err(|_| wrong())?;
    let last: u32 = last.parse().map_err(|_| wrong())?;
    let count = last.checked_sub(first).ok_or_else(wrong)?;
    Ok(Span {
        section,
        seat: first,
        count: count.saturating_add(1),
    })
}

/// `stalls:6500:4000:12000:500`.
fn priced(text: &str) -> Result<crate::http::bodies::PricedCategory, String> {
    let wrong = || format!("{text:?} is not NAME:PRICE:FLOOR:CAP:STEP");
    let mut parts = text.rsplitn(5, ':');
    let mut amount = || parts.next().and_then(|part| part.parse().ok());
    let (step, cap, floor, price) = (amount(), amount(), amount(), amount());
    let name = parts.next().filter(|name| !name.is_empty());
    Ok(crate::http::bodies::PricedCategory {
        name: name.ok_or_else(wrong)?.to_owned(),
        price: price.ok_or_else(wrong)?,
        floor: floor.ok_or_else(wrong)?,
        cap: cap.ok_or_else(wrong)?,
        step: step.ok_or_else(wrong)?,
    })
}

/// `2:100`, `2:100:500`, `2:100:500:60` or `2:100::60`.
fn channel(text: &str) -> Result<ChannelChange, String> {
    let wrong = || format!("{text:?} is not CHANNEL:FLOOR[:CAP[:TTL_S]]");
    let mut parts = text.split(':');
    let channel = parts.next().and_then(|part| part.parse().ok());
    let floor = parts.next().and_then(|part| part.parse().ok());
    let (cap, ttl_s) = (parts.next(), parts.next());
    let number = |part: &str| part.parse::<u32>().map_err(|_| wrong());
    let cap = match cap {
        Some("") if ttl_s.is_some() => None,
        cap => cap.map(number).transpose()?,
    };
    if parts.next().is_some() {
        return Err(wrong());
    }
    Ok(ChannelChange {
        channel: channel.ok_or_else(wrong)?,
        floor: floor.ok_or_else(wrong)?,
        cap,
        hold_ttl_s: ttl_s.map(number).transpose()?,
    })
}
