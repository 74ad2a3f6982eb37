//! Compiles the wire files without a system `protoc`.
use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 5] =
    ["dm/dmmaster.proto", "dm/dmworker.proto", "dmworker.proto", "raft.proto", "peer.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).open_files(FILES)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    // Ordered maps: the same message always has the same bytes, which the replicated log relies on.
    tonic_prost_build::configure().btree_map(".").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
