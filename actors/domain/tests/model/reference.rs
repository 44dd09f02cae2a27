//! A naive sale: vectors and sorted maps, every sum counted anew, nothing cached.
//!
//! It shares the words (commands, rejections, runs) with the domain and no behaviour. Its idempotency table has no
//! rings; `eviction` tests those.

use std::collections::BTreeMap;

use domain::command::HoldLine;
use domain::ids::{ChannelId, HoldId, Revision, SeatRef};
use domain::outcome::{Done, Outcome, SeatRun, SeatRuns};
use domain::rejection::{Phase, Rejection};
use domain::rules::{ChannelRules, SaleRules};
use domain::venue::Venue;

use crate::seating::{self, Section, State, Wish};
use crate::steps::{Action, Step};

#[derive(Clone, Debug)]
pub struct Held {
    pub id: u128,
    buyer: u128,
    partner: u32,
    channel: u16,
    placed_at_ms: u64,
    pub deadline_ms: u64,
    runs: Vec<SeatRun>,
}

#[derive(Clone, Debug)]
pub struct Ordered {
    pub id: u128,
    buyer: u128,
    partner: u32,
    channel: u16,
    runs: Vec<SeatRun>,
    pub paid: bool,
}

type Remembered = BTreeMap<(u32, u128), (u64, u64, Outcome)>;

pub struct Reference {
    pub sections: Vec<Section>,
    rules: SaleRules,
    phase: Phase,
    pub now_ms: u64,
    pub revision: u64,
    pub holds: Vec<Held>,
    pub orders: Vec<Ordered>,
    ended: Vec<(u128, Rejection)>,
    remembered: Remembered,
    watermarks: BTreeMap<u32, u64>,
}

fn size(runs: &[SeatRun]) -> u32 {
    runs.iter().map(|run| u32::from(run.count)).sum()
}

impl Reference {
    pub fn new(venue: &Venue, rules: SaleRules) -> Reference {
        Reference {
            sections: seating::sections(venue),
            rules,
            phase: Phase::Announced,
            now_ms: 0,
            revision: 0,
            holds: Vec::new(),
            orders: Vec::new(),
            ended: Vec::new(),
            remembered: BTreeMap::new(),
            watermarks: BTreeMap::new(),
        }
    }

    pub fn apply(&mut self, at_ms: u64, step: &Step) -> Outcome {
        self.now_ms = self.now_ms.max(at_ms);
        self.holds.sort_by_key(|hold| (hold.deadline_ms, hold.id));
        while self
            .holds
            .first()
            .is_some_and(|hold| hold.deadline_ms <= self.now_ms)
        {
            let hold = self.holds.remove(0);
            self.set(&hold.runs, State::Held, State::Free);
            self.revision += hold.runs.len() as u64 + 1;
            self.ended.push((hold.id, Rejection::HoldExpired));
        }
        if let Action::Expire = step.action {
            return self.done(0, &[]);
        }
        if step.key == 0 {
            return Outcome::Rejected(Rejection::KeyMissing);
        }
        self.forget_old();
        if let Some((hash, _, outcome)) = self.remembered.get(&(step.partner, step.key)) {
            return match *hash == step.hash {
                true => outcome.clone(),
                false => Outcome::Rejected(Rejection::KeyReused),
            };
        }
        let made_at_ms = (step.key >> 80) as u64;
        if made_at_ms > self.now_ms + 300_000 {
            return Outcome::Rejected(Rejection::KeyFromFuture);
        }
        if self
            .watermarks
            .get(&step.partner)
            .is_some_and(|watermark| made_at_ms <= *watermark)
        {
            return Outcome::Rejected(Rejection::KeyExpired);
        }
        let outcome = match self.decide(step) {
            Ok(outcome) => outcome,
            Err(rejection) => Outcome::Rejected(rejection),
        };
        self.remembered.insert(
            (step.partner, step.key),
            (step.hash, self.now_ms, outcome.clone()),
        );
        outcome
    }

    fn forget_old(&mut self) {
        let now_ms = self.now_ms;
        let is_old = |at_ms: u64, outcome: &Outcome| {
            matches!(outcome, Outcome::Done(_)) && at_ms + 86_400_000 <= now_ms
        };
        for ((partner, key), (_, at_ms, outcome)) in &self.remembered {
            if is_old(*at_ms, outcome) {
                let mark = self.watermarks.entry(*partner).or_default();
                *mark = (*mark).max((key >> 80) as u64);
            }
        }
        self.remembered
            .retain(|_, (_, at_ms, outcome)| !is_old(*at_ms, outcome));
    }

