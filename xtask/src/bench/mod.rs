//! `cargo xtask bench`: kmem's stores beside their peers.
//!
//! ```text
//! peers ─► build ─► each group: instructions under callgrind, then times ─► tables
//!                   wasm: the same works as a module; wasm-size: bytes ──┘
//! ```
//!
//! Everything is in `target/bench`: a finished group is a file `GROUP.times`, by which `--resume` knows it.

mod wasm;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::capi;
use crate::machine::Machine;
use crate::run::{self, say};
use crate::setup::peers;

/// The groups that run as a module, and the weighing of modules.
const IN_WASM: [&str; 8] =
    ["wasm-lin", "wasm-heap", "wasm-pool", "wasm-ref", "wasm-tree", "wasm-shred", "wasm-sizes", "wasm-size"];

#[derive(Default)]
struct Choice {
    groups: Vec<String>,
    quick: bool,
    resume: bool,
    work: Option<String>,
}

/// `cargo xtask bench`.
pub fn command(args: &[String]) -> Result<()> {
    if args == ["c"] {
        return c();
    }
    let mut choice = Choice::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => choice.quick = true,
            "--resume" => choice.resume = true,
            "--work" => choice.work = args.next().cloned(),
            option if option.starts_with('-') => bail!("bench has no option {option}"),
            group => choice.groups.push(group.to_owned()),
        }
    }
    peers::set_up()?;
    let bench = build()?;
    let names = run::read(run::command(&bench).arg("groups"))?;
    let known: Vec<&str> = names.lines().chain(IN_WASM).collect();
    if let Some(group) = choice.groups.iter().find(|group| !known.contains(&group.as_str())) {
        bail!("no group '{group}': there are {}", known.join(", "));
    }
    // A few works of a group are not the group.
    let folder = run::target().join(if choice.work.is_some() { "bench/some" } else { "bench" });
    fs::create_dir_all(folder.join("callgrind"))?;
    let machine = Machine::default();
    for group in known {
        // A quick look at everything leaves out the modules' times, which take as long again.
        let wanted = match choice.groups.as_slice() {
            [] => !choice.quick || !group.starts_with("wasm-") || group == "wasm-size",
            groups => groups.iter().any(|name| name == group),
        };
        if !wanted {
            continue;
        }
        let kept = ["times", "bytes"].map(|kind| folder.join(format!("{group}.{kind}")));
        if choice.resume && kept.iter().any(|file| file.is_file()) {
            say(&format!("{group}: measured before"));
            continue;
        }
        let plan = if choice.quick { "quick" } else { "full" };
        match group.strip_prefix("wasm-") {
            Some("size") => wasm::sizes(&machine, &folder)?,
            Some(group) => wasm::works(&machine, &folder, plan, group)?,
            None => measure(&bench, &folder, group, plan, choice.work.as_deref())?,
        }
    }
    let table = run::read(run::command(&bench).arg("report").arg(&folder))?;
    println!("\n{table}");
    say(&format!("in {}: results.md, results.json, results.svg", folder.display()));
    Ok(())
}

/// Trees by the C face beside talloc's, in one program of C: in turns, and the median of the ratios.
fn c() -> Result<()> {
    peers::set_up()?;
    let places = capi::Places::flat(run::target().join("c"));
    capi::build(&places)?;
    let program = run::target().join("c/tree-bench");
    let mut cc = run::command("cc");
    cc.args(["-O2", "-std=c11", "-I"]).arg(&places.include).arg(run::root().join("benches/c/tree.c"));
    cc.arg(places.lib.join("libkmem.a")).args(["-ltalloc", "-lpthread", "-ldl", "-lm", "-o"]).arg(&program);
    run::run(&mut cc)?;
    run::run(&mut run::command(program))
}

/// The benchmark, optimized as programs are: without link-time optimization.
fn build() -> Result<PathBuf> {
    say("building kmem and its peers (the first time two minutes)");
    run::run(&mut run::cargo("build --quiet --release --locked -p kmem-bench --features peers"))?;
    Ok(run::target().join("release/kmem-bench"))
}

/// A group's instructions and, when those are known, its times: who finds these has both.
fn measure(bench: &Path, folder: &Path, group: &str, plan: &str, work: Option<&str>) -> Result<()> {
    let dumps = folder.join("callgrind");
    for dump in fs::read_dir(&dumps)? {
        let dump = dump?;
        let group_of = dump.file_name().to_string_lossy().split('.').next().map(str::to_owned);
        if group_of.as_deref() == Some(group) {
            fs::remove_file(dump.path())?;
        }
    }
    let mut valgrind = run::command("valgrind");
    valgrind.args(["-q", "--tool=callgrind", "--collect-atstart=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", dumps.join(group).display()));
    run::run(valgrind.arg(bench).args(["count", group]).args(work))?;
    run::run(run::command(bench).args(["measure", plan]).arg(folder).arg(group).args(work))?;
    if group == "heap" && work.is_none() {
        run::run(run::command(bench).arg("memory").arg(folder))?;
    }
    Ok(())
}
