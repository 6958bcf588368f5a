//! Form: formatting, lints in every cell of target and features, documentation.

use std::process::Command;

use anyhow::Result;

use super::{Tally, native};
use crate::machine::Machine;
use crate::run::cargo;

/// Packages with a workspace of their own.
const APART: [&str; 4] = [
    "xtask/wasm-tools/Cargo.toml",
    "xtask/freestanding/Cargo.toml",
    "xtask/loom/Cargo.toml",
    "xtask/threads/Cargo.toml",
];
/// The features that kmem must build with, alone and together.
const CELLS: [&str; 3] =
    ["--no-default-features", "--no-default-features --features platform", "--no-default-features --features shred"];

/// `cargo fmt`.
pub fn fmt(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.run(&mut cargo("fmt --all --check"));
    for manifest in APART {
        tally.run(cargo("fmt --check --manifest-path").arg(manifest));
    }
    Ok(())
}

/// `cargo clippy`, natively.
pub fn clippy(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.run(strict(&mut cargo("clippy --workspace --all-targets")));
    for features in CELLS {
        tally.run(strict(cargo("clippy -p kmem").args(features.split(' '))));
    }
    tally.run(strict(&mut native::by_libc("clippy -p kmem -p kmem-platform --all-targets")));
    Ok(())
}

/// `cargo clippy` for wasm.
pub fn clippy_wasm(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let target = "--target wasm32-unknown-unknown";
    tally.run(strict(&mut machine.wasm_cargo(&format!("clippy -p kmem -p kmem-platform --all-targets {target}"))?));
    for features in CELLS {
        tally.run(strict(&mut machine.wasm_cargo(&format!("clippy -p kmem {target} {features}"))?));
    }
    Ok(())
}

/// `cargo doc`.
pub fn doc(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.run(cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "-Dwarnings"));
    Ok(())
}

fn strict(clippy: &mut Command) -> &mut Command {
    clippy.args(["--", "-D", "warnings"])
}
