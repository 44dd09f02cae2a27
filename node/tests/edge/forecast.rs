//! What a node foresees while it sells, which prices follow, and which events go together: from buyers' calls to
//! what an operator reads.

use std::time::{Duration, Instant};

use onsale::load::keys::Keys;
use onsale::load::{Answer, Call, Client, Line};
use onsale::local::api::moment_in;
use onsale::plan;
use serde_json::Value;

use crate::node::Node;

const LIMIT: Duration = Duration::from_secs(30);
/// They buy both of two events; others buy a third.
const FANS: usize = 8;
const OTHERS: usize = 24;
/// Seats of the event that the others buy.
const HOUSE: u32 = 10_000;
/// Between two of the others: figures are taken every other second.
const APART: Duration = Duration::from_millis(250);

async fn buy(client: &Client, keys: &mut Keys, event: u64, buyer: [u8; 16]) {
    let hold = keys.make();
    let place = Call::PlaceHold {
        pass: String::new(),
        hold,
        buyer,
        ttl_s: 0,
        lines: vec![Line::best(2)],
    };
    let confirm = Call::ConfirmHold {
        hold,
        order: keys.make(),
        payment: "paid".into(),
    };
    for (key, call) in [(hold, place), (keys.make(), confirm)] {
        let answer = client.call(event, key, call, LIMIT).await;
        assert!(matches!(answer, Ok(Answer::Done { .. })), "{answer:?}");
    }
}

/// Asks until the answer is as wanted.
async fn until(node: &Node, words: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + LIMIT;
    loop {
        let answer = node.ctl(words);
        match answer {
            Ok(answer) if wanted(&answer) => return answer,
            last => assert!(Instant::now() < end, "{words:?}: {last:?}"),
        }
        tokio::time::sleep(APART).await;
    }
}

fn another_event(node: &Node, name: &str, seats: u32) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan::bowl(seats).to_json()).expect("is written");
    let (file, starts) = (file.to_string_lossy(), moment_in(Duration::from_secs(120)));
    let words = [
        "events",
        "create",
        "--name",
        name,
        "--plan",
        &file,
        "--starts-at",
        &starts,
    ];
    let event = node.ctl(&words).expect("is created")["event_id"].as_u64();
    let event = event.expect("has an id");
    node.ctl(&["events", "open", &event.to_string()])
        .expect("opens");
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_foresees_what_it_sells_and_knows_what_goes_together() {
    let node = Node::start(|_| {});
    let (second, third) = (
        another_event(&node, "Second", 2_000),
        // Large enough that it is sure not to sell out before it begins.
        another_event(&node, "Third", HOUSE),
    );
    let client = Client::unary(&node.net(), &node.partner_addresses(), node.bearer());
    let (client, mut keys) = (client.expect("an address"), node.keys(7));
    for _ in 0..FANS {
        let buyer = keys.make();
        buy(&client, &mut keys, node.event, buyer).await;
        buy(&client, &mut keys, second, buyer).await;
    }
    for _ in 0..OTHERS {
        let buyer = keys.make();
        buy(&client, &mut keys, third, buyer).await;
        tokio::time::sleep(APART).await;
    }
    let third = third.to_string();
    let words = ["events", "forecast", &third];
    // Figures are some seconds old.
    let knows_all =
        |forecast: &Value| forecast["sold"] == 2 * OTHERS && forecast["model"].is_string();
    let forecast = until(&node, &words, knows_all).await;
    assert_eq!(forecast["size"], "middle", "{forecast}");
    let seconds = forecast["closes_in_s"].as_u64().expect("it begins");
    assert!(seconds <= 120, "{forecast}");
    let foreseen = &forecast["sold_in_1m"];
    let bounds = ["low", "likely", "high"].map(|bound| foreseen[bound].as_u64());
    assert!(
        bounds.is_sorted() && bounds[0] >= Some(2 * OTHERS as u64),
        "{forecast}"
    );
    assert!(node.metric("onsale_forecast_made_total") >= 1.0);
    assert!(
        node.metric("onsale_sale_phase_changes_total") >= 1.0,
        "events were opened"
    );

    let category = "stalls:6000:4000:12000:500";
    let words = ["events", "propose-prices", &third, "--category", category];
    let is_made = |proposal: &Value| proposal["proposal_id"].is_string();
    let proposal = until(&node, &words, is_made).await;
    assert_eq!(proposal["categories"][0]["price"], 6000, "{proposal}");
    assert_eq!(proposal["categories"][0]["proposed"], 5500, "{proposal}");
    let id = proposal["proposal_id"].as_str().expect("has one");
    let approve = ["events", "decide-prices", &third, id, "--approve"];
    let decision = node.ctl(&approve).expect("is approved");
    assert_eq!(decision["approved"], true, "{decision}");
    assert_eq!(decision["proposal_id"], id, "{decision}");
    let note = decision["note"].as_str().expect("says what came of it");
    assert!(note.contains("no price was changed"), "{decision}");
    assert!(
        decision["by"].is_string(),
        "somebody has decided: {decision}"
    );
    let again = node.ctl(&approve).expect_err("is decided");
    assert!(again.contains("no such proposal"), "{again}");

    let nobodys = "0198b0a0-7c00-7abc-8def-0123456789ab";
    let words = ["events", "decide-prices", &third, nobodys, "--approve"];
    assert!(
        node.ctl(&words)
            .expect_err("is none")
            .contains("no such proposal")
    );

    // The index is behind the sale, and is looked at once in five minutes.
    let all = 2 * FANS + OTHERS;
    let has_all = |list: &Value| list["orders"].as_array().map(Vec::len) == Some(all);
    until(&node, &["orders", "list"], has_all).await;
    let first = node.event.to_string();
    let words = ["events", "recommendations", &first];
    let list = until(&node, &words, |list| list["orders"] == all).await;
    assert_eq!(
        list["recommendations"].as_array().map(Vec::len),
        Some(1),
        "{list}"
    );
    assert_eq!(list["recommendations"][0]["event_id"], second, "{list}");
    assert_eq!(list["recommendations"][0]["likeness"], 1.0);
}
