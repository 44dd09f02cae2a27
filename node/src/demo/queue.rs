//! The waiting room of the evening: everybody comes to the lobby through one of the partners, and
//! whoever is let in goes to a desk with a pass.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::channel::v1::{Place, VisitorPhase};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::report::Admissions;
use crate::evidence::{Content, Evidence};
use crate::http::bodies::ArmQueue;
use crate::load::call::Id;
use crate::load::visitors::BATCH;
use crate::load::{GaveUp, Pass, Visitors};
use crate::local::api::moment_in;

/// Joins under way at a time, of each partner.
const JOINS_AT_ONCE: usize = 8;
/// The lobby stays open for so long, and longer with so many who come a second.
const LOBBY_LEAST: Duration = Duration::from_secs(3);
const COME_PER_S: u64 = 60_000;
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// Passes outlast what kills and elections hold up.
const PASS_LIFE_S: u32 = 60;
pub const PASS_TICKETS: u16 = 8;
/// Trouble outlasts no cluster's recovery.
const CALL_LIMIT: Duration = Duration::from_secs(90);

/// Visitors of one partner.
pub struct Crowd {
    pub visitors: Arc<Visitors>,
    pub ids: Vec<Id>,
}

/// Somebody who was let in.
pub struct Admitted {
    /// Which crowd they came with.
    pub crowd: usize,
    pub visitor: Id,
    pub pass: Pass,
}

/// How long the lobby is open for so many.
pub fn lobby_time(visitors: u64) -> Duration {
    LOBBY_LEAST + Duration::from_millis(visitors * 1000 / COME_PER_S)
}

/// A room that lets in at most so many a second.
pub fn room(visitors: u64, per_s: f64) -> ArmQueue {
    ArmQueue {
        lobby_at: moment_in(Duration::ZERO),
        opens_at: moment_in(lobby_time(visitors)),
        beacon: false,
        pass_life_s: PASS_LIFE_S,
        pass_tickets: PASS_TICKETS,
        per_minute: Some((per_s * 60.0).ceil() as u32),
        at_the_desk: None,
        hold_ms: 1_000,
        lanes: Vec::new(),
    }
}

/// Brings everybody into the lobby.
pub async fn gather(event: u64, crowds: &[Crowd]) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let batches = crowds.iter().flat_map(|crowd| {
        let batches = crowd.ids.chunks(BATCH);
        batches.map(|batch| (Arc::clone(&crowd.visitors), batch))
    });
    stream::iter(batches)
        .map(|(visitors, batch)| async move {
            let joined = visitors.join(event, batch, 0);
            within(joined).await.context("visitors cannot join")
        })
        .buffer_unordered(JOINS_AT_ONCE * crowds.len())
        .try_collect::<()>()
        .await?;
    Ok(began.elapsed())
}

/// Tells who is let in, in the sequence of each crowd, until nobody listens any more.
pub fn follow(event: u64, crowds: Vec<Crowd>) -> mpsc::Receiver<anyhow::Result<Admitted>> {
    let (tell, told) = mpsc::channel(BATCH);
    for (number, crowd) in crowds.into_iter().enumerate() {
        let tell = tell.clone();
        tokio::spawn(async move {
            if let Err(trouble) = watch(event, number, crowd, &tell).await {
                // Nobody listens any more, or hears why nobody comes.
                let _gone = tell.send(Err(trouble)).await;
            }
        });
    }
    told
}

async fn watch(
    event: u64,
    number: usize,
    crowd: Crowd,
    tell: &mpsc::Sender<anyhow::Result<Admitted>>,
) -> anyhow::Result<()> {
    let Crowd { visitors, ids } = crowd;
    let mut line = line_up(event, &visitors, ids).await?;
    let mut next = 0;
    while next < line.len() && !tell.is_closed() {
        let end = line.len().min(next + BATCH);
        let window = &line[next..end];
        let places = within(visitors.places(event, window)).await?;
        let admitted = places
            .iter()
            .take_while(|place| place.phase() == VisitorPhase::Admitted)
            .count();
        let claims = stream::iter(window[..admitted].to_vec())
            .map(|visitor| {
                let visitors = Arc::clone(&visitors);
                async move { (visitor, within(visitors.claim(event, &visitor)).await) }
            })
            .buffered(JOINS_AT_ONCE);
        let mut claims = std::pin::pin!(claims);
        while let Some((visitor, claimed)) = claims.next().await {
            let Ok(pass) = claimed? else { continue };
            let admitted = Admitted {
                crowd: number,
                visitor,
                pass,
            };
            if tell.send(Ok(admitted)).await.is_err() {
                return Ok(());
            }
        }
        next += admitted;
        if admitted == 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // Whoever has gone past their turn without coming is not waited for.
        if places.first().is_some_and(is_over) {
            line.remove(next);
        }
    }
    Ok(())
}

/// The crowd by place, as soon as there are places.
async fn line_up(event: u64, visitors: &Visitors, ids: Vec<Id>) -> anyhow::Result<Vec<Id>> {
    let until = Instant::now() + CALL_LIMIT;
    loop {
        let places = within(visitors.places(event, &ids)).await?;
        if places
            .iter()
            .all(|place| place.phase() != VisitorPhase::Lobby)
        {
            // Who has been let in meanwhile stood in front of all who wait.
            let mut line: Vec<(Option<u32>, Id)> =
                places.iter().map(|place| place.place).zip(ids).collect();
            line.sort_by_key(|(place, _)| *place);
            return Ok(line.into_iter().map(|(_, id)| id).collect());
        }
        if Instant::now() > until {
            bail!("the lobby is not shuffled");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn is_over(place: &Place) -> bool {
    matches!(
        place.phase(),
        VisitorPhase::Served | VisitorPhase::Expired | VisitorPhase::Left | VisitorPhase::Removed
    )
}

async fn within<T>(call: impl Future<Output = Result<T, GaveUp>>) -> Result<T, GaveUp> {
    tokio::time::timeout(CALL_LIMIT, call)
        .await
        .unwrap_or(Err(GaveUp::TimedOut))
}

/// Compares who was told that they are in the room with what is published of it.
pub fn audit(file: &[u8], joined: &[Id]) -> anyhow::Result<Admissions> {
    let evidence: Evidence = serde_json::from_slice(file).context("the evidence is unreadable")?;
    let Content { visitors, .. } = &evidence.content;
    let listed: HashSet<&str> = visitors.iter().map(|came| came.visitor.as_str()).collect();
    let hex = |id: &Id| crate::evidence::hex(id);
    let lost = joined
        .iter()
        .filter(|id| !listed.contains(hex(id).as_str()))
        .count();
    // One lane and nobody left: the sequence of being let in is that of the places.
    let mut by_place: Vec<(u32, Option<u64>)> = visitors
        .iter()
        .map(|came| (came.place, came.released_as))
        .collect();
    by_place.sort_unstable();
    let admitted = by_place.iter().filter(|(_, as_)| as_.is_some()).count();
    let out_of_sequence = (0_u64..)
        .zip(&by_place[..admitted])
        .filter(|(turn, (_, released_as))| *released_as != Some(*turn))
        .count();
    Ok(Admissions {
        visitors: joined.len() as u64,
        listed: visitors.len() as u64,
        admitted: admitted as u64,
        out_of_sequence: out_of_sequence as u64,
        join_lost: (lost + listed.len().abs_diff(joined.len()).saturating_sub(lost)) as u64,
        passes_spent_twice: 0,
        is_proved: Evidence::verify(file, None).is_ok(),
    })
}
