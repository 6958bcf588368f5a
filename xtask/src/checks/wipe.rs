//! The machine code of a wipe: what is overwritten and goes next is still overwritten, on both targets.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Tally, ensure};
use crate::machine::Machine;
use crate::run;

/// Where a target's assembly is, and in each way that it can overwrite 64 bytes the instructions that do.
struct Target {
    name: &'static str,
    folder: &'static str,
    ways: &'static [Way],
}

/// An instruction of the assembly, and how many there are to be.
type Way = &'static [(&'static str, usize)];

/// On any processor by the compiler; on most by a loop of wide stores and one over the end.
const NATIVE: Target = Target {
    name: "x86-64",
    folder: "release/deps",
    ways: &[
        &[("movaps\t%xmm", 4)],
        &[("vpxor\t%xmm0, %xmm0, %xmm0", 1), ("vmovdqu\t%ymm0, (", 2), ("addq\t$32, ", 1), ("cmpq\t%", 1), ("jb\t", 1)],
    ],
};
const WASM: Target =
    Target { name: "wasm32", folder: "wasm32-unknown-unknown/release/deps", ways: &[&[("i64.store", 8)]] };

/// Looks at the probe's assembly: kmem's wipe is all there, and an ordinary write is left out, which
/// shows that the optimiser would have left out the other too.
pub fn wipe(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let rustc = "rustc --lib --release --manifest-path xtask/freestanding/Cargo.toml";
    look(&NATIVE, &mut run::cargo(rustc), tally)?;
    look(&WASM, &mut machine.wasm_cargo(&format!("{rustc} --target wasm32-unknown-unknown"))?, tally)
}

fn look(target: &Target, rustc: &mut Command, tally: &mut Tally) -> Result<()> {
    // A folder of its own, emptied, so that the assembly in it is this build's.
    let dir = run::target().join("wipe");
    let folder = dir.join(target.folder);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    run::run(rustc.env("CARGO_TARGET_DIR", &dir).args(["--", "--emit", "asm"]))?;
    let assembly = assembly(&folder)?;
    for (instruction, expected) in target.ways.iter().copied().flatten() {
        let kmem = after_fill(&assembly, "forgets_by_kmem", instruction)?;
        let plain = after_fill(&assembly, "forgets_plainly", instruction)?;
        let shown = instruction.replace('\t', " ");
        println!("{}: {kmem} times `{shown}` by kmem, {plain} by an ordinary write", target.name);
        tally.check(ensure(kmem == *expected, || format!("{expected} times `{shown}` expected")));
        tally.check(ensure(plain == 0, || "the ordinary write was kept, so this shows nothing".to_owned()));
    }
    Ok(())
}

fn assembly(folder: &Path) -> Result<String> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("probe-") && name.ends_with(".s") {
            return Ok(std::fs::read_to_string(path)?);
        }
    }
    anyhow::bail!("the compiler wrote no assembly")
}

/// Instructions of a sort in a function after its buffer was filled.
fn after_fill(assembly: &str, function: &str, instruction: &str) -> Result<usize> {
    let mut lines = assembly.lines().skip_while(|line| *line != format!("{function}:"));
    lines.next().with_context(|| format!("no {function} in the assembly"))?;
    let body = lines.take_while(|line| !line.contains("func_end") && !line.contains("end_function"));
    let after = body.skip_while(|line| !(line.contains("call") && line.contains("fill")));
    Ok(after.filter(|line| line.contains(instruction)).count())
}

#[cfg(test)]
mod tests {
    use super::after_fill;

    #[test]
    fn instructions_are_counted_from_the_call_on() {
        let text = "f:\n\ti64.store 0\n\tcall\tfill\n\ti64.store 8\n\ti64.store 0\n\tend_function\n\ti64.store 1\n";
        assert_eq!(after_fill(text, "f", "i64.store").unwrap(), 2);
        assert!(after_fill(text, "g", "i64.store").is_err());
    }
}
