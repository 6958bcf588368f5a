//! `cargo xtask demo`: the demo on a JSON file of the user's, or on one that every checkout has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{self, say};

/// Runs the demo. What starts with `-` goes to it as it is.
pub fn command(args: &[String]) -> Result<()> {
    let mut demo = program();
    demo.args(args);
    if args.iter().all(|arg| arg.starts_with('-')) {
        let file = largest_json(run::root())?.context("the checkout has no JSON file: name one")?;
        let file = file.strip_prefix(run::root())?;
        say(&format!("no file is named: taking the largest JSON of the checkout, {}", file.display()));
        demo.arg(file);
    } else {
        // A file is named as seen from where the user stands.
        demo.current_dir(std::env::current_dir()?);
    }
    run::run(&mut demo)
}

/// The demo, which cargo builds first if need be.
pub fn program() -> Command {
    let mut cargo = run::cargo("run --quiet --release -p kmem-demo --manifest-path");
    cargo.arg(run::root().join("Cargo.toml")).arg("--");
    cargo
}

/// The largest `*.json` outside what tools have written; of equals, the first by name.
fn largest_json(dir: &Path) -> Result<Option<PathBuf>> {
    let mut largest: Option<(u64, PathBuf)> = None;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let mut entries = fs::read_dir(&dir)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type()?;
            if kind.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                dirs.push(entry.path());
            } else if kind.is_file() && name.ends_with(".json") {
                let size = entry.metadata()?.len();
                if largest.as_ref().is_none_or(|(most, _)| size > *most) {
                    largest = Some((size, entry.path()));
                }
            }
        }
    }
    Ok(largest.map(|(_, path)| path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_json_is_found() {
        let dir = std::env::temp_dir().join(format!("kmem-largest-{}", std::process::id()));
        for (file, size) in
            [("a.json", 10), ("b/c.json", 20), ("target/d.json", 30), ("e.txt", 40), ("b/.f/g.json", 50)]
        {
            let file = dir.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, vec![b' '; size]).unwrap();
        }
        assert_eq!(largest_json(&dir).unwrap(), Some(dir.join("b/c.json")));
        fs::remove_dir_all(dir).unwrap();
    }
}
