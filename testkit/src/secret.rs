//! Passwords of test servers: made at run time, never written in a file of the repository.

use std::fs::File;
use std::io::Read;

/// 32 hexadecimal digits from the kernel's random source.
pub(crate) fn generate() -> String {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .expect("Linux has /dev/urandom");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
