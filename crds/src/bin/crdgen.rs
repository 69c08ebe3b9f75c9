//! Writes the manifests beside this crate and into the chart, or with `--check` says which are stale.

use std::{fs, io, path::Path, process::ExitCode};

const COMMAND: &str = "cargo run -p crds";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: {COMMAND} [-- --check]");
            return ExitCode::from(2);
        }
    };
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    match run(root, check) {
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            eprintln!("{} is stale: run `{COMMAND}` and commit the result", stale.join(" and "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes what differs; with `check` names it instead.
fn run(root: &Path, check: bool) -> io::Result<Vec<String>> {
    let mut stale = Vec::new();
    for manifest in crds::manifest::all() {
        for (folder, text) in
            [("crds", &manifest.plain), ("helm/shopkeeper/templates/crds", &manifest.template)]
        {
            let file = root.join(folder).join(manifest.file);
            if fs::read_to_string(&file).is_ok_and(|there| there == *text) {
                continue;
            }
            if check {
                stale.push(format!("{folder}/{}", manifest.file));
            } else {
                fs::create_dir_all(root.join(folder))?;
                fs::write(&file, text)
                    .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
                println!("wrote {folder}/{}", manifest.file);
            }
        }
    }
    Ok(stale)
}
