//! `onsale ctl` for everything but events and plans: one call, one table each.

use serde_json::{Value, json};

use super::args::{Groups, Holds, Keys, Nodes, Orders, Partners, Search};
use super::{Client, Shown, tables};
use crate::http::bodies::{AddKey, AddPartner, Join, Transfer};
use crate::http::views::{
    GroupList, HoldPage, HoldRow, KeyList, LogFilter, NewKey, NodeList, OrderPage, OrderRow,
    PartnerList, PartnerView, Sampling,
};

pub fn orders(client: &Client, verb: Orders) -> anyhow::Result<Shown> {
    match verb {
        Orders::List(search) => {
            let page: OrderPage = client.get(&format!("/v1/orders{}", query(&search)))?;
            Shown::new(&page, tables::orders(&page))
        }
        Orders::Show { order } => {
            let row: OrderRow = client.get(&format!("/v1/orders/{}", escape(&order)))?;
            let page = OrderPage {
                orders: vec![row.clone()],
                ..OrderPage::default()
            };
            Shown::new(&row, tables::orders(&page))
        }
    }
}

pub fn holds(client: &Client, verb: Holds) -> anyhow::Result<Shown> {
    match verb {
        Holds::List(search) => {
            let page: HoldPage = client.get(&format!("/v1/holds{}", query(&search)))?;
            Shown::new(&page, tables::holds(&page))
        }
        Holds::Show { hold } => {
            let row: HoldRow = client.get(&format!("/v1/holds/{}", escape(&hold)))?;
            let page = HoldPage {
                holds: vec![row.clone()],
                ..HoldPage::default()
            };
            Shown::new(&row, tables::holds(&page))
        }
    }
}

pub fn partners(client: &Client, verb: Partners) -> anyhow::Result<Shown> {
    match verb {
        Partners::List => {
            let list: PartnerList = client.get("/v1/partners")?;
            Shown::new(&list, tables::partners(&list))
        }
        Partners::Add { name, id, channel } => {
            let body = AddPartner {
                partner_id: id,
                name,
                channel,
            };
            let partner: PartnerView = client.post("/v1/partners", &body)?;
            let list = PartnerList {
                partners: vec![partner.clone()],
            };
            Shown::new(&partner, tables::partners(&list))
        }
    }
}

pub fn keys(client: &Client, verb: Keys) -> anyhow::Result<Shown> {
    match verb {
        Keys::List => {
            let list: KeyList = client.get("/v1/keys")?;
            Shown::new(&list, tables::keys(&list))
        }
        Keys::Add { partner, operator } => {
            let body = AddKey {
                partner_id: partner,
                operator,
            };
            let key: NewKey = client.post("/v1/keys", &body)?;
            let table = format!("{}\nShown this once; keep it.", key.key);
            Shown::new(&key, table)
        }
        Keys::Revoke { key_id } => {
            let path = format!("/v1/keys/{}", escape(&key_id));
            client.order("DELETE", &path, &json!({}))?;
            Ok(Shown::done(&format!("key {key_id} is revoked")))
        }
    }
}

pub fn nodes(client: &Client, verb: Nodes) -> anyhow::Result<Shown> {
    match verb {
        Nodes::List => {
            let list: NodeList = client.get("/v1/nodes")?;
            Shown::new(&list, tables::nodes(&list))
        }
        Nodes::Join {
            node,
            peer_address,
            partner_address,
            http_address,
        } => {
            let body = Join {
                node_id: node,
                peer_address,
                partner_address,
                http_address,
            };
            client.order("POST", "/v1/nodes", &body)?;
            Ok(Shown::done(&format!(
                "node {node} is known; promote it next"
            )))
        }
        Nodes::Promote { node } => {
            client.order("POST", &format!("/v1/nodes/{node}/promote"), &json!({}))?;
            Ok(Shown::done(&format!(
                "node {node} may carry replicas and vote"
            )))
        }
        Nodes::Drain { node } => {
            client.order("POST", &format!("/v1/nodes/{node}/drain"), &json!({}))?;
            Ok(Shown::done(&format!("node {node} gives its replicas away")))
        }
        Nodes::Remove { node } => {
            client.order("DELETE", &format!("/v1/nodes/{node}"), &json!({}))?;
            Ok(Shown::done(&format!("node {node} is out of the cluster")))
        }
        Nodes::LogFilter { node, filter } => {
            let path = format!("/v1/nodes/{node}/log-filter");
            let told: LogFilter = match filter {
                Some(filter) => client.put(&path, &LogFilter { filter })?,
                None => client.get(&path)?,
            };
            Shown::new(&told, format!("node {node} logs {}\n", told.filter))
        }
        Nodes::Sampling { node, ratio } => {
            let path = format!("/v1/nodes/{node}/sampling");
            let told: Sampling = match ratio {
                Some(ratio) => client.put(&path, &Sampling { ratio })?,
                None => client.get(&path)?,
            };
            // As it is said, not as it is stored.
            let share = (told.ratio * 1e6).round() / 1e4;
            let words = "of its calls, and those whose caller asks";
            Shown::new(&told, format!("node {node} traces {share} % {words}\n"))
        }
    }
}

pub fn groups(client: &Client, verb: Groups) -> anyhow::Result<Shown> {
    match verb {
        Groups::List => {
            let list: GroupList = client.get("/v1/groups")?;
            Shown::new(&list, tables::groups(&list))
        }
        Groups::Transfer { group, to } => {
            client.order(
                "POST",
                &format!("/v1/groups/{group}/transfer"),
                &Transfer { to },
            )?;
            Ok(Shown::done(&format!("group {group} goes to node {to}")))
        }
        Groups::Rebuild { group } => {
            client.order("POST", &format!("/v1/groups/{group}/rebuild"), &json!({}))?;
            Ok(Shown::done(&format!(
                "the replica of group {group} begins anew"
            )))
        }
        Groups::Snapshot { group } => {
            client.order("POST", &format!("/v1/groups/{group}/snapshot"), &json!({}))?;
            Ok(Shown::done(&format!(
                "a snapshot of group {group} is taken"
            )))
        }
    }
}

pub fn observe(client: &Client, sale: u64) -> anyhow::Result<Shown> {
    let belief: Value = client.get(&format!("/v1/events/{sale}/observe"))?;
    let table = tables::belief(&belief);
    Shown::new(&belief, table)
}

fn query(search: &Search) -> String {
    let Search {
        event,
        partner,
        buyer,
        state,
        from,
        to,
        page,
        page_size,
    } = search;
    let mut pairs = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            pairs.push(format!("{name}={}", escape(&value)));
        }
    };
    add("event", event.map(|id| id.to_string()));
    add("partner", partner.map(|id| id.to_string()));
    add("buyer", buyer.clone());
    add("state", state.clone());
    add("from", from.clone());
    add("to", to.clone());
    add("page", page.clone());
    add("page_size", page_size.map(|size| size.to_string()));
    match pairs.is_empty() {
        true => String::new(),
        false => format!("?{}", pairs.join("&")),
    }
}

/// Percent-encodes all but what is never special in a URL.
pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
