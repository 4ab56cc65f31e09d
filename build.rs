//! Links the functions at a fixed address, so that they start faster: docs/decisions/0010 weighs what that costs.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[expect(clippy::disallowed_methods, reason = "Cargo tells a build script its target in this way")]
    let system = std::env::var("CARGO_CFG_TARGET_OS");
    if system.is_ok_and(|system| system == "linux") {
        for function in ["provider", "rotation"] {
            println!("cargo::rustc-link-arg-bin={function}=-no-pie");
        }
    }
}
