//! What threads may share, tried by threads: natively under ThreadSanitizer, and by workers with one
//! WebAssembly memory. `xtask/threads` is the program.

use std::path::PathBuf;

use anyhow::Result;

use super::{Tally, ensure};
use crate::machine::Machine;
use crate::run;
use crate::setup::wasm::Toolchain;

const PROGRAM: &str = "--manifest-path xtask/threads/Cargo.toml --target";
const NATIVE: &str = "x86_64-unknown-linux-gnu";
const WASM: &str = "wasm32-unknown-unknown";
/// A bug of `src/seeded.rs` that only a race shows.
const BUG: &str = "last_owner_does_not_look";
/// Pages of the shared memory, at first and at most.
const PAGES: (u32, u32) = (32, 1024);

/// Both.
pub fn threads(machine: &Machine, tally: &mut Tally) -> Result<()> {
    sanitized(tally)?;
    shared_memory(machine, tally)
}

/// The sanitizer needs a switch of the nightly compiler, which every compiler has behind `RUSTC_BOOTSTRAP`.
/// It is to report nothing, and the bug.
fn sanitized(tally: &mut Tally) -> Result<()> {
    let mut build = run::cargo(&format!("build {PROGRAM} {NATIVE}"));
    // The library that comes with the compiler is not instrumented, and the program does without its locks.
    let sanitizer = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg kmem_tsan --cfg kmem_seeded";
    run::run(build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", sanitizer).env("CARGO_TARGET_DIR", target()))?;
    let program = || {
        let mut program = run::command(target().join(NATIVE).join("debug/kmem-threads"));
        program.env("TSAN_OPTIONS", "halt_on_error=1");
        program
    };
    tally.tests(&mut program());
    let output = run::output(program().env("KMEM_BUG", BUG))?;
    let seen = !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("data race");
    println!("with {BUG}: {}", if seen { "a data race is reported" } else { "nothing is reported" });
    tally.check(ensure(seen, || format!("{BUG} is not caught")));
    Ok(())
}

/// Libraries as they come are for one thread, so core is built from its source for several.
fn shared_memory(machine: &Machine, tally: &mut Tally) -> Result<()> {
    if *machine.wasm()? == Toolchain::Current {
        run::run(run::command("rustup").args(["component", "add", "rust-src"]))?;
    }
    let (first, most) = PAGES;
    let linked = "-Clink-arg=--shared-memory -Clink-arg=--import-memory -Clink-arg=--export=__stack_pointer";
    let memory = format!("-Clink-arg=--initial-memory={} -Clink-arg=--max-memory={}", first << 16, most << 16);
    let flags = format!("-Ctarget-feature=+atomics,+bulk-memory,+mutable-globals {linked} {memory}");
    let mut build =
        machine.wasm_cargo(&format!("rustc {PROGRAM} {WASM} --lib --crate-type cdylib -Zbuild-std=core"))?;
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags);
    // Most of what is built is core, of which little runs.
    build.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "false");
    run::run(build.env("CARGO_TARGET_DIR", target()))?;
    // A worker that waits for one that never comes waits for ever.
    let mut play = run::command("timeout");
    play.args(["120", "node", "xtask/threads/workers.mjs"]);
    play.arg(target().join(WASM).join("debug/kmem_threads.wasm")).args([first.to_string(), most.to_string()]);
    tally.tests(&mut play);
    Ok(())
}

fn target() -> PathBuf {
    run::target().join("threads")
}
