//! That kmem is sound in type on targets that this machine cannot run, and refused in words where it
//! has no backend.

use std::process::Command;

use anyhow::Result;

use super::{Tally, ensure};
use crate::machine::Machine;
use crate::run;
use crate::setup::wasm::Toolchain;

/// Another processor, another system, another word.
const PROMISED: [&str; 3] = ["aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "i686-unknown-linux-gnu"];
/// A target without a page backend.
const UNPROMISED: &str = "x86_64-pc-windows-gnu";

/// Type checks for the promised targets, and the refusal of another.
pub fn targets(machine: &Machine, tally: &mut Tally) -> Result<()> {
    if *machine.wasm()? == Toolchain::Current {
        run::run(run::command("rustup").args(["target", "add", UNPROMISED]).args(PROMISED))?;
    }
    let mut checks = PROMISED.iter().map(|target| check(machine, target, "")).collect::<Result<Vec<_>>>()?;
    checks.push(check(machine, UNPROMISED, "--no-default-features --features shred")?);
    tally.run_at_once(checks);
    let mut refused = check(machine, UNPROMISED, "")?;
    println!("{} (is to fail)", run::shown(&refused));
    let output = run::output(&mut refused)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let in_words = complaint.contains("kmem has no page backend for this target");
    tally.check(ensure(!output.status.success() && in_words, || format!("no refusal in words: {complaint}")));
    Ok(())
}

/// Where rustup gives no library for a target, core is checked from its source with the rest.
fn check(machine: &Machine, target: &str, features: &str) -> Result<Command> {
    let mut cargo = machine.wasm_cargo(&format!("check -p kmem --lib --target {target} {features}"))?;
    if *machine.wasm()? == Toolchain::Linked {
        cargo.arg("-Zbuild-std=core").env("RUSTC_BOOTSTRAP", "1");
    }
    // Nothing of it runs.
    cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "false");
    // Each target has a folder of its own, so that none waits for another.
    cargo.env("CARGO_TARGET_DIR", run::target().join("targets").join(target));
    Ok(cargo)
}
