//! Command records: read in any condition, written back the same, and applied to a sale whatever they
//! say.

use actors::codec::command::{Scratch, decode_body};
use actors::codec::record::{self, Records};
use domain::command::Request;
use domain::{Sale, invariants};

use super::samples::{self, START_MS};

/// A run of records, as an entry of the log carries it.
pub fn run(data: &[u8]) {
    let mut sale = samples::sale();
    let mut replica = sale.clone();
    let mut scratch = Scratch::default();
    for (at, record) in (0..).zip(Records::new(data)) {
        if let Ok(request) = record::decode(record, &mut scratch) {
            comes_back(&request);
            applies(&mut sale, &mut replica, START_MS + at * 977, &request);
        }
    }
    let violations = invariants::check(&sale);
    assert_eq!(violations, [], "after all");
    restores(&sale);
    if let Some((kind, body)) = data.split_first() {
        let _ = decode_body(*kind, body, &mut scratch);
    }
}

/// The hash follows from the bytes, which may say the same in several ways.
fn comes_back(request: &Request<'_>) {
    let mut once = Vec::new();
    record::encode(request, &mut once).expect("was decoded from a record");
    let mut scratch = Scratch::default();
    let again = record::decode(&once, &mut scratch).expect("our own record");
    let mut twice = Vec::new();
    record::encode(&again, &mut twice).expect("as long as before");
    assert_eq!(twice, once);
    let unhashed = |request: &Request<'_>| {
        format!(
            "{:?}",
            (
                request.partner,
                request.channel,
                request.key,
                &request.command
            )
        )
    };
    assert_eq!(unhashed(&again), unhashed(request));
}

/// Any command is answered, the same on both replicas.
pub fn applies(sale: &mut Sale, replica: &mut Sale, at_ms: u64, request: &Request<'_>) {
    let (mut changes, mut replicated) = (Vec::new(), Vec::new());
    let outcome = sale.apply(at_ms, request, &mut changes);
    assert!(!sale.is_changing());
    assert_eq!(replica.apply(at_ms, request, &mut replicated), outcome);
    assert_eq!(replicated, changes);
    assert_eq!(replica.digest(), sale.digest());
    assert_eq!(invariants::check_cheap(sale), None, "after {request:?}");
}

/// What is exported is restored as the same sale.
pub fn restores(sale: &Sale) {
    let state = sale.export();
    let hash = sale.full_hash();
    let restored = Sale::restore(state.clone()).expect("a sale's own state");
    assert_eq!(restored.full_hash(), hash);
    assert_eq!(restored.export(), state);
}

pub fn corpus() -> Vec<Vec<u8>> {
    let mut each = Vec::new();
    samples::commands(&mut |request| {
        let mut record = Vec::new();
        if record::encode(&request, &mut record).is_ok() {
            each.push(record);
        }
    });
    each.push(samples::records());
    each
}
