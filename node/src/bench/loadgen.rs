//! Runs the connections of one measurement: starts them, lets them warm up, holds the watch,
//! re-opens what sells out.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::measure::{Figures, Watch};
use super::setup::{Connection, Scene};
use super::stock::Stock;
use super::tally::Tally;
use super::workload::Ask;
use super::{Args, Mode, Workload, stream, unary};
use crate::local::Local;
use crate::local::api::{self, Api};

/// What all connections of a measurement share.
pub struct Shared {
    pub workload: Workload,
    pub pack: usize,
    pub tally: Tally,
    pub flight: Flight,
    /// The sequence in which uniform takes its seats.
    pub shuffled: Vec<u32>,
}

/// The operations under way, by the place of their slot; all connections together.
pub struct Flight {
    numbers: Vec<Cell<u64>>,
    busy: Cell<usize>,
    rest: Notify,
}

const NOTHING: u64 = u64::MAX;

impl Flight {
    fn new(slots: usize) -> Flight {
        Flight {
            numbers: vec![Cell::new(NOTHING); slots],
            busy: Cell::new(0),
            rest: Notify::new(),
        }
    }

    pub fn begin(&self, slot: usize, number: u64) {
        self.numbers[slot].set(number);
        self.busy.set(self.busy.get() + 1);
    }

    pub fn end(&self, slot: usize) {
        self.numbers[slot].set(NOTHING);
        self.busy.set(self.busy.get() - 1);
        if self.busy.get() == 0 {
            self.rest.notify_one();
        }
    }

    /// Every operation with a lower number has ended.
    fn done_below(&self, started: u64) -> u64 {
        let oldest = self.numbers.iter().map(Cell::get).min();
        oldest.unwrap_or(NOTHING).min(started)
    }
}

/// What one connection sells.
#[derive(Clone)]
pub struct Supply {
    pub stock: Rc<Stock>,
    /// Event ids, taken in turn.
    events: Rc<[u64]>,
    shared: Rc<Shared>,
}

/// An operation that may start.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub number: u64,
    pub event: u64,
    pub ask: Ask,
}

impl Supply {
    pub fn start(&self) -> Option<Start> {
        let number = self.stock.start()?;
        let events = self.events.len() as u64;
        Some(Start {
            number,
            event: self.events[(number % events) as usize],
            ask: (self.shared.workload).ask(number / events, &self.shared.shuffled),
        })
    }
}

/// One measurement on a prepared scene.
pub async fn run(local: &Local, args: &Args, scene: &Scene) -> anyhow::Result<Figures> {
    LocalSet::new()
        .run_until(measurement(local, args, scene))
        .await
}

async fn measurement(local: &Local, args: &Args, scene: &Scene) -> anyhow::Result<Figures> {
    let mut rng = StdRng::seed_from_u64(args.seed);
    let mut shuffled = args.workload.places();
    shuffled.shuffle(&mut rng);
    let slots = scene.connections.iter().map(|one| one.calls).sum();
    let shared = Rc::new(Shared {
        workload: args.workload,
        pack: args.pack as usize,
        tally: Tally::new()?,
        flight: Flight::new(slots),
        shuffled,
    });
    if args.workload != Workload::Soldout {
        // The run before has left its orders.
        reopen_all(&scene.api, &scene.events).await?;
    }

    let mut tasks = JoinSet::new();
    let stocks = connect(args, scene, &shared, &mut tasks).await?;
    let run = async {
        let figures = match args.workload {
            Workload::Many => in_rounds(local, args, scene, &shared, &stocks).await,
            Workload::Soldout => {
                while shared.tally.refusals_ever() < u64::from(args.concurrency()) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                at_a_stretch(local, args, &shared).await
            }
            Workload::Uniform | Workload::Hot | Workload::Group4 | Workload::Queue => {
                let reopening = reopen_when_low(scene, &shared, &stocks);
                tokio::select! {
                    figures = at_a_stretch(local, args, &shared) => figures,
                    ended = reopening => ended,
                }
            }
        }?;
        come_to_rest(&shared, &stocks).await;
        anyhow::Ok(figures)
    };
    tokio::select! {
        figures = run => figures,
        Some(ended) = tasks.join_next() => match ended {
            Ok(Ok(())) => bail!("a connection ended"),
            Ok(Err(error)) => Err(error.context("a connection failed")),
            Err(panic) => bail!("a connection failed: {panic}"),
        },
    }
}

