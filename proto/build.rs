//! Compiles every `.proto` below `onsale/` without protoc.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "onsale/channel/v1/admission.proto",
        "onsale/channel/v1/catalogue.proto",
        "onsale/channel/v1/sales.proto",
        "onsale/channel/v1/seats.proto",
        "onsale/channel/v1/session.proto",
        "onsale/cluster/v1/peer.proto",
        "onsale/log/v1/entry.proto",
        "onsale/log/v1/map.proto",
        "onsale/log/v1/snapshot.proto",
    ];
    println!("cargo:rerun-if-changed=onsale");
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(
        out.join("descriptors.bin"),
        prost::Message::encode_to_vec(&descriptors),
    )?;
    tonic_prost_build::configure()
        .bytes(".")
        .extern_path(
            ".onsale.channel.v1.GetSeatMapResponse",
            "crate::seat_map::GetSeatMapResponse",
        )
        .compile_fds(descriptors)?;
    Ok(())
}
