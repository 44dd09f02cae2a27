//! What a node in memory foresees and proposes: always the same.

use domain::ids::IdempotencyKey;

use super::event::SEATS;
use crate::forecast::price::Category;
use crate::http::views;

pub fn forecast(event_id: u64) -> views::Forecast {
    let band = |likely| {
        Some(views::Band {
            low: likely - 1,
            likely,
            high: likely + 1,
        })
    };
    views::Forecast {
        event_id,
        size: "small".into(),
        phase: "open".into(),
        seats: SEATS as u32,
        sold: 5,
        held: 1,
        model: Some("pace".into()),
        note: "made 2 s ago".into(),
        sell_out_in_s: Some(views::Band {
            low: Some(60),
            likely: Some(90),
            high: None,
        }),
        sold_in_1m: band(9),
        sold_in_10m: None,
        closes_in_s: None,
        sold_by_close: None,
    }
}

pub fn proposal(
    event_id: u64,
    key: IdempotencyKey,
    categories: &[Category],
) -> views::PriceProposal {
    let raised = categories.iter().map(|category| views::PriceSuggestion {
        name: category.name.clone(),
        price: category.price,
        proposed: category.price + category.step,
        break_even: 0.1,
    });
    views::PriceProposal {
        event_id,
        proposal_id: Some(views::id_text(key.0)),
        why: "it is a test".into(),
        categories: raised.collect(),
    }
}