    fn done(&self, deadline_ms: u64, runs: &[SeatRun]) -> Outcome {
        let revision = Revision(self.revision);
        Outcome::Done(Done {
            revision,
            deadline_ms,
            seats: SeatRuns::from_slice(runs),
        })
    }

    fn decide(&mut self, step: &Step) -> Result<Outcome, Rejection> {
        match &step.action {
            Action::Open => self.phase_to(&[Phase::Announced], Phase::Open),
            Action::Pause => self.phase_to(&[Phase::Open], Phase::Paused),
            Action::Resume => self.phase_to(&[Phase::Paused], Phase::Open),
            Action::Close => self.phase_to(
                &[Phase::Announced, Phase::Open, Phase::Paused],
                Phase::Closed,
            ),
            Action::Reopen => self.reopen(),
            Action::SetRules(rules) => self.set_rules(rules),
            Action::Block(seats) => self.mark(seats, State::Free, State::Blocked),
            Action::Unblock(seats) => self.mark(seats, State::Blocked, State::Free),
            Action::Place {
                hold,
                buyer,
                ttl_ms,
                lines,
                seats,
                sections,
            } => self.place(step, *hold, *buyer, *ttl_ms, lines, seats, sections),
            Action::Extend { hold, ttl_ms } => self.extend(step, *hold, *ttl_ms),
            Action::Release { hold } => {
                let at = self.find_hold(step, *hold)?;
                let hold = self.holds.remove(at);
                self.set(&hold.runs, State::Held, State::Free);
                self.ended.push((hold.id, Rejection::HoldReleased));
                self.revision += hold.runs.len() as u64 + 1;
                Ok(self.done(0, &hold.runs))
            }
            Action::Confirm { hold, order } => {
                let at = self.find_hold(step, *hold)?;
                if self.orders.iter().any(|other| other.id == *order) {
                    return Err(Rejection::OrderIdInUse);
                }
                let Held {
                    id,
                    buyer,
                    partner,
                    channel,
                    runs,
                    ..
                } = self.holds.remove(at);
                self.set(&runs, State::Held, State::Sold);
                self.ended.push((id, Rejection::HoldConfirmed));
                self.revision += runs.len() as u64 + 1;
                let outcome = self.done(0, &runs);
                self.orders.push(Ordered {
                    id: *order,
                    buyer,
                    partner,
                    channel,
                    runs,
                    paid: true,
                });
                Ok(outcome)
            }
            Action::Cancel { order } => {
                let at = self
                    .orders
                    .iter()
                    .position(|other| other.id == *order)
                    .ok_or(Rejection::UnknownOrder)?;
                if self.orders[at].partner != step.partner {
                    return Err(Rejection::OrderOfAnotherPartner);
                }
                if !self.orders[at].paid {
                    return Err(Rejection::OrderCancelled);
                }
                self.orders[at].paid = false;
                let runs = self.orders[at].runs.clone();
                self.set(&runs, State::Sold, State::Free);
                self.revision += runs.len() as u64 + 1;
                Ok(self.done(0, &runs))
            }
            Action::Expire => Ok(self.done(0, &[])),
        }
    }

