//! Sale actors on a solo in-memory replica with a manual clock: the real actor, mailbox, codec and
//! domain; only consensus is absent.

mod digests;
mod failing;
mod freezing;
mod handling;
mod leadership;
mod selling;
mod solo;
mod traced;
mod watching;
