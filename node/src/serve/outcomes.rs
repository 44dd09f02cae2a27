//! What became of buyers' holds, told to who judges those that join, while the sales' changes pass by
//! on their way to the index. Decides nothing; started with the node when somebody minds holds.
//!
//! Changes wait for the index where they did before: what finds no room there is told as a gap.

use std::sync::Arc;

use actors::feed::Fed;
use domain::change::{Change, Fact};
use domain::ids::{BuyerId, HoldId, PartnerId, SaleId};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::MissedTickBehavior;

use crate::access::risk::{Fate, Generations, HoldEnded, RiskScorer};
use crate::index::TICK;

/// Live holds whose buyers are remembered; of those placed longest ago nothing is learned.
const HOLDS_MAX: usize = 1 << 17;
/// Batches taken before others get their turn.
const BATCHES_AT_ONCE: usize = 64;

pub struct Outcomes {
    risk: Arc<dyn RiskScorer>,
    held: Generations<(SaleId, HoldId), (PartnerId, BuyerId)>,
}

impl Outcomes {
    pub fn new(risk: Arc<dyn RiskScorer>) -> Outcomes {
        Outcomes {
            risk,
            held: Generations::new(HOLDS_MAX),
        }
    }

    fn take(&mut self, fed: &Fed) {
        match fed {
            Fed::Changes { sale, changes, .. } => {
                for change in changes.iter() {
                    self.note(*sale, change);
                }
            }
            // What was left out is not learned.
            Fed::Gap { .. } => {}
        }
    }

    fn note(&mut self, sale: SaleId, change: &Change) {
        match change.fact {
            Fact::HoldPlaced {
                hold,
                buyer,
                partner,
                ..
            } => {
                // Who names no buyer is nobody in particular.
                if buyer != BuyerId(0) {
                    self.held.insert((sale, hold), (partner, buyer));
                }
            }
            Fact::HoldReleased { hold } | Fact::HoldExpired { hold } => {
                self.end(sale, hold, Fate::Abandoned);
            }
            Fact::OrderPlaced { hold, .. } => self.end(sale, hold, Fate::Kept),
            Fact::HoldExtended { .. }
            | Fact::OrderCancelled { .. }
            | Fact::SaleReopened { .. }
            | Fact::SeatsChanged { .. }
            | Fact::PhaseChanged { .. }
            | Fact::RulesSet => {}
        }
    }

    fn end(&mut self, sale: SaleId, hold: HoldId, fate: Fate) {
        if let Some((partner, buyer)) = self.held.remove(&(sale, hold)) {
            self.risk.learn(&HoldEnded {
                partner,
                buyer,
                fate,
            });
        }
    }
}

