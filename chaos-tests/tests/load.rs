//! The load shapes, short: whether they run and what they say is sound. Figures that mean something take
//! a quiet machine, a release build and `--bin load`.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use chaos_tests::load::curve;
use chaos_tests::load::run::capacity;
use chaos_tests::load::scene::Cluster;
use chaos_tests::load::soak;
use chaos_tests::load::storm::{self, Times, Trigger};

const SEED: u64 = 1;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One cluster for all shapes: starting it takes longer than each of them.
#[test]
fn the_shapes_run_on_three_nodes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let executable = Path::new(env!("CARGO_BIN_EXE_load"));
        let (mut cluster, scene) = Cluster::start(executable, 3).await.expect("a cluster");
        let scene = Rc::new(scene);

        let times = [0.2, 4.0];
        let mut told = 0;
        let curve = curve::measure(&cluster, &scene, SEED, seconds(1), &times, &mut |_| {
            told += 1
        })
        .await
        .expect("a curve");
        eprintln!("{curve:?}");
        assert_eq!(told, times.len());
        assert!(curve.capacity_per_s > 100.0);
        let [calm, flood] = &curve.points[..] else {
            panic!("{} points", curve.points.len());
        };
        assert!(calm.visitors.served > 0 && calm.p50_ms > 0.0);
        assert!(flood.offered_per_s > 2.0 * curve.capacity_per_s);
        // Everybody who came is accounted for, at most some still under way at the end.
        for point in &curve.points {
            let ended = point.visitors;
            let told = ended.served + ended.late + ended.refused + ended.sold_out;
            let told = told + ended.unknown + ended.not_taken;
            assert!(
                told <= ended.offered && told * 10 >= ended.offered * 9,
                "{ended:?}"
            );
        }

        let soak = soak::measure(&cluster, &scene, SEED, seconds(2), curve.capacity_per_s)
            .await
            .expect("a soak");
        assert!(
            soak.slope_mib_per_h.len() == 3 && soak.goodput_per_s > 0.0,
            "{soak:?}"
        );

        let per_s = capacity(&scene, SEED, seconds(1))
            .await
            .expect("a capacity")
            / 4.0;
        let times = Times {
            calm: storm::CALM,
            before: seconds(2),
            trigger: seconds(3),
            after: seconds(12),
        };
        let killed = Trigger::LeaderKilled;
        let storm = storm::measure(&mut cluster, &scene, SEED, killed, times, per_s)
            .await
            .expect("a storm");
        eprintln!("{storm:?}");
        assert!(storm.visitors.retried > 0, "nobody called again: {storm:?}");
        assert!(storm.worst_per_s < storm.before_per_s);
        let ended = storm.visitors;
        assert!(ended.served * 10 >= ended.offered * 9, "{storm:?}");
    });
}
