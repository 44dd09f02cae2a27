//! One evening at the box office: sets everything up, lets the crowd in, kills nodes on the way,
//! and has the books checked at the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use cluster::components::{Net, WallClock};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::audit::{self, Findings, Replica};
use super::buyers::{Desk, Sale};
use super::house::{House, View};
use super::kills::Kills;
use super::ledger::Ledger;
use super::party::{self, Offer};
use super::report::{Figures, Report, grouped};
use super::screen::{Glance, Screen};
use super::{Args, HOLD_TTL_S, Venue, kill_plan, pace, watcher};
use crate::load::Client;
use crate::load::connect::{Bearer, MachineClock, Tcp};
use crate::local::api::{self, Api, NewEvent, Partner};
use crate::local::{Local, Settings};

/// Everything is ready, nothing is sold.
pub struct Evening {
    kept: Kept,
    api: Api,
    net: Arc<dyn Net>,
    wall: Arc<dyn WallClock>,
    sale: Arc<Sale>,
}

/// What outlives the sale.
pub struct Kept {
    pub local: Local,
    pub partners: Vec<Partner>,
    pub event: u64,
}

const STEP: Duration = Duration::from_millis(100);
/// With nothing acknowledged for so long, nothing will be.
const STANDSTILL: Duration = Duration::from_secs(100);
/// A desk serves a party in about so many seconds.
const DESK_S: f64 = 1.8;
const DESKS_MIN: usize = 12;
const DESKS_MAX: usize = 4000;
/// Of ten desks, those of the partner with a session stream.
const SESSION_DESKS_OF_10: usize = 7;

impl Evening {
    pub async fn prepare(
        settings: Settings,
        args: &Args,
        venue: &Venue,
    ) -> anyhow::Result<Evening> {
        eprintln!(
            "\n  Tonight: {}; {} places for sale",
            venue.name,
            grouped(venue.places)
        );
        eprintln!("  Starting three nodes ...");
        let local = Local::started(settings).await?;
        for node in local.nodes() {
            eprintln!("    node {}  gRPC {}", node.id, node.partner_address);
        }
        let api = local.api();
        let (partners, event) = {
            let api = api.clone();
            let (plan, name) = (venue.plan.clone(), venue.name.clone());
            let dedupe = args.dedupe;
            api::off(move || {
                let partners = vec![api.partner("Stadtticket")?, api.partner("Corner shop")?];
                let event = api.open_event(&NewEvent {
                    name: "One night only",
                    venue: &name,
                    test_mode: false,
                    hold_ttl_s: HOLD_TTL_S,
                    plan: &plan,
                    dedupe,
                })?;
                Ok((partners, event.event_id))
            })
            .await?
        };
        let net: Arc<dyn Net> = Arc::new(Tcp);
        let key = bearer(&partners[0])?;
        let doors = watcher::doors(&net, &local.partner_addresses(), &key)?;
        let house = House::new(&watcher::seat_map(&doors, event).await?);
        let first = first_view(&doors, event).await?;
        let for_sale = first.free + first.held + first.sold;
        if for_sale != venue.places {
            bail!(
                "the plan has {} places for sale, the event {for_sale}",
                venue.places
            );
        }
        let (views, view) = watch::channel(Arc::new(first));
        tokio::spawn(watcher::watch(doors, event, views));
        let sale = Sale {
            event,
            offer: offer(&house),
            house,
            ledger: Ledger::new()?,
            view,
            for_sale,
            gate: AtomicU64::new(0),
            over: AtomicBool::new(false),
            orphans: AtomicU64::new(0),
            leftovers: AtomicBool::new(false),
        };
        Ok(Evening {
            kept: Kept {
                local,
                partners,
                event,
            },
            api,
            net,
            wall: Arc::new(MachineClock),
            sale: Arc::new(sale),
        })
    }