    fn phase_to(&mut self, from: &[Phase], to: Phase) -> Result<Outcome, Rejection> {
        if !from.contains(&self.phase) {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        self.phase = to;
        self.revision += 1;
        Ok(self.done(0, &[]))
    }

    fn reopen(&mut self) -> Result<Outcome, Rejection> {
        if !self.rules.test_mode {
            return Err(Rejection::OnlyInTestMode);
        }
        if self.phase == Phase::Announced {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        self.orders.clear();
        for section in &mut self.sections {
            match section {
                Section::General { sold, .. } => {
                    self.revision += u64::from(*sold > 0);
                    *sold = 0;
                }
                Section::Seats(seats) => {
                    let mut before = false;
                    for seat in seats {
                        let sold = seat.state == State::Sold;
                        self.revision += u64::from(sold && !before);
                        before = sold;
                        if sold {
                            seat.state = State::Free;
                        }
                    }
                }
            }
        }
        self.revision += 1 + u64::from(self.phase != Phase::Open);
        self.phase = Phase::Open;
        Ok(self.done(0, &[]))
    }

    fn set_rules(&mut self, rules: &SaleRules) -> Result<Outcome, Rejection> {
        let floors: u64 = rules
            .channels
            .iter()
            .map(|channel| u64::from(channel.floor))
            .sum();
        let total: u64 = self
            .sections
            .iter()
            .map(|section| match section {
                Section::Seats(seats) => seats.len() as u64,
                Section::General { capacity, .. } => u64::from(*capacity),
            })
            .sum();
        let bad_channel = |channel: &ChannelRules| {
            channel.floor > channel.cap || channel.hold_ttl_ms > rules.hold_life_max_ms
        };
        let sorted = rules
            .channels
            .windows(2)
            .all(|pair| pair[0].channel < pair[1].channel);
        if rules.hold_ttl_ms == 0
            || rules.hold_ttl_ms > rules.hold_life_max_ms
            || rules.hold_seats_max == 0
            || !sorted
            || rules.channels.iter().any(bad_channel)
            || floors > total
        {
            return Err(Rejection::RulesInvalid);
        }
        self.rules = rules.clone();
        self.revision += 1;
        Ok(self.done(0, &[]))
    }

    fn seat(&self, seat: &SeatRef) -> Result<State, Rejection> {
        match self.sections.get(usize::from(seat.section)) {
            None => Err(Rejection::UnknownSection {
                section: seat.section,
            }),
            Some(Section::General { .. }) => Err(Rejection::WrongSectionKind {
                section: seat.section,
            }),
            Some(Section::Seats(seats)) => match seats.get(seat.seat as usize) {
                None => Err(Rejection::UnknownSeat { seat: *seat }),
                Some(found) => Ok(found.state),
            },
        }
    }

    fn seats_once(&self, seats: &[SeatRef]) -> Result<Vec<SeatRef>, Rejection> {
        for seat in seats {
            self.seat(seat)?;
        }
        let mut sorted = seats.to_vec();
        sorted.sort();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Rejection::DuplicateSeat { seat: pair[0] }),
            None => Ok(sorted),
        }
    }

    fn mark(&mut self, seats: &[SeatRef], from: State, to: State) -> Result<Outcome, Rejection> {
        if seats.is_empty() {
            return Err(Rejection::EmptyHold);
        }
        let sorted = self.seats_once(seats)?;
        for seat in seats {
            if self.seat(seat)? != from {
                return Err(match from {
                    State::Free => Rejection::SeatNotFree { seat: *seat },
                    _ => Rejection::SeatNotBlocked { seat: *seat },
                });
            }
        }
        let runs = self.joined(&sorted, &BTreeMap::new());
        self.set(&runs, from, to);
        self.revision += runs.len() as u64;
        Ok(self.done(0, &runs))
    }

    /// Sorted seats and general-admission counts as runs.
    fn joined(&self, sorted: &[SeatRef], general: &BTreeMap<u16, u16>) -> Vec<SeatRun> {
        let mut runs: Vec<SeatRun> = general
            .iter()
            .map(|(section, count)| SeatRun {
                section: *section,
                count: *count,
                first: 0,
            })
            .collect();
        for seat in sorted {
            let joins = runs.iter_mut().find(|run| {
                run.section == seat.section && run.first + u32::from(run.count) == seat.seat
            });
            match joins {
                Some(run) => run.count += 1,
                None => runs.push(SeatRun {
                    section: seat.section,
                    count: 1,
                    first: seat.seat,
                }),
            }
        }
        runs.sort_by_key(|run| (run.section, run.first));
        runs
    }

    fn set(&mut self, runs: &[SeatRun], from: State, to: State) {
        for run in runs {
            match &mut self.sections[usize::from(run.section)] {
                Section::Seats(seats) => {
                    for seat in &mut seats[run.first as usize..][..usize::from(run.count)] {
                        assert_eq!(seat.state, from);
                        seat.state = to;
                    }
                }
                Section::General { held, sold, .. } => {
                    let count = u32::from(run.count);
                    *held = *held + if to == State::Held { count } else { 0 }
                        - if from == State::Held { count } else { 0 };
                    *sold = *sold + if to == State::Sold { count } else { 0 }
                        - if from == State::Sold { count } else { 0 };
                }
            }
        }
    }

