//! Handlers of `/v1/nodes` and `/v1/groups`: who carries what.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use futures::future::join_all;
use serde::Deserialize;

use super::bodies::{Join, Transfer};
use super::door::{Call, Reached};
use super::problem::Problem;
use super::views::{GroupList, GroupView, LogFilter, NodeView, Sampling};

type Response = Result<HttpResponse, Problem>;

/// Other nodes have this long to say what they know; then the list is shown without them.
const ASK_LIMIT: Duration = Duration::from_secs(1);

pub async fn list(call: Call) -> Response {
    call.answer(|api| async move { api.nodes().await }).await
}

/// Also open to a node that knows the cluster's secret (see `is_join`).
pub async fn join(call: Call) -> Response {
    let node = call.json::<Join>()?.into_node()?;
    call.done(move |api| async move { api.join(node).await })
        .await
}

/// Whether this is the one call a node without an operator's key may make.
pub fn is_join(request: &HttpRequest) -> bool {
    request.method() == actix_web::http::Method::POST && request.path() == "/v1/nodes"
}

pub async fn promote(call: Call) -> Response {
    let node_id = call.number("node_id")?;
    call.done(move |api| async move { api.promote(node_id).await })
        .await
}

pub async fn drain(call: Call) -> Response {
    let node_id = call.number("node_id")?;
    call.done(move |api| async move { api.drain(node_id).await })
        .await
}

pub async fn remove(call: Call) -> Response {
    let node_id = call.number("node_id")?;
    call.done(move |api| async move { api.remove(node_id).await })
        .await
}

pub async fn log_filter(call: Call) -> Response {
    told(call, None).await
}

pub async fn set_log_filter(call: Call) -> Response {
    let LogFilter { filter } = call.json()?;
    told(call, Some(filter)).await
}

async fn told(call: Call, filter: Option<String>) -> Response {
    let node_id = call.number("node_id")?;
    call.answer(move |api| async move { api.log_filter(node_id, filter).await })
        .await
}

pub async fn sampling(call: Call) -> Response {
    sampled(call, None).await
}

pub async fn set_sampling(call: Call) -> Response {
    let Sampling { ratio } = call.json()?;
    sampled(call, Some(ratio)).await
}

async fn sampled(call: Call, ratio: Option<f64>) -> Response {
    let node_id = call.number("node_id")?;
    call.answer(move |api| async move { api.sampling(node_id, ratio).await })
        .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupsQuery {
    /// Only what the answering node knows.
    #[serde(default)]
    local: bool,
}

/// Every node knows its own replicas, and only a leader knows how far the others are behind: the
/// answer is put together from all of them.
pub async fn groups(call: Call) -> Response {
    let query: GroupsQuery = call.query()?;
    let asked = call.run(|api| async move {
        let (groups, nodes) = (api.groups().await?, api.nodes().await?);
        Ok((groups, nodes.nodes))
    });
    let (mine, nodes) = match asked.await? {
        Reached::Here(known) => known,
        Reached::There(response) => return Ok(response),
    };
    if query.local || call.came_over_a_hop() {
        return Ok(HttpResponse::Ok().json(mine));
    }
    let others: Vec<NodeView> = nodes.into_iter().filter(|node| !node.answering).collect();
    let forward = call.door.forward.clone();
    let authorization = call.authorization().to_owned();
    let asked = call.door.runtime.spawn(async move {
        join_all(others.into_iter().map(|node| {
            let (forward, authorization) = (forward.clone(), authorization.clone());
            async move {
                let path = "/v1/groups?local=true";
                let answer = forward
                    .ask::<GroupList>(&node.http_address, path, &authorization, ASK_LIMIT)
                    .await;
                (node.node_id, answer)
            }
        }))
        .await
    });
    let answers = asked.await.unwrap_or_default();
    Ok(HttpResponse::Ok().json(merge(mine, answers)))
}

/// The leader's word counts for leader, term, membership and lag; each node's for its own replica.
fn merge(mine: GroupList, answers: Vec<(u64, Option<GroupList>)>) -> GroupList {
    let mut merged: BTreeMap<u32, GroupView> = BTreeMap::new();
    let mut silent_nodes = Vec::new();
    let known = answers.into_iter().filter_map(|(node_id, answer)| {
        if answer.is_none() {
            silent_nodes.push(node_id);
        }
        answer
    });
    let lists: Vec<GroupList> = std::iter::once(mine).chain(known).collect();
    for view in lists.into_iter().flat_map(|list| list.groups) {
        match merged.get_mut(&view.group_id) {
            None => {
                merged.insert(view.group_id, view);
            }
            Some(group) => merge_group(group, view),
        }
    }
    for group in merged.values_mut() {
        group.members.sort_by_key(|member| member.node_id);
    }
    GroupList {
        groups: merged.into_values().collect(),
        silent_nodes,
    }
}

fn merge_group(group: &mut GroupView, view: GroupView) {
    let newer = view.term > group.term;
    let leads =
        view.term >= group.term && view.members.iter().any(|member| member.state == "leader");
    if newer || leads {
        group.leader = view.leader.or(group.leader.filter(|_| !newer));
        group.term = view.term;
        group.voters = view.voters;
        group.learners = view.learners;
    }
    for member in view.members {
        match group
            .members
            .iter_mut()
            .find(|known| known.node_id == member.node_id)
        {
            None => group.members.push(member),
            Some(known) => {
                let lag = known.lag.or(member.lag);
                // A replica's own word on itself has a state; the leader's guess has none.
                if known.state.is_empty() {
                    *known = member;
                }
                known.lag = lag;
            }
        }
    }
}

pub async fn transfer(call: Call) -> Response {
    let group_id = call.number("group_id")?;
    let body: Transfer = call.json()?;
    call.done(move |api| async move { api.transfer(group_id, body.to).await })
        .await
}

/// On the node that is asked, like a snapshot: its replica is the one that stopped.
pub async fn rebuild(call: Call) -> Response {
    let group_id = call.number("group_id")?;
    call.done(move |api| async move { api.rebuild(group_id).await })
        .await
}

pub async fn snapshot(call: Call) -> Response {
    let group_id = call.number("group_id")?;
    call.done(move |api| async move { api.snapshot(group_id).await })
        .await
}
