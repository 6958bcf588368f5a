//! wasm-bindgen's command-line tools, built from the pinned package in `xtask/wasm-tools`.
//!
//! A test module and the tool that runs it must come from the same wasm-bindgen, to the last digit.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::programs;
use crate::run;

/// Builds the tools and returns their folder.
pub fn set_up() -> Result<PathBuf> {
    programs::node()?;
    let manifest = run::root().join("xtask/wasm-tools/Cargo.toml");
    let tools = locked(&manifest.with_file_name("Cargo.lock"), "wasm-bindgen")?;
    let kmem = locked(&run::root().join("Cargo.lock"), "wasm-bindgen")?;
    if tools != kmem {
        bail!(
            "Cargo.lock has wasm-bindgen {kmem} and xtask/wasm-tools has {tools}; they must be the same: \
             `cargo update wasm-bindgen --precise {tools}`, or move both the dev-dependency wasm-bindgen-test \
             and xtask/wasm-tools to another version"
        );
    }
    let dir = run::target().join("tools");
    let built = dir.join("debug");
    if !built.join("wasm-bindgen-test-runner").is_file() {
        run::say(&format!("wasm-bindgen tools {tools}: building them into target/tools (about a minute, once)"));
    }
    let mut build = run::cargo("build --quiet --locked --bins");
    // Flags for the project's code are not meant for its tools.
    build.env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", dir);
    run::quiet(build.arg("--manifest-path").arg(manifest))?;
    Ok(built)
}

/// The version of a package in a lock file.
fn locked(file: &Path, package: &str) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    version_in(&text, package).with_context(|| format!("{} has no {package}", file.display()))
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    let version = lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn a_version_is_found_by_the_whole_name() {
        let lock = "[[package]]\nname = \"wasm-bindgen-test\"\nversion = \"0.3.80\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "wasm"), None);
    }
}