    fn find_hold(&self, step: &Step, id: u128) -> Result<usize, Rejection> {
        let Some(at) = self.holds.iter().position(|hold| hold.id == id) else {
            // Released and expired holds are told before confirmed ones.
            let latest = |confirmed: bool| {
                self.ended.iter().rev().find(|(ended, why)| {
                    *ended == id && (*why == Rejection::HoldConfirmed) == confirmed
                })
            };
            return Err(latest(false)
                .or(latest(true))
                .map_or(Rejection::UnknownHold, |(_, why)| *why));
        };
        match self.holds[at].partner == step.partner {
            true => Ok(at),
            false => Err(Rejection::HoldOfAnotherPartner),
        }
    }

    fn channel(&self, channel: u16) -> ChannelRules {
        let listed = self
            .rules
            .channels
            .iter()
            .find(|rules| rules.channel.0 == channel);
        let unlisted = ChannelRules {
            channel: ChannelId(channel),
            floor: 0,
            cap: u32::MAX,
            hold_ttl_ms: 0,
        };
        listed.copied().unwrap_or(unlisted)
    }

    fn ttl_ms(&self, channel: u16, asked_ms: u32) -> u64 {
        let of_channel = self.channel(channel).hold_ttl_ms;
        u64::from(match (asked_ms, of_channel) {
            (0, 0) => self.rules.hold_ttl_ms,
            (0, ttl_ms) => ttl_ms,
            (ttl_ms, _) => ttl_ms,
        })
    }

    fn extend(&mut self, step: &Step, id: u128, ttl_ms: u32) -> Result<Outcome, Rejection> {
        if !matches!(self.phase, Phase::Open | Phase::Paused) {
            return Err(Rejection::PhaseForbids { phase: self.phase });
        }
        let at = self.find_hold(step, id)?;
        let wanted = self.now_ms + self.ttl_ms(self.holds[at].channel, ttl_ms);
        let latest_deadline_ms =
            self.holds[at].placed_at_ms + u64::from(self.rules.hold_life_max_ms);
        if wanted > self.holds[at].deadline_ms {
            if wanted > latest_deadline_ms {
                return Err(Rejection::ExtensionTooLong { latest_deadline_ms });
            }
            self.holds[at].deadline_ms = wanted;
        }
        self.revision += 1;
        let Held {
            deadline_ms, runs, ..
        } = self.holds[at].clone();
        Ok(self.done(deadline_ms, &runs))
    }

    fn used(&self) -> Vec<(u128, u16, u32)> {
        let held = self
            .holds
            .iter()
            .map(|hold| (hold.buyer, hold.channel, size(&hold.runs)));
        let paid = self.orders.iter().filter(|order| order.paid);
        held.chain(paid.map(|order| (order.buyer, order.channel, size(&order.runs))))
            .collect()
    }

    fn check_limits(&self, buyer: u128, channel: u16, asked: u32) -> Result<(), Rejection> {
        let used = self.used();
        let already: u32 = used
            .iter()
            .filter(|(other, ..)| *other == buyer)
            .map(|(.., n)| n)
            .sum();
        let limit = self.rules.buyer_limit;
        if limit > 0 && already + asked > limit {
            return Err(Rejection::LimitPerBuyer { limit, already });
        }
        if self.rules.channels.is_empty() {
            return Ok(());
        }
        let of = |channel: u16| -> i64 {
            used.iter()
                .filter(|(_, other, _)| *other == channel)
                .map(|(.., n)| i64::from(*n))
                .sum()
        };
        let mut channels: Vec<u16> = used.iter().map(|(_, channel, _)| *channel).collect();
        channels.sort();
        channels.dedup();
        let sellable: i64 = self
            .sections
            .iter()
            .map(|section| match section {
                Section::Seats(seats) => seats
                    .iter()
                    .filter(|seat| seat.state != State::Blocked)
                    .count() as i64,
                Section::General { capacity, .. } => i64::from(*capacity),
            })
            .sum();
        let floors: i64 = self
            .rules
            .channels
            .iter()
            .map(|rules| i64::from(rules.floor))
            .sum();
        let beyond: i64 = channels
            .iter()
            .map(|channel| (of(*channel) - i64::from(self.channel(*channel).floor)).max(0))
            .sum();
        let rest = ((sellable - floors).max(0) - beyond).max(0);
        let rules = self.channel(channel);
        // By trying one seat more after the other.
        let mut left = 0_u32;
        while left < 100_000 {
            let with = of(channel) + i64::from(left) + 1;
            let more_beyond = (with - i64::from(rules.floor)).max(0)
                - (of(channel) - i64::from(rules.floor)).max(0);
            if with > i64::from(rules.cap) || more_beyond > rest {
                break;
            }
            left += 1;
        }
        if asked > left {
            Err(Rejection::ChannelQuota { left })
        } else {
            Ok(())
        }
    }

