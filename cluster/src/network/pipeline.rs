//! The client's side of one append stream: requests go out as the replication task makes them, up
//! to a window, and answers come back in request sequence. No task of its own: whoever polls the
//! answers drives the requests.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};
use proto::cluster::v1 as pb;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

use super::connection::{Connection, LaneFailure, Subscription, WINDOW};
use crate::types::GroupId;
use crate::wire::{self, Append, Appended};

/// Ends after the first answer that is not an acceptance, as openraft expects.
pub(crate) fn run<S>(
    connection: Arc<Connection>,
    group: GroupId,
    input: S,
) -> impl Stream<Item = Result<Appended, LaneFailure>> + Send
where
    S: Stream<Item = Append> + Send + Unpin + 'static,
{
    let limit = connection.limit;
    let state = match connection.subscribe(group) {
        Ok((subscription, answers)) => State::Open(Box::new(Pipeline {
            subscription,
            answers,
            input,
            input_ended: false,
            in_flight: VecDeque::with_capacity(WINDOW),
            timer: Box::pin(tokio::time::sleep(limit)),
        })),
        Err(failure) => State::Failed(failure),
    };
    stream::unfold(state, |state| async move {
        let mut pipeline = match state {
            State::Open(pipeline) => pipeline,
            State::Failed(failure) => return Some((Err(failure), State::Ended)),
            State::Ended => return None,
        };
        let answer = pipeline.next().await?;
        let after = match &answer {
            Ok(Ok(_)) => State::Open(pipeline),
            _ => State::Ended,
        };
        Some((answer, after))
    })
}

enum State<S> {
    Open(Box<Pipeline<S>>),
    Failed(LaneFailure),
    Ended,
}

struct Pipeline<S> {
    subscription: Subscription,
    answers: mpsc::Receiver<pb::LaneResponse>,
    input: S,
    input_ended: bool,
    in_flight: VecDeque<InFlight>,
    /// Fires now and then to look at the oldest request: set anew only when it fired, so that a
    /// busy stream touches no timer per request.
    timer: Pin<Box<Sleep>>,
}

struct InFlight {
    request_id: u64,
    deadline: Instant,
}

impl<S: Stream<Item = Append> + Unpin> Pipeline<S> {
    async fn next(&mut self) -> Option<Result<Appended, LaneFailure>> {
        loop {
            if self.input_ended && self.in_flight.is_empty() {
                return None;
            }
            let room = !self.input_ended && self.in_flight.len() < WINDOW;
            tokio::select! {
                biased;
                answer = self.answers.recv() => return Some(self.answered(answer)),
                request = self.input.next(), if room => match request {
                    Some(request) => {
                        if let Err(failure) = self.send(request).await {
                            return Some(Err(failure));
                        }
                    }
                    None => self.input_ended = true,
                },
                () = &mut self.timer => if let Some(failure) = self.look_at_oldest() {
                    return Some(Err(failure));
                },
            }
        }
    }

    async fn send(&mut self, request: Append) -> Result<(), LaneFailure> {
        let connection = &self.subscription.connection;
        let request_id = connection.next_id();
        self.in_flight.push_back(InFlight {
            request_id,
            deadline: Instant::now() + connection.limit,
        });
        connection
            .send(pb::LaneRequest {
                group_id: self.subscription.group,
                stream_epoch: self.subscription.epoch,
                request_id,
                request: Some(pb::lane_request::Request::Append(wire::append(request))),
            })
            .await
    }

    fn answered(&mut self, answer: Option<pb::LaneResponse>) -> Result<Appended, LaneFailure> {
        let answer = answer.ok_or(LaneFailure::Broken)?;
        let expected = self.in_flight.pop_front().map(|sent| sent.request_id);
        match answer.response {
            Some(pb::lane_response::Response::Refused(why)) => Err(LaneFailure::Refused(why)),
            Some(pb::lane_response::Response::Append(response))
                if expected == Some(answer.request_id) =>
            {
                wire::read_appended(response).map_err(LaneFailure::Malformed)
            }
            _ => {
                // Out of sequence: nothing more on this connection can be trusted.
                self.subscription.connection.close();
                Err(LaneFailure::Malformed(wire::Malformed(
                    "an answer out of sequence",
                )))
            }
        }
    }

    fn look_at_oldest(&mut self) -> Option<LaneFailure> {
        let now = Instant::now();
        let limit = self.subscription.connection.limit;
        let due = match self.in_flight.front() {
            Some(oldest) if oldest.deadline <= now => {
                self.subscription.connection.close();
                return Some(LaneFailure::TimedOut);
            }
            Some(oldest) => oldest.deadline,
            None => now + limit,
        };
        self.timer.as_mut().reset(due);
        None
    }
}
