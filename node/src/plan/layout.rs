//! The layout as it is stored with the sale and sent to partners: zstd over protobuf.

use std::io::Read as _;

use bytes::Bytes;
use prost::Message as _;
use proto::channel::v1::SeatMap;

/// Most bytes a stored layout may unpack to: 200,000 seats are a tenth of it.
const UNPACKED_MAX: u64 = 128 << 20;

/// Why stored bytes are no layout.
#[derive(Debug, thiserror::Error)]
pub enum LayoutFault {
    #[error("the layout does not unpack")]
    Unpack(#[source] std::io::Error),
    #[error("the layout unpacks to more than {UNPACKED_MAX} bytes")]
    TooLong,
    #[error("the layout does not decode")]
    Decode(#[source] prost::DecodeError),
}

/// The etag (of the unpacked bytes, so that it does not depend on the packer) and the packed layout.
pub fn layout_bytes(seat_map: &SeatMap) -> Result<(String, Bytes), std::io::Error> {
    let plain = seat_map.encode_to_vec();
    let packed = zstd::bulk::compress(&plain, zstd::DEFAULT_COMPRESSION_LEVEL)?;
    Ok((etag(&plain), packed.into()))
}

/// The layout's protobuf bytes.
pub fn unpack(packed: &[u8]) -> Result<Bytes, LayoutFault> {
    let mut plain = Vec::new();
    zstd::stream::read::Decoder::with_buffer(packed)
        .and_then(|unpacked| unpacked.take(UNPACKED_MAX + 1).read_to_end(&mut plain))
        .map_err(LayoutFault::Unpack)?;
    if plain.len() as u64 > UNPACKED_MAX {
        return Err(LayoutFault::TooLong);
    }
    Ok(plain.into())
}

/// The etag and the layout again.
pub fn layout_from_bytes(packed: &[u8]) -> Result<(String, SeatMap), LayoutFault> {
    let plain = unpack(packed)?;
    let seat_map = SeatMap::decode(&plain[..]).map_err(LayoutFault::Decode)?;
    Ok((etag(&plain), seat_map))
}

fn etag(plain: &[u8]) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(plain))
}