    /// Sells out, with everything that happens on the way.
    pub async fn sell(mut self, args: &Args) -> anyhow::Result<(Report, Kept)> {
        let mut rng = StdRng::seed_from_u64(args.seed);
        let sale = Arc::clone(&self.sale);
        let mut kills = Kills::new(kill_plan(args), StdRng::seed_from_u64(rng.random()));
        sale.gate
            .store(kills.gate(sale.for_sale), Ordering::Relaxed);
        let clients = self.clients()?;
        let mut screen = Screen::new(sale.for_sale);
        let leader = self.follow_leader();
        let mut desks = self.open_desks(args, &clients, &mut rng);
        screen.tell(&format!(
            "Doors open: {} desks; {} sells through a session stream, {} by plain calls",
            desks.len(),
            self.kept.partners[0].name,
            self.kept.partners[1].name
        ));

        let began = Instant::now();
        let mut ended = None;
        let mut pace = Pace::default();
        let mut known_leader = None;
        while ended.is_none() || !kills.is_over() {
            tokio::time::sleep(STEP).await;
            let sold = sale.seats_sold();
            let view = Arc::clone(&sale.view.borrow());
            if ended.is_none() && (sold >= sale.for_sale || view.sold >= sale.for_sale) {
                ended = Some(began.elapsed());
                sale.over.store(true, Ordering::Relaxed);
                screen.tell("The last seat is sold");
            }
            kills
                .step(
                    &mut self.kept.local,
                    &self.api,
                    sale.event,
                    (sold, sale.for_sale),
                    &sale.ledger,
                    &screen,
                )
                .await?;
            sale.gate
                .store(kills.gate(sale.for_sale), Ordering::Relaxed);
            let now_leads = *leader.borrow();
            if now_leads.is_some() && now_leads != known_leader {
                if let (Some(before), Some(now)) = (known_leader, now_leads) {
                    screen.tell(&format!(
                        "node {now} leads the sale now, after node {before}"
                    ));
                }
                known_leader = now_leads;
            }
            screen.show(&self.glance(&view, sold, pace.per_s(sold), now_leads));
            self.check_progress(ended.is_some())?;
        }
        screen.close();
        // The last desks hear the last answers.
        let closing = async { while desks.join_next().await.is_some() {} };
        if tokio::time::timeout(STANDSTILL, closing).await.is_err() {
            bail!("some desks never closed");
        }
        let duration = ended.unwrap_or_default();
        eprintln!("  Checking the books of three replicas ...");
        let findings = self.audit().await?;
        Ok((
            self.report(args, &kills, &clients, duration, findings),
            self.kept,
        ))
    }

    fn clients(&self) -> anyhow::Result<[Client; 2]> {
        let mut nodes = self.kept.local.partner_addresses();
        let net = &self.net;
        let session = Client::session(
            Arc::clone(net),
            nodes.clone(),
            bearer(&self.kept.partners[0])?,
        );
        // Not everybody knocks at the same door first.
        nodes.rotate_left(1);
        let unary = Client::unary(net, &nodes, bearer(&self.kept.partners[1])?)?;
        Ok([session, unary])
    }

    /// As many desks as sell the house in the time there is.
    fn open_desks(&self, args: &Args, clients: &[Client; 2], rng: &mut StdRng) -> JoinSet<()> {
        let parties = self.sale.for_sale as f64 / (party::mean_size() * party::paying_share());
        let wanted = parties * DESK_S / pace(args).as_secs_f64();
        let count = (wanted.ceil() as usize).clamp(DESKS_MIN, DESKS_MAX);
        // With fewer desks than the smallest number, or more than the largest, people think
        // longer or quicker instead.
        let patience = (count as f64 / wanted).clamp(0.05, 4.0);
        let mut desks = JoinSet::new();
        for number in 0..count {
            let by_session = number % 10 < SESSION_DESKS_OF_10;
            let desk = Desk::new(
                Arc::clone(&self.sale),
                clients[usize::from(!by_session)].clone(),
                &self.wall,
                rng.random(),
                patience,
            );
            desks.spawn(desk.run());
        }
        desks
    }

