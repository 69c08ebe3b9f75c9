//! Links the binary small: a pod's image is pulled by every node.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=migrations");
    // Only the linker that comes with the toolchain of this target knows these: one copy of functions that came out the
    // same from different types (sqlx's, once for each database), and relocations as a bitmap.
    if std::env::var("TARGET").as_deref() == Ok("x86_64-unknown-linux-gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
