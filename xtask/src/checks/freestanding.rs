//! A program without std that uses every store: it must need no allocator of libc, and get its
//! memory by system calls of its own.

use anyhow::{Context, Result};

use super::{Tally, ensure};
use crate::machine::Machine;
use crate::run;

const FORBIDDEN: [&str; 6] = ["mmap", "munmap", "malloc", "calloc", "realloc", "free"];
/// The system call by which the program says that its own work begins.
const MARKER: &str = "getppid(";

/// Builds the program, looks at its symbols, and watches it run.
pub fn freestanding(machine: &Machine, tally: &mut Tally) -> Result<()> {
    machine.programs()?;
    let dir = run::target().join("freestanding");
    let mut build = run::cargo("build --release --manifest-path xtask/freestanding/Cargo.toml");
    run::run(build.env("CARGO_TARGET_DIR", &dir))?;
    let program = dir.join("release/kmem-freestanding");

    let symbols = run::read(run::command("nm").args(["-u", "-D"]).arg(&program))?
        + &run::read(run::command("nm").arg("-u").arg(&program))?;
    let undefined: Vec<&str> = symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
    println!("undefined symbols: {}", undefined.join(" "));
    tally.check(ensure(!undefined.is_empty(), || "nm lists nothing at all".to_owned()));
    let used: Vec<&str> = undefined.iter().copied().filter(|symbol| forbidden(symbol)).collect();
    tally.check(ensure(used.is_empty(), || format!("it takes {} from libc", used.join(", "))));

    tally.run(&mut run::command(&program));

    let log = dir.join("strace.log");
    let mut strace = run::command("strace");
    strace.args(["-f", "-e", "trace=getppid,mmap,munmap", "-o"]).arg(&log).arg(&program);
    run::run(&mut strace)?;
    let trace = std::fs::read_to_string(&log)?;
    let (loader, own) = trace.split_once(MARKER).context("the program never called getppid")?;
    let count = |text: &str, call: &str| text.matches(&format!("{call}(")).count();
    let (maps, unmaps) = (count(own, "mmap"), count(own, "munmap"));
    println!("mmap: {} by the loader, {maps} by kmem; munmap: {unmaps} by kmem", count(loader, "mmap"));
    tally.check(ensure(maps > 0 && unmaps > 0, || "strace shows no mmap or no munmap of kmem".to_owned()));
    Ok(())
}

fn forbidden(symbol: &str) -> bool {
    FORBIDDEN.contains(&symbol.split('@').next().unwrap_or(symbol))
}

#[cfg(test)]
mod tests {
    use super::forbidden;

    #[test]
    fn symbols_are_compared_whole() {
        assert!(forbidden("free"));
        assert!(forbidden("malloc@GLIBC_2.2.5"));
        assert!(forbidden("mmap@@GLIBC_2.2.5"));
        assert!(!forbidden("__libc_start_main@GLIBC_2.34"));
        assert!(!forbidden("freelocale@GLIBC_2.3"));
    }
}
