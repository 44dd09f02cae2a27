//! What is foreseen of a sale that this node leads, what prices follow, and what goes with an event.

use domain::ids::{IdempotencyKey, SaleId};

use super::Admin;
use crate::forecast::price::{
    Category, NoProposal, OneStep, Pricer as _, Proposal, Prospect, Suggestion,
};
use crate::forecast::{Band, State};
use crate::http::api::{Answer, Operator};
use crate::http::problem::{Problem, Reason, phase_text};
use crate::http::views::{self, id_text};
use crate::serve::welcome::random;

/// Events that are recommended at most.
const RECOMMENDED_MAX: usize = 10;

impl Admin {
    fn foreseen(&self, event_id: u64) -> Answer<State> {
        self.leading_replica(event_id)?;
        let state = self.parts.forecasts.state(SaleId(event_id));
        let state = state.ok_or_else(|| {
            Problem::new(
                Reason::NotReady,
                "this node has just begun to lead the sale and has no figures of it: ask again",
            )
        })?;
        Ok(state)
    }

    pub(super) fn read_forecast(&self, event_id: u64) -> Answer<views::Forecast> {
        Ok(forecast(event_id, &self.foreseen(event_id)?))
    }

    pub(super) fn make_proposal(
        &self,
        event_id: u64,
        key: IdempotencyKey,
        categories: &[Category],
    ) -> Answer<views::PriceProposal> {
        let state = self.foreseen(event_id)?;
        let proposed =
            Prospect::of(&state).and_then(|prospect| OneStep.propose(&prospect, categories));
        let (why, suggestions) = match proposed {
            Ok(proposed) => proposed,
            Err(unusable @ NoProposal::Unusable(_)) => {
                return Err(Problem::bad_request(unusable.to_string()).into());
            }
            Err(nothing) => {
                return Ok(views::PriceProposal {
                    event_id,
                    proposal_id: None,
                    why: nothing.to_string(),
                    categories: Vec::new(),
                });
            }
        };
        let categories = suggestions.iter().map(suggestion).collect();
        let proposal = Proposal {
            id: key.0,
            made_at_ms: self.parts.components.wall.now_ms(),
            why,
            suggestions,
        };
        self.desk.put(SaleId(event_id), proposal);
        Ok(views::PriceProposal {
            event_id,
            proposal_id: Some(id_text(key.0)),
            why: why.text().into(),
            categories,
        })
    }

    /// Written to the log, and nothing else comes of it.
    pub(super) fn note_decision(
        &self,
        event_id: u64,
        proposal: u128,
        approve: bool,
        by: Option<Operator>,
    ) -> Answer<views::PriceDecision> {
        self.leading_replica(event_id)?;
        let now_ms = self.parts.components.wall.now_ms();
        let decided = self.desk.decide(SaleId(event_id), proposal, now_ms);
        let decided =
            decided.map_err(|undecided| Problem::new(Reason::Conflict, undecided.to_string()))?;
        let by = by.map(|operator| operator.key_id).unwrap_or_default();
        let prices: Vec<(&str, i64, i64)> = decided
            .suggestions
            .iter()
            .map(|of| (of.category.name.as_str(), of.category.price, of.proposed))
            .collect();
        tracing::info!(
            event_id,
            operator = by,
            proposal = id_text(proposal),
            approved = approve,
            why = decided.why.text(),
            ?prices,
            "prices decided"
        );
        Ok(views::PriceDecision {
            event_id,
            proposal_id: id_text(proposal),
            approved: approve,
            by,
            note: "written to this node's log; no price was changed, that is the shops' to do"
                .into(),
        })
    }

    pub(super) async fn recommend(&self, event_id: u64) -> Answer<views::RecommendationList> {
        // A sale without a replica here is in another node's index.
        self.replica(event_id)?;
        let index = self.index()?;
        let key = random().map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        let sale = SaleId(event_id);
        let found = self.recommendations.of(sale, RECOMMENDED_MAX, index, &key);
        let found = found.await.map_err(super::search::failed)?;
        let map = self.parts.cluster.map();
        let named = found.recommendations.iter().filter_map(|of| {
            Some(views::Recommended {
                event_id: of.event.0,
                name: map.sales.get(&of.event.0)?.name.clone(),
                likeness: of.likeness,
            })
        });
        Ok(views::RecommendationList {
            event_id,
            recommendations: named.collect(),
            orders: found.orders,
            age_s: found.age.as_secs(),
            events_missing: found.sales_missing,
        })
    }
}

fn suggestion(of: &Suggestion) -> views::PriceSuggestion {
    views::PriceSuggestion {
        name: of.category.name.clone(),
        price: of.category.price,
        proposed: of.proposed,
        break_even: (of.break_even * 1000.0).round() / 1000.0,
    }
}

fn forecast(event_id: u64, state: &State) -> views::Forecast {
    let State {
        size,
        phase,
        now,
        outlook,
        age_s,
        closes_in_s,
        sold_by_close,
    } = state;
    let left = |seconds: f64| (seconds - age_s).max(0.0).round() as u64;
    // More may have been sold since it was made.
    let seats = |band: Band<f64>| {
        let sold = u64::from(now.sold);
        views::Band {
            low: sold.max(band.low.floor() as u64),
            likely: sold.max(band.likely.round() as u64),
            high: sold.max(band.high.ceil() as u64),
        }
    };
    let sold_in = |ahead: usize| {
        let outlook = outlook.as_ref()?;
        outlook.sold_at.get(ahead).copied().flatten().map(seats)
    };
    let note = match outlook {
        Some(_) => format!("made {age_s:.0} s ago"),
        None if now.sold == now.capacity => "sold out".into(),
        None if state.is_selling() => "its curve says too little yet".into(),
        None => "it is not selling".into(),
    };
    views::Forecast {
        event_id,
        size: size.name().into(),
        phase: phase_text(*phase).into(),
        seats: now.capacity,
        sold: now.sold,
        held: now.taken.saturating_sub(now.sold),
        model: outlook.as_ref().map(|outlook| outlook.model.name().into()),
        note,
        sell_out_in_s: outlook.as_ref().map(|outlook| views::Band {
            low: outlook.sell_out_s.low.map(left),
            likely: outlook.sell_out_s.likely.map(left),
            high: outlook.sell_out_s.high.map(left),
        }),
        sold_in_1m: sold_in(0),
        sold_in_10m: sold_in(1),
        closes_in_s: closes_in_s.map(left),
        sold_by_close: sold_by_close.map(seats),
    }
}
