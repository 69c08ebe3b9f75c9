//! Compiles every `<package>/v1/*.proto` beside this file, without protoc.

use std::path::{Path, PathBuf};
use std::{env, error::Error, fs, io};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for package in packages(&root)? {
        let folder = root.join(&package).join("v1");
        println!("cargo::rerun-if-changed={}", folder.display());
        let files = proto_files(&folder)?;
        let mut contract = protox::Compiler::new([&root])?;
        contract.include_imports(true).include_source_info(true).open_files(files)?;
        // A descriptor set per package: a service's reflection shows its own contract and no other.
        fs::write(out.join(format!("{package}.v1.bin")), contract.encode_file_descriptor_set())?;
        tonic_prost_build::configure()
            .codec_path("crate::codec::Codec")
            // The type that the details of errors are made of already, rather than a second one like it.
            .extern_path(".google.rpc.Status", "::tonic_types::Status")
            .compile_fds(contract.file_descriptor_set())?;
    }
    Ok(())
}

/// The folders that hold a `v1`.
fn packages(root: &Path) -> io::Result<Vec<String>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.path().join("v1").is_dir() {
            packages.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    packages.sort();
    Ok(packages)
}

fn proto_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "proto"));
    files.sort();
    Ok(files)
}
