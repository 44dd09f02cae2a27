//! `onsale ctl events …`.

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::args::{ChannelChange, Create, Events, RuleChanges, SetRules};
use super::{Client, Shown, plans, tables, trouble};
use crate::http::bodies::{Channel, DecidePrices, ProposePrices, Rules, SeatList, Span};
use crate::http::views::{
    Applied, EventList, EventSummary, Forecast, PriceDecision, PriceProposal, RecommendationList,
};

pub fn run(client: &Client, verb: Events) -> anyhow::Result<Shown> {
    match verb {
        Events::List { trouble: true } => {
            let list = trouble::look(client)?;
            Shown::new(&list, tables::trouble(&list))
        }
        Events::List { trouble: false } => {
            let list: EventList = client.get("/v1/events")?;
            Shown::new(&list, tables::events(&list))
        }
        Events::Create(create) => created(client, create),
        Events::Show { event } => {
            let summary: EventSummary = client.get(&format!("/v1/events/{event}"))?;
            Shown::new(&summary, tables::event(&summary))
        }
        Events::Open { event } => command(client, event, "open"),
        Events::Pause { event } => command(client, event, "pause"),
        Events::Resume { event } => command(client, event, "resume"),
        Events::Close { event } => command(client, event, "close"),
        Events::Reopen { event } => command(client, event, "reopen"),
        Events::Release { event } => {
            client.order("POST", &format!("/v1/events/{event}/release"), &json!({}))?;
            Ok(Shown::done(&format!("event {event} is taken up again")))
        }
        Events::Block { event, seats } => spans(client, event, "block", seats),
        Events::Unblock { event, seats } => spans(client, event, "unblock", seats),
        Events::Forecast { event } => {
            let forecast: Forecast = client.get(&format!("/v1/events/{event}/forecast"))?;
            Shown::new(&forecast, tables::forecast(&forecast))
        }
        Events::Recommendations { event } => {
            let path = format!("/v1/events/{event}/recommendations");
            let list: RecommendationList = client.get(&path)?;
            Shown::new(&list, tables::recommendations(&list))
        }
        Events::ProposePrices { event, categories } => {
            let path = format!("/v1/events/{event}/price-proposals");
            let proposal: PriceProposal = client.post(&path, &ProposePrices { categories })?;
            Shown::new(&proposal, tables::price_proposal(&proposal))
        }
        Events::DecidePrices {
            event,
            proposal,
            approve,
            refuse: _,
        } => {
            let body = DecidePrices {
                proposal_id: proposal,
                approve,
            };
            let path = format!("/v1/events/{event}/price-decisions");
            let decision: PriceDecision = client.post(&path, &body)?;
            Shown::new(&decision, tables::price_decision(&decision))
        }
        Events::Rules(SetRules { event, rules }) => set_rules(client, event, rules),
    }
}

/// The body as the API reads it; the plan goes in as the text it is.
#[derive(Serialize)]
struct Body<'a> {
    name: &'a str,
    venue: &'a str,
    organiser: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<&'a str>,
    test_mode: bool,
    dedupe: bool,
    rules: Rules,
    plan: &'a RawValue,
}

fn created(client: &Client, create: Create) -> anyhow::Result<Shown> {
    let file = create.plan.display();
    let text = plans::read(&create.plan)?;
    let plan: &RawValue =
        serde_json::from_slice(&text).with_context(|| format!("{file} is not JSON"))?;
    let body = serde_json::to_vec(&Body {
        name: &create.name,
        venue: &create.venue,
        organiser: &create.organiser,
        starts_at: create.starts_at.as_deref(),
        test_mode: create.test_mode,
        dedupe: create.dedupe,
        rules: changed(Rules::default(), create.rules),
        plan,
    })?;
    let summary: EventSummary = client.post_text("/v1/events", body)?;
    Shown::new(&summary, tables::event(&summary))
}

pub(super) fn changed(rules: Rules, changes: RuleChanges) -> Rules {
    let RuleChanges {
        hold_ttl_s,
        hold_life_max_s,
        buyer_limit,
        hold_seats_max,
        channels,
    } = changes;
    Rules {
        hold_ttl_s: hold_ttl_s.unwrap_or(rules.hold_ttl_s),
        hold_life_max_s: hold_life_max_s.unwrap_or(rules.hold_life_max_s),
        buyer_limit: buyer_limit.unwrap_or(rules.buyer_limit),
        hold_seats_max: hold_seats_max.unwrap_or(rules.hold_seats_max),
        channels: match channels.is_empty() {
            true => rules.channels,
            false => channels
                .into_iter()
                .map(|change| changed_channel(&rules.channels, change))
                .collect(),
        },
    }
}

fn changed_channel(known: &[Channel], change: ChannelChange) -> Channel {
    let ChannelChange {
        channel,
        floor,
        cap,
        hold_ttl_s,
    } = change;
    let before = known.iter().find(|known| known.channel == channel);
    Channel {
        channel,
        floor,
        cap,
        hold_ttl_s: hold_ttl_s.unwrap_or(before.map_or(0, |known| known.hold_ttl_s)),
    }
}

fn command(client: &Client, event: u64, verb: &str) -> anyhow::Result<Shown> {
    let applied: Applied = client.post(&format!("/v1/events/{event}/{verb}"), &json!({}))?;
    Shown::new(&applied, tables::applied(&applied))
}

fn spans(client: &Client, event: u64, verb: &str, seats: Vec<Span>) -> anyhow::Result<Shown> {
    let path = format!("/v1/events/{event}/{verb}");
    let applied: Applied = client.post(&path, &SeatList { seats })?;
    Shown::new(&applied, tables::applied(&applied))
}

fn set_rules(client: &Client, event: u64, changes: RuleChanges) -> anyhow::Result<Shown> {
    if changes == RuleChanges::default() {
        bail!("nothing is to be changed: give a rule (--help tells which there are)");
    }
    let summary: EventSummary = client.get(&format!("/v1/events/{event}"))?;
    let rules = changed(summary.rules, changes);
    let applied: Applied = client.put(&format!("/v1/events/{event}/rules"), &rules)?;
    Shown::new(&applied, tables::applied(&applied))
}
