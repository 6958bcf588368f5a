//! A program without std that uses every store: it must need no allocator of libc, and get its
//! memory by system calls of its own.

use std::ops::RangeInclusive;
use std::path::Path;

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
    for (call, by_loader, by_kmem) in
        [("mmap", count(loader, "mmap"), maps), ("munmap", count(loader, "munmap"), unmaps)]
    {
        tally.check(refused_calls(&program, call, by_loader + 1..=by_loader + by_kmem));
    }
    tally.check(little_memory(&program));
    Ok(())
}

/// The program says which store was refused, by its exit code; 0 is none.
const STORES: RangeInclusive<i32> = 0..=6;

/// Lets the system refuse one call after the other: each time the program must end by its own words.
fn refused_calls(program: &Path, call: &str, numbers: RangeInclusive<usize>) -> Result<()> {
    let mut told = 0;
    for number in numbers.clone() {
        let mut strace = run::command("strace");
        strace.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:error=ENOMEM:when={number}")]).arg(program);
        let status = run::output(&mut strace)?.status;
        ensure(status.code().is_some_and(|code| STORES.contains(&code)), || {
            format!("with {call} number {number} refused: {status}")
        })?;
        told += usize::from(!status.success());
    }
    println!(
        "{call} number {} to {} refused: {told} times a store says so, else it went on without",
        numbers.start(),
        numbers.end()
    );
    ensure(!numbers.is_empty() && (told > 0 || call == "munmap"), || format!("no refused {call} was told"))
}

/// Runs the program in more and more address space: too little for the loader, for some stores, enough.
fn little_memory(program: &Path) -> Result<()> {
    const LOADER: i32 = 127;
    let mut ends = Vec::new();
    for quarter_megabytes in 1..=64 {
        let mut limited = run::command("prlimit");
        limited.arg(format!("--as={}", quarter_megabytes << 18)).arg(program);
        let code = run::output(&mut limited)?.status.code();
        // Before the program begins, the loader or the kernel may end it as they like.
        if code.is_some_and(|code| STORES.contains(&code)) || !ends.is_empty() {
            ends.push(code.filter(|code| *code != LOADER));
        }
    }
    let refusals = ends.iter().filter(|code| code.is_some_and(|code| code > 0)).count();
    println!("in more and more address space: {refusals} times refused, {} times enough", ends.len() - refusals);
    let by_itself = ends.iter().all(|code| code.is_some_and(|code| STORES.contains(&code)));
    ensure(by_itself && refusals > 0 && ends.last() == Some(&Some(0)), || "it does not end by its own words".to_owned())
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