    #[allow(clippy::too_many_arguments)] // the line of a hold as it stands: a struct would copy it
    fn place(
        &mut self,
        step: &Step,
        id: u128,
        buyer: u128,
        ttl_ms: u32,
        lines: &[HoldLine],
        seats: &[SeatRef],
        sections: &[u16],
    ) -> Result<Outcome, Rejection> {
        if self.phase != Phase::Open {
            return Err(Rejection::NotOnSale { phase: self.phase });
        }
        if self.holds.iter().any(|hold| hold.id == id) {
            return Err(Rejection::HoldIdInUse);
        }
        let (mut asked, mut chosen, mut named, mut empty) = (0_u32, 0_usize, 0_usize, false);
        for line in lines {
            let n = match line {
                HoldLine::Seats { count } => {
                    chosen += usize::from(*count);
                    *count
                }
                HoldLine::BestAvailable {
                    quantity,
                    section_count,
                    ..
                } => {
                    named += usize::from(*section_count);
                    *quantity
                }
                HoldLine::General { quantity, .. } => *quantity,
            };
            empty |= n == 0;
            asked += u32::from(n);
        }
        if empty || asked == 0 || chosen != seats.len() || named != sections.len() {
            return Err(Rejection::EmptyHold);
        }
        if asked > self.rules.hold_seats_max {
            return Err(Rejection::TooManySeats {
                asked,
                max: self.rules.hold_seats_max,
            });
        }
        let ttl_ms = self.ttl_ms(step.channel, ttl_ms);
        if ttl_ms > u64::from(self.rules.hold_life_max_ms) {
            let latest_deadline_ms = self.now_ms + u64::from(self.rules.hold_life_max_ms);
            return Err(Rejection::ExtensionTooLong { latest_deadline_ms });
        }
        self.seats_once(seats)?;
        let kind = |section: u16, seated: bool| match self.sections.get(usize::from(section)) {
            None => Err(Rejection::UnknownSection { section }),
            Some(found) if matches!(found, Section::Seats(_)) != seated => {
                Err(Rejection::WrongSectionKind { section })
            }
            Some(_) => Ok(()),
        };
        for section in sections {
            kind(*section, true)?;
        }
        for line in lines {
            if let HoldLine::General { section, .. } = line {
                kind(*section, false)?;
            }
        }
        self.check_limits(buyer, step.channel, asked)?;
        let before = self.sections.clone();
        let picked = self.pick(lines, seats, sections);
        self.sections = before;
        let (mut got, general) = picked?;
        got.sort();
        let runs = self.joined(&got, &general);
        self.set(&runs, State::Free, State::Held);
        self.revision += runs.len() as u64 + 1;
        let deadline_ms = self.now_ms + ttl_ms;
        let outcome = self.done(deadline_ms, &runs);
        self.holds.push(Held {
            id,
            buyer,
            partner: step.partner,
            channel: step.channel,
            placed_at_ms: self.now_ms,
            deadline_ms,
            runs,
        });
        Ok(outcome)
    }

    fn next_deadline_ms(&self, held: u32) -> u64 {
        let next = self
            .holds
            .iter()
            .map(|hold| hold.deadline_ms)
            .min()
            .unwrap_or(0);
        if held > 0 { next } else { 0 }
    }

