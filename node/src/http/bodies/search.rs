//! The query string of the searches for orders and holds.

use serde::Deserialize;

use super::{id, instant};
use crate::http::api::Search;
use crate::http::problem::Problem;

const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    event: Option<u64>,
    partner: Option<u32>,
    buyer: Option<String>,
    state: Option<String>,
    from: Option<String>,
    to: Option<String>,
    page: Option<String>,
    page_size: Option<usize>,
}

impl SearchQuery {
    /// `states` are those the kind of row can be in.
    pub fn into_search(self, states: &[&str]) -> Result<Search, Problem> {
        if let Some(state) = &self.state
            && !states.contains(&state.as_str())
        {
            return Err(Problem::bad_request(format!(
                "state: must be one of {}, is {state:?}",
                states.join(", ")
            )));
        }
        let page_size = self.page_size.unwrap_or(PAGE_SIZE);
        if !(1..=PAGE_SIZE_MAX).contains(&page_size) {
            return Err(Problem::bad_request(format!(
                "page_size: must be 1 to {PAGE_SIZE_MAX}, is {page_size}"
            )));
        }
        Ok(Search {
            event: self.event,
            partner: self.partner,
            buyer: self.buyer.map(|text| id("buyer", &text)).transpose()?,
            state: self.state,
            from_ms: self.from.map(|text| instant("from", &text)).transpose()?,
            to_ms: self.to.map(|text| instant("to", &text)).transpose()?,
            page: self.page,
            page_size,
        })
    }
}
