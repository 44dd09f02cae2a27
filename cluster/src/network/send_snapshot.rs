//! Sends one snapshot file to a peer, in chunks, over a connection of its own so that it cannot
//! stand in the way of the log.

use std::time::Duration;

use proto::cluster::v1 as pb;
use proto::cluster::v1::peer_service_client::PeerServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::peers::{PeerLink, Peers};
use crate::snapshot::SnapshotFile;
use crate::types::{GroupId, SnapshotMeta, Vote};
use crate::wire;

const CHUNK_BYTES: usize = 256 << 10;
const CHUNKS_AHEAD: usize = 4;

/// How long a chunk may take to leave; the whole has no limit of its own, it may be large.
const CHUNK_LIMIT: Duration = Duration::from_secs(10);
/// How long the peer may take to make the file durable and hand it to its machine.
const INSTALL_LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
pub(crate) enum SendFailure {
    #[error("not connected: {0}")]
    Unreachable(String),
    #[error("the file cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("the peer took no chunk in time")]
    Stalled,
    #[error("refused: {0}")]
    Refused(String),
    #[error("{0}")]
    Malformed(#[from] wire::Malformed),
}

pub(crate) async fn send(
    peers: &Peers,
    link: &PeerLink,
    group: GroupId,
    vote: Vote,
    meta: SnapshotMeta,
    file: SnapshotFile,
) -> Result<Vote, SendFailure> {
    let dialing = &peers.dialing;
    let channel = dialing
        .dialer
        .connect(&link.address)
        .await
        .map_err(SendFailure::Unreachable)?;
    let mut client = PeerServiceClient::with_interceptor(channel, dialing.secret.clone());
    let (chunks, stream) = mpsc::channel(CHUNKS_AHEAD);
    let header = pb::SnapshotHeader {
        group_id: group,
        vote: Some(wire::vote(&vote)),
        last_log_id: meta.last_log_id.as_ref().map(wire::log_id),
        membership: Some(wire::membership(
            meta.last_membership.log_id().as_ref(),
            meta.last_membership.membership(),
        )),
        snapshot_id: file.name().into(),
        length: file.length(),
        checksum: file.checksum(),
    };
    let installing = async {
        let answered = client.install_snapshot(ReceiverStream::new(stream)).await;
        answered.map_err(|status| SendFailure::Refused(status.message().into()))
    };
    let feeding = feed(chunks, header, &file);
    tokio::pin!(installing);
    let response = tokio::select! {
        // An answer before the end is a refusal; one after it is awaited below.
        response = &mut installing => response?,
        fed = feeding => {
            fed?;
            match tokio::time::timeout(INSTALL_LIMIT, installing).await {
                Ok(response) => response?,
                Err(_) => return Err(SendFailure::Stalled),
            }
        }
    };
    Ok(wire::read_vote(response.into_inner().vote)?)
}

async fn feed(
    chunks: mpsc::Sender<pb::InstallSnapshotRequest>,
    header: pb::SnapshotHeader,
    file: &SnapshotFile,
) -> Result<(), SendFailure> {
    let mut header = Some(header);
    let mut offset = 0;
    while offset < file.length() || header.is_some() {
        let chunk = file
            .read(offset, CHUNK_BYTES)
            .await
            .map_err(SendFailure::Unreadable)?;
        if chunk.is_empty() {
            return Err(SendFailure::Unreadable(
                std::io::ErrorKind::UnexpectedEof.into(),
            ));
        }
        offset += chunk.len() as u64;
        let request = pb::InstallSnapshotRequest {
            header: header.take(),
            chunk: chunk.into(),
        };
        match tokio::time::timeout(CHUNK_LIMIT, chunks.send(request)).await {
            Ok(Ok(())) => {}
            // The peer ended the call; its answer says why.
            Ok(Err(_)) => return Ok(()),
            Err(_) => return Err(SendFailure::Stalled),
        }
    }
    Ok(())
}
