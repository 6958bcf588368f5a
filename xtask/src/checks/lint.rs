//! Form: formatting, lints on both targets and in every set of features, documentation.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::{Tally, native};
use crate::machine::Machine;
use crate::run::{self, cargo};

/// Packages with a workspace of their own.
const APART: [&str; 4] = [
    "xtask/wasm-tools/Cargo.toml",
    "xtask/freestanding/Cargo.toml",
    "xtask/loom/Cargo.toml",
    "xtask/threads/Cargo.toml",
];

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
    tally.run(strict(&mut native::by_libc("clippy -p kmem -p kmem-platform --all-targets")));
    Ok(())
}

/// `cargo clippy` for wasm.
pub fn clippy_wasm(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let target = "--target wasm32-unknown-unknown";
    tally.run(strict(&mut machine.wasm_cargo(&format!("clippy -p kmem -p kmem-platform --all-targets {target}"))?));
    Ok(())
}

/// `cargo clippy` for every set of kmem's features. The two targets, which have a folder each, take turns.
pub fn powerset(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let mut cells = Vec::new();
    for set in subsets(&features(&fs::read_to_string(run::root().join("Cargo.toml"))?)) {
        let lint = "clippy --quiet -p kmem --no-default-features";
        for mut cell in [cargo(lint), machine.wasm_cargo(&format!("{lint} --target wasm32-unknown-unknown"))?] {
            if set.contains(&"alloc-api") {
                // It is for nightly compilers, whose switch every compiler has.
                cell.env("RUSTC_BOOTSTRAP", "1");
            }
            strict(cell.args(["--features", &set.join(",")]));
            cells.push(cell);
        }
    }
    tally.run_at_once(cells);
    Ok(())
}

/// The features that a manifest names.
fn features(manifest: &str) -> Vec<&str> {
    let section = manifest.lines().skip_while(|line| *line != "[features]").skip(1);
    let section = section.take_while(|line| !line.starts_with('['));
    let names = section.filter_map(|line| Some(line.split_once(" = ")?.0));
    names.filter(|name| *name != "default" && !name.starts_with('#')).collect()
}

fn subsets<'n>(names: &[&'n str]) -> Vec<Vec<&'n str>> {
    names.iter().fold(vec![vec![]], |sets, name| {
        let with = sets.iter().map(|set| [set.as_slice(), &[*name]].concat()).collect();
        [sets, with].concat()
    })
}

/// `cargo doc`.
pub fn doc(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.run(cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "-Dwarnings"));
    Ok(())
}

fn strict(clippy: &mut Command) -> &mut Command {
    clippy.args(["--", "-D", "warnings"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_and_put_together_in_every_way() {
        let manifest =
            "[lib]\nbench = false\n[features]\ndefault = [\"a\"]\n# b = no\na = []\nb = [\"a\"]\n\n[x]\nc = 1\n";
        assert_eq!(features(manifest), ["a", "b"]);
        assert_eq!(subsets(&features(manifest)), [vec![], vec!["a"], vec!["b"], vec!["a", "b"]]);
    }
}
