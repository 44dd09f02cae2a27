//! The packed forms and the way of a batch through a sale actor on a solo replica.
//!
//! `cargo bench -p actors --bench codec`

#[allow(dead_code)] // the tests use more of it
#[path = "../tests/sale/solo.rs"]
mod solo;

use std::hint::black_box;
use std::time::Duration;

use actors::Config;
use actors::codec::answer::{At, put_done};
use actors::codec::command::Scratch;
use actors::codec::record::{Records, decode};
use actors::faults::Faults;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use domain::command::Command;
use domain::ids::{IdempotencyKey, Revision};
use domain::outcome::{Done, SeatRun, SeatRuns};
use domain::rules::SaleRules;
use solo::{Solo, confirm, hold_one, put_record};

fn forms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    let mut records = Vec::new();
    for number in 0..1000 {
        put_record(IdempotencyKey(number), hold_one(number), &mut records);
    }
    group.throughput(Throughput::Elements(1000));
    group.bench_function("decode 1000 place_hold", |bencher| {
        let mut scratch = Scratch::default();
        bencher.iter(|| {
            for record in Records::new(black_box(&records)) {
                black_box(decode(record, &mut scratch).is_ok());
            }
        });
    });
    group.bench_function("encode 1000 place_hold", |bencher| {
        let mut out = Vec::with_capacity(records.len());
        bencher.iter(|| {
            out.clear();
            for number in 0..1000 {
                put_record(IdempotencyKey(number), hold_one(number), &mut out);
            }
            black_box(out.len())
        });
    });
    let done = Done {
        revision: Revision(7),
        deadline_ms: 9,
        seats: SeatRuns::One(SeatRun {
            section: 1,
            count: 4,
            first: 16,
        }),
    };
    group.bench_function("encode 1000 answers", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            for call_id in 0..1000 {
                put_done(call_id, At::default().log_index, black_box(&done), &mut out);
            }
            black_box(out.len())
        });
    });
    group.finish();
}

/// Hold and confirm of one seat each, in batches of 500 pairs, in test mode so that it never ends.
fn actor(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let rules = SaleRules {
        test_mode: true,
        ..SaleRules::default()
    };
    let solo = runtime.block_on(Solo::start(Config::default(), Faults::default()));
    let sale = runtime.block_on(solo.open_sale(1, 2000, &rules));
    let mut group = criterion.benchmark_group("actor");
    group.throughput(Throughput::Elements(1000));
    let mut hold: u128 = 1;
    group.bench_function(
        BenchmarkId::new("commands", "500 holds and confirms"),
        |bencher| {
            bencher.iter(|| {
                let mut records = Vec::with_capacity(100_000);
                for number in hold..hold + 500 {
                    put_record(solo.key(), hold_one(number), &mut records);
                    put_record(solo.key(), confirm(number), &mut records);
                }
                hold += 500;
                runtime.block_on(async {
                    if hold % 20_000 < 500 {
                        solo.ask(&sale, Command::ReopenSale).await;
                    }
                    let mut answers = solo.submit(&sale, records, Duration::from_secs(10));
                    for _ in 0..1000 {
                        answers.next().await;
                    }
                });
            });
        },
    );
    group.finish();
}

criterion_group!(benches, forms, actor);
criterion_main!(benches);
