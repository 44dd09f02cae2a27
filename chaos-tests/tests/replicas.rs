//! The pure domain by seed. A failure names its seed.

use chaos_tests::replicas::run;

#[test]
fn replicas_never_differ() {
    let mut total = chaos_tests::replicas::Run::default();
    for seed in 0..60 {
        let run = run(seed, 3, 1000);
        total.done += run.done;
        total.restores += run.restores;
        total.replays += run.replays;
    }
    println!("{total:?}");
    assert!(
        total.done > 6000 && total.restores > 100 && total.replays > 50,
        "faults and sales happened: {total:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(
        run(7, 2, 500).digest,
        run(7, 3, 500).digest,
        "whatever happened to the replicas"
    );
    assert_eq!(run(8, 3, 500), run(8, 3, 500));
}
