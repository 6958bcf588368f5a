//! How the module is linked: whoever makes an instance brings the memory, and so says how far it may grow.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        // No function here goes deep, and each snapshot holds the stack too.
        for arg in ["--import-memory", "-zstack-size=65536"] {
            println!("cargo:rustc-link-arg-cdylib={arg}");
        }
    }
}
