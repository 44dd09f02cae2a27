//! Wire and durable formats: generated code only, no behaviour.
//!
//! One message is written by hand: [`seat_map`] keeps its largest field as bytes.
//!
//! One package per audience and promise: [`channel`] for partners (stable for years),
//! [`cluster`] between nodes (one version apart), [`log`] for our own past (readable for ever).

pub mod seat_map;

/// What channel partners call.
pub mod channel {
    pub mod v1 {
        #![allow(clippy::all, missing_docs)] // generated
        tonic::include_proto!("onsale.channel.v1");
        pub use crate::seat_map::GetSeatMapResponse;
    }
}

/// What nodes say to each other.
pub mod cluster {
    pub mod v1 {
        #![allow(clippy::all, missing_docs)] // generated
        tonic::include_proto!("onsale.cluster.v1");
    }
}

/// The durable log and its snapshots.
pub mod log {
    pub mod v1 {
        #![allow(clippy::all, missing_docs)] // generated
        tonic::include_proto!("onsale.log.v1");
    }
}

/// Descriptors of all packages, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
