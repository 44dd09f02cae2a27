//! How much memory a node takes: `cargo run --release -p onsale --example memory [idle events]`
//! starts one real node (this very program), puts an event of 100,000 seats on sale, sells it out
//! by the public gRPC, and does the same with 10,000 idle events of 500 seats on another node. The
//! figures are resident memory above the empty node's, as JSON on the standard output.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use cluster::components::{Net, WallClock};
use futures::stream::{FuturesUnordered, StreamExt as _};
use onsale::load::connect::{Bearer, MachineClock, Tcp};
use onsale::load::keys::Keys;
use onsale::load::{Answer, Call, Client, Line, venue};
use onsale::local::api::{self, NewEvent};
use onsale::local::{Local, Profile, Settings};

/// For what is done in the background after a request: archives, snapshots, freed memory.
const SETTLE: Duration = Duration::from_secs(5);
const SEATS: u64 = 100_000;
/// Buyers under way at once.
const BUYERS: usize = 512;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    // The node that `Local` starts is this program again.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return onsale::cli::Cli::run(std::env::args_os());
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> anyhow::Result<()> {
    let idle_events = match std::env::args().nth(1) {
        Some(text) => text.parse().context("how many idle events?")?,
        None => 10_000,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (empty, on_sale, sold_out) = runtime.block_on(one_large_event())?;
    let (idle_empty, idle) = runtime.block_on(idle(idle_events))?;
    let above = |bytes: u64, empty: u64| (bytes.saturating_sub(empty)) as f64 / 1e6;
    let figures = serde_json::json!({
        "empty_node_mb": empty as f64 / 1e6,
        "seats": SEATS,
        "on_sale_mb": above(on_sale, empty),
        "sold_out_mb": above(sold_out, empty),
        "idle_events": idle_events,
        "idle_events_mb": above(idle, idle_empty),
    });
    println!("{figures:#}");
    Ok(())
}

async fn node() -> anyhow::Result<Local> {
    let mut settings = Settings::of_this_program(1, Profile::Default)?;
    settings.base.cluster.replicas = 1;
    Local::started(settings).await
}

async fn resident(local: &Local) -> u64 {
    tokio::time::sleep(SETTLE).await;
    local.usage()[0].resident_bytes
}

async fn open(local: &Local, name: String, plan: Arc<Vec<u8>>) -> anyhow::Result<u64> {
    let api = local.api();
    let opened = move || {
        api.open_event(&NewEvent {
            name: &name,
            venue: "Memory",
            test_mode: true,
            hold_ttl_s: 1800,
            plan: &plan,
            dedupe: false,
        })
    };
    Ok(api::off(opened).await?.event_id)
}

/// Resident memory of the empty node, with the event on sale, and with every seat an order.
async fn one_large_event() -> anyhow::Result<(u64, u64, u64)> {
    let local = node().await?;
    let empty = resident(&local).await;
    let plan = Arc::new(venue::plan("Stadium", 100, 1000));
    let event = open(&local, "Stadium".into(), plan).await?;
    let on_sale = resident(&local).await;
    sell_out(&local, event).await?;
    let sold_out = resident(&local).await;
    Ok((empty, on_sale, sold_out))
}

/// Every seat becomes an order of its own: the most there can be.
async fn sell_out(local: &Local, event: u64) -> anyhow::Result<()> {
    let api = local.api();
    let partner = api::off(move || api.partner("memory")).await?;
    let key = Bearer::new(&partner.key)?;
    let net: Arc<dyn Net> = Arc::new(Tcp);
    let wall: Arc<dyn WallClock> = Arc::new(MachineClock);
    let client = Client::session(net, local.partner_addresses(), key);
    let mut keys = Keys::new(1, &wall);
    let mut buying = FuturesUnordered::new();
    for _ in 0..SEATS {
        keys.tick(tokio::time::Instant::now());
        let ids = std::array::from_fn(|_| keys.make());
        buying.push(buy(&client, event, ids));
        if buying.len() == BUYERS {
            buying.next().await.transpose()?;
        }
    }
    while buying.next().await.transpose()?.is_some() {}
    Ok(())
}

async fn buy(client: &Client, event: u64, ids: [[u8; 16]; 5]) -> anyhow::Result<()> {
    let [hold, buyer, order, first, second] = ids;
    let place = Call::PlaceHold {
        pass: String::new(),
        hold,
        buyer,
        ttl_s: 0,
        lines: vec![Line::best(1)],
    };
    let confirm = Call::ConfirmHold {
        hold,
        order,
        payment: "paid".into(),
    };
    for (key, call) in [(first, place), (second, confirm)] {
        match client.call(event, key, call, PATIENCE).await? {
            Answer::Done { .. } => {}
            Answer::Rejected { why, .. } => bail!("refused: {why:?}"),
        }
    }
    Ok(())
}

/// Resident memory of an empty node and with so many events of 500 seats on sale.
async fn idle(events: u32) -> anyhow::Result<(u64, u64)> {
    let local = node().await?;
    let empty = resident(&local).await;
    let plan = Arc::new(venue::plan("Hall", 1, 500));
    for number in 0..events {
        open(&local, format!("Hall {number}"), plan.clone()).await?;
    }
    Ok((empty, resident(&local).await))
}
