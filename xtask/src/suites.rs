//! `cargo xtask suites`: the test suites of well-known crates with kmem as the allocator of all their tests.
//!
//! ```text
//! published sources ─► their tests as they are ─► with the process heap, and a test that it is ─► table
//! ```
//!
//! Everything is in `target/suites`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::checks::Tally;
use crate::run::{self, say};
use crate::web;

/// A crate that is published with its tests.
#[derive(Debug, PartialEq)]
struct Suite {
    name: &'static str,
    version: &'static str,
    /// What its tests need to be there all.
    features: &'static str,
}

const SUITES: [Suite; 6] = [
    Suite { name: "hashbrown", version: "0.17.2", features: "rayon,serde" },
    Suite { name: "indexmap", version: "2.14.2", features: "rayon,serde,quickcheck" },
    Suite { name: "petgraph", version: "0.8.3", features: "quickcheck" },
    Suite { name: "bytes", version: "1.12.2", features: "serde" },
    Suite { name: "crossbeam-channel", version: "0.5.17", features: "" },
    Suite { name: "rayon", version: "1.12.0", features: "" },
];

/// What a program of tests has more: the allocator, and that it is in use.
const HEAP: &str = "
#[cfg(test)]
mod process_heap {
    #[global_allocator]
    static HEAP: kmem::GlobalHeap = kmem::GlobalHeap::new();

    #[test]
    fn is_the_allocator() {
        assert!(HEAP.stats().bytes > 0);
    }
}
";

/// How many tests passed.
struct Row {
    suite: &'static Suite,
    before: Tally,
    with: Tally,
    /// Programs that were given the allocator.
    programs: u64,
}

impl Row {
    /// Whether with kmem all pass that did before, and one more in each program.
    fn good(&self) -> bool {
        let failed = self.before.failed + self.with.failed;
        failed == 0 && self.programs > 0 && self.with.passed == self.before.passed + self.programs
    }
}

/// `cargo xtask suites`.
pub fn command(args: &[String]) -> Result<ExitCode> {
    let suites = chosen(args)?;
    let place = run::target().join("suites");
    sources(&place)?;
    let rows = suites.into_iter().map(|suite| row(&place, suite)).collect::<Result<Vec<_>>>()?;
    println!("\n{}", table(&rows));
    Ok(if rows.iter().all(Row::good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(args: &[String]) -> Result<Vec<&'static Suite>> {
    let named = |name: &String| {
        let suite = SUITES.iter().find(|suite| suite.name == name);
        suite.with_context(|| format!("no suite '{name}': {}", SUITES.map(|suite| suite.name).join(", ")))
    };
    if args.is_empty() { Ok(SUITES.iter().collect()) } else { args.iter().map(named).collect() }
}

/// Lets cargo bring the sources of the crates, as they are published.
fn sources(place: &Path) -> Result<()> {
    let folder = place.join("sources");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("lib.rs"), "")?;
    let mut manifest = String::from("[package]\nname = \"suites\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n");
    manifest += "[workspace]\n[dependencies]\n";
    for Suite { name, version, .. } in &SUITES {
        writeln!(manifest, "{name} = \"={version}\"").expect("a String takes any text");
    }
    let file = folder.join("Cargo.toml");
    fs::write(&file, manifest)?;
    say("sources of the suites");
    // It also tells how to build from them, which nobody here wants to.
    let mut vendor = run::cargo("vendor --quiet --versioned-dirs --manifest-path");
    run::read(vendor.arg(file).arg(place.join("vendor"))).map(drop)
}

/// Runs the tests of a suite as they are and then with kmem.
fn row(place: &Path, suite: &'static Suite) -> Result<Row> {
    let folder = place.join(suite.name);
    if folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    web::copy(&place.join("vendor").join(format!("{}-{}", suite.name, suite.version)), &folder)?;
    // It is in our folder, but not in our workspace.
    append(&folder.join("Cargo.toml"), "\n[workspace]\n")?;
    let mut before = Tally::default();
    tests(place, suite, &mut before);
    let kmem = format!("\n[dev-dependencies.kmem]\npath = {:?}\nfeatures = [\"std\"]\n", run::root());
    append(&folder.join("Cargo.toml"), &kmem)?;
    let programs = give_heap(&folder)?;
    let mut with = Tally::default();
    tests(place, suite, &mut with);
    Ok(Row { suite, before, with, programs })
}

/// Puts the allocator into the library and into each program of tests; how many there are.
fn give_heap(folder: &Path) -> Result<u64> {
    append(&folder.join("src/lib.rs"), HEAP)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.join("tests"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((fs::read_to_string(&path)?, path));
        }
    }
    let names: Vec<_> = files.iter().filter_map(|(_, path)| path.file_stem()?.to_str()).collect();
    let mut programs = 1;
    for (text, path) in &files {
        match heap(text, &names) {
            Heap::Own => continue,
            Heap::Included => {}
            Heap::None => append(path, HEAP)?,
        }
        programs += 1;
    }
    Ok(programs)
}

