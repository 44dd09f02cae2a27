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
use super::observe::Observer;
use super::party::{self, Offer};
use super::queue::{self, Admitted, Crowd};
use super::report::{Admissions, Figures, Report, grouped};
use super::screen::{Glance, Screen};
use super::{Args, HOLD_TTL_S, Venue, kill_plan, pace, watcher};
use crate::load::call::Id;
use crate::load::connect::{Bearer, MachineClock, Tcp};
use crate::load::{Client, Visitors};
use crate::local::api::{self, Api, NewEvent, Partner};
use crate::local::{Local, Settings};

/// Everything is ready, nothing is sold.
pub struct Evening {
    kept: Kept,
    api: Api,
    net: Arc<dyn Net>,
    wall: Arc<dyn WallClock>,
    sale: Arc<Sale>,
    /// How many come, and how many of them are let in a second at most.
    visitors: u64,
    per_s: f64,
}

/// What outlives the sale.
pub struct Kept {
    pub local: Local,
    pub partners: Vec<Partner>,
    pub event: u64,
    pub observer: Option<Observer>,
}

/// People think for about a second.
const PATIENCE: f64 = 1.0;
/// A small house is let in to not slower than this.
const PER_S_LEAST: f64 = 20.0;
const STEP: Duration = Duration::from_millis(100);
/// With nothing acknowledged for so long, nothing will be.
const STANDSTILL: Duration = Duration::from_secs(100);
/// Of ten visitors, those of the partner with a session stream.
const SESSION_VISITORS_OF_10: u64 = 7;
/// Of visitors, so many more are let in than the seats need: no-shows, and who finds nothing.
const OVER: f64 = 1.25;

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
        let observer = match args.observe {
            true => observed(&local)?,
            false => None,
        };
        let api = local.api();
        let visitors = super::visitors(args, venue);
        let parties = venue.places as f64 / (party::mean_size() * party::paying_share());
        let per_s = (parties * OVER / pace(args).as_secs_f64()).max(PER_S_LEAST);
        let (partners, event) = {
            let api = api.clone();
            let (plan, name) = (venue.plan.clone(), venue.name.clone());
            let dedupe = args.dedupe;
            api::off(move || {
                let partners = vec![api.partner("Stadtticket")?, api.partner("Corner shop")?];
                let event = api.create_event(&NewEvent {
                    name: "One night only",
                    venue: &name,
                    test_mode: false,
                    hold_ttl_s: HOLD_TTL_S,
                    plan: &plan,
                    dedupe,
                })?;
                api.arm_queue(event.event_id, &queue::room(visitors, per_s))?;
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
                observer,
            },
            api,
            net,
            wall: Arc::new(MachineClock),
            sale: Arc::new(sale),
            visitors,
            per_s,
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
        let crowds = self.crowds(&mut rng)?;
        let joined: Vec<Id> = crowds.iter().flat_map(|crowd| crowd.ids.clone()).collect();
        let took = queue::gather(sale.event, &crowds, &sale.offer).await?;
        screen.tell(&format!(
            "{} visitors came to the lobby in {:.1} s, {} a second",
            grouped(self.visitors),
            took.as_secs_f64(),
            grouped((self.visitors as f64 / took.as_secs_f64()) as u64)
        ));
        screen.tell(&format!(
            "Doors open: at most {:.0} a second are let in; {} sells through a session stream, {} \
             by plain calls",
            self.per_s, self.kept.partners[0].name, self.kept.partners[1].name
        ));
        let mut admitted = queue::follow(sale.event, crowds);
        let mut desks = JoinSet::new();

        let mut began = Instant::now();
        let mut is_open = false;
        let mut ended = None;
        let mut pace = Pace::default();
        let mut known_leader = None;
        while ended.is_none() || !kills.is_over() {
            let step = tokio::time::sleep(STEP);
            tokio::pin!(step);
            loop {
                tokio::select! {
                    () = &mut step => break,
                    Some(next) = admitted.recv() => {
                        if !is_open {
                            is_open = true;
                            began = Instant::now();
                        }
                        let desk = self.desk(next?, &clients, &mut rng);
                        desks.spawn(desk.run());
                    }
                }
            }
            while desks.try_join_next().is_some() {}
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
            self.check_progress(began, ended.is_some())?;
        }
        screen.close();
        drop(admitted);
        // The last desks hear the last answers.
        let closing = async { while desks.join_next().await.is_some() {} };
        if tokio::time::timeout(STANDSTILL, closing).await.is_err() {
            bail!("some desks never closed");
        }
        let duration = ended.unwrap_or_default();
        eprintln!("  Checking the books of three replicas ...");
        let (findings, passes_spent_twice) = self.audit().await?;
        let admissions = Admissions {
            passes_spent_twice,
            ..self.audit_room(joined).await?
        };
        Ok((
            self.report(args, &kills, &clients, duration, findings, admissions),
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

    /// Who comes, through whom.
    fn crowds(&self, rng: &mut StdRng) -> anyhow::Result<Vec<Crowd>> {
        let first = self.visitors * SESSION_VISITORS_OF_10 / 10;
        let counts = [first, self.visitors - first];
        let nodes = self.kept.local.partner_addresses();
        let mut crowds = Vec::new();
        for (partner, count) in self.kept.partners.iter().zip(counts) {
            let visitors = Visitors::new(&self.net, &nodes, bearer(partner)?)?;
            crowds.push(Crowd {
                visitors: Arc::new(visitors),
                ids: (0..count).map(|_| rng.random()).collect(),
            });
        }
        Ok(crowds)
    }

    fn desk(&self, admitted: Admitted, clients: &[Client; 2], rng: &mut StdRng) -> Desk {
        let Admitted {
            crowd,
            visitor,
            pass,
        } = admitted;
        Desk::new(
            Arc::clone(&self.sale),
            clients[crowd.min(1)].clone(),
            (visitor, pass.text),
            &self.wall,
            rng.random(),
            PATIENCE,
        )
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

    fn check_progress(&self, began: Instant, ended: bool) -> anyhow::Result<()> {
        let book = self.sale.ledger.book();
        match ended {
            true => Ok(()),
            false => standstill(
                book.last_acknowledged().map(|last| last.elapsed()),
                began.elapsed(),
                book.last_trouble.as_deref(),
            ),
        }
    }

    /// Reads every replica when all stand at the same index.
    async fn audit(&self) -> anyhow::Result<(Findings, u64)> {
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
        let spent_twice = audit::passes_spent_twice(&replicas, queue::PASS_TICKETS);
        Ok((findings, spent_twice))
    }

    /// What is published of the room against what visitors were told.
    async fn audit_room(&self, joined: Vec<Id>) -> anyhow::Result<Admissions> {
        let (api, event) = (self.api.clone(), self.sale.event);
        let file = api::off(move || api.evidence(event)).await?;
        queue::audit(&file, &joined)
    }

    fn report(
        &self,
        args: &Args,
        kills: &Kills,
        clients: &[Client; 2],
        duration: Duration,
        findings: Findings,
        admissions: Admissions,
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
                visitors: admissions.visitors,
                admitted: admissions.admitted,
                admitted_in_sequence: admissions.out_of_sequence,
                passes_spent_twice: admissions.passes_spent_twice,
                join_lost: admissions.join_lost,
                utilisation: round(admissions.admitted as f64 / (self.per_s * seconds).max(1.0)),
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
            no_shows: book.no_shows,
            admissions,
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

/// Prometheus beside the nodes; a demo goes on without.
fn observed(local: &Local) -> anyhow::Result<Option<Observer>> {
    let nodes: Vec<String> = local
        .nodes()
        .iter()
        .map(|node| node.http_address.clone())
        .collect();
    let observer = Observer::start(&local.folder().join("prometheus"), &nodes)?;
    match &observer {
        None => eprintln!("    Prometheus is not installed: nobody watches"),
        Some(seen) if seen.is_where_grafana_looks() => eprintln!(
            "    Prometheus http://{}/, for a Grafana with grafana/provisioning",
            seen.address
        ),
        Some(seen) => eprintln!(
            "    Prometheus http://{}/; Grafana's provisioning looks for it at port 9090",
            seen.address
        ),
    }
    Ok(observer)
}

fn bearer(partner: &Partner) -> anyhow::Result<Bearer> {
    Bearer::new(&partner.key).context("the node made a key that is no text")
}

/// Gives up an evening on which nothing happens any more, or never did.
fn standstill(
    acknowledged: Option<Duration>,
    began: Duration,
    trouble: Option<&str>,
) -> anyhow::Result<()> {
    let silent = acknowledged.unwrap_or(began);
    if silent <= STANDSTILL {
        return Ok(());
    }
    let seconds = silent.as_secs();
    let trouble = trouble.unwrap_or_default();
    match acknowledged {
        Some(_) => {
            bail!("the sale stands still: nothing was acknowledged for {seconds} s {trouble}")
        }
        None => bail!("the sale never began: nothing was acknowledged in {seconds} s {trouble}"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evening_without_an_answer_is_given_up_also_when_there_never_was_one() {
        let (short, long) = (STANDSTILL, STANDSTILL + Duration::from_millis(1));
        for acknowledged in [None, Some(short), Some(Duration::ZERO)] {
            assert!(standstill(acknowledged, short, None).is_ok());
        }
        assert!(standstill(Some(Duration::ZERO), 10 * long, None).is_ok());
        for (acknowledged, words) in [(None, "never began"), (Some(long), "stands still")] {
            let given_up = standstill(acknowledged, long, Some("BUSY"));
            let said = given_up.expect_err("is given up").to_string();
            assert!(said.contains(words) && said.ends_with("BUSY"), "{said}");
        }
    }
}
