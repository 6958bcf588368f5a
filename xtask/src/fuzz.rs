//! `cargo xtask fuzz`: bytes as scripts of calls of the C face, beside a model; and that it finds what is put in for it.
//!
//! The program is libFuzzer's, built with what it looks through; `cargo fuzz run script` in the folder `fuzz` runs it
//! too, where cargo-fuzz is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{self, say};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What libFuzzer sees of a program's run.
const EYES: &str = "-Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing --cfg kmem_seeded";
/// What each bug that is put in may take.
const SECONDS: u32 = 60;

/// One a line of `src` or `capi/src`, there only by its name.
pub const BUGS: [&str; 10] = [
    "an_outer_range_is_forgotten",
    "a_store_is_known_when_it_has_gone",
    "a_rewind_takes_a_guests_block",
    "a_host_goes_before_its_guest",
    "a_freed_node_is_not_marked",
    "a_failed_object_keeps_its_kind",
    "a_cell_is_looked_for_in_the_store_in_it",
    "a_copy_lacks_a_byte",
    "a_node_changes_its_tree",
    "quota_forgets_resize",
];

/// `cargo xtask fuzz [--seconds N] [--seeded]`.
pub fn command(args: &[String]) -> Result<()> {
    let (mut seconds, mut seeded) = (60, false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => seconds = args.next().context("--seconds takes a number")?.parse()?,
            "--seeded" => seeded = true,
            other => bail!("fuzz takes --seconds N and --seeded, not '{other}'"),
        }
    }
    let folder = run::target().join("fuzz");
    let program = build(&folder)?;
    if seeded {
        return find_all(&program, &folder);
    }
    let corpus = folder.join("corpus");
    fs::create_dir_all(&corpus)?;
    run::run(fuzz(&program, seconds).arg(format!("-artifact_prefix={}/", folder.display())).arg(corpus))
}

fn build(folder: &Path) -> Result<PathBuf> {
    let mut cargo = run::cargo(&format!("build --quiet --release --manifest-path fuzz/Cargo.toml --target {TARGET}"));
    run::run(cargo.env("RUSTFLAGS", EYES).env("CARGO_TARGET_DIR", folder))?;
    Ok(folder.join(TARGET).join("release/script"))
}

fn fuzz(program: &Path, seconds: u32) -> Command {
    let mut fuzz = run::command(program);
    fuzz.args(["-max_len=400", "-timeout=20", "-rss_limit_mb=4096"]).arg(format!("-max_total_time={seconds}"));
    fuzz
}

/// Each bug, from nothing.
fn find_all(program: &Path, folder: &Path) -> Result<()> {
    let mut missed = Vec::new();
    for bug in BUGS {
        let before = run::elapsed();
        let mut command = fuzz(program, SECONDS);
        command.arg(format!("-artifact_prefix={}/{bug}-", folder.display())).env("KMEM_BUG", bug);
        let output = run::output(&mut command)?;
        let found = !output.status.success();
        let said = String::from_utf8_lossy(&output.stderr);
        let place = said.lines().find(|line| line.contains("panicked at")).unwrap_or_default();
        let verdict = if found { "found" } else { "missed" };
        say(&format!("{bug}: {verdict} within {} s {place}", run::elapsed() - before + 1));
        if !found {
            missed.push(bug);
        }
    }
    if missed.is_empty() { Ok(()) } else { bail!("not found: {}", missed.join(", ")) }
}
