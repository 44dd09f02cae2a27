//! The API's answers as tables for a terminal. Plain text, one line a row, no colours and no lines
//! between: they are piped into `grep`.

mod forecast;

pub use forecast::{forecast, price_decision, price_proposal, recommendations};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::Value;

use super::trouble::{TroubleList, Troubled};
use crate::http::bodies::Channel;
use crate::http::views::{
    Applied, EventEntry, EventList, EventSummary, GroupList, HoldPage, KeyList, NodeList,
    OrderPage, PartnerList, PassKeyList, Queue,
};
use crate::plan::Report;

pub fn events(list: &EventList) -> String {
    let mut table = with(&[
        "event",
        "name",
        "venue",
        "starts at",
        "state",
        "group",
        "leader",
    ]);
    for entry in &list.events {
        let EventEntry {
            event_id,
            name,
            venue,
            organiser: _,
            starts_at,
            test_mode,
            state,
            group,
            leader,
        } = entry;
        let test = if *test_mode { " (test)" } else { "" };
        table.add_row([
            event_id.to_string(),
            format!("{name}{test}"),
            venue.clone(),
            starts_at.clone().unwrap_or_default(),
            state.clone(),
            group.to_string(),
            number(*leader),
        ]);
    }
    numbers(&mut table, &[0, 5, 6]);
    table.to_string()
}

pub fn trouble(list: &TroubleList) -> String {
    let TroubleList { events, asked } = list;
    if events.is_empty() {
        return format!("none of {asked} events is in trouble, as far as they can tell");
    }
    let mut table = with(&["event", "name", "leader", "why"]);
    for troubled in events {
        let Troubled {
            event_id,
            name,
            leader,
            why,
        } = troubled;
        table.add_row([
            event_id.to_string(),
            name.clone(),
            number(*leader),
            why.join("; "),
        ]);
    }
    numbers(&mut table, &[0, 2]);
    table.to_string()
}

pub fn event(event: &EventSummary) -> String {
    let mut table = with(&["", ""]);
    let EventSummary {
        entry,
        phase,
        seats,
        holds,
        orders,
        rules,
        revision,
        applied_index,
        digest,
        frozen,
    } = event;
    let limit = match rules.buyer_limit {
        0 => "none".to_owned(),
        limit => limit.to_string(),
    };
    let mut rows = vec![
        ("event", entry.event_id.to_string()),
        ("name", entry.name.clone()),
        ("venue", entry.venue.clone()),
        ("organiser", entry.organiser.clone()),
        ("starts at", entry.starts_at.clone().unwrap_or_default()),
        ("test mode", entry.test_mode.to_string()),
        ("phase", phase.clone()),
        ("seats", seats.total.to_string()),
        ("free", seats.free.to_string()),
        ("held", seats.held.to_string()),
        ("sold", seats.sold.to_string()),
        ("blocked", seats.blocked.to_string()),
        ("holds", holds.to_string()),
        ("orders", orders.to_string()),
        ("hold time", format!("{} s", rules.hold_ttl_s)),
        ("limit per buyer", limit),
        ("group", entry.group.to_string()),
        ("leader", number(entry.leader)),
        ("revision", revision.to_string()),
        ("applied index", applied_index.to_string()),
        ("digest", digest.clone()),
    ];
    rows.extend(
        rules
            .channels
            .iter()
            .map(|quota| ("quota", quota_text(quota))),
    );
    if let Some(why) = frozen {
        rows.push(("frozen", why.clone()));
    }
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    table.to_string()
}

fn quota_text(quota: &Channel) -> String {
    let Channel {
        channel,
        floor,
        cap,
        hold_ttl_s,
    } = quota;
    let mut text = format!("channel {channel}: {floor} seats are its own");
    if let Some(cap) = cap {
        text += &format!(", {cap} at most");
    }
    if *hold_ttl_s > 0 {
        text += &format!(", holds live {hold_ttl_s} s");
    }
    text
}

pub fn applied(applied: &Applied) -> String {
    let Applied {
        event_id,
        revision,
        log_index,
        idempotency_key: _,
    } = applied;
    format!("event {event_id}: done at revision {revision}, log index {log_index}")
}

