//! The tests under tools that see more: a sanitizer, and a model of threads.

use std::process::Command;

use anyhow::Result;

use super::Tally;
use crate::machine::Machine;
use crate::run;

/// AddressSanitizer knows nothing of a store's cells unless it is told: with `--cfg kmem_asan` the
/// stores hide from it what is free and what lies behind a payload.
///
/// It needs a switch of the nightly compiler, which every compiler has behind `RUSTC_BOOTSTRAP`; so the
/// collections of the nightly library are tested here too.
pub fn address(_: &Machine, tally: &mut Tally) -> Result<()> {
    let suites = "--lib --test conformance --test regressions --test faults --test inspect --test typed --test misuse";
    let features = "--features allocator-api2,alloc-api --test collections";
    let mut test =
        run::cargo(&format!("test -p kmem --target x86_64-unknown-linux-gnu --no-fail-fast {suites} {features}"));
    test.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address --cfg kmem_asan");
    // What a store holds when the process ends is no leak, and stores count what they lose.
    test.env("ASAN_OPTIONS", "detect_leaks=0").env("CARGO_TARGET_DIR", run::target().join("asan"));
    tally.tests(&mut test);
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
