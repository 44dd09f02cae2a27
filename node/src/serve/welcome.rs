//! A node's first steps: asking a cluster to take it in, and a new cluster's first operator key.

use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use cluster::Cluster;
use proto::log::v1::PutKey;
use proto::log::v1::map_change::Change;
use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::time::sleep;

use crate::access::key;
use crate::config::Config;
use crate::http::bodies::Join;
use crate::http::forward::{Forward, Hop};
use crate::http::problem::Problem;

const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Asks until some node of the cluster has taken this one in, or its map shows that one has. A
/// refusal that time does not change ends the node.
pub async fn join(config: &Config, forward: &Forward, cluster: &Cluster) -> anyhow::Result<()> {
    let node = &config.node;
    let body = serde_json::to_vec(&Join {
        node_id: node.id,
        peer_address: node.peer_address.clone(),
        partner_address: node.partner_address.clone(),
        http_address: node.http_address.clone(),
    })?;
    let token = match config.cluster.secret.is_empty() {
        false => &config.cluster.secret,
        true => &config.http.operator_key,
    };
    let hop = Hop {
        method: "POST".into(),
        path_and_query: "/v1/nodes".into(),
        headers: vec![
            ("authorization".into(), format!("Bearer {token}")),
            ("content-type".into(), "application/json".into()),
        ],
        body: Bytes::from(body),
    };
    let address = &config.cluster.join;
    while !cluster.map().nodes.contains_key(&node.id) {
        match forward.send(address, hop.clone()).await {
            Err(failure) => tracing::warn!(address, %failure, "cannot ask to be taken in yet"),
            Ok(mut passed) => {
                let mut text = Vec::new();
                while let Some(part) = passed.body.recv().await {
                    text.extend_from_slice(&part);
                }
                let problem = serde_json::from_slice::<Problem>(&text).ok();
                match (passed.status, problem) {
                    (200..=299, _) => return Ok(()),
                    (_, Some(problem)) if problem.retry == "never" => {
                        bail!("cluster.join: {address} refuses this node: {problem}")
                    }
                    (status, _) => {
                        tracing::warn!(address, status, "cannot be taken in yet");
                    }
                }
            }
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// Makes the first operator's key of a new cluster and prints it, this once. For the founding node.
pub async fn first_operator(cluster: &Cluster) {
    loop {
        if cluster.ready() {
            if cluster.map().keys.values().any(|key| key.operator) {
                return;
            }
            match make_operator_key(cluster).await {
                Ok(text) => {
                    println!("onsale: operator key (shown once): {text}");
                    return;
                }
                Err(error) => tracing::warn!(%error, "no operator key yet"),
            }
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn make_operator_key(cluster: &Cluster) -> anyhow::Result<String> {
    let made = key::make(random()?);
    let put = PutKey {
        key_id: made.key_id,
        partner_id: 0,
        salt: made.salt.into(),
        hash: made.hash.into(),
        operator: true,
    };
    cluster.change_map(Change::PutKey(put)).await?;
    Ok(made.text)
}

/// Secrets come from the operating system, never from a seed.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes)
}
