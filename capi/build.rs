//! Names the shared library as programs ask for it.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        let name = if std::env::var_os("CARGO_FEATURE_SHRED").is_some() { "kmem" } else { "kmem_noshred" };
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,lib{name}.so.0");
    }
}
