//! Installing what the checks need, each part only where it is missing.

mod apt;
mod debian;
pub mod peers;
pub mod programs;
pub mod tools;
pub mod wasm;

use anyhow::{Result, bail};

use crate::machine::Machine;
use crate::run;

/// `cargo xtask setup`.
pub fn command(args: &[String]) -> Result<()> {
    if let Some(arg) = args.first() {
        bail!("setup takes no argument, not '{arg}'");
    }
    everything(&Machine::default())
}

/// Sets up every part, going on after one that fails.
pub fn everything(machine: &Machine) -> Result<()> {
    let parts = [
        ("wasm toolchain", machine.wasm().map(drop)),
        ("wasm-bindgen tools", machine.wasm_tools().map(drop)),
        ("programs", machine.programs()),
        ("browser", machine.browser()),
    ];
    let mut missing = Vec::new();
    for (name, result) in parts {
        match result {
            Ok(()) => run::say(&format!("{name}: there")),
            Err(error) => missing.push(format!("{name}: {error:#}")),
        }
    }
    if !missing.is_empty() {
        bail!("not everything could be set up:\n{}", missing.join("\n"));
    }
    Ok(())
}
