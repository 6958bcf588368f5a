//! `cargo xtask demo`: the demo on a JSON file of the user's, or on one that every checkout has, and then the page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::machine::Machine;
use crate::run::{self, say};
use crate::web::{self, Site};

/// What is to come after the figures.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    /// The page, until it is stopped.
    Serve,
    /// The page, until headless Chromium has seen it.
    Check,
    /// Nothing.
    End,
}

/// Runs the demo, then serves the page with the same document.
pub fn command(machine: &Machine, args: &[String]) -> Result<()> {
    let (file, after) = arguments(args)?;
    let file = match file {
        // A file is named as seen from where the user stands.
        Some(file) => std::path::absolute(file)?,
        None => {
            let file = largest_json(run::root())?.context("the checkout has no JSON file: name one")?;
            let shown = file.strip_prefix(run::root())?.display();
            say(&format!("no file is named: taking the largest JSON of the checkout, {shown}"));
            file
        }
    };
    run::run(program().arg(&file))?;
    if after == After::End {
        return Ok(());
    }
    say("the page: building it (two minutes the first time; --no-serve ends here)");
    let site = Site::open(machine, &file)?;
    if after == After::Check {
        machine.browser()?;
        return run::run(web::node(&web::visualizer())?.arg("e2e/check.mjs").arg(&site.address));
    }
    say(&format!("the document as a tree, from the allocator's own memory:\n\n  {}\n", site.address));
    say("Ctrl-C ends");
    site.serve()
}

fn arguments(args: &[String]) -> Result<(Option<&String>, After)> {
    let (mut file, mut after) = (None, After::Serve);
    for arg in args {
        match arg.as_str() {
            "--no-serve" => after = After::End,
            "--check" => after = After::Check,
            flag if flag.starts_with('-') => bail!("demo takes a file, --no-serve and --check, not '{flag}'"),
            _ if file.is_some() => bail!("one file at a time"),
            _ => file = Some(arg),
        }
    }
    Ok((file, after))
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
    fn arguments_are_read() {
        let read = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            arguments(&args).map(|(file, after)| (file.cloned(), after)).map_err(|error| error.to_string())
        };
        assert_eq!(read(&[]), Ok((None, After::Serve)));
        assert_eq!(read(&["a.json", "--check"]), Ok((Some("a.json".to_owned()), After::Check)));
        assert_eq!(read(&["--no-serve"]), Ok((None, After::End)));
        assert!(read(&["a", "b"]).is_err() && read(&["--sing"]).is_err());
    }

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
