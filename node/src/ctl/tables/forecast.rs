//! Forecasts, price proposals and recommendations.

use super::{numbers, with};
use crate::http::views::{
    Band, Forecast, PriceDecision, PriceProposal, PriceSuggestion, RecommendationList, Recommended,
};

pub fn forecast(forecast: &Forecast) -> String {
    let Forecast {
        event_id,
        size,
        phase,
        seats,
        sold,
        held,
        model,
        note,
        sell_out_in_s,
        sold_in_1m,
        sold_in_10m,
        closes_in_s,
        sold_by_close,
    } = forecast;
    let mut table = with(&["", "", "low", "high"]);
    let mut row = |name: &str, value: String, low: String, high: String| {
        table.add_row([name.to_owned(), value, low, high]);
    };
    let none = String::new;
    row("event", event_id.to_string(), none(), none());
    row("size", size.clone(), none(), none());
    row("phase", phase.clone(), none(), none());
    row("seats", seats.to_string(), none(), none());
    row("sold", sold.to_string(), none(), none());
    row("held", held.to_string(), none(), none());
    let model = model.as_deref().unwrap_or("none");
    row("model", format!("{model}, {note}"), none(), none());
    if let Some(Band { low, likely, high }) = sell_out_in_s {
        let [low, likely, high] = [low, likely, high].map(|seconds| duration(*seconds));
        row("sold out in", likely, low, high);
    }
    let closes = match closes_in_s {
        Some(seconds) => duration(Some(*seconds)),
        None => "not known".into(),
    };
    for (name, band) in [
        ("sold in a minute", sold_in_1m),
        ("sold in ten", sold_in_10m),
        ("sold by the closing", sold_by_close),
    ] {
        if let Some(Band { low, likely, high }) = band {
            row(name, likely.to_string(), low.to_string(), high.to_string());
        }
    }
    row("closes in", closes, none(), none());
    numbers(&mut table, &[2, 3]);
    table.to_string()
}

/// `1d 2h`, `3min 20s`; the two largest units.
fn duration(seconds: Option<u64>) -> String {
    let Some(seconds) = seconds else {
        return "out of sight".into();
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}min {}s", seconds % 60),
        (0, ..) => format!("{hours}h {}min", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

pub fn recommendations(list: &RecommendationList) -> String {
    let mut table = with(&["event", "name", "likeness"]);
    for Recommended {
        event_id,
        name,
        likeness,
    } in &list.recommendations
    {
        table.add_row([event_id.to_string(), name.clone(), format!("{likeness:.2}")]);
    }
    numbers(&mut table, &[0, 2]);
    let mut text = format!("{table}\nfrom {} orders, {} s ago", list.orders, list.age_s);
    if list.events_missing > 0 {
        text += &format!(
            "\nnot complete: the index takes {} events anew, ask again later",
            list.events_missing
        );
    }
    text
}

pub fn price_proposal(proposal: &PriceProposal) -> String {
    let PriceProposal {
        event_id,
        proposal_id,
        why,
        categories,
    } = proposal;
    let Some(proposal_id) = proposal_id else {
        return format!("nothing is proposed: {why}");
    };
    let mut table = with(&["category", "price", "proposed", "break-even"]);
    for PriceSuggestion {
        name,
        price,
        proposed,
        break_even,
    } in categories
    {
        table.add_row([
            name.clone(),
            price.to_string(),
            proposed.to_string(),
            format!("{:.1} % of sales", 100.0 * break_even),
        ]);
    }
    numbers(&mut table, &[1, 2, 3]);
    format!(
        "{table}\nbecause {why}\ndecide: onsale ctl events decide-prices {event_id} {proposal_id} --approve"
    )
}

pub fn price_decision(decision: &PriceDecision) -> String {
    let PriceDecision {
        event_id: _,
        proposal_id,
        approved,
        by,
        note,
    } = decision;
    let word = if *approved { "approved" } else { "refused" };
    format!("{proposal_id} is {word} by {by}: {note}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let text = |seconds| duration(Some(seconds));
        assert_eq!(text(59), "59s");
        assert_eq!(text(200), "3min 20s");
        assert_eq!(text(7_260), "2h 1min");
        assert_eq!(text(90_000), "1d 1h");
        assert_eq!(duration(None), "out of sight");
    }
}
