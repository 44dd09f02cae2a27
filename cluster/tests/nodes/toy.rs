//! A machine that remembers numbers: what is delivered, in sequence, and who it was told leads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cluster::group::Group;
use cluster::machine::{Committed, Encode, Machine, MachineFault};
use cluster::node::Machines;
use cluster::types::{GroupId, Term};
use futures::future::BoxFuture;

#[derive(Default)]
pub struct Toys {
    toys: Mutex<BTreeMap<GroupId, Arc<Toy>>>,
}

impl Toys {
    pub fn get(&self, group: GroupId) -> Option<Arc<Toy>> {
        self.toys.lock().unwrap().get(&group).cloned()
    }

    /// Whether the group's replica has let go of it.
    pub fn has_ended(&self, group: GroupId) -> bool {
        let toys = self.toys.lock().unwrap();
        toys.get(&group)
            .is_none_or(|toy| Arc::strong_count(toy) == 1)
    }
}

impl Machines for Toys {
    fn machine(&self, group: GroupId, _handle: Arc<dyn Group>) -> Arc<dyn Machine> {
        let toy = Arc::new(Toy::default());
        self.toys.lock().unwrap().insert(group, toy.clone());
        toy
    }
}

#[derive(Default)]
pub struct Toy {
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub numbers: Vec<u64>,
    pub last_index: u64,
    pub restores: usize,
    pub led: Vec<Option<Term>>,
}

impl Toy {
    pub fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }

    /// A number nobody committed, as a memory that lies would have it.
    pub fn corrupt(&self) {
        self.state.lock().unwrap().numbers.push(666);
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.state.lock().unwrap().numbers.clone()
    }
}

#[async_trait]
impl Machine for Toy {
    async fn deliver(&self, entry: Committed) -> Result<(), MachineFault> {
        let mut state = self.state.lock().unwrap();
        assert!(
            entry.index > state.last_index,
            "deliveries come in sequence"
        );
        state.last_index = entry.index;
        let mut payload = entry.payload;
        while payload.remaining() >= 8 {
            let number = payload.get_u64();
            state.numbers.push(number);
        }
        Ok(())
    }

    async fn snapshot(
        &self,
    ) -> Result<BoxFuture<'static, Result<Encode, MachineFault>>, MachineFault> {
        let state = self.state();
        let mut bytes = BytesMut::new();
        bytes.put_u64(state.last_index);
        for number in state.numbers {
            bytes.put_u64(number);
        }
        let encode: Encode = Box::new(move || bytes.freeze());
        Ok(Box::pin(std::future::ready(Ok(encode))))
    }

    async fn restore(&self, mut snapshot: Bytes) -> Result<(), MachineFault> {
        let mut state = self.state.lock().unwrap();
        state.last_index = snapshot.get_u64();
        state.numbers.clear();
        while snapshot.remaining() >= 8 {
            let number = snapshot.get_u64();
            state.numbers.push(number);
        }
        state.restores += 1;
        Ok(())
    }

    async fn digest(&self) -> Result<BoxFuture<'static, Result<u64, MachineFault>>, MachineFault> {
        let numbers = self.state.lock().unwrap().numbers.clone();
        // Any number that depends on all of them and on their sequence.
        let digest = numbers.iter().fold(1u64, |digest, number| {
            (digest ^ number)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(17)
        });
        Ok(Box::pin(std::future::ready(Ok(digest))))
    }

    async fn lead(&self, term: Option<Term>) {
        self.state.lock().unwrap().led.push(term);
    }
}