pub fn orders(page: &OrderPage) -> String {
    let mut table = with(&[
        "order",
        "event",
        "partner",
        "buyer",
        "state",
        "seats",
        "placed at",
    ]);
    for row in &page.orders {
        table.add_row([
            row.order_id.clone(),
            row.event_id.to_string(),
            row.partner_id.to_string(),
            row.buyer.clone(),
            row.state.clone(),
            row.seats.to_string(),
            row.placed_at.clone(),
        ]);
    }
    numbers(&mut table, &[1, 2, 5]);
    paged(
        table,
        page.next_page.as_deref(),
        page.events_missing,
        page.events_elsewhere,
    )
}

pub fn holds(page: &HoldPage) -> String {
    let mut table = with(&[
        "hold",
        "event",
        "partner",
        "buyer",
        "state",
        "seats",
        "placed at",
        "deadline",
    ]);
    for row in &page.holds {
        table.add_row([
            row.hold_id.clone(),
            row.event_id.to_string(),
            row.partner_id.to_string(),
            row.buyer.clone(),
            row.state.clone(),
            row.seats.to_string(),
            row.placed_at.clone(),
            row.deadline.clone(),
        ]);
    }
    numbers(&mut table, &[1, 2, 5]);
    paged(
        table,
        page.next_page.as_deref(),
        page.events_missing,
        page.events_elsewhere,
    )
}

pub fn partners(list: &PartnerList) -> String {
    let mut table = with(&["partner", "name", "channel"]);
    for partner in &list.partners {
        table.add_row([
            partner.partner_id.to_string(),
            partner.name.clone(),
            partner.channel.to_string(),
        ]);
    }
    numbers(&mut table, &[0, 2]);
    table.to_string()
}

pub fn keys(list: &KeyList) -> String {
    let mut table = with(&["key", "of"]);
    for key in &list.keys {
        let of = match key.operator {
            true => "operator".to_owned(),
            false => format!("partner {}", key.partner_id),
        };
        table.add_row([key.key_id.clone(), of]);
    }
    table.to_string()
}

pub fn nodes(list: &NodeList) -> String {
    let mut table = with(&[
        "node", "state", "groups", "leads", "peers", "partners", "http",
    ]);
    for node in &list.nodes {
        table.add_row([
            node.node_id.to_string(),
            node.state.clone(),
            node.groups.to_string(),
            node.leads.to_string(),
            node.peer_address.clone(),
            node.partner_address.clone(),
            node.http_address.clone(),
        ]);
    }
    numbers(&mut table, &[0, 2, 3]);
    table.to_string()
}

pub fn groups(list: &GroupList) -> String {
    let mut table = with(&[
        "group",
        "sales",
        "leader",
        "term",
        "node",
        "state",
        "committed",
        "applied",
        "snapshot",
        "lag",
        "digest",
    ]);
    for group in &list.groups {
        let head = [
            group.group_id.to_string(),
            group.sales.to_string(),
            number(group.leader),
            group.term.to_string(),
        ];
        if group.members.is_empty() {
            let replicas: Vec<String> = group.replicas.iter().map(u64::to_string).collect();
            let nobody = [replicas.join(","), "no answer".to_owned()];
            table.add_row(head.iter().chain(&nobody).cloned());
        }
        for (position, member) in group.members.iter().enumerate() {
            // The group is named on its first line.
            let head = head.iter().map(|cell| match position {
                0 => cell.clone(),
                _ => String::new(),
            });
            let tail = [
                member.node_id.to_string(),
                member.state.clone(),
                member.committed.to_string(),
                member.applied.to_string(),
                member.snapshot.to_string(),
                number(member.lag),
                member.digest.clone(),
            ];
            table.add_row(head.chain(tail));
        }
    }
    numbers(&mut table, &[0, 1, 2, 3, 4, 6, 7, 8, 9]);
    let silent: Vec<String> = list.silent_nodes.iter().map(u64::to_string).collect();
    match silent.is_empty() {
        true => table.to_string(),
        false => format!("{table}\nno answer from node {}", silent.join(", ")),
    }
}

/// Whatever an actor says of itself, one line each.
pub fn belief(belief: &Value) -> String {
    let mut table = with(&["", ""]);
    for (name, value) in belief.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            value => value.to_string(),
        };
        table.add_row([name.replace('_', " "), text]);
    }
    table.to_string()
}

