//! What a new event is made of, decided before the cluster is told anything of it: its plan is
//! read, its sale is made once to see that it can be. Called by `create` alone, on a lane.

use actors::codec::{rules, venue};
use bytes::Bytes;
use domain::Sale;
use domain::ids::{IdempotencyKey, SeatRef};
use domain::rejection::Rejection;
use domain::venue::{SectionPlan, Venue, VenueFault};
use prost::Message as _;
use xxhash_rust::xxh3::Xxh3;

use super::super::refusals::floors_beyond;
use crate::http::api::NewEvent;
use crate::http::problem::{Problem, Reason};
use crate::plan::{self, Options, PlanFault};

/// More than the fields around them take.
const ENTRY_AROUND: usize = 256;

pub(super) struct Blueprint {
    pub venue: Venue,
    pub layout: Bytes,
    /// What its creation takes in the log.
    pub entry_bytes: usize,
    /// What the plan keeps off sale.
    pub blocked: Vec<SeatRef>,
    /// Every replica builds its tables with it; partners do not know it. Another plan or other
    /// rules under the same key have another: it tells a repeated creation from a new one.
    pub hash_seed: u64,
}

impl Blueprint {
    /// A large plan takes its time.
    pub fn draw(event: &NewEvent) -> Result<Blueprint, Problem> {
        let options = Options {
            dedupe: event.dedupe,
            ..Options::default()
        };
        let imported = plan::read(&event.plan, &options).map_err(|fault| invalid(&fault))?;
        let (etag, layout) = plan::layout_bytes(&imported.seat_map)
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        if let Some(problem) = floors_beyond(&event.rules, seats_of(&imported.venue)) {
            return Err(problem);
        }
        let hash_seed = hash_seed(event, &etag, &imported.venue, &imported.blocked);
        Sale::new(&imported.venue, event.rules.clone(), hash_seed).map_err(
            |fault| match fault {
                VenueFault::RulesInvalid => Problem::rejected(Rejection::RulesInvalid),
                fault => Problem::new(Reason::InvalidPlan, fault.to_string()),
            },
        )?;
        let parts = [
            layout.len(),
            venue::to_proto(&imported.venue).encoded_len(),
            rules::to_proto(&event.rules).encoded_len(),
            ENTRY_AROUND,
        ];
        Ok(Blueprint {
            entry_bytes: parts.iter().sum(),
            venue: imported.venue,
            layout,
            blocked: imported.blocked,
            hash_seed,
        })
    }
}

fn invalid(fault: &PlanFault) -> Problem {
    Problem::new(Reason::InvalidPlan, fault.to_string())
}

fn seats_of(venue: &Venue) -> u64 {
    let seats = venue.sections.iter().map(|section| match section {
        SectionPlan::Seated { rows, .. } => rows.iter().map(|row| row.seats.len() as u64).sum(),
        SectionPlan::General { capacity, .. } => u64::from(*capacity),
    });
    seats.sum()
}

fn hash_seed(event: &NewEvent, etag: &str, of: &Venue, blocked: &[SeatRef]) -> u64 {
    let mut hasher = Xxh3::with_seed(key_seed(event.key));
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(etag.as_bytes());
    add(&venue::to_proto(of).encode_to_vec());
    add(&rules::to_proto(&event.rules).encode_to_vec());
    for seat in blocked {
        let SeatRef { section, seat } = *seat;
        add(&section.to_le_bytes());
        add(&seat.to_le_bytes());
    }
    hasher.digest()
}

fn key_seed(key: IdempotencyKey) -> u64 {
    (key.0 as u64) ^ ((key.0 >> 64) as u64).rotate_left(32)
}

#[cfg(test)]
mod tests {
    use domain::rules::{ChannelRules, SaleRules};

    use super::*;

    fn event(plan: Vec<u8>) -> NewEvent {
        NewEvent {
            key: IdempotencyKey(0x0198_b0a0_7c00_7abc_8def_0123_4567_89ab),
            name: "Aida".into(),
            venue: String::new(),
            organiser: String::new(),
            starts_at_ms: 0,
            rules: SaleRules::default(),
            plan: plan.into(),
            dedupe: false,
        }
    }

    fn seed(event: &NewEvent) -> u64 {
        let drawn = Blueprint::draw(event);
        drawn.unwrap_or_else(|why| panic!("{why}")).hash_seed
    }

    #[test]
    fn the_same_event_has_the_same_seed_and_no_other_has() {
        let plan = String::from_utf8(plan::theatre().to_json()).expect("is text");
        let first = event(plan.clone().into_bytes());
        assert_eq!(seed(&first), seed(&first.clone()));

        let mut others = vec![event(plan::bowl(500).to_json())];
        others.push(NewEvent {
            key: IdempotencyKey(first.key.0 ^ 1),
            ..first.clone()
        });
        let mut rules = first.rules.clone();
        rules.buyer_limit = 4;
        others.push(NewEvent {
            rules,
            ..first.clone()
        });
        for other in &others {
            assert_ne!(seed(&first), seed(other));
        }
    }

    #[test]
    fn floors_that_the_venue_cannot_hold_are_refused_with_both_numbers() {
        let mut event = event(plan::bowl(500).to_json());
        let seats = seats_of(&Blueprint::draw(&event).map_err(drop).expect("fits").venue);
        let floor = |channel, floor| ChannelRules {
            channel: domain::ids::ChannelId(channel),
            floor,
            cap: u32::MAX,
            hold_ttl_ms: 0,
        };
        event.rules.channels = vec![floor(1, seats as u32), floor(2, 1)];
        let problem = Blueprint::draw(&event).map(drop).expect_err("too many");
        assert_eq!((problem.status, &*problem.reason), (422, "RULES_INVALID"));
        assert_eq!(problem.in_the_way["floors"], (seats + 1).to_string());
        assert_eq!(problem.in_the_way["seats"], seats.to_string());
        event.rules.channels.pop();
        assert!(Blueprint::draw(&event).is_ok());
    }
}
