//! xxh3 over a state, field by field in a fixed sequence.
//!
//! Every struct is taken apart completely, so that a new field does not compile until it is hashed.

mod room;

use xxhash_rust::xxh3::Xxh3;

use crate::digest_words::rejection_words;
use crate::ended::{EndedHold, Ending};
use crate::hold::Hold;
use crate::order::{Order, OrderState};
use crate::outcome::{Done, SeatRuns};
use crate::rules::{ChannelRules, SaleRules};
use crate::seats::SectionPlanes;
use crate::state::{RememberedRejection, RememberedSuccess, SaleState, Watermark};
use crate::venue::{RowPlan, SeatPlan, SectionPlan, Venue};

/// Collects words, because hashing many small pieces one by one is slow.
struct Words {
    hasher: Xxh3,
    buffer: Vec<u8>,
}

impl Words {
    fn add(&mut self, word: u64) {
        self.buffer.extend_from_slice(&word.to_le_bytes());
        if self.buffer.len() >= 64 * 1024 {
            self.flush();
        }
    }

    fn add_id(&mut self, id: u128) {
        self.add(id as u64);
        self.add((id >> 64) as u64);
    }

    fn flush(&mut self) {
        self.hasher.update(&self.buffer);
        self.buffer.clear();
    }
}

impl SaleState {
    pub fn hash(&self) -> u64 {
        let SaleState {
            venue,
            rules,
            hash_seed,
            phase,
            now_ms,
            revision,
            digest,
            planes,
            holds,
            orders,
            ended,
            successes,
            rejections,
            watermarks,
            room,
        } = self;
        let mut words = Words {
            hasher: Xxh3::with_seed(*hash_seed),
            buffer: Vec::new(),
        };
        hash_venue(venue, &mut words);
        hash_rules(rules, &mut words);
        for word in [*phase as u64, *now_ms, revision.0, *digest] {
            words.add(word);
        }
        hash_all(planes, &mut words, hash_planes);
        hash_all(holds, &mut words, hash_hold);
        hash_all(orders, &mut words, hash_order);
        hash_all(ended, &mut words, hash_ended);
        hash_all(successes, &mut words, hash_success);
        hash_all(rejections, &mut words, hash_rejection);
        hash_all(
            watermarks,
            &mut words,
            |Watermark {
                 partner,
                 made_at_ms,
             },
             words| {
                words.add(u64::from(partner.0));
                words.add(*made_at_ms);
            },
        );
        words.add(u64::from(room.is_some()));
        if let Some(room) = room {
            room::hash_room(room, &mut words);
        }
        words.flush();
        words.hasher.digest()
    }
}

/// The length goes first, so that no two states make the same words.
fn hash_all<T>(items: &[T], words: &mut Words, hash: impl Fn(&T, &mut Words)) {
    words.add(items.len() as u64);
    for item in items {
        hash(item, words);
    }
}

fn hash_venue(Venue { sections }: &Venue, words: &mut Words) {
    hash_all(sections, words, |section, words| match section {
        SectionPlan::Seated {
            focal_x,
            focal_y,
            rows,
        } => {
            words.add(0);
            words.add(*focal_x as u64);
            words.add(*focal_y as u64);
            hash_all(rows, words, |RowPlan { seats }, words| {
                hash_all(seats, words, hash_seat)
            });
        }
        SectionPlan::General { capacity, category } => {
            words.add(1);
            words.add(u64::from(*capacity));
            words.add(u64::from(*category));
        }
    });
}

fn hash_seat(
    SeatPlan {
        x,
        y,
        category,
        attributes,
        aisle_after,
    }: &SeatPlan,
    words: &mut Words,
) {
    words.add(u64::from(*x as u32) << 32 | u64::from(*y as u32));
    words.add(u64::from(*category) << 16 | u64::from(attributes.0) << 8 | u64::from(*aisle_after));
}

fn hash_rules(rules: &SaleRules, words: &mut Words) {
    let SaleRules {
        hold_ttl_ms,
        hold_life_max_ms,
        buyer_limit,
        hold_seats_max,
        test_mode,
        channels,
    } = rules;
    for word in [
        *hold_ttl_ms,
        *hold_life_max_ms,
        *buyer_limit,
        *hold_seats_max,
        u32::from(*test_mode),
    ] {
        words.add(u64::from(word));
    }
    hash_all(
        channels,
        words,
        |ChannelRules {
             channel,
             floor,
             cap,
             hold_ttl_ms,
         },
         words| {
            for word in [u32::from(channel.0), *floor, *cap, *hold_ttl_ms] {
                words.add(u64::from(word));
            }
        },
    );
}

fn hash_planes(planes: &SectionPlanes, words: &mut Words) {
    match planes {
        SectionPlanes::Seated {
            seats,
            held,
            sold,
            blocked,
        } => {
            words.add(u64::from(*seats));
            for plane in [held, sold, blocked] {
                hash_all(plane, words, |word, words| words.add(*word));
            }
        }
        SectionPlanes::General {
            capacity,
            held,
            sold,
        } => {
            for word in [*capacity, *held, *sold] {
                words.add(u64::from(word));
            }
        }
    }
}

fn hash_runs(seats: &SeatRuns, words: &mut Words) {
    hash_all(seats.as_slice(), words, |run, words| words.add(run.word()));
}

fn hash_hold(hold: &Hold, words: &mut Words) {
    let Hold {
        id,
        buyer,
        partner,
        channel,
        placed_at_ms,
        deadline_ms,
        seats,
    } = hold;
    words.add_id(id.0);
    words.add_id(buyer.0);
    for word in [
        u64::from(partner.0),
        u64::from(channel.0),
        *placed_at_ms,
        *deadline_ms,
    ] {
        words.add(word);
    }
    hash_runs(seats, words);
}

fn hash_order(order: &Order, words: &mut Words) {
    let Order {
        id,
        hold,
        buyer,
        partner,
        channel,
        payment,
        placed_at_ms,
        seats,
        state,
    } = order;
    for id in [id.0, hold.0, buyer.0] {
        words.add_id(id);
    }
    let paid = match state {
        OrderState::Paid => 1,
        OrderState::Cancelled => 2,
    };
    for word in [
        u64::from(partner.0),
        u64::from(channel.0),
        *placed_at_ms,
        paid,
    ] {
        words.add(word);
    }
    hash_all(payment.as_bytes(), words, |byte, words| {
        words.add(u64::from(*byte))
    });
    hash_runs(seats, words);
}

fn hash_ended(EndedHold { hold, ending }: &EndedHold, words: &mut Words) {
    words.add_id(hold.0);
    words.add(match ending {
        Ending::Confirmed => 1,
        Ending::Released => 2,
        Ending::Expired => 3,
    });
}

fn hash_success(success: &RememberedSuccess, words: &mut Words) {
    let RememberedSuccess {
        partner,
        key,
        request_hash,
        at_ms,
        done,
    } = success;
    let Done {
        revision,
        deadline_ms,
        seats,
    } = done;
    words.add_id(key.0);
    for word in [
        u64::from(partner.0),
        *request_hash,
        *at_ms,
        revision.0,
        *deadline_ms,
    ] {
        words.add(word);
    }
    hash_runs(seats, words);
}

fn hash_rejection(remembered: &RememberedRejection, words: &mut Words) {
    let RememberedRejection {
        partner,
        key,
        request_hash,
        rejection,
    } = remembered;
    words.add_id(key.0);
    words.add(u64::from(partner.0));
    words.add(*request_hash);
    for word in rejection_words(*rejection) {
        words.add(word);
    }
}
