//! The tests on this machine, and that kmem needs no std.

use std::process::Command;

use anyhow::Result;

use super::Tally;
use crate::machine::Machine;
use crate::run::{self, cargo, target};

/// The suites that compile and run quickly.
pub const QUICK: &str = "--test regressions --test shred --test inspect";

/// All tests of all packages, with debug assertions.
pub fn debug(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.tests(&mut cargo("test --workspace --no-fail-fast --features kmem/allocator-api2,kmem/allocator-api2-04"));
    Ok(())
}

/// What the optimizer could spoil: that bytes are wiped, and that nothing is lost when calls fail.
pub fn release(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.tests(&mut cargo(&format!("test -p kmem --release --no-fail-fast --lib {QUICK} --test faults")));
    Ok(())
}

/// kmem's tests with features off; a test that needs one is not there then. The examples in the
/// documentation are for a reader who has the default features.
pub fn features(_: &Machine, tally: &mut Tally) -> Result<()> {
    // Each thread with a part of the process heap of its own, and where more is asked of what comes back.
    let global = "--test global --test stress --test fork --test stale --test exhausted --test flat";
    for cell in ["--features std", "--features std,hardened --test hardened"] {
        tally.tests(&mut cargo(&format!("test -p kmem --no-fail-fast {global} {cell}")));
    }
    for cell in ["--test conformance --test faults", "--features platform", "--features shred"] {
        tally.tests(&mut cargo(&format!("test -p kmem --no-fail-fast --lib {QUICK} --no-default-features {cell}")));
    }
    Ok(())
}

/// The tests over libc's `mmap` in place of our own system calls.
pub fn libc(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.tests(&mut by_libc("test -p kmem-platform --no-fail-fast"));
    tally.tests(&mut by_libc(&format!("test -p kmem --no-fail-fast --lib --test conformance --test faults {QUICK}")));
    Ok(())
}

/// A build for a target that has no std, the same for this machine, and one by the oldest compiler.
pub fn no_std(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let bare = "build -p kmem --no-default-features";
    tally.run(&mut cargo(bare));
    for features in ["", "--features shred"] {
        tally.run(&mut machine.wasm_cargo(&format!("{bare} --target wasm32v1-none {features}"))?);
    }
    tally.run(&mut oldest("build -p kmem")?);
    Ok(())
}

/// Cargo of the oldest compiler that is promised to do, Cargo.toml's `rust-version`.
fn oldest(args: &str) -> Result<Command> {
    let version = env!("CARGO_PKG_RUST_VERSION");
    let current = run::read(run::command("rustc").arg("--version"))?;
    let mut oldest = cargo("");
    if !current.starts_with(&format!("rustc {version}.")) {
        run::run(run::command("rustup").args(["toolchain", "install", "--profile", "minimal", version]))?;
        oldest.arg(format!("+{version}"));
    }
    oldest.args(args.split(' ')).env("CARGO_TARGET_DIR", target().join("oldest"));
    Ok(oldest)
}

/// Cargo with the libc backend, in a target folder of its own.
pub fn by_libc(args: &str) -> Command {
    let mut cargo = cargo(args);
    cargo.env("RUSTFLAGS", "--cfg kmem_backend=\"libc\"").env("RUSTDOCFLAGS", "--cfg kmem_backend=\"libc\"");
    cargo.env("CARGO_TARGET_DIR", target().join("libc"));
    cargo
}
