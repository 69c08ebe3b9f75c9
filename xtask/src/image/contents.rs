//! What an image holds: the binary, the shared libraries that it names, and three files that programs look for.

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};
use testkit::packages::CERTIFICATES;

/// The user of every container of ours; the operator's pod specs and file systems say the same number.
const USER: &str = "65532";
/// So many letters of the hash that two builds on earth do not meet, and a person can still compare them.
const TAG_LETTERS: usize = 12;

/// The files of an image, by their path inside it, sorted.
pub struct Contents {
    entrypoint: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Contents {
    /// What an image around `binary` holds.
    pub fn of(binary: &Path) -> Result<Self> {
        let name = binary.file_name().context("a binary has a name")?.to_string_lossy();
        let entrypoint = format!("/{name}");
        let passwd =
            format!("root:x:0:0:root:/:/none\nshopkeeper:x:{USER}:{USER}:shopkeeper:/:/none\n");
        let mut files = vec![
            (entrypoint.clone(), read(binary)?),
            ("/etc/passwd".to_owned(), passwd.into_bytes()),
            ("/etc/group".to_owned(), format!("root:x:0:\nshopkeeper:x:{USER}:\n").into_bytes()),
            // Without it the C library asks services that the image does not have before it asks DNS.
            ("/etc/nsswitch.conf".to_owned(), b"hosts: files dns\n".to_vec()),
        ];
        for library in shared_libraries(binary)? {
            files.push((library.to_string_lossy().into_owned(), read(&library)?));
        }
        // Without them a service could verify no certificate of a database or a Redis.
        files.push((CERTIFICATES.to_owned(), read(Path::new(CERTIFICATES))?));
        files.sort();
        Ok(Self { entrypoint, files })
    }

    /// Writes the files and the `Containerfile` into `folder`.
    pub fn lay_out(&self, folder: &Path) -> Result<()> {
        let root = folder.join("root");
        for (path, bytes) in &self.files {
            let file = root.join(path.trim_start_matches('/'));
            let parent = file.parent().expect("a file stands in a folder");
            fs::create_dir_all(parent)
                .with_context(|| format!("{} cannot be made", parent.display()))?;
            fs::write(&file, bytes)
                .with_context(|| format!("{} cannot be written", file.display()))?;
            // The same for all: what the umask is here must not show in the image.
            for entry in file.ancestors().take_while(|entry| entry.starts_with(&root)) {
                fs::set_permissions(entry, fs::Permissions::from_mode(0o755))?;
            }
        }
        fs::write(folder.join("Containerfile"), self.containerfile())?;
        Ok(())
    }

    fn containerfile(&self) -> String {
        let entrypoint = &self.entrypoint;
        format!("FROM scratch\nCOPY root /\nUSER {USER}:{USER}\nENTRYPOINT [\"{entrypoint}\"]\n")
    }
}

/// The tag of a set of images: the same for the same files, and another for any other.
pub fn tag_of<'a>(images: impl Iterator<Item = &'a Contents>) -> String {
    let mut hash = Sha256::new();
    for image in images {
        hash.update(image.containerfile());
        for (path, bytes) in &image.files {
            // Lengths before contents, so that no two lists of files run together to the same bytes.
            hash.update((path.len() as u64).to_be_bytes());
            hash.update(path);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    hash[..TAG_LETTERS].to_owned()
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

fn shared_libraries(binary: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(binary)
        .output()
        .context("ldd cannot be started (Debian: libc-bin)")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let fixed = said.contains("statically linked")
        || String::from_utf8_lossy(&output.stderr).contains("not a dynamic executable");
    ensure!(fixed || output.status.success(), "ldd cannot read {}", binary.display());
    libraries_in(&said).with_context(|| format!("the shared libraries of {}", binary.display()))
}

/// The files that `ldd` names: `NAME => FILE (ADDRESS)`, or `FILE (ADDRESS)` for the loader.
fn libraries_in(ldd: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for line in ldd.lines() {
        ensure!(!line.contains("not found"), "this machine lacks one: {}", line.trim());
        let file = line.split_whitespace().find(|word| word.starts_with('/'));
        files.extend(file.map(PathBuf::from));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_says() {
        let said = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x2)\n\t/lib64/ld.so.2 (0x3)\n";
        let files = libraries_in(said).unwrap();
        assert_eq!(files, [Path::new("/lib/x/libc.so.6"), Path::new("/lib64/ld.so.2")]);
        assert_eq!(libraries_in("\tstatically linked\n").unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_missing_library_is_named() {
        let error = libraries_in("\tlibssl.so.3 => not found\n").unwrap_err().to_string();
        assert!(error.contains("libssl.so.3"), "{error}");
    }

    #[test]
    fn the_tag_follows_every_byte() {
        let image = |path: &str, bytes: &[u8]| Contents {
            entrypoint: "/x".into(),
            files: vec![(path.to_owned(), bytes.to_vec())],
        };
        let tag = |image: Contents| tag_of([&image].into_iter());
        assert_eq!(tag(image("/a", b"bc")), tag(image("/a", b"bc")));
        assert_ne!(tag(image("/a", b"bc")), tag(image("/a", b"bd")));
        assert_ne!(tag(image("/a", b"bc")), tag(image("/ab", b"c")));
    }

    #[test]
    fn a_program_of_this_machine_brings_its_loader_and_the_certificates() {
        let contents = Contents::of(Path::new("/bin/ls")).unwrap();
        assert!(contents.files.iter().any(|(path, _)| path.contains("/ld-")));
        assert!(contents.files.iter().any(|(path, _)| path == CERTIFICATES));
        assert!(contents.containerfile().contains("USER 65532:65532"));
    }
}
