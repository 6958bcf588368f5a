//! The tests under tools that see more: a sanitizer, an emulator, and a model of threads.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Tally, coverage, ensure};
use crate::machine::Machine;
use crate::run;

/// AddressSanitizer knows nothing of a store's cells unless it is told: with `--cfg kmem_asan` the
/// stores hide from it what is free and what lies behind a payload.
///
/// It needs a switch of the nightly compiler, which every compiler has behind `RUSTC_BOOTSTRAP`; so the
/// collections of the nightly library are tested here too.
pub fn address(_: &Machine, tally: &mut Tally) -> Result<()> {
    let suites = "--lib --test conformance --test regressions --test faults --test inspect --test typed --test misuse \
                  --test kept --test teardown";
    let features = "--features allocator-api2,alloc-api --test collections";
    let mut test =
        run::cargo(&format!("test -p kmem --target x86_64-unknown-linux-gnu --no-fail-fast {suites} {features}"));
    test.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address --cfg kmem_asan");
    // What a store holds when the process ends is no leak, and stores count what they lose.
    test.env("ASAN_OPTIONS", "detect_leaks=0").env("CARGO_TARGET_DIR", run::target().join("asan"));
    tally.tests(&mut test);
    Ok(())
}

/// Memcheck, which runs any program, and which the stores tell of their cells too.
///
/// It is to report nothing, what a caller does wrong (`tests/misuse.rs` starts it by itself), and the bug.
pub fn valgrind(machine: &Machine, tally: &mut Tally) -> Result<()> {
    const BUG: &str = "node_is_read_when_it_has_gone";
    machine.programs()?;
    let features = "--features allocator-api2,allocator-api2-04";
    let suites = format!("-p kmem --test conformance --test regressions --test inspect --test misuse {features}");
    let programs = coverage::build(&suites)?;
    let program = |name: &str| {
        let is_it = |path: &&PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
        programs.iter().find(is_it).with_context(|| format!("no program {name}"))
    };
    let watched = |name: &str, tests: &[&str]| -> Result<Command> {
        let mut valgrind = run::command("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=9"]).arg(program(name)?).arg("--test-threads=1").args(tests);
        valgrind.env("LLVM_PROFILE_FILE", "/dev/null");
        Ok(valgrind)
    };
    // Each store over one source, and what is said of one store alone.
    let directly = ["::over_pages", "actions", "marks", "pointers", "refs", "trees"];
    let mut misuse = run::command(program("misuse")?);
    misuse.env("LLVM_PROFILE_FILE", "/dev/null");
    tally.tests_at_once(vec![
        watched("conformance", &directly)?,
        watched("regressions", &[])?,
        watched("inspect", &[])?,
        misuse,
    ]);
    let mut bugged = watched("conformance", &["--exact", "matrix::tree::over_heap_over_pages"])?;
    let output = run::output(bugged.env("KMEM_BUG", BUG))?;
    let seen = !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("Invalid read");
    println!("with {BUG}: {}", if seen { "an invalid read is reported" } else { "nothing is reported" });
    tally.check(ensure(seen, || format!("{BUG} is not caught")));
    Ok(())
}

/// The atomic count under loom, in a program of its own.
pub fn loom(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.tests(&mut loom_tests());
    Ok(())
}

/// Its tests, with the bugs of the step `seeded` in them, asleep.
pub fn loom_tests() -> Command {
    let mut test = run::cargo("test --manifest-path xtask/loom/Cargo.toml");
    test.env("CARGO_TARGET_DIR", run::target().join("loom")).env("RUSTFLAGS", "--cfg kmem_seeded");
    test
}