/// Until the sales are gone. Looks as often as the index does, so that no change wakes anybody.
pub async fn follow(
    mut outcomes: Outcomes,
    mut feed: mpsc::Receiver<Fed>,
    mut to_index: Option<mpsc::Sender<Fed>>,
) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        to_index = to_index.filter(|index| !index.is_closed());
        let mut taken = 0;
        loop {
            let place = match to_index.as_ref().map(mpsc::Sender::try_reserve) {
                None => None,
                Some(Ok(place)) => Some(place),
                Some(Err(_)) => break,
            };
            let fed = match feed.try_recv() {
                Ok(fed) => fed,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            };
            outcomes.take(&fed);
            if let Some(place) = place {
                place.send(fed);
            }
            taken += 1;
            if taken % BATCHES_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use actors::feed::Room;
    use domain::ids::{ChannelId, OrderId, Revision, VisitorId};
    use tokio::time::Instant;

    use super::*;
    use crate::access::risk::{Comer, RiskLimits, Rules, Verdict};

    fn fed(facts: &[Fact]) -> Fed {
        let change = |fact: &Fact| Change {
            revision: Revision(1),
            at_ms: 1,
            fact: *fact,
        };
        Fed::Changes {
            sale: SaleId(1),
            changes: facts.iter().map(change).collect(),
            room: Room::default(),
        }
    }

    fn placed(hold: u128, buyer: u128) -> Fact {
        Fact::HoldPlaced {
            hold: HoldId(hold),
            buyer: BuyerId(buyer),
            partner: PartnerId(3),
            channel: ChannelId(1),
            seats: 2,
            deadline_ms: 9,
        }
    }

    #[derive(Default)]
    struct Told(Mutex<Vec<(u128, Fate)>>);

    impl RiskScorer for Told {
        fn judge(&self, _: &Comer) -> Verdict {
            Verdict::Welcome
        }

        fn learn(&self, ended: &HoldEnded) {
            assert_eq!(ended.partner, PartnerId(3));
            self.0.lock().unwrap().push((ended.buyer.0, ended.fate));
        }
    }

    /// Each end of a hold is told once, to its buyer's account, and all goes on to the index.
    #[tokio::test(start_paused = true)]
    async fn what_became_of_each_hold_is_learned_on_the_way_to_the_index() {
        let told = Arc::new(Told::default());
        let (sender, feed) = mpsc::channel(16);
        let (to_index, mut index) = mpsc::channel(2);
        let learned = Arc::clone(&told);
        let following = follow(Outcomes::new(learned as _), feed, Some(to_index));
        let following = tokio::spawn(following);
        let hold = HoldId;
        let batches = [
            fed(&[placed(1, 11), placed(2, 12), placed(3, 13)]),
            Fed::Gap { sale: SaleId(9) },
            fed(&[
                Fact::HoldExpired { hold: hold(1) },
                Fact::HoldReleased { hold: hold(2) },
                Fact::OrderPlaced {
                    order: OrderId(1),
                    hold: hold(3),
                    seats: 2,
                },
            ]),
            fed(&[Fact::HoldExpired { hold: hold(1) }, Fact::RulesSet]),
        ];
        for batch in batches {
            sender.send(batch).await.expect("is read");
        }
        tokio::time::sleep(2 * TICK).await;
        assert!(told.0.lock().unwrap().is_empty(), "the index has no room");
        let mut seen = 0;
        while seen < 4 {
            index.recv().await.expect("goes on");
            seen += 1;
        }
        let ends = [
            (11, Fate::Abandoned),
            (12, Fate::Abandoned),
            (13, Fate::Kept),
        ];
        assert_eq!(*told.0.lock().unwrap(), ends);
        // Without an index it goes on alone.
        drop(index);
        let more = [placed(4, 14), Fact::HoldReleased { hold: hold(4) }];
        sender.send(fed(&more)).await.expect("is read");
        tokio::time::sleep(2 * TICK).await;
        assert_eq!(told.0.lock().unwrap().len(), 4);
        drop(sender);
        following.await.expect("ends with the sales");
    }

    /// From the sale's changes to the verdict on the visitor who was the buyer.
    #[test]
    fn a_buyer_who_let_holds_go_is_asked_for_work_as_a_visitor() {
        let rules = Arc::new(Rules::new(RiskLimits {
            address_per_min: 0,
            device_per_min: 0,
            slow_beyond: 0,
            abandoned_least: 3,
            abandoned_per_100: 80,
        }));
        let mut outcomes = Outcomes::new(Arc::clone(&rules) as _);
        let judge = |visitor| {
            rules.judge(&Comer {
                event: SaleId(5),
                partner: PartnerId(3),
                visitor: VisitorId(visitor),
                address: None,
                device: None,
                now: Instant::now(),
            })
        };
        for hold in 0..3 {
            assert_eq!(judge(7), Verdict::Welcome);
            let hold = HoldId(hold);
            outcomes.take(&fed(&[placed(hold.0, 7), Fact::HoldExpired { hold }]));
        }
        assert!(matches!(judge(7), Verdict::Prove { .. }));
        assert_eq!(judge(8), Verdict::Welcome);
    }
}