    /// Marks what it picks as sold, so that later lines do not see it; the caller restores.
    fn pick(
        &mut self,
        lines: &[HoldLine],
        seats: &[SeatRef],
        sections: &[u16],
    ) -> Result<(Vec<SeatRef>, BTreeMap<u16, u16>), Rejection> {
        let (mut got, mut general) = (Vec::new(), BTreeMap::new());
        let (mut seats, mut sections) = (seats.iter(), sections.iter());
        for line in lines {
            match line {
                HoldLine::Seats { count } => {
                    let chosen: Vec<SeatRef> =
                        seats.by_ref().take(usize::from(*count)).copied().collect();
                    let in_state = |wanted: &[State]| -> Vec<SeatRef> {
                        chosen
                            .iter()
                            .copied()
                            .filter(|seat| wanted.contains(&self.seat(seat).unwrap()))
                            .collect()
                    };
                    let taken = in_state(&[State::Held, State::Sold]);
                    if let Some(seat) = taken.first() {
                        return Err(Rejection::SeatTaken {
                            seat: *seat,
                            count: taken.len() as u16,
                            which: which(&chosen, &taken),
                        });
                    }
                    let blocked = in_state(&[State::Blocked]);
                    if let Some(seat) = blocked.first() {
                        return Err(Rejection::SeatBlocked {
                            seat: *seat,
                            count: blocked.len() as u16,
                            which: which(&chosen, &blocked),
                        });
                    }
                    for seat in &chosen {
                        self.sell(usize::from(seat.section), seat.seat as usize, 1, &mut got);
                    }
                }
                HoldLine::General { section, quantity } => {
                    let Section::General {
                        capacity,
                        held,
                        sold,
                    } = &mut self.sections[usize::from(*section)]
                    else {
                        unreachable!()
                    };
                    let free = *capacity - *held - *sold;
                    if free < u32::from(*quantity) {
                        let held = *held;
                        return Err(Rejection::SoldOut {
                            free,
                            held,
                            next_deadline_ms: self.next_deadline_ms(held),
                        });
                    }
                    *sold += u32::from(*quantity);
                    *general.entry(*section).or_default() += quantity;
                }
                HoldLine::BestAvailable {
                    quantity,
                    category,
                    section_count,
                    accessible,
                    split,
                } => {
                    let wanted: Vec<u16> = sections
                        .by_ref()
                        .take(usize::from(*section_count))
                        .copied()
                        .collect();
                    let wish = Wish {
                        accessible: *accessible,
                        category: *category,
                        sections: &wanted,
                    };
                    self.pick_best(usize::from(*quantity), &wish, *split, &mut got)?;
                }
            }
        }
        Ok((got, general))
    }

    fn sell(&mut self, section: usize, first: usize, n: usize, got: &mut Vec<SeatRef>) {
        let Section::Seats(seats) = &mut self.sections[section] else {
            unreachable!()
        };
        for (at, seat) in seats.iter_mut().enumerate().skip(first).take(n) {
            seat.state = State::Sold;
            got.push(SeatRef {
                section: section as u16,
                seat: at as u32,
            });
        }
    }

    fn pick_best(
        &mut self,
        n: usize,
        wish: &Wish<'_>,
        split: bool,
        got: &mut Vec<SeatRef>,
    ) -> Result<(), Rejection> {
        if let Some((section, first)) = seating::best(&self.sections, wish, n) {
            self.sell(section, first, n, got);
            return Ok(());
        }
        let (free, held, runs) = seating::stock(&self.sections, wish);
        if (free as usize) < n {
            return Err(Rejection::SoldOut {
                free,
                held,
                next_deadline_ms: self.next_deadline_ms(held),
            });
        }
        let pieces = if split {
            seating::split(&runs, n)
        } else {
            None
        };
        let Some((section, sizes)) = pieces else {
            let longest = runs.iter().map(|(_, len)| *len).max().unwrap_or(0) as u16;
            return Err(Rejection::NotEnoughAdjacent { longest, free });
        };
        let only = section.map(|section| vec![section as u16]);
        let narrowed = Wish {
            sections: only.as_deref().unwrap_or(wish.sections),
            ..*wish
        };
        for size in sizes {
            let (section, first) =
                seating::best(&self.sections, &narrowed, size).expect("a piece fits");
            self.sell(section, first, size, got);
        }
        Ok(())
    }

    pub fn hold_ids(&self) -> Vec<HoldId> {
        let mut holds: Vec<_> = self
            .holds
            .iter()
            .map(|hold| (hold.deadline_ms, hold.id))
            .collect();
        holds.sort();
        holds.into_iter().map(|(_, id)| HoldId(id)).collect()
    }
}

/// The bits of those seats among the chosen ones, from the first of them on.
fn which(chosen: &[SeatRef], those: &[SeatRef]) -> u64 {
    let from_first = chosen.iter().skip_while(|seat| !those.contains(seat));
    let bits = from_first.take(64).enumerate();
    bits.filter(|(_, seat)| those.contains(seat))
        .fold(0, |bits, (at, _)| bits | 1 << at)
}
