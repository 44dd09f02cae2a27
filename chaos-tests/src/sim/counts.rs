//! What may happen in a run, by kind, and how often each kind did. Kinds are of faults (`fault`), and of
//! what operators and visitors of waiting rooms do and meet (`deed`).

use std::collections::BTreeMap;

/// A kind of something that happens.
pub trait Named: Copy + Ord + 'static {
    /// What reports and counters say.
    fn name(self) -> &'static str;

    fn by_name(name: &str) -> Option<Self>;
}

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident: $($kind:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($kind),+ }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$kind),+];

            pub fn name(self) -> &'static str {
                match self { $($name::$kind => $text),+ }
            }

            pub fn by_name(name: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }

        impl $crate::sim::counts::Named for $name {
            fn name(self) -> &'static str {
                $name::name(self)
            }

            fn by_name(name: &str) -> Option<$name> {
                $name::by_name(name)
            }
        }
    };
}

pub(super) use kinds;

/// How often each kind happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts<K: Ord>(BTreeMap<K, u64>);

impl<K: Ord> Default for Counts<K> {
    fn default() -> Counts<K> {
        Counts(BTreeMap::new())
    }
}

impl<K: Copy + Ord> Counts<K> {
    pub fn add(&mut self, kind: K, times: u64) {
        if times > 0 {
            *self.0.entry(kind).or_default() += times;
        }
    }

    pub fn of(&self, kind: K) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    pub fn merge(&mut self, other: &Counts<K>) {
        for (kind, times) in other.iter() {
            self.add(kind, times);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        self.0.iter().map(|(kind, times)| (*kind, *times))
    }
}
