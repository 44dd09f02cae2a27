//! The node's log against openraft's own suite, against damage of every byte and bit, against
//! failing calls and power cuts. Real log, disks in memory or in a folder.

mod damage;
mod faults;
mod golden;
mod ground;
mod parity;
mod power;
mod segments;
mod store;
mod suite;
