//! sled and its twin in memory are one and the same to the index.

use proptest::prelude::*;

use super::super::{Batch, IndexStore, MemoryStore, Opener, SledOpener};

type Write = (Vec<u8>, Option<Vec<u8>>);

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0_u8, 1, 7, 254, 255]), 0..4)
}

fn batches() -> impl Strategy<Value = Vec<Vec<Write>>> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..5));
    let batch = prop::collection::vec((key(), value), 0..20);
    prop::collection::vec(batch, 0..8)
}

fn all(
    store: &dyn IndexStore,
    from: &[u8],
    end: Option<&[u8]>,
    max: usize,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    let each: &mut dyn FnMut(&[u8], &[u8]) -> bool = &mut |key, value| {
        all.push((key.to_vec(), value.to_vec()));
        all.len() < max
    };
    store.scan(from, end, each).expect("a sound store");
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn sled_and_memory_agree(
        batches in batches(),
        scans in prop::collection::vec((key(), prop::option::of(key()), 1..30_usize), 1..8),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut opener = SledOpener::new(folder.path(), 4);
        let mut sled = opener.open().expect("an empty store opens");
        let mut memory = MemoryStore::default();
        for (at, writes) in batches.iter().enumerate() {
            let batch = || {
                let mut batch = Batch::default();
                for (key, value) in writes {
                    match value {
                        Some(value) => batch.put(key.clone(), value.clone()),
                        None => batch.remove(key.clone()),
                    }
                }
                batch
            };
            sled.apply(batch()).expect("sled writes");
            memory.apply(batch()).expect("memory writes");
            if at == batches.len() / 2 {
                drop(sled);
                sled = opener.open().expect("it opens again");
            }
        }
        for (from, end, max) in &scans {
            let end = end.as_deref();
            prop_assert_eq!(all(&*sled, from, end, *max), all(&memory, from, end, *max));
            prop_assert_eq!(sled.get(from).expect("sled reads"), memory.get(from).expect("reads"));
        }
    }
}

#[test]
fn a_renewed_store_is_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut opener = SledOpener::new(&folder.path().join("index"), 4);
    let mut store = opener.open().expect("it opens");
    let mut batch = Batch::default();
    batch.put(vec![1], vec![2]);
    store.apply(batch).expect("it writes");
    drop(store);
    let store = opener.renew().expect("it is made anew");
    assert_eq!(all(&*store, &[], None, 10), []);
}
