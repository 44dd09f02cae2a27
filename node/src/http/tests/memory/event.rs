//! An event in memory: its phase and its blocked seats, by the rules of a sale.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use domain::ids::{IdempotencyKey, SeatRef};
use domain::rejection::{Phase, Rejection};
use proto::channel::v1 as channel;

use crate::http::api::{EventCommand, Feed, Layout, NewEvent};
use crate::http::problem::{Problem, Reason, phase_text};
use crate::http::views;

pub const SEATS: u64 = 20;

/// From here on nothing changes.
pub const QUIET_REVISION: u64 = 77;

pub struct Event {
    pub key: IdempotencyKey,
    pub entry: views::EventEntry,
    pub plan: Bytes,
    phase: Phase,
    blocked: BTreeSet<(u16, u32)>,
    pub revision: u64,
}

impl Event {
    /// Not yet on sale; a plan is an object, whatever is in it.
    pub fn announced(event_id: u64, event: NewEvent) -> Result<Event, Problem> {
        if !event.plan.starts_with(b"{") {
            return Err(Problem::new(Reason::InvalidPlan, "line 1: not an object"));
        }
        let starts_at =
            (event.starts_at_ms != 0).then(|| crate::http::timestamp::show(event.starts_at_ms));
        Ok(Event {
            key: event.key,
            entry: views::EventEntry {
                event_id,
                name: event.name,
                venue: event.venue,
                organiser: event.organiser,
                starts_at,
                test_mode: event.rules.test_mode,
                state: "opened".into(),
                group: 1,
                leader: Some(1),
            },
            plan: event.plan,
            phase: Phase::Announced,
            blocked: BTreeSet::new(),
            revision: 0,
        })
    }

    pub fn summary(&self) -> views::EventSummary {
        let blocked = self.blocked.len() as u64;
        views::EventSummary {
            entry: self.entry.clone(),
            phase: phase_text(self.phase).into(),
            seats: views::SeatCounts {
                total: SEATS,
                free: SEATS - blocked,
                blocked,
                ..Default::default()
            },
            holds: 0,
            orders: 0,
            rules: Default::default(),
            revision: self.revision,
            applied_index: self.revision,
            digest: "00".into(),
            frozen: None,
        }
    }

    pub fn apply(&mut self, command: EventCommand) -> Result<(), Rejection> {
        let phase = match (self.phase, &command) {
            (Phase::Announced, EventCommand::Open) => Phase::Open,
            (Phase::Open, EventCommand::Pause) => Phase::Paused,
            (Phase::Paused, EventCommand::Resume) => Phase::Open,
            (Phase::Open | Phase::Paused, EventCommand::Close) => Phase::Closed,
            (_, EventCommand::Reopen) if !self.entry.test_mode => {
                return Err(Rejection::OnlyInTestMode);
            }
            (
                phase,
                EventCommand::Reopen
                | EventCommand::Block(_)
                | EventCommand::Unblock(_)
                | EventCommand::SetRules(_)
                | EventCommand::OpenRoom(_)
                | EventCommand::MoveRoom { .. }
                | EventCommand::SetRoom(_)
                | EventCommand::SetBeacon(_)
                | EventCommand::RemoveVisitor { .. },
            ) => phase,
            (phase, _) => return Err(Rejection::PhaseForbids { phase }),
        };
        match command {
            EventCommand::Block(seats) => self.block(&seats)?,
            EventCommand::Unblock(seats) => {
                for seat in seats {
                    self.blocked.remove(&(seat.section, seat.seat));
                }
            }
            _ => {}
        }
        self.phase = phase;
        self.revision += 1;
        Ok(())
    }

    fn block(&mut self, seats: &[SeatRef]) -> Result<(), Rejection> {
        for seat in seats {
            if !self.blocked.insert((seat.section, seat.seat)) {
                return Err(Rejection::SeatNotFree { seat: *seat });
            }
        }
        Ok(())
    }

    pub fn layout(&self) -> Layout {
        Layout {
            etag: format!("{:x}", self.entry.event_id),
            map: channel::SeatMap {
                name: self.entry.venue.clone(),
                categories: Vec::new(),
                sections: vec![channel::Section {
                    name: "Stalls".into(),
                    rows: vec![channel::Row {
                        label: "A".into(),
                        seats: vec![channel::Seat {
                            guid: "a1".into(),
                            number: "1".into(),
                            x: 1.25,
                            y: -3.0,
                            category: 2,
                            accessible: true,
                            ..Default::default()
                        }],
                    }],
                    ..Default::default()
                }],
                width: 10.0,
                height: 5.0,
            },
        }
    }
}

/// What changes after a revision.
pub fn feed(from_revision: u64) -> Box<dyn Feed> {
    match from_revision {
        QUIET_REVISION => Box::new(Quiet),
        _ => Box::new(OneChange(true)),
    }
}

/// An event on which nothing happens.
struct Quiet;

#[async_trait]
impl Feed for Quiet {
    async fn next(&mut self) -> Option<views::Changes> {
        std::future::pending().await
    }
}

struct OneChange(bool);

#[async_trait]
impl Feed for OneChange {
    async fn next(&mut self) -> Option<views::Changes> {
        if std::mem::replace(&mut self.0, false) {
            return Some(views::Changes {
                revision: 9,
                changes: vec![views::SeatsChange {
                    revision: 9,
                    at_ms: 1,
                    section: 0,
                    first: 3,
                    count: 2,
                    from: "free".into(),
                    to: "held".into(),
                }],
            });
        }
        None
    }
}
