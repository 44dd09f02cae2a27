//! The answer with a venue's layout, whose map stays the bytes it is sent as: a node hands the same
//! bytes to everybody who asks and decodes nothing. On the wire, and for every other language, it
//! is `onsale.channel.v1.GetSeatMapResponse` as `catalogue.proto` has it.

use bytes::Bytes;

/// See `catalogue.proto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct GetSeatMapResponse {
    /// Of the layout; the same for the life of the event.
    #[prost(string, tag = "1")]
    pub etag: String,
    /// An encoded `SeatMap`; absent when the caller has it already.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub seat_map: Option<Bytes>,
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::channel::v1::SeatMap;

    /// The message as `catalogue.proto` has it.
    #[derive(Clone, PartialEq, prost::Message)]
    struct AsWritten {
        #[prost(string, tag = "1")]
        etag: String,
        #[prost(message, optional, tag = "2")]
        seat_map: Option<SeatMap>,
    }

    #[test]
    fn the_bytes_are_those_of_the_message() {
        let seat_map = SeatMap {
            name: "The Bowl".into(),
            ..SeatMap::default()
        };
        let written = AsWritten {
            etag: "7".into(),
            seat_map: Some(seat_map.clone()),
        };
        let kept = GetSeatMapResponse {
            etag: "7".into(),
            seat_map: Some(seat_map.encode_to_vec().into()),
        };
        assert_eq!(kept.encode_to_vec(), written.encode_to_vec());
        assert_eq!(AsWritten::decode(&kept.encode_to_vec()[..]), Ok(written));
        let nothing = GetSeatMapResponse::default();
        assert_eq!(
            nothing.encode_to_vec(),
            AsWritten::default().encode_to_vec()
        );
    }

    #[test]
    fn the_fields_are_those_of_the_proto_file() {
        let text = include_str!("../onsale/channel/v1/catalogue.proto");
        let from = text.find("message GetSeatMapResponse").expect("is there");
        let message = &text[from..from + text[from..].find('}').expect("ends")];
        let fields: Vec<&str> = message
            .lines()
            .map(str::trim)
            .filter(|line| line.ends_with(';'))
            .collect();
        assert_eq!(fields, ["string etag = 1;", "SeatMap seat_map = 2;"]);
    }
}
