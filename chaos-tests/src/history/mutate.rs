//! Changes a history as a broken system would: answers swapped, dropped, given twice, old, or made up.
//!
//! It does not know whether what comes out is still legal; who uses it must find out.

use rand::RngExt as _;

use crate::history::record::{Call, Done, Id, Op, Outcome, Record, Run};
use crate::layer1::Draw;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// Two calls get each other's answers.
    Swap,
    /// What happened is not in the history.
    Drop,
    /// Another call gets an answer that was given already.
    Duplicate,
    /// A read gets what an earlier one got.
    StaleRead,
    /// A call that was refused or unknown is acknowledged.
    Forge,
}

impl Mutation {
    pub const ALL: [Mutation; 5] = [
        Mutation::Swap,
        Mutation::Drop,
        Mutation::Duplicate,
        Mutation::StaleRead,
        Mutation::Forge,
    ];
}

/// A changed copy; none if there is nothing to change in this way.
pub fn mutate(records: &[Record], mutation: Mutation, draw: &mut Draw) -> Option<Vec<Record>> {
    let mut records = records.to_vec();
    let pick = |records: &[Record], draw: &mut Draw, fits: &dyn Fn(&Op) -> bool| {
        let fitting: Vec<usize> = records
            .iter()
            .enumerate()
            .filter(|(_, record)| matches!(record, Record::Op(op) if fits(op)))
            .map(|(at, _)| at)
            .collect();
        let len = fitting.len();
        (len > 0).then(|| fitting[draw.random_range(0..len)])
    };
    let op = |records: &[Record], at: usize| match &records[at] {
        Record::Op(op) => Some(op.clone()),
        _ => None,
    };
    let is_done = |op: &Op| matches!(op.outcome, Outcome::Done(_));
    match mutation {
        Mutation::Swap => {
            let first = pick(&records, draw, &is_done)?;
            let second = pick(&records, draw, &is_done)?;
            let (mut a, mut b) = (op(&records, first)?, op(&records, second)?);
            std::mem::swap(&mut a.outcome, &mut b.outcome);
            records[first] = Record::Op(a);
            records[second] = Record::Op(b);
            (first != second).then_some(records)
        }
        Mutation::Drop => {
            let at = pick(&records, draw, &is_done)?;
            records.remove(at);
            Some(records)
        }
        Mutation::Duplicate => {
            let from = pick(&records, draw, &is_done)?;
            let answer = op(&records, from)?;
            let end = records.iter().filter_map(|record| match record {
                Record::Op(op) => op.returned,
                _ => None,
            });
            let end = end.max()?;
            records.push(Record::Op(Op {
                client: u32::MAX,
                key: Id(answer.key.0 ^ 1 << 70),
                invoke: draw.random_range(0..=end),
                returned: Some(end + 1),
                ..answer
            }));
            Some(records)
        }
        Mutation::StaleRead => {
            let is_read = |op: &Op| matches!(op.outcome, Outcome::Seen(_));
            let from = pick(&records, draw, &is_read)?;
            let old = op(&records, from)?;
            let newer =
                |op: &Op| is_read(op) && op.invoke > old.invoke && op.outcome != old.outcome;
            let at = pick(&records, draw, &newer)?;
            let mut read = op(&records, at)?;
            read.outcome = old.outcome;
            records[at] = Record::Op(read);
            Some(records)
        }
        Mutation::Forge => {
            let is_other = |op: &Op| !is_done(op) && !matches!(op.call, Call::Read { .. });
            let at = pick(&records, draw, &is_other)?;
            let mut op = op(&records, at)?;
            let (index, revision) = match &op.outcome {
                Outcome::Rejected(rejected) => (rejected.index, rejected.revision),
                _ => (draw.random_range(1..20), draw.random_range(0..30)),
            };
            op.outcome = Outcome::Done(Done {
                index,
                revision: revision + draw.random_range(0..4),
                at_ms: None,
                deadline_ms: 0,
                runs: match &op.asked {
                    Some(asked) => asked.clone(),
                    None => vec![Run(0, draw.random_range(0..4), 1)],
                },
            });
            op.returned = Some(op.returned.unwrap_or(op.invoke + draw.random_range(1..100)));
            records[at] = Record::Op(op);
            Some(records)
        }
    }
}
