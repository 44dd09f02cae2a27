//! A proposal that no entry can hold: refused before it is appended, and the node goes on.

use bytes::Bytes;
use cluster::group::Proposed;
use cluster::types::NodeId;
use tokio::sync::oneshot;

use crate::stage::Stage;

const SEGMENT_BYTES: u64 = 64 << 10;
const ENTRY_BYTES_MAX: usize = SEGMENT_BYTES as usize / 2;

fn propose(stage: &Stage, at: NodeId, bytes: usize) -> Proposed {
    let handle = stage.node(at).cluster.group(1).expect("a replica");
    let (told, outcome) = oneshot::channel();
    let reply = Box::new(move |became| {
        let _gone = told.send(became);
    });
    let term = handle.leadership().term;
    let queued = handle.propose(term, Bytes::from(vec![0; bytes]), reply);
    assert!(queued.is_ok(), "the queue is empty");
    stage.on(at, outcome).expect("every reply fires")
}

#[test]
fn what_is_longer_than_an_entry_is_refused_and_the_node_goes_on() {
    let stage = Stage::new(1, |config| {
        config.sale_groups = 1;
        config.log.segment_bytes = SEGMENT_BYTES;
    });
    stage.leader(1);
    for bytes in [ENTRY_BYTES_MAX + 8, 2 * ENTRY_BYTES_MAX, 4 << 20] {
        assert_eq!(
            propose(&stage, 1, bytes),
            Proposed::TooLarge {
                bytes_max: ENTRY_BYTES_MAX
            }
        );
    }
    let longest = propose(&stage, 1, ENTRY_BYTES_MAX);
    assert!(matches!(longest, Proposed::Committed { .. }), "{longest:?}");
    stage.commit(1, 7);
}
