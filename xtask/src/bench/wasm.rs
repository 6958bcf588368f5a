//! The benchmark in WebAssembly: the same works as a module in Node, and how large a module with one store is.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::machine::Machine;
use crate::run::{self, say};
use crate::web;

const TARGET: &str = "wasm32-unknown-unknown";
/// What wasm-opt is to leave out: nobody reads it, and everybody has it.
const STRIPPED: [&str; 3] = ["--strip-debug", "--strip-producers", "--strip-target-features"];
/// The modules that are weighed: features of `benches/wasm-size`. kmem's stores come first.
const WEIGHED: [&str; 9] = [
    "kmem-lin",
    "kmem-pool",
    "kmem-heap",
    "kmem-global",
    "lol_alloc-leaking",
    "lol_alloc-free-list",
    "talc",
    "rlsf",
    "dlmalloc",
];

/// Runs the works of a group as a module, and keeps the times in the folder.
pub fn works(machine: &Machine, folder: &Path, plan: &str, group: &str) -> Result<()> {
    // Cargo makes a module of the library only if it is told to.
    let build =
        format!("rustc --quiet --release --lib --crate-type cdylib -p kmem-bench --features peers --target {TARGET}");
    run::run(&mut machine.wasm_cargo(&build)?)?;
    let built = run::target().join(format!("wasm/{TARGET}/release/kmem_bench.wasm"));
    let module = folder.join("bench.wasm");
    optimize(&built, &module, "-O3")?;
    let script = run::root().join("benches/wasm.mjs");
    run::run(web::node(run::root())?.arg(script).arg(module).arg(folder).args([plan, group]))
}

/// Builds a module for each contender, sees that it works, and notes how many bytes it has.
pub fn sizes(machine: &Machine, folder: &Path) -> Result<()> {
    let target = run::target().join("wasm-size");
    let mut lines = Vec::new();
    for contender in WEIGHED {
        let build =
            format!("build --quiet --release --locked --target {TARGET} --features {contender} --manifest-path");
        let mut build = machine.wasm_cargo(&build)?;
        build.arg(run::root().join("benches/wasm-size/Cargo.toml"));
        run::quiet(build.env("CARGO_TARGET_DIR", &target))?;
        let module = folder.join(format!("{contender}.wasm"));
        optimize(&target.join(TARGET).join("release/kmem_wasm_size.wasm"), &module, "-Oz")?;
        run::run(web::node(run::root())?.arg(run::root().join("benches/wasm-size.mjs")).arg(&module))?;
        let bytes = fs::metadata(&module)?.len();
        say(&format!("wasm-size: {contender}: {bytes} bytes"));
        lines.push(format!("{contender}|{bytes}\n"));
    }
    fs::write(folder.join("wasm-size.bytes"), lines.concat()).context("cannot keep the sizes")
}

/// Passes a module through wasm-opt, unless it has been.
fn optimize(from: &Path, to: &Path, level: &str) -> Result<()> {
    let made = |file: &Path| fs::metadata(file).and_then(|file| file.modified());
    if to.is_file() && made(to)? > made(from)? {
        return Ok(());
    }
    web::packages()?;
    run::quiet(web::tool(run::root(), "wasm-opt")?.arg(level).args(STRIPPED).arg(from).arg("-o").arg(to))
}
