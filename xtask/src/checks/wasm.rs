//! The tests in WebAssembly, run by Node.

use std::process::Command;

use anyhow::Result;

use super::Tally;
use super::native::QUICK;
use crate::machine::Machine;

/// 64 MiB.
const CAP: u32 = 64 << 20;

/// The tests, with as much memory as Node gives.
pub fn open(machine: &Machine, tally: &mut Tally) -> Result<()> {
    tally.tests(&mut test(machine, "wasm-bindgen-test-runner", "-p kmem -p kmem-platform --tests")?);
    Ok(())
}

/// kmem's tests, the same files, in a memory that may not grow beyond a cap. All tests of a file share it,
/// and the random models over a region, which gives nothing back, need more at once.
pub fn capped(machine: &Machine, tally: &mut Tally) -> Result<()> {
    tally.tests(
        test(machine, "capped-test-runner", &format!("-p kmem {QUICK} --test conformance --test depth"))?
            .env("KMEM_CAP", CAP.to_string()),
    );
    Ok(())
}

fn test(machine: &Machine, runner: &str, packages: &str) -> Result<Command> {
    let runner = machine.wasm_tools()?.join(runner);
    let args = format!("test {packages} --lib --target wasm32-unknown-unknown --no-fail-fast");
    let mut cargo = machine.wasm_cargo(&args)?;
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner);
    Ok(cargo)
}
