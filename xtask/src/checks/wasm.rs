//! The tests in WebAssembly, run by Node.

use std::process::Command;

use anyhow::Result;

use super::Tally;
use crate::machine::Machine;

/// 64 MiB.
const CAP: u32 = 64 << 20;

/// The tests, with as much memory as Node gives.
pub fn open(machine: &Machine, tally: &mut Tally) -> Result<()> {
    tally.tests(&mut test(machine, "-p kmem -p kmem-platform --lib --tests")?);
    Ok(())
}

/// kmem's tests in a module whose memory may not grow beyond a cap, which the tests learn by
/// `option_env!("KMEM_CAPPED")`.
pub fn capped(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let mut test = test(machine, "-p kmem --tests")?;
    // Other flags make other files: the open build stays beside it in the same target folder.
    test.env("RUSTFLAGS", format!("-Clink-arg=--max-memory={CAP}")).env("KMEM_CAPPED", "1");
    tally.tests(&mut test);
    Ok(())
}

fn test(machine: &Machine, packages: &str) -> Result<Command> {
    let runner = machine.wasm_tools()?.join("wasm-bindgen-test-runner");
    let args = format!("test {packages} --target wasm32-unknown-unknown --no-fail-fast");
    let mut cargo = machine.wasm_cargo(&args)?;
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner);
    Ok(cargo)
}
