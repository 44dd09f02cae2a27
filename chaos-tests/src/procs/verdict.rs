//! The end of a run: every replica's raw snapshot, every acknowledged order read one by one, the
//! chronicle before the judge.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actors::codec::snapshot;
use domain::SectionPlanes;
use domain::order::OrderState;
use domain::outcome::SeatRuns;
use domain::state::SaleState;
use onsale::demo::audit::{self, Replica};
use onsale::demo::ledger::Told;
use onsale::load;
use prost::Message as _;
use proto::log::v1::SaleSnapshot;

use super::shop::call::runs_of_plane;
use super::shop::chronicle::Bought;
use super::stage::Stage;
use super::{Trouble, trouble};
use crate::history::check::{self, Tally};
use crate::history::record::{
    Final, FinalHold, FinalOrder, House, Id, Record, Run, SectionSize, Seen,
};

/// What a run came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The replicas and the orders were looked at; of a run that was given up they may not have been.
    pub is_audited: bool,
    pub acknowledged: u64,
    /// Acknowledged orders that are not where they must be.
    pub lost: u64,
    /// Places sold more often than there are.
    pub oversold: u64,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
    /// The judge could not decide: too many calls of unknown outcome.
    pub undecided: Option<String>,
    pub operations: usize,
    pub unanswered: usize,
    pub records: Vec<Record>,
}

/// Replicas come to rest within this.
const REST_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const READ_LIMIT: Duration = Duration::from_secs(2);
const READS: usize = 10;
/// Orders read at once.
const READERS: usize = 16;

/// One replica of one sale, read twice: by the domain's own decoder, and by the audit's.
struct End {
    replica: Replica,
    state: SaleState,
    index: u64,
    broken: Vec<String>,
}

pub fn pass(stage: &Stage) -> Result<Verdict, Trouble> {
    let mut verdict = Verdict::default();
    let mut records = stage.shop.chronicle().records();
    let orders = stage.shop.chronicle().orders();
    verdict.acknowledged = orders.len() as u64;
    for event in &stage.events {
        let ends = at_rest(stage, *event)?;
        let first = ends.first().ok_or_else(|| trouble("there is no replica"))?;
        records.push(Record::House(house(*event, &first.state)));
        for end in &ends {
            let broken = end.broken.iter();
            let node = end.replica.node;
            verdict
                .wrong
                .extend(broken.map(|broken| format!("sale {event} on node {node}: {broken}")));
            records.push(Record::Final(final_of(*event, end)));
        }
        audit_replicas(*event, &ends, &orders, &mut verdict);
    }
    read_orders(stage, &orders, &mut verdict)?;
    judge(&records, &mut verdict);
    verdict.is_audited = true;
    verdict.records = records;
    Ok(verdict)
}

