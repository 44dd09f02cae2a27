//! Why a change of the map is refused: the same on every replica.

use proto::cluster::v1 as pb;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapRejection {
    #[error("the change is empty or of a kind not known here")]
    Empty,
    #[error("a value is missing or out of range")]
    BadValue,
    #[error("no such node")]
    UnknownNode,
    #[error("the node still carries replicas")]
    NodeInUse,
    #[error("no such group")]
    UnknownGroup,
    #[error("the placement moved on since this was planned")]
    EpochMoved,
    #[error("a group needs distinct nodes that may carry replicas")]
    BadPlacement,
    #[error("the sale exists with other properties")]
    SaleExists,
    #[error("no such sale")]
    UnknownSale,
    #[error("a sale does not go back to this state")]
    BadSaleState,
    #[error("no such partner")]
    UnknownPartner,
    #[error("no such key")]
    UnknownKey,
    #[error("the key exists with other properties")]
    KeyExists,
}

impl From<MapRejection> for pb::MapRejection {
    fn from(rejection: MapRejection) -> Self {
        match rejection {
            MapRejection::Empty => pb::MapRejection::Empty,
            MapRejection::BadValue => pb::MapRejection::BadValue,
            MapRejection::UnknownNode => pb::MapRejection::UnknownNode,
            MapRejection::NodeInUse => pb::MapRejection::NodeInUse,
            MapRejection::UnknownGroup => pb::MapRejection::UnknownGroup,
            MapRejection::EpochMoved => pb::MapRejection::EpochMoved,
            MapRejection::BadPlacement => pb::MapRejection::BadPlacement,
            MapRejection::SaleExists => pb::MapRejection::SaleExists,
            MapRejection::UnknownSale => pb::MapRejection::UnknownSale,
            MapRejection::BadSaleState => pb::MapRejection::BadSaleState,
            MapRejection::UnknownPartner => pb::MapRejection::UnknownPartner,
            MapRejection::UnknownKey => pb::MapRejection::UnknownKey,
            MapRejection::KeyExists => pb::MapRejection::KeyExists,
        }
    }
}

impl From<pb::MapRejection> for MapRejection {
    fn from(rejection: pb::MapRejection) -> Self {
        match rejection {
            // A newer peer's reason: known to be a rejection, not which.
            pb::MapRejection::Unspecified | pb::MapRejection::Empty => MapRejection::Empty,
            pb::MapRejection::BadValue => MapRejection::BadValue,
            pb::MapRejection::UnknownNode => MapRejection::UnknownNode,
            pb::MapRejection::NodeInUse => MapRejection::NodeInUse,
            pb::MapRejection::UnknownGroup => MapRejection::UnknownGroup,
            pb::MapRejection::EpochMoved => MapRejection::EpochMoved,
            pb::MapRejection::BadPlacement => MapRejection::BadPlacement,
            pb::MapRejection::SaleExists => MapRejection::SaleExists,
            pb::MapRejection::UnknownSale => MapRejection::UnknownSale,
            pb::MapRejection::BadSaleState => MapRejection::BadSaleState,
            pb::MapRejection::UnknownPartner => MapRejection::UnknownPartner,
            pb::MapRejection::UnknownKey => MapRejection::UnknownKey,
            pb::MapRejection::KeyExists => MapRejection::KeyExists,
        }
    }
}