/// Which allocator a program of tests has before it is given one.
#[derive(Debug, PartialEq)]
enum Heap {
    /// None but the standard one.
    None,
    /// That of another program, which is a module of it too.
    Included,
    /// One that the tests are about.
    Own,
}

fn heap(text: &str, names: &[&str]) -> Heap {
    let module = |line: &str| {
        let name = line.trim().strip_prefix("mod ").and_then(|line| line.strip_suffix(';'));
        name.is_some_and(|name| names.contains(&name))
    };
    if text.contains("#[global_allocator]") {
        Heap::Own
    } else if text.lines().any(module) {
        Heap::Included
    } else {
        Heap::None
    }
}

/// Runs the tests of a copy, without those in the documentation: they are programs of their own.
fn tests(place: &Path, suite: &Suite, tally: &mut Tally) {
    let mut cargo = run::cargo("test --lib --tests --no-fail-fast");
    cargo.args(["--features", suite.features]).current_dir(place.join(suite.name));
    cargo.env("CARGO_TARGET_DIR", place.join("build"));
    tally.tests(&mut cargo);
}

/// Puts something at the end of a file: nothing but attributes and comments has to be in front.
fn append(file: &Path, more: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    if text.ends_with(more) {
        bail!("{} has been changed already", file.display());
    }
    fs::write(file, text + more).with_context(|| format!("cannot write {}", file.display()))
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from("| suite | passed | with kmem | that it is kmem | |\n|---|--:|--:|--:|---|\n");
    for row in rows {
        let Row { suite: Suite { name, version, .. }, before, with, programs } = row;
        let verdict = if row.good() { "ok" } else { "FAILED" };
        let theirs = with.passed.saturating_sub(*programs);
        writeln!(table, "| {name} {version} | {} | {theirs} | {programs} | {verdict} |", before.passed)
            .expect("a String takes any text");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), SUITES.len());
        assert_eq!(chosen(&["bytes".to_owned()]).unwrap(), [&SUITES[3]]);
        assert!(chosen(&["--all".to_owned()]).is_err());
    }

    #[test]
    fn a_program_is_given_one_allocator() {
        let names = ["cliques", "graph"];
        assert_eq!(heap("mod util;\nfn cliques() {}\n", &names), Heap::None);
        assert_eq!(heap("mod util;\nmod cliques;\n", &names), Heap::Included);
        assert_eq!(heap("#[global_allocator]\nstatic A: Odd = Odd;\n", &names), Heap::Own);
    }

    #[test]
    fn a_suite_is_good_if_all_pass_again_and_the_heap_was_kmem() {
        let row = |before, with, failed, programs| Row {
            suite: &SUITES[0],
            before: Tally { passed: before, ..Tally::default() },
            with: Tally { passed: with, failed, ..Tally::default() },
            programs,
        };
        assert!(row(10, 13, 0, 3).good());
        for bad in [row(10, 12, 0, 3), row(10, 13, 1, 3), row(10, 10, 0, 0)] {
            assert!(!bad.good());
        }
        assert_eq!(table(&[row(10, 13, 0, 3)]).lines().last().unwrap(), "| hashbrown 0.17.2 | 10 | 10 | 3 | ok |");
    }
}
