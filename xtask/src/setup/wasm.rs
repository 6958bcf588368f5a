//! The toolchain that builds for `wasm32-unknown-unknown` and, to prove that a crate needs no std,
//! for `wasm32v1-none`.
//!
//! On an ordinary machine it is the current toolchain with both targets, added by rustup if need be.
//! Where that cannot be, or is not wanted, it is one put together from Debian's packages: see `debian`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{apt, debian};
use crate::run;

/// Has std.
pub const STD_TARGET: &str = "wasm32-unknown-unknown";
/// Has only core and alloc.
pub const CORE_TARGET: &str = "wasm32v1-none";

/// Which toolchain it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Toolchain {
    /// The one that runs xtask.
    Current,
    /// The one that rustup knows as `wasm`.
    Linked,
}

impl Toolchain {
    /// The first argument of a cargo or rustc that is to use it.
    pub fn argument(self) -> Option<&'static str> {
        match self {
            Toolchain::Current => None,
            Toolchain::Linked => Some(debian::ARGUMENT),
        }
    }
}

/// Finds or makes the toolchain.
pub fn set_up() -> Result<Toolchain> {
    match std::env::var("KMEM_WASM_TOOLCHAIN").as_deref() {
        Ok("debian") => return debian::set_up().map(|()| Toolchain::Linked),
        Ok("rustup" | "") | Err(_) => {}
        Ok(other) => bail!("KMEM_WASM_TOOLCHAIN is '{other}'; it can be 'rustup' or 'debian'"),
    }
    if has_targets(None) {
        return Ok(Toolchain::Current);
    }
    if debian::is_linked() {
        return Ok(Toolchain::Linked);
    }
    let Err(refused) = by_rustup() else { return Ok(Toolchain::Current) };
    if !apt::present() {
        return Err(refused);
    }
    run::say(&format!("wasm toolchain: {refused:#}; trying Debian's packages"));
    debian::set_up().map(|()| Toolchain::Linked).with_context(|| {
        format!(
            "neither rustup nor Debian's packages gave a toolchain for {STD_TARGET} and {CORE_TARGET} ({refused:#})"
        )
    })
}

fn by_rustup() -> Result<()> {
    let advice = format!("install rustup and run `rustup target add {STD_TARGET} {CORE_TARGET}`");
    if !run::on_path("rustup") {
        bail!("this toolchain cannot build for wasm: {advice}");
    }
    run::say("wasm toolchain: adding the targets by rustup (about 30 MB)");
    run::run(run::command("rustup").args(["target", "add", STD_TARGET, CORE_TARGET])).context(advice.clone())?;
    if !has_targets(None) {
        bail!("rustup added the targets to another toolchain than cargo's: {advice}");
    }
    Ok(())
}

/// Whether a toolchain has the libraries of both targets, whoever installed them.
fn has_targets(toolchain: Option<&str>) -> bool {
    let has = |target: &str, library: &str| {
        let libraries =
            run::read(run::command("rustc").args(toolchain).args(["--print", "target-libdir", "--target", target]));
        libraries.is_ok_and(|dir| in_dir(Path::new(dir.trim()), library).is_ok())
    };
    has(STD_TARGET, "libstd-") && has(CORE_TARGET, "libcore-")
}

/// The entry of a folder whose name starts so.
pub fn in_dir(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    bail!("{} has no {prefix}*", dir.display())
}
