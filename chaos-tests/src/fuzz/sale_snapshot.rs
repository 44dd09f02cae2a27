//! A sale's state as a snapshot has it: restored or refused, never believed; and commands applied to
//! whatever was restored.

use actors::codec::command::Scratch;
use actors::codec::record::{self, Records};
use actors::codec::snapshot::{Unreadable, restore, to_proto};
use domain::invariants;
use prost::Message;
use proto::log::v1 as log;

use super::commands::{applies, restores};
use super::feed::Feed;
use super::samples::{self, START_MS};

/// Commands applied to one restored state.
const COMMANDS_MAX: usize = 64;

/// Two bytes say how long the state is; behind it are command records.
pub fn run(data: &[u8]) {
    let mut feed = Feed::new(data);
    let len = usize::from(feed.u16());
    let state = feed.take(len);
    if let Ok(contents) = log::SaleContents::decode(state) {
        go_on(contents, feed.rest());
    }
}

/// Restores the state, its hash put right, and goes on with it.
pub fn go_on(mut contents: log::SaleContents, records: &[u8]) {
    let mut sale = match restore(&contents) {
        Ok(sale) => sale,
        Err(Unreadable::Hash { restored, .. }) => {
            contents.full_hash = restored;
            restore(&contents).expect("only the hash was wrong")
        }
        Err(_) => return,
    };
    assert_eq!(invariants::check(&sale), [], "as restored");
    let again = to_proto(&sale.export());
    let twin = restore(&again).expect("our own state");
    assert_eq!(twin.export(), sale.export());
    let mut replica = twin;
    let mut scratch = Scratch::default();
    for (at, record) in (0..).zip(Records::new(records).take(COMMANDS_MAX)) {
        if let Ok(request) = record::decode(record, &mut scratch) {
            applies(&mut sale, &mut replica, START_MS + at * 977, &request);
        }
    }
    assert_eq!(invariants::check(&sale), [], "after the commands");
    restores(&sale);
}

pub fn corpus() -> Vec<Vec<u8>> {
    let input = |sale: &domain::Sale| {
        let contents = to_proto(&sale.export()).encode_to_vec();
        let mut input = (contents.len() as u16).to_le_bytes().to_vec();
        input.extend(contents);
        input.extend(samples::records());
        input
    };
    vec![input(&samples::sale()), input(&samples::sold())]
}
