//! The waiting room of the evening: everybody comes to the lobby through one of the partners, and
//! whoever is let in goes to a desk with a pass.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::channel::v1::{Place, VisitorPhase};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::party::{Offer, Party};
use super::report::Admissions;
use crate::evidence::{Came, Content, Evidence};
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

/// Brings everybody into the lobby, with the tickets that their party wants.
pub async fn gather(event: u64, crowds: &[Crowd], offer: &Offer) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let batches = crowds.iter().flat_map(|crowd| {
        let batches = crowd.ids.chunks(BATCH);
        batches.map(|batch| (Arc::clone(&crowd.visitors), batch))
    });
    stream::iter(batches)
        .map(|(visitors, batch)| async move {
            let with_party = |id: &Id| (*id, Party::of(offer, id).tickets());
            let batch: Vec<(Id, u8)> = batch.iter().map(with_party).collect();
            let joined = visitors.join(event, &batch, 0);
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
    let mut line: VecDeque<Id> = line_up(event, &visitors, ids).await?.into();
    // Parties for which too little was left when their turn came: they may still be let in.
    let mut passed: Vec<Id> = Vec::new();
    while !tell.is_closed() && (!line.is_empty() || !passed.is_empty()) {
        let before = passed.len();
        let window = passed.drain(..).chain(line.iter().take(BATCH).copied());
        let window: Vec<Id> = window.collect();
        let places = within(visitors.places(event, &window)).await?;
        let mut admitted = Vec::new();
        let mut turns = 0;
        for (at, (visitor, place)) in window.into_iter().zip(&places).enumerate() {
            match place.phase() {
                VisitorPhase::Admitted => admitted.push(visitor),
                // Whoever has gone past their turn without coming is not waited for.
                _ if is_over(place) => {}
                _ if at < before || place.passed_over_with.is_some() => passed.push(visitor),
                _ => break,
            }
            turns += usize::from(at >= before);
        }
        line.drain(..turns);
        let is_quiet = admitted.is_empty();
        let claims = stream::iter(admitted)
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
        if is_quiet {
            tokio::time::sleep(LOOK_EVERY).await;
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
    let admitted = visitors.iter().filter(|came| came.released_as.is_some());
    Ok(Admissions {
        visitors: joined.len() as u64,
        listed: visitors.len() as u64,
        admitted: admitted.count() as u64,
        out_of_sequence: out_of_sequence(visitors),
        join_lost: (lost + listed.len().abs_diff(joined.len()).saturating_sub(lost)) as u64,
        passes_spent_twice: 0,
        is_proved: Evidence::verify(file, None).is_ok(),
    })
}

/// Who was let in before somebody who stood before them. With one lane and nobody gone the sequence of
/// being let in is that of the places, but for parties that were passed over because too little was
/// left for them.
fn out_of_sequence(visitors: &[Came]) -> u64 {
    let was_passed = |came: &&Came| came.passed_with.is_some_and(|left| left < came.party);
    let mut by_place: Vec<&Came> = visitors.iter().filter(|came| !was_passed(came)).collect();
    by_place.sort_unstable_by_key(|came| came.place);
    let mut last: Option<u64> = None;
    let mut waits = false;
    let mut overtakers = 0;
    for came in by_place {
        match came.released_as {
            Some(turn) if waits || last.is_some_and(|last| last >= turn) => overtakers += 1,
            Some(turn) => last = Some(turn),
            None => waits = true,
        }
    }
    overtakers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(place: u32, party: u8, passed_with: Option<u8>, released_as: Option<u64>) -> Came {
        Came {
            visitor: String::new(),
            lane: 0,
            place,
            party,
            passed_with,
            released_as,
        }
    }

    #[test]
    fn whoever_overtakes_is_counted_and_who_was_passed_over_for_cause_is_not() {
        let line = [
            came(2, 2, None, Some(1)),
            came(0, 1, None, Some(0)),
            came(1, 4, Some(3), Some(2)),
            came(3, 2, None, None),
            came(4, 8, Some(2), None),
        ];
        assert_eq!(out_of_sequence(&line), 0);
        let needlessly = [came(0, 2, Some(2), None), came(1, 1, None, Some(0))];
        assert_eq!(out_of_sequence(&needlessly), 1);
        let swapped = [came(0, 1, None, Some(1)), came(1, 1, None, Some(0))];
        assert_eq!(out_of_sequence(&swapped), 1);
        let skipped = [came(0, 1, None, None), came(1, 1, None, Some(0))];
        assert_eq!(out_of_sequence(&skipped), 1);
    }
}
