//! Bodies of the calls that create an event: one JSON body with the plan inside, or the plan as the
//! body and the rest in the query string.

use bytes::Bytes;
use domain::ids::IdempotencyKey;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Rules, moment, text};
use crate::http::api::NewEvent;
use crate::http::problem::{Problem, Reason};

/// An event to be created, with its plan inside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEvent<'a> {
    pub name: String,
    #[serde(default)]
    pub venue: String,
    #[serde(default)]
    pub organiser: String,
    /// RFC 3339.
    pub starts_at: Option<String>,
    #[serde(default)]
    pub test_mode: bool,
    #[serde(default)]
    pub rules: Rules,
    /// Left as text: the plan's own reader says what is wrong with it, and where.
    #[serde(borrow)]
    pub plan: &'a RawValue,
    #[serde(default)]
    pub dedupe: bool,
}

/// The same when the whole body is the plan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEventQuery {
    pub name: Option<String>,
    #[serde(default)]
    pub venue: String,
    #[serde(default)]
    pub organiser: String,
    pub starts_at: Option<String>,
    #[serde(default)]
    pub test_mode: bool,
    pub hold_ttl_s: Option<u32>,
    pub buyer_limit: Option<u32>,
    #[serde(default)]
    pub dedupe: bool,
}

impl CreateEvent<'_> {
    /// `body` is what this was read from: the plan stays a part of it. The query may ask to dedupe too.
    pub fn into_event(
        self,
        key: IdempotencyKey,
        body: &Bytes,
        dedupe: bool,
    ) -> Result<NewEvent, Problem> {
        let plan = plan_of(body, self.plan);
        let rules = self.rules.into_domain(self.test_mode)?;
        checked(NewEvent {
            key,
            name: self.name,
            venue: self.venue,
            organiser: self.organiser,
            starts_at_ms: starts_at_ms(self.starts_at.as_deref())?,
            rules,
            plan,
            dedupe: dedupe || self.dedupe,
        })
    }
}

impl CreateEventQuery {
    pub fn into_event(self, key: IdempotencyKey, plan: &Bytes) -> Result<NewEvent, Problem> {
        let mut rules = Rules::default();
        rules.hold_ttl_s = self.hold_ttl_s.unwrap_or(rules.hold_ttl_s);
        rules.buyer_limit = self.buyer_limit.unwrap_or(rules.buyer_limit);
        if plan.is_empty() {
            return Err(Problem::new(
                Reason::InvalidPlan,
                "the body must be a seating plan",
            ));
        }
        checked(NewEvent {
            key,
            name: self.name.unwrap_or_default(),
            venue: self.venue,
            organiser: self.organiser,
            starts_at_ms: starts_at_ms(self.starts_at.as_deref())?,
            rules: rules.into_domain(self.test_mode)?,
            plan: Bytes::clone(plan),
            dedupe: self.dedupe,
        })
    }
}

fn checked(event: NewEvent) -> Result<NewEvent, Problem> {
    text("name", &event.name, true)?;
    text("venue", &event.venue, false)?;
    text("organiser", &event.organiser, false)?;
    Ok(event)
}

fn starts_at_ms(text: Option<&str>) -> Result<i64, Problem> {
    text.map_or(Ok(0), |text| moment("starts_at", text))
}

/// The part of `body` that `raw` was read from, without a copy.
fn plan_of(body: &Bytes, raw: &RawValue) -> Bytes {
    body.slice_ref(raw.get().as_bytes())
}