/// Starts a task per connection; the stocks they sell from.
async fn connect(
    args: &Args,
    scene: &Scene,
    shared: &Rc<Shared>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<Vec<Rc<Stock>>> {
    let mut stocks: Vec<(Vec<usize>, Rc<Stock>)> = Vec::new();
    let mut slot = 0;
    for (index, connection) in scene.connections.iter().enumerate() {
        let events: Rc<[u64]> = connection.events.iter().map(|e| scene.events[*e]).collect();
        let stock = match stocks.iter().find(|(of, _)| *of == connection.events) {
            Some((_, stock)) => Rc::clone(stock),
            None => {
                let stock = Rc::new(stock_of(shared.workload, connection));
                stocks.push((connection.events.clone(), Rc::clone(&stock)));
                stock
            }
        };
        let supply = Supply {
            stock,
            events,
            shared: Rc::clone(shared),
        };
        // Ids of different connections and runs differ.
        let seed = args.seed << 32 ^ scene.wall.now_ms() << 8 ^ index as u64;
        let keys = crate::load::keys::Keys::new(seed, &scene.wall);
        let channel = crate::load::connect::connect(&scene.net, &connection.address)
            .await
            .with_context(|| format!("cannot connect to {}", connection.address))?;
        let seat = Seat {
            shared: Rc::clone(shared),
            supply,
            keys,
            slots: slot..slot + connection.calls,
        };
        slot += connection.calls;
        let key = scene.key.clone();
        match args.mode {
            Mode::Stream => tasks.spawn_local(stream::run(seat, channel, key)),
            Mode::Unary => tasks.spawn_local(unary::run(seat, channel, key)),
        };
    }
    Ok(stocks.into_iter().map(|(_, stock)| stock).collect())
}

/// What a connection's task is given.
pub struct Seat {
    pub shared: Rc<Shared>,
    pub supply: Supply,
    pub keys: crate::load::keys::Keys,
    /// Its places in `Flight`.
    pub slots: std::ops::Range<usize>,
}

fn stock_of(workload: Workload, connection: &Connection) -> Stock {
    let per_event = workload.operations_per_opening();
    match workload {
        Workload::Soldout => Stock::endless(),
        Workload::Many => Stock::in_rounds(per_event * connection.events.len() as u64),
        Workload::Uniform | Workload::Hot | Workload::Group4 | Workload::Queue => {
            Stock::new(per_event)
        }
    }
}

/// Ends what is under way: a later run finds no holds of this one.
async fn come_to_rest(shared: &Shared, stocks: &[Rc<Stock>]) {
    for stock in stocks {
        stock.close();
    }
    let rest = async {
        while shared.flight.busy.get() > 0 {
            shared.flight.rest.notified().await;
        }
    };
    // Not worth failing for: what is left shows as refusals.
    let _ = tokio::time::timeout(Duration::from_secs(10), rest).await;
}

async fn at_a_stretch(local: &Local, args: &Args, shared: &Shared) -> anyhow::Result<Figures> {
    tokio::time::sleep(args.warmup()).await;
    let mut figures = Figures::default();
    let watch = Watch::start(local, &shared.tally).await?;
    tokio::time::sleep(args.seconds()).await;
    watch.stop(local, &shared.tally, &mut figures).await?;
    figures.count(&shared.tally);
    Ok(figures)
}

/// Sells all events, re-opens them with the watch stopped, and again.
async fn in_rounds(
    local: &Local,
    args: &Args,
    scene: &Scene,
    shared: &Shared,
    stocks: &[Rc<Stock>],
) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let began = Instant::now();
    while figures.measured < args.seconds() {
        let warm = began.elapsed() >= args.warmup();
        let watch = Watch::start(local, &shared.tally).await?;
        shared.tally.measure(warm);
        for stock in stocks {
            stock.release();
        }
        while shared.flight.busy.get() > 0 || !stocks.iter().all(|stock| stock.is_exhausted()) {
            shared.flight.rest.notified().await;
        }
        if warm {
            watch.stop(local, &shared.tally, &mut figures).await?;
        }
        reopen_all(&scene.api, &scene.events).await?;
    }
    figures.count(&shared.tally);
    Ok(figures)
}

/// Re-opens the one event whenever its stock asks for it. Ends only with an error.
async fn reopen_when_low(
    scene: &Scene,
    shared: &Shared,
    stocks: &[Rc<Stock>],
) -> anyhow::Result<Figures> {
    let (Some(stock), Some(event)) = (stocks.first(), scene.events.first().copied()) else {
        bail!("there is nothing to sell");
    };
    // One thread for all calls: starting one for each would cost more than the call.
    let (asks, mut asked) = mpsc::channel::<()>(1);
    let (answers, mut answered) = mpsc::channel::<anyhow::Result<()>>(1);
    let api = scene.api.clone();
    tokio::task::spawn_blocking(move || {
        while asked.blocking_recv().is_some() {
            if answers.blocking_send(api.command(event, "reopen")).is_err() {
                return;
            }
        }
    });
    loop {
        stock.low.notified().await;
        let done_below = shared.flight.done_below(stock.started());
        asks.send(()).await.context("the re-opening thread ended")?;
        answered
            .recv()
            .await
            .context("the re-opening thread ended")?
            .context("cannot re-open the event")?;
        stock.reopened(done_below);
    }
}

/// Re-opens many events, some calls at a time.
async fn reopen_all(api: &Api, events: &[u64]) -> anyhow::Result<()> {
    const AT_A_TIME: usize = 4;
    let mut calls = JoinSet::new();
    for part in events.chunks(events.len().div_ceil(AT_A_TIME)) {
        let (api, part) = (api.clone(), part.to_vec());
        calls.spawn(api::off(move || {
            part.iter().try_for_each(|event| {
                api.command(*event, "reopen")
                    .context("cannot re-open an event")
            })
        }));
    }
    while let Some(call) = calls.join_next().await {
        call.context("a re-opening panicked")??;
    }
    Ok(())
}
