//! Gathers what the real works are on: the crate's own sources, and its own prose. And says `native` where the
//! peers in C can be, which is everywhere but in WebAssembly.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(native)");
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|processor| processor != "wasm32") {
        println!("cargo::rustc-cfg=native");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the checkout");
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    let out = Path::new(&out);
    // Files are separated by what none of them has.
    fs::write(out.join("sources"), gather(&root.join("src"), "rs")?.join("\0"))?;
    let prose = [gather(&root.join("docs"), "md")?, gather_flat(root)?].concat();
    fs::write(out.join("prose"), prose.join("\n"))
}

/// The texts below a folder whose names end so, in the order of their names.
fn gather(folder: &Path, extension: &str) -> io::Result<Vec<String>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        if path.is_dir() {
            texts.extend(gather(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            texts.push(fs::read_to_string(path)?);
        }
    }
    Ok(texts)
}

/// The documents of the checkout itself.
fn gather_flat(root: &Path) -> io::Result<Vec<String>> {
    let read = |name| {
        let path = root.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        fs::read_to_string(path)
    };
    ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE-APACHE"].into_iter().map(read).collect()
}
