//! What is built and published fits the code.

use std::fs;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn a_panic_can_be_caught_in_what_is_deployed() {
    // cargo-lambda builds with panic = "abort" unless the manifest says otherwise.
    let manifest = read("Cargo.toml");
    let release = manifest.split("[profile.release]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(release.contains("\npanic = \"unwind\""), "{release}");
}

#[test]
fn the_published_version_is_the_crate_s() {
    let published = format!("    SemanticVersion: {}\n", env!("CARGO_PKG_VERSION"));
    assert!(read("template.yaml").contains(&published), "{published}");
}
