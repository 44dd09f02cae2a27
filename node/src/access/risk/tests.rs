//! What the reference makes of who comes.

use std::time::Duration;

use super::crowd::MARKS_MAX;
use super::*;

const OFF: RiskLimits = RiskLimits {
    address_per_min: 0,
    device_per_min: 0,
    slow_beyond: 0,
    abandoned_least: 0,
    abandoned_per_100: 0,
};

fn comer(visitor: u128, address: Option<u128>, now: Instant) -> Comer {
    Comer {
        event: SaleId(1),
        partner: PartnerId(1),
        visitor: VisitorId(visitor),
        address,
        device: None,
        now,
    }
}

fn with_device(visitor: u128, device: u128, now: Instant) -> Comer {
    Comer {
        device: Some(device),
        ..comer(visitor, None, now)
    }
}

fn ended(partner: u32, buyer: u128, fate: Fate) -> HoldEnded {
    HoldEnded {
        partner: PartnerId(partner),
        buyer: BuyerId(buyer),
        fate,
    }
}

#[test]
fn many_from_one_address_prove_themselves_and_then_are_slow() {
    let rules = Rules::new(RiskLimits {
        address_per_min: 10,
        slow_beyond: 8,
        ..OFF
    });
    let begun = Instant::now();
    let at = |ms: u64| begun + Duration::from_millis(ms);
    let mut verdicts = (0..100).map(|n| rules.judge(&comer(n, Some(7), at(100 * n as u64))));
    assert!(verdicts.by_ref().take(10).all(|v| v == Verdict::Welcome));
    let hardness = HARDNESS_FIRST;
    assert_eq!(verdicts.next(), Some(Verdict::Prove { hardness }));
    let last = verdicts.last();
    assert!(
        matches!(last, Some(Verdict::Slow { hardness: 19 })),
        "{last:?}"
    );
    assert_eq!(rules.judge(&comer(1, Some(8), at(0))), Verdict::Welcome);
    assert_eq!(rules.judge(&comer(2, None, at(0))), Verdict::Welcome);
    let later = rules.judge(&comer(3, Some(7), at(75_000)));
    assert_eq!(later, Verdict::Welcome, "a minute later all is forgotten");
}

#[test]
fn who_comes_faster_than_people_counts_double() {
    let rules = Rules::new(RiskLimits {
        address_per_min: 10,
        ..OFF
    });
    let now = Instant::now();
    let welcome = (0..10).filter(|n| rules.judge(&comer(*n, Some(7), now)) == Verdict::Welcome);
    assert_eq!(welcome.count(), 5);
}

/// A device has a limit of its own, however many addresses it comes from, and both rules count.
#[test]
fn a_device_is_counted_by_itself() {
    let rules = Rules::new(RiskLimits {
        address_per_min: 4,
        device_per_min: 2,
        slow_beyond: 2,
        ..OFF
    });
    let begun = Instant::now();
    let at = |n: u64| begun + Duration::from_millis(100 * n);
    let from = |n: u64| Comer {
        address: Some(n.into()),
        ..with_device(n.into(), 7, at(n))
    };
    let hardness = HARDNESS_FIRST;
    assert_eq!(rules.judge(&from(0)), Verdict::Welcome);
    assert_eq!(rules.judge(&from(1)), Verdict::Welcome);
    assert_eq!(rules.judge(&from(2)), Verdict::Prove { hardness });
    let hardness = hardness + 1;
    assert_eq!(rules.judge(&from(3)), Verdict::Slow { hardness });
    let other = Comer {
        event: SaleId(2),
        ..with_device(9, 7, at(4))
    };
    assert_eq!(rules.judge(&other), Verdict::Welcome, "of another event");
    // The address is over its limit, the device is not, and the other way round.
    let together = |n: u64| Comer {
        address: Some(99),
        ..with_device(n.into(), u128::from(n) + 100, at(n))
    };
    let crowded: Vec<Verdict> = (5..10).map(|n| rules.judge(&together(n))).collect();
    assert_eq!(crowded[..4], [Verdict::Welcome; 4]);
    let hardness = HARDNESS_FIRST;
    assert_eq!(crowded[4], Verdict::Prove { hardness });
}

#[test]
fn who_lets_holds_go_again_proves_themselves() {
    let rules = Rules::new(RiskLimits {
        abandoned_least: 4,
        abandoned_per_100: 50,
        ..OFF
    });
    let now = Instant::now();
    let judge = |visitor| rules.judge(&comer(visitor, None, now));
    for _ in 0..3 {
        rules.learn(&ended(1, 7, Fate::Abandoned));
    }
    assert_eq!(judge(7), Verdict::Welcome, "too few to make anything of");
    rules.learn(&ended(1, 7, Fate::Abandoned));
    let hardness = HARDNESS_FIRST;
    assert_eq!(judge(7), Verdict::Prove { hardness });
    assert_eq!(judge(8), Verdict::Welcome);
    let elsewhere = Comer {
        partner: PartnerId(2),
        ..comer(7, None, now)
    };
    assert_eq!(rules.judge(&elsewhere), Verdict::Welcome);
    for _ in 0..4 {
        rules.learn(&ended(1, 7, Fate::Kept));
    }
    assert_eq!(judge(7), Verdict::Welcome, "half of them were kept");
    for _ in 0..12 {
        rules.learn(&ended(1, 7, Fate::Abandoned));
    }
    let hardness = HARDNESS_FIRST + 2;
    assert_eq!(judge(7), Verdict::Prove { hardness });
    for _ in 0..100 {
        rules.learn(&ended(1, 0, Fate::Abandoned));
    }
    assert_eq!(judge(0), Verdict::Welcome, "no buyer was named");
}

#[test]
fn zero_switches_each_rule_off() {
    let now = Instant::now();
    let busy = Comer {
        address: Some(1),
        ..with_device(7, 1, now)
    };
    let per_100 = RiskLimits {
        abandoned_per_100: 50,
        ..OFF
    };
    let least = RiskLimits {
        abandoned_least: 1,
        ..OFF
    };
    for limits in [OFF, per_100, least] {
        let rules = Rules::new(limits);
        assert!(!limits.minds_holds());
        for _ in 0..1000 {
            rules.learn(&ended(1, 7, Fate::Abandoned));
            assert_eq!(rules.judge(&busy), Verdict::Welcome);
        }
    }
}

#[test]
fn the_stricter_verdict_holds() {
    use Verdict::{Prove, Slow, Welcome};
    let [prove, slow] = [Prove { hardness: 20 }, Slow { hardness: 16 }];
    assert_eq!(Welcome.and(prove), prove);
    assert_eq!(slow.and(Welcome), slow);
    assert_eq!(prove.and(slow), Slow { hardness: 20 });
    assert_eq!(Prove { hardness: 17 }.and(prove), prove);
}

#[test]
fn what_is_kept_is_bounded() {
    let rules = Rules::new(RiskLimits {
        address_per_min: 1,
        device_per_min: 1,
        abandoned_least: 1,
        abandoned_per_100: 1,
        ..OFF
    });
    let now = Instant::now();
    for mark in 1..(MARKS_MAX as u128 * 2) {
        rules.judge(&Comer {
            device: Some(mark),
            ..comer(mark, Some(mark), now)
        });
        rules.learn(&ended(1, mark, Fate::Abandoned));
    }
    assert!(rules.addresses.seen.lock().unwrap().kept() <= MARKS_MAX);
    assert!(rules.devices.seen.lock().unwrap().kept() <= MARKS_MAX);
    assert!(rules.habit.known() <= MARKS_MAX);
}