    /// Who leads the sale's group, by a task that asks now and then.
    fn follow_leader(&self) -> watch::Receiver<Option<u64>> {
        let (sender, receiver) = watch::channel(None);
        let (api, event) = (self.api.clone(), self.sale.event);
        tokio::spawn(async move {
            while !sender.is_closed() {
                let api = api.clone();
                let asked = api::off(move || api.event_now(event)).await;
                sender.send_replace(asked.ok().and_then(|event| event.leader));
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
        receiver
    }

    fn glance(&self, view: &View, sold: u64, per_s: f64, leader: Option<u64>) -> Glance {
        let book = self.sale.ledger.book();
        // The map may be a moment older than what buyers were told.
        let sold = sold.max(view.sold);
        Glance {
            sold,
            held: view
                .held
                .min(self.sale.for_sale - sold.min(self.sale.for_sale)),
            free: view.free,
            for_sale: self.sale.for_sale,
            per_s,
            hold_p50_ms: book.hold_ms(0.5),
            hold_p99_ms: book.hold_ms(0.99),
            leader,
            leftovers: self.sale.leftovers.load(Ordering::Relaxed),
        }
    }

    fn check_progress(&self, ended: bool) -> anyhow::Result<()> {
        let book = self.sale.ledger.book();
        let silent = match book.last_acknowledged() {
            Some(last) => last.elapsed(),
            None => return Ok(()),
        };
        if !ended && silent > STANDSTILL {
            let why = book.last_trouble.clone().unwrap_or_default();
            bail!(
                "the sale stands still: nothing was acknowledged for {} s {why}",
                silent.as_secs()
            );
        }
        Ok(())
    }

    /// Reads every replica when all stand at the same index.
    async fn audit(&self) -> anyhow::Result<Findings> {
        let nodes: Vec<(String, u64)> = self
            .kept
            .local
            .nodes()
            .iter()
            .map(|node| (node.http_address.clone(), node.id))
            .collect();
        let mut replicas = Vec::new();
        // The last expiries and leader changes may still be on their way.
        for _ in 0..60 {
            let (api, nodes, event) = (self.api.clone(), nodes.clone(), self.sale.event);
            replicas = api::off(move || read_all(&api, &nodes, event)).await?;
            let first = replicas.first().map(|replica| replica.applied_index);
            if replicas
                .iter()
                .all(|replica| Some(replica.applied_index) == first)
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let standing: BTreeMap<u16, u32> = self.sale.offer.standing.iter().copied().collect();
        let told = std::mem::take(&mut self.sale.ledger.book().orders);
        let findings = audit::audit(&told, &replicas, &standing);
        self.sale.ledger.book().orders = told;
        Ok(findings)
    }

    fn report(
        &self,
        args: &Args,
        kills: &Kills,
        clients: &[Client; 2],
        duration: Duration,
        findings: Findings,
    ) -> Report {
        let book = self.sale.ledger.book();
        let seconds = duration.as_secs_f64();
        let trouble = |of: fn(&crate::load::client::Trouble) -> &AtomicU64| -> u64 {
            clients
                .iter()
                .map(|client| of(client.trouble()).load(Ordering::Relaxed))
                .sum()
        };
        Report {
            figures: Figures {
                seats_total: self.sale.for_sale,
                seats_sold: findings.seats_sold,
                oversold: findings.oversold,
                lost_orders: findings.lost_orders,
                replicas_agree: findings.replicas_agree,
                holds_expired: book.expired,
                split_groups: book.split_groups,
                orphan_seats: self.sale.orphans.load(Ordering::Relaxed),
                hold_p50_ms: round(book.hold_ms(0.5)),
                hold_p99_ms: round(book.hold_ms(0.99)),
                sold_per_s: round(findings.seats_sold as f64 / seconds.max(0.001)),
                failover_gap_ms: round(kills.longest_silence().as_secs_f64() * 1000.0),
                duration_s: round(seconds),
                seed: args.seed,
            },
            venue: self.sale.house.name.clone(),
            parties: book.parties,
            orders: book.orders.len() as u64,
            hold_max_ms: book.hold_max_ms(),
            holds: book.holds,
            released: book.released,
            went_home: book.went_home,
            latecomers: book.latecomers,
            refusals: book.refusals.clone(),
            pressed_twice: book.pressed_twice,
            told_differently: book.told_differently,
            retries: trouble(|trouble| &trouble.retries),
            unknown: trouble(|trouble| &trouble.unknown),
            kills: kills.done(),
            given_up: book.given_up,
            nodes: self.kept.local.nodes().len(),
            findings,
        }
    }
}

async fn first_view(doors: &[watcher::Door], event: u64) -> anyhow::Result<View> {
    for _ in 0..50 {
        for door in doors {
            if let Some(view) = watcher::look(door, event).await {
                return Ok(view);
            }
        }
        tokio::time::sleep(STEP).await;
    }
    bail!("no node shows the seats of the event")
}

fn read_all(api: &Api, nodes: &[(String, u64)], event: u64) -> anyhow::Result<Vec<Replica>> {
    nodes
        .iter()
        .map(|(address, node)| {
            let dump = api.dump(address, *node, event)?;
            Ok(audit::read(dump.node, &dump.bytes)?)
        })
        .collect()
}

fn offer(house: &House) -> Offer {
    let standing = house.parts.iter().enumerate();
    Offer {
        categories: house.categories,
        standing: standing
            .filter(|(_, part)| part.capacity > 0)
            .map(|(section, part)| (section as u16, part.capacity))
            .collect(),
        capacity: house.capacity(),
        accessible: house.has_accessible(),
    }
}

fn bearer(partner: &Partner) -> anyhow::Result<Bearer> {
    Bearer::new(&partner.key).context("the node made a key that is no text")
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Seats sold a second, over the last few seconds.
#[derive(Default)]
struct Pace(VecDeque<(Instant, u64)>);

impl Pace {
    fn per_s(&mut self, sold: u64) -> f64 {
        const LOOKS: usize = 30;
        let now = Instant::now();
        self.0.push_back((now, sold));
        if self.0.len() > LOOKS {
            self.0.pop_front();
        }
        let (then, before) = self.0.front().copied().unwrap_or((now, sold));
        let seconds = now.duration_since(then).as_secs_f64();
        (sold - before) as f64 / seconds.max(0.001)
    }
}