/// All replicas of a sale, once they are at rest and alike; as they are, if they never are.
fn at_rest(stage: &Stage, event: u64) -> Result<Vec<End>, Trouble> {
    let until = Instant::now() + REST_WITHIN;
    loop {
        let ends = ends(stage, event)?;
        let stand = |end: &End| (end.index, end.state.revision, end.state.digest);
        let alike = ends.windows(2).all(|two| stand(&two[0]) == stand(&two[1]));
        if alike || Instant::now() > until {
            return Ok(ends);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn ends(stage: &Stage, event: u64) -> Result<Vec<End>, Trouble> {
    let api = stage.cluster.api();
    let group = api.event(event)?.group;
    let groups = api.groups()?;
    let group = groups.iter().find(|known| known.group_id == group);
    let voters = &group
        .ok_or_else(|| trouble("the sale's group is not known"))?
        .voters;
    let mut ends = Vec::new();
    for id in voters {
        let node = &stage.cluster.nodes[*id as usize - 1];
        let dump = api.dump(&node.http_address, *id, event)?;
        let replica = audit::read(*id, &dump.bytes)?;
        let decoded = SaleSnapshot::decode(&dump.bytes[..])?;
        let contents = decoded
            .contents
            .ok_or_else(|| trouble("an empty snapshot"))?;
        // This proves the hash over the whole state too.
        let sale = snapshot::restore(&contents)?;
        let broken = domain::invariants::check(&sale);
        ends.push(End {
            replica,
            index: decoded.applied_index,
            state: sale.export(),
            broken: broken.iter().map(|found| format!("{found:?}")).collect(),
        });
    }
    Ok(ends)
}

fn house(sale: u64, state: &SaleState) -> House {
    let size = |planes: &SectionPlanes| match planes {
        SectionPlanes::Seated { seats, .. } => SectionSize::Seats(*seats),
        SectionPlanes::General { capacity, .. } => SectionSize::Capacity(*capacity),
    };
    House {
        sale,
        sections: state.planes.iter().map(size).collect(),
    }
}

fn final_of(sale: u64, end: &End) -> Final {
    let mut seen = Seen {
        index: end.index,
        revision: end.state.revision.0,
        ..Seen::default()
    };
    for (number, planes) in end.state.planes.iter().enumerate() {
        let section = number as u16;
        match planes {
            SectionPlanes::Seated {
                seats,
                held,
                sold,
                blocked,
            } => {
                let runs = |words| runs_of_plane(section, *seats, &snapshot::words_to_bytes(words));
                seen.held.extend(runs(held));
                seen.sold.extend(runs(sold));
                seen.blocked.extend(runs(blocked));
            }
            SectionPlanes::General { held, sold, .. } => {
                for (count, to) in [(held, &mut seen.held), (sold, &mut seen.sold)] {
                    if *count > 0 {
                        to.push(Run(section, 0, *count as u16));
                    }
                }
            }
        }
    }
    let holds = end.state.holds.iter().map(|hold| FinalHold {
        hold: Id(hold.id.0),
        deadline_ms: hold.deadline_ms,
        runs: runs(&hold.seats),
    });
    let orders = end.state.orders.iter().map(|order| FinalOrder {
        order: Id(order.id.0),
        paid: order.state == OrderState::Paid,
        runs: runs(&order.seats),
    });
    Final {
        sale,
        replica: end.replica.node as u32,
        now_ms: end.state.now_ms,
        seen,
        holds: holds.collect(),
        orders: orders.collect(),
    }
}

fn runs(seats: &SeatRuns) -> Vec<Run> {
    let runs = seats.as_slice().iter();
    runs.map(|run| Run(run.section, run.first, run.count))
        .collect()
}

/// What buyers were told against what each replica holds, by the demo's audit.
fn audit_replicas(
    event: u64,
    ends: &[End],
    orders: &BTreeMap<(u64, Id), Bought>,
    verdict: &mut Verdict,
) {
    let of_event = orders.iter().filter(|((sale, _), _)| *sale == event);
    let kept = of_event.clone().filter(|(_, bought)| !bought.cancel_tried);
    let told: Vec<Told> = kept
        .map(|((_, order), bought)| Told {
            order: order.0.to_be_bytes(),
            seats: bought.seats.iter().map(to_load).collect(),
        })
        .collect();
    let standing: BTreeMap<u16, u32> = match ends.first() {
        Some(end) => end
            .state
            .planes
            .iter()
            .enumerate()
            .filter_map(capacity)
            .collect(),
        None => BTreeMap::new(),
    };
    let replicas: Vec<Replica> = ends.iter().map(|end| end.replica.clone()).collect();
    let findings = audit::audit(&told, &replicas, &standing);
    verdict.oversold += findings.oversold;
    verdict.lost += findings.lost_orders;
    if !findings.replicas_agree {
        verdict
            .wrong
            .push(format!("sale {event}: the replicas differ"));
    }
    let faults = findings.faults.iter();
    verdict
        .wrong
        .extend(faults.map(|fault| format!("sale {event}: {fault}")));
    // An order that somebody tried to cancel is there all the same.
    for ((_, order), bought) in of_event.filter(|(_, bought)| bought.cancel_tried) {
        for end in ends {
            let mut there = end.state.orders.iter();
            let found = there.find(|known| known.id.0 == order.0);
            if found.is_none_or(|found| runs(&found.seats) != bought.seats) {
                verdict.lost += 1;
                let node = end.replica.node;
                verdict.wrong.push(format!(
                    "sale {event}: order {order}, cancelled perhaps, is not so on node {node}"
                ));
            }
        }
    }
}

fn capacity((number, planes): (usize, &SectionPlanes)) -> Option<(u16, u32)> {
    match planes {
        SectionPlanes::General { capacity, .. } => Some((number as u16, *capacity)),
        SectionPlanes::Seated { .. } => None,
    }
}

fn to_load(run: &Run) -> load::Run {
    let Run(section, first, count) = *run;
    load::Run {
        section,
        count,
        first,
    }
}

/// Every acknowledged order can be read from a node, one after the other, as its buyer was told.
fn read_orders(
    stage: &Stage,
    orders: &BTreeMap<(u64, Id), Bought>,
    verdict: &mut Verdict,
) -> Result<(), Trouble> {
    let list: Vec<_> = orders.iter().collect();
    let at = stage.cluster.running();
    let wrong = stage.shop.wait_for(async {
        let share = list.len().div_ceil(READERS).max(1);
        let reads = list
            .chunks(share)
            .map(|orders| read_share(stage, orders, &at));
        futures::future::join_all(reads).await
    })?;
    for text in wrong.into_iter().flatten() {
        verdict.lost += 1;
        verdict.wrong.push(text);
    }
    Ok(())
}

async fn read_share(
    stage: &Stage,
    orders: &[(&(u64, Id), &Bought)],
    nodes: &[usize],
) -> Vec<String> {
    let street = stage.shop.street();
    let mut wrong = Vec::new();
    for (number, ((sale, order), bought)) in orders.iter().enumerate() {
        let mut read = None;
        for attempt in 0..READS {
            let at = nodes[(number + attempt) % nodes.len()];
            match street.read_order(at, *sale, *order, READ_LIMIT).await {
                Ok(told) => {
                    read = Some(told);
                    break;
                }
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
        let text = match read {
            None => "cannot be read".to_owned(),
            Some(None) => "is unknown".to_owned(),
            Some(Some((paid, seats))) => {
                let same = seats == bought.seats && (paid || bought.cancel_tried);
                match same {
                    true => continue,
                    false => format!("is {paid} {seats:?}, was told {:?}", bought.seats),
                }
            }
        };
        wrong.push(format!(
            "sale {sale}: the acknowledged order {order} {text}"
        ));
    }
    wrong
}

fn judge(records: &[Record], verdict: &mut Verdict) {
    let (judged, tally) = check::check(records);
    let Tally { ops, unknown, .. } = tally;
    (verdict.operations, verdict.unanswered) = (ops, unknown);
    match judged {
        check::Verdict::Legal => {}
        check::Verdict::Illegal(why) => {
            verdict.wrong.push(format!("the history is illegal: {why}"))
        }
        check::Verdict::Undecided(why) => verdict.undecided = Some(why),
    }
}