pub fn plan(report: &Report) -> String {
    let mut table = with(&["", ""]);
    let rows = [
        ("name", report.name.clone()),
        ("sections", report.sections.to_string()),
        ("rows", report.rows.to_string()),
        ("seats", report.seats.to_string()),
        ("standing", report.standing.to_string()),
        ("categories", report.categories.to_string()),
        ("aisles", report.aisles.to_string()),
        ("accessible", report.accessible.to_string()),
        ("companion", report.companion.to_string()),
        ("restricted view", report.restricted_view.to_string()),
        ("blocked", report.blocked.to_string()),
        (
            "seats that shared an id",
            report.duplicate_seats.to_string(),
        ),
        ("seats given another id", report.renamed_seats.to_string()),
    ];
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    let mut text = table.to_string();
    for duplicate in &report.duplicates {
        text.push_str(&format!("\nshared: {duplicate}"));
    }
    for renamed in &report.renamed {
        text.push_str(&format!(
            "\nrenamed: {} from {:?} to {:?}",
            renamed.place, renamed.from, renamed.to
        ));
    }
    for warning in &report.warnings {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    if report.warnings_left_out > 0 {
        text.push_str(&format!("\nand {} more warnings", report.warnings_left_out));
    }
    text
}

pub fn queue(queue: &Queue) -> String {
    let mut table = with(&["", ""]);
    let ceiling = |ceiling: Option<u32>| ceiling.map_or("none".to_owned(), |most| most.to_string());
    let per_s = |rate: f64| format!("{rate:.1}/s");
    let share = |share: Option<f64>| {
        share.map_or("not known".to_owned(), |share| {
            format!("{:.1} %", share * 100.0)
        })
    };
    let mut rows = vec![
        ("event", queue.event_id.to_string()),
        ("phase", queue.phase.clone()),
        ("paused", queue.paused.to_string()),
        ("closed to newcomers", queue.closed.to_string()),
        ("lobby at", queue.lobby_at.clone()),
        ("opens at", queue.opens_at.clone()),
        ("joined", queue.joined.to_string()),
        ("waiting", queue.waiting.to_string()),
        ("let in", queue.released.to_string()),
        ("at the desk", queue.at_the_desk.to_string()),
        ("served", queue.served.to_string()),
        ("no-shows", queue.no_shows.to_string()),
        ("left", queue.left.to_string()),
        ("removed", queue.removed.to_string()),
        ("inflow", per_s(queue.inflow_per_s)),
        ("outflow", per_s(queue.outflow_per_s)),
        ("outflow target", per_s(queue.outflow_target_per_s)),
        (
            "capacity",
            queue.capacity_per_s.map_or("not known".into(), per_s),
        ),
        ("abandonment", share(queue.abandonment)),
        ("conversion", share(queue.conversion)),
        ("free", queue.free.to_string()),
        ("held", queue.held.to_string()),
        ("sold", queue.sold.to_string()),
        (
            "sold out in",
            queue
                .sell_out_in_s
                .map_or("not known".into(), |seconds| format!("{seconds} s")),
        ),
        ("visitors a minute", ceiling(queue.per_minute)),
        ("at the desk at most", ceiling(queue.at_the_desk_max)),
        ("holds slow from", format!("{} ms", queue.hold_ms)),
        (
            "pass",
            format!("{} s, {} tickets", queue.pass_life_s, queue.pass_tickets),
        ),
        ("commitment", queue.commitment.clone()),
    ];
    let any = |part: Option<String>| part.unwrap_or_else(|| "any".into());
    rows.extend(queue.lanes.iter().map(|lane| {
        let rules = lane.rules;
        let whose = format!(
            "channel {}, class {}, weight {}: {} wait",
            any(rules.channel.map(|channel| channel.to_string())),
            any(rules.class.map(|class| class.to_string())),
            rules.weight,
            lane.waiting
        );
        ("lane", whose)
    }));
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    table.to_string()
}

pub fn pass_keys(list: &PassKeyList) -> String {
    let mut table = with(&["key", "made at", "public key"]);
    for key in &list.keys {
        table.add_row([&key.key_id, &key.made_at, &key.public_key]);
    }
    table.to_string()
}

fn with(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    if header.iter().any(|name| !name.is_empty()) {
        table.set_header(header);
    }
    table
}

fn numbers(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn paged(
    table: Table,
    next_page: Option<&str>,
    events_missing: usize,
    events_elsewhere: usize,
) -> String {
    let mut text = table.to_string();
    if events_missing > 0 {
        text += &format!(
            "\nnot complete: the index takes {events_missing} events anew, ask again later"
        );
    }
    if events_elsewhere > 0 {
        text += &format!(
            "\nnot complete: {events_elsewhere} events are on other nodes, ask those with --url, too"
        );
    }
    if let Some(page) = next_page {
        text += &format!("\nmore: --page {page}");
    }
    text
}
