//! Several real nodes in one process over loopback gRPC, with a toy machine: elections,
//! replication, restarts, snapshots, partitions, members. Each node has its own runtime, so that
//! killing it kills every task at once, as the end of a process does.

mod digests;
mod full_disk;
mod members;
mod network;
mod partition;
mod replication;
mod restart;
mod secret;
mod snapshots;
mod stage;
mod too_large;
mod toy;
mod watchdog;
