//! Form: formatting, lints on both targets and in every set of features, documentation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Tally, ensure, native};
use crate::machine::Machine;
use crate::run::{self, cargo};

/// Packages with a workspace of their own.
const APART: [&str; 8] = [
    "fuzz/Cargo.toml",
    "xtask/header/Cargo.toml",
    "xtask/wasm-tools/Cargo.toml",
    "xtask/freestanding/Cargo.toml",
    "xtask/loom/Cargo.toml",
    "xtask/threads/Cargo.toml",
    "benches/programs/Cargo.toml",
    "benches/wasm-size/Cargo.toml",
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

/// `cargo clippy` for wasm: the code that is there for it alone. The tests are linted natively.
pub fn clippy_wasm(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let target = "--target wasm32-unknown-unknown";
    tally.run(strict(&mut machine.wasm_cargo(&format!("clippy -p kmem-js -p kmem-platform {target}"))?));
    Ok(())
}

/// `cargo clippy` for every set of kmem's features. The two targets, which have a folder each, take turns.
pub fn powerset(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let mut cells = Vec::new();
    let manifest = fs::read_to_string(run::root().join("Cargo.toml"))?;
    for set in subsets(&features(&manifest)).into_iter().filter(|set| is_whole(set, &manifest)) {
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

/// Whether a set has all that its features bring with them: without, it is compiled as the one that has.
fn is_whole(set: &[&str], manifest: &str) -> bool {
    let brings = |name: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = ["))?;
        Some(line.trim_end_matches(']').split(", ").map(|other| other.trim_matches('"').to_owned()).collect())
    };
    let known = features(manifest);
    set.iter()
        .flat_map(|name| brings(name).unwrap_or_else(Vec::new))
        .all(|other: String| !known.contains(&other.as_str()) || set.contains(&other.as_str()))
}

fn subsets<'n>(names: &[&'n str]) -> Vec<Vec<&'n str>> {
    names.iter().fold(vec![vec![]], |sets, name| {
        let with = sets.iter().map(|set| [set.as_slice(), &[*name]].concat()).collect();
        [sets, with].concat()
    })
}

/// `cargo doc`, and that what kmem's public functions are for is shown in an example.
pub fn doc(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.run(cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "-Dwarnings"));
    let (mut functions, mut bare) = (0, Vec::new());
    for file in sources(&run::root().join("src"))? {
        for (line, shown) in examples(&fs::read_to_string(&file)?) {
            functions += 1;
            if !shown {
                bare.push(format!("{}:{line}", file.display()));
            }
        }
    }
    println!("{} of kmem's {functions} public functions have an example", functions - bare.len());
    tally.check(ensure(functions > 0 && bare.is_empty(), || format!("no example at {}", bare.join(", "))));
    Ok(())
}

/// All of a folder's files of Rust.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The lines of a file's public functions, and whether what is said before each has an example.
fn examples(source: &str) -> Vec<(usize, bool)> {
    let mut found = Vec::new();
    let (mut shown, mut hidden) = (false, false);
    for (number, line) in source.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("///") {
            shown |= line.contains("```");
        } else if line.starts_with("#[") {
            hidden |= line.contains("doc(hidden)");
        } else {
            let public = line.strip_prefix("pub ").is_some_and(|rest| {
                let rest = rest.strip_prefix("const ").unwrap_or(rest);
                rest.strip_prefix("unsafe ").unwrap_or(rest).starts_with("fn ")
            });
            if public && !hidden {
                found.push((number + 1, shown));
            }
            (shown, hidden) = (false, false);
        }
    }
    found
}

fn strict(clippy: &mut Command) -> &mut Command {
    clippy.args(["--", "-D", "warnings"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_looked_for_before_public_functions() {
        let source = "/// ```\n#[must_use]\npub const fn a() {}\n/// x\n  pub unsafe fn b() {}\n\
                      #[doc(hidden)]\npub fn c() {}\npub(crate) fn d() {}\n/// ```\nfn e() {}\n";
        assert_eq!(examples(source), [(3, true), (5, false)]);
    }

    #[test]
    fn features_are_read_and_put_together_in_every_way() {
        let manifest =
            "[lib]\nbench = false\n[features]\ndefault = [\"a\"]\n# b = no\na = []\nb = [\"a\"]\n\n[x]\nc = 1\n";
        assert_eq!(features(manifest), ["a", "b"]);
        let sets = subsets(&features(manifest));
        assert_eq!(sets, [vec![], vec!["a"], vec!["b"], vec!["a", "b"]]);
        let whole: Vec<_> = sets.into_iter().filter(|set| is_whole(set, manifest)).collect();
        assert_eq!(whole, [vec![], vec!["a"], vec!["a", "b"]], "b alone is a and b");
    }
}
