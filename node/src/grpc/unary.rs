//! One call, one answer: waits for what the gateway brings back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::calls::{Answers, Calls};
use actors::codec::answer::{Answer, decode};
use bytes::Bytes;
use domain::ids::SaleId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::trace::CallSpan;

/// The owner answers by the deadline; this is for its answer's way.
const GRACE: Duration = Duration::from_millis(250);

struct Slot(Mutex<Option<oneshot::Sender<Bytes>>>);

impl Answers for Slot {
    fn answer(&self, packed: Bytes, _count: u32) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiting) = waiting {
            // Who asked may have given up.
            let _ = waiting.send(packed);
        }
    }
}

/// Sends one record and waits for its answer; unknown when none comes in time.
pub async fn ask(
    gateway: &Gateway,
    sale: SaleId,
    record: Vec<u8>,
    deadline: Instant,
    traced: Option<Arc<CallSpan>>,
) -> Answer {
    let (answered, answer) = oneshot::channel();
    gateway.submit_traced(
        sale,
        Calls {
            records: record.into(),
            call_ids: [0].into_iter().collect(),
            deadline,
            answers: Arc::new(Slot(Mutex::new(Some(answered)))),
            trace: None,
        },
        traced,
    );
    match tokio::time::timeout_at(deadline + GRACE, answer).await {
        Ok(Ok(packed)) => decode(&packed)
            .next()
            .map_or(Answer::Unknown, |(_, answer)| answer),
        Ok(Err(_)) | Err(_) => Answer::Unknown,
    }
}

/// Answers of many records of one sale, in their sequence.
struct Gather(Mutex<Gathered>);

struct Gathered {
    answers: Vec<Option<Answer>>,
    missing: usize,
    all: Option<oneshot::Sender<()>>,
}

impl Answers for Gather {
    fn answer(&self, packed: Bytes, _count: u32) {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (call_id, answer) in decode(&packed) {
            if let Some(place) = gathered.answers.get_mut(call_id as usize)
                && place.is_none()
            {
                *place = Some(answer);
                gathered.missing -= 1;
            }
        }
        if gathered.missing == 0
            && let Some(all) = gathered.all.take()
        {
            // Who asked may have given up.
            let _ = all.send(());
        }
    }
}

/// Sends `count` records and waits for their answers; unknown is what does not come in time.
pub async fn ask_all(
    gateway: &Gateway,
    sale: SaleId,
    records: Vec<u8>,
    count: usize,
    deadline: Instant,
    traced: Option<Arc<CallSpan>>,
) -> Vec<Answer> {
    let (all, answered) = oneshot::channel();
    let gather = Arc::new(Gather(Mutex::new(Gathered {
        answers: vec![None; count],
        missing: count,
        all: Some(all),
    })));
    gateway.submit_traced(
        sale,
        Calls {
            records: records.into(),
            call_ids: (0..count as u32).collect(),
            deadline,
            answers: Arc::clone(&gather) as _,
            trace: None,
        },
        traced,
    );
    // Late ones are unknown below.
    let _in_time = tokio::time::timeout_at(deadline + GRACE, answered).await;
    let mut gathered = gather.0.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut gathered.answers)
        .into_iter()
        .map(|answer| answer.unwrap_or(Answer::Unknown))
        .collect()
}
