//! Layer 1 in small runs. A failure prints the one command that repeats it.

use chaos_tests::layer1::faults::Counts;
use chaos_tests::layer1::run::{CarriedOut, run};

const SEEDS: u64 = 10_000;

const COMMANDS: usize = 200;

/// Which commands of these seeds were carried out, and what happened meanwhile.
fn run_all(seeds: impl Iterator<Item = u64>) -> (CarriedOut, Counts) {
    let (mut done, mut faults) = (CarriedOut::default(), Counts::default());
    for seed in seeds {
        match run(seed, COMMANDS) {
            Ok(report) => {
                done.add(&report.carried_out);
                faults.add(&report.faults);
            }
            Err(failure) => panic!(
                "{}\nrepeat it: cargo run -p chaos-tests --release --bin domain -- --seed {seed} --commands {COMMANDS}",
                failure.wrong
            ),
        }
    }
    (done, faults)
}

#[test]
fn replicas_do_what_the_reference_does() {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    let ran: Vec<(CarriedOut, Counts)> = std::thread::scope(|scope| {
        let share = |first| scope.spawn(move || run_all((first..SEEDS).step_by(threads)));
        let running: Vec<_> = (0..threads as u64).map(share).collect();
        let joined = running.into_iter().map(|thread| thread.join());
        joined.map(|ran| ran.expect("no violation")).collect()
    });
    let (mut done, mut faults) = (CarriedOut::default(), Counts::default());
    for (more, happened) in ran {
        done.add(&more);
        faults.add(&happened);
    }
    let all: u64 = done.iter().map(|(_, times)| times).sum();
    assert!(all > SEEDS * 20, "only {all} commands were carried out");
    assert_eq!(faults.missing(), Vec::<&str>::new(), "never happened");
    assert_eq!(done.missing(), Vec::<&str>::new(), "never carried out");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        assert_eq!(
            run(seed, 500).expect("nothing is wrong"),
            run(seed, 500).expect("nothing is wrong"),
            "seed {seed}"
        );
    }
}

#[test]
fn a_failure_shrinks_to_what_it_needs() {
    use std::time::Duration;

    use chaos_tests::layer1::plan::Plan;
    use chaos_tests::layer1::run::Failure;
    use chaos_tests::layer1::shrink::{describe, shrink};
    use chaos_tests::layer1::stage::{Event, Stage};

    // Nothing is wrong with the domain, so a crash of a replica that does not exist has to do.
    let plan = Plan::draw(3, 50);
    let mut stage = Stage::new(&plan).expect("a house");
    let events = vec![
        Event::Snapshot { replica: 0 },
        Event::Inspect { replica: 1 },
        Event::Crash {
            replica: plan.replicas + 7,
            keeps_snapshot: true,
        },
    ];
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        events
            .iter()
            .cloned()
            .try_for_each(|event| stage.step(event).map(|_| ()))
    }));
    assert!(played.is_err(), "there is no such replica");
    let failure = Failure {
        plan,
        wrong: "no such replica".to_owned(),
        events,
    };
    let (fewer, _) = shrink(&failure, Duration::from_secs(5));
    assert_eq!(describe(&fewer).len(), 1, "{fewer:?}");
}
